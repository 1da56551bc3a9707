#!/usr/bin/python3
"""Transformers and their like, as several libraries write them, exported to ONNX: against PyTorch, and joined again.

    parity_towers.py TOPWORK-IMPORT [WORD]

Each of towers.py's (WORD: those whose name has it) is exported, imported and run in f32 on a random picture. Features may differ by 1e-4 of the
largest, and the graph must hold each operator as often as towers.py says: what an exporter took apart was put together.
"""
import collections
import json
import os
import struct
import sys
import tempfile
import warnings

import numpy as np
import torch
from PIL import Image

from towers import TOWERS

warnings.simplefilter("ignore")
import parity_onnx  # noqa: E402  (it shares the command line)

SIDE = 32


def operators(path):
    """How often each operator stands in a backbone file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    graph = json.loads(header["__metadata__"]["topwork"])["graph"]
    return collections.Counter(node["op"] for node in graph["nodes"])


def check(name, folder):
    make, opset, wanted_ops = TOWERS[name]
    torch.manual_seed(2)
    model = make().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.uniform_(0.2, 1.2)
    short = (SIDE * 256 + 112) // 224
    at = (short - SIDE) // 2
    pixels = np.random.RandomState(3).randint(0, 256, (short, short, 3)).astype(np.uint8)
    photo, model_path, backbone, out = (os.path.join(folder, "x" + end) for end in (".png", ".onnx", ".tw", ".npy"))
    Image.fromarray(pixels).save(photo)
    x = torch.tensor(pixels[at:at + SIDE, at:at + SIDE]).permute(2, 0, 1)[None].float() / 255
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (x - mean) / deviation
    with torch.no_grad():
        wanted = model.features(x)[0].numpy()
    torch.onnx.export(model, x, model_path, opset_version=opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    done = parity_onnx.run("backbone", "import", model_path, "-o", backbone, "-q", "-f")
    if done.returncode:
        return parity_onnx.say(False, name, done.stderr.strip()[:300])
    ops = operators(backbone)
    wrong = ["%s %d times, not %d" % (op, ops[op], n) for op, n in wanted_ops.items() if ops[op] != n]
    if wrong:
        return parity_onnx.say(False, name, ", ".join(wrong) + " of " + str(dict(ops)))
    done = parity_onnx.run("extract", photo, "--backbone", backbone, "-o", out, "--precision", "f32", "--no-cache", "-q", "-f")
    if done.returncode:
        return parity_onnx.say(False, name, done.stderr.strip()[:300])
    got = np.load(out)[0]
    if got.shape != wanted.shape:
        return parity_onnx.say(False, name, "%s features; PyTorch has %s" % (got.shape, wanted.shape))
    apart = np.abs(got - wanted).max() / np.abs(wanted).max()
    parity_onnx.say(apart <= 1e-4, "%s, opset %d" % (name, opset), "%d features, within %.1e of the largest" % (len(got), apart))


def main():
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        for name in TOWERS:
            if word in name:
                check(name, folder)
    sys.exit(parity_onnx.failures > 0)


if __name__ == "__main__":
    main()
