#!/usr/bin/python3
"""One step of a student towards a teacher beside PyTorch: the loss and every gradient.

    parity_distil.py BUILD_FOLDER

The student is the default backbone's network with a linear projection at its end, the teacher MobileNetV2 without its
classifier, on the same pictures at twice the size. The teacher's features are standardised over the batch; the loss is
the mean squared error; batch norm goes by the batch's statistics.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

import parity_tune
from parity_tune import torch_graph

BATCH, SIDE, WIDE = 6, 32, 64
TOLERANCE = {"loss": 1e-5, "gradient": 1e-3}


class Teacher(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = parity_tune.MODELS.mobilenet_v2().features
        self.avgpool = torch.nn.AdaptiveAvgPool2d(1)
        self.flatten = torch.nn.Flatten()

    def forward(self, x):
        return self.flatten(self.avgpool(self.features(x)))


def main():
    tool = os.path.join(sys.argv[1], "tests/tune/distil-tool")
    torch.manual_seed(0)
    teacher, student = Teacher(), parity_tune.Sapling()
    student.fc = torch.nn.Linear(256, 1280)
    x = torch.randn(BATCH, 3, SIDE, SIDE)
    shown = torch.nn.functional.interpolate(x, (WIDE, WIDE), mode="bilinear", align_corners=False)
    parity_tune.settle(teacher, shown)
    teacher.eval()
    parity_tune.settle(student, x)
    with torch.no_grad():
        taught, taught_weights = torch_graph.lower(teacher, shown)
        graph, weights = torch_graph.lower(student.eval(), x)
        features = teacher(shown)
        spread = features.std(0, unbiased=False)
        targets = (features - features.mean(0)) / torch.where(spread > 0, spread, torch.ones_like(spread))
    student.train()
    rows = parity_tune.order_of(graph, weights, student)
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("student.tw", "teacher.tw")]
        torch_graph.save(paths[0], graph, weights)
        torch_graph.save(paths[1], taught, taught_weights)
        data = b"".join(p.permute(0, 2, 3, 1).contiguous().numpy().tobytes() for p in (x, shown))
        run = subprocess.run([tool, *paths, str(BATCH), str(SIDE), str(WIDE)], input=data, capture_output=True)
    if run.returncode:
        sys.exit(run.stderr.decode().strip())
    got = np.frombuffer(run.stdout, np.float32)
    loss = torch.nn.functional.mse_loss(student(x), targets)
    loss.backward()
    at, worst, at_worst, compared = 1, 0.0, "", 0
    largest = max(float(p.grad.norm()) for p in student.parameters())
    for node, slot, w, p, trained in rows:
        if not trained:
            continue
        mine, at = got[at:at + w.size], at + w.size
        theirs = p.grad.numpy().ravel()
        distance = float(np.linalg.norm(mine - theirs) / max(np.linalg.norm(theirs), 1e-4 * largest))
        compared += 1
        if distance > worst:
            worst, at_worst = distance, f"{node['name']}.{slot}"
    assert at == len(got) and compared == len(list(student.parameters())), (at, len(got), compared)
    figures = {"loss": abs(float(got[0]) - loss.item()) / loss.item(), "gradient": worst}
    print(f"loss {loss.item():.6f}, apart {figures['loss']:.1e}; {compared} tensors: worst gradient {worst:.1e} ({at_worst})")
    if any(not figures[k] <= TOLERANCE[k] for k in TOLERANCE):
        sys.exit("too far apart")


main()
