#!/usr/bin/env python3
"""Abuses a running main-node on loopback and checks that nobody else notices.

    http_attacks.py http://127.0.0.1:8000 [--pid PID] [--hot /snapshot] [--pool /web]
                  [--mixed-seconds 10] [--seed 1]

One line per attack, `ok` or `FAIL`; the exit status is the number of failures, at most 1.
After every attack a polite client, from another loopback address, must get the hot path
(answered from memory) and the pool path (answered by tiny_http's workers). With --pid the
process's memory, threads and descriptors must be flat at the end. Bounded: about a minute
plus --mixed-seconds. Standard library only; refuses to run against anything but loopback.
"""

import argparse
import random
import re
import socket
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

TIMEOUT_S = 20
# Not the version alone: the text of a problem may name it.
STATUS_LINE = re.compile(rb"HTTP/1\.1 \d{3} ")
POLITE = "127.0.0.2"


class Unexpected(Exception):
    """What an attack found, where it should have found something else."""


class Target:
    def __init__(self, arguments):
        url = urlsplit(arguments.base)
        self.address = (url.hostname, url.port or 80)
        if not self.address[0].startswith("127."):
            sys.exit("http_attacks.py: the base must be http://127.0.0.1:PORT; this is no tool for networks")
        self.hot, self.pool, self.pid = arguments.hot, arguments.pool, arguments.pid
        self.random = random.Random(arguments.seed)
        self.seed = arguments.seed
        self.mixed_seconds = arguments.mixed_seconds
        self.local = threading.local()

    def attacked_from(self, number):
        """Every attack has an address of its own, so that none suffers from another's share."""
        self.local.rude = f"127.0.1.{number + 1}"

    def connect(self, source=None, timeout=TIMEOUT_S, receive_buffer=None):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(timeout)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.bind((source or self.local.rude, 0))
        made.connect(self.address)
        return made

    def get(self, path, fields="", method="GET", version="1.1"):
        return f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n".encode()

    def whole(self, sent, source=None):
        """Sends everything and reads to the end; a reset in the middle is Unexpected."""
        with self.connect(source) as made:
            try:
                made.sendall(sent)
            except OSError:
                pass  # Refused before it had everything: its answer is what counts.
            return read_all(made)

    def check_alive(self):
        for path in (self.hot, self.pool):
            answer = self.whole(self.get(path, "Connection: close\r\n"), POLITE)
            if status(answer) not in (200, 304):
                raise Unexpected(f"a polite GET {path} got {answer[:80]!r}")


def read_all(made):
    parts = []
    while True:
        try:
            part = made.recv(65536)
        except ConnectionResetError as error:
            raise Unexpected(f"reset after {sum(map(len, parts))} bytes") from error
        if not part:
            return b"".join(parts)
        parts.append(part)


def read_answer(made, pending=b""):
    """One answer with a Content-Length, and what came behind it."""
    while b"\r\n\r\n" not in pending:
        part = made.recv(65536)
        if not part:
            raise Unexpected(f"ended after {pending[:80]!r}")
        pending += part
    head, pending = pending.split(b"\r\n\r\n", 1)
    found = re.search(rb"(?im)^content-length: *(\d+)", head)
    length = int(found.group(1)) if found and b" 304 " not in head[:16] else 0
    while len(pending) < length:
        part = made.recv(65536)
        if not part:
            raise Unexpected("ended in a body")
        pending += part
    return status(head), pending[length:]


def status(answer):
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found.group(1)) if found else 0


def expect(answer, *wanted):
    if status(answer) not in wanted:
        raise Unexpected(f"expected {wanted}, got {answer[:80]!r}")
    if len(answers := STATUS_LINE.findall(answer)) != 1:
        raise Unexpected(f"{len(answers)} answers to one bad request")


def reset(made):
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.close()


# ---- Attacks ------------------------------------------------------------------------------


def huge_content_length(target):
    """a body of 10^12 bytes announced: refused, not allocated"""
    for method, wanted in (("POST", 405), ("PUT", 405), ("GET", 413), ("HEAD", 413)):
        expect(target.whole(target.get("/", "Content-Length: 1000000000000\r\n", method)), wanted)


