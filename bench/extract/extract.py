#!/usr/bin/python3
"""Files to features, topwork beside the usual Python script, on the same photos in the same rounds.

    extract.py BENCH_EXTRACT FOLDER [--photos 40] [--rounds 5]

The script's way: skimage.io.imread, skimage.transform.resize to 224 x 224, the caffe normalisation, VGG16 without
its top in float32 (torch stands in for Keras), batches of 32, all cores. Weights are drawn: speed does not depend
on them. BENCH_EXTRACT is the program built from extract.c beside this file."""
import argparse
import pathlib
import statistics
import subprocess
import time

import numpy as np
import skimage.io
import skimage.transform
import torch

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
MEAN = np.array([103.939, 116.779, 123.68])


def vgg16():
    layers, channels = [], 3
    for convolutions, width in BLOCKS:
        for _ in range(convolutions):
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU(inplace=True)]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers).eval()


def script(network, paths):
    start = time.monotonic()
    features = []
    for first in range(0, len(paths), 32):
        pictures = []
        for path in paths[first:first + 32]:
            picture = skimage.transform.resize(skimage.io.imread(path), (224, 224, 3))
            pictures.append((picture[:, :, ::-1] - MEAN).astype(np.float32))
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        with torch.no_grad():
            features.append(network(batch).permute(0, 2, 3, 1).reshape(len(pictures), -1).numpy())
    assert np.concatenate(features).shape == (len(paths), 25088)
    return len(paths) / (time.monotonic() - start)


def topwork(program, folder, photos, precision):
    """Rates of three extractions in one process, the first of which also compiles: the median is without that."""
    command = [program, "vgg16", folder, "--photos", str(photos), "--rounds", "3", "--precision", precision]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(dict(line.split() for line in output.splitlines())["extract"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    found = sorted(str(p) for p in pathlib.Path(args.folder).rglob("*") if p.is_file())
    half = max(len(found) // 2, 1)  # classes in turn, as extract.c takes them
    paths = [found[(i // 2 + i % 2 * half) % len(found)] for i in range(args.photos)]
    network = vgg16()
    script(network, paths[:2])
    rates = {"script_f32": [], "topwork_f32": [], "topwork_bf16": []}
    for _ in range(args.rounds):
        rates["script_f32"].append(script(network, paths))
        rates["topwork_f32"].append(topwork(args.program, args.folder, args.photos, "f32"))
        rates["topwork_bf16"].append(topwork(args.program, args.folder, args.photos, "bf16"))
    for name, values in rates.items():
        ratios = [v / s for v, s in zip(values, rates["script_f32"])]
        print(f"{name} {statistics.median(values):.2f} photos/s, {statistics.median(ratios):.2f} x the script")


if __name__ == "__main__":
    main()
