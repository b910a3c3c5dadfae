"""Two vendor APIs in one binary, from their own OpenAPI files: Netdata (OpenAPI 3.0, from Debian)
and Jupyter Server (Swagger 2.0 with a token, from PyPI)."""

import getpass

from codegen_build import build_with_client, operation_for_path
from harness import (
    Process, clean_environment, environment, expect, free_port, get, run, story, tool, venv, wait_until, work_dir,
)

TOKEN = "e2e-secret-token"


@story(seconds=300, alone=True)
def published():
    directory = work_dir("published")
    netdata, netdata_at = start_netdata(directory)
    jupyter, jupyter_at = start_jupyter(directory)
    files = directory / "netdata.yaml", directory / "jupyter.yaml"
    files[0].write_bytes(get(netdata_at, "/netdata-swagger.yaml").body)
    files[1].write_bytes(get(jupyter_at, "/api/spec.yaml", {"Authorization": f"token {TOKEN}"}).body)
    expect(b"openapi: 3.0" in files[0].read_bytes(), "Netdata publishes an OpenAPI 3.0 file")
    expect(b"swagger: '2.0'" in files[1].read_bytes() or b'swagger: "2.0"' in files[1].read_bytes(), "Jupyter Server publishes a Swagger 2.0 file")

    binary = build_with_client(files, "published")
    code, listed, err = run([binary, "operations"], 20, cwd=directory)
    expect(code == 0, "`operations` exits with 0", err)
    sources = [
        operation_table(listed, "info", "/info", f"http://{netdata_at}/api/v1"),
        operation_table(listed, "allmetrics", "/allmetrics", f"http://{netdata_at}/api/v1", 'params = { format = "json" }\n'),
        operation_table(listed, "status", "/api/status", f"http://{jupyter_at}", f'headers = {{ Authorization = "token {TOKEN}" }}\n'),
    ]
    port = free_port()
    file = directory / "main-node.toml"
    file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{directory / "main-node.db"}"\n\n' + "\n".join(filter(None, sources)))
    code, out, err = run([binary, "once", "--config", file], 60, cwd=directory)
    expect(code == 0, "`once` fetches both", out + err)

    address = f"127.0.0.1:{port}"
    node = Process([binary, "serve", "--config", file], directory / "log", cwd=directory)

    def has_both():
        keys = {record["key"] for record in get(address, "/snapshot").json["records"]}
        return keys if any(k.startswith("info.") for k in keys) and any(k.startswith("status.") for k in keys) else None

    keys = wait_until(has_both, 20, lambda: f"records of both APIs: {node.output()}")
    expect("status.kernels" in keys, "the number of Jupyter kernels is a record", sorted(keys))
    expect(TOKEN not in node.output() + get(address, "/status").text + get(address, "/metrics").text, "the token is not in the log, /status and /metrics")
    code, seconds = node.stop()
    expect(code == 0 and seconds < 5, "SIGTERM stops it with exit code 0", (code, seconds, node.output()))
    netdata.stop(10)
    jupyter.stop(10)


def operation_table(listed, name, path, base, more=""):
    operation = operation_for_path(listed, path)
    expect(operation, f"`operations` lists GET {path}", listed[:2000])
    return f'[[source]]\nname = "{name}"\noperation = "{operation}"\nbase_url = "{base}"\nevery = "2s"\nprefix = "{name}"\n{more}'


def start_netdata(directory):
    swagger, program, port = tool("netdata-swagger"), tool("netdata"), free_port()
    stock = program.parents[1] / "lib" / "netdata" / "conf.d"
    for name in ("cache", "lib", "logs", "etc", "plugins"):
        (directory / name).mkdir()
    (directory / "netdata.conf").write_text(
        f"[directories]\n config = {directory}/etc\n stock config = {stock}\n cache = {directory}/cache\n lib = {directory}/lib\n"
        f" log = {directory}/logs\n home = {directory}/lib\n plugins = {directory}/plugins\n web = {swagger.parent}\n"
        f"[db]\n mode = ram\n[web]\n bind to = 127.0.0.1:{port}\n"
        "[registry]\n enabled = no\n[cloud]\n enabled = no\n[ml]\n enabled = no\n[health]\n enabled = no\n"
        "[statsd]\n enabled = no\n[logs]\n access = none\n"
    )
    server = Process(
        [program, "-D", "-c", directory / "netdata.conf", "-u", getpass.getuser(), "-P", directory / "pid"],
        directory / "netdata.log", cwd=directory, env=environment(),
    )
    address = f"127.0.0.1:{port}"
    wait_until(lambda: get(address, "/api/v1/info").status == 200, 30, lambda: f"Netdata answers: {server.output()[-1500:]}", poll_every=0.3)
    return server, address


def start_jupyter(directory):
    port = free_port()
    server = Process(
        [
            venv("jupyter") / "jupyter-server", "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--allow-root",
            f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={directory}",
        ],
        directory / "jupyter.log", cwd=directory,
        env=clean_environment(HOME=str(directory), JUPYTER_RUNTIME_DIR=str(directory / "runtime")),
    )
    address = f"127.0.0.1:{port}"
    answered = lambda: get(address, "/api/status", {"Authorization": f"token {TOKEN}"}).status == 200  # noqa: E731
    wait_until(answered, 40, lambda: f"Jupyter Server answers: {server.output()[-1500:]}", poll_every=0.3)
    return server, address
