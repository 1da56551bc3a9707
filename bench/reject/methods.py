#!/usr/bin/python3
"""methods.py BUILD [DATA] [--seeds N] - which score tells photos of none of the classes from those of one?

Compares scores on features that the built program extracts, with a logistic regression as the head, over stratified
80/20 splits. Every score is fitted on the training part alone; known photos are the test part, unknown ones another set
of photos. Per task: AUROC, and the share of unknown photos accepted where 95 % of the known ones are (FPR95). The last
columns are the mean over tasks. docs/reject.md quotes the table.
"""
import argparse
import os
import re
import subprocess
import tempfile
import warnings

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore", ConvergenceWarning)

# ImageNet's own numbers: what of imagenet_sample shows a class that is known, and what is near to one.
DOGS, CATS = range(151, 269), range(281, 286)
MAMMALS = [*range(101, 107), *range(147, 151), *range(269, 281), *range(286, 300), *range(330, 389)]
ARTHROPODS = [*range(69, 80), *range(118, 127), *range(300, 327)]


def extract(build, folder, backbone, flat=False):
    """Features and labels (None when flat), and the names of the files."""
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "x.npy")
        program = os.path.join(build, "cli", "topwork")
        env = dict(os.environ, TOPWORK_BACKBONES=os.path.join(build, "backbones"), XDG_CACHE_HOME=tmp)
        words = [program, "extract", folder, "-b", backbone, "-o", out, "-q"] + (["--flat"] if flat else [])
        code = subprocess.run(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        if code not in (0, 1):  # 1: a photo could not be read
            raise SystemExit(f"{' '.join(words)}: status {code}")
        with open(os.path.join(tmp, "x.names.csv"), encoding="utf-8") as f:
            names = f.read().splitlines()[1:]
        return np.load(out).astype(np.float64), None if flat else np.load(os.path.join(tmp, "x.labels.npy")), names


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def kth_nearest(train, x, k):
    """Distance to the k-th nearest row of train, both of unit rows: Sun et al. (2022)."""
    cosine = np.sort(x @ train.T, axis=1)[:, -min(k, len(train))]
    return np.sqrt(np.maximum(0, 2 - 2 * cosine))


def class_nearest(train, y, x, k):
    """As kth_nearest, to the nearest rows of whichever class is nearest."""
    return np.min([kth_nearest(train[y == c], x, k) for c in np.unique(y)], axis=0)


def log_odds(logits):
    """log p / (1 - p) of the most probable class: orders as p does, without rounding to 1."""
    order = np.sort(logits, axis=1)
    rest = order[:, :-1] - order[:, -1:]
    return -np.log(np.exp(rest).sum(1))


def mean_distance(train, y, x, whiten=None):
    """-min over classes of the squared Mahalanobis distance (Lee et al. 2018), covariance shared, Ledoit-Wolf."""
    means = np.array([train[y == c].mean(0) for c in np.unique(y)])
    covariance = LedoitWolf(assume_centered=True).fit(train - means[y])
    precision = np.linalg.inv(covariance.covariance_)
    return np.array([np.einsum("ij,jk,ik->i", x - m, precision, x - m) for m in means]).min(0)


def whitener(train, y):
    """x -> x times the inverse root of the covariance within classes, shrunk half way to a multiple of the identity."""
    means = np.array([train[y == c].mean(0) for c in np.unique(y)])
    rest = train - means[y]
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest))
    matrix = vectors / np.sqrt((values + values.mean()) / 2)
    return lambda z: z @ matrix


def mean_cosine(train, x, k=5, itself=False):
    """Mean cosine to the k nearest rows of train; itself: x is train, and no row is its own neighbour."""
    cosine = x @ train.T
    if itself:
        np.fill_diagonal(cosine, -2)
    return np.sort(cosine, axis=1)[:, -k:].mean(1)


