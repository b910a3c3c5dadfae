"""Installs, upgrades, removes and purges a Debian package with the real dpkg.

In a copy of this machine that only this check sees: an overlay of its root, with process and network
namespaces of its own. fakes/systemd.py replaces systemd; tests/machine has a real one.
"""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

from debian_package import VERSION
from harness import ROOT, Missing, Process, expect, not_checked, run, wait_until

OLDER = "0.0.1-1"
STATE = pathlib.Path("/var/lib/main-node")
DATABASE = STATE / "main-node.db"
COPY = pathlib.Path(f"{DATABASE}.before-upgrade-from-{OLDER}")
CONFIG = pathlib.Path("/etc/main-node/main-node.toml")
SECRETS = CONFIG.with_name("secrets.env")
DROP_IN = pathlib.Path("/etc/systemd/system/main-node.service.d/local.conf")
SECRET = "swordfish-7741"
CONFIGURATION = f"""listen = "127.0.0.1:8000"
commit_every = "1s"
[[source]]
name = "meter"
url = "http://127.0.0.1:8001/"
headers = {{ Authorization = "Bearer ${{METER_TOKEN}}" }}
every = "1s"
"""

# Makes loopback work, reaps orphans, and serves readings to those who know the secret.
INIT = f"""
import fcntl, http.server, signal, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x49))  # SIOCSIFFLAGS: up, loopback, running
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
class Meter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Authorization"] == "Bearer {SECRET}" else 401)
        self.end_headers()
        self.wfile.write(b'{{"watts": 7.5}}')
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8001), Meter).serve_forever()
"""


class Machine:
    """A copy of this machine. Paths are those in it."""

    def __init__(self, directory, package):
        self.directory, self.root = directory, directory / "root"
        script = (
            f"set -e; mount --make-rprivate /; mount -t tmpfs tmpfs {directory}\n"
            f"mkdir {directory}/upper {directory}/work {self.root}\n"
            f"mount -t overlay overlay -o lowerdir=/,upperdir={directory}/upper,workdir={directory}/work {self.root}\n"
            f"mount --rbind /dev {self.root}/dev; mount -t proc proc {self.root}/proc; mount -t tmpfs tmpfs {self.root}/run\n"
            f"mount -t tmpfs tmpfs {self.root}/tmp; exec chroot {self.root} {sys.executable} -c \"$INIT\"\n"
        )
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", script]
        self.init = Process(command, directory / "log", env={**os.environ, "INIT": INIT})
        wait_until(self.is_up, 20, lambda: f"a copy of this machine starts: {self.init.output()}")
        # What the owner may have removed from a small system.
        self.write("/etc/dpkg/dpkg.cfg.d/no-manual-index", "no-triggers\n")
        self.package, self.older = self.send(package), self.send(other_version(package, OLDER, b"\0"))

    def is_up(self):
        if not self.init.running():
            raise Missing(f"this machine allows no copy of itself (overlay, namespaces): {self.init.output()}")
        children = pathlib.Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split()
        if not children:
            return False
        self.pid = children[0]
        return self.run("true")[0] == 0

    def run(self, command, seconds=120):
        """Exit code and output of a shell command, as root."""
        enter = ["nsenter", "--target", self.pid, "--mount", "--net", "--pid", "chroot", self.root, "sh", "-c", f"cd /; {command}"]
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        code, out, err = run(enter, seconds, env=environment, stdin="")
        return code, out + err

    def write(self, path, content):
        code, output = self.run(f"mkdir -p {pathlib.Path(path).parent} && cat > {path} <<'END'\n{content}END")
        expect_quietly(code == 0, f"{path} is written", output)

    def send(self, file):
        """Copies a file of this machine into the copy."""
        there = f"/var/tmp/{file.name}"
        outside = pathlib.Path(f"/proc/{self.pid}/root{there}")
        shutil.copy(file, outside)
        return there

    def read(self, path):
        return self.run(f"cat {path}")[1]

    def exists(self, path):
        return self.run(f"test -e {path} -o -L {path}")[0] == 0

    def status(self):
        code, output = self.run("python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8000/status\").read().decode())'")
        return json.loads(output) if code == 0 else {}

    def service_pid(self):
        return self.run("systemctl show --property=MainPID --value main-node")[1].strip()


