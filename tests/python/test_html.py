"""--html: the page's records against those of the run, and the page in a browser, if there is Chromium.

What the page does is asked of a copy of it with a script added that uses it and writes down what it saw.
"""

import base64
import html.parser
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from support.cli import CLASSES, MAKE_IMAGE, MAKE_MODEL, PROGRAM, Case, parse
from support.readme import PROGRAM_README, code_block

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSER_TIMEOUT = 600  # seconds: a browser on a busy machine
HOSTILE_LABELS = ["</script><script>window.owned = 1</script>", "<img src=x onerror='window.owned = 2'>", "a&amp;b",
                  "quote\"'", "new\nline", "\u202eright to left", "日本", "<!--", "plain", "plain"]


class Scripts(html.parser.HTMLParser):
    """The script elements of a page, in order: (attributes, text)."""

    def __init__(self, text):
        super().__init__()
        self.scripts = []
        self.inside = False
        self.other_tags = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append([dict(attributes), ""])
        else:
            self.other_tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1][1] += data


class Report(Case):
    def setUp(self):
        super().setUp()
        self.report = self.folder / "report.html"

    def read(self, path=None):
        """The page's data: (run, records, truths, thumbnails, end)."""
        self.page = (path or self.report).read_bytes().decode("utf-8")  # strict
        scripts = Scripts(self.page).scripts
        one = lambda name: next((parse(text) for attributes, text in scripts if attributes.get("id") == name), None)
        blocks = [parse(text) for attributes, text in scripts if attributes.get("class") == "records"]
        thumbnails = [text.split("\n")[1:-1] for attributes, text in scripts if attributes.get("class") == "thumbnails"]
        self.assertEqual([len(block["records"]) for block in blocks], [len(lines) for lines in thumbnails])
        flat = lambda lists: [item for items in lists for item in items]
        return (one("run"), flat(block["records"] for block in blocks), flat(block["truths"] for block in blocks),
                [base64.b64decode(line, validate=True) for line in flat(thumbnails)], one("end"))


