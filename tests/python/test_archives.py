"""Images in archives: the records of the files themselves, in the archive's order, and what is damaged or hostile.

Needs what support/cli.py needs, and libarchive; zst is left out where tar cannot write it.
"""

import base64
import io
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tarfile
import time
import unittest
import zipfile

from support.cli import PROGRAM, TIMEOUT, Case, parse, png_bytes


class Archives(Case):
    def tar(self, name, members, mode="w"):
        """A tar of (name, bytes), or of TarInfo."""
        path = self.folder / name
        with tarfile.open(path, mode) as archive:
            for member, data in members:
                info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return str(path)

    def images(self, count, start=0):
        return [(f"photos/{i:04}.png", png_bytes(30 + i % 5, 20 + i % 7, i)) for i in range(start, start + count)]

    def folder_of(self, members, name="files"):
        for member, data in members:
            self.make(f"{name}/{member}", data)
        return str(self.folder / name)

    def top(self, records):
        return [record.get("top") for record in records]

    def run_with(self, data, *arguments, status=0):
        result = subprocess.run([PROGRAM, *map(str, arguments)], env=self.environment, input=data, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT, cwd=self.folder)
        self.assertEqual(result.returncode, status, result.stderr)
        return [parse(line) for line in result.stdout.decode().splitlines()]

    def test_every_kind(self):
        members = self.images(7)
        expected = self.records(self.folder_of(members))
        archives = [self.tar("a.tar", members), self.tar("a.tar.gz", members, "w:gz"), self.tar("a.TGZ", members, "w:gz"),
                    self.tar("a.tar.xz", members, "w:xz"), self.tar("a.tar.bz2", members, "w:bz2")]
        with zipfile.ZipFile(self.folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                archive.writestr(name, data)
        archives.append(str(self.folder / "a.zip"))
        if shutil.which("zstd"):
            subprocess.run(["zstd", "-q", archives[0]], check=True)
            os.rename(archives[0] + ".zst", self.folder / "a.tar.zst")
            archives.append(str(self.folder / "a.tar.zst"))
        for path in archives:
            with self.subTest(os.path.basename(path)):
                records = self.records(path)
                self.assertEqual([r["path"] for r in records], [f"{path}/{name}" for name, _ in members])
                self.assertEqual([(r["archive"], r["member"]) for r in records], [(path, name) for name, _ in members])
                self.assertEqual(self.top(records), self.top(expected))
                with open(path, "rb") as file:  # on stdin
                    records = self.run_with(file.read(), "-")
                self.assertEqual([r["path"] for r in records], [f"-/{name}" for name, _ in members])
                self.assertEqual(self.top(records), self.top(expected))

    def test_pipes_and_lists(self):
        members = self.images(3)
        path = self.tar("a.tar", members)
        out = subprocess.run(["bash", "-c", f"'{PROGRAM}' <(cat '{path}')"], env=self.environment, stdout=subprocess.PIPE,
                             check=True, timeout=TIMEOUT).stdout
        self.assertEqual(len(out.splitlines()), 3)
        photo = self.make("z.png")
        records = self.run_with(f"{photo}\n{path}\n{photo}\n".encode(), "-")
        self.assertEqual([r["path"] for r in records], [photo, *(f"{path}/{name}" for name, _ in members), photo])

    def test_folders_take_archives_only_when_told(self):
        self.folder_of(self.images(2), "mixed")
        self.tar("mixed/b.tar", self.images(3))
        _, err = self.run_program(str(self.folder / "mixed"))
        self.assertIn("passed over 1 archive (--archives takes", err)
        self.assertEqual(len(self.records(str(self.folder / "mixed"))), 2)
        self.assertEqual(len(self.records("--archives", str(self.folder / "mixed"))), 5)

    def test_names(self):
        image = png_bytes(30, 20, 1)
        folder = tarfile.TarInfo("folder.png")
        folder.type = tarfile.DIRTYPE
        path = self.tar("a.tar", [("./a.png", image), ("/etc/b.png", image), ("../../c.png", image), ("._d.png", image),
                                  ("e/.f.png", image), ("notes.txt", b"text"), ("picture", image), (folder, b""),
                                  ("x" * 300 + ".png", image), ("caf\u00e9.png", image), ("old.gif", b"GIF89a"),
                                  ("inner.zip", b"PK")])
        records = self.records(path)
        self.assertEqual([r["member"] for r in records],
                         ["./a.png", "/etc/b.png", "../../c.png", "x" * 300 + ".png", "caf\u00e9.png"])
        self.assertEqual([r["path"] for r in records[:3]], [f"{path}/a.png", f"{path}/etc/b.png", f"{path}/../../c.png"])
        _, err = self.run_program(path)
        self.assertIn("skipped 1 file: 1 .gif", err)
        self.assertIn("passed over 1 archive in it", err)
        self.assertEqual(len(self.records("--hidden", path)), 7)
        self.assertIn("picture", [r["member"] for r in self.records("--any-name", path)])
        self.assertEqual([r["member"] for r in self.records("--exclude", "etc", "--exclude", "[c-z]*.png", path)], ["./a.png"])

    def test_names_in_other_bytes(self):
        info = tarfile.TarInfo("latin\udce9.png")
        data = png_bytes(30, 20, 1)
        info.size = len(data)
        path = str(self.folder / "a.tar")
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
            archive.addfile(info, io.BytesIO(data))
        record, = self.records(path)
        self.assertEqual(base64.b64decode(record["path_base64"]), os.fsencode(path) + b"/latin\xe9.png")

    def test_what_is_no_file_in_an_archive_is_an_error(self):
        image = png_bytes(30, 20, 1)
        members = [("a.png", image)]
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.png"
            members.append((info, b""))
        records = self.records(self.tar("a.tar", members), status=1)
        self.assertEqual([r["status"] for r in records], ["ok", "error", "error", "error"])
        for record in records[1:3]:
            self.assertIn("a link to a.png", record["error"]["message"])

    def test_names_that_are_those_of_folders_here(self):
        """A member is no folder to be walked, whatever is called like its path."""
        self.make("-/c.png/inside.png")
        data = pathlib.Path(self.tar("a.tar", [("c.png", png_bytes(30, 20, 2))])).read_bytes()
        record, = self.run_with(data, "-")
        self.assertEqual((record["path"], record["status"], record["member"]), ("-/c.png", "ok", "c.png"))

    def test_shards_and_resume(self):
        members = self.images(40)
        path = self.tar("a.tar.gz", members, "w:gz")
        whole = self.records(path)
        parts = [self.records("--shard", f"{i}/3", path) for i in (1, 2, 3)]
        self.assertEqual(sorted(r["path"] for part in parts for r in part), sorted(r["path"] for r in whole))
        output = str(self.folder / "out.jsonl")
        self.run_program("-o", output, path)
        lines = pathlib.Path(output).read_bytes().splitlines(keepends=True)
        pathlib.Path(output).write_bytes(b"".join(lines[:11]) + lines[11][:20])  # killed in the twelfth
        self.run_program("-o", output, "--resume", path)
        self.assertEqual(pathlib.Path(output).read_bytes(), b"".join(lines))

    def test_killed_and_resumed(self):
        """As many records as the folder of the same files, each once, whenever the run is killed."""
        members = self.images(400)
        path, output = self.tar("a.tar", members), self.folder / "out.jsonl"
        expected = [(f"{path}/{name}", record["top"])
                    for (name, _), record in zip(members, self.records(self.folder_of(members)))]
        for lines in (5, 150):
            process = subprocess.Popen([PROGRAM, "-o", str(output), "--resume", path], env=self.environment,
                                       stderr=subprocess.DEVNULL)
            try:
                deadline = time.monotonic() + TIMEOUT
                while process.poll() is None and time.monotonic() < deadline:
                    if output.exists() and output.read_bytes().count(b"\n") > lines:
                        break
            finally:
                process.kill()
                process.wait()
        self.run_program("-o", str(output), "--resume", path)
        records = [parse(line) for line in output.read_text().splitlines()]
        self.assertEqual([(r["path"], r["top"]) for r in records], expected)

    def test_sorting_copies(self):
        members = self.images(6)
        path = self.tar("a.tar", members)
        target = self.folder / "sorted"
        for _ in range(2):  # the second time they are there
            self.run_program("--sort-into", str(target), path)
            files = [file for file in target.rglob("*.png")]
            self.assertEqual(sorted(f.name for f in files), sorted(os.path.basename(name) for name, _ in members))
        by_name = {os.path.basename(name): data for name, data in members}
        for file in files:
            self.assertEqual(file.read_bytes(), by_name[file.name])
            self.assertEqual(file.stat().st_nlink, 1)

    def test_sorting_what_comes_through_pipes(self):
        data, target = png_bytes(30, 20, 1), self.folder / "sorted"
        for _ in range(2):
            self.run_with(data, "--sort-into", target, "-")
            file, = target.rglob("image*")
            self.assertEqual(file.read_bytes(), data)

    def test_truncated(self):
        # Of 20 KiB that cannot be compressed: what a decompressor has in hand at the cut is lost.
        members = [(name, data + random.Random(i).randbytes(20000)) for i, (name, data) in enumerate(self.images(20))]
        data = pathlib.Path(self.tar("a.tar", members)).read_bytes()
        packed = pathlib.Path(self.tar("a.tar.gz", members, "w:gz")).read_bytes()
        with zipfile.ZipFile(self.folder / "a.zip", "w") as archive:
            for name, image in members:
                archive.writestr(name, image)
        zipped = (self.folder / "a.zip").read_bytes()
        for name, whole in (("cut.tar", data), ("cut.tar.gz", packed), ("cut.zip", zipped)):
            for size in (len(whole) // 2 + 100, len(whole) * 2 // 3):
                cut = self.make(name, whole[:size])
                for source in (cut, "-"):
                    if source == "-":
                        records = self.run_with(whole[:size], "-", status=1)
                    else:
                        records = self.records(cut, status=1)
                    self.assertEqual((records[-1]["path"], records[-1]["error"]["code"]), (source, "file_unreadable"))
                    self.assertGreater(len([r for r in records if r["status"] == "ok"]), 2)

    def test_cut_between_members(self):
        path = self.tar("a.tar", self.images(3))
        data = pathlib.Path(path).read_bytes()
        end = len(data.rstrip(b"\0"))
        cut = self.make("cut.tar", data[:-(-end // 512) * 512])
        _, err = self.run_program(cut)
        self.assertIn("no end mark", err)
        _, err = self.run_program(path)
        self.assertNotIn("no end mark", err)

    def test_damage(self):
        members = self.images(20)
        nothing = self.make("nothing.tar", b"no archive at all, though it is called one" * 50)
        record, = self.records(nothing, status=1)
        self.assertEqual((record["path"], record["error"]["code"]), (nothing, "file_unreadable"))
        missing = str(self.folder / "missing.zip")
        record, = self.records(missing, status=1)
        self.assertEqual(record["error"]["code"], "file_not_found")
        os.mkfifo(self.folder / "pipe.tar")
        listed = self.make("list", os.fsencode(self.folder / "pipe.tar") + b"\n")
        record, = self.records("--files-from", listed, status=1)
        self.assertEqual(record["error"]["code"], "file_unreadable")
        good = self.make("z.png")
        self.assertEqual(self.records(missing, nothing, good, status=1)[-1]["status"], "ok")
        broken = self.tar("b.tar", [members[0], ("bad.png", members[1][1][:200]), members[2]])
        self.assertEqual([r["status"] for r in self.records(broken, status=1)], ["ok", "error", "ok"])

    def test_a_damaged_header_hides_no_more_than_its_member(self):
        path = self.tar("a.tar", self.images(5))
        data = bytearray(pathlib.Path(path).read_bytes())
        with tarfile.open(path) as archive:
            second = archive.getmembers()[1].offset
        data[second + 3] ^= 0x55
        damaged = self.make("damaged.tar", bytes(data))
        records = self.records(damaged, status=1)
        self.assertEqual([r["path"] for r in records if r["status"] == "ok"],
                         [f"{damaged}/photos/{i:04}.png" for i in (0, 2, 3, 4)])
        failed, = [r for r in records if r["status"] == "error"]
        self.assertEqual((failed["path"], failed["error"]["code"]), (damaged, "file_unreadable"))

    def test_zips_that_cannot_be_read(self):
        path = self.folder / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.images(3):
                archive.writestr(name, data)
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            info = archive.infolist()[1]
        at = info.header_offset + 30 + len(info.filename) + 40
        data[at] ^= 0xff
        path.write_bytes(data)
        self.assertEqual([r["status"] for r in self.records(str(path), status=1)], ["ok", "error", "ok"])
        if shutil.which("zip"):
            subprocess.run(["zip", "-q", "-P", "secret", "locked.zip", self.make("b.png")], cwd=self.folder, check=True)
            record, = self.records(str(self.folder / "locked.zip"), status=1)
            self.assertIn("assphrase", record["error"]["message"])

    def test_several_tars_one_after_the_other(self):
        parts = [pathlib.Path(self.tar(f"{i}.tar", self.images(3, 3 * i))).read_bytes() for i in range(3)]
        self.assertEqual([r["member"] for r in self.run_with(b"".join(parts), "-")],
                         [f"photos/{i:04}.png" for i in range(9)])

    def test_a_webdataset_shard(self):
        members = []
        for i in range(4):
            members += [(f"{i:06}.cls", b"3"), (f"{i:06}.jpg", self.jpeg_bytes), (f"{i:06}.json", b"{}")]
        path = self.tar("shard-000000.tar", members)
        self.assertEqual([r["member"] for r in self.records(path)], [f"{i:06}.jpg" for i in range(4)])

    def test_an_empty_archive(self):
        path = self.tar("empty.tar", [])
        out, err = self.run_program(path)
        self.assertEqual(out, b"")
        self.assertIn("no JPEG, PNG or WebP file in this archive", err)
        self.assertEqual(self.run_with(pathlib.Path(path).read_bytes(), "-"), [])

    def test_a_bomb_takes_no_memory(self):
        path = self.folder / "bomb.tar.gz"
        data = png_bytes(30, 20, 1)
        with tarfile.open(path, "w:gz", compresslevel=1) as archive, open("/dev/zero", "rb") as zeros:
            for name in ("zeros.txt", "zeros.png"):
                info = tarfile.TarInfo(name)
                info.size = 300 << 20
                archive.addfile(info, zeros)
            info = tarfile.TarInfo("b.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        process = subprocess.Popen([PROGRAM, path], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        out = process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((process.returncode, [parse(line)["status"] for line in out.splitlines()]), (1, ["error", "ok"]))
        if not os.environ.get("MNV2_SANITIZE"):
            self.assertLess(usage.ru_maxrss * 1024, 200e6)

    def test_a_file_above_the_limit_is_not_read(self):
        info = tarfile.TarInfo("large.png")
        info.size = (1 << 30) + 1
        path = self.make("large.tar", info.tobuf() + b"\x89PNG\r\n\x1a\n" + bytes(2000))
        records = self.records(path, status=1)
        self.assertEqual((records[0]["member"], records[0]["error"]["code"]), ("large.png", "image_too_large"))

    def test_a_signal_ends_a_slow_archive(self):
        data = pathlib.Path(self.tar("a.tar", self.images(5))).read_bytes()
        process = subprocess.Popen([PROGRAM, "-"], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.kill)
        with tarfile.open(self.folder / "a.tar") as archive:
            last = archive.getmembers()[-1].offset_data
        process.stdin.write(data[:last + 40])  # in the middle of the last member
        process.stdin.flush()
        self.assertEqual(parse(process.stdout.readline())["status"], "ok")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT), -signal.SIGTERM)
        # What had come in part is no record: --resume would take it for done.
        self.assertEqual({parse(line)["status"] for line in process.stdout.read().splitlines()}, {"ok"})


if __name__ == "__main__":
    unittest.main()
