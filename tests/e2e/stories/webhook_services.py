"""Alerts by webhook to fake services that are as strict as the documentation of each: `check`, `test-alert`, an alert of
`serve` whose label holds mentions and markup, and the recipes of docs/alerts.md."""

import contextlib
import json
import re
import urllib.parse

from fakes import notification_services as judges
from fakes.servers import json_server
from fakes.vendors import vendor_server
from harness import (
    ROOT, Process, clean_environment, expect, free_port, get, main_node, run, source_table, story, wait_until,
    with_trusted_clock, work_dir,
)
from services import apprise

LABEL = "<!channel> @everyone **Küche** [x](http://evil) <b>"
SECRETS = [
    judges.NTFY_TOKEN, judges.GOTIFY_TOKEN, judges.TELEGRAM_TOKEN, judges.PUSHOVER_TOKEN, judges.PUSHOVER_USER,
    judges.HASS_TOKEN, judges.MATRIX_TOKEN, "T0SECRET99", "1234secrettoken",
]
# Format, judge, path, options.
FORMATS = {
    "ntfy": (judges.ntfy, "/mytopic", f'token = "{judges.NTFY_TOKEN}"\ntags = ["house"]'),
    "gotify": (judges.gotify, "", f'token = "{judges.GOTIFY_TOKEN}"'),
    "slack": (judges.slack, "/services/T0SECRET99/B0/X", ""),
    "discord": (judges.discord, "/api/webhooks/1/1234secrettoken", ""),
    "telegram": (judges.telegram, "", f'token = "{judges.TELEGRAM_TOKEN}"\nchat_id = -1001234'),
    "pushover": (judges.pushover, "", f'token = "{judges.PUSHOVER_TOKEN}"\nuser = "{judges.PUSHOVER_USER}"'),
    "apprise": (judges.apprise_api, "/notify/main", 'tags = ["phone"]'),
    "home_assistant": (judges.home_assistant, "/api/webhook/abc", ""),
}


def webhook(name, url, options):
    return f'[[alert.webhook]]\nname = "{name}"\nurl = "{url}"\n{options}\n'


def main_node_file(directory, text):
    file = directory / "main-node.toml"
    head = f'listen = "127.0.0.1:{free_port()}"\ndatabase = "{directory}/main-node.db"\n'
    if "[[source]]" not in text:
        head += source_table("meter", 'url = "http://127.0.0.1:1/"')
    file.write_text(head + text)
    file.chmod(0o600)
    return file


def command(*arguments):
    code, out, err = run([main_node(), *arguments], 60, env=clean_environment(MATRIX_TOKEN=judges.MATRIX_TOKEN))
    return code, out + err


@contextlib.contextmanager
def all_services():
    """The fake servers by format, and the tables for them."""
    with contextlib.ExitStack() as stack:
        servers, tables = {}, []
        for name, (judge, path, options) in FORMATS.items():
            servers[name] = stack.enter_context(vendor_server(judge))
            url = f"http://127.0.0.1:{servers[name].server_port}{path}"
            tables.append(webhook(name, url, f'format = "{name}"\n{options}'))
        yield servers, "".join(tables)


def shown(server):
    return [request.shown for request in server.seen if hasattr(request, "shown")]


@story(seconds=60)
def webhook_formats():
    directory = work_dir("webhook-formats")
    value = {"temperature": 20.5}
    with all_services() as (servers, tables), json_server(lambda _: dict(value)) as port:
        source = source_table("meter", f'url = "http://127.0.0.1:{port}/"')
        rule = '[[alert.value]]\nkey = "temperature"\nabove = 30\nlevel = "critical"\n'
        label = f"[key.temperature]\nlabel = '{LABEL}'\n"
        file = main_node_file(directory, f"{source}{label}[alert]\nrecover_after = 1\n{tables}{rule}")
        code, checked = command("check", "--config", file)
        expect("PROBLEM" not in checked, "`check` accepts them", checked)
        code, tested = command("test-alert", "--config", file)
        expect(code == 0, "`test-alert` reaches every service", tested)
        for name, server in servers.items():
            expect(len(shown(server)) == 1, f"{name} shows the test message", server.seen)
            server.seen.clear()

        node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log", cwd=directory)
        address = file.read_text().split('"')[1]
        wait_until(lambda: get(address, "/snapshot").json["records"], 20, "it has values")
        value["temperature"] = 35.5
        for name, server in servers.items():
            wait_until(lambda: shown(server), 30, lambda: f"{name} shows the alert: {node.output()}")
        messages = {name: shown(server)[0] for name, server in servers.items()}
        check_messages(messages)
        value["temperature"] = 20
        for name, server in servers.items():
            wait_until(lambda: len(shown(server)) > 1, 30, lambda: f"{name} shows the recovery: {node.output()}")
        expect(shown(servers["ntfy"])[1]["tags"][0] == "white_check_mark", "the recovery has its own tag")
        expect(shown(servers["apprise"])[1]["kind"] == "success", "a recovery is a success")
        pages = "".join(get(address, path).text for path in ("/status", "/metrics", "/web", "/web/alerts"))
        leaked = [secret for secret in SECRETS if secret in pages + checked + tested + node.output()]
        expect(not leaked, "no secret is shown", leaked)
        node.stop()


