#!/usr/bin/python3
"""Compares PCA and row normalisation with scikit-learn, on features of real photos and on seeded ones.

    parity_pca.py BUILD       (uses BUILD/tests/learn/head-tool and BUILD/cli/topwork)

Against PCA(svd_solver='full') in float64: variances to 1e-9 of themselves, axes (signs included) to 1e-7 and the rounding
that the gap to the next variance lets through, projections to 1e-6 of the largest. Printed beside it: how far scikit-learn's
own float32 run, which is what it does with float32 features, is from its float64 one.
Pipelines StandardScaler, PCA, Normalizer, LogisticRegression must give the same labels.
"""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from head_tool import ask  # noqa: E402

DATA = os.environ.get("TOPWORK_DATA", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data"))
failures = 0


def say(ok, what, detail):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ": " + detail, flush=True)


def photos(build, folder, pooling):
    with tempfile.TemporaryDirectory() as out:
        path = os.path.join(out, "x.npy")
        words = [os.path.join(build, "cli", "topwork"), "extract", os.path.join(DATA, "photos", folder), "--pooling",
                 pooling, "-o", path, "-q"]
        status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
        assert status in (0, 1), status  # 1: some file is no photo
        return np.load(path), np.load(os.path.join(out, "x.labels.npy")).astype(int)


def sets(build):
    for n, d, k in (300, 500, 3), (700, 120, 5):
        draw = np.random.RandomState(n)
        y = draw.randint(0, k, n)
        x = (draw.randn(n, 20) + draw.randn(k, 20)[y]) @ draw.randn(20, d) + draw.randn(n, d)
        yield "made %d x %d" % (n, d), x.astype(np.float32), y
    if not os.path.isdir(os.path.join(DATA, "photos")):
        print("SKIPPED: no photos under", DATA)
        return
    for folder in "catsdogs", "hymenoptera_train":
        for pooling in "avg", "none":
            x, y = photos(build, folder, pooling)
            yield "%s, sapling, pooling %s, %d x %d" % (folder, pooling, *x.shape), x, y


def separate(variance, p):
    """How far each of the first p variances is from its neighbours, as a share of the first."""
    gap = np.abs(np.diff(variance))
    gap = np.append(gap, variance[-1])
    return np.minimum(gap[:p], np.append(np.inf, gap)[:p]) / variance[0]


def check_components(build, name, x, y, p):
    ours = ask(build, x, y, x[:1], y.max() + 1, kind="nearest-centroid", pca=p, no_standardise=True, calibrate="none")
    axes = ours.tensors["pca.components"].reshape(p, -1)
    full = PCA(svd_solver="full").fit(x.astype(np.float64))
    start = time.time()
    half = PCA(p, svd_solver="full").fit(x)
    seconds = time.time() - start
    variance = np.abs(ours.tensors["pca.variance"] / full.explained_variance_[:p] - 1).max()
    gap = separate(full.explained_variance_, p)
    clear = gap > 1e-7
    apart = np.abs(axes - full.components_[:p]).max(1)
    theirs = np.abs(half.components_ - full.components_[:p]).max(1)
    say(variance < 1e-9, "variance, " + name, "within %.1e of float64's" % variance)
    say((apart <= 1e-7 + 1e-14 / gap)[clear].all(), "axes, " + name, "%d of %d stand clear; within %.1e of float64's, where "
        "float32's are within %.1e" % (clear.sum(), p, apart[clear].max(), theirs[clear].max()))
    # where samples lie equally far on both sides the sign is nobody's
    scores = full.transform(x.astype(np.float64))[:, :p]
    far = np.maximum(scores.max(0), 0) - np.maximum(-scores.min(0), 0)
    signs = (np.sign((axes * full.components_[:p]).sum(1)) == 1) | (np.abs(far) < 1e-5 * np.abs(scores).max(0)) | ~clear
    say(signs.all(), "signs, " + name, "%d of %d as svd_flip has them" % (signs.sum(), p))
    z = (x.astype(np.float64) - ours.tensors["pca.mean"]) @ axes.T
    project = np.abs(np.abs(z) - np.abs(scores))[:, clear].max() / np.abs(scores).max()
    say(project < 1e-6, "projections, " + name, "within %.1e of the largest" % project)
    print("      scikit-learn %.3f s, PCA and nearest centroid %.3f s" % (seconds, ours.fit_seconds))


def check_pipeline(build, name, x, y, p):
    order = np.random.RandomState(0).permutation(len(y))
    train, test = order[: len(y) * 3 // 4], order[len(y) * 3 // 4:]
    ours = ask(build, x[train], y[train], x[test], y.max() + 1, kind="logistic-regression", C=1, pca=p, normalise=True)
    head = LogisticRegression(C=1, tol=1e-8, max_iter=10000)
    pipe = make_pipeline(StandardScaler(), PCA(p, svd_solver="full"), Normalizer(), head).fit(x[train], y[train])
    prob = pipe.predict_proba(x[test])
    apart, differ = np.abs(prob - ours.prob).max(), (prob.argmax(1) != ours.label).sum()
    say(differ <= 0.005 * len(test) and apart < 2e-3, "pipeline, " + name, "accuracy %.4f / %.4f, %d labels differ, "
        "probabilities within %.1e" % ((ours.label == y[test]).mean(), pipe.score(x[test], y[test]), differ, apart))


def main():
    build = sys.argv[1]
    for name, x, y in sets(build):
        check_components(build, name, x, y, min(64, len(x) - 1))
        check_pipeline(build, name, x, y, 32)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
