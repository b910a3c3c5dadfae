"""Vendors' own files against vendors' own servers, two APIs in one binary: Netdata
(OpenAPI 3.0, from Debian) and Jupyter Server (Swagger 2.0 with a token, from PyPI)."""

import getpass

from stories.glances import node_for, operation_of
from harness import (
    Program, clean_environment, environment, expect, free_port, get, room, run, story, tool, until, venv,
)

TOKEN = "e2e-token-of-this-story"


@story(seconds=300)
def published():
    place = room("published")
    netdata, netdata_at = start_netdata(place)
    jupyter, jupyter_at = start_jupyter(place)
    files = place / "netdata.yaml", place / "jupyter.yaml"
    files[0].write_bytes(get(netdata_at, "/netdata-swagger.yaml").body)
    files[1].write_bytes(get(jupyter_at, "/api/spec.yaml", {"Authorization": f"token {TOKEN}"}).body)
    expect(b"openapi: 3.0" in files[0].read_bytes(), "Netdata publishes an OpenAPI 3.0 file")
    expect(b"swagger: '2.0'" in files[1].read_bytes() or b'swagger: "2.0"' in files[1].read_bytes(), "Jupyter Server publishes a Swagger 2.0 file")

    binary = node_for(files, "published")
    code, listed, err = run([binary, "operations"], 20, cwd=place)
    expect(code == 0, "`operations` lists both", err)
    sources = [
        source(listed, "info", "/info", f"http://{netdata_at}/api/v1"),
        source(listed, "allmetrics", "/allmetrics", f"http://{netdata_at}/api/v1", 'params = { format = "json" }\n'),
        source(listed, "status", "/api/status", f"http://{jupyter_at}", f'headers = {{ Authorization = "token {TOKEN}" }}\n'),
    ]
    port = free_port()
    file = place / "main-node.toml"
    file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{place / "main-node.db"}"\n\n' + "\n".join(filter(None, sources)))
    code, out, err = run([binary, "once", "--config", file], 60, cwd=place)
    expect(code == 0, "`once` fetches both", out + err)

    address = f"127.0.0.1:{port}"
    node = Program([binary, "serve", "--config", file], place / "log", cwd=place)

    def both():
        keys = {record["key"] for record in get(address, "/snapshot").json["records"]}
        return keys if any(k.startswith("info.") for k in keys) and any(k.startswith("status.") for k in keys) else None

    keys = until(both, 20, lambda: f"readings of both arrive: {node.said()}")
    expect("status.kernels" in keys, "Jupyter's count of kernels is a reading", sorted(keys))
    expect(TOKEN not in node.said() + get(address, "/status").text + get(address, "/metrics").text, "its token stays out of log, /status and /metrics")
    code, seconds = node.stop()
    expect(code == 0 and seconds < 5, "SIGTERM ends it with 0", (code, seconds, node.said()))
    netdata.stop(10)
    jupyter.stop(10)


def source(listed, name, path, base, more=""):
    operation = operation_of(listed, path)
    expect(operation, f"GET {path} is among them", listed[:2000])
    return f'[[source]]\nname = "{name}"\noperation = "{operation}"\nbase_url = "{base}"\nevery = "2s"\nprefix = "{name}"\n{more}'


def start_netdata(place):
    swagger, program, port = tool("netdata-swagger"), tool("netdata"), free_port()
    stock = program.parents[1] / "lib" / "netdata" / "conf.d"
    for directory in ("cache", "lib", "logs", "etc", "plugins"):
        (place / directory).mkdir()
    (place / "netdata.conf").write_text(
        f"[directories]\n config = {place}/etc\n stock config = {stock}\n cache = {place}/cache\n lib = {place}/lib\n"
        f" log = {place}/logs\n home = {place}/lib\n plugins = {place}/plugins\n web = {swagger.parent}\n"
        f"[db]\n mode = ram\n[web]\n bind to = 127.0.0.1:{port}\n"
        "[registry]\n enabled = no\n[cloud]\n enabled = no\n[ml]\n enabled = no\n[health]\n enabled = no\n"
        "[statsd]\n enabled = no\n[logs]\n access = none\n"
    )
    server = Program(
        [program, "-D", "-c", place / "netdata.conf", "-u", getpass.getuser(), "-P", place / "pid"],
        place / "netdata.log", cwd=place, env=environment(),
    )
    address = f"127.0.0.1:{port}"
    until(lambda: get(address, "/api/v1/info").status == 200, 30, lambda: f"Netdata answers: {server.said()[-1500:]}", every=0.3)
    return server, address


def start_jupyter(place):
    port = free_port()
    server = Program(
        [
            venv("jupyter") / "jupyter-server", "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--allow-root",
            f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={place}",
        ],
        place / "jupyter.log", cwd=place,
        env=clean_environment(HOME=str(place), JUPYTER_RUNTIME_DIR=str(place / "runtime")),
    )
    address = f"127.0.0.1:{port}"
    answered = lambda: get(address, "/api/status", {"Authorization": f"token {TOKEN}"}).status == 200  # noqa: E731
    until(answered, 40, lambda: f"Jupyter Server answers: {server.said()[-1500:]}", every=0.3)
    return server, address
