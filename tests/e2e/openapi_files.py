"""OpenAPI files as vendors write them, of any size, and hostile ones; text of YAML or JSON."""

import json
import re

# The path, the operation and the response of each resource: see `resource`.
READING = {"id": "7", "name": "Meter", "power": 7.5, "energy": 12.25, "phases": [{"voltage": 230.5, "current": 1.5}], "tags": []}


def api(name, file):
    return f'[[api]]\nname = "{name}"\nfile = "{file}"\n'


def source(name, operation, port, more=""):
    """A `[[source]]` of an operation, at a server on loopback, fetched every second."""
    return f'[[source]]\nname = "{name}"\noperation = "{operation}"\nbase_url = "http://127.0.0.1:{port}"\nprefix = "{name}."\nevery = "1s"\n{more}'


def resource(number):
    """(paths, schemas) of one kind of device: a list, one by id, and a form that adds one."""
    name, path = f"Meter{number:05}", f"/api/meters/{number:05}"
    about = f"Meter group {number:05}: what the meters of this group have measured, and how they are called in the house."
    text = lambda words: {"type": "string", "description": words}  # noqa: E731
    amount = lambda words, unit: {"type": "number", "description": f"{words}, in {unit}", "minimum": -1000000, "maximum": 1000000}  # noqa: E731
    schema = {
        "type": "object", "description": about, "required": ["id", "power"],
        "properties": {
            "id": text("Identifies the meter in this group"),
            "name": text("What the meter is called, as set up in the application"),
            "power": amount("Power at this moment, negative while it feeds into the grid", "W"),
            "energy": amount("Energy since the meter was installed", "kWh"),
            "state": {"type": "string", "enum": ["idle", "charging", "feeding", "offline", "failed"], "description": "What it does"},
            "phases": {
                "type": "array", "description": "Its phases, in the order of their terminals",
                "items": {"type": "object", "properties": {"voltage": amount("Voltage", "V"), "current": amount("Current", "A")}},
            },
            "tags": {"type": "array", "items": {"type": "string"}, "description": "Words to find it by"},
            "parent": {"$ref": f"#/components/schemas/{name}"},
        },
    }
    one = {"$ref": f"#/components/schemas/{name}"}
    answer = lambda schema: {"description": "What was asked for", "content": {"application/json": {"schema": schema}}}  # noqa: E731
    limit = {"name": "limit", "in": "query", "description": "How many to give", "schema": {"type": "integer", "minimum": 1, "maximum": 500}}
    paths = {
        path: {
            "get": {"operationId": f"list{name}", "summary": f"All of group {number:05}", "tags": ["meters"], "parameters": [limit],
                    "responses": {"200": answer({"type": "array", "items": one}), "401": {"description": "Who are you?"}}},
            "post": {"operationId": f"add{name}", "summary": f"Adds to group {number:05}",
                     "requestBody": {"required": True, "content": {"application/json": {"schema": one}}},
                     "responses": {"201": answer(one)}},
        },
        path + "/newest": {
            "get": {"operationId": f"get{name}", "summary": f"The newest reading of group {number:05}", "description": about,
                    "responses": {"200": answer(one), "401": {"description": "Who are you?"}}},
        },
    }
    return paths, {name: schema}


def description(paths, schemas=None, title="Meters", **more):
    return {
        "openapi": "3.0.3", "info": {"title": title, "version": "1.2.0"}, "paths": paths,
        "components": {"schemas": schemas or {}}, **more,
    }


def of_resources(count, padding=0):
    paths, schemas = {}, {}
    for number in range(count):
        for all_of_them, its in zip((paths, schemas), resource(number)):
            all_of_them.update(its)
    return description(paths, schemas, title="Meters " + "." * padding)


def of_size(size, dump):
    """The text of exactly so many bytes of a file with as many resources as fit."""
    one, two = (len(dump(of_resources(count))) for count in (1, 2))
    count = (size - one) // (two - one) + 1
    text = dump(of_resources(count))
    return dump(of_resources(count, size - len(text)))


def as_json(value):
    return json.dumps(value, separators=(",", ":"))


def as_indented_json(value):
    return json.dumps(value, indent=2)


PLAIN = re.compile(r"[A-Za-z/][\w./ -]*[\w/]|[A-Za-z]")


