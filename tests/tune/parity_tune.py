#!/usr/bin/python3
"""One training step, and some more, beside PyTorch: losses, every gradient, parameters, running statistics.

    parity_tune.py BUILD_FOLDER [NETWORK ... | all]

Each network is lowered to a graph (tests/engine/torch_graph.py) and trained on one batch by tune-tool, with the
batch's statistics and with frozen ones; PyTorch trains the same weights on the same batch.

Where a value lies within rounding of a corner (0 of a ReLU), one side takes its gradient and the other does not; in a
deep network on a small batch a handful of such values move every gradient before them by percents, PyTorch's own
float32 against its float64 as well. So deep networks are compared twice: as they are, to a loose tolerance that a
wrong formula would still fail, and "smooth", each ReLU and ReLU6 replaced by SiLU, to 1e-3 for every gradient.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "engine"))
import torch_graph  # noqa: E402


class Sapling(torchvision.models.ResNet):
    """The default backbone's network: a ResNet-18 of half its width, with a 3 x 3 stem and no pool behind it."""

    def __init__(self):
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=10)
        self.inplanes = 32
        self.conv1 = torch.nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(32)
        self.maxpool = torch.nn.Identity()
        for i in range(4):
            setattr(self, f"layer{i + 1}", self._make_layer(torchvision.models.resnet.BasicBlock, 32 << i, 2,
                                                            stride=1 if i == 0 else 2))
        self.fc = torch.nn.Linear(256, 10)


MODELS = torchvision.models
def small_vgg11():
    """For pictures of 32 x 32, whose last map is one pixel: without the pool that would make it 7 x 7."""
    model = MODELS.vgg11(num_classes=10, dropout=0.0)
    model.avgpool, model.classifier[0] = torch.nn.Identity(), torch.nn.Linear(512, 4096)
    return model


NETWORKS = {
    "sapling": (Sapling, 32), "resnet50": (lambda: MODELS.resnet50(num_classes=10), 64),
    "squeezenet1_1": (lambda: MODELS.squeezenet1_1(num_classes=10, dropout=0.0), 64),
    "mobilenet_v2": (lambda: MODELS.mobilenet_v2(num_classes=10, dropout=0.0), 64),
    "vgg11": (small_vgg11, 32),
    "densenet121": (lambda: MODELS.densenet121(num_classes=10), 64),
    "mobilenet_v3_small": (lambda: MODELS.mobilenet_v3_small(num_classes=10, dropout=0.0), 64),
    "efficientnet_b0": (lambda: MODELS.efficientnet_b0(num_classes=10, dropout=0.0, stochastic_depth_prob=0.0), 64),
    "shufflenet_v2_x1_0": (lambda: MODELS.shufflenet_v2_x1_0(num_classes=10), 64),
    "convnext_tiny": (lambda: MODELS.convnext_tiny(num_classes=10, stochastic_depth_prob=0.0), 32),
    "swin_t": (lambda: MODELS.swin_t(num_classes=10, stochastic_depth_prob=0.0), 64),
}
USUAL = ["sapling", "squeezenet1_1"]  # seconds; the others take minutes
DEEP = set(NETWORKS) - {"sapling", "squeezenet1_1"}
BATCH, STEPS = 4, 3
STRICT = {"loss": 1e-4, "gradient": 1e-3, "later": 1e-3, "parameters": 1e-3}
SMOOTH = {"loss": 1e-4, "gradient": 1e-3, "later": 5e-3, "parameters": 5e-2}
LOOSE = {"loss": 1e-4, "gradient": 0.15, "later": np.inf, "parameters": np.inf}


def apart(a, b):
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-6))


def parameters_of(module):
    """The module's parameters and running statistics, found again by their bytes."""
    table = {}
    for name, p in list(module.named_parameters()) + list(module.named_buffers()):
        if p.dtype == torch.float32 and "relative" not in name and "attn_mask" not in name:
            table[name] = p
    return table


def settle(module, x):
    """Statistics of a batch, so that values keep their size through the layers when these are frozen."""
    torch.manual_seed(1)
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.7, 1.3)
            torch.nn.init.normal_(m.bias, 0, 0.1)
            m.momentum = 1.0
        if isinstance(m, torch.nn.LayerNorm):
            torch.nn.init.uniform_(m.weight, 0.7, 1.3)
    for name, p in module.named_parameters():
        if name.endswith("layer_scale"):
            torch.nn.init.normal_(p, 0, 0.3)
    module.train()
    with torch.no_grad():
        module(x)
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = 0.1


