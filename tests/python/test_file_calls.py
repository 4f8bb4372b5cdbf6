"""What the program asks of the file system, in which order: seen through a preloaded library (tools/file_calls.cpp).

Needs what support/cli.py needs, and MNV2_FILE_CALLS, that library.
"""

import errno
import os
import sys
import tarfile
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

    def fail_calls(self, **calls):
        self.environment["MNV2_FAIL_CALLS"] = ",".join(f"{name}={number}" for name, number in calls.items())

    def test_a_file_system_without_locks_is_a_warning(self):
        for number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            self.fail_calls(flock=number)
            target = self.folder / f"{number}.jsonl"
            for arguments in (("-o", target), ("-o", target, "--resume")):
                _, err = self.run_program(*map(str, arguments), self.make("a.png"))
                self.assertIn("no locks", err)
                self.assertEqual(len(target.read_bytes().splitlines()), 1)
            self.assertFalse((self.folder / f"{number}.jsonl.part").exists())
        self.fail_calls(flock=errno.EIO)
        self.run_program("-o", str(self.folder / "other.jsonl"), self.make("a.png"), status=4)
        self.assertFalse((self.folder / "other.jsonl.part").exists())

    def test_a_mount_point_is_written_in_place(self):
        target = self.folder / "out.jsonl"
        target.write_bytes(b"what was there before, longer than one record is: " * 50)
        before = target.stat().st_ino
        self.fail_calls(rename=errno.EBUSY)
        self.run_program("-o", str(target), self.make("a.png"))
        self.assertEqual(len(target.read_bytes().splitlines()), 1)
        self.assertIn(b'"status":"ok"', target.read_bytes())
        self.assertEqual(target.stat().st_ino, before)
        self.assertFalse((self.folder / "out.jsonl.part").exists())

    def test_copies_whose_times_cannot_be_set_are_kept(self):
        self.fail_calls(futimens=errno.EPERM)
        photos = self.make_folder(4)
        _, err = self.run_program("--sort-into", str(self.folder / "sorted"), "--sort-as", "copy", photos)
        self.assertEqual(err.count("cannot be set"), 1)
        self.assertEqual(len(list((self.folder / "sorted").rglob("*.png"))), 4)

    def test_without_a_way_to_rename_safely_nothing_is_overwritten(self):
        self.fail_calls(renameat2=errno.EINVAL, link=errno.EPERM)
        photos = self.make_folder(3)
        target = self.folder / "sorted"
        self.run_program("--sort-into", str(target), "--sort-as", "copy", photos)
        files = sorted(target.rglob("*.png"))
        self.assertEqual(len(files), 3)
        self.assertTrue(all(file.stat().st_size > 50 for file in files))
        files[0].write_bytes(b"of somebody else")
        self.run_program("--sort-into", str(target), "--sort-as", "copy", photos)
        self.assertEqual(files[0].read_bytes(), b"of somebody else")
        self.assertEqual(len(list(target.rglob("*.png"))), 4)
        self.assertEqual(list(target.rglob("*.part")), [])

    def test_a_run_that_is_refused_leaves_nothing(self):
        self.run_program("--embeddings", str(self.folder / "x.npy"), "--html", "/nonexistent/page.html", self.make("a.png"),
                         status=4)
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".part")], [])

    def test_a_missing_library_is_one_clear_error(self):
        self.fail_calls(dlopen=errno.ENOENT)
        path = str(self.folder / "a.tar")
        with tarfile.open(path, "w") as archive:
            archive.add(self.make("a.png"))
        records = self.records(path, self.make("z.png"), status=1)
        self.assertEqual([(r["path"], r["status"]) for r in records],
                         [(path, "error"), (str(self.folder / "z.png"), "ok")])
        self.assertIn("libarchive13", records[0]["error"]["message"])

    def test_lines_of_a_journal_are_flushed_at_the_end(self):
        target = self.folder / "out.jsonl"
        self.out("--resume", "-o", str(target), self.make("a.png"))
        self.assertIn(["fsync", str(target)], self.calls())


if __name__ == "__main__":
    if not FILE_CALLS:
        print("SKIPPED: MNV2_FILE_CALLS names no library; sanitizers bring their own")
        sys.exit(77)
    unittest.main()
