#!/usr/bin/python3
"""What `topwork finetune` and `topwork pretrain` do without options, done by PyTorch, torchvision, Pillow and scikit-learn.

    torch_schedule.py BACKBONE.tw FOLDER [--test FOLDER] [--seed 1] [--f32] [--epochs 10] [--from-nothing] [--check BUILD]

Prints one line of JSON: photos, backbone, seed, accuracy of a head alone (`topwork train`'s) and of the tuned network, the epoch that was
kept, seconds of training. FOLDER has one folder a class; without --test, the fifth that the seed holds back is measured.
BACKBONE.tw: as `topwork backbone import` writes it; its graph becomes a torch module here, operator by operator. --from-nothing: as
`topwork-import --random` drew it, with a classifier; all of it is trained, batch norm by the statistics of each batch, as pretrain does.

Equal to topwork's: split, validation photos, first head, which weights learn how fast, every step's rate, averages, choice of the epoch.
Not equal: random numbers (order, variations), the order of the three changes of colour (torchvision draws it), where bfloat16 rounds (autocast).
--check BUILD compares the pieces with BUILD/cli/topwork instead, in f32, and ends with 1 where they are apart.
"""
import argparse
import collections
import copy
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms as T
from PIL import Image, ImageOps
from sklearn.datasets import load_files
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

THREADS = 2
Plan = collections.namedtuple("Plan", "batch epochs patience rate warmup decay layer_decay smoothing average area folds own_statistics")
FINETUNE = Plan(16, 10, 4, 2e-4, 0.1, 0.05, 0.8, 0.05, 0.99, 0.5, 7, False)  # src/api/finetune.c
PRETRAIN = Plan(32, 30, 0, 2e-3, 0.1, 0.05, 1.0, 0.1, 0.99, 0.35, 10, True)  # src/api/pretrain.c
GROUPS = 12
GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1)  # src/learn/linear_heads.c
TYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "U8": np.uint8, "I32": np.int32}


# ---- the file -----------------------------------------------------------------------------------

