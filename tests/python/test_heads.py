"""What the program makes of models with hidden layers, sigmoids and scores. Needs what support/cli.py needs."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from support.cli import MAKE_MODEL, Case, parse


class Heads(Case):
    def setUp(self):
        super().setUp()
        self.image = self.make("a.jpg", self.jpeg_bytes)
        self.others = [self.make(f"{i}.png") for i in range(3)]

    def make_model(self, *flags):
        path = str(self.folder / "head.safetensors")
        subprocess.run([MAKE_MODEL, path, *map(str, flags)], check=True)
        return path

    def top(self, model, *flags, image=None):
        out, err = self.run_program("-m", model, *flags, image or self.image)
        self.assertEqual(err, "")
        return parse(out)["top"]

    def scores(self, *flags):
        """The network's outputs, by index: those of the same weights without an activation."""
        return {p["index"]: p["score"] for p in self.top(self.make_model(*flags, "--output-activation", "none"), "-k", "99")}

    def test_one_output_with_a_sigmoid_is_two_classes(self):
        for hidden in ([], ["--hidden", 7, 5]):
            score, = self.scores("--classes", 1, *hidden).values()
            model = self.make_model("--classes", 1, "--labels", "--output-activation", "sigmoid", *hidden)
            top = self.top(model)
            by_label = {p["label"]: p["probability"] for p in top}
            self.assertEqual(set(by_label), {"class 0", "class 1"})
            self.assertAlmostEqual(by_label["class 1"], 1 / (1 + math.exp(-score)), places=6)
            self.assertAlmostEqual(by_label["class 0"], 1 / (1 + math.exp(score)), places=6)
            self.assertGreaterEqual(top[0]["probability"], top[1]["probability"])
            self.assertEqual([p["index"] for p in top], [int(p["label"][-1]) for p in top])

    def test_several_sigmoids_are_independent_labels(self):
        scores = self.scores("--classes", 6)
        model = self.make_model("--classes", 6, "--output-activation", "sigmoid")
        top = self.top(model, "-k", "6")
        self.assertEqual([p["index"] for p in top], sorted(scores, key=lambda i: (-scores[i], i)))
        for p in top:
            self.assertAlmostEqual(p["probability"], 1 / (1 + math.exp(-scores[p["index"]])), places=6)
        self.assertNotAlmostEqual(sum(p["probability"] for p in top), 1, places=2)
        likely = [p for p in top if p["probability"] >= 0.5]
        self.assertTrue(0 < len(likely) < 6)
        self.assertEqual(self.top(model, "-k", "6", "--min-prob", "0.5"), likely)

    def test_a_softmax_after_hidden_layers(self):
        scores = self.scores("--classes", 4, "--hidden", 9)
        whole = sum(math.exp(s) for s in scores.values())
        for p in self.top(self.make_model("--classes", 4, "--hidden", 9), "-k", "4"):
            self.assertAlmostEqual(p["probability"], math.exp(scores[p["index"]]) / whole, places=6)

    def test_scores_are_not_called_probabilities(self):
        model = self.make_model("--classes", 3, "--output-activation", "none", "--labels")
        top = self.top(model)
        self.assertEqual([set(p) for p in top], [{"index", "label", "score"}] * 3)
        self.assertEqual([p["score"] for p in top], sorted((p["score"] for p in top), reverse=True))
        out, _ = self.run_program("-m", model, "-f", "csv", "-k", "2", self.image)
        rows = list(csv.DictReader(io.StringIO(out.decode(), newline="")))
        self.assertEqual((rows[0]["index1"], float(rows[0]["score1"])), (str(top[0]["index"]), top[0]["score"]))
        self.assertNotIn("probability1", rows[0])
        out, _ = self.run_program("-m", model, "-f", "text", self.image)
        self.assertNotIn(b"%", out)
        self.assertIn(f"{top[0]['score']:.4g}  class {top[0]['index']}", out.decode())
        _, err = self.run_program("-m", model, "--min-prob", "0.1", self.image, status=2)
        self.assertIn("--min-prob: " + model + " gives scores, which are no probabilities", err)
        results = self.folder / "results.csv"
        for _ in range(2):
            self.run_program("-m", model, "-f", "csv", "-o", str(results), "--resume", self.image)
        self.assertTrue(results.read_text().startswith("path,status,width,height,index1,label1,score1,"))
        self.run_program("-m", self.make_model("--classes", 3), "-f", "csv", "-o", str(results), "--resume", self.image,
                         status=2)  # another header

    def test_one_score(self):
        self.assertEqual(len(self.scores("--classes", 1)), 1)

    def test_a_softmax_of_one_output_is_refused(self):
        model = self.make_model("--classes", 1, "--output-activation", "softmax")
        _, err = self.run_program("-m", model, self.image, status=3)
        self.assertIn("a softmax of 1 output, which is 1 for every image", err)
        self.assertIn("--output-activation", err)

    def test_summary(self):
        for flags, classes, activation, text in (
                (["--classes", 1, "--output-activation", "sigmoid", "--hidden", 7], 2, "sigmoid", "2 classes, sigmoid"),
                (["--classes", 5, "--output-activation", "none"], 5, "none", "scores of 5 classes"),
                (["--classes", 4, "--hidden", 9, 6], 4, "softmax", "4 classes, softmax"),
                (["--features"], 0, None, "the pooled features")):
            model = self.make_model(*flags)
            summary = json.loads(self.run_program("-m", model, "--summary", "-f", "json")[0])
            self.assertEqual((summary["classes"], summary["output_activation"]), (classes, activation))
            table = self.run_program("-m", model, "--summary", "-f", "text")[0].decode()
            self.assertIn(f"\noutput: {text}\n", table)
        model = self.make_model("--classes", 4, "--hidden", 9, 6)
        layers = json.loads(self.run_program("-m", model, "--summary", "-f", "json")[0])["layers"]
        self.assertEqual([(row["name"], row["type"], row["output_shape"]) for row in layers[-4:]],
                         [("pool", "AdaptiveAvgPool2d", [1, 20]), ("classifier.0", "Linear, ReLU6", [1, 9]),
                          ("classifier.1", "Linear, ReLU6", [1, 6]), ("classifier.2", "Linear", [1, 4])])
        self.assertEqual([row["parameters"] for row in layers[-3:]], [20 * 9 + 9, 9 * 6 + 6, 6 * 4 + 4])

    def test_eval_and_sorting_by_two_classes_of_one_output(self):
        model = self.make_model("--classes", 1, "--output-activation", "sigmoid", "--labels")
        tops = {image: self.top(model, image=image)[0]["label"] for image in (self.image, *self.others)}
        for image, label in tops.items():
            folder = self.folder / "photos" / label
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder)
        (self.folder / "photos/class 0").mkdir(exist_ok=True)
        (self.folder / "photos/class 1").mkdir(exist_ok=True)
        out, _ = self.run_program("-m", model, "--eval", str(self.folder / "photos"), "-f", "json")
        report = json.loads(out)
        self.assertEqual((report["images"], report["top1"]), (4, 1.0))
        self.run_program("-m", model, "--sort-into", str(self.folder / "sorted"), str(self.folder / "photos"))
        for image, label in tops.items():
            placed, = (self.folder / "sorted").glob("*/" + Path(image).name)
            self.assertEqual(placed.parent.name.replace("_", " "), label)

    def test_report_for_people(self):
        for activation, has_scores in (("none", True), ("sigmoid", False)):
            model = self.make_model("--classes", 3, "--output-activation", activation)
            page = self.folder / "page.html"
            self.run_program("-m", model, "--html", str(page), self.image, *self.others)
            run = json.loads(re.search(r'id="run">(.*?)</script>', page.read_text()).group(1))
            self.assertEqual(run.get("scores", False), has_scores)
            page.unlink()

    def test_bench_runs_them(self):
        model = self.make_model("--classes", 1, "--output-activation", "sigmoid", "--hidden", 9)
        out, _ = self.run_program("-m", model, "--bench", "--bench-seconds", "0.01", "--per-layer", "-t", "1", "-f", "json")
        self.assertIn("classifier.1", out.decode())


if __name__ == "__main__":
    unittest.main(verbosity=2)
