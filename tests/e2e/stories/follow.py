"""Two nodes, one following the other: what the second shows, that it lives through the
first one's death and heals by itself, and that a circle is refused."""

import contextlib
import signal
import time

from harness import Program, expect, free_port, get, json_server, main_node, room, story, until


class Meter:
    """A REST server whose values move; it leaves out `cellar` and answers no `/gauge` while
    told so."""

    def __init__(self):
        self.cellar_answers, self.gauge_answers, self.calls = True, True, 0

    def answer(self, path):
        if path == "/gauge":
            return {"pressure": 1013} if self.gauge_answers else {"error": "no gauge"}
        self.calls += 1
        # Never the same twice: a value that stood still would say nothing about freshness.
        values = {"watts": 7 + self.calls / 1000, "rooms": {"hall": 20 + self.calls % 3}}
        return {**values, "cellar": 11.5} if self.cellar_answers else values


METER_KEYS = """
[key.watts]
unit = "W"
[key."rooms.hall"]
unit = "°C"
[key.cellar]
unit = "°C"
"""

# Of all alerts that of a source ends soonest: after so many successes.
GAUGE_ALERT = """
[alert]
recover_after = 1
[alert.source.gauge]
no_success_for = "2s"
"""


def node(place, name, port, *tables):
    """A node's `serve`; its log and its database bear its name."""
    head = f'name = "{name}"\nlisten = "127.0.0.1:{port}"\ndatabase = "{place / name}.db"\n'
    file = place / f"{name}.toml"
    file.write_text(head + "\n".join(tables))
    return Program([main_node(), "serve", "--config", file], place / f"{name}.log", cwd=place)


def source(name, target):
    return f'[[source]]\nname = "{name}"\n{target}\nevery = "1s"\n'


def full(address):
    return get(address, "/snapshot?full=1").json


def records(address):
    return {record["key"]: record for record in full(address)["records"]}


def source_status(address, name):
    return next(it for it in get(address, "/status").json["sources"] if it["name"] == name)


@story(seconds=150)
def follow():
    place, meter = room("follow"), Meter()
    with json_server(meter.answer) as upstream:
        ports = free_port(), free_port()
        a, b = (f"127.0.0.1:{port}" for port in ports)

        def start_first():
            meter_source = source("meter", f'url = "http://127.0.0.1:{upstream}/"')
            gauge_source = source("gauge", f'url = "http://127.0.0.1:{upstream}/gauge"')
            return node(place, "attic", ports[0], meter_source, gauge_source, METER_KEYS, GAUGE_ALERT)

        first = start_first()
        second = node(place, "hall", ports[1], source("main", f'follow = "http://{a}"'))
        shows_the_same(a, b, second)
        carries_staleness_and_alert(meter, a, b)
        first = lives_on_alone(first, a, b, second, start_first)
        for program in (second, first):
            code, seconds = program.stop()
            expect(code == 0 and seconds < 5, "SIGTERM ends it with 0 within 5 s", (code, seconds, program.said()))
            expect("panicked" not in program.said(), "nothing panicked on the way", program.said())
    a_circle_is_refused()


def shows_the_same(a, b, second):
    wanted = {"watts", "rooms.hall", "cellar", "pressure"}
    until(lambda: wanted <= set(records(b)), 30, lambda: f"the second shows the first one's keys; it said {second.said()}")

    def said(record):
        return tuple(record.get(field) for field in ("key", "value", "unit", "observed", "stale"))

    # Both move every second, so what the second shows is something the first has said.
    heard = set()

    def word_for_word():
        heard.update(map(said, records(a).values()))
        there = records(b)
        moved = len({it for it in heard if it[0] == "watts"}) > 2
        return there if moved and set(map(said, there.values())) <= heard else None

    there = until(word_for_word, 20, lambda: f"the second says word for word what the first does: {records(a)} {records(b)}")
    expect(set(there) == wanted, "the second shows the same keys", sorted(there))
    expect((there["watts"]["unit"], there["cellar"]["unit"]) == ("W", "°C"), "with value, unit, observed and stale of the first", there)
    expect((full(a)["node"], full(a)["via"]) == ("attic", []), "the first says its name, and that its data came through nobody", full(a))
    expect((full(b)["node"], full(b)["via"]) == ("hall", ["attic"]), "the second has a name of its own, and `via` names the first", full(b))
    expect(source_status(b, "main")["state"] == "up", "and calls it up", source_status(b, "main"))


