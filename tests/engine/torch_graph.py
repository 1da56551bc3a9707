"""torchvision's networks as graphs of ours: for parity_engine.py and bench/network/operators.py.

lower(module, x) traces module with torch.fx and gives (graph, {name: array}); save() writes them as a backbone
file. Values that PyTorch has as [n, h, w, c] are maps here, marked "hwc".
"""
import hashlib
import json
import operator

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torch.fx.passes.shape_prop import ShapeProp
from torchvision.models import maxvit, swin_transformer, vision_transformer
from torchvision.ops.misc import Permute


class Graph:
    def __init__(self, channels):
        self.nodes = [{"name": "input", "op": "input"}]
        self.weights, self.channels = {}, channels

    def param(self, value):
        name = f"w{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(value.detach().float().numpy())
        return name

    def add(self, op, inputs, params=None, **attributes):
        node = {"name": f"{op}{len(self.nodes)}", "op": op, "inputs": inputs}
        params = {k: self.param(v) for k, v in (params or {}).items() if v is not None}
        if params:
            node["params"] = params
        self.nodes.append({**node, **attributes})
        return len(self.nodes) - 1

    def done(self, feature):
        return {"input_channels": self.channels, "feature": feature, "nodes": self.nodes}


def pair(v):
    return list(v) if isinstance(v, (tuple, list)) else [v, v]


def window(kernel, stride, padding, dilation=1):
    return {"kernel": pair(kernel), "stride": pair(stride), "dilation": pair(dilation), "pad_begin": pair(padding),
            "pad_end": pair(padding)}


ACTIVATIONS = {nn.ReLU: ("relu", {}), nn.ReLU6: ("clip", {"low": 0.0, "high": 6.0}), nn.SiLU: ("silu", {}),
               nn.Hardswish: ("hard_swish", {}), nn.Hardsigmoid: ("hard_sigmoid", {"alpha": 1 / 6, "beta": 0.5}),
               nn.Sigmoid: ("sigmoid", {}), nn.Tanh: ("tanh", {}), nn.GELU: ("gelu", {})}
LEAVES = (swin_transformer.ShiftedWindowAttention, swin_transformer.PatchMerging, swin_transformer.PatchMergingV2,
          vision_transformer.EncoderBlock, torchvision.models.shufflenetv2.InvertedResidual, maxvit.PartitionAttentionLayer, torchvision.models.convnext.CNBlock)
DROPPED = (nn.Dropout, nn.Identity, torchvision.ops.StochasticDepth)


class Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m, name):
        return isinstance(m, LEAVES + DROPPED) or super().is_leaf_module(m, name)


