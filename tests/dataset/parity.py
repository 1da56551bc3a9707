#!/usr/bin/python3
"""Compares our splits with scikit-learn's on random cases, bit for bit.

    parity.py PATH/OF/split-tool [--cases N] [--photos FOLDER ...] [--golden splits_golden.h]

With --golden it also writes the cases that the test without Python replays: inputs that the test can
make again by itself, and a 64-bit FNV-1a sum of the answer. Made with scikit-learn 1.2.1, NumPy 1.24.2.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.datasets import load_files
from sklearn.model_selection import (GroupKFold, GroupShuffleSplit, KFold, RepeatedKFold, RepeatedStratifiedKFold,
                                     StratifiedKFold, train_test_split)


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")


def made_labels(n, classes, salt):
    """Labels that the C test makes in the same way: a small linear congruential generator, skewed."""
    state, out = (salt * 2654435761 + 12345) % 2**32, []
    for _ in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        a = (state >> 8) % classes
        state = (state * 1664525 + 1013904223) % 2**32
        b = (state >> 8) % classes
        out.append(min(a, b) if salt % 2 else a)
    return np.array(out)


def fnv(values):
    sum_ = 0xcbf29ce484222325
    for v in values:
        for shift in (0, 8, 16, 24):
            sum_ = ((sum_ ^ (int(v) >> shift & 255)) * 0x100000001b3) % 2**64
    return sum_


def sk_split(n, test_size, seed, y):
    """(train, test), or None when scikit-learn refuses."""
    try:
        return train_test_split(np.arange(n), test_size=test_size, random_state=seed, stratify=y)
    except ValueError:
        return None


def sk_folds(n, folds, shuffle, seed, y):
    kind = KFold if y is None else StratifiedKFold
    try:
        splitter = kind(folds, shuffle=shuffle, random_state=seed if shuffle else None)
        out = np.zeros(n, dtype=int)
        for f, (_, test) in enumerate(splitter.split(np.zeros(n), y)):
            out[test] = f
        return out
    except ValueError:
        return None


def our_split(tool, n, test_size, seed, y):
    sizes = tool.ask("sizes", n, repr(float(test_size)))
    if sizes.startswith("error"):
        return None
    n_train, n_test = sizes.split()
    answer = tool.ask("split", seed, n_train, n_test, n, *([] if y is None else y))
    if answer.startswith("error"):
        return None
    return [np.array(part.split(), dtype=int) for part in answer.split("|")]


def our_folds(tool, n, folds, shuffle, seed, y):
    answer = tool.ask("folds", folds, int(shuffle), seed, n, *([] if y is None else y))
    return None if answer.startswith("error") else np.array(answer.split(), dtype=int)


def same(a, b):
    if a is None or b is None:
        return a is b
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


def case(rng, i):
    n = int(rng.integers(2, (12, 60, 400, 3000)[i % 4]))
    classes = int(rng.integers(1, (3, 5, 12, 40)[rng.integers(4)]))
    salt, seed = int(rng.integers(1000)), int(rng.choice([0, 1, 42, rng.integers(2**32)]))
    stratify = bool(rng.integers(4))
    test_size = float(np.round(rng.uniform(0.01, 0.99), 2)) if rng.integers(4) else int(rng.integers(1, n + 1))
    return n, classes, salt, seed, stratify, test_size, int(rng.integers(2, 12)), bool(rng.integers(2))


def files_differ(tool, path):
    """1 when our order or labels of the pictures in path are not load_files'."""
    sk = load_files(path, load_content=False)
    words = tool.ask("files", path).split("\t")[:-1]
    return int(words[1::2] != list(sk.filenames) or words[0::2] != [str(t) for t in sk.target])


def folders_differ(tool, rng):
    """Class folders with names drawn from letters whose order by locale is not that of their bytes."""
    letters = list("aZb_A0-19 .é😀zß")
    wrong = 0
    for _ in range(40):
        with tempfile.TemporaryDirectory() as root:
            for k in range(int(rng.integers(2, 9))):
                folder = os.path.join(root, "c" + "".join(rng.choice(letters, 3)))
                os.makedirs(folder, exist_ok=True)
                for _ in range(int(rng.integers(1, 40))):
                    with open(os.path.join(folder, "p" + "".join(rng.choice(letters, 4))), "wb") as out:
                        out.write(b"\xff\xd8\xff\xe0")
            if len(os.listdir(root)) > 1:
                wrong += files_differ(tool, root)
    return wrong


