"""Push displays: AWTRIX 3 displays that are slow, away or restarted, and receivers by template."""

import json
import time

from fakes.awtrix import Awtrix
from fakes.push_receiver import PushReceiver
from fakes.servers import json_server
from harness import expect, free_port, main_node, output_status, run, source_table, start_node, story, wait_until, work_dir

SHOWN_WITHIN = 8


def display(name, receiver, more):
    return f'[[push]]\nname = "{name}"\nurl = "{receiver.url}"\nformat = "awtrix"\n{more}\n'


@story(seconds=120)
def push():
    directory, port = work_dir("push"), free_port()
    address = f"127.0.0.1:{port}"
    house = {"power": 4200, "t": 21.5, "sky": "Grün {{solar/power}}"}
    sauna = {"t": 80}

    def respond(path):
        value = sauna if path == "/sauna" else house
        return b"" if value is None else dict(value)

    with json_server(respond) as upstream, Awtrix(login=("me", "pa:ss")) as clock, Awtrix() as wall, PushReceiver() as sign, PushReceiver() as copy:
        sources = (
            f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{upstream}/house"\nevery = "1s"\n[source.records]\n'
            'power = { at = "/power", unit = "W" }\nt = { at = "/t", unit = "°C" }\nsky = { at = "/sky", text = true }\n'
            '[key.power]\nwarn = ">5000"\nbad = ">9000"\n'
            f'[[source]]\nname = "sauna"\nurl = "http://127.0.0.1:{upstream}/sauna"\nevery = "1s"\n[source.records]\n'
            '"t.sauna" = { at = "/t", unit = "°C" }\n'
        )
        for other in (clock, wall):
            other.put("bitcoin", text="1")
        wall.put("main-node~house~removed.key~", text="7", lifetimeMode=1)
        wall.put("main-node~garden~power~", text="8", lifetimeMode=1)
        pushes = (
            display("clock", clock, 'keys = ["power", "t*", "sky"]\nicons = { power = "27464" }\nuser = "me"\npassword = "pa:ss"\nlifetime = "10s"'),
            display("wall", wall, 'keys = ["t*"]\nlifetime_mode = "mark"'),
            f'[[push]]\nname = "sign"\nurl = "{sign.url}/{{key}}"\nmethod = "PUT"\nkeys = ["sky", "t"]\n'
            'headers = { X-Key = "${SIGN_KEY}" }\n'
            """body = '{"label": "{label}", "value": {value}, "stale": {stale}, "text": "{text}"}'\n""",
            f'[[push]]\nname = "copy"\nurl = "{copy.url}/"\nformat = "json"\n',
        )
        (directory / ".env").write_text("SIGN_KEY=e2e-secret-key\n")
        node = start_node(directory, "house", port, sources, *pushes)
        started = time.monotonic()

        apps = wait_until(lambda: len(shown := clock.shown()) == 5 and shown, SHOWN_WITHIN, lambda: f"four apps: {clock.shown()} {node.output()}")
        expect(apps["power"]["text"] == "4 200 W" and apps["power"]["icon"] == "27464", "a key with an icon shows its value", apps)
        expect(apps["t.sauna"]["text"].endswith("80 °C") and "color" not in apps["t.sauna"], "a key without one shows its label too", apps)
        expect(apps["sky"]["text"].endswith("Grün { {solar/power}}"), "braces in a text are no topic of a broker", apps)
        expect(not clock.errors + wall.errors, "every property is as AWTRIX documents it", clock.errors + wall.errors)
        by_template(sign, copy, address)

        changes(clock, house)
        staleness(clock, wall, sauna)
        restarts(clock, house)
        slowness(clock, house)
        absence(clock, house, address)

        log = node.output()
        expect("e2e-secret-key" not in log and "pa:ss" not in log and "panicked" not in log, "no secret and no panic in the log", log)
        wait_until(lambda: "removed.key" not in wall.shown(), 75 - (time.monotonic() - started), "an app of an earlier run is removed")
        expect({"bitcoin", "power"} <= wall.shown().keys(), "apps of others stay", wall.shown())
        code, seconds = node.stop()
        expect(code == 0 and seconds < 2, "SIGTERM stops it at once", (code, seconds))
        wait_until(lambda: not clock.shown(), 12, lambda: f"apps end with their lifetime when main-node is off: {clock.shown()}")
        checks(directory, clock)


