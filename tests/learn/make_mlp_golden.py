#!/usr/bin/python3
"""Writes mlp_golden.h: multi-layer perceptrons that mlp_test.c must train.

Made with scikit-learn 1.2.1's MLPClassifier on float32 samples (which it trains in float32): those of make_golden.py,
and iris and wine as they are, in float32. Logits are worked out in double from its float32 weights.
"""
import os
import sys
import warnings

import numpy as np
from sklearn.datasets import load_iris, load_wine
from sklearn.neural_network import MLPClassifier

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_golden import array, synthetic  # noqa: E402

# name, data (samples, features, classes, seed, shift), options, tolerance of loss and logits (None: too far along for any)
CASES = [
    ("one epoch, two classes", (450, 30, 2, 81, 0.5), dict(max_iter=1, random_state=1), 1e-6),
    ("one epoch, four classes", (450, 30, 4, 82, 0.5), dict(max_iter=1, random_state=2), 1e-6),
    ("five epochs, three layers", (333, 20, 3, 83, 1.0),
     dict(max_iter=5, hidden_layer_sizes=(40, 33, 7), batch_size=64, random_state=3), 1e-5),
    ("strong penalty, long steps", (210, 17, 2, 84, 1.0),
     dict(max_iter=5, alpha=30.0, learning_rate_init=0.01, batch_size=50, random_state=4), 2e-5),
    ("one batch larger than the samples", (90, 11, 5, 85, 1.0), dict(max_iter=8, random_state=5), 1e-5),
    ("stops early, two classes of unequal size", (247, 12, 2, 86, 2.0),
     dict(early_stopping=True, n_iter_no_change=3, batch_size=32, random_state=6), 1e-4),
    ("stops early, three classes", (251, 12, 3, 87, 2.0),
     dict(early_stopping=True, n_iter_no_change=3, batch_size=32, random_state=7), 1e-4),
    ("stops by the loss", (120, 8, 3, 88, 2.0), dict(tol=0.02, n_iter_no_change=4, batch_size=16, random_state=8), 1e-4),
    ("iris", None, dict(random_state=42), 1e-3),
    ("wine", None, dict(random_state=42), None),
]


def logits(model, x):
    a = x.astype(np.float64)
    for i, (w, b) in enumerate(zip(model.coefs_, model.intercepts_)):
        assert w.dtype == np.float32
        a = a @ w.astype(np.float64) + b
        if i + 1 < len(model.coefs_):
            a = np.maximum(a, 0)
    return a


def main():
    print("/* mlp_golden.h - written by make_mlp_golden.py; perceptrons the tests must train. */")
    print("#ifndef TW_TESTS_MLP_GOLDEN_H\n#define TW_TESTS_MLP_GOLDEN_H\n\n/* clang-format off */\n#include <stddef.h>\n"
          "#include <stdint.h>\n")
    print("typedef struct golden_mlp {\n    const char *name;\n    size_t n, d, k;\n    uint32_t seed; /* 0: a table */\n"
          "    double shift;\n    uint32_t state;\n    size_t hidden[3], n_hidden, batch_size, max_iter, n_iter_no_change;\n"
          "    int early_stopping;\n    double alpha, learning_rate, tol;\n"
          "    size_t epochs;\n    double loss, within; /* 0: not compared, nor are logits */\n"
          "    size_t correct;\n    double logits[3][5]; /* samples 0, 1 and n - 1 */\n} golden_mlp;\n")
    print("static const golden_mlp golden_mlps[] = {")
    for name, data, options, within in CASES:
        if data:
            x, y = synthetic(*data)
            n, d, k, seed, shift = data
        else:
            table = {"iris": load_iris, "wine": load_wine}[name]()
            x, y = table.data.astype(np.float32), table.target
            (n, d), k, seed, shift = x.shape, 3, 0, 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPClassifier(**options).fit(x, y)
        get = model.get_params()
        hidden = list(np.atleast_1d(get["hidden_layer_sizes"]))
        u = logits(model, x)[[0, 1, n - 1]]
        print(f'    {{"{name}", {n}, {d}, {k}, {seed}, {shift!r}, {get["random_state"]}, '
              f'{{{", ".join(map(str, hidden))}}}, {len(hidden)}, '
              f'{0 if get["batch_size"] == "auto" else get["batch_size"]}, {get["max_iter"]}, {get["n_iter_no_change"]}, '
              f'{int(get["early_stopping"])}, {get["alpha"]!r}, {get["learning_rate_init"]!r}, {get["tol"]!r},\n'
              f'     {model.n_iter_}, {float(model.loss_)!r}, {within or 0!r}, {(model.predict(x) == y).sum()},\n'
              f'     {{{", ".join(array(row) for row in u)}}}}},')
        print(name, model.n_iter_, model.loss_, file=sys.stderr)
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
