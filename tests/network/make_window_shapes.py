#!/usr/bin/python3
"""Writes window_shapes.h: output sizes of PyTorch's pooling and convolution for random windows.

Run with PyTorch 1.13: /usr/bin/python3 tests/network/make_window_shapes.py > tests/network/window_shapes.h
A size of 0 stands for a window that PyTorch refuses.
"""
import random

import torch
import torch.nn.functional as F


def size_of(run):
    try:
        return run().shape[2]
    except RuntimeError:
        return 0


def main():
    random.seed(1)
    rows = []
    while len(rows) < 300:
        size, kernel, stride = random.randint(1, 20), random.randint(1, 5), random.randint(1, 4)
        dilation = random.choice([1, 1, 1, 2, 3])
        pad = random.randint(0, kernel // 2)
        ceil = random.random() < 0.5
        x = torch.zeros(1, 1, size, 1)
        pool = size_of(lambda: F.max_pool2d(x, (kernel, 1), (stride, 1), (pad, 0), (dilation, 1), ceil))
        conv = size_of(lambda: F.conv2d(x, torch.zeros(1, 1, kernel, 1), None, (stride, 1), (pad, 0), (dilation, 1)))
        rows.append((size, kernel, stride, dilation, pad, int(ceil), pool, conv))
    print("/* Made by make_window_shapes.py with PyTorch %s. */" % torch.__version__)
    print("/* clang-format off */")
    print("static const struct window_case {")
    print("    unsigned char in, kernel, stride, dilation, pad, ceil_mode, pool, conv;")
    print("} window_cases[] = {")
    for row in rows:
        print("    {%s}," % ", ".join(map(str, row)))
    print("};")


main()
