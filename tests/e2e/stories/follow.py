"""A node that follows another (`follow`): it shows the same records, survives an outage of the
first node and recovers by itself; nodes that follow each other in a loop are refused."""

import contextlib
import signal
import time

from fakes.servers import json_server
from harness import (
    expect, expect_agreement, free_port, get, records_by_key, source_status, source_table, start_node, story, wait_until, work_dir,
)


class Meter:
    """An upstream with changing values, which can leave out `cellar` and fail `/gauge`."""

    def __init__(self):
        self.has_cellar, self.gauge_works, self.calls = True, True, 0

    def respond(self, path):
        if path == "/gauge":
            return {"pressure": 1013} if self.gauge_works else {"error": "no gauge"}
        self.calls += 1
        # Never the same twice, so that a stale value is noticed.
        values = {"watts": 7 + self.calls / 1000, "rooms": {"hall": 20 + self.calls % 3}}
        return {**values, "cellar": 11.5} if self.has_cellar else values


METER_KEYS = """
[key.watts]
unit = "W"
[key."rooms.hall"]
unit = "°C"
[key.cellar]
unit = "°C"
"""

# A source alert can end quickly: after one success.
GAUGE_ALERT = """
[alert]
recover_after = 1
[alert.source.gauge]
no_success_for = "2s"
"""


def alert(address):
    return get(address, "/snapshot").json.get("alert")


def full_snapshot(address):
    return get(address, "/snapshot?full=1").json


@story(seconds=150)
def follow():
    directory, meter = work_dir("follow"), Meter()
    with json_server(meter.respond) as upstream:
        ports = free_port(), free_port()
        a, b = (f"127.0.0.1:{port}" for port in ports)

        def start_first():
            meter_source = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
            gauge_source = source_table("gauge", f'url = "http://127.0.0.1:{upstream}/gauge"')
            return start_node(directory, "attic", ports[0], meter_source, gauge_source, METER_KEYS, GAUGE_ALERT)

        first = start_first()
        second = start_node(directory, "hall", ports[1], source_table("main", f'follow = "http://{a}"'))
        shows_the_same_records(a, b, second)
        passes_on_staleness_and_alerts(meter, a, b)
        first = survives_an_outage(first, a, b, second, start_first)
        for program in (second, first):
            code, seconds = program.stop()
            expect(code == 0 and seconds < 5, "SIGTERM stops it with exit code 0 within 5 s", (code, seconds, program.output()))
            expect("panicked" not in program.output(), "no panic", program.output())
    follow_loop_is_refused()


def shows_the_same_records(a, b, second):
    wanted = {"watts", "rooms.hall", "cellar", "pressure"}
    wait_until(lambda: wanted <= set(records_by_key(b)), 30, lambda: f"the second has the keys of the first: {second.output()}")

    def fields(record):
        return tuple(record.get(field) for field in ("key", "value", "unit", "observed", "stale"))

    # Both change every second: the second must show only what the first has shown before.
    seen = set()

    def identical():
        seen.update(map(fields, records_by_key(a).values()))
        there = records_by_key(b)
        moved = len({it for it in seen if it[0] == "watts"}) > 2
        return there if moved and set(map(fields, there.values())) <= seen else None

    there = wait_until(identical, 20, lambda: f"the second has the fields of the first: {records_by_key(a)} {records_by_key(b)}")
    expect(set(there) == wanted, "the second has the same keys", sorted(there))
    expect((there["watts"]["unit"], there["cellar"]["unit"]) == ("W", "°C"), "value, unit, observed and stale are those of the first", there)
    expect((full_snapshot(a)["node"], full_snapshot(a)["via"]) == ("attic", []), "the first has its name and an empty `via`", full_snapshot(a))
    expect((full_snapshot(b)["node"], full_snapshot(b)["via"]) == ("hall", ["attic"]), "the second has its own name, and `via` has the first", full_snapshot(b))
    expect(source_status(b, "main")["state"] == "up", "the source is up", source_status(b, "main"))


