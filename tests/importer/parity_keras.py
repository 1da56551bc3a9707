#!/usr/bin/python3
"""keras.applications' networks, restated in PyTorch with explicit padding: `parity_keras.py TOPWORK_IMPORT [--all] [--table] [NAME ...]`.

There is no Keras here. The class Keras below runs each layer as Keras defines it (TensorFlow's "same", channels last
when flattened, kernels [h, w, in, out]), draws its weights, and writes them to HDF5 in Keras's layout and names. The
networks are narrow and their pictures small, which the importer takes from the weights and the recipe; features and
class scores must agree to 1e-4 of the largest value. Some run with a classifier, some without. Each is also traced
into a graph of layers, put in Keras 3's order and written as its .weights.h5 and .keras, with names and without:
weights must come out in the same places. With --all the deeper members of each family too; --table prints Markdown.
"""
import functools
import json
import math
import os
import sys
import tempfile
import zipfile

import h5py
import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import parity  # noqa: E402
import parity_architectures  # noqa: E402

# Of what 50 residual branches add, one after the other, so that rounding is not blown up on the way.
GAIN = 0.3
hard_sigmoid, hard_swish = F.hardsigmoid, F.hardswish


def ident(x):
    return x


class Node:
    """A Keras layer: its class as files spell it (None: without weights), its weights, what it reads. path: the
    Sequential it stands in, or None."""
    def __init__(self, kind=None, name="", arrays=(), inputs=(), inside=None):
        self.kind, self.name, self.arrays, self.inputs, self.inside = kind, name, list(arrays), list(inputs), inside


class Traced(torch.Tensor):
    """What is done to it outside of class Keras are layers without weights: activations, sums, paddings."""
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        out = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(out, Traced):
            flat = [a for b in args for a in (b if isinstance(b, (list, tuple)) else [b])]
            out.node = Node(inputs=[a.node for a in flat if isinstance(a, Traced)])
        return out


def layer(kind):
    """Makes a method of class Keras one layer of the trace, whatever it does inside."""
    def wrap(method):
        def call(self, x, *args, **kwargs):
            if not isinstance(x, Traced):
                return method(self, x, *args, **kwargs)
            before = sum(len(rows) for _, rows in self.layers)
            out = method(self, x.as_subclass(torch.Tensor), *args, **kwargs).as_subclass(Traced)
            rows = [row for _, rows in self.layers for row in rows][before:]
            spelt = kwargs.get("kind", kind)
            out.node = Node(spelt, rows[0][0].rpartition("/")[0] if rows else "", [a for _, a in rows], [x.node],
                            kwargs.get("group"))
            return out
        return call
    return wrap


def map_graph(output):
    """The layers of a functional model in the order of model.layers (Keras 3, ops/function.py): by depth, then as met."""
    met, post, depths = {}, [], {}

    def visit(node):
        if node in met:
            return
        met[node] = len(met)
        for parent in node.inputs:
            visit(parent)
        post.append(node)
    visit(output)
    for node in reversed(post):
        depth = depths.setdefault(node, 0)
        for parent in node.inputs:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return sorted(met, key=lambda node: (-depths[node], met[node]))


