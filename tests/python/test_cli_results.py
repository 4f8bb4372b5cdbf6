"""The program's records of images, folders and bad files. Needs what support/cli.py needs."""

import base64
import json
import os
import resource
import subprocess
import sys
import unittest

from support.cli import CLASSES, MAKE_MODEL, Case, parse, png_bytes, with_exif_orientation


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

    def test_form_and_interpolation_change_what_the_network_sees(self):
        path = self.make("a.jpg", self.jpeg_bytes)  # 61 x 47: resized to 46 x 36, whose margin of 15 rows is no even one
        forms = ["crop", "crop-floor", "fit", "squash", "squash-half-pixel", "squash-align-corners"]
        results = [self.run_program("--resize-form", form, "--crop", "31", path)[0] for form in forms]
        self.assertEqual(len(set(results)), len(forms))
        self.assertEqual(results[0], self.run_program("--crop", "31", path)[0])
        interpolations = ["bilinear", "bicubic", "lanczos", "nearest"]
        results = [self.run_program("--interpolation", name, path)[0] for name in interpolations]
        self.assertEqual(len(set(results)), len(interpolations))
        self.assertEqual(results[0], self.run_program(path)[0])
        for flags, message in (
                (["--resize-form", "fit", "--resize", "36"],
                 "preprocessing: resize is 36, expected the crop's 32 for the form fit"),
                (["--resize-form", "squash-half-pixel", "--interpolation", "nearest"],
                 "preprocessing: interpolation is nearest, expected bilinear for the form squash-half-pixel"),
                (["--resize-form", "stretch"], "--resize-form: 'stretch' is unknown, expected crop, crop-floor, fit")):
            _, err = self.run_program(*flags, path, status=2)
            self.assertIn(message, err)

    def test_a_model_with_a_form_of_its_own(self):
        model = self.make("fit.safetensors", b"")
        subprocess.run([MAKE_MODEL, model, "--resize-form", "fit", "--interpolation", "lanczos", "--resize", "32",
                        "--crop", "32", "--classes", str(CLASSES)], check=True)
        path = self.make("a.jpg", self.jpeg_bytes)
        own = self.run_program("-m", model, path)[0]
        self.assertEqual(own, self.run_program("-m", model, "--resize-form", "fit", "--interpolation", "lanczos", path)[0])
        squashed = self.run_program("-m", model, "--resize-form", "squash", path)[0]
        self.assertNotEqual(own, squashed)
        self.assertEqual(len({own, squashed, self.run_program("-m", model, "--input-size", "48", path)[0]}), 3)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
