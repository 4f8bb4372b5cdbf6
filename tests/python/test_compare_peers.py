"""scripts/compare_peers.py: statistics on made-up numbers, the protocol with made-up contestants, one short real run.

MNV2_BENCH_WORKER names the program tests/bench/bench_worker.cpp, MNV2_SHARED_DIR the folder with real weights.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Optional
from unittest import mock
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from mnv2.peers import cold, command, contestants, inference, machine, protocol, report  # noqa: E402
from mnv2.peers.chart import Bar, Group, draw_chart  # noqa: E402
from mnv2.peers.statistics import Measured, largest_difference, quantile, summarise  # noqa: E402

# Arguments: behaviour, log file. Logits are the sum of the image and 1, or nearly so; a run takes 1 ms per command so far.
FAKE_WORKER = """
import array, os, sys, time
kind, log = sys.argv[1:]
if kind == "silent": sys.exit("the reason is on stderr")
if kind == "refuses": print("error no such model", flush=True); sys.exit(1)
if kind == "babbles": print("hello", flush=True)
print('ready {"version": "1.2", "detail": "fake"}', flush=True)
total, commands = 0.0, 0
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    commands += 1
    with open(log, "a") as file: file.write(f"{kind} {command} {argument}\\n")
    if command == "input":
        image = array.array("f"); image.frombytes(open(argument, "rb").read()); total = sum(image); print("ok", flush=True)
    elif command == "run":
        if kind == "dies": print("killed by the test", file=sys.stderr); os._exit(3)
        if kind == "hangs": time.sleep(60)
        print("ms", *([commands] * int(argument)), *([9] if kind == "miscounts" else []), flush=True)
    elif command == "logits":
        print("logits", "x" if kind == "letters" else total * (1.001 if kind == "wrong" else 1.00001), 1.0, flush=True)
    else:
        print("error unknown", flush=True)
