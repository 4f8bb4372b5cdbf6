"""Every image of the corpus has the outcome that its manifest asks for, and real photos decode as Pillow decodes them.

MNV2_DECODE_TOOL names the program that decodes, MNV2_SHARED_DIR the folder with corpus/ and images/; the test of the
whole program needs what support/cli.py needs. Exit status 77: there is no corpus.
"""

import csv
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import unittest

from support.cli import Case

MAX_CPU_MS = 2000.0  # what one file may cost before it counts as hanging
MAX_CPU_S = 10.0  # what all files may cost in one run of the program
# Cut after the last row, which Pillow does not take: the one without an end marker, the other in a needless chunk.
WHOLE = {"07002e78b885.jpg", "386d432c998a.png"}
DECODE_TOOL = os.environ.get("MNV2_DECODE_TOOL", "")
SHARED_DIR = os.environ.get("MNV2_SHARED_DIR", "")


def decode(paths):
    """Decodes all paths in one process. Returns its stderr and a list of (words of the line, body)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        subprocess.run([DECODE_TOOL], input=b"".join(os.fsencode(p) + b"\n" for p in paths),
                       stdout=out, stderr=err, check=True, timeout=60 + 2 * len(paths))
        out.seek(0)
        err.seek(0)
        results = []
        for line in iter(out.readline, b""):
            words = line.decode().split()
            results.append((words, out.read(int(words[-1]))))
        return err.read().decode(errors="replace"), results


def manifest():
    with open(os.path.join(SHARED_DIR, "corpus", "manifest.csv"), newline="") as file:
        return list(csv.DictReader(file))


class WholeProgram(Case):
    def test_one_run(self):
        folder = os.path.join(SHARED_DIR, "corpus", "files")
        expected = {row["file"]: row for row in manifest()}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        records = self.records("--no-exif", "-k", "1", folder, status=1)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual([record["path"] for record in records], [f"{folder}/{name}" for name in sorted(expected)])
        for record, name in zip(records, sorted(expected)):
            with self.subTest(file=name):
                row = expected[name]
                if row["expect"] == "ok":
                    self.assert_ok(record, f"{folder}/{name}", k=1)
                    self.assertEqual((record["width"], record["height"]), (int(row["width"]), int(row["height"])))
                elif name in WHOLE:
                    self.assert_ok(record, f"{folder}/{name}", k=1)
                    self.assertIn("the picture is whole", record["warnings"][0])
                elif row["expect"] != "either":
                    self.assertEqual(record["status"], "error")
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"corpus: {len(records)} files in one run of the program, {seconds:.2f} s of CPU time")
        if not os.environ.get("MNV2_SANITIZE"):
            self.assertLess(seconds, MAX_CPU_S)


class Corpus(unittest.TestCase):
    def test_manifest(self):
        rows = manifest()
        self.assertGreaterEqual(len(rows), 200)
        stderr, results = decode([os.path.join(SHARED_DIR, "corpus", "files", row["file"]) for row in rows])
        self.assertEqual(stderr, "", "codecs must not print")
        self.assertEqual(len(results), len(rows))
        tally = {}
        for row, (words, body) in zip(rows, results):
            with self.subTest(file=row["file"], expect=row["expect"], found=words):
                status, cpu_ms = words[0], float(words[-2])
                tally[row["expect"], status] = tally.get((row["expect"], status), 0) + 1
                self.assertLess(cpu_ms, MAX_CPU_MS)
                if row["expect"] == "ok":
                    self.assertEqual(words[:3], ["ok", row["width"], row["height"]], body[:200])
                    self.assertEqual(hashlib.md5(body).hexdigest(), row["rgb_md5"])
                elif row["file"] in WHOLE:
                    self.assertEqual(status, "ok")
                elif row["expect"] in ("error", "damaged"):
                    self.assertEqual(status, "error")
                    self.assertIn(words[1], ("unsupported_format", "damaged_image", "image_too_large"))
                    self.assertTrue(body.decode())
                else:
                    self.assertIn(status, ("ok", "error"))
        print("corpus:", ", ".join(f"{e} -> {s}: {n}" for (e, s), n in sorted(tally.items())))

    def test_photos_equal_pillow(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("Pillow is not installed")
        folder = os.path.join(SHARED_DIR, "images", "dev")
        paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        stderr, results = decode(paths)
        self.assertEqual(stderr, "")
        self.assertEqual(len(results), len(paths))
        for path, (words, body) in zip(paths, results):
            with self.subTest(path=path), Image.open(path) as image:
                self.assertEqual(words[:4], ["ok", str(image.width), str(image.height), "0"])
                self.assertTrue(body == image.convert("RGB").tobytes(), "pixels differ")


if __name__ == "__main__":
    if not os.path.exists(os.path.join(SHARED_DIR, "corpus", "manifest.csv")):
        print("SKIPPED: no corpus in", SHARED_DIR)
        sys.exit(77)
    unittest.main()
