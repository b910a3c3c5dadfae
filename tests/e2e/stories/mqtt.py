"""MQTT with Mosquitto: whatever happens to the broker, the network or the node, subscribers end with exactly the
current values."""

import json
import time

from fakes.servers import json_server
from fakes.tcp_relay import TcpRelay
from harness import (
    expect, free_port, get, main_node, output_status, run, source_table, start_node, story, wait_until, work_dir,
)
from services.mosquitto import Mosquitto
from stories.peers import certificate

LEVELS = {"room/1": "room%2F1", "Zähler": "Z%C3%A4hler"}


class House:
    """What the source of a node answers; `counter` changes at each request while it runs."""

    def __init__(self):
        self.values = {"t": 21.5, "on": True, "room/1": -3, "Zähler": 1e300, "sky": "grün", "counter": 0}
        self.runs = True

    def __call__(self, _):
        if self.runs:
            self.values["counter"] += 1
        return self.values


def source(port):
    records = ['"room/1" = "/room~11"', '"Zähler" = "/Zähler"', 'sky = { at = "/sky", text = true }', 't = "/t"', 'on = "/on"', 'counter = "/counter"']
    return source_table("house", f'url = "http://127.0.0.1:{port}/"') + "[source.records]\n" + "\n".join(records) + "\n"


def table(url, *lines):
    return "\n".join(["[mqtt]", f'url = "{url}"', *lines, ""])


def expected(prefix, address):
    """What has to stand at the broker by the node's own `/snapshot`."""
    topics = {f"{prefix}/status": "online"}
    for record in get(address, "/snapshot").json["records"]:
        level = LEVELS.get(record["key"], record["key"])
        value = record.get("text")
        number = record["value"]
        if value is None:
            value = str(int(number)) if number == int(number) and abs(number) < 1e15 else json.dumps(number).replace("e+", "e")
        topics[f"{prefix}/{level}"] = value
        topics[f"{prefix}/{level}/available"] = "offline" if record.get("stale") else "online"
    return topics


def settled(topics, prefix, address):
    """Whether these topics and payloads are exactly the current values."""
    found = {topic: payload for topic, payload in topics.items() if topic.startswith(f"{prefix}/")}
    snapshot = json.loads(found.pop(f"{prefix}/snapshot", "{}"))
    body = get(address, "/snapshot").json
    return found == expected(prefix, address) and snapshot.get("records") == body["records"]


def expect_current(house, subscriber, nodes, description):
    """Of who was there all the time, and of who subscribes now."""
    house.runs = False
    broker = subscriber.broker
    for prefix, address in nodes:
        subscriber.wait_for(lambda: settled(subscriber.current, prefix, address), f"{prefix}: {description}", 40)
        wait_until(
            lambda: settled(broker.retained(f"{prefix}/#", user=subscriber.user), prefix, address), 40,
            lambda: f"retained, {description}: {broker.retained()}", poll_every=0.5,
        )
    house.runs = True