def passes_on_staleness_and_alerts(meter, a, b):
    meter.has_cellar = False
    for address, whose in ((a, "the first"), (b, "the second")):
        wait_until(lambda: records_by_key(address)["cellar"]["stale"], 20, f"{whose} marks the missing key stale")
    here = records_by_key(b)
    expect(not here["watts"]["stale"] and not here["rooms.hall"]["stale"], "only the missing key is stale on the second", here)
    observed_on_a, observed_on_b = ((lambda address=address: records_by_key(address)["cellar"]["observed"]) for address in (a, b))
    expect_agreement(observed_on_a, observed_on_b, 10, "`observed` is that of the first")

    meter.gauge_works = False
    wait_until(lambda: alert(a), 30, "the first has an alert")
    expect_agreement(lambda: alert(a), lambda: alert(b), 20, "the second shows the alert of the first")
    expect(alert(b), "which goes on", full_snapshot(b))
    meter.gauge_works = True
    for address, whose in ((a, "the first"), (b, "the second")):
        wait_until(lambda: not alert(address), 30, f"it ends on {whose}")
    expect(True, "it ends on both when it ends on the first")
    meter.has_cellar = True
    wait_until(lambda: not records_by_key(b)["cellar"]["stale"], 20, "the returned key is fresh on the second")


def survives_an_outage(first, a, b, second, start_first):
    first.signal(signal.SIGKILL)
    first.wait(5)
    killed, last = time.monotonic(), records_by_key(b)
    expect(not any(record["stale"] for record in last.values()), "right after the kill all records of the second are fresh", last)

    def all_stale():
        shown = get(b, "/snapshot")
        expect_served(shown, last)
        return shown.json.get("stale")

    wait_until(all_stale, 15, "the second marks its records stale")
    seconds = time.monotonic() - killed
    # stale_after is 3 × every; the last reading may be a second old at the kill.
    expect(1.5 < seconds < 6, f"the last values are still served, and stale after stale_after ({seconds:.1f} s)", seconds)
    shown = records_by_key(b)
    unmoved = all(shown[key]["value"] == last[key]["value"] for key in last if shown[key]["observed"] == last[key]["observed"])
    expect(set(shown) == set(last) and unmoved, "with their values and `observed`", (shown, last))
    status = wait_until(lambda: (it := source_status(b, "main"))["state"] != "up" and it, 10, "the source is not up in /status")
    cause = status["last_failure"]["cause"]
    expect(cause == "connect", f"/status has the cause connect: {status['last_failure']['detail']}", status)
    expect(get(b, "/healthz").status == 200 and second.running(), "the second node itself is healthy")

    first = start_first()

    def recovered():
        return source_status(b, "main")["state"] == "up" and not any(it["stale"] for it in records_by_key(b).values())

    # The back-off grows with the outage.
    wait_until(recovered, 60, lambda: f"the second recovers by itself: {source_status(b, 'main')} {records_by_key(b)}")
    before = records_by_key(b)["watts"]["value"]
    wait_until(lambda: records_by_key(b)["watts"]["value"] != before, 20, "its values change again")
    expect(True, "the first is back on its port: the second recovers by itself, and its values change")
    return first


def expect_served(shown, last):
    """Prints nothing when it holds: it is called at each poll."""
    keys = {record["key"] for record in shown.json["records"]} if shown.status == 200 else set()
    if keys != set(last):
        expect(False, "the last values are still served", shown)


def follow_loop_is_refused():
    directory, ports = work_dir("follow-loop"), (free_port(), free_port())
    left, right = (f"127.0.0.1:{port}" for port in ports)
    with json_server(lambda path: {"watts": 7.5}) as upstream, contextlib.ExitStack() as stack:
        own = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
        programs = [
            start_node(directory, "left", ports[0], own, source_table("right", f'follow = "http://{right}"')),
            start_node(directory, "right", ports[1], source_table("left", f'follow = "http://{left}"')),
        ]
        for program in programs:
            stack.callback(program.kill)
        wait_until(lambda: "watts" in records_by_key(right), 30, lambda: f"the second node has the data of the first: {programs[1].output()}")

        def refused():
            failure = source_status(left, "right")["last_failure"]
            return failure if failure and failure["cause"] == "redirect" else None

        failure = wait_until(refused, 40, lambda: f"the loop is refused: {source_status(left, 'right')} {programs[0].output()}")
        expect("follow each other in a loop" in failure["detail"], f"a loop is reported: {failure['detail']}", failure)
        expect("follow each other in a loop" in programs[0].output(), "the loop is logged", programs[0].output())
        sources = records_by_key(left)["watts"]["sources"]
        expect(sources == ["meter"], "looped data is not used", records_by_key(left))
        expect(not full_snapshot(left)["via"], "`via` is empty", full_snapshot(left))
