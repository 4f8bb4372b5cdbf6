"""What is for people at a terminal: the progress bar and colours, with terminals of pty's."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from support.cli import MAKE_IMAGE, PROGRAM, TIMEOUT, Case

ERASE = "\r\x1b[K"


class Screen:
    """What a terminal that knows \\r, \\n, colours and "erase to the end of the line" shows; no line may wrap."""

    def __init__(self, columns):
        self.columns = columns
        self.lines = [""]
        self.column = 0
        self.statuses = []  # what the last line was each time it was left by \r

    def feed(self, text):
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", text, re.DOTALL):
            if token == "\r":
                self.statuses.append(self.lines[-1])
                self.column = 0
            elif token == "\n":
                self.lines.append("")
                self.column = 0
            elif token == "\x1b[K":
                self.lines[-1] = self.lines[-1][:self.column]
            elif re.fullmatch(r"\x1b\[[0-9;]*m", token):
                pass
            elif token.startswith("\x1b"):
                raise AssertionError(f"unexpected sequence {token!r}")
            else:
                line = self.lines[-1].ljust(self.column)
                self.lines[-1] = line[:self.column] + token + line[self.column + 1:]
                self.column += 1
                if self.column > self.columns and re.match(r"\[|\d", line):
                    raise AssertionError(f"the status line is longer than {self.columns}: {line!r}")


class Terminal(Case):
    def run_on_terminal(self, *arguments, stdout=False, status=0, columns=80, feed=None, **variables):
        """Runs with stderr (and stdout, if asked) on a terminal. Returns what it got, and stdout where that is a pipe.

        `feed` gets the process once something is on the terminal, to write to its stdin."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {**self.environment, "TERM": "xterm", **variables}
        out = self.folder / "stdout"
        with open(out, "wb") as out_file:
            process = subprocess.Popen([PROGRAM, *arguments], env=environment, stderr=theirs,
                                       stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                                       stdout=theirs if stdout else out_file)
            os.close(theirs)
            received = b""
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                try:
                    if select.select([ours], [], [], 0.05)[0]:
                        data = os.read(ours, 65536)
                        if not data:
                            break
                        received += data
                except OSError:  # EIO: nobody has it open any more
                    break
                if feed and not process.stdin.closed:
                    feed(process, received)
            os.close(ours)
            if process.stdin and not process.stdin.closed:
                process.stdin.close()
            self.assertEqual(process.wait(TIMEOUT), status, received)
        return received.decode(errors="replace").replace("\r\n", "\n"), out.read_bytes()

    def steps(self, *steps):
        """A feed: each step is paths to give, and what has to be on the terminal before the next one, or the end."""
        left = list(steps)
        waiting_for = []

        def feed(process, received):
            if waiting_for and waiting_for[0] not in received.decode(errors="replace"):
                return
            waiting_for.clear()
            if not left:
                return process.stdin.close()
            paths, expected = left.pop(0)
            waiting_for.append(expected)
            process.stdin.write("".join(path + "\n" for path in paths).encode())
            process.stdin.flush()
        return feed


