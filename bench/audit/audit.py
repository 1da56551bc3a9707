#!/usr/bin/python3
"""audit.py BUILD [DATA] [--backbone NAME,...] [--seeds N] - does topwork audit find what was planted?

Copies shared photos into a folder of its own and plants, at random: copies of the same bytes, encoded anew (quality 50),
resized to half, cut by 5 % and by 10 % at two sides, mirrored; and, in a run of their own, 5 % of labels swapped.
Prints recall of each kind, precision over all, and both for labels; means over seeds. docs/audit.md quotes the table.
Real copies among the photos (looked at, and listed in KNOWN) count as right.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile

from PIL import Image, ImageOps

KNOWN = [{"dog.74.jpg", "dog.180.jpg"}]  # catsdogs: the same dog in the same frame
COPIES = ("same bytes", "quality 50", "half size", "cut 5 %", "cut 10 %", "cut 10 % twice", "mirrored", "brighter")
PLANTED = 12  # of each kind


def cut(im, share, sides):
    w, h = im.size
    dx, dy = int(w * share), int(h * share)
    return im.crop((dx, dy, w - (dx if sides == 2 else 0), h - (dy if sides == 2 else 0)))


def plant(path, out, kind):
    if kind == "same bytes":
        shutil.copy(path, out)
        return
    im = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    quality = 90
    if kind == "quality 50":
        quality = 50
    elif kind == "half size":
        im = im.resize((max(1, im.width // 2), max(1, im.height // 2)), Image.BICUBIC)
    elif kind == "cut 5 %":
        im = cut(im, 0.05, 1)
    elif kind == "cut 10 %":
        im = cut(im, 0.10, 1)
    elif kind == "cut 10 % twice":
        im = cut(im, 0.10, 2)
    elif kind == "mirrored":
        im = ImageOps.mirror(im)
    elif kind == "brighter":
        im = Image.eval(im, lambda v: min(255, int(v * 1.3)))
    im.save(out, quality=quality)


def audit(build, folder, backbone, cache):
    program = os.path.join(build, "cli", "topwork")
    words = [program, "audit", folder, "-b", backbone, "--json", "-q", "--cache", cache]
    env = dict(os.environ, TOPWORK_BACKBONES=os.path.join(build, "backbones"))
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(words)}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def copy_set(data, name, folder):
    for label in sorted(os.listdir(os.path.join(data, name))):
        os.makedirs(os.path.join(folder, label))
        for file in sorted(os.listdir(os.path.join(data, name, label))):
            if file.lower().endswith((".jpg", ".jpeg")):
                shutil.copy(os.path.join(data, name, label, file), os.path.join(folder, label, file))


def files_of(folder):
    found = []
    for label in sorted(os.listdir(folder)):
        for file in sorted(os.listdir(os.path.join(folder, label))):
            try:
                with Image.open(os.path.join(folder, label, file)) as im:
                    if im.format == "JPEG":
                        found.append((label, file))
            except OSError:
                pass
    return found


def copies(args, name, backbone, seed, cache):
    """Recall by kind, and (right, all) pairs that were found."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        copy_set(args.data, name, folder)
        files = files_of(folder)
        rng.shuffle(files)
        origin = {}
        for k, kind in enumerate(COPIES):
            for label, file in files[k * PLANTED:(k + 1) * PLANTED]:
                new = f"zz_{k}_{file}"
                plant(os.path.join(folder, label, file), os.path.join(folder, label, new), kind)
                origin[new] = (kind, file)
        found = audit(args.build, folder, backbone, cache)["findings"]
    recall = dict.fromkeys(COPIES, 0)
    right = total = 0
    for f in found:
        if f["kind"] not in ("duplicate", "near-duplicate"):
            continue
        a, b = os.path.basename(f["path"]), os.path.basename(f["other"])
        total += 1
        if a in origin and origin[a][1] == b:
            recall[origin[a][0]] += 1
            right += 1
        elif b in origin and origin[b][1] == a:
            recall[origin[b][0]] += 1
            right += 1
        elif {a, b} in KNOWN or {origin.get(a, (0, a))[1], origin.get(b, (0, b))[1]} in KNOWN:
            right += 1
        elif args.verbose:
            print("  wrong:", a, b, f.get("similarity"))
    return recall, right, total


def labels(args, name, backbone, seed, cache):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        copy_set(args.data, name, folder)
        files = files_of(folder)
        classes = sorted(os.listdir(folder))
        wrong = set()
        for label, file in rng.sample(files, round(0.05 * len(files))):
            other = rng.choice([c for c in classes if c != label])
            os.rename(os.path.join(folder, label, file), os.path.join(folder, other, file))
            wrong.add(file)
        found = [os.path.basename(f["path"]) for f in audit(args.build, folder, backbone, cache)["findings"]
                 if f["kind"] == "label"]
    right = sum(f in wrong for f in found)
    first = sum(f in wrong for f in found[:len(wrong)])
    return right / len(wrong), right / max(1, len(found)), first / len(wrong)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("data", nargs="?", default=os.path.join(os.path.dirname(__file__), "../../../shared/data/photos"))
    p.add_argument("--backbone", default="sapling")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    sets = [s for s in ("catsdogs", "hymenoptera_train", "hymenoptera_val") if os.path.isdir(os.path.join(args.data, s))]
    if not sets:
        raise SystemExit(f"{args.data}: no photos")
    with tempfile.TemporaryDirectory() as cache:
        for backbone in args.backbone.split(","):
            print(f"\n{backbone}: copies found, of {PLANTED * args.seeds} planted of each kind")
            print(f"{'':18}" + "".join(f"{k:>16}" for k in COPIES) + f"{'precision':>12}")
            for name in sets:
                sums = dict.fromkeys(COPIES, 0)
                right = total = 0
                for seed in range(args.seeds):
                    recall, r, t = copies(args, name, backbone, seed, cache)
                    right, total = right + r, total + t
                    for k in COPIES:
                        sums[k] += recall[k]
                n = PLANTED * args.seeds
                print(f"{name:18}" + "".join(f"{sums[k] / n:>16.3f}" for k in COPIES) + f"{right / max(1, total):>12.3f}")
            print(f"\n{backbone}: 5 % of labels swapped")
            print(f"{'':18}{'recall':>10}{'precision':>12}{'recall of as many as were planted':>36}")
            for name in sets:
                rows = [labels(args, name, backbone, seed, cache) for seed in range(args.seeds)]
                mean = [sum(r[i] for r in rows) / len(rows) for i in range(3)]
                print(f"{name:18}{mean[0]:>10.3f}{mean[1]:>12.3f}{mean[2]:>36.3f}")


if __name__ == "__main__":
    main()
