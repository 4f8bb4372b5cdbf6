"""Where results go: CSV, --output, --resume, --min-prob, --embeddings, --sort-into, and what can go wrong there.

Records are compared with those of a plain run to stdout, arrays with NumPy and PyTorch where the interpreter has them.
"""

import contextlib
import csv
import fcntl
import io
import json
import os
import pathlib
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_cli import CLASSES, MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse

try:
    import numpy
except ImportError:
    numpy = None

SHARED = pathlib.Path(os.environ.get("MNV2_SHARED_DIR", "/nonexistent"))


def rows_of(data):
    """The rows of a CSV file, by Python's reader; paths may be any bytes."""
    return list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))


class OutputCase(Case):
    def out(self, *arguments, status=0):
        return self.run_program(*arguments, status=status)[0]

    def start(self, *arguments, **options):
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition, process):
        deadline = time.monotonic() + TIMEOUT
        while not condition() and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.0005)

    def names(self):
        return sorted(p.name for p in self.folder.iterdir())

    @contextlib.contextmanager
    def small_disk(self, size="64k"):
        """A file system of 64 KiB, where this process may mount one."""
        folder = self.folder / "disk"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            self.skipTest("no file system can be mounted here: needs root")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def as_nobody(self):
        """The program and options to run it without root's rights."""
        if os.geteuid() != 0:
            return PROGRAM, {}
        self.environment["MNV2_MODEL"] = shutil.copy(self.model, self.folder)
        self.folder.chmod(0o777)
        return shutil.copy(PROGRAM, self.folder), {"user": 65534, "group": 65534, "extra_groups": []}


class Csv(OutputCase):
    def test_rows_are_the_records_of_json(self):
        labels = self.make("labels.txt", "\n".join(["comma, here", 'quote "here"', "ünï", *"abcdefg"]).encode())
        paths = [self.make("a.png"), self.make("b,\"c\"\nd.png", seed=2), self.make("bad.png", b"no"), self.make("e.jpg", self.jpeg_bytes)]
        flags = ("--labels", labels, "-k", "3", *paths)
        data = self.out("-f", "csv", *flags, status=1)
        self.assertEqual(data.count(b"\r\n"), 5)
        header, *rows = rows_of(data)
        self.assertEqual(header, ["path", "status", "width", "height", "index1", "label1", "probability1", "index2", "label2",
                                  "probability2", "index3", "label3", "probability3", "error_code", "error_message", "warnings"])
        records = self.records("-f", "jsonl", *flags, status=1)
        self.assertEqual(len(rows), len(records))
        for row, record in zip(rows, records):
            error = record.get("error", {"code": "", "message": ""})
            top = [str(p[k]) for p in record.get("top", []) for k in ("index", "label", "probability")] or [""] * 9
            self.assertEqual(row, [record["path"], record["status"], str(record.get("width", "")), str(record.get("height", "")),
                                   *top, error["code"], error["message"], "; ".join(record.get("warnings", []))])

    def test_columns_do_not_depend_on_what_is_found(self):
        path = self.make("a.png")
        self.assertEqual(len(rows_of(self.out("-f", "csv", "-k", "99", path))[0]), 7 + 3 * CLASSES)
        header, row = rows_of(self.out("-f", "csv", "--min-prob", "1", path))
        self.assertEqual((len(row), row[4:19]), (len(header), [""] * 15))
        self.assertEqual(rows_of(self.out("-f", "csv", str(self.folder / "none"), status=1))[1][1], "error")

    def test_bytes_that_are_not_utf8_stay(self):
        name = os.fsencode(self.folder) + b"/\xff\xfe,.png"
        shutil.copy(self.make("a.png"), name)
        self.assertIn(b'\r\n"' + name + b'",ok,', self.out("-f", "csv", name))

    def test_nothing_found_is_a_header(self):
        (self.folder / "empty").mkdir()
        self.assertEqual(len(rows_of(self.out("-f", "csv", str(self.folder / "empty")))), 1)

    def test_not_for_bench(self):
        self.assertIn("--format", self.run_program("--bench", "-f", "csv", status=2)[1])


