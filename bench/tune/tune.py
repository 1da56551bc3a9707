#!/usr/bin/python3
"""Photos a second of whole training steps (forward, backward, AdamW), beside PyTorch in the same run.

    tune.py BUILD_FOLDER [--seconds 4] [--rounds 3] [--bf16] [NETWORK[@SIDE] ...]

Two threads each, in turns: medians of the rounds, and the median of their ratios, since a machine may change its pace within minutes. SIDE: of the pictures, where not the usual one (sapling@224). PyTorch: Debian's, channels-last and not, the better of the two; with --bf16 its CPU autocast too.
Memory, of both: what the process held at its peak, less what it held when its libraries were loaded and nothing
else: parameters, gradients, the optimiser's state, activations. In brackets: topwork's activations alone.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "engine"))
import torch_graph  # noqa: E402


def sapling():
    """The default backbone: half a ResNet-18's width, a 3 x 3 stem, no pool behind it."""
    m = torchvision.models.resnet18(num_classes=200)
    m.inplanes = 32
    m.conv1, m.bn1 = torch.nn.Conv2d(3, 32, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(32)
    m.maxpool = torch.nn.Identity()
    for i in range(4):
        setattr(m, f"layer{i + 1}", m._make_layer(torchvision.models.resnet.BasicBlock, 32 << i, 2,
                                                  stride=1 if i == 0 else 2))
    m.fc = torch.nn.Linear(256, 200)
    return m


NETWORKS = {"sapling": (sapling, 128, 32), "resnet50": (torchvision.models.resnet50, 224, 16),
            "mobilenet_v2": (torchvision.models.mobilenet_v2, 224, 16),
            "squeezenet1_1": (torchvision.models.squeezenet1_1, 224, 16)}


def network(name):
    """How it is made, the side of its pictures, the batch."""
    name, _, other = name.partition("@")
    make, side, batch = NETWORKS[name]
    return make, int(other or side), batch


def memory(key):
    """MiB of a line of /proc/self/status; getrusage()'s peak is also that of who started us."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024


def torch_rate(make, side, batch, seconds, channels_last, autocast):
    before = memory("VmRSS")
    torch.manual_seed(0)
    module, x = make().train(), torch.randn(batch, 3, side, side)
    if channels_last:
        module, x = module.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4)

    def step():
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = torch.nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        optimiser.step()

    step()
    start, done = time.perf_counter(), 0
    while time.perf_counter() < start + seconds:
        step()
        done += batch
    rate = done / (time.perf_counter() - start)
    return rate, memory("VmHWM") - before


def in_child(*args):
    """In a process of its own, so that peaks of memory do not add up."""
    code = f"import sys; sys.argv=['x']; sys.path.insert(0, {HERE!r}); import tune; print(*tune.torch_rate(*tune.call({args!r})))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         env={**os.environ, "OMP_NUM_THREADS": "2"})
    if out.returncode:
        return 0.0, 0.0
    return tuple(float(v) for v in out.stdout.split())


def call(args):
    torch.set_num_threads(2)
    name, *rest = args
    return (*network(name), *rest)


def ours(tool, path, precision, side, batch, seconds):
    run = subprocess.run([tool, path, precision, "own", str(batch), str(side), "time", str(seconds)],
                         capture_output=True, text=True)
    if run.returncode:
        return 0.0, 0.0, 0.0
    rate, arena, peak = run.stdout.split()
    return float(rate), int(peak) / 2 ** 20, int(arena) / 2 ** 20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_intermixed_args()
    tool = os.path.join(options.build, "tests/tune/tune-tool")
    print(f"{'network':14} {'side':>4} {'batch':>5} {'precision':>9} {'topwork':>8} {'PyTorch':>8} {'ratio':>6}  MiB (activations), PyTorch's MiB")
    for name in options.networks or NETWORKS:
        make, side, batch = network(name)
        torch.manual_seed(0)
        with torch.no_grad():
            graph, weights = torch_graph.lower(make().eval(), torch.randn(2, 3, side, side))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.tw")
            torch_graph.save(path, graph, weights)
            for precision in ("f32", "bf16") if options.bf16 else ("f32",):
                mine, peers = [], []
                for _ in range(options.rounds):
                    mine.append(ours(tool, path, precision, side, batch, options.seconds))
                    peers.append(max(in_child(name, options.seconds, last, precision == "bf16") for last in (False, True)))
                rate, size, arena = (statistics.median(column) for column in zip(*mine))
                ratio = statistics.median(a[0] / b[0] if b[0] else float("nan") for a, b in zip(mine, peers))
                print(f"{name:14} {side:4} {batch:5} {precision:>9} {rate:8.1f} {statistics.median(p[0] for p in peers):8.1f} {ratio:6.2f}"
                      f"  {size:.0f} ({arena:.0f}), {statistics.median(p[1] for p in peers):.0f}", flush=True)


if __name__ == "__main__":
    main()
