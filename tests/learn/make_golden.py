#!/usr/bin/python3
"""Writes learn_golden.h: scalers and optima that the C tests must reach.

Made with scikit-learn 1.2.1 and NumPy 1.24.2. Scaler statistics are StandardScaler's own, as hexadecimal
floats. Optima are not scikit-learn's, which stops short of them, but Newton's method in double on the
standardised float32 matrix, to a gradient below 1e-9. Synthetic data comes from MT19937, which the tests
have too; iris and wine are scikit-learn's copies.
"""
import sys

import numpy as np
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import StandardScaler


def synthetic(n, d, k, seed, shift):
    """The test draws the same numbers in the same order: learn_data.h."""
    draw = np.random.RandomState(seed)
    centre = draw.random_sample((k, d))
    x = draw.random_sample((n, d))
    y = (np.arange(n) * 7 + np.arange(n) // 3) % (k + 1) % k
    j = np.arange(d)
    x = ((x + shift * centre[y]) * (1 + j % 7) + j % 5).astype(np.float32)
    x[:, d // 2] = np.float32(0.1)
    return x, y


def weights_of(y, k, balanced):
    return len(y) / (k * np.bincount(y, minlength=k)) if balanced else np.ones(k)


def optimum(x, y, k, C, balanced=False):
    """Newton with halving over the span of the rows (or all weights); returns objective, coef, intercept."""
    z = StandardScaler().fit_transform(x).astype(np.float64)
    n, d = z.shape
    width = 1 if k == 2 else k
    basis = None
    if n < d:
        values, vectors = np.linalg.eigh(z @ z.T)
        keep = values > 1e-9 * values[-1]
        basis = z.T @ (vectors[:, keep] / np.sqrt(values[keep]))
        f = z @ basis
    else:
        f = z
    r = f.shape[1]
    weight = weights_of(y, k, balanced)[y]
    onehot = np.eye(k)[y]
    a = np.hstack([f, np.ones((n, 1))])
    ridge = np.r_[np.full(r, 1 / C), 0.0]

    def evaluate(v):
        m = v.reshape(width, r + 1)
        u = a @ m.T
        if width == 1:
            u = np.hstack([np.zeros((n, 1)), u])
        top = u.max(1, keepdims=True)
        e = np.exp(u - top)
        p = e / e.sum(1, keepdims=True)
        loss = (np.log(e.sum(1)) + top[:, 0] - u[np.arange(n), y]) @ weight
        g = (p - onehot) * weight[:, None]
        if width == 1:
            g = g[:, 1:]
        return loss + 0.5 * (m * m * ridge).sum(), (g.T @ a + m * ridge).ravel(), p

    v = np.zeros(width * (r + 1))
    value, g, p = evaluate(v)
    for _ in range(200):
        if np.abs(g).max() < 1e-9:
            break
        h = np.zeros((width, r + 1, width, r + 1))
        for c in range(width):
            for e in range(c, width):
                q = p[:, 1] * p[:, 0] if width == 1 else p[:, c] * ((c == e) - p[:, e])
                h[c, :, e, :] = h[e, :, c, :] = (a * (q * weight)[:, None]).T @ a
            h[c, :, c, :] += np.diag(ridge)
        h = h.reshape(len(v), len(v))
        try:
            step = np.linalg.lstsq(h, -g, rcond=1e-15)[0]
        except np.linalg.LinAlgError:  # its divide and conquer does not converge on some that are all but singular
            size, axis = np.linalg.eigh(h)
            step = axis @ np.where(size > 1e-15 * size.max(), axis.T @ -g / np.maximum(size, 1e-300), 0)
        t = 1.0
        while t > 1e-10:
            new = evaluate(v + t * step)
            if new[0] <= value + 1e-4 * t * (g @ step) or (t == 1.0 and abs(new[0] - value) < 1e-13 * value):
                break
            t /= 2
        v = v + t * step
        value, g, p = new
    assert np.abs(g).max() < 1e-7, np.abs(g).max()
    m = v.reshape(width, r + 1)
    coef = m[:, :-1] @ basis.T if basis is not None else m[:, :-1]
    intercept = m[:, -1] - (m[:, -1].mean() if width > 1 else 0)
    return value, coef, intercept


def choose(x, y, k, grid, folds):
    fold_of = np.arange(len(y)) % folds
    mean = []
    for C in grid:
        scores = []
        for f in range(folds):
            train, test = fold_of != f, fold_of == f
            _, coef, intercept = optimum(x[train], y[train], k, C)
            z = StandardScaler().fit(x[train]).transform(x[test]).astype(np.float64)
            u = z @ coef.T + intercept
            label = (u[:, 0] > 0).astype(int) if k == 2 else u.argmax(1)
            scores.append((label == y[test]).mean())
        mean.append(np.mean(scores))
    return mean


def array(values):
    return "{" + ", ".join(repr(float(v)) for v in values) + "}"


def hexes(values):
    return "{" + ", ".join(float(v).hex() for v in values) + "}"


def table(name, x, y):
    print(f"static const float {name}_x[] = {{")
    for row in x:
        print("    " + " ".join(f"{float(v)!r}f," for v in row.astype(np.float32).astype(str).astype(float)))
    print("};")
    print(f"static const uint32_t {name}_y[] = {{{', '.join(str(v) for v in y)}}};\n")


# name, rows, features, classes, seed, shift, C, balanced: which way to the optimum it takes is in the name
CASES = [
    ("narrow binary", 300, 12, 2, 1, 0.2, 1.0, False),
    ("narrow 4 classes", 400, 20, 4, 2, 0.3, 0.5, False),
    ("narrow balanced", 250, 9, 3, 3, 0.4, 2.0, True),
    ("span binary", 60, 3000, 2, 4, 0.02, 1.0, False),
    ("span 5 classes", 80, 2000, 5, 5, 0.05, 1.0, False),
    ("span weak penalty", 50, 1200, 3, 6, 0.05, 100.0, True),
    ("coarse binary", 620, 14003, 2, 7, 0.01, 1.0, False),
]
GRID = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]


def main():
    print("/* learn_golden.h - written by make_golden.py; scalers and optima the tests must reach. */")
    print("#ifndef TW_TESTS_LEARN_GOLDEN_H\n#define TW_TESTS_LEARN_GOLDEN_H\n")
    print("/* clang-format off */")
    print("#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n")
    iris, wine = load_iris(), load_wine()
    table("iris", iris.data, iris.target)
    table("wine", wine.data, wine.target)
    print("typedef struct golden_fit {\n    const char *name;\n    size_t n, d, k;\n    uint32_t seed; /* 0: a table */\n"
          "    double shift, C;\n    bool balanced;\n    const float *x;\n    const uint32_t *y;\n"
          "    double mean[4], var[4], scale[4]; /* of the first columns, and of column d / 2 */\n"
          "    double objective, coef[4], intercept[5];\n} golden_fit;\n")
    print("static const golden_fit golden_fits[] = {")
    sets = [(c, synthetic(c[1], c[2], c[3], c[4], c[5])) for c in CASES]
    for name, data in (("iris", iris), ("wine", wine)):
        x = data.data.astype(np.float32)
        sets.append(((name, *x.shape, 3, 0, 0.0, 1.0, False), (x, data.target)))
    for (name, n, d, k, seed, shift, C, balanced), (x, y) in sets:
        scaler = StandardScaler().fit(x)
        value, coef, intercept = optimum(x, y, k, C, balanced)
        j = [0, 1, 2, d // 2]
        xy = f"{name}_x, {name}_y" if seed == 0 else "NULL, NULL"
        print(f'    {{"{name}", {n}, {d}, {k}, {seed}, {shift!r}, {C!r}, {str(balanced).lower()}, {xy},')
        print(f"     {hexes(scaler.mean_[j])}, {hexes(scaler.var_[j])}, {hexes(scaler.scale_[j])},")
        print(f"     {value!r}, {array(coef[0, j])}, {array(intercept)}}},", flush=True)
        print(name, value, file=sys.stderr)
    print("};\n")
    print("typedef struct golden_choice {\n    size_t n, d, k, folds;\n    uint32_t seed;\n    double shift;\n"
          "    double accuracy[6]; /* at C = 1e-4 ... 10 */\n} golden_choice;\n")
    print("static const golden_choice golden_choices[] = {")
    for n, d, k, folds, seed, shift in ((200, 15, 3, 5, 11, 0.3), (60, 800, 2, 5, 12, 0.25), (75, 900, 4, 3, 13, 0.4)):
        x, y = synthetic(n, d, k, seed, shift)
        mean = choose(x, y, k, GRID, folds)
        print(f"    {{{n}, {d}, {k}, {folds}, {seed}, {shift!r}, {array(mean)}}},")
        print(mean, file=sys.stderr)
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
