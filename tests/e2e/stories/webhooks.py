"""Alerts by webhook to servers that refuse, redirect, limit, fail once or hang; who gets which alert; and the ping as
monitoring services document it."""

import contextlib
import json
import re
import time

from fakes.servers import json_server
from fakes.vendors import Answer, vendor_server
from harness import (
    Process, clean_environment, expect, free_port, get, main_node, run, source_table, story, wait_until,
    with_trusted_clock, work_dir,
)

SECRET = "T0SECRET99abc123"


def once(first):
    """Answers `first`, then that all is well."""
    answers = [first]
    return lambda _: answers.pop() if answers else Answer(b"ok")


def hang(_):
    time.sleep(20)
    return Answer(b"late")


# Name, how the server answers, options.
WEBHOOKS = [
    ("good", lambda _: Answer(b"ok"), ""),
    ("urgent", lambda _: Answer(b"ok"), 'level = "critical"'),
    ("sources", lambda _: Answer(b"ok"), 'only = ["source:*"]'),
    ("house", lambda _: Answer(b"ok"), 'only = ["temp*"]'),
    ("bad", lambda _: Answer(b"Field message is required", 400), ""),
    ("denied", lambda _: Answer(b"bad token " + SECRET.encode(), 401), ""),
    ("moved", lambda _: Answer(b"", 301, Location=f"https://new.example/{SECRET}"), ""),
    ("limited", once(Answer({"retry_after": 2.5}, 429)), ""),
    ("shaky", once(Answer(b"oops", 500)), ""),
    ("stuck", hang, ""),
]


def events(server):
    return [(event["alert"], event["kind"], event["level"]) for it in server.seen for event in json.loads(it.body)["events"]]


def channel(address, name):
    return next(it for it in get(address, "/status").json["channels"] if it["name"] == name)


@story(seconds=120)
def webhooks():
    directory, port = work_dir("webhooks"), free_port()
    address = f"127.0.0.1:{port}"
    value = {"temperature": 20}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(json_server(lambda _: dict(value)))
        servers, tables = {}, []
        for name, respond, options in WEBHOOKS:
            servers[name] = stack.enter_context(vendor_server(respond))
            url = f"http://127.0.0.1:{servers[name].server_port}/{SECRET}"
            tables.append(f'[[alert.webhook]]\nname = "{name}"\nurl = "{url}"\n{options}\n')
        file = directory / "main-node.toml"
        source = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
        rule = '[[alert.value]]\nkey = "temperature"\nabove = 30\n'
        head = f'listen = "{address}"\ndatabase = "{directory}/main-node.db"\n'
        file.write_text(f"{head}{source}[alert]\nrecover_after = 1\n{''.join(tables)}{rule}")
        node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log", cwd=directory)
        wait_until(lambda: get(address, "/snapshot").json["records"], 20, "it has values")
        value["temperature"] = 35
        for name in ("good", "house", "bad", "denied", "moved", "limited", "shaky", "stuck"):
            wait_until(lambda: servers[name].seen, 30, lambda: f"{name} gets the alert: {node.output()}")
        trigger = ("value:temperature>30", "trigger", "warning")
        expect(events(servers["good"]) == [trigger], "once", events(servers["good"]))

        refused = wait_until(lambda: (it := channel(address, "bad"))["refused"] and it, 10, "a refusal is shown at once")
        expect("Field message is required" in refused["refusal"], "with the server's reason", refused)
        expect("`format`" in refused["refusal"] and "access denied" in channel(address, "denied")["refusal"], "and advice")
        wait_until(lambda: channel(address, "moved")["trouble"], 10, "a redirect is no delivery")
        moved = channel(address, "moved")["trouble"]
        expect("HTTP 301" in moved and "https://new.example" in moved and "`url`" in moved, "it says where it leads", moved)
        wait_until(lambda: len(servers["limited"].seen) == 2, 10, "Retry-After of the body is obeyed")
        ids = {json.loads(it.body)["id"] for it in servers["limited"].seen}
        expect(len(ids) == 1, "the message is the same", ids)
        expect(channel(address, "limited")["trouble"] is None, "and delivered then")
        stuck = wait_until(lambda: channel(address, "stuck")["trouble"], 25, "a server that hangs is noticed")
        expect("no response within" in stuck, "and shown", stuck)
        wait_until(lambda: len(servers["shaky"].seen) == 2, 70, "an error of the server is tried again")

        value["temperature"] = 20
        wait_until(lambda: len(events(servers["house"])) == 2, 30, "the recovery goes to who got the alert")
        expect(events(servers["house"])[1][1:] == ("recovery", "warning"), "with its level", events(servers["house"]))
        expect(not servers["urgent"].seen and not servers["sources"].seen, "channels get what they ask for alone")
        page = get(address, "/web/alerts").text
        expect(all(name in page for name, _, _ in WEBHOOKS), "the page lists every channel", page)
        metrics = get(address, "/metrics").text
        expect(re.search('mainnode_alerts_refused{channel="bad"} [12]', metrics), "metrics count what was refused", metrics)
        seen = page + node.output() + get(address, "/status").text + get(address, "/metrics").text
        expect(SECRET not in seen and "panicked" not in seen, "no secret is shown", seen)
        node.stop()


