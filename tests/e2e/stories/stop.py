"""Graceful shutdown: during a fetch that hangs, with uncommitted readings, and by a second signal."""

import signal
import sqlite3
import threading
import time

from fakes.servers import json_server, tcp_server
from harness import Process, expect, free_port, get, main_node, story, wait_until, work_dir


def configuration(directory, port, url, every="10s"):
    file = directory / "main-node.toml"
    file.write_text(
        f'listen = "127.0.0.1:{port}"\n'
        f'database = "{directory / "main-node.db"}"\n\n'
        f'[[source]]\nname = "meter"\nurl = "{url}"\nevery = "{every}"\n'
    )
    return file


@story(seconds=60, alone=True)
def stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        stops_during_a_fetch(number)
    readings_are_committed()
    second_signal_exits_immediately()


def stops_during_a_fetch(number):
    directory, port = work_dir(f"stop-{number.name.lower()}"), free_port()
    request_received = threading.Event()

    def hang(connection):
        connection.recv(4096)
        request_received.set()
        connection.recv(1)  # Until the client disconnects.

    with tcp_server(hang) as upstream:
        file = configuration(directory, port, f"http://127.0.0.1:{upstream}/never")
        node = Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory)
        expect(request_received.wait(15), "the node fetches from a server that never answers", node.output())
        wait_until(lambda: get(f"127.0.0.1:{port}", "/healthz").status == 200, 10, "/healthz answers meanwhile")
        empty = get(f"127.0.0.1:{port}", "/snapshot")
        expect(empty.status == 503 and empty["retry-after"] and empty.json is not None, "without any data /snapshot is 503 with Retry-After and JSON", empty)
        node.signal(number)
        start = time.monotonic()
        code = node.wait(8)
        expect(code == 0, f"{number.name} during a fetch: exit 0", (code, node.output()))
        expect(time.monotonic() - start < 5, "within 5 s", time.monotonic() - start)


def readings_are_committed():
    directory, port = work_dir("stop-commit"), free_port()
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        file = configuration(directory, port, f"http://127.0.0.1:{upstream}/")
        node = Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory)
        wait_until(lambda: get(f"127.0.0.1:{port}", "/snapshot").status == 200, 15, "the first reading")
        code, _ = node.stop()
        expect(code == 0, "SIGTERM right after the first reading: exit 0", (code, node.output()))
    with sqlite3.connect(directory / "main-node.db") as database:
        rows = database.execute("SELECT key, value FROM records").fetchall()
        integrity = database.execute("PRAGMA integrity_check").fetchone()
    expect(("watts", 7.5) in rows, "the uncommitted reading is in the database", (rows, node.output()))
    expect(integrity == ("ok",), "the database passes integrity_check", integrity)


def second_signal_exits_immediately():
    directory, port = work_dir("stop-twice"), free_port()

    def send_part_of_a_body(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        connection.recv(1)

    with tcp_server(send_part_of_a_body) as upstream:
        file = configuration(directory, port, f"http://127.0.0.1:{upstream}/slow")
        node = Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory)
        wait_until(lambda: get(f"127.0.0.1:{port}", "/healthz").status == 200, 15, "the node answers")
        node.signal(signal.SIGTERM)
        node.signal(signal.SIGTERM)
        start = time.monotonic()
        code = node.wait(5)
        expect(code is not None and time.monotonic() - start < 1, "a second signal exits immediately", (code, node.output()))
