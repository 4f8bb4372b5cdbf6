"""Images that come through pipes: on stdin and as named inputs. Needs what support/cli.py needs."""

import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

from support.cli import PROGRAM, TIMEOUT, Case, parse


class Pipes(Case):
    def start(self, *arguments, **options):
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], env=self.environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(stream.close)
        return process

    def run_with(self, data, *arguments, status=0):
        result = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment, input=data, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual(result.returncode, status, result.stderr)
        return [parse(line) for line in result.stdout.decode().splitlines()]

    def expected(self, path):
        record = dict(self.records(path)[0])
        del record["path"]
        return record

    def test_an_image_on_stdin(self):
        for name in ("a.png", "b.jpg"):
            path = self.make(name, self.jpeg_bytes if name.endswith("jpg") else None)
            with self.subTest(name):
                data = pathlib.Path(path).read_bytes()
                record, = self.run_with(data, "-")
                self.assertEqual(record, {"path": "-", **self.expected(path)})
                with open(path, "rb") as file:  # not a pipe
                    out = subprocess.run([PROGRAM, "-"], env=self.environment, stdin=file, stdout=subprocess.PIPE,
                                         check=True, timeout=TIMEOUT).stdout
                self.assertEqual(parse(out), record)
                both = self.run_with(data, path, "-", path)
                self.assertEqual([r["path"] for r in both], [path, "-", path])

    def test_an_image_that_comes_in_pieces(self):
        path = self.make("a.png")
        data = pathlib.Path(path).read_bytes()
        process = self.start("-")
        for piece in (data[:1], data[1:7], data[7:9], data[9:-1], data[-1:]):
            process.stdin.write(piece)
            process.stdin.flush()
            time.sleep(0.05)
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(parse(out), {"path": "-", **self.expected(path)}, err)

    def test_what_begins_otherwise_is_a_list(self):
        path = self.make("a.png")
        self.assertEqual([r["path"] for r in self.run_with(os.fsencode(path) + b"\n", "-")], [path])
        self.assertEqual(self.run_with(b"", "-"), [])
        # The beginning of a signature alone is a path, as before.
        record, = self.run_with(b"\x89PN\n", "-", status=1)
        self.assertEqual(record["error"]["code"], "file_not_found")

    def test_a_list_that_grows_slowly_is_not_waited_for(self):
        process = self.start("-")
        process.stdin.write(os.fsencode(self.make("a.png")) + b"\n")
        process.stdin.flush()
        self.assertEqual(parse(process.stdout.readline())["status"], "ok")
        process.stdin.close()
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_a_damaged_image_on_stdin_is_an_error_record(self):
        data = pathlib.Path(self.make("a.png")).read_bytes()
        record, = self.run_with(data[:len(data) // 2], "-", status=1)
        self.assertEqual((record["path"], record["error"]["code"]), ("-", "damaged_image"))
        record, = self.run_with(data, "--max-pixels", "1", "-", status=1)
        self.assertEqual(record["error"]["code"], "image_too_large")

    def test_process_substitution(self):
        a, b = self.make("a.png"), self.make("b.jpg", self.jpeg_bytes)
        out = subprocess.run(["bash", "-c", f"'{PROGRAM}' <(cat '{a}') <(sleep 0.2; cat '{b}')"], env=self.environment,
                             stdout=subprocess.PIPE, check=True, timeout=TIMEOUT).stdout
        records = [parse(line) for line in out.splitlines()]
        self.assertTrue(all(record["path"].startswith("/dev/fd/") for record in records))
        self.assertEqual([{k: v for k, v in r.items() if k != "path"} for r in records],
                         [self.expected(a), self.expected(b)])

    def test_one_pipe_alone(self):  # which is no image to decode while the model is loaded
        a = self.make("a.png")
        out = subprocess.run(["bash", "-c", f"'{PROGRAM}' <(cat '{a}')"], env=self.environment, stdout=subprocess.PIPE,
                             check=True, timeout=TIMEOUT).stdout
        self.assertEqual({k: v for k, v in parse(out).items() if k != "path"}, self.expected(a))

    def test_a_fifo_is_waited_for_as_long_as_somebody_has_it_open(self):
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        record, = self.records(fifo, status=1)  # nobody writes to it: an error at once
        self.assert_error(record, fifo, "file_unreadable")
        writer = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, writer)
        process = self.start(self.make("b.png"), fifo)
        self.assertEqual(parse(process.stdout.readline())["status"], "ok")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT), -signal.SIGTERM)

    def test_a_shell_sees_the_signal(self):
        fifo = os.path.join(self.folder, "fifo3")
        os.mkfifo(fifo)
        writer = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, writer)
        command = f"'{PROGRAM}' '{self.make('a.png')}' '{fifo}' & sleep 1; kill -TERM $!; wait $!; echo $?"
        out = subprocess.run(["bash", "-c", command], env=self.environment, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, timeout=TIMEOUT).stdout
        self.assertTrue(out.endswith(b"\n143\n"), out)

    def test_progress_does_not_eat_a_pipe(self):
        a = self.make("a.png")
        fifo = os.path.join(self.folder, "fifo2")
        os.mkfifo(fifo)
        writer = threading.Thread(target=lambda: pathlib.Path(fifo).write_bytes(pathlib.Path(a).read_bytes()))
        writer.start()
        records = self.records("--progress", "always", a, fifo)
        writer.join()
        self.assertEqual([record["status"] for record in records], ["ok", "ok"])


if __name__ == "__main__":
    unittest.main()