"""
FACTS = contestants.ModelFacts(6, 5, (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))


def measured(name: str, threads: int, ours: bool, rounds_ms: list[list[float]]) -> Measured:
    return Measured(name, threads, ours, "1.0", "made up", rounds_ms)


OURS_1 = measured("ours", 1, True, [[2.0, 4.0, 3.0], [4.0, 4.0, 10.0]])
PEER_1 = measured("peer (Python)", 1, False, [[6.0, 6.0, 6.0], [6.0, 6.0, 7.0]])
OURS_2 = measured("ours", 2, True, [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
EVERYONE = [OURS_1, PEER_1, OURS_2]


class Statistics(unittest.TestCase):
    def test_quantiles(self) -> None:
        self.assertEqual(quantile([5.0], 0.9), 5.0)
        self.assertEqual([quantile([4.0, 1.0, 3.0, 2.0], q) for q in (0, 0.5, 1)], [1.0, 2.5, 4.0])
        self.assertAlmostEqual(quantile(list(range(11)), 0.93), 9.3)

    def test_summary(self) -> None:
        peer = summarise(PEER_1, EVERYONE)  # medians: ours 3 and 4 by rounds, 4 overall; the peer 6 and 6
        self.assertEqual((peer.min_ms, peer.median_ms, peer.ratio_of_medians), (6.0, 6.0, 1.5))
        self.assertEqual((peer.round_ratio, peer.round_ratio_quartiles), (1.75, (1.625, 1.875)))
        self.assertAlmostEqual(peer.p90_ms, 6.5)
        self.assertIsNone(peer.speedup)
        ours = summarise(OURS_2, EVERYONE)
        self.assertEqual((ours.ratio_of_medians, ours.round_ratio, ours.speedup), (1.0, 1.0, 2.5))

    def test_differences(self) -> None:
        self.assertAlmostEqual(largest_difference([1.0, -4.0], [1.0, -3.0]), 0.25)
        self.assertEqual(largest_difference([0.0, 0.0], [0.0, 0.0]), 0.0)
        for bad in ([1.0], [1.0, math.nan], [1.0, math.inf], []):
            self.assertEqual(largest_difference([1.0, 2.0], bad), math.inf)
        self.assertEqual(largest_difference([], []), math.inf)

    def test_machine(self) -> None:
        times = machine.parse_cpu_times("cpu  100 20 30 1000 50 4 6 40 0 0\ncpu0 1 1\n", 100)
        self.assertEqual(times, machine.CpuTimes(2.0, 12.5))
        self.assertIsNone(machine.parse_cpu_times("nothing", 100))
        later = machine.CpuTimes(6.0, 20.5)
        self.assertEqual(machine.others_share(times, later, 2.0), 0.25)
        self.assertEqual(machine.others_share(times, later, 9.0), 0.0)
        self.assertIsNone(machine.others_share(times, None, 1.0))


class Reports(unittest.TestCase):
    def setUp(self) -> None:
        self.circumstances = report.Circumstances(machine.Machine("A <CPU>", 2, "Linux 6"), "2026-01-02T03:04:05+00:00",
                                                  "m.safetensors", "224x224", 2, 3, (0.5, 0.25, 0.125), 0.01, 0.3)
        self.result = inference.InferenceResult(EVERYONE, [inference.Agreement("scene", 2.5e-6, ("ours", "peer"))],
                                                ["peer, 1 thread"], 0.3)
        self.missing = [contestants.Missing("OpenCV DNN", "python has no cv2", "apt-get install python3-opencv")]

    def test_table(self) -> None:
        lines = report.inference_table(EVERYONE).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1, "columns are aligned")
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        self.assertEqual(cells[0], list(report.HEADINGS))
        self.assertEqual(cells[2:], [
            ["1", "ours", "2.00", "4.00", "7.00", "1.00", "1.00 (1.00-1.00)", ""],
            ["1", "peer 1.0 (Python)", "6.00", "6.00", "6.50", "1.50", "1.75 (1.62-1.88)", ""],
            ["2", "ours", "1.00", "1.50", "2.00", "1.00", "1.00 (1.00-1.00)", "2.50"]])

    def test_text(self) -> None:
        text = report.text_report(self.circumstances, self.result, self.missing)
        for part in ("A <CPU>, 2 CPUs, Linux 6", "load average before: 0.50 0.25 0.12", "1 % before, 30 % meanwhile",
                     "OpenCV DNN is not measured: python has no cv2; to get it: apt-get install python3-opencv",
                     "agree to 2.5e-06", "**Warning**: the machine is busy", "**Warning**: peer, 1 thread: still used CPU"):
            self.assertIn(part, text)

    def test_json(self) -> None:
        written = json.loads(json.dumps(report.json_report(self.circumstances, self.result, self.missing)))
        peer = written["inference"]["contestants"][1]
        self.assertEqual((peer["name"], peer["rounds_ms"], peer["round_ratio"]), ("peer (Python)", PEER_1.rounds_ms, 1.75))
        self.assertEqual(len(written["warnings"]), 2)

    def test_chart(self) -> None:
        groups = [Group("1 thread", [Bar("ours & <co>", 2.0, "", True, True), Bar("peer", 8.0, "4.00 x", False)])]
        root = ElementTree.fromstring(draw_chart("Title", "less is better", groups, ["A <CPU>"]))
        namespace = "{http://www.w3.org/2000/svg}"
        bars = root.findall(f"{namespace}rect")[1:]  # the first is the card
        widths = [float(bar.get("width", "")) for bar in bars]
        self.assertAlmostEqual(widths[1], 4 * widths[0])
        texts = ["".join(text.itertext()) for text in root.iter(f"{namespace}text")]
        for part in ("Title", "1 thread", "ours & <co>", "2.00 ms", "8.00 ms4.00 x", "A <CPU>"):
            self.assertIn(part, texts)
        height = float(root.get("height", ""))
        self.assertTrue(all(float(text.get("y", "")) < height for text in root.iter(f"{namespace}text")))

    def test_chart_order(self) -> None:
        fast = measured("fast", 1, False, [[1.0], [2.0]])  # even then ours come first
        group = report.chart_groups([OURS_1, PEER_1, fast])[0]
        self.assertEqual([bar.label for bar in group.bars], ["ours", "fast 1.0", "peer 1.0 (Python)"])
        self.assertEqual([bar.first for bar in group.bars], [True, False, False])


class FolderCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Protocol(FolderCase):
    def setUp(self) -> None:
        super().setUp()
        self.script, self.log = self.folder / "fake.py", self.folder / "log"
        self.script.write_text(FAKE_WORKER)

    def fake(self, kind: str, threads: int = 1, ours: bool = False) -> contestants.Contestant:
        return contestants.Contestant(kind, threads, ours, [sys.executable, str(self.script), kind, str(self.log)])

    def measure(self, *kinds: str, rounds: int = 3) -> inference.InferenceResult:
        return inference.measure_inference([self.fake(kind, ours=kind == kinds[0]) for kind in kinds], FACTS, self.folder,
                                           rounds, 3)

    def assert_fails(self, kind: str, message: str) -> None:
        with self.assertRaisesRegex(protocol.WorkerError, message):
            self.measure("good", kind)

    def test_turns(self) -> None:
        result = self.measure("good", "other")
        self.assertEqual([len(one.rounds_ms) for one in result.measured], [3, 3])
        self.assertTrue(all(len(times) == 3 for one in result.measured for times in one.rounds_ms))
        self.assertEqual((result.measured[1].version, result.measured[1].detail), ("1.2", "fake"))
        self.assertEqual([agreement.image for agreement in result.agreements], ["noise", "scene"])
        log = self.log.read_text().splitlines()
        warm = f"run {inference.WARM_UP_RUNS_A_TURN}"
        turns = [f"{kind} {run}" for kind in ("good", "other") for run in (warm, "run 3")]
        runs = [line for line, before in zip(log[1:], log) if line != before]  # one warm-up
        self.assertEqual(runs[-12:], turns * 3, "A B A B A B")
        images = [self.folder / "noise.f32", self.folder / "scene.f32"]
        self.assertEqual([image.stat().st_size for image in images], [3 * 6 * 5 * 4] * 2)

    def test_warm_up(self) -> None:
        for times_ms, count in (([20.0, 20.0], 1), ([4.0, 4.0], 4), ([0.0, 0.0], 300)):
            worker = mock.Mock()
            worker.run.return_value = times_ms
            with mock.patch.object(inference, "WARM_UP_MS_A_TURN", 29.95):
                inference.warm_up(worker)
            self.assertEqual(worker.run.call_count, count, times_ms)

    def test_outputs_differ(self) -> None:
        with self.assertRaisesRegex(inference.OutputsDiffer, "good, 1 thread and wrong, 1 thread differ by"):
            self.measure("good", "wrong")
        self.assertNotIn("run", self.log.read_text(), "nothing is timed when the outputs differ")

    def test_failures(self) -> None:
        self.assert_fails("refuses", "^refuses, 1 thread: no such model$")
        self.assert_fails("silent", "silent.*: ended without a reply\n    the reason is on stderr")
        self.assert_fails("babbles", "babbles.*: replied 'hello', expected 'ready'")
        self.assert_fails("dies", "dies.*: ended without a reply\n    killed by the test")
        self.assert_fails("miscounts", "miscounts.*: 11 times, expected 10")
        self.assert_fails("letters", "letters.*: replied 'x 1.0' to 'logits', expected numbers")
        with self.assertRaisesRegex(protocol.WorkerError, "nowhere: No such file"):
            protocol.Worker("x", ["/nowhere"])

    def test_hang(self) -> None:
        with mock.patch.object(protocol, "END_SECONDS", 0.1), protocol.Worker("x", self.fake("hangs").command) as worker:
            with mock.patch.object(protocol, "REPLY_SECONDS", 0.2):
                with self.assertRaisesRegex(protocol.WorkerError, "x: no reply for 0.2 seconds"):
                    worker.run(1)
        self.assertIsNotNone(worker.process.returncode, "it has been ended")

    def test_settling(self) -> None:
        with protocol.Worker("x", self.fake("good").command) as worker:
            # What settles has all the time that a busy machine may take for it.
            for seconds, patience, settled in ((iter([1.0, 1.05, 1.1, 1.1]), 300.0, True),
                                               (itertools.count(1.0, 0.01), 0.1, False),
                                               (itertools.repeat(None), 300.0, True)):
                with mock.patch.object(protocol, "cpu_seconds", lambda _: next(seconds)), \
                        mock.patch.object(protocol, "SETTLE_SECONDS", patience):
                    self.assertEqual(worker.settle(), settled)

    @unittest.skipUnless(protocol.cpu_seconds(os.getpid()), "SKIPPED: no /proc/PID/task/*/schedstat here")
    def test_cpu_seconds(self) -> None:
        before = protocol.cpu_seconds(os.getpid())
        assert before is not None
        start = time.process_time()
        while time.process_time() < start + 0.2:
            pass
        after = protocol.cpu_seconds(os.getpid())
        assert after is not None
        self.assertGreater(after - before, 0.1)
        self.assertIsNone(protocol.cpu_seconds(2**31 - 1))


class Discovery(FolderCase):
    def find(self, modules: set[str], python: str = contestants.SYSTEM_PYTHON, node: bool = False,
             onnx: bool = True) -> tuple[list[str], str]:
        tools = contestants.Tools(python, self.folder, frozenset(modules), node, node, node)
        with mock.patch.object(contestants, "export_onnx", lambda *_: self.folder / "n.onnx" if onnx else None):
            found, missing = contestants.find_peers(tools, contestants.PEERS, Path("c.pth"), FACTS, [1, 4])
        return [f"{one.name} {one.threads}" for one in found], "\n".join(map(str, missing))

    def test_everything(self) -> None:
        names, missing = self.find({"numpy", "torch", "torchvision", "cv2", "onnxruntime"}, node=True)
        self.assertEqual(names, [f"{name} {threads}" for name in (
            "ONNX Runtime (Node.js)", "ONNX Runtime (Python)", "OpenCV DNN", "PyTorch") for threads in (1, 4)])
        self.assertEqual(missing, "")

    def test_missing(self) -> None:
        names, missing = self.find({"numpy", "torch", "torchvision"})
        self.assertEqual(names, ["PyTorch 1", "PyTorch 4"])
        lines = missing.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], "^ONNX Runtime is not measured: .*--install, or npm install --ignore-scripts .* onnxruntime-node$")
        self.assertRegex(lines[1], "^OpenCV DNN is not measured: .* has no cv2; .*--install, or apt-get install python3-opencv$")
        names, missing = self.find({"numpy", "cv2"}, python="/opt/python", node=True, onnx=False)
        self.assertEqual((names, len(missing.splitlines())), ([], 3))
        self.assertNotIn("--install", missing, "apt-get does not install for this interpreter")

    def test_install(self) -> None:
        tools = contestants.Tools(contestants.SYSTEM_PYTHON, self.folder, frozenset({"numpy", "torch", "torchvision"}),
                                  True, True, False)
        with mock.patch("shutil.which", lambda name: f"/bin/{name}" if name == "apt-get" else None):
            update, install, npm = contestants.install_commands(tools, contestants.PEERS, png=True, build=False)
            self.assertEqual(install[install.index("--no-install-recommends") + 1:], ["python3-opencv", "librsvg2-bin"])
            self.assertEqual(contestants.install_commands(tools, ["pytorch"], png=False, build=False), [])
        self.assertIn("update", update)
        self.assertEqual(npm[:3], ["npm", "install", "--ignore-scripts"])
        self.assertIn(str(self.folder), npm)
        complete = contestants.Tools(contestants.SYSTEM_PYTHON, self.folder, frozenset(contestants.PYTHON_MODULES), True, True, True)
        self.assertEqual(contestants.install_commands(complete, contestants.PEERS, png=False, build=False), [])

    def test_model_facts(self) -> None:
        path = self.folder / "m.safetensors"
        preprocessing = {"resize": 256, "crop": 96, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.25]}
        header = json.dumps({"__metadata__": {"preprocessing": json.dumps(preprocessing)}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        self.assertEqual(contestants.read_model_facts(path), contestants.ModelFacts(96, 96, [0.5, 0.4, 0.3], [0.2, 0.2, 0.25]))
        for content in (b"", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"{}", b"\x02" + b"\0" * 7 + b"[]"):
            path.write_bytes(content)
            with self.assertRaisesRegex(contestants.PeersError, "not a model file"):
                contestants.read_model_facts(path)


# Arguments: class to answer, megabytes to use, milliseconds to sleep. Says which OpenCV when asked, as the program does.
FAKE_PROGRAM = """#!{python}
import sys, time
if sys.argv[1] == "--version": sys.exit(print("image decoder: OpenCV 4.6.0 (static; JPEG: x; PNG: y)"))
index, megabytes, ms = sys.argv[1:]
if index == "dies": sys.exit("the reason is on stderr")
block = b"x" * (int(megabytes) << 20)
time.sleep(int(ms) / 1e3)
print('{{"top": [{{"index": ' + index + '}}]}}')
"""


class ColdStart(FolderCase):
    def setUp(self) -> None:
        super().setUp()
        self.program = self.folder / "program"
        self.program.write_text(FAKE_PROGRAM.format(python=sys.executable))
        self.program.chmod(0o755)

    def fake(self, name: str, index: str, megabytes: int = 0, ms: int = 0) -> contestants.Contestant:
        return contestants.Contestant(name, 2, name == "ours", [str(self.program), index, str(megabytes), str(ms)])

    def measure(self, *fakes: contestants.Contestant) -> cold.ColdResult:
        return cold.measure_cold_start(fakes, Path("p.jpg"), 3, lambda _: None)

    def test_times_and_memory(self) -> None:
        result = self.measure(self.fake("ours", "7"), self.fake("peer", "7", megabytes=100, ms=50))
        ours, peer = result.measured
        self.assertEqual((len(ours.rounds_ms), len(peer.rounds_ms), result.index), (3, 3, 7))
        self.assertGreater(min(run[0] for run in peer.rounds_ms), 50.0)
        self.assertGreater(result.peak_mb[1] - result.peak_mb[0], 90.0)
        text = report.cold_report(result)
        self.assertIn("p.jpg, 2 threads, 3 times each in turn", text)
        self.assertIn("| ours ", text)
        written = json.loads(json.dumps(report.json_cold(result)))
        self.assertEqual([one["peak_mb"] for one in written["programs"]], result.peak_mb)
        self.assertEqual([bar.label for bar in report.cold_chart_group(result).bars], ["ours", "peer"])

    def test_memory_is_not_that_of_who_starts_it(self) -> None:
        block = b"x" * (200 << 20)
        self.assertLess(self.measure(self.fake("ours", "7")).peak_mb[0], 100.0)
        self.assertEqual(len(block), 200 << 20)

    def test_failures(self) -> None:
        with self.assertRaisesRegex(inference.OutputsDiffer, "is 8 to peer and 7 to ours"):
            self.measure(self.fake("ours", "7"), self.fake("peer", "8"))
        with self.assertRaisesRegex(contestants.PeersError, "peer: failed\n    the reason is on stderr"):
            self.measure(self.fake("ours", "7"), self.fake("peer", "dies"))
        with self.assertRaisesRegex(contestants.PeersError, "expected a record"):
            self.measure(self.fake("ours", "null"))

    def test_programs(self) -> None:
        found = cold.find_programs([self.program, self.program], Path("m"), Path("p"), 2)
        self.assertEqual([one.name for one in found],
                         ["mnv2-classify, static OpenCV", f"mnv2-classify, static OpenCV ({self.program})"])
        with self.assertRaisesRegex(contestants.PeersError, "names no OpenCV"):
            cold.find_programs([Path("/bin/true")], Path("m"), Path("p"), 2)

    def test_peers(self) -> None:
        for node, modules, names, missing in (
                (True, {"numpy", "cv2", "torch", "torchvision", "PIL"}, ["ONNX Runtime + sharp (Node.js)", "OpenCV DNN (Python)", "PyTorch + Pillow (Python)"], 0),
                (False, {"numpy", "cv2", "onnxruntime"}, ["ONNX Runtime + OpenCV (Python)", "OpenCV DNN (Python)"], 1),
                (False, set(), [], 3)):
            tools = contestants.Tools(contestants.SYSTEM_PYTHON, self.folder, frozenset(modules), node, node, node, node)
            found, lacking = cold.find_whole_peers(tools, contestants.PEERS, Path("c"), Path("n"), FACTS, Path("p"), 2)
            self.assertEqual(([one.name for one in found], len(lacking)), (names, missing))

    def test_scales(self) -> None:
        groups = [Group("a", [Bar("x", 2.0, "", True)]), Group("b", [Bar("y", 500.0, "", True)], own_scale=True)]
        root = ElementTree.fromstring(draw_chart("Title", "", groups, []))
        bars = root.findall("{http://www.w3.org/2000/svg}rect")[1:]
        self.assertEqual(bars[0].get("width"), bars[1].get("width"))


class CommandLine(FolderCase):
    def run_main(self, *arguments: object) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = command.main([str(argument) for argument in arguments])
            except SystemExit as end:
                status = int(end.code or 0)
        return status, out.getvalue(), err.getvalue()

    def test_help(self) -> None:
        status, out, _ = self.run_main("--help")
        self.assertEqual(status, 0)
        for flag in ("--install", "--threads", "--isas", "--chart", "--json", "--checkpoint", "$MNV2_CHECKPOINT"):
            self.assertIn(flag, out)

    def test_wrong_usage(self) -> None:
        for arguments in (["--nonsense"], ["--threads", "0"], ["--threads", "1,,2"], ["--threads", "5000"], ["--rounds", "0"],
                          ["--rounds", "x"], ["--runs-per-round", "-1"], ["--peers", "tensorflow"], ["--isas", ","],
                          ["--chart", "x.jpg"], ["--model"], ["extra"], ["--quic"]):
            with self.subTest(arguments=arguments):
                status, out, err = self.run_main(*arguments)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("error", err)

    def test_failures(self) -> None:
        for arguments, message in ((["--model", "/nowhere/m"], "/nowhere/m: No such file or directory; scripts/quickstart.sh"),
                                   (["--json", "/nowhere/x.json"], "there is no folder /nowhere")):
            status, out, err = self.run_main(*arguments)
            self.assertEqual((status, out), (1, ""))
            self.assertIn(message, err)
        with mock.patch("shutil.which", lambda name: None):
            status, _, err = self.run_main("--chart", self.folder / "x.png")
        self.assertEqual(status, 1)
        self.assertIn("a PNG needs rsvg-convert", err)


class RealRun(FolderCase):
    def convert(self, checkpoint: Path) -> Path:
        converter = SCRIPTS / "convert_torchvision.py"
        if not checkpoint.is_file() or not converter.is_file():
            self.skipTest(f"SKIPPED: no {checkpoint} or no {converter}")
        model = self.folder / "model.safetensors"
        labels = checkpoint.with_name("imagenet_categories.txt")
        command = [sys.executable, converter, "--checkpoint", checkpoint, "--labels", labels, "--output", model]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if "No module named" in done.stderr:
            self.skipTest(f"SKIPPED: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return model

    def compare(self, *arguments: object, environment: Optional[dict[str, str]] = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, SCRIPTS / "compare_peers.py", "--worker", os.environ["MNV2_BENCH_WORKER"],
                   "--cache", self.folder / "cache", "--quick", "--rounds", 2, "--runs-per-round", 1, *arguments]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              env={**os.environ, "PYTHON": sys.executable, **(environment or {})})

    def test_quick(self) -> None:
        checkpoint = Path(os.environ["MNV2_SHARED_DIR"]) / "weights" / "mobilenet_v2.pth"
        model = self.convert(checkpoint)
        # What --install fetched for real use serves here too.
        modules = command.parse_arguments([]).cache / "node_modules"
        paths = os.pathsep.join(filter(None, [str(modules), os.environ.get("NODE_PATH")]))
        done = self.compare("--model", model, "--checkpoint", checkpoint, "--json", self.folder / "r.json",
                            "--chart", self.folder / "r.svg", environment={"NODE_PATH": paths})
        self.assertEqual(done.returncode, 0, done.stderr)
        written = json.loads((self.folder / "r.json").read_text())
        measured_here = written["inference"]["contestants"]
        for one in written["missing"]:
            print(f"SKIPPED: {one['name']}: {one['reason']}")
        names = {one["name"] for one in measured_here}
        self.assertIn("PyTorch", names | {one["name"] for one in written["missing"]})
        self.assertEqual([one["threads"] for one in measured_here], [1] * len(names) + [2] * len(names))
        for one in measured_here:
            self.assertEqual([len(times) for times in one["rounds_ms"]], [1, 1], one["name"])
            self.assertGreater(one["min_ms"], 0)
        self.assertEqual(len(written["inference"]["agreements"]), 2)
        self.assertIn("| threads | engine", done.stdout)
        ElementTree.parse(self.folder / "r.svg")

    def test_unknown_isa(self) -> None:
        checkpoint = Path(os.environ["MNV2_SHARED_DIR"]) / "weights" / "mobilenet_v2.pth"
        done = self.compare("--model", self.convert(checkpoint), "--peers", "none", "--isas", "avx9")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--isas avx9: this machine and build have portable", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
