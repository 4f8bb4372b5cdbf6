"""What scripts/README.md tells people to type to spread the work: the commands as they stand there, run.

MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import unittest

from support.cli import PROGRAM, TIMEOUT, parse
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


class ObjectStore(RecipeCase):
    def test_shards_one_after_the_other(self):
        for i in range(3):
            with tarfile.open(self.folder / f"shard-{i:06}.tar", "w") as archive:
                for path in sorted((self.folder / f"photos/{i}").glob("*.jpg")):
                    archive.add(path, f"photos/{i}/{path.name}")
        store = self.folder / "bin/aws"  # what the store's client does here: aws s3 cp URL -
        store.write_text('#!/bin/sh\n[ "$1 $2 $4" = "s3 cp -" ] && exec cat "${3#s3://photos/}"\n')
        store.chmod(0o755)
        self.shell(code_block(SCRIPTS_README, "s3://"), status=1)  # one image is torn
        records = [parse(line) for line in self.read("shards.jsonl").splitlines()]
        whole = [parse(line) for line in self.whole.splitlines()]
        self.assertEqual([(r["member"], r.get("top")) for r in records], [(r["path"], r.get("top")) for r in whole])


class Kubernetes(RecipeCase):
    def test_indexed_job(self):
        block = code_block(SCRIPTS_README, "JOB_COMPLETION_INDEX")
        command = re.search(r'command: \[sh, -c, "(.*)"\]', block).group(1)
        pods = int(re.search(r"completions: (\d+)", block).group(1))
        for i in range(pods):
            self.environment["JOB_COMPLETION_INDEX"] = str(i)
            for _ in range(2):  # a pod that is started anew
                subprocess.run(["sh", "-c", command], cwd=self.folder, env=self.environment, check=True, timeout=TIMEOUT)
        lines = [line for i in range(pods) for line in self.read(f"shard-{i}.jsonl").splitlines(keepends=True)]
        self.assertEqual(b"".join(sorted(lines)), b"".join(sorted(self.whole.splitlines(keepends=True))))


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


@unittest.skipUnless(shutil.which("dask-worker"), "Dask's cluster is not installed (Debian's package python3-distributed)")
class DaskCluster(RecipeCase):
    def test_a_worker_is_killed(self):
        paths = sorted(str(path.relative_to(self.folder)) for path in (self.folder / "photos").rglob("*.jpg"))
        (self.folder / "list.txt").write_text("\n".join(paths))
        # The program, slowly, so that both workers are in the middle of a portion; it tells whose child it is.
        slow = self.folder / "bin/mnv2-classify"
        slow.unlink()
        slow.write_text(f"#!/bin/sh\necho $PPID >> '{self.folder}/workers'\nsleep 1\nexec '{PROGRAM}' \"$@\"\n")
        slow.chmod(0o755)
        python = pathlib.Path(shutil.which("dask-worker")).read_text().splitlines()[0].removeprefix("#!").split()
        script = "\n".join(["import dask.bag, distributed, json, subprocess", code_block(SCRIPTS_README, "distributed.Client"),
                            code_block(SCRIPTS_README, "dask.bag"), "print(json.dumps(records))"])
        (self.folder / "run.py").write_text(script)
        with open(self.folder / "log", "wb") as log:
            cluster = subprocess.Popen(["bash", "-c", code_block(SCRIPTS_README, "dask-scheduler") + "wait"], cwd=self.folder,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
            self.addCleanup(cluster.wait)
            self.addCleanup(os.killpg, cluster.pid, signal.SIGKILL)
            client = subprocess.Popen([*python, "run.py"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=log)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.kill)
        workers, deadline = set(), time.monotonic() + TIMEOUT
        while len(workers) < 2 and time.monotonic() < deadline and client.poll() is None:
            time.sleep(0.05)
            if (self.folder / "workers").exists():
                workers = set(self.read("workers").split())
        self.assertEqual(len(workers), 2, self.read("log").decode())
        os.kill(int(min(workers)), signal.SIGKILL)
        out, _ = client.communicate(timeout=TIMEOUT)
        self.assertEqual(client.returncode, 0, self.read("log").decode())
        whole = sorted(map(json.dumps, map(parse, self.whole.splitlines())))
        self.assertEqual(sorted(map(json.dumps, json.loads(out))), whole)


@unittest.skipUnless(shutil.which("exiftool") and shutil.which("jq"),
                     "exiftool or jq is not installed (Debian's packages libimage-exiftool-perl and jq)")
class Keywords(RecipeCase):
    def test_written_and_taken_back(self):
        (self.folder / "photos/1/torn.jpg").unlink()
        before = {path: path.read_bytes() for path in (self.folder / "photos").rglob("*.jpg")}
        self.shell(code_block(SCRIPTS_README, "-json+=").replace("--min-prob 0.5", "--min-prob 0"))
        labels = {record["path"]: record["top"][0]["label"] for record in
                  map(parse, self.read("results.jsonl").splitlines())}
        self.assertEqual(len(labels), len(before))
        shown = json.loads(self.shell("exiftool -q -json -Subject -r -ext jpg photos"))
        self.assertEqual({item["SourceFile"]: item["Subject"] for item in shown}, labels)
        self.shell(code_block(SCRIPTS_README, "-restore_original"))
        self.assertEqual({path: path.read_bytes() for path in (self.folder / "photos").rglob("*.jpg*")}, before)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
