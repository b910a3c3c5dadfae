"""The web pages in a browser: three widths, light and dark, accessibility, charts by mouse and keyboard,
without scripts, in a text browser, and while the node restarts.

    tests/e2e/stories/pages.py          takes README's screenshot from the demo (make screenshot)

Two nodes: the demo, and one with every fault at once. Screenshots go to target/e2e/screenshots.
"""

import contextlib
import gzip
import json
import pathlib
import queue
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fakes.servers import json_server  # noqa: E402
from harness import (  # noqa: E402
    ROOT, WORK, Failed, Missing, Process, clean_environment, demo_node, die_with_parent, environment, expect,
    free_port, get, main_node, not_checked, refused_port, run, story, tool, wait_until, work_dir,
)

SIZES = {"phone": (360, 740), "touch": (800, 480), "desktop": (1280, 900)}
# Tablets on walls.
WALL_SIZES = {"phone": (360, 740), "touch": (800, 480), "desktop": (1280, 800)}
SCHEMES = ("light", "dark")
# Pinned, so that an update is a commit.
NPM_PACKAGES = {"playwright-core": "1.65.1", "axe-core": "4.14.1", "acorn": "8.19.0"}
README_SCREENSHOT = ROOT / "systemd" / "overview.png"
MARKUP = "<script>alert(1)</script>"
MAX_GZIP_BYTES = 30_000


@story(seconds=240, alone=True)
def pages():
    directory = work_dir("pages")
    with demo_node(directory) as demo, faulty_node(directory) as faults:
        pages_are_small_and_gzipped(demo, faults)
        text_browser(faults)
        markup_is_escaped(faults)
        wall_script_is_es5()
        with browser_driver(directory, browser_task(demo, faults)) as browser:
            renders_in_a_browser(browser)
            works_without_scripts(browser)
            charts_are_read_out(browser)
            updates_itself(browser, faults)
    expect("panicked" not in faults.node.output(), "no panic", faults.node.output())


# ---- The nodes ---------------------------------------------------------------------------


class Faults:
    """A node with an unreachable source, a stale key, an undelivered mail, a source with rejected
    values, and a source whose keys and texts are markup."""

    def __init__(self, directory, upstream):
        self.directory, self.address = directory, f"127.0.0.1:{free_port()}"
        self.dead, self.dead_port_holder = refused_port()
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
name = "markup"
url = "http://127.0.0.1:{upstream}/markup"
every = "5s"
[source.records]
"{MARKUP}" = {{ at = "/number" }}
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

    def respond(self, path):
        if path == "/meter":
            return {"power": self.power, "voltage": 99999}
        if path == "/once":
            return {} if self.stale else {"level": 4.5}
        return {"number": 1019.6, "words": MARKUP, MARKUP: 7}

    def start(self):
        self.node = Process([main_node(), "serve", "--config", self.file], self.directory / "faults.log", cwd=self.directory)
        wait_until(lambda: get(self.address, "/snapshot").status == 200, 15, lambda: f"the faulty node answers: {self.node.output()}")


@contextlib.contextmanager
def faulty_node(directory):
    faults = None
    with json_server(lambda path: faults.respond(path)) as upstream:
        faults = Faults(directory, upstream)
        faults.start()
        wait_until(lambda: "level" in get(faults.address, "/snapshot").text, 10, "the key that becomes stale has a value")
        faults.stale = True
        wait_until(lambda: shows_all_faults(faults), 30, lambda: f"/web shows all faults: {get(faults.address, '/web').text}")
        yield faults
        faults.node.stop()


def shows_all_faults(faults):
    page = get(faults.address, "/web").text
    return "tile stale" in page and "by mail wait" in page and "has never answered" in page


# ---- Without a browser -------------------------------------------------------------------

PAGES = ("/wall", "/web", "/web/alerts", "/web/system")


def pages_are_small_and_gzipped(demo, faults):
    for address, more in (
        (demo, ["/web/key/temperature", "/web/key/temperature?span=all", "/web/source/weather"]),
        (faults.address, ["/web/key/power", "/web/source/meter", "/web/source/dead"]),
    ):
        for path in [*PAGES, *more]:
            response = get(address, path, {"Accept-Encoding": "gzip"})
            expect(response.status == 200 and response["content-encoding"] == "gzip", f"{path} is gzipped", response.headers)
            expect(len(response.body) < MAX_GZIP_BYTES, f"{path} has {len(response.body)} bytes gzipped", len(response.body))
            expect(gzip.decompress(response.body).startswith(b"<!DOCTYPE html>"), "it is an HTML page", path)


