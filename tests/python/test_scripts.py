"""The shell scripts parse, explain themselves, refuse wrong arguments; the sample picture is always the same PNG."""

from __future__ import annotations

import importlib.util
import os
import shutil
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
        for script in ("quickstart.sh", "test.sh", "check.sh", "test_aarch64.sh", "test_lean.sh", "build_opencv.sh",
                       "package.sh"):
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


class CtestOptions(unittest.TestCase):
    """What test.sh and its like hand to ctest, which would run all tests at an option that it does not know."""

    REFUSED = [(["--nonsense"], "unknown option --nonsense"), (["-Z"], "unknown option -Z"),
               (["-R", "kernels", "--tests-regex=x"], "unknown option --tests-regex=x"),
               (["-R"], "-R needs a value"), (["-V", "--label-regex"], "--label-regex needs a value"),
               (["-VVV"], "unknown option -VVV"), (["kernels"], "unexpected argument kernels"), ([""], "unexpected argument ")]

    def test_refused_before_anything_is_done(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tool = Path(folder) / "dpkg-query"  # so that nothing would be installed
            tool.write_text("#!/bin/sh\necho install ok installed\n")
            tool.chmod(0o755)
            environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": "/nowhere/python"}
            for script in ("test.sh", "test_lean.sh", "test_aarch64.sh"):
                for arguments, message in self.REFUSED:
                    result = run(SCRIPTS / script, *arguments, env=environment)
                    self.assertEqual((result.returncode, result.stdout, result.stderr),
                                     (2, "", f"{script}: {message} (try --help)\n"))

    def test_taken(self) -> None:
        for arguments in ([], ["-R", "kernels"], ["-E", "--x"], ["-R", ""], ["-j2", "-j", "2", "--parallel", "2"],
                          ["-L", "unit", "-LE", "slow", "--label-exclude", "^a$", "-VV", "-Q", "-N", "-I", "1,2,,5"],
                          ["--repeat", "until-fail:3", "--timeout", "5", "--output-on-failure", "--rerun-failed"],
                          ["--stop-on-failure", "--schedule-random", "--show-only=json-v1", "--no-tests=ignore"]):
            result = run("bash", "-euc", 'source "$0"; check_ctest_options "$@"', SCRIPTS / "lib.sh", *arguments)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""), arguments)

    def test_help_after_others(self) -> None:
        result = run(SCRIPTS / "test.sh", "-R", "kernels", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith("Usage: scripts/test.sh "), result.stdout)


class LeanScripts(unittest.TestCase):
    def assert_refused(self, script: str, arguments: list[str], status: int, message: str, **environment: str) -> None:
        result = run(SCRIPTS / script, *arguments, env={**os.environ, **environment})
        self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
        self.assertIn(message, result.stderr)

    def test_wrong_arguments(self) -> None:
        for script, arguments, message in (
                ("build_opencv.sh", ["--nope"], "unknown argument --nope"), ("build_opencv.sh", ["--source"], "--source needs a value"),
                ("build_opencv.sh", ["--download", "--apt-source"], "--download and --apt-source exclude each other"),
                ("package.sh", ["x"], "unknown argument x"), ("package.sh", ["--output"], "--output needs a value")):
            self.assert_refused(script, arguments, 2, message)
        self.assert_refused("package.sh", ["--model", "/nowhere/m"], 1, "/nowhere/m: no such model file")

    @unittest.skipUnless(shutil.which("cmake") and shutil.which("ninja") and shutil.which("curl"), "SKIPPED: no cmake, ninja or curl")
    def test_sources_that_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "tree" / "empty").mkdir(parents=True)
            archive = folder / "opencv.tar.gz"
            run("tar", "-czf", archive, "-C", folder, "tree")
            digest = run("sha256sum", archive).stdout.split()[0]
            prefix = ["--prefix", str(folder / "prefix")]
            self.assert_refused("build_opencv.sh", ["--source", "/nowhere", *prefix], 1, "/nowhere: no such source tree")
            for source in (folder / "tree", archive):
                self.assert_refused("build_opencv.sh", ["--source", str(source), *prefix], 1, "not a tree of OpenCV's sources")
            self.assert_refused("build_opencv.sh", ["--download", *prefix], 1, f"SHA-256 is {digest}, expected 1ec1cba6",
                                MNV2_OPENCV_URL=archive.as_uri())
            self.assert_refused("build_opencv.sh", ["--download", *prefix], 1, "cannot be downloaded",
                                MNV2_OPENCV_URL=(folder / "none").as_uri())
            self.assertFalse((folder / "prefix").exists())


