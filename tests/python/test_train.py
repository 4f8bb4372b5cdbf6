"""train.py and make_figures.py: small networks trained on small images, resumed, converted and checked; figures drawn.

MNV2_PROGRAM is mnv2-classify. Needs torch, torchvision, Pillow and matplotlib; exit status 77 says that one is missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MODELS = SCRIPTS.parent / "models"
sys.path.insert(0, str(SCRIPTS))
PROGRAM = os.environ["MNV2_PROGRAM"]
TIMEOUT = 600  # seconds: a hang is a failure

try:
    import matplotlib  # noqa: F401
    import numpy as np
    import torch
    import torchvision  # noqa: F401
    from PIL import Image, ImageDraw
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)
try:
    from mnv2.figures.make import CHARTS, CODES, PAGES, missing
    NO_FIGURES = missing()
except ImportError as error:
    NO_FIGURES = str(error)

from mnv2.figures.kinds import KINDS
from mnv2.figures.styles import SPLITS, shared_entries
from mnv2.train import command as train_command
from mnv2.train.data import Augmentation, Sizes
from support.readme import SCRIPTS_README, code_block

CLASSES = ("disc", "frame", "two_bars")
SMALL = ["--width", "0.1", "--input-size", "32", "--epochs", "2", "--batch", "8", "--threads", "1",
         "--program", PROGRAM]


def draw_shape(name: str, seed: int) -> Image.Image:
    """A shape of a shade and place that the seed chooses, dark on light: discs reddish, frames green, bars blue."""
    rng = np.random.default_rng([seed, CLASSES.index(name)])
    image = Image.new("RGB", (60 + seed % 7, 50 + seed % 5), tuple(int(c) for c in rng.integers(170, 256, 3)))
    draw, color = ImageDraw.Draw(image), tuple(int(c) for c in rng.integers(0, 90, 3) + 120 * np.eye(3, dtype=int)[
        CLASSES.index(name)])
    x, y, side = (int(n) for n in (*rng.integers(4, 16, 2), rng.integers(20, 30)))
    if name == "disc":
        draw.ellipse((x, y, x + side, y + side), color)
    elif name == "frame":
        draw.rectangle((x, y, x + side, y + side), outline=color, width=4)
    else:
        draw.rectangle((x, y, x + 6, y + side), color)
        draw.rectangle((x + 15, y, x + 21, y + side), color)
    return image


def draw_shapes(folder: Path, count: int, first_seed: int) -> None:
    """`count` images of each class below `folder`, JPEG and PNG in turn."""
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for seed in range(first_seed, first_seed + count):
            draw_shape(name, seed).save(folder / name / f"{seed}.{('jpg', 'png')[seed % 2]}")


def train(*arguments: str) -> str:
    """train.py to its good end: what it says."""
    result = subprocess.run([sys.executable, str(SCRIPTS / "train.py"), *arguments], capture_output=True, text=True,
                            timeout=TIMEOUT)
    assert result.returncode == 0, (arguments, result.stderr)
    assert result.stdout == ""
    return result.stderr


def refused(*arguments: str) -> str:
    """train.py to a bad end, in this process, for it takes long to load PyTorch: the message."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = train_command.main(arguments)
    assert status == 1, (arguments, said.getvalue())
    return said.getvalue()


