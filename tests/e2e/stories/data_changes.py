"""Changes of what is stored, beside a running service: a key is renamed and back, a spike is forgotten and taken back, local
days are exported, backups go to another disk that is absent at first, and one of them is restored."""

import contextlib
import csv
import datetime
import io
import math
import re
import shlex
import sqlite3
import time
import zoneinfo

from fakes.servers import json_server
from harness import Missing, expect, get, records_by_key, refused_port, run, story, wait_until, with_trusted_clock, work_dir
from services.predecessor import rfc3339
from stories.data_import import DAY, HOUR, Node

ZONE = "Europe/Berlin"
# At least one of which begins in summer time and ends in winter time, or the other way round.
DAYS = 250
SPIKE = 9_999
DERIVED = '[derived."highest"]\nmax_over_time = "{key}"\nover = "1h"'


@story(seconds=200)
def data_changes():
    directory = work_dir("data-changes")
    stick = directory / "stick"
    reading = {"temperature": 21}
    with json_server(lambda _: reading) as upstream:

        def tables(key):
            source = f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n'
            return source + f'[source.records]\n{key} = {{ at = "/temperature", unit = "°C" }}\n' + DERIVED.format(key=key)

        head = f'timezone = "{ZONE}"\nkeep_raw = "{2 * DAYS}d"\nbackup_every = "1h"\nbackup_to = "{stick}"'
        node = Node(directory, tables("temperature"), head=head)
        history = import_history(directory, node)
        backups_wait_for_their_disk(node, stick)
        a_spike_is_forgotten_and_taken_back(node, reading)
        a_key_is_renamed_and_back(node, tables)
        local_days_are_exported(node, history)
        a_backup_is_restored(node, stick)
        node.stop()


