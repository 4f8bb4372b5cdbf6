"""What a walk through folders takes and leaves out: --exclude, and files of kinds that are not read."""

import os
import pathlib
import unittest

from support.cli import Case, parse


class WalkRules(Case):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.folder, "photos")
        for name in ("a.png", "@eaDir/a.png", "x/b.png", "x/@eaDir/b.png", "x/y/c.png", "x/y/thumb-c.png", "build/d.png",
                     "x/build/e.png"):
            path = pathlib.Path(self.root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.make(str(path.relative_to(self.folder)))

    def found(self, *arguments):
        paths = [record["path"] for record in self.records(*arguments)]
        return [os.path.relpath(path, self.root) for path in paths]

    def test_names(self):
        self.assertEqual(self.found("--exclude", "@eaDir", self.root),
                         ["a.png", "build/d.png", "x/b.png", "x/build/e.png", "x/y/c.png", "x/y/thumb-c.png"])
        self.assertEqual(self.found("--exclude", "@eaDir", "--exclude", "thumb-*", "--exclude=[a-b].png", self.root),
                         ["build/d.png", "x/build/e.png", "x/y/c.png"])

    def test_paths(self):
        rest = ["@eaDir/a.png", "a.png"]
        self.assertEqual(self.found("--exclude", "/build", "--exclude", "/x", self.root), rest)
        self.assertEqual(self.found("--exclude", "/x", "--exclude", "build/", self.root + "//"), rest)
        self.assertEqual(self.found("--exclude", "/x", "--exclude", "build/d.png", self.root), rest)
        self.assertEqual(self.found("--exclude", "y/*.png", "--exclude", "@eaDir", "--exclude", "build", self.root),
                         ["a.png", "x/b.png"])
        self.assertEqual(self.found("--exclude", "/x/**/*.png", "--exclude", "build", "--exclude", "@*", self.root), ["a.png"])
        self.assertEqual(self.found("--exclude", "a.png/", "--max-depth", "1", self.root), ["a.png"])  # no folder

    def test_what_is_named_itself_is_taken(self):
        path = os.path.join(self.root, "a.png")
        self.assertEqual(self.found("--exclude", "*.png", path), ["a.png"])
        self.assertEqual(self.found("--exclude", "photos", "--max-depth", "1", self.root), ["a.png"])

    def test_a_pattern_of_nothing_is_refused(self):
        for pattern in ("", "/"):
            _, err = self.run_program("--exclude", pattern, self.root, status=2)
            self.assertIn("--exclude", err)

    def test_eval_leaves_out_folders_of_no_class(self):
        _, err = self.run_program("--eval", self.root, status=2)
        self.assertIn("@eaDir", err)
        for name in ("@eaDir", "build", "x"):
            os.rename(os.path.join(self.root, name), os.path.join(self.folder, name))
        for index in range(3):
            self.make(f"photos/{index}/@eaDir/p.png")
            self.make(f"photos/{index}/p.png")
        self.make("photos/@eaDir/p.png")
        out, _ = self.run_program("--eval", "-f", "json", "--exclude", "@eaDir", "--exclude", "/a.png", self.root)
        self.assertEqual(parse(out)["images"], 3)

    def test_slashes_are_not_doubled(self):
        for folder in (self.root + "/", self.root + "///"):
            paths = [record["path"] for record in self.records("--max-depth", "1", folder)]
            self.assertEqual(paths, [self.root + "/a.png"])

    def test_files_of_other_kinds_are_counted(self):
        for name in ("1.heic", "2.HEIC", "x/3.heic", "4.gif", "5.txt", "6.CR2", ".7.heic", "@eaDir/8.heic"):
            pathlib.Path(self.root, name).write_bytes(b"not read")
        _, err = self.run_program("--exclude", "@eaDir", self.root)
        self.assertIn("skipped 5 files: 3 .heic, 1 .cr2, 1 .gif (--any-name lists", err)
        self.assertEqual(err.count("skipped"), 1)
        _, err = self.run_program("--any-name", "--exclude", "@eaDir", self.root)
        self.assertIn("skipped 5 files: 3 .heic, 1 .cr2, 1 .gif\n", err)
        self.assertEqual(self.run_program("-q", self.root)[1], "")
        self.assertNotIn("skipped", self.run_program(os.path.join(self.root, "a.png"))[1])


if __name__ == "__main__":
    unittest.main()