class Bar(Terminal):
    def test_a_list_shows_how_many_are_done_and_leaves_nothing(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(8)]
        text, out = self.run_on_terminal("-", feed=self.steps((paths, "8 images")))
        screen = Screen(80)
        screen.feed(text)
        self.assertEqual(len(screen.lines), 2)
        self.assertRegex(screen.lines[0], r"^mnv2-classify: info: 8 images in \d+\.\d s, [\d.]+/s$")
        self.assertTrue(any(re.match(r"8 images  [\d.]+ images/s  \d+:\d\d$", line) for line in screen.statuses), text)
        self.assertEqual(out.count(b'"status":"ok"'), 8)
        self.assertNotIn(b"\x1b", out)

    def test_a_message_stands_above_the_bar(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(8)]
        missing = str(self.folder / "missing.jpg")
        text, _ = self.run_on_terminal("-", status=1,
                                       feed=self.steps((paths, "8 images"), ([missing], "1 error")))
        screen = Screen(80)
        screen.feed(text)
        self.assertEqual(len(screen.lines), 3)
        self.assertTrue(screen.lines[0].startswith(f"mnv2-classify: error: {missing}: "))
        self.assertRegex(screen.lines[1], r"^mnv2-classify: info: 9 images in \d+\.\d s, [\d.]+/s, 1 error$")
        self.assertTrue(any(line.endswith("1 error") for line in screen.statuses), text)

    def make_slow_folder(self):
        """Twelve images of 6 million pixels: no machine decodes them on one thread before a bar is drawn."""
        (self.folder / "slow/0").mkdir(parents=True)
        first = self.folder / "slow/0/0.jpg"
        subprocess.run([MAKE_IMAGE, str(first), "3000", "2000", "5"], check=True)
        for i in range(1, 12):
            os.link(first, first.with_name(f"{i}.jpg"))
        self.make("slow/0/bad.jpg", b"no image")
        return str(self.folder / "slow")

    def test_folders_are_counted_and_the_width_is_kept(self):
        folder = self.make_slow_folder()
        table = self.folder / "truth.csv"
        table.write_text("path,class\n" + "".join(f"0/{i}.jpg,1\n" for i in range(12)) + "0/bad.jpg,1\n")
        for columns, arguments, expected in (
                (24, [folder], r"\d+/13"),
                (60, ["--shard", "1/1", folder], r"\[[=> ]+\]  \d+/13  \d+ %  [\d.]+ images/s  ETA \d+:\d\d"),
                (132, ["--eval", folder], r"\[[=> ]{38}\]  \d+/13  \d+ %  [\d.]+ images/s  ETA \d+:\d\d"),
                (80, ["--eval", "--truth", str(table), folder], r"\[[=> ]+\]  \d+/13  ")):
            text, _ = self.run_on_terminal("-t", "1", *arguments, columns=columns, status=1)
            screen = Screen(columns)
            screen.feed(text)
            self.assertTrue(any(re.match(expected, line) for line in screen.statuses), (columns, text))
            self.assertRegex(screen.lines[-2], r"13 images in .*, 1 error$")
            self.assertEqual(screen.lines[-1], "")

    def test_what_an_earlier_run_did_is_neither_done_nor_left(self):
        folder, target = self.make_slow_folder(), self.folder / "results.jsonl"
        self.run_program("-o", str(target), folder, status=1)
        lines = target.read_bytes().splitlines(keepends=True)
        target.write_bytes(b"".join(lines[:7]))
        text, _ = self.run_on_terminal("-t", "1", "-o", str(target), "--resume", folder, status=1)
        screen = Screen(80)
        screen.feed(text)
        shown = [match for line in screen.statuses if (match := re.search(r"(\d+)/(\d+)  (\d+) %", line))]
        self.assertTrue(shown, text)
        self.assertEqual({match[2] for match in shown}, {"6"}, text)
        self.assertLess(int(shown[0][1]), 6, text)
        for match in shown:
            self.assertEqual(int(match[3]), 100 * int(match[1]) // 6)
        self.assertEqual(target.read_bytes(), b"".join(lines))

    def test_a_handful_of_images_shows_nothing(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(5)]

        def feed(process, received):
            if not hasattr(process, "fed"):
                process.fed = time.monotonic()
                process.stdin.write("".join(path + "\n" for path in paths).encode())
                process.stdin.flush()
            elif time.monotonic() > process.fed + 1:
                process.stdin.close()
        text, _ = self.run_on_terminal("-", feed=feed)
        self.assertEqual(text, "")

    def test_nothing_where_it_would_be_in_the_way(self):
        folder = self.make_folder(12)
        _, err = self.run_program(folder)  # stderr is a pipe
        self.assertEqual(err, "")
        paths = [f"{folder}/{i:04}.png" for i in range(12)]
        for arguments in (["-q"], ["--progress", "never"]):
            text, _ = self.run_on_terminal(*arguments, folder)
            self.assertEqual(text, "", arguments)
        text, _ = self.run_on_terminal(folder, stdout=True)  # the records tell
        self.assertEqual(text.count("\n"), len(paths))
        self.assertNotIn("images/s", text)
        text, _ = self.run_on_terminal(folder, TERM="dumb")
        self.assertEqual(text, "")

    def test_records_on_the_same_terminal_are_not_garbled(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(6)]
        text, _ = self.run_on_terminal("--progress", "always", "-f", "text", "-k", "1", "-", stdout=True,
                                       columns=70, feed=self.steps((paths, "6 images"), (paths, "12 images")))
        screen = Screen(200)
        screen.feed(text)
        self.assertEqual(len(screen.lines), 2 * 12 + 1)
        for i, line in enumerate(screen.lines[:-1]):
            self.assertRegex(line, r"^(/.*\.png  \d+x\d+|  +[\d.]+ %  .* \(\d\))$")

    def test_always_draws_without_a_terminal_too(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(3)]
        process = subprocess.Popen([PROGRAM, "--progress", "always", "-"], env={**self.environment, "COLUMNS": "60"},
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        process.stdin.write("".join(path + "\n" for path in paths).encode())
        process.stdin.flush()
        received = b""
        while b"3 images" not in received:
            received += os.read(process.stderr.fileno(), 4096)
        rest = process.communicate(timeout=TIMEOUT)[1]
        self.assertEqual(process.returncode, 0)
        self.assertTrue((received + rest).decode().endswith(ERASE))

    def test_wrong_words(self):
        for flag in ("--progress", "--color"):
            _, err = self.run_program(flag, "sometimes", "x", status=2)
            self.assertEqual(err, f"mnv2-classify: error: {flag}: 'sometimes' is unknown, expected auto, always or never\n")


class Colors(Terminal):
    def colored(self, *arguments, **variables):
        text, _ = self.run_on_terminal(*arguments, str(self.folder / "missing.jpg"), status=1, **variables)
        self.assertIn("missing.jpg", text)
        return "\x1b[" in text

    def test_on_a_terminal_unless_refused(self):
        self.assertTrue(self.colored())
        self.assertFalse(self.colored(NO_COLOR="1"))
        self.assertTrue(self.colored(NO_COLOR=""))  # https://no-color.org: set and not empty
        self.assertFalse(self.colored(TERM="dumb"))
        self.assertFalse(self.colored("--color", "never"))
        self.assertTrue(self.colored("--color=always", NO_COLOR="1"))

    def test_not_in_a_pipe_unless_asked(self):
        missing = str(self.folder / "missing.jpg")
        run = lambda *arguments: subprocess.run([PROGRAM, *arguments, missing], env=self.environment,
                                                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
        self.assertNotIn(b"\x1b[", run().stderr)
        self.assertIn(b"\x1b[", run("--color", "always").stderr)
        self.assertNotIn(b"\x1b[", run("--color", "always").stdout)


if __name__ == "__main__":
    unittest.main()
