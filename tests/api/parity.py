#!/usr/bin/python3
"""parity.py BUILD [--full] - the whole program beside the Python stack, on real photos.

BUILD is a meson build folder. PyTorch stands in for Keras with the same weights; scikit-learn, scikit-image and
Pillow are the real thing. --full runs the VGG16 sections on all of catsdogs, too (minutes). Photos and weights come
from $TOPWORK_DATA; what is absent is skipped with a printed reason. Exit status 1 when anything differs.
"""
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.datasets import load_files
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BUILD = os.path.abspath(sys.argv[1])
FULL = "--full" in sys.argv
DATA = os.environ.get("TOPWORK_DATA", "../shared/data")
PHOTOS = os.path.join(DATA, "photos")
TMP = tempfile.mkdtemp(prefix="topwork-parity-")
ENV = dict(os.environ,
           TOPWORK_IMPORT=os.path.join(BUILD, "import", "topwork-import"),
           TOPWORK_BACKBONES=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "backbones"))
bad = 0


def check(ok, text):
    global bad
    bad += not ok
    print(("ok    " if ok else "DIFFERS  ") + text, flush=True)


def topwork(*arguments):
    run = subprocess.run([os.path.join(BUILD, "cli", "topwork"), *map(str, arguments)], env=ENV,
                         capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"topwork {' '.join(map(str, arguments))}: status {run.returncode}\n{run.stderr}{run.stdout}")
    return run.stdout


def extract(folder, *options):
    """Features of a folder in sorted-path order: paths, labels, x."""
    out = os.path.join(TMP, "x.npy")
    doc = json.loads(topwork("extract", folder, "-o", out, "--json", *options))
    x = np.load(out)
    assert x.shape == (doc["rows"], doc["features"]) and x.dtype == np.float32
    order = np.argsort(doc["files"])
    names = sorted(set(doc["labels"]))
    y = np.array([names.index(l) for l in doc["labels"]])
    return [doc["files"][i] for i in order], y[order], x[order]


def probe(C=1.0):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))


def link_folder(name, parts):
    """A folder with train/ and val/ made of links to the data's folders."""
    root = os.path.join(TMP, name)
    os.makedirs(root, exist_ok=True)
    for part, source in parts.items():
        link = os.path.join(root, part)
        if not os.path.islink(link):
            os.symlink(os.path.abspath(source), link)
    return root


# ---- SqueezeNet 1.1, real ImageNet weights ---------------------------------------------------------------

def squeezenet():
    weights = os.path.join(DATA, "weights", "squeezenet1_1.safetensors")
    backbone = os.path.join(TMP, "squeezenet1_1.tw")
    topwork("backbone", "import", weights, "--arch", "squeezenet1_1", "-o", backbone)
    found = json.loads(topwork("classify", os.path.join(PHOTOS, "imagenet_sample"), "--backbone", backbone,
                               "--precision", "f32", "--json"))
    right = sum(r.get("index") == int(os.path.basename(r["path"])[:3]) for r in found if "index" in r)
    check(right == 157, f"SqueezeNet 1.1 on imagenet_sample: {right}/{len(found)}, published 157/250")

    files, y, x = extract(os.path.join(PHOTOS, "catsdogs"), "--backbone", backbone, "--precision", "f32")
    a, b, ya, yb = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
    accuracy = probe().fit(a, ya).score(b, yb)
    check(abs(accuracy - 0.930) < 1e-9, f"its probe on catsdogs: {accuracy:.4f}, published 0.930")
    _, ya, a = extract(os.path.join(PHOTOS, "hymenoptera_train"), "--backbone", backbone, "--precision", "f32")
    _, yb, b = extract(os.path.join(PHOTOS, "hymenoptera_val"), "--backbone", backbone, "--precision", "f32")
    right = int(round(probe().fit(a, ya).score(b, yb) * len(yb)))
    check(right == 141, f"its probe on hymenoptera: {right}/{len(yb)}, published 141/153")
    same_training("SqueezeNet, catsdogs", os.path.join(PHOTOS, "catsdogs"), backbone)
    given_split("SqueezeNet, hymenoptera train and val", backbone, a, ya, b, yb)


