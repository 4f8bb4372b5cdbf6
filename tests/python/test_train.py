"""train.py and make_figures.py: images drawn, a small network trained on them, resumed, converted and checked.

MNV2_PROGRAM is mnv2-classify. Needs torch, torchvision, matplotlib and what draws the figures; exit status 77 says that it is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
PROGRAM = os.environ["MNV2_PROGRAM"]
TIMEOUT = 300  # seconds: a hang is a failure

try:
    import torch
    import torchvision  # noqa: F401
    from PIL import Image

    import make_figures
    lacking = make_figures.missing()
except ImportError as error:
    lacking = str(error)
if lacking:
    print(f"SKIPPED: {lacking}")
    sys.exit(77)

from mnv2_figures_styles import SPLITS

SMALL = ["--width", "0.1", "--input-size", "32", "--epochs", "2", "--batch", "8", "--threads", "1", "--program", PROGRAM]


def train(*arguments: str, status: int = 0) -> str:
    result = subprocess.run([sys.executable, str(SCRIPTS / "train.py"), *arguments], capture_output=True, text=True,
                            timeout=TIMEOUT)
    assert result.returncode == status, (arguments, result.stderr)
    assert result.stdout == ""
    return result.stderr


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.figures = cls.folder / "figures"
        subprocess.run([sys.executable, str(SCRIPTS / "make_figures.py"), "--train", "8", "--val", "3", "--test", "2",
                        "--kinds", "bar chart,blank,table", "--processes", "1", str(cls.figures)], check=True,
                       stderr=subprocess.DEVNULL, timeout=TIMEOUT)

    def test_the_same_seed_draws_the_same_images(self) -> None:
        again = self.folder / "again"
        subprocess.run([sys.executable, str(SCRIPTS / "make_figures.py"), "--train", "2", "--val", "1", "--test", "1",
                        "--kinds", "bar chart,table", "--processes", "2", str(again)], check=True,
                       stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        drawn = [path.relative_to(again) for path in sorted(again.rglob("*")) if path.is_file()]
        self.assertEqual(len(drawn), 2 * 4)
        for path in drawn:
            self.assertEqual((again / path).read_bytes(), (self.figures / path).read_bytes(), path)

    def test_the_test_images_have_other_styles(self) -> None:
        train_styles, test_styles = SPLITS["train"], SPLITS["test"]
        compared = 0
        for name, values in vars(train_styles).items():
            if isinstance(values, (list, tuple)) and values:
                compared += 1
                both = {str(v) for v in values} & {str(v) for v in getattr(test_styles, name)}
                self.assertFalse(both, f"{name}: in training and test: {both}")
        self.assertGreater(compared, 2)

    def test_a_classifier_of_ones_own_in_three_commands(self) -> None:
        """The README's: train, classify, evaluate."""
        model = self.folder / "mine"
        said = train(str(self.figures), str(model), *SMALL)
        self.assertIn("3 classes, 24 images to train on, 9 to validate", said)
        self.assertIn("the program's answers equal PyTorch's on all 9 validation images", said)
        for name in ("model.safetensors", "best.pth", "last.pt", "history.json", "curves.png"):
            self.assertGreater((model / name).stat().st_size, 0, name)
        with Image.open(model / "curves.png") as curves:
            self.assertEqual(curves.format, "PNG")
        image = next((self.figures / "test/table").iterdir())
        record = json.loads(subprocess.run([PROGRAM, "-m", str(model / "model.safetensors"), str(image)],
                                           capture_output=True, check=True).stdout)
        self.assertEqual({guess["label"] for guess in record["top"]}, {"bar chart", "blank", "table"})
        report = json.loads(subprocess.run([PROGRAM, "-m", str(model / "model.safetensors"), "--eval",
                                            str(self.figures / "val"), "-f", "json"], capture_output=True, check=True).stdout)
        history = json.loads((model / "history.json").read_text())
        self.assertAlmostEqual(report["top1"], max(epoch["val_top1"] for epoch in history), places=5)

    def test_mobilenet_v1_and_fine_tuning(self) -> None:
        first, second = self.folder / "v1", self.folder / "tuned"
        said = train(str(self.figures), str(first), *SMALL, "--arch", "mobilenet_v1", "--epochs", "1")
        self.assertIn("equal PyTorch's", said)
        train(str(self.figures), str(second), *SMALL, "--arch", "mobilenet_v1", "--init", str(first / "best.pth"), "--freeze")
        before, after = (torch.load(folder / "best.pth")["state_dict"] for folder in (first, second))
        for name, tensor in before.items():
            self.assertEqual(torch.equal(tensor, after[name]), not name.startswith("classifier."), name)
        self.assertIn("another width?", train(str(self.figures), str(self.folder / "x"), *SMALL, "--arch", "mobilenet_v1",
                                              "--width", "0.2", "--init", str(first / "best.pth"), status=1))

    def test_a_run_that_was_stopped_goes_on_bit_for_bit(self) -> None:
        whole, stopped = self.folder / "whole", self.folder / "stopped"
        train(str(self.figures), str(whole), *SMALL, "--dropout", "0.5")
        process = subprocess.Popen([sys.executable, str(SCRIPTS / "train.py"), str(self.figures), str(stopped), *SMALL,
                                    "--dropout", "0.5"], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("epoch 1/2"):
                process.send_signal(signal.SIGINT)
                break
        process.communicate(timeout=TIMEOUT)
        self.assertIn("another recipe: label_smoothing was 0.1, now 0.2",
                      train(str(self.figures), str(stopped), *SMALL, "--resume", "--dropout", "0.5", "--label-smoothing", "0.2",
                            status=1))
        train(str(self.figures), str(stopped), *SMALL, "--resume", "--dropout", "0.5")
        one, other = (torch.load(folder / "last.pt") for folder in (whole, stopped))
        self.assertEqual(one["history"], other["history"])
        for name, tensor in one["state_dict"].items():
            self.assertTrue(torch.equal(tensor, other["state_dict"][name]), name)
        self.assertEqual((whole / "model.safetensors").read_bytes(), (stopped / "model.safetensors").read_bytes())

    def test_bad_trees(self) -> None:
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.figures / "train", tree)
        out = str(self.folder / "never")

        def refused(message: str, data: Path = tree, *arguments: str) -> None:
            self.assertIn(message, train(str(data), out, *SMALL, *arguments, status=1))
            self.assertFalse(os.path.exists(os.path.join(out, "last.pt")))

        refused("No such file or directory", self.folder / "nothing")
        refused("0 folders, expected one per class and at least two", tree / "table")
        (tree / "empty").mkdir()
        refused("empty: no JPEG or PNG file")
        (tree / "empty" / "one.jpg").write_bytes(b"GIF89a, not really")
        refused("empty: 1 image, expected at least two")
        (tree / "empty" / "two.jpg").write_bytes(b"")
        refused("one.jpg: not a readable JPEG or PNG image")
        shutil.rmtree(out, ignore_errors=True)
        refused("nothing to go on from", self.figures, "--resume")
        os.makedirs(out, exist_ok=True)
        Path(out, "mine.txt").write_text("")
        refused("not an empty folder", self.figures)


if __name__ == "__main__":
    unittest.main()
