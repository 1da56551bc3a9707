#!/usr/bin/python3
"""Writes operators_golden.h: small graphs and what PyTorch computes for them, in float64.

Run with PyTorch 1.13: /usr/bin/python3 tests/engine/make_operators_golden.py > tests/engine/operators_golden.h
Pictures and parameters follow from a formula (see values()), so only results are written down.
"""
import json
import math

import torch
import torch.nn.functional as F


def values(dims, seed):
    """The picture has seed 0, the i-th parameter seed i + 1."""
    n = math.prod(dims)
    return torch.tensor([(i * 37 + seed * 11) % 101 / 50 - 1 for i in range(n)], dtype=torch.float64) \
        .float().double().reshape(dims)


cases = []


def case(name, dims, nodes, compute):
    """nodes: (op, inputs, {parameter: dims}, {attribute: value}); compute(x, *parameters) with x [c, h, w]."""
    graph, weights = [{"name": "input", "op": "input"}], []
    for i, (op, inputs, params, attributes) in enumerate(nodes):
        node = {"name": f"n{i + 1}", "op": op, "inputs": inputs}
        for key, shape in params.items():
            node.setdefault("params", {})[key] = f"w{len(weights)}"
            weights.append(shape)
        graph.append({**node, **attributes})
    out = compute(values(dims, 0), *(values(w, i + 1) for i, w in enumerate(weights)))
    cases.append((name, dims, {"input_channels": dims[0], "feature": len(nodes), "nodes": graph}, weights,
                  out.flatten().tolist()))


def one(op, compute, dims=(3, 4, 5), params=None, **attributes):
    case(op, dims, [(op, [0], params or {}, attributes)], compute)


def tokens(op, compute, dims=(4, 2, 3), params=None, **attributes):
    """The same, behind "tokens": x comes as [h w, c]."""
    case(op + " of tokens", dims, [("tokens", [0], {}, {}), (op, [1], params or {}, attributes)],
         lambda x, *w: compute(x.flatten(1).T, *w))


def positive(op, compute, **attributes):
    case(op, (2, 3, 4), [("exp", [0], {}, {}), (op, [1], {}, attributes)], lambda x: compute(x.exp()))


def activations():
    for op, f in {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "hard_swish": F.hardswish, "silu": F.silu,
                  "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "mish": F.mish,
                  "softplus": F.softplus, "exp": torch.exp, "erf": torch.erf, "abs": torch.abs,
                  "neg": torch.neg}.items():
        case(op, (2, 3, 4), [("add", [0, 0], {}, {}), ("add", [1, 1], {}, {}), (op, [2], {}, {})],
             lambda x, f=f: f(4 * x))
    one("relu", F.relu)
    one("clip", lambda x: torch.clamp(x, -0.25, 0.6), low=-0.25, high=0.6)
    one("leaky_relu", lambda x: F.leaky_relu(x, 0.1), alpha=0.1)
    one("elu", lambda x: F.elu(x, 1.3), alpha=1.3)
    one("hard_sigmoid", lambda x: F.hardsigmoid(2 * x), alpha=1 / 3, beta=0.5)
    one("prelu", lambda x, w: F.prelu(x[None], w)[0], params={"slope": [3]})
    one("prelu", lambda x, w: F.prelu(x[None], w)[0], params={"slope": [1]})
    tokens("prelu", F.prelu, params={"slope": [4]})
    positive("sqrt", torch.sqrt)
    positive("reciprocal", torch.reciprocal)
    positive("log", torch.log)
    positive("pow", lambda x: x ** 2.5, alpha=2.5)


