"""Every command with mnv2-classify that the README files show, run in each file's order in a folder that has what it names;
and of the other commands, that they and their flags are there.

Needs what support/cli.py needs.
"""

import os
import re
import shutil
import subprocess
import tarfile
import unittest

from support.cli import CLASSES, MAKE_IMAGE, MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse
from support.readme import PROGRAM_README, README, READMES, ROOT, commands

MODELS = ROOT / "models"
OUTPUTS = {README: ("results.csv", "results.jsonl", "report.html", "sorted/table/table.jpg"),
           PROGRAM_README: ("results.csv", "results.jsonl", "features.npy", "features.index.csv", "report.html", "sorted"),
           ROOT / "tests/bench/README.md": ("before.json",)}


class Commands(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "build").mkdir()
        (self.folder / "build/mnv2-classify").symlink_to(PROGRAM)
        self.environment["PATH"] = f"{self.folder / 'build'}:{os.environ['PATH']}"
        subprocess.run([MAKE_IMAGE, str(self.folder / "image.jpg"), "64", "48", "3"], check=True)
        shutil.copy(self.folder / "image.jpg", self.folder / "new-photo.jpg")
        shutil.copy(self.folder / "image.jpg", self.folder / "build/sample.png")  # its first bytes tell what it is
        shutil.copy(README, self.folder / "README.md")
        for i in range(8):
            self.make(f"photos/{i % 2}/{i}.png", seed=i)
        (self.folder / "shards").mkdir()
        for name in ("photos.tar.gz", "shards/a.tar", "shards/b.tar"):
            with tarfile.open(self.folder / name, "w:gz" if name.endswith("gz") else "w") as archive:
                archive.add(self.folder / "photos", "photos")
        (self.folder / "truth.csv").write_text("file,label\n0/0.png,class 0\n1/1.png,1\n")
        model = self.folder / "labelled.safetensors"
        subprocess.run([MAKE_MODEL, str(model), "--classes", str(CLASSES), "--labels"], check=True)
        shutil.copytree(MODELS / "samples", self.folder / "models/samples")
        shutil.copy(MODELS / "samples.csv", self.folder / "models")
        for image in (MODELS / "samples").iterdir():
            self.make(f"build/figures/test/{image.stem.replace('_', ' ')}/{image.name}", image.read_bytes())
        shutil.copy(MODELS / "figure-kinds.safetensors", self.folder / "models")
        for name in ("models/mine.safetensors", "models/other.safetensors", "my-model/model.safetensors"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(model, self.folder / name)
        self.environment["MNV2_MODEL"] = str(model)

    def run_commands(self, readme):
        """What it shows; returns how many commands that is."""
        count = 0
        for command, shown in commands(readme, r"(build/)?mnv2-classify"):
            if "SLURM" in command:  # test_slurm.py runs it
                continue
            count += 1
            with self.subTest(command):
                run = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment,
                                     stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
                failing = " README.md" in command  # shown because it is no image
                self.assertEqual(run.returncode, 1 if failing else 0, run.stderr.decode())
                lines = run.stdout.decode().splitlines()
                for line in lines:
                    if line.startswith('{"'):
                        parse(line)
                if shown and "figure-kinds" in command:  # the others show what ImageNet's model says
                    self.assertEqual([self.rounded(line) for line in lines], [self.rounded(line) for line in shown])
        for made in OUTPUTS.get(readme, ()):
            self.assertTrue((self.folder / made).exists(), made)
        return count

    @staticmethod
    def rounded(line):
        """With three digits of each probability: the last ones differ between instruction sets."""
        return re.sub(r"\d+\.\d+", lambda number: f"{float(number.group()):.3g}", line)

    def test_readme(self):
        self.assertGreater(self.run_commands(README), 8)

    def test_program(self):
        self.assertGreater(self.run_commands(PROGRAM_README), 8)

    def test_others(self):
        self.assertGreater(sum(self.run_commands(readme) for readme in READMES[2:]), 8)

    def test_each_flag_has_its_line(self):
        help_text = self.run_program("--help")[0].decode()
        flags = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", help_text, re.M))
        self.assertGreater(len(flags), 40)
        rows = "\n".join(re.findall(r"^\| (`-.*?) \|", PROGRAM_README.read_text(), re.M))
        self.assertEqual(flags - set(re.findall(r"--[a-z-]+", rows)), {"--quiet", "--verbose"})  # -q and -v
        for readme in (README, PROGRAM_README):
            named = set(re.findall(r"^\| `(?:-\w, )?(--[a-z-]+)", readme.read_text(), re.M))
            self.assertGreater(len(named), 10)
            self.assertLessEqual(named, flags, readme)


class Texts(unittest.TestCase):
    def test_the_first_page_is_short(self):
        self.assertLessEqual(len(README.read_text().splitlines()), 150)

    def test_scripts_and_their_flags_are_there(self):
        seen = 0
        for readme in READMES:
            for command, _ in commands(readme, r"(scripts|tests)/\S+"):
                command = command.split(" #")[0]
                words = command.split()
                script = ROOT / words[0]
                with self.subTest(command):
                    self.assertTrue(os.access(script, os.X_OK))
                    flags = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
                    seen += 1
                    if flags:
                        shown = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=TIMEOUT, check=True)
                        self.assertLessEqual(flags, set(re.findall(r"--[a-z][\w-]*", shown.stdout)))
        self.assertGreater(seen, 10)

    def test_links_lead_somewhere(self):
        for readme in READMES:
            for target in re.findall(r"\]\(([^)]+)\)", readme.read_text()):
                if "://" in target:
                    continue
                with self.subTest(readme=str(readme), target=target):
                    name, _, anchor = target.partition("#")
                    path = (readme.parent / name).resolve() if name else readme
                    self.assertTrue(path.is_file())
                    if anchor:
                        titles = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
                        self.assertIn(anchor, {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles})

    def test_no_folder_outside_the_repository_is_named(self):
        for readme in READMES:
            self.assertNotIn("../shared", readme.read_text(), readme)


if __name__ == "__main__":
    unittest.main()
