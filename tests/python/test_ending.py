"""What a signal leaves, whenever it comes: outputs are put in place if, and only if, the exit status is not its own.

Needs what support/cli.py needs.
"""

import os
import resource
import signal
import subprocess
import sys
import unittest

from support.cli import PROGRAM, TIMEOUT, parse
from support.output import MessagePipe, OutputCase

OLD = b"what was there before"


class Ending(OutputCase):
    def targets(self, *names):
        """Files to be replaced by a run that ends well, and nothing left of a run before."""
        for part in self.folder.glob("*.part"):
            part.unlink()
        paths = [self.folder / name for name in names]
        for path in paths:
            path.write_bytes(OLD)
        return paths

    def assert_left(self, targets):
        for target in targets:
            self.assertEqual(target.read_bytes(), OLD, target)

    def assert_replaced(self, targets):
        for target in targets:
            self.assertNotEqual(target.read_bytes(), OLD, target)

    def end_by(self, number, process, messages):
        """Sends the signal to a process that waits for its messages to be read; returns its exit status."""
        process.send_signal(number)
        messages.read_all()
        return process.wait(timeout=TIMEOUT)

    def test_after_the_last_input_was_taken(self):
        """The source has run dry, the last results are on their way: the run is interrupted, for every output alike."""
        targets = self.targets("out", "report.html", "x.npy", "x.index.csv")
        out, report, array, _ = map(str, targets)
        # There is no room for so many messages; four workers run ahead of as many inputs.
        paths = [f"/nonexistent/{i:02}{'x' * 180}" for i in range(20)]
        listed = self.make("list", "\n".join(paths).encode())
        process, messages = self.start_stopped("-t", "4", "-o", out, "--html", report, "--embeddings", array,
                                               "--files-from", listed)
        if "thread" not in os.environ.get("MNV2_SANITIZE", ""):  # which has a thread of its own
            self.wait_for(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 1, process)  # no worker is left
        self.assertEqual(self.end_by(signal.SIGTERM, process, messages), -signal.SIGTERM)
        self.assert_left(targets)
        self.assertEqual([parse(line)["path"] for line in (self.folder / "out.part").read_text().splitlines()], paths)

    def test_at_the_end_of_an_evaluation(self):
        targets = self.targets("out", "report.html")
        for i in range(20):
            self.make(f"tree/0/{i:02}{'x' * 180}.png", b"no image")
        stopped = self.start_stopped("-t", "4", "--eval", "-o", str(targets[0]), "--html", str(targets[1]),
                                     str(self.folder / "tree"))
        self.assertEqual(self.end_by(signal.SIGINT, *stopped), -signal.SIGINT)
        self.assert_left(targets)
        self.assertIs(parse((self.folder / "out.part").read_text())["complete"], False)

    def test_during_a_single_image(self):
        for threads in ("1", "2"):
            targets = self.targets("out", "report.html")
            stopped = self.start_stopped("-t", threads, "-o", str(targets[0]), "--html", str(targets[1]),
                                         "x" * MessagePipe.ROOM, size=1)
            self.assertEqual(self.end_by(signal.SIGTERM, *stopped), -signal.SIGTERM)
            self.assert_left(targets)

    def test_when_all_is_in_place_it_is_too_late(self):
        targets = self.targets("out", "report.html")
        inputs = ["/nonexistent/1", "/nonexistent/2"]
        _, err = self.run_program(*inputs, status=1)
        last = err.splitlines(keepends=True)[-1]
        messages = self.message_pipe()
        os.write(messages.write_end, b"-" * (MessagePipe.ROOM - len(err) + 1))  # so that the last one has to wait
        process, _ = self.start_stopped("-t", "2", "-o", str(targets[0]), "--html", str(targets[1]), *inputs,
                                        messages=messages, size=len(last))
        self.wait_for(lambda: targets[0].read_bytes() != OLD, process)
        self.assertEqual(self.end_by(signal.SIGTERM, process, messages), 1)  # that of the inputs
        self.assert_replaced(targets)

    def test_together_with_the_end_of_the_list(self):
        """Whichever the program sees first, outputs and status tell the same."""
        path, part = self.make("a.png"), self.folder / "out.part"
        for i in range(10):
            targets = self.targets("out", "report.html")
            with subprocess.Popen([PROGRAM, "-t", "2", "-o", str(targets[0]), "--html", str(targets[1]), "-"],
                                  env=self.environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                self.addCleanup(process.kill)
                process.stdin.write(path.encode() + b"\n")
                process.stdin.flush()
                self.wait_for(lambda: part.exists() and part.stat().st_size > 0, process)
                acts = [lambda: process.send_signal(signal.SIGTERM), process.stdin.close]
                for act in acts if i % 2 else reversed(acts):
                    act()
                status = process.wait(timeout=TIMEOUT)
            self.assertIn(status, (0, -signal.SIGTERM))
            (self.assert_left if status else self.assert_replaced)(targets)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
