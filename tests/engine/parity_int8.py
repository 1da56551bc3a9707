#!/usr/bin/python3
"""Features and answers in int8 beside those in f32, on real weights and photos.

    tests/engine/parity_int8.py BUILD [--all]

Ranges from 32 photos of ImageNet, cosines on 32 others; with --all every real network, and how many of all 250 photos each precision gets
right (those the ranges are of included). Prints the table of docs/int8.md. Needs $TOPWORK_DATA (default ../shared/data), Pillow and NumPy.
"""
import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

DATA = os.environ.get("TOPWORK_DATA") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data")
CAFFE, TORCH, TF = "caffe", "torch", "tf"
# name, file, input, least mean cosine in int8 (what was found, rounded down)
NETWORKS = [("SqueezeNet 1.1", "squeezenet1_1.onnx", CAFFE, 0.995), ("GoogLeNet", "googlenet.onnx", CAFFE, 0.995),
            ("ResNet-50 (pruned)", "resnet50_pruned.onnx.gz", TORCH, 0.995), ("MobileNet-EdgeTPU", "mobilenet_edgetpu.onnx.gz", TF, 0.99),
            ("MobileNetV2", "mobilenetv2.onnx", TORCH, 0.98), ("MobileNet v1, width 0.25", "mobilenet_v1_025.onnx", TF, 0.95)]
USUAL = 1


def picture(path, kind):
    """As shared/data/weights/README.md has it."""
    image = Image.open(path).convert("RGB")
    w, h = image.size
    short = min(w, h)
    image = image.resize((int(256 * w / short), int(256 * h / short)), Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    if kind == CAFFE:
        return x[..., ::-1] - np.float32([104, 117, 123])
    if kind == TF:
        return (x - np.float32(127.5)) / np.float32(127.5)
    return (x / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


def photos():
    folder = os.path.join(DATA, "photos/imagenet_sample")
    found = []
    for root, _, files in sorted(os.walk(folder)):
        found += [os.path.join(root, f) for f in sorted(files) if f.lower().endswith((".jpg", ".jpeg"))]
    return [found[i] for i in np.random.RandomState(0).permutation(len(found))]


def run(tool, backbone, precision, x, watched, logits=False):
    env = dict(os.environ, ENGINE_TOOL_WATCH=watched)
    if logits:
        env["ENGINE_TOOL_LOGITS"] = "1"
    rows = []
    for i in range(0, len(x), 32):
        part = x[i:i + 32]
        out = subprocess.run([tool, backbone, precision, str(len(part)), "224", "224"], input=np.ascontiguousarray(part, "<f4").tobytes(),
                             stdout=subprocess.PIPE, env=env, check=True).stdout
        rows.append(np.frombuffer(out, "<f4").reshape(len(part), -1))
    return np.concatenate(rows)


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(DATA, "weights")):
        print("skipped: no weights under", DATA)
        return 0
    if "avx512_vnni" not in open("/proc/cpuinfo").read():
        print("skipped: this machine has no AVX512-VNNI")
        return 0
    tool = os.path.join(args.build, "tests/engine/engine-tool")
    names = photos()
    failed = 0
    print("| network | bf16, least | int8, mean | int8, least |%s\n|---|--:|--:|--:|%s" %
          ((" right of 250: f32, bf16, int8 |", "--:|") if args.all else ("", "")))
    for name, file, kind, least in NETWORKS if args.all else NETWORKS[:USUAL]:
        with tempfile.TemporaryDirectory() as folder:
            model, backbone, watched = (os.path.join(folder, f) for f in ("x.onnx", "x.tw", "watched"))
            source = os.path.join(DATA, "weights", file)
            if file.endswith(".gz"):
                with gzip.open(source) as a, open(model, "wb") as b:
                    shutil.copyfileobj(a, b)
            else:
                shutil.copy(source, model)
            subprocess.run([os.path.join(args.build, "import/topwork-import"), model, "-o", backbone], check=True)
            np.stack([picture(f, kind) for f in names[:32]]).astype("<f4").tofile(watched)
            x = np.stack([picture(f, kind) for f in names[32:64]])
            f32, bf16, int8 = (run(tool, backbone, p, x, watched) for p in ("f32", "bf16", "int8"))
            half, eight = cosines(f32, bf16), cosines(f32, int8)
            line = "| %s | %.5f | %.4f | %.4f |" % (name, half.min(), eight.mean(), eight.min())
            if args.all:
                x = np.stack([picture(f, kind) for f in names])
                truth = np.array([int(os.path.basename(f)[:3]) for f in names])  # 012_n01532829_house_finch.JPEG
                try:
                    logits = [run(tool, backbone, p, x, watched, True) for p in ("f32", "bf16", "int8")]
                    line += " %d, %d, %d |" % tuple((a.argmax(1) - (a.shape[1] - 1000) == truth).sum() for a in logits)
                except subprocess.CalledProcessError:
                    line += " - |"
            print(line, flush=True)
            if eight.mean() < least:
                print("  its mean cosine should be %.3f at least" % least)
                failed += 1
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
