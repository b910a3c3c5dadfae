"""Logins: sessions by a token and by cookies, of fakes and of Flask-Login, over restarts and kills."""

import json
import time
import urllib.parse

from fakes import vendors
from fakes.vendors import Answer
from harness import (
    ROOT, Process, expect, free_port, get, main_node, records_by_key, run, source_status, start_node, story, venv,
    wait_until, work_dir,
)

PASSWORD = "correct-horse-7"


def once(directory, toml):
    """(exit code, output) of `once`."""
    file = directory / "once.toml"
    file.write_text(toml)
    code, out, err = run([main_node(), "once", "--config", file], 40, cwd=directory)
    return code, out + err


def pihole_source(server, password=PASSWORD):
    base = f"http://127.0.0.1:{server.server_port}/api"
    login = f'login = {{ url = "{base}/auth", body = {{ password = "{password}" }}, token = "/session/sid", lifetime = "/session/validity" }}'
    return (
        f'[[source]]\nname = "pihole"\nurl = "{base}/stats/summary"\nevery = "1s"\nprefix = "pihole."\n'
        f'[source.auth]\n{login}\nheader = "X-FTL-SID: {{token}}"\n'
    )


@story(seconds=90)
def login_sessions():
    directory, port = work_dir("login-sessions"), free_port()
    address = f"127.0.0.1:{port}"
    pihole = vendors.PiHole(PASSWORD, seats=3)

    def fetches(node, more=2):
        seen = len(server.seen)
        wait_until(lambda: len(server.seen) >= seen + more and records_by_key(address), 20, lambda: f"it fetches: {node.output()}")

    with vendors.vendor_server(pihole.respond) as server:
        node = start_node(directory, "node", port, pihole_source(server))
        fetches(node)
        expect(pihole.logins == 1, "one login serves all requests", pihole.logins)
        expect((directory / "tokens.json").stat().st_mode & 0o777 == 0o600, "tokens.json is the owner's alone")
        code, _ = node.stop()
        expect(code == 0, "it stops", node.output())

        node = start_node(directory, "node", port, pihole_source(server))
        fetches(node)
        expect(pihole.logins == 1, "a restart uses the session", pihole.logins)
        node.kill()
        node = start_node(directory, "node", port, pihole_source(server))
        fetches(node)
        expect(pihole.logins == 1, "so does a start after kill -9", pihole.logins)

        (sid,) = pihole.sessions
        pihole.sessions.clear()
        wait_until(lambda: pihole.sessions, 20, lambda: f"it logs in when the session has ended: {node.output()}")
        fetches(node)
        expect(pihole.logins == 2 and pihole.refused == 1, "one refusal, one login", (pihole.logins, pihole.refused))
        failures = source_status(address, "pihole")["failures"]
        expect(not any(failures.values()), "no fetch has failed", failures)
        shown = node.output() + "".join(get(address, path).text for path in ("/status", "/metrics", "/snapshot?full=1", "/web"))
        expect(not any(text in shown for text in (sid, *pihole.sessions, PASSWORD)), "neither sessions nor the password are shown")
        node.stop()
        file = json.loads((directory / "tokens.json").read_text())
        expect(len(file["tokens"]) == 1, "the file has one session", file)

        # All seats are taken by others.
        (directory / "tokens.json").unlink()
        pihole.sessions.update({"a": 0, "b": 0})
        before = pihole.logins
        code, out = once(directory, pihole_source(server))
        expect(code == 1 and "rate_limited" in out and "API seats exceeded" in out, "no seat is left, in the server's words", out)
        expect(pihole.logins == before + 1, "it logs in once", pihole.logins)


@story(seconds=60)
def login_that_fails():
    directory, port = work_dir("login-fails"), free_port()
    address = f"127.0.0.1:{port}"
    pihole = vendors.PiHole(PASSWORD)
    with vendors.vendor_server(pihole.respond) as server:
        node = start_node(directory, "node", port, pihole_source(server, password="wrong-horse-8"))

        def detail():
            return source_status(address, "pihole").get("error") or json.dumps(source_status(address, "pihole"))

        wait_until(lambda: get(address, "/status").status == 200 and "password incorrect" in detail(), 20, lambda: f"the source fails: {node.output()}")
        failed = len(server.seen)
        expect("the next login is in" in detail(), "it says when it logs in again", detail())
        wait_until(lambda: source_status(address, "pihole").get("failures_in_a_row", 3) >= 3, 20, "it is asked again")
        expect(pihole.logins == 1 and len(server.seen) == failed == 1, "one login, and no request without a session", [it.target for it in server.seen])
        shown = node.output() + get(address, "/status").text + get(address, "/web").text
        expect("wrong-horse-8" not in shown, "the password is not shown")
        node.stop()

        # The session is refused at once: one login, one retry.
        pihole.sessions = Forgetful()
        seen = len(server.seen)
        code, out = once(directory, pihole_source(server))
        requests = [it.path for it in server.seen[seen:]]
        expect(requests == ["/api/auth", "/api/stats/summary"], "a login and a request", requests)
        expect(code == 1 and "401 Unauthorized to the session of the login, which succeeded" in out, "the words are about that", out)


class Forgetful(dict):
    """Sessions that are none."""

    def __contains__(self, _):
        return False

    def __len__(self):
        return 0


