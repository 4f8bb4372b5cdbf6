"""What scripts/README.md tells people to type to spread the work: the commands as they stand there, run.

MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import unittest

from support.cli import TIMEOUT, parse
from support.readme import SCRIPTS_README, code_block
from support.recipes import RecipeCase


@unittest.skipUnless(shutil.which("parallel"), "GNU parallel is not installed (Debian's package parallel)")
class Parallel(RecipeCase):
    def setUp(self):
        super().setUp()
        (self.folder / "home/.parallel").mkdir(parents=True)
        (self.folder / "home/.parallel/will-cite").touch()  # it asks for citations on stderr otherwise

    def test_a_list_in_portions(self):
        script = code_block(SCRIPTS_README, "--pipe").replace("-N 200", "-N 4")
        self.shell(script, status=1)  # one portion has the torn image
        self.assertEqual(self.read("all.jsonl"), self.whole)

    def test_shards_with_a_log(self):
        script = code_block(SCRIPTS_README, "--resume-failed")
        self.environment["MNV2_MODEL"] = "/nonexistent"
        parallel_line = script.splitlines()[0]
        self.shell(parallel_line, status=8)  # as many as there are jobs
        self.environment["MNV2_MODEL"] = self.model
        self.shell(script)
        self.assertEqual(self.read("all.jsonl"), self.whole)
        for i in range(1, 9):
            (self.folder / f"shard-{i}.jsonl").write_text("kept")
        self.shell(parallel_line)
        self.assertEqual({self.read(f"shard-{i}.jsonl") for i in range(1, 9)}, {b"kept"})  # none was run again


class Partitions:
    """What PySpark's RDD does here: partitions of lines through processes of their own, as its pipe() starts them."""

    def __init__(self, partitions):
        self.partitions = partitions

    def pipe(self, command, env=None, checkCode=False):  # noqa: N803  PySpark's name
        def through_a_process(lines):
            result = subprocess.run(shlex.split(command), env=env or {}, input="".join(f"{line}\n" for line in lines).encode(),
                                    stdout=subprocess.PIPE, timeout=TIMEOUT)
            if checkCode and result.returncode != 0:
                raise RuntimeError(f"{command}: exit status {result.returncode}")
            return result.stdout.decode().splitlines()
        return Partitions([through_a_process(lines) for lines in self.partitions])

    def map(self, function):
        return Partitions([[function(item) for item in items] for items in self.partitions])

    def collect(self):
        return [item for items in self.partitions for item in items]


class FakeContext:
    def __init__(self, folder):
        self.folder = folder

    def textFile(self, name, partitions):  # noqa: N802  PySpark's name
        lines = (self.folder / name).read_text().splitlines()
        size = -(-len(lines) // partitions)
        return Partitions([lines[i:i + size] for i in range(0, len(lines), size)])


class Spark(RecipeCase):
    def test_pipe(self):
        paths = sorted(str(path) for path in (self.folder / "photos").rglob("*.jpg"))
        (self.folder / "list.txt").write_text("\n".join(paths))

        class Os:
            environ = self.environment

        names = {"sc": FakeContext(self.folder), "os": Os, "json": json}
        exec(code_block(SCRIPTS_README, "sc.textFile"), names)  # its own lines
        records = names["records"].collect()
        self.assertEqual([r["path"] for r in records], paths)
        whole = [parse(line) for line in self.whole.splitlines()]
        for record, expected in zip(records, whole):
            self.assertEqual({**record, "path": os.path.relpath(record["path"], self.folder)}, expected)


class FakeBag:
    """What dask.bag does here: a list in partitions, each of which goes through a function."""

    def __init__(self, partitions):
        self.partitions = partitions

    @classmethod
    def from_sequence(cls, sequence, npartitions):
        return cls([sequence[i::npartitions] for i in range(npartitions)])

    def map_partitions(self, function):
        return FakeBag([function(partition) for partition in self.partitions])

    def compute(self):
        return [item for partition in self.partitions for item in partition]


class Dask(RecipeCase):
    def test_portions(self):
        paths = sorted(str(path.relative_to(self.folder)) for path in (self.folder / "photos").rglob("*.jpg"))
        (self.folder / "list.txt").write_text("\n".join(paths))

        class Dask:
            bag = FakeBag

        class Subprocess:
            PIPE = subprocess.PIPE

            @staticmethod
            def run(*arguments, **options):
                return subprocess.run(*arguments, **options, cwd=self.folder, env=self.environment, timeout=TIMEOUT)

        names = {"dask": Dask, "subprocess": Subprocess, "json": json, "open": lambda name: open(self.folder / name)}
        exec(code_block(SCRIPTS_README, "dask.bag"), names)
        whole = sorted(map(json.dumps, map(parse, self.whole.splitlines())))
        self.assertEqual(sorted(map(json.dumps, names["records"])), whole)
        self.environment["MNV2_MODEL"] = "/nonexistent"
        with self.assertRaisesRegex(RuntimeError, "exit status 3"):
            exec(code_block(SCRIPTS_README, "dask.bag"), names)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
