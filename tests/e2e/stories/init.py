"""`main-node init`: each case in a directory, and as root beside the installed service.

The service is in a mount and network namespace of the story: /etc, /run and /var/lib are its own,
fakes/systemd.py replaces systemd, and api.open-meteo.com is on loopback.
"""

import base64
import os
import shutil
import stat
import subprocess
import sys
import urllib.parse

from fakes.servers import HttpServer, json_server
from harness import (
    ROOT, Missing, clean_environment, expect, free_port, get, libc, main_node, not_checked, records_by_key,
    refused_port, run, start_node, source_table, story, wait_until, work_dir,
)
from stories.device_tls import server_context
from stories.peers import certificate

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
SERVICE = 61501
METER = {"active_power_w": 512, "total_power_import_kwh": 1234.5}


class Owner:
    """Somebody who types commands in a directory."""

    def __init__(self, directory, **variables):
        self.directory, self.variables = directory, variables
        self.file, self.secrets = directory / "main-node.toml", directory / ".env"

    def init(self, *words):
        return self.command("init", *words)

    def command(self, *words):
        code, out, err = run([main_node(), *words], 30, cwd=self.directory, env=clean_environment(**self.variables))
        return code, out + err

    def begin(self):
        for file in self.directory.glob("main-node.toml*"):
            file.unlink()


@story(seconds=60)
def init():
    owner = Owner(work_dir("init"))
    if owner.init("meter", "ftp://x")[1].startswith("the service main-node is installed"):
        raise Missing("main-node is installed on this machine")
    cases_are_listed(owner)
    formats_are_recognised(owner)
    what_is_there_stays(owner)
    a_source_is_added(owner)
    secrets_are_in_their_own_file(owner)
    what_fails_is_written_all_the_same(owner)
    another_node_is_followed(owner)
    an_operation_is_written(owner)


def cases_are_listed(owner):
    code, out = owner.init()
    expect(code == 0 and all(f"main-node init {case}" in out for case in ("weather", "meter", "openapi", "follow")),
           "init lists its cases", out)
    for words in (("-h", "init"), ("help", "init"), ("init", "weather", "-h")):
        code, out = owner.command(*words)
        expect(code == 0 and "Usage: main-node init" in out, f"{' '.join(words)} is the help of init", out)
    code, out = owner.init("metre", "x")
    expect(code == 2 and "did you mean meter?" in out, "a wrong case is named", out)
    code, out = owner.init("weather", "Berlin")
    expect(code == 2 and "LATITUDE LONGITUDE" in out, "names of places are not asked for anywhere", out)
    expect(not owner.file.exists(), "nothing was written")


def formats_are_recognised(owner):
    bodies = {
        "/json": (METER, {"active_power_w": 512}),
        "/xml": (b"<a><t>21.5</t></a>", {"a.t": 21.5}),
        "/csv": (b"name,t\nhall,20\nattic,18\n", {"0.t": 20, "1.t": 18}),
        "/prometheus": (b"# TYPE up gauge\nup 1\n", {"up": 1}),
        "/number": (b"21.5\n", {"value": 21.5}),
        "/texts": ({"t": "21,5"}, {"t": 21.5}),
    }
    with json_server(lambda path: bodies[path][0]) as port:
        for path, (_, keys) in bodies.items():
            owner.begin()
            code, out = owner.init("meter", f"127.0.0.1:{port}{path}")
            found = {line.split()[1]: float(line.split()[2]) for line in out.splitlines()
                     if line.startswith("meter ") and len(line.split()) in (3, 4)}
            expect(code == 0 and all(found.get(key) == value for key, value in keys.items()), f"{path} gives {keys}", out)
            code, out = owner.command("check")
            expect(f'url = "http://127.0.0.1:{port}{path}"' in out and "PROBLEM: main-node.toml" not in out,
                   "`check` accepts the file", out)
            code, out = owner.command("once")
            expect(code == 0, "`once` reads it", out)


