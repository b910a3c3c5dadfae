#!/usr/bin/env python3
"""HTTP attacks on a running main-node on loopback: other clients must not notice them.

    http_attacks.py http://127.0.0.1:8000 [--pid PID] [--memory-path /snapshot]
                    [--worker-path /web] [--mixed-seconds 10] [--seed 1]

One line per attack, `ok` or `FAIL`; the exit code is 1 when one fails. After every attack a
well-behaved client, from another loopback address, must get a path that is served from memory
and one that tiny_http's workers render. With --pid the process's memory, threads and file
descriptors must be back to where they were. Takes about a minute plus --mixed-seconds.
Standard library only; refuses to run against anything but loopback.
"""

import argparse
import collections
import os
import random
import re
import socket
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

TIMEOUT_S = 20
# With the status: the text of an error may have the version too.
STATUS_LINE = re.compile(rb"HTTP/1\.1 \d{3} ")
OTHER_CLIENT = "127.0.0.2"


class AttackFailed(Exception):
    """A response that is not the expected one."""


class Target:
    def __init__(self, arguments):
        url = urlsplit(arguments.base)
        self.address = (url.hostname, url.port or 80)
        if not self.address[0].startswith("127."):
            sys.exit("http_attacks.py: the base must be http://127.0.0.1:PORT; this tool is for loopback only")
        self.memory_path, self.worker_path, self.pid = arguments.memory_path, arguments.worker_path, arguments.pid
        self.random = random.Random(arguments.seed)
        self.seed = arguments.seed
        self.mixed_seconds = arguments.mixed_seconds
        self.local = threading.local()

    def use_source_address(self, number):
        """Each attack has an address of its own: limits count per address."""
        self.local.source_address = f"127.0.1.{number + 1}"

    def connect(self, source=None, timeout=TIMEOUT_S, receive_buffer=None):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Thousands of connections in TIME_WAIT must not keep a node from listening on 0.0.0.0.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((source or self.local.source_address, 0))
        connection.connect(self.address)
        return connection

    def request(self, path, fields="", method="GET", version="1.1"):
        return f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n".encode()

    def exchange(self, sent, source=None):
        """Sends everything and reads to the end; a connection reset is AttackFailed."""
        with self.connect(source) as connection:
            try:
                connection.sendall(sent)
            except OSError:
                pass  # Refused before everything was sent: the response is what counts.
            return read_all(connection)

    def check_alive(self):
        for path in (self.memory_path, self.worker_path):
            response = self.exchange(self.request(path, "Connection: close\r\n"), OTHER_CLIENT)
            if status(response) not in (200, 304):
                raise AttackFailed(f"another client's GET {path} got {response[:80]!r}")


def read_all(connection):
    parts = []
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError as error:
            raise AttackFailed(f"reset after {sum(map(len, parts))} bytes") from error
        if not part:
            return b"".join(parts)
        parts.append(part)


def read_response(connection, pending=b""):
    """(status, following bytes) of one response with a Content-Length."""
    while b"\r\n\r\n" not in pending:
        part = connection.recv(65536)
        if not part:
            raise AttackFailed(f"connection closed after {pending[:80]!r}")
        pending += part
    head, pending = pending.split(b"\r\n\r\n", 1)
    found = re.search(rb"(?im)^content-length: *(\d+)", head)
    length = int(found.group(1)) if found and b" 304 " not in head[:16] else 0
    while len(pending) < length:
        part = connection.recv(65536)
        if not part:
            raise AttackFailed("connection closed within a body")
        pending += part
    return status(head), pending[length:]


def status(response):
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", response)
    return int(found.group(1)) if found else 0


def expect(response, *expected):
    if status(response) not in expected:
        raise AttackFailed(f"expected {expected}, got {response[:80]!r}")
    if len(responses := STATUS_LINE.findall(response)) != 1:
        raise AttackFailed(f"{len(responses)} responses to one request")


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# ---- Attacks ------------------------------------------------------------------------------


def huge_content_length(target):
    """Content-Length of 10^12: refused, nothing is allocated"""
    for method, expected in (("POST", 405), ("PUT", 405), ("GET", 413), ("HEAD", 413)):
        expect(target.exchange(target.request("/", "Content-Length: 1000000000000\r\n", method)), expected)


def reset_after_request(target):
    """300 requests, each followed by a reset"""
    for number in range(300):
        connection = target.connect()
        connection.sendall(target.request(target.memory_path if number % 2 else target.worker_path))
        reset(connection)


