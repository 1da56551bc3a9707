"""Image towers as timm, HuggingFace, DINOv2 and OpenAI's CLIP write them: small, made anew from their papers, for parity_onnx.py.

Each differs in how it says the same thing: heads cut from one dense layer or three, scales before or after the product, tokens that
are put in front by expand and concat, norms along channels by hand, windows by view and permute.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Patches(nn.Module):
    """Patches as tokens, with tokens of its own in front and positions: of their own size, or interpolated at run time."""

    def __init__(self, d, side=4, patch=8, front=1, bias=True, grid=None):
        super().__init__()
        self.conv = nn.Conv2d(3, d, patch, patch, bias=bias)
        self.front = nn.Parameter(torch.randn(1, front, d))
        self.grid = grid
        self.positions = nn.Parameter(0.3 * torch.randn(1, (grid or side) ** 2 + front, d))

    def forward(self, x):
        x = self.conv(x)
        side = x.shape[2]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.front.expand(x.shape[0], -1, -1), x], 1)
        if self.grid is None:
            return x + self.positions
        front, rest = self.positions[:, :self.front.shape[1]], self.positions[:, self.front.shape[1]:]
        rest = rest.reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        scale = float(int(side) + 0.1) / self.grid
        rest = F.interpolate(rest, scale_factor=(scale, scale), mode="bicubic")
        return x + torch.cat([front, rest.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)


class Packed(nn.Module):
    """timm: q, k and v in one dense layer."""

    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.out((self.weigh(q, k) @ v).transpose(1, 2).reshape(b, n, d))

    def weigh(self, q, k):
        return ((q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5).softmax(-1)


class Rooted(Packed):
    """scaled_dot_product_attention as PyTorch 2 exports it: each side times the root of the scale."""

    def weigh(self, q, k):
        root = math.sqrt(q.shape[-1] ** -0.5)
        return torch.softmax((q * root) @ (k.transpose(-2, -1) * root), -1)


class Chunked(Packed):
    """Heads first in the dense layer: each head's q, k and v side by side."""

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, self.heads, 3 * d // self.heads).transpose(1, 2).chunk(3, -1)
        return self.out((self.weigh(q, k) @ v).permute(0, 2, 1, 3).flatten(2))