def grouped_differ(tool, rng, cases):
    """Repeated and grouped folds, and splits that keep groups apart."""
    wrong = 0
    for i in range(cases):
        n, folds, seed = int(rng.integers(12, (60, 600)[i % 2])), int(rng.integers(2, 6)), int(rng.integers(2**32))
        y = rng.integers(0, 2, n) if i % 3 else None
        kind = RepeatedKFold if y is None else RepeatedStratifiedKFold
        out = np.zeros((3, n), int)
        try:
            for f, (_, test) in enumerate(kind(n_splits=folds, n_repeats=3, random_state=seed).split(np.zeros(n), y)):
                out[f // folds, test] = f % folds
        except ValueError:
            out = None
        answer = tool.ask("again", folds, 3, seed, n, *([] if y is None else y))
        wrong += not same(None if out is None else out.ravel(),
                          None if answer.startswith("error") else np.array(answer.split(), int))
        groups = rng.integers(0, int(rng.integers(folds, 3 * n)), n) // int(rng.integers(1, 4))
        groups = np.unique(groups, return_inverse=True)[1]
        out = np.zeros(n, int)
        try:
            for f, (_, test) in enumerate(GroupKFold(folds).split(np.zeros(n), None, groups)):
                out[test] = f
        except ValueError:
            out = None
        answer = tool.ask("group", folds, n, *groups)
        wrong += not same(out, None if answer.startswith("error") else np.array(answer.split(), int))
        size = float(np.round(rng.uniform(0.05, 0.6), 2))
        try:
            split = next(GroupShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros(n), None, groups))
        except ValueError:
            split = None
        answer = tool.ask("apart", repr(size), seed, n, *groups)
        wrong += not same(split, None if answer.startswith("error") else
                          [np.array(part.split(), int) for part in answer.split("|")])
    print(f"{3 * cases} cases of repeated and grouped folds and splits, {wrong} different")
    return wrong


def main():
    args = argparse.ArgumentParser()
    args.add_argument("tool")
    args.add_argument("--cases", type=int, default=1200)
    args.add_argument("--golden")
    args.add_argument("--photos", nargs="*", default=[], help="class folders to compare with load_files")
    args = args.parse_args()
    warnings.simplefilter("ignore")
    tool, rng, rows, refused, wrong = Tool(args.tool), np.random.default_rng(7), [], 0, 0
    for i in range(args.cases):
        n, classes, salt, seed, stratify, test_size, folds, shuffle = case(rng, i)
        y = made_labels(n, classes, salt) if stratify else None
        split, fold = sk_split(n, test_size, seed, y), sk_folds(n, folds, shuffle, seed, y)
        refused += (split is None) + (fold is None)
        if not same(split, our_split(tool, n, test_size, seed, y)):
            wrong += 1
            print("DIFFERENT split:", n, classes, salt, seed, stratify, test_size)
        if not same(fold, our_folds(tool, n, folds, shuffle, seed, y)):
            wrong += 1
            print("DIFFERENT folds:", n, classes, salt, seed, stratify, folds, shuffle)
        if i < 160:
            words = [n, classes if stratify else 0, salt, f"{seed}u", repr(float(test_size))]
            words += [len(split[0]), f"0x{fnv(np.concatenate(split)):016x}u"] if split else [0, "0"]
            words += [folds, int(shuffle), "0" if fold is None else f"0x{fnv(fold):016x}u"]
            rows.append("    {" + ", ".join(str(w) for w in words) + "},")
    if args.golden:
        with open(args.golden, "w") as out:
            out.write("/* splits_golden.h - made by parity.py with scikit-learn 1.2.1; see there.\n"
                      " * n, classes (0: not stratified), salt, seed, test size, n_train (0: refused), sum,\n"
                      " * folds, shuffle, sum (0: refused) */\n" + "\n".join(rows) + "\n")
    orders = folders_differ(tool, rng) + sum(files_differ(tool, path) for path in args.photos)
    print(f"{40 + len(args.photos)} folders, {orders} in another order than load_files'")
    wrong += orders + grouped_differ(tool, rng, args.cases // 4)
    print(f"{2 * args.cases} cases, {refused} of them refused by both, {wrong} different")
    return wrong > 0


sys.exit(main())
