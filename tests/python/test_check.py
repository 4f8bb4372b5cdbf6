"""check.sh does the parts it is told and says which failed; run_tidy.py checks each file once and finds all findings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Tree(unittest.TestCase):
    """A tree of its own, with tools that only note how they are called."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name) / "a clone"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {**os.environ, "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "ROOT": str(self.root)}

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def write_tool(self, name: str, command: str) -> Path:
        tool = self.write(f"bin/{name}", f"#!/bin/sh\n{command}\n")
        tool.chmod(0o755)
        return tool

    def run_script(self, name: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(part) for part in (self.root / "scripts" / name, *arguments)], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)


class Check(Tree):
    def setUp(self) -> None:
        super().setUp()
        for name in ("src/core/a b.cpp", "src/core/a.h", "tests/unit/test_a.cpp", "include/mnv2/a.h", "build/made.cpp"):
            self.write(name)
        self.write(".ci/run", "#!/bin/sh\n")
        self.write_tool("dpkg-query", "echo install ok installed")
        self.write_tool("clang-format-14", r'printf "%s\n" "$@" >"$ROOT/formatted"')
        self.write_tool("shellcheck", r'printf "%s\n" "$@" >"$ROOT/shell"')

    def test_format_takes_every_source(self) -> None:
        result = self.run_script("check.sh", "format")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual((self.root / "formatted").read_text().splitlines(),
                         ["--dry-run", "--Werror", "include/mnv2/a.h", "src/core/a b.cpp", "src/core/a.h",
                          "tests/unit/test_a.cpp"])

    def test_failure_is_named_and_the_rest_is_done(self) -> None:
        self.write_tool("clang-format-14", "exit 1")
        result = self.run_script("check.sh", "format", "shell")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertTrue(result.stderr.endswith("check.sh: failed: format\n"), result.stderr)
        checked = (self.root / "shell").read_text().splitlines()
        self.assertLessEqual({".ci/run", "scripts/check.sh", "scripts/lib.sh"}, set(checked))

    def test_unknown_part(self) -> None:
        result = self.run_script("check.sh", "format", "nope")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertEqual(result.stderr, "check.sh: unknown part nope (try --help)\n")
        self.assertFalse((self.root / "formatted").exists())


class RunTidy(Tree):
    def setUp(self) -> None:
        super().setUp()
        self.build = self.root / "build"
        self.sources = [self.write(f"src/{name}", text) for name, text in
                        (("core/a.cpp", "A"), ("core/b.cpp", "B"), ("core/c.cpp", "C"), ("model/d.cpp", "D"))]
        self.write("build/compile_commands.json", json.dumps(
            [{"directory": str(self.build), "file": str(source), "output": "x.o",
              "command": f'ccache {self.root.as_posix().replace(" ", chr(92) + " ")}/bin/clang++ -Wall -o x.o -c '
                         f'{str(source).replace(" ", chr(92) + " ")}'} for source in self.sources]))
        self.write_tool("clang++", "exit 0")
        # Notes what it was given, and finds the same thing each time.
        self.tidy = self.write_tool("tidy", r'''
for word; do case $word in *.cpp) echo "$word" >>"$ROOT/tidied"; esac; done
echo "/src/a.h:1:2: error: wrong name [some-check]"
echo "  some code"
exit 1''')

    def run_tidy(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return self.run_script("run_tidy.py", self.build, "--clang-tidy", self.tidy, "--jobs", 1, *arguments)

    def tidied(self) -> list[list[str]]:
        """The files of each run of clang-tidy."""
        groups = []
        for line in (self.root / "tidied").read_text().splitlines():
            path = Path(line)
            if path in self.sources:
                groups.append([path.name])
            else:
                groups.append([Path(part.split('"')[1]).name for part in path.read_text().splitlines()])
        return groups

    def test_one_run_for_each_folder_and_each_finding_once(self) -> None:
        result = self.run_tidy()
        self.assertEqual(self.tidied(), [["a.cpp", "b.cpp", "c.cpp"], ["d.cpp"]])
        self.assertEqual((result.returncode, result.stdout),
                         (1, "/src/a.h:1:2: error: wrong name [some-check]\n  some code\n"))
        self.assertEqual(result.stderr, "4 files, 1 findings\n")

    def test_what_does_not_compile_together_is_divided(self) -> None:
        self.write_tool("clang++", r'''
for word; do case $word in *.cpp) ! grep -q a.cpp "$word" || ! grep -q c.cpp "$word"; exit $?; esac; done''')
        self.run_tidy()
        self.assertEqual(self.tidied(), [["a.cpp"], ["b.cpp", "c.cpp"], ["d.cpp"]])

    def test_clean(self) -> None:
        self.write_tool("tidy", "exit 0")
        result = self.run_tidy("src/core/")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", "3 files, 0 findings\n"))

    def test_a_tool_that_fails_is_no_success(self) -> None:
        self.write_tool("tidy", "echo segmentation fault >&2; exit 139")
        result = self.run_tidy()
        self.assertEqual(result.returncode, 1)
        self.assertIn("segmentation fault", result.stdout)

    def test_nothing_to_check(self) -> None:
        self.assertEqual(self.run_tidy("no/such/file").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
