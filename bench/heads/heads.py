#!/usr/bin/python3
"""Every head beside scikit-learn's estimator of the same meaning: accuracy, decision values, time to fit.

    heads.py BUILD [--runs 3] [--threads 0] [--quick] [--features TEXT] [--head TEXT]     (BUILD with -Dtests=true; uses BUILD/tests/learn/head-tool)

Real features: sapling's and SqueezeNet 1.1's of catsdogs and hymenoptera, and of imagenet_sample in ten groups of classes, all of
shared photos. Made ones, marked so, are shaped like a network's (bench/head/head.py) for the sizes that the shared photos do not
reach: 1,600 x 25,088 and 10,000 x 256 in ten classes. Each run fits scikit-learn (StandardScaler and estimator, its own threads)
and then topwork, in turn; the table gives medians and the median of the runs' ratios. What is timed is steps and head, from a
matrix in memory. The difference of decision values is relative to the largest; "-" where the estimator has none, or where
scikit-learn stops short of the optimum (LogisticRegression and LinearSVC with default tolerances; saga after 100 epochs).
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../tests/learn"))
sys.path.insert(0, os.path.join(HERE, "../head"))
from head import features as made  # noqa: E402
from head_tool import ask  # noqa: E402

DATA = os.environ.get("TOPWORK_DATA", os.path.join(HERE, "../../../shared/data"))

HEADS = [
    ("logistic-regression", {"C": 0.01}, lambda: LogisticRegression(C=0.01, max_iter=1000)),
    ("logistic-regression", {"C": 0.05, "penalty": "l1"},
     lambda: LogisticRegression(C=0.05, penalty="l1", solver="saga", random_state=0)),
    ("linear-svm", {"C": 0.001}, lambda: LinearSVC(C=0.001, random_state=0)),
    ("linear-svm", {"C": 0.001, "loss": "hinge"}, lambda: LinearSVC(C=0.001, loss="hinge", random_state=0)),
    ("svm-rbf", {}, lambda: SVC()),
    ("mlp", {"seed": 42}, lambda: MLPClassifier(random_state=42)),
    ("ridge", {}, lambda: RidgeClassifier()),
    ("knn", {}, lambda: KNeighborsClassifier()),
    ("nearest-centroid", {}, lambda: NearestCentroid()),
]


def extract(build, photos, backbone, folder):
    path = os.path.join(folder, "x.npy")
    words = [os.path.join(build, "cli", "topwork"), "extract", os.path.join(DATA, "photos", photos), "-o", path, "-q", "-f",
             "--backbone", backbone]
    if photos == "imagenet_sample":
        words.append("--flat")
    assert subprocess.run(words, stdout=subprocess.DEVNULL).returncode in (0, 1)
    labels = os.path.join(folder, "x.labels.npy")
    x = np.load(path)
    if photos == "imagenet_sample":
        return x, np.arange(len(x)) * 10 // len(x)  # files in order of class: ten groups of neighbours
    return x, np.load(labels).astype(int)


def sets(build, folder, quick):
    squeezenet = os.path.join(folder, "squeezenet1_1.tw")
    subprocess.run([os.path.join(build, "cli", "topwork"), "backbone", "import",
                    os.path.join(DATA, "weights", "squeezenet1_1.safetensors"), "--arch", "squeezenet1_1", "-o", squeezenet],
                   check=True, stdout=subprocess.DEVNULL)
    for name, backbone in ("sapling", "sapling"), ("squeezenet", squeezenet):
        for photos in "hymenoptera_train", "imagenet_sample", "catsdogs":
            x, y = extract(build, photos, backbone, folder)
            yield (photos.replace("_train", "") + ", " + name,) + tuple(train_test_split(x, y, test_size=0.2, random_state=42,
                                                                                      stratify=y))
        if quick:
            return
    for n, d, k in (1600, 25088, 2), (1600, 25088, 10), (10000, 256, 10):
        x, y = made(n + 400, d, k)
        yield "made, %d x %d, %d classes" % (n, d, k), x[:n], x[n:], y[:n].astype(int), y[n:].astype(int)


def two_columns(u):
    return np.stack([-u, u], 1) if u.ndim == 1 else u


def measure(build, x, xt, y, yt, kind, options, estimator, runs, threads):
    k, theirs, ours = y.max() + 1, [], []
    runs = runs if x.size < 2e7 else min(runs, 3)
    for _ in range(runs):
        model = make_pipeline(StandardScaler(), estimator())
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        theirs.append(time.perf_counter() - start)
        answer = ask(build, x, y, xt, k, threads=threads, kind=kind, calibrate="none", **options)
        ours.append(answer.fit_seconds)
        if theirs[-1] > 60:
            break
    label = model.predict(xt)
    apart = "-"
    if kind in ("svm-rbf", "ridge", "knn"):
        scores = model.predict_proba(xt) if kind == "knn" else two_columns(model.decision_function(xt))
        apart = "%.0e" % (np.abs(scores - answer.score).max() / np.abs(scores).max())
    ratio = statistics.median(t / o for t, o in zip(theirs, ours))
    return (answer.label == yt).mean(), (label == yt).mean(), apart, statistics.median(ours), statistics.median(theirs), ratio


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build")
    args.add_argument("--runs", type=int, default=3)
    args.add_argument("--threads", type=int, default=0)
    args.add_argument("--quick", action="store_true")
    args.add_argument("--features", default="", help="only features whose name has this in it")
    args.add_argument("--head", default="", help="only heads whose name has this in it")
    args = args.parse_args()
    os.environ.setdefault("XDG_CACHE_HOME", tempfile.mkdtemp())
    print("%-28s %-28s %9s %9s %7s %9s %9s %7s" % ("features", "head", "accuracy", "sklearn", "apart", "fit", "sklearn", "ratio"))
    with tempfile.TemporaryDirectory() as folder:
        for name, x, xt, y, yt in sets(args.build, folder, args.quick):
            if args.features not in name:
                continue
            print("%s: %d x %d, %d classes" % (name, len(x), x.shape[1], y.max() + 1))
            for kind, options, estimator in HEADS:
                if args.head not in kind:
                    continue
                a, b, apart, ours, theirs, ratio = measure(args.build, x, xt, y, yt, kind, options, estimator, args.runs,
                                                           args.threads or None)
                shown = " ".join([kind] + [options[word] for word in ("loss", "penalty") if word in options])
                print("%-28s %-28s %9.4f %9.4f %7s %8.4fs %8.4fs %6.1fx" % ("", shown, a, b, apart, ours, theirs, ratio), flush=True)


if __name__ == "__main__":
    main()
