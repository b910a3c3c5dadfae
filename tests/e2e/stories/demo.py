"""`main-node demo`: /snapshot, caching headers, methods, /status, /metrics, /web in a browser, a year of history."""

import datetime
import email.utils
import json
import os
import re
import signal
import time

from harness import (
    WORK, Missing, Process, clean_environment, environment, expect, expect_agreement, free_port, get, keys_with_numbers, main_node, not_checked,
    parse_metrics, run, story, tool, wait_until, work_dir,
)


# It fails a minute of every ten.
FAILING = "plug-washing-machine"
# Has one key of each group, and a heading.
GROUPS = {
    "Energy": "solar.power", "Outside": "temperature", "Rooms": "room.kitchen.co2", "Heating and appliances": "heatpump.flow",
    "Coming up": "departure.next", "Meters": "plug-fridge.energy",
}


@story(seconds=300, alone=True)
def demo():
    directory = work_dir("demo")
    temporary = directory / "tmp"
    temporary.mkdir()
    killed_demo(directory, temporary)

    address = f"127.0.0.1:{free_port()}"
    start = time.monotonic()
    node = start_demo(directory, temporary, address)
    wait_until(lambda: get(address, "/web").status == 200, 15, lambda: f"demo answers /web: {node.output()}")
    seconds = time.monotonic() - start
    # On a machine that is busy with something else its own time counts.
    expect(min(seconds, processor_seconds(node)) < 3, f"the first page comes within 3 s ({seconds:.1f} s)", node.output())
    wait_until(lambda: get(address, "/snapshot").status == 200, 15, lambda: f"demo answers /snapshot: {node.output()}")
    # It may answer a moment before it prints.
    wait_until(lambda: address in node.output(), 5, lambda: f"demo prints its address: {node.output()}")
    expect(True, "demo prints its address")
    expect(len(demos(temporary)) == 1, "its directory is there, that of a killed demo is removed", demos(temporary))
    wait_until(lambda: len(get(address, "/snapshot").json["records"]) > 40, 20, "every device has values")

    history_of_a_day(address)
    groups(address)
    snapshot(address)
    not_modified(address)
    http_basics(address)
    status_and_metrics(address)
    dashboard(address, directory)
    values_change(address)
    history_of_a_year(address, temporary)

    code, seconds = node.stop()
    expect(code == 0, "SIGTERM stops demo with exit code 0", (code, node.output()))
    expect(seconds < 5, "within 5 s", seconds)
    expect("panicked" not in node.output(), "no panic", node.output())
    expect(not list(temporary.iterdir()), "nothing is left in the temporary directory", list(temporary.iterdir()))


def start_demo(directory, temporary, address):
    return Process(
        [main_node(), "demo", "--listen", address], directory / "log", cwd=directory,
        env=clean_environment(TMPDIR=str(temporary)),
    )


def demos(temporary):
    return list(temporary.glob("main-node-demo-*"))


def killed_demo(directory, temporary):
    """A demo that cannot remove its directory."""
    node = start_demo(directory, temporary, f"127.0.0.1:{free_port()}")
    wait_until(lambda: demos(temporary) and (demos(temporary)[0] / "lock").exists(), 15, "a demo makes its directory")
    node.signal(signal.SIGKILL)
    node.wait(5)
    expect(len(demos(temporary)) == 1, "a killed demo leaves its directory", demos(temporary))


