#!/usr/bin/python3
"""parity_views.py BUILD - features of several views, layers and input sizes beside PyTorch's, on drawn pictures.

BUILD is a meson build folder. The network is torchvision's ResNet-18 with random weights; views are torchvision's
transforms on PIL's pictures, patches scikit-learn's, layers what hooks see. Exit status 1 when anything differs.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps
from sklearn.feature_extraction.image import extract_patches_2d
from torchvision import transforms

BUILD = os.path.abspath(sys.argv[1])
ENV = dict(os.environ, TOPWORK_IMPORT=os.path.join(BUILD, "import", "topwork-import"))
MEAN, STD = torch.tensor([.485, .456, .406])[:, None, None], torch.tensor([.229, .224, .225])[:, None, None]
bad = 0


def topwork(*arguments):
    run = subprocess.run([os.path.join(BUILD, "cli", "topwork"), *map(str, arguments)], env=ENV, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"topwork {' '.join(map(str, arguments))}: status {run.returncode}\n{run.stderr}{run.stdout}")
    return run.stdout


def network():
    torch.manual_seed(3)
    net = torchvision.models.resnet18(num_classes=7).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return net


def draw(folder):
    """Smooth pictures of several shapes, so that a pixel's shift is seen and rounding is not all there is."""
    rng = np.random.default_rng(11)
    paths = []
    for i, (width, height) in enumerate([(300, 280), (256, 399), (411, 256), (250, 260)]):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8))
        paths.append(os.path.join(folder, f"{i}.png"))
        coarse.resize((width, height), Image.BICUBIC).save(paths[-1])
    return paths


def tensor(image):
    pixels = torch.from_numpy(np.asarray(image).astype(np.float32) / 255).permute(2, 0, 1)
    return (pixels - MEAN) / STD


def views_of(path, kind, size=(224, 224)):
    """The pictures that the network is to see; kind as --views, or (height, width, n, seed)."""
    short = (256 * max(size) + 112) // 224
    image = transforms.Resize(short)(Image.open(path).convert("RGB"))
    left, top = (image.width - size[1]) // 2, (image.height - size[0]) // 2
    own = image.crop((left, top, left + size[1], top + size[0]))
    if kind == "1":
        return [own]
    if kind == "flip":
        return [own, ImageOps.mirror(own)]
    if kind in ("5", "10"):
        return (transforms.FiveCrop if kind == "5" else transforms.TenCrop)(size)(image)
    height, width, n, seed = kind
    patches = extract_patches_2d(np.asarray(image), (height, width), max_patches=n, random_state=seed)
    return [Image.fromarray(patch).resize((size[1], size[0]), Image.BILINEAR) for patch in patches]


def pool(value, how):
    if value.ndim == 2:
        return value
    if how == "none":
        return value.permute(0, 2, 3, 1).flatten(1)  # height, width, channel
    return value.mean((2, 3)) if how == "avg" else value.amax((2, 3))


def features(net, views, layers, how):
    seen = {}
    modules = {"maxpool": net.maxpool, "layer1.1.out": net.layer1[1], "layer2.1.out": net.layer2[1],
               "layer4.1.out": net.layer4[1], "fc": net.fc, "layer3.0.bn1": net.layer3[0].bn1,
               "layer2.0.conv1": net.layer2[0].conv1}
    hooks = [modules[name].register_forward_hook(lambda m, i, o, n=name: seen.update({n: o.clone()})) for name in layers]
    with torch.inference_mode():
        net(torch.stack([tensor(view) for view in views]))
    for hook in hooks:
        hook.remove()
    return torch.cat([pool(seen[name], how) for name in layers], 1).double().mean(0).numpy()


def compare(net, backbone, folder, paths, title, options=(), kind="1", size=(224, 224), layers=("layer4.1.out",), how="avg"):
    global bad
    out = os.path.join(os.path.dirname(backbone), "x.npy")
    got = json.loads(topwork("extract", folder, "--flat", "-o", out, "--force", "--json", "--no-cache", "--precision", "f32",
                             "--backbone", backbone, "--pooling", how, *options))
    x = np.load(out)[np.argsort(got["files"])]
    want = np.stack([features(net, views_of(path, kind, size), layers, how) for path in paths])
    error = np.abs(x - want).max() / np.abs(want).max() if x.shape == want.shape else np.inf
    bad += not error <= 1e-5
    print(f"{'ok    ' if error <= 1e-5 else 'DIFFERS  '}{title}: {x.shape}, largest relative difference {error:.1e}", flush=True)


def main():
    net = network()
    with tempfile.TemporaryDirectory(prefix="topwork-views-") as root:
        folder = os.path.join(root, "photos")
        os.mkdir(folder)
        paths = draw(folder)
        np.savez(os.path.join(root, "net.npz"), **{k: v.numpy() for k, v in net.state_dict().items()})
        backbone = os.path.join(root, "net.tw")
        topwork("backbone", "import", os.path.join(root, "net.npz"), "--arch", "resnet18", "-o", backbone)
        same = lambda title, *options, **more: compare(net, backbone, folder, paths, title, options, **more)
        same("one view")
        for views in ("flip", "5", "10"):
            same(f"--views {views}", "--views", views, kind=views)
        same("--patches 224x224:6:9", "--patches", "224x224:6:9", kind=(224, 224, 6, 9))
        same("--patches 100x120:6", "--patches", "100x120:6", kind=(100, 120, 6, 42))
        same("--input-size 193x256", "--input-size", "193x256", size=(193, 256))
        same("--input-size 161 --views 10", "--input-size", 161, "--views", "10", size=(161, 161), kind="10")
        mixed = ("fc", "layer2.1.out", "maxpool", "layer3.0.bn1", "layer2.0.conv1", "layer4.1.out")
        for how in ("avg", "max"):
            same(f"six layers, {how}", "--layers", ",".join(mixed), layers=mixed, how=how)
        same("two layers, flattened, two views", "--layers", "layer4.1.out,fc", "--views", "flip", kind="flip",
             layers=("layer4.1.out", "fc"), how="none")
    sys.exit(bad != 0)


main()