def text_browser(faults):
    try:
        w3m = tool("w3m")
    except Missing as missing:
        not_checked(f"/web in w3m: {missing}")
        return
    code, text, err = run([w3m, "-dump", "-cols", "100", f"http://{faults.address}/web"], 15, env=environment())
    expect(code == 0, "w3m shows the overview", err)
    for wanted in ("dead", "connection refused or closed", "Power", "230.5", "hPa", "stale", "by mail wait", "Overview Charts Alerts", "System"):
        expect(wanted in text, f"w3m shows {wanted!r}", text)


def wall_script_is_es5():
    """Tablets on walls have old browsers."""
    acorn = npm_packages() / "acorn" / "bin" / "acorn"
    script = ROOT / "src" / "monitor" / "web" / "wall.js"
    code, _, err = run(["node", acorn, "--ecma5", "--silent", script], 15)
    expect(code == 0, "wall.js is ES5", err)


def markup_is_escaped(faults):
    page = get(faults.address, "/web").text
    expect("alert(1)" in page and "<script>alert" not in page, "markup from an API is escaped", page)


# ---- In a browser ------------------------------------------------------------------------


def npm_packages():
    """The node_modules directory with playwright-core and axe-core."""
    directory = WORK.parent / "tools" / "npm" / "pages"
    wanted = [f"{name}@{version}" for name, version in NPM_PACKAGES.items()]
    marker = directory / "holds"
    if not (marker.exists() and marker.read_text() == " ".join(wanted)):
        if not (shutil.which("npm") and shutil.which("node")):
            raise Missing("needs node and npm: sudo apt-get install nodejs npm")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text("{}")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", *wanted]
        done = subprocess.run(npm, cwd=directory, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Missing(f"npm could not install {' '.join(wanted)}: {done.stderr.strip()[-300:]}")
        marker.write_text(" ".join(wanted))
    return directory / "node_modules"


DEMO_PAGES = {
    "overview": "/web", "key": "/web/key/temperature", "source": "/web/source/weather", "alerts": "/web/alerts", "wall": "/wall",
    "system": "/web/system", "group": "/web/group/Rooms", "meter": "/web/key/solar.energy", "state": "/web/key/heatpump.mode",
    "warned": "/web/key/room.office.co2", "week": "/web/key/temperature?span=7d&vs=week", "choice": "/web/chart",
    "chart": "/web/chart?keys=room.kitchen.co2,room.office.co2,temperature",
}
FAULTS_PAGES = {
    "overview": "/web", "key": "/web/key/power", "source": "/web/source/dead", "alerts": "/web/alerts", "wall": "/wall", "system": "/web/system",
    "issues": "/web/source/meter", "stale": "/web/key/level", "lost": "/web/key/powr",
}


def browser_task(demo, faults):
    screenshots = WORK / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    views = []
    for node, address, paths in (("demo", demo, DEMO_PAGES), ("faults", faults.address, FAULTS_PAGES)):
        for page, path in paths.items():
            for size, (width, height) in (WALL_SIZES if path == "/wall" else SIZES).items():
                for scheme in SCHEMES:
                    # axe-core depends on layout and colours: one view of each.
                    run_axe = (size, scheme) in (("phone", "dark"), ("desktop", "light"))
                    if node == "demo" and page not in ("overview", "key", "wall") and not run_axe:
                        continue  # The layout is that of pages with all views.
                    views.append({"name": f"{node}-{page}-{size}-{scheme}", "url": f"http://{address}{path}", "width": width, "height": height, "scheme": scheme, "run_axe": run_axe, "status": 404 if page == "lost" else 200})
    return {
        "views": views, "screenshots": str(screenshots),
        "without_scripts": {"overview": f"http://{faults.address}/web", **{name: f"http://{demo}{DEMO_PAGES[name]}" for name in ("key", "meter", "chart", "wall")}},
        "chart": f"http://{demo}/web/key/room.bedroom.co2", "live": f"http://{faults.address}/web",
        "origin": {"demo": f"http://{demo}/", "faults": f"http://{faults.address}/"},
    }


class BrowserDriver:
    """The node.js process of pages.js: commands on stdin, results on stdout, as JSON lines."""

    def __init__(self, directory, task):
        task = {**task, "modules": str(npm_packages()), "browser": str(tool("chromium"))}
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

    def receive(self, name, seconds):
        try:
            received, value = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"no {name!r} from the browser within {seconds} s") from None
        if received != name:
            raise Failed(f"expected {name!r} from the browser\n        actual: {(received, value)}")
        return value

    def command(self, name, argument=None, seconds=30):
        self.process.stdin.write(json.dumps([name, argument]) + "\n")
        self.process.stdin.flush()
        return self.receive(name, seconds)


