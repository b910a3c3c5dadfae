"""Real reverse proxies in front of a node: nginx and Caddy with the snippets of docs/http.md, forwarded
addresses, a token, and frames of other origins in a browser."""

import base64
import contextlib
import functools
import http.client
import http.server
import re
import threading

from fakes.servers import json_server
from harness import (
    ROOT, Missing, Process, environment, expect, expect_agreement, free_port, get, not_checked, parse_metrics, run,
    start_node, story, tool, wait_until, work_dir,
)

TOKEN = "0123456789abcdef-token"
PASSWORD = "geheim"


def snippets(language):
    """The configurations of a proxy in docs/http.md."""
    text = (ROOT / "docs" / "http.md").read_text()
    section = text.partition("\n## Reverse proxies\n")[2]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    expect(found, f"docs/http.md has snippets for {language}")
    return found


@contextlib.contextmanager
def node(directory, name, head=""):
    """A node with one key; gives its port."""
    port = free_port()
    with json_server(lambda _: {"power": 230.5}) as upstream:
        source = f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n'
        process = start_node(directory, name, port, head, source)
        wait_until(lambda: get(f"127.0.0.1:{port}", "/healthz").status == 200, 20, lambda: f"the node starts: {process.output()}")
        try:
            yield port
        finally:
            process.stop()
    expect("panicked" not in process.output(), "no panic", process.output())


def nginx(directory, name, body):
    """nginx with one server of these directives; gives its address."""
    port, program = free_port(), tool("nginx")
    home = directory / name
    home.mkdir()
    temporary = "".join(f"{kind}_temp_path {home}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/pid; error_log {home}/error.log; worker_processes 1; events {{ }}\n"
        f"http {{ access_log off; {temporary}\nserver {{ listen 127.0.0.1:{port};\n{body}\n}} }}\n"
    )
    process = Process([program, "-p", home, "-c", home / "nginx.conf"], home / "log", env=environment(), cwd=home)
    address = f"127.0.0.1:{port}"
    answers(address, process)
    return address


def caddy(directory, name, body):
    port, program = free_port(), tool("caddy")
    home = directory / name
    home.mkdir()
    (home / "Caddyfile").write_text(f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n{body}\n}}\n")
    env = {**environment(), "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    process = Process([program, "run", "--config", home / "Caddyfile", "--adapter", "caddyfile"], home / "log", env=env, cwd=home)
    address = f"127.0.0.1:{port}"
    answers(address, process)
    return address


def answers(address, process):
    def does():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return get(address, "/").status
        return None

    wait_until(does, 20, lambda: f"the proxy answers: {process.output()}", poll_every=0.2)


def links(page):
    return re.findall(r'(?:href|src)="(/[^"]*)"', page)


def check_pages(address, prefix, what):
    """Follows the redirect and every link of the overview."""
    home = get(address, f"{prefix}/")
    expect((home.status, home["location"]) == (302, f"{prefix}/web"), f"{what}: / redirects below the prefix", home)
    page = get(address, f"{prefix}/web", {"Accept": "text/html"})
    expect(page.status == 200 and f'data-base="{prefix}"' in page.text, f"{what}: the overview is there", page)
    found = set(links(page.text))
    outside = [link for link in found if not link.startswith(f"{prefix}/")]
    expect(found and not outside, f"{what}: all links are below the prefix", outside or page)
    for link in sorted(found):
        reply = get(address, link.replace("&amp;", "&"))
        expect(reply.status == 200, f"{what}: {link} answers", reply)
    manifest = get(address, f"{prefix}/manifest.webmanifest").json
    starts = [manifest["start_url"], manifest["scope"], *(icon["src"] for icon in manifest["icons"])]
    expect(all(it.startswith(f"{prefix}/") for it in starts), f"{what}: so are those of the manifest", manifest)
    lost = get(address, f"{prefix}/nowhere", {"Accept": "text/html"})
    expect(lost.status == 404 and links(lost.text), f"{what}: a 404 has links", lost)
    expect(all(link.startswith(f"{prefix}/") for link in links(lost.text)), f"{what}: below the prefix too", lost)


def first_event(address, path, seconds=6):
    """The first event of a stream, which must not wait in a buffer."""
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=seconds)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        read = b""
        while b"\n\n" not in read.partition(b"event: snapshot")[2]:
            line = response.readline()
            if not line:
                break
            read += line
        return read.decode()