def pickled_code(made: Path) -> bytes:
    """A checkpoint that makes a file when it is loaded by a reader that trusts it."""
    class Code:
        def __reduce__(self) -> tuple:
            return Path.touch, (made,)

    stream = io.BytesIO()
    torch.save({"features.0.0.weight": Code()}, stream)
    return stream.getvalue()


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.shapes = cls.folder / "shapes"
        draw_shapes(cls.shapes / "train", 8, 0)
        draw_shapes(cls.shapes / "val", 3, 100)

    def test_train_classify_and_evaluate(self) -> None:
        model = self.folder / "mine"
        said = train(str(self.shapes), str(model), *SMALL)
        self.assertIn("3 classes, 24 images to train on, 9 to validate", said)
        self.assertIn("the program's answers equal PyTorch's on all 9 validation images", said)
        for name in ("model.safetensors", "best.pth", "last.pt", "history.json", "curves.png"):
            self.assertGreater((model / name).stat().st_size, 0, name)
        with Image.open(model / "curves.png") as curves:
            self.assertEqual(curves.format, "PNG")
        image = self.folder / "new.png"
        draw_shape("frame", 1000).save(image)
        record = json.loads(subprocess.run([PROGRAM, "-m", str(model / "model.safetensors"), str(image)],
                                           capture_output=True, check=True).stdout)
        self.assertEqual({guess["label"] for guess in record["top"]}, {"disc", "frame", "two bars"})
        run = subprocess.run([PROGRAM, "-m", str(model / "model.safetensors"), "--eval", str(self.shapes / "val"),
                              "-f", "json"], capture_output=True, check=True)
        report = json.loads(run.stdout)
        history = json.loads((model / "history.json").read_text())
        self.assertAlmostEqual(report["top1"], max(epoch["val_top1"] for epoch in history), places=5)

    def test_it_learns(self) -> None:
        learned = self.folder / "learned"
        train(str(self.shapes), str(learned), *SMALL, "--epochs", "25", "--width", "0.35", "--input-size", "64",
              "--batch", "24", "--learning-rate", "0.004", "--augment", "0", "--dropout", "0", "--label-smoothing", "0")
        losses = [epoch["train_loss"] for epoch in json.loads((learned / "history.json").read_text())]
        self.assertEqual(len(losses), 25)
        self.assertLess(sum(losses[-3:]) / 3, 0.5 * losses[0], losses)

    def test_mobilenet_v1_and_fine_tuning(self) -> None:
        first, second = self.folder / "v1", self.folder / "tuned"
        said = train(str(self.shapes), str(first), *SMALL, "--arch", "mobilenet_v1", "--epochs", "1")
        self.assertIn("equal PyTorch's", said)
        train(str(self.shapes), str(second), *SMALL, "--arch", "mobilenet_v1", "--init", str(first / "best.pth"),
              "--freeze")
        before, after = (torch.load(folder / "best.pth")["state_dict"] for folder in (first, second))
        for name, tensor in before.items():
            self.assertEqual(torch.equal(tensor, after[name]), not name.startswith("classifier."), name)
        said = refused(str(self.shapes), str(self.folder / "x"), *SMALL, "--arch", "mobilenet_v1", "--width", "0.2",
                       "--init", str(first / "best.pth"))
        self.assertIn("another width?", said)

    def test_a_run_that_was_stopped_goes_on_bit_for_bit(self) -> None:
        whole, stopped = self.folder / "whole", self.folder / "stopped"
        train(str(self.shapes), str(whole), *SMALL, "--dropout", "0.5")
        process = subprocess.Popen([sys.executable, str(SCRIPTS / "train.py"), str(self.shapes), str(stopped), *SMALL,
                                    "--dropout", "0.5"], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("epoch 1/2"):
                process.send_signal(signal.SIGINT)
                break
        process.communicate(timeout=TIMEOUT)
        for flags, message in ((["--label-smoothing", "0.2"], "label_smoothing was 0.1, now 0.2"),
                               (["--width", "0.2"], "network was mobilenet_v2, width 0.1, dropout 0.5, now "
                                "mobilenet_v2, width 0.2, dropout 0.5"),
                               (["--augment", "0.1"], "images was 24 to train on"),
                               (["--arch", "mobilenet_v1"], "network was mobilenet_v2")):
            self.assertIn(f"another recipe: {message}", refused(str(self.shapes), str(stopped), *SMALL, "--resume",
                                                                "--dropout", "0.5", *flags))
        train(str(self.shapes), str(stopped), *SMALL, "--resume", "--dropout", "0.5")
        one, other = (torch.load(folder / "last.pt") for folder in (whole, stopped))
        self.assertEqual(one["history"], other["history"])
        for name, tensor in one["state_dict"].items():
            self.assertTrue(torch.equal(tensor, other["state_dict"][name]), name)
        self.assertEqual((whole / "model.safetensors").read_bytes(), (stopped / "model.safetensors").read_bytes())

    def test_wrong_use(self) -> None:
        for flags, message in ((["--freeze"], "--freeze: needs --init"),
                               (["--width", "x"], "--width: 'x', expected 0.05 to 4"),
                               (["--input-size", "31"], "--input-size: '31', expected 32 to 1024"),
                               (["--input-size", "64", "--resize", "63"], "--resize: 63, expected at least the input")):
            said = io.StringIO()
            with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
                train_command.main([str(self.shapes), str(self.folder / "unmade"), *flags])
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(message, said.getvalue())
        never = str(self.folder / "unmade")
        self.assertIn("/nowhere: no program to run",
                      refused(str(self.shapes), never, *SMALL[:-2], "--program", "/nowhere"))
        for name, content, message in (("text.pth", b"hello", "text.pth: not a PyTorch checkpoint"),
                                       ("none.pth", None, "none.pth: No such file or directory"),
                                       ("code.pth", pickled_code(self.folder / "ran"), "refused")):
            path = self.folder / name
            if content is not None:
                path.write_bytes(content)
            self.assertIn(message, refused(str(self.shapes), never, *SMALL, "--init", str(path)))
        self.assertFalse((self.folder / "ran").exists(), "code out of a checkpoint ran")

    def test_bad_trees(self) -> None:
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.shapes / "train", tree)
        out = str(self.folder / "never")

        def check(message: str, data: Path = tree, *arguments: str) -> None:
            self.assertIn(message, refused(str(data), out, *SMALL, *arguments))
            self.assertFalse(os.path.exists(os.path.join(out, "last.pt")))

        check("No such file or directory", self.folder / "nothing")
        check("0 folders, expected one per class and at least two", tree / "disc")
        (tree / "empty").mkdir()
        check("empty: no JPEG or PNG file")
        (tree / "empty" / "one.jpg").write_bytes(b"GIF89a, not really")
        check("empty: 1 image, expected at least two")
        (tree / "empty" / "two.jpg").write_bytes(b"")
        check("one.jpg: not a readable JPEG or PNG image")
        shutil.rmtree(out, ignore_errors=True)
        check("nothing to go on from", self.shapes, "--resume")
        os.makedirs(out, exist_ok=True)
        Path(out, "mine.txt").write_text("")
        check("not an empty folder", self.shapes)


