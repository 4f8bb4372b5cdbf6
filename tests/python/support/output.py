"""For tests of where results go: helpers to read them, and a program that is stopped at a known point."""

import array
import contextlib
import csv
import fcntl
import io
import os
import shutil
import subprocess
import termios
import time

from support.cli import PROGRAM, TIMEOUT, Case


def rows_of(data):
    """The rows of a CSV file, by Python's reader; paths may be any bytes."""
    return list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))


class MessagePipe:
    """A pipe for the program's messages that has little room: the program stops until they are read."""

    ROOM = 4096  # bytes: the smallest pipe

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, self.ROOM)

    def close(self):
        for end in (self.read_end, self.write_end):
            if end is not None:
                os.close(end)
        self.read_end = self.write_end = None

    def give_away(self):
        """After the program has got its end."""
        os.close(self.write_end)
        self.write_end = None

    def has_no_room_for(self, size):
        """Whether a message of `size` bytes has to wait. One that fits is never written in pieces."""
        count = array.array("i", [0])
        fcntl.ioctl(self.read_end, termios.FIONREAD, count)
        return count[0] > self.ROOM - size

    def read_page(self):
        """All there is. Of a page that is read in part, the room comes back only with its rest."""
        os.read(self.read_end, self.ROOM)

    def read_all(self):
        """What comes until the program ends."""
        return b"".join(iter(lambda: os.read(self.read_end, self.ROOM), b""))


class OutputCase(Case):
    def out(self, *arguments, status=0):
        return self.run_program(*arguments, status=status)[0]

    def start(self, *arguments, **options):
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def make_noisy_folder(self, count=300):
        """Images of which every tenth is damaged, with a message of 200 to 400 bytes for each of those."""
        folder = self.folder / "noisy"
        for i in range(count):
            if i % 10 == 9:
                self.make(f"noisy/{i:04}{'x' * 180}.png", b"no image")
            else:
                self.make(f"noisy/{i:04}.png", seed=i)
        return str(folder)

    def start_stopped(self, *arguments, pages=0, size=400, messages=None, **options):
        """The program, which waits in the middle of its run because there is no room for its messages; and these.

        It goes on when they are read; so many `pages` of them have been. `size`: bytes, as many as the longest message
        may have. Of a noisy folder it has written the record that the message is about, and the workers are some images
        ahead.
        """
        messages = messages or self.message_pipe()
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stderr=messages.write_end, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        messages.give_away()
        for page in range(pages + 1):
            if page > 0:
                messages.read_page()
            self.wait_for(lambda: messages.has_no_room_for(size), process)
        return process, messages

    def message_pipe(self):
        messages = MessagePipe()
        self.addCleanup(messages.close)
        return messages

    def wait_for(self, condition, process):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertIsNone(process.poll(), "the program has ended")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)

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
