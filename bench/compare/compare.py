#!/usr/bin/python3
"""topwork compare on catsdogs with 3 backbones x 4 heads x 5 folds: first run, second run, peak memory.

    compare.py BUILD [--vgg]      (--vgg: a seeded VGG16 as the third backbone instead of the ResNet-18)

The backbones are sapling, SqueezeNet 1.1 with its real weights, and a ResNet-18 with seeded weights in torchvision's names.
"""
import argparse
import os
import resource
import subprocess
import tempfile
import time

import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("TOPWORK_DATA", os.path.join(HERE, "../../../shared/data"))


def write_safetensors(path, tensors):
    import json
    import struct
    header, at, blobs = {}, 0, []
    for name, t in tensors.items():
        blob = t.detach().float().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def backbone(build, folder, arch):
    path = os.path.join(folder, arch + ".safetensors")
    if arch == "squeezenet1_1":
        path = os.path.join(DATA, "weights", "squeezenet1_1.safetensors")
    else:
        torch.manual_seed(0)
        model = getattr(torchvision.models, arch)(weights=None)
        write_safetensors(path, {k: v for k, v in model.state_dict().items() if "num_batches" not in k})
    out = os.path.join(folder, arch + ".tw")
    subprocess.run([os.path.join(build, "cli", "topwork"), "backbone", "import", path, "--arch", arch, "-o", out],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build")
    args.add_argument("--vgg", action="store_true")
    args = args.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = ["sapling", backbone(args.build, folder, "squeezenet1_1"),
                 backbone(args.build, folder, "vgg16" if args.vgg else "resnet18")]
        words = [os.path.join(args.build, "cli", "topwork"), "compare", os.path.join(DATA, "photos", "catsdogs"), "-q",
                 "--backbone", ",".join(names), "--head", "logistic-regression,linear-svm,svm-rbf,knn",
                 "--cache", os.path.join(folder, "cache")]
        times = []
        for run in "first", "second":
            start = time.perf_counter()
            out = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout
            times.append(time.perf_counter() - start)
            print("%s run: %.2f s" % (run, times[-1]))
        print("second / first: %.1f %%" % (100 * times[1] / times[0]))
        print("peak memory: %.0f MiB" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))
        print(out[:out.index("confusion")])


if __name__ == "__main__":
    main()
