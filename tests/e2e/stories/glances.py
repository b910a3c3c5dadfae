"""The whole way on real input: Glances' own OpenAPI file, its own server, this machine."""

import os
import pathlib
import re
import shutil
import sqlite3

from harness import (
    ROOT, WORK, Program, clean_environment, environment, expect, free_port, get, room, run, samples,
    story, tool, until, venv,
)



@story(seconds=420)
def glances():
    place = room("glances")
    server, api = start_glances(place)
    published = place / "glances.json"
    published.write_bytes(get(api, "/openapi.json", seconds=10).body)

    binary = node_for([published], "glances")
    sources = glances_sources(binary, place, api)
    agrees_with_this_machine(binary, place, sources)
    code, _ = server.stop(10)
    expect(code is not None, "Glances ends with the story")


def start_glances(place):
    """(the program, its address)"""
    glances = venv("glances") / "glances"
    port = free_port()
    server = Program(
        [glances, "-w", "-B", "127.0.0.1", "-p", port, "--disable-webui", "--disable-autodiscover", "--disable-check-update"],
        place / "glances.log", cwd=place,
    )
    address = f"127.0.0.1:{port}"
    until(lambda: get(address, "/api/4/load").status == 200, 40, lambda: f"Glances answers: {server.said()}", every=0.3)
    expect(get(address, "/openapi.json").json["openapi"].startswith("3."), "Glances publishes an OpenAPI 3 file")
    return server, address


def node_for(files, name):
    """A main-node whose generated client is that of `files`, built in a scratch copy."""
    # One scratch workspace with a target directory of its own for every story: cargo names
    # what it makes of a workspace's own packages by their path within it, so two workspaces
    # that share a target directory take each other's binaries for fresh.
    scratch, target = WORK / "scratch", WORK / "scratch-target"
    copy_workspace(scratch)
    seed_dependencies(target)
    before = (ROOT / "src/api/client.rs").read_bytes()
    environment = clean_environment(CARGO_TARGET_DIR=str(target))
    code, out, err = run(["cargo", "codegen", *files], 180, cwd=scratch, env=environment)
    expect(code == 0, f"cargo codegen takes {' and '.join(file.name for file in files)} as published", out + err)
    print("        " + ((out + err).strip().splitlines() or ["(no report)"])[-1])
    code, out, err = run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node"], 300, cwd=scratch, env=environment)
    expect(code == 0, "and main-node compiles with that client", out + err)
    binary = WORK / "bin" / f"main-node-{name}"
    binary.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "debug" / "main-node", binary)
    expect((ROOT / "src/api/client.rs").read_bytes() == before, "the committed client stays as it was")
    return binary


