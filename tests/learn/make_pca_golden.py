#!/usr/bin/python3
"""Writes pca_golden.h: principal components that pca_test.c must find.

Made with scikit-learn 1.2.1's PCA(svd_solver='full') in float64, on the float32 samples of make_golden.py widened.
"""
import os
import sys

import numpy as np
from sklearn.decomposition import PCA

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from make_golden import array, synthetic  # noqa: E402

# name, samples, features, classes, seed, shift, components
CASES = [
    ("few features", 300, 12, 2, 21, 0.6, 5),
    ("many features", 60, 700, 3, 22, 1.5, 5),
    ("a matrix of one tile", 192, 191, 4, 23, 2.0, 5),
    ("a matrix of several tiles", 420, 400, 5, 24, 2.0, 5),
    ("two samples more than components", 7, 40, 2, 25, 0.5, 5),
]


def main():
    print("/* pca_golden.h - written by make_pca_golden.py; principal components the tests must find. */")
    print("#ifndef TW_TESTS_PCA_GOLDEN_H\n#define TW_TESTS_PCA_GOLDEN_H\n\n/* clang-format off */\n#include <stddef.h>\n"
          "#include <stdint.h>\n")
    print("typedef struct golden_pca {\n    const char *name;\n    size_t n, d, k;\n    uint32_t seed;\n    double shift;\n"
          "    double variance[5], axis[5][4]; /* columns 0, 1, d / 3 and d - 1 */\n"
          "    double first[5], last[5];       /* sample 0 and n - 1, projected */\n} golden_pca;\n")
    print("static const golden_pca golden_pcas[] = {")
    for name, n, d, k, seed, shift, p in CASES:
        x = synthetic(n, d, k, seed, shift)[0].astype(np.float64)
        pca = PCA(p, svd_solver="full").fit(x)
        z = pca.transform(x)
        # the sign is only golden where no other sample lies as far, and on the other side
        far = np.sort(np.abs(z), 0)
        assert ((far[-1] - far[-2]) / far[-1] > 1e-6).all(), name
        columns = [0, 1, d // 3, d - 1]
        print(f'    {{"{name}", {n}, {d}, {k}, {seed}, {shift!r},\n     {array(pca.explained_variance_)},')
        print("     {" + ",\n      ".join(array(a[columns]) for a in pca.components_) + "},")
        print(f"     {array(z[0])},\n     {array(z[-1])}}},")
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
