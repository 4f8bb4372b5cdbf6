"""Flags, right and wrong ones; --help, --version, --quiet and --verbose. Needs what support/cli.py needs."""

import contextlib
import fcntl
import os
import pathlib
import pty
import resource
import struct
import subprocess
import sys
import termios
import unittest

from support.cli import PROGRAM, TIMEOUT, Case, parse


class Usage(Case):
    def test_usage_errors(self):
        path = self.make("a.png")
        for arguments, message in (
                ([], "no input"), (["-k", "5"], "no input"), (["-k", "0", path], "--top-k"), (["-k", "x", path], "'x'"),
                (["-k"], "--top-k: its value is missing"), (["-t", "0", path], "--threads"), (["-t", "1025", path], "1024"),
                (["-f", "yaml", path], "json, jsonl, csv or text"), (["--isa", "mmx", path], "unknown"),
                (["--crop", "0", path], "--crop"), (["--crop", "4097", path], "4096"), (["--resize", "-3", path], "--resize"),
                (["--max-pixels", "0", path], "--max-pixels"), (["--bench-seconds", "0"], "--bench-seconds"),
                (["-q", "-v", path], "--quiet"), (["-m", "", path], "--model"), (["--frob", path], "unknown flag '--frob'"),
                (["-x", path], "unknown flag '-x'"), (["--no-exif=yes", path], "--no-exif")):
            with self.subTest(arguments=arguments):
                out, err = self.run_program(*arguments, status=2)
                self.assertEqual(out, b"")
                self.assertIn(message, err)

    def test_near_misses(self):
        for wrong, right in (("--topk", "--top-k"), ("--lables", "--labels"), ("--forma", "--format"), ("--exif", "--no-exif")):
            _, err = self.run_program(wrong, status=2)
            self.assertIn(f"did you mean {right}?", err)

    def test_what_is_told_of_models_goes_to_a_file_too(self):
        target = self.folder / "told.json"
        for mode in ("--summary", "--list-models"):
            expected, _ = self.run_program(mode, "-f", "json")
            self.assertEqual(self.run_program(mode, "-f", "json", "-o", str(target))[0], b"")
            self.assertEqual(target.read_bytes(), expected)
            for flags in (("--html", "x.html"), ("--embeddings", "x.npy"), ("--sort-into", "x"), ("--shard", "1/2"),
                          ("--labels", "x"), ("--min-prob", "0.5"), ("--resume", "-f", "jsonl", "-o", str(target))):
                _, err = self.run_program(mode, *flags, status=2)
                self.assertIn(f"{flags[0]}: not with {mode}", err)
            self.assertIn("cannot write", self.run_program(mode, "-o", "/nonexistent/x", status=4)[1])

    def test_an_equals_sign_is_not_misunderstood(self):
        paths = [self.make("a.png"), self.make("b.png")]
        before = [pathlib.Path(path).read_bytes() for path in paths]
        for flag in ("--output", "--html", "--embeddings", "--labels", "--format", "--top-k"):
            _, err = self.run_program(flag + "=", *paths, status=2)
            self.assertIn(f"{flag}: its value is missing", err)
        for flag in ("-o=x.json", "-k=3", "-m=imagenet"):
            _, err = self.run_program(flag, *paths, status=2)
            self.assertIn(f"write {flag[:2]} VALUE", err)
        self.assertEqual([pathlib.Path(path).read_bytes() for path in paths], before)
        for flag in ("--quiet=false", "--verbose=2", "--help=x"):
            self.assertIn("takes no value", self.run_program(flag, paths[0], status=2)[1])
        self.assertEqual(len(self.records("--top-k=1", "--", *paths)), 2)

    def test_help(self):
        for flag in ("-h", "--help"):
            out, err = self.run_program(flag)
            self.assertEqual(err, "")
            self.assertLess(out.index(b"mnv2-classify image.jpg"), out.index(b"--model"))
            self.assertLessEqual(max(map(len, out.decode().splitlines())), 80)
            self.assertNotRegex(out.decode(), r"(?m) $")
        brief, full = (self.run_program(flag)[0].decode().splitlines() for flag in ("-h", "--help"))
        self.assertLessEqual(len(brief), 24)  # a screenful
        self.assertGreater(len(full), 2 * len(brief))
        self.assertEqual(self.run_program("-q", "-h")[0].decode().splitlines(), brief)
        self.assertEqual(self.run_program("-h", "--help")[0].decode().splitlines(), full)
        words = " ".join(full).split()
        self.assertEqual(" ".join(words).count("the five most likely classes, as JSON"), 1)  # broken between words only

    def test_help_takes_the_width_of_a_wider_terminal(self):
        for columns, most in ((40, 80), (80, 80), (132, 132)):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            process = subprocess.Popen([PROGRAM, "--help"], stdout=slave, stdin=subprocess.DEVNULL)
            os.close(slave)
            text = b""
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while block := os.read(master, 65536):
                    text += block
            os.close(master)
            self.assertEqual(process.wait(TIMEOUT), 0)
            longest = max(map(len, text.decode().splitlines()))
            self.assertTrue(most - 12 < longest <= most, (columns, longest))

    def test_version(self):
        del self.environment["MNV2_MODEL"]  # needs no model
        out, err = self.run_program("--version")
        self.assertEqual(err, "")
        self.assertRegex(out.decode(), r"^mnv2-classify \d+\.\d+\.\d+\n.*portable.*chosen: [\w-]+\nprecision: float32; fast: \w+\n.*OpenCV \d+\.\d+")
        self.assertRegex(out.decode(), r"OpenCV [\d.]+ \((static|shared); JPEG: [^/]+; PNG: [^/]+\), WebP: (libwebp [\d.]+|missing)\n$")
        out, _ = self.run_program("--version", "--isa", "portable")
        self.assertIn(b"chosen: portable", out)

    def test_quiet_and_verbose(self):
        good, bad = self.make("good.png"), self.make("bad.png", b"bad")
        self.assertEqual(self.run_program("-q", good, bad, status=1)[1], "")
        out, err = self.run_program("-v", good)
        self.assertIn("info: ", err)
        self.assertIn(self.model, err)
        timings = parse(out)["timings_ms"]
        self.assertEqual(list(timings), ["read", "decode", "preprocess", "inference"])
        self.assertTrue(all(t >= 0 for t in timings.values()))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
