"""The shell scripts parse, explain themselves, refuse wrong arguments; the sample picture is always the same PNG."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
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
        for script in ("quickstart.sh", "test.sh", "check.sh", "test_aarch64.sh", "test_release.sh", "test_fresh.sh",
                       "build_opencv.sh", "package.sh"):
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
            for script in ("test.sh", "test_release.sh", "test_aarch64.sh"):
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
        for script, package, *arguments in (("convert_torchvision.py", "python3-numpy", "--output", "x"),
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
        self.opencv = self.root / "build/opencv/lib/cmake/opencv4"
        self.opencv.mkdir(parents=True)
        (self.opencv / "OpenCVConfig.cmake").touch()
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
        self.assertIn(f"-DOpenCV_DIR={self.opencv}", configure)
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


class Packages(unittest.TestCase):
    """What lib.sh does with apt's lists: here tools that print what apt prints, of Debian 12 and 13."""

    PLAN = """Inst liba1 (1.2-3 Debian:12.5/stable [amd64])
Inst b [0.9] (1:2.0+x~1 Debian:12.5/stable [amd64]) []
Conf liba1 (1.2-3 Debian:12.5/stable [amd64])
"""
    URIS = """'http://a/pool/liba1_1.2-3_amd64.deb' liba1_1.2-3_amd64.deb 1500000 SHA256:00
'http://a/pool/b_1%3a2.0+x~1_amd64.deb' b_1%3a2.0+x~1_amd64.deb 2600000 SHA256:00
"""
    STATUS = """Reading lists
dlstatus:1:0.0000:Retrieving file 1 of 2
dlstatus:1:19.9:Retrieving file 1 of 2
dlstatus:2:100.0:Retrieving file 2 of 2
pmstatus:dpkg-exec:0.0000:Running dpkg
Selecting previously unselected package liba1.
pmstatus:liba1:amd64:55.5:Installing liba1 (amd64)
"""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name, text in (("plan", self.PLAN), ("uris", self.URIS), ("status", self.STATUS)):
            (self.folder / name).write_text(text)
        self.write_tool("apt-get", """echo "$@" >>"$FAKE/calls"
case $* in
  *--simulate*) cat "$FAKE/plan" ;; *--print-uris*) cat "$FAKE/uris" ;;
  *Status-Fd=3*)  # a pipe that apt makes non-blocking, so that nothing else may be written there
    [ "$(readlink /proc/$$/fd/3)" != "$(readlink /proc/$$/fd/1)" ] || exit 99
    grep status: "$FAKE/status" >&3
    grep -v status: "$FAKE/status"
    exit "$STATUS" ;;
esac""")
        # Of the packages' descriptions apt-cache prints those that are asked for.
        self.write_tool("apt-cache", """shift
for package; do case $package in
  liba1=1.2-3) echo "Installed-Size: 4000" ;; b=1:2.0+x~1) echo "Installed-Size: 7000" ;; *) exit 100 ;;
esac; done""")
        self.write_tool("dpkg-query", "exit 1")
        self.write_tool("sudo", 'exec "$@"')

    def write_tool(self, name: str, command: str) -> None:
        tool = self.folder / name
        tool.write_text(f"#!/bin/sh\n{command}\n")
        tool.chmod(0o755)

    def lib(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run("bash", "-euo", "pipefail", "-c", f'source "$0"; {command}', SCRIPTS / "lib.sh",
                   env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "FAKE": str(self.folder), "STATUS": "0",
                        **environment})

    def test_cost_and_progress(self) -> None:
        result = self.lib("install_packages liba1 b")
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        self.assertEqual(result.stderr.splitlines(), [
            "==> Installing liba1 b", "==> That is 2 packages: 4 MB to download, 11 MB on the disk",
            "==> apt: downloading, 0 %", "==> apt: downloading, 100 %", "==> apt: unpacking, 0 %", "==> apt: unpacking, 40 %"])
        calls = (self.folder / "calls").read_text()
        self.assertNotIn("install", [line for line in calls.splitlines() if "--no-install-recommends" not in line])

    def test_failure_shows_what_apt_said(self) -> None:
        result = self.lib("install_packages liba1 b; echo went on", STATUS="100")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("Selecting previously unselected package liba1.\n", result.stderr)
        self.assertTrue(result.stderr.endswith(": failed: apt-get install liba1 b\n"), result.stderr)

    def test_newest_clang(self) -> None:
        self.write_tool("apt-cache", "printf '%s\\n' clang-9 clang-16 clang-tidy-19 clang-16-doc clang-format-20 clang-")
        self.assertEqual(self.lib("newest_clang", PATH=f"{self.folder}:/usr/bin").stdout, "16\n")
        self.write_tool("clang++-99", "")
        self.assertEqual(self.lib("newest_clang").stdout, "99\n")

    def test_which_opencv(self) -> None:
        for value, packages in (("system", " libopencv-dev\n"), ("lean", " zlib1g-dev xz-utils patch\n")):
            result = self.lib('echo "${build_packages[*]}"', MNV2_OPENCV=value)
            self.assertTrue(result.stdout.endswith(packages), result.stdout)
        result = self.lib("true", MNV2_OPENCV="other")
        self.assertEqual(result.returncode, 2)
        self.assertIn("MNV2_OPENCV=other, expected lean or system", result.stderr)


class FreshRoot(unittest.TestCase):
    """The refusals of test_fresh.sh; what it does, continuous integration shows."""

    def test_wrong_arguments(self) -> None:
        for arguments, status, message in ((["--nope"], 2, "unknown option --nope"), (["--shared"], 2, "--shared needs a value"),
                                           (["--shared", "/nowhere", "trixie", "true"], 1, "/nowhere: no such folder")):
            result = run(SCRIPTS / "test_fresh.sh", *arguments)
            self.assertEqual((result.returncode, result.stdout), (status, ""))
            self.assertTrue(result.stderr.startswith(f"test_fresh.sh: {message}"), result.stderr)

    def start(self, mmdebstrap: str) -> tuple[subprocess.Popen[str], Path]:
        """The script with a stand-in for mmdebstrap, and the folder for temporary files."""
        if os.geteuid() != 0:
            self.skipTest("SKIPPED: mmdebstrap is started by root alone")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        tools, temporary = Path(folder.name) / "bin", Path(folder.name) / "tmp"
        for path in (tools, temporary):
            path.mkdir()
        for tool, command in (("dpkg-query", "echo install ok installed"), ("mmdebstrap", mmdebstrap)):
            (tools / tool).write_text(f"#!/bin/bash\n{command}\n")
            (tools / tool).chmod(0o755)
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
        return subprocess.Popen([str(SCRIPTS / "test_fresh.sh"), "trixie", "true"], env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), temporary

    def test_no_root_to_be_had(self) -> None:
        process, temporary = self.start("echo no mirror >&2; exit 1")
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (1, ""))
        self.assertTrue(err.endswith("no mirror\ntest_fresh.sh: no root of trixie can be made\n"), err)
        self.assertEqual(list(temporary.iterdir()), [])

    def test_stopped(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process, temporary = self.start('mkdir -p "${@: -2:1}/etc"; echo made >&2; sleep 600')
            assert process.stderr is not None
            while "made" not in process.stderr.readline():
                self.assertIsNone(process.poll())
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            self.assertEqual(list(temporary.iterdir()), [])


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
