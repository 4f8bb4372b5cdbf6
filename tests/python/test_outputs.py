"""CSV, --min-prob and --output: what is written, where, and what can go wrong there.

Records are compared with those of a plain run to stdout. Needs what support/cli.py needs.
"""

import fcntl
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import unittest

from support.cli import CLASSES, PROGRAM, TIMEOUT, parse
from support.output import OutputCase, rows_of


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
        self.assertIn("--output", self.run_program("-o", str(self.folder / "circle"), path, status=4)[1].replace("circle:", "--output"))

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
            self.assertIn("No space left", self.run_program("-o", "/dev/full", *arguments, status=4)[1])

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
                self.assertEqual((result.returncode, result.stdout), (4, b""), result.stderr)
                self.assertIn(word.encode(), result.stderr)
                self.assertIn(os.fsencode(name), result.stderr)
        self.assertEqual(target.read_bytes(), b"mine")

    def test_a_signal_leaves_the_target_alone(self):
        folder = self.make_noisy_folder()
        target, part = self.folder / "out", self.folder / "out.part"
        whole = self.out(folder, status=1)
        for before in (None, b"old"):
            if before:
                target.write_bytes(before)
            part.unlink(missing_ok=True)
            process, messages = self.start_stopped("-t", "2", "-o", str(target), folder)
            process.send_signal(signal.SIGTERM)
            self.assertIn(os.fsencode(part), messages.read_all())
            self.assertEqual(process.wait(TIMEOUT), -signal.SIGTERM)
            self.assertEqual(target.read_bytes() if before else target.exists(), before or False)
            written = part.read_bytes()
            self.assertTrue(written.endswith(b"\n") and whole.startswith(written))
            self.assertTrue(100 < written.count(b"\n") < 300)
        # What is left is gone on with, if it is given the name.
        part.rename(target)
        self.out("-o", str(target), "--resume", folder, status=1)
        self.assertEqual(target.read_bytes(), whole)

    def test_a_part_of_an_earlier_run_is_replaced(self):
        path, part = self.make("a.png"), self.folder / "out.part"
        part.write_bytes(b"x" * 10000)
        _, err = self.run_program("-o", str(self.folder / "out"), path)
        self.assertIn("out.part: replaced", err)
        self.assertEqual((self.folder / "out").read_bytes(), self.out(path))
        part.symlink_to(path)
        self.assertIn("out.part", self.run_program("-o", str(self.folder / "out"), path, status=4)[1])

    def test_two_runs_into_the_same_file(self):
        path, part = self.make("a.png"), self.folder / "out.part"
        with open(part, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"theirs")
            file.flush()
            self.assertIn("another run", self.run_program("-o", str(self.folder / "out"), path, status=4)[1])
        self.assertEqual(part.read_bytes(), b"theirs")

    def test_a_run_that_another_goes_on_with_is_not_replaced(self):
        path, target = self.make("a.png"), self.folder / "out"
        with open(target, "wb") as file:  # as --resume holds it
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertIn("another run", self.run_program("-o", str(target), path, status=4)[1])
        self.assertEqual((target.read_bytes(), self.names()), (b"", ["a.png", "out"]))

    def test_images_are_not_replaced(self):
        folder = self.make_folder(3)
        for name, data in (("photos/0001.png", None), ("photos/c.jpg", self.jpeg_bytes), ("photos/mine.index.csv", None)):
            victim = self.make(name, data)
            before = pathlib.Path(victim).read_bytes()
            for flag in ("-o", "--html", "--embeddings"):
                target = victim.replace(".index.csv", ".npy") if flag == "--embeddings" else victim
                out, err = self.run_program(flag, target, folder, status=2)
                self.assertEqual((out, err.count("\n")), (b"", 1))
                self.assertIn(f"{victim} is an image", err)
                self.assertEqual(pathlib.Path(victim).read_bytes(), before)
        for flag in ("--html", "--embeddings"):
            self.assertIn("- is stdout", self.run_program(flag, "-", folder, status=2)[1])

    def test_signals_end_the_wait_for_the_other_side_of_a_pipe(self):
        path, fifo = self.make("a.png"), str(self.folder / "fifo")
        os.mkfifo(fifo)
        for number, arguments in ((signal.SIGTERM, ("-o", fifo, path)), (signal.SIGINT, ("--html", fifo, path)),
                                  (signal.SIGINT, ("--labels", fifo, path)),
                                  (signal.SIGTERM, ("--eval", "--truth", fifo)),
                                  (signal.SIGTERM, ("--bench", "--compare", fifo))):
            with self.subTest(arguments=arguments):
                process = self.start(*arguments)
                # Asleep in the wait: by then the handlers are there.
                state = lambda: pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
                quiet = 0
                while quiet < 10 and process.poll() is None:
                    time.sleep(0.02)
                    quiet = quiet + 1 if state() == "S" else 0
                process.send_signal(number)
                self.assertEqual(process.wait(TIMEOUT), -number, process.stderr.read())
        # What is written into it later is read whole.
        labels = b"".join(b"class number %d\n" % i for i in range(CLASSES))
        writer = threading.Thread(target=lambda: pathlib.Path(fifo).write_bytes(labels))
        writer.start()
        record = parse(self.out("--labels", fifo, "-k", "1", path))
        writer.join(TIMEOUT)
        self.assertTrue(record["top"][0]["label"].startswith("class number "))

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
                                 lambda *flags: self.run_program(*flags, *[folder] * 40, status=4)[1])

    def test_a_limit_of_file_sizes(self):
        folder = self.make_folder(50)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
        self.check_cut_short(self.folder / "out", "File too large",
                             lambda *flags: self.run_program(*flags, *[folder] * 40, status=4, preexec_fn=limit)[1])

    def test_a_folder_that_vanishes(self):
        photos, home = self.make_noisy_folder(), self.folder / "home"
        home.mkdir()
        process, messages = self.start_stopped("-o", str(home / "out"), photos)
        shutil.rmtree(home)
        self.assertIn(b"No such file", messages.read_all())
        self.assertEqual(process.wait(TIMEOUT), 4)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