def by_template(sign, copy, address):
    def last(path):
        found = [(headers, json.loads(body)) for method, at, headers, body in sign.received if (method, at) == ("PUT", path)]
        return found[-1] if found else None

    headers, body = wait_until(lambda: last("/t") and last("/sky"), SHOWN_WITHIN, "the template is sent for each key")
    text = "Grün {{solar/power}}"
    expect(body == {"label": "Sky", "value": text, "stale": False, "text": text}, "a text is escaped in JSON", body)
    expect(headers["X-Key"] == "e2e-secret-key" and headers["Content-Type"] == "application/json", "with headers", headers.items())
    expect(last("/t")[1]["value"] == 21.5, "a number stays one")
    body = wait_until(lambda: copy.received and json.loads(copy.received[-1][3]), SHOWN_WITHIN, "the snapshot is posted")
    wait_until(lambda: len(json.loads(copy.received[-1][3])["records"]) == 4, SHOWN_WITHIN, "with all records")
    expect(list(json.loads(copy.received[-1][3])) == ["timestamp", "records", "summary"], "the body is that of /snapshot", body)
    count = len(sign.received)
    time.sleep(2.5)
    expect(len(sign.received) == count, "nothing is sent while nothing changes", sign.received[count:])
    expect(output_status(address, "push sign")["state"] == "up", "/status shows it")


def changes(clock, house):
    count = len(clock.received)
    house["power"] = 9500
    wait_until(lambda: clock.texts()["power"] == "9 500 W", SHOWN_WITHIN, "a change is shown")
    expect(clock.shown()["power"]["color"] == "#FF0000", "a bad value is red", clock.shown()["power"])
    others = [path for method, path, _, _ in clock.received[count:] if "~power~" not in path]
    expect(len(others) <= 4, "of the others none, but for the half of the lifetime", others)


def staleness(clock, wall, sauna):
    sauna.clear()
    wait_until(lambda: "t.sauna" not in clock.shown(), SHOWN_WITHIN, "a stale value is taken off the display")
    marked = wait_until(lambda: (app := wall.shown()["t.sauna"]).get("frame") and app, SHOWN_WITHIN, "or it gets a red frame at once")
    expect(marked["color"] == "#808080" and marked["text"].endswith("80 °C"), "and is grey", marked)
    sauna["t"] = 70
    wait_until(lambda: clock.texts().get("t.sauna", "").endswith("70 °C"), SHOWN_WITHIN, "it comes back")
    expect("frame" not in wall.shown()["t.sauna"], "without a frame")
    # On the display, "t" is the begin of "t.sauna".
    house_key = clock.shown()["t"]
    expect(house_key["text"].endswith("21.5 °C"), "a key whose name begins like it stays")


def restarts(clock, house):
    clock.restart()
    begun = time.monotonic()
    wait_until(lambda: len(clock.shown()) == 4, SHOWN_WITHIN, "a display that was restarted has all apps again")
    expect(time.monotonic() - begun < 7, "after half of the lifetime")


def slowness(clock, house):
    clock.most_running, clock.delay = 0, 0.7
    for power in range(100, 108):
        house["power"] = power
        time.sleep(0.5)
    wait_until(lambda: clock.texts()["power"] == "107 W", SHOWN_WITHIN, "a slow display ends with the newest value")
    expect(clock.most_running == 1, "and has one request at a time", clock.most_running)
    clock.delay = 0


def absence(clock, house, address):
    clock.stop()
    house["power"] = 1
    trouble = wait_until(lambda: output_status(address, "push clock")["trouble"], SHOWN_WITHIN, "/status says that the display is away")
    expect("refused" in trouble, "and why", trouble)
    house["power"], house["t"] = 2, 22.5
    clock.restart()
    clock.start()
    wait_until(lambda: clock.texts().get("power") == "2 W" and len(clock.shown()) == 4, 12, lambda: f"it has the newest values when it is back: {clock.texts()}")
    expect(clock.texts()["t"].endswith("22.5 °C"), "all of them", clock.texts())
    expect(output_status(address, "push clock")["state"] == "up", "/status shows that too")


def checks(directory, clock):
    def check(receiver, more="", password="pa:ss"):
        file = directory / "check.toml"
        file.write_text(
            f'database = "{directory}/check.db"\nlisten = "127.0.0.1:{free_port()}"\n' + source_table("house", f'url = "{receiver.url}/"')
            + display("clock", receiver, f'keys = ["t"]\nuser = "me"\npassword = "{password}"\n{more}')
        )
        _, out, err = run([main_node(), "check", "--online", "--config", file], 30, cwd=directory)
        return out + err

    out = check(clock)
    expect("push clock: AWTRIX 0.96" in out and "pa:ss" not in out, "`check --online` names the version", out)
    expect("HTTP 401" in check(clock, password="no"), "a wrong password is found")
    with Awtrix(has_api=False) as other:
        expect("no HTTP API of AWTRIX 3" in check(other), "another device is told from an AWTRIX display")
