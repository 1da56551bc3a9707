#!/usr/bin/python3
"""Writes npy_golden.inc: the bytes numpy.save() makes of a small matrix."""
import io
import pathlib

import numpy as np

out = io.BytesIO()
np.save(out, np.arange(6, dtype="<f4").reshape(2, 3))
data = out.getvalue()
lines = [", ".join(f"0x{b:02x}" for b in data[i:i + 16]) + "," for i in range(0, len(data), 16)]
head = f"/* numpy.save() of NumPy {np.__version__}; written by make_npy.py */"
pathlib.Path(__file__).with_name("npy_golden.inc").write_text("\n".join([head, *lines]) + "\n")
