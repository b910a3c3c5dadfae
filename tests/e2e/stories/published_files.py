"""Glances, Netdata and Jupyter Server by the OpenAPI files that they publish, read by the node itself: from
`main-node operations FILE`, as a person pastes it, to readings. The binary under test is not built anew."""

import os
import re

from fakes.vendors import Answer, vendor_server
from harness import (
    Process, clean_environment, expect, free_port, get, keys_with_numbers, main_node, records_by_key, run, source_status,
    story, wait_until, work_dir,
)
from stories.api_files import problems
from stories.glances import readings_match_the_machine, start_glances
from stories.vendor_apis import TOKEN, start_jupyter, start_netdata

AUTHORIZATION = {"Authorization": f"token {TOKEN}"}
WRONG_TOKEN = "e2e-wrong-token"


@story(seconds=180)
def glances_file():
    directory = work_dir("glances-file")
    server, address = start_glances(directory)
    printed = operations(directory, "glances.json", get(address, "/openapi.json", seconds=10), "plugin")
    tables = [pasted_api(printed)]
    for plugin in ("load", "mem", "fs"):
        params = f'{{ plugin = "{plugin}" }}'
        tables.append(pasted_source(printed, "/api/4/{plugin}", plugin, f"http://{address}", params=params))
    readings_match_the_machine(main_node(), directory, "\n".join(tables))
    server.stop(10)


@story(seconds=120)
def netdata_file():
    directory = work_dir("netdata-file")
    server, address = start_netdata(directory)
    printed = operations(directory, "netdata.yaml", get(address, "/netdata-swagger.yaml"))
    base_url = f"http://{address}/api/v1"
    more = {"params": '{ format = "json" }', "prefix": '"system."', "records": '{ load = "/system.load/dimensions/load15/value" }'}
    tables = [
        pasted_api(printed),
        pasted_source(printed, "/info", "info", base_url),
        pasted_source(printed, "/allmetrics", "system", base_url, **more),
    ]
    node, at = serve(directory, tables)
    expect_keys(node, at, {"info.alarms.normal", "info.alarms.warning", "info.alarms.critical", "system.load"})
    load = lambda: records_by_key(at)["system.load"]["value"]  # noqa: E731
    # Netdata says 0 until it has collected it.
    wait_until(lambda: abs(load() - os.getloadavg()[2]) < 1.0, 30, lambda: f"the load of Netdata is that of this machine: {load()}")
    print("  ok    the load of Netdata is that of this machine", flush=True)
    stop(node)
    server.stop(10)


@story(seconds=120)
def jupyter_file():
    directory = work_dir("jupyter-file")
    server, address = start_jupyter(directory)
    printed = operations(directory, "jupyter.yaml", get(address, "/api/spec.yaml", AUTHORIZATION))

    def changed(request):
        """What Jupyter answers, with a number that has become a text."""
        status = get(address, request.target, {"Authorization": request.headers["authorization"]}).json
        return Answer({**status, "kernels": "none"})

    with vendor_server(changed) as relay:
        tables = [pasted_api(printed)]
        for name, port, variable in (
            ("status", address.rpartition(":")[2], "TOKEN"),
            ("stranger", address.rpartition(":")[2], "WRONG_TOKEN"),
            ("drift", relay.server_port, "TOKEN"),
        ):
            auth = f'{{ token = "${{{variable}}}", header = "Authorization: token {{token}}" }}'
            tables.append(pasted_source(printed, "/api/status", name, f"http://127.0.0.1:{port}", auth=auth))
        node, at = serve(directory, tables, TOKEN=TOKEN, WRONG_TOKEN=WRONG_TOKEN)
        expect_keys(node, at, {"status.kernels", "status.connections", "drift.connections"})
        a_wrong_token_fails_with_its_cause(at)
        drift_is_told(at)
        shown = node.output() + get(at, "/status").text + get(at, "/metrics").text
        expect(TOKEN not in shown and WRONG_TOKEN not in shown, "no token is in the log, /status and /metrics")
        stop(node)
    server.stop(10)


def a_wrong_token_fails_with_its_cause(at):
    failure = wait_until(lambda: source_status(at, "stranger")["last_failure"], 20, "the wrong token fails")
    expect(failure["cause"] == "http_status" and "403" in failure["detail"], "a wrong token: the cause is the status 403", failure)
    expect(source_status(at, "stranger")["state"] != "up", "and the source is not up", source_status(at, "stranger"))


def drift_is_told(at):
    drift = source_status(at, "drift")
    expect(drift["state"] == "up", "a field of another type than the file's costs that field alone", drift)
    expect("drift.kernels" not in keys_with_numbers(at), "it is no reading", sorted(keys_with_numbers(at)))
    issue = next((it for it in drift["issues"] if it["pointer"] == "/kernels"), None)
    expect(issue and issue["reason"] == "schema" and drift["rejected"].get("schema", 0) >= 1, "it is an issue `schema`, with its pointer", drift)
    expect(not source_status(at, "status")["issues"], "there is none where nothing has changed", source_status(at, "status"))


# ---- The node --------------------------------------------------------------------------------


def serve(directory, tables, **variables):
    """(`serve` with what was pasted, its address)"""
    at, file = f"127.0.0.1:{free_port()}", directory / "main-node.toml"
    file.write_text(f'listen = "{at}"\ndatabase = "{directory / "main-node.db"}"\n\n' + "\n".join(tables))
    file.chmod(0o600)
    env = clean_environment(**variables)
    code, out, err = run([main_node(), "check", "--config", file], 40, cwd=directory, env=env)
    expect(not problems(out, err), "`check` finds no problem in what was pasted", out + err)
    return Process([main_node(), "serve", "--config", file], directory / "log", cwd=directory, env=env), at


def expect_keys(node, at, wanted):
    missing = lambda: wanted - keys_with_numbers(at)  # noqa: E731
    wait_until(lambda: not missing(), 30, lambda: f"readings of {missing()}: {get(at, '/snapshot').text} {node.output()}")
    print(f"  ok    readings of {', '.join(sorted(wanted))}", flush=True)


def stop(node):
    code, seconds = node.stop()
    expect(code == 0 and seconds < 5, "SIGTERM stops it with exit code 0 within 5 s", (code, seconds, node.output()))


# ---- What a person pastes --------------------------------------------------------------------


def operations(directory, file, published, *words):
    """What `operations FILE …` prints of a published file, where there is no configuration."""
    (directory / file).write_bytes(published.body)
    code, out, err = run([main_node(), "operations", file, *words], 60, cwd=directory)
    expect(code == 0, f"`operations {' '.join([file, *words])}` lists it, to paste", out[:2000] + err)
    return out


def pasted_api(printed):
    found = re.search(r"^\[\[api\]\]\n(?:.+\n)+", printed, re.MULTILINE)
    expect(found, "its [[api]] is among it", printed[:3000])
    return found[0]


def pasted_source(printed, path, name, base_url, **options):
    """The `[[source]]` of a GET, with a name, a server and these options in place of its own."""
    found = re.search(rf"^# GET {re.escape(path)}: .*?^(\[\[source\]\]\n(?:[^\n]+\n)+)", printed, re.MULTILINE | re.DOTALL)
    expect(found, f"GET {path} is among them", printed[:3000])
    options = {"name": f'"{name}"', "prefix": f'"{name}"', "base_url": f'"{base_url}"', "every": '"1s"', **options}
    kept = [line for line in found[1].splitlines() if line.partition(" = ")[0] not in options]
    return "\n".join([*kept, *(f"{option} = {value}" for option, value in options.items()), ""])
