#!/usr/bin/python3
"""Class scores of ONNX models in f32 beside ONNX Runtime's, from the same file and pictures.

    bench/network/parity_ort.py BUILD [NETWORK ...] --ort FOLDER

torchvision's networks with random weights, exported once; two random pictures. The largest difference of a score, as a share of the largest
score, may be 1e-4. --ort: a folder where "npm install --ignore-scripts onnxruntime-node" has been run; needs node. Swin cannot be exported
with a free batch, so its model takes one picture.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torchvision

warnings.simplefilter("ignore")
NETWORKS = ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "vgg11_bn", "vgg16", "mobilenet_v2", "mobilenet_v3_small",
            "mobilenet_v3_large", "densenet121", "densenet169", "googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1",
            "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mnasnet0_5", "mnasnet1_0", "efficientnet_b0", "efficientnet_b3", "efficientnet_v2_s",
            "regnet_x_400mf", "regnet_y_800mf", "convnext_tiny", "vit_b_16", "vit_b_32", "swin_t", "swin_s"]
NODE = """
const ort = require('onnxruntime-node');
const fs = require('fs');
const [model, from, to, batch, side] = [process.argv[2], process.argv[3], process.argv[4], +process.argv[5], +process.argv[6]];
(async () => {
  const session = await ort.InferenceSession.create(model);
  const bytes = fs.readFileSync(from);
  const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const out = await session.run({input: new ort.Tensor('float32', data, [batch, 3, side, side])});
  fs.writeFileSync(to, Buffer.from(out.logits.data.buffer, out.logits.data.byteOffset, out.logits.data.byteLength));
})();
"""


def network(name):
    torch.manual_seed(1)
    more = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, **more)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.1, 0.1)
    if name.startswith("vit"):
        torch.nn.init.normal_(model.heads.head.weight, std=0.02)  # zeros as it comes: scores would say nothing
    return model.eval()


def check(args, name, folder):
    side = 299 if name == "inception_v3" else 224
    batch = 1 if name.startswith("swin") else 2
    model, backbone, given, made = (os.path.join(folder, f) for f in ("x.onnx", "x.tw", "x.f32", "y.f32"))
    x = np.random.RandomState(3).standard_normal((batch, 3, side, side)).astype("<f4")
    free = {} if batch == 1 else {"dynamic_axes": {"input": {0: "n"}, "logits": {0: "n"}}}
    torch.onnx.export(network(name), torch.tensor(x), model, opset_version=14, input_names=["input"], output_names=["logits"], **free)
    x.tofile(given)
    subprocess.run(["node", "-", model, given, made, str(batch), str(side)], cwd=args.ort, input=NODE, text=True, check=True)
    wanted = np.fromfile(made, "<f4").reshape(batch, -1)
    subprocess.run([os.path.join(args.build, "import/topwork-import"), model, "-o", backbone], check=True)
    out = subprocess.run([os.path.join(args.build, "tests/engine/engine-tool"), backbone, "f32", str(batch), str(side), str(side)],
                         input=np.ascontiguousarray(x.transpose(0, 2, 3, 1)).tobytes(), stdout=subprocess.PIPE, check=True,
                         env=dict(os.environ, ENGINE_TOOL_LOGITS="1")).stdout
    got = np.frombuffer(out, "<f4").reshape(batch, -1)
    apart = np.abs(got - wanted).max() / np.abs(wanted).max()
    print("| %s | %.1e |%s" % (name, apart, "" if apart <= 1e-4 else " TOO FAR"), flush=True)
    return apart <= 1e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--ort", required=True)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    print("| network | largest difference of a score, as a share of the largest |\n|---|--:|")
    failed = 0
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            failed += not check(args, name, folder)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
