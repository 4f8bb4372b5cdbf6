"""Files as cameras and programs leave them, beside Pillow: whole pictures with odd ends, and EXIF orientations of every
type. Needs what support/cli.py needs, and Pillow."""

import io
import os
import pathlib
import struct
import sys
import unittest
import warnings
import zlib

from support.cli import Case

try:
    from PIL import Image, ImageOps
except ImportError:
    Image = None


def photo(kind, **options):
    """Smooth patches and noise."""
    image = Image.new("RGB", (40, 24))
    image.putdata([((5 * x + 37 * (x * y % 7)) % 256, 9 * y % 256, (x ^ y) * 4 % 256) for y in range(24) for x in range(40)])
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_exif(jpeg, tiff):
    app1 = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + jpeg[2:]


def tiff(order, kind, count, values):
    """One directory with one tag: the orientation."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHI", 8, 1, 0x112, kind, count)
    if len(values) <= 4:
        return head + values.ljust(4, b"\0") + bytes(4)
    return head + struct.pack(order + "II", 8 + 2 + 12 + 4, 0) + values


FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I",
           16: "Q"}


class OddFiles(Case):
    def write(self, name, data):
        path = os.path.join(self.folder, name)
        pathlib.Path(path).write_bytes(data)
        return path

    def test_orientations_are_those_that_pillow_reads(self):
        jpeg = photo("JPEG")
        paths, expected = [], []
        for order in "<>":
            for kind in range(18):
                letters = FORMATS.get(kind, "H")
                for count in (0, 1, 2, 3, 5):
                    for value in (0, 1, 3, 6, 8, 9):
                        one = struct.pack(order + letters, *([value, 1] if len(letters) == 2 else [value]))
                        # The first of several counts; the others are another orientation.
                        other = struct.pack(order + letters, *([5, 1] if len(letters) == 2 else [5]))
                        data = with_exif(jpeg, tiff(order, kind, count, one + other * (max(count, 1) - 1)))
                        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
                            warnings.simplefilter("ignore")
                            value_read = image.getexif().get(0x112, 1)
                        paths.append(self.write(f"{'le' if order == '<' else 'be'}-{kind}-{count}-{value}.jpg", data))
                        is_number = isinstance(value_read, int) or (not isinstance(value_read, (bytes, str)) and
                                                                    value_read == int(value_read))
                        expected.append(int(value_read) if is_number and 1 <= value_read <= 8 else 1)
        listed = self.write("list", "\n".join(paths).encode())
        records = self.records("--files-from", listed)
        self.assertEqual(len(records), len(paths))
        wrong = [(os.path.basename(path), record.get("orientation", 1), orientation)
                 for path, record, orientation in zip(paths, records, expected) if record.get("orientation", 1) != orientation]
        self.assertEqual(wrong, [])
        self.assertGreater(len([o for o in expected if o > 1]), 100)

    def test_png_profiles_are_those_that_pillow_reads(self):
        png = photo("PNG")
        exif = b"Exif\0\0" + tiff("<", 3, 1, struct.pack("<H", 6))
        profile = b"\nexif\n      %d\n" % len(exif) + exif.hex().encode() + b"\n"
        key = b"Raw profile type exif\0"
        xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b'<rdf tiff:Orientation="6"/>'
        for name, kind, data in (("plain", b"tEXt", key + profile), ("packed", b"zTXt", key + b"\0" + zlib.compress(profile)),
                                 ("utf8", b"iTXt", key + b"\0\0\0\0" + profile), ("xmp", b"iTXt", xmp)):
            with self.subTest(name):
                chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                path = self.write(name + ".png", png[:33] + chunk + png[33:])
                with Image.open(path) as image:
                    self.assertEqual(ImageOps.exif_transpose(image).size, (24, 40))
                record, = self.records(path)
                self.assertEqual((record["orientation"], record["width"], record["height"]), (6, 24, 40))

    def test_whole_pictures_with_odd_ends(self):
        for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})):
            data = photo(kind, **options)
            end = data[:-2] if kind == "JPEG" else data[:-12]
            suffix = kind.lower() + ("-p" if options else "")
            good, = self.records(self.write(f"good-{suffix}.{kind.lower()}", data))
            for name, tail in (("cut", b""), ("trailer", b"SEFT\0\1camera notes" * 4), ("video", b"\0\0\0\x18ftypmp42" * 4)):
                with self.subTest(kind=suffix, tail=name):
                    path = self.write(f"{name}-{suffix}.{kind.lower()}", end + tail)
                    if suffix != "jpeg-p" and (suffix, name) not in (("jpeg", "cut"), ("png", "video")):  # it wants more
                        with Image.open(path) as image:
                            image.load()
                    record, = self.records(path)
                    self.assertEqual(record["top"], good["top"])
                    self.assertIn("the picture is whole", " ".join(record["warnings"]))
                    short = self.write(f"short-{name}-{suffix}", end[:len(end) - 100 - len(tail)] + tail)
                    record, = self.records(short, status=1)
                    self.assertEqual(record["error"]["code"], "damaged_image")


    def test_filler_is_no_picture(self):
        """A JPEG cut in its data, in a file that was made longer: codes are found in any byte."""
        for options in ({}, {"progressive": True}):
            data = photo("JPEG", **options)[:-2]
            for byte in (b"\0", b" ", b"Z", b"\xff"):
                with self.subTest(options=options, byte=byte):
                    cut = self.write("cut.jpg", data[:len(data) * 3 // 4] + byte * 100000)
                    record, = self.records(cut, status=1)
                    self.assertEqual(record["error"]["code"], "damaged_image")
                    whole = self.write("whole.jpg", data + byte * 100000)
                    record, = self.records(whole)
                    self.assertIn("the picture is whole", " ".join(record["warnings"]))


if __name__ == "__main__":
    if Image is None:
        print("SKIPPED: no Pillow")
        sys.exit(77)
    unittest.main()