class Interpreter(unittest.TestCase):
    """Scripts whose first line starts a Python that lacks what they need; -S leaves out all installed modules."""

    def bare_python(self) -> Path:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        bare = Path(folder.name) / "python"
        bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
        bare.chmod(0o755)
        return bare

    def test_another_one_takes_over(self) -> None:
        if any(importlib.util.find_spec(name) is None for name in ("torch", "torchvision", "PIL")):
            self.skipTest(f"{sys.executable} lacks the modules too")
        for script, *arguments in (("convert_torchvision.py", "--checkpoint", "nowhere.pth", "--output", "x"),
                                   ("check_agreement.py", "--checkpoint", "nowhere.pth", "x.jpg")):
            result = run(self.bare_python(), SCRIPTS / script, *arguments, env={**os.environ, "PYTHON": sys.executable})
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn("nowhere.pth", result.stderr)
            self.assertNotIn(" has no module ", result.stderr)

    def test_none_has_them(self) -> None:
        bare = self.bare_python()
        for script, package, *arguments in (("convert_torchvision.py", "python3-torch", "--output", "x"),
                                            ("check_agreement.py", "python3-pil", "x.jpg"),
                                            ("train.py", "python3-matplotlib", "a", "b"),
                                            ("make_figures.py", "python3-qrcode", "x")):
            for python, said in ((bare, " has no module "), ("/nowhere/python", "/nowhere/python does not start: No such file")):
                result = run(bare, SCRIPTS / script, *arguments, env={**os.environ, "PYTHON": str(python)})
                self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (1, "", 1), result.stderr)
                self.assertTrue(result.stderr.startswith(f"{script}: "), result.stderr)
                self.assertIn(said, result.stderr)
                self.assertRegex(result.stderr, f"apt-get install .*{package}")


    def test_help_needs_nothing_installed(self) -> None:
        commands = sorted(path for path in SCRIPTS.glob("*.py") if os.access(path, os.X_OK))
        self.assertGreaterEqual(len(commands), 7)
        for command in commands:
            result = run(self.bare_python(), command, "--help", env={**os.environ, "PYTHON": "/nowhere/python"})
            self.assertEqual((result.returncode, result.stderr), (0, ""), command)
            self.assertRegex(result.stdout, f"^[Uu]sage: {command.name}")


class Quickstart(unittest.TestCase):
    """The script in a tree of its own, with a cmake that only notes how it is called."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "a clone"
        shutil.copytree(SCRIPTS, self.root / "scripts")
        (self.root / "models").mkdir()
        (self.root / "models/mobilenet_v2.safetensors").touch()
        (self.root / "build").mkdir()
        self.write_tool("cmake", 'echo "$@" >>"$ROOT/calls"')
        self.write_tool("dpkg-query", "echo install ok installed")
        program = self.root / "build/mnv2-classify"
        program.write_text('#!/bin/sh\necho "$@"\n')
        program.chmod(0o755)

    def write_tool(self, name: str, command: str) -> None:
        tool = self.root / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{command}\n")
        tool.chmod(0o755)

    def quickstart(self) -> list[str]:
        """Runs it to the end; returns how cmake was called."""
        (self.root / "calls").unlink(missing_ok=True)
        environment = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "ROOT": str(self.root), "PYTHON": sys.executable}
        result = run(self.root / "scripts/quickstart.sh", "a b.jpg", env=environment)
        self.assertEqual((result.returncode, result.stdout),
                         (0, f"--model {self.root}/models/mobilenet_v2.safetensors -- a b.jpg\n"), result.stderr)
        return (self.root / "calls").read_text().splitlines()

    def test_release_without_tests(self) -> None:
        configure, build = self.quickstart()
        self.assertIn("-DCMAKE_BUILD_TYPE=Release", configure)
        self.assertIn("-DMNV2_BUILD_TESTS=OFF", configure)
        self.assertIn(f"--build {self.root}/build", build)
        self.assertTrue(build.endswith(" --target mnv2-classify docs"), build)  # all that cmake --install wants

    def test_after_a_configuration_that_failed(self) -> None:
        (self.root / "build/CMakeCache.txt").touch()
        configure, _ = self.quickstart()
        self.assertIn("-DMNV2_BUILD_TESTS=OFF", configure)

    def test_keeps_the_tests_of_a_build_that_has_them(self) -> None:
        (self.root / "build/build.ninja").touch()
        configure, _ = self.quickstart()
        self.assertIn("-DCMAKE_BUILD_TYPE=Release", configure)
        self.assertNotIn("MNV2_BUILD_TESTS", configure)


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

    def test_help(self) -> None:
        for option in ("-h", "--help"):
            result = run(sys.executable, SCRIPTS / "draw_sample.py", option)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(result.stdout, "Usage: draw_sample.py FILE.png\n")

    def test_wrong_use(self) -> None:
        for arguments in ([], ["--nope"], ["a.png", "--help"]):
            result = run(sys.executable, SCRIPTS / "draw_sample.py", *arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
        result = run(sys.executable, SCRIPTS / "draw_sample.py", "/nowhere/a.png")
        self.assertEqual((result.returncode, result.stderr),
                         (1, "draw_sample.py: /nowhere/a.png: No such file or directory\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