def processor_seconds(node):
    fields = open(f"/proc/{node.pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def history(address, key, days, points):
    """Buckets of the last days, oldest first."""
    now = datetime.datetime.now(datetime.timezone.utc)
    begin = now - datetime.timedelta(days=days)
    text = begin.strftime("%Y-%m-%dT%H:%M:%SZ")
    reply = get(address, f"/history?key={key}&from={text}&points={points}")
    expect(reply.status == 200, f"/history of {key}", reply)
    return reply.json["buckets"]


def history_of_a_day(address):
    for key in ("temperature", "solar.power", "room.kitchen.co2"):
        points = history(address, key, 1, 30)
        expect(len(points) >= 23, f"the first page already has a day of {key}", points)


def history_of_a_year(address, temporary):
    wait_until(lambda: "being generated" not in get(address, "/web").text, 150, "the history of a year is complete")
    # What was generated last is committed within 5 s.
    wait_until(lambda: len(history(address, "temperature", 360, 60)) >= 49, 20, "there is a year of history")
    warmth = [point["mean"] for point in history(address, "temperature", 360, 60)]
    expect(max(warmth) - min(warmth) > 12, "summer is warmer than winter", warmth)
    meter = [point["max"] for point in history(address, "solar.energy", 360, 60)]
    expect(meter == sorted(meter) and meter[-1] > meter[0], "the solar meter only grows", meter)
    size = sum(file.stat().st_size for file in demos(temporary)[0].iterdir())
    expect(size < 30_000_000, f"a year takes {size / 1e6:.0f} MB", size)


def groups(address):
    page = get(address, "/web").text
    headings = [re.sub(r"<[^>]*>", "", it).strip() for it in re.findall(r"<h2[^>]*>(.*?)</h2>", page, re.S)]
    for name, key in GROUPS.items():
        expect(any(name in it for it in headings), f"the overview has the group {name!r}", headings)
        expect(f"/web/key/{key}\"" in page, f"with a link to {key}", page)
    expect("House by the lake" in page, "and the title of the house", page)


def snapshot(address):
    reply = get(address, "/snapshot")
    expect(reply["content-type"].startswith("application/json"), "/snapshot is JSON", reply)
    expect(int(reply["content-length"]) == len(reply.body), "/snapshot has its Content-Length", reply)
    expect(reply["cache-control"] == "no-cache", "/snapshot is `no-cache`", reply)
    expect(reply["age"] is None, "/snapshot has no Age", reply)
    value = reply.json
    expect(list(value)[:3] == ["timestamp", "records", "summary"], "its members are in the documented order", reply.text)
    expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value["timestamp"]), "its timestamp is in UTC seconds, with Z", value["timestamp"])
    expect(value["records"], "there are records", value)
    expect(all(list(r)[:2] == ["key", "value"] for r in value["records"]), "each record starts with key and value", value)
    expect(value["summary"]["count"] == len(value["records"]), "count counts the records", value)
    numbers = [r["value"] for r in value["records"] if isinstance(r["value"], (int, float)) and not isinstance(r["value"], bool) and not r.get("stale")]
    mean = sum(numbers) / len(numbers) if numbers else None
    avg = value["summary"]["avg"]
    expect(avg == mean or abs(avg - mean) <= abs(mean) * 1e-11 + 1e-12, "avg is the mean of the fresh numbers", (avg, mean))
    expect(reply.body == json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() or b" " not in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", reply.body), "the JSON has no spaces", reply.text)

    key = value["records"][0]["key"]
    expect(get(address, f"/snapshot/{key}").json["key"] == key, "/snapshot/<key> returns one record", get(address, f"/snapshot/{key}"))
    expect(get(address, "/snapshot/no.such.key").status == 404, "an unknown key is a 404")
    part = get(address, f"/snapshot?keys={key}").json
    expect([r["key"] for r in part["records"]] == [key] and part["summary"]["count"] == 1, "?keys= returns those records with their own summary", part)
    text = get(address, "/snapshot?format=text").text
    expect(text.splitlines()[0].startswith(f"{key} "), "?format=text returns `key value` lines", text)
    full = get(address, "/snapshot?full=1").json
    expect({"unit", "observed", "stale", "sources"} <= set(full["records"][0]), "?full=1 has unit, observed, stale, sources", full["records"][0])


def not_modified(address):
    for _ in range(5):
        first = get(address, "/snapshot")
        again = get(address, "/snapshot", {"If-None-Match": first["etag"]})
        if again.status == 304:
            break
    expect(re.fullmatch(r'W/"[^"]+"', first["etag"] or ""), "the ETag of a snapshot is weak", first["etag"])
    strong = get(address, "/snapshot?full=1")["etag"]
    expect(re.fullmatch(r'"[^"]+"', strong or ""), "with ?full=1 it is strong", strong)
    expect(again.status == 304 and again.body == b"", "If-None-Match gets 304 and no body", again)
    expect(again["etag"] == first["etag"], "304 has the same ETag", again)
    expect(get(address, "/snapshot", {"If-None-Match": '"other"'}).status == 200, "another ETag gets 200")
    expect(get(address, "/snapshot?format=text")["etag"] != first["etag"], "each representation has an ETag of its own")


def http_basics(address):
    head = get(address, "/snapshot", method="HEAD")
    expect(head.status == 200 and head.body == b"" and int(head["content-length"]) > 0, "HEAD is GET without the body", head)
    expect(email.utils.parsedate_to_datetime(head["date"]) if head["date"] else True, "Date is valid", head)
    for method in ("POST", "PUT", "DELETE"):
        reply = get(address, "/snapshot", method=method)
        expect(reply.status == 405 and "GET" in (reply["allow"] or ""), f"{method} is 405 with Allow", reply)
    options = get(address, "/snapshot", {"Access-Control-Request-Method": "GET"}, method="OPTIONS")
    expect(options.status == 204 and options["allow"] == "GET, HEAD, OPTIONS", "OPTIONS is 204 with Allow", options)
    expect(not any(name.lower().startswith("access-control") for name in options.headers), "CORS is off by default", options)
    missing = get(address, "/no/such/path")
    expect(missing.status == 404 and missing["content-type"] == "application/problem+json", "404 is a problem+json", missing)
    expect(get(address, "/snapshot", {"Host": "evil.example.com"}).status == 421, "a foreign Host is 421 (DNS rebinding)")
    expect(get(address, "/", {}).status in (301, 302, 303, 307, 308), "/ redirects to the dashboard", get(address, "/"))
    for path in ("/snapshot", "/status", "/metrics", "/web", "/openapi.json", "/robots.txt", "/favicon.svg", "/no/such/path", "/healthz"):
        reply = get(address, path)
        expect(reply["content-length"] is not None and reply["transfer-encoding"] is None, f"{path} has a Content-Length and is not chunked", reply.headers)


def status_and_metrics(address):
    health = get(address, "/healthz")
    expect(health.status == 200, "/healthz is 200", health)
    status = get(address, "/status")
    expect(status.status == 200 and status.json["status"] in ("pass", "warn", "fail"), "/status is 200 with pass, warn or fail", status)

    def are_up():
        healthy = [it for it in get(address, "/status").json["sources"] if it["name"] != FAILING]
        return all(it["state"] == "up" for it in healthy)

    # The first page comes before the first responses.
    wait_until(are_up, 20, "all sources are up, but the plug that fails now and then")

    metrics = get(address, "/metrics")
    expect(metrics["content-type"].startswith("text/plain; version=0.0.4"), "/metrics has the Content-Type of the text format", metrics.headers)
    found = parse_metrics(metrics.text)
    expect(all(n.startswith(("mainnode_", "process_")) for n in found), "every metric has the prefix mainnode_ or process_", sorted(found))
    up = found.get("mainnode_source_up", [])
    expect(len(up) >= 9 and all(v == 1 for labels, v in up if labels["source"] != FAILING), "so they are in /metrics", up)

    def are_fetched(keys):
        # Values of the plug that fails may be of before the start: /snapshot has them as stale, /metrics leaves them out.
        return {key for key in keys if not key.startswith(FAILING)}

    expect_agreement(
        lambda: are_fetched(keys_of_metrics(address)), lambda: are_fetched(keys_with_numbers(address)), 20,
        "/metrics and /snapshot have the same keys",
    )
    promtool = tool("promtool")
    code, out, err = run([promtool, "check", "metrics"], 20, env=environment(), stdin=metrics.text)
    expect(code == 0 and not (out + err).strip(), "promtool accepts /metrics", out + err)


def keys_of_metrics(address):
    samples = parse_metrics(get(address, "/metrics").text).get("mainnode_record_value", [])
    return {labels["key"] for labels, _ in samples}


def values_change(address):
    first = get(address, "/snapshot")
    wait_until(lambda: get(address, "/snapshot").body != first.body, 30, "the demo's values change")
    expect(True, "the demo's values change")


def dashboard(address, directory):
    page = get(address, "/web")
    expect(page.status == 200 and page["content-type"].startswith("text/html"), "/web is a page", page)
    expect("default-src" in (page["content-security-policy"] or ""), "with a Content-Security-Policy", page.headers)
    keys = list(GROUPS.values())

    try:
        browser = tool("chromium")
    except Missing as missing:
        not_checked(f"/web in a browser: {missing}")
        return
    headless = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", f"--user-data-dir={directory / 'browser'}",
        # No virtual time: it would wait for the event stream, which never ends.
        "--timeout=8000",
    ]
    code, dom, err = run([*headless, "--dump-dom", f"http://{address}/web"], 40)
    expect(code == 0 and all(key in dom for key in keys), "a browser shows every key", dom or err)
    screenshots = WORK / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    for name, size in (("desktop", "1280,900"), ("phone", "390,844")):
        shot = screenshots / f"web-{name}.png"
        shot.unlink(missing_ok=True)
        code, _, err = run([*headless, f"--window-size={size}", f"--screenshot={shot}", f"http://{address}/web"], 40)
        expect(code == 0 and shot.exists(), f"a screenshot, {name}: {shot.relative_to(WORK.parent.parent)}", err)
        expect(distinct_bytes(shot) > 8, "the screenshot is not blank", distinct_bytes(shot))


def distinct_bytes(png):
    """Number of different byte values in the pixels; a blank image has very few."""
    import struct
    import zlib

    data, offset, compressed = png.read_bytes(), 8, b""
    while offset < len(data):
        size, kind = struct.unpack(">I4s", data[offset : offset + 8])
        if kind == b"IDAT":
            compressed += data[offset + 8 : offset + 8 + size]
        offset += size + 12
    return len(set(zlib.decompress(compressed)))
