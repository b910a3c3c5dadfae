"""Devices that show pictures: TRMNL's firmware, MicroPython on a microcontroller, ESPHome."""

import datetime
import shutil
import signal

from fakes.servers import json_server
from fakes.trmnl_device import TrmnlDevice
from harness import (
    ROOT, Process, expect, free_port, get, main_node, parse_metrics, run, source_table, start_node, story, venv,
    wait_until, with_trusted_clock, work_dir,
)
from pictures import BLACK, decode
from stories.access import basic_auth
from stories.displays import display_table, values_of

EXAMPLES = ROOT / "docs" / "examples"
HALL, ATTIC, STRANGER = "AA:BB:CC:DD:EE:01", "AA:BB:CC:DD:EE:02", "AA:BB:CC:DD:EE:03"
PASSWORD = "open: sesame"


class Node:
    """A node whose source answers `values`, with two TRMNL displays; its clock is synchronised."""

    def __init__(self, directory, upstream, *lines):
        self.directory, self.address = directory, f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.headers = {}
        hall = display_table("hall", 'model = "trmnl-og"', f'device = "{HALL.lower()}"')
        attic = display_table("attic", 'model = "trmnl-og"', f'device = "{ATTIC}"', f'quiet = "{quiet_hours()[0]}"')
        alert = '[[alert.display]]\nname = "hall"\nbattery_below = "20%"\n'
        head = f'name = "house"\nlisten = "{self.address}"\ndatabase = "house.db"\ntimezone = "UTC"\n'
        source = source_table("house", f'url = "http://127.0.0.1:{upstream}/"')
        self.file = directory / "house.toml"
        self.file.write_text("\n".join([head, *lines, source, hall, attic, alert]))
        self.process, self.starts = None, 0

    def start(self):
        self.starts += 1
        command = with_trusted_clock([main_node(), "serve", "--config", self.file])
        self.process = Process(command, self.directory / f"house-{self.starts}.log", cwd=self.directory)
        wait_until(lambda: get(self.address, "/healthz").status == 200, 30, lambda: f"the node starts: {self.process.output()}")

    def get(self, path, **headers):
        return get(self.address, path, {**self.headers, **headers})

    def wait_for_value(self, key, value):
        wait_until(lambda: values_of(self.address, self.headers).get(key) == value, 30, lambda: f"{key} is {value}: {self.process.output()}")

    def display(self, name):
        return next(it for it in self.get("/status").json["displays"] if it["display"] == name)


def quiet_hours():
    """A window around now, and when it ends."""
    now = datetime.datetime.now(datetime.UTC)
    begin, end = now - datetime.timedelta(hours=1), (now + datetime.timedelta(hours=3)).replace(second=0, microsecond=0)
    return f"{begin:%H:%M}-{end:%H:%M}", end


@story(seconds=150)
def trmnl():
    directory, values = work_dir("trmnl"), {"temperature": 21.5, "co2": 640, "humidity": 45}
    with json_server(lambda _: values) as upstream:
        node = Node(directory, upstream)
        node.start()
        node.wait_for_value("humidity", 45)
        device = TrmnlDevice(node.url, HALL)
        expect(device.setup(), "a device of the configuration gets a key and the picture of setup")
        expect(device.friendly_id == device.friendly_id.upper() and len(device.key) == 64, "with a friendly id", device.friendly_id)
        strangers_are_shown(node)
        fifty_polls(node, device, values)
        node_restarts(node, device)
        quiet_hours_are_slept_through(node)
        logs_are_taken(node, device)
        keys_are_checked(node, device)
        telemetry_is_shown(node, device)
        node.process.stop()
        expect("panicked" not in node.process.output() and device.key not in node.process.output(), "no panic, no key in the log", node.process.output())


def strangers_are_shown(node):
    stranger = TrmnlDevice(node.url, STRANGER)
    expect(not stranger.setup() and stranger.waits == [900] and stranger.key is None, "a stranger gets none", stranger.waits)
    reply = node.get("/api/setup", ID=STRANGER)
    expect(reply.status == 404 and reply.json["status"] == 404 and STRANGER in reply.json["message"], "but 404 and how to add it", reply)
    page = node.get("/web/system").text
    expect(f"device = &quot;{STRANGER}&quot;" in page or f'device = "{STRANGER}"' in page, "the page System has the line to paste", page)


