"""`.local` names with a real avahi-daemon: main-node and a device in two network namespaces, joined by
a pair of virtual Ethernet interfaces.

The story itself moves into the first namespace, so that it can ask the node; the second is the
device's. Nothing of the machine's own network is seen or changed.
"""

import os
import re
import shutil
import socket
import struct
import sys

from harness import (
    ROOT, Missing, Process, environment, expect, free_port, get, libc, main_node, run, source_status, source_table,
    start_node, story, tool, wait_until, work_dir,
)

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
NODE, DEVICE = "10.77.0.1", "10.77.0.2"
HTTP, SMTP = 8080, 2525
RECORDS = """[source.records]
watts = "/watts"
host = { at = "/host", text = true }
peer = { at = "/peer", text = true }
"""


@story(seconds=180)
def local_names():
    if os.geteuid() != 0:
        raise Missing("needs root for network namespaces")
    if not all(shutil.which(program) for program in ("ip", "nsenter", "unshare")):
        raise Missing("needs the programs ip, nsenter and unshare")
    avahi = tool("avahi-daemon")
    directory = work_dir("local-names")
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise Missing("this machine does not allow network namespaces")
    network = Network(directory, avahi)
    port = free_port()
    address = f"127.0.0.1:{port}"
    node = start_node(
        directory, "hall", port,
        source_table("plug", f'url = "http://plug.local:{HTTP}/"\n') + RECORDS,
        source_table("zone", f'url = "http://[{network.link_local()}%25node0]:{HTTP}/"\nprefix = "zone."') + RECORDS,
    )
    names_and_zones_are_fetched(address, node)
    unknown_names_say_where_they_were_asked(directory)
    check_shows_what_a_name_is(directory)
    alerts_reach_local_names(directory, network)
    the_service_file_announces_the_pages(network)
    a_device_without_ipv4_is_reached(network, address, node)
    a_name_that_is_gone_is_found_again(network, address, node)
    expect("panicked" not in node.output(), "no panic", node.output())


