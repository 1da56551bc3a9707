#!/usr/bin/python3
"""What fine-tuning gains: test accuracy of a head alone and of the fine-tuned network, mean over seeds.

    bench/tune/accuracy.py BUILD [--backbones sapling ...] [--sets hymenoptera digits catsdogs] [--seeds 1 2 3]
                           [--torch | --columns head tuned torch nothing nothing_torch] [--results FILE] [-- OPTION ...]

hymenoptera: trained on four fifths of hymenoptera_train, measured on the 153 photos of hymenoptera_val; catsdogs and digits: measured on the
fifth that the seed holds back. digits: the first 50 of each class of scikit-learn's load_digits(), enlarged to 64 x 64.
"head": topwork train; "fine-tuned": topwork finetune with its defaults, and with OPTIONs; "PyTorch" (--torch): torch_schedule.py, which does
the same by its means. All choose on folds or a validation part of the training photos; the measured photos are looked at once.
"nothing": topwork pretrain with its defaults, from random weights of the architecture that --backbones names, at 128 x 128; "nothing_torch":
torch_schedule.py from the same weights. Both are measured on the fifth that the seed holds back, of hymenoptera_train too.
A backbone is a name, looked for in backbones/, or a .tw file. Photos: $TOPWORK_DATA (default ../shared/data).
--results: a line of JSON is added for each run, and what FILE already has is not run again, so that a long table can be made in pieces.
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
SETS = {"hymenoptera": ("hymenoptera_train", "hymenoptera_val"), "digits": None, "catsdogs": ("catsdogs", None)}
COLUMNS = {"head": "head", "tuned": "fine-tuned", "torch": "PyTorch, fine-tuned", "nothing": "from nothing", "nothing_torch": "PyTorch, from nothing"}
SIDE = "128"  # of pictures, from nothing: what the default backbone takes


def draw_digits(folder):
    """500 pictures in ten folders, 0 to 9."""
    from PIL import Image
    from sklearn.datasets import load_digits
    digits = load_digits()
    for c in range(10):
        os.makedirs(os.path.join(folder, str(c)))
        for n, image in enumerate(digits.images[digits.target == c][:50]):
            grey = Image.fromarray((image * 16).clip(0, 255).astype("uint8"))
            grey.resize((64, 64), Image.BICUBIC).convert("RGB").save(os.path.join(folder, str(c), "%02d.png" % n))


def topwork(args, *words):
    run = subprocess.run([os.path.join(args.build, "cli/topwork")] + list(words), capture_output=True, text=True)
    if run.returncode not in (0, 1):  # 1: some photos could not be read
        sys.exit(" ".join(words) + ": " + run.stderr)
    return json.loads(run.stdout)


def by_topwork(args, command, backbone, photos, seed, options):
    folder, other = photos
    with tempfile.TemporaryDirectory() as temporary:
        model = os.path.join(temporary, "x.tw")
        start = time.monotonic()
        out = topwork(args, command, folder, "--backbone", backbone, "--seed", str(seed), "-o", model, "--json", "-q", *options)
        seconds = time.monotonic() - start
        if other:
            out = topwork(args, "evaluate", model, other, "--json", "-q")
        return {"accuracy": out["accuracy"], "seconds": seconds}


def from_nothing(args, arch, folder, seed):
    with tempfile.TemporaryDirectory() as temporary:
        start = time.monotonic()
        out = topwork(args, "pretrain", folder, "--arch", arch, "--size", SIDE, "--seed", str(seed), "-o", os.path.join(temporary, "x.tw"),
                      "--json", "-q")
        return {"accuracy": out["test_accuracy"], "epoch": out["epoch"], "seconds": time.monotonic() - start}


def from_nothing_by_torch(args, arch, folder, seed):
    with tempfile.TemporaryDirectory() as temporary:
        drawn = os.path.join(temporary, "x.tw")
        classes = sum(entry.is_dir() for entry in os.scandir(folder))
        subprocess.run([os.path.join(args.build, "import/topwork-import"), "--random", str(seed), "--arch", arch, "--size", SIDE,
                        "--classes", str(classes), "-o", drawn], check=True, stdout=subprocess.DEVNULL)
        return by_torch(drawn, [folder, None], seed, ["--from-nothing"])


def by_torch(backbone, photos, seed, more=()):
    """In a process of its own, so that threads and memory are its own."""
    folder, other = photos
    path = backbone if os.path.sep in backbone or backbone.endswith(".tw") else os.path.join(HERE, "../../backbones", backbone + ".tw")
    words = [sys.executable, os.path.join(HERE, "torch_schedule.py"), path, folder, "--seed", str(seed), *more]
    run = subprocess.run(words + (["--test", other] if other else []), capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
    if run.returncode:
        sys.exit(" ".join(words) + ": " + run.stderr)
    return json.loads(run.stdout)


def measured(args, column, backbone, photos, seed, options):
    if column == "torch":
        return by_torch(backbone, photos, seed)
    if column in ("nothing", "nothing_torch"):
        return (from_nothing if column == "nothing" else from_nothing_by_torch)(args, backbone, photos[0], seed)
    return by_topwork(args, {"head": "train", "tuned": "finetune"}[column], backbone, photos, seed, options if column == "tuned" else [])


def key_of(row):
    return tuple(row[word] for word in ("set", "backbone", "column", "seed")) + tuple(row["options"])


def earlier(path):
    """{key: row} of what the file has."""
    if not path or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {key_of(row): row for row in rows}


def shown(rows):
    values = [row["accuracy"] for row in rows]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return "%.4f ± %.4f (%s), %.0f s" % (statistics.mean(values), spread, ", ".join("%.3f" % v for v in values),
                                         statistics.mean(row["seconds"] for row in rows))


def cell(args, known, column, backbone, name, photos, options):
    rows = []
    for seed in args.seeds:
        row = {"set": name, "backbone": os.path.basename(backbone).replace(".tw", ""), "column": column, "seed": seed,
               "options": options if column == "tuned" else []}
        if key_of(row) not in known:
            row = {**measured(args, column, backbone, photos, seed, options), **row}
            known[key_of(row)] = row
            if args.results:
                with open(args.results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        rows.append(known[key_of(row)])
    return shown(rows)


def table(args, drawn, options):
    known = earlier(args.results)
    print("| backbone | photos | %s |\n|---|---|%s" % (" | ".join(COLUMNS[c] for c in args.columns), "--:|" * len(args.columns)), flush=True)
    for name in args.sets:
        photos = [drawn, None] if SETS[name] is None else [p and os.path.join(DATA, "photos", p) for p in SETS[name]]
        for backbone in args.backbones:
            cells = [cell(args, known, column, backbone, name, photos, options) for column in args.columns]
            print("| %s | %s | %s |" % (os.path.basename(backbone), name, " | ".join(cells)), flush=True)


def main():
    own = sys.argv[1:]
    options = own[own.index("--") + 1:] if "--" in own else []
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--backbones", nargs="+", default=["sapling"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--columns", nargs="+", default=["head", "tuned"], choices=list(COLUMNS))
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--results", metavar="FILE")
    args = parser.parse_args(own[:own.index("--")] if "--" in own else own)
    if args.torch and "torch" not in args.columns:
        args.columns.append("torch")
    with tempfile.TemporaryDirectory() as folder:
        drawn = os.path.join(folder, "digits")
        if "digits" in args.sets:
            draw_digits(drawn)
        table(args, drawn, options)


if __name__ == "__main__":
    main()
