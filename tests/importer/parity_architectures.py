#!/usr/bin/python3
"""Every torchvision architecture: random weights, imported, run in our engine, compared with PyTorch.

    parity_architectures.py TOPWORK_IMPORT [--all] [--table] [NAME ...]

Weights go through a safetensors file written here (or, for some, NumPy's .npz) and through topwork-import; the
backbone file that comes out runs in engine-tool of the same build folder. Class scores and features (the average of
the trunk's last map) must be PyTorch's to 1e-4 of the largest value, and the default recipe must be what torchvision
publishes for its first weights. Without --all: small members of each family. --table prints Markdown.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import parity  # noqa: E402

FAMILIES = [  # small members first; what follows "|" runs with --all
    "| vgg11 vgg13 vgg16 vgg19", "| vgg11_bn vgg13_bn vgg16_bn vgg19_bn", "| resnet18 resnet34 resnet50 resnet101 resnet152",
    "resnext50_32x4d | resnext101_32x8d resnext101_64x4d", "| wide_resnet50_2 wide_resnet101_2",
    "squeezenet1_0 squeezenet1_1 |", "densenet121 | densenet161 densenet169 densenet201", "googlenet |", "inception_v3 |",
    "mobilenet_v2 mobilenet_v3_small mobilenet_v3_large |",
    "shufflenet_v2_x0_5 | shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    "mnasnet0_5 | mnasnet0_75 mnasnet1_0 mnasnet1_3",
    "efficientnet_b0 | " + " ".join(f"efficientnet_b{i}" for i in range(1, 8)),
    "| efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l",
    "regnet_y_400mf regnet_x_400mf | " + " ".join(f"regnet_{k}_{s}" for k in "yx"
                                                  for s in ("800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
    "convnext_tiny | convnext_small convnext_base convnext_large", "vit_b_32 | vit_b_16 vit_l_16 vit_l_32",
    "swin_t | swin_s swin_b"]
LIMIT = 1e-4
# The last map before the classifier: what is averaged into features. Others: see features_of().
TRUNK = {"vgg": "features", "resn": "layer4", "wide": "layer4", "squeezenet": "features", "googlenet": "inception5b",
         "inception": "Mixed_7c", "mobilenet": "features", "shufflenet": "conv5", "mnasnet": "layers",
         "efficientnet": "features", "regnet": "trunk_output", "swin": "norm"}


def names(everything):
    for family in FAMILIES:
        small, rest = family.split("|")
        yield from small.split() + (rest.split() if everything else [])


def make(name, side):
    """Random weights of which every one matters, and norms that keep values their size."""
    torch.manual_seed(5)
    kwargs = {"init_weights": False, "transform_input": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, **kwargs).eval()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for m in model.modules():
        if isinstance(m, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)) and m.weight is not None:
            m.weight.uniform_(0.7, 1.3)
            m.bias.normal_(0, 0.1)
    for key, p in model.named_parameters():
        if key.endswith(("layer_scale", "class_token", "head.weight", "bias_table")):
            p.normal_(0, 0.3)
    for m in norms:  # statistics from a batch; dropout and auxiliary heads stay as in use
        m.train()
        m.momentum = 0.9
    if norms:
        model(torch.randn(4, 3, side, side))
    return model.eval()


def features_of(name, model, x):
    """(features [n, d], class scores [n, classes])"""
    kept = {}
    if name.startswith(("convnext", "vit", "densenet")):
        last = {"c": lambda: model.classifier[2] if name[:2] == "co" else model.classifier, "v": lambda: model.heads.head,
                "d": lambda: model.classifier}[name[0]]()
        last.register_forward_pre_hook(lambda m, a: kept.update(y=a[0]))
    else:
        key = next(v for k, v in TRUNK.items() if name.startswith(k))
        getattr(model, key).register_forward_hook(lambda m, a, y: kept.update(y=y))
    scores = model(x)
    y = kept["y"]
    if y.dim() == 4:
        y = y.mean((1, 2) if name.startswith("swin") else (2, 3))
    return y, scores


def check_recipe(name, recipe):
    """As torchvision's transforms for its first weights say."""
    t = list(torchvision.models.get_model_weights(name))[0].transforms()
    if t.crop_size[0] == t.resize_size[0] and recipe["geometry"] != "crop":
        return
    want = {"height": t.crop_size[0], "width": t.crop_size[0], "short_side": t.resize_size[0],
            "resize": t.interpolation.value, "geometry": "crop"}
    if name in ("googlenet", "inception_v3"):  # transform_input of the published weights: (x - 0.5) / 0.5
        want.update(mean=[0.5] * 3, std=[0.5] * 3)
    elif name != "squeezenet1_1":  # Caffe's own weights go around by that name
        want.update(mean=list(t.mean), std=list(t.std), channels="rgb")
    wrong = {k: (recipe[k], v) for k, v in want.items() if recipe[k] != v}
    if wrong:
        sys.exit(f"parity_architectures: {name}: the recipe differs (ours, torchvision's): {wrong}")


def run(tool, path, x, logits):
    command = [tool, path, "f32", str(len(x)), str(x.shape[2]), str(x.shape[3])]
    done = subprocess.run(command, capture_output=True, input=x.permute(0, 2, 3, 1).contiguous().numpy().tobytes(),
                          env={**os.environ, **({"ENGINE_TOOL_LOGITS": "1"} if logits else {})})
    if done.returncode:
        sys.exit(f"parity_architectures: {path}: {done.stderr.decode()}")
    return np.frombuffer(done.stdout, np.float32).reshape(len(x), -1)


def apart(got, want):
    want = want.numpy()
    return np.abs(got - want).max() / np.abs(want).max() if got.shape == want.shape else np.inf


def check(program, tool, folder, name, npz):
    out, source = os.path.join(folder, "x.tw"), os.path.join(folder, "x.npz" if npz else "x.safetensors")
    side = torchvision.models.get_model_weights(name)
    side = list(side)[0].transforms().crop_size[0]
    model = make(name, min(side, 224))
    if npz:
        np.savez(source, **{k: v.numpy() for k, v in model.state_dict().items()})
    else:
        parity.write_safetensors(source, model.state_dict())
    document, _ = parity.import_file(program, source, name, out)
    check_recipe(name, document["recipe"])
    x = torch.randn(2, 3, side, side)
    features, scores = features_of(name, model, x)
    result = name, apart(run(tool, out, x, False), features), apart(run(tool, out, x, True), scores)
    os.remove(out)
    os.remove(source)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    args = parser.parse_intermixed_args()
    chosen = [n for n in args.names if not os.path.isdir(n)]
    tool = os.path.join(os.path.dirname(args.program), "../tests/engine/engine-tool")
    torch.set_grad_enabled(False)
    bad = []
    if args.table:
        print("| architecture | features | class scores |\n|---|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(chosen or names(args.all)):
            name, features, scores = check(args.program, tool, folder, name, i % 4 == 3)
            print(f"| {name} | {features:.1e} | {scores:.1e} |" if args.table else
                  f"{name:24s} features apart by {features:.1e}, class scores by {scores:.1e}", flush=True)
            if not max(features, scores) <= LIMIT:
                bad.append(name)
    if bad:
        sys.exit("parity_architectures: too far from PyTorch: " + ", ".join(bad))


if __name__ == "__main__":
    main()