def fifty_polls(node, device, values):
    downloads = [device.poll() for _ in range(50)]
    expect(downloads == [True] + [False] * 49, "of 50 polls of unchanged values, the first downloads", downloads)
    expect(device.waits == [900] * 50 and device.filename.startswith("hall-"), "each is told to wait for `every`", device.waits)
    direct = node.get("/display/hall.png").body
    expect(device.image == direct, "it is the picture of /display/hall.png, byte for byte")
    before = decode(device.image)
    expect(before == decode(node.get("/display/hall.bmp").body), "bit by bit that of the BMP")
    shown = device.filename
    values["co2"] = 655
    node.wait_for_value("co2", 655)
    expect(device.poll() and not device.poll() and device.filename != shown, "a changed value is one more download", device.filename)
    expect(decode(device.image) != before, "of another picture")
    expect(device.image == node.get("/display/hall.png").body, "that of /display/hall.png")
    values["co2"] = 640
    node.wait_for_value("co2", 640)
    expect(device.poll() and device.filename == shown, "the values of before have the name of before", (shown, device.filename))


def node_restarts(node, device):
    key, shown = device.key, device.filename
    for stop, description in ((lambda: node.process.stop(10), "SIGTERM"), (lambda: node.process.kill(), "kill -9")):
        stop()
        waits = len(device.waits)
        expect(not device.poll() and device.waits[waits:] == [2] * 5 + [15], f"{description}: without the node it tries again", device.waits[waits:])
        node.start()
        downloads = [device.poll()]
        node.wait_for_value("humidity", 45)
        downloads += [device.poll() for _ in range(3)]
        expect(device.filename == shown and not any(downloads), f"{description}: after a restart there is nothing new to show", (shown, device.filename))
        expect(device.key == key and device.setup() and device.key == key, f"{description}: its key is the same")
    expect(node.get("/display/hall.png").status == 200, "pictures are there")


def quiet_hours_are_slept_through(node):
    device = TrmnlDevice(node.url, ATTIC)
    expect(device.setup() and device.poll(), "another device is set up")
    left = (quiet_hours()[1] - datetime.datetime.now(datetime.UTC)).total_seconds()
    # The window of the configuration is as old as the story.
    expect(left - 150 <= device.refresh_rate <= left + 150, "within quiet hours it sleeps until their end", (device.refresh_rate, left))


def logs_are_taken(node, device):
    expect(device.log("woke up") == 204 and device.unsent == [], "a log is taken")
    expect(device.log("again") == 429 and device.unsent, "a second one within a second is not, and kept", device.unsent)
    wait_until(lambda: device.log("and again") == 204, 10, "both come later", poll_every=1.1)
    expect(node.display("hall")["last_log"] is not None, "/status has its time", node.display("hall"))


def keys_are_checked(node, device):
    other = TrmnlDevice(node.url, HALL, source="127.0.0.2")
    other.key, other.filename = "00" * 32, device.filename
    expect(not other.poll() and other.waits == [15], "a wrong key: nothing to show, and it asks again later", other.waits)
    expect(other.log("wrong") == 401, "nor a log")
    attic = TrmnlDevice(node.url, ATTIC, source="127.0.0.2")
    attic.key = device.key
    expect(not attic.poll(), "nor with the key of another device")
    statuses = []
    wait_until(lambda: statuses.append(other.log("guess")) or statuses[-1] == 429, 20, lambda: f"too many wrong keys end with 429: {statuses}")
    expect(len(statuses) <= 10 and set(statuses[:-1]) == {401}, "after ten in a minute", statuses)
    expect(device.log("I am here") in (204, 429) and not device.poll(), "other addresses are not affected", device.waits[-1])