@contextlib.contextmanager
def browser_driver(directory, task):
    driver = BrowserDriver(directory, task)
    try:
        yield driver
    finally:
        driver.process.kill()
        driver.process.wait()
        driver.log.close()


def renders_in_a_browser(browser):
    found = browser.receive("views", 180)
    for key, description in (
        ("errors", "no script error, no dialog, no request to another origin"),
        ("violations", "no axe-core violations"),
        ("overflow", "no horizontal scrolling"),
        ("wrapped", "value, unit and trend of a tile are on one line"),
        ("clipped", "no content overflows its box"),
        ("outside", "a wall page fits the screen, its texts their cells"),
    ):
        count = sum(view["checked"] for view in found) if key == "violations" else len(found)
        problems = {view["name"]: view[key] for view in found if view[key]}
        expect(not problems, f"{description}, on {count} views", problems)


def works_without_scripts(browser):
    found = browser.receive("without_scripts", 30)
    text = found["overview"]["text"]
    expect("230.5" in text and "connection refused or closed" in text, "without scripts the page shows the same", text)
    for page, shape in (("key", "<path"), ("chart", "<path"), ("meter", "<rect")):
        html = found[page]["html"]
        expect(shape in html.partition("svg class=\"lines\"")[2], f"a chart of {page} is drawn", html)
        expect(html.count("<tr>") > 10, "with its table", html)
        expect("span=7d" in html, "and links to other spans", html)
    expect("°C" in found["wall"]["html"], "the wall page has values", found["wall"])


def charts_are_read_out(browser):
    found = browser.receive("chart", 60)
    expect(not found["errors"], "no script error", found)
    (first, second), keys = found["mouse"], found["keys"]
    expect("ppm" in first and "ppm" in second and first != second, "a chart reads out the point below the mouse", found)
    expect(found["crosses"] == 1 and found["left"] == "", "marks it, until the mouse leaves", found)
    end, after_home = keys["ArrowRight"]
    expect(keys["End"] == [end] and end not in keys["ArrowLeft"] and "ppm" in keys["ArrowLeft"][0], "arrow keys read point by point", keys)
    expect(after_home not in keys["Home"] and "ppm" in keys["Home"][0], "Home goes to the first", keys)
    expect(keys["Escape"] == [""], "Escape clears it", keys)
    expect("from=" in found["zoom"] and "to=" in found["zoom"], "dragging over it shows that time", found["zoom"])


def updates_itself(browser, faults):
    browser.receive("loaded", 10)
    faults.power = 777
    shown = browser.command("shows", "777")
    expect(shown is True, "a changed value appears without a reload", shown)
    code, _ = faults.node.stop()
    expect(code == 0, "the node stops while a page is open", faults.node.output())
    shown = browser.command("offline")
    expect(shown is True, "the page shows that the node does not answer", shown)
    faults.power = 888
    faults.start()
    shown = browser.command("shows", "888")
    expect(shown is True, "after a restart the same page shows new values", shown)
    expect(browser.command("online") is True, "the page no longer shows the node as offline")
    faults.power = 999
    expect(browser.command("shows", "999", 20) is True, "the page is updated again")


# ---- README's screenshot --------------------------------------------------------------------


def is_complete(demo):
    """Nothing fails just now, and the past is there."""
    return get(demo, "/status").json["status"] == "pass" and "being generated" not in get(demo, "/web").text


def screenshot():
    """The demo's overview."""
    directory = work_dir("screenshot")
    with demo_node(directory) as demo:
        wait_until(lambda: is_complete(demo), 240, "the demo has a year of history")
        view = {"name": "demo-readme", "url": f"http://{demo}/web", "width": 1280, "height": 640, "scheme": "light", "run_axe": False}
        task = {"views": [view], "screenshots": str(directory), "origin": {"demo": f"http://{demo}/"}}
        with browser_driver(directory, task) as browser:
            browser.receive("views", 30)
    shutil.copyfile(directory / "demo-readme.png", README_SCREENSHOT)
    print(f"{README_SCREENSHOT.relative_to(ROOT)}: {README_SCREENSHOT.stat().st_size} bytes")


if __name__ == "__main__":
    try:
        screenshot()
    except (Failed, Missing) as problem:
        sys.exit(f"make screenshot: {problem}")
