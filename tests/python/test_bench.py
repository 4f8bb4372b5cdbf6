"""--bench as its users meet it: fields, figures that must be exact, sweeps, the comparison, wrong use.

No time is held against a limit: only what must be true on any machine, however busy.
"""

import json
import math
import subprocess
import unittest

from support.cli import MAKE_MODEL, Case, parse

SHORT = ("--bench", "--bench-seconds", "0.02")
STATISTICS = ("min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")

# The network of make_model at 32x32, by hand: name, kind, output, parameters, multiply-adds, floats in and out.
TINY_LAYERS = [
    ("stem", "conv", (8, 16, 16), 8 * 28, 256 * 8 * 27, 3 * 1024 + 8 * 256),
    ("blocks.0.depthwise", "depthwise", (8, 16, 16), 8 * 10, 256 * 8 * 9, 8 * 256 * 2),
    ("blocks.0.project", "pointwise", (5, 16, 16), 5 * 9, 256 * 5 * 8, 13 * 256),
    ("blocks.1.expand", "pointwise", (15, 16, 16), 15 * 6, 256 * 15 * 5, 20 * 256),
    ("blocks.1.depthwise", "depthwise", (15, 8, 8), 15 * 10, 64 * 15 * 9, 15 * (256 + 64)),
    ("blocks.1.project", "pointwise", (9, 8, 8), 9 * 16, 64 * 9 * 15, 24 * 64),
    ("blocks.2.expand", "pointwise", (18, 8, 8), 18 * 10, 64 * 18 * 9, 27 * 64),
    ("blocks.2.depthwise", "depthwise", (18, 8, 8), 18 * 10, 64 * 18 * 9, 36 * 64),
    ("blocks.2.project", "pointwise", (9, 8, 8), 9 * 19, 64 * 9 * 18, (18 + 9 + 9) * 64),  # and the residual's input
    ("head", "pointwise", (20, 8, 8), 20 * 10, 64 * 20 * 9, 29 * 64),
    ("classifier", "linear", (10, 1, 1), 10 * 21, 20 * 10, 30),
]


def nearest_rank_median(values):
    return sorted(values)[math.ceil(len(values) / 2) - 1]