def telemetry_is_shown(node, device):
    device.battery, device.rssi = "4.02", "-58"
    device.poll()
    shown = node.display("hall")
    expect(shown["battery_volts"] == 4.02 and 89 < shown["battery_percent"] < 91, "/status has its battery", shown)
    expect(shown["rssi_dbm"] == -58 and shown["firmware"] == device.firmware and shown["model"] == "og", "its signal, firmware, model", shown)
    expect(0 < shown["next_poll_s"] <= 900 and not shown["silent"], "and when it asks next", shown)
    metrics = parse_metrics(node.get("/metrics").text)
    for name, value in (("battery_volts", 4.02), ("battery_percent", shown["battery_percent"]), ("rssi_dbm", -58)):
        samples = [it for labels, it in metrics[f"mainnode_display_{name}"] if labels == {"display": "hall"}]
        expect(samples == [value], f"/metrics has {name}", metrics[f"mainnode_display_{name}"])
    page = node.get("/web/system").text.partition("<h2>Displays</h2>")[2]
    expect("4.02 V (90 %)" in page and "signal -58 dBm" in page, "the page System has both", page)

    shown = device.filename
    device.battery = "3.40"
    expect(device.poll() and device.filename != shown, "a low battery is another picture", device.filename)
    picture = node.get("/display/hall.json").json
    expect(picture["battery"] == "battery 15 %", "which shows it in steps", picture)
    alert = wait_until(lambda: open_alert(node), 20, lambda: f"`battery_below` opens an alert: {node.get('/status').json['alerts']}")
    expect("3.40 V" in alert["words"] and "hall" in alert["words"] and not alert["recovering"], "and opens an alert", alert)
    device.battery = "4.00"
    device.poll()
    # It ends a minute later.
    wait_until(lambda: open_alert(node)["recovering"], 20, lambda: f"a full one ends it: {open_alert(node)}")
    expect(node.get("/display/hall.json").json["battery"] is None, "and is not shown")


def open_alert(node):
    return next((it for it in node.get("/status").json["alerts"] if it["name"] == "battery:hall"), None)


@story(seconds=90)
def trmnl_password():
    directory, values = work_dir("trmnl-password"), {"temperature": 21.5, "co2": 640, "humidity": 45}
    (directory / "password").write_text(PASSWORD + "\n")
    with json_server(lambda _: values) as upstream:
        node = Node(directory, upstream, 'password_file = "password"')
        node.headers = basic_auth(PASSWORD)
        node.start()
        node.wait_for_value("humidity", 45)
        device = TrmnlDevice(node.url, HALL)
        expect(device.setup() and device.poll(), "a device is set up once without the password")
        key = device.key
        expect(device.image == node.get("/display/hall.png").body, "and gets its picture")
        attacker = TrmnlDevice(node.url, HALL)
        expect(not attacker.setup() and attacker.waits == [900] and attacker.key is None, "who has its MAC does not get the key too")
        node.process.stop(10)
        node.start()
        node.wait_for_value("humidity", 45)
        expect(not attacker.setup() and not device.poll() and device.waits[-1] == 900, "nor after a restart, when its key is still good")
        key_opens_its_picture_alone(node, key)
        code, out, err = run([main_node(), "pair", "--config", node.file, "hall"], 20, cwd=directory)
        expect(code == 0 and HALL in out and key in out, "`main-node pair` says that it may be set up again, and the key for programs that ask for it", (code, out, err))
        expect(TrmnlDevice(node.url, HALL).setup(), "then it may")
        again = TrmnlDevice(node.url, HALL)
        expect(again.setup() and again.key == key, "for ten minutes, with the same key")
        code, out, err = run([main_node(), "pair", "--config", node.file, "cellar"], 20, cwd=directory)
        expect(code != 0 and "hall" in err and "attic" in err, "another name: it says which there are", (code, out, err))
        stored = directory / "displays.json"
        expect(stored.stat().st_mode & 0o777 == 0o600 and key not in stored.read_text(), "no key is on the disk, and the file is private")
        node.process.stop()