class MinProb(OutputCase):
    def test_less_probable_classes_are_left_out(self):
        path = self.make("a.png")
        everything = self.records("-k", "10", path)[0]["top"]
        for limit in (0, everything[3]["probability"], everything[0]["probability"], 1):
            top = self.records("-k", "10", "--min-prob", str(limit), path)[0]["top"]
            self.assertEqual(top, [p for p in everything if p["probability"] >= limit])

    def test_out_of_range(self):
        for text in ("-0.1", "1.5", "nan", "x"):
            self.assertIn("--min-prob", self.run_program(f"--min-prob={text}", self.make("a.png"), status=2)[1])


class Output(OutputCase):
    def test_same_bytes_as_stdout(self):
        paths = [self.make("a.png"), self.make("b.png", b"bad"), self.make("c.png", seed=3)]
        target = self.folder / "results"
        for form in ("jsonl", "json", "csv", "text"):
            expected = self.out("-f", form, *paths, status=1)
            self.assertEqual(self.out("-f", form, "-o", str(target), *paths, status=1), b"")
            self.assertEqual(target.read_bytes(), expected)
        self.assertEqual(self.names(), ["a.png", "b.png", "c.png", "results"])
        self.assertEqual(self.out("-o", "-", paths[0]), self.out(paths[0]))

    def test_bench(self):
        target = self.folder / "bench.json"
        self.out("--bench", "--bench-seconds", "0.01", "-f", "json", "-o", str(target))
        self.assertIn("inference", parse(target.read_text()))
        self.out("--bench", "--bench-seconds", "0.01", "-f", "json", "-o", str(target), self.make("x.png", b"bad"), status=1)
        self.assertIn("inference", parse(target.read_text()))  # nothing measured: the old report stays
        self.assertEqual(self.names(), ["bench.json", "x.png"])

    def test_permissions(self):
        path, target = self.make("a.png"), self.folder / "out"
        self.run_program("-o", str(target), path, preexec_fn=lambda: os.umask(0o027))
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o640)
        target.chmod(0o600)
        self.out("-o", str(target), path)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600)

    def test_links_are_followed(self):
        path = self.make("a.png")
        (self.folder / "sub").mkdir()
        link, second = self.folder / "link", self.folder / "sub/second"
        link.symlink_to("sub/second")
        second.symlink_to("target")  # to nothing yet
        for _ in range(2):
            self.out("-o", str(link), path)
            self.assertTrue(link.is_symlink() and second.is_symlink())
            self.assertEqual((self.folder / "sub/target").read_bytes(), self.out(path))
        (self.folder / "circle").symlink_to("circle")
        self.assertIn("--output", self.run_program("-o", str(self.folder / "circle"), path, status=1)[1].replace("circle:", "--output"))

    def test_devices_and_pipes_are_written_straight_into(self):
        path = self.make("a.png")
        expected = self.out(path)
        self.assertEqual(self.out("-o", "/dev/null", path), b"")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        self.assertEqual(self.out("-o", "/dev/stdout", path), expected)
        log = self.folder / "log"
        log.write_bytes(b"before\n")
        with open(log, "ab") as file:  # as >>log does
            subprocess.run([PROGRAM, "-o", "/dev/stdout", path], env=self.environment, stdout=file, check=True, timeout=TIMEOUT)
        self.assertEqual(log.read_bytes(), b"before\n" + expected)
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        read = []
        reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
        reader.start()
        self.out("-o", str(fifo), path)
        reader.join(TIMEOUT)
        self.assertEqual(read, [expected])

    def test_a_full_device(self):
        for arguments in ((self.make("a.png"),), ("--bench", "--bench-seconds", "0.01")):
            self.assertIn("No space left", self.run_program("-o", "/dev/full", *arguments, status=1)[1])

    def test_a_reader_that_goes_ends_quietly(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        process = self.start("-o", str(fifo), *[self.make_folder(50)] * 40)
        with open(fifo, "rb", buffering=0) as file:
            file.read(10)
        self.assertEqual((process.wait(TIMEOUT), process.stderr.read()), (0, b""))

    def test_wrong_use(self):
        path = self.make("a.png")
        link = self.folder / "same"
        os.link(path, link)
        for target in ("", str(self.folder), f"{self.folder}/new/", path, str(link), self.model):
            before = pathlib.Path(path).read_bytes()
            out, err = self.run_program("-o", target, path, status=2)
            self.assertEqual((out, err.count("\n")), (b"", 1))
            self.assertIn("--output", err)
            self.assertEqual(pathlib.Path(path).read_bytes(), before)
        self.assertEqual(self.names(), ["a.png", "same"])

    def test_a_target_that_cannot_be_written(self):
        program, options = self.as_nobody()
        path, locked, target = self.make("a.png"), self.folder / "locked", self.folder / "readonly"
        locked.mkdir(0o555)
        self.addCleanup(locked.chmod, 0o700)
        target.write_bytes(b"mine")
        target.chmod(0o444)
        for name, word in ((locked / "x", "Permission denied"), (target, "Permission denied"),
                           (self.folder / "missing/x", "No such file")):
            for more in ((), ("--resume", "-f", "csv")):
                result = subprocess.run([program, "-o", str(name), *more, path], env=self.environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, timeout=TIMEOUT, **options)
                self.assertEqual((result.returncode, result.stdout), (1, b""), result.stderr)
                self.assertIn(word.encode(), result.stderr)
                self.assertIn(os.fsencode(name), result.stderr)
        self.assertEqual(target.read_bytes(), b"mine")

    def test_a_signal_leaves_the_target_alone(self):
        folder = self.make_folder(50)
        target, part = self.folder / "out", self.folder / "out.part"
        for before in (None, b"old"):
            if before:
                target.write_bytes(before)
            part.unlink(missing_ok=True)
            process = self.start("-t", "2", "-o", str(target), *[folder] * 4000)
            self.wait_for(lambda: part.exists() and part.stat().st_size > 20000, process)
            process.send_signal(signal.SIGTERM)
            err = process.stderr.read().decode()
            self.assertEqual(process.wait(TIMEOUT), 143)
            self.assertIn(str(part), err)
            self.assertEqual(target.read_bytes() if before else target.exists(), before or False)
            lines = part.read_bytes().split(b"\n")
            self.assertEqual(lines.pop(), b"")
            self.assertEqual([parse(x)["path"] for x in lines], [f"{folder}/{i % 50:04}.png" for i in range(len(lines))])
        # What is left is gone on with, if it is given the name.
        part.rename(target)
        inputs = [folder] * (len(lines) // 50 + 1)
        self.out("-o", str(target), "--resume", *inputs)
        self.assertEqual(target.read_bytes(), self.out(*inputs))

    def test_a_part_of_an_earlier_run_is_replaced(self):
        path, part = self.make("a.png"), self.folder / "out.part"
        part.write_bytes(b"x" * 10000)
        _, err = self.run_program("-o", str(self.folder / "out"), path)
        self.assertIn("out.part: replaced", err)
        self.assertEqual((self.folder / "out").read_bytes(), self.out(path))
        part.symlink_to(path)
        self.assertIn("out.part", self.run_program("-o", str(self.folder / "out"), path, status=1)[1])

    def test_two_runs_into_the_same_file(self):
        path, part = self.make("a.png"), self.folder / "out.part"
        with open(part, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"theirs")
            file.flush()
            self.assertIn("another run", self.run_program("-o", str(self.folder / "out"), path, status=1)[1])
        self.assertEqual(part.read_bytes(), b"theirs")

    def check_cut_short(self, target, word, run):
        """`run` fails to write all of `target`, which stays, and says where the whole lines are."""
        target.write_bytes(b"old")
        err = run("-o", str(target))
        self.assertIn(word, err)
        self.assertIn(f"{target}.part", err)
        self.assertEqual(target.read_bytes(), b"old")
        self.assertIn(b'{"path":', pathlib.Path(f"{target}.part").read_bytes())

    def test_a_full_disk(self):
        folder = self.make_folder(50)
        with self.small_disk() as disk:
            self.check_cut_short(disk / "out", "No space left",
                                 lambda *flags: self.run_program(*flags, *[folder] * 40, status=1)[1])

    def test_a_limit_of_file_sizes(self):
        folder = self.make_folder(50)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
        self.check_cut_short(self.folder / "out", "File too large",
                             lambda *flags: self.run_program(*flags, *[folder] * 40, status=1, preexec_fn=limit)[1])

    def test_a_folder_that_vanishes(self):
        photos, home = self.make_folder(50), self.folder / "home"
        home.mkdir()
        process = self.start("-o", str(home / "out"), *[photos] * 400)
        self.wait_for(lambda: (home / "out.part").exists(), process)
        shutil.rmtree(home)
        self.assertEqual(process.wait(TIMEOUT), 1)
        self.assertIn(b"No such file", process.stderr.read())


class Resume(OutputCase):
    def names_of_all_kinds(self):
        folder = pathlib.Path(self.make_folder(30))
        image = (folder / "0000.png").read_bytes()
        for name in (b"new\nline.png", b"two\n\nlines\r\n.png", b'quo"te,s.png', b"\xff\xfe.png", "ünï.png".encode(), b" .png"):
            pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(image)
        (folder / "bad.png").write_bytes(b"bad")
        return str(folder)

    def test_goes_on_from_every_byte(self):
        folder = self.names_of_all_kinds()
        target = self.folder / "out"
        for form in ("jsonl", "csv"):
            flags = ("-t", "2", "-k", "1", "-f", form, folder, folder)  # each path twice
            whole = self.out(*flags, status=1)
            first = whole.index(b"\n") + 1
            # Around line breaks, inside of a header, a quoted name, a base64, and at both ends.
            cuts = {0, 1, first - 2, first - 1, first, first + 1, len(whole) - 1, len(whole)}
            for place in (b"\nline.png", b"\r\n.png", b"te,s.png", b"path_base64", b"\xff"):
                found = whole.find(place)
                cuts |= set(range(found - 1, found + len(place) + 1, 2)) if found > 0 else set()
            for cut in sorted(cuts):
                with self.subTest(form=form, cut=cut):
                    target.write_bytes(whole[:cut])
                    self.run_program("--resume", "-o", str(target), *flags, status=1)
                    self.assertEqual(target.read_bytes(), whole)

    def test_goes_on_after_kill(self):
        folder, target = self.make_folder(100), self.folder / "out"
        for form in ("jsonl", "csv"):
            flags = ("-t", "2", "-f", form, *[folder] * 30)
            whole = self.out(*flags)
            for fraction in (0.0, 0.02, 0.3, 0.6, 0.9):
                target.unlink(missing_ok=True)
                process = self.start("--resume", "-o", str(target), *flags)
                self.wait_for(lambda: target.exists() and target.stat().st_size >= fraction * len(whole), process)
                process.kill()
                process.wait(TIMEOUT)
                killed = target.read_bytes()
                self.assertTrue(whole.startswith(killed))
                if fraction < 0.9:
                    self.assertLess(len(killed), len(whole), "the run was over before it was killed")
                self.out("--resume", "-o", str(target), *flags)
                self.assertEqual(target.read_bytes(), whole)

    def test_goes_on_after_a_full_disk(self):
        folder = self.make_folder(50)
        with self.small_disk() as disk:
            flags = ("--resume", "-f", "csv", "-o", str(disk / "out"), *[folder] * 20)
            self.assertIn("goes on from here", self.run_program(*flags, status=1)[1])
            subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)
            self.run_program(*flags)
            self.assertEqual((disk / "out").read_bytes(), self.out("-f", "csv", *[folder] * 20))

    def test_failures_count_as_done_and_in_the_status(self):
        good, bad, target = self.make("a.png"), self.make("b.png", b"bad"), self.folder / "out"
        flags = ("--resume", "-o", str(target), good, bad)
        _, first = self.run_program(*flags, status=1)
        self.assertIn("b.png: ", first)
        pathlib.Path(bad).write_bytes(pathlib.Path(good).read_bytes())
        _, second = self.run_program(*flags, status=1)
        self.assertNotIn("b.png: ", second)
        self.assertIn("1 of 2", second)
        self.assertEqual(target.read_bytes().count(b"\n"), 2)

    def test_lines_of_others_are_left_and_told(self):
        a, b, target = self.make("a.png"), self.make("b.png", seed=2), self.folder / "out"
        for form, extra in (("jsonl", b'{"a":1}\nno json\n{"path":"' + os.fsencode(b) + b'"}\n'), ("csv", b'x"y,z\r\na\r\n' + os.fsencode(b) + b",fine\r\n")):
            first, second = self.out("-f", form, a), self.out("-f", form, a, b)
            target.write_bytes(first + extra)
            _, err = self.run_program("--resume", "-f", form, "-o", str(target), a, b)
            self.assertRegex(err, f"3 lines are no records .* line {2 if form == 'jsonl' else 3}")
            self.assertEqual(target.read_bytes(), first + extra + second[len(first):])

    def test_a_file_that_is_not_ours_is_refused(self):
        path, target = self.make("a.png"), self.folder / "out"
        for form in ("jsonl", "csv"):
            other = self.out("-f", "csv" if form == "jsonl" else "jsonl", path)
            for data in (b"notes", b"notes\n", b"\0" * 100, other, b'[\n{"path":"x"}', self.out("-f", "csv", "-k", "2", path)):
                target.write_bytes(data)
                _, err = self.run_program("--resume", "-f", form, "-o", str(target), path, status=2)
                self.assertIn("left as it was", err)
                self.assertEqual(target.read_bytes(), data)

    def test_two_runs_at_once(self):
        path, target = self.make("a.png"), self.folder / "out"
        with open(target, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertIn("another run", self.run_program("--resume", "-f", "csv", "-o", str(target), path, status=1)[1])
        self.assertEqual(target.read_bytes(), b"")

    def test_wrong_use(self):
        path = self.make("a.png")
        for flags, word in ((("--resume",), "needs --output"), (("--resume", "-o", "-"), "needs --output"),
                            (("--resume", "-o", "x", "-f", "text"), "--format jsonl or csv"),
                            (("--resume", "-o", "x", "-f", "json"), "--format jsonl or csv"),
                            (("--resume", "-o", "x", "--embeddings", "y.npy"), "--embeddings"),
                            (("--resume", "-o", "x", "--bench"), "--bench"),
                            (("--resume", "-o", "/dev/null"), "no regular file"),
                            (("--resume", "-o", str(self.folder)), "folder")):
            with self.subTest(flags=flags):
                self.assertIn(word, self.run_program(*flags, path, status=2, cwd=self.folder)[1])
        self.assertEqual(self.names(), ["a.png"])


class Embeddings(OutputCase):
    def array(self, path):
        """The array of an NPY file, read by hand, as rows of floats."""
        data = pathlib.Path(path).read_bytes()
        self.assertEqual(data[:8], b"\x93NUMPY\x01\x00")
        size = struct.unpack("<H", data[8:10])[0]
        self.assertEqual(((10 + size) % 64, data[9 + size:10 + size]), (0, b"\n"))
        header = eval(data[10:10 + size], {})  # a literal of this program's own
        self.assertEqual((header["descr"], header["fortran_order"], set(header)), ("<f4", False, {"descr", "fortran_order", "shape"}))
        rows, columns = header["shape"]
        values = struct.unpack(f"<{rows * columns}f", data[10 + size:])
        if numpy is not None:
            read = numpy.load(path)
            self.assertEqual((read.dtype, read.shape), (numpy.float32, (rows, columns)))
            self.assertEqual(read.tobytes(), data[10 + size:])
        return [values[i * columns:(i + 1) * columns] for i in range(rows)]

    def test_a_row_for_each_input(self):
        paths = [self.make("a.png"), self.make("b,ad.png", b"bad"), self.make("c.png", seed=3), self.make("a2.png")]
        target = self.folder / "x.npy"
        expected = self.out(*paths, status=1)
        self.assertEqual(self.out("-t", "3", "--embeddings", str(target), *paths, status=1), expected)
        rows = self.array(target)
        self.assertEqual(rows[0], rows[3])
        self.assertNotEqual(rows[0], rows[2])
        self.assertTrue(all(len(row) == 20 for row in rows))  # make_model's head
        self.assertTrue(all(x != x for x in rows[1]) and all(x == x for row in (rows[0], rows[2]) for x in row))
        self.assertEqual(rows_of((self.folder / "x.index.csv").read_bytes()),
                         [["row", "path", "status"], ["0", paths[0], "ok"], ["1", paths[1], "error"],
                          ["2", paths[2], "ok"], ["3", paths[3], "ok"]])
        self.assertEqual(len(self.names()), 6)

    def test_no_inputs_are_no_rows(self):
        (self.folder / "empty").mkdir()
        self.out("--embeddings", str(self.folder / "x"), str(self.folder / "empty"))
        self.assertEqual((self.array(self.folder / "x"), self.names()), ([], ["empty", "x", "x.index.csv"]))

    def test_a_signal_leaves_a_whole_array_beside(self):
        target, part = self.folder / "x.npy", self.folder / "x.npy.part"
        process = self.start("--embeddings", str(target), *[self.make_folder(50)] * 4000)
        self.wait_for(lambda: part.exists() and part.stat().st_size > 20000, process)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        self.assertEqual(process.wait(TIMEOUT), 130)
        self.assertFalse(target.exists())
        self.assertEqual(len(self.array(part)), len(rows_of((self.folder / "x.index.csv.part").read_bytes())) - 1)

    def test_a_full_disk(self):
        with self.small_disk() as disk:
            _, err = self.run_program("--embeddings", str(disk / "x.npy"), "-o", str(self.folder / "out"),
                                      *[self.make_folder(50)] * 40, status=1)
            self.assertIn("No space left", err)
            self.assertFalse((disk / "x.npy").exists() or (self.folder / "out").exists())

    def test_wrong_use(self):
        path = self.make("a.png")
        for flags in (("--embeddings", ""), ("--embeddings", "/dev/null"), ("--embeddings", "x", "-o", "x"),
                      ("--embeddings", "x.npy", "-o", "./x.index.csv"), ("--embeddings", "x", "--bench"), ("--embeddings", path)):
            self.assertRegex(self.run_program(*flags, path, status=2, cwd=self.folder)[1], "--embeddings")
        self.assertEqual(self.names(), ["a.png"])

    def test_a_model_without_classifier(self):
        model, path = str(self.folder / "features"), self.make("a.png")
        subprocess.run([MAKE_MODEL, model, "--features"], check=True)
        _, err = self.run_program("-m", model, path, status=3)
        self.assertIn("--embeddings", err)
        target = self.folder / "x.npy"
        (record,) = self.records("-m", model, "--embeddings", str(target), path)
        self.assertEqual((record["status"], "top" in record), ("ok", False))
        self.assertEqual([len(row) for row in self.array(target)], [20])
        header, row = rows_of(self.out("-m", model, "-f", "csv", "--embeddings", str(target), path))
        self.assertEqual((header[:5], row[:2]), (["path", "status", "width", "height", "error_code"], [path, "ok"]))
        self.assertIn("--sort-into", self.run_program("-m", model, "--embeddings", "x", "--sort-into", "y", path, status=2)[1])
        self.out("-m", model, "--bench", "--bench-seconds", "0.01")

    def test_features_of_pytorch(self):
        weights, photos = SHARED / "weights/mobilenet_v2.pth", SHARED / "images/dev"
        crops = SHARED / "reference/dev_crops_u8.npy"
        try:
            import torch
            import torchvision
        except ImportError:
            self.skipTest("needs torch and torchvision")
        if not (weights.exists() and crops.exists()):
            self.skipTest(f"{SHARED} has no weights and reference")
        model = self.folder / "real.safetensors"
        convert = pathlib.Path(__file__).resolve().parents[2] / "scripts/convert_torchvision.py"
        subprocess.run([sys.executable, str(convert), "--checkpoint", str(weights), "--output", str(model)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        listed = [row[0] for row in rows_of((SHARED / "images/dev.csv").read_bytes())]
        inputs = [str(p) for name in listed for p in (photos / os.path.basename(name),) if p.exists()][:5]
        self.assertEqual(len(inputs), 5)
        target = self.folder / "x.npy"
        self.out("-m", str(model), "--embeddings", str(target), *inputs)
        network = torchvision.models.mobilenet_v2()
        network.load_state_dict(torch.load(weights))
        network.eval()
        pixels = torch.from_numpy(numpy.load(crops)[:5]).permute(0, 3, 1, 2).float() / 255
        pixels = (pixels - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        with torch.no_grad():
            expected = network.features(pixels).mean((2, 3)).numpy()
        found = numpy.load(target)
        self.assertEqual(found.shape, (5, 1280))
        self.assertLess(numpy.abs(found - expected).max(), 1e-4 * numpy.abs(expected).max())


class Readme(OutputCase):
    def test_commands(self):
        readme = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
        section = readme.split("### Where results go")[1].split("###")[0]
        commands = [line.split()[1:] for line in section.splitlines() if line.startswith("    build/mnv2-classify ")]
        self.assertEqual(len(commands), 5)
        self.make_folder(3)
        for command in commands:
            self.run_program(*command, status=0, cwd=self.folder)
        self.assertEqual(self.names(), ["features.index.csv", "features.npy", "photos", "results.csv", "results.jsonl", "sorted"])


class Sort(OutputCase):
    def setUp(self):
        super().setUp()
        self.target = self.folder / "sorted"

    def tree(self):
        return sorted(str(p.relative_to(self.target)) for p in self.target.rglob("*") if not p.is_dir())

    def classes(self, paths, *flags):
        """The folder that each path belongs into."""
        return [f"class {record['top'][0]['index']}" for record in self.records("-k", "1", *flags, *paths)]

    def test_links_symlinks_and_copies(self):
        paths = [self.make(f"in/{i}.png", seed=i) for i in range(6)]
        os.utime(paths[0], ns=(10**18, 10**18 + 12345678))
        before = {p: pathlib.Path(p).read_bytes() for p in paths}
        expected = self.classes(paths)
        for how in ("link", "symlink", "copy"):
            for repeated in range(2):  # the second time everything is there
                flags = () if how == "link" else ("--sort-as", how)
                self.out("--sort-into", str(self.target), *flags, *[os.path.relpath(p) for p in paths])
                self.assertEqual(self.tree(), sorted(f"{c}/{os.path.basename(p)}" for c, p in zip(expected, paths)))
                for folder, path in zip(expected, paths):
                    placed = self.target / folder / os.path.basename(path)
                    self.assertEqual(placed.read_bytes(), before[path])
                    self.assertEqual(placed.is_symlink(), how == "symlink")
                    self.assertEqual(os.path.samefile(placed, path), how != "copy")
                    self.assertEqual(placed.stat().st_mtime_ns, os.stat(path).st_mtime_ns)
                    if how == "symlink":
                        self.assertTrue(os.path.isabs(os.readlink(placed)))
            shutil.rmtree(self.target)
        self.assertEqual({p: pathlib.Path(p).read_bytes() for p in paths}, before)

    def test_same_names_are_numbered_and_nothing_is_replaced(self):
        paths = [self.make(f"in/{i}/same.name.png", seed=1, data=None) for i in range(3)]
        folder = self.classes(paths[:1])[0]
        for how, count in (("link", 3), ("symlink", 3), ("copy", 1)):  # copies of the same bytes are the same
            with self.subTest(how=how):
                mine = self.target / folder / "same.name.png"
                mine.parent.mkdir(parents=True)
                mine.write_bytes(b"mine")
                for _ in range(2):
                    self.out("--sort-into", str(self.target), "--sort-as", how, *paths)
                    self.assertEqual(mine.read_bytes(), b"mine")
                    self.assertEqual(self.tree(), [f"{folder}/same.name-{i}.png" for i in range(2, 2 + count)] + [f"{folder}/same.name.png"])
                shutil.rmtree(self.target)

    def test_folders_are_made_of_labels(self):
        path = self.make("a.png")
        index = int(self.classes([path])[0].split()[1])
        for label, folder in (("a/b", "a_b"), ("..", "__"), (".x", "_x"), ("x.", "x_"), ("ünï, 'q'", "ünï, 'q'"), ("", f"class {index}"),
                              ("twice", f"twice ({index})"), ("Other", f"Other ({index})"), ("é" * 150, "é" * 100)):
            labels = ["twice" if i == (index + 1) % CLASSES else "other" if i == (index + 2) % CLASSES else f"n{i}" for i in range(CLASSES)]
            labels[index] = label
            file = self.make("labels.txt", json.dumps(labels).encode())
            self.out("--labels", file, "--sort-into", str(self.target), path)
            self.assertEqual(self.tree(), [f"{folder}/a.png"])
            shutil.rmtree(self.target)

    def test_what_is_not_sorted_is_counted(self):
        paths = [self.make("a.png"), self.make("b.png", b"bad")]
        _, err = self.run_program("--sort-into", str(self.target), "--min-prob", "1", *paths, status=1)
        self.assertIn("0 sorted, 1 not classified, 1 below --min-prob", err)
        self.assertEqual(self.tree(), [])

    def test_with_resume_nothing_is_left_out(self):
        folder = self.make_folder(100)
        flags = ("--sort-into", str(self.target), "--resume", "-o", str(self.folder / "out"), folder)
        process = self.start(*flags)
        self.wait_for(lambda: (self.folder / "out").exists() and (self.folder / "out").stat().st_size > 1000, process)
        process.kill()
        process.wait(TIMEOUT)
        self.out(*flags)
        self.assertEqual(len(self.tree()), 100)
        self.assertEqual((self.folder / "out").read_bytes(), self.out(folder))

    def test_a_class_that_cannot_be_made_is_a_message_for_each_file(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(4)]
        self.target.mkdir()
        for name in {*self.classes(paths)}:
            (self.target / name).write_bytes(b"in the way")
        out, err = self.run_program("--sort-into", str(self.target), *paths, status=1)
        self.assertEqual(out, self.out(*paths))
        self.assertEqual(err.count("Not a directory"), 4)
        self.assertIn("4 that could not be put there", err)

    def test_another_file_system(self):
        path = self.make("a.png")
        with self.small_disk() as disk:
            out, err = self.run_program("--sort-into", str(disk / "s"), path, status=1)
            self.assertIn("use --sort-as symlink or copy", err)
            self.assertEqual(out, self.out(path))
            self.out("--sort-into", str(disk / "s"), "--sort-as", "copy", path)
            self.assertEqual(len(list((disk / "s").glob("*/a.png"))), 1)

    def test_a_full_disk_ends_the_run(self):
        paths = [self.make(f"in/{i}.jpg", self.jpeg_bytes + bytes(8000)) for i in range(40)]
        with self.small_disk() as disk:
            target = self.folder / "out"
            flags = ("--sort-into", str(disk / "s"), "--sort-as", "copy", "--resume", "-o", str(target))
            _, err = self.run_program(*flags, *paths, status=1)
            self.assertIn("No space left", err)
            placed = [p for p in (disk / "s").rglob("*") if p.is_file()]
            self.assertTrue(0 < len(placed) < 40)
            self.assertEqual(target.read_bytes().count(b"\n"), len(placed))  # no record of what was not sorted
            self.assertEqual({p.read_bytes() for p in placed}, {self.jpeg_bytes + bytes(8000)})

    def test_wrong_use(self):
        folder, path = self.make_folder(2), self.make("a.png")
        for flags in (("--sort-into", ""), ("--sort-into", path), ("--sort-into", folder + "/sorted", folder), ("--sort-as", "copy"),
                      ("--sort-into", "x", "--sort-as", "move"), ("--sort-into", "x", "--bench"), ("--sort-into", folder, folder)):
            self.assertIn("--sort-", self.run_program(*flags, path, status=2, cwd=self.folder)[1])
        self.assertEqual(self.names(), ["a.png", "photos"])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
