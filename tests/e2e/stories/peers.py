"""Real peers of requests: Squid, nginx that speaks TLS 1.0 only, Prometheus' node exporter, a GraphQL
server."""

import pathlib
import ssl
import subprocess

from fakes.servers import json_server
from harness import (
    ROOT, Process, environment, expect, free_port, get, main_node, records_by_key, refused_port, run, start_node, story,
    tool, venv, wait_until, work_dir,
)
from stories.recipes import recipe


def once(directory, toml):
    """(exit code, output) of `once`."""
    file = directory / "once.toml"
    file.write_text(toml)
    code, out, err = run([main_node(), "once", "--config", file], 40, cwd=directory)
    return code, out + err


def certificate(directory, name="IP:127.0.0.1"):
    """(CA file, server certificate, key) for an address or a name."""
    names = [directory / name for name in ("ca.pem", "ca.key", "server.pem", "server.key", "server.csr", "extensions")]
    ca, ca_key, server, key, request, extensions = names
    extensions.write_text(f"subjectAltName = {name}\nbasicConstraints = CA:FALSE\n")
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in (
        [*new, "-x509", "-days", "3", "-keyout", ca_key, "-out", ca, "-subj", "/CN=e2e CA"],
        [*new, "-keyout", key, "-out", request, "-subj", f"/CN={name.partition(':')[2]}"],
        ["openssl", "x509", "-req", "-days", "2", "-in", request, "-CA", ca, "-CAkey", ca_key, "-extfile", extensions, "-out", server],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return ca, server, key


@story(seconds=120)
def squid():
    directory = work_dir("squid")
    ca, server, key = certificate(directory)
    port = start_squid(directory)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(server, key)
    nobody, holder = refused_port()
    with json_server(lambda _: {"v": 1}) as plain, json_server(lambda _: {"v": 2}, tls=tls) as encrypted:

        def source(name, url, login="me:p%40ss@"):
            return (
                f'[[source]]\nname = "{name}"\nurl = "{url}"\nproxy = "http://{login}127.0.0.1:{port}"\nprefix = "{name}."\n'
                f'ca_file = "{ca}"\ntimeout = "20s"\n'
            )

        http, https = f"http://127.0.0.1:{plain}/a?b=1", f"https://127.0.0.1:{encrypted}/c"
        code, out = once(directory, source("plain", http) + source("tls", https))
        expect(code == 0 and "plain.v" in out and "tls.v" in out, "http:// and https:// go through it", out)
        log = (directory / "access.log").read_text()
        expect(f"GET http://127.0.0.1:{plain}/a?" in log, "http:// as a request in absolute form", log)
        expect(f"CONNECT 127.0.0.1:{encrypted}" in log, "https:// through a tunnel", log)
        expect("p@ss" not in out and "p%40ss" not in out, "the password is not shown", out)

        for name, url in (("plain", http), ("tls", https)):
            code, out = once(directory, source(name, url, login=""))
            expect(code == 1 and "407" in out and "user or password" in out, f"{name}: without credentials the words are about the proxy", out)
        code, out = once(directory, source("dead", f"http://127.0.0.1:{nobody}/"))
        expect(code == 1 and "proxy" in out, "a server that the proxy does not reach is not blamed alone", out)
        code, out = once(directory, source("dead", f"https://127.0.0.1:{nobody}/"))
        expect(code == 1 and "proxy" in out, "nor is one behind a tunnel", out)
    holder.close()


def start_squid(directory):
    """The port of a Squid that wants a user and a password."""
    program, port = tool("squid"), free_port()
    helper = next(pathlib.Path("/usr/lib/squid").glob("basic_ncsa_auth"))
    password = subprocess.run(["openssl", "passwd", "-apr1", "p@ss"], check=True, capture_output=True, text=True).stdout
    (directory / "users").write_text(f"me:{password}")
    (directory / "squid.conf").write_text(
        f"http_port 127.0.0.1:{port}\npid_filename none\ncoredump_dir {directory}\n"
        f"access_log stdio:{directory}/access.log\ncache_log {directory}/cache.log\nlogfile_rotate 0\n"
        f"cache deny all\nstrip_query_terms off\nshutdown_lifetime 1 seconds\n"
        f"auth_param basic program {helper} {directory}/users\nauth_param basic children 1\n"
        "acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n"
    )
    # Squid drops root for its own user, which must reach these files.
    for path in [*directory.parents][:6]:
        if ROOT in path.parents:
            path.chmod(0o755)
    directory.chmod(0o777)
    server = Process([program, "-N", "-f", directory / "squid.conf"], directory / "squid.log", cwd=directory)

    def log():
        cache = directory / "cache.log"
        return server.output() + (cache.read_text() if cache.exists() else "")

    wait_until(lambda: get(f"127.0.0.1:{port}", "/").status in (400, 407), 30, lambda: f"Squid answers: {log()}", poll_every=0.2)
    return port


@story(seconds=60)
def tls_too_old():
    directory = work_dir("tls-too-old")
    ca, server, key = certificate(directory)
    program, port = tool("nginx"), free_port()
    (directory / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{ }}\n"
        f"http {{\n access_log off;\n client_body_temp_path {directory}/body;\n proxy_temp_path {directory}/proxy;\n"
        f" fastcgi_temp_path {directory}/fastcgi;\n uwsgi_temp_path {directory}/uwsgi;\n scgi_temp_path {directory}/scgi;\n"
        f" server {{\n  listen 127.0.0.1:{port} ssl;\n  ssl_certificate {server};\n  ssl_certificate_key {key};\n"
        '  ssl_protocols TLSv1;\n  ssl_ciphers "ALL:@SECLEVEL=0";\n  location / { default_type application/json; return 200 "{\\"v\\":1}"; }\n }\n}\n'
    )
    nginx = Process([program, "-p", directory, "-c", directory / "nginx.conf"], directory / "nginx.log", env=environment(), cwd=directory)
    old = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1", "-cipher", "ALL:@SECLEVEL=0"]

    def speaks_it():
        done = subprocess.run(old, input="", capture_output=True, text=True, timeout=10)
        return "Protocol  : TLSv1\n" in done.stdout or "TLSv1," in done.stdout

    wait_until(speaks_it, 20, lambda: f"nginx speaks TLS 1.0: {nginx.output()}", poll_every=0.2)
    code, out = once(directory, f'[[source]]\nname = "old"\nurl = "https://127.0.0.1:{port}/"\nca_file = "{ca}"\n')
    expect(code == 1 and "TLS 1.2" in out, "`once` says that its TLS is too old", out)