def carries_staleness_and_alert(meter, a, b):
    meter.cellar_answers = False
    for address, whose in ((a, "the first"), (b, "the second")):
        until(lambda: records(address)["cellar"]["stale"], 20, f"{whose} marks the key that went away stale")
    there, here = records(a), records(b)
    expect(not here["watts"]["stale"] and not here["rooms.hall"]["stale"], "the key that went away is stale on the second too, alone", here)
    expect(here["cellar"]["observed"] == there["cellar"]["observed"], "since it was observed when the first says", (here, there))

    meter.gauge_answers = False
    told = until(lambda: get(a, "/snapshot").json.get("alert"), 30, "the first has an alert")
    carried = until(lambda: get(b, "/snapshot").json.get("alert"), 20, "the second carries it")
    expect(carried == told, f"the alert of the first stands on the second: {told}", (told, carried))
    meter.gauge_answers = True
    for address, whose in ((a, "the first"), (b, "the second")):
        until(lambda: not get(address, "/snapshot").json.get("alert"), 30, f"it ends on {whose}")
    expect(True, "and ends there too when it ends on the first")
    meter.cellar_answers = True
    until(lambda: not records(b)["cellar"]["stale"], 20, "the key that came back is fresh on the second")


def lives_on_alone(first, a, b, second, start_first):
    first.signal(signal.SIGKILL)
    first.wait(5)
    killed, last = time.monotonic(), records(b)
    expect(not any(record["stale"] for record in last.values()), "right behind the kill all that the second shows is fresh", last)

    def all_stale():
        shown = get(b, "/snapshot")
        expect_served(shown, last)
        return shown.json.get("stale")

    until(all_stale, 15, "the second marks what it has stale")
    took = time.monotonic() - killed
    # 3 × every is its stale_after; the newest word may be a second old at the kill.
    expect(1.5 < took < 6, f"its last values stay served, and are stale after its stale_after ({took:.1f} s)", took)
    shown = records(b)
    unmoved = all(shown[key]["value"] == last[key]["value"] for key in last if shown[key]["observed"] == last[key]["observed"])
    expect(set(shown) == set(last) and unmoved, "each with its value and the time it was observed", (shown, last))
    status = until(lambda: (it := source_status(b, "main"))["state"] != "up" and it, 10, "/status says so")
    cause = status["last_failure"]["cause"]
    expect(cause == "connect", f"/status names the cause connect: {status['last_failure']['detail']}", status)
    expect(get(b, "/healthz").status == 200 and second.running(), "the second itself is alive")

    first = start_first()

    def healed():
        return source_status(b, "main")["state"] == "up" and not any(it["stale"] for it in records(b).values())

    # Its calls are further apart the longer the first is away.
    until(healed, 60, lambda: f"the second heals by itself: {source_status(b, 'main')} {records(b)}")
    moving = records(b)["watts"]["value"]
    until(lambda: records(b)["watts"]["value"] != moving, 20, "its values move again")
    expect(True, "the first is back on its port: the second heals by itself, and its values move")
    return first


def expect_served(shown, last):
    """Without a word while it holds: it is asked twenty times a second."""
    keys = {record["key"] for record in shown.json["records"]} if shown.status == 200 else set()
    if keys != set(last):
        expect(False, "its last values stay served", shown)


def a_circle_is_refused():
    place, ports = room("follow-circle"), (free_port(), free_port())
    left, right = (f"127.0.0.1:{port}" for port in ports)
    with json_server(lambda path: {"watts": 7.5}) as upstream, contextlib.ExitStack() as ends:
        own = source("meter", f'url = "http://127.0.0.1:{upstream}/"')
        programs = [
            node(place, "left", ports[0], own, source("right", f'follow = "http://{right}"')),
            node(place, "right", ports[1], source("left", f'follow = "http://{left}"')),
        ]
        for program in programs:
            ends.callback(program.kill)
        until(lambda: "watts" in records(right), 30, lambda: f"one gives the other its data: {programs[1].said()}")

        def refused():
            failure = source_status(left, "right")["last_failure"]
            return failure if failure and failure["cause"] == "redirect" else None

        failure = until(refused, 40, lambda: f"the circle is refused: {source_status(left, 'right')} {programs[0].said()}")
        expect("follow each other in a loop" in failure["detail"], f"two nodes that follow each other: redirect, {failure['detail']}", failure)
        expect("circle" in programs[0].said(), "the log says it too", programs[0].said())
        sources = records(left)["watts"]["sources"]
        expect(sources == ["meter"], "what came round is not taken for data", records(left))
        expect(not full(left)["via"], "nor is its way", full(left))
