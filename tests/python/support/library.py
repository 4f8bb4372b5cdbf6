"""What the tests of the library share: pixels as PPM and PNG, and what the program says of them.

MNV2_PROGRAM and MNV2_MAKE_MODEL name the program and the tool that makes a model.
"""

import json
import os
import pathlib
import struct
import subprocess
import zlib

PROGRAM = os.environ["MNV2_PROGRAM"]
MAKE_MODEL = os.environ["MNV2_MAKE_MODEL"]
CLASSES = 10
TIMEOUT = 120  # seconds: far more than any run takes, so that a hang is a failure


def run(*command, status=0, **options):
    """Runs to the end and returns what is on stdout; any other exit status fails."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=TIMEOUT, text=True, **options)
    if done.returncode != status:
        raise AssertionError(f"{command}: status {done.returncode}, expected {status}\n{done.stdout}{done.stderr}")
    return done.stdout


def make_model(path, *options):
    run(MAKE_MODEL, path, "--classes", CLASSES, *options)
    return pathlib.Path(path)


def make_pixels(width, height, seed):
    """RGB bytes, row by row."""
    return bytes((seed * 37 + x * 3 + y * 5 + c * 71 + x * y % 31) % 256
                 for y in range(height) for x in range(width) for c in range(3))


def write_ppm(path, width, height, pixels):
    pathlib.Path(path).write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels)


def write_png(path, width, height, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[y * 3 * width:(y + 1) * 3 * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) +
                                   chunk(b"IEND", b""))


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def program_answer(model, png, k):
    """[(index, probability as float32, label)] by the program."""
    record = json.loads(run(PROGRAM, "-m", model, "-k", k, png))
    return [(top["index"], float32(top["probability"]), top["label"]) for top in record["top"]]
