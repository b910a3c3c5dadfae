"""Reload by SIGHUP under a supervisor: a good configuration takes over without a refused connection, a bad
one changes nothing; without a supervisor SIGHUP is a clean stop. A socket of the story is the supervisor."""

import contextlib
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import threading
import time

from fakes.servers import json_server
from harness import (
    Failed, Process, clean_environment, expect, free_port, get, main_node, parse_metrics, run, story, wait_until, with_trusted_clock, work_dir,
)

# DESIGN: /snapshot may be away for a second. The machine that runs this may be loaded, and the binary a debug build.
LONGEST_ABSENCE = 3.0


@story(seconds=120, alone=True)
def reload():
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        node = Supervised(work_dir("reload"), upstream)
        bad_configurations_change_nothing(node)
        good_configuration_takes_over_without_a_refused_connection(node)
        a_new_address_is_opened_and_the_old_one_kept(node)
        many_signals_at_once_are_survived(node)
        a_port_of_another_program_is_refused(node)
        a_database_that_cannot_be_used_is_refused(node)
        an_address_within_the_old_one_takes_over(node)
        rows_are_continued(node)
        a_stop_during_a_reload_is_obeyed(upstream)
        a_file_that_is_gone_is_no_example(upstream)
    without_supervisor_it_is_a_stop()


class Supervised:
    """main-node with NOTIFY_SOCKET, as systemd starts it."""

    # Fewer than the number of the first descriptor that is passed on.
    DESCRIPTORS = 256

    def __init__(self, directory, upstream, arguments=None, more="", inside=lambda command: command, seconds=20):
        """`more` is of its configuration; `inside` gives the command that starts another one; `seconds` is for the start."""
        self.directory, self.upstream = directory, upstream
        self.port, self.file, self.database = free_port(), directory / "main-node.toml", directory / "main-node.db"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(directory / "notify"))
        self.messages = []
        threading.Thread(target=self.receive, daemon=True).start()
        self.configure(more)
        environment = clean_environment(NOTIFY_SOCKET=str(directory / "notify"), WATCHDOG_USEC="60000000")
        arguments = ("--config", self.file) if arguments is None else arguments
        command = inside(with_trusted_clock([main_node(), "serve", *arguments]))
        limits = (self.DESCRIPTORS, self.DESCRIPTORS)
        self.process = Process(
            command, directory / "log", cwd=directory, env=environment,
            preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
        )
        wait_until(self.serves, seconds, lambda: f"it serves: {self.process.output()}")
        self.starts = wait_until(lambda: self.told("READY=1"), 10, "READY=1 is sent")
        expect(self.starts == 1, "READY=1 is sent once", self.messages)

    def receive(self):
        while True:
            self.messages += self.socket.recv(4096).decode().splitlines()

    def serves(self):
        if not self.process.running():
            raise Failed(f"it has ended with {self.process.wait(0)}: {self.process.output()}")
        return self.get("/snapshot").status == 200

    def told(self, line):
        return self.messages.count(line)

    def configure(self, more="", every="1s", ports=(), host="127.0.0.1", database=None):
        addresses = ", ".join(f'"{host}:{port}"' for port in (self.port, *ports))
        self.file.write_text(
            f'listen = [{addresses}]\ndatabase = "{database or self.database}"\ncommit_every = "10m"\n{more}\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{self.upstream}/"\nevery = "{every}"\n'
        )

    def get(self, path, port=None):
        return get(f"127.0.0.1:{port or self.port}", path)

    def status(self):
        return self.get("/status").json

    def hang_up(self):
        self.process.signal(signal.SIGHUP)

    def wait_for_quiet(self):
        """Until no reload has begun or ended for a second: a configuration that is written while one runs may be its."""
        seen = [0, time.monotonic()]

        def is_quiet():
            if seen[0] != len(self.messages):
                seen[:] = len(self.messages), time.monotonic()
            return time.monotonic() - seen[1] > 1 and self.told("READY=1") - self.starts == self.told("RELOADING=1")

        wait_until(is_quiet, 30, lambda: f"each reload ends: {self.process.output()}")

    def reload(self, seconds=20):
        """SIGHUP, and the end of the reload."""
        ready, reloading = self.told("READY=1"), self.told("RELOADING=1")
        self.hang_up()
        wait_until(lambda: self.told("READY=1") > ready, seconds, lambda: f"READY=1 after the reload: {self.process.output()}")
        expect(self.told("RELOADING=1") == reloading + 1, "RELOADING=1, then READY=1", self.messages[-6:])

    def refused_reload(self, seconds=20):
        """SIGHUP; the problems for which the configuration is refused."""
        refused = lambda: self.status()["configuration"]["refused"]  # noqa: E731
        earlier = refused()
        self.hang_up()
        wait_until(lambda: refused() != earlier, seconds, lambda: f"the refusal is shown: {self.process.output()}")
        return refused()["problems"]


