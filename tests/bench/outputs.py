"""What MQTT and forwarding cost: the same binary with and without them, in turns.

    BENCH_OUTPUTS=mqtt,forward,both    which ones (both)
    BENCH_OUTPUTS_CHANGING=7           how many of the keys have a new value each second (all)
    BENCH_OUTPUTS_TURNS=1              measurements of each (3)
"""

import os
import statistics
import time

from fakes.servers import json_server
from harness import Failed, Process, free_port, get, parse_metrics, wait_until, with_trusted_clock, work_dir
from measure import cpu_seconds, mb, print_result, proportional_memory, written
from services.mosquitto import Mosquitto
from services.victoria_metrics import VictoriaMetrics

KEYS = 73
TURNS = int(os.environ.get("BENCH_OUTPUTS_TURNS", 3))
# Measured from right after one commit until right after another.
COMMIT_EVERY = 20
COMMITS = 3


def outputs(binary):
    """Memory, CPU time and bytes written of a node that fetches KEYS keys every second."""
    variants = ["without", *os.environ.get("BENCH_OUTPUTS", "both").split(",")]
    changing = int(os.environ.get("BENCH_OUTPUTS_CHANGING", KEYS))
    found = {name: [] for name in variants}
    directory = work_dir("bench-outputs")
    with Mosquitto(directory) as broker, VictoriaMetrics(directory) as victoria:
        for turn in range(TURNS):
            for name in variants:
                home = directory / f"{name}-{turn}"
                home.mkdir()
                found[name].append(measure(binary, home, sections(name, broker, victoria), changing))
                print(f"    {name}, turn {turn + 1}: {found[name][-1]}", flush=True)
    columns = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}
    for name in variants[1:]:
        compare(name, changing, columns["without"], columns[name])


def sections(name, broker, victoria):
    """The configuration of the outputs."""
    mqtt = f'[mqtt]\nurl = "mqtt://{broker.address}"\nhome_assistant = true\n'
    forward = f'[[forward]]\nurl = "{victoria.write_url}"\n'
    return {"without": "", "mqtt": mqtt, "forward": forward, "both": mqtt + forward}[name]


def compare(name, changing, without, outputs_on):
    memory, cpu, called, to_disk, database = zip(outputs_on, without)
    what = f"{name}, {changing} of {KEYS} keys change"
    print_result(f"{what}: PSS", f"+ {mb(memory[0] - memory[1])}", "<= 2 MB", f"without: {mb(memory[1])}, with: {mb(memory[0])}")
    print_result(
        f"{what}: CPU of a minute", f"+ {(cpu[0] / cpu[1] - 1):.1%}", "<= 10 %", f"without: {cpu[1] * 1000:.0f} ms, with: {cpu[0] * 1000:.0f} ms"
    )
    for where, (ours, theirs) in (("write(2)", called), ("to the disk", to_disk), ("database and WAL", database)):
        print_result(f"{what}: {where}, each fetch", f"{ours:,.0f} bytes", "unchanged", f"without: {theirs:,.0f}")


def measure(binary, directory, sections_of_outputs, changing):
    """(PSS, seconds of CPU time a minute, bytes of write(2), bytes to the disk, growth of the database) of which
    the last three are for one fetch."""
    step = iter(range(1_000_000_000))

    def rooms(_path):
        number = next(step)
        return {f"room{key:02}_temperature": key + (number % 10 / 10 if key < changing else 0) for key in range(KEYS)}

    with json_server(rooms) as upstream:
        address = f"127.0.0.1:{free_port()}"
        file = directory / "main-node.toml"
        file.write_text(
            f'listen = "{address}"\ndatabase = "{directory}/main-node.db"\ncommit_every = "{COMMIT_EVERY}s"\n'
            f'[[source]]\nname = "rooms"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n{sections_of_outputs}'
        )
        # Rows that wait for a clock are not stored.
        node = Process(with_trusted_clock([binary, "serve", "--config", file]), directory / "log", cwd=directory)
        try:
            wait_until(lambda: get(address, "/snapshot").status == 200, 20, lambda: f"the node answers: {node.output()}")
            # The first brings the work of the start.
            for _ in range(2):
                await_commit(node, directory)
            before, fetches_before = counters(node, directory), fetches(address)
            for _ in range(COMMITS):
                await_commit(node, directory)
            after, fetches_after = counters(node, directory), fetches(address)
            expect_outputs_up(address)
            memory = proportional_memory(node.pid)
        finally:
            node.stop()
    cpu, *sizes = (new - old for new, old in zip(after, before))
    count = fetches_after - fetches_before
    return (memory, cpu / count * 60, *(size / count for size in sizes))


def counters(node, directory):
    return (cpu_seconds(node.pid), *written(node.pid), sum(it.stat().st_size for it in directory.glob("main-node.db*")))


def await_commit(node, directory):
    """Returns when a commit has been written to the journal of the database."""
    journal = directory / "main-node.db-wal"

    def at():
        return journal.stat().st_mtime_ns if journal.exists() else 0

    last = at()
    wait_until(lambda: at() != last, COMMIT_EVERY + 20, lambda: f"a commit: {node.output()}", poll_every=0.2)
    # All of its pages.
    wait_until(lambda: still_since(at), 10, "the commit ends", poll_every=0.2)


def still_since(at):
    last = at()
    time.sleep(0.2)
    return at() == last


def metric(address, name):
    return parse_metrics(get(address, "/metrics").text).get(name, [])


def fetches(address):
    """How many there were; a fetch each second."""
    return sum(value for _, value in metric(address, "mainnode_fetch_attempts_total"))


def expect_outputs_up(address):
    down = [labels["output"] for labels, value in metric(address, "mainnode_output_up") if value != 1]
    if down:
        raise Failed(f"not up: {down}: {get(address, '/status').text}")
