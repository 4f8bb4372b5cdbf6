"""The packages: the same bytes from two folders, what they hold, and the .deb at work in a clean root.

Run by `ctest -C package -L package`. MNV2_PACKAGE_OPENCV is the prefix of a lean OpenCV; without it, it is built.
They hold what a clone's do: the model that comes with the program. A part that the machine cannot do is skipped, and
says so.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOP = ("CMakeLists.txt", "README.md", "include", "models", "scripts", "src")
MODEL = "models/figure-kinds.safetensors"
SAMPLES = "models/samples"
MIRROR = "http://deb.debian.org/debian"
CODENAME = "bookworm"
EPOCH = "1700000000"
RUNTIME = r"^(linux-vdso|ld-linux.*|libjpeg|libpng16|libz|libstdc\+\+|libm|libgcc_s|libc)\.so"


def run(*command: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.packages = [cls.package(cls.folder / "a"), cls.package(cls.folder / "another, longer name")]
        cls.deb, cls.archive = cls.packages[0]

    @classmethod
    def package(cls, tree: Path) -> list[Path]:
        """The .deb and the .tar.gz made of a copy of the sources in `tree`."""
        tree.mkdir()
        for name in TOP:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
            else:
                shutil.copy(ROOT / name, tree / name)
        shutil.copy(ROOT / MODEL, tree / MODEL)
        opencv = os.environ.get("MNV2_PACKAGE_OPENCV")
        options = ["--opencv", opencv] if opencv else []
        # ccache would hand the first tree's objects to the second: nothing would be compared.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "CCACHE_DISABLE": "1"}
        done = run(tree / "scripts/package.sh", *options, env=environment)
        return [Path(line) for line in done.stdout.splitlines()]

    def unpacked(self) -> Path:
        target = self.folder / "unpacked"
        if not target.exists():
            run("dpkg-deb", "--extract", self.deb, target)
        return target

    def test_same_bytes(self) -> None:
        first, second = self.packages
        self.assertEqual([path.name for path in first], [path.name for path in second])
        self.assertEqual([path.name.rpartition(".")[2] for path in first], ["deb", "gz"])
        for one, other in zip(first, second):
            self.assertTrue(one.read_bytes() == other.read_bytes(), f"{one} and {other} differ")

    def test_no_path_of_this_machine(self) -> None:
        program = (self.unpacked() / "usr/bin/mnv2-classify").read_bytes()
        for path in {str(self.folder), str(ROOT), os.environ.get("MNV2_PACKAGE_OPENCV", str(ROOT))}:
            self.assertNotIn(path.encode(), program)

    def test_contents(self) -> None:
        names = {str(path.relative_to(self.unpacked())) for path in self.unpacked().rglob("*") if path.is_file()}
        expected = {"bin/mnv2-classify", "share/mnv2-classify/figure-kinds.safetensors",
                    "share/doc/mnv2-classify/README.md", "share/man/man1/mnv2-classify.1.gz",
                    "share/doc/mnv2-classify/copyright", "share/doc/mnv2-classify/changelog.gz",
                    "share/bash-completion/completions/mnv2-classify",
                    "share/zsh/site-functions/_mnv2-classify", "share/fish/vendor_completions.d/mnv2-classify.fish"}
        self.assertEqual({f"usr/{name}" for name in expected} - names, set())
        self.assertFalse([name for name in names if not name.startswith(("usr/bin/", "usr/share/"))])
        with tarfile.open(fileobj=gzip.open(self.archive)) as archive:
            members = archive.getmembers()
        self.assertEqual({member.name.split("/", 1)[1] for member in members if member.isfile()},
                         {name.removeprefix("usr/") for name in names})
        for member in members:
            self.assertEqual((member.uid, member.gid, str(member.mtime)), (0, 0, EPOCH), member.name)

    def test_metadata(self) -> None:
        fields = dict(re.findall(r"^(\S+): (.*)$", run("dpkg-deb", "--field", self.deb).stdout, re.MULTILINE))
        self.assertEqual(fields["Package"], "mnv2-classify")
        packages = {part.split()[0] for part in fields["Depends"].split(", ")}
        self.assertEqual({re.sub(r"\d.*", "", name) for name in packages}, {"libc", "libgcc-s", "libjpeg", "libpng", "libstdc++"})
        self.assertIn("(>= ", fields["Depends"])
        system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        self.assertIn(f"This package is built for {system['PRETTY_NAME'].strip(chr(34))}.", run("dpkg-deb", "--field", self.deb).stdout)

    def test_libraries(self) -> None:
        listed = run("ldd", self.unpacked() / "usr/bin/mnv2-classify").stdout.splitlines()
        self.assertGreater(len(listed), 4)
        for line in listed:
            self.assertRegex(os.path.basename(line.split()[0]), RUNTIME)

    def check_answer(self, *command: Any, samples: Path, **options: Any) -> None:
        """The samples' names are what they show: bar_chart.png, pie_chart.jpg."""
        records = [json.loads(line) for line in run(*command, samples, **options).stdout.splitlines()]
        self.assertEqual({record["path"].rpartition(".")[2] for record in records}, {"jpg", "png"})
        for record in records:
            self.assertEqual(record["top"][0]["label"].replace(" ", "_"), Path(record["path"]).stem)

    def test_anywhere(self) -> None:
        """The archive, unpacked where nobody knows it: the program finds the model beside itself."""
        target = self.folder / "some where"
        target.mkdir()
        run("tar", "-xf", self.archive, "-C", target)
        program, = target.glob("*/bin/mnv2-classify")
        self.check_answer(program, samples=ROOT / SAMPLES, env={"PATH": os.environ["PATH"]})
        version = run(program, "--version").stdout
        self.assertRegex(version, r"OpenCV [\d.]+ \(static; JPEG: libjpeg\.so \(ver \d+\); PNG: libpng\.so \(ver 1\.[\d.]+\)\)")

    def test_peak_memory(self) -> None:
        """Of a start with MobileNetV2, as the launcher of compare_peers.py measures it: this process is too large to."""
        model = self.folder / "full.safetensors"
        run(os.environ["MNV2_MAKE_MODEL"], "--full", "--classes", "1000", model)
        launcher = ROOT / "scripts/mnv2/peers/workers/launcher.py"
        program = self.unpacked() / "usr/bin/mnv2-classify"
        for threads in (1, 2):
            answer = run(sys.executable, "-I", "-S", launcher, os.devnull, self.folder / "stderr", program, "-m", model, "-t",
                         threads, ROOT / SAMPLES / "text_page.jpg").stdout
            _, kib, status = answer.split()
            self.assertEqual(status, "0")
            self.assertLess(int(kib) * 1024, 40e6, f"{threads} threads")

    def test_clean_root(self) -> None:
        """dpkg installs it where there is nothing but a base system and what its Depends names."""
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            self.skipTest("SKIPPED: a clean root needs root and debootstrap")
        depends = run("dpkg-deb", "--field", self.deb, "Depends").stdout.strip()
        needed = ",".join(part.split()[0] for part in depends.split(", "))
        root = self.folder / "root"
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={needed}", CODENAME, str(root), MIRROR],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"SKIPPED: debootstrap: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        shutil.copy(self.deb, root / "package.deb")
        shutil.copytree(ROOT / SAMPLES, root / "samples")
        run("chroot", root, "dpkg", "--install", "/package.deb")
        self.check_answer("chroot", root, "mnv2-classify", samples=Path("/samples"),
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        run("chroot", root, "dpkg", "--remove", "mnv2-classify")
        self.assertFalse((root / "usr/share/mnv2-classify").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
