"""Programs that other people wrote ask a running node: a real Prometheus scrapes it, and
schemathesis holds what it answers against our own openapi.json."""

import contextlib
import json
import re
from urllib.parse import quote

from stories.pages import demo_node
from harness import ROOT, Failed, Program, environment, expect, free_port, get, room, run, story, tool, until, venv


@contextlib.contextmanager
def prometheus(place, target):
    """A Prometheus that scrapes `target` every second; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    file = place / "prometheus.yml"
    file.write_text(
        "global: { scrape_interval: 1s, scrape_timeout: 1s }\n"
        f"scrape_configs: [{{ job_name: node, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
    )
    command = [
        tool("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={place / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    program = Program(command, place / "prometheus.log", cwd=place, env=environment())
    try:
        until(lambda: get(address, "/-/ready").status == 200, 60, lambda: f"Prometheus starts: {program.said()}")
        yield address
    finally:
        program.stop()


def ask(address, expression):
    """The samples of an instant query: (labels, value)."""
    reply = get(address, f"/api/v1/query?query={quote(expression)}").json
    if reply["status"] != "success":
        raise Failed(f"Prometheus does not understand {expression}: {reply}")
    return [(it["metric"], float(it["value"][1])) for it in reply["data"]["result"]]


def last(address, expression):
    found = ask(address, expression)
    return found[-1][1] if found else None


@story(seconds=150)
def prometheus_scrapes():
    place = room("prometheus")
    with demo_node(place) as node, prometheus(place, node) as address:
        wanted = 'count_over_time(up{job="node"}[1m]) > 8'
        until(lambda: ask(address, wanted), 60, "it has scraped nine times", every=0.5)
        expect(last(address, 'min_over_time(up{job="node"}[1m])') == 1, "every scrape went well")
        scraped, kept = (last(address, f"scrape_samples_{which}") for which in ("scraped", "post_metric_relabeling"))
        expect(scraped and scraped == kept, f"all {scraped:.0f} samples are kept", kept)
        own = get(address, "/metrics").text
        for line in own.splitlines():
            if line.startswith("prometheus_target_scrapes_") and not line.startswith("prometheus_target_scrapes_cache"):
                expect(float(line.rsplit(" ", 1)[1]) == 0, f"it dropped nothing: {line}")
        shown = {record["key"] for record in get(node, "/snapshot").json["records"] if record["value"] is not None}
        found = {labels["key"] for labels, _ in ask(address, "mainnode_record_value")}
        expect(found == shown, "it knows every key", (found, shown))
        openmetrics = get(address, "/api/v1/targets/metadata?metric=mainnode_source_up").json["data"]
        every_panel_has_data(address)
        expect(openmetrics and openmetrics[0]["type"] == "gauge", "and its type", openmetrics)


def every_panel_has_data(address):
    """The dashboard for Grafana, by its queries: whatever Grafana fills in is filled in."""
    dashboard = json.loads((ROOT / "systemd" / "grafana.json").read_text())
    filled = {"$__rate_interval": "10s", "$instance": ".*", "$key": ".*"}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in filled.items():
                expression = expression.replace(name, value)
            found = ask(address, expression)
            expect(found, f"the dashboard's panel {panel['title']!r} shows something", expression)
            legend = re.findall(r"{{(\w+)}}", target["legendFormat"])
            labels = set().union(*(labels for labels, _ in found))
            expect(set(legend) <= labels | {"unit"}, f"and can name it by {legend}", labels)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            expect(ask(address, f'{metric}{{{label}!=""}}'), f"its variable {variable['name']} has values", variable)


@story(seconds=240)
def schemathesis():
    place = room("schemathesis")
    # The stream never ends; tests/e2e's pages and the gate's tests read it.
    endless = ["--exclude-path", "/events"]
    with demo_node(place) as node:
        command = [
            venv("schemathesis") / "schemathesis", "run", f"http://{node}/openapi.json", "--url", f"http://{node}",
            *endless, "--max-examples", "40", "--seed", "1", "--request-timeout", "10", "--no-color",
            "--generation-database", "none",
        ]
        code, out, err = run(command, 220, cwd=place)
        expect(code == 0, "schemathesis finds no answer that openapi.json does not say", out[-6000:] + err[-500:])
        print("  " + " · ".join(line.strip() for line in out.splitlines() if "passed" in line or "generated" in line))
        expect(get(node, "/healthz").status == 200, "and the node lives on")
