"""Home Assistant's device discovery over Mosquitto, judged by rules written from Home Assistant's documentation
(MQTT discovery, sensor and binary sensor entities) and by its own schemas."""

import json
import re

from fakes.servers import json_server
from harness import Missing, expect, free_port, get, not_checked, start_node, story, wait_until, work_dir
from services import home_assistant
from services.mosquitto import Mosquitto

VALUES = {
    "kitchen": {"temperature": 21.5, "humidity": 40, "pump": True},
    "meter": {"total": 8123.25, "power": 412, "flow": 3.5},
    "wind": {"speed": 4.2, "direction": 270},
    "sky": "Cloudy",
    "mode": 3,
    "rätsel ü+#": 1,
}
KEYS = """
[key."*.temperature"]
unit = "degC"
decimals = 1
[key."*.humidity"]
unit = "%"
[key."meter.total"]
label = "Grid"
unit = "kWh"
counter = true
[key."meter.power"]
unit = "W"
show = "1e-3 kW"
decimals = 2
[key."meter.flow"]
unit = "m3/h"
[key."wind.speed"]
unit = "m/s"
[key."wind.direction"]
unit = "°"
[key.mode]
words = { 3 = "Heating" }
"""
KITCHEN = '[[group]]\nname = "Kitchen"\nkeys = ["kitchen.*"]\n'

# Sensor device classes: units and state classes, of the pages "Sensor" (users) and "Sensor entity" (developers).
MEASUREMENT, COUNTED = {"measurement"}, {"total", "total_increasing"}
DEVICE_CLASSES = {
    "temperature": ({"°C", "°F", "K"}, MEASUREMENT),
    "humidity": ({"%"}, MEASUREMENT),
    "energy": ({"J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"}, COUNTED),
    "power": ({"W", "kW"}, MEASUREMENT),
    "speed": ({"ft/s", "in/d", "in/h", "in/s", "km/h", "kn", "m/s", "mph", "mm/d", "mm/s"}, MEASUREMENT),
    "volume_flow_rate": ({"m³/h", "ft³/min", "L/min", "gal/min", "mL/s"}, MEASUREMENT),
}
REQUIRED = {"platform", "unique_id", "name", "state_topic"}
OPTIONS = {
    "sensor": REQUIRED | {"availability", "availability_mode", "device_class", "state_class", "unit_of_measurement", "suggested_display_precision", "enabled_by_default"},
    "binary_sensor": REQUIRED | {"availability", "availability_mode", "device_class", "payload_on", "payload_off", "entity_category", "enabled_by_default"},
}


def judge(topic, document):
    """What is wrong with a discovery document."""
    # "<discovery_prefix>/<component>/[<node_id>/]<object_id>/config", each id of [a-zA-Z0-9_-].
    if not re.fullmatch(r"homeassistant/device/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config", topic):
        yield f"{topic}: not a discovery topic"
    if document.keys() - {"device", "origin", "components"}:
        yield f"{topic}: {document.keys()}"
    if not document["device"].get("identifiers") or not document["device"].get("name") or not document["origin"].get("name"):
        yield f"{topic}: {document['device']} {document['origin']}"
    if not re.match(r"https?://[\w.-]+(:\d+)?/", document["device"]["configuration_url"]):
        yield f"{topic}: {document['device']['configuration_url']}"
    for name, component in document["components"].items():
        for problem in judge_component(component):
            yield f"{name}: {problem}: {component}"


def judge_component(component):
    if not REQUIRED <= component.keys() or component.keys() - OPTIONS[component["platform"]]:
        yield "options"
    if "#" in component["state_topic"] or "+" in component["state_topic"]:
        yield "a wildcard in a topic"
    is_diagnostic = component.get("entity_category") == "diagnostic"
    topics = [it["topic"] for it in component.get("availability", [])]
    if not is_diagnostic and (topics != ["main-node/attic/status", component["state_topic"] + "/available"] or component["availability_mode"] != "all"):
        yield "availability"
    if component["platform"] == "sensor":
        yield from judge_sensor(component)


def judge_sensor(component):
    device_class, state_class, unit = (component.get(it) for it in ("device_class", "state_class", "unit_of_measurement"))
    if device_class is not None:
        units, state_classes = DEVICE_CLASSES[device_class]
        if unit not in units or state_class not in state_classes:
            yield "device class"
    if state_class not in (None, "measurement", "total_increasing"):
        yield "state class"
    if state_class is None and unit is not None:
        yield "a unit of what is no number"


def documents(retained):
    """Those with components: a document that only releases its entities has none."""
    return {topic: json.loads(payload) for topic, payload in retained.items() if topic.startswith("homeassistant/device/") and '"components"' in payload}


def entities(retained):
    """{(device name, entity name): component}."""
    return {
        (document["device"]["name"], component.get("name", f"removed {component['platform']}")): component
        for document in documents(retained).values()
        for component in document["components"].values()
    }


