#!/usr/bin/python3
"""Compares the image room with Pillow, scikit-image and imageio, live.

usage: parity.py IMAGE_DUMP [DATA] [--quick]

IMAGE_DUMP is the built tests/image/image-dump; DATA the shared data folder (default $TOPWORK_DATA, then ../shared/data).
Needs Debian's python3-pil, python3-skimage, python3-numpy. Prints a table; exit 1 when anything differs.
"""
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


class Refused(Exception):
    pass


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *fields):
        line = "\t".join(str(f) for f in fields) + "\n"
        self.process.stdin.write(line.encode("utf-8", "surrogateescape"))
        self.process.stdin.flush()
        head = self.process.stdout.readline().decode("utf-8", "replace").rstrip("\n")
        if not head.startswith("ok "):
            raise Refused(head or "the tool died on " + line)
        width, height, channels, size = map(int, head.split()[1:])
        data = self.process.stdout.read(size)
        item = size // (width * height * channels)
        kind = {1: np.uint8, 2: np.uint16, 4: np.float32, 8: np.float64}[item]
        return np.frombuffer(data, kind).reshape(height, width, channels)


class Count:
    """Outcomes of one row of the table."""

    def __init__(self, title):
        self.title, self.same, self.bad, self.notes = title, 0, [], {}

    def note(self, word, what):
        self.notes.setdefault(word, []).append(what)

    def show(self, verbose):
        notes = ", ".join("%d %s" % (len(v), k) for k, v in sorted(self.notes.items()))
        print("%-46s %6d same %4d DIFFER  %s" % (self.title, self.same, len(self.bad), notes))
        for what in self.bad[:20]:
            print("    DIFFERS:", what)
        if verbose:
            for word, whats in sorted(self.notes.items()):
                for what in whats:
                    print("    %s: %s" % (word, what))
        return not self.bad


def files_under(*roots):
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                if not name.endswith(".txt"):
                    yield os.path.join(folder, name)


