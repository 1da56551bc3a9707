#!/usr/bin/python3
"""Imports weights of every architecture and compares what came out with PyTorch: `parity.py TOPWORK_IMPORT [DATA]`.

torchvision's own classes run on random weights; the backbone file's graph is run here, node by node, in torch. Keras
files of full size are made with h5py in their published layout. Needs python3-torch, -torchvision and -h5py."""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

import keras_files

DTYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "I64": np.int64}


def read(path):
    """(document, {name: array}) of a backbone, or any safetensors, file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    meta = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], DTYPES[t["dtype"]]).reshape(t["shape"])
    return json.loads(meta.get("topwork", "null")), tensors


def write_safetensors(path, state):
    header, at, blobs = {}, 0, []
    for name, t in state.items():
        array = np.ascontiguousarray(t.numpy())
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        blobs.append(array.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def window(node, x, value):
    top, left = node["pad_begin"]
    bottom, right = node["pad_end"]
    return F.pad(x, (left, right, top, bottom), value=value)


def pool(node, x):
    """With padding already there, ceil mode only adds pixels at the end."""
    x = window(node, x, float("-inf"))
    return F.max_pool2d(x, node["kernel"], node["stride"], ceil_mode=node.get("ceil_mode", False))


def run(document, tensors, x):
    """Values of the feature node and of the logits (None without a classifier)."""
    graph, values = document["graph"], []

    def param(node, name):
        key = node["params"].get(name)
        return None if key is None else torch.from_numpy(tensors[key].astype(np.float32))

    for node in graph["nodes"]:
        a = [values[i] for i in node.get("inputs", [])]
        op = node["op"]
        if op == "input":
            y = x
        elif op == "conv":
            y = F.conv2d(window(node, a[0], 0.0), param(node, "weight"), param(node, "bias"), node["stride"])
        elif op == "batch_norm":
            y = F.batch_norm(a[0], param(node, "mean"), param(node, "variance"), param(node, "scale"),
                             param(node, "shift"), eps=node["epsilon"])
        elif op == "relu":
            y = F.relu(a[0])
        elif op == "max_pool":
            y = pool(node, a[0])
        elif op == "global_avg_pool":
            y = a[0].mean((2, 3))
        elif op == "dense":
            y = F.linear(a[0], param(node, "weight"), param(node, "bias"))
        elif op == "add":
            y = a[0] + a[1]
        elif op == "concat":
            y = torch.cat(a, 1)
        elif op == "flatten":
            y = (a[0].permute(0, 2, 3, 1) if node["order"] == "hwc" else a[0]).reshape(len(x), -1)
        else:
            sys.exit(f"parity: operator {op} is not known here")
        values.append(y)
    logits = graph.get("logits")
    return values[graph["feature"]], None if logits is None else values[logits]


def import_file(program, path, arch, out, *more):
    subprocess.run([program, path, "--arch", arch, "-o", out, *more], check=True)
    return read(out)


def close(what, ours, theirs, limit=1e-5):
    worst = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    print(f"{what:34s} largest difference {worst:.1e} of the largest value")
    if not worst <= limit:
        sys.exit(f"parity: {what} differs by {worst}, more than {limit}")


def randomise(model):
    """Weights whose activations neither die nor explode, and batch norms that do something."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                torch.nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    module.bias.uniform_(-0.1, 0.1)
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
                module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2.0)
    return model.eval()


def check_torchvision(program, folder, x):
    feature_of = {"vgg16": lambda m, x: m.features(x), "squeezenet1_1": lambda m, x: m.features(x)}
    for arch in ("resnet18", "resnet34", "resnet50", "vgg16", "squeezenet1_1"):
        model = randomise(getattr(torchvision.models, arch)(weights=None))
        source, out = os.path.join(folder, arch + ".safetensors"), os.path.join(folder, arch + ".tw")
        write_safetensors(source, model.state_dict())
        document, tensors = import_file(program, source, arch, out)
        count = sum(p.numel() for p in model.parameters())
        if document["parameters"] != count:
            sys.exit(f"parity: {arch}: {document['parameters']} parameters; torchvision counts {count}")
        features, logits = run(document, tensors, x)
        close(f"{arch} logits", logits, model(x))
        if arch in feature_of:
            close(f"{arch} features", features, feature_of[arch](model, x))
        os.remove(source)
        os.remove(out)


