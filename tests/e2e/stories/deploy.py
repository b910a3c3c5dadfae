"""make deploy onto a Debian with a real sshd: here, in a mount namespace of its own.

/etc, /home, /run, /usr/local/bin and /var/lib are copies that only the story sees. An ordinary
user logs in with a key and has sudo. No systemd runs here: fakes/systemd.py plays its part.
"""

import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time

from fakes.servers import json_server
from harness import (
    Missing, Process, ROOT, clean_environment, expect, free_port, get, main_node, not_checked, work_dir, run, story, tool, wait_until,
)

PI, SERVICE = 61500, 61501


@story(seconds=300)
def deploy():
    if os.geteuid() != 0:
        raise Missing("a mount namespace of its own needs root")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        raise Missing("this machine allows no mount namespace")
    tool("sshd"), tool("sudo")
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        pi = Pi(work_dir("deploy"), upstream)
        try:
            chapters(pi)
        finally:
            # What the stand-in started outlives its login, as a service does.
            pi.sudo("/usr/local/bin/systemctl stop main-node")
    not_checked("a deploy under a running systemd: tests/e2e/fakes/systemd.py stands in for it")


def chapters(pi):
    refused_and_named(pi)
    first(pi)
    the_same_again(pi)
    another(pi)
    a_wrong_configuration_switches_nothing(pi)
    nor_does_a_program_too_old_for_the_database(pi)
    a_program_that_fails_is_taken_back_with_its_database(pi)
    one_that_hangs_is_taken_back_in_time(pi)
    a_dead_source_is_no_reason_to_go_back(pi)
    root_is_no_stranger_to_the_files(pi)
    what_is_removed_and_what_stays(pi)


class Pi:
    """The machine that is deployed to."""

    def __init__(self, directory, upstream):
        self.directory, self.port, self.address = directory, free_port(), f"127.0.0.1:{free_port()}"
        for name in ("home/pi/.ssh", "run", "lib", "share"):
            (directory / name).mkdir(parents=True)
        shutil.copytree("/etc", directory / "etc", symlinks=True, ignore_dangling_symlinks=True)
        shutil.copytree("/usr/local/bin", directory / "bin", symlinks=True)
        for name in ("systemctl", "systemd-run", "journalctl"):
            script = (ROOT / "tests/e2e/fakes/systemd.py").read_text().replace("/usr/bin/env python3", sys.executable, 1)
            (directory / "bin" / name).write_text(script)
            (directory / "bin" / name).chmod(0o755)
        self.users()
        self.configuration = directory / "etc/main-node/main-node.toml"
        self.configuration.parent.mkdir(mode=0o755)
        self.configure(f"http://127.0.0.1:{upstream}/")
        self.sshd()
        self.ssh = (
            f"ssh -p {self.port} -i {directory / 'key'} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            " -o LogLevel=ERROR -o BatchMode=yes"
        )
        wait_until(lambda: self.say("true")[0] == 0, 15, lambda: f"a login works: {self.server.output()} {self.say('true')}")
        said = self.say("id -un; uname -m")[1].split()
        expect(said[0] == "pi", "an ordinary user logs in over SSH", said)

    def users(self):
        etc = self.directory / "etc"
        (etc / "sudoers.d").mkdir(exist_ok=True)
        (etc / "sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
        (etc / "sudoers.d/pi").chmod(0o440)
        with open(etc / "passwd", "a") as passwd, open(etc / "shadow", "a") as shadow, open(etc / "group", "a") as group:
            for name, number in (("pi", PI), ("main-node", SERVICE)):
                passwd.write(f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n")
                shadow.write(f"{name}:*:19000:0:99999:7:::\n")
                group.write(f"{name}:x:{number}:\n")

    def sshd(self):
        directory = self.place
        for key in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / key], check=True)
        shutil.copy(directory / "key.pub", directory / "home/pi/.ssh/authorized_keys")
        subprocess.run(["chown", "-R", f"{PI}:{PI}", directory / "home/pi"], check=True)
        (directory / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {directory / 'host'}\nUsePAM no\n"
            "PasswordAuthentication no\nStrictModes no\nPidFile none\n"
        )
        (directory / "enter").write_text(
            "set -e\nmount --make-rprivate /\n"
            f"for name in etc home run; do mount --bind {directory}/$name /$name; done\n"
            f"mount --bind {directory}/bin /usr/local/bin\nmount --bind {directory}/share /usr/local/share\nmount --bind {directory}/lib /var/lib\n"
            f"mkdir -p /run/sshd\nexec /usr/sbin/sshd -D -e -f {directory}/sshd_config\n"
        )
        self.server = Process(["unshare", "-m", "sh", directory / "enter"], directory / "sshd.log")

    def configure(self, url, more=""):
        self.configuration.write_text(
            f'listen = "{self.address}"\ndatabase = "/var/lib/main-node/main-node.db"\n{more}\n'
            f'[[source]]\nname = "meter"\nurl = "{url}"\nevery = "1s"\n'
        )

    def say(self, command):
        return run([*self.ssh.split(), "pi@127.0.0.1", command], 60, env=clean_environment())

    def sudo(self, command):
        return self.say(f"sudo {command}")

    def deploy(self, binary, patience=60):
        environment = clean_environment(SSH=self.ssh, BINARY=str(binary), PATIENCE=str(patience))
        code, out, err = run([ROOT / ".ci/deploy", "pi@127.0.0.1"], 120, env=environment)
        return code, out + err

    def status(self):
        return get(self.address, "/status").json

    def process(self):
        return (self.directory / "run/stand-in/pid").read_text()

    def database(self):
        return self.directory / "lib/main-node/main-node.db"


