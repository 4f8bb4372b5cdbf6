#!/usr/bin/env python3
"""Decodes the same photos with two builds of decode_tool, in turn, and compares pixels and CPU time.

  tests/bench/compare_decoders.py BUILD_A BUILD_B PHOTO_OR_FOLDER...     e.g. build-system build ../shared/images/dev

Time is the tool's own: reading and decoding, without start and output. Exit status 1 when any pixel differs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 15


def decode(tool: Path, photos: list[Path]) -> tuple[list[float], list[tuple[list[bytes], bytes]]]:
    """CPU milliseconds of each photo, and what the tool says of it without the time."""
    output = subprocess.run([str(tool)], input=b"".join(bytes(photo) + b"\n" for photo in photos), stdout=subprocess.PIPE,
                            check=True).stdout
    times, results, at = [], [], 0
    while at < len(output):
        end = output.index(b"\n", at)
        words = output[at:end].split()
        at = end + 1 + int(words[-1])
        times.append(float(words[-2]))
        results.append((words[:-2], output[end + 1:at]))
    return times, results


def main() -> None:
    builds, inputs = sys.argv[1:3], [Path(name) for name in sys.argv[3:]]
    if len(builds) < 2 or not inputs:
        sys.exit(__doc__)
    photos = [photo for given in inputs for photo in (sorted(given.rglob("*.*")) if given.is_dir() else [given])]
    tools = [Path(build) / "tests" / "decode_tool" for build in builds]
    (_, first), (_, second) = (decode(tool, photos) for tool in tools)  # also warms up
    differing = [photo for photo, one, other in zip(photos, first, second) if one != other]
    sums: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for tool, its_sums in zip(tools, sums):
            its_sums.append(sum(decode(tool, photos)[0]))
    for build, its_sums in zip(builds, sums):
        print(f"{build}: {statistics.median(its_sums):.1f} ms for {len(photos)} photos, median of {ROUNDS} rounds, "
              f"least {min(its_sums):.1f}")
    ratio = statistics.median(b / a for a, b in zip(*sums))
    print(f"second / first, median by rounds: {ratio:.3f}; {len(differing)} of {len(photos)} differ")
    sys.exit(1 if differing or len(first) != len(photos) else 0)


if __name__ == "__main__":
    main()