def given_split(what, backbone, a, ya, b, yb):
    """topwork train on a folder that is its own split, against scikit-learn on the same features."""
    folder = link_folder("hymenoptera", {part: os.path.join(PHOTOS, f"hymenoptera_{part}") for part in ("train", "val")})
    got = json.loads(topwork("train", folder, "-o", os.path.join(TMP, "m.tw"), "--force", "--backbone", backbone,
                             "--C", "1", "--precision", "f32", "--json"))
    correct = int((probe().fit(a, ya).predict(b) == yb).sum())
    check((got["n_train"], got["n_test"]) == (len(ya), len(yb)) and round(got["accuracy"] * len(yb)) == correct,
          f"{what}: accuracy {got['accuracy']:.4f} = scikit-learn's {correct / len(yb):.4f} on the same features")


def same_training(what, folder, backbone, *options):
    """topwork train against load_files + train_test_split + StandardScaler + LogisticRegression on the same features."""
    model = os.path.join(TMP, "m.tw")
    got = json.loads(topwork("train", folder, "-o", model, "--force", "--backbone", backbone, "--C", "1",
                             "--precision", "f32", "--json", *options))
    bunch = load_files(folder, load_content=False)
    kept = [i for i, f in enumerate(bunch.filenames) if Image_readable(f)]
    files = [bunch.filenames[i] for i in kept]
    y = bunch.target[kept]
    train, test = train_test_split(np.arange(len(files)), test_size=0.2, random_state=42, stratify=y)
    base = os.path.abspath(folder)
    relative = lambda i: os.path.relpath(os.path.abspath(files[i]), base)
    mine = lambda names: [os.path.relpath(n, folder) if os.path.isabs(n) else n for n in names]
    check(mine(got["train_files"]) == [relative(i) for i in train] and
          mine(got["test_files"]) == [relative(i) for i in test], f"{what}: the split is scikit-learn's, file by file")
    paths, _, x = extract(folder, "--backbone", backbone, "--precision", "f32", *options)
    row = {os.path.abspath(p if os.path.isabs(p) else os.path.join(folder, p)): i for i, p in enumerate(paths)}
    at = [row[os.path.abspath(f)] for f in files]
    fitted = probe().fit(x[at][train], y[train])
    correct = int((fitted.predict(x[at][test]) == y[test]).sum())
    check(round(got["accuracy"] * len(test)) == correct,
          f"{what}: accuracy {got['accuracy']:.4f} = scikit-learn's {correct / len(test):.4f} on the same features")


def Image_readable(path):
    with open(path, "rb") as f:
        head = f.read(12)
    return head[:3] == b"\xff\xd8\xff" or head[:8] == b"\x89PNG\r\n\x1a\n" or head[8:12] == b"WEBP"


# ---- VGG16 with seeded weights in Keras' published layout --------------------------------------------------

BLOCKS = [(1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 3)]


def vgg16():
    torch.manual_seed(16)
    net = torchvision.models.vgg16(weights=None).features.eval()
    convs = [m for m in net if isinstance(m, torch.nn.Conv2d)]
    with torch.no_grad():
        for conv in convs:
            conv.bias.uniform_(-0.05, 0.05)
    path = os.path.join(TMP, "vgg16_notop.h5")
    names = [f"block{b}_conv{i + 1}" for b, _, n in BLOCKS for i in range(n)]
    with h5py.File(path, "w") as f:
        layers = []
        for b, _, n in BLOCKS:
            layers += [f"block{b}_conv{i + 1}" for i in range(n)] + [f"block{b}_pool"]
        f.attrs["layer_names"] = [l.encode() for l in ["input_1"] + layers]
        for layer in ["input_1"] + layers:
            g = f.create_group(layer)
            if layer not in names:
                g.attrs["weight_names"] = np.zeros(0, "S1")
                continue
            conv = convs[names.index(layer)]
            pair = [f"{layer}_W_1:0", f"{layer}_b_1:0"]
            g.attrs["weight_names"] = [p.encode() for p in pair]
            g.create_dataset(pair[0], data=conv.weight.detach().permute(2, 3, 1, 0).numpy())
            g.create_dataset(pair[1], data=conv.bias.detach().numpy())
    backbone = os.path.join(TMP, "vgg16.tw")
    topwork("backbone", "import", path, "--arch", "vgg16", "-o", backbone)
    return net, backbone


MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)


def keras_input(path):
    """load_img((224, 224), bilinear) with EXIF applied, preprocess_input(caffe): [3, 224, 224]"""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return (np.asarray(image, np.float32)[:, :, ::-1] - MEAN_BGR).transpose(2, 0, 1)