def missing_bodies(target):
    """Expect: 100-continue and bodies that are never sent, on 16 open connections"""
    held = []
    for number in range(16):
        connection = target.connect()
        fields = "Content-Length: 10\r\n" + ("Expect: 100-continue\r\n" if number % 2 else "")
        connection.sendall(target.request(target.worker_path, fields, "GET" if number % 4 < 2 else "POST"))
        held.append(connection)
    target.check_alive()
    for connection in held:
        expect(read_all(connection), 405, 413, 417)
        connection.close()


def clients_that_never_read(target):
    """16 clients that send requests and never read"""
    held = []
    for _ in range(16):
        connection = target.connect(receive_buffer=2048)
        connection.settimeout(0.5)
        try:
            connection.sendall(target.request(target.worker_path) * 400)
        except OSError:
            pass  # Back-pressure: it reads no more than it can answer.
        held.append(connection)
    target.check_alive()
    for connection in held:
        connection.close()


def keep_alive_burst(target):
    """48 keep-alive connections at once to the worker path, three times"""
    held = [target.connect() for _ in range(48)]
    for _ in range(3):
        for connection in held:
            connection.sendall(target.request(target.worker_path))
        for connection in held:
            found, behind = read_response(connection)
            if found not in (200, 503) or behind:
                raise AttackFailed(f"status {found}, {len(behind)} bytes too many")
    for connection in held:
        connection.close()


def extreme_history_ranges(target):
    """history across 1970, of ten thousand years, reversed: each within 2.5 s"""
    edges = ("0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:01Z", "9999-12-30T22:00:00Z", "-99999999d")
    for begin in edges:
        for end in (*edges, "-1s"):
            for points in (1, 2, 2000):
                path = f"/history?key=key0&from={begin}&to={end}&points={points}&format=csv"
                asked = time.monotonic()
                # 404: the span is empty or the node has no such record.
                expect(target.exchange(target.request(path, "Connection: close\r\n")), 200, 404)
                if (seconds := time.monotonic() - asked) > 2.5:
                    raise AttackFailed(f"{path} took {seconds:.1f} s")
    expect(target.exchange(target.request("/web", "Connection: close\r\n")), 200)


def long_header_lists(target):
    """2,000 requests with thousands of keys, tags, codings or percent signs each"""
    keys = ",".join(f"key{number % 50}" for number in range(1000))
    paths = (
        target.request(f"/snapshot?keys={keys}"),
        target.request("/snapshot", "If-None-Match: " + '"a",' * 1500 + '"b"\r\n'),
        target.request("/snapshot", "Accept-Encoding: " + "a;q=1," * 1000 + "b\r\n"),
        target.request("/" + "%73" * 2500),
    )
    with target.connect() as connection:
        pending = b""
        for number in range(500):
            for path, expected in zip(paths, ((200, 404), (200,), (200,), (404,))):
                connection.sendall(path)
                found, pending = read_response(connection, pending)
                if found not in expected:
                    raise AttackFailed(f"request {number}: expected {expected}, got {found}")


def unsupported_versions(target):
    """200 requests of HTTP/2.0, the preface among them"""
    for number in range(200):
        sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if number % 2 else target.request("/", version="2.0")
        expect(target.exchange(sent), 505)


def pipelining(target):
    """20,000 pipelined requests, answered in order with back-pressure"""
    expected = 20_000
    with target.connect() as connection:
        # On a thread: the server reads no more than it can answer.
        sender = threading.Thread(target=lambda: connection.sendall(target.request("/healthz") * expected))
        sender.start()
        pending = b""
        for number in range(expected):
            found, pending = read_response(connection, pending)
            if found != 200:
                raise AttackFailed(f"response {number} was {found}")
        sender.join()


def oversized_headers(target):
    """39 MB in one header line, 1.2 million header fields, a request target of 39 MB"""
    long = b"y" * 39_000_000
    expect(target.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + long), 431)
    expect(target.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1_200_000), 431)
    expect(target.exchange(b"GET /" + long), 414)


def te_header_with_nan_weights(target):
    """TE lists with NaN weights, which panic tiny_http's sort"""
    fields = "TE: " + ", ".join(["a;q=nan"] * 40) + "\r\nConnection: close\r\n"
    for _ in range(16):
        expect(target.exchange(target.request(target.worker_path, fields)), 200)


