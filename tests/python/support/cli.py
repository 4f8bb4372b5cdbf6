"""What the tests of the program share: a small model and images made here, and runs of the program.

MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
import zlib

PROGRAM = os.environ["MNV2_PROGRAM"]
MAKE_MODEL = os.environ["MNV2_MAKE_MODEL"]
MAKE_IMAGE = os.environ["MNV2_MAKE_IMAGE"]
CLASSES = 10
TIMEOUT = 120  # seconds: far more than any run takes, so that a hang is a failure


def png_bytes(width, height, seed):
    """An RGB PNG, written by hand."""
    rows = b"".join(b"\0" + bytes((seed * 37 + x * 3 + y * 5 + c * 11) % 256 for x in range(width) for c in range(3))
                    for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_exif_orientation(jpeg, orientation):
    """The JPEG with an EXIF block right after its start marker."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


class Case(unittest.TestCase):
    """A folder, a model and a clean environment; helpers to run the program."""

    @classmethod
    def setUpClass(cls):
        cls.shared_folder = tempfile.TemporaryDirectory()
        cls.model = os.path.join(cls.shared_folder.name, "tiny.safetensors")
        subprocess.run([MAKE_MODEL, cls.model, "--classes", str(CLASSES)], check=True)
        jpeg = os.path.join(cls.shared_folder.name, "picture.jpg")
        subprocess.run([MAKE_IMAGE, jpeg, "61", "47", "5"], check=True)
        cls.jpeg_bytes = pathlib.Path(jpeg).read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.shared_folder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder / "home"),
                            "MNV2_MODEL": self.model, "XDG_DATA_DIRS": "/nonexistent"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def make(self, name, data=None, seed=1):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes(40 + seed % 7, 30 + seed % 5, seed) if data is None else data)
        return str(path)

    def make_folder(self, count, name="photos"):
        for i in range(count):
            self.make(f"{name}/{i:04}.png", seed=i)
        return str(self.folder / name)

    def run_program(self, *arguments, status=0, **options):
        """Runs to the end; returns (stdout, stderr). Every run checks that nothing but messages is on stderr."""
        result = subprocess.run([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, **options)
        err = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, status, f"{arguments}: {err}")
        for line in err.splitlines():
            self.assertRegex(line, r"^(mnv2-classify: (error|warning|info): |  )")
        return result.stdout, err

    def records(self, *arguments, status=0):
        """The records of a run in JSON Lines; every line has to be valid by itself."""
        out, _ = self.run_program(*arguments, status=status)
        self.assertTrue(out == b"" or out.endswith(b"\n"))
        return [parse(line) for line in out.decode("utf-8").split("\n")[:-1]]

    def assert_ok(self, record, path, k=5):
        self.assertEqual((record["path"], record["status"]), (path, "ok"))
        probabilities = [p["probability"] for p in record["top"]]
        self.assertEqual(len(record["top"]), min(k, CLASSES))
        self.assertEqual(probabilities, sorted(probabilities, reverse=True))
        self.assertTrue(all(0 <= p <= 1 for p in probabilities))
        self.assertEqual(len({p["index"] for p in record["top"]}), len(record["top"]))

    def assert_error(self, record, path, code):
        self.assertEqual((record["path"], record["status"], record["error"]["code"]), (path, "error", code))
        self.assertTrue(record["error"]["message"])
        self.assertNotIn("top", record)


def parse(text):
    """JSON as RFC 8259 has it: Python alone would take NaN."""
    def refuse(constant):
        raise ValueError(f"{constant} in JSON")
    return json.loads(text, parse_constant=refuse)
