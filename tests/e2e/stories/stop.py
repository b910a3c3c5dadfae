"""An end that is clean whatever goes on: in a fetch that hangs, and at a second signal."""

import signal
import sqlite3
import threading
import time

from harness import Program, expect, free_port, get, json_server, main_node, room, server_that, story, until


def configuration(place, port, url, every="10s"):
    file = place / "main-node.toml"
    file.write_text(
        f'listen = "127.0.0.1:{port}"\n'
        f'database = "{place / "main-node.db"}"\n\n'
        f'[[source]]\nname = "meter"\nurl = "{url}"\nevery = "{every}"\n'
    )
    return file


@story(seconds=60)
def stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        in_the_middle_of_a_fetch(number)
    readings_are_committed()
    second_signal_ends_at_once()


def in_the_middle_of_a_fetch(number):
    place, port = room(f"stop-{number.name.lower()}"), free_port()
    asked = threading.Event()

    def hang(connection):
        connection.recv(4096)
        asked.set()
        connection.recv(1)  # until the other side goes

    with server_that(hang) as upstream:
        file = configuration(place, port, f"http://127.0.0.1:{upstream}/never")
        node = Program([main_node(), "serve", "--config", file], place / "log", cwd=place)
        expect(asked.wait(15), "the node asks a server that never answers", node.said())
        until(lambda: get(f"127.0.0.1:{port}", "/healthz").status == 200, 10, "the node is alive meanwhile")
        empty = get(f"127.0.0.1:{port}", "/snapshot")
        expect(empty.status == 503 and empty["retry-after"] and empty.json is not None, "with no data ever /snapshot is a 503 with Retry-After and JSON", empty)
        node.signal(number)
        start = time.monotonic()
        code = node.wait(8)
        expect(code == 0, f"{number.name} in the middle of a fetch: exit 0", (code, node.said()))
        expect(time.monotonic() - start < 5, "within 5 s", time.monotonic() - start)


def readings_are_committed():
    place, port = room("stop-commit"), free_port()
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        file = configuration(place, port, f"http://127.0.0.1:{upstream}/")
        node = Program([main_node(), "serve", "--config", file], place / "log", cwd=place)
        until(lambda: get(f"127.0.0.1:{port}", "/snapshot").status == 200, 15, "the reading arrives")
        code, _ = node.stop()
        expect(code == 0, "SIGTERM right behind the first reading: exit 0", (code, node.said()))
    with sqlite3.connect(place / "main-node.db") as database:
        rows = database.execute("SELECT key, value FROM records").fetchall()
        whole = database.execute("PRAGMA integrity_check").fetchone()
    expect(("watts", 7.5) in rows, "the reading that waited for its commit is in the database", (rows, node.said()))
    expect(whole == ("ok",), "which is whole", whole)


def second_signal_ends_at_once():
    place, port = room("stop-twice"), free_port()

    def drip(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        connection.recv(1)

    with server_that(drip) as upstream:
        file = configuration(place, port, f"http://127.0.0.1:{upstream}/slow")
        node = Program([main_node(), "serve", "--config", file], place / "log", cwd=place)
        until(lambda: get(f"127.0.0.1:{port}", "/healthz").status == 200, 15, "the node is up")
        node.signal(signal.SIGTERM)
        node.signal(signal.SIGTERM)
        start = time.monotonic()
        code = node.wait(5)
        expect(code is not None and time.monotonic() - start < 1, "a second signal ends it at once", (code, node.said()))