def order_of(graph, weights, module):
    """(tensor of the graph, tensor of PyTorch's, trained) in the order tune-tool writes them: nodes, then each
    operator's parameters in the order of docs/graph.md's enumeration."""
    slots = {"conv": ["weight", "bias"], "dense": ["weight", "bias"],
             "batch_norm": ["scale", "shift", "mean", "variance"], "layer_norm": ["scale", "shift"],
             "mul_constant": ["value"], "add_constant": ["value"], "attention": ["bias", "mask"],
             "prepend_token": ["token"]}
    by_bytes = {}
    for name, p in parameters_of(module).items():
        by_bytes.setdefault((p.numel(), p.detach().numpy().tobytes()), []).append(p)
    rows = []
    for node in graph["nodes"]:
        for slot in slots.get(node["op"], []):
            if slot not in node.get("params", {}):
                continue
            w = weights[node["params"][slot]]
            found = by_bytes.get((w.size, w.tobytes()))
            trained = slot not in ("mean", "variance", "mask")
            rows.append((node, slot, w, found.pop(0) if found else None, trained))
    return rows


def smooth(module):
    for name, child in module.named_children():
        if isinstance(child, (torch.nn.ReLU, torch.nn.ReLU6)):
            setattr(module, name, torch.nn.SiLU())
        else:
            smooth(child)


def torch_steps(module, x, labels, optimiser):
    losses, gradients = [], None
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        losses.append(loss.item())
        if gradients is None:
            gradients = {id(p): p.grad.detach().clone() for p in module.parameters() if p.grad is not None}
        optimiser.step()
    return losses, gradients


def check(name, mode, kind, tool, smoothed, precision="f32"):
    make, side = NETWORKS[name]
    torch.manual_seed(0)
    module = make()
    if smoothed:
        smooth(module)
    x, labels = torch.randn(BATCH, 3, side, side), torch.tensor([1, 7, 3, 9])
    settle(module, x)
    with torch.no_grad():
        graph, weights = torch_graph.lower(module.eval(), x)
    module.train()
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d) and mode == "frozen":
            m.eval()
    rows = order_of(graph, weights, module)
    rate = 1e-4 if kind == "adamw" else 1e-3
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.tw")
        torch_graph.save(path, graph, weights)
        data = x.permute(0, 2, 3, 1).contiguous().numpy().tobytes() + labels.float().numpy().tobytes()
        run = subprocess.run([tool, path, precision, mode, str(BATCH), str(side), kind, str(rate), str(STEPS)],
                             input=data, capture_output=True)
    if run.returncode:
        return f"{name}: {run.stderr.decode().strip()}", {}
    got = np.frombuffer(run.stdout, np.float32)
    groups = [{"params": [p for p in module.parameters() if p.ndim >= 2], "weight_decay": 0.05},
              {"params": [p for p in module.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate) if kind == "adamw" else \
        torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    losses, gradients = torch_steps(module, x, labels, optimiser)
    at, worst, at_worst, squares, whole, skipped = 1, 0.0, "", 0.0, 0.0, 0
    largest = max(float(g.norm()) for g in gradients.values())
    for node, slot, w, p, trained in rows:
        if not trained:
            continue
        mine, at = got[at:at + w.size], at + w.size
        if p is None or id(p) not in gradients:
            skipped += 1
            continue
        theirs = gradients[id(p)].numpy().ravel()
        squares += float(np.sum((mine - theirs) ** 2))
        whole += float(np.sum(theirs ** 2))
        # A gradient that is nothing but rounding (of a bias before batch norm) is judged beside the others.
        distance = float(np.linalg.norm(mine - theirs) / max(np.linalg.norm(theirs), 1e-4 * largest))
        if distance > worst:
            worst, at_worst = distance, f"{node['name']}.{slot}"
    later = got[at:at + STEPS - 1]
    at += STEPS - 1
    values = 0.0
    for node, slot, w, p, trained in rows:
        mine, at = got[at:at + w.size], at + w.size
        if p is not None:
            values = max(values, apart(mine, p.detach().numpy().ravel()))
    assert at == len(got), (at, len(got))
    figures = {"loss": abs(got[0] - losses[0]) / abs(losses[0]), "gradient": worst,
               "later": float(np.max(np.abs(later - losses[1:]) / np.abs(losses[1:]))), "parameters": values}
    return (f"{name:20} {'smooth' if smoothed else '':6} {mode:6} {kind:5} {precision} loss {figures['loss']:.1e}, {len(rows) - skipped} tensors: worst "
            f"gradient {worst:.1e} ({at_worst}), all {np.sqrt(squares / whole):.1e}; {STEPS} steps: losses "
            f"{figures['later']:.1e}, parameters {values:.1e}" + (f"; {skipped} not compared" if skipped else "")), figures


def main():
    tool = os.path.join(sys.argv[1], "tests/tune/tune-tool")
    torch.set_num_threads(2)
    failed = []
    for name in NETWORKS if sys.argv[2:] == ["all"] else sys.argv[2:] or USUAL:
        for mode, kind in (("own", "adamw"), ("frozen", "sgd")):
            for smoothed in (False, True) if name in DEEP else (False,):
                tolerance = SMOOTH if smoothed else LOOSE if name in DEEP else STRICT
                line, figures = check(name, mode, kind, tool, smoothed)
                print(line, flush=True)
                if not figures or any(not figures[k] <= tolerance[k] for k in tolerance):
                    failed.append(f"{name} {mode}")
    if failed:
        sys.exit("too far apart: " + ", ".join(failed))


if __name__ == "__main__":
    main()