def expect_quietly(condition, description, actual):
    if not condition:
        expect(condition, description, actual)


def play(package):
    if os.geteuid() != 0:
        raise Missing("installing a package in a copy of this machine needs root")
    if shutil.which("dpkg") is None or shutil.which("deb-systemd-helper") is None:
        raise Missing("installing a package needs a Debian")
    if pathlib.Path("/usr/local/bin/main-node").exists() or run(["dpkg-query", "--status", "main-node"], 20)[0] == 0:
        raise Missing("main-node is installed on this machine, of which the check makes a copy")
    with tempfile.TemporaryDirectory(prefix="main-node-deb-") as name:
        machine = Machine(pathlib.Path(name), package)
        try:
            without_systemd(machine)
            start_systemd(machine)
            first_install(machine)
            upgrade_copies_the_database_and_restarts(machine)
            problems_leave_the_old_program_running(machine)
            interrupted_upgrade_is_finished(machine)
            downgrade_keeps_the_copy(machine)
            full_and_read_only_cards(machine)
            disabled_service_stays_disabled(machine)
            removal_keeps_and_purge_removes(machine)
            install_sh_in_the_way(machine)
            unpacked_package_is_removed(machine)
            first_installation_is_killed(machine)
            data_on_another_disk(machine)
            state_of_0_1_gets_an_owner(machine)
        finally:
            machine.init.kill()
    not_checked("a package under a real systemd: tests/e2e/fakes/systemd.py replaces it")


def other_version(package, version, more):
    """The package as another version, whose program has other bytes."""
    directory = ROOT / "target" / "deb-check" / "other"
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--raw-extract", package, directory], check=True)
    control = directory / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    with open(directory / "usr/bin/main-node", "ab") as program:
        program.write(more)
    other = directory.with_name(f"main-node_{version}.deb")
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", directory, other], check=True, stdout=subprocess.DEVNULL)
    return other


def without_systemd(machine):
    code, output = machine.run(f"dpkg --install {machine.older}")
    expect(code == 0, "without a running systemd (a container build) it installs", output)
    expect(machine.run("getent passwd main-node")[0] == 0, "the service's user exists")
    code, output = machine.run(f"dpkg --install {machine.package}")
    version = machine.run("dpkg-query --show --showformat='${Version}' main-node")[1]
    expect(code == 0 and version == VERSION, "and is upgraded", output + version)
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and leftovers(machine) == "", "and is purged", output + leftovers(machine))


def leftovers(machine):
    return machine.run(
        "find /etc /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/share /var/lib -xdev -name 'main-node*' -not -path '*/dpkg/*'; "
        "getent passwd main-node; getent group main-node"
    )[1].strip()


def start_systemd(machine):
    fake = (ROOT / "tests/e2e/fakes/systemd.py").read_text().replace("/usr/bin/env python3", sys.executable, 1)
    for name in ("systemctl", "systemd-run", "journalctl"):
        machine.write(f"/usr/local/bin/{name}", fake)
    machine.run("chmod +x /usr/local/bin/*; rm -f /usr/sbin/policy-rc.d; mkdir -p /run/systemd/system /run/systemd/timesync; touch /run/systemd/timesync/synchronized")


def first_install(machine):
    code, output = machine.run(f"dpkg --install {machine.older}")
    expect(code == 0 and f"main-node {OLDER} runs" in output and "main-node init" in output, "the first install ends with a healthy node and says how to begin", output)
    expect(machine.status().get("sources"), "it serves")
    expect(machine.run("stat -c %U:%a /var/lib/main-node")[1].strip() == "main-node:700", "its directory is the service's user's")
    machine.write(CONFIG, CONFIGURATION)
    machine.write(SECRETS, f"METER_TOKEN={SECRET}\n")
    machine.write(DROP_IN, "[Service]\nEnvironment=RUST_LOG=warn\n")
    machine.run(f"chmod 600 {SECRETS}; systemctl restart main-node")
    wait_until(lambda: machine.status()["storage"]["rows_stored"] > 0, 30, lambda: f"rows are stored: {machine.status()}")


def upgrade(machine, flags="", package=None):
    code, output = machine.run(f"dpkg {flags} --install {package or machine.package}")
    expect_quietly(SECRET not in output, "no secret is printed", output)
    return code, output


