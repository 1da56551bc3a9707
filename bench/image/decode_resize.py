#!/usr/bin/python3
"""Decoding and resizing beside Pillow and scikit-image: paired runs, medians, one thread.

usage: decode_resize.py DECODE_RESIZE FOLDER [PHOTOS] [RUNS]

DECODE_RESIZE is the built bench/image/decode-resize. PHOTOS (200) JPEGs under FOLDER, RUNS (7) rounds; each round runs every step of
every library once, so that a busy machine slows them alike. Files are in memory before a clock starts.
"""
import io
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import skimage.io
from PIL import Image, ImageOps
from skimage.transform import resize

MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def decode(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def normalise(image):
    return np.asarray(image, np.float32)[:, :, ::-1] - MEAN


def clock(step, items):
    for item in items[:3]:
        step(item)
    start = time.perf_counter()
    for item in items:
        step(item)
    return (time.perf_counter() - start) * 1e3


def crop(image):
    w, h = image.size
    size = (256, 256 * h // w) if w <= h else (256 * w // h, 256)
    image = image.resize(size, Image.BILINEAR)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    return normalise(image.crop((left, top, left + 224, top + 224)))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, folder = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    runs = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    paths = sorted(os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs
                   if f.lower().endswith((".jpg", ".jpeg")))
    paths = paths[::max(1, len(paths) // count)][:count]
    data = [open(p, "rb").read() for p in paths]
    pictures = [decode(d) for d in data]
    arrays = [np.asarray(p) for p in pictures[::10]]

    def skimage_line(path):
        values = resize(skimage.io.imread(path), (224, 224, 3))
        return (values[:, :, ::-1] - MEAN).astype(np.float32)

    rows = [
        ("decode to RGB", "decode", lambda: clock(decode, data), len(data)),
        ("resize to 224 x 224, bilinear", "resize",
         lambda: clock(lambda p: p.resize((224, 224), Image.BILINEAR), pictures), len(data)),
        ("JPEG to network input, squash", "line",
         lambda: clock(lambda d: normalise(decode(d).resize((224, 224), Image.BILINEAR)), data), len(data)),
        ("JPEG to network input, 256 -> crop 224", "line-crop", lambda: clock(lambda d: crop(decode(d)), data), len(data)),
        ("skimage resize to 224 x 224 x 3", "skimage",
         lambda: clock(lambda a: resize(a, (224, 224, 3)), arrays), len(arrays)),
        ("JPEG to network input, reference script", "skimage-line",
         lambda: clock(skimage_line, paths[::10]), len(arrays)),
    ]
    times = {name: ([], []) for name, *_ in rows}
    for _ in range(runs):
        for name, step, python, n in rows:
            out = subprocess.run([program, step] + paths, check=True, capture_output=True, text=True).stdout
            times[name][0].append(float(out) / len(paths))
            times[name][1].append(python() / n)
    print("%d photos, median of %d paired runs, ms a photo, one thread\n" % (len(paths), runs))
    print("| step | topwork | Python | ratio of the medians |\n|---|--:|--:|--:|")
    for name, (ours, theirs) in times.items():
        a, b = statistics.median(ours), statistics.median(theirs)
        print("| %s | %.3f | %.3f | %.1f |" % (name, a, b, b / a))


if __name__ == "__main__":
    main()
