"""--sort-into: each image into a folder for its class, and none moved or replaced. Needs what support/cli.py needs."""

import json
import os
import pathlib
import resource
import shutil
import sys
import unittest

from support.cli import CLASSES, TIMEOUT
from support.output import OutputCase


class Sort(OutputCase):
    def setUp(self):
        super().setUp()
        self.target = self.folder / "sorted"

    def tree(self):
        return sorted(str(p.relative_to(self.target)) for p in self.target.rglob("*") if not p.is_dir())

    def classes(self, paths, *flags):
        """The folder that each path belongs into."""
        return [f"class {record['top'][0]['index']}" for record in self.records("-k", "1", *flags, *paths)]

    def test_links_symlinks_and_copies(self):
        paths = [self.make(f"in/{i}.png", seed=i) for i in range(6)]
        os.utime(paths[0], ns=(10**18, 10**18 + 12345678))
        before = {p: pathlib.Path(p).read_bytes() for p in paths}
        expected = self.classes(paths)
        for how in ("link", "symlink", "copy"):
            for repeated in range(2):  # the second time everything is there
                flags = () if how == "link" else ("--sort-as", how)
                self.out("--sort-into", str(self.target), *flags, *[os.path.relpath(p) for p in paths])
                self.assertEqual(self.tree(), sorted(f"{c}/{os.path.basename(p)}" for c, p in zip(expected, paths)))
                for folder, path in zip(expected, paths):
                    placed = self.target / folder / os.path.basename(path)
                    self.assertEqual(placed.read_bytes(), before[path])
                    self.assertEqual(placed.is_symlink(), how == "symlink")
                    self.assertEqual(os.path.samefile(placed, path), how != "copy")
                    self.assertEqual(placed.stat().st_mtime_ns, os.stat(path).st_mtime_ns)
                    if how == "symlink":
                        self.assertTrue(os.path.isabs(os.readlink(placed)))
            shutil.rmtree(self.target)
        self.assertEqual({p: pathlib.Path(p).read_bytes() for p in paths}, before)

    def test_same_names_are_numbered_and_nothing_is_replaced(self):
        paths = [self.make(f"in/{i}/same.name.png", seed=1, data=None) for i in range(3)]
        folder = self.classes(paths[:1])[0]
        for how, count in (("link", 3), ("symlink", 3), ("copy", 1)):  # copies of the same bytes are the same
            with self.subTest(how=how):
                mine = self.target / folder / "same.name.png"
                mine.parent.mkdir(parents=True)
                mine.write_bytes(b"mine")
                for _ in range(2):
                    self.out("--sort-into", str(self.target), "--sort-as", how, *paths)
                    self.assertEqual(mine.read_bytes(), b"mine")
                    self.assertEqual(self.tree(), [f"{folder}/same.name-{i}.png" for i in range(2, 2 + count)] + [f"{folder}/same.name.png"])
                shutil.rmtree(self.target)

    def test_folders_are_made_of_labels(self):
        path = self.make("a.png")
        index = int(self.classes([path])[0].split()[1])
        for label, folder in (("a/b", "a_b"), ("..", "__"), (".x", "_x"), ("x.", "x_"), ("ünï, 'q'", "ünï, 'q'"), ("", f"class {index}"),
                              ("twice", f"twice ({index})"), ("Other", f"Other ({index})"), ("é" * 150, "é" * 100)):
            labels = ["twice" if i == (index + 1) % CLASSES else "other" if i == (index + 2) % CLASSES else f"n{i}" for i in range(CLASSES)]
            labels[index] = label
            file = self.make("labels.txt", json.dumps(labels).encode())
            self.out("--labels", file, "--sort-into", str(self.target), path)
            self.assertEqual(self.tree(), [f"{folder}/a.png"])
            shutil.rmtree(self.target)

    def test_what_is_not_sorted_is_counted(self):
        paths = [self.make("a.png"), self.make("b.png", b"bad")]
        _, err = self.run_program("--sort-into", str(self.target), "--min-prob", "1", *paths, status=1)
        self.assertIn("0 sorted, 1 not classified, 1 below --min-prob", err)
        self.assertEqual(self.tree(), [])

    def test_with_resume_nothing_is_left_out(self):
        folder = self.make_noisy_folder()
        flags = ("--sort-into", str(self.target), "--resume", "-o", str(self.folder / "out"), folder)
        process, _ = self.start_stopped(*flags)
        process.kill()
        process.wait(TIMEOUT)
        self.assertTrue(100 < len(self.tree()) < 200)
        self.out(*flags, status=1)
        self.assertEqual(len(self.tree()), 270)  # without the damaged ones
        self.assertEqual((self.folder / "out").read_bytes(), self.out(folder, status=1))

    def test_a_class_that_cannot_be_made_is_a_message_for_each_file(self):
        paths = [self.make(f"{i}.png", seed=i) for i in range(4)]
        self.target.mkdir()
        for name in {*self.classes(paths)}:
            (self.target / name).write_bytes(b"in the way")
        out, err = self.run_program("--sort-into", str(self.target), *paths, status=4)
        self.assertEqual(out, self.out(*paths))
        self.assertEqual(err.count("Not a directory"), 4)
        self.assertIn("4 that could not be put there", err)

    def test_another_file_system(self):
        path = self.make("a.png")
        with self.small_disk() as disk:
            out, err = self.run_program("--sort-into", str(disk / "s"), path, status=4)
            self.assertIn("use --sort-as symlink or copy", err)
            self.assertEqual(out, self.out(path))
            self.out("--sort-into", str(disk / "s"), "--sort-as", "copy", path)
            self.assertEqual(len(list((disk / "s").glob("*/a.png"))), 1)

    def test_a_full_disk_ends_the_run(self):
        paths = [self.make(f"in/{i}.jpg", self.jpeg_bytes + bytes(8000)) for i in range(40)]
        with self.small_disk() as disk:
            target = self.folder / "out"
            flags = ("--sort-into", str(disk / "s"), "--sort-as", "copy", "--resume", "-o", str(target))
            _, err = self.run_program(*flags, *paths, status=4)
            self.assertIn("No space left", err)
            placed = [p for p in (disk / "s").rglob("*") if p.is_file()]
            self.assertTrue(0 < len(placed) < 40)
            self.assertEqual(target.read_bytes().count(b"\n"), len(placed))  # no record of what was not sorted
            self.assertEqual({p.read_bytes() for p in placed}, {self.jpeg_bytes + bytes(8000)})

    def test_wrong_use(self):
        folder, path = self.make_folder(2), self.make("a.png")
        for flags in (("--sort-into", ""), ("--sort-into", path), ("--sort-into", folder + "/sorted", folder), ("--sort-as", "copy"),
                      ("--sort-into", "x", "--sort-as", "move"), ("--sort-into", "x", "--bench"), ("--sort-into", folder, folder)):
            self.assertIn("--sort-", self.run_program(*flags, path, status=2, cwd=self.folder)[1])
        self.assertEqual(self.names(), ["a.png", "photos"])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
