"""Event streams: 200 clients of which 20 never read, what a client gets when it comes back after
a kill, new times once a minute, and the refusal of WebSockets."""

import contextlib
import json
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from fakes.servers import json_server
from harness import (
    expect, free_port, get, parse_metrics, source_table, start_node, story, wait_until, work_dir,
)

READERS, DEAF = 180, 20
PER_ADDRESS = 50
EVENTS = 15
# What DESIGN aims at, printed; on a machine that does other things as well the bound is wider.
AIM_S, BOUND_S = 0.1, 1.0
COUNTER = re.compile(rb'"key":"counter","value":(\d+)')

# Polls /snapshot from an address of its own, 100 times a second, on a kept-alive connection as a
# display does, until its input ends; prints the latencies.
POLLER = """
import http.client, json, select, sys, time
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10, source_address=("127.0.0.9", 0))
latencies = []
while not select.select([sys.stdin], [], [], 0.01)[0]:
    begin = time.perf_counter()
    connection.request("GET", "/snapshot")
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    latencies.append(time.perf_counter() - begin)
print(json.dumps(latencies))
"""


@story(seconds=120, alone=True)
def event_streams():
    fan_out(work_dir("event-streams"))


# ---- 200 clients -------------------------------------------------------------------------


class CountingServer:
    """250 values; the first counts the responses, and when each was made is remembered."""

    def __init__(self):
        self.sent_at = {}

    def respond(self, _path):
        count = len(self.sent_at) + 1
        values = {"counter": count} | {f"{'long-name-' * 5}{n}": n + count / 10 for n in range(249)}
        self.sent_at[count] = time.monotonic()
        return values


