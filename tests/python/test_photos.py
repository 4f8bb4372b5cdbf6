"""Real photos through the whole program, against PyTorch's logits and the true classes.

MNV2_PROGRAM names the program, MNV2_SHARED_DIR the folder with weights, photos and reference logits, MNV2_PHOTOS how
many photos to take (all; under sanitizers, MNV2_SANITIZE, 4). Exit status 77: what
this needs is not there.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77
PROGRAM = os.environ["MNV2_PROGRAM"]
SHARED = pathlib.Path(os.environ["MNV2_SHARED_DIR"])
CONVERTER = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "convert_torchvision.py"
PHOTOS = int(os.environ.get("MNV2_PHOTOS") or (4 if os.environ.get("MNV2_SANITIZE") else 100))
WEIGHTS = SHARED / "weights" / "mobilenet_v2.pth"

for needed in (WEIGHTS, SHARED / "images" / "dev.csv", SHARED / "reference" / "dev_logits.npy", CONVERTER):
    if not needed.exists():
        print(f"SKIPPED: there is no {needed}")
        sys.exit(SKIPPED)
try:
    import numpy as np
    import torch  # noqa: F401  the converter needs it
    import torchvision  # noqa: F401
except ImportError as e:
    print(f"SKIPPED: {sys.executable} cannot convert the weights ({e})")
    sys.exit(SKIPPED)


class Photos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = os.path.join(cls.folder.name, "mobilenet_v2.safetensors")
        subprocess.run([sys.executable, str(CONVERTER), "--checkpoint", str(WEIGHTS), "--output", cls.model], check=True,
                       stdout=subprocess.DEVNULL)
        with open(SHARED / "images" / "dev.csv", newline="") as file:
            cls.rows = list(csv.DictReader(file))[:PHOTOS]
        cls.photos = pathlib.Path(cls.folder.name, "photos")
        cls.photos.mkdir()
        for row in cls.rows:
            (cls.photos / row["file"]).symlink_to((SHARED / "images" / "dev" / row["file"]).resolve())
        cls.logits = np.load(SHARED / "reference" / "dev_logits.npy")
        supported = []
        for isa in ("portable", "avx2", "avx512", "avx512-zen"):
            if subprocess.run([PROGRAM, "--isa", isa, "--version"], capture_output=True).returncode == 0:
                supported.append(isa)
            else:
                print(f"SKIPPED: {isa} is not there")
        cls.isas = supported

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_all(self, *arguments):
        result = subprocess.run([PROGRAM, "-m", self.model, *arguments, str(self.photos)], check=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
        self.assertEqual(result.stderr, b"")
        return result.stdout

    def test_every_photo_on_every_instruction_set(self):
        for isa in self.isas:
            with self.subTest(isa=isa):
                records = [json.loads(line) for line in self.run_all("--isa", isa, "-k", "1000").splitlines()]
                by_name = {os.path.basename(r["path"]): r for r in records}
                self.assertEqual(len(records), len(self.rows))
                self.assertEqual(len(by_name), len(self.rows))
                self.assertEqual([r["path"] for r in records], sorted(r["path"] for r in records))
                top1 = top5 = 0
                for row, logits in zip(self.rows, self.logits):
                    record = by_name[row["file"]]
                    indexes = [p["index"] for p in record["top"]]
                    self.assertEqual(record["status"], "ok")
                    self.assertEqual(indexes[0], int(np.argmax(logits)), row["file"])
                    expected = np.exp(logits.astype(np.float64) - logits.max())
                    expected /= expected.sum()
                    found = np.empty(1000)
                    found[indexes] = [p["probability"] for p in record["top"]]
                    # Half of what a logit may be off, 1e-4 of the largest, on each side of a ratio of exponentials.
                    np.testing.assert_allclose(found, expected, rtol=2.1e-4 * np.abs(logits).max(), atol=1e-12)
                    truth = int(row["class_index"])
                    top1 += indexes[0] == truth
                    top5 += truth in indexes[:5]
                    if indexes[0] == truth:
                        self.assertEqual(record["top"][0]["label"], row["class_name"])
                if len(self.rows) == 100:
                    self.assertEqual((top1, top5), (85, 97))

    def test_same_bytes_with_one_and_two_threads(self):
        for isa in self.isas:
            one = self.run_all("--isa", isa, "-t", "1")
            self.assertEqual(one.count(b"\n"), len(self.rows))
            self.assertEqual(self.run_all("--isa", isa, "-t", "2"), one)

    def test_one_photo_has_the_same_bytes_with_one_and_two_threads(self):
        photo = str(SHARED / "images" / "dev" / self.rows[0]["file"])
        results = {subprocess.run([PROGRAM, "-m", self.model, "-t", threads, "-k", "1000", photo], check=True,
                                  stdout=subprocess.PIPE).stdout for threads in ("1", "2", "3")}
        self.assertEqual(len(results), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