def check_events(address, path, what):
    event = wait_until(lambda: first_event(address, path), 20, lambda: f"{what}: an event comes")
    expect("event: snapshot" in event and "power" in event, f"{what}: events come through at once", event)


@story(seconds=120)
def reverse_proxy():
    directory = work_dir("reverse-proxy")
    with node(directory, "prefix", 'trusted_proxies = ["127.0.0.1"]\nhosts = ["node.example.org"]') as port:
        below, own_name = (it.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for it in snippets("nginx"))
        address = nginx(directory, "below-a-path", below)
        check_pages(address, "/node", "nginx that strips the path")
        check_events(address, "/node/events", "nginx that strips the path")
        address = nginx(directory, "own-name", own_name)
        check_pages(address, "", "nginx with a name of its own")
        reply = get(address, "/web", {"Host": "node.example.org", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example"})
        expect(reply.status == 200 and "evil" not in reply.text, "what a client says of prefix and host is not in the page", reply)
        expect(get(address, "/web", {"Host": "other.example.org"}).status == 421, "other names are refused")
        default = nginx(directory, "default", f"location / {{ proxy_pass http://127.0.0.1:{port}; }}")
        check_events(default, "/events", "nginx as it comes")
        try:
            address = caddy(directory, "caddy", snippets("caddy")[0].replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
        except Missing as missing:
            not_checked(f"Caddy: {missing}")
        else:
            check_pages(address, "/node", "Caddy")
            check_events(address, "/node/events", "Caddy")
    with node(directory, "base-path", 'base_path = "/node"') as port:
        kept = nginx(directory, "kept", f"location /node/ {{ proxy_pass http://127.0.0.1:{port}; }}")
        check_pages(kept, "/node", "nginx that keeps the path")
        stripped = nginx(directory, "stripped", f"location /node/ {{ proxy_pass http://127.0.0.1:{port}/; }}")
        check_pages(stripped, "/node", "nginx that says nothing")
        direct = f"127.0.0.1:{port}"
        plain, below = ((lambda path=path: get(direct, path).json["records"]) for path in ("/snapshot", "/node/snapshot"))
        expect_agreement(plain, below, 10, "directly with and without the prefix")


@story(seconds=120)
def forwarded_addresses():
    directory = work_dir("forwarded-addresses")
    (directory / "password").write_text(PASSWORD)
    head = f'trusted_proxies = ["127.0.0.2"]\nallow = ["192.0.2.0/24"]\npassword_file = "password"\ntoken = "{TOKEN}"'
    with node(directory, "addresses", head) as port:
        address = f"127.0.0.1:{port}"
        opened = {"Authorization": f"Bearer {TOKEN}"}
        ask = functools.partial(get, address, "/snapshot")

        def proxied(forwarded, headers=opened):
            return ask({**headers, "X-Forwarded-For": forwarded}, source="127.0.0.2").status

        wait_until(lambda: proxied("192.0.2.7") == 200, 20, "a client that is allowed")
        expect(proxied("203.0.113.7") == 403, "a client that is not")
        expect(proxied("192.0.2.7, 203.0.113.7") == 403, "what stands further left is the client's invention")
        expect(proxied("192.0.2.7, 127.0.0.2") == 200, "a proxy behind a proxy")
        stranger = ask({**opened, "X-Forwarded-For": "203.0.113.7"}, source="127.0.0.3").status
        expect(stranger == 200, "from anybody else the header is ignored", stranger)
        displays = {it["address"] for it in get(address, "/status", basic()).json["displays"]}
        expect(displays == {"192.0.2.7", "127.0.0.3"}, "displays have the addresses of clients", displays)

        wrong = {"Authorization": "Bearer 0123456789abcdef"}
        expect([proxied("192.0.2.8", wrong) for _ in range(10)] == [401] * 10, "ten wrong tokens of one client")
        expect(proxied("192.0.2.8") == 429, "lock that client out")
        expect(proxied("192.0.2.9") == 200, "and no other client of the proxy")
        guesses = [ask({**wrong, "X-Forwarded-For": f"192.0.2.{n}"}, source="127.0.0.3").status for n in range(20, 31)]
        expect(guesses[-1] == 429, "a stranger does not change its address by a header", guesses)


def basic():
    return {"Authorization": "Basic " + base64.b64encode(f"x:{PASSWORD}".encode()).decode()}


@story(seconds=60)
def token():
    directory = work_dir("token")
    (directory / "password").write_text(PASSWORD)
    with node(directory, "token", f'password_file = "password"\ntoken = "{TOKEN}"') as port:
        address = f"127.0.0.1:{port}"
        wait_until(lambda: get(address, f"/snapshot?token={TOKEN}").status == 200, 20, "the token opens /snapshot")
        for path in ("/snapshot/power", "/snapshot?keys=power", "/snapshot?full=1&format=json"):
            mark = "&" if "?" in path else "?"
            expect(get(address, f"{path}{mark}token={TOKEN}").status == 200, f"the token opens {path}")
            expect(get(address, path, {"Authorization": f"Bearer {TOKEN}"}).status == 200, f"{path} by Bearer")
            expect(get(address, path).status == 401, f"{path} is closed without")
        check_events(address, f"/events?token={TOKEN}", "the token")
        for path in ("/", "/web", "/web/key/power", "/status", "/metrics", "/history?key=power", "/openapi.json"):
            mark = "&" if "?" in path else "?"
            expect(get(address, f"{path}{mark}token={TOKEN}").status == 401, f"it does not open {path}")
            expect(get(address, path, {"Authorization": f"Bearer {TOKEN}"}).status == 401, f"{path} by Bearer neither")
        html = {"Accept": "text/html", **basic()}
        shown = [get(address, path, html).text for path in ("/status", "/metrics", "/web", f"/web?token={TOKEN}", f"/nowhere?token={TOKEN}")]
        shown.append(get(address, f"/snapshot/none?token={TOKEN}", {"Accept": "text/html"}).text)
        shown.append((directory / "token.log").read_text())
        expect(not any(TOKEN in text for text in shown), "it is shown nowhere", [text for text in shown if TOKEN in text])
        page = get(address, "/web", html)
        expect(page["referrer-policy"] == "no-referrer", "pages send no Referer", page)


@story(seconds=90)
def frames():
    """A page of another origin shows the overview in a frame: only where an option says so."""
    directory = work_dir("frames")
    browser = tool("chromium")
    site_port = free_port()
    origin = f"http://127.0.0.1:{site_port}"
    with node(directory, "closed") as closed, node(directory, "open", f'frame_ancestors = ["{origin}"]\ncors = ["{origin}"]') as opened:
        wait_until(lambda: get(f"127.0.0.1:{opened}", "/snapshot").status == 200, 20, "the node has values")
        (directory / "index.html").write_text(
            "".join(f'<iframe src="http://127.0.0.1:{port}/web" width=600 height=300></iframe>' for port in (closed, opened))
            + "<p id=read></p><script>"
            f"fetch('http://127.0.0.1:{opened}/snapshot', {{headers: {{'If-None-Match': '\"x\"'}}}}).then(async (it) => {{"
            " read.textContent = `read ${it.status} ${it.headers.get('ETag')} ${await it.text()}`; })</script>"
        )
        handler = functools.partial(QuietFiles, directory=directory)
        with http.server.ThreadingHTTPServer(("127.0.0.1", site_port), handler) as site:
            threading.Thread(target=site.serve_forever, daemon=True).start()
            headless = [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", f"--user-data-dir={directory / 'browser'}", "--timeout=8000", "--enable-logging=stderr",
            ]
            code, dom, err = run([*headless, "--dump-dom", f"{origin}/index.html"], 60)
            site.shutdown()
        expect(code == 0, "the browser ends", err)
        expect("read 200 W/" in dom and "power" in dom, "a listed origin reads values and the ETag", dom)
        expect(streams(opened) > 0, "the frame of the listed site runs the page", err)
        expect(streams(closed) == 0, "without the option it does not", err)
        expect(f"127.0.0.1:{closed}" in err and "frame-ancestors" in err, "the browser says why", err)


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def streams(port):
    """How many event streams pages of this node have opened."""
    samples = parse_metrics(get(f"127.0.0.1:{port}", "/metrics").text).get("mainnode_http_requests_total", [])
    return sum(value for labels, value in samples if labels["route"] == "events")