class Clients:
    """Event streams of which some are read, all on one thread."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.address = host, int(port)
        self.selector = selectors.DefaultSelector()
        self.deaf = []
        # By reader: its unfinished bytes, and when it had each count.
        self.pending, self.seen_at = [], []
        self.is_stopped = False
        self.thread = threading.Thread(target=self.read, daemon=True)

    def connect(self, source, receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.bind((source, 0))
        connection.connect(self.address)
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        return connection

    def open(self):
        for number in range(DEAF):
            self.deaf.append(self.connect("127.0.2.1", receive_buffer=4096))
        for number in range(READERS):
            connection = self.connect(f"127.0.1.{1 + number // PER_ADDRESS}")
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, number)
            self.pending.append(b"")
            self.seen_at.append({})
        self.thread.start()

    def read(self):
        while not self.is_stopped:
            for key, _ in self.selector.select(0.5):
                received = key.fileobj.recv(1 << 18)
                if not received:
                    self.selector.unregister(key.fileobj)
                    continue
                now = time.monotonic()
                *frames, rest = (self.pending[key.data] + received).split(b"\n\n")
                self.pending[key.data] = rest
                for frame in frames:
                    if found := COUNTER.search(frame, 0, 400):
                        self.seen_at[key.data].setdefault(int(found[1]), now)

    def stop(self):
        self.is_stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for connection in self.deaf:
            connection.close()


def fan_out(directory):
    server, port = CountingServer(), free_port()
    address = f"127.0.0.1:{port}"
    with json_server(server.respond) as upstream:
        node = start_node(directory, "crowd", port, source_table("meter", f'url = "http://127.0.0.1:{upstream}/"'))
        wait_until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {node.output()}")
        quiet = polled(address, directory, lambda: wait_for_events(server, 5))
        memory_before = memory_kb(node)
        clients = Clients(address)
        clients.open()
        wait_until(lambda: streams(address) == READERS + DEAF, 10, "all streams are open")
        first = len(server.sent_at) + 1
        crowded = polled(address, directory, lambda: wait_for_events(server, EVENTS))
        last = len(server.sent_at) - 1
        wait_until(lambda: all(last in seen for seen in clients.seen_at), 10, "all clients have the last event")
        wait_until(lambda: rejected(address, "slow_event_stream") == DEAF, 40, lambda: (
            f"streams that are not read are closed after the write timeout: {rejected(address, 'slow_event_stream')}"))
        still_open = streams(address)
        memory_after = memory_kb(node)
        clients.stop()
        check_events(server, clients, range(first, last + 1))
        check_polls(quiet, crowded)
        expect(still_open == READERS, f"the {DEAF} that never read are closed and counted, the others stay", still_open)
        grown = memory_after - memory_before
        expect(grown < 16_000, f"{READERS + DEAF} streams cost {grown} kB of memory", (memory_before, memory_after))
        wait_until(lambda: streams(address) == 0, 20, "closed streams are noticed")
        expect(node.running() and "panicked" not in node.output(), "the node is alive and did not panic", node.output())
        node.stop()


def wait_for_events(server, events):
    end = len(server.sent_at) + events
    wait_until(lambda: len(server.sent_at) >= end, 10 + 3 * events, "the node fetches each second")


def polled(address, directory, action):
    """Latencies of polls of /snapshot while the action runs."""
    host, _, port = address.rpartition(":")
    with subprocess.Popen([sys.executable, "-c", POLLER, host, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as poller:
        action()
        out, _ = poller.communicate(b"\n")
    return json.loads(out)


def check_events(server, clients, counts):
    missing = [(reader, count) for reader, seen in enumerate(clients.seen_at) for count in counts if count not in seen]
    expect(not missing, f"each of {READERS} clients got every event of {len(counts)}", missing[:10])
    # Since the response of the source was made: fetch, rendering and sending together.
    delays = [seen[count] - server.sent_at[count] for seen in clients.seen_at for count in counts]
    spreads = [max(seen[count] for seen in clients.seen_at) - min(seen[count] for seen in clients.seen_at) for count in counts]
    expect(
        max(delays) < BOUND_S,
        f"the last client has an event {max(delays) * 1000:.0f} ms after the source's response (median of all "
        f"{statistics.median(delays) * 1000:.0f} ms; first to last client at most {max(spreads) * 1000:.0f} ms; aim {AIM_S * 1000:.0f} ms)",
        sorted(delays)[-10:],
    )


def check_polls(quiet, crowded):
    p99_quiet, p99_crowded = (statistics.quantiles(latencies, n=100)[98] for latencies in (quiet, crowded))
    expect(
        p99_crowded < max(2 * p99_quiet, 0.1),
        f"/snapshot: p99 of {len(crowded)} polls {p99_crowded * 1000:.1f} ms beside {READERS + DEAF} streams, "
        f"of {len(quiet)} without {p99_quiet * 1000:.1f} ms (aim: twice that)",
    )


def streams(address):
    [(_, value)] = parse_metrics(get(address, "/metrics").text)["mainnode_http_event_streams"]
    return value


def rejected(address, reason):
    samples = parse_metrics(get(address, "/metrics").text)["mainnode_http_rejected_total"]
    return sum(value for labels, value in samples if labels["reason"] == reason)


def memory_kb(node):
    with open(f"/proc/{node.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


# ---- One client --------------------------------------------------------------------------


class EventClient:
    """Reads one stream on a thread: (seconds after it was opened, event, id, data)."""

    def __init__(self, address, last_id=None):
        host, _, port = address.rpartition(":")
        self.connection = socket.create_connection((host, int(port)), timeout=30)
        self.events, self.opened = [], time.monotonic()
        last = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self.connection.sendall(f"GET /events HTTP/1.1\r\nHost: a\r\n{last}\r\n".encode())
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        fields = {}
        with contextlib.suppress(OSError), self.connection.makefile() as lines:
            for line in lines:
                name, _, value = line.rstrip("\r\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    self.events.append((time.monotonic() - self.opened, fields["event"], fields.get("id"), fields["data"]))
                if not name:
                    fields = {}

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()


@story(seconds=120)
def event_stream_times():
    directory = work_dir("event-stream-times")
    port = free_port()
    address = f"127.0.0.1:{port}"
    with json_server(lambda _: {"a": 1, "b": 2.5}) as upstream:
        tables = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
        node = start_node(directory, "quiet", port, tables)
        wait_until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"the node answers: {node.output()}")
        first = EventClient(address)
        wait_until(lambda: first.events, 5, "a stream begins with the snapshot")
        [(_, event, last_id, data)] = first.events
        expect(event == "snapshot" and last_id == get(address, "/snapshot")["etag"], "its id is the ETag", first.events)
        refuses_websockets(address)
        node.signal(signal.SIGKILL)
        node.wait(5)
        first.close()
        expect(len(first.events) == 1, "equal values each second are no events", first.events)
        node = start_node(directory, "quiet", port, tables)
        client = wait_until(lambda: EventClient(address, last_id), 15, lambda: f"the node is back: {node.output()}")
        wait_until(lambda: len(client.events) >= 1, 75, "new times are sent after a minute")
        seconds, event, event_id, new_data = client.events[0]
        expect(
            event == "snapshot" and event_id == last_id and 55 < seconds < 66,
            f"who comes back after a kill has the snapshot: its new times come after {seconds:.1f} s with the same id",
            client.events,
        )
        times = [json.loads(it)["timestamp"] for it in (data, new_data)]
        expect(times[0] < times[1], "and the time is newer", times)
        client.close()
        node.stop()


def refuses_websockets(address):
    for path in ("/", "/events", "/ws", "/api/websocket"):
        reply = get(address, path, headers={
            "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        })
        is_problem = reply["content-type"] == "application/problem+json" and "/events" in reply.json["detail"]
        expect(
            reply.status == 426 and reply["upgrade"] == "HTTP/1.1" and is_problem,
            f"a WebSocket at {path} is refused with 426 naming /events", reply,
        )
