"""Forwarding stored rows to InfluxDB and VictoriaMetrics, which are killed, and so is the node: every stored row
is there once by query."""

import contextlib
import pathlib
import re
import sqlite3
import time

from fakes.servers import HttpServer
from harness import Process, expect, free_port, get, main_node, run, story, wait_until, with_trusted_clock, work_dir
from services.influxdb import PASSWORD, USER, InfluxDb
from services.victoria_metrics import VictoriaMetrics

KEYS = 20
WRONG = "not the influx secret"
# Rows of an import: of each key one a minute.
IMPORTED = 20_000
# Rows of an outage: of 20 keys each 10 s, 42 hours.
BACKLOG = 300_000
# What a backlog may add to the peak of memory, in kB.
BACKLOG_KB = 3_000


class Node:
    """A node that fetches KEYS numbers and a text each second, and commits each second."""

    def __init__(self, directory, name, forward, keys=KEYS):
        self.directory, self.name, self.forward, self.keys = directory, name, forward, keys
        self.database = directory / f"{name}.db"
        self.count, self.starts = 0, 0
        self.server = HttpServer(self.respond)

    def respond(self, _):
        self.count += 1
        numbers = {f"n{at}": self.count + at / 8 for at in range(self.keys)}
        return {**numbers, "state": f'on \\ "{self.count}", a=b'}

    def start(self):
        """Its fetches begin a second after the last of an earlier run: a row's identity is its second."""
        self.starts += 1
        self.address = f"127.0.0.1:{free_port()}"
        records = "".join(f'"n.{at}" = "/n{at}"\n' for at in range(self.keys))
        file = self.directory / f"{self.name}.toml"
        file.write_text(
            f'name = "{self.name}"\nlisten = "{self.address}"\ndatabase = "{self.database}"\ncommit_every = "1s"\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{self.server.server_address[1]}/"\nevery = "1s"\n'
            f'[source.records]\n{records}"state, of it" = {{ at = "/state", text = true }}\n[[forward]]\n{self.forward}\n'
        )
        log = self.directory / f"{self.name}.{self.starts}.log"
        self.process = Process(with_trusted_clock([str(main_node()), "serve", "--config", str(file)]), log, cwd=self.directory)
        wait_until(self.status, 20, lambda: f"the node starts: {self.process.output()}")

    def status(self):
        return get(self.address, "/status").json["outputs"][0]

    def rows(self):
        """(key, second): numbers or texts that were stored for it, in this order: two fetches can be in one second, and
        the second is a correction."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT key, unixepoch(timestamp), value, json_extract(meta, '$.text') FROM records ORDER BY id"
            ).fetchall()
        found = {}
        for key, second, value, text in rows:
            found.setdefault((key, second), []).append(text if value is None else value)
        return found

    def settle(self):
        """Stops the fetches, waits until all is stored and sent, and gives the rows."""
        self.server.stop()
        # A commit comes a second after the last row.
        wait_until(lambda: self.is_done(), 60, lambda: f"all rows are sent: {self.status()}")
        return self.rows()

    def is_done(self):
        status = get(self.address, "/status").json
        (source,), (output,) = status["sources"], status["outputs"]
        has_failed = source["failures_in_a_row"] > 0
        return has_failed and status["storage"]["rows_waiting"] == 0 and output["waiting"] == 0 and output["state"] == "up"

    def peak_kb(self):
        pid = self.process.pid
        return int(re.search(r"VmHWM:\s+(\d+)", (pathlib.Path("/proc") / str(pid) / "status").read_text())[1])


def sent(node, rows):
    return lambda: node.status()["sent"] >= rows


def is_down(node):
    return node.status()["state"] == "down"


def compare(found, node, rows, is_last_kept=True):
    """`found`: (key, second) and value of every point; `rows`: what was stored for each."""
    values = dict(found)
    expect(len(found) == len(values), "every row is there once", len(found) - len(values))
    missing = [identity for identity in rows if identity not in values]
    expect(not missing, f"every one of {len(rows)} stored rows is there", (len(missing), missing[:5], node.status()))
    kept = {identity: values[-1:] if is_last_kept else values for identity, values in rows.items()}
    wrong = [(identity, value, kept.get(identity)) for identity, value in found if value not in kept.get(identity, [])]
    expect(not wrong, "with the value that is stored, and no others", (len(wrong), wrong[:5]))


def kills(node, server):
    """Kills of either side, at any moment."""
    node.start()
    wait_until(sent(node, 3 * node.keys), 20, lambda: f"rows are sent: {node.status()}")
    server.kill()
    wait_until(lambda: is_down(node), 20, lambda: f"it is noticed: {node.status()}")
    expect("onnect" in node.status()["trouble"], "why", node.status())
    # A stop keeps how far it has come: what is lost before that is not sent again by chance, as after a kill.
    restart_while_rows_wait(node, lambda: node.process.stop(10))
    server.start()
    wait_until(sent(node, 2 * node.keys), 90, lambda: f"they are sent when it is back: {node.status()}")
    server.kill()
    wait_until(lambda: is_down(node), 20, lambda: f"it is noticed again: {node.status()}")
    restart_while_rows_wait(node, lambda: node.process.kill())
    server.start()
    wait_until(sent(node, 2 * node.keys), 90, lambda: f"they are sent when it is back: {node.status()}")
    node.process.kill()
    node.start()
    wait_until(sent(node, 2 * node.keys), 30, lambda: f"it goes on after a kill: {node.status()}")
    server.pause()
    wait_until(lambda: is_down(node), 40, lambda: f"a server that hangs is noticed: {node.status()}")
    server.resume()
    return node.settle()


def restart_while_rows_wait(node, end):
    wait_until(lambda: node.status()["waiting"] > node.keys, 20, lambda: f"rows wait: {node.status()}")
    end()
    node.start()
    wait_until(lambda: node.status()["waiting"] > node.keys, 20, lambda: f"they still do: {node.status()}")


@story(seconds=240)
def influxdb():
    directory = work_dir("influxdb")
    with InfluxDb(directory, auth=True) as server:
        login = f'url = "{server.write_url}"\nuser = "{USER}"\npassword = "{PASSWORD}"\n'
        node = Node(directory, "lake", login + 'tags = { "the house" = "by the lake, x=1" }')
        rows = kills(node, server)
        points = server.points("main_node")
        names = {(point["node"], point["the house"]) for point in points}
        expect(names == {("lake", "by the lake, x=1")}, "tags are read as they were written", names)
        found = [((point["key"], point["time"]), point.get("value", point.get("text"))) for point in points]
        compare(found, node, rows)

        trouble(directory, server, login)


def trouble(directory, server, login):
    """Wrong logins and addresses lose nothing and are said; `check --online` says them first."""
    for name, options, expected in (
        ("login", login.replace(PASSWORD, WRONG), "the token, or user and password, are wrong"),
        ("database", login.replace("db=house", "db=no-such"), "no such database or bucket"),
        ("address", login.replace("/write", "/wriet"), "HTTP 404"),
    ):
        node = Node(directory, name, options, keys=1)
        node.start()
        wait_until(lambda: is_down(node), 20, lambda: f"{name}: {node.status()}")
        status = node.status()
        expect(expected in status["trouble"] and status["dropped"] == 0, f"{name}: waits and says why", status)
        expect(PASSWORD not in str(status) and WRONG not in str(status), f"{name}: no password is shown", status)
        node.process.kill()
        node.server.stop()


@story(seconds=240)
def victoria_metrics():
    directory = work_dir("victoria-metrics")
    with VictoriaMetrics(directory, deduplicates=True) as server:
        node = Node(directory, "lake", f'url = "{server.write_url}"\nmeasurement = "house"\nkeys = ["n.*"]')
        rows = kills(node, server)
        compare_samples(server, "house", node, rows)
        node.process.kill()
        outage(directory, server)
        backlog(directory, server)


def outage(directory, server):
    """A kill loses what it has acknowledged lately. The node that has sent it goes on."""
    node = Node(directory, "outage", f'url = "{server.write_url}"\nmeasurement = "outage"\nkeys = ["n.*"]')
    node.start()
    wait_until(sent(node, 3 * node.keys), 20, lambda: f"rows are sent: {node.status()}")
    server.kill()
    wait_until(lambda: is_down(node), 20, lambda: f"it is noticed: {node.status()}")
    server.start()
    compare_samples(server, "outage", node, node.settle())
    node.process.kill()


def compare_samples(server, measurement, node, rows):
    """Of two samples of one time this release keeps either."""
    numbers = {identity: values for identity, values in rows.items() if identity[0].startswith("n.")}
    samples = server.samples(f'{measurement}_value{{node="{node.name}"}}')
    compare([((labels["key"], round(second)), value) for labels, second, value in samples], node, numbers, is_last_kept=False)


def backlog(directory, server):
    """What waits after an outage of days is sent in bounded memory, while the node does its work."""
    node = Node(directory, "backlog", f'url = "{server.write_url}"\nmeasurement = "backlog"\nbackfill = true\nkeys = ["n.*"]')
    node.start()
    wait_until(sent(node, node.keys), 20, lambda: f"rows are sent: {node.status()}")
    before = node.peak_kb()
    node.process.stop()
    with contextlib.closing(sqlite3.connect(node.database)) as connection:
        (first,) = connection.execute("SELECT max(id) FROM records").fetchone()
        begin = int(time.time()) - BACKLOG // node.keys * 10 - 1_000
        rows = (
            (first + 1 + at, begin + at // node.keys * 10, f"n.{at % node.keys}", at / 8) for at in range(BACKLOG)
        )
        connection.executemany("INSERT INTO records VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', ?, 'unixepoch'), ?, ?, NULL)", rows)
        connection.commit()
    node.start()
    began = time.monotonic()
    wait_until(sent(node, BACKLOG // 10), 60, lambda: f"the backlog is sent: {node.status()}")
    status = node.status()
    expect(status["waiting"] > 0 and get(node.address, "/healthz").status == 200, "the node does its work meanwhile", status)
    wait_until(lambda: node.status()["waiting"] < 100, 120, lambda: f"it comes to an end: {node.status()}")
    peak, seconds = node.peak_kb(), time.monotonic() - began
    print(f"        {BACKLOG} rows took {seconds:.0f} s; peak of memory {before} kB without them, {peak} kB with", flush=True)
    expect(peak - before < BACKLOG_KB, f"a backlog adds less than {BACKLOG_KB} kB", (before, peak))
    compare_samples(server, "backlog", node, node.settle())
    node.process.kill()


@story(seconds=150)
def forward_during_import():
    """Rows of an hour into which others are imported get new ids: those that wait to be sent and those that are sent."""
    directory = work_dir("forward-during-import")
    with VictoriaMetrics(directory, deduplicates=True) as server:
        node = Node(directory, "import", f'url = "{server.write_url}"\nmeasurement = "house"\nkeys = ["n.*"]')
        node.start()
        wait_until(sent(node, 3 * node.keys), 20, lambda: f"rows are sent: {node.status()}")
        server.stop()
        wait_until(lambda: is_down(node) and node.status()["waiting"] > 2 * node.keys, 30, lambda: f"rows wait: {node.status()}")
        import_beside_live_rows(node, "while it is down", 7)
        server.start()
        wait_until(lambda: node.status()["state"] == "up", 60, lambda: f"it is back: {node.status()}")
        import_beside_live_rows(node, "while rows are sent", 37)
        compare_samples(server, "house", node, node.settle())


def import_beside_live_rows(node, when, offset):
    """Imports readings of the node's keys until a minute ago; `offset` tells their seconds from those of another import."""
    now = int(time.time()) // 60 * 60 + offset
    file = node.directory / f"{offset}.csv"
    seconds = range(now - IMPORTED // node.keys * 60, now - 60, 60)
    file.write_text("timestamp,key,value\n" + "".join(f"{second},n.{at},{at / 16}\n" for second in seconds for at in range(node.keys)))
    before = node.rows()
    command = [str(main_node()), "import", str(file), "--config", str(node.directory / f"{node.name}.toml")]
    code, out, err = run(with_trusted_clock(command), 60)
    expect(code == 0, f"rows are imported {when}", (code, out, err))
    after = node.rows()
    lost = [identity for identity, values in before.items() if not set(values) <= set(after.get(identity, []))]
    expect(not lost and len(after) > len(before) + IMPORTED * 0.9, "no row is lost", (len(before), len(after), lost[:3]))
