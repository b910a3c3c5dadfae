"""Pictures of displays: every panel in every format, and how their files are answered."""

import time

from fakes.servers import json_server
from harness import (
    Missing, demo_node, expect, free_port, get, not_checked, refused_port, source_table, start_node, story, wait_until, work_dir,
)
from pictures import BLACK, RED, WHITE, YELLOW, decode, decode_raw
from stories.pages import browser_driver

# Colours (the number of grey bits, or as in the option) by display; a width that is no whole number of bytes.
PANELS = {
    "one": (1, (250, 122)), "two": (2, (250, 122)), "four": (4, (251, 122)), "eight": (8, (251, 122)), "large": (8, (1404, 1872)),
    "red": ("bwr", (400, 300)), "yellow": ("bwy", (250, 122)), "both": ("bwry", (250, 122)), "six": ("spectra6", (401, 300)),
    "turned": (1, (122, 250)), "trmnl": (1, (800, 480)),
}
TYPES = {"png": "image/png", "bmp": "image/bmp", "raw": "application/octet-stream"}
# What is wrong is red, a warning yellow, on panels that have the colour.
KEYS = '''
[key.co2]
label = "CO₂"
bad = ">1000"
[key.humidity]
warn = ">60"
'''
VALUES = {"temperature": 21.5, "co2": 1400, "humidity": 71, "words": "Straße nach Ελλάδα"}
RECORDS = '''
[source.records]
temperature = { at = "/temperature", unit = "°C" }
co2 = { at = "/co2", unit = "ppm" }
humidity = { at = "/humidity", unit = "%" }
words = { at = "/words", text = true }
'''


def values_of(address, headers=None):
    """{key: number or text} of what a node has."""
    records = get(address, "/snapshot", headers).json["records"]
    return {it["key"]: it.get("text") or it["value"] for it in records}


def display_table(name, *lines, keys='"temperature", "co2", "humidity"'):
    return "\n".join(["", "[[display]]", f'name = "{name}"', f"keys = [{keys}]", *lines, ""])


def panel_table(name, colours, size):
    depth = f"depth = {colours}" if isinstance(colours, int) else f'colours = "{colours}"'
    turned = ["rotate = 90"] if name == "turned" else []
    return display_table(name, f"size = {list(size)}", depth, *turned)


@story(seconds=120)
def display_formats():
    directory, port = work_dir("display-formats"), free_port()
    address = f"127.0.0.1:{port}"
    with json_server(lambda _: VALUES) as upstream:
        tables = [panel_table(name, *panel) for name, panel in PANELS.items()]
        source = source_table("house", f'url = "http://127.0.0.1:{upstream}/"') + RECORDS
        node = start_node(directory, "formats", port, source, KEYS, *tables)
        wait_until(lambda: values_of(address) == VALUES, 30, lambda: f"the node has values: {node.output()}")
        for name, (colours, size) in PANELS.items():
            files_show_the_same(address, name, colours, size)
        orientation_is_kept(address)
        answers_are_cached(address)
        shows_values(address)
        node.stop()
        expect("panicked" not in node.output(), "no panic", node.output())
    pictures_without_data(directory)
    preview_in_a_browser(directory)


