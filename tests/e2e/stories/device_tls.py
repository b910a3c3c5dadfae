"""TLS of devices: certificates that are pinned, that change, and client certificates at Debian's nginx."""

import http.server
import json
import re
import ssl
import subprocess
import threading

from fakes import vendors
from harness import (
    Process, clean_environment, environment, expect, free_port, main_node, records_by_key, run, source_status,
    start_node, story, tool, wait_until, work_dir,
)
from stories.peers import certificate
from stories.recipes import recipe


def self_signed(directory, name, *options):
    """(certificate, key) as a device makes them: OpenSSL's default says CA:TRUE."""
    pem, key = directory / f"{name}.pem", directory / f"{name}.key"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-keyout", key, "-out", pem, *options]
    subprocess.run(new, check=True, capture_output=True)
    return pem, key


def server_context(pem, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


def fingerprint(pem):
    """As openssl prints it: `sha256 Fingerprint=AB:CD:…`."""
    command = ["openssl", "x509", "-in", pem, "-noout", "-fingerprint", "-sha256"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def command(directory, toml, *words, **secrets):
    """(exit code, output) of a command of main-node."""
    file = directory / "main-node.toml"
    file.write_text(f'database = "{directory}/main-node.db"\n{toml}')
    code, out, err = run([main_node(), *words, "--config", file], 40, cwd=directory, env=clean_environment(**secrets))
    return code, out + err


@story(seconds=60)
def recipe_enphase():
    directory = work_dir("recipe-enphase")
    pem, key = self_signed(directory, "gateway", "-subj", "/CN=122200000001/O=Enphase")
    secrets = {"ENPHASE_TOKEN": vendors.ENPHASE_TOKEN}
    with vendors.vendor_server(vendors.enphase, server_context(pem, key)) as server:
        toml = recipe("Enphase").replace("192.168.1.30", f"127.0.0.1:{server.server_port}")
        written = set(re.findall(r'^fingerprint = "(.*)"$', toml, re.MULTILINE))
        expect(len(written) == 1, "its sources have one fingerprint", toml)

        code, out = command(directory, toml, "check", "--online", **secrets)
        expect(code == 1 and out.count("another fingerprint") >= 2, "the gateway is another than that of the recipe", out)
        expect(not server.seen, "nothing was sent to it", server.seen)
        lines = re.findall(r'then write in .*:\n *fingerprint = "(.*)"$', out, re.MULTILINE)
        expect(len(lines) == 2, "`check --online` prints the line to paste, for each source", out)
        expect("CN=122200000001, O=Enphase" in out and "compare" in out, "with whose certificate it is", out)
        printed = lines[0]
        expect(printed.removeprefix("sha256:") == fingerprint(pem).split("=")[1], "it is the one of openssl", printed)

        toml = toml.replace(written.pop(), printed)
        code, out = command(directory, toml, "once", **secrets)
        expect(code == 0 and "4120" in out and "panel.121900000001" in out, "with it `once` reads both endpoints", out)
        code, out = command(directory, toml, "once", ENPHASE_TOKEN="eyJ-another-token")
        expect(code == 1 and "401" in out and "eyJ-another" not in out, "another token is refused, and not shown", out)


@story(seconds=90)
def certificate_changes():
    directory = work_dir("certificate-changes")
    first, renewed = (self_signed(directory, name, "-subj", f"/CN={name}") for name in ("first", "renewed"))
    seen, port = [], free_port()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            body = json.dumps({"v": len(seen)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Device:
        """HTTPS on the same port, with one certificate or another."""

        def __init__(self, pem, key):
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
            self.server.daemon_threads = True
            self.server.socket = server_context(pem, key).wrap_socket(self.server.socket, server_side=True)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()

        def stop(self):
            self.server.shutdown()
            self.server.server_close()

    device = Device(*first)
    address = f"127.0.0.1:{free_port()}"
    source = f'[[source]]\nname = "meter"\nurl = "https://127.0.0.1:{port}/"\nevery = "1s"\nfingerprint = "{fingerprint(first[0])}"\n'
    node = start_node(directory, "node", address.split(":")[1], source)
    wait_until(lambda: records_by_key(address).get("v"), 20, lambda: f"it is read: {node.output()}")
    device.stop()
    served = len(seen)
    device = Device(*renewed)

    def failure():
        status = source_status(address, "meter")
        return status if "another fingerprint" in json.dumps(status) else None

    text = json.dumps(wait_until(failure, 30, lambda: f"the other certificate is noticed: {source_status(address, 'meter')}"))
    for pem, what in ((first[0], "expected"), (renewed[0], "found")):
        expect(f"{what} sha256:{fingerprint(pem).split('=')[1]}" in text, f"the {what} fingerprint is said", text)
    expect(len(seen) == served, "nothing was sent to the other certificate", seen)
    device.stop()
    device = Device(*first)
    wait_until(lambda: len(seen) > served, 60, lambda: f"it goes on with the first one: {node.output()}")
    code, _ = node.stop()
    expect(code == 0, "it stops", node.output())
    device.stop()


@story(seconds=60)
def client_certificate():
    directory = work_dir("client-certificate")
    ca, server, key = certificate(directory)
    (client, client_key), (other, other_key) = (
        self_signed(directory, name, "-subj", f"/CN={name}", "-addext", "extendedKeyUsage=clientAuth") for name in ("client", "other")
    )
    program, port = tool("nginx"), free_port()
    paths = "".join(f" {kind}_temp_path {directory}/{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{ }}\n"
        f"http {{\n access_log {directory}/access.log;\n client_body_temp_path {directory}/body;\n{paths}"
        f" server {{\n  listen 127.0.0.1:{port} ssl;\n  ssl_certificate {server};\n  ssl_certificate_key {key};\n"
        f"  ssl_client_certificate {client};\n  ssl_verify_client on;\n  location / {{ default_type application/json;\n"
        '   return 200 "{\\"v\\":7,\\"who\\":\\"$ssl_client_s_dn\\"}"; }\n }\n}\n'
    )
    nginx = Process([program, "-p", directory, "-c", directory / "nginx.conf"], directory / "nginx.log", env=environment(), cwd=directory)

    def once(auth):
        toml = f'[[source]]\nname = "meter"\nurl = "https://127.0.0.1:{port}/"\nca_file = "{ca}"\n{auth}'
        return command(directory, toml, "once")

    own = f'auth = {{ certificate = "{client}", key = "{client_key}" }}\n'
    wait_until(lambda: once(own)[0] == 0, 20, lambda: f"nginx takes the certificate: {once(own)} {nginx.output()}", poll_every=0.3)
    both = directory / "both.pem"
    both.write_text(client_key.read_text() + client.read_text())
    shared = f'auth = "door"\n[auth.door]\ncertificate = "{both}"\ntoken = "abcdefgh"\n'
    code, out = once(shared)
    expect(code == 0 and "v " in out, "key and certificate may be in one file, beside a token", out)
    code, out = once("")
    expect(code == 1 and "400" in out and "No required SSL certificate" in out, "without one nginx refuses, and its words are shown", out)
    code, out = once(f'auth = {{ certificate = "{other}", key = "{other_key}" }}\n')
    expect(code == 1 and "400" in out, "another one is refused", out)
    code, out = once(f'auth = {{ certificate = "{client}", key = "{other_key}" }}\n')
    expect(code != 0 and "does not belong" in out, "a key of another certificate is noticed before", out)
    client_key.chmod(0o644)
    code, out = command(directory, f'[[source]]\nname = "meter"\nurl = "https://127.0.0.1:{port}/"\n{own}', "check")
    expect("everybody on this machine can read it" in out and str(client_key) in out, "`check` says that anybody can read the key", out)


@story(seconds=60)
def token_server_certificate():
    directory = work_dir("token-server-certificate")
    pem, key = self_signed(directory, "tokens", "-subj", "/CN=tokens")
    secret = "client-secret-1234"

    def tokens(request):
        form = request.body.decode()
        if secret not in form:
            return vendors.Answer({"error": "invalid_client"}, status=401)
        return vendors.Answer({"access_token": "access-token-1", "token_type": "Bearer", "expires_in": 3600})

    def data(request):
        if request.headers.get("authorization") != "Bearer access-token-1":
            return vendors.Answer({"error": "no"}, status=401)
        return vendors.Answer({"v": 5})

    with vendors.vendor_server(tokens, server_context(pem, key)) as server, vendors.vendor_server(data) as api:

        def once(trust):
            toml = (
                f'[[source]]\nname = "cloud"\nurl = "http://127.0.0.1:{api.server_port}/"\nauth = "cloud"\n[auth.cloud]\n'
                f'grant = "client_credentials"\ntoken_url = "https://127.0.0.1:{server.server_port}/token"\n'
                f'client_id = "me"\nclient_secret = "${{CLIENT_SECRET}}"\n{trust}\n'
            )
            return command(directory, toml, "once", CLIENT_SECRET=secret)

        code, out = once("")
        expect(code == 1 and "in `auth`" in out, "a token server that is not trusted: the words name `auth`", out)
        expect(not server.seen and not api.seen, "nothing was sent", (server.seen, api.seen))
        line = re.search(r'fingerprint = "sha256:[0-9A-F:]*"', out)
        expect(line, "its fingerprint is printed", out)
        for trust in (line[0], f'ca_file = "{pem}"'):
            code, out = once(trust)
            expect(code == 0 and secret not in out, f"a token is got with {trust[:11]}", out)
