#!/usr/bin/python3
"""Compares every head with scikit-learn's estimator of the same meaning, on features of real photos and on seeded ones.

    parity_heads.py BUILD       (uses BUILD/tests/learn/head-tool and BUILD/cli/topwork)

What must agree: predicted labels (or, where scikit-learn stops short of the optimum, test accuracy), and decision values within
what each solver's stopping rule leaves open; probabilities of calibrated heads against CalibratedClassifierCV(ensemble=False).
"""
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from head_tool import ask  # noqa: E402

DATA = os.environ.get("TOPWORK_DATA", os.path.join(os.path.dirname(__file__), "../../../shared/data"))
failures = 0


def say(ok, what, detail):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ": " + detail, flush=True)


def made(n, d, k, seed, spread=0.6):
    draw = np.random.RandomState(seed)
    y = draw.randint(0, k, n)
    y[:k] = np.arange(k)
    latent = draw.randn(n, 12) + spread * draw.randn(k, 12)[y]
    x = np.maximum(latent @ draw.randn(12, d) + 2 * draw.randn(n, d), 0)
    return x.astype(np.float32), y


def photos(build, folder, backbone="sapling"):
    with tempfile.TemporaryDirectory() as out:
        path = os.path.join(out, "x.npy")
        words = [os.path.join(build, "cli", "topwork"), "extract", os.path.join(DATA, "photos", folder),
                 "--backbone", backbone, "-o", path, "-q"]
        status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
        assert status in (0, 1), status  # 1: some file is no photo
        return np.load(path), np.load(os.path.join(out, "x.labels.npy")).astype(int)


def sets(build):
    for n, d, k in (200, 60, 3), (400, 1000, 4), (1500, 256, 10):
        x, y = made(n + 200, d, k, n)
        yield "made %d x %d, %d classes" % (n, d, k), x[:n], y[:n], x[n:], y[n:]
    if not os.path.isdir(os.path.join(DATA, "photos")):
        print("SKIPPED: no photos under", DATA)
        return
    x, y = photos(build, "catsdogs")
    yield "catsdogs, sapling", x[:800], y[:800], x[800:], y[800:]
    (x, y), (xt, yt) = photos(build, "hymenoptera_train"), photos(build, "hymenoptera_val")
    yield "hymenoptera, sapling", x, y, xt, yt


def two_columns(u):
    return np.stack([-u, u], 1) if u.ndim == 1 else u


# kind, our options, scikit-learn's estimator, largest relative difference of scores allowed (None: labels alone)
HEADS = [
    ("logistic-regression", {"C": 0.01}, LogisticRegression(C=0.01, tol=1e-8, max_iter=10000), 2e-3),
    ("logistic-regression", {"C": 0.05, "penalty": "l1"},
     LogisticRegression(C=0.05, penalty="l1", solver="saga", tol=1e-6, max_iter=3000, random_state=0), 3e-3),
    ("logistic-regression", {"C": 0.05, "penalty": "elasticnet", "l1_ratio": 0.3, "balanced": True},
     LogisticRegression(C=0.05, penalty="elasticnet", l1_ratio=0.3, solver="saga", tol=1e-6, max_iter=3000, random_state=0,
                        class_weight="balanced"), 3e-3),
    ("linear-svm", {"C": 1e-3}, LinearSVC(C=1e-3, tol=1e-8, max_iter=100000, random_state=0), 3e-3),
    ("linear-svm", {"C": 1e-3, "balanced": True},
     LinearSVC(C=1e-3, tol=1e-8, max_iter=100000, random_state=0, class_weight="balanced"), 3e-3),
    ("linear-svm", {"C": 1e-3, "loss": "hinge"},
     LinearSVC(C=1e-3, loss="hinge", tol=1e-8, max_iter=100000, random_state=0), 3e-3),
    ("svm-rbf", {}, SVC(), 3e-3),
    ("svm-rbf", {"C": 10, "gamma": 0.002, "balanced": True}, SVC(C=10, gamma=0.002, class_weight="balanced"), 3e-3),
    ("ridge", {}, RidgeClassifier(), 2e-3),
    ("ridge", {"alpha": 100, "balanced": True}, RidgeClassifier(alpha=100, class_weight="balanced"), 2e-3),
    ("knn", {}, KNeighborsClassifier(), 1e-12),
    ("knn", {"n_neighbors": 9, "weights": "distance"}, KNeighborsClassifier(9, weights="distance"), 1e-5),
    ("knn", {"n_neighbors": 7, "metric": "cosine"}, KNeighborsClassifier(7, metric="cosine"), 0.05),
    ("nearest-centroid", {}, NearestCentroid(), None),
    ("mlp", {"max_iter": 3, "seed": 7}, MLPClassifier(max_iter=3, random_state=7), 1e-5),
    ("mlp", {"hidden": [32, 16], "max_iter": 5, "early_stopping": True, "seed": 3},
     MLPClassifier((32, 16), max_iter=5, early_stopping=True, random_state=3), 1e-5),
    ("mlp", {"seed": 42}, MLPClassifier(random_state=42), 0.05),
]


