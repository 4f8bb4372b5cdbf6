"""The program as its users meet it: stdout, stderr and exit status, with a small model and images made here.

MNV2_PROGRAM, MNV2_MAKE_MODEL and MNV2_MAKE_IMAGE name the program and the tools that make a model and a JPEG.
"""

import base64
import json
import os
import pathlib
import pty
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

PROGRAM = os.environ["MNV2_PROGRAM"]
MAKE_MODEL = os.environ["MNV2_MAKE_MODEL"]
MAKE_IMAGE = os.environ["MNV2_MAKE_IMAGE"]
CLASSES = 10
TIMEOUT = 120  # seconds: far more than any run takes, so that a hang is a failure


def png_bytes(width, height, seed):
    """An RGB PNG, written by hand."""
    rows = b"".join(b"\0" + bytes((seed * 37 + x * 3 + y * 5 + c * 11) % 256 for x in range(width) for c in range(3))
                    for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_exif_orientation(jpeg, orientation):
    """The JPEG with an EXIF block right behind its start marker."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


class Case(unittest.TestCase):
    """A folder, a model and a clean environment; helpers to run the program."""

    @classmethod
    def setUpClass(cls):
        cls.shared_folder = tempfile.TemporaryDirectory()
        cls.model = os.path.join(cls.shared_folder.name, "tiny.safetensors")
        subprocess.run([MAKE_MODEL, cls.model, "--classes", str(CLASSES)], check=True)
        jpeg = os.path.join(cls.shared_folder.name, "picture.jpg")
        subprocess.run([MAKE_IMAGE, jpeg, "61", "47", "5"], check=True)
        cls.jpeg_bytes = pathlib.Path(jpeg).read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.shared_folder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder / "home"),
                            "MNV2_MODEL": self.model, "XDG_DATA_DIRS": "/nonexistent"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def make(self, name, data=None, seed=1):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes(40 + seed % 7, 30 + seed % 5, seed) if data is None else data)
        return str(path)

    def make_folder(self, count, name="photos"):
        for i in range(count):
            self.make(f"{name}/{i:04}.png", seed=i)
        return str(self.folder / name)

    def run_program(self, *arguments, status=0, **options):
        """Runs to the end; returns (stdout, stderr). Every run checks that nothing but messages is on stderr."""
        result = subprocess.run([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, **options)
        err = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, status, f"{arguments}: {err}")
        for line in err.splitlines():
            self.assertRegex(line, r"^(mnv2-classify: (error|warning|info): |  )")
        return result.stdout, err

    def records(self, *arguments, status=0):
        """The records of a run in JSON Lines; every line has to be valid by itself."""
        out, _ = self.run_program(*arguments, status=status)
        self.assertTrue(out == b"" or out.endswith(b"\n"))
        return [parse(line) for line in out.decode("utf-8").split("\n")[:-1]]

    def assert_ok(self, record, path, k=5):
        self.assertEqual((record["path"], record["status"]), (path, "ok"))
        probabilities = [p["probability"] for p in record["top"]]
        self.assertEqual(len(record["top"]), min(k, CLASSES))
        self.assertEqual(probabilities, sorted(probabilities, reverse=True))
        self.assertTrue(all(0 <= p <= 1 for p in probabilities))
        self.assertEqual(len({p["index"] for p in record["top"]}), len(record["top"]))

    def assert_error(self, record, path, code):
        self.assertEqual((record["path"], record["status"], record["error"]["code"]), (path, "error", code))
        self.assertTrue(record["error"]["message"])
        self.assertNotIn("top", record)


def parse(text):
    """JSON as RFC 8259 has it: Python alone would take NaN."""
    def refuse(constant):
        raise ValueError(f"{constant} in JSON")
    return json.loads(text, parse_constant=refuse)


class Results(Case):
    def test_one_image_is_one_json_object_on_one_line(self):
        path = self.make("a.jpg", self.jpeg_bytes)
        out, err = self.run_program(path)
        self.assertEqual(err, "")
        self.assertEqual(out.count(b"\n"), 1)
        record = parse(out)
        self.assert_ok(record, path)
        self.assertEqual((record["width"], record["height"]), (61, 47))
        self.assertEqual(list(record), ["path", "status", "width", "height", "top"])
        self.assertEqual(list(record["top"][0]), ["index", "label", "probability"])

    def test_several_images_are_records_in_the_order_given(self):
        paths = [self.make(f"{name}.png", seed=i) for i, name in enumerate("zyxabc")]
        for record, path in zip(self.records(*paths), paths):
            self.assert_ok(record, path)

    def test_folder_is_sorted_and_recursive(self):
        names = ["b.png", "a/z.png", "a/sub/k.png", "a-.png", "C.PNG", "a.png"]
        for i, name in enumerate(names):
            self.make("photos/" + name, seed=i)
        self.make("photos/notes.txt", b"no image")
        self.make("photos/.hidden.png")
        folder = str(self.folder / "photos")
        self.assertEqual([r["path"] for r in self.records(folder)], [f"{folder}/{n}" for n in sorted(names)])

    def test_files_and_folders_mix_and_paths_stay_as_given(self):
        self.make("photos/a.png")
        self.make("z.png")
        out, _ = self.run_program("./z.png", "photos", "photos/", ".//z.png", cwd=self.folder)
        self.assertEqual([parse(line)["path"] for line in out.splitlines()],
                         ["./z.png", "photos/a.png", "photos/a.png", ".//z.png"])

    def test_a_bad_file_is_a_record_in_its_place(self):
        good = self.make("good.png")
        text = self.make("text.png", b"this is no image")
        empty = self.make("empty.jpg", b"")
        half = self.make("half.jpg", self.jpeg_bytes[:len(self.jpeg_bytes) // 2])
        missing = str(self.folder / "missing.jpg")
        pipe = str(self.folder / "pipe.jpg")
        os.mkfifo(pipe)
        out, err = self.run_program(text, good, missing, empty, half, pipe, "/dev/null", good, status=1)
        records = [parse(line) for line in out.splitlines()]
        self.assertEqual(len(records), 8)
        self.assert_error(records[0], text, "unsupported_format")
        self.assert_ok(records[1], good)
        self.assert_error(records[2], missing, "file_not_found")
        self.assertEqual(records[3]["status"], "error")
        self.assert_error(records[4], half, "damaged_image")
        self.assert_error(records[5], pipe, "file_unreadable")
        self.assert_error(records[6], "/dev/null", "file_unreadable")
        self.assert_ok(records[7], good)
        self.assertIn(f"error: {missing}: ", err)
        self.assertIn("6 of 8 inputs", err)

    def test_one_bad_image_is_one_record(self):
        path = self.make("bad.jpg", b"nothing")
        out, err = self.run_program(path, status=1)
        self.assert_error(parse(out), path, "unsupported_format")
        self.assertEqual(err.count("\n"), 1)

    def test_links_that_loop(self):
        self.make("photos/sub/a.png")
        os.symlink("..", self.folder / "photos/sub/up")
        os.symlink(".", self.folder / "photos/self")
        folder = str(self.folder / "photos")
        self.assertEqual([r["path"] for r in self.records(folder)], [folder + "/sub/a.png"])

    def test_a_folder_without_images(self):
        (self.folder / "empty").mkdir()
        for arguments, expected in ((["-f", "json"], b"[]\n"), ([], b""), (["-f", "text"], b"")):
            out, err = self.run_program(*arguments, str(self.folder / "empty"))
            self.assertEqual(out, expected)
            self.assertIn("warning", err)

    def test_names_that_are_not_ascii(self):
        names = ["grün.png", "日本.png", "new\nline.png", 'quo"te\\.png', "[a,b].png", "-k.png"]
        for name in names:
            self.make("photos/" + name)
        folder = str(self.folder / "photos")
        self.assertEqual({r["path"] for r in self.records(folder)}, {f"{folder}/{name}" for name in names})
        out, _ = self.run_program("-k", "1", "--", "-k.png", "[a,b].png", cwd=folder)
        self.assertEqual([parse(line)["path"] for line in out.splitlines()], ["-k.png", "[a,b].png"])

    def test_a_folder_with_brackets(self):
        self.make("[photos]/a.png")
        out, _ = self.run_program("[photos]", cwd=self.folder)
        self.assertEqual(parse(out)["path"], "[photos]/a.png")

    def test_names_that_are_not_utf8(self):
        path = os.fsencode(self.folder) + b"/caf\xe9.png"
        with open(path, "wb") as file:
            file.write(png_bytes(9, 9, 1))
        out, _ = self.run_program(path)
        record = parse(out.decode("utf-8"))
        self.assertEqual(record["status"], "ok")
        self.assertEqual(record["path"], str(self.folder) + "/caf\ufffd.png")
        self.assertEqual(base64.b64decode(record["path_base64"]), path)

    def test_orientation_is_applied_unless_told_not_to(self):
        path = self.make("turned.jpg", with_exif_orientation(self.jpeg_bytes, 6))
        record, = self.records(path)
        self.assertEqual((record["width"], record["height"], record["orientation"]), (47, 61, 6))
        record, = self.records("--no-exif", path)
        self.assertEqual((record["width"], record["height"]), (61, 47))
        self.assertNotIn("orientation", record)

    def test_what_the_codecs_say_is_in_the_record(self):
        # With a static OpenCV too: the codecs are the system's, and the program stands before them.
        path = self.make("cut.jpg", self.jpeg_bytes[:-40] + b"\xff\xd9")
        out, err = self.run_program(path)
        self.assertEqual(json.loads(out)["warnings"], ["libjpeg: Corrupt JPEG data: premature end of data segment"])
        self.assertEqual(err, "")

    def test_max_pixels(self):
        path = self.make("a.jpg", self.jpeg_bytes)
        self.assert_ok(self.records("--max-pixels", str(61 * 47), path)[0], path)
        self.assert_error(self.records("--max-pixels", str(61 * 47 - 1), path, status=1)[0], path, "image_too_large")

    def test_resize_and_crop_change_what_the_network_sees(self):
        path = self.make("a.jpg", self.jpeg_bytes)
        results = [self.run_program(*flags, path)[0] for flags in
                   ([], ["--resize", "36", "--crop", "32"], ["--resize", "64"], ["--crop", "24"], ["--crop", "33"])]
        self.assertEqual(results[0], results[1])  # the model's own
        self.assertEqual(len(set(results)), 4)
        _, err = self.run_program("--crop", "64", path)
        self.assertIn("black borders", err)


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
        for data in (text, text + "\n", text.replace("\n", "\r\n") + "\r\n\r\n", "\ufeff" + text, json.dumps(names)):
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
                              (b'["a",', "JSON list")):
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


class Usage(Case):
    def test_usage_errors(self):
        path = self.make("a.png")
        for arguments, message in (
                ([], "no input"), (["-k", "5"], "no input"), (["-k", "0", path], "--top-k"), (["-k", "x", path], "'x'"),
                (["-k"], "--top-k: its value is missing"), (["-t", "0", path], "--threads"), (["-t", "1025", path], "1024"),
                (["-f", "yaml", path], "json, jsonl, csv or text"), (["--isa", "mmx", path], "unknown"),
                (["--crop", "0", path], "--crop"), (["--crop", "4097", path], "4096"), (["--resize", "-3", path], "--resize"),
                (["--max-pixels", "0", path], "--max-pixels"), (["--bench-seconds", "0"], "--bench-seconds"),
                (["-q", "-v", path], "--quiet"), (["-m", "", path], "--model"), (["--frob", path], "unknown flag '--frob'"),
                (["-x", path], "unknown flag '-x'"), (["--no-exif=yes", path], "--no-exif")):
            with self.subTest(arguments=arguments):
                out, err = self.run_program(*arguments, status=2)
                self.assertEqual(out, b"")
                self.assertIn(message, err)

    def test_near_misses(self):
        for wrong, right in (("--topk", "--top-k"), ("--lables", "--labels"), ("--forma", "--format"), ("--exif", "--no-exif")):
            _, err = self.run_program(wrong, status=2)
            self.assertIn(f"did you mean {right}?", err)

    def test_what_is_told_of_models_goes_to_a_file_too(self):
        target = self.folder / "told.json"
        for mode in ("--summary", "--list-models"):
            expected, _ = self.run_program(mode, "-f", "json")
            self.assertEqual(self.run_program(mode, "-f", "json", "-o", str(target))[0], b"")
            self.assertEqual(target.read_bytes(), expected)
            for flags in (("--html", "x.html"), ("--embeddings", "x.npy"), ("--sort-into", "x"), ("--shard", "1/2"),
                          ("--labels", "x"), ("--min-prob", "0.5"), ("--resume", "-f", "jsonl", "-o", str(target))):
                _, err = self.run_program(mode, *flags, status=2)
                self.assertIn(f"{flags[0]}: not with {mode}", err)
            self.assertIn("cannot write", self.run_program(mode, "-o", "/nonexistent/x", status=4)[1])

    def test_an_equals_sign_is_not_misunderstood(self):
        paths = [self.make("a.png"), self.make("b.png")]
        before = [pathlib.Path(path).read_bytes() for path in paths]
        for flag in ("--output", "--html", "--embeddings", "--labels", "--format", "--top-k"):
            _, err = self.run_program(flag + "=", *paths, status=2)
            self.assertIn(f"{flag}: its value is missing", err)
        for flag in ("-o=x.json", "-k=3", "-m=imagenet"):
            _, err = self.run_program(flag, *paths, status=2)
            self.assertIn(f"write {flag[:2]} VALUE", err)
        self.assertEqual([pathlib.Path(path).read_bytes() for path in paths], before)
        for flag in ("--quiet=false", "--verbose=2", "--help=x"):
            self.assertIn("takes no value", self.run_program(flag, paths[0], status=2)[1])
        self.assertEqual(len(self.records("--top-k=1", "--", *paths)), 2)

    def test_help(self):
        for flag in ("-h", "--help"):
            out, err = self.run_program(flag)
            self.assertEqual(err, "")
            self.assertLess(out.index(b"mnv2-classify image.jpg"), out.index(b"--model"))
            self.assertLessEqual(max(map(len, out.decode().splitlines())), 120)

    def test_version(self):
        del self.environment["MNV2_MODEL"]  # needs no model
        out, err = self.run_program("--version")
        self.assertEqual(err, "")
        self.assertRegex(out.decode(), r"^mnv2-classify \d+\.\d+\.\d+\n.*portable.*chosen: [\w-]+\n.*OpenCV \d+\.\d+")
        self.assertRegex(out.decode(), r"OpenCV [\d.]+ \((static|shared); JPEG: [^/]+; PNG: [^/]+\)\n$")
        out, _ = self.run_program("--version", "--isa", "portable")
        self.assertIn(b"chosen: portable", out)

    def test_quiet_and_verbose(self):
        good, bad = self.make("good.png"), self.make("bad.png", b"bad")
        self.assertEqual(self.run_program("-q", good, bad, status=1)[1], "")
        out, err = self.run_program("-v", good)
        self.assertIn("info: ", err)
        self.assertIn(self.model, err)
        timings = parse(out)["timings_ms"]
        self.assertEqual(list(timings), ["read", "decode", "preprocess", "inference"])
        self.assertTrue(all(t >= 0 for t in timings.values()))


class ModelFile(Case):
    def test_search_order(self):
        """Each place counts when those before it have nothing; told apart by their number of classes."""
        image = self.make("a.png")
        home, data_home, data_dir = (self.folder / n for n in ("home", "data_home", "data_dir"))
        self.environment.update(HOME=str(home), MNV2_MODEL="", XDG_DATA_DIRS=f"/nonexistent:{data_dir}")

        def put(path, classes):
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([MAKE_MODEL, str(path), "--classes", str(classes)], check=True)

        def found(*flags):
            return len(self.records(*flags, "-k", "1000", image)[0]["top"])

        name = "mnv2-classify/mobilenet_v2.safetensors"
        prefix = self.folder / "prefix"  # an installed program finds its own share/
        (prefix / "bin").mkdir(parents=True)
        shutil.copy(PROGRAM, prefix / "bin")
        put(prefix / "share" / name, 11)
        out = subprocess.run([prefix / "bin" / os.path.basename(PROGRAM), "-k", "1000", image], env=self.environment,
                             stdout=subprocess.PIPE, timeout=TIMEOUT, check=True).stdout
        self.assertEqual(len(parse(out)["top"]), 11)

        put(data_dir / name, 12)
        self.assertEqual(found(), 12)
        put(home / ".local/share" / name, 13)
        self.assertEqual(found(), 13)
        put(data_home / name, 14)
        self.environment["XDG_DATA_HOME"] = str(data_home)
        self.assertEqual(found(), 14)
        put(self.folder / "by_variable", 15)
        self.environment["MNV2_MODEL"] = str(self.folder / "by_variable")
        self.assertEqual(found(), 15)
        put(self.folder / "by_flag", 16)
        self.assertEqual(found("--model", str(self.folder / "by_flag")), 16)

    def test_not_found(self):
        image = self.make("a.png")
        out, err = self.run_program("-m", str(self.folder / "nothing"), image, status=3)
        self.assertEqual(out, b"")
        self.assertIn("nothing", err)
        self.assertIn("convert_torchvision.py", err)
        _, err = self.run_program("-m", "nothing", "--bench", status=3)
        self.assertIn("nothing", err)

    def test_every_path_tried_is_told(self):
        program = self.folder / "bin" / "mnv2-classify"
        program.parent.mkdir()
        shutil.copy(PROGRAM, program)
        self.environment.update(MNV2_MODEL="", XDG_DATA_DIRS="/nonexistent/one:/nonexistent/two")
        result = subprocess.run([program, self.make("a.png")], env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT)
        if result.returncode == 0:
            self.skipTest("SKIPPED: the source tree has a model")
        self.assertEqual((result.returncode, result.stdout), (3, b""))
        tried = [line.split()[1] for line in result.stderr.decode().splitlines() if line.startswith("  tried ")]
        folders = [f"{self.folder}/home/.local/share", "/nonexistent/one", "/nonexistent/two", f"{self.folder}/share"]
        self.assertEqual(tried[:4], [f"{f}/mnv2-classify/mobilenet_v2.safetensors" for f in folders])
        self.assertTrue(tried[4].endswith("models/mobilenet_v2.safetensors"))
        self.assertIn(b"convert_torchvision.py", result.stderr)

    def test_files_that_are_no_model(self):
        image = self.make("a.png")
        model = pathlib.Path(self.model).read_bytes()
        for data in (b"", b"no model", model[:len(model) // 2], b"\xff" * 64, png_bytes(5, 5, 1)):
            out, err = self.run_program("-m", self.make("bad.safetensors", data), image, status=3)
            self.assertEqual(out, b"")
            self.assertIn("bad.safetensors", err)
        self.run_program("-m", str(self.folder), image, status=3)

    def test_a_model_without_classifier_is_refused(self):
        model = str(self.folder / "features.safetensors")
        subprocess.run([MAKE_MODEL, model, "--features"], check=True)
        _, err = self.run_program("-m", model, self.make("a.png"), status=3)
        self.assertIn("the model has no classifier: ", err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_a_crop_that_the_engine_does_not_take_is_one_line(self):
        model = str(self.folder / "large.safetensors")
        subprocess.run([MAKE_MODEL, model, "--crop", "5000"], check=True)
        _, err = self.run_program("-m", model, self.make("a.png"), status=3)
        self.assertEqual(err.count("\n"), 1, err)


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


class Faults(Case):
    def start(self, *arguments, **options):
        # Not buffered: communicate() would not see what readline() had read ahead.
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment, stdin=subprocess.DEVNULL, bufsize=0,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.addCleanup(process.kill)
        return process

    def test_a_closed_pipe_ends_quietly(self):
        folder = self.make_folder(50)
        for threads in ("1", "4"):
            for form in ("jsonl", "json", "text"):
                # More than a pipe holds (64 KiB), so that the end of the reader is noticed.
                process = self.start("-t", threads, "-f", form, "-k", "10", *[folder] * 40)
                process.stdout.readline()
                process.stdout.close()
                err = process.stderr.read()
                process.stderr.close()
                self.assertEqual((process.wait(timeout=TIMEOUT), err), (0, b""))

    def test_a_full_disk(self):
        path = self.make("a.png")
        for arguments in ([path], [path, path, path], ["-f", "json", path], ["--help"], ["--version"],
                          ["--bench", "--bench-seconds", "0.01"]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([PROGRAM, *arguments], env=self.environment, stdout=full, stderr=subprocess.PIPE,
                                        timeout=TIMEOUT)
            self.assertEqual(result.returncode, 4)
            self.assertIn(b"No space left", result.stderr)

    def test_closed_standard_descriptors(self):
        path = self.make("a.png")
        command = f"'{PROGRAM}' '{path}'"
        for redirection, status in ((">&-", 4), ("2>&-", 0), ("<&-", 0)):
            result = subprocess.run(["/bin/sh", "-c", f"exec {command} {redirection}"], env=self.environment,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
            self.assertEqual(result.returncode, status, redirection)
            if status == 0:
                self.assert_ok(parse(result.stdout), path)

    def test_signals_finish_what_is_in_flight(self):
        folder = self.make_folder(50)
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for threads, form in (("1", "jsonl"), ("4", "jsonl"), ("4", "json")):
                process = self.start("-t", threads, "-f", form, *[folder] * 4000)
                first = process.stdout.readline() + process.stdout.readline()
                process.send_signal(number)
                out, _ = process.communicate(timeout=TIMEOUT)
                self.assertEqual(process.returncode, status)
                text = (first + out).decode()
                records = parse(text) if form == "json" else [parse(line) for line in text.splitlines()]
                self.assertTrue(text.endswith("\n"))
                self.assertLess(len(records), 200000)
                names = [r["path"] for r in records]
                self.assertEqual(names, [f"{folder}/{i % 50:04}.png" for i in range(len(names))])  # in order, none lost

    def test_an_ignored_interrupt_stays_ignored(self):
        process = self.start(self.make_folder(300), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT)
        self.assertEqual((process.returncode, out.count(b"\n")), (0, 299))

    def test_what_may_not_be_read_is_a_record(self):
        folder = self.make_folder(2)
        locked, secret = self.folder / "photos/0000x", pathlib.Path(self.make("photos/0000y.png"))
        locked.mkdir()
        for path in (locked, secret):
            path.chmod(0)
            self.addCleanup(path.chmod, 0o700)
        program, options = PROGRAM, {}
        if os.geteuid() == 0:  # root reads everything: be nobody, who has to reach the program, the model and the folder
            program = shutil.copy(PROGRAM, self.folder)
            self.environment["MNV2_MODEL"] = shutil.copy(self.model, self.folder)
            self.folder.chmod(0o755)
            options = {"user": 65534, "group": 65534, "extra_groups": []}
        result = subprocess.run([program, folder], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=TIMEOUT, **options)
        self.assertEqual(result.returncode, 1, result.stderr)
        records = [parse(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(records), 4)
        self.assert_error(records[1], str(locked), "file_unreadable")
        self.assert_error(records[2], str(secret), "file_unreadable")

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_memory_does_not_grow_with_the_number_of_images(self):
        folder = self.make_folder(20)

        def peak(repeats):
            process = self.start("-t", "4", "-k", "10", *[folder] * repeats)
            process.stdout.read()
            process.stdout.close()
            process.stderr.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return usage.ru_maxrss * 1024

        self.assertLess(peak(250), peak(5) + 16e6)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