def back_to_older(machine):
    """As it was before the upgrade."""
    machine.run(f"dpkg --install {machine.older}; rm -f {DATABASE}.before-upgrade-*")


def rows_of(machine, path):
    outside = pathlib.Path(f"/proc/{machine.pid}/root{path}")
    with tempfile.TemporaryDirectory() as name:
        copy = shutil.copy(outside, name)
        with sqlite3.connect(copy) as database:
            return database.execute("SELECT count(*) FROM records").fetchone()[0]


def upgrade_copies_the_database_and_restarts(machine):
    before, build = machine.service_pid(), machine.status()["build"]
    code, output = upgrade(machine)
    expect(code == 0 and f"main-node {VERSION} runs" in output, "an upgrade ends with a healthy node", output)
    expect(machine.service_pid() not in ("0", before) and machine.status()["build"] != build, "of the new build")
    expect(rows_of(machine, COPY) > 0, f"the database is copied to {COPY.name}")
    expect(machine.run(f"stat -c %U:%a {COPY}")[1].strip() == "main-node:600", "for the service's user alone")
    expect(machine.read(CONFIG) == CONFIGURATION and machine.exists(SECRETS) and machine.exists(DROP_IN), "configuration, secrets and drop-in are as before")
    source = machine.status()["sources"][0]
    expect(source["name"] == "meter", "which it uses", source)
    before = machine.service_pid()
    code, output = machine.run("dpkg-reconfigure main-node")
    expect(code == 0 and machine.service_pid() != before and machine.run(f"ls {STATE} | grep -c before-upgrade")[1].strip() == "1", "configured again, it makes no second copy", output)


def problems_leave_the_old_program_running(machine):
    back_to_older(machine)
    before, build = machine.service_pid(), machine.status()["build"]
    machine.write(CONFIG, CONFIGURATION.replace("every", "evrey"))
    code, output = upgrade(machine)
    expect(code == 0 and "evrey" in output and "is not started" in output, "problems of the configuration are printed, and dpkg succeeds", output)
    expect(machine.service_pid() == before and machine.status()["build"] == build, "the old program runs on")
    expect(machine.exists(COPY), "the database is copied all the same")
    machine.write(CONFIG, CONFIGURATION)
    code, output = machine.run("main-node check && systemctl restart main-node")
    expect(code == 0 and machine.status()["build"] != build, "mended, the new one starts", output)
    machine.write(CONFIG, "listen = [\n")
    back_to_older(machine)
    code, output = upgrade(machine)
    expect(code == 0 and "main-node.toml:" in output, "so it is with a file that is no TOML", output)
    machine.write(CONFIG, CONFIGURATION)
    machine.run("systemctl restart main-node")


def interrupted_upgrade_is_finished(machine):
    back_to_older(machine)
    code, output = machine.run(f"dpkg --unpack {machine.package}")
    expect(code == 0, "a power cut after the unpacking", output)
    machine.run(f"timeout --signal=KILL 0.3 /var/lib/dpkg/info/main-node.postinst configure {OLDER}")
    machine.run("systemctl restart main-node")
    code, output = machine.run("dpkg --configure --pending")
    expect(code == 0 and f"main-node {VERSION} runs" in output, "dpkg --configure -a ends with a healthy node", output)
    expect(rows_of(machine, COPY) > 0 and not machine.exists(f"{COPY}.unfinished"), "and one whole copy of the database")
    first = machine.run(f"stat -c %i {COPY}")[1]
    code, output = machine.run(f"/var/lib/dpkg/info/main-node.postinst configure {OLDER}")
    expect(code == 0 and machine.run(f"stat -c %i {COPY}")[1] == first, "configured once more, that copy is left alone", output)


def downgrade_keeps_the_copy(machine):
    code, output = machine.run(f"dpkg --install {machine.older}")
    copies = machine.run(f"ls {DATABASE}.before-upgrade-*")[1].split()
    expect(code == 0 and copies == [str(COPY)], "a downgrade keeps the copy, which its program can read", output)
    code, output = upgrade(machine)
    copies = machine.run(f"ls {DATABASE}.before-upgrade-*")[1].split()
    expect(code == 0 and copies == [str(COPY)], "one copy is kept", copies)