def healthchecks(request):
    is_one = request.target in ("/0a1b2c3d-ping-uuid", "/0a1b2c3d-ping-uuid/fail")
    return Answer(b"OK") if is_one else Answer(b"(not found)", 404)


def uptime_kuma(request):
    is_one = request.path == "/api/push/tok3nTok3n" and request.query.get("status") in ("up", "down") and request.query["msg"]
    return Answer({"ok": True}) if is_one else Answer({"ok": False, "msg": "Monitor not found or not active."}, 404)


def gatus(request):
    if request.method != "POST":
        return Answer(b"Method Not Allowed", 405)
    if request.headers.get("authorization") != "Bearer s3cr3t-bearer":
        return Answer(b"unauthorized", 401)
    is_one = request.path == "/api/v1/endpoints/home_pi/external" and request.query["success"] in ("true", "false")
    return Answer(b"") if is_one else Answer(b"not found", 404)


BEARER = 'headers = { Authorization = "Bearer s3cr3t-bearer" }'
# Server, options, whether it is accepted, what is said.
PINGS = [
    (healthchecks, 'url = "URL/0a1b2c3d-ping-uuid"\nfail_url = "/fail"', True, "HTTP 200"),
    (uptime_kuma, 'url = "URL/api/push/tok3nTok3n?status=up&msg={text}"\nfail_url = "?status=down&msg={text}"', True, "200"),
    (uptime_kuma, 'url = "URL/api/push/wr0ngtok3n?status=up&msg=OK"', False, "not active"),
    (gatus, 'url = "URL/api/v1/endpoints/home_pi/external?success={ok}"\nmethod = "POST"\n' + BEARER, True, "HTTP 200"),
    (gatus, 'url = "URL/api/v1/endpoints/home_pi/external?success=true"', False, "GET is not allowed: set `method`"),
    (gatus, 'url = "URL/api/v1/endpoints/home_pi/external?success=true"\nmethod = "POST"', False, "set `headers`"),
    (lambda _: Answer(b"", 301, Location="https://hc.example/x"), 'url = "URL/0a1b2c3d"', False, "https://hc.example"),
]


@story(seconds=60)
def pings():
    directory = work_dir("pings")
    value = {"temperature": 20}
    with json_server(lambda _: dict(value)) as upstream:
        for at, (respond, options, is_accepted, said) in enumerate(PINGS):
            with vendor_server(respond) as server:
                url = f"http://127.0.0.1:{server.server_port}"
                check_ping(directory / str(at), upstream, server, options.replace("URL", url), is_accepted, said)


def check_ping(directory, upstream, server, options, is_accepted, said):
    directory.mkdir()
    file = directory / "main-node.toml"
    address = f"127.0.0.1:{free_port()}"
    source = source_table("meter", f'url = "http://127.0.0.1:{upstream}/"')
    head = f'listen = "{address}"\ndatabase = "{directory}/main-node.db"\n'
    file.write_text(f"{head}{source}[alert.ping]\n{options}\n")
    file.chmod(0o600)
    _, out, err = run([main_node(), "check", "--online", "--config", file], 60, env=clean_environment())
    line = next(line for line in out.splitlines() if "the ping at" in line)
    expect(line.startswith("ok:" if is_accepted else "PROBLEM:") and said in line, "`check --online` sends one", out + err)
    _, tested, err = run([main_node(), "test-alert", "--config", file], 60, env=clean_environment())
    expect(said in tested and ("Not accepted" in tested) == (not is_accepted), "so does `test-alert`", tested + err)
    expect(len(server.seen) == 2, "one each", server.seen)
    node = Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory)
    wait_until(lambda: len(server.seen) > 2, 20, lambda: f"the service sends one: {node.output()}")
    if not is_accepted:
        trouble = wait_until(lambda: channel(address, "ping")["trouble"], 10, "/status says what is wrong")
        expect(said in trouble, "as the commands do", trouble)
    seen = out + tested + node.output() + get(address, "/status").text
    leaked = [it for it in ("0a1b2c3d", "tok3nTok3n", "wr0ngtok3n", "s3cr3t-bearer") if it in seen]
    expect(not leaked, "no secret is shown", leaked)
    node.stop()
