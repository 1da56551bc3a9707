#!/usr/bin/python3
"""Scaler and head beside scikit-learn (StandardScaler + LogisticRegression, defaults), in paired runs.

    head.py BUILD [--runs 5] [--rows 1600] [--features 25088] [--classes 2 10] [--threads 0] [--choose]

Features are seeded and shaped like those of a network's last layer after its ReLU: a low-rank part that carries the class,
noise, about half zeros, scales spread over two decades. Each run times scikit-learn and then topwork, in one process
each, both warm; the table gives medians, and the median of the runs' ratios. Quality is the objective above its optimum,
relative, for both; the optimum comes from a long L-BFGS run in double on an orthonormal basis of the rows' span.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time
import warnings

import numpy as np
from scipy.optimize import fmin_l_bfgs_b
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

GRID = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]


def features(n, d, k, seed=1):
    draw = np.random.RandomState(seed)
    basis = draw.randn(64, d).astype(np.float32)
    latent = draw.randn(n, 64).astype(np.float32) * np.float32(0.35)
    y = draw.randint(0, k, n)
    x = (latent + draw.randn(k, 64).astype(np.float32)[y] * np.float32(0.25)) @ basis
    x += draw.randn(n, d).astype(np.float32) * 2 - 1
    np.maximum(x, 0, out=x)
    x *= np.exp(draw.randn(d)).astype(np.float32)
    return np.ascontiguousarray(x), y.astype(np.uint32)


class Ours:
    def __init__(self, build, x, y, k, threads):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "x")
        with open(path, "wb") as f:
            f.write(x.tobytes())
            f.write(y.tobytes())
        program = os.path.join(build, "bench", "head", "head-bench")
        words = [program, path, *map(str, x.shape), str(k), str(threads)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.shape, self.k = x.shape, k

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def model(self):
        path = os.path.join(self.folder.name, "model")
        self.ask("save " + path)
        values = np.fromfile(path)
        rows = 1 if self.k == 2 else self.k
        return values[:-rows].reshape(rows, -1), values[-rows:]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def loss_of(u, y, k):
    """Loss and residuals of scores u [n, rows]."""
    if k == 2:
        u = np.hstack([np.zeros_like(u), u])
    top = u.max(1, keepdims=True)
    e = np.exp(u - top)
    total = e.sum(1, keepdims=True)
    residual = e / total
    residual[np.arange(len(y)), y] -= 1
    loss = (np.log(total) + top)[:, 0].sum() - u[np.arange(len(y)), y].sum()
    return loss, residual[:, 1:] if k == 2 else residual


def optimum(z, y, k):
    """The least objective at C = 1. Features here: the rows in their own span, so n of them."""
    values, vectors = np.linalg.eigh(z @ z.T)
    f = vectors * np.sqrt(np.maximum(values, 0))
    rows, n = (1 if k == 2 else k), len(y)
    unit = 16.0  # of the intercept: scales its curvature up to the weights'

    def evaluate(v):
        w, b = v[: rows * n].reshape(rows, n), v[rows * n :] * unit
        loss, r = loss_of(f @ w.T + b, y, k)
        return loss + 0.5 * (w * w).sum(), np.r_[(r.T @ f + w).ravel(), r.sum(0) * unit]

    v = np.zeros(rows * (n + 1))
    for _ in range(3):  # again from where rounding stopped it
        v, value, _ = fmin_l_bfgs_b(evaluate, v, m=30, pgtol=1e-11, factr=0, maxiter=3000, maxfun=4000)
    return value


def gap(z, y, k, coef, intercept, best):
    value = loss_of(z @ coef.T + intercept, y, k)[0] + 0.5 * (coef ** 2).sum()
    return (value - best) / best


def time_theirs(x, y):
    start = time.perf_counter()
    scaler = StandardScaler()
    z = scaler.fit_transform(x)
    middle = time.perf_counter()
    model = LogisticRegression().fit(z, y)
    return middle - start, time.perf_counter() - middle, model


def row(name, scaler, fit, quality, notes):
    print(f"  {name:14} {1e3 * scaler:9.1f} {1e3 * fit:9.1f} {1e3 * (scaler + fit):9.1f}   {quality:9.1e}   {notes}")


def bench(args, k):
    x, y = features(args.rows, args.features, k)
    ours = Ours(args.build, x, y, k, args.threads)
    ours.ask("fit"), time_theirs(x, y)
    theirs_times, ours_times, ratios = [], [], []
    reads, multiplies = [], []
    for _ in range(args.runs):
        a, b, model = time_theirs(x, y)
        scaler, fit, iterations, traffic, _ = ours.ask("fit")
        theirs_times.append((a, b))
        ours_times.append((float(scaler), float(fit)))
        ratios.append((a + b) / (float(scaler) + float(fit)))
        reads.append(float(ours.ask("read")[0]))
        multiplies.append(float(ours.ask("multiply")[0]))
    z = StandardScaler().fit_transform(x).astype(np.float64)
    best = optimum(z, y, k)
    middle = [[statistics.median(t[i] for t in times) for i in (0, 1)] for times in (theirs_times, ours_times)]
    n, d = x.shape
    print(f"\n{n} x {d} float32, {k} classes, C = 1, {args.runs} paired runs")
    print("                 scaler ms    fit ms    sum ms         gap   (gap: relative, above the optimum)")
    row("scikit-learn", *middle[0], gap(z, y, k, model.coef_, model.intercept_, best), f"{model.n_iter_.max()} iterations")
    row("topwork", *middle[1], gap(z, y, k, *ours.model(), best), f"{iterations} iterations, {float(traffic) / (4 * x.size):.1f} readings of the matrix")
    print(f"  ratio {statistics.median(ratios):.1f} x (runs: {', '.join(f'{r:.1f}' for r in ratios)})")
    gram = float(traffic) < 2 * x.size * int(iterations)  # iterations that did not read the matrix
    limit(n, d, float(traffic) / (4 * x.size), gram, max(reads), max(multiplies), sum(middle[1]))
    if args.choose:
        choose(ours, x, y, k)
    ours.close()


def limit(n, d, readings, gram, read, multiply, seconds):
    """Bytes and operations of the way taken, at what this machine was seen to do at best in these runs."""
    size = 4e-9 * n * d
    bytes_ms = (readings + 1) * size / read * 1e3
    flops = n * (n + 1) * d * 1e-9 if gram else 0.0
    flops_ms = flops / multiply * 1e3
    least = bytes_ms + flops_ms
    print(f"  limit {least:.0f} ms: {readings + 1:.1f} readings x {size * 1e3:.0f} MB at {read:.1f} GB/s = {bytes_ms:.0f} ms"
          + (f", Gram matrix {flops:.0f} GFLOP at {multiply:.0f} GFLOP/s = {flops_ms:.0f} ms" if gram else "")
          + f"; reached {100 * least / (1e3 * seconds):.0f} %. Reading the matrix twice, the least any way needs: "
          f"{2 * size / read * 1e3:.0f} ms")


def choose(ours, x, y, k):
    seconds, C = ours.ask("choose")
    start = time.perf_counter()
    folds = PredefinedSplit(np.arange(len(y)) % 5)
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": GRID},
                          cv=folds, refit=False).fit(x, y)
    theirs = time.perf_counter() - start
    print(f"  choice of C, 5 folds x {len(GRID)} values: scikit-learn {theirs:.1f} s (C = "
          f"{search.best_params_['logisticregression__C']:g}), topwork {float(seconds):.2f} s (C = {C}): "
          f"{theirs / float(seconds):.0f} x")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--features", type=int, default=25088)
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 10])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for k in args.classes:
        bench(args, k)


if __name__ == "__main__":
    main()
