#!/usr/bin/python3
"""How fast VGG16's convolutions run, without decoding: topwork, PyTorch and ONNX Runtime, in turn.

    bench/network/network.py BUILD [--rounds 5] [--batch 8] [--seconds 3] [--ort FOLDER]

BUILD is a build folder with network-bench in it. Each round runs every contender for about the same time, so
that what else the machine does hits all of them; the table gives medians and ratios to topwork in bf16.
--ort: a folder where "npm install onnxruntime-node" has been run; needs node. Needs torch and torchvision.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

import torch
import torchvision

NODE = """
const ort = require('onnxruntime-node');
const [model, batch, seconds, threads] = [process.argv[2], +process.argv[3], +process.argv[4], +process.argv[5]];
(async () => {
  const session = await ort.InferenceSession.create(model, {intraOpNumThreads: threads, graphOptimizationLevel: 'all'});
  const data = new Float32Array(batch * 3 * 224 * 224).map((_, i) => Math.sin(i) * 60);
  const feeds = {input: new ort.Tensor('float32', data, [batch, 3, 224, 224])};
  await session.run(feeds);
  const start = process.hrtime.bigint();
  let done = 0, elapsed = 0;
  while (elapsed < seconds) {
    await session.run(feeds);
    done += batch;
    elapsed = Number(process.hrtime.bigint() - start) / 1e9;
  }
  console.log(done / elapsed);
})();
"""


def topwork(args, precision, threads):
    out = subprocess.run(
        [os.path.join(args.build, "bench/network/network-bench"), "--precision", precision, "--batch", str(args.batch),
         "--runs", "1", "--seconds", str(args.seconds), "--threads", str(threads)],
        check=True, capture_output=True, text=True).stdout
    return float(re.search(r"median ([0-9.]+)", out).group(1))


def pytorch(args, model, bf16):
    pictures = torch.sin(torch.arange(args.batch * 3 * 224 * 224, dtype=torch.float32)).reshape(args.batch, 3, 224, 224)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        model(pictures)
        start, done = time.monotonic(), 0
        while time.monotonic() - start < args.seconds:
            model(pictures)
            done += args.batch
        return done / (time.monotonic() - start)


def onnxruntime(args, folder, threads):
    env = dict(os.environ, NODE_PATH=os.path.join(args.ort, "node_modules"))
    out = subprocess.run(["node", os.path.join(folder, "run.js"), os.path.join(folder, "vgg16.onnx"), str(args.batch),
                          str(args.seconds), str(threads)], check=True, capture_output=True, text=True, env=env)
    return float(out.stdout)


def contenders(args, folder, threads):
    model = torchvision.models.vgg16().features.eval()
    table = {
        "topwork bf16": lambda: topwork(args, "bf16", threads),
        "topwork f32": lambda: topwork(args, "f32", threads),
        "PyTorch bf16 autocast": lambda: pytorch(args, model, True),
        "PyTorch f32": lambda: pytorch(args, model, False),
    }
    if not args.ort:
        print("ONNX Runtime is left out: give --ort")
        return table
    torch.onnx.export(model, torch.zeros(args.batch, 3, 224, 224), os.path.join(folder, "vgg16.onnx"),
                      input_names=["input"], output_names=["features"], opset_version=13)
    with open(os.path.join(folder, "run.js"), "w", encoding="utf-8") as script:
        script.write(NODE)
    table["ONNX Runtime f32"] = lambda: onnxruntime(args, folder, threads)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--ort")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        table = contenders(args, folder, threads)
        rates = {name: [] for name in table}
        for _ in range(args.rounds):
            for name, run in table.items():
                rates[name].append(run())
    ours = statistics.median(rates["topwork bf16"])
    print(f"VGG16 without its classifier, 224 x 224, batch {args.batch}, {threads} threads, {args.rounds} rounds")
    print(f"{'':24}{'pictures/s':>12}{'least':>8}{'most':>8}{'topwork bf16 is':>17}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:24}{median:12.2f}{min(values):8.2f}{max(values):8.2f}{ours / median:16.2f}x")
    print(json.dumps({"batch": args.batch, "threads": threads, "rates": rates}))


if __name__ == "__main__":
    main()
