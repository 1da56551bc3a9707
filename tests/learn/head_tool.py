"""Talks to head-tool: what every parity script of a head shares."""
import json
import os
import struct
import subprocess
import tempfile

import numpy as np


class Answer:
    """What head-tool wrote: see head_tool.c."""

    def __init__(self, data, k, m):
        self.data, self.at = data, 0
        width, self.iterations, converged, self.fit_seconds, self.predict_seconds = self.take(5)
        self.width, self.converged = int(width), bool(converged)
        self.decision = self.take(m * self.width).reshape(m, self.width)
        self.score = self.take(m * k).reshape(m, k)
        self.prob = self.take(m * k).reshape(m, k)
        self.label = self.take(m).astype(int)
        self.tensors = {}
        while self.at < len(data):
            length = int(self.take(1, np.uint64)[0])
            name = data[self.at:self.at + length].decode()
            self.at += length
            self.tensors[name] = self.take(int(self.take(1, np.uint64)[0]))

    def take(self, count, dtype=np.float64):
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values


def ask(build, x, y, x_test, k, folds=None, threads=None, **options):
    """Fits options["kind"] on x, y and answers x_test. folds: the fold each row is tested in."""
    n, m = len(x), len(x_test)
    text = json.dumps(options).encode()
    folds = np.zeros(n) if folds is None else folds
    with tempfile.TemporaryDirectory() as folder:
        a, b = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(a, "wb") as f:
            f.write(struct.pack("<5Q", n, x.shape[1], k, m, len(text)) + text)
            f.write(np.ascontiguousarray(np.concatenate([x, x_test]), np.float32).tobytes())
            f.write(np.concatenate([y, np.zeros(m)]).astype(np.uint32).tobytes())
            f.write(np.asarray(folds).astype(np.uint32).tobytes())
        tool = os.path.join(build, "tests", "learn", "head-tool")
        subprocess.run([tool, a, b] + ([str(threads)] if threads else []), check=True)
        with open(b, "rb") as f:
            return Answer(f.read(), k, m)
