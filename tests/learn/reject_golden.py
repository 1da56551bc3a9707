#!/usr/bin/python3
"""Writes reject_golden.h: familiarities and thresholds by NumPy, areas by scikit-learn.

Made with scikit-learn 1.2.1 and NumPy 1.24.2. The rows are those of make_golden.py, the cosines in double of rows
whose values were rounded to halves once, as the model keeps them.
"""
import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from make_golden import synthetic


def unit(x):
    return (x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)


def familiarity(x, kept, itself):
    cosine = unit(x).astype(np.float64) @ kept.astype(np.float64).T
    if itself:
        np.fill_diagonal(cosine, -2)
    return np.sort(cosine, axis=1)[:, -min(5, len(kept) - 1) :].mean(1)


def table(name, values):
    rows = "".join(f"    {float(v).hex()},\n" for v in values)
    return f"static const double {name}[] = {{\n{rows}}};\n"


def main():
    out = "/* reject_golden.h - written by reject_golden.py: familiarities and areas the tests must reach. */\n"
    out += "#ifndef TW_TESTS_REJECT_GOLDEN_H\n#define TW_TESTS_REJECT_GOLDEN_H\n\n/* clang-format off */\n"
    for name, n, d, seed in (("many", 60, 33, 21), ("few", 4, 7, 22)):
        x, _ = synthetic(n, d, 3, seed, 2.0)
        asked, _ = synthetic(25, d, 3, seed + 10, 0.5)
        kept = unit(x).astype(np.float16).astype(np.float32)
        own = familiarity(x, kept, True)
        out += table(f"{name}_own", own) + table(f"{name}_asked", familiarity(asked, kept, False))
        rank = max(1, int(np.floor((n + 1) * 0.1 + 1e-9)))
        out += f"static const double {name}_threshold = {float(np.sort(own)[rank - 1]).hex()};\n"
        out += f"static const double {name}_expected = {float(1 - rank / (n + 1)).hex()};\n"
    draw = np.random.RandomState(3)
    known, unknown = np.sort(draw.randint(5, 12, 40)), np.sort(draw.randint(0, 10, 25))
    out += table("area_known", known) + table("area_unknown", unknown)
    truth = np.r_[np.ones(len(known)), np.zeros(len(unknown))]
    out += f"static const double area = {roc_auc_score(truth, np.r_[known, unknown]).hex()};\n"
    sys.stdout.write(out + "\n#endif\n")


main()