def arithmetic():
    for op, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "min": torch.minimum,
                  "max": torch.maximum, "add_broadcast": torch.add}.items():
        case(op, (3, 2, 4), [("sigmoid", [0], {}, {}), (op, [0, 1], {}, {})], lambda x, f=f: f(x, x.sigmoid()))
    pooled = [("reduce_mean", [0], {}, {"axes": [1, 2]}), ("mul", [0, 1], {}, {})]
    case("mul by [c, 1, 1]", (3, 2, 4), pooled, lambda x: x * x.mean((1, 2), keepdim=True))
    case("sub from [c]", (3, 2, 4), [("global_max_pool", [0], {}, {}), ("sub", [1, 0], {}, {})],
         lambda x: x.amax((1, 2), keepdim=True) - x)
    case("div by [1, h, w]", (3, 2, 4), [("reduce_max", [0], {}, {"axes": [0]}), ("div", [0, 1], {}, {})],
         lambda x: x / x.amax(0, keepdim=True))
    case("outer product", (3, 2, 4),
         [("reduce_mean", [0], {}, {"axes": [0, 2]}), ("reduce_mean", [0], {}, {"axes": [1]}), ("mul", [1, 2], {}, {})],
         lambda x: x.mean((0, 2), keepdim=True) * x.mean(1, keepdim=True))
    case("tokens times a vector", (3, 2, 2),
         [("tokens", [0], {}, {}), ("global_avg_pool", [1], {}, {}), ("mul", [1, 2], {}, {})],
         lambda x: x.flatten(1).T * x.mean((1, 2)))
    one("mul_constant", lambda x, w: x * w[:, None, None], params={"value": [3]})
    one("mul_constant", lambda x, w: x * w, params={"value": [1]})
    one("add_constant", lambda x, w: x + w, params={"value": [1, 4, 5]})
    one("add_constant", lambda x, w: x + w, params={"value": [3, 4, 5]})
    tokens("add_constant", torch.add, params={"value": [6, 4]})
    tokens("mul_constant", torch.mul, params={"value": [4]})
    case("constant", (1, 2, 2), [("constant", [], {"value": [2, 3]}, {})], lambda x, w: w)


def norms():
    affine = {"scale": [4], "shift": [4]}
    tokens("layer_norm", lambda x, *w: F.layer_norm(x, [4], *w, 1e-3), params=affine, epsilon=1e-3)
    tokens("layer_norm", lambda x: F.layer_norm(x, [4], eps=1e-5), epsilon=1e-5)
    one("layer_norm", lambda x, *w: F.layer_norm(x.permute(1, 2, 0), [4], *w, 1e-5).permute(2, 0, 1), dims=(4, 2, 3),
        params=affine, epsilon=1e-5)
    for groups in (1, 2, 4):
        one("group_norm", lambda x, *w, g=groups: F.group_norm(x[None], g, *w, 1e-5), dims=(4, 2, 3), params=affine,
            groups=groups, epsilon=1e-5)
    for size in (1, 3, 5):
        one("lrn", lambda x, s=size: F.local_response_norm(x[None], s, 0.7, 0.75, 1.5), dims=(7, 2, 2), size=size,
            alpha=0.7, beta=0.75, bias=1.5)
    tokens("l2_normalise", lambda x: F.normalize(x, dim=1, eps=1e-6), epsilon=1e-6)
    one("l2_normalise", lambda x: F.normalize(x, dim=0, eps=1e-6), epsilon=1e-6)
    one("softmax", lambda x: x.softmax(2))
    tokens("softmax", lambda x: x.softmax(1))
    norm = {"mean": [4], "scale": [4], "shift": [4]}
    case("batch_norm of tokens", (4, 2, 2),
         [("tokens", [0], {}, {}), ("constant", [], {"value": [4]}, {}),
          ("batch_norm", [1], {**norm, "variance": [4]}, {"epsilon": 1.5})],
         lambda x, _, mean, scale, shift, variance: F.batch_norm(x.flatten(1).T, mean, variance, scale, shift, eps=1.5))


