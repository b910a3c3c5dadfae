"""Home Assistant's own judgement of what is announced to it: the schemas of its MQTT entities and its tables of
device classes, of the newest release that runs on Debian's Python. That one is older than device discovery, so a
device document is split into its components here, as Home Assistant documents it.
"""

import json

from harness import Failed, environment, run, venv

# Runs with Home Assistant; reads {topic: document}, prints a list of problems.
JUDGE = """
import json, sys
from homeassistant.components.mqtt import binary_sensor, sensor
from homeassistant.components.mqtt.abbreviations import ABBREVIATIONS, DEVICE_ABBREVIATIONS, ORIGIN_ABBREVIATIONS
from homeassistant.components.mqtt.mixins import MQTT_ENTITY_DEVICE_INFO_SCHEMA, MQTT_ORIGIN_INFO_SCHEMA
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS, NON_NUMERIC_DEVICE_CLASSES,
)

PLATFORMS = {"sensor": sensor, "binary_sensor": binary_sensor}
# Options of the document that each component inherits.
SHARED = ("availability", "availability_mode", "availability_topic", "encoding", "payload_available", "payload_not_available", "qos", "state_topic")
# Options newer than this release.
NEWER = {"default_entity_id", "options"}

def expanded(value, names):
    found = {names.get(key, key): it for key, it in value.items()}
    if isinstance(places := found.get("availability"), list):
        found["availability"] = [expanded(it, names) for it in places]
    return found

def judge(topic, document):
    document = expanded(document, {**ABBREVIATIONS, "cmps": "components", "dev": "device", "o": "origin", "p": "platform"})
    device, origin = expanded(document.pop("device", {}), DEVICE_ABBREVIATIONS), expanded(document.pop("origin", {}), ORIGIN_ABBREVIATIONS)
    for what, schema, value in (("device", MQTT_ENTITY_DEVICE_INFO_SCHEMA, device), ("origin", MQTT_ORIGIN_INFO_SCHEMA, origin)):
        try:
            schema(value)
        except Exception as error:
            yield what, str(error)
    components = document.pop("components", None)
    if not components:
        yield "components", "there are none"
        return
    for name in document.keys() - set(SHARED):
        yield name, "is not an option of the document"
    shared = {name: document[name] for name in SHARED if name in document}
    for name, component in components.items():
        component = expanded(component, {**ABBREVIATIONS, "p": "platform"})
        platform = component.pop("platform", None)
        if platform not in PLATFORMS:
            yield name, f"platform {platform!r}"
        # Only a platform: the component is removed.
        elif component:
            for problem in judge_component(platform, {**shared, **component, "device": device, "origin": origin}):
                yield name, problem

def judge_component(platform, config):
    if not config.get("unique_id"):
        yield "has no unique_id"
    known = {name: value for name, value in config.items() if name not in NEWER}
    try:
        # Refuses unknown options, which the schema of discovery leaves out without a word.
        schema = PLATFORMS[platform].PLATFORM_SCHEMA_MODERN
        checked = schema({name: value for name, value in known.items() if name != "origin"})
    except Exception as error:
        yield str(error)
        return
    if platform == "sensor":
        yield from judge_sensor(checked)

def judge_sensor(config):
    device_class, unit, state_class = (config.get(name) for name in ("device_class", "unit_of_measurement", "state_class"))
    if device_class is None:
        return
    units = {None if it is None else str(getattr(it, "value", it)) for it in DEVICE_CLASS_UNITS.get(device_class, {unit})}
    if unit not in units:
        yield f"unit {unit!r} is none of device class {device_class}: {sorted(map(str, units))}"
    if device_class in NON_NUMERIC_DEVICE_CLASSES:
        if unit is not None or state_class is not None or config.get("suggested_display_precision") is not None:
            yield f"device class {device_class} has no numbers"
    elif state_class is not None and state_class not in DEVICE_CLASS_STATE_CLASSES.get(device_class, {state_class}):
        yield f"state class {state_class} is none of device class {device_class}"

documents = json.load(sys.stdin)
print(json.dumps([[topic, *problem] for topic, document in documents.items() for problem in judge(topic, document)]))
"""


def problems(documents):
    """What Home Assistant has against {topic: JSON text} of device documents: (topic, component, problem)."""
    texts = {topic: json.loads(payload) for topic, payload in documents.items()}
    code, out, err = run([venv("home-assistant") / "python", "-c", JUDGE], 60, env=environment(), stdin=json.dumps(texts))
    if code != 0:
        raise Failed(f"Home Assistant's schemas: {out}{err}")
    return [tuple(it) for it in json.loads(out)]
