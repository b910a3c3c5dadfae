"""The gate under attack, with the whole program behind it. The attacks and what must hold
after each are in http_attacks.py, which also runs by itself against any loopback node."""

import re
import statistics
import sys
import time

from harness import (
    ROOT, Failed, Missing, Program, environment, expect, free_port, get, json_server, main_node, not_checked, room, run,
    story, tool, until,
)

MIXED_SECONDS = 20


@story(seconds=240)
def gate_abuse():
    attacks = ROOT / "tests" / "e2e" / "http_attacks.py"
    if not attacks.exists():
        raise Missing("there is no tests/e2e/http_attacks.py yet")
    place, port = room("gate-abuse"), free_port()
    with json_server(lambda path: {f"key{n}": n / 10 for n in range(50)}) as upstream:
        file = place / "main-node.toml"
        file.write_text(
            f'listen = "127.0.0.1:{port}"\ndatabase = "{place / "main-node.db"}"\n\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "2s"\n'
        )
        serve = [main_node(), "serve", "--config", file]
        address = f"127.0.0.1:{port}"
        # Attacks on histories need rows, which wait for a clock that can be believed or a stop.
        earlier = Program(serve, place / "earlier-log", cwd=place)
        until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {earlier.said()}")
        code, _ = earlier.stop()
        expect(code == 0, "it stops and leaves a database with rows", earlier.said())
        node = Program(serve, place / "log", cwd=place)
        until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {node.said()}")
        command = [sys.executable, attacks, f"http://{address}", "--pid", node.pid, "--mixed-seconds", MIXED_SECONDS]
        code, out, err = run(command, 180)
        for line in out.splitlines():
            print(f"        {line}")
        expect(code == 0, "every attack of http_attacks.py is survived", (code, err))
        slow_clients(address, node)
        expect(node.running() and "panicked" not in node.said(), "the node lives, and nothing panicked", node.said())
        lines = [line for line in node.said().splitlines() if re.search(r"refus|abus|shed|limit|drop", line)]
        expect(len(lines) < 200, "abuse is told in few lines, not one per hit", len(lines))
        code, seconds = node.stop()
        expect(code == 0 and seconds < 5, "SIGTERM still ends it with 0 within 5 s", (code, seconds))


def slow_clients(address, node):
    """Debian's slowhttptest, in its modes, while somebody well-behaved goes on asking."""
    try:
        slow = tool("slowhttptest")
    except Missing as missing:
        not_checked(f"slowhttptest: {missing}")
        return
    quiet = p99([wait(address) for _ in range(200)])
    for mode, name in (("-H", "slow headers"), ("-B", "slow body"), ("-X", "slow reading"), ("-R", "overlapping ranges")):
        attack = Program(
            [slow, mode, "-c", 1000, "-r", 500, "-i", 1, "-l", 8, "-u", f"http://{address}/snapshot", "-p", 2],
            node.log.with_name(f"slow{mode}.log"), env=environment(),
        )
        waits = []
        while attack.running():
            waits.append(wait(address))
        ours = p99(waits)
        # A machine of two cores plays the attacker, the poller and the node.
        expect(
            len(waits) > 20 and ours < max(10 * quiet, 0.05),
            f"{name}, 1,000 connections: p99 of {len(waits)} polls from elsewhere {ours * 1000:.1f} ms, quiet {quiet * 1000:.1f} ms",
            attack.said()[-800:],
        )


def wait(address):
    """Seconds that a poller from another address waits: the attacker may use up its own."""
    time.sleep(0.02)
    begin = time.monotonic()
    reply = get(address, "/snapshot", seconds=5, source="127.0.0.9")
    if reply.status != 200:
        raise Failed(f"a poll from elsewhere is answered with {reply.status}")
    return time.monotonic() - begin


def p99(waits):
    return statistics.quantiles(waits, n=100)[98]