def rows(database, key, end=2**40):
    """(second, value) of the rows of a key before a time."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        sql = "SELECT unixepoch(timestamp), value FROM records WHERE key = ? AND unixepoch(timestamp) < ? ORDER BY timestamp, id"
        return connection.execute(sql, (key, end)).fetchall()


def undo_of(node, out):
    """The command that undoes what was done, as it is printed, without the file that `node.run` names."""
    found = re.search(r"To undo it: main-node (.*)", out)
    expect(found, "it prints the command that undoes it", out)
    *words, option, file = shlex.split(found[1])
    expect((option, file) == ("--config", str(node.file)), "it names the configuration file that was named", out)
    return words


def import_history(directory, node):
    """Hourly values until the last full hour."""
    end = int(time.time()) // HOUR * HOUR
    history = [(second, round(10 + 8 * math.sin(second / 7e5), 3)) for second in range(end - DAYS * DAY, end, HOUR)]
    file = directory / "history.csv"
    file.write_text("timestamp,key,value,unit\n" + "".join(f"{rfc3339(second)},temperature,{value},°C\n" for second, value in history))
    code, out = node.run("import", file)
    expect(code == 0 and rows(node.database, "temperature") == history, f"{len(history)} readings are imported", (code, out))
    return history


# ---- Backups -----------------------------------------------------------------------------


def backups_wait_for_their_disk(node, stick):
    code, out = node.run("check")
    expect(code == 1 and str(stick) in out and "cannot be used" in out, "`check` says that the directory of backups is absent", out)
    node.start()
    said = wait_until(lambda: (it := node.storage()["backup"])["error"] and it, 20, "/status says it as well")
    expect(str(stick) in said["error"] and said["last"] is None, "and that there is no backup", said)
    stick.mkdir()


def a_backup_is_restored(node, stick):
    wait_until(lambda: list(stick.glob("*.backup-*Z")), 100, lambda: f"a backup is made once the directory is there: {node.storage()}")
    said = wait_until(lambda: (it := node.storage()["backup"])["last"] and it, 20, "/status says when it was made")
    expect(said["error"] is None, "and that all is well", said)
    (copy,) = stick.glob("*.backup-*Z")
    kept = rows(copy, "temperature")
    wait_until(lambda: rows(node.database, "temperature")[-1] > kept[-1], 20, "there are newer readings")
    code, out = node.run("restore", copy)
    expect(code == 0 and "restart" in out, "`restore` says what to do", (code, out))
    node.stop()
    before = rows(node.database, "temperature")
    node.start()
    started = int(time.time())
    wait_until(lambda: rows(node.database, "temperature")[-1][0] >= started, 20, "it stores readings")
    restored = rows(node.database, "temperature", started)
    lost = [row for row in before if row not in restored]
    expect(set(restored) >= set(kept) and lost, "the database is that of the copy", (len(restored), len(kept), len(lost)))
    (replaced,) = (path for path in node.directory.glob("node.db.replaced-*Z"))
    code, out = node.run("import", replaced)
    again = rows(node.database, "temperature")
    expect(code == 0 and not set(before) - set(again), "readings that are newer than the copy come back", (code, out))


# ---- Forget and rename -------------------------------------------------------------------


def highest(node, key="temperature"):
    """Of rows and of hours in /history, on the page of a day, and of the derived key."""
    now = int(time.time())
    of_rows, of_hours = (max(bucket["max"] for bucket in node.buckets(key, now - days * DAY, now + 60)) for days in (1, 100))
    page = re.sub(r"<[^>]*>", "", get(node.address, f"/web/key/{key}?span=24h", seconds=20).text)
    shown = re.search(r"highest\s+([−\d\s.]+)", page)
    if not shown:
        raise ValueError(f"the page has no highest value: {page}")
    return of_rows, of_hours, float(re.sub(r"\s", "", shown[1])), records_by_key(node.address)["highest"]["value"]


def a_spike_is_forgotten_and_taken_back(node, reading):
    wait_until(lambda: rows(node.database, "temperature")[-1][1] == 21, 20, "it stores readings")
    reading["temperature"] = SPIKE
    wait_until(lambda: rows(node.database, "temperature")[-1][1] == SPIKE, 20, "a spike is stored")
    reading["temperature"] = 21
    wait_until(lambda: rows(node.database, "temperature")[-1][1] == 21, 20, "it is over")
    wait_until(lambda: highest(node) == (SPIKE, SPIKE, SPIKE, SPIKE), 20, lambda: f"history, page and derived key have it: {highest(node)}")
    spike = [second for second, value in rows(node.database, "temperature") if value == SPIKE]
    before = rows(node.database, "temperature")
    # The file is no configuration at this moment: the service goes on with what it has, and knows the change all the same.
    valid = node.file.read_text()
    loaded = get(node.address, "/status").json["configuration"]["loaded"]
    node.file.write_text(valid + '\n[[source]]\nname = "half"\n')
    code, out = node.run("forget", "temperature", "--from", rfc3339(spike[0]), "--to", rfc3339(spike[-1] + 1))
    gone = [row for row in before if row[1] == SPIKE]
    expect(code == 0 and f"{len(gone)} reading" in out, "`forget` deletes the spike", (code, out))
    wait_until(lambda: highest(node) == (21, 21, 21, 21), 20, lambda: f"history, page and derived key have no spike: {highest(node)}")
    after = get(node.address, "/status").json["configuration"]
    expect(after["refused"] is None and after["loaded"] == loaded, "no reload is told that nobody asked for", (loaded, after))
    node.file.write_text(valid)
    after = rows(node.database, "temperature")
    others = [row for row in before if row[1] != SPIKE]
    expect(others == after[:len(others)], "all other readings are there", (len(others), len(after)))
    code, out = node.run(*undo_of(node, out))
    expect(code == 0, "the command that was printed takes it back", (code, out))
    after = rows(node.database, "temperature")
    expect(before == after[:len(before)], "readings are as they were", (len(before), len(after)))
    wait_until(lambda: highest(node) == (SPIKE, SPIKE, SPIKE, SPIKE), 20, lambda: f"history, page and derived key have it again: {highest(node)}")


def a_key_is_renamed_and_back(node, tables):
    node.stop()
    node.configure(tables("outdoor"))
    # The times of both keys do not overlap.
    last = rows(node.database, "temperature")[-1][0]
    wait_until(lambda: int(time.time()) > last, 5, "the last second is over")
    node.start()
    wait_until(lambda: len(rows(node.database, "outdoor")) > 1, 20, "the new key has readings")
    old = rows(node.database, "temperature")
    code, out = node.run("rename", "temperature", "outdoor")
    expect(code == 0 and f"{len(old)} reading" in out, "`rename` gives the readings of the old key to the new one", (code, out))
    new = rows(node.database, "outdoor")
    expect(new[:len(old)] == old and len(new) > len(old), "it has all of them, and those of its own", (len(old), len(new)))
    expect(not rows(node.database, "temperature"), "the old one has none")
    wait_until(lambda: highest(node, "outdoor") == (SPIKE, SPIKE, SPIKE, SPIKE), 20, lambda: f"its history, page and derived key: {highest(node, 'outdoor')}")
    # Of one second the last row counts.
    seconds = {second for second, _ in old}

    def counted():
        return sum(bucket["count"] for bucket in node.buckets("outdoor", old[0][0] // DAY * DAY, old[-1][0] + 1))

    wait_until(lambda: counted() >= len(seconds), 20, lambda: f"its history has the {len(seconds)} readings of the old one: {counted()}")
    for path in ("/history?key=temperature", "/web/key/temperature"):
        wait_until(lambda: get(node.address, path).status == 404, 20, f"{path} is gone")
    words = undo_of(node, out)
    code, out = node.run(*words)
    back = rows(node.database, "temperature")
    expect(code == 0 and back == old, "the command that was printed undoes it", (code, out, len(back), len(old)))
    own = rows(node.database, "outdoor")
    expect(own and own[0][0] > old[-1][0], "the new key keeps its own", own[:2])
    wait_until(lambda: get(node.address, "/web/key/temperature").status == 200, 20, "the old key has its page again")
    node.stop()
    node.configure(tables("temperature"))
    node.start()


# ---- Local days --------------------------------------------------------------------------


def local_days_are_exported(node, history):
    zone = zoneinfo.ZoneInfo(ZONE)
    days = {}
    for second, value in history:
        days.setdefault(datetime.datetime.fromtimestamp(second, zone).date(), []).append(value)
    # Today has readings of the source as well; the first may be a part of a day.
    del days[datetime.datetime.fromtimestamp(history[-1][0], zone).date()]
    code, out = node.run("export", "--key", "temperature", "--days")
    lines = {line["timestamp"]: line for line in csv.DictReader(io.StringIO(out))}
    wrong, lengths = [], set()
    for day, values in days.items():
        midnight = datetime.datetime.combine(day, datetime.time(), zone)
        next_midnight = datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), zone)
        seconds = int(next_midnight.timestamp() - midnight.timestamp())
        lengths.add(seconds)
        line = lines.get(midnight.isoformat())
        expected = (seconds, len(values), min(values), max(values), values[-1])
        names = ("seconds", "count", "min", "max", "last")
        if not line or tuple(float(line[name]) for name in names) != expected or not math.isclose(float(line["value"]), sum(values) / len(values), rel_tol=1e-9):
            wrong.append((midnight.isoformat(), expected, line))
    expect(code == 0 and not wrong, f"`export --days` has each of {len(days)} days of {ZONE}", (len(wrong), wrong[:3], out[:300]))
    expect(len(lengths) > 1, f"among them one on which clocks change: {sorted(lengths)} s", lengths)


# ---- Storage in memory -------------------------------------------------------------------


@story(seconds=60)
def database_in_memory():
    directory = work_dir("database-in-memory")
    memory = directory / "memory"
    memory.mkdir()
    nobody, holder = refused_port()
    node = Node(directory, f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{nobody}/"')
    node.database = memory / "node.db"
    node.configure(f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{nobody}/"')
    mount = ["sh", "-c", f'mount -t tmpfs tmpfs "{memory}" && exec "$@"', "sh"]
    if run(with_trusted_clock([*mount, "true"]), 10)[0] != 0:
        raise Missing("tmpfs cannot be mounted")
    node.prefix = mount
    code, out = node.run("check")
    expect(code == 0 and "in memory (tmpfs)" in out and str(memory) in out, "`check` says that the database is in memory", (code, out))
    node.start()
    said = wait_until(lambda: node.storage()["volatile"], 20, "/status says it")
    expect("in memory (tmpfs)" in said, "and why", said)
    page = get(node.address, "/web/system").text
    expect("in memory (tmpfs)" in page, "the page System shows it")
    node.stop()
    holder.close()
