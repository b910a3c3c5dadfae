"""The dashboard as people see it: in a browser at three widths, light and dark, with scripts
off, in a text browser, and while the node restarts.

    tests/e2e/stories/pages.py          makes README's picture from the demo (make screenshot)

Two nodes: the demo, and one with every fault at once. Screenshots go to target/e2e/shots.
"""

import contextlib
import gzip
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fakes.servers import json_server
from harness import (  # noqa: E402
    Failed, Missing, Process, ROOT, WORK, clean_environment, demo_node, die_with_parent, environment, expect, free_port,
    get, main_node, not_checked, work_dir, run, story, tool, wait_until,
)

SIZES = {"phone": (360, 740), "touch": (800, 480), "desktop": (1280, 900)}
SCHEMES = ("light", "dark")
# Pinned, so that a new release is a commit and not a surprise.
MODULES = {"playwright-core": "1.65.1", "axe-core": "4.14.1"}
PICTURE = ROOT / "systemd" / "overview.png"
HOSTILE = "<script>alert(1)</script>"
ON_THE_WIRE = 30_000


@story(seconds=120)
def pages():
    directory = work_dir("pages")
    with demo_node(directory) as demo, faulty_node(directory) as faults:
        on_the_wire(demo, faults)
        text_browser(faults)
        hostile_text(faults)
        with driver(directory, task(demo, faults)) as browser:
            in_a_browser(browser)
            without_scripts(browser)
            lives_on(browser, faults)
    expect("panicked" not in faults.node.output(), "nothing panicked on the way", faults.node.output())


# ---- The nodes ---------------------------------------------------------------------------


class Faults:
    """A node with one dead source, one stale key, one mail that cannot go, one source whose
    fields are rejected, and one whose keys and texts are markup."""

    def __init__(self, directory, upstream):
        self.directory, self.address, self.dead = directory, f"127.0.0.1:{free_port()}", free_port()
        self.power, self.stale = 230.5, False
        self.file = directory / "faults.toml"
        self.file.write_text(f'''
name = "pi"
listen = "{self.address}"
database = "{directory / 'faults.db'}"

[[source]]
name = "meter"
url = "http://127.0.0.1:{upstream}/meter"
every = "1s"
[source.records]
power = {{ at = "/power", unit = "hPa" }}
voltage = {{ at = "/voltage", unit = "V", max = 500 }}

[[source]]
name = "once"
url = "http://127.0.0.1:{upstream}/once"
every = "1s"
stale_after = "2s"

[[source]]
name = "dead"
url = "http://127.0.0.1:{self.dead}/"
every = "1s"

[[source]]
name = "hostile"
url = "http://127.0.0.1:{upstream}/hostile"
every = "5s"
[source.records]
"{HOSTILE}" = {{ at = "/number" }}
words = {{ at = "/words", text = true }}

[alert]
no_success_for = "2s"

[mail]
host = "127.0.0.1"
port = {free_port()}
tls = "none"
from = "node@example.org"
to = "you@example.org"
''')
        self.node = None

    def answer(self, path):
        if path == "/meter":
            return {"power": self.power, "voltage": 99999}
        if path == "/once":
            return {} if self.stale else {"level": 4.5}
        return {"number": 1019.6, "words": HOSTILE, HOSTILE: 7}

    def start(self):
        self.node = Process([main_node(), "serve", "--config", self.file], self.directory / "faults.log", cwd=self.directory)
        wait_until(lambda: get(self.address, "/snapshot").status == 200, 15, lambda: f"the faulty node answers; it said {self.node.output()}")


@contextlib.contextmanager
def faulty_node(directory):
    faults = None
    with json_server(lambda path: faults.answer(path)) as upstream:
        faults = Faults(directory, upstream)
        faults.start()
        wait_until(lambda: "level" in get(faults.address, "/snapshot").text, 10, "the key that will be stale comes once")
        faults.stale = True
        wait_until(lambda: all_is_wrong(faults), 30, lambda: f"all faults show; /web is {get(faults.address, '/web').text}")
        yield faults
        faults.node.stop()


def all_is_wrong(faults):
    page = get(faults.address, "/web").text
    return "tile stale" in page and "by mail wait" in page and "dead has never answered" in page


# ---- Without a browser -------------------------------------------------------------------

PAGES = ("/web", "/web/alerts", "/web/about")


def on_the_wire(demo, faults):
    for address, more in (
        (demo, ["/web/key/temperature", "/web/key/temperature?span=all", "/web/source/weather"]),
        (faults.address, ["/web/key/power", "/web/source/meter", "/web/source/dead"]),
    ):
        for path in [*PAGES, *more]:
            reply = get(address, path, {"Accept-Encoding": "gzip"})
            expect(reply.status == 200 and reply["content-encoding"] == "gzip", f"{path} is gzipped", reply.headers)
            expect(len(reply.body) < ON_THE_WIRE, f"{path} has {len(reply.body)} bytes on the wire", len(reply.body))
            expect(gzip.decompress(reply.body).startswith(b"<!DOCTYPE html>"), "and is a page", path)


def text_browser(faults):
    try:
        w3m = tool("w3m")
    except Missing as missing:
        not_checked(f"/web in w3m: {missing}")
        return
    code, text, err = run([w3m, "-dump", "-cols", "100", f"http://{faults.address}/web"], 15, env=environment())
    expect(code == 0, "w3m shows the overview", err)
    for wanted in ("dead", "it takes no connection", "power", "230.5 hPa", "stale", "by mail wait", "Overview Alerts About"):
        expect(wanted in text, f"its text says {wanted!r}", text)