def check_messages(messages):
    for name, message in messages.items():
        seen = message.get("title", "") + message["text"]
        looks = seen.replace("\u200b", "")
        expect(LABEL in looks and "35.5" in looks, f"{name} shows the label and the value", message)
    for name in ("slack", "telegram"):
        expect(not messages[name]["mentions"] and not (messages[name]["markup"]), f"{name} mentions nobody", messages[name])
    discord = messages["discord"]
    expect(not discord["pings"] and not discord["markup"] and not discord["previews"], "Discord shows plain text", discord)
    expect("@everyone" not in messages["slack"]["text"] + messages["apprise"]["text"], "no mention is left", messages)
    ntfy = messages["ntfy"]
    expect((ntfy["priority"], ntfy["tags"]) == ("5", ["rotating_light", "house"]), "ntfy: level and tags", ntfy)
    expect(ntfy["link"].endswith("/web"), "ntfy links to the page", ntfy)
    expect(messages["gotify"]["priority"] == 8 and not messages["gotify"]["markdown"], "Gotify: priority", messages["gotify"])
    expect(messages["pushover"]["priority"] == 1 and not messages["pushover"]["html"], "Pushover: priority", messages["pushover"])
    expect((messages["apprise"]["kind"], messages["apprise"]["format"]) == ("failure", "text"), "Apprise: type", messages)
    expect(messages["home_assistant"]["level"] == "critical", "Home Assistant: level", messages["home_assistant"])


@story(seconds=60)
def webhook_refusals():
    """A 200 or 204 that says no is a refusal; `check` says what is missing, before anything is sent."""
    directory = work_dir("webhook-refusals")
    for name, answer, path, options, reason in [
        ("telegram", judges.Answer({"ok": False, "description": "Bad Request: chat not found"}), "", f'token = "{judges.TELEGRAM_TOKEN}"\nchat_id = 42', "chat not found"),
        ("pushover", judges.Answer({"status": 0, "errors": ["user key is invalid"]}), "", f'token = "{judges.PUSHOVER_TOKEN}"\nuser = "{judges.PUSHOVER_USER}"', "user key is invalid"),
        ("slack", judges.Answer({"ok": False, "error": "channel_not_found"}), "/api/chat", "", "channel_not_found"),
        ("apprise", judges.Answer(b"", status=204), "/notify/other", "", "no configuration"),
    ]:
        with vendor_server(lambda _: answer) as server:
            url = f"http://127.0.0.1:{server.server_port}{path}"
            file = main_node_file(directory, webhook(name, url, f'format = "{name}"\n{options}'))
            code, out = command("test-alert", "--config", file)
            expect(code != 0 and reason in out, f"{name}: the answer {answer.status} is a refusal", out)
    for url, options, reason in [
        ("https://ntfy.sh", 'format = "ntfy"', "topic"),
        ("https://api.telegram.org", f'format = "telegram"\ntoken = "{judges.TELEGRAM_TOKEN}"', "chat_id"),
        ("https://discord.com/api/webhooks/1/x/slack", 'format = "discord"', "/slack"),
        ("https://api.pushover.net", f'format = "pushover"\ntoken = "{judges.PUSHOVER_TOKEN}"', "user"),
        ("https://gotify.lan", 'format = "gotify"', "token"),
        ("http://apprise.lan:8000", 'format = "apprise"', "/notify/KEY"),
        ("https://ntfy.sh/topic", 'format = "slack"', 'format = "ntfy"'),
        ("https://a.lan/x", 'format = "slack"\nchat_id = 1', "chat_id"),
        ("https://a.lan/x", "body = '{\"a\": \"\\{text}\"}'", "JSON"),
        ("https://a.lan/x", "body = '{\"a\": {text}x}'", "JSON"),
        ("https://a.lan/x", "body = '{}'\ntags = [\"a\"]", "tags"),
    ]:
        file = main_node_file(directory, webhook("one", url, options))
        code, out = command("check", "--config", file)
        expect(code != 0 and reason in out, f"`check` says what is wrong with {url}", out)
    # What 0.1 took stays valid, and is not silent.
    file = main_node_file(directory, '[alert]\nwebhook = "https://ntfy.sh/my-topic"\n')
    code, out = command("check", "--config", file)
    expect('webhook_format = "ntfy"' in out, "`check` names the format for ntfy", out)


# Of each format: a URL of Apprise, the header of the token, and the fields that both have.
APPRISE = {
    "gotify": (f"gotifys://gotify.lan/{judges.GOTIFY_TOKEN}", "x-gotify-key", {"title", "message", "priority"}),
    "discord": ("discord://1/1234secrettoken", None, {"content"}),
    "telegram": (f"tgram://{judges.TELEGRAM_TOKEN}/1234", None, {"chat_id", "text", "disable_notification"}),
    "pushover": (f"pover://{judges.PUSHOVER_USER}@{judges.PUSHOVER_TOKEN}", None, {"token", "user", "title", "message", "priority"}),
    "apprise": ("apprises://apprise.lan/main?tags=phone", None, {"title", "body", "type", "format", "tag"}),
    "slack": ("slack://T0SECRET9/B0SECRET9/X0SECRET9X0SECRET9X0SECR/", None, {"mrkdwn"}),
}


