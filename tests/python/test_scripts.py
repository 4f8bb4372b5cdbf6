"""The shell scripts parse, explain themselves, refuse wrong arguments; the sample picture is always the same PNG."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


def run(*command: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **options)


class ShellScripts(unittest.TestCase):
    def test_syntax(self) -> None:
        scripts = sorted(SCRIPTS.glob("*.sh")) + [ROOT / ".ci/run"]
        self.assertGreaterEqual(len(scripts), 4)
        for script in scripts:
            result = run("bash", "-n", script)
            self.assertEqual((result.returncode, result.stderr), (0, ""), script)
            if script.name != "lib.sh":
                self.assertTrue(os.access(script, os.X_OK), f"{script} is not executable")

    def test_help(self) -> None:
        for script in ("quickstart.sh", "test.sh", "test_aarch64.sh"):
            for option in ("-h", "--help"):
                result = run(SCRIPTS / script, option)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertTrue(result.stdout.startswith(f"Usage: scripts/{script} "), result.stdout)

    def test_wrong_arguments(self) -> None:
        cases = [(["--nope"], "unknown option --nope"), (["-x", "a.jpg"], "unknown option -x"),
                 (["--checkpoint"], "--checkpoint needs a value"), (["a.jpg", "--weights"], "--weights needs a value"),
                 (["--checkpoint="], "unknown option --checkpoint="),
                 (["--checkpoint", "a", "--weights", "b"], "--checkpoint and --weights exclude each other")]
        for arguments, message in cases:
            result = run(SCRIPTS / "quickstart.sh", *arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertEqual(result.stderr, f"quickstart.sh: {message} (try --help)\n")

    def test_missing_checkpoint(self) -> None:
        for arguments, environment in ((["--checkpoint", "nowhere.pth"], {}), (["--checkpoint=nowhere.pth"], {}),
                                       ([], {"MNV2_CHECKPOINT": "nowhere.pth"})):
            result = run(SCRIPTS / "quickstart.sh", *arguments, env={**os.environ, **environment})
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertEqual(result.stderr, "quickstart.sh: nowhere.pth: no such checkpoint\n")


class SamplePicture(unittest.TestCase):
    def test_png(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pictures = [Path(folder) / name for name in ("a.png", "b.png")]
            for picture in pictures:
                self.assertEqual(run(sys.executable, SCRIPTS / "draw_sample.py", picture).returncode, 0)
            self.assertEqual(pictures[0].read_bytes(), pictures[1].read_bytes())
            try:
                from PIL import Image
            except ImportError:
                self.skipTest("no Pillow to read the picture with")
            with Image.open(pictures[0]) as image:
                self.assertEqual((image.format, image.mode, image.size), ("PNG", "RGB", (400, 300)))
                image.load()
                self.assertEqual(image.getpixel((203, 138)), (255, 40, 20))  # a lit dot between the digits
                self.assertEqual(image.getpixel((50, 90)), (25, 25, 28))  # the frame

    def test_wrong_use(self) -> None:
        self.assertEqual(run(sys.executable, SCRIPTS / "draw_sample.py").returncode, 2)
        result = run(sys.executable, SCRIPTS / "draw_sample.py", "/nowhere/a.png")
        self.assertEqual((result.returncode, result.stderr),
                         (1, "draw_sample.py: /nowhere/a.png: No such file or directory\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