def pillow_rgb(path):
    """What TWI_DECODE_RGB promises: design.md's 16-bit rule in place of Pillow's saturation."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def skimage_read(path):
    import skimage.io
    array = skimage.io.imread(path)
    return array[:, :, None] if array.ndim == 2 else array


def check_decode(tool, title, paths, mode, reader, strict):
    """strict: what the reference reads must be read."""
    row = Count(title)
    for path in paths:
        try:
            want = reader(path)
        except Exception as error:  # whatever Python raises: it did not read it
            want = None
            why = "%s: %s" % (type(error).__name__, error)
        try:
            got = tool.ask("decode", mode, 1, path)
        except Refused as refusal:
            if want is None:
                row.note("refused by both", "%s (%s)" % (path, refusal))
            elif "unsupported" in str(refusal) and not strict:
                row.note("format not supported here", path)
            elif strict and "unsupported" not in str(refusal):
                row.bad.append("%s: refused here: %s" % (path, refusal))
            else:
                row.note("refused here only", "%s (%s)" % (path, refusal))
            continue
        if want is None:
            row.note("refused by the reference only", "%s (%s)" % (path, why[:90]))
        elif want.shape == got.shape and want.dtype == got.dtype and np.array_equal(want, got):
            row.same += 1
        else:
            row.bad.append("%s: %s %s, here %s %s, %d samples differ" % (
                path, want.shape, want.dtype, got.shape, got.dtype,
                np.count_nonzero(want != got) if want.shape == got.shape else -1))
    return row


def raw_source(folder, array):
    height, width = array.shape[:2]
    channels = 1 if array.ndim == 2 else array.shape[2]
    path = os.path.join(folder, "samples.raw")
    array.tofile(path)
    return "raw:%d:%d:%d:%d:%s" % (width, height, channels, array.dtype.itemsize * 8, path)


def random_picture(rng, mode):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    height, width = (int(x) for x in rng.integers(1, 90, 2))
    if rng.random() < 0.1:
        width = int(rng.integers(500, 3000))
    kind = rng.integers(0, 3)
    if kind == 0:
        array = rng.integers(0, 256, (height, width, channels))
    elif kind == 1:  # only the ends, which overshoot the most
        array = rng.integers(0, 2, (height, width, channels)) * 255
    else:
        array = np.add.outer(np.arange(height), np.arange(width))[:, :, None] * np.arange(1, channels + 1) % 256
    return array.astype(np.uint8)


def check_resize(tool, folder, cases):
    rng = np.random.default_rng(42)
    row = Count("resize, random pictures, six filters")
    for _ in range(cases):
        mode = ["L", "LA", "RGB", "RGB", "RGBA"][rng.integers(0, 5)]
        array = random_picture(rng, mode)
        height, width = array.shape[:2]
        image = Image.fromarray(array if array.shape[2] > 1 else array[:, :, 0], mode)
        size = tuple(int(x) for x in rng.integers(1, 120, 2))
        box = None
        if rng.random() < 0.4:
            xs, ys = np.sort(rng.random(2) * width), np.sort(rng.random(2) * height)
            box = tuple(float(np.float32(v)) for v in (xs[0], ys[0], xs[1], ys[1]))
            if rng.random() < 0.3:
                box = tuple(float(int(v)) for v in box)
            if box[0] >= box[2] or box[1] >= box[3]:
                box = None
        source = raw_source(folder, array)
        for name, number in FILTERS.items():
            want = np.asarray(image.resize(size, number, box=box)).reshape(size[1], size[0], -1)
            text = "-" if box is None else ",".join(repr(v) for v in box)
            got = tool.ask("resize", name, text, size[0], size[1], source)
            if np.array_equal(want, got):
                row.same += 1
            else:
                row.bad.append("%s %s %dx%d box %s -> %s: %d samples" % (
                    name, mode, width, height, box, size, np.count_nonzero(want != got)))
    return row


def check_resize_photos(tool, paths):
    row = Count("resize to 224 x 224, photos, six filters")
    for path in paths:
        try:
            image = Image.open(path).convert("RGB")
            tool.ask("decode", "rgb", 0, path)
        except (OSError, Refused):
            continue
        for name, number in FILTERS.items():
            want = np.asarray(image.resize((224, 224), number))
            if np.array_equal(want, tool.ask("resize", name, "-", 224, 224, path)):
                row.same += 1
            else:
                row.bad.append("%s %s" % (name, path))
    return row


def check_skimage(tool, folder, cases, paths):
    from skimage.transform import resize
    rng = np.random.default_rng(7)
    row = Count("skimage resize, difference <= 1e-12")
    worst = 0.0
    sources = []
    for _ in range(cases):
        array = random_picture(rng, ["L", "RGB", "RGBA"][rng.integers(0, 3)])
        if rng.random() < 0.2:
            array = array.astype(np.uint16) * 257 % 65521
            array = array.astype(np.uint16)
        height, width = (int(x) for x in rng.integers(1, 100, 2))
        sources.append((array, None, height, width))
    for path in paths:
        try:
            sources.append((skimage_read(path), path, 224, 224))
        except Exception:
            continue
    for array, path, height, width in sources:
        source = path or raw_source(folder, array)
        # skimage.io.imread gives grey pictures two dimensions; the reference script asks for three channels
        want = resize(array[:, :, 0] if array.shape[2] == 1 else array, (height, width, 3))
        try:
            got = tool.ask("skimage", width, height, 3, source)
        except Refused:
            continue
        difference = float(np.abs(want - got).max())
        worst = max(worst, difference)
        if difference <= 1e-12:
            row.same += 1
        else:
            row.bad.append("%s %s -> %d x %d: %g" % (path, array.shape, width, height, difference))
    print("    worst difference from scikit-image: %.2g" % worst)
    return row


def recipe(mode, geometry, resize="bilinear", size=224, short=0, decode="rgb"):
    modes = {"caffe": ("bgr", 1.0, [103.939, 116.779, 123.68], [1, 1, 1]),
             "tf": ("rgb", 1 / 127.5, [1, 1, 1], [1, 1, 1]),
             "torch": ("rgb", 1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}
    channels, scale, mean, std = modes[mode]
    return {"height": size, "width": size, "geometry": geometry, "short_side": short, "resize": resize,
            "decode": decode, "channels": channels, "scale": scale, "mean": mean, "std": std}


def expected(r, path):
    size = (r["width"], r["height"])
    if r["resize"] == "skimage":
        from skimage.transform import resize
        array = skimage_read(path)
        values = resize(array[:, :, 0] if array.shape[2] == 1 else array, (size[1], size[0], 3))
    else:
        number = FILTERS[r["resize"]]
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        if r["geometry"] == "squash":
            image = image.resize(size, number)
        elif r["geometry"] == "letterbox":
            image = ImageOps.pad(image, size, number)
        else:
            w, h = image.size
            short = r["short_side"]
            full = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
            image = image.resize(full, number)
            left, top = (full[0] - size[0]) // 2, (full[1] - size[1]) // 2
            image = image.crop((left, top, left + size[0], top + size[1]))
        values = np.asarray(image).astype(np.float64)
    if r["channels"] == "bgr":
        values = values[:, :, ::-1]
    return ((values * r["scale"] - np.array(r["mean"])) / np.array(r["std"])).astype(np.float32)


def check_recipes(tool, paths):
    row = Count("recipes, bit for bit in float32")
    ulp = 0
    for r in (recipe("caffe", "squash"), recipe("torch", "crop", short=256), recipe("tf", "letterbox"),
              recipe("torch", "crop", size=128, short=141), recipe("torch", "letterbox", "bicubic"),
              recipe("caffe", "squash", "skimage", decode="skimage")):
        for path in paths:
            try:
                want = expected(r, path)
            except Exception:
                continue
            try:
                got = tool.ask("recipe", json.dumps(r), path)
            except Refused as refusal:
                row.note("refused here only", "%s (%s)" % (path, refusal))
                continue
            if np.array_equal(want, got):
                row.same += 1
            elif r["resize"] == "skimage" and np.abs(want - got).max() <= 8e-6:
                row.note("one float32 step away in some values (skimage)", path)  # 8e-6: one step at 100
            else:
                row.bad.append("%s %s: %g" % (r["geometry"], path, np.abs(want - got).max()))
    return row


def made_pngs(folder):
    """PNGs of every colour type that no sample set holds together: palettes with and without alpha, short palettes."""
    rng = np.random.default_rng(3)
    paths = []

    def save(image, name, **options):
        paths.append(os.path.join(folder, name))
        image.save(paths[-1], **options)

    def save_bytes(data, name):
        paths.append(os.path.join(folder, name))
        open(paths[-1], "wb").write(data)

    for bits in (1, 2, 4, 8):
        n = 1 << bits
        image = Image.fromarray(rng.integers(0, n, (13, 21), dtype=np.uint8), "P")
        for grey in (False, True):
            colours = rng.integers(0, 256, (n, 3), dtype=np.uint8)
            if grey:
                colours[:] = colours[:, :1]
            image.putpalette(colours.tobytes())
            kind = "grey" if grey else "colour"
            save(image, "p%d_%s.png" % (bits, kind), bits=bits)
            save(image, "p%d_%s_one.png" % (bits, kind), bits=bits, transparency=0)
            save(image, "p%d_%s_many.png" % (bits, kind), bits=bits,
                 transparency=bytes(rng.integers(0, 256, n, dtype=np.uint8)))
    grey16 = rng.integers(0, 65536, (9, 17)).astype(np.uint16)
    save(Image.fromarray(grey16), "grey16.png")
    save(Image.fromarray(rng.integers(0, 256, (9, 17, 2), dtype=np.uint8), "LA"), "la.png")
    save(Image.fromarray(rng.integers(0, 256, (9, 17, 4), dtype=np.uint8), "RGBA"), "rgba.png")
    save(Image.fromarray(rng.integers(0, 256, (9, 17), dtype=np.uint8), "L"), "l_trns.png", transparency=7)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 17, 3), dtype=np.uint8), "RGB")
    save(rgb, "rgb_trns.png", transparency=(1, 2, 3))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(rgb, "exif%d.png" % orientation, exif=exif)
        save(rgb, "exif%d.webp" % orientation, exif=exif, lossless=True)
        save(rgb, "exif%d.jpg" % orientation, exif=exif)
        info = __import__("PIL.PngImagePlugin", fromlist=["x"]).PngInfo()
        info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="%d"/>' % orientation)
        save(rgb, "xmp%d.png" % orientation, pnginfo=info)
        info = __import__("PIL.PngImagePlugin", fromlist=["x"]).PngInfo()
        block = exif.tobytes()
        info.add_text("Raw profile type exif", "\nexif\n%8d\n%s\n" % (len(block), block.hex()), zip=True)
        save(rgb, "raw%d.png" % orientation, pnginfo=info)
    for mode in ("RGB", "RGBA"):
        picture = Image.fromarray(rng.integers(0, 256, (31, 18, len(mode)), dtype=np.uint8), mode)
        save(picture, "lossless_%s.webp" % mode, lossless=True, exact=True)
        save(picture, "lossy_%s.webp" % mode, quality=70)
        frames = [picture.rotate(90 * i) for i in range(3)]
        save(frames[0], "moving_%s.webp" % mode, save_all=True, append_images=frames[1:], lossless=True)
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            save(Image.fromarray(rng.integers(0, 256, (37, 53, 3), dtype=np.uint8), "RGB"),
                 "sub%d_%d.jpg" % (subsampling, progressive), subsampling=subsampling, progressive=progressive)
    save(Image.fromarray(rng.integers(0, 256, (37, 53, 4), dtype=np.uint8), "CMYK"), "cmyk.jpg")
    save(Image.fromarray(rng.integers(0, 256, (37, 53), dtype=np.uint8), "L"), "grey.jpg")
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG")
    save_bytes(buffer.getvalue()[:-2], "no_end.jpg")
    return paths


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    quick, verbose = "--quick" in sys.argv, "--verbose" in sys.argv
    if not arguments:
        sys.exit(__doc__)
    data = arguments[1] if len(arguments) > 1 else os.environ.get("TOPWORK_DATA", "../shared/data")
    tool = Tool(arguments[0])
    photos = list(files_under(os.path.join(data, "photos")))
    if quick:
        photos = photos[::20]
    hostile = list(files_under(os.path.join(data, "hostile")))
    valid = [p for p in hostile if "/jpeg_ok/" in p or "/exif/" in p]
    others = [p for p in hostile if p not in set(valid)]
    random.seed(1)
    few = random.sample(photos, min(40, len(photos))) + valid[::3]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = made_pngs(folder)
        rows.append(check_decode(tool, "decode RGB, photos", photos, "rgb", pillow_rgb, True))
        rows.append(check_decode(tool, "decode RGB, hostile/jpeg_ok and exif", valid, "rgb", pillow_rgb, True))
        rows.append(check_decode(tool, "decode RGB, made here", made, "rgb", pillow_rgb, True))
        rows.append(check_decode(tool, "decode RGB, other hostile files", others, "rgb", pillow_rgb, False))
        rows.append(check_decode(tool, "decode skimage, photos", photos[::5], "skimage", skimage_read, True))
        rows.append(check_decode(tool, "decode skimage, jpeg_ok and exif", valid, "skimage", skimage_read, True))
        rows.append(check_decode(tool, "decode skimage, made here", made, "skimage", skimage_read, True))
        rows.append(check_decode(tool, "decode skimage, other hostile files", others, "skimage", skimage_read, False))
        rows.append(check_resize(tool, folder, 60 if quick else 400))
        rows.append(check_resize_photos(tool, few))
        rows.append(check_skimage(tool, folder, 40 if quick else 200, few))
        rows.append(check_recipes(tool, few))
    good = [row.show(verbose) for row in rows]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
