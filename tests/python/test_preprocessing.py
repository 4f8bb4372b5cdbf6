"""Our preprocessing against Pillow's and torchvision's, bit for bit, on every instruction set of this machine.

MNV2_PREPROCESS_TOOL names the program tests/tools/preprocess_tool.cpp, MNV2_EMULATOR what to run it with when it is not
for this machine, MNV2_SHARED_DIR the folder with real photos.
"""

import csv
import os
import pathlib
import random
import struct
import subprocess
import sys
import unittest

SKIPPED = 77

try:
    import numpy as np
    from PIL import Image
except ImportError as e:
    print(f"SKIPPED: {sys.executable} has no Pillow or numpy ({e})")
    sys.exit(SKIPPED)
try:
    from torchvision import transforms
except ImportError as e:
    transforms = None
    print(f"torchvision is missing ({e}): compared with Pillow alone")

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PAIRS = [(256, 224), (232, 224), (224, 224), (64, 96), (33, 17), (17, 64), (40, 41), (96, 64), (1, 1), (5, 3), (2, 9)]


def reference_crop(image, resize, crop, bicubic):
    """The crop as uint8 [crop, crop, 3]."""
    if transforms is not None:
        mode = transforms.InterpolationMode.BICUBIC if bicubic else transforms.InterpolationMode.BILINEAR
        image = transforms.CenterCrop(crop)(transforms.Resize(resize, mode)(image))
        return np.asarray(image)
    w, h = image.size
    short, long = min(w, h), max(w, h)
    long = int(resize * long / short)
    size = (resize, long) if w <= h else (long, resize)
    pixels = np.asarray(image.resize(size, Image.BICUBIC if bicubic else Image.BILINEAR))
    for axis in (0, 1):
        missing = crop - pixels.shape[axis]
        if missing > 0:
            pad = [(0, 0)] * 3
            pad[axis] = (missing // 2, (missing + 1) // 2)
            pixels = np.pad(pixels, pad)
        first = int(round((pixels.shape[axis] - crop) / 2.0))
        pixels = pixels.take(range(first, first + crop), axis=axis)
    return pixels


def reference_input(crop, mean, std):
    """The normalised crop as float32 [3, crop, crop]."""
    if transforms is not None:
        return transforms.Normalize(mean, std)(transforms.ToTensor()(Image.fromarray(crop))).numpy()
    planes = crop.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean = np.array(mean, np.float32)[:, None, None]
    return (planes - mean) / np.array(std, np.float32)[:, None, None]


class Tool:
    """The program under test: one process for all cases."""

    def __init__(self):
        self.process = subprocess.Popen(
            [*os.environ.get("MNV2_EMULATOR", "").split(), os.environ["MNV2_PREPROCESS_TOOL"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.isas = struct.unpack("=i", self.read(4))[0]

    def read(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise RuntimeError(f"preprocess_tool ended early, status {self.process.wait()}")
        return data

    def run(self, pixels, resize, crop, mean=MEAN, std=STD, bgr=False, bicubic=False):
        """Yields (crop, input) for each instruction set."""
        height, width, _ = pixels.shape
        sent = pixels[:, :, ::-1] if bgr else pixels
        self.process.stdin.write(struct.pack("=6i6f", width, height, resize, crop, bgr, bicubic, *mean, *std))
        self.process.stdin.write(np.ascontiguousarray(sent).tobytes())
        self.process.stdin.flush()
        for _ in range(self.isas):
            u8 = np.frombuffer(self.read(3 * crop * crop), np.uint8).reshape(crop, crop, 3)
            f32 = np.frombuffer(self.read(12 * crop * crop), np.float32).reshape(3, crop, crop)
            yield u8, f32

    def close(self):
        self.process.stdin.close()
        status = self.process.wait()
        self.process.stdout.close()
        return status


def random_image(rng, width, height):
    """Noise, extremes, flat areas or a gradient: rounding differs most between these."""
    kind = rng.randrange(5)
    numbers = np.random.default_rng(rng.randrange(2**32))
    if kind == 0:
        return np.full((height, width, 3), rng.choice([0, 1, 127, 254, 255]), np.uint8)
    if kind == 1:
        return numbers.integers(0, 2, (height, width, 3), np.uint8) * np.uint8(255)
    if kind == 2:
        x = np.arange(width)[None, :, None] * rng.randrange(1, 9)
        y = np.arange(height)[:, None, None] * rng.randrange(1, 9)
        return ((x + y + np.array([0, 85, 170])) % 256).astype(np.uint8)
    return numbers.integers(0, 256, (height, width, 3), np.uint8)


def random_size(rng, resize):
    """Width and height that Pillow can resize whole in reasonable time."""
    kind = rng.randrange(8)
    if kind == 0:
        short, long = 1, rng.randrange(1, 200)
    elif kind == 1:
        short, long = rng.randrange(1, 8), rng.randrange(1, 400)
    elif kind == 2:
        short, long = resize, rng.randrange(resize, 3 * resize + 2)
    elif kind == 3:
        short = rng.randrange(1, 40)
        long = rng.randrange(1, 20 * short)
    elif kind == 4:
        short, long = rng.randrange(600, 1500), rng.randrange(600, 2500)
    else:
        short, long = rng.randrange(20, 600), rng.randrange(20, 700)
    return (short, long) if rng.randrange(2) else (long, short)


class PreprocessingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool()

    @classmethod
    def tearDownClass(cls):
        assert cls.tool.close() == 0, "preprocess_tool failed"

    def check(self, pixels, resize, crop, mean=MEAN, std=STD, bgr=False):
        for bicubic in (False, True):
            self.check_filter(pixels, resize, crop, mean, std, bgr, bicubic)

    def check_filter(self, pixels, resize, crop, mean, std, bgr, bicubic):
        case = f"{pixels.shape[1]}x{pixels.shape[0]} resize {resize} crop {crop} bgr {bgr} mean {mean} std {std} "
        case += "bicubic" if bicubic else "bilinear"
        expected = reference_crop(Image.fromarray(pixels), resize, crop, bicubic)
        expected_input = reference_input(expected, mean, std)
        for isa, (u8, f32) in enumerate(self.tool.run(pixels, resize, crop, mean, std, bgr, bicubic)):
            wrong = np.argwhere(u8 != expected)
            self.assertEqual(len(wrong), 0, f"{case} isa {isa}: {len(wrong)} bytes differ, first at {wrong[:1]}")
            wrong = np.argwhere(f32.view(np.int32) != expected_input.view(np.int32))
            self.assertEqual(len(wrong), 0, f"{case} isa {isa}: {len(wrong)} floats differ, first at {wrong[:1]}")

    def test_random_sizes(self):
        rng = random.Random(1)
        for i in range(330):
            resize, crop = PAIRS[i % len(PAIRS)]
            width, height = random_size(rng, resize)
            self.check(random_image(rng, width, height), resize, crop, bgr=rng.randrange(2) == 1)

    def test_every_small_size(self):
        rng = random.Random(2)
        for height in range(1, 13):
            for width in range(1, 13):
                self.check(random_image(rng, width, height), 9, 7)

    def test_edges(self):
        """Narrow, flat, equal to the target, one off it, many taps."""
        rng = random.Random(3)
        sizes = [(1, 3000), (3000, 1), (2, 5000), (256, 256), (255, 256), (256, 257), (257, 300), (300, 257)]
        sizes += [(224, 224), (225, 224), (512, 512), (513, 511), (500, 375), (375, 500), (768, 1025), (3001, 2000)]
        for width, height in sizes:
            pairs = [(33, 17), (16, 20)] if min(width, height) < 9 else [(256, 224), (33, 17), (1, 1)]
            for resize, crop in pairs:
                self.check(random_image(rng, width, height), resize, crop)
        self.check(random_image(rng, 30000, 1), 5, 5)
        self.check(random_image(rng, 1, 30000), 5, 5)
        self.check(random_image(rng, 9000, 2000), 8, 24)
        self.check(random_image(rng, 2000, 9000), 1, 1)

    def test_normalisation(self):
        """All 256 values, with all sorts of means and deviations."""
        rng = random.Random(4)
        values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
        self.check(values, 16, 16, (0.0, 0.5, 1.0), (1.0, 0.5, 255.0))
        self.check(values, 16, 16, (0.5, 0.5, 0.5), (1e-37, 1e-30, 1e37))
        self.check(values, 16, 16, (-3.5, 1e-6, 1e8), (0.229, 3e-5, 0.3))
        for _ in range(40):
            mean = [rng.uniform(0, 1) for _ in range(3)]
            std = [rng.uniform(0.01, 1) for _ in range(3)]
            self.check(values, 16, 16, mean, std, bgr=rng.randrange(2) == 1)

    def test_photos(self):
        shared = pathlib.Path(os.environ["MNV2_SHARED_DIR"])
        expected_file = shared / "reference" / "dev_crops_u8.npy"
        if not expected_file.is_file():
            self.skipTest(f"no {expected_file}")
        expected = np.load(expected_file)
        with open(shared / "images" / "dev.csv", newline="") as f:
            names = [row["file"] for row in csv.DictReader(f)][: len(expected)]
        self.assertEqual(len(names), 20)
        for name, crop in zip(names, expected):
            pixels = np.asarray(Image.open(shared / "images" / "dev" / name).convert("RGB"))
            for u8, _ in self.tool.run(pixels, 256, 224):
                self.assertTrue(np.array_equal(u8, crop), name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