def reference_input(path):
    """The well-known script's: skimage values 0..1 into preprocess_input (its mistake kept): [3, 224, 224]"""
    from skimage.io import imread
    from skimage.transform import resize
    image = resize(imread(path), (224, 224, 3)).astype(np.float32)
    return (image[:, :, ::-1] - MEAN_BGR).transpose(2, 0, 1)


def torch_features(net, paths, prepare):
    """NHWC-flattened block5_pool of each photo."""
    rows = []
    torch.set_num_threads(os.cpu_count())
    with torch.inference_mode():
        for at in range(0, len(paths), 8):
            batch = torch.from_numpy(np.stack([prepare(p) for p in paths[at:at + 8]]))
            rows.append(net(batch).permute(0, 2, 3, 1).flatten(1).numpy())
    return np.concatenate(rows)


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return ((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))).min()


def vgg16_features(net, backbone):
    root = os.path.join(TMP, "few")
    for kind in ("cat", "dog"):
        os.makedirs(os.path.join(root, kind), exist_ok=True)
        source = os.path.join(PHOTOS, "catsdogs", kind)
        for name in sorted(os.listdir(source))[:12]:
            link = os.path.join(root, kind, name)
            if not os.path.islink(link):
                os.symlink(os.path.abspath(os.path.join(source, name)), link)
    files, _, f32 = extract(root, "--backbone", backbone, "--pooling", "none", "--precision", "f32")
    files = [f if os.path.isabs(f) else os.path.join(root, f) for f in files]
    want = torch_features(net, files, keras_input)
    error = np.abs(f32 - want).max() / np.abs(want).max()
    check(error <= 1e-4, f"VGG16 f32 features against PyTorch's: largest relative difference {error:.2e} (1e-4 allowed)")
    if "avx512_bf16" in open("/proc/cpuinfo").read() or "amx_bf16" in open("/proc/cpuinfo").read():
        _, _, bf16 = extract(root, "--backbone", backbone, "--pooling", "none", "--precision", "bf16")
        least = cosine(bf16, want)
        check(least >= 0.999, f"VGG16 bf16 features against PyTorch's f32: least cosine {least:.6f} (0.999 needed)")
    else:
        print("skip: this processor has no native bf16", flush=True)


def reference_recipe(net, backbone, name, folder):
    """The well-known script, step by step, beside --recipe reference."""
    model = os.path.join(TMP, "reference.tw")
    got = json.loads(topwork("train", folder, "-o", model, "--force", "--recipe", "reference", "--backbone", backbone,
                             "--json"))
    bunch = load_files(folder, load_content=False)
    files, y = list(bunch.filenames), bunch.target
    train, test = train_test_split(np.arange(len(files)), test_size=0.2, random_state=42)
    # What cannot be read (a GIF posing as a photo) leaves after the split, each from its own part.
    train, test = ([i for i in part if Image_readable(files[i])] for part in (train, test))
    kept = {i: at for at, i in enumerate(sorted([*train, *test]))}
    files, y = [files[i] for i in sorted(kept)], y[sorted(kept)]
    train, test = ([kept[i] for i in part] for part in (train, test))
    names = [os.path.relpath(f, folder) for f in files]
    mine = lambda listed: [os.path.relpath(n, folder) if os.path.isabs(n) else n for n in listed]
    check(mine(got["train_files"]) == [names[i] for i in train] and mine(got["test_files"]) == [names[i] for i in test],
          f"reference recipe, {name}: the split is the script's")
    want = torch_features(net, files, reference_input)
    paths, _, x = extract(folder, "--recipe", "reference", "--backbone", backbone)
    row = {os.path.relpath(p, folder) if os.path.isabs(p) else p: i for i, p in enumerate(paths)}
    x = x[[row[n] for n in names]]
    error = np.abs(x - want).max() / np.abs(want).max()
    check(error <= 1e-4, f"reference recipe, {name}: features differ by {error:.2e} of the largest")
    scaler = StandardScaler().fit(x[train])
    theirs = StandardScaler().fit(want[train])
    varying = theirs.var_ > 1e-12 * theirs.var_.max()
    drift = np.abs(scaler.scale_ / theirs.scale_ - 1)[varying].max()
    print(f"      scaler on both: scales differ by {drift:.1e} at most ({varying.sum()} of {x.shape[1]} features vary)")
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        on_mine = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[train], y[train]).score(x[test], y[test])
        on_theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(want[train], y[train]).score(want[test], y[test])
    check(round(got["accuracy"] * len(test)) == round(on_mine * len(test)),
          f"reference recipe, {name}: accuracy {got['accuracy']:.4f}; scikit-learn on the same features {on_mine:.4f}")
    print(f"      the Python script end to end (its own decode, resize, PyTorch, scikit-learn): {on_theirs:.4f}")


