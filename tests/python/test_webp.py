"""WebP files beside Pillow: pixels, orientation, the first frame of animations; through the whole program, too.

MNV2_DECODE_TOOL names the program that decodes; the rest needs what support/cli.py needs, and Pillow with WebP.
"""

import io
import os
import pathlib
import struct
import subprocess
import sys
import unittest

from support.cli import Case

try:
    from PIL import Image, features
    HAS_WEBP = features.check("webp") and features.check("webp_anim")
except ImportError:
    HAS_WEBP = False

DECODE_TOOL = os.environ.get("MNV2_DECODE_TOOL", "")


def picture(width, height, alpha=False, seed=0):
    def pixel(x, y):
        color = ((5 * x + 37 * (x * y % 7) + seed) % 256, 9 * y % 256, (x ^ y) * 4 % 256)
        return color + ((x * 6 + y) % 256,) if alpha else color

    image = Image.new("RGBA" if alpha else "RGB", (width, height))
    image.putdata([pixel(x, y) for y in range(height) for x in range(width)])
    return image


def webp(image, **options):
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


class WebP(Case):
    def write(self, name, data):
        path = os.path.join(self.folder, name)
        pathlib.Path(path).write_bytes(data)
        return path

    def decode(self, path):
        out = subprocess.run([DECODE_TOOL], input=os.fsencode(path) + b"\n", stdout=subprocess.PIPE, check=True,
                             timeout=60).stdout
        line, body = out.split(b"\n", 1)
        return line.decode().split(), body

    def test_pixels_are_those_of_pillow(self):
        frames = [picture(50, 34, seed=s) for s in (0, 90)]
        files = {"lossy": webp(picture(53, 37), quality=70), "lossless": webp(picture(53, 37), lossless=True),
                 "alpha": webp(picture(53, 37, alpha=True), quality=80),
                 "alpha-lossless": webp(picture(53, 37, alpha=True), lossless=True),
                 "exact": webp(picture(53, 37, alpha=True), lossless=True, exact=True),
                 "one": webp(picture(1, 1)), "icc": webp(picture(20, 9), icc_profile=b"no profile"),
                 "animation": webp(frames[0], save_all=True, append_images=frames[1:], duration=40),
                 "animation-alpha": webp(picture(40, 30, alpha=True), save_all=True, lossless=True,
                                         append_images=[picture(40, 30, alpha=True, seed=5)])}
        for name, data in files.items():
            with self.subTest(name):
                path = self.write(name + ".webp", data)
                words, body = self.decode(path)
                with Image.open(path) as image:
                    self.assertEqual(words[:3], ["ok", str(image.width), str(image.height)], body[:200])
                    self.assertTrue(body == image.convert("RGB").tobytes(), "pixels differ")

    def test_orientation(self):
        exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
        record, = self.records(self.write("turned.webp", webp(picture(40, 24), exif=exif)))
        self.assertEqual((record["orientation"], record["width"], record["height"]), (6, 24, 40))

    def test_folders_and_lists(self):
        folder = self.folder / "photos"
        folder.mkdir()
        (folder / "a.webp").write_bytes(webp(picture(40, 24)))
        (folder / "B.WEBP").write_bytes(webp(picture(40, 24)))
        (folder / "c").write_bytes(webp(picture(40, 24)))
        self.assertEqual([os.path.basename(r["path"]) for r in self.records(str(folder))], ["B.WEBP", "a.webp"])
        records = self.records("--any-name", str(folder))
        self.assertEqual([os.path.basename(r["path"]) for r in records], ["B.WEBP", "a.webp", "c"])
        self.assertEqual(len({str(r["top"]) for r in records}), 1)

    def test_limits_and_damage(self):
        data = webp(picture(200, 100), quality=90)
        record, = self.records("--max-pixels", "19999", self.write("large.webp", data), status=1)
        self.assertEqual(record["error"]["code"], "image_too_large")
        for size in (8, 12, 30, len(data) // 2, len(data) - 1):
            with self.subTest(size=size):
                record, = self.records(self.write("cut.webp", data[:size]), status=1)
                self.assertEqual(record["error"]["code"], "damaged_image")
        garbled = bytearray(data)
        garbled[30:60] = bytes(30)
        path = self.write("garbled.webp", garbled)
        words, _ = self.decode(path)
        self.assertIn(words[0], ("ok", "error"))


if __name__ == "__main__":
    if not HAS_WEBP:
        print("SKIPPED: no Pillow that writes WebP")
        sys.exit(77)
    unittest.main()