def reset_after_request(target):
    """300 requests, each followed by a reset"""
    for number in range(300):
        made = target.connect()
        made.sendall(target.get(target.hot if number % 2 else target.pool))
        reset(made)


def bodies_that_never_come(target):
    """Expect: 100-continue and bodies that never come, on 16 connections held open"""
    held = []
    for number in range(16):
        made = target.connect()
        fields = "Content-Length: 10\r\n" + ("Expect: 100-continue\r\n" if number % 2 else "")
        made.sendall(target.get(target.pool, fields, "GET" if number % 4 < 2 else "POST"))
        held.append(made)
    target.check_alive()
    for made in held:
        expect(read_all(made), 405, 413, 417)
        made.close()


def clients_that_do_not_read(target):
    """16 clients that ask for everything and read nothing"""
    held = []
    for _ in range(16):
        made = target.connect(receive_buffer=2048)
        made.settimeout(0.5)
        try:
            made.sendall(target.get(target.pool) * 400)
        except OSError:
            pass  # Back-pressure: it takes no more than it answers.
        held.append(made)
    target.check_alive()
    for made in held:
        made.close()


def keep_alive_burst(target):
    """48 keep-alive connections at once, all answered by the pool, three times"""
    held = [target.connect() for _ in range(48)]
    for _ in range(3):
        for made in held:
            made.sendall(target.get(target.pool))
        for made in held:
            found, behind = read_answer(made)
            if found not in (200, 503) or behind:
                raise Unexpected(f"status {found}, {len(behind)} bytes too many")
    for made in held:
        made.close()


def hostile_spans(target):
    """histories across 1970, of ten thousand years, reversed: each ends within 2 s"""
    edges = ("0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:01Z", "9999-12-30T22:00:00Z", "-99999999d")
    for begin in edges:
        for end in (*edges, "-1s"):
            for points in (1, 2, 2000):
                path = f"/history?key=key0&from={begin}&to={end}&points={points}&format=csv"
                asked = time.monotonic()
                # 404: the span is empty or the node has no such record.
                expect(target.whole(target.get(path, "Connection: close\r\n")), 200, 404)
                if (seconds := time.monotonic() - asked) > 2.5:
                    raise Unexpected(f"{path} took {seconds:.1f} s")
    expect(target.whole(target.get("/web", "Connection: close\r\n")), 200)


def long_lists(target):
    """2,000 requests with thousands of keys, tags, codings or percent signs each"""
    keys = ",".join(f"key{number % 50}" for number in range(1000))
    paths = (
        target.get(f"/snapshot?keys={keys}"),
        target.get("/snapshot", "If-None-Match: " + '"a",' * 1500 + '"b"\r\n'),
        target.get("/snapshot", "Accept-Encoding: " + "a;q=1," * 1000 + "b\r\n"),
        target.get("/" + "%73" * 2500),
    )
    with target.connect() as made:
        pending = b""
        for number in range(500):
            for path, wanted in zip(paths, ((200, 404), (200,), (200,), (404,))):
                made.sendall(path)
                found, pending = read_answer(made, pending)
                if found not in wanted:
                    raise Unexpected(f"request {number}: expected {wanted}, got {found}")


def other_versions(target):
    """200 requests of HTTP/2.0, the preface among them"""
    for number in range(200):
        sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if number % 2 else target.get("/", version="2.0")
        expect(target.whole(sent), 505)


def pipelining(target):
    """20,000 pipelined requests, answered in order with back-pressure"""
    wanted = 20_000
    with target.connect() as made:
        # Own thread: the gate takes no more than it answers.
        sender = threading.Thread(target=lambda: made.sendall(target.get("/healthz") * wanted))
        sender.start()
        pending = b""
        for number in range(wanted):
            found, pending = read_answer(made, pending)
            if found != 200:
                raise Unexpected(f"answer {number} was {found}")
        sender.join()


