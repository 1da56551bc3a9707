#!/usr/bin/python3
"""Compares the views of photos with torchvision's crops and scikit-learn's patches, live, byte for byte.

usage: parity_views.py IMAGE_DUMP [DATA]

IMAGE_DUMP is the built tests/image/image-dump; DATA the shared data folder (default $TOPWORK_DATA, then ../shared/data;
without it drawn pictures alone are compared). Needs Debian's python3-torchvision, python3-sklearn, python3-pil. Prints
a table; exit 1 when anything differs.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps
from sklearn.feature_extraction.image import PatchExtractor, extract_patches_2d
from torchvision import transforms
from torchvision.transforms import InterpolationMode

FILTERS = {"bilinear": (Image.BILINEAR, InterpolationMode.BILINEAR), "bicubic": (Image.BICUBIC, InterpolationMode.BICUBIC),
           "nearest": (Image.NEAREST, InterpolationMode.NEAREST)}


class Refused(Exception):
    pass


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def views(self, recipe, path):
        """[n, height, width, 3]"""
        self.process.stdin.write(("views\t%s\t%s\n" % (json.dumps(recipe), path)).encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline().decode()
        if not head.startswith("ok "):
            raise Refused(head)
        width, height, _, size = map(int, head.split()[1:])
        data = np.frombuffer(self.process.stdout.read(size), np.float32)
        return data.reshape(height // recipe["height"], recipe["height"], width, 3)


def recipe(geometry, height, width, short=0, resize="bilinear", **more):
    """Values as they are, so that floats are the bytes."""
    return dict({"height": height, "width": width, "geometry": geometry, "short_side": short, "resize": resize,
                 "channels": "rgb", "scale": 1.0, "mean": [0, 0, 0], "std": [1, 1, 1]}, **more)


def enlarged(side):
    return (side * 256 + 112) // 224


def resized(r, path):
    """The picture that views are cut from, through PIL and torchvision."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    pil, mode = FILTERS[r["resize"]]
    if r["geometry"] == "crop":
        return transforms.Resize(r["short_side"], mode)(image)
    size = enlarged(r["width"]), enlarged(r["height"])
    return image.resize(size, pil) if r["geometry"] == "squash" else ImageOps.pad(image, size, pil)


def own(r, path):
    """The single view, mirrored as the second one."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    pil, mode = FILTERS[r["resize"]]
    size = r["width"], r["height"]
    if r["geometry"] == "squash":
        image = image.resize(size, pil)
    elif r["geometry"] == "letterbox":
        image = ImageOps.pad(image, size, pil)
    else:
        image = transforms.Resize(r["short_side"], mode)(image)
        left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
        image = image.crop((left, top, left + size[0], top + size[1]))
    return [image, ImageOps.mirror(image)]


def want_views(r, path):
    if r.get("views") == "flip":
        return own(r, path)
    crop = transforms.FiveCrop if r["views"] == "5" else transforms.TenCrop
    return crop((r["height"], r["width"]))(resized(r, path))


def want_patches(r, path):
    image = np.asarray(resized(r, path))
    p = r["patches"]
    size, most = (p["height"], p["width"]), p.get("max") or None
    patches = extract_patches_2d(image, size, max_patches=most, random_state=p["seed"])
    # PatchExtractor of one picture takes the same ones
    extractor = PatchExtractor(patch_size=size, max_patches=most, random_state=p["seed"])
    assert np.array_equal(patches, extractor.transform(image[None]).reshape(patches.shape))
    if size == (r["height"], r["width"]):
        return patches
    pil = FILTERS[r["resize"]][0]
    return [Image.fromarray(patch).resize((r["width"], r["height"]), pil) for patch in patches]


class Row:
    def __init__(self, title):
        self.title, self.same, self.views, self.none, self.bad = title, 0, 0, 0, []

    def compare(self, tool, r, path, want):
        want = [np.asarray(view) for view in want(r, path)]
        try:
            got = tool.views(r, path)
        except Refused as why:
            if not want and "is none" in str(why):  # a share of few patches: scikit-learn gives none of them
                self.none += 1
            else:
                self.bad.append("%s: %s" % (path, why))
            return
        want = np.stack(want)
        if got.shape == want.shape and np.array_equal(got, want):
            self.same += 1
            self.views += len(got)
        else:
            self.bad.append("%s %s: %s, here %s" % (path, r, want.shape, got.shape))

    def show(self):
        print("%-50s %4d photos, %6d views same, %d without any, %d DIFFER" % (
            self.title, self.same, self.views, self.none, len(self.bad)))
        for what in self.bad[:5]:
            print("    DIFFERS:", what)
        return not self.bad and self.same + self.none > 0


def drawn(folder):
    """Pictures of many shapes: both parities of what is left beside a crop, and hardly any room."""
    rng = np.random.default_rng(5)
    paths = []
    for width, height in [(64, 64), (65, 64), (67, 64), (64, 69), (40, 97), (200, 41), (31, 30), (1, 1), (3, 50)]:
        paths.append(os.path.join(folder, "%dx%d.png" % (width, height)))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def photos_of(data):
    root = os.path.join(data, "photos", "hymenoptera_val")
    paths = [os.path.join(folder, n) for folder, _, names in os.walk(root) for n in names if n.endswith(".jpg")]
    return random.Random(1).sample(sorted(paths), min(8, len(paths)))


def check(tool, small, photos):
    rows = []
    for views in ("flip", "5", "10"):
        for geometry, height, width, short in (("crop", 32, 32, 37), ("crop", 30, 33, 40), ("crop", 32, 32, 32),
                                               ("squash", 32, 24, 0), ("letterbox", 32, 40, 0)):
            row = Row("%s views, %s %d x %d of %s" % (views, geometry, height, width, short or "enlarged"))
            for resize in FILTERS:
                for path in small:
                    row.compare(tool, recipe(geometry, height, width, short, resize, views=views), path, want_views)
            rows.append(row)
        row = Row("%s views, photos, crop 224 of 256 and squash 224" % views)
        for path in photos:
            row.compare(tool, recipe("crop", 224, 224, 256, views=views), path, want_views)
            row.compare(tool, recipe("squash", 224, 224, views=views), path, want_views)
        rows.append(row)
    for most in (0, 1, 10, 333, 10000, 0.01, 0.5):
        for geometry, short in (("crop", 24), ("squash", 0), ("letterbox", 0)):
            row = Row("patches, max_patches %s, %s" % (most or None, geometry))
            for seed in (0, 42, 4294967295):
                for height, width in ((20, 20), (13, 17)):  # the input's size, and another
                    if most == 0 and height != 20:
                        continue
                    patches = {"height": height, "width": width, "max": most, "seed": seed}
                    for path in small[:5]:
                        r = recipe(geometry, 20, 20, short, patches=patches)
                        row.compare(tool, r, path, want_patches)
            rows.append(row)
    row = Row("patches, photos, 20 of 224 x 224 and of 96 x 64")
    for path in photos:
        for height, width in ((224, 224), (96, 64)):
            patches = {"height": height, "width": width, "max": 20, "seed": 7}
            row.compare(tool, recipe("crop", 224, 224, 256, patches=patches), path, want_patches)
    rows.append(row)
    return rows


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    data = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("TOPWORK_DATA", "../shared/data")
    tool = Tool(sys.argv[1])
    photos = photos_of(data)
    if not photos:
        print("no photos under %s: drawn pictures alone" % data)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for row in check(tool, drawn(folder), photos) if photos or "photos" not in row.title]
    good = [row.show() for row in rows]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
