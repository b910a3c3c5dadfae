"""Importing the years of the Python program before main-node: beside a running service, without one, twice, and while that
program writes."""

import contextlib
import math
import re
import sqlite3
import threading
import time

from fakes.servers import json_server
from harness import (
    Process, expect, expect_agreement, free_port, get, main_node, records_by_key, refused_port, run, story, wait_until,
    with_trusted_clock, work_dir,
)
from services.predecessor import Predecessor, rfc3339

DAY, HOUR = 86_400, 3_600
YEARS = 3
UNITS = {"temperature": "°C", "pressure": "hPa"}


class Node:
    """A node with a trusted clock, which commits each second."""

    def __init__(self, directory, *tables, head='timezone = "UTC"'):
        """`head`: further options of the node."""
        self.directory, self.address = directory, f"127.0.0.1:{free_port()}"
        self.database, self.file = directory / "node.db", directory / "node.toml"
        self.head, self.starts, self.prefix = head, 0, []
        self.configure(*tables)

    def configure(self, *tables):
        """Holds from the next start on."""
        head = f'name = "node"\nlisten = "{self.address}"\ndatabase = "{self.database}"\ncommit_every = "1s"\n{self.head}\n'
        self.file.write_text(head + "\n".join(tables))

    def start(self):
        self.starts += 1
        self.process = Process(self.command("serve"), self.directory / f"node.{self.starts}.log", cwd=self.directory)
        wait_until(self.storage, 20, lambda: f"the node starts: {self.process.output()}")

    def stop(self):
        code, _ = self.process.stop(20)
        output = self.process.output()
        expect(code == 0 and "panicked" not in output, "the node stops without a panic", output)

    def command(self, *words):
        return with_trusted_clock([*self.prefix, str(main_node()), *map(str, words), "--config", str(self.file)])

    def begin(self, log, *words):
        """A command that runs beside the story."""
        return Process(self.command(*words), self.directory / log, cwd=self.directory)

    def run(self, *words, seconds=120):
        """(exit code, output) of a command."""
        code, out, err = run(self.command(*words), seconds, cwd=self.directory)
        return code, out + err

    def storage(self):
        return get(self.address, "/status").json["storage"]

    def maintenance(self):
        """What the service says of the last import, rename or forget."""
        return self.storage()["maintenance"] or {"subject": None, "done": 0, "finished": False}

    def buckets(self, key, start, end):
        path = f"/history?key={key}&from={start}&to={end}&points=2000"
        return get(self.address, path, seconds=20).json["buckets"]

    def select(self, sql, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(sql, values).fetchall()

    def stored(self, now):
        """Rows, hours and days of the time before the hour of `now`, but for those that retention may fold next."""
        columns = "count, min, mean, max, last"
        return {
            "rows": self.select(
                "SELECT key, timestamp, value, meta FROM records WHERE unixepoch(timestamp) BETWEEN ? AND ? ORDER BY key, timestamp",
                now - 29 * DAY, now // HOUR * HOUR - 1,
            ),
            "hours": self.select(
                f"SELECT key, hour, {columns} FROM hourly JOIN keys USING (k) WHERE hour BETWEEN ? AND ? ORDER BY key, hour",
                now // HOUR - 725 * 24, now // HOUR - 1,
            ),
            "days": self.select(
                f"SELECT key, day, {columns} FROM daily JOIN keys USING (k) WHERE day < ? ORDER BY key, day", now // DAY - 735
            ),
        }


# ---- The predecessor ---------------------------------------------------------------------


def value(key, second):
    """Of a year, a day and an hour its own."""
    season, hour = math.sin(second / DAY / 365 * 2 * math.pi), second // HOUR % 24
    return round(10 - 12 * season + hour / 4, 2) if key == "temperature" else round(1013 + 9 * season + hour / 8, 2)


def years(now):
    """Readings of the predecessor until a minute ago: one an hour, and of the temperature of the last days one every ten minutes."""
    first = now // DAY * DAY - YEARS * 365 * DAY
    for second in range(first, now - 60, HOUR):
        for key, unit in UNITS.items():
            yield second, key, value(key, second), {"unit": unit}
    for second in range(now // DAY * DAY - 3 * DAY, now - 60, 600):
        if second % HOUR:
            # SQLAlchemy stores it as the JSON text `null`.
            yield second, "temperature", value("temperature", second), None


def newest_hour(now):
    return (now - 61) // HOUR * HOUR


@story(seconds=150)
def predecessor():
    directory = work_dir("predecessor")
    nobody, holder = refused_port()
    with Predecessor(directory) as program, json_server(lambda _: {"temperature": 21.5}) as upstream:
        now = int(time.time())
        readings = list(years(now))
        program.post(readings)
        node = Node(
            directory,
            f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"',
            '[source.records]\ntemperature = { at = "/temperature", unit = "°C" }',
            f'[[source]]\nname = "barometer"\nurl = "http://127.0.0.1:{nobody}/"\nevery = "1s"',
            '[source.records]\npressure = { at = "/pressure", unit = "hPa" }',
        )
        node.start()
        wait_until(lambda: node.storage()["rows_stored"] > 2, 20, lambda: f"readings are stored: {node.storage()}")
        imports_beside_a_service(node, program, readings, now)
        shows_its_years(node, readings, now)
        twice_changes_nothing(node, program, now)
        imports_without_a_service(directory, node, program, now)
        imports_what_is_being_written(node, program, now)
        node.stop()
    holder.close()


def imports_beside_a_service(node, program, readings, now):
    live = node.select("SELECT key, timestamp, value FROM records WHERE unixepoch(timestamp) >= ?", now)
    code, out = node.run("import", program.database)
    expect(code == 0 and f"{len(readings)} rows read" in out, f"one command imports {len(readings)} readings", (code, out))
    stored, hours, days = (counted(out, what) for what in ("readings", "hourly values", "daily values"))
    recent = sum(second >= now - 29 * DAY for second, *_ in readings)
    expect(stored >= recent, "those of the last 30 days are rows", (stored, recent))
    # Two keys: hours of almost two years, days of one.
    expect(hours > 2 * 24 * 690 and days > 2 * 360, "older ones are hours, then days", (hours, days))
    said = wait_until(lambda: node.maintenance()["finished"] and node.maintenance(), 20, lambda: f"/status: {node.storage()}")
    imported = said["task"] == "import" and said["subject"] == "records.db" and said["done"] == said["total"] == len(readings)
    expect(imported and counted(said["result"], "readings") == stored and said["error"] is None, "/status says what was imported", said)
    after = node.select("SELECT key, timestamp, value FROM records WHERE unixepoch(timestamp) >= ?", now)
    expect(live and not set(live) - set(after), "what the service stored itself is all there", set(live) - set(after))


def counted(text, what):
    """Of the result of an import: how many were stored."""
    found = re.search(rf"(\d+) {what} stored(?! already)", text)
    return int(found[1]) if found else 0


def shows_its_years(node, readings, now):
    first, today = readings[0][0], now // DAY * DAY
    for key in UNITS:
        days = {}
        for second, reading_key, reading, _ in readings:
            if reading_key == key and second < today:
                days.setdefault(rfc3339(second // DAY * DAY), []).append(reading)
        wrong = wait_until(lambda: different(days, node.buckets(key, first, today)), 20, "/history answers")
        expect(wrong == ["none"], f"/history has each of {len(days)} days of {key} as it was", (len(wrong), wrong[:3]))
        shown = extremes_of_the_page(node, key)
        expected = min(map(min, days.values())), max(map(max, days.values()))
        # The page rounds.
        is_shown = all(abs(one - other) <= 0.5 for one, other in zip(shown, expected))
        expect(is_shown, f"its page has the lowest and the highest of all years: {shown}", expected)

    def restored():
        return records_by_key(node.address).get("pressure")

    newest = newest_hour(now)
    record = wait_until(restored, 20, "the newest imported reading is a record")
    is_newest = (record["value"], record["observed"], record["stale"]) == (value("pressure", newest), rfc3339(newest), True)
    expect(is_newest, "a record that nothing else stores has the newest imported value, which is stale", record)
    live = wait_until(lambda: not (record := records_by_key(node.address)["temperature"])["stale"] and record, 20, "the live one is fresh")
    expect(live["value"] == 21.5 and live["sources"] == ["house"], "a record that a source gives has its value", live)


def extremes_of_the_page(node, key):
    def read():
        page = get(node.address, f"/web/key/{key}?span=all", seconds=20)
        number = r"\s+([−\d\s.]+)"
        return re.search(f"Lowest{number}.*?highest{number}", re.sub(r"<[^>]*>", "", page.text))

    found = wait_until(read, 20, f"the page of {key} says how low and high it was")
    return tuple(float(re.sub(r"\s", "", shown).replace("−", "-")) for shown in found.groups())


def different(days, buckets):
    """The buckets that differ from the days' readings, and the days without one; ["none"] where all is well."""
    wrong = [day for day in days if day not in {bucket["from"] for bucket in buckets}]
    for bucket in buckets:
        found = days.get(bucket["from"], [0])
        exact = len(found), min(found), max(found), found[-1]
        is_mean = math.isclose(bucket["mean"], sum(found) / len(found), rel_tol=1e-9)
        if exact != (bucket["count"], bucket["min"], bucket["max"], bucket["last"]) or not is_mean:
            wrong.append((bucket, exact, sum(found) / len(found)))
    return wrong or ["none"]


def twice_changes_nothing(node, program, now):
    before = node.stored(now)
    code, out = node.run("import", program.database)
    expect(code == 0 and "stored already" in out, "a second import says that it is stored already", (code, out))
    expect(not re.search(r"stored(?! already)", out), "and stores nothing", out)
    after = node.stored(now)
    changed = {name: (len(before[name]), len(after[name])) for name in before if before[name] != after[name]}
    expect(not changed and all(before.values()), "no row, hour or day is changed", changed)


def imports_without_a_service(directory, beside, program, now):
    (directory / "alone").mkdir()
    nobody, holder = refused_port()
    alone = Node(directory / "alone", f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{nobody}/"')
    code, out = alone.run("import", program.database)
    expect(code == 0 and counted(out, "readings") > 0, "without a service the command stores it itself", (code, out))
    alone.start()
    # Until its retention has made days of the oldest hours.
    expect_agreement(
        lambda: beside.stored(now), lambda: alone.stored(now), 60, "a service that starts then has the same rows, hours and days"
    )
    alone.stop()
    holder.close()
    expect(alone.select("SELECT key, unit FROM keys ORDER BY key") == sorted(UNITS.items()), "units come from its `meta`")
    newest = alone.select("SELECT value, second FROM latest JOIN keys USING (k) WHERE key = 'pressure'")
    second = newest_hour(now)
    expect(newest == [(value("pressure", second), second)], "the newest reading is that of the predecessor", newest)


def imports_what_is_being_written(node, program, now):
    """The predecessor is never blocked for long, and what it had written when the command began is imported."""
    stop, written, slowest = threading.Event(), [], [0.0]

    def write():
        second = now - 20 * DAY + 1
        while not stop.is_set():
            began = time.monotonic()
            program.post([(second, "cellar", len(written) / 8, None)])
            slowest[0] = max(slowest[0], time.monotonic() - began)
            written.append(second)
            second += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        wait_until(lambda: len(written) > 20, 20, "it writes")
        before = len(written)
        code, out = node.run("import", program.database)
        during = len(written) - before
    finally:
        stop.set()
        thread.join()
    expect(code == 0 and during > 20, f"it wrote {during} readings while they were imported", (code, out, during))
    print(f"        the slowest of its writes took {slowest[0]:.2f} s", flush=True)
    expect(slowest[0] < 4, "and none waited for long", slowest)
    rows = node.select("SELECT unixepoch(timestamp), value FROM records WHERE key = 'cellar' ORDER BY timestamp")
    expected = [(second, at / 8) for at, second in enumerate(written)]
    expect(len(rows) >= before and rows == expected[:len(rows)], "what was there at the beginning is imported", (len(rows), before))
    code, out = node.run("import", program.database)
    rows = node.select("SELECT unixepoch(timestamp), value FROM records WHERE key = 'cellar' ORDER BY timestamp")
    expect(code == 0 and rows == expected, "and the rest by another import", (code, out, len(rows), len(written)))