def what_is_there_stays(owner):
    with json_server(lambda _: METER) as port:
        before = owner.file.read_bytes()
        code, out = owner.init("meter", f"http://127.0.0.1:{port}/")
        expect(code == 2 and "--add" in out and "--replace" in out, "a file that is there is refused", out)
        expect(owner.file.read_bytes() == before, "it is as before")
        owner.file.chmod(0o640)
        code, out = owner.init("--replace", "meter", f"http://127.0.0.1:{port}/")
        kept = list(owner.directory.glob("main-node.toml.replaced-*"))
        expect(code == 0 and len(kept) == 1 and kept[0].read_bytes() == before, "--replace keeps the old one", out)
        expect(stat.S_IMODE(owner.file.stat().st_mode) == 0o640, "the mode stays")
        shutil.copy(ROOT / "systemd/main-node.toml", owner.file)
        code, out = owner.init("meter", f"http://127.0.0.1:{port}/")
        expect(code == 0 and "unchanged example" in out, "an unchanged example is no work of a person", out)


def a_source_is_added(owner):
    with json_server(lambda _: {"power": 7}) as port:
        before = owner.file.read_text()
        code, out = owner.init("meter", f"http://127.0.0.1:{port}/", "--add")
        expect(code == 0 and "meter2.power" in out, "a second meter has a name and keys of its own", out)
        expect(owner.file.read_text().startswith(before.rstrip("\n")), "what was there stands above it")
        for text, words, expected in [
            (before, ("--name", "meter"), "choose another --name"),
            ("listen = [\n", (), "has mistakes"),
            (f'source = [{{ name = "a", url = "http://127.0.0.1:{port}/" }}]\n', (), "under a heading [[source]]"),
        ]:
            owner.file.write_text(text)
            code, out = owner.init("meter", f"http://127.0.0.1:{port}/", "--add", *words)
            expect(code == 2 and expected in out and owner.file.read_text() == text, f"nothing is added: {expected}", out)
        owner.file.write_text(before)
        owner.file.write_text(owner.file.read_text() + "wrong = 1\n")
        code, out = owner.init("meter", f"http://127.0.0.1:{port}/", "--add")
        expect(code == 2 and "wrong" in out and "Nothing was written" in out, "an invalid file is not added to", out)


def secrets_are_in_their_own_file(owner):
    password, key, asked = "it's \"p@ss\" $5", "k3y$%20x", []

    server = HttpServer(lambda path: asked.append(path) or METER)
    try:
        owner.begin()
        address = f"http://me:{urllib.parse.quote(password)}@127.0.0.1:{server.server_port}/?apikey={key}"
        code, out = owner.init("meter", address)
        expect(code == 0, "an address with a password is fetched", out)
        expect(asked and all(path == f"/?apikey={key}" for path in asked), "the key is sent as it was typed", asked)
        written = owner.file.read_text()
        encoded = [base64.b64encode(f"me:{password}".encode()).decode(), urllib.parse.quote(password), password, key]
        expect(not any(secret in out + written for secret in encoded), "no secret is shown or in the file", out + written)
        expect("${METER_PASSWORD}" in written and "${METER_APIKEY}" in written, "the file names variables", written)
        expect(stat.S_IMODE(owner.secrets.stat().st_mode) == 0o600, "only the owner reads the secrets")
        code, out = owner.command("once")
        expect(code == 0 and key not in out, "`once` reads them", out)
        code, out = owner.init("meter", address, "--name", "living room", "--config", "sub/own.toml")
        expect(code == 0 and "LIVING_ROOM_PASSWORD=" in (owner.directory / "sub/.env").read_text(), "also elsewhere", out)
    finally:
        server.stop()
    code, out = owner.init("--replace", "meter", "http://127.0.0.1/?token=${NOT_SET}")
    expect(code == 2 and "NOT_SET is not set" in out and ".env" in out, "a variable has to be set first", out)