def key_opens_its_picture_alone(node, key):
    token = {"Access-Token": key}
    for extension in ("png", "bmp", "raw", "json"):
        reply = get(node.address, f"/display/hall.{extension}", token)
        expect(reply.status == 200, f"its key opens /display/hall.{extension}", reply)
    for path in ("/display/attic.png", "/snapshot", "/web", "/web/system", "/status", "/metrics", "/history?key=co2", "/events", "/display/hall"):
        reply = get(node.address, path, token)
        expect(reply.status == 401, f"not {path}", reply.status)
    # From another address, whose guesses are counted.
    reply = get(node.address, "/display/hall.png", {"Access-Token": "00" * 32}, source="127.0.0.2")
    expect(reply.status == 401, "a wrong key opens nothing", reply)
    expect(get(node.address, "/display/hall.png").status == 401, "nor does none")


# The modules of a board: its network, its sleep, and the driver of its panel, which checks the frame and writes it
# as digits.
BOARD = {
    "network.py": "STA_IF = 0\nclass WLAN:\n    def __init__(self, kind): pass\n    def active(self, on): pass\n"
    "    def connect(self, name, password): pass\n    def isconnected(self): return True\n",
    "machine.py": "def deepsleep(ms): print('sleeps', ms)\n",
    "epd.py": '''
import framebuf
class EPD:
    def init(self): self.ready = True
    def display(self, frame):
        assert self.ready and len(frame) == 15000, len(frame)
        pixels = framebuf.FrameBuffer(frame, 400, 300, framebuf.MONO_HLSB)
        with open("shown", "w") as file:
            for y in range(300):
                file.write("".join(str(pixels.pixel(x, y)) for x in range(400)))
    def sleep(self): self.ready = False
''',
}


@story(seconds=90)
def display_micropython():
    micropython = venv("micropython") / "micropython"
    directory, port, values = work_dir("display-micropython"), free_port(), {"temperature": 21.5, "co2": 640, "humidity": 45}
    address = f"127.0.0.1:{port}"
    text = (EXAMPLES / "micropython_epaper.py").read_text()
    expect(len(text.splitlines()) <= 40, "the sketch has at most 40 lines", len(text.splitlines()))
    board = directory / "board"
    board.mkdir()
    for name, module in BOARD.items():
        (board / name).write_text(module)
    (board / "main.py").write_text(text.replace("192.168.1.20:8000", address))

    def wake():
        code, out, err = run([micropython, "main.py"], 30, cwd=board)
        expect(code == 0, "the sketch runs", (code, out, err))
        return out

    with json_server(lambda _: values) as upstream:
        expect("no picture" in wake() and not (board / "shown").exists(), "without the node nothing is shown")
        desk = display_table("desk", 'model = "waveshare-4.2"', 'every = "5m"')
        node = start_node(directory, "house", port, source_table("house", f'url = "http://127.0.0.1:{upstream}/"'), desk)
        wait_until(lambda: values_of(address) == values, 30, lambda: f"the node has values: {node.output()}")
        out = wake()
        expect("200 15000 bytes" in out and "sleeps 300000" in out, "it shows the picture and sleeps for `every`", out)
        expect_shown(board, address)
        (board / "shown").unlink()
        out = wake()
        expect("304" in out and "sleeps 300000" in out and not (board / "shown").exists(), "an unchanged one is not sent and not shown again", out)
        values["co2"] = 655
        wait_until(lambda: values_of(address) == values, 30, "a value changes")
        out = wake()
        expect("200 15000 bytes" in out, "a changed one is", out)
        expect_shown(board, address)
        node.signal(signal.SIGKILL)
        expect("sleeps 60000" in wake() and (board / "etag").exists(), "while the node is away it asks each minute")


def expect_shown(board, address):
    _, pixels = decode(get(address, "/display/desk.png").body)
    shown = (board / "shown").read_text()
    different = sum((pixel == BLACK) != (digit == "0") for pixel, digit in zip(pixels, shown, strict=True))
    expect(different == 0 and "0" in shown, "its pixels are those of the PNG", different)


@story(seconds=150)
def display_esphome():
    esphome, directory = venv("esphome") / "esphome", work_dir("display-esphome")
    file = directory / "desk.yaml"
    shutil.copyfile(EXAMPLES / "esphome_display.yaml", file)
    code, out, err = run([esphome, "config", file], 60, cwd=directory)
    expect(code == 0 and "Configuration is valid" in out + err, "ESPHome takes its example", out[-1500:] + err[-1500:])