# ---- sapling, the default backbone -----------------------------------------------------------------------

class Sapling(torch.nn.Module):
    """ResNet-18's layout at half width, 3x3 stride-2 stem, no max pool, as the weights' README says."""

    def __init__(self):
        super().__init__()
        from torchvision.models.resnet import BasicBlock
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 32, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(32)
        inside = 32
        for i, width in enumerate((32, 64, 128, 256)):
            stride = 1 if i == 0 else 2
            down = None if i == 0 else torch.nn.Sequential(torch.nn.Conv2d(inside, width, 1, stride, bias=False),
                                                           torch.nn.BatchNorm2d(width))
            setattr(self, f"layer{i + 1}", torch.nn.Sequential(BasicBlock(inside, width, stride, down),
                                                               BasicBlock(width, width)))
            inside = width

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def sapling_torch():
    """The network in PyTorch from the fp32 weights, on the pixels Pillow makes."""
    import struct
    raw = open(os.path.join(DATA, "weights", "sapling", "sapling.safetensors"), "rb").read()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    state = {}
    for name, t in header.items():
        if name == "__metadata__" or name.startswith("fc."):
            continue
        a, b = t["data_offsets"]
        kind = {"F32": np.float32, "I64": np.int64}[t["dtype"]]
        state[name] = torch.from_numpy(np.frombuffer(raw[8 + length + a:8 + length + b], kind).reshape(t["shape"]).copy())
    net = Sapling().eval()
    net.load_state_dict(state, strict=False)

    def prepare(path, size=128, short=141):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        w, h = image.size
        w, h = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        image = image.resize((w, h), Image.Resampling.BILINEAR)
        left, top = (w - size) // 2, (h - size) // 2
        pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32) / 255
        return ((pixels - [.480, .448, .397]) / [.272, .265, .274]).astype(np.float32).transpose(2, 0, 1)

    folder = os.path.join(PHOTOS, "hymenoptera_val")
    files, _, x = extract(folder, "--precision", "f32")
    files = [f if os.path.isabs(f) else os.path.join(folder, f) for f in files]
    with torch.inference_mode():
        want = np.concatenate([net(torch.from_numpy(prepare(f)[None])).numpy() for f in files])
    error = np.abs(x - want).max() / np.abs(want).max()
    # The shipped file holds its matrices in half precision: 2^-11 relative a weight.
    check(error <= 2e-3, f"sapling (half precision file) against PyTorch's fp32: largest relative difference {error:.1e}")


def sapling():
    sapling_torch()
    published = {96: (.885, .856), 128: (.876, .830), 160: (.870, .863), 192: (.852, .882)}
    for size, (cats, hymenoptera) in published.items():
        options = ("--precision", "f32", "--input-size", size)
        _, y, x = extract(os.path.join(PHOTOS, "catsdogs"), *options)
        accuracy = cross_val_score(probe(0.03), x, y, cv=5).mean()
        check(abs(accuracy - cats) < 0.012, f"sapling at {size}: catsdogs {accuracy:.3f}, its README {cats:.3f}")
        _, ya, a = extract(os.path.join(PHOTOS, "hymenoptera_train"), *options)
        _, yb, b = extract(os.path.join(PHOTOS, "hymenoptera_val"), *options)
        accuracy = probe(0.1).fit(a, ya).score(b, yb)
        check(abs(accuracy - hymenoptera) <= 0.03, f"sapling at {size}: hymenoptera {accuracy:.3f}, its README {hymenoptera:.3f}")


def main():
    if not os.path.isdir(PHOTOS):
        print(f"skip: {PHOTOS} is not here (set TOPWORK_DATA to the shared data folder)")
        return
    squeezenet()
    sapling()
    net, backbone = vgg16()
    vgg16_features(net, backbone)
    reference_recipe(net, backbone, "hymenoptera_train", os.path.join(PHOTOS, "hymenoptera_train"))
    if FULL:
        reference_recipe(net, backbone, "catsdogs", os.path.join(PHOTOS, "catsdogs"))


try:
    main()
finally:
    subprocess.run(["rm", "-rf", TMP])
sys.exit(bad != 0)