def full_and_read_only_cards(machine):
    back_to_older(machine)
    machine.run("systemctl stop main-node; cp -a /var/lib/main-node /var/tmp/kept; mount -t tmpfs -o size=40m,mode=700 tmpfs /var/lib/main-node")
    machine.run("cp -a /var/tmp/kept/. /var/lib/main-node/; chown main-node: /var/lib/main-node; systemctl start main-node")
    before = machine.service_pid()
    code, output = upgrade(machine)
    expect(code == 0 and "is not copied" in output and "MB are free" in output, "a full card: it says that there is no copy", output)
    expect("is not started" in output and machine.service_pid() == before, "and the old program runs on, as with every problem that check finds", output)
    back_to_older(machine)
    machine.run("systemctl stop main-node; mount -o remount,size=400m,ro /var/lib/main-node; systemctl start main-node")
    before = machine.service_pid()
    code, output = upgrade(machine)
    expect(code == 0 and "is not copied" in output and machine.service_pid() == before, "a read-only card: likewise", output)
    machine.run("systemctl stop main-node; umount /var/lib/main-node; systemctl start main-node")


def disabled_service_stays_disabled(machine):
    back_to_older(machine)
    machine.run("rm /etc/systemd/system/multi-user.target.wants/main-node.service; systemctl stop main-node")
    code, output = upgrade(machine)
    expect(code == 0 and machine.service_pid() == "0" and "enable --now" in output, "a service that is disabled is not started by an upgrade", output)
    machine.run("dpkg --remove main-node")
    code, output = machine.run(f"dpkg --install {machine.package}")
    expect(code == 0 and machine.service_pid() == "0", "nor by a removal and an installation", output)
    machine.run("ln -s /usr/lib/systemd/system/main-node.service /etc/systemd/system/multi-user.target.wants/; systemctl start main-node")


def removal_keeps_and_purge_removes(machine):
    code, output = machine.run("dpkg --remove main-node")
    expect(code == 0 and machine.service_pid() == "0" and not machine.exists("/usr/bin/main-node"), "a removal stops the service", output)
    kept = (CONFIG, SECRETS, DROP_IN, DATABASE)
    expect(all(map(machine.exists, kept)), "configuration, secrets, drop-in and readings stay")
    expect(not machine.exists("/etc/systemd/system/multi-user.target.wants/main-node.service"), "the service is disabled")
    code, output = machine.run(f"dpkg --install {machine.package}")
    expect(code == 0 and machine.status()["sources"][0]["name"] == "meter", "installed again, it goes on with them", output)
    machine.write(CONFIG, 'database = "/var/tmp/elsewhere.db"\n' + CONFIGURATION)
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and leftovers(machine) == "", "a purge removes everything, the user too", output + leftovers(machine))
    expect("/var/tmp/elsewhere.db stays" in output, "a database elsewhere is named", output)
    expect(machine.run("dpkg --purge main-node")[0] == 0, "a second one is no error")


def install_sh_in_the_way(machine):
    machine.run(f"dpkg-deb --extract {machine.older} /var/tmp/x; install /var/tmp/x/usr/bin/main-node /usr/local/bin/main-node; useradd --system main-node")
    unit = (ROOT / "systemd/main-node.service").read_text()
    machine.write("/etc/systemd/system/main-node.service", unit)
    machine.write(CONFIG, CONFIGURATION)
    machine.write(SECRETS, f"METER_TOKEN={SECRET}\n")
    machine.run("systemctl start main-node")
    before = machine.service_pid()
    code, output = machine.run(f"dpkg --install {machine.package}")
    named = all(path in output for path in ("/etc/systemd/system/main-node.service", "/usr/local/bin/main-node", "dpkg-reconfigure"))
    expect(code == 0 and named and machine.service_pid() == before, "over an install.sh it names the unit and the program that win, and starts nothing", output)
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and machine.service_pid() == before, "a purge leaves that service alone", output)
    expect(machine.read(CONFIG) == CONFIGURATION and machine.exists(SECRETS) and machine.exists(DATABASE), "with its configuration and readings")
    machine.run(f"dpkg --install {machine.package}")
    commands = [line.strip().removeprefix("sudo ") for line in output_commands(machine)]
    for command in commands:
        code, output = machine.run(command)
        expect_quietly(code == 0, command, output)
    expect(len(commands) == 3 and f"main-node {VERSION} runs" in output and machine.service_pid() != before, "the commands that it prints switch to the package", output)
    expect(machine.exists(SECRETS) and rows_of(machine, DATABASE) > 0, "with configuration and readings")
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and leftovers(machine) == "", "and now a purge removes everything", output + leftovers(machine))