class Keras:
    def __init__(self, seed, first=0):
        self.rng = np.random.default_rng(seed)
        self.layers = []  # (group, [(weight name, array)])
        self.first, self.counts = first, {}

    def auto(self, kind):
        """Names of layers that have none: conv2d_3 and so on, from anywhere on."""
        n = self.counts.get(kind, self.first)
        self.counts[kind] = n + 1
        return kind if n == 0 else f"{kind}_{n}"

    def draw(self, shape, fan):
        return (self.rng.standard_normal(shape) * np.sqrt(2 / fan)).astype(np.float32)

    def keep(self, name, group=None, **parts):
        rows = [(f"{name}/{part}:0", array) for part, array in parts.items()]
        group = group or name
        if self.layers and self.layers[-1][0] == group:
            self.layers[-1][1].extend(rows)
        else:
            self.layers.append((group, rows))

    def pad(self, x, kernel, stride, padding, value=0.0):
        if padding == "valid":
            return x
        if isinstance(padding, int):
            return F.pad(x, (padding,) * 4, value=value)
        all_ = [max((-(-side // stride) - 1) * stride + k - side, 0) for side, k in zip(x.shape[2:], kernel)]
        return F.pad(x, (all_[1] // 2, all_[1] - all_[1] // 2, all_[0] // 2, all_[0] - all_[0] // 2), value=value)

    @layer("conv2d")
    def conv(self, x, name, out, kernel=1, stride=1, padding="same", bias=False, group=None, groups=1):
        k, inside = (kernel, kernel) if isinstance(kernel, int) else kernel, x.shape[1] // groups
        parts = {"kernel": self.draw((*k, inside, out), k[0] * k[1] * inside)}
        if bias:
            parts["bias"] = self.draw((out,), 200)
        self.keep(name, group, **parts)
        w, b = torch.from_numpy(parts["kernel"]).permute(3, 2, 0, 1), parts.get("bias")
        return F.conv2d(self.pad(x, k, stride, padding), w, None if b is None else torch.from_numpy(b), stride,
                        groups=groups)

    @layer("depthwise_conv2d")
    def depthwise(self, x, name, kernel=3, stride=1, padding="same", multiplier=1, bias=False, store=True, kind=None):
        w = self.draw((kernel, kernel, x.shape[1], multiplier), kernel * kernel)
        parts = {"depthwise_kernel": w}
        if bias:
            parts["bias"] = self.draw((x.shape[1],), 200)
        if store:
            self.keep(name, **parts)
        t = torch.from_numpy(w).permute(2, 3, 0, 1).reshape(-1, 1, kernel, kernel)
        b = torch.from_numpy(parts["bias"]) if bias else None
        y = F.conv2d(self.pad(x, (kernel, kernel), stride, padding), t, b, stride, groups=x.shape[1])
        return y if store else (y, w)

    @layer("separable_conv2d")
    def separable(self, x, name, out, kernel=3, stride=1, padding="same"):
        y, w = self.depthwise(x, name, kernel, stride, padding, store=False)
        p = self.draw((1, 1, x.shape[1], out), x.shape[1])
        self.keep(name, depthwise_kernel=w, pointwise_kernel=p)
        return F.conv2d(y, torch.from_numpy(p).permute(3, 2, 0, 1))

    @layer("batch_normalization")
    def bn(self, x, name, epsilon, scale=True, gain=1.0):
        c = x.shape[1]
        # One variance for all channels: in small maps some channels hardly vary, and would blow rounding up.
        mean = x.mean((0, 2, 3)).numpy() + self.draw((c,), 200)
        var = x.var((0, 2, 3), unbiased=False).mean().item() * self.rng.uniform(0.7, 1.3, c) + 1e-4
        parts = {"gamma": (gain * self.rng.uniform(0.7, 1.3, c)).astype(np.float32)} if scale else {}
        parts.update(beta=self.draw((c,), 50), moving_mean=mean.astype(np.float32), moving_variance=var.astype(np.float32))
        self.keep(name, **parts)
        t = {k: torch.from_numpy(v) for k, v in parts.items()}
        return F.batch_norm(x, t["moving_mean"], t["moving_variance"], t.get("gamma"), t["beta"], eps=epsilon)

    @layer("layer_normalization")
    def ln(self, x, name, epsilon, group=None):
        c = x.shape[1]
        parts = {"gamma": self.rng.uniform(0.7, 1.3, c).astype(np.float32), "beta": self.draw((c,), 50)}
        self.keep(name, group, **parts)
        t = {k: torch.from_numpy(v) for k, v in parts.items()}
        y = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        y = F.layer_norm(y, (c,), t["gamma"], t["beta"], epsilon)
        return y.permute(0, 3, 1, 2) if x.dim() == 4 else y

    @layer("dense")
    def dense(self, x, name, out):
        """Of the last axis, as in Keras; maps are [n, c, h, w] here."""
        w, b = self.draw((x.shape[1], out), x.shape[1]), self.draw((out,), 200)
        self.keep(name, kernel=w, bias=b)
        y = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x) @ torch.from_numpy(w) + torch.from_numpy(b)
        return y.permute(0, 3, 1, 2) if x.dim() == 4 else y

    @layer(None)
    def max_pool(self, x, kernel, stride, padding="valid"):
        return F.max_pool2d(self.pad(x, (kernel, kernel), stride, padding, float("-inf")), kernel, stride)

    def se(self, x, reduce, expand, act, gate):
        c = x.shape[1]
        y = act(self.conv(x.mean((2, 3), keepdim=True), reduce, max(4, c // 4), bias=True))
        return x * gate(self.conv(y, expand, c, bias=True))

    def write3(self, path, output, names, outside=None):
        """As keras/src/saving/saving_lib.py does: groups by class and number. outside: this network is one layer of a
        model that has more."""
        with h5py.File(path, "w") as file:
            def store(group, node):
                variables = group.create_group("vars")
                if names and node.name:
                    variables.attrs["name"] = node.name
                for i, array in enumerate(node.arrays):
                    variables[str(i)] = array

            def container(parent, nodes):
                layers, used = parent.create_group("layers"), {}
                for node in nodes:
                    used[node.kind] = used.get(node.kind, -1) + 1
                    group = layers.create_group(node.kind + (f"_{used[node.kind]}" if used[node.kind] else ""))
                    if node.kind == "sequential":
                        container(group, node.members)
                        group.create_group("vars")
                    elif node.kind == "dropout":  # keeps a seed
                        group.create_group("vars")
                        group.create_group("seed_generator/vars")["0"] = np.array([1, 2], np.uint32)
                    else:
                        store(group, node)
            inner, sequentials = [Node("input_layer")], {}
            for node in map_graph(output):
                if not node.inside:
                    inner.append(node if node.kind else Node("activation" if len(node.inputs) < 2 else "add"))
                elif node.inside in sequentials:
                    sequentials[node.inside].members.append(node)
                else:
                    sequentials[node.inside] = Node("sequential", node.inside)
                    sequentials[node.inside].members = [node]
                    inner.append(sequentials[node.inside])
            inner.append(Node("dropout"))
            root = file.create_group("layers/functional") if outside else file
            container(root, inner)
            file.create_group("vars")
            file.create_group("optimizer/vars")["0"] = np.array(3, np.int64)
            for node in outside or []:
                store(file.create_group("layers/" + node.kind), node)

    def config(self, output):
        """config.json as far as it names layers; in the older layouts of this test it is all that does."""
        classes = {"conv2d": "Conv2D", "dense": "Dense", "depthwise_conv2d": "DepthwiseConv2D", "normalization":
                   "Normalization", "separable_conv2d": "SeparableConv2D", "batch_normalization": "BatchNormalization",
                   "layer_normalization": "LayerNormalization", "layer_scale": "LayerScale", None: "ReLU"}
        rows, inside = [], {}
        for i, node in enumerate(map_graph(output)):
            row = {"module": "keras.layers", "class_name": classes[node.kind], "config": {"name": node.name or f"l{i}"}}
            if node.inside and node.inside not in inside:
                inside[node.inside] = []
                rows.append({"module": "keras", "class_name": "Sequential",
                             "config": {"name": node.inside, "layers": inside[node.inside]}})
            (inside[node.inside] if node.inside else rows).append(row)
            rows.append({"module": "keras.src.ops.numpy", "class_name": "Conv2D", "config": {"name": f"op{i}"}})
        return {"module": "keras.src.models.functional", "class_name": "Functional",
                "config": {"name": "net", "layers": rows}}

    def write(self, path, inside=None):
        with h5py.File(path, "w") as file:
            root = file.create_group(inside) if inside else file
            root.attrs["layer_names"] = np.array([g.encode() for g, _ in self.layers])
            for group, rows in self.layers:
                g = root.create_group(group)
                g.attrs["weight_names"] = np.array([name.encode() for name, _ in rows])
                for name, array in rows:
                    g.create_dataset(name, data=array)


def mobilenet(k, x, top):
    def norm(y, name):
        return F.relu6(k.bn(y, name, 1e-3))
    y = norm(k.conv(x, "conv1", 8, 3, 2), "conv1_bn")
    widths = [16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
    for i, (w, s) in enumerate(zip(widths, [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]), 1):
        y = norm(k.depthwise(y, f"conv_dw_{i}", 3, s), f"conv_dw_{i}_bn")
        y = norm(k.conv(y, f"conv_pw_{i}", w), f"conv_pw_{i}_bn")
    return y, k.conv(y.mean((2, 3), keepdim=True), "conv_preds", 10, bias=True)[:, :, 0, 0] if top else None


def mobilenet_v2(k, x, top):
    y = F.relu6(k.bn(k.conv(x, "Conv1", 16, 3, 2), "bn_Conv1", 1e-3))
    block = 0
    for t, c, n, s in ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 40, 3, 2), (6, 80, 1, 1)):
        for i in range(n):
            p, z = f"block_{block}_" if block else "expanded_conv_", y
            if block:
                z = F.relu6(k.bn(k.conv(z, p + "expand", t * y.shape[1]), p + "expand_BN", 1e-3))
            z = F.relu6(k.bn(k.depthwise(z, p + "depthwise", 3, s if i == 0 else 1), p + "depthwise_BN", 1e-3))
            z = k.bn(k.conv(z, p + "project", c), p + "project_BN", 1e-3)
            y = y + z if y.shape == z.shape and (i > 0 or s == 1) else z
            block += 1
    y = F.relu6(k.bn(k.conv(y, "Conv_1", 96), "Conv_1_bn", 1e-3))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def mobilenet_v3(k, x, top, small, keras3=False):
    d, cv, bn = ("_", "conv", "_bn") if keras3 else ("/", "Conv", "/BatchNorm")
    rows = [(3, 2, 1, 0), (3, 2, 0, 0), (3, 1, 0, 0), (5, 2, 1, 1)] + [(5, 1, 1, 1)] * 4 + [(5, 2, 1, 1)] + [(5, 1, 1, 1)] * 2
    if not small:
        rows = ([(3, 1, 0, 0), (3, 2, 0, 0), (3, 1, 0, 0), (5, 2, 1, 0), (5, 1, 1, 0), (5, 1, 1, 0), (3, 2, 0, 1)] +
                [(3, 1, 0, 1)] * 3 + [(3, 1, 1, 1)] * 2 + [(5, 2, 1, 1)] + [(5, 1, 1, 1)] * 2)
    y = hard_swish(k.bn(k.conv(x, cv, 16, 3, 2), cv + bn, 1e-3))
    for i, (kernel, s, se, hs) in enumerate(rows):
        act, p, z = hard_swish if hs else F.relu, f"expanded_conv{f'_{i}' if i else ''}{d}", y
        if i:
            z = act(k.bn(k.conv(z, p + "expand", 3 * y.shape[1]), f"{p}expand{bn}", 1e-3))
        z = act(k.bn(k.depthwise(z, p + "depthwise", kernel, s), f"{p}depthwise{bn}", 1e-3))
        if se:
            z = k.se(z, f"{p}squeeze_excite{d}{cv}", f"{p}squeeze_excite{d}{cv}_1", F.relu, hard_sigmoid)
        z = k.bn(k.conv(z, p + "project", 16 if i < 4 else 24), f"{p}project{bn}", 1e-3)
        y = y + z if y.shape == z.shape and s == 1 else z
    y = feature = hard_swish(k.bn(k.conv(y, cv + "_1", 96), f"{cv}_1{bn}", 1e-3))
    if not top:
        return feature, None
    y = hard_swish(k.conv(y.mean((2, 3), keepdim=True), cv + "_2", 64, bias=True))
    return feature, k.conv(y, "logits" if keras3 else "Logits", 10, bias=True)[:, :, 0, 0]


def vgg(k, x, top, blocks):
    y = x
    for b, (n, w) in enumerate(zip(blocks, (8, 8, 12, 16, 16)), 1):
        for i in range(1, n + 1):
            y = F.relu(k.conv(y, f"block{b}_conv{i}", w, 3, bias=True))
        y = F.max_pool2d(y, 2)
    if not top:
        return y, None
    z = F.relu(k.dense(y.permute(0, 2, 3, 1).flatten(1), "fc1", 24))
    return y, k.dense(F.relu(k.dense(z, "fc2", 24)), "predictions", 10)


def resnet(k, x, top, depths=(3, 4, 6, 3)):
    e = 1.001e-5
    y = F.relu(k.bn(k.conv(x, "conv1_conv", 16, 7, 2, 3, True), "conv1_bn", e))
    y = F.max_pool2d(F.pad(y, (1, 1, 1, 1)), 3, 2)
    for s, (n, w) in enumerate(zip(depths, (8, 16, 24, 32)), 2):
        for b in range(1, n + 1):
            p, stride = f"conv{s}_block{b}", 2 if b == 1 and s > 2 else 1
            short = k.bn(k.conv(y, p + "_0_conv", 4 * w, 1, stride, "valid", True), p + "_0_bn", e) if b == 1 else y
            z = F.relu(k.bn(k.conv(y, p + "_1_conv", w, 1, stride, "valid", True), p + "_1_bn", e))
            z = F.relu(k.bn(k.conv(z, p + "_2_conv", w, 3, bias=True), p + "_2_bn", e))
            y = F.relu(short + k.bn(k.conv(z, p + "_3_conv", 4 * w, bias=True), p + "_3_bn", e, gain=GAIN))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def resnet_v2(k, x, top, depths=(3, 4, 6, 3)):
    e = 1.001e-5
    y = F.pad(k.conv(x, "conv1_conv", 16, 7, 2, 3, True), (1, 1, 1, 1))
    y = F.max_pool2d(y, 3, 2)
    for s, (n, w) in enumerate(zip(depths, (8, 16, 24, 32)), 2):
        for b in range(1, n + 1):
            p, stride = f"conv{s}_block{b}", 2 if b == n and s < 5 else 1
            a = F.relu(k.bn(y, p + "_preact_bn", e))
            if b == 1:
                short = k.conv(a, p + "_0_conv", 4 * w, 1, stride, "valid", True)
            else:
                short = y[:, :, ::stride, ::stride]
            z = F.relu(k.bn(k.conv(a, p + "_1_conv", w), p + "_1_bn", e))
            z = F.relu(k.bn(k.conv(z, p + "_2_conv", w, 3, stride, 1), p + "_2_bn", e))
            y = short + k.conv(z, p + "_3_conv", 4 * w, bias=True)
    y = F.relu(k.bn(y, "post_bn", e))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def resnext(k, x, top, depths=(3, 4, 6, 3)):
    e, groups = 1.001e-5, 32
    y = F.relu(k.bn(k.conv(x, "conv1_conv", 16, 7, 2, 3), "conv1_bn", e))
    y = F.max_pool2d(F.pad(y, (1, 1, 1, 1)), 3, 2)
    for s, (n, w) in enumerate(zip(depths, (64, 64, 96, 128)), 2):
        for b in range(1, n + 1):
            p, stride, c = f"conv{s}_block{b}", 2 if b == 1 and s > 2 else 1, w // groups
            short = k.bn(k.conv(y, p + "_0_conv", 2 * w, 1, stride, "valid"), p + "_0_bn", e) if b == 1 else y
            z = F.relu(k.bn(k.conv(y, p + "_1_conv", w), p + "_1_bn", e))
            z = k.depthwise(z, p + "_2_conv", 3, stride, 1, multiplier=c)
            h, wd = z.shape[2:]
            z = z.reshape(len(z), groups, c, c, h, wd).sum(2).reshape(len(z), w, h, wd)
            z = F.relu(k.bn(z, p + "_2_bn", e))
            y = F.relu(short + k.bn(k.conv(z, p + "_3_conv", 2 * w), p + "_3_bn", e, gain=GAIN))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def densenet(k, x, top, depths=(6, 12, 24, 16)):
    e = 1.001e-5
    y = F.relu(k.bn(k.conv(x, "conv1/conv", 16, 7, 2, 3), "conv1/bn", e))
    y = F.max_pool2d(F.pad(y, (1, 1, 1, 1)), 3, 2)
    for s, n in enumerate(depths, 2):
        for b in range(1, n + 1):
            p = f"conv{s}_block{b}"
            z = k.conv(F.relu(k.bn(y, p + "_0_bn", e)), p + "_1_conv", 16)
            y = torch.cat([y, k.conv(F.relu(k.bn(z, p + "_1_bn", e)), p + "_2_conv", 4, 3)], 1)
        if s < 5:
            y = F.avg_pool2d(k.conv(F.relu(k.bn(y, f"pool{s}_bn", e)), f"pool{s}_conv", y.shape[1] // 2), 2)
    y = F.relu(k.bn(y, "bn", e))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def numbered(k):
    def unit(y, out, kernel, stride=1, padding="same"):
        return F.relu(k.bn(k.conv(y, k.auto("conv2d"), out, kernel, stride, padding), k.auto("batch_normalization"), 1e-3, False))
    return unit


def average(y):
    return F.avg_pool2d(y, 3, 1, 1, count_include_pad=False)


def inception_v3(k, x, top):
    u = numbered(k)
    y = u(u(u(x, 8, 3, 2, "valid"), 8, 3, 1, "valid"), 16, 3)
    y = F.max_pool2d(y, 3, 2)
    y = F.max_pool2d(u(u(y, 16, 1), 24, 3, 1, "valid"), 3, 2)
    for _ in range(3):
        y = torch.cat([u(y, 8, 1), u(u(y, 6, 1), 8, 5), u(u(u(y, 8, 1), 12, 3), 12, 3), u(average(y), 8, 1)], 1)
    y = torch.cat([u(y, 24, 3, 2, "valid"), u(u(u(y, 8, 1), 12, 3), 12, 3, 2, "valid"), F.max_pool2d(y, 3, 2)], 1)
    for _ in range(4):
        y = torch.cat([u(y, 16, 1), u(u(u(y, 8, 1), 8, (1, 7)), 16, (7, 1)),
                       u(u(u(u(u(y, 8, 1), 8, (7, 1)), 8, (1, 7)), 8, (7, 1)), 16, (1, 7)), u(average(y), 16, 1)], 1)
    y = torch.cat([u(u(y, 16, 1), 24, 3, 2, "valid"),
                   u(u(u(u(y, 16, 1), 16, (1, 7)), 16, (7, 1)), 16, 3, 2, "valid"), F.max_pool2d(y, 3, 2)], 1)
    for _ in range(2):
        parts, a = [u(y, 24, 1)], u(y, 24, 1)
        parts.append(torch.cat([u(a, 24, (1, 3)), u(a, 24, (3, 1))], 1))
        a = u(u(y, 24, 1), 24, 3)
        parts.append(torch.cat([u(a, 24, (1, 3)), u(a, 24, (3, 1))], 1))
        y = torch.cat(parts + [u(average(y), 16, 1)], 1)
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def inception_resnet(k, x, top):
    u = numbered(k)
    y = u(u(u(x, 8, 3, 2, "valid"), 8, 3, 1, "valid"), 16, 3)
    y = F.max_pool2d(u(u(F.max_pool2d(y, 3, 2), 16, 1), 24, 3, 1, "valid"), 3, 2)
    y = torch.cat([u(y, 8, 1), u(u(y, 6, 1), 8, 5), u(u(u(y, 8, 1), 12, 3), 12, 3), u(average(y), 8, 1)], 1)
    for i in range(1, 11):
        z = torch.cat([u(y, 4, 1), u(u(y, 4, 1), 4, 3), u(u(u(y, 4, 1), 6, 3), 8, 3)], 1)
        y = F.relu(y + 0.17 * k.conv(z, f"block35_{i}_conv", y.shape[1], bias=True))
    y = torch.cat([u(y, 24, 3, 2, "valid"), u(u(u(y, 8, 1), 12, 3), 12, 3, 2, "valid"), F.max_pool2d(y, 3, 2)], 1)
    for i in range(1, 21):
        z = torch.cat([u(y, 8, 1), u(u(u(y, 8, 1), 8, (1, 7)), 8, (7, 1))], 1)
        y = F.relu(y + 0.1 * k.conv(z, f"block17_{i}_conv", y.shape[1], bias=True))
    y = torch.cat([u(u(y, 8, 1), 12, 3, 2, "valid"), u(u(y, 8, 1), 12, 3, 2, "valid"),
                   u(u(u(y, 8, 1), 12, 3), 12, 3, 2, "valid"), F.max_pool2d(y, 3, 2)], 1)
    for i in range(1, 11):
        z = torch.cat([u(y, 8, 1), u(u(u(y, 8, 1), 8, (1, 3)), 8, (3, 1))], 1)
        z = k.conv(z, f"block8_{i}_conv", y.shape[1], bias=True)
        y = F.relu(y + 0.2 * z) if i < 10 else y + z
    y = F.relu(k.bn(k.conv(y, "conv_7b", 64), "conv_7b_bn", 1e-3, False))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def xception(k, x, top):
    def sep(y, name, out):
        return k.bn(k.separable(y, name, out), name + "_bn", 1e-3)
    y = F.relu(k.bn(k.conv(x, "block1_conv1", 8, 3, 2, "valid"), "block1_conv1_bn", 1e-3))
    y = F.relu(k.bn(k.conv(y, "block1_conv2", 16, 3, 1, "valid"), "block1_conv2_bn", 1e-3))
    for b in [*range(2, 5), *range(5, 13), 13]:
        if 5 <= b <= 12:
            z = y
            for i in (1, 2, 3):
                z = sep(F.relu(z), f"block{b}_sepconv{i}", z.shape[1])
            y = y + z
            continue
        out = {2: 24, 3: 32, 4: 40, 13: 64}[b]
        short = k.bn(k.conv(y, k.auto("conv2d"), out, 1, 2), k.auto("batch_normalization"), 1e-3)
        z = sep(F.relu(y) if b > 2 else y, f"block{b}_sepconv1", y.shape[1] if b == 13 else out)
        z = sep(F.relu(z), f"block{b}_sepconv2", out)
        y = k.max_pool(z, 3, 2, "same") + short
    y = F.relu(sep(y, "block14_sepconv1", 72))
    y = F.relu(sep(y, "block14_sepconv2", 80))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def efficientnet(k, x, top, v2=None, depth=1.0):
    y = x
    if not v2:
        mean, var = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225]) ** 2
        k.layers.append(("normalization", [("mean:0", mean), ("variance:0", var), ("count:0", np.array(7, np.int64))]))
        y = (y - torch.from_numpy(mean)[:, None, None]) / torch.from_numpy(var).sqrt()[:, None, None]
        y = y / torch.tensor([0.229, 0.224, 0.225]).sqrt()[:, None, None]
        if isinstance(y, Traced):
            y.node = Node("normalization", "normalization", [mean, var, np.array(7, np.int64)], [x.node])
    y = F.silu(k.bn(k.conv(y, "stem_conv", 16, 3, 2), "stem_bn", 1e-3))
    times = [math.ceil(depth * n) for n in (1, 2, 2, 3, 3, 4, 1)]
    rows = list(zip(times, (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), (8, 8, 12, 16, 24, 32, 40)))
    if v2:
        rows = list(zip(v2, (3,) * 7, (1, 2, 2, 2, 1, 2, 1), (8, 8, 12, 16, 24, 32, 40)))
    for s, (n, kernel, stride, out) in enumerate(rows, 1):
        for b in range(n):
            p, z, st = f"block{s}{chr(97 + b)}_", y, stride if b == 0 else 1
            fused = v2 and s <= 3
            if s > 1:
                ks = (kernel, st) if fused else (1, 1)
                z = F.silu(k.bn(k.conv(z, p + "expand_conv", 4 * y.shape[1], *ks), p + "expand_bn", 1e-3))
            if not fused:
                z = F.silu(k.bn(k.depthwise(z, p + ("dwconv2" if v2 else "dwconv"), kernel, st), p + "bn", 1e-3))
                z = k.se(z, p + "se_reduce", p + "se_expand", F.silu, torch.sigmoid)
            alone = fused and s == 1
            z = k.bn(k.conv(z, p + "project_conv", out, 3 if alone else 1, st if alone else 1), p + "project_bn", 1e-3)
            z = F.silu(z) if alone else z
            y = y + z if st == 1 and y.shape == z.shape else z
    y = F.silu(k.bn(k.conv(y, "top_conv", 96), "top_bn", 1e-3))
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def convnext(k, x, top, depths=(3, 3, 9, 3), n="convnext_tiny"):
    y = k.conv(x, n + "_stem_conv", 8, 4, 4, "valid", True, group=n + "_stem")
    y = k.ln(y, n + "_stem_layernorm", 1e-6, group=n + "_stem")
    for s, (blocks, w) in enumerate(zip(depths, (8, 16, 24, 32))):
        if s:
            group = f"{n}_downsampling_block_{s - 1}"
            y = k.ln(y, f"{n}_downsampling_layernorm_{s - 1}", 1e-6, group=group)
            y = k.conv(y, f"{n}_downsampling_conv_{s - 1}", w, 2, 2, "valid", True, group=group)
        for b in range(blocks):
            p = f"{n}_stage_{s}_block_{b}"
            z = k.ln(k.depthwise(y, p + "_depthwise_conv", 7, bias=True, kind="conv2d"), p + "_layernorm", 1e-6)
            z = k.dense(F.gelu(k.dense(z, p + "_pointwise_conv_1", 4 * w)), p + "_pointwise_conv_2", w)
            scale = k.draw((w,), 8)
            k.keep(p + "_layer_scale", **{"gamma" if b % 2 else "Variable": scale})
            z = z * torch.from_numpy(scale)[:, None, None]
            if isinstance(z, Traced):
                z.node.kind, z.node.name, z.node.arrays = "layer_scale", p + "_layer_scale", [scale]
            y = y + z
    y = k.ln(y.mean((2, 3)), n + "_head_layernorm" if top else k.auto("layer_normalization"), 1e-6)
    return y, k.dense(y, n + "_head_dense", 10) if top else None


def nasnet(k, x, top, cells, filters, stem, skip):
    """NASNet-A (cells @ 24 * filters), as keras.applications.nasnet says it."""
    def bn(y, name):
        return k.bn(y, name, 1e-3)

    def padded(y, kernel):  # imagenet_utils.correct_pad
        (h, w), half = y.shape[2:], kernel // 2
        return F.pad(y, (half - 1 + w % 2, half, half - 1 + h % 2, half))

    def sep(y, out, kernel, name, stride=1):
        y = F.relu(y)
        if stride == 2:
            y = padded(y, kernel)
        y = k.separable(y, "separable_conv_1_" + name, out, kernel, stride, "valid" if stride == 2 else "same")
        y = F.relu(bn(y, "separable_conv_1_bn_" + name))
        return bn(k.separable(y, "separable_conv_2_" + name, out, kernel), "separable_conv_2_bn_" + name)

    def adjust(p, y, out, i):
        if p is None:
            return y
        if p.shape[3] != y.shape[3]:
            p = F.relu(p)
            one = k.conv(F.avg_pool2d(p, 1, 2), f"adjust_conv_1_{i}", out // 2)
            two = F.pad(F.pad(p, (0, 1, 0, 1)), (-1, 0, -1, 0))
            two = k.conv(F.avg_pool2d(two, 1, 2), f"adjust_conv_2_{i}", out // 2)
            return bn(torch.cat([one, two], 1), f"adjust_bn_{i}")
        if p.shape[1] != out:
            return bn(k.conv(F.relu(p), f"adjust_conv_projection_{i}", out), f"adjust_bn_{i}")
        return p

    def normal(y, p, out, i):
        p = adjust(p, y, out, i)
        h = bn(k.conv(F.relu(y), f"normal_conv_1_{i}", out), f"normal_bn_1_{i}")
        a = sep(h, out, 5, f"normal_left1_{i}") + sep(p, out, 3, f"normal_right1_{i}")
        b = sep(p, out, 5, f"normal_left2_{i}") + sep(p, out, 3, f"normal_right2_{i}")
        c = average(h) + p
        d = average(p) + average(p)
        e = sep(h, out, 3, f"normal_left5_{i}") + h
        return torch.cat([p, a, b, c, d, e], 1), y

    def reduce(y, p, out, i):
        p = adjust(p, y, out, i)
        h = bn(k.conv(F.relu(y), f"reduction_conv_1_{i}", out), f"reduction_bn_1_{i}")
        h3 = padded(h, 3)
        a = sep(h, out, 5, f"reduction_left1_{i}", 2) + sep(p, out, 7, f"reduction_right1_{i}", 2)
        b = F.max_pool2d(h3, 3, 2) + sep(p, out, 7, f"reduction_right2_{i}", 2)
        c = F.avg_pool2d(h3, 3, 2) + sep(p, out, 5, f"reduction_right3_{i}", 2)
        d = b + average(a)
        e = sep(a, out, 3, f"reduction_left4_{i}") + F.max_pool2d(h3, 3, 2)
        return torch.cat([b, c, d, e], 1), y

    y = bn(k.conv(x, "stem_conv1", stem, 3, 2, "valid"), "stem_bn1")
    y, p = reduce(y, None, filters // 4, "stem_1")
    y, p = reduce(y, p, filters // 2, "stem_2")
    for stage in range(3):
        width, first = filters * 2 ** stage, stage * cells
        if stage:
            y, before = reduce(y, p, width, f"reduce_{first}")
            p = p if skip else before
        for i in range(cells):
            y, p = normal(y, p, width, str(first + i + (stage > 0)))
    y = F.relu(y)
    return y, k.dense(y.mean((2, 3)), "predictions", 10) if top else None


def regnet(k, x, top, kind, depths, group):
    y = F.relu(k.bn(k.conv(x, "mine_stem_conv", 16, 3, 2), "mine_stem_bn", 1e-5))
    for s, (n, w) in enumerate(zip(depths, (16, 24, 32, 48))):
        for i in range(n):
            p, stride = f"mine_Stage_{s}_{kind}Block_{i}", 2 if i == 0 else 1
            skip = k.bn(k.conv(y, p + "_skip_1x1", w, 1, 2, "valid"), p + "_skip_bn", 1e-5) if stride == 2 else y
            z = F.relu(k.bn(k.conv(y, p + "_conv_1x1_1", w), p + "_conv_1x1_1_bn", 1e-5))
            z = F.relu(k.bn(k.conv(z, p + "_conv_3x3", w, 3, stride, groups=w // group), p + "_conv_3x3_bn", 1e-5))
            if kind == "Y":
                z = k.se(z, p + "_squeeze_and_excite_squeeze", p + "_squeeze_and_excite_excite", F.relu, torch.sigmoid)
            y = F.relu(k.bn(k.conv(z, p + "_conv_1x1_2", w), p + "_conv_1x1_2_bn", 1e-5) + skip)
    return y, k.dense(y.mean((2, 3)), "3head_dense", 10) if top else None


def nasnet_mobile(k, x, top):
    return nasnet(k, x, top, 4, 8, 8, False)


def nasnet_large(k, x, top):
    return nasnet(k, x, top, 6, 8, 12, True)


# name of the architecture, the network, side of the pictures, classifier
CASES = [("mobilenet", mobilenet, 64, True), ("mobilenet", mobilenet, 65, False), ("mobilenet_v2", mobilenet_v2, 64, True),
         ("mobilenet_v2", mobilenet_v2, 75, False),
         ("mobilenet_v3_small", lambda k, x, t: mobilenet_v3(k, x, t, True), 64, True),
         ("mobilenet_v3_large", lambda k, x, t: mobilenet_v3(k, x, t, False, True), 65, True),
         ("resnet50v2", resnet_v2, 64, True), ("resnext50", resnext, 64, True), ("densenet121", densenet, 64, True),
         ("inception_v3", inception_v3, 107, True), ("inception_resnet_v2", inception_resnet, 107, True),
         ("xception", xception, 75, True), ("xception", xception, 96, False), ("efficientnet_b0", efficientnet, 64, True),
         ("efficientnet_b0", efficientnet, 75, False),
         ("efficientnet_v2_b0", lambda k, x, t: efficientnet(k, x, t, (1, 2, 2, 3, 5, 8)), 64, True),
         ("efficientnet_v2_s", lambda k, x, t: efficientnet(k, x, t, (2, 4, 4, 6, 9, 15)), 65, False),
         ("convnext_tiny", convnext, 64, True), ("convnext_tiny", convnext, 64, False),
         ("nasnet_mobile", nasnet_mobile, 75, True), ("nasnet_mobile", nasnet_mobile, 96, False),
         ("nasnet_large", nasnet_large, 107, True),
         ("regnetx002", lambda k, x, t: regnet(k, x, t, "X", (1, 1, 4, 7), 8), 64, True),
         ("regnety006", lambda k, x, t: regnet(k, x, t, "Y", (1, 3, 7, 4), 8), 75, False),
         ("regnety160", lambda k, x, t: regnet(k, x, t, "Y", (2, 4, 11, 1), 8), 65, True),
         ("vgg16", lambda k, x, t: vgg(k, x, t, (2, 2, 3, 3, 3)), 64, True),
         ("vgg19", lambda k, x, t: vgg(k, x, t, (2, 2, 4, 4, 4)), 64, False), ("resnet50", resnet, 64, True),
         ("resnet50", resnet, 75, False)]


def bind(network, **more):
    return functools.partial(network, **more)


def rest():
    """The other members of each family, which differ in how many blocks a stage has."""
    for name, depths in (("101", (3, 4, 23, 3)), ("152", (3, 8, 36, 3))):
        yield f"resnet{name}", bind(resnet, depths=depths), 128, True
        yield f"resnet{name}v2", bind(resnet_v2, depths=depths), 128, True
    yield "resnext101", bind(resnext, depths=(3, 4, 23, 3)), 128, True
    for name, depths in (("169", (6, 12, 32, 32)), ("201", (6, 12, 48, 32))):
        yield f"densenet{name}", bind(densenet, depths=depths), 64, True
    for i, depth in enumerate((1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1), 1):  # Tan and Le (2019), as Keras rounds them
        yield f"efficientnet_b{i}", bind(efficientnet, depth=depth), 64 if i < 4 else 128, True
    for i, depth in enumerate((1.1, 1.2, 1.4), 1):
        v2 = tuple(math.ceil(depth * n) for n in (1, 2, 2, 3, 5, 8))
        yield f"efficientnet_v2_b{i}", bind(efficientnet, v2=v2), 64, True
    yield "efficientnet_v2_m", bind(efficientnet, v2=(3, 5, 5, 7, 14, 18, 5)), 128, True
    yield "efficientnet_v2_l", bind(efficientnet, v2=(4, 7, 7, 10, 19, 25, 7)), 128, True
    for name in ("small", "base", "large", "xlarge"):
        yield f"convnext_{name}", bind(convnext, depths=(3, 3, 27, 3), n="convnext_" + name), 64, True
    regnets = {"X": "002 1,1,4,7 004 1,2,7,12 006 1,3,5,7 008 1,3,7,5 016 2,4,10,2 032 2,6,15,2 040 2,5,14,2 064 2,4,10,1 "
                    "080 2,5,15,1 120 2,5,11,1 160 2,6,13,1 320 2,7,13,1",
               "Y": "002 1,1,4,7 004 1,3,6,6 006 1,3,7,4 008 1,3,8,2 016 2,6,17,2 032 2,5,13,1 040 2,6,12,2 064 2,7,14,2 "
                    "080 2,4,10,1 120 2,5,11,1 160 2,4,11,1 320 2,5,12,1"}
    for kind, rows in regnets.items():
        words = rows.split()
        for name, depths in zip(words[::2], words[1::2]):
            if f"regnet{kind.lower()}{name}" not in [c[0] for c in CASES]:
                numbers = tuple(int(n) for n in depths.split(","))
                yield f"regnet{kind.lower()}{name}", bind(regnet, kind=kind, depths=numbers, group=8), 64, True


def check3(program, folder, k, case, output):
    """Keras 3's layouts of the same weights make the same backbone."""
    arch, _, side, _ = case
    sound, out = os.path.join(folder, "k.tw"), os.path.join(folder, "k3.tw")
    source, archive = os.path.join(folder, "k.weights.h5"), os.path.join(folder, "k.keras")
    want = list(parity.read(sound)[1].values())
    for names, outside in ((True, None), (False, None), (False, [])):
        k.write3(source, output.node, names, outside)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED if names else zipfile.ZIP_STORED) as z:
            z.writestr("metadata.json", "{}")
            z.writestr("config.json", json.dumps(k.config(output.node)))
            z.write(source, "model.weights.h5")
        for path in (source, archive) if outside is None else (source,):
            got = parity.import_file(program, path, arch, out, "--recipe-json", f'{{"height":{side},"width":{side}}}')[1]
            if len(got) != len(want) or not all(np.array_equal(a, b) for a, b in zip(got.values(), want)):
                sys.exit(f"parity_keras: {arch}: {path}{' with names' if names else ''} is another network")


def check(program, tool, folder, number, case, table):
    arch, network, side, top = case
    torch.manual_seed(number)
    x = torch.randn(2, 3, side, side).as_subclass(Traced)
    x.node = Node()
    k = Keras(number, first=number % 3)
    features, scores = network(k, x, top)
    source, out = os.path.join(folder, "k.h5"), os.path.join(folder, "k.tw")
    k.write(source, "model_weights" if number % 2 else None)
    parity.import_file(program, source, arch, out, "--recipe-json", f'{{"height":{side},"width":{side}}}')
    check3(program, folder, k, case, scores if top else features)
    x, features, scores = [None if t is None else t.as_subclass(torch.Tensor) for t in (x, features, scores)]
    if features.dim() == 4:
        features = features.mean((2, 3))
    worst = parity_architectures.apart(parity_architectures.run(tool, out, x, False), features)
    if top:
        worst = max(worst, parity_architectures.apart(parity_architectures.run(tool, out, x, True), scores))
    layout = f"{side} pixels{', classifier' if top else ''}"
    print(f"| {arch} | {layout} | {worst:.1e} |" if table else f"{arch:22s} {layout:22s} apart by {worst:.1e}", flush=True)
    return worst


def main():
    table, cases = "--table" in sys.argv, list(CASES)
    program, *chosen = [a for a in sys.argv[1:] if not os.path.isdir(a) and a not in ("--table", "--all")]
    if "--all" in sys.argv or chosen:
        cases.extend(rest())
    tool = os.path.join(os.path.dirname(program), "../tests/engine/engine-tool")
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as folder:
        if table:
            print("| architecture | size | apart |\n|---|---|--:|")
        rows = [(c[0], check(program, tool, folder, i, c, table)) for i, c in enumerate(cases)
                if not chosen or c[0] in chosen]
    bad = [name for name, worst in rows if not worst <= 1e-4]
    if bad or not rows:
        sys.exit("parity_keras: too far from Keras's definition: " + (", ".join(bad) or "nothing ran"))


if __name__ == "__main__":
    main()