def maps():
    for mode in ("constant", "reflect", "edge"):
        torch_mode = {"edge": "replicate"}.get(mode, mode)
        kw = {"value": 0.3} if mode == "constant" else {}
        one("pad", lambda x: F.pad(x[None], (2, 1, 0, 3), torch_mode, **kw), pad_begin=[0, 2], pad_end=[3, 1], mode=mode,
            value=0.3)

    def resize(compute, size=(0, 0), scales=(1.0, 1.0), filter="bilinear", coordinates="half_pixel", rounding="floor"):
        one("resize", lambda x: compute(x[None]), size=list(size), scales=list(scales), filter=filter,
            coordinates=coordinates, rounding=rounding)

    for size in ((7, 9), (2, 3), (8, 10), (1, 1)):
        resize(lambda x: F.interpolate(x, size, mode="bilinear", align_corners=True), size, coordinates="align_corners")
        resize(lambda x: F.interpolate(x, size, mode="bilinear"), size)
        resize(lambda x: F.interpolate(x, size, mode="nearest"), size, filter="nearest", coordinates="asymmetric")
        resize(lambda x: F.interpolate(x, size, mode="nearest-exact"), size, filter="nearest",
               rounding="round_prefer_ceil")
    resize(lambda x: F.interpolate(x, scale_factor=(2, 1.5), mode="bilinear", recompute_scale_factor=False),
           scales=(2.0, 1.5))
    one("depth_to_space", lambda x: F.pixel_shuffle(x, 2), dims=(8, 2, 3), block=2, order="crd")
    one("space_to_depth", lambda x: F.pixel_unshuffle(x, 2), dims=(2, 4, 6), block=2, order="crd")
    one("depth_to_space", lambda x: x.reshape(2, 2, 2, 2, 3).permute(2, 3, 0, 4, 1), dims=(8, 2, 3), block=2,
        order="dcr")  # ONNX's operators.md, DepthToSpace
    one("space_to_depth", lambda x: x.reshape(2, 2, 2, 3, 2).permute(2, 4, 0, 1, 3), dims=(2, 4, 6), block=2,
        order="dcr")
    one("channel_shuffle", lambda x: F.channel_shuffle(x[None], 3), dims=(6, 2, 2), groups=3)
    one("roll", lambda x: torch.roll(x, (-1, 3), (1, 2)), shift=[-1, 3])
    window = {"kernel": [3, 3], "stride": [2, 2], "dilation": [1, 1], "pad_begin": [1, 1], "pad_end": [1, 1]}
    case("depthwise conv", (3, 5, 5), [("conv", [0], {"weight": [3, 1, 3, 3], "bias": [3]}, {**window, "groups": 3})],
         lambda x, w, b: F.conv2d(x[None], w, b, 2, 1, groups=3))


def moves():
    one("slice", lambda x: x[:, :, 1:5:2], axis=2, start=1, stop=99, step=2)
    one("slice", lambda x: x[1:2], axis=0, start=1, stop=2, step=1)
    tokens("slice", lambda x: x[:, 1:3], axis=1, start=1, stop=3, step=1)
    for axes in ([1, 2, 0], [2, 0, 1], [0, 2, 1]):
        one("transpose", lambda x: x.permute(axes), axes=axes)
    tokens("transpose", lambda x: x.T, axes=[1, 0])
    one("reshape", lambda x: x, shape=[5, 0])
    one("reshape", lambda x: x, shape=[2, 3, 10])
    one("flatten", lambda x: x.permute(1, 2, 0), order="hwc")
    one("flatten", lambda x: x, order="chw")
    tokens("flatten", lambda x: x, order="hwc")
    for axes in ([0], [1, 2], [2], [0, 1, 2]):
        one("reduce_mean", lambda x: x.mean(axes, keepdim=True), axes=axes)
        one("reduce_max", lambda x: x.amax(axes, keepdim=True), axes=axes)
    for op, f in {"global_avg_pool": torch.Tensor.mean, "global_max_pool": torch.Tensor.amax}.items():
        tokens(op, lambda x, f=f: f(x, 0))
        one(op, lambda x, f=f: f(x, (1, 2)))
    for axis in range(3):
        case(f"concat along {axis}", (2, 3, 4),
             [("reduce_mean", [0], {}, {"axes": [axis]}), ("concat", [0, 1, 0], {}, {"axis": axis})],
             lambda x, a=axis: torch.cat([x, x.mean(a, keepdim=True), x], a))
    case("concat of tokens", (2, 2, 2), [("tokens", [0], {}, {}), ("concat", [1, 1], {}, {"axis": 0})],
         lambda x: torch.cat([x.flatten(1).T] * 2))


