"""Closed pipes, full disks, signals, files that may not be read; memory. Needs what support/cli.py needs."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import unittest

from support.cli import PROGRAM, TIMEOUT, Case, parse


class Faults(Case):
    def start(self, *arguments, **options):
        # Not buffered: communicate() would not see what readline() had read ahead.
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL, bufsize=0,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.kill)
        return process

    def test_a_closed_pipe_ends_quietly(self):
        folder = self.make_folder(50)
        for threads in ("1", "4"):
            for form in ("jsonl", "json", "text"):
                # More than a pipe holds (64 KiB), so that the end of the reader is noticed.
                process = self.start("-t", threads, "-f", form, "-k", "10", *[folder] * 40)
                process.stdout.readline()
                process.stdout.close()
                err = process.stderr.read()
                process.stderr.close()
                self.assertEqual((process.wait(timeout=TIMEOUT), err), (0, b""))

    def test_a_full_disk(self):
        path = self.make("a.png")
        for arguments in ([path], [path, path, path], ["-f", "json", path], ["--help"], ["--version"],
                          ["--bench", "--bench-seconds", "0.01"]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([PROGRAM, *arguments], env=self.environment, stdout=full, stderr=subprocess.PIPE,
                                        timeout=TIMEOUT)
            self.assertEqual(result.returncode, 4)
            self.assertIn(b"No space left", result.stderr)

    def test_closed_standard_descriptors(self):
        path = self.make("a.png")
        command = f"'{PROGRAM}' '{path}'"
        for redirection, status in ((">&-", 4), ("2>&-", 0), ("<&-", 0)):
            result = subprocess.run(["/bin/sh", "-c", f"exec {command} {redirection}"], env=self.environment,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
            self.assertEqual(result.returncode, status, redirection)
            if status == 0:
                self.assert_ok(parse(result.stdout), path)

    def test_signals_finish_what_is_in_flight(self):
        folder = self.make_folder(50)
        for number, status in ((signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM)):
            for threads, form in (("1", "jsonl"), ("4", "jsonl"), ("4", "json")):
                process = self.start("-t", threads, "-f", form, *[folder] * 4000)
                first = process.stdout.readline() + process.stdout.readline()
                process.send_signal(number)
                out, _ = process.communicate(timeout=TIMEOUT)
                self.assertEqual(process.returncode, status)
                text = (first + out).decode()
                records = parse(text) if form == "json" else [parse(line) for line in text.splitlines()]
                self.assertTrue(text.endswith("\n"))
                self.assertLess(len(records), 200000)
                names = [r["path"] for r in records]
                self.assertEqual(names, [f"{folder}/{i % 50:04}.png" for i in range(len(names))])  # in order, none lost

    def test_an_ignored_interrupt_stays_ignored(self):
        process = self.start(self.make_folder(300), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, out.count(b"\n")), (0, 299))

    def test_what_may_not_be_read_is_a_record(self):
        folder = self.make_folder(2)
        locked, secret = self.folder / "photos/0000x", pathlib.Path(self.make("photos/0000y.png"))
        locked.mkdir()
        for path in (locked, secret):
            path.chmod(0)
            self.addCleanup(path.chmod, 0o700)
        program, options = PROGRAM, {}
        if os.geteuid() == 0:  # root reads everything: be nobody, who has to reach the program, the model and the folder
            program = shutil.copy(PROGRAM, self.folder)
            self.environment["MNV2_MODEL"] = shutil.copy(self.model, self.folder)
            self.folder.chmod(0o755)
            options = {"user": 65534, "group": 65534, "extra_groups": []}
        result = subprocess.run([program, folder], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=TIMEOUT, **options)
        self.assertEqual(result.returncode, 1, result.stderr)
        records = [parse(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(records), 4)
        self.assert_error(records[1], str(locked), "file_unreadable")
        self.assert_error(records[2], str(secret), "file_unreadable")

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_memory_does_not_grow_with_the_number_of_images(self):
        folder = self.make_folder(20)

        def peak(repeats):
            process = self.start("-t", "4", "-k", "10", *[folder] * repeats)
            process.stdout.read()
            process.stdout.close()
            process.stderr.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return usage.ru_maxrss * 1024

        self.assertLess(peak(250), peak(5) + 16e6)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
