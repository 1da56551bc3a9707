#!/usr/bin/python3
"""reject.py BUILD [DATA] [--splits N] - train --reject and evaluate --unknown by the built program, on real photos.

Known photos are held out: hymenoptera_val for models trained on hymenoptera_train; a fifth of catsdogs, another one in
each split, for models trained on the rest. Unknown photos are the other set and imagenet_sample, less what shows a class
that is known. Then what it costs: bytes of the model file, and milliseconds from process start to one answer.
"""
import argparse
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
import time

DOGS, CATS, ARTHROPODS = range(151, 269), range(281, 286), [*range(69, 80), *range(118, 127), *range(300, 327)]


def link(folder, paths):
    os.makedirs(folder)
    for path in paths:
        os.symlink(os.path.abspath(path), os.path.join(folder, os.path.basename(path)))
    return folder


def files(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def split(folder, out, seed):
    """Links: four fifths of every class in out/train, the rest in out/test."""
    for name in sorted(os.listdir(folder)):
        paths = files(os.path.join(folder, name))
        random.Random(seed).shuffle(paths)
        held_out = len(paths) // 5
        link(os.path.join(out, "test", name), paths[:held_out])
        link(os.path.join(out, "train", name), paths[held_out:])
    return os.path.join(out, "train"), os.path.join(out, "test")


class Bench:
    def __init__(self, build, data, tmp):
        self.program, self.tmp = os.path.join(os.path.abspath(build), "cli", "topwork"), tmp
        self.env = dict(os.environ, TOPWORK_BACKBONES=os.path.join(os.path.abspath(build), "backbones"), XDG_CACHE_HOME=tmp)
        photos = os.path.join(data, "photos")
        self.train, self.val, self.pets = (os.path.join(photos, n) for n in ("hymenoptera_train", "hymenoptera_val", "catsdogs"))
        number = {p: int(re.search(r"(\d{3})_n\d{8}", p).group(1)) for p in files(os.path.join(photos, "imagenet_sample"))}
        self.not_pets = link(os.path.join(tmp, "not-pets"), [p for p in number if number[p] not in DOGS and number[p] not in CATS])
        self.not_bugs = link(os.path.join(tmp, "not-bugs"), [p for p in number if number[p] not in ARTHROPODS])
        self.squeezenet = os.path.join(tmp, "squeezenet1_1.tw")
        weights = os.path.join(data, "weights", "squeezenet1_1.safetensors")
        self.run("backbone", "import", weights, "--arch", "squeezenet1_1", "-o", self.squeezenet)

    def run(self, *words):
        child = subprocess.run([self.program, *words], env=self.env, capture_output=True, text=True, check=False)
        if child.returncode not in (0, 1):  # 1: a photo could not be read
            raise SystemExit(f"topwork {' '.join(words)}: status {child.returncode}: {child.stderr}")
        return child.stdout

    def row(self, backbone, title, sets, accept):
        """sets: (train, known, unknown) of each split; means over them."""
        found = []
        for train, known, unknown in sets:
            model = os.path.join(self.tmp, "m.tw")
            self.run("train", train, "-b", backbone, "-o", model, "-q", "--reject", "--accept", str(accept))
            r = json.loads(self.run("evaluate", model, known, "--unknown", unknown, "--json", "-q"))
            a, b = r["reject"], r["unknown"]
            found.append((a["n_accepted"] / r["n_test"], r["accuracy"], a["accuracy"], b["false_accept"],
                          b["false_accept_at_95"], b["auroc"]))
        mean = [statistics.mean(column) for column in zip(*found)]
        cells = " | ".join(f"{100 * v:.1f} %" for v in mean[:5])
        print(f"| {os.path.basename(backbone).removesuffix('.tw')} | {title} | {accept} | {cells} | {mean[5]:.3f} |", flush=True)

    def latency(self, models, photo):
        """Medians of 61 runs each, by turns."""
        times = {model: [] for model in models}
        for _ in range(61):
            for model, runs in times.items():
                start = time.perf_counter()
                self.run("predict", model, photo)
                runs.append(time.perf_counter() - start)
        return [1e3 * statistics.median(runs) for runs in times.values()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--splits", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="topwork-bench-") as tmp:
        bench = Bench(args.build, args.data, tmp)
        pets = [split(bench.pets, os.path.join(tmp, f"split{i}"), i) for i in range(args.splits)]
        bugs = (bench.train, bench.val)
        tasks = [("hymenoptera / cats, dogs", [(*bugs, bench.pets)]), ("hymenoptera / other things", [(*bugs, bench.not_bugs)]),
                 ("cats, dogs / hymenoptera", [(*p, bench.train) for p in pets]),
                 ("cats, dogs / other things", [(*p, bench.not_pets) for p in pets])]
        print("| backbone | trained on / unknown | `--accept` | known accepted | accuracy | accuracy of the accepted | "
              "unknown accepted | ... at 95 % | AUROC |\n|---|---|---|---|---|---|---|---|---|")
        for backbone in ("sapling", bench.squeezenet):
            for title, sets in tasks:
                for accept in (0.95, 0.8):
                    bench.row(backbone, title, sets, accept)
        model, plain = os.path.join(tmp, "r.tw"), os.path.join(tmp, "p.tw")
        bench.run("train", bench.pets, "-o", model, "-q", "--reject")
        bench.run("train", bench.pets, "-o", plain, "-q")
        photo = files(os.path.join(bench.pets, "cat"))[0]
        size = [os.path.getsize(p) for p in (plain, model)]
        took = bench.latency((plain, model), photo)
        print(f"\nmodel of 800 photos, without and with --reject: {size[0]:,} and {size[1]:,} bytes; "
              f"one photo, process start to answer: {took[0]:.1f} and {took[1]:.1f} ms")


main()
