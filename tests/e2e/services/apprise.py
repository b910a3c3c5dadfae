"""Apprise, which notifies many services: what it sends for one of its URLs, as a second opinion on the forms of a
service, or really sent to a fake service on loopback.

    apprise.requests_for("slack://…/#channel", "title", "body")   # [{"method": "POST", "url": "https://hooks.slack.com/…", …}]
    apprise.notify("ntfy://127.0.0.1:8080/topic", "title", "body")
"""

import json

from harness import Failed, environment, run, tool

# Runs with Debian's Apprise: every request is written down, and answered as most services do.
RECORDER = """
import json, sys
import requests

def record(self, prepared, **_):
    body = prepared.body or ""
    seen.append({
        "method": prepared.method, "url": prepared.url, "headers": dict(prepared.headers),
        "body": body if isinstance(body, str) else body.decode(errors="replace"),
    })
    answer = requests.Response()
    answer.status_code, answer.url, answer.request, answer.encoding = 200, prepared.url, prepared, "utf-8"
    answer._content = "ok" if "hooks.slack.com" in prepared.url else json.dumps(ANSWER).encode()
    return answer

# Enough for Telegram (ok), Pushover (status) and Matrix (the rest). Apprise compares Slack's answer with a text.
ANSWER = {"ok": True, "status": 1, "room_id": "!room:example.org", "access_token": "x", "home_server": "example.org", "user_id": "@me:example.org"}
seen = []
requests.Session.send = record
import apprise
url, title, body, kind = sys.argv[1:]
notifier = apprise.Apprise()
accepted = notifier.add(url) and notifier.notify(title=title, body=body, notify_type=kind)
print(json.dumps({"accepted": bool(accepted), "requests": seen}))
"""


def python_environment():
    program = tool("apprise")
    packages = program.parents[3].glob("*/usr/lib/python3/dist-packages")
    return {**environment(), "PYTHONPATH": ":".join(str(it) for it in packages)}


def requests_for(url, title, body, kind="warning"):
    """The requests that Apprise makes for one of its URLs, without sending them: `method`, `url`, `headers`, `body`.
    `kind` is info, success, warning or failure."""
    code, out, err = run(["/usr/bin/python3", "-c", RECORDER, url, title, body, kind], 30, env=python_environment())
    answer = json.loads(out) if code == 0 else {}
    if not answer.get("accepted"):
        raise Failed(f"Apprise does not take {url}: {out}{err}")
    return answer["requests"]


def notify(url, title, body, kind="warning"):
    """Sends a notification; fails when the service does not take it."""
    command = ["/usr/bin/python3", tool("apprise"), "-vv", "--notification-type", kind, "--title", title, "--body", body, url]
    code, out, err = run(command, 40, env=python_environment())
    if code != 0:
        raise Failed(f"apprise {url}: {out}{err}")