def bad_configurations_change_nothing(node):
    for more, expected in [
        ('titel = "x"', "title"),
        ('password_file = "absent"', "absent"),
        ("listen [", "main-node.toml:4"),
        ('webhook_url = "${NO_SUCH_VARIABLE}"', "webhook_url"),
    ]:
        before = node.status()["configuration"]
        node.configure(more)
        problems = node.refused_reload()
        after = node.status()
        expect(any(expected in problem for problem in problems), f"{more}: the problem is in /status", problems)
        expect(after["configuration"]["loaded"] == before["loaded"] and after["status"] == "warn", "the old configuration stays in use, and /status warns", after)
    expect("not in use" in node.get("/web").text, "/web says so in a sentence")
    metrics = parse_metrics(node.get("/metrics").text)
    expect(metrics["mainnode_config_last_reload_successful"] == [({}, 0.0)], "and a metric")
    expect(node.told("RELOADING=1") == 0 and node.told("STOPPING=1") == 0, "systemd is told of no reload", node.messages)


def good_configuration_takes_over_without_a_refused_connection(node):
    node.configure('name = "second"')
    build = node.status()["build"]
    with visitors(node) as visits:
        node.reload()
        wait_until(lambda: node.status()["node"] == "second", 10, "the new configuration is in use")
        wait_until(lambda: any(visit.begun > time.monotonic() - 1 for visit in visits[:]), 10, "visitors go on")
    failed = [visit.failure for visit in visits if visit.failure]
    expect(not failed, f"none of {len(visits)} requests during the reload is refused or fails", failed[:3])
    longest = max(visit.seconds for visit in visits)
    expect(longest < LONGEST_ABSENCE, f"the slowest takes {longest:.2f} s", longest)
    status = node.status()
    expect(status["configuration"]["refused"] is None and status["build"] == build, "by the same program, with nothing refused", status["configuration"])
    name = pathlib.Path(f"/proc/{node.process.pid}/comm").read_text().strip()
    expect(name == "main-node", "the process keeps its name", name)
    expect(node.told("STOPPING=1") == 0, "systemd is told of no stop", node.messages)


def a_new_address_is_opened_and_the_old_one_kept(node):
    other = free_port()
    node.configure('name = "third"', ports=[other])
    node.reload()
    for port in (node.port, other):
        expect(node.get("/status", port).json["node"] == "third", "an address that is new and one that is kept answer")
    node.configure('name = "fourth"')
    node.reload()
    expect(node.status()["node"] == "fourth", "the kept one answers")
    with contextlib.suppress(ConnectionRefusedError):
        raise AssertionError(f"an address that is left out answers: {node.get('/status', other)}")
    print("  ok    an address that is left out refuses connections", flush=True)


def many_signals_at_once_are_survived(node):
    descriptors = len(os.listdir(f"/proc/{node.process.pid}/fd"))
    for _ in range(4):
        ready = node.told("READY=1")
        for _ in range(20):
            node.hang_up()
            # Shorter than a reload, so that a signal comes at each of its steps.
            time.sleep(0.01)
        wait_until(lambda: node.told("READY=1") > ready, 20, lambda: f"it is ready again: {node.process.output()}")
    node.wait_for_quiet()
    wait_until(lambda: node.get("/snapshot").status == 200, 10, "it serves")
    expect(node.process.running(), "20 signals within a fifth of a second, four times: the process goes on", node.process.output())
    after = len(os.listdir(f"/proc/{node.process.pid}/fd"))
    expect(after <= descriptors + 2, f"no descriptor leaks: {descriptors}, {after}")