def what_fails_is_written_all_the_same(owner):
    port, _holder = refused_port()
    owner.begin()
    code, out = owner.init("meter", f"http://127.0.0.1:{port}/")
    expect(code == 1 and "connect: " in out and owner.file.exists(), "a device that is off is configured", out)
    owner.begin()
    with json_server(lambda _: b"<html><title>Log in</title></html>") as port:
        code, out = owner.init("meter", f"http://127.0.0.1:{port}/")
        expect(code == 1 and "a web page (HTML) with the title `Log in`" in out and owner.file.exists(), "a web page is named", out)
    for address in ("", "http://", "http://a b/", "http://127.0.0.1:99999/"):
        owner.begin()
        code, out = owner.init("meter", address)
        expect(code == 2 and not owner.file.exists(), f"{address!r} is impossible", out)


def another_node_is_followed(owner):
    with json_server(lambda _: METER) as upstream:
        port = free_port()
        other = owner.directory / "other"
        other.mkdir()
        node = start_node(other, "hall", port, source_table("plug", f'url = "http://127.0.0.1:{upstream}/"'))
        wait_until(lambda: records_by_key(f"127.0.0.1:{port}"), 10, node.output)
        owner.begin()
        code, out = owner.init("follow", f"http://127.0.0.1:{port}/web")
        expect(code == 0 and "active_power_w" in out, "a node is followed by the address of its page", out)
        owner.begin()
        code, out = owner.init("follow", f"127.0.0.1:{upstream}")
        expect(code == 1 and "no main-node" in out and not owner.file.exists(), "anything else is no node", out)
        node.stop()


def an_operation_is_written(owner):
    code, out = owner.init("openapi")
    expect(code == 0 and 'operation = "getForecast"' in out, "init openapi lists the operations", out)
    code, out = owner.init("openapi", "getForecast", "latitude=-33.87", "longitude=151.21", "current=rain,snowfall")
    expect(owner.file.exists(), "an operation is written", out)
    written = owner.file.read_text()
    expect('current = ["rain", "snowfall"]' in written and "latitude = -33.87" in written, "with its values", written)
    code, out = owner.command("check")
    expect("PROBLEM: main-node.toml" not in out, "`check` accepts the file", out)


@story(seconds=60)
def init_service():
    if os.geteuid() != 0:
        raise Missing("needs root for namespaces")
    if not all(shutil.which(program) for program in ("ip", "openssl")):
        raise Missing("needs the programs ip and openssl")
    directory = work_dir("init-service")
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise Missing("this machine does not allow namespaces")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    ca, pem, key = certificate(directory, "DNS:api.open-meteo.com")
    install(directory)
    owner = Owner(directory, PATH=f"{directory}/bin:{os.environ['PATH']}", SSL_CERT_FILE=str(ca))
    owner.file = directory / "etc/main-node/main-node.toml"
    owner.secrets = directory / "etc/main-node/secrets.env"
    try:
        a_user_is_told_to_use_sudo(owner)
        weather_is_shown(owner, server_context(pem, key))
        a_meter_replaces_the_weather(owner)
    finally:
        owner_stop(owner)
    not_checked("init beside a real systemd: tests/e2e/fakes/systemd.py replaces it")


def install(directory):
    """What a package leaves behind, in a mount namespace."""
    shutil.copytree("/etc", directory / "etc", symlinks=True, ignore_dangling_symlinks=True)
    for name in ("bin", "run", "lib"):
        (directory / name).mkdir()
    for name in ("passwd", "group"):
        with open(directory / "etc" / name, "a") as file:
            file.write(f"main-node:x:{SERVICE}:{SERVICE}::/:/bin/false\n" if name == "passwd" else f"main-node:x:{SERVICE}:\n")
    with open(directory / "etc/hosts", "a") as hosts:
        hosts.write("127.0.0.1 api.open-meteo.com\n")
    script = (ROOT / "tests/e2e/fakes/systemd.py").read_text().replace("/usr/bin/env python3", sys.executable, 1)
    (directory / "bin/systemctl").write_text(script)
    (directory / "bin/systemctl").chmod(0o755)
    # Others may run it, wherever the repository is.
    shutil.copy2(main_node(), directory / "lib/program")
    unit = (ROOT / "systemd/main-node.service").read_text()
    units = directory / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    (units / "main-node.service").write_text(unit.replace("/usr/local/bin/main-node", "/var/lib/program"))
    (directory / "etc/main-node").mkdir(exist_ok=True)
    shutil.copy(ROOT / "systemd/main-node.toml", directory / "etc/main-node/main-node.toml")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for name in ("etc", "run", "lib"):
        target = "/var/lib" if name == "lib" else f"/{name}"
        subprocess.run(["mount", "--bind", directory / name, target], check=True)


