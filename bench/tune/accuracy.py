#!/usr/bin/python3
"""What fine-tuning gains: test accuracy of a head alone and of the fine-tuned network, mean over seeds.

    bench/tune/accuracy.py BUILD [--backbones sapling ...] [--sets hymenoptera catsdogs digits] [--seeds 1 2 3] [--torch]
                           [--results FILE] [-- OPTION ...]

hymenoptera: trained on four fifths of hymenoptera_train, as the seed draws them, measured on the 153 photos of hymenoptera_val; catsdogs and digits: measured on the fifth
that the seed holds back. digits: the first 50 of each class of scikit-learn's load_digits, as PNGs of 64 x 64. "head": topwork train; "fine-tuned":
topwork finetune with its defaults, and with OPTIONs. Both choose on folds or a validation part of the training photos; the measured photos are looked
at once. --torch: PyTorch by finetune's default schedule as well (torch_schedule.py); OPTIONs do not reach it. A backbone is a name or a file.
--results: each run is appended to FILE as a line of JSON when it ends, and not made again when it stands there: a long table in pieces.
Photos: $TOPWORK_DATA (default ../shared/data).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("TOPWORK_DATA") or os.path.join(HERE, "../../../shared/data")
SETS = {"hymenoptera": ("hymenoptera_train", "hymenoptera_val"), "catsdogs": ("catsdogs", None), "digits": (None, None)}
DIGITS_EACH = 50


# ---- sets and rows, for torch_schedule.py too -----------------------------------------------------------------------

def write_digits(folder):
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits
    images, labels = load_digits(return_X_y=True)
    for c in range(10):
        os.makedirs(os.path.join(folder, str(c)))
        for i, pixels in enumerate(images[labels == c][:DIGITS_EACH]):
            picture = Image.fromarray(np.minimum(pixels.reshape(8, 8) * 16, 255).astype(np.uint8))
            picture.resize((64, 64), Image.BICUBIC).convert("RGB").save(os.path.join(folder, str(c), "%02d.png" % i))


def folders(name, scratch):
    """(photos, photos to measure on or None) of a set; made ones lie in scratch."""
    photos, other = SETS[name]
    if name == "digits":
        made = os.path.join(scratch, "digits")
        if not os.path.exists(made):
            write_digits(made)
        return made, None
    return os.path.join(DATA, "photos", photos), other and os.path.join(DATA, "photos", other)


def row_key(by, name, backbone, seed, options):
    """What tells a row of results from others."""
    return {"by": by, "set": name, "backbone": os.path.basename(backbone).removesuffix(".tw"), "seed": seed, "options": options}


def found(results, key):
    """The row of results (a file, or None) that has this key, or None."""
    if not results or not os.path.exists(results):
        return None
    with open(results, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f if line.strip()]
    return next((row for row in rows if all(row.get(k) == v for k, v in key.items())), None)


def keep(results, row):
    if results:
        with open(results, "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")


# ---- runs -----------------------------------------------------------------------------------------------------------

def topwork(args, *words):
    run = subprocess.run([os.path.join(args.build, "cli/topwork")] + list(words), capture_output=True, text=True)
    if run.returncode not in (0, 1):  # 1: some photos could not be read
        sys.exit(" ".join(words) + ": " + run.stderr)
    return json.loads(run.stdout)


def measured(args, command, backbone, photos, seed, options):
    folder, other = photos
    with tempfile.TemporaryDirectory() as scratch:
        model = os.path.join(scratch, "x.tw")
        start = time.monotonic()
        out = topwork(args, command, folder, "--backbone", backbone, "--seed", str(seed), "-o", model, "--json", "-q", *options)
        seconds = time.monotonic() - start
        if other:
            out = topwork(args, "evaluate", model, other, "--json", "-q")
        return out["accuracy"], round(seconds, 1)


def by_topwork(args, backbone, name, photos, seed, options):
    key = row_key("topwork", name, backbone, seed, options)
    row = found(args.results, key)
    if row is None:
        head, head_seconds = measured(args, "train", backbone, photos, seed, [])
        tuned, seconds = measured(args, "finetune", backbone, photos, seed, options)
        row = {**key, "head": head, "tuned": tuned, "head_seconds": head_seconds, "seconds": seconds}
        keep(args.results, row)
    return row


def by_torch(args, backbone, name, seed):
    """In a process of its own; it looks into and adds to the results itself."""
    path = backbone if "/" in backbone or backbone.endswith(".tw") else os.path.join(args.build, "backbones", backbone + ".tw")
    words = [sys.executable, os.path.join(HERE, "torch_schedule.py"), "--backbones", path, "--sets", name, "--seeds", str(seed)]
    run = subprocess.run(words + (["--results", args.results] if args.results else []), stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit("torch_schedule.py failed with %s" % path)
    return json.loads(run.stdout)


def shown(rows, column, seconds):
    values = [r[column] for r in rows]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return "%.4f ± %.4f (%s), %.0f s" % (statistics.mean(values), spread, ", ".join("%.3f" % v for v in values),
                                         statistics.mean(r[seconds] for r in rows))


def main():
    own = sys.argv[1:]
    options = own[own.index("--") + 1:] if "--" in own else []
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--backbones", nargs="+", default=["sapling"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--results")
    args = parser.parse_args(own[:own.index("--")] if "--" in own else own)
    print("| backbone | photos | head | fine-tuned |" + (" PyTorch |" if args.torch else ""))
    print("|---|---|--:|--:|" + ("--:|" if args.torch else ""))
    with tempfile.TemporaryDirectory() as scratch:
        for backbone in args.backbones:
            for name in args.sets:
                photos = folders(name, scratch)
                rows = [by_topwork(args, backbone, name, photos, seed, options) for seed in args.seeds]
                cells = [os.path.basename(backbone), name, shown(rows, "head", "head_seconds"), shown(rows, "tuned", "seconds")]
                if args.torch:
                    cells.append(shown([by_torch(args, backbone, name, seed) for seed in args.seeds], "tuned", "seconds"))
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