@story(seconds=120)
def mqtt():
    directory, house = work_dir("mqtt"), House()
    # It forgets what was retained when it ends.
    with json_server(house) as port, Mosquitto(directory, persistence=False) as broker, broker.subscriber("#") as subscriber:
        relay = TcpRelay(broker.port)
        # Of another node and of other programs, below the prefix.
        kept = {"main-node/old/kitchen/status": "online", "main-node/old/kitchen/available": "online", "main-node/old/command": "on"}
        cleared = ("main-node/old/gone", "main-node/old/gone/available")
        for topic, payload in [*kept.items(), *((topic, "online") for topic in cleared)]:
            broker.publish(topic, payload, retain=True)
        old, new = free_port(), free_port()
        tables = {
            "old": (old, source(port), table(f"mqtt://{relay.address}")),
            "new": (new, source(port), table(f"mqtt://{relay.address}", 'version = "5"')),
        }
        processes = {name: start_node(directory, name, *row) for name, row in tables.items()}
        nodes = [(f"main-node/{name}", f"127.0.0.1:{row[0]}") for name, row in tables.items()]
        wait_until(lambda: all(get(address, "/snapshot").status == 200 for _, address in nodes), 20, "both nodes have data")
        subscriber.wait_for(lambda: not any(topic in subscriber.current for topic in cleared), "topics of an earlier run are cleared")
        subscriber.wait_for(lambda: subscriber.current.get("main-node/old/status") == "online", "then the birth message comes")
        before = [it["topic"] for it in subscriber.messages if it["topic"].startswith("main-node/old/")]
        before = before[: before.index("main-node/old/status")]
        expect({"main-node/old/t", "main-node/old/t/available", "main-node/old/snapshot"} <= set(before), "after the values", before)
        own = [it for it in subscriber.messages if it["topic"].startswith(("main-node/old/", "main-node/new/")) and it["topic"] not in (*kept, *cleared)]
        expect(own and all(it["qos"] == 1 for it in own), "with QoS 1", own)
        present = {topic: subscriber.current.get(topic) for topic in kept}
        expect(present == kept, "what others have published below the prefix stays", present)
        for topic in kept:
            broker.publish(topic, "", retain=True)
        expect_current(house, subscriber, nodes, "every value is there, of MQTT 3.1.1 and of 5")

        count = sum(it["topic"].endswith("old/t") for it in subscriber.messages)
        for nth in range(4):
            # Within a packet, and within the login.
            relay.cut_after(to_server=(70, 41, 300, 13)[nth])
            accepted = relay.accepted
            wait_until(lambda: relay.accepted > accepted, 30, "the node connects again", poll_every=0.1)
        expect_current(house, subscriber, nodes, "after connections that were cut within a message")
        expect(sum(it["topic"].endswith("old/t") for it in subscriber.messages) > count, "which were made anew")

        broker.stop()
        before = house.values["counter"]
        wait_until(lambda: output_status(nodes[0][1], "mqtt")["state"] == "down", 20, "`/status` says that the broker is away")
        wait_until(lambda: house.values["counter"] > before + 3, 20, "values change meanwhile")
        broker.start()
        expect_current(house, subscriber, nodes, "after the broker was stopped and started")
        stale = [it["payload"] for it in subscriber.messages if it["topic"] == "main-node/old/counter"]
        numbers = [int(it) for it in stale]
        expect(numbers == sorted(numbers), "no older value comes behind a newer one", numbers)

        broker.kill()
        broker.start()
        expect_current(house, subscriber, nodes, "after the broker was killed")
        wait_until(lambda: output_status(nodes[0][1], "mqtt")["state"] == "up", 40, "`/status` says that it is back")
        state = output_status(nodes[0][1], "mqtt")
        expect(state["failures"] > 0 and state["sent"] > 0 and state["trouble"] is None, "`/status` counts", state)

        subscriber.wait_for(lambda: subscriber.current.get("main-node/old/status") == "online", "the node is back", 40)
        processes["old"].kill()
        subscriber.wait_for(lambda: subscriber.current.get("main-node/old/status") == "offline", "kill -9 of a node: its last will says offline")
        house.values.pop("sky")
        tables["old"] = (old, source(port).replace('sky = { at = "/sky", text = true }\n', ""), tables["old"][2])
        processes["old"] = start_node(directory, "old", *tables["old"])
        subscriber.wait_for(lambda: subscriber.current.get("main-node/old/status") == "online", "it is back")
        subscriber.wait_for(lambda: "main-node/old/sky" not in subscriber.current, "a key that was removed is cleared")
        subscriber.wait_for(lambda: subscriber.current.get("main-node/new/sky/available") == "offline", "one without a value is unavailable", 40)
        begun = time.monotonic()
        processes["old"].stop(10)
        subscriber.wait_for(lambda: subscriber.current.get("main-node/old/status") == "offline", "a stop says offline")
        expect(time.monotonic() - begun < 5, "and takes no longer than otherwise")