@story(seconds=100)
def home_assistant_discovery():
    directory = work_dir("home-assistant")
    port = free_port()
    with Mosquitto(directory) as broker, json_server(lambda _: VALUES) as source, broker.subscriber("#") as subscriber:
        source = "".join(
            f'[[source]]\nname = "{name}"\nurl = "http://127.0.0.1:{source}/"\nevery = "1s"\n{more}'
            for name, more in (("house", ""), ("weather", 'records = { sky = { at = "/sky", text = true } }\n'))
        )

        def start(*tables, discovery="true"):
            mqtt = f'[mqtt]\nurl = "mqtt://127.0.0.1:{broker.port}"\nhome_assistant = {discovery}\n'
            return start_node(directory, "attic", port, 'title = "House"\n', source, mqtt, KEYS, *tables)

        def names():
            return sorted(entities(subscriber.current))

        node = start(KITCHEN)
        everything = [
            ("House", name)
            for name in ("Connected", "Grid", "Meter flow", "Meter power", "Mode", "Rätsel ü+#", "Sky", "Wind direction", "Wind speed")
        ] + [("Kitchen", name) for name in ("Humidity", "Pump", "Temperature")]
        subscriber.wait_for(lambda: names() == sorted(everything), "every key is an entity of its device", 30)
        check_documents(subscriber)
        check_options(entities(subscriber.current))

        count = len(announcements(subscriber))
        broker.publish("homeassistant/status", "online")
        subscriber.wait_for(lambda: len(announcements(subscriber)) == count + 2, "both devices are announced again when Home Assistant starts")

        node.stop()
        node = start(KITCHEN.replace("kitchen.*", "kitchen.temperature"))
        released = json.dumps({"migrate_discovery": True}, separators=(",", ":"))
        subscriber.wait_for(lambda: released in [it["payload"] for it in announcements(subscriber)], "Home Assistant is asked to let go of keys that leave a group")
        expect(("House", "Kitchen humidity") not in names(), "before they are announced elsewhere", names())
        subscriber.wait_for(lambda: ("House", "Kitchen humidity") in names() and ("Kitchen", "Temperature") in names(), "then they are")

        node.kill()
        subscriber.wait_for(lambda: subscriber.current["main-node/attic/status"] == "offline", "a killed node is offline")
        node = start(KITCHEN, discovery="false")
        subscriber.wait_for(lambda: not documents(subscriber.current), "without Home Assistant nothing stays announced")
        wait_until(lambda: get(f"127.0.0.1:{port}", "/status").json["outputs"][0]["state"] == "up", 20, "the output is up")
        expect(subscriber.current["main-node/attic/sky"] == "Cloudy", "values stay")
        node.stop()


def announcements(subscriber):
    return [it for it in subscriber.messages if it["topic"].startswith("homeassistant/device/") and it["payload"]]


def check_documents(subscriber):
    """Those that are there now."""
    found = documents(subscriber.current)
    problems = [problem for topic, document in found.items() for problem in judge(topic, document)]
    expect(not problems, "documents follow Home Assistant's documentation", problems)
    expect("_template" not in json.dumps(found) and "expire_after" not in json.dumps(found), "no template, nothing expires")
    components = [it for document in found.values() for it in document["components"].values()]
    expect(len({it["unique_id"] for it in components}) == len(components), "each entity has an identifier of its own")
    subscriber.wait_for(
        lambda: all(subscriber.current.get(it["state_topic"]) for it in components)
        and all(subscriber.current.get(at["topic"]) == "online" for it in components for at in it.get("availability", [])),
        "each entity has a value and is available",
    )
    first = announcements(subscriber)[0]["topic"]
    (parent,) = found[first]["device"]["identifiers"]
    children = [it["device"] for topic, it in found.items() if topic != first]
    expect([it["via_device"] for it in children] == [parent] and children[0]["suggested_area"] == "Kitchen", "groups are devices below that of the node", children)
    try:
        problems = home_assistant.problems({topic: json.dumps(document) for topic, document in found.items()})
        expect(not problems, "Home Assistant's own schemas accept them", problems)
    except Missing as missing:
        not_checked(f"Home Assistant's own schemas: {missing}")


def check_options(found):
    def options(device, name):
        names = ("platform", "device_class", "state_class", "unit_of_measurement", "suggested_display_precision")
        return tuple(found[device, name].get(it) for it in names)

    for device, name, expected in (
        ("Kitchen", "Temperature", ("sensor", "temperature", "measurement", "°C", 1)),
        ("Kitchen", "Humidity", ("sensor", None, "measurement", "%", None)),
        ("Kitchen", "Pump", ("binary_sensor", None, None, None, None)),
        ("House", "Grid", ("sensor", "energy", "total_increasing", "kWh", None)),
        ("House", "Meter power", ("sensor", "power", "measurement", "W", None)),
        ("House", "Meter flow", ("sensor", "volume_flow_rate", "measurement", "m³/h", None)),
        ("House", "Wind speed", ("sensor", "speed", "measurement", "m/s", None)),
        ("House", "Wind direction", ("sensor", None, "measurement", "°", None)),
        ("House", "Sky", ("sensor", None, None, None, None)),
        ("House", "Mode", ("sensor", None, None, None, None)),
    ):
        expect(options(device, name) == expected, f"{device} {name}: {expected}", options(device, name))
