"""How much `--decode fast` changes: the program's first classes of photos of a camera's size, beside those of exact decoding.

The photos are enlarged, with noise as a sensor's, and saved as JPEG. What factors other than the program's would give comes from
Pillow: its draft() asks libjpeg for the smallest reduction that leaves a size, and exact decoding does the rest.
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

SHORT_SIDE = 3000  # pixels: 12 megapixels at 4:3
NOISE = 4.0  # standard deviation, in steps of 8 bits
QUALITY = 92
FACTORS = (1, 2, 3, 4)  # how many times the resize's short side is left at least
PORTION = 10  # photos on disk at once


def enlarge(photo: Path, target: Path, seed: int) -> None:
    import numpy
    from PIL import Image

    with Image.open(photo) as image:
        scale = SHORT_SIDE / min(image.size)
        large = image.convert("RGB").resize([round(side * scale) for side in image.size], Image.BICUBIC)
    noise = numpy.random.default_rng(seed).normal(0, NOISE, (large.height, large.width, 1)).astype(numpy.float32)
    pixels = numpy.clip(numpy.asarray(large) + noise, 0, 255).astype(numpy.uint8)
    Image.fromarray(pixels).save(target, quality=QUALITY)


def reduce(photo: Path, target: Path, short_side: int) -> None:
    from PIL import Image

    with Image.open(photo) as image:
        scale = short_side / min(image.size)
        image.draft("RGB", [int(side * scale) for side in image.size])
        image.convert("RGB").save(target, compress_level=1)


def first_classes(command: Sequence[object], photos: Sequence[Path]) -> tuple[list[int], float]:
    """The index of each photo's first class, and the program's CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run([*map(str, command), "--top-k", "1", "--format", "jsonl", "--", *photos], check=True,
                            stdout=subprocess.PIPE).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [json.loads(line)["top"][0]["index"] for line in output.splitlines()], seconds


def check(program: Path, model: Path, photos: Sequence[Path], short_side: int, wanted: float) -> bool:
    """Prints how often the first class is that of exact decoding. Returns whether fast reaches the share `wanted`."""
    same = {"fast": 0, **{f"a factor of {factor}": 0 for factor in FACTORS}}
    seconds = {"exact": 0.0, "fast": 0.0}
    run = [program, "--quiet", "--model", model]
    for start in range(0, len(photos), PORTION):
        with tempfile.TemporaryDirectory() as folder:
            large = [Path(folder) / f"{i}.jpg" for i in range(start, min(start + PORTION, len(photos)))]
            for i, path in enumerate(large, start):
                enlarge(photos[i], path, i)
            exact, exact_seconds = first_classes([*run, "--decode", "exact"], large)
            fast, fast_seconds = first_classes([*run, "--decode", "fast"], large)
            seconds["exact"] += exact_seconds
            seconds["fast"] += fast_seconds
            same["fast"] += sum(a == b for a, b in zip(exact, fast))
            for factor in FACTORS:
                small = [path.with_suffix(".png") for path in large]
                for path, target in zip(large, small):
                    reduce(path, target, factor * short_side)
                found, _ = first_classes([*run, "--decode", "exact"], small)
                same[f"a factor of {factor}"] += sum(a == b for a, b in zip(exact, found))
    for name, count in same.items():
        print(f"{name}: the same first class as exact for {count} of {len(photos)}")
    print(f"CPU seconds: exact {seconds['exact']:.1f}, fast {seconds['fast']:.1f}")
    return same["fast"] >= wanted * len(photos)
