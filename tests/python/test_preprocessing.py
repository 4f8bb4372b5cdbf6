"""Our preprocessing against Pillow's and torchvision's, bit for bit, and that in floats against numpy in float64, on every
instruction set of this machine.

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
    from PIL import Image, ImageOps
except ImportError as e:
    print(f"SKIPPED: {sys.executable} has no Pillow or numpy ({e})")
    sys.exit(SKIPPED)
try:
    from torchvision import transforms
except ImportError as e:
    transforms = None
    print(f"torchvision is missing ({e}): compared with Pillow alone")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from mnv2.convert.architecture import Preprocessing  # noqa: E402
from mnv2.convert.calibration import normalise  # noqa: E402
from mnv2.convert.photos import make_square  # noqa: E402

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PAIRS = [(256, 224), (232, 224), (224, 224), (64, 96), (33, 17), (17, 64), (40, 41), (96, 64), (1, 1), (5, 3), (2, 9)]


INTERPOLATIONS = ["bilinear", "bicubic", "lanczos", "nearest"]
FILTERS = [Image.BILINEAR, Image.BICUBIC, Image.LANCZOS, Image.NEAREST]
FORMS = ["crop", "crop-floor", "fit", "squash", "squash-half-pixel", "squash-align-corners"]


def resize_short_side(image, resize, interpolation):
    w, h = image.size
    long = int(resize * max(w, h) / min(w, h))
    return image.resize((resize, long) if w <= h else (long, resize), FILTERS[INTERPOLATIONS.index(interpolation)])


def center_crop(pixels, crop):
    """torchvision's CenterCrop."""
    for axis in (0, 1):
        missing = crop - pixels.shape[axis]
        if missing > 0:
            pad = [(0, 0)] * 3
            pad[axis] = (missing // 2, (missing + 1) // 2)
            pixels = np.pad(pixels, pad)
        first = int(round((pixels.shape[axis] - crop) / 2.0))
        pixels = pixels.take(range(first, first + crop), axis=axis)
    return pixels


def center_crop_floor(pixels, crop):
    """The crop of Hugging Face's image processors: a window that begins at (side - crop) // 2, with zeros where it reaches
    over the image."""
    height, width, _ = pixels.shape
    top, left = (height - crop) // 2, (width - crop) // 2
    out = np.zeros((crop, crop, 3), np.uint8)
    rows = [y for y in range(crop) if 0 <= y + top < height]
    columns = [x for x in range(crop) if 0 <= x + left < width]
    out[np.ix_(rows, columns)] = pixels[np.ix_([y + top for y in rows], [x + left for x in columns])]
    return out


def reference_crop(image, resize, crop, interpolation, form="crop"):
    """The crop as uint8 [crop, crop, 3]."""
    resample = FILTERS[INTERPOLATIONS.index(interpolation)]
    if form == "fit":
        return np.asarray(ImageOps.fit(image, (crop, crop), resample))
    if form == "squash":
        return np.asarray(image.resize((crop, crop), resample))
    if form == "crop-floor":
        return center_crop_floor(np.asarray(resize_short_side(image, resize, interpolation)), crop)
    if transforms is not None:
        mode = transforms.InterpolationMode(interpolation)
        return np.asarray(transforms.CenterCrop(crop)(transforms.Resize(resize, mode)(image)))
    return center_crop(np.asarray(resize_short_side(image, resize, interpolation)), crop)


def neighbours(size, out, form):
    """For each of `out` pixels the two source pixels around it, and the weight of the second, in float64."""
    x = np.arange(out, dtype=np.float64)
    if form == "squash-half-pixel":
        position = (x + 0.5) * (size / out) - 0.5
    else:
        position = x * ((size - 1) / (out - 1)) if out > 1 else x * 0
    first = np.floor(position)
    return (np.clip(first, 0, size - 1).astype(int), np.clip(first + 1, 0, size - 1).astype(int), position - first)


def reference_floats(pixels, side, form, mean, std):
    """The normalised input of a form without bytes, as float64 [3, side, side]."""
    values = pixels.astype(np.float64) / 255
    top, bottom, weight = neighbours(pixels.shape[0], side, form)
    weight = weight[:, None, None]
    values = values[top] * (1 - weight) + values[bottom] * weight
    left, right, weight = neighbours(pixels.shape[1], side, form)
    weight = weight[None, :, None]
    values = values[:, left] * (1 - weight) + values[:, right] * weight
    return ((values - np.float32(mean).astype(float)) / np.float32(std).astype(float)).transpose(2, 0, 1)


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

    def run(self, pixels, resize, crop, mean=MEAN, std=STD, bgr=False, interpolation="bilinear", form="crop"):
        """Yields (crop, input) for each instruction set."""
        height, width, _ = pixels.shape
        sent = pixels[:, :, ::-1] if bgr else pixels
        self.process.stdin.write(struct.pack("=7i6f", width, height, resize, crop, bgr, INTERPOLATIONS.index(interpolation),
                                             FORMS.index(form), *mean, *std))
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
        for interpolation in ("bilinear", "bicubic"):
            self.check_bytes(pixels, resize, crop, mean, std, bgr, interpolation)

    def check_bytes(self, pixels, resize, crop, mean, std, bgr, interpolation, form="crop"):
        case = f"{pixels.shape[1]}x{pixels.shape[0]} {form} {resize} {crop} bgr {bgr} mean {mean} std {std} {interpolation}"
        expected = reference_crop(Image.fromarray(pixels), resize, crop, interpolation, form)
        expected_input = reference_input(expected, mean, std)
        for isa, (u8, f32) in enumerate(self.tool.run(pixels, resize, crop, mean, std, bgr, interpolation, form)):
            wrong = np.argwhere(u8 != expected)
            self.assertEqual(len(wrong), 0, f"{case} isa {isa}: {len(wrong)} bytes differ, first at {wrong[:1]}")
            wrong = np.argwhere(f32.view(np.int32) != expected_input.view(np.int32))
            self.assertEqual(len(wrong), 0, f"{case} isa {isa}: {len(wrong)} floats differ, first at {wrong[:1]}")

    def check_forms(self, pixels, resize, crop, bgr=False):
        for interpolation in INTERPOLATIONS:
            if interpolation in ("lanczos", "nearest"):
                self.check_bytes(pixels, resize, crop, MEAN, STD, bgr, interpolation)
            self.check_bytes(pixels, resize, crop, MEAN, STD, bgr, interpolation, "crop-floor")
            self.check_bytes(pixels, crop, crop, MEAN, STD, bgr, interpolation, "fit")
            self.check_bytes(pixels, crop, crop, MEAN, STD, bgr, interpolation, "squash")
        for form in ("squash-half-pixel", "squash-align-corners"):
            for mean, std in ((MEAN, STD), ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0, 0, 0), (1, 1, 1))):
                expected = reference_floats(pixels, crop, form, mean, std)
                for isa, (_, f32) in enumerate(self.tool.run(pixels, crop, crop, mean, std, bgr, form=form)):
                    error = np.abs(f32 - expected).max() * min(std)
                    self.assertLessEqual(error, 1e-6, f"{pixels.shape[1]}x{pixels.shape[0]} {form} {crop} {std} isa {isa}")

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

    def test_forms_of_random_sizes(self):
        rng = random.Random(5)
        for i in range(66):
            resize, crop = PAIRS[i % len(PAIRS)]
            width, height = random_size(rng, resize)
            self.check_forms(random_image(rng, width, height), resize, crop, bgr=rng.randrange(2) == 1)

    def test_forms_of_every_small_size(self):
        rng = random.Random(6)
        for height in range(1, 10):
            for width in range(1, 10):
                self.check_forms(random_image(rng, width, height), 9, 7)

    def test_edges_of_forms(self):
        """Narrow, flat, equal to the side, one off it, tiny ones enlarged, huge ones reduced."""
        rng = random.Random(7)
        for width, height in [(224, 224), (225, 224), (224, 227), (223, 224), (448, 449), (501, 374)]:
            self.check_forms(random_image(rng, width, height), 256, 224)
            self.check_forms(random_image(rng, width, height), 5, 3)
        self.check_forms(random_image(rng, 3001, 2000), 64, 48)
        for width, height in [(1, 3000), (3000, 1), (2, 5000), (5000, 3)]:
            self.check_forms(random_image(rng, width, height), 8, 24)
            self.check_forms(random_image(rng, width, height), 1, 1)
        for width, height in [(1, 1), (2, 1), (1, 2), (2, 3), (5, 2)]:
            self.check_forms(random_image(rng, width, height), 400, 384)
        rows = random_image(rng, 1, 60000)
        for interpolation in INTERPOLATIONS:
            for form in ("fit", "squash"):
                self.check_bytes(rows, 224, 224, MEAN, STD, False, interpolation, form)
                self.check_bytes(rows.transpose(1, 0, 2), 224, 224, MEAN, STD, False, interpolation, form)

    def test_the_converters_own(self):
        """What scripts/convert.py --calibrate takes photos through, by every form and filter."""
        rng = random.Random(8)
        for i in range(66):
            resize, crop = PAIRS[i % len(PAIRS)]
            pixels = random_image(rng, *(random_size(rng, resize) if i % 2 else (rng.randrange(1, 12), rng.randrange(1, 12))))
            image = Image.fromarray(pixels)
            for form in FORMS:
                for interpolation in INTERPOLATIONS if not form.startswith("squash-") else ["bilinear"]:
                    case = f"{image.size} {form} {resize} {crop} {interpolation}"
                    wanted = Preprocessing(resize, crop, MEAN, STD, interpolation, form)
                    found = make_square(image, wanted)
                    normalised = normalise(np.ascontiguousarray(found.transpose(2, 0, 1), np.float32), wanted)
                    if form.startswith("squash-"):
                        expected = reference_floats(pixels, crop, form, MEAN, STD)
                        self.assertLessEqual(np.abs(normalised - expected).max(), 1e-5, case)
                        continue
                    expected = reference_crop(image, resize, crop, interpolation, form)
                    self.assertEqual((found.dtype, found.tolist()), (np.uint8, expected.tolist()), case)
                    self.assertEqual(normalised.tobytes(), reference_input(expected, MEAN, STD).tobytes(), case)

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
        for i, (name, crop) in enumerate(zip(names, expected)):
            pixels = np.asarray(Image.open(shared / "images" / "dev" / name).convert("RGB"))
            for u8, _ in self.tool.run(pixels, 256, 224):
                self.assertTrue(np.array_equal(u8, crop), name)
            if i % 5 == 0:
                self.check_forms(pixels, 256, 224)


if __name__ == "__main__":
    unittest.main(verbosity=2)