def scores(x, y, tests):
    """name -> [score of each of tests], larger: more familiar."""
    scaler = StandardScaler().fit(x)
    z = scaler.transform(x)
    head = GridSearchCV(LogisticRegression(max_iter=300), {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10]}, cv=5).fit(z, y)

    def logits(t):
        decision = head.decision_function(scaler.transform(t))
        return np.stack([-decision / 2, decision / 2], 1) if decision.ndim == 1 else decision

    raw, standard = unit(x), unit(z)
    white = whitener(raw, y)
    whitened = white(raw)
    # ViM (Wang et al. 2022): norm outside the principal subspace, scaled to the logits, minus energy
    _, vectors = np.linalg.eigh(np.cov(z.T))
    residual = vectors[:, : z.shape[1] // 2]
    alpha = logits(x).max(1).mean() / np.linalg.norm(z @ residual, axis=1).mean()
    own, own_odds = mean_cosine(raw, raw, itself=True), log_odds(logits(x))
    out = {}
    for t in tests:
        tz, tu = scaler.transform(t), unit(t)
        l = logits(t)
        energy = np.log(np.exp(l - l.max(1, keepdims=True)).sum(1)) + l.max(1)
        apart = ((white(tu)[:, None] - whitened[None]) ** 2).sum(2)
        one = {
            "max probability": log_odds(l),
            "energy": energy,
            "Mahalanobis, standardised": -mean_distance(z, y, tz),
            "Mahalanobis, length 1": -mean_distance(raw, y, tu),
            "ViM": energy - alpha * np.linalg.norm(tz @ residual, axis=1),
            "5th neighbour, standardised, length 1": -kth_nearest(standard, unit(tz), 5),
            "5th neighbour, whitened": -np.sort(apart, 1)[:, 4],
            "nearest neighbour, length 1": -kth_nearest(raw, tu, 1),
            "5th neighbour, length 1": -kth_nearest(raw, tu, 5),
            "5th of the nearest class, length 1": -class_nearest(raw, y, tu, 5),
            "mean cosine of 5 neighbours": mean_cosine(raw, tu),
        }
        near = (mean_cosine(raw, tu) - own.mean()) / own.std()
        odds = (log_odds(l) - own_odds.mean()) / own_odds.std()
        one["the same + 1/3 max probability"] = near + odds / 3
        one["the same + max probability"] = near + odds
        one["the worse of the two"] = np.minimum(near, odds)
        for name, value in one.items():
            out.setdefault(name, []).append(value)
    return out


def tasks(build, data, backbone):
    """(name, x, y, unknown x) of each task."""
    photos = os.path.join(data, "photos")
    ants, ants_y, _ = extract(build, os.path.join(photos, "hymenoptera_train"), backbone)
    cats, cats_y, _ = extract(build, os.path.join(photos, "catsdogs"), backbone)
    other, _, names = extract(build, os.path.join(photos, "imagenet_sample"), backbone, True)
    number = np.array([int(re.search(r"(\d{3})_n\d{8}", name).group(1)) for name in names])
    pets = np.isin(number, [*DOGS, *CATS])
    mammals, bugs = np.isin(number, MAMMALS), np.isin(number, ARTHROPODS)
    yield "hymenoptera / cats, dogs", ants, ants_y, cats
    yield "hymenoptera / other things", ants, ants_y, other[~bugs]
    yield "hymenoptera / arthropods", ants, ants_y, other[bugs]
    yield "cats, dogs / hymenoptera", cats, cats_y, ants
    yield "cats, dogs / other things", cats, cats_y, other[~pets & ~mammals]
    yield "cats, dogs / mammals", cats, cats_y, other[mammals]
    # every fourth photo of cats and dogs, so that the four classes are about as large
    x, y = np.vstack([ants, cats[::4]]), np.hstack([ants_y, cats_y[::4] + 2])
    yield "four classes / other things", x, y, other[~pets & ~bugs]
    for left, name in enumerate(("ants", "bees", "cats", "dogs")):
        keep = y != left
        yield f"the three others / {name}", x[keep], np.unique(y[keep], return_inverse=True)[1], x[~keep]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        squeezenet = os.path.join(tmp, "squeezenet1_1.tw")
        weights = os.path.join(args.data, "weights", "squeezenet1_1.safetensors")
        words = [os.path.join(args.build, "cli", "topwork"), "backbone", "import", weights, "--arch", "squeezenet1_1"]
        subprocess.run(words + ["-o", squeezenet], check=True, stdout=subprocess.DEVNULL)
        for backbone in ("sapling", squeezenet):
            table, titles = {}, []
            for title, x, y, unknown in tasks(args.build, args.data, backbone):
                titles.append(f"{title} ({len(unknown)})")
                found = {}
                for seed in range(args.seeds):
                    a, b, ya, _ = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
                    for name, (known, other) in scores(a, ya, [b, unknown]).items():
                        truth = np.r_[np.ones(len(known)), np.zeros(len(other))]
                        auroc = roc_auc_score(truth, np.r_[known, other])
                        accepted = np.mean(other >= np.sort(known)[int(np.floor(0.05 * len(known)))])
                        found.setdefault(name, []).append((auroc, accepted))
                for name, values in found.items():
                    table.setdefault(name, []).append(np.mean(values, axis=0))
            print(f"\n{os.path.basename(backbone)}: AUROC / FPR95, mean of {args.seeds} splits")
            for i, title in enumerate(titles):
                print(f"  {chr(65 + i)} {title}")
            print(f"{'':42}" + "".join(f"{chr(65 + i):^13}" for i in range(len(titles))) + "     mean")
            for name, rows in table.items():
                cells = "".join(f"{a:.3f} {100 * f:5.1f}  " for a, f in [*rows, np.mean(rows, axis=0)])
                print(f"{name:42}{cells}")


main()