def seed_dependencies(target):
    """Takes the dependencies that the dev build has compiled already; cargo judges whether
    they are fresh, and compiles again what is not."""
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    if target.exists() or not built.exists():
        return
    half = target.with_name(target.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    ours = ("main-node-", "main_node-", "libmain_node-", "codegen-", "libcodegen-", "tidy-")
    for part in ("deps", ".fingerprint", "build"):
        shutil.copytree(
            built / part, half / "debug" / part, symlinks=True,
            ignore=lambda _, names: [name for name in names if name.startswith(ours)],
            # Files that only compilers write are replaced whole, so a link is as good.
            copy_function=os.link if part == "deps" else shutil.copy2,
        )
    half.rename(target)


def copy_workspace(scratch):
    """Refreshes the copy file by file, so that what did not change is not built again."""
    wanted = set()
    for base, directories, files in os.walk(ROOT):
        directories[:] = [d for d in directories if d not in ("target", ".git")]
        for file in files:
            path = os.path.relpath(os.path.join(base, file), ROOT)
            if path == ".git":
                continue
            wanted.add(path)
            source, copy = ROOT / path, scratch / path
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
                shutil.copymode(source, copy)
    for copy in scratch.rglob("*"):
        if copy.is_file() and str(copy.relative_to(scratch)) not in wanted:
            copy.unlink()


def glances_sources(binary, place, api):
    """[[source]] tables for load, memory and file systems, from what `operations` prints."""
    code, listed, err = run([binary, "operations"], 20, cwd=place)
    expect(code == 0, "`operations` lists what was compiled in", listed + err)
    # Glances has one operation for all its plugins; the name of one is a part of the path.
    operation = operation_of(listed, "/api/4/{plugin}")
    expect(operation, "GET /api/4/{plugin} is among them", listed)
    return "\n".join(
        f'[[source]]\nname = "{plugin}"\noperation = "{operation}"\nparams = {{ plugin = "{plugin}" }}\n'
        f'base_url = "http://{api}"\nevery = "1s"\nprefix = "{plugin}"\n'
        for plugin in ("load", "mem", "fs")
    )


def operation_of(listed, path):
    """The operation that `operations` prints for this path."""
    found = re.search(
        rf'^# GET {re.escape(path)}(?::| |$).*?^operation = "([^"]+)"', listed, re.MULTILINE | re.DOTALL
    )
    return found and found[1]


def agrees_with_this_machine(binary, place, sources):
    file = place / "main-node.toml"
    port = free_port()
    file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{place / "main-node.db"}"\n\n{sources}')
    code, out, err = run([binary, "check", "--config", file], 20, cwd=place)
    # A machine whose kernel calls no clock synchronised is right to be told so.
    problems = [line for line in out.splitlines() if line.startswith("PROBLEM:") and "clock" not in line]
    expect("PROBLEM:" in out or code == 0, "`check` says what it has against the configuration", out + err)
    expect(not problems, "which is nothing", problems)
    code, out, err = run([binary, "once", "--config", file], 60, cwd=place)
    expect(code == 0 and "load.min1" in out and "mem.total" in out, "`once` prints a table of load, memory and file systems", out + err)
    expect(not (place / "main-node.db").exists(), "and stores nothing")

    address = f"127.0.0.1:{port}"
    node = Program([binary, "serve", "--config", file], place / "log", cwd=place)

    def three_sources():
        records = {r["key"]: r for r in get(address, "/snapshot").json["records"]}
        return records if {"load.min1", "mem.total"} <= set(records) and any(k.startswith("fs.") for k in records) else None

    records = until(three_sources, 30, lambda: f"`serve` shows load, memory and file systems: {node.said()}")
    expect(records["mem.total"]["value"] == memory_total(), "memory is the machine's own (MemTotal)", (records["mem.total"], memory_total()))
    loads = [float(word) for word in open("/proc/loadavg").read().split()[:3]]
    expect(abs(records["load.min15"]["value"] - loads[2]) < 1.0, "load over 15 minutes agrees with /proc/loadavg", (records["load.min15"], loads))
    sizes = [r["value"] for k, r in records.items() if k.startswith("fs.") and k.endswith(".size")]
    totals = known_sizes()
    expect(sizes and all(size in totals for size in sizes), "each file system has its size as statvfs says", (sizes, totals))

    metrics = get(address, "/metrics").text
    found = {labels["key"]: value for labels, value in samples(metrics)["mainnode_record_value"]}
    expect(found.get("mem.total") == float(memory_total()), "/metrics shows the same", found.get("mem.total"))
    code, out, err = run([tool("promtool"), "check", "metrics"], 20, env=environment(), stdin=metrics)
    expect(code == 0 and not (out + err).strip(), "promtool finds nothing to say about it", out + err)
    status = get(address, "/status").json
    healthy = status["status"] == "pass" or (status["status"], status["clock"]["state"]) == ("warn", "untrusted")
    expect(healthy, f"/status is {status['status']}, with a clock that is {status['clock']['state']}", status)
    expect(all(source["state"] == "up" for source in status["sources"]), "and all three sources are up", status)

    code, seconds = node.stop()
    expect(code == 0 and seconds < 5, "SIGTERM ends it with 0 within 5 s", (code, seconds, node.said()))
    with sqlite3.connect(place / "main-node.db") as database:
        rows = dict(database.execute("SELECT key, count(*) FROM records GROUP BY key").fetchall())
        columns = [(c[1], c[2], c[3]) for c in database.execute("PRAGMA table_info(records)")]
    expect(rows.get("mem.total", 0) >= 1 and rows.get("load.min1", 0) >= 1, "the database holds the readings", rows)
    expect(
        columns == [("id", "INTEGER", 0), ("timestamp", "TEXT", 1), ("key", "TEXT", 1), ("value", "REAL", 0), ("meta", "JSON", 0)],
        "in the schema that is shared, to the letter", columns,
    )


def memory_total():
    line = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal:"))
    return int(line.split()[1]) * 1024


def known_sizes():
    """Sizes of all mounted file systems, in bytes."""
    sizes = set()
    for line in open("/proc/mounts"):
        try:
            found = os.statvfs(line.split()[1].encode().decode("unicode_escape"))
        except OSError:
            continue
        sizes.add(found.f_blocks * found.f_frsize)
    return sizes
