"""Weight files in the layouts that Keras has published, with any widths. `/usr/bin/python3 keras_files.py FOLDER`
makes the small ones that keras_test.c reads (committed in golden/); parity.py makes full-size ones."""
import json
import os
import sys
import zipfile

import h5py
import numpy as np

VGG16 = [2, 2, 3, 3, 3]
VGG19 = [2, 2, 4, 4, 4]


def formula(shape, layer):
    """What keras_test.c computes too: value k of weight array number `layer` of the file."""
    k = np.arange(int(np.prod(shape)), dtype=np.int64)
    return (((k * 7 + layer * 13) % 101) / 64.0 - 0.75).astype(np.float32).reshape(shape)


def vgg_layers(blocks, widths, top, side=7, fc=4096, classes=1000):
    """[(layer, [(part, shape), ...]), ...] in Keras's order, layers without weights included."""
    layers, channels = [("input_1", [])], 3
    for b, (n, width) in enumerate(zip(blocks, widths), 1):
        for i in range(1, n + 1):
            layers.append((f"block{b}_conv{i}", [("kernel", (3, 3, channels, width)), ("bias", (width,))]))
            channels = width
        layers.append((f"block{b}_pool", []))
    if top:
        layers.append(("flatten", []))
        inside = side * side * channels
        for name, out in (("fc1", fc), ("fc2", fc), ("predictions", classes)):
            layers.append((name, [("kernel", (inside, out)), ("bias", (out,))]))
            inside = out
    return layers


def resnet_layers(stages, stem, widths, top, classes=1000):
    """keras.applications.resnet, version 1."""
    layers = []

    def conv(name, kernel, inside, out):
        layers.append((name + "_conv", [("kernel", (kernel, kernel, inside, out)), ("bias", (out,))]))
        layers.append((name + "_bn", [(p, (out,)) for p in ("gamma", "beta", "moving_mean", "moving_variance")]))

    conv("conv1", 7, 3, stem)
    channels = stem
    for s, (blocks, width) in enumerate(zip(stages, widths), 2):
        for b in range(1, blocks + 1):
            name = f"conv{s}_block{b}"
            if b == 1:
                conv(name + "_0", 1, channels, 4 * width)
            conv(name + "_1", 1, channels, width)
            conv(name + "_2", 3, width, width)
            conv(name + "_3", 1, width, 4 * width)
            channels = 4 * width
    if top:
        layers.append(("predictions", [("kernel", (channels, classes)), ("bias", (classes,))]))
    return layers


KERAS1 = {"kernel": "W", "bias": "b"}


def write(path, layers, values, names="keras2", strings="fixed", inside=None, split=0, **dataset):
    """values(shape, number, part) gives each array. names: keras1 (block1_conv1_W_1:0) or keras2
    (block1_conv1/kernel:0). inside: the group that holds everything. split: names in one attribute piece."""
    kind = h5py.string_dtype() if strings == "variable" else None

    def attribute(group, key, texts):
        array = np.array([t.encode() for t in texts], dtype=kind) if texts else np.zeros((0,))
        if split and len(texts) > split:
            for i in range(0, len(texts), split):
                group.attrs[f"{key}{i // split}"] = array[i:i + split]
        else:
            group.attrs[key] = array

    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        attribute(root, "layer_names", [name for name, _ in layers])
        number = 0
        for layer, weights in layers:
            group = root.create_group(layer)
            stored = [f"{layer}_{KERAS1.get(p, p)}_1:0" if names == "keras1" else f"{layer}/{p}:0" for p, _ in weights]
            attribute(group, "weight_names", stored)
            for name, (part, shape) in zip(stored, weights):
                group.create_dataset(name, data=values(shape, number, part), **dataset)
                number += 1


CLASSES = {"conv2d": "Conv2D", "dense": "Dense", "flatten": "Flatten", "max_pooling2d": "MaxPooling2D", "input_layer": "InputLayer"}


def write3(path, layers, values, names):
    """Keras 3's .weights.h5: groups by class and number (keras/src/saving/saving_lib.py), names as later versions
    write them or none. Returns the config.json of a .keras archive."""
    rows, used, number = [], {}, 0
    with h5py.File(path, "w") as file:
        for layer, weights in layers:
            kind = ("conv2d" if "conv" in layer else "dense" if weights else "max_pooling2d" if "pool" in layer else
                    "flatten" if layer == "flatten" else "input_layer")
            used[kind] = used.get(kind, -1) + 1
            variables = file.create_group(f"layers/{kind}{f'_{used[kind]}' if used[kind] else ''}/vars")
            if names:
                variables.attrs["name"] = layer
            for i, (part, shape) in enumerate(weights):
                variables.create_dataset(str(i), data=values(shape, number, part))
                number += 1
            rows.append({"module": "keras.layers", "class_name": CLASSES[kind], "config": {"name": layer}})
        file.create_group("vars")
        file.create_group("optimizer/vars").create_dataset("0", data=np.array(3, np.int64))
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": {"name": "vgg16", "layers": rows}}


def main(folder):
    def plain(shape, number, part):
        return formula(shape, number)

    narrow = [2, 3, 2, 3, 2]
    write(os.path.join(folder, "vgg16_keras1.h5"), vgg_layers(VGG16, narrow, False), plain, names="keras1")
    write(os.path.join(folder, "vgg16_top.h5"), vgg_layers(VGG16, narrow, True, fc=5, classes=3), plain,
          strings="variable", inside="model_weights", split=5, compression="gzip", shuffle=True)
    bare = vgg_layers(VGG16, narrow, False)
    write3(os.path.join(folder, "vgg16_keras3.weights.h5"), bare, plain, False)
    write3(os.path.join(folder, "vgg16_keras3_names.weights.h5"), bare, plain, True)
    more = bare + [("block6_conv1", [("kernel", (3, 3, 2, 2)), ("bias", (2,))])]
    write3(os.path.join(folder, "vgg16_keras3_more.weights.h5"), more, plain, False)
    bent = [(n, [("kernel", (3, 3, 4, 3)), ("bias", (3,))] if n == "block2_conv1" else w) for n, w in bare]
    write3(os.path.join(folder, "vgg16_keras3_bent.weights.h5"), bent, plain, False)
    weights = os.path.join(folder, "model.weights.h5")
    config = write3(weights, vgg_layers(VGG16, narrow, True, fc=5, classes=3), plain, False)
    with zipfile.ZipFile(os.path.join(folder, "vgg16_top.keras"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("metadata.json", "{}"), ("config.json", json.dumps(config))):
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_STORED)
        with open(weights, "rb") as file:
            archive.writestr(zipfile.ZipInfo("model.weights.h5"), file.read(), zipfile.ZIP_DEFLATED)
    os.remove(weights)


if __name__ == "__main__":
    main(sys.argv[1])