def scores_of(model, x):
    if isinstance(model, MLPClassifier):  # logits, where ours are
        p = np.clip(model.predict_proba(x).astype(float), 1e-5, 1 - 1e-5)
        return two_columns(np.log(p[:, 1] / p[:, 0])) if p.shape[1] == 2 else np.log(p)
    if hasattr(model, "decision_function"):
        return two_columns(model.decision_function(x))
    return model.predict_proba(x) if hasattr(model, "predict_proba") else None


def check_heads(build, name, x, y, xt, yt):
    k = y.max() + 1
    z = StandardScaler().fit(x)
    for kind, options, estimator, tolerance in HEADS:
        ours = ask(build, x, y, xt, k, kind=kind, calibrate="none", **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = estimator.fit(z.transform(x), y)
        label = model.predict(z.transform(xt))
        theirs = scores_of(model, z.transform(xt))
        differ = int((label != ours.label).sum())
        detail = "accuracy %.4f / %.4f, %d labels differ" % ((ours.label == yt).mean(), (label == yt).mean(), differ)
        ok = differ <= 0.005 * len(yt)
        if tolerance is not None:
            own = ours.score
            if kind == "mlp":  # as scores_of() has it
                p = np.clip(ours.prob, 1e-5, 1 - 1e-5)
                own = two_columns(np.log(p[:, 1] / p[:, 0])) if k == 2 else np.log(p)
            apart = np.abs(theirs - own).max() / np.abs(theirs).max()
            detail += ", scores within %.1e of the largest" % apart
            ok &= apart <= tolerance
        say(ok and (ours.converged or kind == "mlp"), "%s %s, %s" % (kind, options, name), detail)


def check_calibration(build, name, x, y, xt):
    """Scores handed to both calibrators are the same up to the solver, so their curves are."""
    k = y.max() + 1
    folds = np.zeros(len(y), int)
    for f, (_, test) in enumerate(StratifiedKFold(5).split(x, y)):
        folds[test] = f
    for method, tolerance in ("sigmoid", 2e-3), ("isotonic", 0.03):
        ours = ask(build, x, y, xt, k, folds=folds, kind="linear-svm", C=1e-3, calibrate=method)
        base = make_pipeline(StandardScaler(), LinearSVC(C=1e-3, tol=1e-8, max_iter=100000, random_state=0))
        theirs = CalibratedClassifierCV(base, method=method, ensemble=False, cv=5).fit(x, y).predict_proba(xt)
        apart = np.abs(theirs - ours.prob)
        ok = np.quantile(apart, 0.99) <= tolerance and (theirs.argmax(1) == ours.label).mean() >= 0.99
        say(ok, "%s calibration of linear-svm, %s" % (method, name), "99 %% of probabilities within %.1e, most %.1e"
            % (np.quantile(apart, 0.99), apart.max()))


def check_steps(build, name, x, y, xt, yt):
    k = y.max() + 1
    ours = ask(build, x, y, xt, k, kind="logistic-regression", C=1, normalise=True)
    pipe = make_pipeline(StandardScaler(), Normalizer(), LogisticRegression(C=1, tol=1e-8, max_iter=10000)).fit(x, y)
    apart = np.abs(pipe.predict_proba(xt) - ours.prob).max()
    say(apart < 2e-3, "standardise, normalise, " + name, "probabilities within %.1e" % apart)
    ours = ask(build, x, y, xt, k, kind="knn", no_standardise=True)
    same = (KNeighborsClassifier().fit(x, y).predict(xt) == ours.label).mean()
    say(same >= 0.995, "knn without standardising, " + name, "%.4f of the labels equal" % same)


def main():
    build = sys.argv[1]
    for name, x, y, xt, yt in sets(build):
        check_heads(build, name, x, y, xt, yt)
        check_calibration(build, name, x, y, xt)
        check_steps(build, name, x, y, xt, yt)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