@story(seconds=60)
def node_exporter():
    directory = work_dir("node-exporter")
    exporter, port = tool("node-exporter"), free_port()
    server = Process([exporter, f"--web.listen-address=127.0.0.1:{port}"], directory / "exporter.log", cwd=directory)
    wait_until(lambda: get(f"127.0.0.1:{port}", "/metrics").status == 200, 20, lambda: f"it answers: {server.output()}", poll_every=0.2)
    toml = recipe("Prometheus").replace("192.168.1.10:9100", f"127.0.0.1:{port}")
    memory = toml + 'memory = "/node_memory_MemTotal_bytes"\n"disk.{mountpoint}" = { each = "/node_filesystem_size_bytes", at = "/value" }\n'
    address = free_port()
    node = start_node(directory, "node", address, memory)
    records = wait_until(lambda: records_by_key(f"127.0.0.1:{address}"), 20, lambda: f"records: {node.output()}")
    total = next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    expect(records["memory"]["value"] == total, "its total of memory is that of /proc/meminfo", records["memory"])
    expect(records["cpu.0.idle"]["value"] > 0, "the idle time of the first processor is a record", records["cpu.0.idle"])
    text = get(f"127.0.0.1:{port}", "/metrics").text
    labelled = sum(line.startswith("node_cpu_seconds_total{") for line in text.splitlines())
    cpus = sum(key.startswith("cpu.") for key in records)
    expect(cpus == labelled, f"all {labelled} samples of the processors are records", cpus)


@story(seconds=180)
def graphql():
    directory, port = work_dir("graphql"), free_port()
    program = venv("graphql") / "python"
    server = Process([program, ROOT / "tests/e2e/fakes/graphql_server.py", port], directory / "server.log", cwd=directory)
    wait_until(lambda: get(f"127.0.0.1:{port}", "/").status, 60, lambda: f"strawberry answers: {server.output()}", poll_every=0.3)
    head = f'[[source]]\nname = "house"\nurl = "http://127.0.0.1:{port}/"\nevery = "1s"\n'
    query = "query S($$floor: Int!) { sensors(floor: $$floor) { name temperature } }"
    records = '[source.records]\n"{name}.temperature" = { each = "/data/sensors", at = "/temperature" }\n'
    address = free_port()
    node = start_node(directory, "node", address, f'{head}body = {{ query = "{query}", variables = {{ floor = 2 }} }}\n{records}')
    found = wait_until(lambda: records_by_key(f"127.0.0.1:{address}"), 20, lambda: f"records: {node.output()}")
    values = {key: record["value"] for key, record in found.items()}
    expect(values == {"kitchen.temperature": 21.4, "hall.temperature": 20.5}, "a query with variables gives records", values)
    code, out = once(directory, f'{head}body = {{ query = "{{ sensors {{ nme }} }}" }}\n{records}')
    expect(code == 1 and "nme" in out, "`once` shows what the server says about a wrong query", out)