class Three(nn.Module):
    """HuggingFace: three dense layers, of which the key's has no bias in some; scores divided."""

    def __init__(self, d, heads, key_bias=True):
        super().__init__()
        self.heads, self.q, self.k, self.v, self.out = (heads, nn.Linear(d, d), nn.Linear(d, d, bias=key_bias), nn.Linear(d, d),
                                                        nn.Linear(d, d))

    def forward(self, x):
        def cut(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).permute(0, 2, 1, 3)
        q, k, v = cut(self.q(x)), cut(self.k(x)), cut(self.v(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
        context = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return self.out(context.view(context.shape[:2] + (x.shape[2],)))


class Stacked(Three):
    """HuggingFace's CLIP: heads as a batch of bmm, the query scaled."""

    def forward(self, x):
        b, n, d = x.shape

        def cut(y):
            return y.view(b, n, self.heads, d // self.heads).transpose(1, 2).contiguous().view(b * self.heads, n, -1)
        q, k, v = cut(self.q(x) * (d // self.heads) ** -0.5), cut(self.k(x)), cut(self.v(x))
        context = torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v)
        return self.out(context.view(b, self.heads, n, -1).transpose(1, 2).reshape(b, n, d))


class Biased(Packed):
    """BEiT: a bias of relative positions, looked up in a table, and a key without bias."""

    def __init__(self, d, heads, n=17):
        super().__init__(d, heads)
        self.table = nn.Parameter(torch.randn(40, heads))
        self.register_buffer("index", torch.randint(0, 40, (n, n)))

    def weigh(self, q, k):
        bias = self.table[self.index.view(-1)].view(*self.index.shape, -1).permute(2, 0, 1).contiguous()
        return (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1) + bias.unsqueeze(0)).softmax(-1)


class Summed(Biased):
    """torchvision's MaxViT: products by einsum."""

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (y.reshape(b, n, self.heads, -1).permute(0, 2, 1, 3) for y in self.qkv(x).chunk(3, -1))
        bias = self.table[self.index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        scores = torch.einsum("... H I D, ... H J D -> ... H I J", q, k * q.shape[-1] ** -0.5)
        out = torch.einsum("... H I J, ... H J D -> ... H I D", F.softmax(scores + bias, -1), v)
        return self.out(out.permute(0, 2, 1, 3).reshape(b, n, d))


class Quick(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ByHand(nn.Module):
    """HuggingFace's NewGELU."""

    def forward(self, x):
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


class Tanh(nn.Module):
    def forward(self, x):
        return F.gelu(x, approximate="tanh")


class Block(nn.Module):
    def __init__(self, d, attention, gelu, layer_scale):
        super().__init__()
        self.norm1, self.norm2, self.attention, self.gelu = nn.LayerNorm(d, 1e-6), nn.LayerNorm(d, 1e-6), attention, gelu
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.gammas = nn.ParameterList([nn.Parameter(torch.rand(d)) for _ in range(2)]) if layer_scale else None

    def forward(self, x):
        y = self.attention(self.norm1(x))
        x = x + (y * self.gammas[0] if self.gammas else y)
        y = self.down(self.gelu(self.up(self.norm2(x))))
        return x + (y * self.gammas[1] if self.gammas else y)


class Tower(nn.Module):
    def __init__(self, attention, gelu=nn.GELU, layer_scale=False, pre_norm=False, last="token", **patches):
        super().__init__()
        d, heads = 48, 3
        self.patches = Patches(d, **patches)
        self.pre_norm = nn.LayerNorm(d) if pre_norm else None
        self.blocks = nn.Sequential(*[Block(d, attention(d, heads), gelu(), layer_scale) for _ in range(2)])
        self.norm, self.last = nn.LayerNorm(d, 1e-6), last
        self.head = nn.Linear(d, 10, bias=last != "project")

    def features(self, x):
        x = self.patches(x)
        x = self.blocks(self.pre_norm(x) if self.pre_norm else x)
        if self.last == "project":  # CLIP: the token first, then its norm
            return self.norm(x[:, 0, :])
        if self.last == "mean":
            return self.norm(x[:, 1:].mean(1))
        return self.norm(x)[:, 0]

    def forward(self, x):
        return self.head(self.features(x))


# ---- windows -----------------------------------------------------------------------------------


class Windowed(nn.Module):
    """timm's Swin block: rolls, cuts into windows, attends with a bias and a mask, and the way back."""

    def __init__(self, d, heads, side, span, shift, gelu=nn.GELU):
        super().__init__()
        self.side, self.span, self.shift, self.heads = side, span, shift, heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out, self.up, self.down, self.gelu = (nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d),
                                                             gelu())
        self.table = nn.Parameter(torch.randn((2 * span - 1) ** 2, heads))
        at = torch.stack(torch.meshgrid(torch.arange(span), torch.arange(span), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + span - 1
        self.register_buffer("index", apart[..., 0] * (2 * span - 1) + apart[..., 1])
        mask = torch.zeros(1, side, side, 1)
        for i, y in enumerate((slice(0, -span), slice(-span, -shift), slice(-shift, None))):
            for j, x in enumerate((slice(0, -span), slice(-span, -shift), slice(-shift, None))):
                mask[:, y, x, :] = 3 * i + j
        mask = self.cut(mask).view(-1, span * span)
        mask = mask[:, None] - mask[:, :, None]
        self.register_buffer("mask", (mask != 0) * -100.0 if shift else None)

    def cut(self, x):
        b, h, w, c = x.shape
        return x.view(b, h // self.span, self.span, w // self.span, self.span, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(
            -1, self.span * self.span, c)

    def attend(self, x):
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = qkv[0] * (c // self.heads) ** -0.5 @ qkv[1].transpose(-2, -1)
        scores = scores + self.table[self.index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        if self.mask is not None:
            scores = scores.view(-1, self.mask.shape[0], self.heads, n, n) + self.mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(-1, self.heads, n, n)
        return self.out((scores.softmax(-1) @ qkv[2]).transpose(1, 2).reshape(b, n, c))

    def forward(self, x):  # [n, side * side, c]
        side, span = self.side, self.span
        y = self.norm1(x).view(x.shape[0], side, side, -1)
        y = torch.roll(y, (-self.shift, -self.shift), (1, 2)) if self.shift else y
        y = self.attend(self.cut(y)).view(-1, side // span, side // span, span, span, x.shape[2])
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, side, side, x.shape[2])
        y = torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y
        x = x + y.view(x.shape)
        return x + self.down(self.gelu(self.up(self.norm2(x))))


class Swin(nn.Module):
    def __init__(self, newer):
        super().__init__()
        self.conv, self.norm, self.newer = nn.Conv2d(3, 24, 2, 2), nn.LayerNorm(24), newer
        self.first = nn.Sequential(Windowed(24, 2, 16, 4, 0), Windowed(24, 2, 16, 4, 2))
        self.merge_norm, self.merge = nn.LayerNorm(96), nn.Linear(96, 48, bias=False)
        self.second = nn.Sequential(Windowed(48, 3, 8, 4, 0), Windowed(48, 3, 8, 4, 2))
        self.last, self.head = nn.LayerNorm(48), nn.Linear(48, 10)

    def features(self, x):
        x = self.first(self.norm(self.conv(x).flatten(2).transpose(1, 2)))
        x = x.view(x.shape[0], 16, 16, -1)
        if self.newer:
            x = x.reshape(x.shape[0], 8, 2, 8, 2, 24).permute(0, 1, 3, 4, 2, 5).flatten(3)
        else:
            x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        x = self.merge(self.merge_norm(x.view(x.shape[0], 64, 96)))
        return self.last(self.second(x)).mean(1)

    def forward(self, x):
        return self.head(self.features(x))


class Cut(nn.Module):
    """torchvision's MaxViT: windows of neighbours, then of a grid, cut from a map and put together again."""

    def __init__(self, d, heads, side, span, grid):
        super().__init__()
        self.attend, self.norm, self.side, self.span, self.grid = Biased(d, heads, span * span), nn.LayerNorm(d), side, span, grid

    def forward(self, x):  # [n, c, side, side]
        (n, c), s, many = x.shape[:2], self.span, self.side // self.span
        p = many if self.grid else s
        x = x.reshape(n, c, self.side // p, p, self.side // p, p).permute(0, 2, 4, 3, 5, 1).reshape(n, (self.side // p) ** 2, p * p, c)
        x = x.swapaxes(-2, -3) if self.grid else x
        windows = x.shape[1]
        x = x.reshape(n * windows, s * s, c)
        x = (x + self.attend(self.norm(x))).reshape(n, windows, s * s, c)
        x = x.swapaxes(-2, -3) if self.grid else x
        x = x.reshape(n, self.side // p, self.side // p, p, p, c).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(n, c, self.side, self.side)


class MaxViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 24, 2, 2), nn.Linear(24, 10)
        self.blocks = nn.Sequential(Cut(24, 2, 16, 4, False), Cut(24, 2, 16, 4, True))

    def features(self, x):
        return self.blocks(self.conv(x)).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


# ---- convolutions -------------------------------------------------------------------------------


class ChannelNorm(nn.Module):
    """HuggingFace's norm of a map along its channels, by hand."""

    def __init__(self, d):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(d)), nn.Parameter(torch.rand(d))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        spread = (x - mean).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - mean) / torch.sqrt(spread + 1e-6)) + self.bias[:, None, None]


class Permuted(nn.LayerNorm):
    """timm's: channels last for the norm and back."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Responses(nn.Module):
    """ConvNeXt V2's global response normalisation, of [n, h, w, c]."""

    def __init__(self, d):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(1, 1, 1, d)), nn.Parameter(torch.rand(1, 1, 1, d))

    def forward(self, x):
        norm = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        return self.gamma * (x * (norm / (norm.mean(-1, keepdim=True) + 1e-6))) + self.beta + x


class ConvNeXt(nn.Module):
    def __init__(self, norm, responses=False, dense=True):
        super().__init__()
        d = 16
        self.stem, self.stem_norm = nn.Conv2d(3, d, 4, 4), norm(d)
        self.depthwise, self.norm = nn.Conv2d(d, d, 7, padding=3, groups=d), nn.LayerNorm(d, 1e-6) if dense else norm(d)
        self.up = nn.Linear(d, 4 * d) if dense else nn.Conv2d(d, 4 * d, 1)
        self.down = nn.Linear(4 * d, d) if dense else nn.Conv2d(4 * d, d, 1)
        self.responses, self.dense, self.gamma = Responses(4 * d) if responses else nn.Identity(), dense, nn.Parameter(torch.rand(d))
        self.down_norm, self.downsample = norm(d), nn.Conv2d(d, 2 * d, 2, 2)
        self.last, self.head = nn.LayerNorm(2 * d), nn.Linear(2 * d, 10)

    def block(self, x):
        y = self.depthwise(x)
        if not self.dense:
            return x + self.down(F.gelu(self.up(self.norm(y)))) * self.gamma.reshape(1, -1, 1, 1)
        y = self.gamma * self.down(self.responses(F.gelu(self.up(self.norm(y.permute(0, 2, 3, 1))))))
        return x + y.permute(0, 3, 1, 2)

    def features(self, x):
        x = self.downsample(self.down_norm(self.block(self.stem_norm(self.stem(x)))))
        return self.last(x.mean((-2, -1)))

    def forward(self, x):
        return self.head(self.features(x))


class Odds(nn.Module):
    """What is met now and then: channels turned round, ECA's convolution over channels, a squeeze behind an If, unit length."""

    def __init__(self):
        super().__init__()
        self.stem, self.line, self.norm, self.head = (nn.Conv2d(3, 16, 3, 2, 1), nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.BatchNorm1d(16),
                                                      nn.Linear(16, 10))

    def features(self, x):
        x = self.stem(x.flip(1))
        gate = self.line(x.mean((2, 3), keepdim=True).squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        x = F.adaptive_avg_pool2d(x * gate.sigmoid().expand_as(x), 1)
        return F.normalize(self.norm(F.avg_pool1d(x.squeeze(3), 1).squeeze(2) if x.shape[0] else x), dim=-1)

    def forward(self, x):
        return self.head(self.features(x))


# Name: the module, the opset it is exported with, and how often each operator must come out.
TOWERS = {
    "DeiT": (lambda: Tower(Packed), 13, {"attention": 2, "layer_norm": 5, "gelu": 2, "softmax": 0}),
    "DeiT, distilled, of heads in chunks": (lambda: Tower(Chunked, front=2), 14, {"attention": 2, "layer_norm": 5, "gelu": 2}),
    "ViT, HuggingFace": (lambda: Tower(Three), 12, {"attention": 2, "layer_norm": 5, "gelu": 2}),
    "ViT, mean of tokens": (lambda: Tower(Three, gelu=ByHand, last="mean"), 13, {"attention": 2, "layer_norm": 5, "gelu_tanh": 2}),
    "DINOv2": (lambda: Tower(Packed, layer_scale=True, front=5, grid=7), 13, {"attention": 2, "layer_norm": 5, "gelu": 2, "resize": 0}),
    "SigLIP": (lambda: Tower(Rooted, gelu=Tanh, layer_scale=True), 15, {"attention": 2, "layer_norm": 5, "gelu_tanh": 2}),
    "BEiT": (lambda: Tower(Biased, layer_scale=True, last="mean"), 13, {"attention": 2, "layer_norm": 5, "gelu": 2}),
    "MaxViT's sums": (lambda: Tower(Summed), 13, {"attention": 2, "layer_norm": 5, "gelu": 2}),
    "CLIP, HuggingFace": (lambda: Tower(Stacked, gelu=Quick, pre_norm=True, bias=False, last="project"), 14,
                          {"attention": 2, "layer_norm": 6, "silu": 2, "sigmoid": 0}),
    "CLIP, OpenAI": (lambda: Tower(lambda d, heads: OpenAI(d, heads), gelu=Quick, pre_norm=True, bias=False, last="project"), 14,
                     {"attention": 2, "layer_norm": 6, "silu": 2, "sigmoid": 0}),
    "ViT, norms as one operator": (lambda: Tower(Packed), 17, {"attention": 2, "layer_norm": 5, "gelu": 2}),
    "Swin, timm": (lambda: Swin(False), 13, {"attention": 4, "window_partition": 4, "window_reverse": 4, "roll": 4, "layer_norm": 11,
                                            "softmax": 0, "transpose": 0}),
    "Swin, timm's newer merge": (lambda: Swin(True), 16, {"attention": 4, "roll": 4, "layer_norm": 11}),
    "MaxViT": (MaxViT, 13, {"attention": 2, "layer_norm": 2, "window_partition": 2, "window_reverse": 2, "transpose": 0, "map": 0}),
    "ConvNeXt, HuggingFace": (lambda: ConvNeXt(ChannelNorm), 13, {"layer_norm": 4, "gelu": 1, "sqrt": 0}),
    "ConvNeXt, timm": (lambda: ConvNeXt(Permuted, dense=False), 13, {"layer_norm": 4, "gelu": 1, "transpose": 0}),
    "odds and ends": (Odds, 13, {"l2_normalise": 1, "conv": 2, "sqrt": 0}),
    "ConvNeXt V2": (lambda: ConvNeXt(Permuted, responses=True), 13, {"layer_norm": 4, "gelu": 1, "transpose": 0}),
}


class OpenAI(nn.Module):
    """nn.MultiheadAttention with tokens first, as OpenAI's CLIP calls it."""

    def __init__(self, d, heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(d, heads)

    def forward(self, x):
        x = x.permute(1, 0, 2)
        return self.attention(x, x, x, need_weights=False)[0].permute(1, 0, 2)