class Network:
    """Both namespaces, and what runs on the device."""

    def __init__(self, directory, avahi):
        self.directory, self.avahi_program = directory, avahi
        shutil.copytree("/etc", directory / "etc", symlinks=True, ignore_dangling_symlinks=True)
        services = directory / "etc/avahi/services"
        shutil.rmtree(services, ignore_errors=True)
        services.mkdir(parents=True)
        for name in ("passwd", "group"):
            with open(directory / "etc" / name, "a") as file:
                file.write("avahi:x:61502:61502::/:/bin/false\n" if name == "passwd" else "avahi:x:61502:\n")
        (directory / "avahi.conf").write_text(
            "[server]\nhost-name=plug\nenable-dbus=no\nratelimit-burst=1000\n[wide-area]\nenable-wide-area=no\n"
        )
        self.must("mount", "--make-rprivate", "/")
        self.holder = Process(["unshare", "-n", "-m", "sleep", "infinity"], directory / "device.log")
        wait_until(self.has_own_network, 10, "the device has a namespace")
        self.must("ip", "link", "set", "lo", "up")
        self.must("ip", "link", "add", "node0", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        self.must("ip", "addr", "add", f"{NODE}/24", "dev", "node0")
        self.must("ip", "link", "set", "node0", "up")
        self.on_device("ip", "link", "set", "lo", "up")
        self.on_device("ip", "addr", "add", f"{DEVICE}/24", "dev", "eth0")
        self.on_device("ip", "link", "set", "eth0", "up")
        self.on_device("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.on_device("mount", "--bind", str(directory / "etc"), "/etc")
        script = ROOT / "tests/e2e/fakes/local_device.py"
        self.device = Process([*self.inside(), sys.executable, script, HTTP, SMTP], directory / "servers.log")
        self.start_avahi()

    def has_own_network(self):
        link = f"/proc/{self.holder.pid}/ns/net"
        return os.readlink(link) != os.readlink("/proc/self/ns/net")

    def inside(self):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m"]

    def must(self, *command):
        code, out, err = run(command, 10)
        if code != 0:
            raise Missing(f"`{' '.join(command)}` is not possible here: {err.strip()}")
        return out

    def on_device(self, *command):
        return self.must(*self.inside(), *command)

    def link_local(self):
        """The device's IPv6 address on the link, once it is no longer tentative."""
        def ready():
            shown = self.on_device("ip", "-6", "addr", "show", "dev", "eth0")
            return "tentative" not in shown and re.search(r"inet6 (fe80:\S+)/64", shown)

        return wait_until(ready, 20, "the device has a link-local address")[1]

    def start_avahi(self):
        command = [self.avahi_program, "--no-drop-root", "--no-chroot", "--no-rlimits", "-f", self.directory / "avahi.conf"]
        self.avahi = Process([*self.inside(), *command], self.directory / "avahi.log", env=environment())
        wait_until(lambda: "Server startup complete" in self.avahi.output(), 30, self.avahi.output)


def values(address, prefix=""):
    records = get(address, "/snapshot?full=1").json["records"]
    return {it["key"].removeprefix(prefix): it.get("text", it["value"]) for it in records if it["key"].startswith(prefix)}


def names_and_zones_are_fetched(address, node):
    wait_until(lambda: {"watts", "zone.watts"} <= set(values(address)), 30, node.output)
    found = values(address)
    expect(found["watts"] == 7.5, "a .local name is fetched", found)
    expect(found["host"] == f"plug.local:{HTTP}", "the Host header keeps the name", found)
    expect(found["peer"].endswith(NODE), "over IPv4, where the device has it", found)
    expect(found["zone.watts"] == 7.5, "an IPv6 address with a zone is fetched", found)
    expect(re.fullmatch(rf"\[fe80:[0-9a-f:]+\]:{HTTP}", found["zone.host"]), "the Host header has no zone", found)


def configuration(directory, name, text):
    file = directory / f"{name}.toml"
    file.write_text(f'listen = "127.0.0.1:{free_port()}"\ndatabase = "{directory / name}.db"\n{text}')
    return file


def unknown_names_say_where_they_were_asked(directory):
    text = '[[source]]\nname = "gone"\nurl = "http://gone.local/"\n'
    code, out, _ = run([main_node(), "once", "--config", configuration(directory, "gone", text)], 20)
    expect(
        code == 1 and "dns: cannot resolve gone.local: nothing answers to that name by multicast DNS on node0" in out,
        "an unknown name is a DNS failure that names the interface", out,
    )
    text = '[[source]]\nname = "zone"\nurl = "http://[fe80::1%25eth7]/"\n'
    code, out, _ = run([main_node(), "once", "--config", configuration(directory, "zone", text)], 20)
    expect(code == 1 and 'no network interface "eth7"; it has: node0' in out, "an unknown zone names those that there are", out)


def check_shows_what_a_name_is(directory):
    text = (
        f'[[source]]\nname = "plug"\nurl = "http://plug.local:{HTTP}/"\n'
        f'[mail]\nhost = "plug.local"\nport = {SMTP}\ntls = "none"\nfrom = "a@example.org"\nto = ["b@example.org"]\n'
    )
    file = configuration(directory, "check", text)
    out = run([main_node(), "check", "--config", file], 20)[1]
    expect("NOT CHECKED: which device has the name plug.local" in out, "check asks nobody", out)
    out = run([main_node(), "check", "--online", "--config", file], 30)[1]
    expect(re.search(rf"ok: plug\.local is {DEVICE} \(on node0\), fe80:\S+%node0 by multicast DNS", out), "check --online shows what the name is", out)
    expect("ok: login to" in out, "a mail server may have a .local name", out)


def alerts_reach_local_names(directory, network):
    text = f'[[source]]\nname = "plug"\nurl = "http://plug.local:{HTTP}/"\n[alert]\nwebhook = "http://plug.local:{HTTP}/hook"\n'
    code, out, err = run([main_node(), "test-alert", "--config", configuration(directory, "alert", text)], 30)
    expect(code == 0, "a webhook may have a .local name", out + err)
    expect(f"POST /hook plug.local:{HTTP}" in network.device.output(), "it got the alert under its name", network.device.output())


def the_service_file_announces_the_pages(network):
    shipped = (ROOT / "systemd/main-node.avahi.service").read_text()
    (network.directory / "etc/avahi/services/main-node.service").write_text(shipped.replace(">8000<", ">8123<"))
    network.avahi.kill()
    network.start_avahi()
    answer = wait_until(announced, 20, "the service is announced")
    expect(b"path=/web" in answer, "avahi announces the pages by the shipped file", answer)
    expect(struct.pack("!H", 8123) in answer, "with the port", answer)


def announced():
    """What the device answers to a browser's question (ANY) for the service by its name."""
    name = b"\x11main-node on plug\x05_http\x04_tcp\x05local\0"
    question = struct.pack("!6H", 1, 0, 1, 0, 0, 0) + name + struct.pack("!2H", 255, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as browser:
        browser.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(NODE))
        browser.settimeout(1)
        browser.sendto(question, ("224.0.0.251", 5353))
        return browser.recv(9000)


def a_device_without_ipv4_is_reached(network, address, node):
    network.on_device("ip", "addr", "del", f"{DEVICE}/24", "dev", "eth0")
    wait_until(lambda: values(address)["peer"].startswith("fe80:"), 40, lambda: f"IPv6 alone: {values(address)} {node.output()}")
    expect(True, "a device with an IPv6 link-local address alone is found and reached in its zone")
    network.on_device("ip", "addr", "add", f"{DEVICE}/24", "dev", "eth0")


def a_name_that_is_gone_is_found_again(network, address, node):
    network.avahi.kill()

    def failure():
        return source_status(address, "plug").get("last_failure") or {}

    wait_until(lambda: failure().get("cause") == "dns", 40, lambda: f"the name is gone: {node.output()}")
    expect(source_status(address, "zone")["state"] == "up", "the device's address still works", source_status(address, "zone"))
    network.start_avahi()
    wait_until(lambda: source_status(address, "plug")["state"] == "up", 60, lambda: f"it is back: {node.output()}")
    expect(True, "the name is found again once the device announces it")
