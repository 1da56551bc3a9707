#!/usr/bin/python3
"""Writes rng_golden.h: what NumPy's RandomState gives. Made with NumPy 1.24.2."""
import numpy as np

SEEDS = [0, 1, 42, 12345, 2**32 - 1]


def fnv(values):
    sum_ = 0xcbf29ce484222325
    for v in values:
        for shift in (0, 8, 16, 24):
            sum_ = ((sum_ ^ (int(v) >> shift & 255)) * 0x100000001b3) % 2**64
    return f"0x{sum_:016x}u"


rows = []
for seed in SEEDS:
    words = np.random.RandomState(seed).randint(0, 2**32, 2000, dtype=np.uint32)
    doubles = np.random.RandomState(seed).random_sample(3)
    r = np.random.RandomState(seed)
    bounded = [r.randint(0, m + 1) for m in list(range(1, 300)) + [2**20, 2**31, 2**32 - 1]]
    r = np.random.RandomState(seed)
    shuffles = np.concatenate([r.permutation(n) for n in (1, 2, 10, 257, 1000, 5000)])
    rows.append("    {%du, {%s}, %s, {%s}, %s, %s}," % (
        seed, ", ".join(f"{w}u" for w in words[:4]), fnv(words), ", ".join(d.hex() for d in doubles),
        fnv(bounded), fnv(shuffles)))
with open("rng_golden.h", "w") as out:
    out.write("/* rng_golden.h - made by rng_golden.py with NumPy 1.24.2; see there.\n"
              " * seed, first words, sum of 2000 words, first doubles, sum of bounded draws, sum of\n"
              " * permutations */\n" + "\n".join(rows) + "\n")
