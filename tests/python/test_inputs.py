"""Where inputs come from: lists, folders, shards; and runs that wait for a list when they are to stop.

MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import base64
import os
import pathlib
import signal
import struct
import subprocess
import sys
import unittest
import zlib

from support.cli import PROGRAM, TIMEOUT, Case, parse


def grey_png(side):
    """A black picture, decoded to 3 * side * side bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes((side + 1) * side), 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def path_hash(path):
    """As the README defines it: FNV-1a, then MurmurHash3's finaliser, 64 bits."""
    value = 0xcbf29ce484222325
    for byte in path:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    value = (value ^ value >> 33) * 0xff51afd7ed558ccd % 2**64
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53 % 2**64
    return value ^ value >> 33


class InputCase(Case):
    def start(self, *arguments, **options):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, bufsize=0, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                self.addCleanup(stream.close)
        return process

    def run_with_list(self, listed, *arguments, status=0):
        """The records of a run with bytes on stdin."""
        result = subprocess.run([PROGRAM, *arguments], env=self.environment, input=listed, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual(result.returncode, status, result.stderr)
        return [parse(line) for line in result.stdout.decode().splitlines()]

    def paths(self, records):
        return [record["path"] for record in records]


class Lists(InputCase):
    def test_lines_that_end_in_crlf_are_told(self):
        path = self.make("a.png")
        odd = self.make("b.png\r")
        listed = self.make("list", f"{path}\r\n{odd}\n/nonexistent\r\n".encode())
        records = self.records("--files-from", listed, status=1)
        self.assertEqual([r["path"] for r in records], [path + "\r", odd, "/nonexistent\r"])
        self.assertIn("CRLF", records[0]["error"]["message"])
        self.assertEqual(records[1]["status"], "ok")
        self.assertNotIn("CRLF", records[2]["error"]["message"])

    def test_stdin_and_files_are_lists(self):
        paths = [self.make(f"{name}.png", seed=i) for i, name in enumerate("cab")]
        listed = "\n".join(paths).encode()
        expected = self.records(*paths)
        self.assertEqual(self.run_with_list(listed, "-"), expected)
        self.assertEqual(self.run_with_list(listed, "--files-from", "-"), expected)
        self.assertEqual(self.records("--files-from", self.make("list", listed)), expected)
        self.assertEqual(self.run_with_list(listed, "/nonexistent.png", "-", paths[0], status=1)[1:],
                         expected + expected[:1])
        self.assertEqual(self.run_with_list(b"", "-"), [])

    def test_folders_in_a_list_are_walked(self):
        folder = self.make_folder(3)
        path = self.make("a.png")
        self.assertEqual(self.paths(self.run_with_list(f"{path}\n{folder}\n".encode(), "-")),
                         [path] + [f"{folder}/{i:04}.png" for i in range(3)])

    def test_a_line_that_is_no_image_is_a_record_and_an_empty_one_is_none(self):
        path = self.make("a.png")
        records = self.run_with_list(f"\n/nonexistent\n\n{path}\r\n{path}\n\n".encode(), "-", status=1)
        self.assert_error(records[0], "/nonexistent", "file_not_found")
        self.assert_error(records[1], path + "\r", "file_not_found")  # bytes are bytes
        self.assert_ok(records[2], path)
        self.assertEqual(len(records), 3)

    def test_any_bytes_between_nul(self):
        names = [b"a\nb.png", b"caf\xe9 \xff.png", "ä €.png".encode(), b"-k.png"]
        for i, name in enumerate(names):
            with open(os.fsencode(self.folder) + b"/" + name, "wb") as file:
                file.write(pathlib.Path(self.make("plain.png", seed=i)).read_bytes())
        paths = [os.fsencode(self.folder) + b"/" + name for name in names]
        for records in (self.run_with_list(b"\0".join(paths), "-0", "-"),
                        self.run_with_list(b"\0".join(paths) + b"\0", "--null", "--files-from", "-")):
            self.assertEqual([base64.b64decode(r["path_base64"]) if "path_base64" in r else r["path"].encode()
                              for r in records], paths)
            self.assertEqual({r["status"] for r in records}, {"ok"})

    def test_a_list_of_one_file_is_not_a_single_image(self):
        path = self.make("a.png")
        result = subprocess.run([PROGRAM, "-f", "json", "-"], env=self.environment, input=path.encode(), check=True,
                                stdout=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual(self.paths(parse(result.stdout)), [path])

    def test_results_come_while_the_list_is_being_written(self):
        for threads in ("1", "4"):
            for separator, flags in ((b"\n", []), (b"\0", ["-0"])):
                process = self.start("-t", threads, *flags, "-")
                for i in range(20):
                    path = self.make(f"{i}.png", seed=i)
                    process.stdin.write(path.encode() + separator)
                    self.assert_ok(parse(process.stdout.readline()), path)  # would hang if it waited for more
                process.stdin.close()
                self.assertEqual((process.stdout.read(), process.wait(timeout=TIMEOUT)), (b"", 0))

    def test_usage_errors(self):
        path = self.make("a.png")
        for arguments, message in (
                (["--files-from", "/nonexistent"], "--files-from: cannot read the list /nonexistent"),
                (["--files-from", str(self.folder)], "Is a directory"), (["-0", path], "--null"),
                (["-", "-"], "only once"), (["-", "--files-from", "-"], "only once"),
                (["--max-depth", "-1", path], "--max-depth"), (["--shard", "0/3", path], "--shard"),
                (["--shard", "4/3", path], "from 1 to 3"), (["--shard", "3", path], "I/N"),
                (["--shard", "slurm", path], "$SLURM_ARRAY_TASK_ID is not set")):
            with self.subTest(arguments=arguments):
                out, err = self.run_program(*arguments, status=2)
                self.assertEqual(out, b"")
                self.assertIn(message, err)


class Folders(InputCase):
    def test_depth_hidden_and_any_name(self):
        png = pathlib.Path(self.make("d/a.png")).read_bytes()
        for name in ("d/b/c.png", "d/.e.png", "d/.f/g.png", "d/h", "d/i.txt"):
            self.make(name, png)
        self.make("d/readme.txt", b"not an image")
        folder = str(self.folder / "d")
        for flags, expected in (([], "a.png b/c.png"), (["--max-depth", "1"], "a.png"),
                                (["--hidden"], ".e.png .f/g.png a.png b/c.png"),
                                (["--any-name"], "a.png b/c.png h i.txt"),
                                (["--hidden", "--any-name", "--max-depth=1"], ".e.png a.png h i.txt")):
            records = self.records(*flags, folder)
            self.assertEqual(self.paths(records), [f"{folder}/{name}" for name in expected.split()])
            self.assertEqual({record["status"] for record in records}, {"ok"})
        out, err = self.run_program("--max-depth", "0", folder)
        self.assertEqual(out, b"")
        self.assertIn("--max-depth 0", err)


class Shards(InputCase):
    def test_shards_are_disjoint_and_complete_and_documented(self):
        folder = self.make_folder(40)
        whole = self.records(folder, "/nonexistent/x", status=1)
        for count in (1, 2, 3, 7):
            for index in range(1, count + 1):
                expected = [r for r in whole if path_hash(r["path"].encode()) % count == index - 1]
                status = int(any(r["status"] == "error" for r in expected))
                self.assertEqual(self.records("--shard", f"{index}/{count}", folder, "/nonexistent/x", status=status),
                                 expected)

    def test_slurm(self):
        folder = self.make_folder(20)
        for index in (1, 2, 3):
            self.environment.update(SLURM_ARRAY_TASK_ID=str(10 + 2 * index), SLURM_ARRAY_TASK_MIN="12",
                                    SLURM_ARRAY_TASK_MAX="16", SLURM_ARRAY_TASK_COUNT="3")  # --array=12-16:2
            self.assertEqual(self.records("--shard", "slurm", folder), self.records("--shard", f"{index}/3", folder))

    def test_of_one_file_that_belongs_to_another_shard_there_is_nothing(self):
        path = self.make("a.png")
        mine = path_hash(path.encode()) % 2
        self.assertEqual(len(self.records("--shard", f"{mine + 1}/2", path)), 1)
        self.assertEqual(self.records("--shard", f"{2 - mine}/2", path), [])


class Order(InputCase):
    def test_unordered_gives_the_same_records(self):
        folder = self.make_folder(50)
        by_path = lambda record: record["path"]  # noqa: E731
        self.assertEqual(sorted(self.records("--unordered", "-t", "4", folder), key=by_path), self.records(folder))


class Waiting(InputCase):
    """What ends a run that waits for its list, and what it leaves."""

    def assert_valid(self, form, text, paths):
        if form == "json":
            self.assertEqual(self.paths(parse(text)), paths)
        elif form == "jsonl":
            self.assertEqual(self.paths([parse(line) for line in text.splitlines()]), paths)
        else:
            self.assertEqual([line.split("  ")[0] for line in text.decode().splitlines() if line[0] == "/"], paths)
        self.assertTrue(text.endswith(b"\n"))

    def test_signals_end_a_run_that_waits_for_stdin(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(3)]
        for number, status in ((signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)):
            for threads in ("1", "4"):
                for form in ("jsonl", "json", "text"):
                    process = self.start("-t", threads, "-f", form, "-k", "1", "-")
                    process.stdin.write("".join(f"{path}\n" for path in paths).encode() + b"/part of a li")
                    text = b""
                    while paths[-1].encode() not in text:
                        text += process.stdout.readline() if form != "json" else os.read(process.stdout.fileno(), 65536)
                    process.send_signal(number)
                    text += process.stdout.read()
                    self.assertEqual(process.wait(timeout=TIMEOUT), status)
                    self.assert_valid(form, text, paths)
                    self.assertEqual(process.stderr.read(), b"")

    def test_a_signal_ends_a_run_whose_fifo_nobody_writes(self):
        fifo = str(self.folder / "fifo")
        os.mkfifo(fifo)
        for threads in ("1", "4"):
            process = self.start("-v", "-t", threads, "-f", "json", "--files-from", fifo)
            while b"model" not in process.stderr.readline():
                pass  # the handlers are there
            process.send_signal(signal.SIGTERM)
            self.assertEqual((process.stdout.read(), process.wait(timeout=TIMEOUT)), (b"[]\n", -signal.SIGTERM))

    def test_a_closed_output_ends_a_run_that_waits_for_stdin(self):
        path = self.make("a.png")
        for threads in ("1", "4"):
            process = self.start("-t", threads, "-")
            process.stdin.write(path.encode() + b"\n")
            process.stdout.readline()
            process.stdout.close()
            process.stdin.write(path.encode() + b"\n")  # its record finds nobody
            self.assertEqual((process.wait(timeout=TIMEOUT), process.stderr.read()), (0, b""))


class Resources(InputCase):
    def test_no_threads_but_the_workers(self):
        # OpenCV would add its own; one image's kernels are split over a pool, several images over workers.
        turned = self.jpeg_bytes[:2] + b"\xff\xe1\0\x22Exif\0\0II*\0" + struct.pack(
            "<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0) + self.jpeg_bytes[2:]
        paths = [self.make("a.png"), self.make("b.jpg", turned), self.make("c.png", grey_png(1500))]
        for flags, expected in (("-t1", 1), ("-t3", 4), ("-t4 --batch 1", 4), ("-t4 --batch 2", 3)):
            process = self.start(*flags.split(), "-")
            for path in paths * 4:
                process.stdin.write(path.encode() + b"\n")
                self.assert_ok(parse(process.stdout.readline()), path)
            self.assertEqual(len(os.listdir(f"/proc/{process.pid}/task")), expected)
            process.stdin.close()
            self.assertEqual(process.wait(timeout=TIMEOUT), 0)

    def peak(self, *arguments):
        """The peak memory of a run, in bytes."""
        process = self.start(*arguments, stdin=subprocess.DEVNULL)
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_big_images_are_not_all_in_memory_at_once(self):
        # 147 MB of pixels each, then 150 MB of bytes each.
        pixels = self.make("pixels.png", grey_png(7000))
        bytes_ = self.make("bytes.png")
        os.truncate(bytes_, 150_000_000)  # data after the end of an image are allowed
        for path in (pixels, bytes_):
            one = self.peak("-t", "1", *[path] * 2)
            self.assertGreater(one, 140e6)
            for order in ([], ["--unordered"]):
                self.assertLess(self.peak("-t", "4", *order, *[path] * 8), one + 80e6)

    def test_pixels_are_given_back_only_after_their_last_use(self):
        # So big that their memory is unmapped when it is freed.
        path = self.make("big.png", grey_png(4000))
        report = self.folder / "report.html"
        self.assert_ok(self.records("--html", str(report), "-t", "2", path, path)[0], path)
        self.assertIn(b"/9j/", report.read_bytes())  # how base64 of a JPEG begins

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_a_list_takes_no_memory(self):
        lines = self.make("list", b"/nonexistent/file\n" * 60_000)
        process = self.start("-q", "-t", "2", "--files-from", lines, stdin=subprocess.DEVNULL)
        count = sum(chunk.count(b"\n") for chunk in iter(lambda: process.stdout.read(1 << 20), b""))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((process.returncode, count), (1, 60_000))
        small = self.peak(self.make("a.png"))
        self.assertLess(usage.ru_maxrss * 1024, small + 16e6)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
