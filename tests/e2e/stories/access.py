"""Access control: HTTP Basic authentication (`password_file`) and the networks of `allow`."""

import base64
import socket

from fakes.servers import json_server
from harness import (
    Process, clean_environment, expect, free_port, get, main_node, not_checked, records_by_key, run, source_status,
    source_table, start_node, story, wait_until, work_dir,
)


def lan_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: connect only looks up the route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def basic_auth(password):
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@story(seconds=90)
def password():
    directory, secret = work_dir("password"), "open: sesame"
    (directory / "password").write_text(secret + "\n")
    with json_server(lambda _: {"watts": 7}) as upstream:
        ports = free_port(), free_port()
        a, b = (f"127.0.0.1:{port}" for port in ports)
        meter = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
        # Top-level options stand before tables.
        first = start_node(directory, "attic", ports[0], 'password_file = "password"\n', meter)
        followed = f'follow = "http://{a}"\nauth = {{ user = "hall", password = "%s" }}'
        second = start_node(directory, "hall", ports[1], source_table("main", followed % secret), source_table("wrong-password", followed % "guess"))
        wait_until(lambda: get(a, "/snapshot", headers=basic_auth(secret)).status == 200, 30, lambda: f"the password is accepted: {first.output()}")
        for path in ("/snapshot", "/web", "/metrics", "/events", "/history?key=watts", "/nowhere"):
            for headers in ({}, basic_auth("guess")):
                reply = get(a, path, headers=headers)
                expect(reply.status == 401 and "www-authenticate" in reply.headers, f"{path} requires the password", reply.status)
        expect(get(a, "/healthz").status == 200, "/healthz requires none")
        metrics = get(a, "/metrics", headers=basic_auth(secret)).text
        expect('mainnode_http_requests_total{route="snapshot",status="401"} ' in metrics, "denied requests are counted", metrics)
        wait_until(lambda: "watts" in records_by_key(b), 30, lambda: f"a node that follows it sends the password of `auth`: {second.output()}")
        failure = wait_until(lambda: source_status(b, "wrong-password").get("last_failure"), 20, "a wrong password makes the source fail")
        expect(failure["cause"] == "http_status" and "401" in failure["detail"], "a wrong password is reported as HTTP 401", failure)
        for program in (second, first):
            program.stop()
            expect(secret not in program.output(), "the log does not have the password", program.output())
    _, printed, _ = run([main_node(), "check", "--config", directory / "attic.toml"], 20, cwd=directory, env=clean_environment())
    expect(secret not in printed and "password_file" in printed, "`check` does not print it", printed)
    (directory / "password").unlink()
    code, _, error = run([main_node(), "serve", "--config", directory / "attic.toml"], 20, cwd=directory, env=clean_environment())
    expect(code == 2 and "password" in error, "without the file it does not start", (code, error))


@story(seconds=60)
def allow():
    address = lan_address()
    if address is None:
        not_checked("`allow`: this machine has only loopback addresses")
        return
    directory, port = work_dir("allow"), free_port()
    with json_server(lambda _: {"watts": 7}) as upstream:
        meter = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
        for allowed, expected in (('["198.51.100.0/24"]', 403), (f'["198.51.100.0/24", "{address}"]', 200)):
            file = directory / "allow.toml"
            file.write_text(f'listen = "0.0.0.0:{port}"\ndatabase = "allow.db"\nallow = {allowed}\n{meter}')
            program = Process([main_node(), "serve", "--config", file], directory / f"{expected}.log", cwd=directory)
            local = f"127.0.0.1:{port}"
            wait_until(lambda: get(local, "/snapshot").status == 200, 30, lambda: f"loopback is always allowed: {program.output()}")
            reply = get(f"{address}:{port}", "/snapshot")
            expect(reply.status == expected, f"{address} gets {expected}", (reply.status, reply.text))
            program.stop()
            is_logged_once = program.output().count("is not in a network of `allow`") == 1
            expect(is_logged_once == (expected == 403), "a denied client is logged once", program.output())