def variant(pi, name, more=b"\0"):
    """The same program, other bytes."""
    file = pi.directory / name
    file.write_bytes(pathlib.Path(main_node()).read_bytes() + more)
    file.chmod(0o755)
    return file


def digest(file):
    return run(["sha256sum", file], 20)[1][:12]


def refused_and_named(pi):
    environment = clean_environment(SSH=pi.ssh.replace(f"-p {pi.port}", f"-p {free_port()}"))
    code, out, err = run([ROOT / ".ci/deploy", "pi@127.0.0.1"], 30, env=environment)
    expect(code == 1 and "no login at pi@127.0.0.1" in out, "where no sshd answers, it says so", out + err)
    code, out, _ = run([ROOT / ".ci/deploy"], 30, env=environment)
    expect(code == 2 and "PI=" in out, "and says how it is called", out)


def first(pi):
    code, said = pi.deploy(main_node())
    build = digest(main_node())
    expect(code == 0 and f"deployed: build {build}" in said, "the first deploy ends with a healthy node", said + log(pi))
    expect(pi.status()["build"] == build, "/status shows the build that was sent")
    expect((pi.directory / "etc/systemd/system/main-node.service").exists(), "the unit is installed")
    expect((pi.directory / "share/man/man1/main-node.1").exists(), "and the manual page")
    expect((pi.directory / "share/man/man5/main-node.toml.5").exists(), "and that of the configuration")
    expect(pi.database().stat().st_uid == SERVICE, "the service's own user made the database")


def log(pi):
    file = pi.directory / "run/stand-in/log"
    return file.read_text() if file.exists() else ""


def the_same_again(pi):
    before = pi.process()
    code, said = pi.deploy(main_node())
    expect(code == 0 and "nothing to do" in said and pi.process() == before, "the same again changes nothing and restarts nothing", said)


def another(pi):
    binary = variant(pi, "second")
    code, said = pi.deploy(binary)
    expect(code == 0 and pi.status()["build"] == digest(binary), "another build takes its place", said)
    expect((pi.directory / "bin/main-node.old").exists(), "the one before is kept beside it")


def a_wrong_configuration_switches_nothing(pi):
    before, build, good = pi.process(), pi.status()["build"], pi.configuration.read_text()
    pi.configuration.write_text(good + 'evrey = "5s"\n')
    code, said = pi.deploy(variant(pi, "third", b"\0\0"))
    pi.configuration.write_text(good)
    expect(code != 0 and "evrey" in said and "nothing was switched" in said, "a configuration that the new program refuses is named", said)
    expect(pi.process() == before and pi.status()["build"] == build, "and the old one goes on untouched")
    expect(not (pi.directory / "bin/main-node.new").exists(), "and nothing of the new one is left")


def nor_does_a_program_too_old_for_the_database(pi):
    before = pi.process()
    wait_until(lambda: rows(pi) > 0 or stored(pi), 90, "the node has stored something")
    with contextlib.closing(sqlite3.connect(pi.database())) as there:
        version, = there.execute("PRAGMA user_version").fetchone()
        for claimed in (version + 1, version):
            there.execute(f"PRAGMA user_version = {claimed}")
            # The service stands for one of that version, which has written for a while.
            there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if claimed > version:
                code, said = pi.deploy(variant(pi, "older", b"\0\0\0"))
    expect(code != 0 and f"has version {version + 1}" in said and "nothing was switched" in said, "a program that does not know the database's version is named", said)
    expect(pi.process() == before, "and the newer one goes on untouched")


