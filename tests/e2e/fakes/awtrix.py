"""Fake AWTRIX 3 display, as its documentation describes the HTTP API: `POST /api/custom?name=APP` with a JSON
object sets a custom app, an empty body removes every app whose name begins with APP, and an app that is not
updated within its `lifetime` is removed, or marked as stale. Apps are kept in memory and gone after a restart."""

import base64
import json
import time
import urllib.parse

from fakes.push_receiver import PushReceiver

OWN_APPS = ("Time", "Date")


class Awtrix(PushReceiver):
    """`login` is what it wants as `(user, password)`; `errors` are properties that are not as documented."""

    def __init__(self, login=None, has_api=True):
        self.apps, self.errors = {}, []
        self.login, self.has_api = login, has_api
        super().__init__()

    def restart(self):
        with self.lock:
            self.apps.clear()

    def put(self, name, **app):
        """Another program's app."""
        with self.lock:
            self.apps[name] = {**app, "at": time.monotonic()}

    def shown(self):
        """The apps by the key in their name; those whose time is over are removed or marked."""
        with self.lock:
            self.expire()
            return {name.split("~")[2] if "~" in name else name: dict(app) for name, app in self.apps.items()}

    def texts(self):
        return {name: app["text"] for name, app in self.shown().items()}

    def respond(self, method, path, headers, body):
        url = urllib.parse.urlsplit(path)
        if self.login:
            expected = base64.b64encode(":".join(self.login).encode()).decode()
            if headers.get("Authorization") != f"Basic {expected}":
                return 401, "Unauthorized"
        if not self.has_api:
            return 404, "FileNotFound"
        match (method, url.path):
            case ("POST", "/api/custom"):
                return self.custom(urllib.parse.parse_qs(url.query).get("name", [""])[0], body)
            case ("GET", "/api/loop"):
                self.expire()
                return 200, {name: at for at, name in enumerate([*OWN_APPS, *self.apps])}
            case ("GET", "/api/stats"):
                return 200, {"bat": 100, "lux": 12, "ram": 131072, "uptime": 300, "wifi_signal": -51, "version": "0.96", "app": "Time"}
            case _:
                return 404, "FileNotFound"

    def custom(self, name, body):
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
                    app["frame"] = "red"
                else:
                    del self.apps[name]


def wrong_properties(app):
    """What the documented table of properties does not allow."""
    kinds = {"text": str, "textCase": int, "color": (str, list), "icon": str, "lifetime": int, "lifetimeMode": int}
    for key, value in app.items():
        if key not in kinds:
            yield f"unknown property {key}"
        elif not isinstance(value, kinds[key]) or isinstance(value, bool):
            yield f"{key} is {value!r}"
    if app.get("textCase", 0) not in (0, 1, 2) or app.get("lifetimeMode", 0) not in (0, 1):
        yield f"a mode that is not documented: {app}"
    if "{{" in app.get("text", ""):
        yield f"a topic of a broker in {app['text']!r}"
