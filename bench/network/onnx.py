#!/usr/bin/python3
"""How fast ONNX models run, without decoding: topwork, PyTorch, ONNX Runtime and OpenCV, in turn.

    bench/network/onnx.py BUILD [NETWORK ...] [--batch 1 16] [--seconds 3] [--rounds 3] [--threads 2] [--ort FOLDER]

torchvision's networks with random weights, exported once; topwork runs what it imports of that file, ONNX Runtime and OpenCV run the file
itself, PyTorch the network it was made of. Each round runs every contender for about the same time, so that what else the machine does hits
all of them; the table gives medians in pictures a second, of the last layer before the classifier for topwork and with it for the others (a
thousandth of the work). PyTorch runs with channels first and last, and the faster of the two counts. --ort: a folder where "npm install
--ignore-scripts onnxruntime-node" has been run; needs node. OpenCV where Python has it. "-": it cannot run the model.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time
import warnings

import torch
import torchvision

from network import NODE
from networks import ours, pytorch

try:
    import cv2
except ImportError:
    cv2 = None

warnings.simplefilter("ignore")
NETWORKS = ["resnet50", "mobilenet_v2", "efficientnet_b0", "densenet121", "vit_b_16", "convnext_tiny"]


def onnxruntime(args, model, batch):
    if not args.ort:
        return float("nan")
    run = subprocess.run(["node", "-", model, str(batch), str(args.seconds), str(args.threads)], cwd=args.ort, input=NODE,
                         capture_output=True, text=True)
    return float(run.stdout) if run.returncode == 0 else float("nan")


def opencv(args, model, batch):
    if cv2 is None:
        return float("nan")
    try:
        cv2.setNumThreads(args.threads)
        net = cv2.dnn.readNetFromONNX(model)
        net.setInput(torch.randn(batch, 3, 224, 224).numpy())
        net.forward()
        start, done = time.monotonic(), 0
        while time.monotonic() - start < args.seconds:
            net.forward()
            done += batch
        return done / (time.monotonic() - start)
    except cv2.error:
        return float("nan")


def network(name):
    """Batch norms that differ: exporters join equal ones by Identity nodes, which OpenCV 4.6 cannot read."""
    module = getattr(torchvision.models, name)(weights=None).eval()
    for part in module.modules():
        if isinstance(part, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            for values in list(part.parameters()) + list(part.buffers()):
                if values.dtype == torch.float32:
                    values.data.uniform_(0.5, 1.5)
    return module


def shown(value):
    return "-" if value != value else "%.1f" % value if value < 100 else "%.0f" % value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ort")
    args = parser.parse_args()
    args.tool = os.path.join(args.build, "tests/engine/engine-tool")
    torch.set_num_threads(args.threads)
    print("PyTorch %s, OpenCV %s, %d threads, pictures/s of 224 x 224\n" %
          (torch.__version__, cv2.__version__ if cv2 else "absent", args.threads))
    print("| network | batch | topwork f32 | bf16 | int8 | PyTorch f32 | bf16 | ONNX Runtime | OpenCV | f32 to the best f32 | bf16, int8 to the best |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in args.networks:
        module = network(name)
        with tempfile.TemporaryDirectory() as folder:
            model, backbone = os.path.join(folder, "x.onnx"), os.path.join(folder, "x.tw")
            torch.onnx.export(module, torch.randn(1, 3, 224, 224), model, opset_version=14, input_names=["input"],
                              output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
            subprocess.run([os.path.join(args.build, "import/topwork-import"), model, "-o", backbone], check=True)
            for batch in args.batch:
                rows = [[ours(args, backbone, "f32", batch), ours(args, backbone, "bf16", batch), ours(args, backbone, "int8", batch),
                         pytorch(args, module, False, batch), pytorch(args, module, True, batch), onnxruntime(args, model, batch), opencv(args, model, batch)]
                        for _ in range(args.rounds)]
                a, b, i, c, d, e, f = (statistics.median(column) for column in zip(*rows))
                f32 = max(v for v in (c, e, f) if v == v)
                best = max(v for v in (c, d, e, f) if v == v)
                print("| %s | %d | %s | %s | %s | %s | %s | %s | %s | %.2f | %.2f, %.2f |" %
                      ((name, batch) + tuple(shown(v) for v in (a, b, i, c, d, e, f)) + (a / f32, b / best, i / best)), flush=True)


if __name__ == "__main__":
    main()
