"""Instruction sets, threads and --bench. Needs what support/cli.py needs."""

import os
import resource
import subprocess
import sys
import unittest

from support.cli import PROGRAM, Case, parse


class Speed(Case):
    def isas(self):
        out, _ = self.run_program("--version")
        compiled = out.decode().splitlines()[1].split(":")[1].split(";")[0]
        return [name.strip() for name in compiled.split(",")]

    def test_every_instruction_set(self):
        folder = self.make_folder(3)
        best = self.records("-k", "10", folder)
        tried = 0
        for isa in self.isas():
            result = subprocess.run([PROGRAM, "--isa", isa, "--version"], env=self.environment, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
            if result.returncode != 0:
                print(f"SKIPPED: this CPU has no {isa}")
                continue
            tried += 1
            records = self.records("--isa", isa, "-k", "10", folder)
            self.environment["MNV2_ISA"] = isa
            self.assertEqual(self.records("-k", "10", folder), records)
            del self.environment["MNV2_ISA"]
            for a, b in zip(records, best):
                mine, other = ({p["index"]: p["probability"] for p in r["top"]} for r in (a, b))
                for index, probability in mine.items():
                    self.assertAlmostEqual(probability, other[index], delta=1e-4)
        self.assertGreater(tried, 0)

    def test_unknown_instruction_set_in_the_environment(self):
        self.environment["MNV2_ISA"] = "mmx"
        _, err = self.run_program(self.make("a.png"), status=2)
        self.assertIn("$MNV2_ISA", err)
        self.run_program("--isa", "portable", self.make("a.png"))  # the flag goes before the variable

    def test_same_bytes_for_any_number_of_threads(self):
        folder = self.make_folder(40)
        self.make("photos/0007b.png", b"bad")
        self.make("photos/0039b.png", self.jpeg_bytes)
        for inputs, status in (([folder], 1), ([folder + "/0003.png"], 0)):
            expected = self.run_program("-t", "1", *inputs, status=status)
            for flags in (["-t", "2"], ["-t", "3"], ["-t", "8"], ["-t", "64"], ["-t", "3", "--batch", "1"],
                          ["-t", "3", "--batch", "2"], ["-t", "2", "--batch", "1000"]):
                self.assertEqual(self.run_program(*flags, *inputs, status=status), expected)

    @unittest.skipIf("thread" in os.environ.get("MNV2_SANITIZE", ""), "ThreadSanitizer needs a thread of its own")
    def test_without_threads_to_be_had(self):
        """No room for a second stack: the work is done on the thread that is there."""
        def huge_stacks():
            resource.setrlimit(resource.RLIMIT_STACK, (1 << 46, resource.getrlimit(resource.RLIMIT_STACK)[1]))

        folder = self.make_folder(3)
        for inputs in ([folder], [folder + "/0001.png"]):
            expected, _ = self.run_program("-t", "1", *inputs)
            out, err = self.run_program("-t", "4", *inputs, preexec_fn=huge_stacks)
            self.assertEqual(out, expected)
            self.assertIn(" threads", err)

    def test_bench_without_an_image(self):
        out, _ = self.run_program("--bench", "--bench-seconds", "0.1", "-t", "1")
        for word in (b"ISA", b"1 thread", b"p99", b"images/s", b"GFLOP/s", b"peak memory"):
            self.assertIn(word, out)
        out, err = self.run_program("--bench", "--bench-seconds", "0.1", "--format", "json", "--isa", "portable", "-t", "2")
        self.assertEqual(err, "")
        report = parse(out)
        self.assertEqual((report["isa"], report["threads"], report["images"]), ("portable", 2, 0))
        for name in ("load_ms", "pack_ms", "first_inference_ms", "warmup_runs", "peak_gflops_per_thread", "peak_rss_bytes"):
            self.assertGreater(report[name], 0, name)
        inference = report["inference"]
        order = [inference[name] for name in ("min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")]
        self.assertEqual(order, sorted(order))
        self.assertGreater(order[0], 0)
        flops = 2 * report["model"]["multiply_adds"]
        self.assertAlmostEqual(inference["gflops"] / (flops / inference["p50_ms"] / 1e6), 1, places=4)
        self.assertAlmostEqual(inference["images_per_second"] * inference["mean_ms"] / 1000, 1, places=4)
        self.assertNotIn("decode", report)

    def test_bench_with_images(self):
        folder = self.make_folder(3)
        bad = self.make("bad.png", b"bad")
        out, err = self.run_program("--bench", "--bench-seconds", "0.05", "-f", "jsonl", folder, bad, status=1)
        self.assertIn("bad.png", err)
        self.assertEqual(out.count(b"\n"), 1)
        report = parse(out)
        self.assertEqual(report["images"], 3)
        for stage in ("read", "decode", "preprocess", "inference", "total"):
            self.assertGreater(report[stage]["p50_ms"], 0)
        out, _ = self.run_program("--bench", bad, status=1)
        self.assertEqual(out, b"")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
