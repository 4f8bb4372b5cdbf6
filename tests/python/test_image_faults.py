"""Hostile and changing files through the whole program: a record for each, soon and in little memory, and every other
image classified. Needs what support/cli.py needs.
"""

import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import time
import unittest
import zlib

from support.cli import PROGRAM, TIMEOUT, Case, parse, png_bytes

SANITIZED = bool(os.environ.get("MNV2_SANITIZE"))
MAX_SECONDS = 2.0  # of CPU time a file
MAX_BYTES = 300e6  # of memory, whatever a file claims


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data, depth=8, color=0, extra=b""):
    """A PNG around compressed image data."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(count):
    """So many zero bytes, compressed a thousandfold."""
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join(parts) + packer.compress(bytes(count & (1 << 20) - 1)) + packer.flush()


def segment(marker, data):
    return bytes([0xff, marker]) + struct.pack(">H", len(data) + 2) + data


def progressive_jpeg(width, height, scans):
    """A grey progressive JPEG of `scans` scans over every block, each only a few bytes long: runs of empty blocks."""
    one_code = bytes([1] + [0] * 15)
    blocks = (width + 7) // 8 * ((height + 7) // 8)
    dc_scan = bytes(blocks // 8 + 1)  # the one code of one bit for each block: no difference
    # The only code of the AC table is EOB14 with 14 more bits, the length of a run of 16384 blocks and more: 15 bits.
    runs = "".join("0" + "0" * 14 for _ in range(blocks // 16384 + 1))
    runs += "1" * (-len(runs) % 8)
    ac_scan = int(runs, 2).to_bytes(len(runs) // 8, "big")
    file = b"\xff\xd8" + segment(0xdb, b"\0" + bytes([1] * 64))
    file += segment(0xc2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")
    file += segment(0xc4, b"\0" + one_code + b"\0") + segment(0xc4, b"\x10" + one_code + b"\xe0")
    file += segment(0xda, b"\1\1\0\0\0\0") + dc_scan
    for i in range(scans - 1):
        band = 1 + i % 63
        file += segment(0xda, bytes([1, 1, 0, band, band, 0])) + ac_scan
    return file + b"\xff\xd9"


class Faults(Case):
    def run_between_good(self, *paths, arguments=(), **options):
        """Classifies the paths with a good image before and after. Returns their records, CPU seconds and peak bytes."""
        good = self.make("good.png")
        process = subprocess.Popen([PROGRAM, "-t", "1", *arguments, good, *map(str, paths), good], env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
        self.addCleanup(process.kill)
        with process.stdout:
            out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        records = [parse(line) for line in out.splitlines()]
        self.assertEqual(len(records), len(paths) + 2)
        self.assert_ok(records[0], good)
        self.assertEqual(records[-1], records[0])
        self.assertEqual(process.returncode, int(any(r["status"] == "error" for r in records)))
        return records[1:-1], usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

    def run_in_bounds(self, *paths):
        records, seconds, peak = self.run_between_good(*paths)
        if not SANITIZED:
            self.assertLess(seconds, MAX_SECONDS * (len(paths) + 1))
            self.assertLess(peak, MAX_BYTES)
        return records

    def test_what_is_no_file_whatever_its_name(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.folder / "socket.jpg"))
        for name, target in (("zero.jpg", "/dev/zero"), ("random.png", "/dev/urandom"), ("null.png", "/dev/null"),
                             ("terminal.jpg", "/dev/tty"), ("self.jpg", "/proc/self/mem")):
            os.symlink(target, self.folder / name)
        paths = [str(self.folder / name) for name in ("socket.jpg", "zero.jpg", "random.png", "null.png", "terminal.jpg")]
        for record, path in zip(self.run_in_bounds(*paths), paths):
            self.assert_error(record, path, "file_unreadable")
        # Nobody waits for a FIFO that was not named but found.
        for name in ("fifos", "links"):
            (self.folder / name).mkdir()
        os.mkfifo(self.folder / "fifos/fifo.jpg")
        os.symlink("../fifos/fifo.jpg", self.folder / "links/pipe.png")
        records = self.run_in_bounds(self.folder / "fifos", self.folder / "links")
        for record, name in zip(records, ("fifos/fifo.jpg", "links/pipe.png")):
            self.assert_error(record, str(self.folder / name), "file_unreadable")
        record, = self.run_in_bounds(self.folder / "self.jpg")  # a regular file, and unlike any other
        self.assertEqual(record["status"], "error")

    def test_empty_files_and_files_that_claim_no_size(self):
        empty = self.make("empty.jpg", b"")
        records = self.run_in_bounds(empty, "/proc/self/status")
        self.assert_error(records[0], empty, "unsupported_format")
        self.assertIn("empty", records[0]["error"]["message"])
        self.assert_error(records[1], "/proc/self/status", "file_unreadable")

    def test_very_long_sides(self):
        # The short side becomes the crop's: resized as a whole, the longest would have 3.6 million columns.
        names = [self.make(name, data) for name, data in (
            ("wide.png", png(100_000, 10, zeros(10 * 100_001))), ("line.png", png(100_000, 1, zeros(100_001))),
            ("high.png", png(10, 100_000, zeros(100_000 * 11))), ("longest.png", png(1_000_000, 1, zeros(1_000_001))),
            ("wide.jpg", progressive_jpeg(65_500, 8, 3)))]
        for record, name in zip(self.run_in_bounds(*names), names):
            self.assert_ok(record, name)
        self.assertEqual([(r["width"], r["height"]) for r in self.run_in_bounds(*names)[:2]], [(100_000, 10), (100_000, 1)])
        wider = self.make("wider.png", png(1_000_001, 1, zeros(1_000_002)))
        self.assert_error(self.run_in_bounds(wider)[0], wider, "image_too_large")

    def test_decompression_bombs(self):
        bomb = zeros(1 << 29)  # 512 KB
        names = [self.make(name, data) for name, data in (
            ("pixels.png", png(100_000, 100_000, bomb)), ("claim.png", png((1 << 31) - 1, (1 << 31) - 1, b"")),
            ("depth.png", png(1 << 20, 1 << 20, bomb, depth=1)),
            ("more.png", png(8, 8, bomb)),  # half a gigabyte of data for 64 pixels
            ("text.png", png(8, 8, zeros(72), extra=chunk(b"zTXt", b"key\0\0" + bomb))),
            ("profile.png", png(8, 8, zeros(72), extra=chunk(b"iCCP", b"name\0\0" + bomb))))]
        records = self.run_in_bounds(*names)
        for record, name in zip(records[:3], names):
            self.assert_error(record, name, "image_too_large")
        for record, name in zip(records[3:], names[3:]):
            if record["status"] == "ok":
                self.assert_ok(record, name)
            else:
                self.assert_error(record, name, "damaged_image")

    def test_scan_bombs(self):
        few = self.make("few.jpg", progressive_jpeg(640, 480, 12))
        names = [self.make(name, progressive_jpeg(*shape)) for name, shape in (
            ("small.jpg", (64, 64, 5000)), ("middle.jpg", (2000, 2000, 1000)), ("large.jpg", (16000, 11000, 30)))]
        records = self.run_in_bounds(few, *names)
        self.assert_ok(records[0], few)
        self.assertNotIn("warnings", records[0])  # the file is what it is meant to be
        for record, name in zip(records[1:], names):
            self.assert_error(record, name, "image_too_large")
        # As much work as the limits allow.
        allowed = self.make("allowed.jpg", progressive_jpeg(2600, 2700, 500))
        self.assert_ok(self.run_in_bounds(allowed)[0], allowed)

    @unittest.skipIf(SANITIZED, "sanitizers reserve terabytes of addresses")
    def test_out_of_memory_while_decoding(self):
        large = self.make("large.png", png(12_000, 12_000, zeros(12_000 * 12_001)))  # 432 MB as RGB
        enough = 400_000_000
        limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (enough, enough))}
        records, _, _ = self.run_between_good(large, large, **limits)
        for record in records:
            self.assert_error(record, large, "out_of_memory")
        # A file that fits on the disk, sparse, and not into memory.
        sparse = self.make("sparse.jpg")
        os.truncate(sparse, 900_000_000)
        records, _, _ = self.run_between_good(sparse, **limits)
        self.assert_error(records[0], sparse, "out_of_memory")

    def test_files_that_change_after_their_folder_was_listed(self):
        folder = self.make_folder(600)
        process = subprocess.Popen([PROGRAM, "-t", "2", "-k", "10", folder], env=self.environment, bufsize=0,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        first = process.stdout.readline()
        # By now the folder is listed, and the last records are far beyond what the pipe takes.
        last = [pathlib.Path(folder, f"{i:04}.png") for i in range(592, 600)]
        last[0].unlink()
        last[1].write_bytes(b"")
        os.truncate(last[2], 60)
        last[3].write_bytes(png_bytes(40, 30, 9) + b"more")
        for path, make in ((last[4], os.mkfifo), (last[5], os.mkdir), (last[6], lambda p: os.symlink(p, p))):
            path.unlink()
            make(path)
        out, _ = process.communicate(timeout=TIMEOUT)
        records = [parse(line) for line in (first + out).splitlines()]
        self.assertEqual([r["path"] for r in records], [f"{folder}/{i:04}.png" for i in range(600)])
        codes = [r["error"]["code"] if r["status"] == "error" else "ok" for r in records]
        self.assertEqual(codes[:592], ["ok"] * 592)
        self.assertEqual(codes[592:], ["file_not_found", "unsupported_format", "damaged_image", "ok", "file_unreadable",
                                       "file_unreadable", "file_unreadable", "ok"])
        self.assertEqual(process.returncode, 1)

    def test_a_file_that_is_rewritten_all_the_time(self):
        """Whatever moment the program meets it at: classified or an error, and never a crash."""
        paths = [self.make("changing.jpg", self.jpeg_bytes)] * 300
        good = self.make("good.png")
        process = subprocess.Popen([PROGRAM, "-t", "2", *paths, good], env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < 0.5:
            with open(paths[0], "wb") as file:  # empty for a moment, then growing
                for at in range(0, len(self.jpeg_bytes), 256):
                    file.write(self.jpeg_bytes[at:at + 256])
                    file.flush()
        out, _ = process.communicate(timeout=TIMEOUT)
        records = [parse(line) for line in out.splitlines()]
        self.assertEqual(len(records), 301)
        codes = {r["error"]["code"] if r["status"] == "error" else "ok" for r in records}
        self.assertLessEqual(codes, {"ok", "damaged_image", "unsupported_format", "file_unreadable"})
        self.assert_ok(records[-1], good)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