def read(path):
    """The document and the tensors of a .tw file: docs/format.md."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    document = json.loads(header.pop("__metadata__")["topwork"])
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        tensors[name] = np.frombuffer(data[start + begin:start + end], TYPES[t["dtype"]]).reshape(t["shape"])
    return document, tensors


class Network(torch.nn.Module):
    """A graph of docs/graph.md down to its pooled features, and a linear layer for k classes. f32 parameters."""

    def __init__(self, graph, tensors):
        super().__init__()
        self.nodes, self.feature = graph["nodes"], graph["feature"]
        needed = {self.feature}
        for i in range(self.feature, 0, -1):
            if i in needed:
                needed.update(self.nodes[i]["inputs"])
        self.order = sorted(needed - {0})
        self.last = {}  # node: the last that reads it
        for i in self.order:
            for word, name in self.nodes[i].get("params", {}).items():
                value = torch.tensor(tensors[name].astype(np.float32))
                if word in ("mean", "variance"):
                    self.register_buffer(f"{word}{i}", value)
                else:
                    self.register_parameter(f"{word}{i}", torch.nn.Parameter(value))
            for at in self.nodes[i]["inputs"]:
                self.last[at] = i
        self.head, self.own_statistics = None, False

    def layers(self):
        """Nodes with parameters, in order."""
        return [i for i in self.order if self.nodes[i].get("params")]

    def trained(self):
        """Nodes, names in the file, parameters."""
        return [(i, name, getattr(self, f"{word}{i}")) for i in self.layers() for word, name in self.nodes[i]["params"].items()
                if word not in ("mean", "variance")]

    def one(self, i, node, x):
        op, get = node["op"], lambda word: getattr(self, f"{word}{i}", None)
        if "kernel" in node:
            if node["pad_begin"] != node["pad_end"]:
                raise NotImplementedError(f"{node['name']}: padding {node['pad_begin']} and {node['pad_end']}")
            window = {"stride": node["stride"], "padding": node["pad_begin"]}
        if op == "conv":
            return F.conv2d(x[0], get("weight"), get("bias"), dilation=node["dilation"], groups=node["groups"], **window)
        if op == "batch_norm":
            return F.batch_norm(x[0], get("mean"), get("variance"), get("scale"), get("shift"), self.own_statistics, 0.1, node["epsilon"])
        if op == "relu":
            return F.relu(x[0])
        if op == "clip":
            return torch.clamp(x[0], node["low"], node["high"])  # hardtanh has no gradient in bfloat16
        if op == "max_pool":
            return F.max_pool2d(x[0], node["kernel"], dilation=node["dilation"], ceil_mode=node["ceil_mode"], **window)
        if op == "add":
            return x[0] + x[1]
        if op == "concat" and node.get("axis", 0) == 0:
            return torch.cat(x, 1)
        raise NotImplementedError(f"{node['name']}: {op}")

    def features(self, x):
        values = {0: x}
        for i in self.order:
            inputs = self.nodes[i]["inputs"]
            values[i] = self.one(i, self.nodes[i], [values[at] for at in inputs])
            for at in inputs:
                if self.last[at] == i:
                    values.pop(at, None)
        x = values[self.feature]
        return x.mean((2, 3)) if x.dim() == 4 else x

    def forward(self, x):
        return self.head(self.features(x))


# ---- photos -------------------------------------------------------------------------------------

def decoded(path):
    """As topwork decodes; None where there is no photo."""
    try:
        with Image.open(path) as image:
            if image.format not in ("JPEG", "PNG", "WEBP"):
                return None
            return ImageOps.exif_transpose(image).convert("RGB")
    except OSError:
        return None


class Photos:
    """A folder, or one split in two: images (decoded, 8 bits), labels, training rows, test rows."""

    def __init__(self, folder, test, seed):
        own = load_files(folder, load_content=False, shuffle=True, random_state=0)
        self.files, labels = list(own.filenames), list(own.target)
        self.classes = own.target_names
        rows = np.arange(len(self.files))
        train, held = train_test_split(rows, test_size=0.2, random_state=seed, stratify=labels)
        if test:
            other = load_files(test, load_content=False, shuffle=False, categories=self.classes)
            held = np.arange(len(self.files), len(self.files) + len(other.filenames))
            self.files += list(other.filenames)
            labels += list(other.target)
        self.labels = np.array(labels)
        self.images = {i: decoded(self.files[i]) for i in np.concatenate([train, held])}
        self.train, self.test = (np.array([i for i in part if self.images[i] is not None]) for part in (train, held))


class Sight:
    """A recipe: pictures as the network takes them; whole, or varied."""

    def __init__(self, recipe, area):
        self.recipe, side = recipe, (recipe["height"], recipe["width"])
        if recipe["geometry"] != "crop" or recipe["resize"] != "bilinear":
            raise NotImplementedError("recipes other than a bilinear crop")
        self.side = side
        self.vary = T.Compose([T.RandomResizedCrop(side, (area, 1.0), (3 / 4, 4 / 3), T.InterpolationMode.BILINEAR),
                               T.RandomHorizontalFlip(), T.ColorJitter(0.2, 0.2, 0.2)])

    def whole(self, image):
        (w, h), short = image.size, self.recipe["short_side"]
        size = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        image = image.resize(size, Image.BILINEAR)
        left, top = (size[0] - self.side[1]) // 2, (size[1] - self.side[0]) // 2
        return image.crop((left, top, left + self.side[1], top + self.side[0]))

    def batch(self, images, varied=False):
        r = self.recipe
        x = np.stack([np.asarray((self.vary if varied else self.whole)(image)) for image in images])
        if r["channels"] == "bgr":
            x = x[..., ::-1]
        x = (x.astype(np.float32) * r["scale"] - np.float32(r["mean"])) / np.float32(r["std"])
        return torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def features_of(net, sight, images):
    with torch.no_grad():
        return torch.cat([net.features(sight.batch(images[at:at + 16])) for at in range(0, len(images), 16)]).numpy()


# ---- the first head -----------------------------------------------------------------------------

def folds_of(n, y, folds, seed):
    folds = min(folds, np.bincount(y).min())
    return list(RepeatedStratifiedKFold(n_splits=folds, n_repeats=1, random_state=seed).split(np.zeros(n), y))


def fitted(x, y, C):
    scaler = StandardScaler().fit(x)
    return scaler, LogisticRegression(C=C, tol=1e-4, max_iter=1000).fit(scaler.transform(x), y)


def accuracies(x, y, seed):
    """Of each C of GRID, the mean over five folds."""
    found = np.zeros(len(GRID))
    folds = folds_of(len(y), y, 5, seed)
    for train, test in folds:
        for c, C in enumerate(GRID):
            scaler, model = fitted(x[train], y[train], C)
            found[c] += model.score(scaler.transform(x[test]), y[test]) / len(folds)
    return found


def cautious(found, n):
    """src/api/finetune_head.c: the smallest C within a standard error of the best."""
    best = found.max()
    return GRID[int(np.argmax(found >= best - math.sqrt(best * (1 - best) / n)))]


def first_head(x, y, C):
    scaler, model = fitted(x.astype(np.float64), y, C)
    coef = model.coef_ / scaler.scale_
    intercept = model.intercept_ - coef @ scaler.mean_
    if len(coef) == 1:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    head = torch.nn.Linear(coef.shape[1], len(coef))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(coef))
        head.bias.copy_(torch.from_numpy(intercept))
    return head


def drawn_head(graph, tensors):
    """The classifier that the file has."""
    params = next(node["params"] for node in reversed(graph["nodes"]) if node["op"] == "dense")
    weight = torch.tensor(tensors[params["weight"]].astype(np.float32))
    head = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(torch.tensor(tensors[params["bias"]].astype(np.float32)))
    return head


# ---- the schedule -------------------------------------------------------------------------------

def rate_at(plan, step, steps):
    """Shares of the plan's rate: src/tune/optimiser.c, twi_schedule_rate()."""
    warmup = int(plan.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))