class Lowering:
    """One network: values[fx node] is the number of a node of ours."""

    def __init__(self, module, x):
        self.module, self.values, self.hwc = module, {}, set()
        graph = Tracer().trace(module)
        self.fx = torch.fx.GraphModule(module, graph)
        ShapeProp(self.fx).propagate(x)
        self.g = Graph(x.shape[1])

    def run(self):
        for node in self.fx.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = 0
            elif node.op == "output":
                return self.g.done(self.values[node.args[0]]), self.g.weights
            elif node.op == "get_attr":
                self.values[node] = self.fetch(node.target)
            elif node.op == "call_module":
                self.values[node] = self.layer(node, self.fx.get_submodule(node.target), self.values[node.args[0]])
            else:
                self.values[node] = self.function(node)
        raise AssertionError("no output")

    def fetch(self, target):
        value = self.module
        for word in target.split("."):
            value = getattr(value, word)
        return value

    def keep_hwc(self, node):
        if node and node.args[0] in self.hwc:
            self.hwc.add(node)

    def layer(self, node, m, x):
        g = self.g
        if type(m) in ACTIVATIONS:
            self.keep_hwc(node)
            op, attributes = ACTIVATIONS[type(m)]
            return g.add(op, [x], **attributes)
        if isinstance(m, DROPPED):
            self.keep_hwc(node)
            return x
        if isinstance(m, nn.Conv2d):
            return g.add("conv", [x], {"weight": m.weight, "bias": m.bias}, groups=m.groups,
                         **window(m.kernel_size, m.stride, m.padding, m.dilation))
        if isinstance(m, nn.BatchNorm2d):
            return g.add("batch_norm", [x], {"scale": m.weight, "shift": m.bias, "mean": m.running_mean,
                                             "variance": m.running_var}, epsilon=m.eps)
        if isinstance(m, nn.Linear):
            return self.linear(node, m, x)
        if isinstance(m, nn.LayerNorm):  # torchvision's LayerNorm2d as well: along channels
            self.keep_hwc(node)
            return g.add("layer_norm", [x], {"scale": m.weight, "shift": m.bias}, epsilon=m.eps)
        if isinstance(m, nn.MaxPool2d):
            return g.add("max_pool", [x], ceil_mode=m.ceil_mode, **window(m.kernel_size, m.stride, m.padding))
        if isinstance(m, nn.AvgPool2d):
            return self.avg_pool(x, m.kernel_size, m.stride, m.padding)
        if isinstance(m, nn.AdaptiveAvgPool2d):
            shape = list(node.args[0].meta["tensor_meta"].shape[2:])
            if pair(m.output_size) == shape:
                return x
            assert pair(m.output_size) == [1, 1]
            return g.add("reduce_mean", [x], axes=[1, 2])
        if isinstance(m, nn.Flatten):
            return g.add("flatten", [x], order="chw")
        if isinstance(m, nn.LocalResponseNorm):
            return g.add("lrn", [x], size=m.size, alpha=m.alpha, beta=m.beta, bias=m.k)
        if isinstance(m, Permute):
            (self.hwc.add if m.dims[3] == 1 else self.hwc.discard)(node)
            return x
        if isinstance(m, torchvision.models.shufflenetv2.InvertedResidual):
            return self.shuffle_block(m, x)
        handlers = {vision_transformer.EncoderBlock: self.encoder, torchvision.models.convnext.CNBlock: self.convnext,
                    swin_transformer.ShiftedWindowAttention: self.swin, swin_transformer.PatchMerging: self.merging,
                    swin_transformer.ShiftedWindowAttentionV2: self.swin, swin_transformer.PatchMergingV2: self.merging,
                    maxvit.PartitionAttentionLayer: self.maxvit}
        return handlers[type(m)](node, m, x)

    def avg_pool(self, x, kernel, stride, padding):
        return self.g.add("avg_pool", [x], ceil_mode=False, count_include_pad=True,
                          **window(kernel, stride or kernel, padding))

    def linear(self, node, m, x):
        if node.args[0] in self.hwc:
            self.hwc.add(node)
            return self.pointwise(m, x)
        return self.g.add("dense", [x], {"weight": m.weight, "bias": m.bias})

    def pointwise(self, m, x):
        return self.g.add("conv", [x], {"weight": m.weight[:, :, None, None], "bias": m.bias}, groups=1,
                          **window(1, 1, 0))

    def norm(self, m, x):
        return self.g.add("layer_norm", [x], {"scale": m.weight, "shift": m.bias}, epsilon=m.eps)

    def dense(self, weight, bias, x):
        return self.g.add("dense", [x], {"weight": weight, "bias": bias})

    def encoder(self, node, m, x):
        """vision_transformer.EncoderBlock."""
        a, d = m.self_attention, m.self_attention.embed_dim
        y = self.norm(m.ln_1, x)
        q, k, v = (self.dense(w, b, y) for w, b in zip(a.in_proj_weight.split(d), a.in_proj_bias.split(d)))
        y = self.g.add("attention", [q, k, v], heads=a.num_heads, scale=(d // a.num_heads) ** -0.5, tokens=0)
        x = self.g.add("add", [self.dense(a.out_proj.weight, a.out_proj.bias, y), x])
        y = self.norm(m.ln_2, x)
        y = self.g.add("gelu", [self.dense(m.mlp[0].weight, m.mlp[0].bias, y)])
        return self.g.add("add", [self.dense(m.mlp[3].weight, m.mlp[3].bias, y), x])

    def convnext(self, node, m, x):
        b = m.block
        y = self.layer(node, b[0], x)
        y = self.norm(b[2], y)
        y = self.pointwise(b[5], self.g.add("gelu", [self.pointwise(b[3], y)]))
        y = self.g.add("mul_constant", [y], {"value": m.layer_scale})
        return self.g.add("add", [y, x])

    def shuffle_block(self, m, x):
        """shufflenetv2.InvertedResidual: half of the channels, or all, through each branch."""
        def branch(layers, y):
            for layer in layers:
                y = self.layer(None, layer, y)
            return y

        first = second = x
        if m.stride == 1:
            c = m.branch2[0].in_channels
            first, second = (self.g.add("slice", [x], axis=0, start=i * c, stop=(i + 1) * c, step=1) for i in (0, 1))
        else:
            first = branch(m.branch1, first)
        y = self.g.add("concat", [first, branch(m.branch2, second)], axis=0)
        return self.g.add("channel_shuffle", [y], groups=2)

    def windows(self, x, size, c, h, w, grid, attend):
        y = self.g.add("window_partition", [x], size=size, grid=grid)
        return self.g.add("window_reverse", [attend(y)], size=size, grid=grid, shape=[c, h, w])

    def swin(self, node, m, x):
        """swin_transformer.ShiftedWindowAttention and its V2."""
        g = self.g
        _, h, w, c = node.args[0].meta["tensor_meta"].shape
        size, shift = list(m.window_size), list(m.shift_size)
        pad = [-h % size[0], -w % size[1]]
        if any(pad):
            x = g.add("pad", [x], pad_begin=[0, 0], pad_end=pad, mode="constant", value=0.0)
        ph, pw = h + pad[0], w + pad[1]
        shift = [0 if size[0] >= ph else shift[0], 0 if size[1] >= pw else shift[1]]
        if any(shift):
            x = g.add("roll", [x], shift=[-shift[0], -shift[1]])
        mask = None
        if any(shift):
            mask = x_mask(ph, pw, size, shift)
        v2 = isinstance(m, swin_transformer.ShiftedWindowAttentionV2)
        qkv_bias = m.qkv.bias.detach().clone() if m.qkv.bias is not None else torch.zeros(3 * c)
        if v2:
            qkv_bias[c:2 * c] = 0
        heads, bias = m.num_heads, m.get_relative_position_bias()[0]

        def attend(y):
            q, k, v = (self.dense(wt, b, y) for wt, b in zip(m.qkv.weight.split(c), qkv_bias.split(c)))
            scale = (c // heads) ** -0.5
            if v2:
                scale = 1.0
                q, k = (self.unit(t, ph * pw, c, heads) for t in (q, k))
                logit = m.logit_scale.clamp(max=float(np.log(100.0))).exp().flatten().repeat_interleave(c // heads)
                q = g.add("mul_constant", [q], {"value": logit})
            y = g.add("attention", [q, k, v], {"bias": bias, "mask": mask}, heads=heads, scale=scale,
                      tokens=size[0] * size[1])
            return self.dense(m.proj.weight, m.proj.bias, y)

        x = self.windows(x, size, c, ph, pw, False, attend)
        if any(shift):
            x = g.add("roll", [x], shift=shift)
        for axis, side in ((1, h), (2, w)):
            if pad[axis - 1]:
                x = g.add("slice", [x], axis=axis, start=0, stop=side, step=1)
        self.hwc.add(node)
        return x

    def unit(self, x, tokens, c, heads):
        x = self.g.add("reshape", [x], shape=[tokens * heads, c // heads])
        x = self.g.add("l2_normalise", [x], epsilon=1e-12)
        return self.g.add("reshape", [x], shape=[tokens, c])

    def merging(self, node, m, x):
        parts = []
        for dy, dx in ((0, 0), (1, 0), (0, 1), (1, 1)):
            y = self.g.add("slice", [x], axis=1, start=dy, stop=65536, step=2)
            parts.append(self.g.add("slice", [y], axis=2, start=dx, stop=65536, step=2))
        x = self.g.add("concat", parts, axis=0)
        self.hwc.add(node)
        if isinstance(m, swin_transformer.PatchMergingV2):
            return self.norm(m.norm, self.pointwise(m.reduction, x))
        return self.pointwise(m.reduction, self.norm(m.norm, x))

    def maxvit(self, node, m, x):
        _, c, h, w = node.args[0].meta["tensor_meta"].shape
        grid = m.partition_type == "grid"
        size = [m.g if grid else m.p] * 2
        norm, a = m.attn_layer[0], m.attn_layer[1]
        bias = a.get_relative_positional_bias()[0]

        def attend(y):
            z = self.norm(norm, y)
            inner = a.to_qkv.weight.shape[0] // 3
            q, k, v = (self.dense(wt, b, z) for wt, b in zip(a.to_qkv.weight.split(inner), a.to_qkv.bias.split(inner)))
            z = self.g.add("attention", [q, k, v], {"bias": bias}, heads=a.n_heads, scale=a.scale_factor,
                           tokens=size[0] * size[1])
            y = self.g.add("add", [self.dense(a.merge.weight, a.merge.bias, z), y])
            mlp = m.mlp_layer
            z = self.dense(mlp[1].weight, mlp[1].bias, self.norm(mlp[0], y))
            z = self.dense(mlp[3].weight, mlp[3].bias, self.g.add("gelu", [z]))
            return self.g.add("add", [z, y])

        return self.windows(x, size, c, h, w, grid, attend)

    def function(self, node):
        """Functions and methods."""
        t, g = node.target, self.g
        args = [self.values.get(a, a) if isinstance(a, torch.fx.Node) else a for a in node.args]
        x = args[0]
        kwargs = {k: self.values.get(a, a) if isinstance(a, torch.fx.Node) else a for k, a in node.kwargs.items()}
        tensors = [a for a in node.args if isinstance(a, torch.fx.Node)]
        if t in (operator.add, operator.iadd, torch.add):
            self.keep_hwc(node)
            if isinstance(args[1], torch.Tensor):
                return g.add("add_constant", [x], {"value": args[1][0]})
            return g.add("add", args[:2])
        if t in (operator.mul, torch.mul):
            return g.add("mul", args[:2])
        if t in (torch.cat,):
            parts = args[0]
            axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            return g.add("concat", [self.values[p] for p in parts], axis=axis - 1)
        if t in (F.relu, torch.relu, "relu", "relu_"):
            return g.add("relu", [x])
        if t == F.adaptive_avg_pool2d:
            return g.add("reduce_mean", [x], axes=[1, 2])
        if t == F.avg_pool2d:
            kw = kwargs
            return self.avg_pool(x, kw.get("kernel_size", args[1] if len(args) > 1 else None), kw.get("stride"),
                                 kw.get("padding", 0))
        if t == F.max_pool2d:
            return g.add("max_pool", [x], ceil_mode=kwargs.get("ceil_mode", False),
                         **window(args[1] if len(args) > 1 else kwargs["kernel_size"],
                                  kwargs.get("stride", 2), kwargs.get("padding", 0)))
        if t in (torch.flatten, "flatten"):
            return g.add("flatten", [x], order="chw")
        if t == "mean":
            kept = kwargs.get("keepdim", False)
            return g.add("reduce_mean", [x], axes=[1, 2]) if kept else g.add("global_avg_pool", [x])
        if t in ("permute", torch.permute):
            dims = args[1] if isinstance(args[1], (list, tuple)) else args[1:]
            (self.hwc.add if dims[3] == 1 else self.hwc.discard)(node)
            return x
        if t == F.layer_norm:
            (scale, shift) = (args[2], args[3]) if len(args) > 3 else (kwargs["weight"], kwargs["bias"])
            self.keep_hwc(node)
            return g.add("layer_norm", [x], {"scale": scale, "shift": shift}, epsilon=kwargs.get("eps", 1e-5))
        if t == F.dropout or t == "contiguous":
            return x
        if t == "chunk":
            c = tensors[0].meta["tensor_meta"].shape[1] // args[1]
            return [g.add("slice", [x], axis=0, start=i * c, stop=(i + 1) * c, step=1) for i in range(args[1])]
        if t is operator.getitem:
            if isinstance(x, list):
                return x[args[1]]
            if isinstance(args[1], tuple) and args[1][0] == slice(None) and args[1][1] == 0:
                return g.add("take_token", [x], index=0)
        raise NotImplementedError(f"{node.format_node()}")


def x_mask(h, w, size, shift):
    """As swin_transformer.shifted_window_attention makes it."""
    m = torch.zeros(h, w)
    count = 0
    for a in ((0, -size[0]), (-size[0], -shift[0]), (-shift[0], None)):
        for b in ((0, -size[1]), (-size[1], -shift[1]), (-shift[1], None)):
            m[a[0]:a[1], b[0]:b[1]] = count
            count += 1
    m = m.view(h // size[0], size[0], w // size[1], size[1]).permute(0, 2, 1, 3).reshape(-1, size[0] * size[1])
    m = m.unsqueeze(1) - m.unsqueeze(2)
    return torch.where(m != 0, torch.tensor(-100.0), torch.tensor(0.0))


def lower_vit(m, x):
    """VisionTransformer's forward does what fx cannot follow: batch sizes."""
    one = Lowering.__new__(Lowering)
    one.g, one.hwc, g = Graph(x.shape[1]), set(), None
    g = one.g
    y = g.add("conv", [0], {"weight": m.conv_proj.weight, "bias": m.conv_proj.bias}, groups=1,
              **window(m.patch_size, m.patch_size, 0))
    y = g.add("prepend_token", [g.add("tokens", [y])], {"token": m.class_token[0]})
    y = g.add("add_constant", [y], {"value": m.encoder.pos_embedding[0]})
    for layer in m.encoder.layers:
        y = one.encoder(None, layer, y)
    y = g.add("take_token", [one.norm(m.encoder.ln, y)], index=0)
    if isinstance(m.heads, nn.Sequential) and len(m.heads):
        y = one.dense(m.heads.head.weight, m.heads.head.bias, y)
    return g.done(y), g.weights


def lower(module, x):
    if isinstance(module, vision_transformer.VisionTransformer):
        return lower_vit(module, x)
    return Lowering(module, x).run()


def save(path, graph, weights):
    """docs/format.md."""
    start = '{"__metadata__":{"topwork":"{\\"digest\\":\\"sha256:'
    document = json.dumps({"version": 1, "required_features": [], "kind": "backbone", "name": "parity", "graph": graph},
                          separators=(",", ":"))[1:]
    text = start + "0" * 64 + json.dumps('",' + document)[1:] + "}"
    at = 0
    order = sorted(weights, key=lambda n: -(min((weights[n].nbytes & -weights[n].nbytes), 64)))
    for name in order:
        text += "," + json.dumps(name) + ":" + json.dumps(
            {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": [at, at + weights[name].nbytes]},
            separators=(",", ":"))
        at += weights[name].nbytes
    text += "}"
    text += " " * (-(8 + len(text)) % 64)
    file = len(text).to_bytes(8, "little") + text.encode() + b"".join(weights[n].tobytes() for n in order)
    digest = hashlib.sha256(file).hexdigest()
    with open(path, "wb") as f:
        f.write(file[:57] + digest.encode() + file[121:])
