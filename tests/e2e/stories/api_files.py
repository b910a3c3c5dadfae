"""OpenAPI files that the node reads itself (`[[api]]`): what happens when they change, break, or are two of a
kind, and the lowered form that `check` writes of those too large for the service."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import openapi_files as openapi
from fakes.servers import json_server
from harness import (
    ROOT, clean_environment, die_with_parent, expect, free_port, main_node, not_checked, run, story, wait_until, work_dir,
)
from stories.reload import Supervised

# More than the 2 MB up to which the service reads a file itself.
LARGE = 2_100_000
# A user that has nothing: `nobody` of Debian.
NOBODY = 65534


def check(directory, file="main-node.toml", seconds=120):
    """(problems that `check` prints, its output)"""
    code, out, err = run([main_node(), "check", "--config", directory / file], seconds, cwd=directory)
    found = problems(out, err)
    expect(code == 1 or not found, f"the exit code of `check` is {code}, with {len(found)} problems", out + err)
    return found, out + err


def problems(out, err):
    """Problems that `check` prints, but for that of a clock which nobody synchronises."""
    of_the_machine = [line for line in out.splitlines() if line.startswith("PROBLEM:") and "clock" not in line]
    return of_the_machine + [line for line in err.splitlines() if not re.fullmatch(r"\d+ problem\(s\) found", line)]


def source(node, name):
    return next(it for it in node.status()["sources"] if it["name"] == name)


def expect_up(node, name, description, seconds=20):
    wait_until(lambda: source(node, name)["state"] == "up", seconds, lambda: f"{description}: {source(node, name)}")
    print(f"  ok    {description}", flush=True)


def expect_refused(node, name, words, description):
    """This source alone is refused, with the cause `configuration` and all these words."""
    wait_until(lambda: source(node, name)["last_failure"], 20, lambda: f"{description}: {source(node, name)}")
    failure = source(node, name)["last_failure"]
    expect(failure["cause"] == "configuration", f"{description}: the cause is `configuration`", failure)
    missing = [word for word in words if word not in failure["detail"]]
    expect(not missing, f"{description}: /status says {', '.join(words)}", failure)
    expect_up(node, "meter", f"{description}: another source is up")


# ---- Changes ---------------------------------------------------------------------------------


@story(seconds=120, alone=True)
def api_files():
    directory = work_dir("api-files")
    with json_server(lambda path: openapi.READING) as upstream:
        two_apis_with_one_operation(directory, upstream)
        a_name_that_is_taken(directory, upstream)
        a_changed_file_waits_for_the_next_reload(directory, upstream)
        a_file_that_the_service_cannot_read(upstream)


def configure(directory, text):
    (directory / "main-node.toml").write_text(f'listen = "127.0.0.1:{free_port()}"\ndatabase = "{directory / "main-node.db"}"\n{text}')


def two_apis_with_one_operation(directory, upstream):
    for name in ("house", "shed"):
        (directory / f"{name}.json").write_text(openapi.as_json(openapi.description(openapi.operation(openapi.STATE), title=name)))
    apis = openapi.api("house", "house.json") + openapi.api("shed", "shed.json")
    configure(directory, apis + openapi.source("power", "getState", upstream))
    found, out = check(directory)
    expect(len(found) == 1, "two APIs have the operation: `check` has one problem", out)
    expect(all(word in found[0] for word in ("getState", "house", "shed", "api")), "it names the operation, both APIs and `api`", found)
    both = "".join(openapi.source(name, "getState", upstream, f'api = "{name}"\n') for name in ("house", "shed"))
    configure(directory, apis + both)
    code, out, err = run([main_node(), "once", "--config", directory / "main-node.toml"], 30, cwd=directory)
    expect(code == 0 and "house.power" in out and "shed.power" in out, "with `api` each of them fetches", out + err)
    configure(directory, apis + openapi.source("power", "GET /state", upstream, 'api = "shed"\n'))
    code, out, err = run([main_node(), "once", "--config", directory / "main-node.toml"], 30, cwd=directory)
    expect(code == 0 and "power.power" in out, "so does a path instead of the operation's name", out + err)
    configure(directory, apis + openapi.source("power", "getStat", upstream, 'api = "shed"\n'))
    found, out = check(directory)
    expect(len(found) == 1 and "getState" in found[0], "for a misspelt operation the nearest one is named", out)


def a_name_that_is_taken(directory, upstream):
    for name, others in (("open_meteo", ""), ("house", openapi.api("house", "shed.json"))):
        configure(directory, openapi.api(name, "house.json") + others + openapi.source("power", "getState", upstream, f'api = "{name}"\n'))
        found, out = check(directory)
        expect(found and name in found[0] and "another name" in found[0], f"a second API {name} is a problem", out)


def a_changed_file_waits_for_the_next_reload(directory, upstream):
    file = directory / "meters.yaml"
    text = openapi.as_yaml(openapi.of_resources(2))
    file.write_text(text)
    tables = openapi.api("meters", "meters.yaml") + openapi.source("one", "getMeter00001", upstream)
    node = Supervised(directory, upstream, more=tables)
    expect_up(node, "one", "the operation of a file is fetched")
    for what, change, word in (
        ("has lost the operation", lambda: file.write_text(text.replace("getMeter00001", "getOther")), "getMeter00001"),
        ("is broken", lambda: file.write_text(text[: len(text) // 2] + "\n  [[["), "meters.yaml:"),
        ("is gone", file.unlink, "meters.yaml"),
    ):
        before = source(node, "one")["attempts"], node.status()["configuration"]["loaded"]
        change()
        wait_until(lambda: source(node, "one")["attempts"] >= before[0] + 2, 20, "the source is fetched")
        expect(source(node, "one")["failures"] == {}, f"a file that {what} while the node runs changes nothing", source(node, "one"))
        refused = node.refused_reload()
        expect(any(word in problem for problem in refused), f"a reload with it is refused, and names {word}", refused)
        expect(node.status()["configuration"]["loaded"] == before[1], "the loaded configuration stays in use", node.status()["configuration"])
        expect_up(node, "one", "and the operation is fetched as before")
    file.write_text(text.replace("getMeter00001", "getOther"))
    node.configure(tables.replace("getMeter00001", "getOther"))
    node.reload()
    expect_up(node, "one", "with the operation's new name in file and configuration the reload is good")
    node.process.stop()
    a_start_without_the_file(node, file)


def a_start_without_the_file(node, file):
    """A node that starts: this source alone is refused. Supervised starts with its own configuration."""
    text = file.read_text()
    for what, change, word in (
        ("is gone", file.unlink, "meters.yaml"),
        ("is broken", lambda: file.write_text(text[: len(text) // 2] + "\n  [[["), "meters.yaml:"),
    ):
        change()
        tables = openapi.api("meters", "meters.yaml") + openapi.source("one", "getOther", node.upstream)
        other = restarted(node, tables)
        expect_refused(other, "one", [word, "main-node"], f"a file that {what} at the start")
        file.write_text(text)
        other.reload()
        expect_up(other, "one", "when the file is back a reload is enough")
        other.process.stop()


def restarted(node, tables):
    """A node in the same directory, with the same database."""
    (node.directory / "notify").unlink()
    return Supervised(node.directory, node.upstream, more=tables)


def a_file_that_the_service_cannot_read(upstream):
    if os.geteuid() != 0:
        not_checked("api-files: a file that the service's user cannot read: needs root")
        return
    directory = work_dir("api-files-private")
    for path in [directory, *directory.parents]:
        if ROOT in path.parents:
            path.chmod(path.stat().st_mode | 0o055)
    state = directory / "state"
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    home = directory / "home"
    home.mkdir(mode=0o700)
    text = openapi.as_json(openapi.description(openapi.operation(openapi.STATE)))
    tables = openapi.source("power", "getState", upstream)
    for file, mode, is_readable in ((home / "api.json", 0o644, False), (directory / "private.json", 0o600, False), (directory / "public.json", 0o644, True)):
        file.write_text(text)
        file.chmod(mode)
        (directory / "main-node.toml").write_text(
            f'listen = "127.0.0.1:{free_port()}"\ndatabase = "{state / "main-node.db"}"\n' + openapi.api("house", file) + tables
        )
        found, out = check(directory)
        if is_readable:
            expect(not found, "a file that all may read is none", out)
        else:
            about = [line for line in found if str(file) in line]
            expect(any("read" in line or "permission" in line.lower() for line in about), f"`check` by root says that the service's user cannot read {file.relative_to(directory)}", out)


# ---- The lowered form ------------------------------------------------------------------------


@story(seconds=240, alone=True)
def api_files_lowered():
    directory = work_dir("api-files-lowered")
    file = directory / "large.yaml"
    file.write_text(openapi.of_size(LARGE, openapi.as_yaml).replace("#/components/schemas/Meter00000", "common.json#/Meter", 1))
    (directory / "common.json").write_text(openapi.as_json({"Meter": openapi.STATE}))
    tables = openapi.api("large", "large.yaml") + openapi.source("one", "getMeter00001", 0)
    with json_server(lambda path: openapi.READING) as upstream:
        tables = tables.replace(":0\"", f':{upstream}"')
        node = Supervised(directory, upstream, more=tables)
        lowered = directory / "main-node.api-large.jsonl"
        expect_refused(node, "one", ["large.yaml", "main-node check"], "a file above 2 MB")
        expect(not lowered.exists(), "`serve` does not write the lowered form", list(directory.iterdir()))
        check_writes_it(node, directory, lowered)
        node.reload()
        expect_up(node, "one", "after a reload the source is fetched")
        node.process.stop()
        each_fault_is_refused(node, directory, file, lowered, tables)
        a_kill_leaves_no_half_file(directory, lowered)


def check_writes_it(node, directory, lowered):
    found, out = check(directory)
    expect(not found and lowered.exists(), "`check` writes the lowered form beside the database", out)
    expect(lowered.name in out, "and says so", out)
    expect(is_complete(lowered), "its header has the length and the digest of the rest", lowered.read_bytes()[:500])
    expect(lowered.stat().st_size < 100_000, f"it is small: {lowered.stat().st_size} bytes for one operation")
    expect(lowered.stat().st_mode & 0o022 == 0, "nobody else may write it", oct(lowered.stat().st_mode))


def is_complete(lowered):
    """Whether the header fits what follows it."""
    header, _, text = lowered.read_bytes().partition(b"\n")
    values = leaves(json.loads(header))
    return len(text) in values and hashlib.sha256(text).hexdigest() in values


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for it in value for leaf in leaves(it)] if isinstance(value, list) else [value]


def each_fault_is_refused(node, directory, file, lowered, tables):
    good, text = lowered.read_bytes(), file.read_text()
    header, _, rest = good.partition(b"\n")

    def another_format():
        changed = json.loads(header)
        name = next(name for name in changed if "format" in name)
        changed[name] = changed[name] + 1 if isinstance(changed[name], int) else changed[name] + "1"
        lowered.write_bytes(json.dumps(changed).encode() + b"\n" + rest)

    def flip_a_byte():
        middle = len(header) + 1 + len(rest) // 2
        lowered.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])

    for what, change in (
        ("is gone", lowered.unlink),
        ("is empty", lambda: lowered.write_bytes(b"")),
        ("has its header only", lambda: lowered.write_bytes(header + b"\n")),
        ("is truncated", lambda: lowered.write_bytes(good[: len(good) * 2 // 3])),
        ("has a changed byte", flip_a_byte),
        ("is of another format", another_format),
        ("is something else", lambda: lowered.write_bytes(os.urandom(5000))),
        ("has endless lines", lambda: lowered.write_bytes(b"[" * 3_000_000)),
        ("is a directory", lambda: (lowered.unlink(), lowered.mkdir())),
        ("is older than the file", lambda: file.write_text(text.replace("title: \"Meters", "title: \"Metres", 1))),
        ("is older than a file to which that one refers", lambda: (directory / "common.json").write_text(openapi.as_json({"Meter": {}}))),
        ("has the times of the file but not its content", lambda: replace_with_same_time(file, text.replace("Adds to", "Puts on", 1))),
        ("lacks the operation", lambda: None),
    ):
        change()
        wanted = tables.replace("getMeter00001", "getMeter00002") if what == "lacks the operation" else tables
        other = restarted(node, wanted)
        expect_refused(other, "one", ["main-node check"], f"a lowered form that {what}")
        if lowered.is_dir():
            lowered.rmdir()
        found, out = check(directory)
        expect(not found, "the command is enough", out)
        other.reload()
        expect_up(other, "one", "and a reload")
        other.process.stop()
    the_file_is_gone(node, file, tables, directory)


def replace_with_same_time(file, text):
    """Another content of the same length, with the times of before."""
    before = file.stat()
    assert len(text.encode()) == before.st_size
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def the_file_is_gone(node, file, tables, directory):
    aside = shutil.move(file, file.with_suffix(".aside"))
    other = restarted(node, tables)
    expect_refused(other, "one", ["large.yaml"], "a file that is gone though there is its lowered form")
    found, out = check(directory)
    expect(any("large.yaml" in line for line in found), "`check` says that it is gone", out)
    other.process.stop()
    shutil.move(aside, file)


def a_kill_leaves_no_half_file(directory, lowered):
    """SIGKILL of `check` at the moment at which something new is in the directory, and at others."""
    lowered.unlink(missing_ok=True)
    start = time.monotonic()
    found, out = check(directory)
    seconds = time.monotonic() - start
    expect(lowered.exists(), "`check` writes it anew", out)
    kept = names(directory)
    written = 0
    for attempt in range(12):
        lowered.unlink(missing_ok=True)
        before = names(directory)
        process = subprocess.Popen(
            [main_node(), "check", "--config", directory / "main-node.toml"], cwd=directory, env=clean_environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
        )
        # Half of them as soon as there is a new file, the others somewhere in its run.
        deadline = time.monotonic() + (60 if attempt % 2 == 0 else seconds * attempt / 12)
        while process.poll() is None and time.monotonic() < deadline and not (attempt % 2 == 0 and names(directory) - before):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        written += bool(names(directory) - before)
        if lowered.exists() and not is_complete(lowered):
            expect(False, "a killed `check` leaves no half file", lowered.read_bytes()[:300])
    expect(written >= 3, f"`check` killed at 12 moments, {written} of them while it wrote: there is no half file")
    found, out = check(directory)
    expect(is_complete(lowered) and names(directory) <= kept, "the next `check` leaves nothing of those behind", names(directory) - kept)


def names(directory):
    """Files of the directory, but for those of SQLite."""
    return {entry.name for entry in os.scandir(directory) if not entry.name.endswith(("-wal", "-shm", "-journal"))}
