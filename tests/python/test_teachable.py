"""Teachable Machine: from the file that its site hands out to folders for each class, by the commands that the README shows,
and the program's answers for photos against Pillow's ImageOps.fit and the network in float64.

Needs what support/cli.py and support/converter.py need, and Pillow; h5py for the commands.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

try:
    import h5py
except ImportError:
    h5py = None
try:
    from PIL import Image, ImageOps
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

from support.any_network import teachable_network
from support.cli import MAKE_IMAGE, PROGRAM, TIMEOUT, Case
from support.converter import ROOT, SHARED, forward, np, parse_model_file, torch
from support.keras_writer import keras_model, write_h5

REFERENCE = SHARED / "reference" / "teachable"
PROBABILITY = 2e-6  # largest difference
LINES = re.compile(r"(?:^    .*\n)*^    scripts/convert\.py converted_keras\.zip .*\n(?:^    .*\n)*", re.M)


def convert(*arguments: object) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/convert.py", *map(str, arguments)], check=True, capture_output=True)


@unittest.skipUnless((REFERENCE / "model.json").exists() and (SHARED / "images/dev").exists(), f"no {REFERENCE}")
class Photos(Case):
    def test_whole_pipeline(self) -> None:
        photos = [SHARED / "images/dev" / name for name in (REFERENCE / "photos.txt").read_text().split()]
        self.assertGreater(len(photos), 7)
        squares = [ImageOps.fit(Image.open(photo).convert("RGB"), (224, 224), Image.LANCZOS) for photo in photos]
        pixels = torch.from_numpy(np.stack([np.asarray(square) for square in squares])).permute(0, 3, 1, 2).double()
        model = self.folder / "model.safetensors"
        for divisor, flags in ((127.5, ()), (127.0, [f"--{name}={','.join([repr(127 / 255)] * 3)}" for name in ("mean", "std")])):
            convert(REFERENCE, "--output", model, *flags)
            metadata, tensors = parse_model_file(model)
            outputs = forward(metadata, {name: values.astype(np.float64) for name, values in tensors.items()}, pixels / divisor - 1)
            expected = torch.from_numpy(outputs).softmax(1).numpy()
            labels = json.loads((REFERENCE / "metadata.json").read_text())["labels"]
            for batch in ((), ("-t", "1", "--batch", "1")):
                records = self.records("-m", str(model), "-k", "3", "-f", "jsonl", *batch, *map(str, photos))
                self.assertEqual(len(records), len(photos))
                for record, probabilities in zip(records, expected):
                    found = {p["label"]: p["probability"] for p in record["top"]}
                    self.assertEqual(set(found), set(labels))
                    for label, probability in zip(labels, probabilities):
                        self.assertLessEqual(abs(found[label] - probability), PROBABILITY, (divisor, record["path"], label))
            self.assertGreater(np.ptp(expected, 0).max(), 0.01)  # the answers depend on the photo
            # Another square gives other answers, which PROBABILITY tells apart.
            squashed = np.stack([np.asarray(Image.open(photo).convert("RGB").resize((224, 224), Image.LANCZOS)) for photo in photos])
            outputs = forward(metadata, tensors, (torch.from_numpy(squashed).permute(0, 3, 1, 2) / divisor - 1).float())
            self.assertGreater(np.abs(torch.from_numpy(outputs).softmax(1).numpy() - expected).max(), 100 * PROBABILITY)


@unittest.skipIf(h5py is None, "SKIPPED: no h5py (Debian: python3-h5py)")
class Commands(Case):
    def setUp(self) -> None:
        super().setUp()
        for name in ("build", "models", "photos"):
            (self.folder / name).mkdir()
        (self.folder / "build/mnv2-classify").symlink_to(PROGRAM)
        (self.folder / "scripts").symlink_to(ROOT / "scripts")
        for i in range(5):
            subprocess.run([MAKE_IMAGE, str(self.folder / f"photos/{i}.jpg"), str(64 + 20 * i), "80", str(i)], check=True)
        with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(self.folder / "converted_keras.zip", "w") as archive:
            write_h5(Path(made, "keras_model.h5"), *keras_model(teachable_network(1), nested=True))
            archive.write(Path(made, "keras_model.h5"), "keras_model.h5")
            archive.writestr("labels.txt", "0 cats\n1 dogs\n2 neither\n")
        # The scripts begin with `env python3`: the interpreter of this test shall be that one.
        (self.folder / "bin").mkdir()
        (self.folder / "bin/python3").symlink_to(sys.executable)
        (self.folder / "bin/mnv2-classify").symlink_to(PROGRAM)
        self.environment["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def blocks(self) -> list[str]:
        return [block for path in (ROOT / "README.md", ROOT / "models/README.md") for block in LINES.findall(path.read_text())]

    def test_from_download_to_folders(self) -> None:
        blocks = self.blocks()
        self.assertTrue(any("--sort-into sorted" in block for block in blocks))
        for block in blocks:
            commands = [line.strip() for line in block.splitlines()]
            for command in commands:
                run = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                     capture_output=True, timeout=TIMEOUT, text=True)
                self.assertEqual(run.returncode, 0, f"{command}: {run.stderr}")
            self.assertEqual(len(run.stdout.splitlines()), 5)
            for record in map(json.loads, run.stdout.splitlines()):
                label = record["top"][0]["label"]
                self.assertIn(label, ("cats", "dogs", "neither"))
                if "--sort-into sorted" in block:
                    self.assertTrue((self.folder / "sorted" / label / Path(record["path"]).name).is_file(), record)


if __name__ == "__main__":
    unittest.main(verbosity=2)
