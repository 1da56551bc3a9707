#!/usr/bin/python3
"""How fast torchvision's networks run, without decoding: topwork's engine and PyTorch, in turn.

    bench/network/networks.py BUILD [NETWORK ...] [--batch 8 32] [--seconds 3] [--rounds 3] [--threads 2]

BUILD is a build folder with tests/engine/engine-tool in it. Weights are random: time does not depend on them. Each round
runs every contender for about the same time, so that what else the machine does hits all of them; the table gives
medians in pictures a second. PyTorch runs with channels first and last, and the faster of the two counts. Needs torch and
torchvision.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torchvision

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/engine"))
import torch_graph  # noqa: E402

NETWORKS = ["mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "shufflenet_v2_x1_0", "convnext_tiny", "swin_t", "vit_b_16"]


def ours(args, path, precision, batch):
    run = subprocess.run([args.tool, path, precision, str(batch), "224", "224", str(args.seconds)], check=True, text=True,
                         capture_output=True, env={**os.environ, "ENGINE_TOOL_THREADS": str(args.threads)})
    return float(run.stdout)


def pytorch(args, module, bf16, batch):
    best = 0.0
    for order in (torch.contiguous_format, torch.channels_last):
        module, x = module.to(memory_format=order), torch.randn(batch, 3, 224, 224).contiguous(memory_format=order)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            try:
                module(x)
            except RuntimeError:
                return float("nan")  # its fused attention does not know autocast
            start, done = time.monotonic(), 0
            while time.monotonic() - start < args.seconds / 2:
                module(x)
                done += batch
            best = max(best, done / (time.monotonic() - start))
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.tool = os.path.join(args.build, "tests/engine/engine-tool")
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, pictures/s of 224 x 224\n")
    print("| network | batch | topwork f32 | PyTorch f32 | ratio | topwork bf16 | PyTorch bf16 | ratio |\n|---|---|---|---|---|---|---|---|")
    for name in args.networks:
        module = getattr(torchvision.models, name)(weights=None).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.tw")
            torch_graph.save(path, *torch_graph.lower(module, torch.randn(1, 3, 224, 224)))
            for batch in args.batch:
                rows = [[ours(args, path, "f32", batch), pytorch(args, module, False, batch),
                         ours(args, path, "bf16", batch), pytorch(args, module, True, batch)] for _ in range(args.rounds)]
                a, b, c, d = (statistics.median(column) for column in zip(*rows))
                print(f"| {name} | {batch} | {a:.0f} | {b:.0f} | {a / b:.1f} | {c:.0f} | {d:.0f} | {c / d:.1f} |", flush=True)


if __name__ == "__main__":
    main()