def windows_of(x, size, grid):
    c, h, w = x.shape
    a, b = size
    if grid:
        return x.reshape(c, a, h // a, b, w // b).permute(2, 4, 1, 3, 0).reshape(-1, c)
    return x.reshape(c, h // a, a, w // b, b).permute(1, 3, 2, 4, 0).reshape(-1, c)


def attention(q, k, v, heads, scale, window=0, bias=None, mask=None):
    """q [queries, heads d]; a window at a time, a head at a time."""
    window = window or len(k)
    n = len(k) // window
    depth = q.shape[1] // heads
    key_heads = k.shape[1] // depth
    out = []
    for q, k, v, w in zip(q.chunk(n), k.chunk(n), v.chunk(n), range(n)):
        parts = []
        for h, one_q in enumerate(q.chunk(heads, 1)):
            i = h * key_heads // heads
            scores = scale * one_q @ k.chunk(key_heads, 1)[i].T
            scores = scores + (0 if bias is None else bias[h]) + (0 if mask is None else mask[w])
            parts.append(scores.softmax(1) @ v.chunk(key_heads, 1)[i])
        out.append(torch.cat(parts, 1))
    return torch.cat(out)


def transformers():
    one("tokens", lambda x: x.flatten(1).T)
    tokens("map", lambda x: x.T, dims=(4, 2, 3), size=[2, 3])
    tokens("prepend_token", lambda x, t: torch.cat([t, x]), params={"token": [2, 4]})
    tokens("take_token", lambda x: x[3], index=3)
    tokens("dense", F.linear, params={"weight": [5, 4], "bias": [5]})
    for grid in (False, True):
        one("window_partition", lambda x: windows_of(x, (2, 3), grid), dims=(2, 4, 6), size=[2, 3], grid=grid)
        case("window_reverse", (2, 4, 6),
             [("window_partition", [0], {}, {"size": [2, 3], "grid": grid}), ("exp", [1], {}, {}),
              ("window_reverse", [2], {}, {"size": [2, 3], "grid": grid, "shape": [2, 4, 6]})], lambda x: x.exp())
    for a in (False, True):
        for b in (False, True):
            case("matmul", (2, 3, 3), [("sigmoid", [0], {}, {}),
                                       ("matmul", [0, 1], {}, {"transpose_a": a, "transpose_b": b, "scale": 0.7})],
                 lambda x: 0.7 * (x.mT if a else x) @ (x.sigmoid().mT if b else x.sigmoid()))
    case("matmul of tokens", (3, 2, 2), [("tokens", [0], {}, {}), ("matmul", [1, 1], {}, {
        "transpose_a": False, "transpose_b": True, "scale": 1.0})], lambda x: x.flatten(1).T @ x.flatten(1))

    def attend(name, heads, widths, bias=None, mask=None, window=0):
        """widths of queries, keys and values, each made by a dense layer from 8 tokens of 6."""
        layers = [("dense", [1], {"weight": [w, 6]}, {}) for w in widths]
        scores = {k: v for k, v in (("bias", bias), ("mask", mask)) if v}
        node = ("attention", [2, 3, 4], scores, {"heads": heads, "scale": 0.6, "tokens": window})

        def compute(x, q, k, v, *rest):
            x = x.flatten(1).T
            extra = dict(zip(scores, rest))
            return attention(x @ q.T, x @ k.T, x @ v.T, heads, 0.6, window, **extra)

        case(name, (6, 2, 4), [("tokens", [0], {}, {}), *layers, node], compute)

    attend("attention", 2, (8, 8, 8))
    attend("attention with a bias", 2, (4, 4, 6), bias=[2, 8, 8])
    attend("attention in windows", 2, (8, 8, 4), bias=[2, 4, 4], mask=[2, 4, 4], window=4)
    attend("attention to one head of keys", 4, (8, 2, 3))
    attend("attention to two heads of keys", 4, (8, 4, 6), window=2)


def main():
    for part in (activations, arithmetic, norms, maps, moves, transformers):
        part()
    print("/* operators_golden.h - written by make_operators_golden.py: what PyTorch %s computes. */" % torch.__version__)
    print("static const struct golden_case {\n    const char *name, *graph;\n    size_t dims[3];\n"
          "    const char *weights; /* dims of each, one word a weight */\n    size_t count;\n"
          "    const float *values; /* [count] */\n} golden_cases[] = {")
    for name, dims, graph, weights, out in cases:
        text = json.dumps(json.dumps(graph, separators=(",", ":")))
        shapes = " ".join("x".join(map(str, w)) for w in weights)
        numbers = ",".join(f"{v:.8g}f" if "." in f"{v:.8g}" or "e" in f"{v:.8g}" else f"{v:.8g}.0f" for v in out)
        print(f'{{"{name}", {text}, {{{",".join(map(str, dims))}}}, "{shapes}", {len(out)}, (const float[]){{{numbers}}}}},')
    print("};")


main()