@story(seconds=60)
def webhook_apprise():
    """Another program's idea of the same services: Apprise sends to the same paths, with fields of the same names."""
    directory = work_dir("webhook-apprise")
    with all_services() as (servers, tables):
        code, tested = command("test-alert", "--config", main_node_file(directory, tables))
        expect(code == 0, "`test-alert` reaches every service", tested)
        for name, (url, header, fields) in APPRISE.items():
            ours = servers[name].seen[0]
            theirs = apprise.requests_for(url, "title", "body", "warning")[-1]
            target = urllib.parse.urlsplit(theirs["url"])
            path = re.sub(r"/services/.*", "/services/T0SECRET99/B0/X", target.path)
            expect((ours.method, ours.path) == (theirs["method"], path), f"{name}: {ours.method} {ours.path}", theirs)
            headers = {key.lower(): value for key, value in theirs["headers"].items()}
            if header:
                expect(ours.headers[header] == headers[header], f"{name}: the token is in {header}", headers)
            body = theirs["body"]
            sent = json.loads(body) if body.startswith("{") else dict(urllib.parse.parse_qsl(body))
            expect(fields <= set(sent) and fields <= set(json.loads(ours.body)), f"{name}: both have {sorted(fields)}", sent)


@story(seconds=60)
def webhook_secrets():
    """A service that repeats what it got, with its token: the refusal is shown without it."""
    directory = work_dir("webhook-secrets")

    def repeat(request):
        what = f"{request.target} {request.headers.get('authorization')} {request.body.decode()}"
        return judges.Answer({"ok": False, "error_code": 400, "description": what}, status=400)

    with vendor_server(repeat) as server, json_server(lambda _: {"temperature": 35.5}) as port:
        url = f"http://127.0.0.1:{server.server_port}"
        tables = webhook("telegram", url, f'format = "telegram"\ntoken = "{judges.TELEGRAM_TOKEN}"\nchat_id = 42')
        tables += webhook("pushover", url, f'format = "pushover"\ntoken = "{judges.PUSHOVER_TOKEN}"\nuser = "{judges.PUSHOVER_USER}"')
        tables += webhook("ntfy", url + "/topic", f'format = "ntfy"\ntoken = "{judges.NTFY_TOKEN}"')
        source = source_table("meter", f'url = "http://127.0.0.1:{port}/"')
        file = main_node_file(directory, source + tables + '[[alert.value]]\nkey = "temperature"\nabove = 30\n')
        node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log", cwd=directory)
        address = file.read_text().split('"')[1]

        def all_refused():
            channels = get(address, "/status").json["channels"]
            return len(channels) == 3 and all(channel["refused"] for channel in channels)

        wait_until(all_refused, 40, lambda: f"every channel shows the refusal: {node.output()}")
        pages = "".join(get(address, path).text for path in ("/status", "/metrics", "/web", "/web/alerts", "/web/system"))
        expect("HTTP 400" in pages, "the pages say why")
        code, _ = node.stop()
        stored = b"".join(file.read_bytes() for file in directory.glob("main-node.db*")).decode(errors="replace")
        leaked = [secret for secret in SECRETS if secret in pages + stored + node.output()]
        expect(code == 0 and not leaked, "no secret is shown or stored", leaked)


def recipes():
    """The TOML of docs/alerts.md by heading."""
    text = (ROOT / "docs" / "alerts.md").read_text()
    return dict(re.findall(r"^##+ ([^\n]+)\n(?:(?!^##).)*?^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@story(seconds=60)
def webhook_recipes():
    directory = work_dir("webhook-recipes")
    found = recipes()
    for heading, judge in [
        ("Microsoft Teams", judges.teams),
        ("Matrix", judges.matrix),
        ("Google Chat", judges.google_chat),
    ]:
        expect(heading in found, f"docs/alerts.md has a recipe for {heading}", list(found))
        with vendor_server(judge) as server:
            toml = re.sub(r'url = "https?://[^/"]+', f'url = "http://127.0.0.1:{server.server_port}', found[heading])
            file = main_node_file(directory, toml)
            code, checked = command("check", "--config", file)
            expect("PROBLEM" not in checked, f"`check` accepts {heading}", checked)
            code, out = command("test-alert", "--config", file)
            expect(code == 0, f"{heading} takes the message", out)
            expect("Test" in shown(server)[0]["text"], f"{heading} shows it", shown(server))
            expect(judges.MATRIX_TOKEN not in out + checked, "no secret is shown")
    with vendor_server(lambda request: judges.Answer({})) as server:
        toml = found["Home Assistant: only the value"].replace("homeassistant.local:8123", f"127.0.0.1:{server.server_port}")
        code, out = command("test-alert", "--config", main_node_file(directory, toml))
        body = json.loads(server.seen[0].body)
        expect(code == 0 and body["value"] is None and body["kind"] == "trigger", "the value stays a value", body)
