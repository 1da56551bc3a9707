#!/usr/bin/python3
"""Writes golden/*.pack, which the tests of the image room read.

usage: make_golden.py            (Debian 12: Pillow 9.4, scikit-image 0.19.3, NumPy 1.24)

A pack is records, each a line "NAME INTEGER... ; NUMBER... ; BYTES BYTES" and the two blocks of bytes (golden.h reads
them); an empty first block means the one of the record before. Every picture is drawn here from a seed; none comes from elsewhere.
"""
import io
import os
import tempfile

import numpy as np
import skimage.io
from PIL import Image, ImageOps, PngImagePlugin
from skimage.transform import resize

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
rng = np.random.default_rng(20240501)


class Pack:
    def __init__(self, name):
        self.file = open(os.path.join(FOLDER, name), "wb")

    def add(self, name, integers, numbers, first, second):
        line = "%s %s ; %s ; %d %d\n" % (name, " ".join(map(str, integers)), " ".join(map(repr, numbers)),
                                       len(first), len(second))
        self.file.write(line.encode() + first + second)


def drawn(height, width, channels):
    """Gradients, a disc and noise: smooth enough to compress, sharp enough to overshoot."""
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        plane = 255 * ((x * (c + 1) + y * (3 - c % 3)) % (width + height)) / (width + height)
        plane += np.where((x - width / 2) ** 2 + (y - height / 3) ** 2 < (min(width, height) / 4) ** 2, 90 - 60 * c, 0)
        planes.append(plane + rng.normal(0, 8, (height, width)))
    return np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8)


def as_image(array, mode):
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array, mode)


def encoded():
    """(name, bytes) of small files, one for each path through the decoders."""
    def save(image, kind, **options):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    rgb = as_image(drawn(19, 27, 3), "RGB")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield "jpeg-exif%d" % orientation, save(rgb, "JPEG", exif=exif, quality=60)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "png-exif6", save(rgb, "PNG", exif=exif)
    yield "webp-exif6", save(rgb, "WEBP", exif=exif, lossless=True)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x><tiff:Orientation>8</tiff:Orientation></x>")
    yield "png-xmp8", save(rgb, "PNG", pnginfo=info)
    info = PngImagePlugin.PngInfo()
    block = exif.tobytes()
    info.add_text("Raw profile type exif", "\nexif\n%8d\n%s\n" % (len(block), block.hex()), zip=True)
    yield "png-raw6", save(rgb, "PNG", pnginfo=info)
    for subsampling in (0, 1, 2):
        yield "jpeg-sub%d" % subsampling, save(rgb, "JPEG", subsampling=subsampling)
    yield "jpeg-progressive", save(rgb, "JPEG", progressive=True)
    yield "jpeg-grey", save(as_image(drawn(11, 17, 1), "L"), "JPEG")
    yield "jpeg-cmyk", save(as_image(drawn(11, 17, 4), "CMYK"), "JPEG")
    yield "png-rgb", save(rgb, "PNG")
    yield "png-rgb-trns", save(rgb, "PNG", transparency=(1, 2, 3))
    yield "png-rgba", save(as_image(drawn(11, 17, 4), "RGBA"), "PNG")
    yield "png-la", save(as_image(drawn(11, 17, 2), "LA"), "PNG")
    yield "png-grey", save(as_image(drawn(11, 17, 1), "L"), "PNG")
    yield "png-bit", save(as_image(drawn(11, 17, 1), "L").convert("1"), "PNG")
    yield "png-grey16", save(Image.fromarray(rng.integers(0, 65536, (7, 9)).astype(np.uint16)), "PNG")
    for bits in (1, 2, 4, 8):
        n = 1 << bits
        image = Image.fromarray(rng.integers(0, n, (7, 13), dtype=np.uint8), "P")
        image.putpalette(rng.integers(0, 256, 3 * n, dtype=np.uint8).tobytes())
        yield "png-palette%d" % bits, save(image, "PNG", bits=bits)
        image.putpalette(np.repeat(rng.integers(0, 256, n, dtype=np.uint8), 3).tobytes())
        yield "png-greypalette%d" % bits, save(image, "PNG", bits=bits, transparency=bytes(range(n)))
    image.putpalette(rng.integers(0, 256, 768, dtype=np.uint8).tobytes())
    yield "png-palette-trns", save(image, "PNG", transparency=bytes(range(0, 256, 2)))
    yield "webp-rgb", save(rgb, "WEBP", lossless=True)
    yield "webp-rgba", save(as_image(drawn(11, 17, 4), "RGBA"), "WEBP", lossless=True, exact=True)
    yield "webp-lossy", save(rgb, "WEBP", quality=80)
    frames = [rgb, rgb.transpose(Image.Transpose.ROTATE_180)]
    yield "webp-moving", save(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


def pillow_rgb(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode == "I":  # design.md: 16 bits to the high byte; Pillow would saturate
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, 2)
    return np.asarray(image.convert("RGB"))


def skimage_read(data):
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(data)
        file.flush()
        array = skimage.io.imread(file.name)
    return array[:, :, None] if array.ndim == 2 else array


def main():
    os.makedirs(FOLDER, exist_ok=True)
    pack = Pack("decode.pack")
    for name, data in encoded():
        readers = [(0, pillow_rgb)] + ([] if name.startswith("webp") else [(1, skimage_read)])
        for mode, reader in readers:
            a = reader(data)
            pack.add(name, [mode, a.shape[1], a.shape[0], a.shape[2], a.dtype.itemsize * 8], [], data, a.tobytes())

    pack = Pack("resize.pack")
    shapes = [((23, 31), (9, 12), None), ((10, 7), (33, 25), None), ((40, 3), (5, 17), None),
              ((29, 37), (16, 16), (3.25, 1.5, 30.75, 28.0)), ((20, 20), (8, 6), (4.0, 5.0, 12.0, 11.0)),
              ((17, 90), (17, 21), None)]
    for (height, width), (w, h), box in shapes:
        for mode in ("L", "RGB", "RGBA"):
            array = drawn(height, width, {"L": 1, "RGB": 3, "RGBA": 4}[mode])
            image = as_image(array, mode)
            for i, (name, number) in enumerate(FILTERS.items()):
                out = np.asarray(image.resize((w, h), number, box=box))
                pack.add(name, [width, height, array.shape[2], w, h, int(box is not None)],
                         box or (0.0,) * 4, b"" if i else array.tobytes(), out.tobytes())

    pack = Pack("skimage.pack")
    for (height, width, channels), (h, w, c), dtype in (
            ((23, 31, 3), (9, 12, 3), np.uint8), ((10, 7, 3), (33, 25, 3), np.uint8),
            ((31, 12, 4), (8, 8, 3), np.uint8), ((12, 31, 1), (8, 40, 3), np.uint8),
            ((5, 60, 3), (3, 3, 3), np.uint8), ((1, 9, 3), (4, 2, 3), np.uint8), ((16, 16, 1), (7, 7, 1), np.uint16)):
        array = drawn(height, width, channels).astype(dtype)
        if dtype == np.uint16:
            array = (array.astype(np.uint16) * 257) ^ 85
        out = resize(array[:, :, 0] if channels == 1 else array, (h, w, c) if c > 1 else (h, w))
        pack.add("skimage", [width, height, channels, array.dtype.itemsize * 8, w, h, c], [], array.tobytes(),
                 out.astype("<f8").tobytes())


if __name__ == "__main__":
    main()