def hostile_text(faults):
    page = get(faults.address, "/web").text
    expect("alert(1)" in page and "<script>alert" not in page, "markup from an API is shown as text", page)


# ---- In a browser ------------------------------------------------------------------------


def modules():
    """Where npm put what drives and judges the browser."""
    home = WORK.parent / "tools" / "npm" / "pages"
    wanted = [f"{name}@{version}" for name, version in MODULES.items()]
    marker = home / "holds"
    if not (marker.exists() and marker.read_text() == " ".join(wanted)):
        if not (shutil.which("npm") and shutil.which("node")):
            raise Missing("needs node and npm: sudo apt-get install nodejs npm")
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text("{}")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", *wanted]
        done = subprocess.run(npm, cwd=home, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Missing(f"npm could not install {' '.join(wanted)}: {done.stderr.strip()[-300:]}")
        marker.write_text(" ".join(wanted))
    return home / "node_modules"


def task(demo, faults):
    shots = WORK / "shots"
    shots.mkdir(parents=True, exist_ok=True)
    looks = []
    for node, address, paths in (
        ("demo", demo, {"overview": "/web", "key": "/web/key/temperature", "source": "/web/source/weather", "alerts": "/web/alerts", "about": "/web/about"}),
        ("faults", faults.address, {"overview": "/web", "key": "/web/key/power", "source": "/web/source/dead", "alerts": "/web/alerts", "about": "/web/about", "issues": "/web/source/meter"}),
    ):
        for page, path in paths.items():
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    # What axe judges differs with the width's layout and with the colours.
                    check = (size, scheme) in (("phone", "dark"), ("desktop", "light"))
                    if node == "demo" and page in ("source", "alerts", "about") and not check:
                        continue  # the faulty node's show more
                    looks.append({"name": f"{node}-{page}-{size}-{scheme}", "url": f"http://{address}{path}", "width": width, "height": height, "scheme": scheme, "check": check})
    return {
        "looks": looks, "shots": str(shots), "still": f"http://{faults.address}/web",
        "live": f"http://{faults.address}/web",
        "origin": {"demo": f"http://{demo}/", "faults": f"http://{faults.address}/"},
    }


class Driver:
    def __init__(self, directory, task):
        task = {**task, "modules": str(modules()), "browser": str(tool("chromium"))}
        (directory / "task.json").write_text(json.dumps(task))
        script = pathlib.Path(__file__).with_name("pages.js")
        self.log = open(directory / "driver.log", "w")
        self.process = subprocess.Popen(
            ["node", str(script), str(directory / "task.json")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True, env=clean_environment(), preexec_fn=die_with_parent,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(("ended", self.process.wait()))

    def hear(self, word, seconds):
        try:
            said, value = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"the browser said no {word!r} within {seconds} s") from None
        expect_quietly(said == word, f"the browser's driver says {word}", (said, value))
        return value

    def ask(self, word, argument=None, seconds=30):
        self.process.stdin.write(json.dumps([word, argument]) + "\n")
        self.process.stdin.flush()
        return self.hear(word, seconds)


def expect_quietly(holds, sentence, found):
    if not holds:
        raise Failed(f"{sentence}\n        found: {found}")


@contextlib.contextmanager
def driver(directory, task):
    made = Driver(directory, task)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        made.log.close()


def in_a_browser(browser):
    found = browser.hear("looks", 90)
    for key, sentence in (
        ("errors", "no script fails, no dialog opens and nothing is fetched from elsewhere"),
        ("complaints", "axe-core finds nothing"),
        ("wide", "no page scrolls sideways"),
        ("broken", "a tile's value, unit and arrow stay on one line"),
        ("spilled", "nothing spills out of its box"),
    ):
        looked = sum(look["checked"] for look in found) if key == "complaints" else len(found)
        wrong = {look["name"]: look[key] for look in found if look[key]}
        expect(not wrong, f"{sentence}, on {looked} looks", wrong)


def without_scripts(browser):
    text = browser.hear("still", 10)
    expect("230.5" in text and "it takes no connection" in text, "with scripts off the page says the same", text)


def lives_on(browser, faults):
    browser.hear("loaded", 10)
    faults.power = 777.5
    expect(browser.ask("shows", "777.5") is True, "a value that changes is swapped in without a reload")
    code, _ = faults.node.stop()
    expect(code == 0, "the node stops with a page open", faults.node.output())
    shown = browser.ask("offline")
    expect(shown is True, "the page says that the node does not answer", shown)
    faults.power = 888.5
    faults.start()
    shown = browser.ask("shows", "888.5")
    expect(shown is True, "after the node's restart the same page shows new values", shown)
    expect(browser.ask("online") is True, "and no longer says that the node is away")
    faults.power = 999.5
    expect(browser.ask("shows", "999.5", 20) is True, "and is told of changes again")


# ---- README's picture --------------------------------------------------------------------


def screenshot():
    """The demo's overview, once its simulated values have come."""
    directory = work_dir("screenshot")
    with demo_node(directory) as demo:
        time.sleep(float(os.environ.get("SECONDS_OF_DEMO", "10")))
        shot = {"name": "demo-readme", "url": f"http://{demo}/web", "width": 1280, "height": 640, "scheme": "light", "check": False}
        plan = {"looks": [shot], "shots": str(directory), "origin": {"demo": f"http://{demo}/"}}
        with driver(directory, plan) as browser:
            browser.hear("looks", 30)
    shutil.copyfile(directory / "demo-readme.png", PICTURE)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    try:
        screenshot()
    except (Failed, Missing) as problem:
        sys.exit(f"make screenshot: {problem}")
