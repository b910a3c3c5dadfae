"""Who may read: a password for everything but the sign of life, and networks that may
connect at all."""

import base64
import socket

from stories.follow import node, records, source, source_status
from harness import Program, clean_environment, expect, free_port, get, json_server, main_node, not_checked, room, run, story, until


def own_address():
    """An address of this machine that is not loopback, as whoever asks from the LAN has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: only a route is looked up.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@story(seconds=90)
def password():
    place, secret = room("password"), "open: sesame"
    (place / "password").write_text(secret + "\n")
    with json_server(lambda _: {"watts": 7}) as upstream:
        ports = free_port(), free_port()
        a, b = (f"127.0.0.1:{port}" for port in ports)
        meter = source("meter", f'url = "http://127.0.0.1:{upstream}/"')
        # Top-level options stand before tables.
        first = node(place, "attic", ports[0], 'password_file = "password"\n', meter)
        followed = f'follow = "http://{a}"\nauth = {{ user = "hall", password = "%s" }}'
        second = node(place, "hall", ports[1], source("main", followed % secret), source("thief", followed % "guess"))
        until(lambda: get(a, "/snapshot", headers=basic(secret)).status == 200, 30, lambda: f"the password opens: {first.said()}")
        for path in ("/snapshot", "/web", "/metrics", "/events", "/history?key=watts", "/nowhere"):
            for headers in ({}, basic("guess")):
                reply = get(a, path, headers=headers)
                expect(reply.status == 401 and "www-authenticate" in reply.headers, f"{path} wants the password", reply.status)
        expect(get(a, "/healthz").status == 200, "the sign of life is free")
        counted = get(a, "/metrics", headers=basic(secret)).text
        expect('mainnode_http_requests_total{route="snapshot",status="401"} ' in counted, "who was turned away is counted", counted)
        until(lambda: "watts" in records(b), 30, lambda: f"a node that follows gives it in `auth`: {second.said()}")
        thief = until(lambda: source_status(b, "thief").get("last_failure"), 20, "the wrong one is told as such")
        expect(thief["cause"] == "http_status" and "401" in thief["detail"], "by its cause", thief)
        for program in (second, first):
            program.stop()
            expect(secret not in program.said(), "no log holds the password", program.said())
    _, described, _ = run([main_node(), "check", "--config", place / "attic.toml"], 20, cwd=place, env=clean_environment())
    expect(secret not in described and "password_file" in described, "nor does `check`", described)
    (place / "password").unlink()
    code, _, complaint = run([main_node(), "serve", "--config", place / "attic.toml"], 20, cwd=place, env=clean_environment())
    expect(code == 2 and "password" in complaint, "without the file it does not start unguarded", (code, complaint))


@story(seconds=60)
def allow():
    address = own_address()
    if address is None:
        not_checked("`allow` from another network: this machine has no address but loopback")
        return
    place, port = room("allow"), free_port()
    with json_server(lambda _: {"watts": 7}) as upstream:
        meter = source("meter", f'url = "http://127.0.0.1:{upstream}/"')
        for allowed, expected in (('["198.51.100.0/24"]', 403), (f'["198.51.100.0/24", "{address}"]', 200)):
            file = place / "allow.toml"
            file.write_text(f'listen = "0.0.0.0:{port}"\ndatabase = "allow.db"\nallow = {allowed}\n{meter}')
            program = Program([main_node(), "serve", "--config", file], place / f"{expected}.log", cwd=place)
            local = f"127.0.0.1:{port}"
            until(lambda: get(local, "/snapshot").status == 200, 30, lambda: f"this machine itself may: {program.said()}")
            reply = get(f"{address}:{port}", "/snapshot")
            expect(reply.status == expected, f"{address} gets {expected}", (reply.status, reply.text))
            program.stop()
            counts_one = program.said().count("is in no network of `allow`") == 1
            expect(counts_one == (expected == 403), "and the log tells it once", program.said())
