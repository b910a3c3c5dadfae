"""Fake AWTRIX 3 display, as its documentation describes the HTTP API: `POST /api/custom?name=APP` with a JSON
object sets a custom app, an empty body removes every app whose name begins with APP, and an app that is not
updated within its `lifetime` is removed, or marked as stale. Apps are kept in memory and gone after a restart."""

import contextlib
import http.server
import json
import threading
import time
import urllib.parse

TEXT_CASES = (0, 1, 2)


class Awtrix:
    """A display on a free loopback port; `restart()` forgets all apps, `away()` ends its server for a while.

    `login` is what it wants as `(user, password)`, `delay` how long it thinks about each request."""

    def __init__(self, login=None, has_api=True):
        self.apps, self.requests, self.errors = {}, [], []
        self.login, self.has_api = login, has_api
        self.delay, self.refuses = 0, lambda name: False
        self.running, self.most_running = 0, 0
        self.lock = threading.Lock()
        self.port = None
        self.server = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        display = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self):
                display.answer(self, "GET", "")

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                display.answer(self, "POST", self.rfile.read(length).decode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", self.port or 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def restart(self):
        with self.lock:
            self.apps.clear()

    def answer(self, handler, method, body):
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            time.sleep(self.delay)
            status, value = self.respond(handler, method, body)
        finally:
            with self.lock:
                self.running -= 1
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        with contextlib.suppress(OSError):
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(data)))
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.wfile.write(data)

    def respond(self, handler, method, body):
        url = urllib.parse.urlsplit(handler.path)
        if self.login:
            import base64
            expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if handler.headers.get("Authorization") != expected:
                return 401, "Unauthorized"
        if not self.has_api:
            return 404, "FileNotFound"
        with self.lock:
            if (method, url.path) == ("POST", "/api/custom"):
                return self.custom(urllib.parse.parse_qs(url.query).get("name", [""])[0], body)
            if (method, url.path) == ("GET", "/api/loop"):
                self.expire()
                names = ["Time", "Date", *self.apps]
                return 200, {name: at for at, name in enumerate(names)}
            if (method, url.path) == ("GET", "/api/stats"):
                return 200, {"bat": 100, "lux": 12, "ram": 131072, "uptime": 300, "wifi_signal": -51, "messages": 0, "version": "0.96", "app": "Time"}
        return 404, "FileNotFound"

    def custom(self, name, body):
        self.requests.append((time.monotonic(), name, body))
        if self.refuses(name):
            return 500, "ErrorParsingJson"
        if not body:
            for app in [app for app in self.apps if app.startswith(name)]:
                del self.apps[app]
            return 200, "OK"
        try:
            app = json.loads(body)
        except ValueError:
            return 500, "ErrorParsingJson"
        self.errors += [f"{name}: {wrong}" for wrong in wrong_properties(app)]
        self.apps[name] = {**app, "at": time.monotonic()}
        return 200, "OK"

    def expire(self):
        now = time.monotonic()
        for name, app in list(self.apps.items()):
            if app.get("lifetime") and now - app["at"] > app["lifetime"]:
                if app.get("lifetimeMode") == 1:
                    app["stale"] = True
                else:
                    del self.apps[name]

    def shown(self):
        """The apps by name, those whose time is over removed or marked."""
        with self.lock:
            self.expire()
            return {name: dict(app) for name, app in self.apps.items()}


def wrong_properties(app):
    """What the documented table of properties does not allow."""
    kinds = {"text": str, "textCase": int, "color": (str, list), "icon": str, "lifetime": int, "lifetimeMode": int}
    for key, value in app.items():
        if key not in kinds:
            yield f"unknown property {key}"
        elif not isinstance(value, kinds[key]) or isinstance(value, bool):
            yield f"{key} is {value!r}"
    if app.get("textCase", 0) not in TEXT_CASES or app.get("lifetimeMode", 0) not in (0, 1):
        yield f"a mode is not documented: {app}"
    if "{{" in app.get("text", ""):
        yield f"a topic of a broker in {app['text']!r}"