def as_yaml(value):
    """Block style, with plain text where it is one."""
    lines = []
    write_yaml(value, "", lines)
    return "\n".join(lines) + "\n"


def write_yaml(value, indent, lines):
    if isinstance(value, dict) and value:
        entries = [(scalar(key) + ":", it) for key, it in value.items()]
    elif isinstance(value, list) and value:
        entries = [("-", it) for it in value]
    else:
        lines.append(indent + scalar(value))
        return
    for key, it in entries:
        if isinstance(it, (dict, list)) and it:
            lines.append(indent + key)
            write_yaml(it, indent + "  ", lines)
        else:
            lines.append(f"{indent}{key} {scalar(it)}")


def scalar(value):
    is_plain = isinstance(value, str) and PLAIN.fullmatch(value) and value not in ("true", "false", "null", "yes", "no", "on", "off")
    return value if is_plain else json.dumps(value)


# ---- Hostile files ---------------------------------------------------------------------------


def operation(schema, name="getState"):
    """A path whose operation `getState` gives this schema."""
    return {"/state": {"get": {"operationId": name, "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}}}}


# What `getState` gives, where a server of the story answers.
STATE = {"type": "object", "properties": {"power": {"type": "number"}}}


def padded(count):
    """So many empty lists that nothing needs: three bytes each in the file, many more in memory."""
    return as_json(description(operation(STATE), **{"x-padding": [[]] * count}))


def long_enum(count):
    """So many allowed values of one field of the response: they are kept until the source has its client."""
    schema = {"type": "object", "properties": {"power": {"type": "number"}, "code": {"enum": list(range(count))}}}
    return as_json(description(operation(schema)))


def many_properties(count):
    """So many fields of the response."""
    properties = {"power": {"type": "number"}, **{f"p{number}": {"type": "number", "minimum": number} for number in range(count)}}
    return as_json(description(operation({"type": "object", "properties": properties})))


def many_operations(count):
    """So many small operations: getState0, getState1, …"""
    paths = {}
    for number in range(count):
        paths[f"/state/{number}"] = operation({"type": "object", "properties": {"power": {"type": "number"}}}, f"getState{number}")["/state"]
    return as_json(description(paths))


def recursive():
    """Schemas that hold themselves: directly, by another, by a list, by `allOf`."""
    ref = lambda name: {"$ref": f"#/components/schemas/{name}"}  # noqa: E731
    schemas = {
        "State": {"type": "object", "properties": {"power": {"type": "number"}, "child": ref("State"), "other": ref("A"), "list": ref("Tree"), "all": ref("Whole")}},
        "A": {"type": "object", "properties": {"b": ref("B")}},
        "B": {"type": "object", "properties": {"a": ref("A")}},
        "Tree": {"type": "array", "items": ref("Tree")},
        "Whole": {"allOf": [ref("State"), ref("Whole")]},
        "Loop": ref("Loop"),
    }
    return as_json(description(operation(ref("State")), schemas))


def fan(depth, keyword="allOf"):
    """Schemas that each name the next one twice: 2^depth of them where each mention is followed."""
    schemas = {
        f"S{level}": {keyword: [{"$ref": f"#/components/schemas/S{level + 1}"}] * 2, "properties": {f"p{level}": {"type": "number"}}}
        for level in range(depth)
    }
    schemas[f"S{depth}"] = STATE
    return as_json(description(operation({"$ref": "#/components/schemas/S0"}), schemas))


def nested(depth):
    """Lists in lists, deeper than a parser's stack."""
    return as_json(description(operation(STATE)))[:-1] + ',"x-deep":' + "[" * depth + "]" * depth + "}"


def alias_bomb(levels):
    """YAML in which each level has nine aliases of the one before: 9^levels values."""
    lines = ["x-0: &l0 [power, power, power]"]
    for level in range(1, levels):
        lines.append(f"x-{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]")
    return as_yaml(description(operation(STATE))) + "\n".join(lines) + "\n"


def costly_pattern():
    """A pattern of a few bytes whose automaton would be huge."""
    parameter = {"name": "code", "in": "query", "schema": {"type": "string", "pattern": "^(((a{1,1000}){1,1000}){1,1000}){1,1000}$"}}
    paths = operation(STATE)
    paths["/state"]["get"]["parameters"] = [parameter]
    return as_json(description(paths))