def a_port_of_another_program_is_refused(node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.configure(ports=[taken.getsockname()[1]])
        problems = node.refused_reload()
        expect("in use by another program" in problems[0], "an address that another program has is refused before anything stops", problems)


def a_database_that_cannot_be_used_is_refused(node):
    foreign, text, newer = (node.directory / name for name in ("foreign.db", "text.db", "newer.db"))
    with contextlib.closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE notes (text)")
    text.write_text("These are notes." * 100)
    with contextlib.closing(sqlite3.connect(node.database)) as database:
        database.execute("VACUUM INTO ?", (str(newer),))
    with contextlib.closing(sqlite3.connect(newer)) as database:
        database.execute("PRAGMA user_version = 999")
    for database in (foreign, text, newer, node.directory / "absent/new.db", node.directory):
        node.configure(database=database)
        node.hang_up()
        shown = lambda: any(f"{database}" in problem for problem in (node.status()["configuration"]["refused"] or {"problems": []})["problems"])
        wait_until(shown, 10, lambda: f"{database.name} is refused: {node.process.output()}")
    expect(node.get("/snapshot").status == 200, "a database of another program, of a newer version, or without a directory is refused", node.process.output())


def an_address_within_the_old_one_takes_over(node):
    for host in ("0.0.0.0", "127.0.0.1"):
        node.configure(f'name = "at {host}"', host=host)
        node.reload()
        wait_until(lambda: node.status()["node"] == f"at {host}", 10, lambda: f"{host} takes over: {node.process.output()}")
    print("  ok    0.0.0.0 takes over from 127.0.0.1 with the same port, and the other way round", flush=True)


def a_stop_during_a_reload_is_obeyed(upstream):
    for milliseconds in (0, 2, 5, 10, 30, 60):
        node = Supervised(work_dir("reload-stop"), upstream)
        node.hang_up()
        time.sleep(milliseconds / 1000)
        node.process.signal(signal.SIGTERM)
        status = node.process.wait(15)
        if status not in (0, -signal.SIGTERM):
            raise Failed(f"SIGTERM {milliseconds} ms after SIGHUP: {status}: {node.process.output()}")
    print("  ok    SIGTERM ends it at any moment of a reload", flush=True)


def a_file_that_is_gone_is_no_example(upstream):
    """As the unit starts it: without --config."""
    node = Supervised(work_dir("reload-gone"), upstream, arguments=())
    node.file.unlink()
    node.hang_up()
    wait_until(lambda: node.status()["configuration"]["refused"], 10, "a file that is gone is refused")
    sources = [source["name"] for source in node.status()["sources"]]
    expect(sources == ["meter"], "the example does not take over from a file that is gone", sources)
    node.process.stop()
    node.file.write_text("listen = [")
    for variables, expected in [("", 2), ("LISTEN_PID=$$ LISTEN_FDS=0 LISTEN_FDS_FIRST_FD=0", 1)]:
        command = f'{variables} exec "$0" serve --config "$1"'
        code, out, err = run(["sh", "-c", command, main_node(), node.file], 10)
        expect(code == expected, f"a file that breaks {'during a reload' if variables else 'before the start'} ends with {expected}", out + err)


def rows_are_continued(node):
    node.configure('name = "fifth"')
    node.reload()
    wait_until(lambda: node.status()["node"] == "fifth" and node.status()["sources"][0]["attempts"] >= 3, 20, "it is loaded anew, and fetches")
    code, _ = node.process.stop()
    wait_until(lambda: node.told("STOPPING=1"), 5, lambda: f"systemd is told of the stop: {node.messages[-5:]}")
    expect(code == 0 and node.told("STOPPING=1") == 1, "SIGTERM ends it with 0 and STOPPING=1", (code, node.messages[-5:]))
    with contextlib.closing(sqlite3.connect(node.database)) as database:
        times = [time for time, in database.execute("SELECT unixepoch(timestamp) FROM records ORDER BY id")]
    gaps = [after - before for before, after in zip(times, times[1:])]
    expect(len(times) > 5 and max(gaps) < 15, f"{len(times)} rows without a gap, though none was due to be committed", times)


def without_supervisor_it_is_a_stop():
    directory, port = work_dir("reload-alone"), free_port()
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        file = directory / "main-node.toml"
        file.write_text(f'listen = "127.0.0.1:{port}"\n[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\n')
        node = Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory)
        wait_until(lambda: get(f"127.0.0.1:{port}", "/snapshot").status == 200, 20, "it serves")
        node.signal(signal.SIGHUP)
        expect(node.wait(8) == 0, "without a supervisor SIGHUP is a clean stop", node.output())


class Visit:
    def __init__(self, node):
        self.begun, self.failure = time.monotonic(), None
        try:
            answer = node.get("/snapshot")
            if answer.status != 200:
                self.failure = answer
        except (OSError, ValueError) as error:
            self.failure = error
        self.seconds = time.monotonic() - self.begun


@contextlib.contextmanager
def visitors(node):
    """Displays that ask /snapshot on new connections all the time; gives their visits."""
    visits, stopping = [], threading.Event()

    def visit():
        while not stopping.wait(0.02):
            visits.append(Visit(node))

    threads = [threading.Thread(target=visit, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        stopping.set()
        for thread in threads:
            thread.join(10)
