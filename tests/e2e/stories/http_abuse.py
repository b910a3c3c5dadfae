"""HTTP attacks on a whole node: those of http_attacks.py, which also runs by itself against any
loopback node, and slowhttptest's."""

import statistics
import sys
import time

from fakes.servers import json_server
from harness import (
    ROOT, Failed, Missing, Process, environment, expect, free_port, get, main_node, not_checked, run, story, tool,
    wait_until, work_dir,
)

MIXED_SECONDS = 20


@story(seconds=240, alone=True)
def gate_abuse():
    attacks = ROOT / "tests" / "e2e" / "http_attacks.py"
    directory, port = work_dir("gate-abuse"), free_port()
    with json_server(lambda path: {f"key{n}": n / 10 for n in range(50)}) as upstream:
        file = directory / "main-node.toml"
        file.write_text(
            f'listen = "127.0.0.1:{port}"\ndatabase = "{directory / "main-node.db"}"\n\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "2s"\n'
        )
        serve = [main_node(), "serve", "--config", file]
        address = f"127.0.0.1:{port}"
        # Attacks on /history need rows, which are committed at a stop at the latest.
        first_run = Process(serve, directory / "first-run.log", cwd=directory)
        wait_until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {first_run.output()}")
        code, _ = first_run.stop()
        expect(code == 0, "a first run leaves a database with rows", first_run.output())
        node = Process(serve, directory / "node.log", cwd=directory)
        wait_until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {node.output()}")
        command = [sys.executable, attacks, f"http://{address}", "--pid", node.pid, "--mixed-seconds", MIXED_SECONDS]
        code, out, err = run(command, 180)
        for line in out.splitlines():
            print(f"        {line}")
        expect(code == 0, "all attacks of http_attacks.py pass", (code, err))
        slow_clients(address, node)
        expect(node.running() and "panicked" not in node.output(), "the node is alive and did not panic", node.output())
        lines = node.output().splitlines()
        expect(len(lines) < 200, "attacks are logged in few lines, not one per request", len(lines))
        code, seconds = node.stop()
        expect(code == 0 and seconds < 5, "SIGTERM stops it with exit code 0 within 5 s", (code, seconds))


def slow_clients(address, node):
    """slowhttptest in each of its modes, while a well-behaved client polls."""
    try:
        slow = tool("slowhttptest")
    except Missing as missing:
        not_checked(f"slowhttptest: {missing}")
        return
    idle = p99([latency(address) for _ in range(200)])
    for mode, name in (("-H", "slow headers"), ("-B", "slow body"), ("-X", "slow reading"), ("-R", "overlapping ranges")):
        attack = Process(
            [slow, mode, "-c", 1000, "-r", 500, "-i", 1, "-l", 8, "-u", f"http://{address}/snapshot", "-p", 2],
            node.log.with_name(f"slow{mode}.log"), env=environment(),
        )
        latencies = []
        while attack.running():
            latencies.append(latency(address))
        p99_under_attack = p99(latencies)
        # Attacker, poller and node may share two cores.
        expect(
            len(latencies) > 20 and p99_under_attack < max(10 * idle, 0.05),
            f"{name}, 1,000 connections: p99 of {len(latencies)} polls by another client {p99_under_attack * 1000:.1f} ms, idle {idle * 1000:.1f} ms",
            attack.output()[-800:],
        )


def latency(address):
    """Seconds until a response to another address: limits count per address. Paced at 50 per second."""
    time.sleep(0.02)
    begin = time.monotonic()
    reply = get(address, "/snapshot", seconds=5, source="127.0.0.9")
    if reply.status != 200:
        raise Failed(f"a poll by another client got {reply.status}")
    return time.monotonic() - begin


def p99(latencies):
    return statistics.quantiles(latencies, n=100)[98]