def check_keras_vgg(program, folder, x, arch, blocks, top):
    """The file's own arrays go through Keras's layers written in torch: HWIO kernels, NHWC flatten."""
    rng = np.random.default_rng(7)
    arrays = {}

    def values(shape, number, part):
        scale = np.sqrt(2.0 / max(1, int(np.prod(shape[:-1])))) if part == "kernel" else 0.1
        arrays[number] = (rng.standard_normal(shape, dtype=np.float32) * np.float32(scale))
        return arrays[number]

    layers = keras_files.vgg_layers(blocks, [64, 128, 256, 512, 512], top)
    source, out = os.path.join(folder, arch + ".h5"), os.path.join(folder, arch + ".tw")
    keras_files.write(source, layers, values, names="keras2" if top else "keras1")
    document, tensors = import_file(program, source, arch, out)
    os.remove(source)
    y, number, feature = x, 0, None
    for name, weights in layers:
        if name.endswith("_pool"):
            y = feature = F.max_pool2d(y, 2, 2)
        elif name == "flatten":
            y = y.permute(0, 2, 3, 1).reshape(len(y), -1)
        elif weights:
            kernel, bias = (torch.from_numpy(arrays[number + i]) for i in range(2))
            number += 2
            if kernel.dim() == 4:
                y = F.relu(F.conv2d(y, kernel.permute(3, 2, 0, 1), bias, padding=1))
            else:
                y = y @ kernel + bias
                y = y if name == "predictions" else F.relu(y)
    features, logits = run(document, tensors, x)
    label = f"{arch} Keras{' with top' if top else ''}"
    close(label + " features", features, feature)
    if top:
        close(label + " logits", logits, y)
    os.remove(out)


def check_keras_resnet(program, folder, x):
    """ResNet-50 version 1, in torch: stride on the first 1x1, convolutions with biases, epsilon 1.001e-5."""
    rng = np.random.default_rng(11)
    arrays = {}

    def values(shape, number, part):
        if part in ("gamma", "moving_variance"):
            array = rng.uniform(0.5, 1.0, shape)
        elif part == "kernel":
            array = rng.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[:-1])))
        else:
            array = rng.uniform(-0.1, 0.1, shape)
        arrays[number] = array.astype(np.float32)
        return arrays[number]

    layers = keras_files.resnet_layers([3, 4, 6, 3], 64, [64, 128, 256, 512], True)
    source, out = os.path.join(folder, "r.h5"), os.path.join(folder, "r.tw")
    keras_files.write(source, layers, values)
    document, tensors = import_file(program, source, "resnet50", out)
    number, at = 0, {}
    for name, weights in layers:
        at[name] = [torch.from_numpy(arrays[number + i]) for i in range(len(weights))]
        number += len(weights)

    def conv(name, y, stride=1, pad=0):
        kernel, bias = at[name + "_conv"]
        gamma, beta, mean, variance = at[name + "_bn"]
        y = F.conv2d(y, kernel.permute(3, 2, 0, 1), bias, stride, pad)
        return F.batch_norm(y, mean, variance, gamma, beta, eps=1.001e-5)

    y = F.relu(conv("conv1", x, 2, 3))
    y = F.max_pool2d(F.pad(y, (1, 1, 1, 1)), 3, 2)
    for s, blocks in enumerate([3, 4, 6, 3], 2):
        for b in range(1, blocks + 1):
            name, stride = f"conv{s}_block{b}", 2 if b == 1 and s > 2 else 1
            shortcut = conv(name + "_0", y, stride) if b == 1 else y
            z = F.relu(conv(name + "_1", y, stride))
            z = F.relu(conv(name + "_2", z, 1, 1))
            y = F.relu(conv(name + "_3", z) + shortcut)
    kernel, bias = at["predictions"]
    features, logits = run(document, tensors, x)
    close("resnet50 Keras features", features, y)
    close("resnet50 Keras logits", logits, y.mean((2, 3)) @ kernel + bias)