def a_user_is_told_to_use_sudo(owner):
    before = owner.file.read_bytes()
    command = ["setpriv", "--reuid=65534", "--clear-groups", "/var/lib/program", "init", "meter", "http://me:hush@127.0.0.1/"]
    if shutil.which("setpriv") is None:
        not_checked("init without sudo: needs the program setpriv")
        return
    code, out, err = run(command, 20, cwd="/", env=clean_environment(**owner.variables))
    expect(code == 2 and "sudo" in err and "hush" not in out + err, "without sudo nothing is written", out + err)
    expect(owner.file.read_bytes() == before, "the example is as it was")


def weather_is_shown(owner, context):
    asked = []

    def respond(path):
        asked.append(path)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        names = query["current"][0].split(",")
        return {
            "timezone": "Australia/Sydney" if query.get("timezone") == ["auto"] else "GMT",
            "current_units": {name: "°C" for name in names},
            "current": {"time": "2026-11-29T10:00", **{name: 21.5 for name in names if name != "pressure_msl"}, "pressure_msl": 1013},
        }

    server = HttpServer(respond, port=443, tls=context)
    try:
        code, out = owner.init("weather", "-33.87", "151.21")
        expect(code == 0 and "unchanged example" in out and "temperature" in out, "the weather replaces the example", out)
        expect(all("latitude=-33.87&longitude=151.21" in path for path in asked), "it is that of the place", asked)
        expect("main-node runs with it" in out and "/web" in out, "the service runs, and the page is named", out)
        written = owner.file.read_text()
        zone = os.path.realpath("/etc/localtime")
        if zone.endswith(("/UTC", "/Etc/UTC", "/localtime")) and not os.environ.get("TZ"):
            expect('\ntimezone = "Australia/Sydney"' in written, "the zone is that of the place", written)
        mode, user = owner.file.stat().st_mode, owner.file.stat().st_uid
        expect(stat.S_IMODE(mode) == 0o644 and user == 0, "root's, readable for the service", oct(mode))
        wait_until(lambda: get("127.0.0.1:8000", "/healthz").status in (200, 503), 10, "the service answers")
    finally:
        server.stop()


def a_meter_replaces_the_weather(owner):
    with json_server(lambda _: METER) as port:
        code, out = owner.init("--replace", "meter", f"http://me:hush-hush@127.0.0.1:{port}/api/v1/data")
        expect(code == 0 and "main-node runs with it" in out, "the service is restarted", out)
        expect("hush" not in out + owner.file.read_text(), "the password is not shown", out)
        secrets = owner.secrets.stat()
        expect(stat.S_IMODE(secrets.st_mode) == 0o600 and secrets.st_uid == 0, "it is root's alone")
        records = wait_until(lambda: records_by_key("127.0.0.1:8000"), 15, lambda: get("127.0.0.1:8000", "/status").text)
        expect(records["active_power_w"]["value"] == 512, "the page has the values", records)
        owned = [path for path in (owner.directory / "lib/main-node").iterdir() if path.stat().st_uid != SERVICE]
        expect(not owned, "root leaves no files among the service's", owned)


def owner_stop(owner):
    run([owner.directory / "bin/systemctl", "stop"], 20)
