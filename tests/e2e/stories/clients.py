"""HTTP clients of other vendors: Prometheus scrapes a node, and schemathesis compares its
responses with openapi.json."""

import contextlib
import json
import re
from urllib.parse import quote

from harness import (
    ROOT, Failed, Process, demo_node, environment, expect, expect_agreement, free_port, get, keys_with_numbers, run, story, tool,
    venv, wait_until, work_dir,
)


@contextlib.contextmanager
def prometheus(directory, target):
    """A Prometheus that scrapes `target` every second; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    file = directory / "prometheus.yml"
    file.write_text(
        "global: { scrape_interval: 1s, scrape_timeout: 1s }\n"
        f"scrape_configs: [{{ job_name: node, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
    )
    command = [
        tool("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    program = Process(command, directory / "prometheus.log", cwd=directory, env=environment())
    try:
        wait_until(lambda: get(address, "/-/ready").status == 200, 60, lambda: f"Prometheus starts: {program.output()}")
        yield address
    finally:
        program.stop()


def query(address, expression):
    """The samples of an instant query: (labels, value)."""
    reply = get(address, f"/api/v1/query?query={quote(expression)}").json
    if reply["status"] != "success":
        raise Failed(f"Prometheus rejects {expression}: {reply}")
    return [(it["metric"], float(it["value"][1])) for it in reply["data"]["result"]]


def last_value(address, expression):
    found = query(address, expression)
    return found[-1][1] if found else None


@story(seconds=150, alone=True)
def prometheus_scrapes():
    directory = work_dir("prometheus")
    with demo_node(directory) as node, prometheus(directory, node) as address:
        wanted = 'count_over_time(up{job="node"}[1m]) > 8'
        wait_until(lambda: query(address, wanted), 60, "nine scrapes")
        expect(last_value(address, 'min_over_time(up{job="node"}[1m])') == 1, "all scrapes succeed")
        scraped, kept = (last_value(address, f"scrape_samples_{which}") for which in ("scraped", "post_metric_relabeling"))
        expect(scraped and scraped == kept, f"all {scraped:.0f} samples are accepted", kept)
        own = get(address, "/metrics").text
        for line in own.splitlines():
            if line.startswith("prometheus_target_scrapes_") and not line.startswith("prometheus_target_scrapes_cache"):
                expect(float(line.rsplit(" ", 1)[1]) == 0, f"no sample is dropped: {line}")
        # A key of a device that fails now and then comes with the next scrape.
        expect_agreement(lambda: keys_with_series(address), lambda: keys_with_numbers(node), 20, "every key has a series")
        openmetrics = get(address, "/api/v1/targets/metadata?metric=mainnode_source_up").json["data"]
        dashboard_has_data(address)
        expect(openmetrics and openmetrics[0]["type"] == "gauge", "Prometheus knows the metric type", openmetrics)


def keys_with_series(address):
    return {labels["key"] for labels, _ in query(address, "mainnode_record_value")}


def dashboard_has_data(address):
    """Runs the queries of the Grafana dashboard, with Grafana's variables filled in."""
    dashboard = json.loads((ROOT / "systemd" / "grafana.json").read_text())
    filled = {"$__rate_interval": "10s", "$instance": ".*", "$key": ".*"}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in filled.items():
                expression = expression.replace(name, value)
            found = query(address, expression)
            expect(found, f"the dashboard panel {panel['title']!r} has data", expression)
            legend = re.findall(r"{{(\w+)}}", target["legendFormat"])
            labels = set().union(*(labels for labels, _ in found))
            expect(set(legend) <= labels | {"unit"}, f"its legend {legend} exists", labels)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            expect(query(address, f'{metric}{{{label}!=""}}'), f"the dashboard variable {variable['name']} has values", variable)


@story(seconds=240, alone=True)
def schemathesis():
    directory = work_dir("schemathesis")
    # An event stream never ends; other stories and tests read it.
    endless = ["--exclude-path", "/events"]
    with demo_node(directory) as node:
        command = [
            venv("schemathesis") / "schemathesis", "run", f"http://{node}/openapi.json", "--url", f"http://{node}",
            *endless, "--max-examples", "40", "--seed", "1", "--request-timeout", "10", "--no-color",
            "--generation-database", "none",
        ]
        code, out, err = run(command, 220, cwd=directory)
        expect(code == 0, "all responses match openapi.json", out[-6000:] + err[-500:])
        print("  " + " · ".join(line.strip() for line in out.splitlines() if "passed" in line or "generated" in line))
        expect(get(node, "/healthz").status == 200, "the node is still alive")
