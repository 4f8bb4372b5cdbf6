"""The classes that the program gives, their labels, and the formats of the output. Needs what support/cli.py needs."""

import json
import os
import pty
import resource
import struct
import subprocess
import sys
import unittest

from support.cli import CLASSES, MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse


class Predictions(Case):
    def test_top_k(self):
        path = self.make("a.png")
        whole = self.records("-k", "1000000", path)[0]
        self.assert_ok(whole, path, k=CLASSES)
        self.assertEqual({p["index"] for p in whole["top"]}, set(range(CLASSES)))
        self.assertAlmostEqual(sum(p["probability"] for p in whole["top"]), 1, places=5)
        for k in (1, 3):
            record, = self.records(f"-k{k}", path)
            self.assertEqual(record["top"], whole["top"][:k])
        self.assertEqual(self.records(path)[0]["top"], whole["top"][:5])

    def test_probabilities_are_float32_in_the_fewest_digits(self):
        out, _ = self.run_program("-k", "10", self.make("a.png"))
        for p in parse(out)["top"]:
            as_float32 = struct.unpack("f", struct.pack("f", p["probability"]))[0]
            self.assertEqual(as_float32, struct.unpack("f", struct.pack("f", float(f"{as_float32:.9g}")))[0])
            self.assertLessEqual(len(repr(p["probability"]).replace("0.", "").split("e")[0].lstrip("0")), 9)

    def test_labels_without_any_in_the_model(self):
        for p in self.records("-k", "10", self.make("a.png"))[0]["top"]:
            self.assertEqual(p["label"], f"class {p['index']}")

    def test_labels_files(self):
        image = self.make("a.png")
        names = [f"náme {i}" for i in range(CLASSES)]
        text = "\n".join(names)
        for data in (text, text + "\n", text.replace("\n", "\r\n") + "\r\n\r\n", "\ufeff" + text, json.dumps(names),
                     json.dumps({str(i): name for i, name in reversed(list(enumerate(names)))}),
                     json.dumps({i: [f"n{i:08}", name] for i, name in enumerate(names)}),
                     json.dumps({"architectures": ["X"], "id2label": dict(enumerate(names)), "label2id": {}})):
            labels = self.make("labels.txt", data.encode())
            for p in self.records("--labels", labels, "-k", "10", image)[0]["top"]:
                self.assertEqual(p["label"], names[p["index"]])

    def test_labels_from_a_pipe(self):
        read_end, write_end = os.pipe()
        os.write(write_end, "\n".join("abcdefghij").encode())
        os.close(write_end)
        out, _ = self.run_program("--labels", f"/dev/fd/{read_end}", self.make("a.png"), pass_fds=[read_end])
        os.close(read_end)
        for p in parse(out)["top"]:
            self.assertEqual(p["label"], "abcdefghij"[p["index"]])

    def test_bad_labels_are_usage_errors(self):
        image = self.make("a.png")
        lines = "\n".join("abcdefghij").encode()
        for data, message in ((b"a\nb\n", "2 labels, the model has 10 classes"), (b"", "0 labels"),
                              (lines + b"\nk", "11 labels"), (lines.replace(b"c", b""), "line 3 is empty"),
                              (lines.replace(b"c", b"\xff"), "line 3 is not UTF-8"), (b'["a", 3]', "JSON list"),
                              (b'["a",', "JSON list"), (b'{"0":"a","2":"b"}', "the key '2' is no class from 0 to 1"),
                              (b'{"0":"a","00":"b"}', "the key '00' is no class"), (b'{"0":1}', "JSON list"),
                              (b'{"0":[]}', "JSON list"), (b'{"0":"a"}', "1 labels"), (b"{}", "0 labels"),
                              (b'{"name":"x"}', "the key 'name' is no class")):
            with self.subTest(data=data):
                out, err = self.run_program("--labels", self.make("labels", data), image, status=2)
                self.assertEqual(out, b"")
                self.assertIn(message, err)
        _, err = self.run_program("--labels", "/nonexistent", image, status=2)
        self.assertIn("/nonexistent", err)

    def test_labels_of_the_model(self):
        self.environment["MNV2_MODEL"] = str(self.folder / "labelled.safetensors")
        subprocess.run([MAKE_MODEL, self.environment["MNV2_MODEL"], "--classes", "3", "--labels"], check=True)
        for p in self.records(self.make("a.png"))[0]["top"]:
            self.assertEqual(p["label"], f"class {p['index']}")


class Formats(Case):
    def test_json_of_one_image_is_an_object(self):
        path = self.make("a.png")
        out, _ = self.run_program("--format", "json", path)
        self.assertGreater(out.count(b"\n"), 5)  # indented
        self.assertEqual(parse(out), self.records(path)[0])

    def test_json_of_several_is_an_array(self):
        folder = self.make_folder(3)
        bad = self.make("bad.png", b"bad")
        for arguments, status in (([folder], 0), ([folder, bad], 1), ([bad, bad], 1)):
            out, _ = self.run_program("-f", "json", *arguments, status=status)
            self.assertEqual(parse(out), self.records(*arguments, status=status))
        out, _ = self.run_program("-f", "json", self.make_folder(1, "single"))
        self.assertEqual(len(parse(out)), 1)  # what a folder gives does not depend on how many files it has

    def test_jsonl(self):
        path = self.make("a.png")
        self.assertEqual(self.run_program("-f", "jsonl", path), self.run_program(path))

    def test_text(self):
        good, bad = self.make("good.png"), self.make("ba\x1bd.png", b"bad")
        out, _ = self.run_program("-f", "text", "-k", "2", good, bad, status=1)
        lines = out.decode().splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("good.png", lines[0])
        self.assertRegex(lines[1], r"^ +\d+\.\d\d %  class \d \(\d\)$")
        self.assertIn("ba\\x1bd.png: unsupported_format: ", lines[3])

    def run_on_terminal(self, *arguments):
        """Runs with stdout on a terminal; returns what is on it, stderr and the exit status."""
        primary, secondary = pty.openpty()
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stdout=secondary, stderr=subprocess.PIPE)
        os.close(secondary)
        text = b""
        try:
            while chunk := os.read(primary, 65536):
                text += chunk
        except OSError:  # the other side has closed
            pass
        _, err = process.communicate(timeout=TIMEOUT)
        os.close(primary)
        return text, err, process.returncode

    def test_a_terminal_gets_an_indented_object(self):
        path = self.make("a.png")
        text, _, status = self.run_on_terminal(path)
        self.assertEqual(status, 0)
        self.assertGreater(text.count(b"\n"), 5)
        self.assertEqual(parse(text), self.records(path)[0])

    def test_a_terminal_shows_a_failure_once(self):
        path = self.make("bad.png", b"bad")
        text, err, status = self.run_on_terminal("-f", "text", path)
        self.assertEqual((status, err), (1, b""))
        self.assertEqual(text.count(path.encode()), 1)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