class Figures(unittest.TestCase):
    def draw(self, output: Path, *arguments: str) -> None:
        subprocess.run([sys.executable, str(SCRIPTS / "make_figures.py"), *arguments, str(output)], check=True,
                       stderr=subprocess.DEVNULL, timeout=TIMEOUT)

    @unittest.skipIf(NO_FIGURES, f"SKIPPED: {NO_FIGURES}")
    def test_the_same_seed_draws_the_same_images(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            every, some = Path(folder, "every"), Path(folder, "some")
            self.draw(every, "--train", "2", "--val", "1", "--test", "1", "--processes", "1")
            self.draw(some, "--train", "1", "--val", "1", "--test", "0", "--kinds", "diagram,table", "--processes", "2")
            self.assertEqual({path.name for path in (every / "test").iterdir()}, {*CHARTS, *CODES, *PAGES})
            self.assertEqual(KINDS, tuple(sorted((*CHARTS, *CODES, *PAGES), key=str.lower)))
            drawn = [path.relative_to(some) for path in sorted(some.rglob("*")) if path.is_file()]
            self.assertEqual(len(drawn), 2 * 2)
            for path in drawn:
                self.assertEqual((some / path).read_bytes(), (every / path).read_bytes(), path)
            images = [path for path in every.rglob("*") if path.is_file()]
            self.assertEqual(len(images), 4 * 14)
            self.assertEqual(len({path.read_bytes() for path in images}), len(images))
            for path in images:
                with Image.open(path) as image:
                    self.assertIn(image.format, ("JPEG", "PNG"))
                    self.assertGreaterEqual(min(image.size), 20, path)

    @unittest.skipIf(NO_FIGURES, f"SKIPPED: {NO_FIGURES}")
    def test_a_graph_that_crashes_its_layout_is_replaced(self) -> None:
        for crashes, status in ((2, 0), (99, 1)):
            with tempfile.TemporaryDirectory() as folder:
                tool, count = Path(folder, "bin/dot"), Path(folder, "count")
                tool.parent.mkdir()
                tool.write_text(f'#!/bin/sh\necho x >>"{count}"\n[ "$(wc -l <"{count}")" -gt {crashes} ] || exit 134\n'
                                f'exec "{shutil.which("dot")}" "$@"\n')
                tool.chmod(0o755)
                drawn = Path(folder, "drawn")
                run = subprocess.run([sys.executable, str(SCRIPTS / "make_figures.py"), "--train", "1", "--val", "0",
                                      "--test", "0", "--kinds", "diagram", "--processes", "1", str(drawn)],
                                     capture_output=True, text=True, timeout=TIMEOUT,
                                     env={**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"})
                self.assertEqual(run.returncode, status, run.stderr)
                if status == 0:
                    self.assertEqual(len(list(drawn.glob("train/diagram/*"))), 1)
                else:
                    self.assertIn("make_figures.py: dot -K", run.stderr)

    @unittest.skipIf(NO_FIGURES, f"SKIPPED: {NO_FIGURES}")
    def test_the_own_model_is_as_right_as_it_is_said_to_be(self) -> None:
        """On a small part of the test images: what models/README.md tells, with room for so few."""
        told = float(re.search(r"says ([0-9.]+) % \(", (MODELS / "README.md").read_text()).group(1))
        with tempfile.TemporaryDirectory() as folder:
            self.draw(Path(folder, "few"), "--train", "0", "--val", "0", "--test", "5", "--seed", "1")
            run = subprocess.run([PROGRAM, "-m", str(MODELS / "figure-kinds.safetensors"), "--eval", "-f", "json",
                                  str(Path(folder, "few/test"))], capture_output=True, check=True, timeout=TIMEOUT)
        report = json.loads(run.stdout)
        self.assertEqual(report["images"], 5 * len(KINDS))
        self.assertAlmostEqual(100 * report["top1"], told, delta=7)

    def test_the_test_images_have_other_styles(self) -> None:
        for one, other in itertools.combinations(SPLITS, 2):
            self.assertEqual(shared_entries(SPLITS[one], SPLITS[other]), [], (one, other))
        spoiled = dataclasses.replace(SPLITS["test"], markers=(*SPLITS["test"].markers, SPLITS["train"].markers[0]))
        self.assertEqual(shared_entries(SPLITS["train"], spoiled), [f"markers: {SPLITS['train'].markers[0]}"])


class Readme(unittest.TestCase):
    def test_a_classifier_of_ones_own_in_three_commands(self) -> None:
        """As they stand there, on a tiny set."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
            (folder / "build").mkdir()
            (folder / "build/mnv2-classify").symlink_to(PROGRAM)
            draw_shapes(folder / "photos", 4, 0)
            draw_shape("disc", 1000).save(folder / "new-photo.jpg")
            # PyTorch's threads may not spin for each other where other tests run beside.
            environment = {**os.environ, "PYTHON": sys.executable, "OMP_WAIT_POLICY": "passive"}
            commands = code_block(SCRIPTS_README, "scripts/train.py").splitlines()
            self.assertEqual(len(commands), 3)
            outputs = []
            for command in commands:
                run = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True,
                                     timeout=TIMEOUT, env=environment)
                self.assertEqual(run.returncode, 0, f"{command}: {run.stderr}")
                outputs.append(run.stdout)
                if command is commands[0]:
                    self.assertIn("the program's answers equal PyTorch's on all ", run.stderr)
            self.assertEqual({guess["label"] for guess in json.loads(outputs[1])["top"]}, {"disc", "frame", "two bars"})
            self.assertEqual(json.loads(outputs[2])["images"], 12)


class Parts(unittest.TestCase):
    def test_recoloring_changes_colours_and_nothing_else(self) -> None:
        image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))
        orders, negatives = set(), 0
        for seed in range(40):
            plain, other = (Augmentation(0, 0, recolor).pixels(
                image, Sizes(32, 32), torch.Generator().manual_seed(seed)).astype(int) for recolor in (0, 1))
            negative = not np.array_equal(np.sort(plain), np.sort(other))
            negatives += negative
            other = 255 - other if negative else other
            order = tuple(next(j for j in range(3) if np.array_equal(other[..., i], plain[..., j])) for i in range(3))
            np.testing.assert_array_equal(other, plain[..., order])
            orders.add(order)
        self.assertEqual(len(orders), 6)
        self.assertTrue(2 <= negatives <= 20, negatives)

    def test_the_progress_bar_is_for_terminals(self) -> None:
        code = "from mnv2.progress import progress; print(sum(progress(range(5), 5, 'epoch 7')))"
        host, terminal = pty.openpty()
        try:
            for stderr in (terminal, subprocess.PIPE):
                run = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, stdout=subprocess.PIPE, stderr=stderr,
                                     text=True, timeout=TIMEOUT)
                self.assertEqual(run.stdout, "10\n")
            self.assertEqual(run.stderr, "")
            shown = os.read(host, 65536).decode()
        finally:
            os.close(terminal)
            os.close(host)
        self.assertRegex(shown, r"^\repoch 7 \[\.{30}\] 0/5")
        self.assertRegex(shown, r"\repoch 7 \[#{30}\] 5/5, [0-9.]+/s, 0:00 left\x1b\[K\r\x1b\[K$")


if __name__ == "__main__":
    unittest.main()