def unpacked_package_is_removed(machine):
    """An installation over the configuration of an install.sh that ended early."""
    machine.write(CONFIG, "# older\n")
    machine.run(f"dpkg --unpack {machine.package}")
    code, output = machine.run("dpkg --remove main-node")
    expect(code == 0 and machine.read(CONFIG) == "# older\n", "unpacked and removed, the package gives the configuration back", output)
    machine.run(f"dpkg --purge main-node; mkdir -p {CONFIG.parent}")
    machine.write(f"{CONFIG}.before-package", "# older\n")
    machine.write(CONFIG, CONFIGURATION)
    code, output = machine.run(f"dpkg --install {machine.package} </dev/null")
    expect(code == 0 and machine.read(CONFIG) == CONFIGURATION, "what an interrupted run set aside does not replace a newer one", output)
    machine.run("dpkg --purge main-node")


def first_installation_is_killed(machine):
    machine.write(CONFIG, CONFIGURATION)
    machine.run(f"dpkg-deb --raw-extract {machine.package} /var/tmp/killed")
    machine.write("/var/tmp/killed/DEBIAN/preinst", "#!/bin/sh\nkill -KILL $PPID\n")
    machine.run("dpkg-deb -Zgzip -z1 --root-owner-group --build /var/tmp/killed /var/tmp/killed.deb; dpkg --install /var/tmp/killed.deb")
    expect_quietly("half-installed" in machine.run("dpkg --status main-node")[1], "dpkg is killed", "")
    code, output = machine.run(f"dpkg --install {machine.package} </dev/null")
    expect(code == 0 and machine.read(CONFIG) == CONFIGURATION, "a first installation that was killed is made again, and asks nothing", output)
    machine.run("dpkg --purge main-node")


def data_on_another_disk(machine):
    machine.run(f"mkdir -p {CONFIG.parent} '/srv/my \"data\"'; useradd --system main-node; chown main-node: /srv/my*")
    machine.write(CONFIG, "database = '/srv/my \"data\"/node.db'\n" + CONFIGURATION.replace("${METER_TOKEN}", SECRET))
    machine.run(f"dpkg --install {machine.older}")
    code, output = upgrade(machine)
    copy = f"/srv/my \\\"data\\\"/node.db.before-upgrade-from-{OLDER}"
    expect(code == 0 and machine.exists(f'"{copy}"'), "a database with blanks and quotes in its path is copied", output)
    machine.run(f"systemctl stop main-node; mkdir -p {STATE}; mount -t tmpfs tmpfs {STATE}; touch {DATABASE}")
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and machine.run(f"ls {STATE}")[1] == "", "a purge empties a mount point", output)
    machine.run(f"umount {STATE}; rmdir {STATE}; mkdir /srv/disk; touch /srv/disk/main-node.db; ln -s /srv/disk {STATE}")
    machine.run(f"dpkg --install {machine.package}")
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and "/srv/disk stay" in output, "a purge names where an owner's link leads", output)


def output_commands(machine):
    """The commands that postinst prints for an owner of install.sh's program."""
    return [line for line in machine.run("/var/lib/dpkg/info/main-node.postinst configure ''")[1].splitlines() if line.startswith("    sudo ")]


def state_of_0_1_gets_an_owner(machine):
    machine.run("mkdir -p /var/lib/private/main-node; chmod 700 /var/lib/private; ln -s private/main-node /var/lib/main-node")
    machine.run("touch /var/lib/private/main-node/file; chown -R 61234:61234 /var/lib/private/main-node")
    code, output = machine.run(f"dpkg --install {machine.package}")
    owners = machine.run("stat -c %U /var/lib/private/main-node /var/lib/private/main-node/file")[1].split()
    expect(code == 0 and owners == ["main-node"] * 2, "the state of a DynamicUser= (0.1) is given to the service's user", f"{owners} {output}")
    code, output = machine.run("dpkg --purge main-node")
    expect(code == 0 and leftovers(machine) == "", "and purged", output + leftovers(machine))
