#!/usr/bin/python3
"""torchvision's networks, with random weights, in our engine and in PyTorch.

    parity_engine.py BUILD_FOLDER [NETWORK ...]

Each network of torchvision's is lowered to a graph (torch_graph.py), fused, and run in float32 and, where the machine
has it, bfloat16; its class scores must be PyTorch's.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch_graph  # noqa: E402

NETWORKS = {"alexnet": 224, "vgg11_bn": 224, "squeezenet1_1": 96, "resnet18": 96, "resnext50_32x4d": 64,
            "densenet121": 64, "googlenet": 96, "inception_v3": 128, "mobilenet_v2": 96, "mobilenet_v3_small": 96,
            "mobilenet_v3_large": 96, "mnasnet1_0": 96, "shufflenet_v2_x1_0": 96, "efficientnet_b0": 96,
            "efficientnet_v2_s": 96, "regnet_y_400mf": 96, "convnext_tiny": 96, "vit_b_32": 224, "swin_t": 224,
            "swin_v2_t": 256, "maxvit_t": 224}
TOLERANCE = {"f32": 2e-5, "bf16": 0.1}


def randomise(module):
    """Statistics and scales that are not all 0 or 1, as training leaves them."""
    torch.manual_seed(1)
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.7, 1.3)
        if isinstance(m, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)) and m.weight is not None:
            torch.nn.init.uniform_(m.weight, 0.7, 1.3)
            torch.nn.init.normal_(m.bias, 0, 0.1)
    for name, p in module.named_parameters():
        if name.endswith(("layer_scale", "class_token", "head.weight")):
            torch.nn.init.normal_(p, 0, 0.3)


def settle(module, x):
    """Batch norm's statistics from a batch, so that values keep their size through a hundred layers."""
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for m in norms:
        m.train()
        m.momentum = 0.9
    with torch.no_grad():
        module(x)
    module.eval()


def make(name, side):
    torch.manual_seed(0)
    kwargs = {"input_size": (side, side)} if name == "maxvit_t" else {}
    if name in ("googlenet", "inception_v3"):
        kwargs = {"aux_logits": False, "init_weights": name == "googlenet", "transform_input": False}
    module = getattr(torchvision.models, name)(weights=None, **kwargs).eval()
    randomise(module)
    settle(module, torch.randn(8, 3, side, side))
    return module


def main():
    tool = os.path.join(sys.argv[1], "tests/engine/engine-tool")
    failed = []
    for name in sys.argv[2:] or NETWORKS:
        side = NETWORKS[name]
        module, x = make(name, side), torch.randn(2, 3, side, side)
        with torch.no_grad():
            want = module(x).numpy().ravel()
            graph, weights = torch_graph.lower(module, x)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.tw")
            torch_graph.save(path, graph, weights)
            for precision in TOLERANCE:
                run = subprocess.run([tool, path, precision, "2", str(side), str(side)], capture_output=True,
                                     input=x.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
                if b"does not have it" in run.stderr:
                    print(f"SKIP {name} {precision}: not native here")
                    continue
                got = np.frombuffer(run.stdout, np.float32)
                apart = np.linalg.norm(got - want) / np.linalg.norm(want) if len(got) == len(want) else np.inf
                print(f"{name:20} {precision:5} {len(graph['nodes']):4} nodes, apart by {apart:.2g}",
                      run.stderr.decode().strip(), flush=True)
                if not apart < TOLERANCE[precision]:
                    failed.append(f"{name} {precision}")
    if failed:
        sys.exit("too far apart: " + ", ".join(failed))


main()
