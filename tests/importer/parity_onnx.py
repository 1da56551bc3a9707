#!/usr/bin/python3
"""Networks exported to ONNX against PyTorch, and real ONNX files against what is documented of them.

    parity_onnx.py TOPWORK-IMPORT [--all] [--table]

Random weights (batch norms with statistics of their own), torch.onnx.export, `topwork backbone import`, `topwork extract` in f32 of a
random picture; PyTorch computes the same features of the same pixels. The largest difference may be 1e-4 of the largest feature.
--all: every network, not only the small ones of each family. The real files must find as many of the 250 photos of imagenet_sample as
their README says, give or take one.
"""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision
from PIL import Image

warnings.simplefilter("ignore")
BUILD = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[1])))
TOPWORK = os.path.join(BUILD, "cli", "topwork")
DATA = os.environ.get("TOPWORK_DATA", os.path.join(os.path.dirname(__file__), "../../../shared/data"))
SMALL = ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "googlenet", "squeezenet1_1", "shufflenet_v2_x0_5",
         "mnasnet0_5", "efficientnet_b0", "regnet_x_400mf", "convnext_tiny"]
LARGE = ["vit_b_16", "swin_t", "inception_v3", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v3_large", "densenet169",
         "squeezenet1_0", "shufflenet_v2_x1_0", "mnasnet1_0", "efficientnet_b3", "efficientnet_v2_s", "regnet_y_800mf", "vgg11_bn",
         "vgg16", "alexnet", "vit_b_32", "swin_s"]
DOCUMENTED = {"googlenet": (195, 0), "squeezenet1_1": (157, 0), "resnet50_pruned": (227, 0), "mobilenet_edgetpu": (233, 1),
              "mobilenet_v1_025": (148, 1), "mobilenet_v2_ptq_qdq": (226, 1)}
failures = 0


def say(ok, what, detail):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ": " + detail, flush=True)


def run(*words):
    return subprocess.run([TOPWORK] + list(words), capture_output=True, text=True)


def network(name):
    torch.manual_seed(1)
    if name in ("googlenet", "inception_v3"):
        model = getattr(torchvision.models, name)(weights=None, aux_logits=False, init_weights=False)
    else:
        model = getattr(torchvision.models, name)(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.1, 0.1)
    return model.eval()


def features(name, model, x):
    """What topwork takes for the features: the map or vector before the classifier, averaged."""
    kept = []
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    watched = linears[-1] if linears else model.classifier
    if name.startswith(("mobilenet_v3", "vgg", "alexnet", "squeezenet")):
        watched = model.classifier
    hook = watched.register_forward_hook(lambda _, inputs, __: kept.append(inputs[0]))
    with torch.no_grad():
        model(x)
    hook.remove()
    value = kept[0]
    if name.startswith(("vgg", "alexnet")):
        value = value.reshape(1, 256 if name == "alexnet" else 512, -1)
    return value.reshape(1, value.shape[1], -1).mean(2)[0].numpy()


def check(name, folder, opset):
    side = 299 if name == "inception_v3" else 224
    short = (side * 256 + 112) // 224
    at = (short - side) // 2
    pixels = np.random.RandomState(3).randint(0, 256, (short, short, 3)).astype(np.uint8)
    photo, model_path, backbone = (os.path.join(folder, name + end) for end in (".png", ".onnx", ".tw"))
    Image.fromarray(pixels).save(photo)
    x = torch.tensor(pixels[at:at + side, at:at + side]).permute(2, 0, 1)[None].float() / 255
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (x - mean) / deviation
    model = network(name)
    wanted = features(name, model, x)
    torch.onnx.export(model, x, model_path, opset_version=opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    done = run("backbone", "import", model_path, "-o", backbone, "-q")
    if done.returncode:
        return say(False, name, done.stderr.strip()[:300])
    out = os.path.join(folder, "x.npy")
    done = run("extract", photo, "--backbone", backbone, "-o", out, "--precision", "f32", "--no-cache", "-q", "-f")
    os.remove(model_path)
    os.remove(backbone)
    if done.returncode:
        return say(False, name, done.stderr.strip()[:300])
    got = np.load(out)[0]
    if got.shape != wanted.shape:
        return say(False, name, "%s features; PyTorch has %s" % (got.shape, wanted.shape))
    apart = np.abs(got - wanted).max() / np.abs(wanted).max()
    say(apart <= 1e-4, "%s, opset %d" % (name, opset), "%d features, within %.1e of the largest" % (len(got), apart))


def check_real(name, folder):
    wanted, offset = DOCUMENTED[name]
    path = os.path.join(DATA, "weights", name + ".onnx")
    if not os.path.exists(path):
        with gzip.open(path + ".gz") as packed, open(os.path.join(folder, name + ".onnx"), "wb") as plain:
            shutil.copyfileobj(packed, plain)
        path = os.path.join(folder, name + ".onnx")
    backbone = os.path.join(folder, name + ".tw")
    done = run("backbone", "import", path, "-o", backbone, "-q")
    if done.returncode:
        return say(False, name, done.stderr.strip()[:300])
    done = run("classify", "--backbone", backbone, os.path.join(DATA, "photos", "imagenet_sample"), "--json", "-q")
    answers = json.loads(done.stdout)
    right = sum(int(os.path.basename(a["path"])[:3]) == a["index"] - offset for a in answers)
    say(abs(right - wanted) <= 1, name + ".onnx", "%d of %d photos; documented are %d" % (right, len(answers), wanted))


def main():
    everything = "--all" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(SMALL + (LARGE if everything else [])):
            check(name, folder, (13, 11, 16)[i % 3] if "vit" not in name else 14)
        if os.path.isdir(os.path.join(DATA, "weights")):
            for name in DOCUMENTED:
                check_real(name, folder)
        else:
            print("SKIPPED: no weights under", DATA)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
