"""Glances: a client from its own OpenAPI file, readings of its server, compared with /proc."""

import os
import sqlite3

from codegen_build import build_with_client, operation_for_path
from harness import (
    Process, environment, expect, free_port, get, parse_metrics, run, story, tool, venv, wait_until, work_dir,
)


@story(seconds=420, alone=True)
def glances():
    directory = work_dir("glances")
    server, api = start_glances(directory)
    published = directory / "glances.json"
    published.write_bytes(get(api, "/openapi.json", seconds=10).body)

    binary = build_with_client([published], "glances")
    sources = glances_sources(binary, directory, api)
    readings_match_the_machine(binary, directory, sources)
    code, _ = server.stop(10)
    expect(code is not None, "Glances stops")


def start_glances(directory):
    """(process, address)"""
    glances = venv("glances") / "glances"
    port = free_port()
    server = Process(
        [glances, "-w", "-B", "127.0.0.1", "-p", port, "--disable-webui", "--disable-autodiscover", "--disable-check-update"],
        directory / "glances.log", cwd=directory,
    )
    address = f"127.0.0.1:{port}"
    wait_until(lambda: get(address, "/api/4/load").status == 200, 40, lambda: f"Glances answers: {server.output()}", poll_every=0.3)
    expect(get(address, "/openapi.json").json["openapi"].startswith("3."), "Glances publishes an OpenAPI 3 file")
    return server, address


def glances_sources(binary, directory, api):
    """[[source]] tables for load, memory and file systems, from what `operations` prints."""
    code, listed, err = run([binary, "operations"], 20, cwd=directory)
    expect(code == 0, "`operations` lists the compiled-in operations", listed + err)
    # Glances has one operation for all plugins; the plugin is a path parameter.
    operation = operation_for_path(listed, "/api/4/{plugin}")
    expect(operation, "GET /api/4/{plugin} is among them", listed)
    return "\n".join(
        f'[[source]]\nname = "{plugin}"\noperation = "{operation}"\nparams = {{ plugin = "{plugin}" }}\n'
        f'base_url = "http://{api}"\nevery = "1s"\nprefix = "{plugin}"\n'
        for plugin in ("load", "mem", "fs")
    )


def readings_match_the_machine(binary, directory, sources):
    file = directory / "main-node.toml"
    port = free_port()
    file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{directory / "main-node.db"}"\n\n{sources}')
    code, out, err = run([binary, "check", "--config", file], 20, cwd=directory)
    # A warning about an unsynchronised clock is right on some machines.
    problems = [line for line in out.splitlines() if line.startswith("PROBLEM:") and "clock" not in line]
    expect("PROBLEM:" in out or code == 0, "`check` prints its problems or exits with 0", out + err)
    expect(not problems, "`check` finds no problem", problems)
    code, out, err = run([binary, "once", "--config", file], 60, cwd=directory)
    expect(code == 0 and "load.min1" in out and "mem.total" in out, "`once` prints a table of load, memory and file systems", out + err)
    expect(not (directory / "main-node.db").exists(), "`once` stores nothing")

    address = f"127.0.0.1:{port}"
    node = Process([binary, "serve", "--config", file], directory / "log", cwd=directory)

    def three_sources():
        records = {r["key"]: r for r in get(address, "/snapshot").json["records"]}
        return records if {"load.min1", "mem.total"} <= set(records) and any(k.startswith("fs.") for k in records) else None

    records = wait_until(three_sources, 30, lambda: f"`serve` shows load, memory and file systems: {node.output()}")
    expect(records["mem.total"]["value"] == memory_total(), "mem.total is MemTotal of /proc/meminfo", (records["mem.total"], memory_total()))
    loads = [float(word) for word in open("/proc/loadavg").read().split()[:3]]
    expect(abs(records["load.min15"]["value"] - loads[2]) < 1.0, "load.min15 is that of /proc/loadavg", (records["load.min15"], loads))
    sizes = [r["value"] for k, r in records.items() if k.startswith("fs.") and k.endswith(".size")]
    totals = file_system_sizes()
    expect(sizes and all(size in totals for size in sizes), "file system sizes are those of statvfs", (sizes, totals))

    metrics = get(address, "/metrics").text
    found = {labels["key"]: value for labels, value in parse_metrics(metrics)["mainnode_record_value"]}
    expect(found.get("mem.total") == float(memory_total()), "/metrics has the same value", found.get("mem.total"))
    code, out, err = run([tool("promtool"), "check", "metrics"], 20, env=environment(), stdin=metrics)
    expect(code == 0 and not (out + err).strip(), "promtool accepts /metrics", out + err)
    status = get(address, "/status").json
    healthy = status["status"] == "pass" or (status["status"], status["clock"]["state"]) == ("warn", "untrusted")
    expect(healthy, f"/status is {status['status']}, with a clock that is {status['clock']['state']}", status)
    expect(all(source["state"] == "up" for source in status["sources"]), "all three sources are up", status)

    code, seconds = node.stop()
    expect(code == 0 and seconds < 5, "SIGTERM stops it with exit code 0 within 5 s", (code, seconds, node.output()))
    with sqlite3.connect(directory / "main-node.db") as database:
        rows = dict(database.execute("SELECT key, count(*) FROM records GROUP BY key").fetchall())
        columns = [(c[1], c[2], c[3]) for c in database.execute("PRAGMA table_info(records)")]
    expect(rows.get("mem.total", 0) >= 1 and rows.get("load.min1", 0) >= 1, "the database has the readings", rows)
    expect(
        columns == [("id", "INTEGER", 0), ("timestamp", "TEXT", 1), ("key", "TEXT", 1), ("value", "REAL", 0), ("meta", "JSON", 0)],
        "table records has exactly the specified columns", columns,
    )


def memory_total():
    line = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal:"))
    return int(line.split()[1]) * 1024


def file_system_sizes():
    """Sizes of all mounted file systems, in bytes."""
    sizes = set()
    for line in open("/proc/mounts"):
        try:
            found = os.statvfs(line.split()[1].encode().decode("unicode_escape"))
        except OSError:
            continue
        sizes.add(found.f_blocks * found.f_frsize)
    return sizes