def check_sapling(program, folder, data):
    """The half-width ResNet-18 of torchvision with another stem; in half precision the weights round."""
    source = os.path.join(data, "weights/sapling/sapling.safetensors")
    if not os.path.exists(source):
        print(f"SKIPPED: {source} is not here")
        return
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=200)
    model.inplanes = 32
    model.conv1 = torch.nn.Conv2d(3, 32, 3, 2, 1, bias=False)
    model.bn1 = torch.nn.BatchNorm2d(32)
    model.maxpool = torch.nn.Identity()
    for i, width in enumerate((32, 64, 128, 256), 1):
        setattr(model, f"layer{i}", model._make_layer(torchvision.models.resnet.BasicBlock, width, 2, 1 if i == 1 else 2))
    model.fc = torch.nn.Linear(256, 200)
    state = {k: torch.from_numpy(v.copy()) for k, v in read(source)[1].items()}
    missing, extra = model.load_state_dict(state, strict=False)
    if extra or any(not m.endswith("num_batches_tracked") for m in missing):
        sys.exit(f"parity: sapling's weights do not fit: {missing} {extra}")
    model.eval()
    x = torch.randn(2, 3, 128, 128)
    for dtype, limit in (("f32", 1e-5), ("f16", 2e-3)):
        document, tensors = import_file(program, source, "sapling", os.path.join(folder, "s.tw"), "--dtype", dtype)
        close(f"sapling {dtype} logits", run(document, tensors, x)[1], model(x), limit)


def check_squeezenet(program, folder, data):
    """The fixed check without photos of the data folder's README: sums that other runtimes gave."""
    source = os.path.join(data, "weights/squeezenet1_1.safetensors")
    if not os.path.exists(source):
        print(f"SKIPPED: {source} is not here")
        return
    document, tensors = import_file(program, source, "squeezenet1_1", os.path.join(folder, "q.tw"))
    recipe = document["recipe"]
    y, x, c = np.meshgrid(np.arange(224), np.arange(224), [0, 1, 2], indexing="ij")
    picture = ((7 * x + 13 * y + 31 * c + (x * y) // 16) % 256).astype(np.float32)
    if recipe["channels"] == "bgr":
        picture = picture[..., ::-1]
    picture = (picture * recipe["scale"] - np.array(recipe["mean"])) / np.array(recipe["std"])
    batch = torch.from_numpy(picture.astype(np.float32).transpose(2, 0, 1)[None].copy())
    features, logits = run(document, tensors, batch)
    features = features.mean((2, 3))
    for what, values, total, top, at in (("features", features, 891.057, 75.2372, 109),
                                         ("logits", logits, 7945.93, 31.6945, 858)):
        close(f"squeezenet1_1 sum of {what}", values.sum(), torch.tensor(total))
        close(f"squeezenet1_1 largest of {what}", values.max(), torch.tensor(top))
        if values.argmax().item() != at:
            sys.exit(f"parity: squeezenet1_1: largest of {what} at {values.argmax().item()}, not {at}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    torch.manual_seed(3)
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as folder:
        x = torch.randn(1, 3, 224, 224)
        check_torchvision(sys.argv[1], folder, x)
        check_keras_vgg(sys.argv[1], folder, x, "vgg16", keras_files.VGG16, False)
        check_keras_vgg(sys.argv[1], folder, x, "vgg19", keras_files.VGG19, False)
        check_keras_vgg(sys.argv[1], folder, x, "vgg16", keras_files.VGG16, True)
        check_keras_resnet(sys.argv[1], folder, x)
        if len(sys.argv) == 3:
            check_sapling(sys.argv[1], folder, sys.argv[2])
            check_squeezenet(sys.argv[1], folder, sys.argv[2])
    print("parity: the importer builds what PyTorch and Keras build")


if __name__ == "__main__":
    main()