class Bench(Case):
    def bench(self, *arguments, status=0):
        """The report of a short run, as JSON, and stderr."""
        out, err = self.run_program(*SHORT, "-f", "json", *arguments, status=status)
        return parse(out), err

    def check_row(self, row, threads, batch, multiply_adds):
        self.assertEqual((row["threads"], row["batch"]), (threads, batch))
        inference = row["inference"]
        order = [inference[name] for name in STATISTICS]
        self.assertEqual(order, sorted(order))
        self.assertGreater(order[0], 0)
        self.assertGreater(row["warmup_runs"], 0)
        self.assertIn(row["steady"], (True, False))
        at_once = 1 if batch == 1 else min(threads, batch)
        expected = at_once * 2 * multiply_adds / inference["p50_ms"] / 1e6
        self.assertAlmostEqual(inference["gflops"] / expected, 1, places=4)
        rounds = list(zip(row["rounds"]["gflops"], row["rounds"]["peak_gflops"]))
        self.assertGreater(len(rounds), 0)
        self.assertEqual(len(row["rounds"]["gflops"]), len(row["rounds"]["peak_gflops"]))
        percent = nearest_rank_median([100 * achieved / peak for achieved, peak in rounds])
        self.assertAlmostEqual(inference["percent_of_peak"] / percent, 1, places=4)
        busy = threads if batch == 1 else at_once
        peak = nearest_rank_median([peak for _, peak in rounds])
        self.assertAlmostEqual(row["peak_gflops_per_thread"] * busy / peak, 1, places=4)
        if batch > 1:
            whole = row["whole_batch"]
            self.assertEqual(inference["runs"], whole["runs"] * batch)
            self.assertAlmostEqual(row["images_per_second"] / (1000 * batch / whole["mean_ms"]), 1, places=4)
            self.assertGreaterEqual(whole["max_ms"], inference["max_ms"])
        else:
            self.assertNotIn("whole_batch", row)

    def test_fields_of_one_setting(self):
        report, err = self.bench("-t", "2")
        self.assertEqual(err, "")
        for name in ("load_ms", "pack_ms", "first_inference_ms", "peak_rss_bytes"):
            self.assertGreater(report[name], 0, name)
        self.check_row(report, 2, 1, report["model"]["multiply_adds"])
        self.assertAlmostEqual(report["images_per_second"] / report["inference"]["images_per_second"], 1, places=4)
        for name in ("layers", "sweep", "comparison", "decode"):
            self.assertNotIn(name, report)

    def test_layers_are_exact_where_they_can_be(self):
        report, _ = self.bench("-t", "1", "--per-layer")
        layers = report["layers"]
        self.assertEqual(
            [(r["name"], r["kind"], (r["out_c"], r["out_h"], r["out_w"]), r["parameters"], r["multiply_adds"],
              r["activation_bytes"] // 4) for r in layers], TINY_LAYERS)
        for layer in layers:
            self.assertEqual(layer["weight_bytes"], 4 * layer["parameters"])
            self.assertEqual(layer["activation_bytes"] % 4, 0)
            self.assertGreater(layer["p50_ms"], 0)
            self.assertGreater(layer["percent_of_peak"], 0)
            expected = 2 * layer["multiply_adds"] / layer["p50_ms"] / 1e6
            self.assertAlmostEqual(layer["gflops"] / expected, 1, places=3)
        self.assertEqual(sum(r["multiply_adds"] for r in layers), report["model"]["multiply_adds"])

    def test_layers_of_the_whole_network(self):
        model = str(self.folder / "full.safetensors")
        subprocess.run([MAKE_MODEL, model, "--full", "--classes", "1000", "--resize", "256", "--crop", "224"],
                       check=True)
        report, _ = self.bench("-t", "2", "--per-layer", "-m", model)
        self.assertEqual(len(report["layers"]), 53)
        self.assertEqual(sum(r["multiply_adds"] for r in report["layers"]), 300_774_272)
        self.assertEqual(sum(r["weight_bytes"] for r in report["layers"]), 4 * (3_504_872 - 17_056))
        out, _ = self.run_program(*SHORT, "-t", "1", "--per-layer", "-m", model)
        text = out.decode()
        lines = text[text.index("Layers on 1 thread"):].splitlines()
        self.assertEqual([line.split()[0] for line in lines[3:56]], [r["name"] for r in report["layers"]])
        self.assertRegex(lines[56], r"^  sum +300\.77 .* 13951 +\d+$")
        self.assertLessEqual(max(len(line) for line in text.splitlines() if str(self.folder) not in line), 80)

    def test_a_sweep_is_a_row_for_each_pair(self):
        report, _ = self.bench("-t", "2,1", "--batch", "1,3", "--per-layer")
        settings = [(2, 1), (1, 1), (2, 3), (1, 3)]
        self.assertEqual(len(report["sweep"]), 4)
        for row, (threads, batch) in zip(report["sweep"], settings):
            self.check_row(row, threads, batch, report["model"]["multiply_adds"])
            self.assertEqual(len(row.get("layers", [])), len(TINY_LAYERS) if batch == 1 else 0)
        first = dict(report["sweep"][0])
        self.assertEqual({name: report[name] for name in first}, first)  # stands at the top as well
        out, _ = self.run_program(*SHORT, "-t", "1-3")
        lines = out.decode().splitlines()
        head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["threads", "batch"])
        self.assertEqual([line.split()[:2] for line in lines[head + 1:head + 4]], [["1", "1"], ["2", "1"], ["3", "1"]])
        self.assertEqual(lines[head + 1].split()[6], "1.00x")

    def test_batches_of_given_images(self):
        folder = self.make_folder(3)
        bad = self.make("bad.png", b"bad")
        report, err = self.bench(folder, bad, "-t", "2", "--batch", "4,1", status=1)
        self.assertEqual(err.count("bad.png"), 1, err)  # left out once, for all settings
        self.assertIn("1 of 4 inputs", err)
        self.assertEqual(report["images"], 3)
        for row in report["sweep"]:
            for stage in ("read", "decode", "preprocess", "inference", "total"):
                self.assertEqual(row[stage]["runs"], row["inference"]["runs"])
                self.assertGreater(row[stage]["p50_ms"], 0)
            self.assertGreaterEqual(row["total"]["min_ms"], row["inference"]["min_ms"])
        self.assertGreaterEqual(report["whole_batch"]["max_ms"], report["total"]["max_ms"])

    def test_a_run_over_many_images_beside_its_bound(self):
        folder = self.make_folder(3)
        report, _ = self.bench("-t", "2", folder)
        run = report["run"]
        self.assertEqual((run["threads"], run["cores"]), (2, min(2, report["affinity_cpus"])))
        rounds = run["rounds"]
        self.assertGreaterEqual(len(rounds["images_per_second"]), 3)
        self.assertGreaterEqual(run["images"], 2 * len(rounds["images_per_second"]))  # each image once a thread
        bounds = [1000 * run["cores"] / ms for ms in rounds["one_core_ms"]]
        for name, values in (("one_core_ms", rounds["one_core_ms"]), ("images_per_second", rounds["images_per_second"]),
                             ("bound_images_per_second", bounds),
                             ("percent_of_bound", [100 * a / b for a, b in zip(rounds["images_per_second"], bounds)])):
            self.assertAlmostEqual(run[name] / nearest_rank_median(values), 1, places=4)
        self.assertNotIn("run", self.bench("-t", "2", folder + "/0000.png")[0])  # of one image there is no run
        self.assertNotIn("run", self.bench("-t", "2")[0])
        out, _ = self.run_program("--bench", "--bench-seconds", "0.05", "-t", "1", folder)
        self.assertRegex(out.decode(), r"A run over many images: [0-9.]+ images/s on 1 thread, [0-9.]+ % of the bound of")

    def test_a_comparison_with_known_ratios(self):
        report, _ = self.bench("-t", "1", "--per-layer")
        for name in ("load_ms", "pack_ms", "first_inference_ms"):
            report[name] = 3.0
        report["inference"].update(p50_ms=0.5, percent_of_peak=12.5)
        report["layers"] = [{"name": "head", "p50_ms": 0.125}, {"name": "gone", "p50_ms": 1}]
        report["version"] = "0.0.1"
        earlier = self.make("earlier.json", json.dumps(report).encode())
        now, err = self.bench("-t", "1", "--per-layer", "--compare", earlier)
        self.assertEqual(err, "")
        comparison = now["comparison"]
        self.assertEqual((comparison["file"], comparison["version"], comparison["differences"]), (earlier, "0.0.1", []))

        def check(ratio, before, after):
            self.assertEqual((ratio["earlier"], ratio["now"]), (before, after))
            self.assertAlmostEqual(ratio["ratio"] / (after / before), 1, places=4)

        for name in ("load_ms", "pack_ms", "first_inference_ms"):
            check(comparison[name], 3.0, now[name])
        row, = comparison["rows"]
        check(row["inference_p50_ms"], 0.5, now["inference"]["p50_ms"])
        check(row["percent_of_peak"], 12.5, now["inference"]["percent_of_peak"])
        layer, = row["layers_p50_ms"]
        self.assertEqual(layer["name"], "head")
        check(layer, 0.125, next(r["p50_ms"] for r in now["layers"] if r["name"] == "head"))

        out, _ = self.run_program(*SHORT, "-t", "1", "--compare", earlier)
        self.assertRegex(out.decode(), r"Compared with .*earlier\.json \(version 0\.0\.1\)\n")
        self.assertRegex(out.decode(), r"\n  load ms +3\.0000 .*x\n")
        self.assertRegex(out.decode(), r"\n  threads 1: p50 ms +0\.5000 ")

    def test_a_comparison_of_what_is_not_alike_warns(self):
        report, _ = self.bench("-t", "1")
        report["isa"], report["cpu"], report["model"]["source"] = "mmx", "Abacus", "a tale"
        earlier = self.make("earlier.json", json.dumps(report).encode())
        now, err = self.bench("-t", "2", "--compare", earlier)
        differences = [difference.split(":")[0] for difference in now["comparison"]["differences"]]
        self.assertEqual(differences, ["machine", "ISA", "model", "threads"])
        for words in ("Abacus", "was mmx", "a tale", "threads: 2, was 1"):
            self.assertIn(words, err)
        self.assertEqual(err.count("warning: --compare: not alike"), 4)

    def test_files_that_are_no_earlier_result(self):
        cases = [("empty.json", b"", "it is no JSON"), ("text.json", b"fast", "it is no JSON"),
                 ("list.json", b"[1]", "it is no JSON object"), ("other.json", b'{"a":1}', "is missing"),
                 ("deep.json", b"[" * 1_000_000, "it is no JSON"), ("bytes.json", bytes(range(256)), "it is no JSON")]
        for name, data, message in cases:
            with self.subTest(name):
                out, err = self.run_program(*SHORT, "--compare", self.make(name, data), status=2)
                self.assertEqual((out, err.count("\n")), (b"", 1))
                self.assertIn(name, err)
                self.assertIn(message, err)
        for path in ("/nonexistent/earlier.json", str(self.folder)):
            out, err = self.run_program(*SHORT, "--compare", path, status=2)
            self.assertEqual((out, err.count("\n")), (b"", 1))
            self.assertIn(path, err)

    def test_nothing_to_measure_is_a_failure(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for arguments in ((str(empty),), ("-",)):
            out, err = self.run_program(*SHORT, *arguments, status=1)
            self.assertEqual(out, b"")
            self.assertIn("none of the inputs could be classified", err)

    def test_wrong_use(self):
        image = self.make("a.png")
        for arguments, message in (
                (("--per-layer", image), "--per-layer: needs --bench"),
                (("--batch", "1,2", image), "--batch: more than one number needs --bench"),
                (("--compare", "x", image), "--compare: needs --bench"), (("-t", "1,2", image), "--threads"),
                (("--bench", "-t", "0,1"), "--threads: '0'"), (("--bench", "-t", "2-1"), "--threads: '2-1'"),
                (("--bench", "--batch", "1,,2"), "--batch: ''"),
                (("--bench", "--batch", "1-64", "-t", "1,2"), "64 pairs"),
                (("--bench", "--per-layer", "--batch", "2"), "a batch of 1"),
                (("--bench", "--compare"), "--compare")):
            with self.subTest(arguments=arguments):
                out, err = self.run_program(*arguments, status=2)
                self.assertEqual((out, err.count("\n")), (b"", 1))
                self.assertIn(message, err)


if __name__ == "__main__":
    unittest.main()
