"""--eval as its users meet it: folders named by classes, tables, what does not count, and wrong use.

The references are the records of an ordinary run, counted here.
"""

import csv
import os
import subprocess
import unittest

from support.cli import CLASSES, MAKE_MODEL, PROGRAM, Case, parse


class Eval(Case):
    def setUp(self):
        super().setUp()
        labels = self.folder / "labels.txt"
        self.labels = [f"kind {i}" for i in range(CLASSES)]
        labels.write_text("\n".join(self.labels) + "\n")
        self.environment["MNV2_MODEL"] = self.model
        self.flags = ["--labels", str(labels)]

    def make_tree(self, names, each=4):
        """A folder for each name, with images in it; returns the root."""
        for n, name in enumerate(names):
            for i in range(each):
                self.make(f"tree/{name}/{i}.png", seed=n * each + i)
        return str(self.folder / "tree")

    def report(self, *arguments, status=0):
        out, err = self.run_program("--eval", *self.flags, *arguments, status=status)
        return parse(out), err

    def check_against_records(self, report, truths):
        """truths: {path: class}. Counts what a run over the paths gives."""
        records = {r["path"]: r for r in self.records(*truths)}
        top1 = top5 = 0
        classes = {}
        for path, truth in truths.items():
            guesses = [p["index"] for p in records[path]["top"]]
            top1 += guesses[0] == truth
            top5 += truth in guesses[:5]
            classes.setdefault(truth, []).append(guesses[0] == truth)
        self.assertEqual((report["images"], report["top1_images"], report["top5_images"]), (len(truths), top1, top5))
        self.assertAlmostEqual(report["top1"], top1 / len(truths), places=6)
        self.assertAlmostEqual(report["top5"], top5 / len(truths), places=6)
        mean = sum(sum(right) / len(right) for right in classes.values()) / len(classes)
        self.assertAlmostEqual(report["mean_class_accuracy"], mean, places=6)
        self.assertEqual({c["index"]: c["images"] for c in report["classes"]},
                         {truth: len(right) for truth, right in classes.items()})
        self.assertEqual(sum(c["images"] for c in report["most_confused"]), len(truths) - top1)
        self.assertTrue(report["complete"])

    def test_folders_named_by_labels_or_indexes(self):
        names = ["Kind_3", "7", "kind 0"]
        root = self.make_tree(names)
        truths = {f"{root}/{name}/{i}.png": truth for name, truth in zip(names, (3, 7, 0)) for i in range(4)}
        report, err = self.report(root)
        self.check_against_records(report, truths)
        self.assertEqual(err, "")

    def test_the_number_of_guesses_that_are_shown_changes_nothing(self):
        root = self.make_tree(["kind 0", "kind 3", "kind 7"])
        expected, _ = self.report(root)
        self.assertGreater(expected["top5_images"], expected["top1_images"])
        for k in ("1", "2", "10"):
            report, _ = self.report("-k", k, root)
            for key in ("images", "top1_images", "top5_images", "top1", "top5", "mean_class_accuracy"):
                self.assertEqual(report[key], expected[key], (k, key))

    def test_as_many_folders_as_classes_count_in_their_order(self):
        names = [f"n{i:03}" for i in range(CLASSES)]
        root = self.make_tree(names, each=2)
        truths = {f"{root}/{name}/{i}.png": truth for truth, name in enumerate(names) for i in range(2)}
        self.check_against_records(self.report(root)[0], truths)

    def test_roots_in_one_another(self):
        """An image belongs to the class of the innermost root that it is below, however the roots are named."""
        for name, images in (("0", 3), ("5", 1), ("5/2", 2), ("5/7", 4)):
            for i in range(images):
                self.make(f"tree/{name}/{i}.png", seed=10 * images + i)
        outer, inner = str(self.folder / "tree"), str(self.folder / "tree/5")
        truths = {f"{outer}/0/{i}.png": 0 for i in range(3)}
        below = {f"{inner}/2/{i}.png": 2 for i in range(2)} | {f"{inner}/7/{i}.png": 7 for i in range(4)}
        counted = {0: 3, 2: 2 * 2, 7: 2 * 4}  # what is below both is walked over twice
        right = {r["path"]: r["top"][0]["index"] for r in self.records(*truths, *below)}
        top1 = sum(right[path] == truth for path, truth in [*truths.items(), *below.items(), *below.items()])
        for roots in ((outer, inner), (inner, outer), (f"{outer}//", f"{inner}/"), (inner + "/", outer)):
            report, err = self.report(*roots)
            self.assertEqual({c["index"]: c["images"] for c in report["classes"]}, counted, roots)
            self.assertEqual((report["images"], report["top1_images"]), (15, top1), roots)
            self.assertEqual(report["unlabelled"], 2)  # right in the inner root
            self.assertIn("5/0.png: of no known class", err)

    def test_a_table_next_to_its_images(self):
        paths = [self.make(f"images/a,{i}.png", seed=i) for i in range(6)]
        with open(self.folder / "images" / "truth.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["label", "file"])
            rows.writerows([f"kind {i}", f"a,{i}.png"] for i in range(6))
        report, _ = self.report("--truth", str(self.folder / "images" / "truth.csv"))
        self.check_against_records(report, {path: i for i, path in enumerate(paths)})

    def test_a_table_relative_to_a_folder(self):
        paths = [self.make(f"images/{i}.png", seed=i) for i in range(3)]
        (self.folder / "t.csv").write_text("0.png,4\n1.png,5\n2.png,6\n")
        report, _ = self.report("--truth", str(self.folder / "t.csv"), str(self.folder / "images"))
        self.check_against_records(report, {path: 4 + i for i, path in enumerate(paths)})

    def test_tables_with_semicolons_or_tabs(self):
        paths = [self.make(f"images/a,{i}.png", seed=i) for i in range(3)]
        for separator in (";", "\t"):
            for header in (f"path{separator}class\r\n", ""):
                (self.folder / "images/t.csv").write_bytes(("\ufeff" + header).encode() + b"".join(
                    f'"a,{i}.png"{separator}{4 + i}\r\n'.encode() for i in range(3)))
                report, _ = self.report("--truth", str(self.folder / "images/t.csv"))
                self.check_against_records(report, {path: 4 + i for i, path in enumerate(paths)})

    def test_shards_add_up(self):
        root = self.make_tree(["0", "1", "2"])
        whole, _ = self.report(root)
        parts = [self.report(root, "--shard", f"{i}/3")[0] for i in (1, 2, 3)]
        for key in ("images", "top1_images", "top5_images"):
            self.assertEqual(sum(p[key] for p in parts), whole[key])

    def test_damaged_images_and_images_of_no_class_are_counted_apart(self):
        root = self.make_tree(["0", "1"])
        self.make("tree/0/bad.png", b"no image")
        self.make("tree/stray.png", seed=3)
        report, err = self.report(root, status=1)
        self.assertEqual((report["images"], report["failed"], report["unlabelled"]), (8, 1, 1))
        self.assertIn("stray.png: of no known class", err)

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_memory_does_not_grow_with_the_number_of_images(self):
        def peak(rows):
            table = self.folder / "t.csv"
            table.write_text("".join(f"nothing/{i}.jpg,{i % CLASSES}\n" for i in range(rows)) + "a.png,1\n")
            process = subprocess.Popen([PROGRAM, "-q", "-t", "2", "--eval", "--truth", str(table)], env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            report = parse(process.stdout.read())
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual((report["images"], report["failed"], process.returncode), (1, rows, 1))
            return usage.ru_maxrss * 1024

        self.make("a.png")
        self.assertLess(peak(100_000), peak(10) + 8e6)  # their paths alone are 17 MB as strings

    def test_text_and_one_line(self):
        root = self.make_tree(["0", "1"])
        out, _ = self.run_program("--eval", *self.flags, "-f", "text", root)
        self.assertRegex(out.decode(), r"^8 images of 2 classes\n\n  top-1 +\d+\.\d\d %  \(\d+\)\n  top-5 ")
        table = out.decode().split("\nClasses, the least often recognised first\n")[1].splitlines()
        self.assertEqual(table[0], "  images    top-1    top-5  class")
        report, _ = self.report(root)
        worst_first = sorted(report["classes"], key=lambda entry: entry["top1"])
        for line, entry in zip(table[1:3], worst_first):
            self.assertRegex(line, rf"^ +4 +{100 * entry['top1']:.1f} % +{100 * entry['top5']:.1f} %  {entry['label']}(, taken for .* \(\d\))?$")
            others = [c for c in report["most_confused"] if c["truth"]["index"] == entry["index"]]
            if others:
                self.assertIn(f"taken for {others[0]['predicted']['label']} ({others[0]['images']})", line)
        out, _ = self.run_program("--eval", *self.flags, "-f", "jsonl", root)
        self.assertEqual(out.count(b"\n"), 1)

    def test_five_classes_have_no_top5(self):
        for classes, has in ((5, False), (6, True)):
            model = str(self.folder / f"{classes}.safetensors")
            subprocess.run([MAKE_MODEL, model, "--classes", str(classes)], check=True)
            root = self.make_tree(["0", "1"])
            report = parse(self.run_program("--eval", "-m", model, "-f", "json", root)[0])
            for value in (report["top5"], report["top5_images"], report["classes"][0]["top5"]):
                self.assertEqual(value is not None, has)
            text = self.run_program("--eval", "-m", model, "-f", "text", root)[0].decode()
            self.assertEqual("top-5" in text, has)

    def test_what_was_sorted_can_be_evaluated(self):
        labels = self.make("labels.txt", b"\n".join([b"crane"] * 5 + [b"a/b"] * (CLASSES - 5)))
        photos, target = self.make_folder(6), self.folder / "sorted"
        self.run_program("--labels", labels, "--sort-into", str(target), photos)
        report, _ = self.report(str(target), "--labels", labels)
        self.assertEqual((report["images"], report["top1"]), (6, 1.0))

    def test_no_image_has_no_accuracy(self):
        (self.folder / "tree/0").mkdir(parents=True)
        report, _ = self.report(str(self.folder / "tree"))
        self.assertEqual([report[key] for key in ("images", "top1", "top5", "mean_class_accuracy")], [0, None, None, None])
        for text, message in (("", "no rows; expected a path"), ("file,label\n", "no rows below the names")):
            table = self.make("empty.csv", text.encode())
            self.assertIn(message, self.run_program("--eval", "--truth", table, status=2)[1])

    def test_wrong_use(self):
        root = self.make_tree(["0", "what is this"])
        table = self.folder / "t.csv"
        table.write_text("0.png,4\n1.png,no such class\n")
        for arguments, message in [
                (["--eval", root], "what is this: a folder of no class of the model; expected a label or an index"),
                (["--eval", str(self.folder / "nothing")], "nothing: No such file or directory"),
                (["--eval", root + "/0"], "no folder in it; expected one for each class, or --truth FILE"),
                (["--eval", "--truth", str(table)], "t.csv, line 2: 'no such class' is no class of the model"),
                (["--eval", "--truth", str(table), root, root], "2 inputs, expected one folder"),
                (["--eval", "-"], "takes folders or --truth FILE, not a list"),
                (["--truth", str(table), root], "--truth: needs --eval"),
                (["--eval", "--bench", root], "--eval: not with --bench")]:
            out, err = self.run_program(*self.flags, *arguments, status=2)
            self.assertEqual(out, b"")
            self.assertIn(message, err)


if __name__ == "__main__":
    unittest.main()
