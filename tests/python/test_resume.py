"""--resume: whatever an earlier run left, the file ends with the bytes of one whole run.

Needs what support/cli.py needs.
"""

import fcntl
import os
import pathlib
import resource
import subprocess
import sys
import unittest

from support.cli import TIMEOUT
from support.output import OutputCase


class Resume(OutputCase):
    def names_of_all_kinds(self):
        folder = pathlib.Path(self.make_folder(5))
        image = (folder / "0000.png").read_bytes()
        for name in (b"new\nline.png", b"two\n\nlines\r\n.png", b'quo"te,s.png', b"\xff\xfe.png", "ünï.png".encode(), b" .png"):
            pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(image)
        (folder / "bad.png").write_bytes(b"bad")
        return str(folder)

    def test_a_byte_order_mark_or_none_is_kept(self):
        folder = self.make_folder(5)
        for first, second in ((["--bom"], []), ([], ["--bom"]), (["--bom"], ["--bom"])):
            target = self.folder / "out.csv"
            target.unlink(missing_ok=True)
            whole = self.out("-f", "csv", *first, folder)
            self.assertEqual(whole.startswith(b"\xef\xbb\xbfpath,"), first != [])
            self.out("--resume", "-f", "csv", *first, "-o", str(target), folder)
            target.write_bytes(target.read_bytes()[:-60])
            self.out("--resume", "-f", "csv", *second, "-o", str(target), folder)
            self.assertEqual(target.read_bytes(), whole)
        _, err = self.run_program("--bom", folder, status=2)
        self.assertIn("--bom: needs --format csv", err)

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
        folder, target = self.make_noisy_folder(), self.folder / "out"
        for form in ("jsonl", "csv"):
            flags = ("-t", "2", "-f", form, folder, folder)
            whole = self.out(*flags, status=1)
            before = 0
            for pages in range(4):
                target.unlink(missing_ok=True)
                process, _ = self.start_stopped("--resume", "-o", str(target), *flags, pages=pages)
                process.kill()
                process.wait(TIMEOUT)
                killed = target.read_bytes()
                self.assertTrue(whole.startswith(killed))
                self.assertTrue(before < len(killed) < len(whole))
                before = len(killed)
                self.run_program("--resume", "-o", str(target), *flags, status=1)
                self.assertEqual(target.read_bytes(), whole)

    def test_goes_on_after_a_full_disk(self):
        folder = self.make_folder(50)
        with self.small_disk() as disk:
            flags = ("--resume", "-f", "csv", "-o", str(disk / "out"), *[folder] * 20)
            self.assertIn("goes on from here", self.run_program(*flags, status=4)[1])
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
            self.assertIn("another run", self.run_program("--resume", "-f", "csv", "-o", str(target), path, status=4)[1])
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


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
