#!/usr/bin/python3
"""Single operations of RandAugment beside torchvision's on Pillow pictures: every byte.

    parity_operations.py BUILD/tests/image/(any program)
"""
import os
import subprocess
import sys

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import RandAugment, _apply_op


def ours(tool, x, name, magnitude):
    h, w, _ = x.shape
    run = subprocess.run([tool, str(w), str(h), name, repr(float(magnitude))], input=x.tobytes(), capture_output=True,
                         check=True)
    return np.frombuffer(run.stdout, np.uint8).reshape(x.shape)


def pictures():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:96, 0:128]
    smooth = np.stack([x * 2, y * 2, (x + y)], -1).astype(np.uint8)
    yield "noise", rng.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    yield "smooth", smooth
    yield "dark", (rng.integers(40, 90, (64, 64, 3))).astype(np.uint8)
    yield "one colour", np.full((20, 30, 3), 77, np.uint8)
    yield "two values", np.where(rng.random((40, 40, 3)) < 0.01, 255, 3).astype(np.uint8)
    yield "tiny", rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    yield "pixel", rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)


def main():
    tool, wrong, n = os.path.join(os.path.dirname(sys.argv[1]), "operate-tool"), 0, 0
    for kind, x in pictures():
        image = Image.fromarray(x)
        for name, (magnitudes, signed) in RandAugment()._augmentation_space(31, x.shape[:2]).items():
            every = magnitudes.tolist() if magnitudes.ndim else [0.0]
            for m in every[::5] + ([-v for v in every[::5]] if signed else []):
                want = np.asarray(_apply_op(image, name, m, InterpolationMode.NEAREST, None))
                got = ours(tool, x, name, m)
                n += 1
                if not np.array_equal(want, got):
                    wrong += 1
                    print(f"{kind}, {name} {m:g}: {np.mean(want != got):.2%} of bytes differ, by up to "
                          f"{np.abs(want.astype(int) - got).max()}")
        for angle in (3.0, -17.5, 90.0, 181.25):
            # with a translation of nothing, or Pillow turns right angles without its filter
            want = np.asarray(image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(10, 20, 30), translate=(0, 0)))
            got = ours(tool, x, "bilinear", angle)
            n += 1
            if not np.array_equal(want, got):
                wrong += 1
                print(f"{kind}, bilinear {angle:g}: {np.mean(want != got):.2%} of bytes differ, by up to "
                      f"{np.abs(want.astype(int) - got).max()}")
    print(f"{n} pictures compared, {wrong} differ")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
