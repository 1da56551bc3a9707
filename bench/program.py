#!/usr/bin/python3
"""program.py BUILD [DATA] - the whole program from outside: one photo from process start to answer, and peak memory.

Prints medians of 15 runs for predict, and the peak resident set (wait4's ru_maxrss) of extracting 1,000 and 20,000 photos
(hard links to the photos of catsdogs, in a temporary folder) with the default backbone, and of 100 photos with VGG16 in
bf16 when a backbone file is given in $VGG16.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

build = os.path.abspath(sys.argv[1])
photos = os.path.join(sys.argv[2] if len(sys.argv) > 2 else "../shared/data", "photos", "catsdogs")
program = os.path.join(build, "cli", "topwork")
environment = dict(os.environ, TOPWORK_BACKBONES=os.path.join(build, "backbones"))


def run(*arguments):
    """Wall seconds, CPU seconds, peak MiB."""
    start = time.perf_counter()
    child = subprocess.Popen([program, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"topwork {' '.join(arguments)}: status {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def links(folder, count):
    """count photos in one flat folder, hard links (copies across file systems)."""
    os.makedirs(folder)
    names = sorted(os.path.join(photos, k, n) for k in ("cat", "dog") for n in os.listdir(os.path.join(photos, k)))
    copies = {}
    for i in range(count):
        source = names[i % len(names)]
        target = os.path.join(folder, f"{i:06}.jpg")
        if source not in copies:
            with open(source, "rb") as a, open(target, "wb") as b:
                b.write(a.read())
            copies[source] = target
        else:
            os.link(copies[source], target)


with tempfile.TemporaryDirectory(prefix="topwork-bench-") as tmp:
    model = os.path.join(tmp, "m.tw")
    run("train", photos, "-o", model)
    photo = os.path.join(photos, "cat", sorted(os.listdir(os.path.join(photos, "cat")))[0])
    run("predict", model, photo)
    runs = [run("predict", model, photo) for _ in range(15)]
    wall, cpu, rss = (statistics.median(column) for column in zip(*runs))
    print(f"predict, one photo, process start to answer   {1e3 * wall:6.1f} ms wall (least {1e3 * min(r[0] for r in runs):.1f}), "
          f"{1e3 * cpu:.1f} ms CPU, {rss:.0f} MiB")
    peaks = []
    for count in (1000, 20000):
        folder = os.path.join(tmp, str(count))
        links(folder, count)
        wall, cpu, rss = run("extract", folder, "--flat", "-o", os.path.join(tmp, "x.npy"))
        peaks.append(rss)
        print(f"extract, {count:6} photos, sapling                {count / wall:6.1f} photos/s, {rss:.1f} MiB peak")
    print(f"peak of 20,000 over peak of 1,000              {100 * (peaks[1] / peaks[0] - 1):+.1f} %")
    if os.environ.get("VGG16"):
        folder = os.path.join(tmp, "100")
        links(folder, 100)
        for precision in ("bf16", "f32"):
            wall, cpu, rss = run("extract", folder, "--flat", "--backbone", os.environ["VGG16"], "--precision", precision,
                                 "--pooling", "none", "-o", os.path.join(tmp, "x.npy"))
            print(f"extract, 100 photos, VGG16 {precision:4}                {100 / wall:6.1f} photos/s, {rss:.1f} MiB peak")
