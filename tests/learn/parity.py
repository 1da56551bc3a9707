#!/usr/bin/python3
"""Compares scaler, logistic regression, prediction and metrics with scikit-learn, on seeded samples.

    parity.py BUILD        (uses BUILD/tests/learn/learn-tool)

Scaler statistics and transformed values must be equal to the bit. The fit's objective, evaluated here in double, may
lie at most 1e-6 above the optimum, which make_golden.py's Newton finds where that is affordable and a long L-BFGS run
elsewhere. Labels and metrics must be equal, given our coefficients and given scikit-learn's own at the optimum.
"""
import os
import struct
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_golden import optimum, weights_of  # noqa: E402


class Answer:
    def __init__(self, data, n, d, k, m):
        self.data, self.at = data, 0
        rows = 1 if k == 2 else k
        self.mean, self.var, self.scale = (self.take(d) for _ in range(3))
        self.z = self.take(n * d, np.float32).reshape(n, d)
        self.objective, self.gradient, self.iterations, self.converged = self.take(4)
        self.coef = self.take(rows * d).reshape(rows, d)
        self.intercept = self.take(rows)
        self.decision = self.take(m * rows).reshape(m, rows)
        self.prob = self.take(m * k).reshape(m, k)
        self.label = self.take(m).astype(int)
        self.confusion = self.take(k * k).astype(int).reshape(k, k)
        self.scores = self.take(k * 4).reshape(k, 4)
        self.top = int(self.take(1)[0])
        assert self.at == len(data)

    def take(self, count, dtype=np.float64):
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values


def ask(tool, x, y, k, m, C=1.0, balanced=False, tol=1e-4, max_iter=1000, top=2):
    n, d = x.shape[0] - m, x.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        a, b = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(a, "wb") as f:
            f.write(struct.pack("<7Q2d", n, d, k, max_iter, balanced, m, top, C, tol))
            f.write(np.ascontiguousarray(x, np.float32).tobytes() + y.astype(np.uint32).tobytes())
        subprocess.run([tool, a, b], check=True)
        with open(b, "rb") as f:
            return Answer(f.read(), n, d, k, m)


def objective(z, y, k, C, balanced, coef, intercept):
    u = z.astype(np.float64) @ coef.T + intercept
    if k == 2:
        u = np.hstack([np.zeros_like(u), u])
    top = u.max(1)
    loss = np.log(np.exp(u - top[:, None]).sum(1)) + top - u[np.arange(len(y)), y]
    return loss @ weights_of(y, k, balanced)[y] + (coef ** 2).sum() / (2 * C)