def jpeg_size(data):
    """Width and height from the start-of-frame segment."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    height, width = struct.unpack(">HH", data[at + 5:at + 9])
    return width, height


class Page(Report):
    def test_records_are_those_of_the_run(self):
        folder = self.make_folder(230)
        self.make("photos/bad.jpg", b"no image")
        self.make("photos/big.jpg", self.jpeg_bytes)
        subprocess.run([MAKE_IMAGE, str(self.folder / "photos/wide.jpg"), "700", "350", "3"], check=True)
        subprocess.run([MAKE_IMAGE, str(self.folder / "photos/line.jpg"), "2000", "1", "3"], check=True)
        records = self.records("--html", str(self.report), folder, status=1)
        run, in_page, truths, thumbnails, end = self.read()
        self.assertEqual(in_page, records)
        self.assertEqual(len(records), 234)
        self.assertEqual(set(truths), {None})
        self.assertEqual(end, {"complete": True})
        self.assertEqual((run["model"], "labels" in run), ("tiny.safetensors", False))
        for record, thumbnail in zip(records, thumbnails):
            if record["status"] == "error":
                self.assertEqual(thumbnail, b"")
                continue
            scale = min(1, 128 / max(record["width"], record["height"]))
            expected = tuple(max(1, round(record[side] * scale)) for side in ("width", "height"))
            self.assertEqual(jpeg_size(thumbnail), expected)
            self.assertTrue(thumbnail.startswith(b"\xff\xd8") and thumbnail.endswith(b"\xff\xd9"))

    def test_as_the_readme_has_it(self):
        (self.folder / "build").mkdir()
        (self.folder / "build/mnv2-classify").symlink_to(PROGRAM)
        self.make_folder(3)
        subprocess.run(["bash", "-c", code_block(PROGRAM_README, "--html")], cwd=self.folder, env=self.environment, check=True,
                       timeout=120)
        self.assertEqual(self.read()[1], [parse(line) for line in (self.folder / "results.jsonl").read_text().splitlines()])

    def test_thumbnails_do_not_depend_on_threads(self):
        folder = self.make_folder(12)
        pages = []
        for threads in ("1", "4"):
            self.records("-t", threads, "--html", str(self.report), folder)
            pages.append(self.report.read_bytes())
        self.assertEqual(*pages)

    def test_names_and_labels_stay_data(self):
        labels = self.make("labels.json", json.dumps(HOSTILE_LABELS).encode())
        names = [b"</script><script>window.owned=3<!--.png", b"quote\"'.png", b"line\nbreak\x1b[31m.png", b"caf\xe9.png",
                 "\u202egnp.exe".encode() + b".png", b"&lt;.png", b"<img src=x onerror=alert(1)>.png"]
        for i, name in enumerate(names):
            path = os.fsencode(self.folder) + b"/photos/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(self.make("one.png", seed=i), path)
        records = self.records("--labels", labels, "-k", str(CLASSES), "--html", str(self.report),
                               str(self.folder / "photos"))
        self.assertEqual(len(records), len(names))
        self.assertEqual(self.read()[1], records)
        self.assertEqual({guess["label"] for guess in records[0]["top"]}, set(HOSTILE_LABELS))
        self.assertEqual(self.page.count("<script>"), 1)  # the page's own code
        for attributes, text in Scripts(self.page).scripts[1:]:
            self.assertIn(attributes["type"], ("application/json", "text/plain"))
            self.assertNotIn("<", text)

    def test_nothing_is_fetched(self):
        self.records("--html", str(self.report), self.make("a.png"))
        self.read()
        for tag, attributes in Scripts(self.page).other_tags:
            self.assertNotIn(tag, ("link", "iframe", "img", "object", "embed", "base"))
            self.assertFalse({"src", "href", "srcset", "action"} & set(attributes), tag)
        self.assertNotRegex(self.page, r"https?:|@import|url\(|fetch\(|XMLHttpRequest|innerHTML|eval\(")
        self.assertIn("default-src 'none'", self.page)

    def test_links_lead_to_the_files(self):
        (self.folder / "a b").mkdir()
        (self.folder / "here").mkdir()
        self.make("here/x.png")
        for report, base in (("here/r.html", ""), ("a b/r.html", "../here/"), ("r.html", "here/")):
            self.run_program("--html", str(self.folder / report), "x.png", cwd=self.folder / "here")
            self.assertEqual(self.read(self.folder / report)[0]["base"], base)
        self.run_program("--html", "../r.html", "../here/x.png", cwd=self.folder / "a b")
        self.assertEqual(self.read(self.folder / "r.html")[0]["base"], "a%20b/")

    def test_true_classes_of_an_evaluation(self):
        for name in ("1/a", "1/b", "7/c"):
            self.make(f"photos/{name}.png")
        names = [f"class {i}" for i in range(CLASSES)]
        labels = self.make("labels.json", json.dumps(names).encode())
        self.run_program("--eval", "--labels", labels, "--html", str(self.report), str(self.folder / "photos"))
        run, records, truths, _, _ = self.read()
        self.assertEqual(truths, [1, 1, 7])
        self.assertEqual(len(records), 3)
        self.assertEqual(run["labels"], names)

    def test_a_run_that_is_cut_short_replaces_nothing(self):
        self.report.write_text("the last one")
        process = subprocess.Popen([PROGRAM, "--html", str(self.report), "-"], env=self.environment, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write((self.make("a.png") + "\n").encode())
        process.stdin.flush()
        self.assertIn(b"ok", process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=120), -signal.SIGTERM)
        process.communicate()  # only now stdin is closed, whose end would be the end of the run
        self.assertEqual(self.report.read_text(), "the last one")
        _, records, _, _, end = self.read(self.folder / "report.html.part")
        self.assertEqual((len(records), end), (1, {"complete": False}))

    def test_what_cannot_be_written(self):
        image = self.make("a.png")
        _, err = self.run_program("--html", "/dev/full", image, status=4)
        self.assertIn("cannot write /dev/full: No space left", err)
        self.assertIn("--html", self.run_program("--html", "/nonexistent/x.html", image, status=4)[1])
        for arguments, words in ((["--html", ""], "--html: the file name is empty"),
                                 (["--html", image], "is an input, too"),
                                 (["--html", "r", "-o", "r"], "is written by --output already"),
                                 (["--html", "r", "-o", "o", "--resume"], "--resume: not with --html"),
                                 (["--html", "r", "--bench"], "--html: not with --bench")):
            self.assertIn(words, self.run_program(*arguments, image, status=2)[1])


def sorted_total(lines):
    """Name and value of a total, whichever of the two lines is first."""
    value, name = sorted(lines, key=lambda line: not line[0].isdigit())
    return name, value


@unittest.skipUnless(BROWSER, "no Chromium here")
@unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "ten thousand images under a sanitizer say no more about the page")
class Browser(Report):
    def ask(self, script, address="", window="1000,800"):
        """What `script`, the body of an async function, returns in the page. Cards exist as far as the window shows them."""
        probed = self.folder / "probed.html"
        code = f"""<script>addEventListener('DOMContentLoaded', async () => {{
            const settle = () => new Promise((done) => setTimeout(done, 100));
            const cards = () => [...document.querySelectorAll('#list .card')];
            const key = (name) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: name, bubbles: true}}));
            const count = () => document.getElementById('count').textContent;
            let seen;
            try {{ seen = await (async () => {{ {script} }})(); }} catch (error) {{ seen = String(error.stack); }}
            document.body.replaceChildren(Object.assign(document.createElement('pre'),
                {{id: 'seen', textContent: btoa(unescape(encodeURIComponent(JSON.stringify(seen))))}}));
        }});</script>"""
        probed.write_text(self.report.read_text().replace("</body>", code + "</body>"))
        with tempfile.TemporaryDirectory() as profile:
            result = subprocess.run(
                [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={profile}", f"--window-size={window}", "--virtual-time-budget=60000", "--dump-dom",
                 probed.as_uri() + address], capture_output=True, timeout=BROWSER_TIMEOUT)
        found = re.search(r'<pre id="seen">([^<]*)</pre>', result.stdout.decode())
        self.assertTrue(found, result.stderr.decode()[-2000:])
        return json.loads(base64.b64decode(found.group(1)))

    def test_scores_are_shown_as_they_are(self):
        model = str(self.folder / "scores.safetensors")
        subprocess.run([MAKE_MODEL, model, "--classes", "3", "--output-activation", "none"], check=True)
        self.make_folder(5)
        records = self.records("-m", model, "--html", str(self.report), str(self.folder / "photos"))
        seen = self.ask("""await settle();
            return {hidden: ['confidence-panel', 'confidence-filter'].map((id) => document.getElementById(id).hidden),
                    numbers: cards().map((card) => Number(card.querySelector('.number').textContent))};""", "#sort=highest")
        self.assertEqual(seen["hidden"], [True, True])
        best = sorted((record["top"][0]["score"] for record in records), reverse=True)
        self.assertEqual(seen["numbers"], [float(f"{score:.4g}") for score in best])

    def test_percentages_make_sense(self):
        self.records("--html", str(self.report), self.make("a.png"))
        shares = [0, 0.00004, 0.0005, 0.0123, 0.5, 0.99949, 0.9996, 0.99999, 1]
        self.assertEqual(self.ask(f"return {shares}.map(percent);"),
                         ["0 %", "< 0.1 %", "0.1 %", "1.2 %", "50.0 %", "99.9 %", "> 99.9 %", "> 99.9 %", "100 %"])

    def test_the_page_of_an_evaluation(self):
        truths = {}
        for i in range(40):
            truths[self.make(f"photos/{i % 4}/{i:02}.png", seed=i)] = i % 4
        self.make("photos/1/bad.png", b"no image")
        root = str(self.folder / "photos")
        report = parse(self.run_program("--eval", "-f", "json", "--html", str(self.report), root, status=1)[0])
        seen = self.ask("""await settle();
            const all = {title: document.title, heading: document.getElementById('title').textContent,
                         totals: [...document.querySelectorAll('#totals div')].map((total) => total.innerText.split('\\n')),
                         order: shown.map((row) => rank(row)), panels: [...document.querySelectorAll('#panels section')]
                             .filter((panel) => !panel.hidden).map((panel) => panel.id)};
            const cell = [...document.querySelectorAll('#matrix .miss')].find((button) => button.textContent !== '');
            all.said = cell.title;
            cell.click();
            await settle();
            all.pair = [Number(document.getElementById('truth').value), Number(document.getElementById('class').value)];
            all.shown = shown.map((row) => [row.truth, row.first]);
            all.cells = [...document.querySelectorAll('#matrix button')].filter((button) => button.textContent !== '').length;
            all.accuracy = [...document.querySelectorAll('#accuracy .number')].map((number) => number.textContent);
            all.bars = [...document.querySelectorAll('#histogram i + i')].filter((bar) => bar.style.height !== '0%').length;
            all.errors = document.getElementById('errors').textContent;
            all.address = location.hash;
            cell.click();
            all.back = shown.length;
            return all;""", window="1300,900")
        self.assertEqual((seen["title"], seen["heading"]), (f"How right: {root}/", f"How often the model is right in {root}"))
        percent = lambda share: f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"
        totals = {name: value for name, value in map(sorted_total, seen["totals"])}
        self.assertEqual((totals["top-1"], totals["top-5"], totals["mean over classes"]),
                         tuple(percent(report[key]) for key in ("top1", "top5", "mean_class_accuracy")))
        self.assertEqual((totals["wrong"], totals["images"], totals["errors"]), (str(40 - report["top1_images"]), "41", "1"))
        self.assertEqual(seen["order"], sorted(seen["order"]))  # wrong ones first
        self.assertEqual(seen["panels"], ["confidence-panel", "accuracy-panel", "matrix-panel", "errors-panel"])
        pair = next(c for c in report["most_confused"] if [c["truth"]["index"], c["predicted"]["index"]] == seen["pair"])
        self.assertEqual(seen["shown"], [seen["pair"]] * pair["images"])
        self.assertIn(f": {pair['images']} image", seen["said"])
        self.assertEqual(seen["cells"], 1)  # the charts show what is shown
        self.assertEqual(sum(text != "none shown" for text in seen["accuracy"]), 1)
        self.assertTrue(1 <= seen["bars"] <= pair["images"])
        self.assertEqual(seen["errors"], "None of those shown.")
        self.assertIn("truth=", seen["address"])
        self.assertEqual(seen["back"], 41)

    def test_filters_take_one_row_and_fold_on_a_phone(self):
        for i in range(4):
            self.make(f"photos/{i % 2}/{i}.png", seed=i)
        for mode in ([], ["--eval"]):
            self.run_program(*mode, "--html", str(self.report), str(self.folder / "photos"))
            script = """const fields = () => [...document.querySelectorAll('#filters > *')].filter((field) => field.offsetParent !== null);
                const before = [fields().length, new Set(fields().map((field) => Math.round(field.getBoundingClientRect().bottom))).size];
                document.getElementById('fold').click();
                return [before, fields().length];"""
            wide, _ = self.ask(script, window="1300,800")
            self.assertEqual(wide[1], 1)
            folded, unfolded = self.ask(script, window="500,800")
            self.assertEqual((folded[0], unfolded), (1, wide[0]))

    def test_independent_labels(self):
        model = str(self.folder / "labels.safetensors")
        subprocess.run([MAKE_MODEL, model, "--classes", "4", "--output-activation", "sigmoid"], check=True)
        self.make_folder(12)
        records = self.records("-m", model, "--html", str(self.report), str(self.folder / "photos"))
        counts = {}
        for record in records:
            for guess in record["top"]:
                if guess["probability"] >= 0.5:
                    counts[guess["index"]] = counts.get(guess["index"], 0) + 1
        self.assertGreater(len(counts), 1)
        index = min(counts)
        seen = self.ask(f"""await settle();
            const all = {{heading: document.getElementById('classes-title').textContent,
                          counts: [...document.querySelectorAll('#classes .class')].map((button) => [Number(button.dataset.index), Number(button.querySelector('.number').textContent)])}};
            set({{class: {index}}});
            all.shown = shown.length;
            return all;""")
        self.assertEqual(seen["heading"], "Labels at 50 % or more")
        self.assertEqual(dict(seen["counts"]), counts)
        self.assertEqual(seen["shown"], counts[index])

    def test_the_dialog_shows_the_file_itself(self):
        subprocess.run([MAKE_IMAGE, str(self.folder / "wide.jpg"), "700", "350", "3"], check=True)
        self.records("--html", str(self.report), str(self.folder / "wide.jpg"))
        widths = self.ask("""await settle();
            cards()[0].click();
            const width = () => document.querySelector('#details-body img').naturalWidth;
            const first = [width()];
            for (let i = 0; i < 50 && width() === first[0]; i++) await settle();
            return [...first, width()];""")
        self.assertEqual(widths[1], 700)

    def test_hostile_names_are_inert(self):
        labels = self.make("labels.json", json.dumps(HOSTILE_LABELS).encode())
        for i, name in enumerate((b"</script><script>window.owned=3<!--.png", b"<img src=x onerror=window.owned=4>.png",
                                  b"caf\xe9 %41.png", b"line\nbreak.png")):
            path = os.fsencode(self.folder) + b"/photos/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(self.make("one.png", seed=i), path)
        self.make("photos/<b>bad.png", b"<script>window.owned=5</script>")
        self.run_program("--labels", labels, "-k", str(CLASSES), "--html", str(self.report), "photos", status=1,
                         cwd=self.folder)
        seen = self.ask("""
            await settle();
            const links = [], texts = [];
            for (const button of cards()) {
                button.click();
                texts.push(document.getElementById('details-name').textContent);
                links.push(document.querySelector('dialog a').getAttribute('href'));
                document.getElementById('details').close();
            }
            return {owned: window.owned === undefined, ready: document.documentElement.dataset.ready, texts, links,
                    tags: document.querySelectorAll('main img, main b, main script').length,
                    thumbnails: [...document.querySelectorAll('#list img')].map((image) => image.naturalWidth),
                    labels: [...new Set(rows.map((row) => row.label))],
                    fetched: performance.getEntriesByType('resource').map((r) => r.name).filter((name) => !name.startsWith('data:'))};
            """, window="1000,2000")
        self.assertEqual((seen["owned"], seen["ready"]), (True, "yes"))
        for name in seen["fetched"]:  # by the dialog: the images themselves
            self.assertTrue(name.startswith((self.folder / "photos").as_uri()), name)
        self.assertEqual(seen["tags"], len(seen["thumbnails"]))  # no image but the thumbnails
        self.assertEqual(len(seen["thumbnails"]), 4)
        self.assertTrue(all(width > 0 for width in seen["thumbnails"]))
        self.assertIn("photos/</script><script>window.owned=3<!--.png", seen["texts"])
        self.assertIn("photos/line\\x0abreak.png", seen["texts"])
        self.assertIn("photos/caf%e9%20%2541.png", seen["links"])

    def test_ten_thousand_images(self):
        kinds = [self.make(f"kinds/{i}.png", seed=i) for i in range(20)]
        bad = self.make("kinds/bad.png", b"no image")
        folder = self.folder / "photos"
        for i in range(10_000):
            if i % 100 == 0:
                (folder / f"{i // 100:03}").mkdir(parents=True)
            os.link(bad if i % 50 == 49 else kinds[i % 20], folder / f"{i // 100:03}/{i:05}.png")
        records = self.records("--html", str(self.report), str(folder), status=1)
        tops = sorted({100 * r["top"][0]["probability"] for r in records if r["status"] == "ok"})
        low, high = (tops[4] + tops[5]) / 2, (tops[-5] + tops[-4]) / 2  # percent; between two images on each side
        started = time.monotonic()
        seen = self.ask("""
            await settle();
            const all = {}, shows = (changes) => { set({q: '', class: '', in: 'first', min: '', max: '', status: '', sort: 'input',
                                                        ...changes}); return shown.map((row) => row.number); };
            all.loaded_ms = performance.now();
            all.atFirst = [count(), cards().length, location.hash];
            all.shown = shown.map((row) => row.number);
            all.search = shows({q: '/0420'});
            all.error = shows({status: 'error'});
            all.code = shows({status: 'unsupported_format'});
            const index = rows[7].first;
            all.index = index;
            all.first = shows({class: index});
            all.any = shows({class: index, in: 'any'});
            all.range = shows({min: LOW, max: HIGH});
            all.highest = shows({sort: 'highest'});
            all.lowest = shows({sort: 'lowest'});
            const begin = performance.now();
            all.path = shows({sort: 'path'});
            all.sort_ms = performance.now() - begin;
            all.none = [shows({q: 'no such name'}).length, cards().length, document.getElementById('empty').hidden];
            document.querySelector('#filters button[type=reset]').click();
            await settle();
            all.reset = [count(), location.hash];
            const place = () => Number(document.activeElement.parentElement.getAttribute('aria-posinset'));
            cards()[0].focus();
            all.walk = [place()];
            for (const name of ['ArrowRight', 'ArrowDown', 'End', 'ArrowUp', 'Home']) { key(name); await settle(); all.walk.push(place()); }
            all.columns = list.columns;
            all.cards = cards().length;
            document.activeElement.blur();  // the card with the focus would stay
            scrollTo(0, document.body.scrollHeight / 2);
            dispatchEvent(new Event('scroll'));  // without a screen there may be no frame that tells of it
            await settle();
            all.middle = [...list.cards.keys()];
            all.pictures = [...document.querySelectorAll('#list img')].length;
            cards()[0].focus({preventScroll: true});
            document.activeElement.click();
            all.open = document.getElementById('details').open;
            document.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}));
            document.getElementById('details').close();
            await settle();
            all.back = place() > 1;
            dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true}));
            all.slash = document.activeElement.id;
            return all;
            """.replace("LOW", repr(low)).replace("HIGH", repr(high)), "#status=ok&sort=lowest&q=0999")
        print(f"\n10,000 images: {self.report.stat().st_size / 1e6:.1f} MB; usable after {seen['loaded_ms'] / 1000:.2f} s, "
              f"filtered and sorted in {seen['sort_ms']:.0f} ms; the browser took {time.monotonic() - started:.1f} s")
        numbered = list(enumerate(records))
        ok = [(i, r) for i, r in numbered if r["status"] == "ok"]
        top = lambda r: r["top"][0]["probability"]
        expected = [i for i, r in ok if "0999" in r["path"]]
        self.assertEqual(seen["atFirst"][0], f"{len(expected)} of 10,000 images")
        self.assertEqual(sorted(seen["shown"]), expected)
        self.assertEqual([top(records[i]) for i in seen["shown"]], sorted(top(records[i]) for i in expected))
        self.assertEqual(seen["search"], [i for i, r in numbered if "/0420" in r["path"]])
        self.assertEqual(seen["error"], list(range(49, 10_000, 50)))
        self.assertEqual(seen["code"], seen["error"])
        index = records[7]["top"][0]["index"]
        self.assertEqual(seen["index"], index)
        self.assertEqual(seen["first"], [i for i, r in ok if r["top"][0]["index"] == index])
        self.assertEqual(seen["any"], [i for i, r in ok if index in [guess["index"] for guess in r["top"]]])
        self.assertEqual(seen["range"], [i for i, r in ok if low <= 100 * top(r) <= high])
        self.assertTrue(0 < len(seen["range"]) < len(ok))
        self.assertEqual(seen["highest"], [i for i, r in sorted(ok, key=lambda p: (-top(p[1]), p[0]))] + seen["error"])
        self.assertEqual(seen["lowest"], [i for i, r in sorted(ok, key=lambda p: (top(p[1]), p[0]))] + seen["error"])
        self.assertEqual(seen["path"], list(range(10_000)))
        self.assertEqual(seen["none"], [0, 0, False])
        self.assertEqual((seen["reset"][0], seen["reset"][1].strip("#")), ("10,000 of 10,000 images", ""))
        columns = seen["columns"]
        self.assertEqual(seen["walk"], [1, 2, 2 + columns, 10_000, 10_000 - columns, 1])
        self.assertLess(seen["cards"], 100)
        self.assertTrue(3000 < min(seen["middle"]) and max(seen["middle"]) < 7000 and len(seen["middle"]) < 100,
                        seen["middle"])
        self.assertGreater(seen["pictures"], 5)
        self.assertEqual((seen["open"], seen["back"], seen["slash"]), (True, True, "q"))


if __name__ == "__main__":
    unittest.main()