@story(seconds=90)
def mqtt_broker_hangs():
    directory, house = work_dir("mqtt-hangs"), House()
    with json_server(house) as port, Mosquitto(directory) as broker, broker.subscriber("main-node/#") as subscriber:
        relay, own = TcpRelay(broker.port), free_port()
        start_node(directory, "a", own, source(port), table(f"mqtt://{relay.address}"))
        nodes, address = [("main-node/a", f"127.0.0.1:{own}")], f"127.0.0.1:{own}"
        wait_until(lambda: get(address, "/snapshot").status == 200, 20, "the node has data")
        expect_current(house, subscriber, nodes, "every value is there")
        relay.pause()
        wait_until(
            lambda: "acknowledged nothing" in str(output_status(address, "mqtt")["trouble"]), 40,
            lambda: f"a broker that never acknowledges is given up: {output_status(address, 'mqtt')}",
        )
        expect(get(address, "/snapshot").status == 200, "the node serves on")
        relay.cut()
        relay.resume()
        expect_current(house, subscriber, nodes, "when it is back")


@story(seconds=90)
def mqtt_access():
    directory, house = work_dir("mqtt-access"), House()
    ca, server, key = certificate(directory)
    users = {"node": "s3cret-of-node", "other": "s3cret-of-other"}
    rules = "user node\ntopic readwrite main-node/a/#\nuser other\ntopic readwrite #\n"
    with json_server(house) as port, Mosquitto(directory, users=users, acl=rules, tls=(ca, server, key)) as broker:
        login, url = ('user = "node"', f'password = "{users["node"]}"'), f"mqtts://{broker.address}"

        def check(*lines, url=url):
            file = directory / "check.toml"
            file.write_text(f'listen = "127.0.0.1:{free_port()}"\n' + source(port) + table(url, *lines))
            out = "".join(str(part) for part in run([main_node(), "check", "--online", "--config", file], 60, cwd=directory))
            expect("s3cret" not in out, "no password is shown", out)
            return "\n".join(row for row in out.splitlines() if "mqtt" in row)

        trusted = (f'ca_file = "{ca}"', *login)
        out = check(*trusted)
        expect("connected with MQTT 3.1.1 as node" in out, "`check --online` logs in", out)
        out = check(*login)
        expect("not trusted" in out and 'fingerprint = "sha256:' in out, "a certificate that is not trusted is named with the line that pins it", out)
        pin = next(part for part in out.split('"') if part.startswith("sha256:"))
        pinned = check(f'fingerprint = "{pin}"', *login, 'version = "5"')
        expect("connected with MQTT 5 as node" in pinned, "which works, with MQTT 5", pinned)
        out = check(f'ca_file = "{ca}"', 'user = "node"', 'password = "s3cret-wrong"')
        expect("refuses the user or password" in out or "does not let this client in" in out, "a wrong password is named", out)
        out = check(*login, url=url.replace("mqtts", "mqtt"))
        expect("mqtts://" in out, "mqtt:// where TLS is spoken: it says so", out)
        with Mosquitto(directory, tls=(ca, server, key), client_certificates=True) as strict:
            own = (f'ca_file = "{ca}"', f'certificate = "{server}"', f'key = "{key}"')
            out = check(*own, url=f"mqtts://{strict.address}")
            expect("connected with MQTT 3.1.1" in out, "a broker that wants a certificate of the node", out)
            out = check(own[0], url=f"mqtts://{strict.address}")
            expect("requires a client certificate" in out, "without one it says so", out)

        with broker.subscriber("#", user="other") as subscriber:
            own, foreign = free_port(), free_port()
            start_node(directory, "a", own, source(port), table(url, *trusted, 'version = "5"'))
            node = start_node(directory, "b", foreign, source(port), table(url, *trusted, 'version = "5"', 'prefix = "main-node/foreign"'))
            nodes = [("main-node/a", f"127.0.0.1:{own}")]
            wait_until(lambda: get(nodes[0][1], "/snapshot").status == 200, 20, "the node has data")
            expect_current(house, subscriber, nodes, "every value is there, over TLS")
            state = wait_until(
                lambda: output_status(f"127.0.0.1:{foreign}", "mqtt")["note"] and output_status(f"127.0.0.1:{foreign}", "mqtt"), 20,
                lambda: f"refused topics are named: {node.output()}",
            )
            expect("main-node/foreign/" in state["note"] and "not authorized" in state["note"], "topics that the rules do not allow are named", state)
            current = [topic for topic in subscriber.current if topic.startswith("main-node/foreign")]
            expect(not current, "and are not there", current)
