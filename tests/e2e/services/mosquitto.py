"""Mosquitto, the MQTT broker, and its command line clients.

    with Mosquitto(directory, users={"node": "secret"}, acl="user node\\ntopic readwrite main-node/#\\n") as broker:
        with broker.subscriber("main-node/#", user="node") as subscriber:
            broker.publish("main-node/pi/temperature", "21.5", retain=True, user="node")
            subscriber.wait_for(lambda: subscriber.current == {"main-node/pi/temperature": "21.5"}, "the value comes")
"""

import contextlib
import json
import os
import socket

from harness import Failed, Process, environment, expect, run, tool, wait_until
from services.service import Service

MARKER = "e2e/marker"


class Mosquitto(Service):
    """`users` are names and passwords; without them everybody may connect. `acl` is the text of an acl_file;
    MARKER is open to all in any case. `tls` is (CA file, certificate, key); with `client_certificates` clients
    must show one of that CA. `persistence`: retained messages survive a stop (and a kill up to the last second).
    `more` are further lines of mosquitto.conf."""

    name = "mosquitto"

    def __init__(self, directory, users=None, acl=None, tls=None, client_certificates=False, persistence=True, more=""):
        super().__init__(directory)
        self.users, self.tls = users or {}, tls
        (self.home / "data").mkdir()
        lines = [
            f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not users).lower()}", "log_dest stderr", "log_type all",
            "connection_messages true", f"persistence {str(persistence).lower()}", f"persistence_location {self.home}/data/",
            # Written after each change: otherwise every 30 minutes.
            "autosave_interval 1", "autosave_on_changes true",
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        if users:
            lines.append(f"password_file {self.password_file()}")
        if acl is not None:
            (self.home / "acl").write_text(f"pattern readwrite {MARKER}/#\n{acl}")
            (self.home / "acl").chmod(0o600)
            lines.append(f"acl_file {self.home}/acl")
        if tls:
            ca, certificate, key = tls
            lines += [f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}", f"require_certificate {str(client_certificates).lower()}"]
        (self.home / "mosquitto.conf").write_text("\n".join([*lines, more, ""]))

    def password_file(self):
        file = self.home / "passwords"
        file.touch(mode=0o600)
        for user, password in self.users.items():
            code, out, err = run([tool("mosquitto_passwd"), "-b", file, user, password], 10, env=environment())
            if code != 0:
                raise Failed(f"mosquitto_passwd: {out}{err}")
        return file

    def command(self):
        return [tool("mosquitto"), "-c", self.home / "mosquitto.conf"]

    def ready(self):
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=5)):
            return True

    def client(self, program, user, version):
        """The begin of a client's command line."""
        command = [tool(program), "-h", "127.0.0.1", "-p", self.port, "-V", version]
        if user:
            command += ["-u", user, "-P", self.users[user]]
        if self.tls:
            command += ["--cafile", self.tls[0]]
        return command

    def publish(self, topic, payload, retain=False, qos=1, user=None, version="5"):
        """Publishes and waits for the broker's answer; an empty payload with `retain` clears the topic."""
        command = [*self.client("mosquitto_pub", user, version), "-t", topic, "-q", qos, "-m", payload, *["-r"] * retain]
        code, out, err = run(command, 15, env=environment())
        if code != 0:
            raise Failed(f"mosquitto_pub {topic}: {out}{err}")

    def subscriber(self, *topics, user=None, qos=1, version="5", client_id=None):
        """A `Subscriber` that has its subscriptions and all retained messages."""
        return Subscriber(self, topics, user, qos, version, client_id)

    def retained(self, *topics, user=None):
        """{topic: payload} of what the broker has retained below these topics ("#" when there is none)."""
        with self.subscriber(*(topics or ["#"]), user=user) as subscriber:
            return {it["topic"]: it["payload"] for it in subscriber.messages if it["retain"]}

    def clients(self):
        """Client ids that have connected since the start, in order."""
        return [row.split(" as ", 1)[1].split()[0] for row in self.output().splitlines() if "New client connected" in row]


class Subscriber:
    """A mosquitto_sub whose messages are kept. When its connection ends it connects and subscribes again."""

    counter = 0

    def __init__(self, broker, topics, user, qos, version, client_id):
        Subscriber.counter += 1
        self.broker, self.user, self.marker = broker, user, f"{MARKER}/{Subscriber.counter}"
        command = [*broker.client("mosquitto_sub", user, version), "-q", qos, "-F", "%j"]
        for topic in [*topics, self.marker]:
            command += ["-t", topic]
        if client_id:
            command += ["-i", client_id]
        self.process = Process(command, broker.home / f"subscriber.{Subscriber.counter}", env=environment())
        self.markers = 0
        wait_until(self.is_subscribed, 20, lambda: f"mosquitto_sub subscribes: {self.process.output()} {broker.output()}")

    def is_subscribed(self):
        """Retained messages come before a message that is published afterwards."""
        if not self.process.running():
            raise Failed(f"mosquitto_sub ended: {self.process.output()}")
        self.markers += 1
        self.broker.publish(self.marker, str(self.markers), qos=0, user=self.user)
        return any(it["topic"] == self.marker for it in self.received())

    def received(self):
        """All that came, oldest first; a line that is being written is left for the next time."""
        complete = self.process.output().rpartition("\n")[0]
        return [json.loads(row) for row in complete.splitlines() if row.startswith("{")]

    @property
    def messages(self):
        """What came, oldest first: `topic`, `payload` (a text), `retain` (whether it was there before), `qos`, `tst`."""
        return [it for it in self.received() if not it["topic"].startswith(MARKER)]

    @property
    def current(self):
        """{topic: last payload}, without those whose last one is empty."""
        last = {it["topic"]: it["payload"] for it in self.messages}
        return {topic: payload for topic, payload in last.items() if payload}

    def wait_for(self, condition, description, seconds=20):
        """Waits until `condition()` holds and prints it."""
        found = wait_until(condition, seconds, lambda: f"{description}: {self.current} {self.broker.output()[-2000:]}")
        expect(found, description)
        return found

    def stop(self):
        self.process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
