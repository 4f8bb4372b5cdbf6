"""Ten thousand files, two in a hundred of them damaged: one record each, in order, in little memory, none lost to kill -9.

With drawn images and a small model, unless MNV2_SCALE_MODEL names a model file: then with it and with the photos of
MNV2_SHARED_DIR. MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import os
import pathlib
import subprocess
import sys
import unittest

from support.cli import PROGRAM, TIMEOUT, parse, png_bytes
from support.output import OutputCase

FILES = 5_000 if os.environ.get("MNV2_SANITIZE") else 10_000
PEAK_BYTES = 300e6
MODEL = os.environ.get("MNV2_SCALE_MODEL")


class Scale(OutputCase):
    def originals(self):
        """Some files to link to."""
        if MODEL:
            self.environment["MNV2_MODEL"] = MODEL
            photos = sorted((pathlib.Path(os.environ["MNV2_SHARED_DIR"]) / "images/dev").glob("*.JPEG"))
            self.assertGreater(len(photos), 50)
            return [self.make(f"originals/{path.name}", path.read_bytes()) for path in photos]
        drawn = [self.make(f"originals/{i}.png", png_bytes(20 + i, 90 - i, i)) for i in range(20)]
        return drawn + [self.make("originals/picture.jpg", self.jpeg_bytes)]

    def damaged(self, whole):
        """(bytes, error code)"""
        data = pathlib.Path(whole).read_bytes()
        return ((data[:len(data) // 2], "damaged_image"), (b"", "unsupported_format"), (b"<html>", "unsupported_format"),
                (None, "file_not_found"))

    def fill(self):
        """Makes the folder; returns the error code, or None, by path."""
        originals = self.originals()
        damaged = self.damaged(originals[0])
        expected = {}
        for i in range(FILES):
            path = f"{self.folder}/photos/{i % 7}/{i:05}.jpg"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            data, code = damaged[i // 50 % 4] if i % 50 == 13 else (b"", None)
            if code is None:
                os.link(originals[i % len(originals)], path)
            elif data is None:
                os.symlink("nothing", path)
            else:
                pathlib.Path(path).write_bytes(data)
            expected[path] = code
        return expected

    def classify(self, *arguments, listed=b""):
        """The records, and the peak memory in bytes."""
        with open(self.folder / "list", "wb") as file:
            file.write(listed)
        with open(self.folder / "list", "rb") as stdin, open(self.folder / "records", "wb") as stdout:
            process = subprocess.Popen([PROGRAM, "-q", "-k", "1", *arguments], env=self.environment, stdin=stdin, stdout=stdout)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 1)
        lines = (self.folder / "records").read_text().splitlines()
        return [parse(line) for line in lines], usage.ru_maxrss * 1024

    def test_ten_thousand_files(self):
        expected = self.fill()
        self.assertEqual(sum(code is not None for code in expected.values()), FILES // 50)
        for listed, arguments in ((b"", [f"{self.folder}/photos"]), ("\n".join(expected).encode(), ["-t", "4", "-"])):
            records, peak = self.classify(*arguments, listed=listed)
            self.assertEqual([r["path"] for r in records], list(expected) if listed else sorted(expected))
            self.assertEqual({r["path"]: r["error"]["code"] if "error" in r else None for r in records}, expected)
            print(f"{' '.join(arguments)}: peak memory {peak / 1e6:.1f} MB")
            if not os.environ.get("MNV2_SANITIZE"):  # sanitizers keep freed memory back
                self.assertLess(peak, PEAK_BYTES)

    def test_nothing_is_lost_after_kill(self):
        """Killed twice, and gone on with: the bytes of one whole run."""
        self.fill()
        folder, target = f"{self.folder}/photos", self.folder / "out"
        flags = ("-t", "2", "-k", "1", "-o", str(target), "--resume", folder)
        before = 0
        for _ in range(2):
            process, _ = self.start_stopped(*flags)  # at some thirtieth of the damaged files
            process.kill()
            process.wait(TIMEOUT)
            written = target.read_bytes().count(b"\n")
            self.assertTrue(before + FILES // 20 < written < FILES)
            before = written
        self.run_program(*flags, status=1)
        self.run_program("-q", "-t", "1", "-k", "1", "-o", f"{target}.whole", folder, status=1)
        whole = pathlib.Path(f"{target}.whole").read_bytes()
        self.assertEqual(whole.count(b"\n"), FILES)
        self.assertEqual(target.read_bytes(), whole)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