def a_program_that_fails_is_taken_back_with_its_database(pi):
    build = pi.status()["build"]
    wait_until(lambda: rows(pi) > 0 or stored(pi), 90, "the node has stored something")
    broken = pi.directory / "broken"
    # Upgrades the database, as a newer program would, and then does not serve.
    broken.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = serve ]; then\n'
        "  [ -e main-node.db.before-version-99 ] || cp main-node.db main-node.db.before-version-99\n"
        # SQLite keeps user_version in four bytes at 60.
        "  printf '\\0\\0\\0\\143' | dd of=main-node.db bs=1 seek=60 conv=notrunc status=none\n"
        "  exit 1\nfi\n"
        f'exec {main_node()} "$@"\n'
    )
    broken.chmod(0o755)
    code, said = pi.deploy(broken, patience=6)
    expect(code != 0 and f"rolled back: build {build} runs" in said, "a program that does not get healthy is taken back", said + log(pi))
    expect(pi.status()["build"] == build, "the old one answers again")
    newer = re.search(r"kept as (\S+)", said)
    expect(newer, "the newer database is kept, dated, and named", said)
    kept = pi.directory / "lib" / pathlib.Path(newer[1]).relative_to("/var/lib")
    with sqlite3.connect(kept) as database:
        expect(database.execute("PRAGMA user_version").fetchone()[0] == 99, "it is the upgraded one")
    with sqlite3.connect(pi.database()) as database:
        expect(database.execute("PRAGMA user_version").fetchone()[0] < 99, "and the old program has the one from before")


def one_that_hangs_is_taken_back_in_time(pi):
    build = pi.status()["build"]
    hangs = pi.directory / "hangs"
    # Never ready: systemctl would wait for its start.
    hangs.write_text(f'#!/bin/sh\nif [ "$1" = serve ]; then echo "words of the new one"; exec sleep 600; fi\nexec {main_node()} "$@"\n')
    hangs.chmod(0o755)
    begun = time.monotonic()
    code, said = pi.deploy(hangs, patience=3)
    took = time.monotonic() - begun
    expect(code != 0 and f"rolled back: build {build} runs" in said, "a program that hangs is taken back", said + log(pi))
    expect(took < 23, "within 20 s beyond the patience", f"{took:.1f} s")
    expect("words of the new one" in said, "its own last words are shown", said)
    expect("stopping:" not in said and "listening on" not in said, "and none of the old one's", said)


def stored(pi):
    return pi.status()["storage"]["rows_stored"] > 0


def rows(pi):
    with sqlite3.connect(pi.database()) as database:
        return database.execute("SELECT count(*) FROM records").fetchone()[0]


def a_dead_source_is_no_reason_to_go_back(pi):
    pi.configure("http://127.0.0.1:9/")
    binary = variant(pi, "fourth", b"\0\0\0")
    code, said = pi.deploy(binary)
    source = pi.status()["sources"][0]
    expect(code == 0 and pi.status()["build"] == digest(binary), "a deploy holds although no source answers", said)
    expect(source["last_failure"]["cause"] == "connect", "whose failure is shown as what it is", source)


def root_is_no_stranger_to_the_files(pi):
    code, out, err = pi.sudo("main-node backup --config /etc/main-node/main-node.toml /var/lib/copy.db")
    expect(code == 0 and "verified" in out, "root backs up beside the service", out + err)
    owners = {file.name: file.stat().st_uid for file in pi.database().parent.iterdir()}
    mine = {name: owner for name, owner in owners.items() if owner != SERVICE}
    expect(not mine, "and leaves no file of its own where the service writes", mine)


def what_is_removed_and_what_stays(pi):
    (pi.directory / "home/pi/install.sh").write_text((ROOT / "systemd/install.sh").read_text())
    script = "sudo bash /home/pi/install.sh {}"
    code, out, err = pi.say(script.format("--unistall"))
    expect(code != 0 and "usage:" in err and (pi.directory / "bin/main-node").exists(), "a mistyped option removes nothing", out + err)
    code, out, err = pi.say(script.format("--uninstall"))
    expect(code == 0 and "main-node is removed" in out, "the program is removed", out + err)
    gone = ["bin/main-node", "bin/main-node.old", "etc/systemd/system/main-node.service", "share/man/man1/main-node.1", "share/man/man5/main-node.toml.5"]
    expect(not any((pi.directory / path).exists() for path in gone), "with its unit and its manual page")
    expect(pi.configuration.exists() and pi.database().exists(), "configuration and readings stay")
    expect("/etc/main-node" in out and "/var/lib/main-node" in out and "--purge" in out, "and it says so", out)
    expect(pi.say(script.format("--uninstall"))[0] == 0, "a second time is no error")
    code, out, err = pi.say(script.format("--purge"))
    expect(code == 0 and not pi.configuration.exists() and not pi.database().exists(), "--purge removes them too", out + err)