def endless_heads(target):
    """39 MB in one header line, 1.2 million header fields, a target of 39 MB"""
    long = b"y" * 39_000_000
    expect(target.whole(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + long), 431)
    expect(target.whole(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1_200_000), 431)
    expect(target.whole(b"GET /" + long), 414)


def te_that_panics(target):
    """TE lists with NaN weights, which panic tiny_http's sort"""
    fields = "TE: " + ", ".join(["a;q=nan"] * 40) + "\r\nConnection: close\r\n"
    for _ in range(16):
        expect(target.whole(target.get(target.pool, fields)), 200)


def smuggling(target):
    """bodies that two readers would end differently"""
    behind = target.get("/healthz")
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
        expect(target.whole(target.get("/", fields) + b"0\r\n\r\n" + behind), 400)
    for sent in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\r\n" * 1000,
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        expect(target.whole(sent), 400)
    expect(target.whole(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 405)


def kindness(target):
    """LF alone, single bytes and half-closed connections are served"""
    head = f"GET {target.hot} HTTP/1.1\nHost: localhost\nConnection: close\n\n".encode()
    expect(target.whole(head), 200)
    with target.connect() as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head:
            made.sendall(bytes([byte]))
        expect(read_all(made), 200)
    for path in (target.hot, target.pool):
        with target.connect() as made:
            made.sendall(target.get(path))
            made.shutdown(socket.SHUT_WR)
            expect(read_all(made), 200)


def slow_heads(target):
    """60 heads that drip are cut after the deadline of a whole head"""
    begun = time.monotonic()
    held = [target.connect() for _ in range(60)]
    for made in held:
        made.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    for _ in range(20):
        time.sleep(0.1)
        for made in held:
            made.send(b"y")
    target.check_alive()
    for made in held:
        expect(read_all(made), 408)
        made.close()
    took = time.monotonic() - begun
    if not 3 < took < 10:
        raise Unexpected(f"cut after {took:.1f} s")


def idle_flood(target):
    """300 idle connections of one address; another address is served"""
    held = []
    for _ in range(300):
        try:
            held.append(target.connect(timeout=2))
        except OSError:
            break
    target.check_alive()
    for made in held:
        made.close()


def open_and_drop(target):
    """10,000 connections opened and dropped, half of them with a reset"""
    for number in range(10_000):
        made = target.connect()
        if number % 2:
            reset(made)
        else:
            made.close()


def event_streams(target):
    """230 event streams of six addresses: at most 200 live, nobody else suffers"""
    held, served, refused = [], 0, 0
    for number in range(230):
        made = target.connect(f"127.0.0.{10 + number % 6}")
        made.sendall(target.get("/events"))
        held.append(made)
    for made in held:
        found = status(made.recv(65536))
        served += found == 200
        refused += found == 503
    target.check_alive()
    for made in held:
        made.close()
    if served > 200 or served < 150 or served + refused != len(held):
        raise Unexpected(f"{served} served, {refused} refused")


def fuzz(target):
    """2,000 mutated requests: never two answers to a bad one, never none in time"""
    seeds = [
        target.get("/healthz"),
        target.get("/healthz", "Content-Length: 5\r\n", "POST") + b"01234",
        b"GET http://localhost/healthz HTTP/1.0\n\n",
        target.get("/healthz", "Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
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
        with target.connect(timeout=5) as made:
            made.sendall(bytes(sent))
            made.shutdown(socket.SHUT_WR)
            answer = read_all(made)
        # A 400 that keeps the connection is the router's, about a target in a sound head.
        refused = re.search(rb"HTTP/1\.1 (405|413|414|417|431|505) |HTTP/1\.1 400 [^\r]*\r\n(\S[^\r]*\r\n)*Connection: close\r\n", answer)
        if refused and STATUS_LINE.search(answer, refused.end()):
            raise Unexpected(f"answered on after a refusal: {bytes(sent)!r} (seed {target.seed})")


def manners(target):
    """HEAD without a body, 405 with Allow, heads of /snapshot within 256 bytes, no version"""
    answer = target.whole(target.get(target.hot, "Connection: close\r\n", "HEAD"))
    if not answer.endswith(b"\r\n\r\n") or b"Content-Length: " not in answer:
        raise Unexpected(f"HEAD got {answer[-80:]!r}")
    answer = target.whole(target.get("/", "", "DELETE"))
    if b"\r\nAllow: GET, HEAD, OPTIONS\r\n" not in answer:
        raise Unexpected("405 without Allow")
    with target.connect() as made:
        made.sendall(target.get(target.hot))
        answer = made.recv(65536)
    head = answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if len(head) > 256 or b"\r\nServer:" in head:
        raise Unexpected(f"a head of {len(head)} bytes: {head!r}")


def mixed(target):
    """everything quick at once while a polite client polls"""
    attacks = [huge_content_length, reset_after_request, te_that_panics, other_versions, smuggling, kindness, fuzz]
    quiet = percentile(poll(target, 2), 0.99)
    stop = time.monotonic() + target.mixed_seconds
    failures = []

    def work(number, attack):
        target.attacked_from(100 + number)
        while time.monotonic() < stop:
            try:
                attack(target)
            except (Unexpected, OSError) as error:
                failures.append(f"{attack.__name__}: {error}")
                return

    workers = [threading.Thread(target=work, args=numbered) for numbered in enumerate(attacks)]
    for worker in workers:
        worker.start()
    busy = percentile(poll(target, max(1, target.mixed_seconds)), 0.99)
    for worker in workers:
        worker.join()
    print(f"     p99 of the polite client: {quiet * 1000:.1f} ms quiet, {busy * 1000:.1f} ms under abuse")
    if failures:
        raise Unexpected("; ".join(failures))


def poll(target, seconds):
    """How long a new connection and its answer take, every 20 ms."""
    took, stop = [], time.monotonic() + seconds
    while time.monotonic() < stop:
        begun = time.monotonic()
        expect(target.whole(target.get(target.hot, "Connection: close\r\n"), POLITE), 200)
        took.append(time.monotonic() - begun)
        time.sleep(0.02)
    return took


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


ATTACKS = [
    manners,
    kindness,
    huge_content_length,
    reset_after_request,
    bodies_that_never_come,
    clients_that_do_not_read,
    keep_alive_burst,
    hostile_spans,
    long_lists,
    other_versions,
    pipelining,
    endless_heads,
    te_that_panics,
    smuggling,
    slow_heads,
    idle_flood,
    open_and_drop,
    event_streams,
    fuzz,
    mixed,
]


def footprint(pid):
    """Memory in kB, threads, descriptors."""
    import os

    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    number = lambda name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))
    return number("VmRSS"), number("Threads"), len(os.listdir(f"/proc/{pid}/fd"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--hot", default="/snapshot")
    parser.add_argument("--pool", default="/web")
    parser.add_argument("--mixed-seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    target = Target(parser.parse_args())
    target.check_alive()
    failed = 0
    before = None
    for number, attack in enumerate(ATTACKS):
        begun = time.monotonic()
        target.attacked_from(number)
        try:
            attack(target)
            target.check_alive()
            verdict = "ok  "
            detail = attack.__doc__
        except (Unexpected, OSError) as error:
            failed += 1
            verdict = "FAIL"
            detail = f"{attack.__doc__}: {error}"
        print(f"{verdict} {attack.__name__} ({time.monotonic() - begun:.1f} s): {detail}", flush=True)
        # The first attacks warm the pool and the allocator.
        if target.pid and attack is keep_alive_burst:
            before = footprint(target.pid)
    if before:
        time.sleep(6)  # tiny_http's spare threads end after five seconds.
        after = footprint(target.pid)
        flat = after[0] <= before[0] + 4096 and after[1] <= before[1] + 2 and after[2] <= before[2] + 4
        failed += not flat
        shown = "memory {} kB, threads {}, descriptors {}"
        print(f"{'ok  ' if flat else 'FAIL'} flat: {shown.format(*before)}, then {shown.format(*after)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
