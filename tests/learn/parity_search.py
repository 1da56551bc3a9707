#!/usr/bin/python3
"""Compares `topwork compare` with scikit-learn's cross_val_score on the same split, folds and features of real photos.

    parity_search.py BUILD

The training part is train_test_split's, folds are StratifiedKFold's (and RepeatedStratifiedKFold's, GroupKFold's) for the same
seed, the scaler is fitted inside the folds. Means must agree to two photos of the whole training part: solvers stop at other
places.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (GroupKFold, GroupShuffleSplit, RepeatedStratifiedKFold, StratifiedKFold,
                                     cross_val_score, train_test_split)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

DATA = os.environ.get("TOPWORK_DATA", os.path.join(os.path.dirname(__file__), "../../../shared/data"))
PHOTOS = os.path.join(DATA, "photos", "catsdogs")
failures = 0


def topwork(build, *words):
    done = subprocess.run([os.path.join(build, "cli", "topwork"), *words, "-q"], stdout=subprocess.PIPE, check=True)
    return done.stdout


def estimator(row):
    head, C = row["head"], row.get("C")
    if head == "logistic-regression":
        return LogisticRegression(C=C, max_iter=5000)
    if head == "linear-svm":
        return LinearSVC(C=C, max_iter=20000, random_state=0)
    if head == "svm-rbf":
        return SVC(C=C, gamma=row.get("gamma", "scale"))
    if head == "ridge":
        return RidgeClassifier(row["alpha"])
    return KNeighborsClassifier(row["neighbors"])


def check(name, rows, x, y, folds, groups=None):
    global failures
    worst, apart = 0.0, 0
    for row in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(make_pipeline(StandardScaler(), estimator(row)), x, y, cv=folds, groups=groups)
        photo = 1.0 / (len(y) / row["folds"]) / row["folds"]  # one photo in one fold
        worst = max(worst, abs(scores.mean() - row["mean"]))
        apart += abs(scores.mean() - row["mean"]) > 2.5 * photo
    ok = apart == 0 and len(rows) > 0
    failures += not ok
    print("%s %s: %d settings, means within %.5f" % ("ok   " if ok else "FAIL ", name, len(rows), worst), flush=True)


def main():
    build = sys.argv[1]
    if not os.path.isdir(PHOTOS):
        print("SKIPPED: no photos under", DATA)
        return
    words = ["--head", "logistic-regression,linear-svm,svm-rbf,ridge,knn", "--C", "0.0001,0.001,0.01", "--alpha", "10,1000"]
    with tempfile.TemporaryDirectory() as folder:
        npy = os.path.join(folder, "x.npy")
        topwork(build, "extract", PHOTOS, "-o", npy)
        x, y = np.load(npy), np.load(os.path.join(folder, "x.labels.npy")).astype(int)
        with open(os.path.join(folder, "x.names.csv"), newline="") as f:
            paths = [row["path"] for row in csv.DictReader(f)]
        train, _ = train_test_split(np.arange(len(y)), test_size=0.2, random_state=42, stratify=y)
        rows = json.loads(topwork(build, "compare", PHOTOS, "--json", *words))["rows"]
        check("StratifiedKFold", rows, x[train], y[train], StratifiedKFold(5, shuffle=True, random_state=42))
        rows = json.loads(topwork(build, "compare", PHOTOS, "--json", "--repeats", "2", "--folds", "3", *words))["rows"]
        check("RepeatedStratifiedKFold", rows, x[train], y[train],
              RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=42))

        groups = np.arange(len(y)) * 7919 % 140
        names = np.array(["group %03d" % g for g in groups])
        manifest = os.path.join(folder, "set.csv")
        with open(manifest, "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["path", "label", "group"])
            for path, label, group in zip(paths, y, names):
                full = path if os.path.isabs(path) else os.path.join(PHOTOS, path)
                out.writerow([os.path.abspath(full if os.path.exists(full) else path), ["cat", "dog"][label], group])
        train, _ = next(GroupShuffleSplit(1, test_size=0.2, random_state=42).split(x, y, names))
        rows = json.loads(topwork(build, "compare", manifest, "--groups", "--json", *words))["rows"]
        check("GroupKFold", rows, x[train], y[train], GroupKFold(5), names[train])
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