def request_smuggling(target):
    """request smuggling: bodies whose end is ambiguous"""
    behind = target.request("/healthz")
    for fields in (
        "Content-Length: 3\r\nContent-Length: 40\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 3\r\n",
        " Content-Length: 3\r\n",
        "X: y\r\n Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\0b\r\n",
        "X: a\rContent-Length: 3\r\n",
    ):
        expect(target.exchange(target.request("/", fields) + b"0\r\n\r\n" + behind), 400)
    for sent in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\r\n" * 1000,
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        expect(target.exchange(sent), 400)
    expect(target.exchange(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 405)


def lenient_parsing(target):
    """bare LF, single bytes and half-closed connections are served"""
    head = f"GET {target.memory_path} HTTP/1.1\nHost: localhost\nConnection: close\n\n".encode()
    expect(target.exchange(head), 200)
    with target.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head:
            connection.sendall(bytes([byte]))
        expect(read_all(connection), 200)
    for path in (target.memory_path, target.worker_path):
        with target.connect() as connection:
            connection.sendall(target.request(path))
            connection.shutdown(socket.SHUT_WR)
            expect(read_all(connection), 200)


def slow_headers(target):
    """slowloris: 60 dripping request heads are cut at the deadline for a head"""
    begun = time.monotonic()
    held = [target.connect() for _ in range(60)]
    for connection in held:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    for _ in range(20):
        time.sleep(0.1)  # The dripping is the attack.
        for connection in held:
            connection.send(b"y")
    target.check_alive()
    for connection in held:
        expect(read_all(connection), 408)
        connection.close()
    seconds = time.monotonic() - begun
    if not 3 < seconds < 10:
        raise AttackFailed(f"cut after {seconds:.1f} s")


def idle_connections(target):
    """300 idle connections of one address; another address is served"""
    held = []
    for _ in range(300):
        try:
            held.append(target.connect(timeout=2))
        except OSError:
            break
    target.check_alive()
    for connection in held:
        connection.close()


def connection_churn(target):
    """10,000 connections opened and dropped, half of them with a reset"""
    for number in range(10_000):
        connection = target.connect()
        if number % 2:
            reset(connection)
        else:
            connection.close()


def event_streams(target):
    """230 event streams from six addresses: at most 200 are served"""
    held, served, refused = [], 0, 0
    for number in range(230):
        connection = target.connect(f"127.0.0.{10 + number % 6}")
        connection.sendall(target.request("/events"))
        held.append(connection)
    for connection in held:
        found = status(connection.recv(65536))
        served += found == 200
        refused += found == 503
    target.check_alive()
    for connection in held:
        connection.close()
    if served > 200 or served < 150 or served + refused != len(held):
        raise AttackFailed(f"{served} served, {refused} refused")


def fuzz(target):
    """2,000 mutated requests: nothing is answered after a refusal, each ends in time"""
    seeds = [
        target.request("/healthz"),
        target.request("/healthz", "Content-Length: 5\r\n", "POST") + b"01234",
        b"GET http://localhost/healthz HTTP/1.0\n\n",
        target.request("/healthz", "Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    ]
    for _ in range(2000):
        sent = bytearray(target.random.choice(seeds))
        for _ in range(target.random.randint(1, 4)):
            at = target.random.randrange(len(sent) + 1)
            match target.random.randrange(3):
                case 0 if at < len(sent):
                    sent[at] = target.random.randrange(256)
                case 1:
                    del sent[at : at + target.random.randint(1, 4)]
                case _:
                    sent[at:at] = target.random.choice([b"\r\n", b"\0", b" ", b":", b"\n", b"\xff"])
        with target.connect(timeout=5) as connection:
            connection.sendall(bytes(sent))
            connection.shutdown(socket.SHUT_WR)
            response = read_all(connection)
        # A 400 that keeps the connection is about the target of a well-formed head.
        refused = re.search(rb"HTTP/1\.1 (405|413|414|417|431|505) |HTTP/1\.1 400 [^\r]*\r\n(\S[^\r]*\r\n)*Connection: close\r\n", response)
        if refused and STATUS_LINE.search(response, refused.end()):
            raise AttackFailed(f"answered after a refusal: {bytes(sent)!r} (seed {target.seed})")


def header_basics(target):
    """HEAD without a body, 405 with Allow, at most 256 bytes of headers for /snapshot, no Server"""
    response = target.exchange(target.request(target.memory_path, "Connection: close\r\n", "HEAD"))
    if not response.endswith(b"\r\n\r\n") or b"Content-Length: " not in response:
        raise AttackFailed(f"HEAD got {response[-80:]!r}")
    response = target.exchange(target.request("/", "", "DELETE"))
    if b"\r\nAllow: GET, HEAD, OPTIONS\r\n" not in response:
        raise AttackFailed("405 without Allow")
    with target.connect() as connection:
        connection.sendall(target.request(target.memory_path))
        response = connection.recv(65536)
    head = response.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if len(head) > 256 or b"\r\nServer:" in head:
        raise AttackFailed(f"headers of {len(head)} bytes: {head!r}")


def mixed(target):
    """the quick attacks in parallel while another client polls"""
    attacks = [huge_content_length, reset_after_request, te_header_with_nan_weights, unsupported_versions, request_smuggling, lenient_parsing, fuzz]
    idle = percentile(poll(target, 2), 0.99)
    stop = time.monotonic() + target.mixed_seconds
    failures = []

    def work(number, attack):
        target.use_source_address(100 + number)
        while time.monotonic() < stop:
            try:
                attack(target)
            except (AttackFailed, OSError) as error:
                failures.append(f"{attack.__name__}: {error}")
                return

    workers = [threading.Thread(target=work, args=numbered) for numbered in enumerate(attacks)]
    for worker in workers:
        worker.start()
    busy = percentile(poll(target, max(1, target.mixed_seconds)), 0.99)
    for worker in workers:
        worker.join()
    print(f"     p99 of another client: {idle * 1000:.1f} ms idle, {busy * 1000:.1f} ms under attack")
    if failures:
        raise AttackFailed("; ".join(failures))


def poll(target, seconds):
    """Latencies of a request on a new connection, at 50 requests per second."""
    took, stop = [], time.monotonic() + seconds
    while time.monotonic() < stop:
        begun = time.monotonic()
        expect(target.exchange(target.request(target.memory_path, "Connection: close\r\n"), OTHER_CLIENT), 200)
        took.append(time.monotonic() - begun)
        time.sleep(0.02)
    return took


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


ATTACKS = [
    header_basics,
    lenient_parsing,
    huge_content_length,
    reset_after_request,
    missing_bodies,
    clients_that_never_read,
    keep_alive_burst,
    extreme_history_ranges,
    long_header_lists,
    unsupported_versions,
    pipelining,
    oversized_headers,
    te_header_with_nan_weights,
    request_smuggling,
    slow_headers,
    idle_connections,
    connection_churn,
    event_streams,
    fuzz,
    mixed,
]


# The node's page workers: each opens the database (three files) when it first reads, and has one connection to
# the server's thread (three descriptors) from when that first needs so many at once.
WORKERS = 4


def resource_usage(pid):
    """Memory in kB, threads, file descriptors.

    Not those of the database and of the workers' connections, which are opened when they are first needed, and
    kept. More than the workers can have, and they count as well."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    def number(name):
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

    files = opened_files(pid)
    with open(f"/proc/{pid}/net/unix", encoding="ascii") as file:
        inodes = {line.split()[6] for line in file.readlines()[1:]}
    of_database = sum(file.endswith((".db", "-wal", "-shm")) for file in files)
    of_workers = sum(file.startswith("socket:") and file[8:-1] in inodes for file in files)
    kept = min(of_database, 3 * number("Threads")) + min(of_workers, 3 * WORKERS + 1)
    return number("VmRSS"), number("Threads"), len(files) - kept


def opened_files(pid):
    """What each descriptor is: a path, or `socket:[…]` and the like."""

    def opened(descriptor):
        try:
            return os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except FileNotFoundError:  # closed meanwhile
            return ""

    return [opened(descriptor) for descriptor in os.listdir(f"/proc/{pid}/fd")]


def returns_to(before, pid, seconds=30):
    """Whether memory, threads and descriptors return to `before`, up to an allowance.

    tiny_http ends its spare threads after five seconds."""
    deadline = time.monotonic() + seconds
    while True:
        after = resource_usage(pid)
        is_flat = after[0] <= before[0] + 4096 and after[1] <= before[1] + 2 and after[2] <= before[2] + 4
        if is_flat or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    shown = "memory {} kB, threads {}, descriptors {}"
    print(f"{'ok  ' if is_flat else 'FAIL'} no leak: {shown.format(*before)}, then {shown.format(*after)}")
    if not is_flat:
        kinds = collections.Counter(re.sub(r"\d+", "N", file) for file in opened_files(pid))
        print(f"     open: {dict(kinds)}")
    return is_flat


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--memory-path", default="/snapshot")
    parser.add_argument("--worker-path", default="/web")
    parser.add_argument("--mixed-seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    target = Target(parser.parse_args())
    target.check_alive()
    failed = 0
    before = None
    for number, attack in enumerate(ATTACKS):
        begun = time.monotonic()
        target.use_source_address(number)
        try:
            attack(target)
            target.check_alive()
            verdict = "ok  "
            detail = attack.__doc__
        except (AttackFailed, OSError) as error:
            failed += 1
            verdict = "FAIL"
            detail = f"{attack.__doc__}: {error}"
        print(f"{verdict} {attack.__name__} ({time.monotonic() - begun:.1f} s): {detail}", flush=True)
        # The first attacks warm up the workers and the allocator.
        if target.pid and attack is keep_alive_burst:
            before = resource_usage(target.pid)
    if before:
        failed += not returns_to(before, target.pid)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