def made(n, d, k, seed, kind):
    draw = np.random.RandomState(seed)
    y = draw.randint(0, k, n)
    y[:k] = np.arange(k)
    latent = draw.randn(n, 8) + 0.8 * draw.randn(k, 8)[y]
    x = latent @ draw.randn(8, d) + 2 * draw.randn(n, d)
    if kind == "sparse":  # as features after a ReLU: many zeros, some columns nearly or wholly dead
        x = np.maximum(x - 2, 0) * (draw.random_sample(d) > 0.1)
        x[: n // 2, : d // 8] = 0
    if kind == "offset":  # means far above the spread
        x = x + 1000 * draw.random_sample(d)
    if kind == "scales":
        x = x * 10.0 ** draw.uniform(-6, 6, d)
    return np.ascontiguousarray(x, np.float32), y


def reduced(z):
    """An orthonormal basis of the rows' span, and the rows in it: the same problem in n dimensions."""
    z = z.astype(np.float64)
    if z.shape[0] >= z.shape[1]:
        return z, np.eye(z.shape[1])
    values, vectors = np.linalg.eigh(z @ z.T)
    keep = values > 1e-9 * values[-1]
    basis = z.T @ (vectors[:, keep] / np.sqrt(values[keep]))
    return z @ basis, basis


def check(name, tool, x, y, k, m, C=1.0, balanced=False, newton=True):
    n = len(y) - m
    ours = ask(tool, x, y, k, m, C, balanced)
    scaler = StandardScaler().fit(x[:n])
    z = scaler.transform(x[:n])
    for field, theirs in (("mean", scaler.mean_), ("var", scaler.var_), ("scale", scaler.scale_)):
        assert np.array_equal(getattr(ours, field), theirs), f"{name}: {field} differs"
    assert z.dtype == np.float32 and np.array_equal(ours.z, z), f"{name}: transform differs"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weight = "balanced" if balanced else None
        theirs = LogisticRegression(C=C, class_weight=weight).fit(z, y[:n])
        exact = LogisticRegression(C=C, class_weight=weight, tol=1e-9, max_iter=20000)
        f, basis = reduced(z)
        exact.fit(f, y[:n])
        exact.coef_, exact.n_features_in_ = exact.coef_ @ basis.T, z.shape[1]
    value = objective(z, y[:n], k, C, balanced, ours.coef, ours.intercept)
    best = objective(z, y[:n], k, C, balanced, exact.coef_, exact.intercept_)
    if newton:
        best = min(best, optimum(x[:n], y[:n], k, C, balanced)[0])
    gap = (value - best) / best
    other = (objective(z, y[:n], k, C, balanced, theirs.coef_, theirs.intercept_) - best) / best
    assert gap <= 1e-6, f"{name}: gap {gap}"
    assert ours.converged

    # Prediction and metrics: on our coefficients, scikit-learn's arithmetic; labels also against its optimum.
    zt, truth = scaler.transform(x[n:]), y[n:]
    theirs.coef_, theirs.intercept_ = ours.coef, ours.intercept
    score = theirs.decision_function(zt).reshape(m, -1)
    assert np.abs(score - ours.decision).max() <= 1e-9 * (1 + np.abs(score).max()), f"{name}: decision differs"
    prob = np.c_[1 - expit(score), expit(score)] if k == 2 else softmax(score, axis=1)
    assert np.abs(prob - ours.prob).max() < 1e-12, f"{name}: probabilities differ"
    assert np.array_equal(theirs.predict(zt), ours.label), f"{name}: labels differ"
    differ = int((exact.predict(zt) != ours.label).sum())
    assert np.array_equal(confusion_matrix(truth, ours.label, labels=range(k)), ours.confusion)
    scores = np.array(precision_recall_fscore_support(truth, ours.label, labels=range(k), zero_division=0)).T
    assert np.abs(scores - ours.scores).max() < 1e-15, f"{name}: scores differ"
    if k > 2:
        assert top_k_accuracy_score(truth, ours.prob, k=2, labels=range(k), normalize=False) == ours.top
    print(f"{name:34} gap {gap:9.1e} (scikit-learn's default {other:8.1e})  {int(ours.iterations):4} iterations, "
          f"labels unlike the optimum's: {differ} of {m}")
    assert differ == 0, f"{name}: labels differ from the optimum's"


def main():
    tool = os.path.join(sys.argv[1], "tests", "learn", "learn-tool")
    kinds = ("plain", "sparse", "offset", "scales")
    shapes = ((200, 10, 2, 60, 1.0), (300, 40, 5, 100, 0.1), (150, 400, 2, 50, 1.0), (120, 900, 4, 40, 10.0),
              (90, 3000, 10, 30, 1.0), (60, 700, 3, 20, 1e-3))
    for i, (n, d, k, m, C) in enumerate(shapes):
        for j, kind in enumerate(kinds):
            x, y = made(n + m, d, k, 100 * i + j, kind)
            check(f"{n} x {d}, {k} classes, {kind}", tool, x, y, k, m, C, balanced=(i + j) % 2 == 1)
    for k in (2, 3):  # large enough for the coarse start, and for the direct way with several classes
        x, y = made(2000, 7000, k, 50 + k, "sparse")
        check(f"1700 x 7000, {k} classes, sparse", tool, x, y, k, 300, newton=k == 2)
    print("parity: all equal")


if __name__ == "__main__":
    main()