def files_show_the_same(address, name, colours, size):
    files = {}
    for extension, content_type in TYPES.items():
        reply = get(address, f"/display/{name}.{extension}", {"Accept-Encoding": "gzip"}, seconds=20)
        is_plain = reply["content-type"] == content_type and reply["content-encoding"] is None and reply["transfer-encoding"] is None
        if not (reply.status == 200 and is_plain and reply["content-length"] == str(len(reply.body))):
            expect(False, f"{name}.{extension}", (reply.status, reply.headers))
        files[extension] = reply.body
    png_size, png = decode(files["png"])
    bmp_size, bmp = decode(files["bmp"])
    expect(png_size == bmp_size == size, f"{name}: the size is that of the panel", (png_size, bmp_size))
    expect(png == bmp, f"{name}: PNG and BMP show the same", first_difference(png, bmp))
    raw = decode_raw(files["raw"], size, colours)
    expect(png == raw, f"{name}: and the raw frame", first_difference(png, raw))
    found = set(png)
    if isinstance(colours, int):
        levels = {number * 255 // (2**colours - 1) for number in range(2**colours)}
        is_allowed = all(r == g == b and r in levels for r, g, b in found)
    else:
        is_allowed = found <= {"bwr": {BLACK, WHITE, RED}, "bwy": {BLACK, WHITE, YELLOW}}.get(colours, {BLACK, WHITE, YELLOW, RED})
        wanted = {"bwr": {RED}, "bwy": {YELLOW}}.get(colours, {RED, YELLOW})
        expect(wanted <= found, f"{name}: alerts have the colours of the panel", found)
    expect(is_allowed and {BLACK, WHITE} <= found, f"{name}: only colours of the panel", found)


def first_difference(one, other):
    return next(((at, a, b) for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), None)


def orientation_is_kept(address):
    """Turned clockwise by 90°, rows are columns from the right."""
    (width, height), upright = decode(get(address, "/display/one.png").body)
    _, turned = decode(get(address, "/display/turned.png").body)
    expected = [upright[(height - 1 - x) * width + y] for y in range(width) for x in range(height)]
    expect(turned == expected, "`rotate = 90` turns the same picture clockwise", first_difference(turned, expected))


def answers_are_cached(address):
    for extension in (*TYPES, "json"):
        path = f"/display/trmnl.{extension}"
        reply = get(address, path)
        tag = reply["etag"]
        expect(tag and "max-age=900" in reply["cache-control"], f"{path} has a tag, and says when to ask again", reply.headers)
        for sent in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
            again = get(address, path, {"If-None-Match": sent})
            expect(again.status == 304 and again.body == b"" and again["etag"] == tag, f"{path} is not sent again for {sent}", again)
        expect(get(address, path, {"If-None-Match": '"other"'}).status == 200, f"{path} is, for another tag")
        head = get(address, path, method="HEAD")
        expect(head["content-length"] == reply["content-length"] and head.body == b"", f"{path}: HEAD has the same length", head.headers)
    bmp = get(address, "/display/trmnl.bmp").body
    expect(len(bmp) == 48_062, "a BMP for TRMNL has 48,062 bytes", len(bmp))
    reply = get(address, "/display/trmnl.gif")
    expect(reply.status == 404 and "trmnl.png" in reply.text, "another format: 404, and which there are", reply)
    reply = get(address, "/display/hall.png")
    expect(reply.status == 404 and "trmnl" in reply.text, "another display: 404, and which there are", reply)
    polls = get(address, "/metrics").text
    expect('mainnode_http_requests_total{route="display",status="200"}' in polls, "requests are counted", polls)


def shows_values(address):
    shown = get(address, "/display/trmnl.json").json
    values = {cell["label"]: (cell["value"], cell["unit"], cell["level"]) for cell in shown["cells"]}
    expected = {"Temperature": ("21.5", "°C", "normal"), "CO₂": ("1\u202f400", "ppm", "bad"), "Humidity": ("71", "%", "warn")}
    expect(values == expected, "the JSON has values, units and levels", shown)


def pictures_without_data(directory):
    port, (dead, holder) = free_port(), refused_port()
    address = f"127.0.0.1:{port}"
    source = source_table("house", f'url = "http://127.0.0.1:{dead}/"') + RECORDS
    table = display_table("empty", 'model = "trmnl-og"') + display_table("lost", 'model = "waveshare-2.9"', keys='"temprature"')
    with holder:
        node = start_node(directory, "empty", port, source, table)
        wait_until(lambda: get(address, "/healthz").status == 200, 30, lambda: f"a node without data answers: {node.output()}")
        for name in ("empty", "lost"):
            reply = get(address, f"/display/{name}.png")
            _, pixels = decode(reply.body)
            words = get(address, f"/display/{name}.json").text
            expect(reply.status == 200 and pixels.count(BLACK) > 200, f"{name}: without data there is a picture", reply.headers)
            expect('"message":{"title"' in words.replace(" ", "") or "temprature" in words, f"{name}: which says so", words)
        node.stop()


def preview_in_a_browser(directory):
    begun = time.monotonic()
    with demo_node(directory) as demo:
        view = {"width": 1280, "height": 900, "scheme": "light", "run_axe": True, "status": 200}
        views = [{"name": f"demo-display-{which}", "url": f"http://{demo}/display/hall", **view, **more}
                 for which, more in {"desktop": {}, "phone": {"width": 360, "height": 740, "scheme": "dark"}}.items()]
        task = {"views": views, "screenshots": str(directory), "origin": {"demo": f"http://{demo}/"}}
        try:
            with browser_driver(directory, task) as browser:
                found = browser.receive("views", 60)
        except Missing as missing:
            not_checked(f"the preview of a display in a browser: {missing}")
            return
    for view in found:
        problems = {key: view[key] for key in ("errors", "violations", "overflow", "clipped") if view[key]}
        expect(not problems, f"{view['name']}: no error, no violation, nothing clipped", problems)
    print(f"  browser: {time.monotonic() - begun:.1f} s")
