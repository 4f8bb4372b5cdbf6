"""Every command with build/mnv2-classify that the README shows, run in the README's order in a folder that has what it names.

Needs what support/cli.py needs.
"""

import re
import shutil
import subprocess
import unittest

from support.cli import CLASSES, MAKE_IMAGE, MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse
from support.readme import README

COMMAND = re.compile(r"^    (?:\$ )?(build/mnv2-classify .*)$", re.M)


class Commands(Case):
    def setUp(self):
        super().setUp()
        (self.folder / "build").mkdir()
        (self.folder / "build/mnv2-classify").symlink_to(PROGRAM)
        subprocess.run([MAKE_IMAGE, str(self.folder / "image.jpg"), "64", "48", "3"], check=True)
        for copy in ("new-photo.jpg", "build/sample.jpg"):
            shutil.copy(self.folder / "image.jpg", self.folder / copy)
        (self.folder / "build/sample.jpg").rename(self.folder / "build/sample.png")  # first bytes decide
        shutil.copy(README, self.folder / "README.md")
        for i in range(8):
            self.make(f"photos/{i % 2}/{i}.png", seed=i)
        (self.folder / "truth.csv").write_text("file,label\n0/0.png,class 0\n1/1.png,1\n")
        model = self.folder / "labelled.safetensors"
        subprocess.run([MAKE_MODEL, str(model), "--classes", str(CLASSES), "--labels"], check=True)
        for name in ("models/mine.safetensors", "models/other.safetensors", "my-model/model.safetensors"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(model, self.folder / name)
        self.environment["MNV2_MODEL"] = str(model)

    def test_every_command(self):
        commands = COMMAND.findall(README.read_text())
        self.assertGreater(len(commands), 10)
        for command in commands:
            with self.subTest(command):
                run = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment,
                                     stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
                failing = " README.md" in command  # shown because it is no image
                self.assertEqual(run.returncode, 1 if failing else 0, run.stderr.decode())
                for line in run.stdout.decode().splitlines():
                    if line.startswith('{"'):
                        parse(line)
        for made in ("before.json", "results.csv", "results.jsonl", "features.npy", "features.index.csv", "report.html"):
            self.assertTrue((self.folder / made).is_file(), made)
        self.assertTrue((self.folder / "sorted").is_dir())


if __name__ == "__main__":
    unittest.main()
