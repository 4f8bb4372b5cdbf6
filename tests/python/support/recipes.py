"""What the tests of the recipes of scripts/README.md for many machines share."""

import os
import subprocess

from support.cli import PROGRAM, TIMEOUT, Case


class RecipeCase(Case):
    """A folder photos/ with an image that is damaged, the program on the PATH, and what one run gives."""

    def setUp(self):
        super().setUp()
        (self.folder / "bin").mkdir()
        (self.folder / "bin/mnv2-classify").symlink_to(PROGRAM)
        self.environment["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        for i in range(30):
            self.make(f"photos/{i % 3}/{i:02}.jpg", self.jpeg_bytes + bytes(i))
        self.make("photos/1/torn.jpg", self.jpeg_bytes[:100])
        self.whole = self.shell("mnv2-classify photos", status=1)

    def shell(self, script, status=0):
        """Runs a script as a user would paste it; returns what it writes to stdout."""
        result = subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        return result.stdout

    def read(self, name):
        return (self.folder / name).read_bytes()