def groups_of(net, plan):
    """Parameters with the factor of their rate and their decay; norms (rank 1) and biases do not decay. The head's are the last."""
    layers = net.layers()
    factor = {i: plan.layer_decay ** (GROUPS - at * GROUPS // len(layers)) for at, i in enumerate(layers)}
    found = [(p, factor[i]) for i, _, p in net.trained()] + [(p, 1.0) for p in net.head.parameters()]
    return [{"params": [p], "factor": f, "lr": plan.rate * f, "weight_decay": plan.decay if p.dim() >= 2 else 0.0} for p, f in found]


def scores(net, sight, images, autocast):
    out = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for at in range(0, len(images), 16):
            out.append(net(sight.batch(images[at:at + 16])).float())
    return torch.cat(out)


def calibrated_loss(z, y):
    """src/tune/loss.c: the least over all scalings of the scores, labels smoothed by the rule of succession."""
    z, (n, k) = z.double(), z.shape
    wanted = torch.full((n, k), 1 / (n + k), dtype=torch.float64)
    wanted[torch.arange(n), y] += n / (n + k)
    def loss(factor):
        return -(wanted * F.log_softmax(factor * z, 1)).sum(1).mean().item()
    slope = lambda factor: ((F.softmax(factor * z, 1) - wanted) * z).sum(1).mean().item()
    if slope(0.0) >= 0:
        return loss(0.0)
    low, high = 1.0, 1.0
    while slope(low) >= 0:
        low /= 2
    while slope(high) < 0:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return loss(high)


class Course:
    """One training of what a Start has: net is trained, average is what is measured and kept."""

    def __init__(self, start, autocast):
        self.net, self.sight, self.photos, self.train, self.val, self.plan = start.net, start.sight, start.photos, start.train, start.val, start.plan
        self.average, self.autocast, self.steps, seed = copy.deepcopy(self.net), autocast, 0, start.seed
        self.net.own_statistics = self.plan.own_statistics
        self.optimiser = torch.optim.AdamW(groups_of(self.net, self.plan), betas=(0.9, 0.999), eps=1e-8)
        self.shuffler = np.random.RandomState(seed)
        torch.manual_seed(seed)  # what torchvision draws, in the one thread that loads

    def judge(self):
        for a, b in zip(self.average.buffers(), self.net.buffers()):
            a.copy_(b)  # running statistics are not averaged twice
        z = scores(self.average, self.sight, [self.photos.images[i] for i in self.val], self.autocast)
        y = torch.from_numpy(self.photos.labels[self.val])
        return calibrated_loss(z, y), (z.argmax(1) == y).float().mean().item()

    def step(self, x, y, share):
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * share * group["factor"]
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            z = self.net(x)
        loss = F.cross_entropy(z.float(), y, label_smoothing=self.plan.smoothing)
        loss.backward()
        self.optimiser.step()
        self.steps += 1
        stays = min(self.plan.average, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for a, p in zip(self.average.parameters(), self.net.parameters()):
                a.mul_(stays).add_(p, alpha=1 - stays)

    def epoch(self, pool, all_steps):
        order = self.shuffler.permutation(self.train)
        batch = min(self.plan.batch, len(order))
        parts = [order[at:at + batch] for at in range(0, len(order) - batch + 1, batch)]
        load = lambda part: pool.submit(self.sight.batch, [self.photos.images[i] for i in part], True)
        coming = load(parts[0])
        for at, part in enumerate(parts):
            x = coming.result()
            if at + 1 < len(parts):
                coming = load(parts[at + 1])
            self.step(x, torch.from_numpy(self.photos.labels[part]), rate_at(self.plan, self.steps, all_steps))

    def run(self, epochs):
        """(epoch kept, its loss, its accuracy), with the kept weights in average."""
        all_steps = len(self.train) // min(self.plan.batch, len(self.train)) * epochs
        best, kept = (0, *self.judge()), copy.deepcopy(self.average.state_dict())
        with ThreadPoolExecutor(1) as pool:
            for epoch in range(1, epochs + 1):
                self.epoch(pool, all_steps)
                loss, accuracy = self.judge()
                if not math.isfinite(loss):
                    raise ArithmeticError("the validation loss is not finite")
                if (loss, -accuracy) < (best[1], -best[2]):
                    best, kept = (epoch, loss, accuracy), copy.deepcopy(self.average.state_dict())
                if self.plan.patience and epoch - best[0] >= self.plan.patience:
                    break
        self.average.load_state_dict(kept)
        return best


class Start:
    """All before the first step."""

    def __init__(self, backbone, folder, test, seed, plan=FINETUNE):
        document, tensors = read(backbone)
        self.seed, self.plan, self.photos, self.sight = seed, plan, Photos(folder, test, seed), Sight(document["recipe"], plan.area)
        self.net = Network(document["graph"], tensors).to(memory_format=torch.channels_last)
        p = self.photos
        self.y = p.labels[p.train]
        rest, held = folds_of(len(self.y), self.y, plan.folds, seed)[0]
        self.train, self.val = p.train[rest], p.train[held]
        if plan is PRETRAIN:
            self.net.head = drawn_head(document["graph"], tensors)
            return
        x, y = features_of(self.net, self.sight, [p.images[i] for i in p.train]), self.y
        self.x, self.C = x, cautious(accuracies(x[rest], y[rest], seed), len(rest))
        self.net.head = first_head(x[rest], y[rest], self.C)

    def head_accuracy(self):
        """`topwork train`: the best C, all of the training part."""
        p = self.photos
        scaler, model = fitted(self.x, self.y, GRID[int(np.argmax(accuracies(self.x, self.y, self.seed)))])
        test = features_of(self.net, self.sight, [p.images[i] for i in p.test])
        return model.score(scaler.transform(test), p.labels[p.test])


def measure(backbone, folder, test, seed, plan=FINETUNE, f32=False, epochs=None):
    """One run: a dictionary."""
    torch.set_num_threads(THREADS)
    begin = Start(backbone, folder, test, seed, plan)
    p, fine = begin.photos, plan is FINETUNE
    head = begin.head_accuracy() if fine else None
    course = Course(begin, not f32)
    start = time.monotonic()
    epoch, loss, accuracy = course.run(epochs or plan.epochs)
    seconds = time.monotonic() - start
    z = scores(course.average, begin.sight, [p.images[i] for i in p.test], not f32)
    tuned = (z.argmax(1).numpy() == p.labels[p.test]).mean() if epoch or not fine else head  # no epoch was better: `topwork train`'s model
    return {"head": head, "accuracy": tuned, "epoch": epoch, "val_loss": loss, "val_accuracy": accuracy, "C": begin.C if fine else None, "steps": course.steps,
            "n_train": len(begin.train), "n_val": len(begin.val), "n_test": len(p.test), "seconds": seconds}


# ---- parity of the pieces -----------------------------------------------------------------------

def names_in(tensors, key):
    return [os.path.basename(n) for n in tensors[key].tobytes().decode().split("\0")[:-1]]


def learned(begin, before, after):
    """Of one step whose average keeps 2/11 of before: by how much each parameter's elements moved (the median), as a share of what its rate
    says. Adam's first step is the rate itself, whatever the gradient, so all are 1 where rates are equal; decay adds to it a little."""
    found = {}
    for (_, name, _), group in zip(begin.net.trained(), groups_of(begin.net, FINETUNE)):
        moved = np.median(np.abs(after["backbone." + name].astype(np.float64) - before[name].astype(np.float64)))
        found[name] = moved / (9 / 11 * FINETUNE.rate * group["factor"])
    return found


def check(build, backbone, folder, seed):
    torch.set_num_threads(THREADS)
    begin, wrong = Start(backbone, folder, None, seed), []
    p, tool = begin.photos, os.path.join(build, "cli/topwork")

    def row(what, here, there, same):
        print(f"{what}: {here} here, {there} topwork{'' if same else '  <-- APART'}", flush=True)
        if not same:
            wrong.append(what)

    with tempfile.TemporaryDirectory() as temporary:
        at = lambda name: os.path.join(temporary, name)
        words = ["--backbone", backbone, "--seed", str(seed), "--precision", "f32", "--json", "-q", "-o"]
        run = lambda *more: json.loads(subprocess.run([tool, *more], capture_output=True, text=True).stdout)
        head = run("train", folder, *words, at("head.tw"))
        run("finetune", folder, *words, at("tuned.tw"), "--epochs", "2", "--log", at("log"))
        document, tensors = read(at("tuned.tw"))
        tuned = document["finetuning"]
        with open(at("log"), encoding="utf-8") as log:
            rates = [json.loads(line)["rate"] for line in log][1:]
        pictures, picked = at("pictures"), [int(i) for i in begin.val[:8]]
        os.mkdir(pictures)
        for n, i in enumerate(picked):
            os.symlink(p.files[i], os.path.join(pictures, "%d%s" % (n, os.path.splitext(p.files[i])[1])))
        subprocess.run([tool, "extract", pictures, "--backbone", backbone, "--precision", "f32", "-q", "-o", at("x.npy")], check=True,
                       stdout=subprocess.DEVNULL)
        there = np.load(at("x.npy"))
        for share in (1.0, 0.1):  # a step that makes things worse is not kept: a smaller one
            run("finetune", folder, *words, at("step.tw"), "--epochs", "1", "--batch-size", str(len(begin.train) // 2 + 1),
                "--crop-area", "1", "--label-smoothing", "0", "--lr", str(FINETUNE.rate * share), "--force")
            step, after = read(at("step.tw"))
            if step["finetuning"]["best"]["epoch"] == 1:
                break
    here = features_of(begin.net, begin.sight, [p.images[i] for i in picked])
    apart = np.abs(here - there).max() / np.abs(there).max()
    for part, key in ((p.train, "train_files"), (p.test, "test_files")):
        files = [os.path.basename(p.files[i]) for i in part]
        same = sorted(files) == sorted(names_in(tensors, key))
        row(key, len(files), len(names_in(tensors, key)), same)
    row("photos to train on and to validate on", (len(begin.train), len(begin.val)), (tuned["n_train"], tuned["n_val"]),
        (len(begin.train), len(begin.val)) == (tuned["n_train"], tuned["n_val"]))
    row("features of 8 photos, largest distance", "%.1e" % apart, 0, apart < 1e-3)
    row("C of the first head", begin.C, tuned["C"], math.isclose(begin.C, tuned["C"]))
    loss, accuracy = Course(begin, False).judge()
    row("validation loss before the first step", loss, tuned["first"]["val_loss"], abs(loss - tuned["first"]["val_loss"]) < 1e-3)
    row("validation accuracy before the first step", accuracy, tuned["first"]["val_accuracy"],
        abs(accuracy - tuned["first"]["val_accuracy"]) < 1e-6)
    own, steps = begin.head_accuracy(), len(begin.train) // FINETUNE.batch
    row("accuracy of the head alone", own, head["accuracy"], abs(own - head["accuracy"]) * len(p.test) < 2.5)
    mine = [FINETUNE.rate * rate_at(FINETUNE, e * steps - 1, 2 * steps) for e in (1, 2)]
    row("rates at the ends of two epochs", mine, rates, np.allclose(mine, rates, rtol=1e-9))
    moved = {name: v / share for name, v in learned(begin, read(backbone)[1], after).items()}
    row("one step as a share of each parameter's rate, least and most", (min(moved.values()), max(moved.values())), 1,
        step["finetuning"]["best"]["epoch"] == 1 and all(abs(v - 1) < 0.02 for v in moved.values()))
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backbone")
    parser.add_argument("folder")
    parser.add_argument("--test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--from-nothing", action="store_true")
    parser.add_argument("--f32", action="store_true")
    parser.add_argument("--check", metavar="BUILD")
    args = parser.parse_args()
    if args.check:
        sys.exit(check(args.check, args.backbone, args.folder, args.seed))
    plan = PRETRAIN if args.from_nothing else FINETUNE
    found = measure(args.backbone, args.folder, args.test, args.seed, plan, args.f32, args.epochs)
    print(json.dumps({"set": os.path.basename(args.folder.rstrip("/")), "backbone": os.path.basename(args.backbone), "seed": args.seed, **found}))


if __name__ == "__main__":
    main()
