"""What the program asks of the file system, in which order: seen through a preloaded library (tools/file_calls.cpp).

Needs what support/cli.py needs, and MNV2_FILE_CALLS, that library.
"""

import os
import sys
import unittest

from support.output import OutputCase

FILE_CALLS = os.environ.get("MNV2_FILE_CALLS", "")


class FileCalls(OutputCase):
    def setUp(self):
        super().setUp()
        self.log = self.folder.parent / (self.folder.name + ".calls")
        self.addCleanup(lambda: self.log.exists() and self.log.unlink())
        self.environment.update(LD_PRELOAD=FILE_CALLS, MNV2_CALLS=str(self.log))

    def calls(self):
        return [line.split(" ") for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def check_flushed_before_renamed(self, target):
        """A name must not appear on disk before what it stands for."""
        part = f"{target}.part"
        calls = [call for call in self.calls() if part in call]
        self.assertEqual(calls, [["fsync", part], ["rename", part, str(target)]])

    def test_data_are_flushed_before_they_get_their_name(self):
        target, array = self.folder / "out.jsonl", self.folder / "x.npy"
        page = self.folder / "page.html"
        self.out("-o", str(target), "--embeddings", str(array), "--html", str(page), self.make("a.png"))
        for path in (target, array, self.folder / "x.index.csv", page):
            self.check_flushed_before_renamed(path)

    def test_the_index_is_in_place_before_the_array(self):
        self.out("--embeddings", str(self.folder / "x.npy"), self.make("a.png"))
        renamed = [call[2] for call in self.calls() if call[0] == "rename"]
        self.assertEqual(renamed, [str(self.folder / "x.index.csv"), str(self.folder / "x.npy")])

    def test_without_its_index_an_array_is_not_put_in_place(self):
        self.environment["MNV2_FAIL_RENAME"] = ".index.csv"
        _, err = self.run_program("--embeddings", str(self.folder / "x.npy"), self.make("a.png"), status=4)
        self.assertIn("x.index.csv", err)
        self.assertFalse((self.folder / "x.npy").exists())
        self.assertTrue((self.folder / "x.npy.part").exists())

    def test_a_rename_that_fails_is_an_error_and_the_data_are_kept(self):
        self.environment["MNV2_FAIL_RENAME"] = "out.jsonl"
        _, err = self.run_program("-o", str(self.folder / "out.jsonl"), self.make("a.png"), status=4)
        self.assertIn("Input/output error", err)
        self.assertFalse((self.folder / "out.jsonl").exists())
        self.assertIn(b'"status":"ok"', (self.folder / "out.jsonl.part").read_bytes())

    def test_lines_of_a_journal_are_flushed_at_the_end(self):
        target = self.folder / "out.jsonl"
        self.out("--resume", "-o", str(target), self.make("a.png"))
        self.assertIn(["fsync", str(target)], self.calls())


if __name__ == "__main__":
    if not FILE_CALLS:
        print("SKIPPED: MNV2_FILE_CALLS names no library; sanitizers bring their own")
        sys.exit(77)
    unittest.main()
