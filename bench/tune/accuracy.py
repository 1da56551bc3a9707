#!/usr/bin/python3
"""What fine-tuning gains: test accuracy of a head alone and of the fine-tuned network, mean over seeds.

    bench/tune/accuracy.py BUILD [--backbones sapling ...] [--sets hymenoptera catsdogs] [--seeds 1 2 3] [-- OPTION ...]

hymenoptera: trained on hymenoptera_train, measured on the 153 photos of hymenoptera_val; catsdogs: measured on the fifth that the seed holds
back. "head": topwork train; "fine-tuned": topwork finetune with its defaults, and with OPTIONs. Both choose on folds or a validation part of
the training photos; the measured photos are looked at once. A backbone is a name or a file. Photos: $TOPWORK_DATA (default ../shared/data).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

DATA = os.environ.get("TOPWORK_DATA") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data")
SETS = {"hymenoptera": ("hymenoptera_train", "hymenoptera_val"), "catsdogs": ("catsdogs", None)}


def topwork(args, *words):
    run = subprocess.run([os.path.join(args.build, "cli/topwork")] + list(words), capture_output=True, text=True)
    if run.returncode not in (0, 1):  # 1: some photos could not be read
        sys.exit(" ".join(words) + ": " + run.stderr)
    return json.loads(run.stdout)


def measured(args, command, backbone, photos, other, seed, options):
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "x.tw")
        start = time.monotonic()
        out = topwork(args, command, os.path.join(DATA, "photos", photos), "--backbone", backbone, "--seed", str(seed), "-o", model, "--json", "-q",
                      *options)
        seconds = time.monotonic() - start
        if other:
            out = topwork(args, "evaluate", model, os.path.join(DATA, "photos", other), "--json", "-q")
        return out["accuracy"], seconds


def shown(pairs):
    values = [a for a, _ in pairs]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    return "%.4f ± %.4f (%s), %.0f s" % (statistics.mean(values), spread, ", ".join("%.3f" % v for v in values),
                                         statistics.mean(s for _, s in pairs))


def main():
    own = sys.argv[1:]
    options = own[own.index("--") + 1:] if "--" in own else []
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--backbones", nargs="+", default=["sapling"])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    args = parser.parse_args(own[:own.index("--")] if "--" in own else own)
    print("| backbone | photos | head | fine-tuned |\n|---|---|--:|--:|")
    for backbone in args.backbones:
        for name in args.sets:
            photos, other = SETS[name]
            head = [measured(args, "train", backbone, photos, other, seed, []) for seed in args.seeds]
            tuned = [measured(args, "finetune", backbone, photos, other, seed, options) for seed in args.seeds]
            print("| %s | %s | %s | %s |" % (os.path.basename(backbone), name, shown(head), shown(tuned)), flush=True)


if __name__ == "__main__":
    main()
