#!/usr/bin/python3
"""Our files read in Python, Python's files read by us.

    parity.py BUILD_FOLDER

Uses the safetensors package where it is installed, and always a small reader of its own, which follows the
published format and nothing else.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

NUMPY = {"U8": "u1", "I8": "i1", "I32": "<i4", "U32": "<u4", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}


def read(path):
    """{name: (dtype, array)} and the metadata of a safetensors file."""
    with open(path, "rb") as f:
        file = f.read()
    n = int.from_bytes(file[:8], "little")
    header, data = json.loads(file[8 : 8 + n]), memoryview(file)[8 + n :]
    metadata = header.pop("__metadata__", None)
    tensors, at = {}, 0
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = t["data_offsets"]
        assert begin == at, "a hole or an overlap before " + name
        tensors[name] = (t["dtype"], np.frombuffer(data[begin:end], NUMPY[t["dtype"]]).reshape(t["shape"]))
        at = end
    assert at == len(data)
    return tensors, metadata


def write(path, tensors, pad):
    """A safetensors file of {name: (dtype, array)} in the order given; pad spaces behind the header."""
    header, at = {"__metadata__": {"made": "here"}}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode() + b" " * pad
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, array in tensors.values():
            f.write(array.tobytes())


def listing(tensors):
    return [
        "%s %s %s %s" % (dtype, ",".join(map(str, a.shape)), hashlib.sha256(a.tobytes()).hexdigest(), name)
        for name, (dtype, a) in tensors.items()
    ]


def ours_in_python(tool, path):
    subprocess.run([tool, "write", path], check=True)
    tensors, metadata = read(path)
    names = ["bytes", "half", "weight", "doubles", "empty", "scalar", "signed", "labels", "brain", 'é "q" \\']
    assert sorted(names) == sorted(tensors)
    for i, name in enumerate(names):
        dtype, a = tensors[name]
        expected = bytes((k + i) % 256 for k in range(a.nbytes))
        assert a.tobytes() == expected, name
    assert list(metadata) == ["topwork"]
    document = json.loads(metadata["topwork"])
    assert list(document) == ["digest", "version", "required_features", "kind", "note"]
    assert document["note"] == 'é "quoted" \\ \n'
    with open(path, "rb") as f:
        file = f.read()
    digits = document["digest"][len("sha256:") :].encode()
    at = file.index(digits)
    zeroed = file[:at] + b"0" * 64 + file[at + 64 :]
    assert hashlib.sha256(zeroed).hexdigest().encode() == digits
    verified = subprocess.run([tool, "verify", path], check=True, stdout=subprocess.PIPE).stdout.strip()
    assert verified == digits
    assert (8 + int.from_bytes(file[:8], "little")) % 64 == 0
    try:
        from safetensors import safe_open
    except ImportError:
        print("skipped: the safetensors package is not installed; read by the reader in this script")
        return
    with safe_open(path, "np") as f:
        assert sorted(f.keys()) == sorted(names) and f.metadata() == metadata
        for name in names:
            if tensors[name][0] != "BF16":
                assert np.array_equal(f.get_tensor(name), tensors[name][1], equal_nan=True), name


def pythons_in_ours(tool, path):
    rng = np.random.RandomState(1)
    for case in range(100):
        tensors = {}
        for i in range(rng.randint(0, 12)):
            dtype = rng.choice(sorted(NUMPY))
            shape = tuple(rng.randint(0 if rng.rand() < 0.1 else 1, 6, rng.randint(0, 5)))
            raw = rng.bytes(int(np.prod(shape)) * np.dtype(NUMPY[dtype]).itemsize)
            tensors["t%d.%s" % (i, "ü" * rng.randint(3))] = (dtype, np.frombuffer(raw, NUMPY[dtype]).reshape(shape))
        write(path, tensors, rng.randint(0, 9))
        found = subprocess.run([tool, "list", path], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
        assert sorted(found) == sorted(listing(tensors)), case


def real_files(tool):
    root = os.environ.get("TOPWORK_DATA", "../shared/data")
    for name in ["weights/squeezenet1_1.safetensors", "weights/sapling/sapling.safetensors"]:
        path = os.path.join(root, name)
        if not os.path.exists(path):
            print("skipped: %s is not here" % path)
            continue
        found = subprocess.run([tool, "list", path], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
        assert found == listing(read(path)[0]), name
        print("%s: %d tensors agree" % (name, len(found)))


def main():
    tool = os.path.join(sys.argv[1], "tests/bundle/bundle-tool")
    with tempfile.TemporaryDirectory() as folder:
        ours_in_python(tool, os.path.join(folder, "a.tw"))
        pythons_in_ours(tool, os.path.join(folder, "b.safetensors"))
    real_files(tool)
    print("bundle: parity holds")


main()