@story(seconds=60)
def login_by_parameter():
    sessions = set()

    def nas(request):
        query = request.query
        if request.path == "/webapi/auth.cgi":
            if query.get("passwd") != PASSWORD or query.get("account") != "me":
                return Answer({"error": {"code": 400}, "success": False})
            sessions.add(f"sid-{len(sessions)}-0123456789")
            return Answer({"data": {"sid": max(sessions)}, "success": True})
        if query.get("_sid") not in sessions:
            return Answer({"error": {"code": 119}, "success": False}, status=403)
        return Answer({"data": {"load": 17}, "success": True})

    directory = work_dir("login-parameter")
    with vendors.vendor_server(nas) as server:
        base = f"http://127.0.0.1:{server.server_port}/webapi"
        sources = "".join(
            f'[[source]]\nname = "{name}"\nurl = "{base}/entry.cgi?api=x"\nprefix = "{name}."\nauth = "nas"\n' for name in "ab"
        )
        account = f'[auth.nas]\nparam = "_sid"\nlogin = {{ url = "{base}/auth.cgi?account=me&passwd={PASSWORD}", token = "/data/sid" }}\n'
        code, out = once(directory, sources + account)
        expect(code == 0 and "a.data.load" in out and "b.data.load" in out, "both sources are read", out)
        expect(len(sessions) == 1, "by one login", sessions)
        expect(not any(secret in out for secret in (PASSWORD, *sessions)), "no secret is shown", out)
        code, out = once(directory, sources + account.replace(PASSWORD, "wrong-horse-8"))
        expect(code == 1 and "has no /data/sid" in out, "a wrong password with status 200 is a failure", out)


@story(seconds=60)
def cookies_without_login():
    """A server that sets a cookie and redirects to where it was asked."""

    def consent(request):
        cookies = request.headers.get("cookie", "")
        if "seen=1" in cookies:
            return Answer({"v": 7, "cookies": cookies})
        return Answer(b"", status=302, Location=request.target, Set_Cookie="seen=1; Path=/")

    directory = work_dir("login-cookies")
    with vendors.vendor_server(consent) as server, vendors.vendor_server(lambda request: Answer({"w": 8, "cookies": request.headers.get("cookie", "none")})) as other:
        url = f"http://127.0.0.1:{server.server_port}/setcookie"
        source = f'[[source]]\nname = "a"\nurl = "{url}"\n'
        code, out = once(directory, source)
        expect(code == 1 and "redirect" in out, "without cookies it is a loop", out)
        code, out = once(directory, source + 'headers = { Cookie = "lang=de" }\nauth = { cookies = true }\n')
        expect(code == 0 and "lang=de; seen=1" in json.dumps([it.headers.get("cookie") for it in server.seen]), "with them it is read", out)
        expect(len(server.seen) == 3, "one redirect", len(server.seen))
        # Cookies do not go to another port.
        account = "[auth.shared]\ncookies = true\n"
        two = source + f'auth = "shared"\n[[source]]\nname = "b"\nurl = "http://127.0.0.1:{other.server_port}/"\nprefix = "b."\nauth = "shared"\n'
        code, out = once(directory, two + account)
        expect(code == 0 and {it.headers.get("cookie") for it in other.seen} == {None}, "nor to another server", out)


@story(seconds=180)
def login_flask():
    """Flask-Login: a form, a session cookie that each response renews, a redirect to /login without it."""
    directory, port = work_dir("login-flask"), free_port()
    program = venv("flask") / "python"
    server = Process([program, ROOT / "tests/e2e/fakes/flask_login_server.py", port], directory / "server.log", cwd=directory)
    wait_until(lambda: get(f"127.0.0.1:{port}", "/login").status == 200, 60, lambda: f"Flask answers: {server.output()}", poll_every=0.3)
    base = f"http://127.0.0.1:{port}"

    def source(password):
        form = f'{{ username = "me", password = "{password}" }}'
        return f'[[source]]\nname = "flask"\nurl = "{base}/data"\nevery = "1s"\nauth = {{ login = {{ url = "{base}/login", form = {form} }} }}\n'

    code, out = once(directory, source("pä ss&=+%"))
    expect(code == 0 and "21.5" in out, "the data behind the form is read", out)
    code, out = once(directory, source("wrong-horse-8"))
    expect(code == 1 and "sets no cookie" in out and "wrong-horse-8" not in out, "a wrong password is told", out)

    node_port = free_port()
    address = f"127.0.0.1:{node_port}"
    node = start_node(directory, "node", node_port, source("pä ss&=+%"))
    wait_until(lambda: records_by_key(address), 20, lambda: f"records: {node.output()}")
    logins = int(get(f"127.0.0.1:{port}", "/logins").text)
    count = records_by_key(address)["count"]["value"]
    wait_until(lambda: records_by_key(address)["count"]["value"] > count + 1, 20, "it goes on")
    expect(int(get(f"127.0.0.1:{port}", "/logins").text) == logins, "with the same session")
    # The server forgets its sessions: the page to log in comes instead of data.
    get(f"127.0.0.1:{port}", "/forget")
    wait_until(lambda: int(get(f"127.0.0.1:{port}", "/logins").text) == logins + 1, 80, lambda: f"it logs in anew: {node.output()}")
    count = records_by_key(address)["count"]["value"]
    wait_until(lambda: records_by_key(address)["count"]["value"] > count + 1, 20, "and goes on")
    code, _ = node.stop()
    expect(code == 0, "it stops", node.output())
