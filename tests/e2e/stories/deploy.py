"""`make deploy`, rollback and removal on a Debian with a real sshd, in a mount namespace of this
machine.

/etc, /home, /run, /usr/local and /var/lib are copies that only the story sees. An ordinary user
logs in with a key and has sudo. fakes/systemd.py replaces systemd.
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
    ROOT, Missing, Process, clean_environment, expect, free_port, get, main_node, not_checked, run, story, tool,
    wait_until, work_dir,
)

PI, SERVICE = 61500, 61501


@story(seconds=300)
def deploy():
    if os.geteuid() != 0:
        raise Missing("needs root for a mount namespace")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        raise Missing("this machine does not allow mount namespaces")
    tool("sshd"), tool("sudo")
    with json_server(lambda path: {"watts": 7.5}) as upstream:
        pi = Pi(work_dir("deploy"), upstream)
        try:
            deploy_steps(pi)
        finally:
            # A service outlives the login that started it.
            pi.sudo("/usr/local/bin/systemctl stop main-node")
    not_checked("a deploy with a real systemd: tests/e2e/fakes/systemd.py replaces it")


def deploy_steps(pi):
    reports_wrong_usage(pi)
    first_deploy(pi)
    same_build_changes_nothing(pi)
    a_node_that_others_can_open_is_announced(pi)
    new_build_replaces_the_old(pi)
    invalid_configuration_is_not_deployed(pi)
    program_too_old_for_the_database_is_not_deployed(pi)
    failing_program_is_rolled_back_with_its_database(pi)
    hanging_program_is_rolled_back_in_time(pi)
    unreachable_source_does_not_roll_back(pi)
    root_leaves_no_files_of_its_own(pi)
    nothing_is_installed_beside_the_package(pi)
    remove_and_purge(pi)


class Pi:
    """The machine that is deployed to."""

    def __init__(self, directory, upstream):
        self.directory, self.port, self.address = directory, free_port(), f"127.0.0.1:{free_port()}"
        for name in ("home/pi/.ssh", "run", "lib", "share"):
            (directory / name).mkdir(parents=True)
        shutil.copytree("/etc", directory / "etc", symlinks=True, ignore_dangling_symlinks=True)
        self.avahi_services().mkdir(parents=True, exist_ok=True)
        shutil.copytree("/usr/local/bin", directory / "bin", symlinks=True)
        for name in ("systemctl", "systemd-run", "journalctl"):
            script = (ROOT / "tests/e2e/fakes/systemd.py").read_text().replace("/usr/bin/env python3", sys.executable, 1)
            (directory / "bin" / name).write_text(script)
            (directory / "bin" / name).chmod(0o755)
        self.binary = stripped_binary(directory)
        self.add_users()
        self.configuration = directory / "etc/main-node/main-node.toml"
        self.configuration.parent.mkdir(mode=0o755)
        self.configure(f"http://127.0.0.1:{upstream}/")
        self.start_sshd()
        self.ssh = (
            f"ssh -p {self.port} -i {directory / 'key'} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            " -o LogLevel=ERROR -o BatchMode=yes"
        )
        wait_until(lambda: self.ssh_run("true")[0] == 0, 15, lambda: f"a login works: {self.server.output()} {self.ssh_run('true')}")
        output = self.ssh_run("id -un; uname -m")[1].split()
        expect(output[0] == "pi", "an ordinary user logs in over SSH", output)

    def add_users(self):
        etc = self.directory / "etc"
        (etc / "sudoers.d").mkdir(exist_ok=True)
        (etc / "sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
        (etc / "sudoers.d/pi").chmod(0o440)
        with open(etc / "passwd", "a") as passwd, open(etc / "shadow", "a") as shadow, open(etc / "group", "a") as group:
            for name, number in (("pi", PI), ("main-node", SERVICE)):
                passwd.write(f"{name}:x:{number}:{number}::/home/{name}:/bin/bash\n")
                shadow.write(f"{name}:*:19000:0:99999:7:::\n")
                group.write(f"{name}:x:{number}:\n")

    def start_sshd(self):
        directory = self.directory
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

    def configure(self, url):
        self.configuration.write_text(
            f'listen = "{self.address}"\ndatabase = "/var/lib/main-node/main-node.db"\ncommit_every = "1s"\n\n'
            f'[[source]]\nname = "meter"\nurl = "{url}"\nevery = "1s"\n'
        )

    def ssh_run(self, command):
        return run([*self.ssh.split(), "pi@127.0.0.1", command], 60, env=clean_environment())

    def sudo(self, command):
        return self.ssh_run(f"sudo {command}")

    def deploy(self, binary, patience=60):
        environment = clean_environment(SSH=self.ssh, BINARY=str(binary), PATIENCE=str(patience))
        code, out, err = run([ROOT / ".ci/deploy", "pi@127.0.0.1"], 120, env=environment)
        return code, out + err

    def status(self):
        return get(self.address, "/status").json

    def service_pid(self):
        return (self.directory / "run/fake-systemd/pid").read_text()

    def avahi_services(self):
        return self.directory / "etc/avahi/services"

    def database(self):
        return self.directory / "lib/main-node/main-node.db"


def stripped_binary(directory):
    """The binary under test without debug information: a third of the bytes to compress and send."""
    file = directory / "main-node"
    shutil.copy2(main_node(), file)
    if strip := shutil.which("strip"):
        subprocess.run([strip, file], check=True)
    return file


def variant(pi, name, more=b"\0"):
    """The same program with other bytes, so another build."""
    file = pi.directory / name
    file.write_bytes(pi.binary.read_bytes() + more)
    file.chmod(0o755)
    return file


def digest(file):
    return run(["sha256sum", file], 20)[1][:12]


def reports_wrong_usage(pi):
    environment = clean_environment(SSH=pi.ssh.replace(f"-p {pi.port}", f"-p {free_port()}"))
    code, out, err = run([ROOT / ".ci/deploy", "pi@127.0.0.1"], 30, env=environment)
    expect(code == 1 and "no login at pi@127.0.0.1" in out, "without sshd: no login", out + err)
    code, out, _ = run([ROOT / ".ci/deploy"], 30, env=environment)
    expect(code == 2 and "PI=" in out, "without PI: the usage", out)


def first_deploy(pi):
    code, output = pi.deploy(pi.binary)
    build = digest(pi.binary)
    expect(code == 0 and f"deployed: build {build}" in output, "the first deploy ends with a healthy node", output + log(pi))
    expect(pi.status()["build"] == build, "/status has the deployed build")
    expect(f"open http://{pi.address}/web" in output, "the output ends with the address of the page", output)
    expect((pi.directory / "etc/systemd/system/main-node.service").exists(), "the unit is installed")
    expect((pi.directory / "share/man/man1/main-node.1").exists(), "the man page is installed")
    expect((pi.directory / "share/man/man5/main-node.toml.5").exists(), "and that of the configuration")
    expect(pi.database().stat().st_uid == SERVICE, "the database belongs to the service's user")


def log(pi):
    file = pi.directory / "run/fake-systemd/log"
    return file.read_text() if file.exists() else ""


def same_build_changes_nothing(pi):
    before = pi.service_pid()
    code, output = pi.deploy(pi.binary)
    expect(code == 0 and "nothing to do" in output and pi.service_pid() == before, "the same build again: nothing changes, no restart", output)


def a_node_that_others_can_open_is_announced(pi):
    service, good = pi.avahi_services() / "main-node.service", pi.configuration.read_text()
    expect(not service.exists(), "a node that listens on this machine alone is not announced by avahi")
    port = pi.address.rpartition(":")[2]
    for listen in (f'"0.0.0.0:{port}"', f'["[::]:{port}", "127.0.0.1:{port}"]'):
        pi.configuration.write_text(good.replace(f'"{pi.address}"', listen))
        service.unlink(missing_ok=True)
        code, output = pi.deploy(pi.binary)
        text = service.read_text() if service.exists() else ""
        expect(code == 0 and f"<port>{port}</port>" in text, f"with listen = {listen} it is, with its port", output + text)
        expect(re.search(rf"^open .*{port}", output, re.M), "the output names the page as others open it", output)
    service.write_text(text.replace("main-node on %h", "Attic").replace(port, "1"))
    pi.deploy(pi.binary)
    expect("Attic" in service.read_text() and f"<port>{port}</port>" in service.read_text(), "a changed service file keeps its name and gets the port", service.read_text())
    pi.configuration.write_text(good)


def new_build_replaces_the_old(pi):
    binary = variant(pi, "second")
    code, output = pi.deploy(binary)
    expect(code == 0 and pi.status()["build"] == digest(binary), "another build replaces it", output)
    expect((pi.directory / "bin/main-node.old").exists(), "the old build is kept as main-node.old")


def invalid_configuration_is_not_deployed(pi):
    before, build, good = pi.service_pid(), pi.status()["build"], pi.configuration.read_text()
    pi.configuration.write_text(good + 'evrey = "5s"\n')
    code, output = pi.deploy(variant(pi, "third", b"\0\0"))
    pi.configuration.write_text(good)
    expect(code != 0 and "evrey" in output and "nothing was switched" in output, "a configuration that the new program rejects is reported", output)
    expect(pi.service_pid() == before and pi.status()["build"] == build, "the old program keeps running")
    expect(not (pi.directory / "bin/main-node.new").exists(), "no file of the new program is left")


def program_too_old_for_the_database_is_not_deployed(pi):
    before = pi.service_pid()
    wait_until(lambda: rows(pi) > 0 or stored(pi), 30, "the node has stored rows")
    with contextlib.closing(sqlite3.connect(pi.database())) as there:
        version, = there.execute("PRAGMA user_version").fetchone()
        for claimed in (version + 1, version):
            there.execute(f"PRAGMA user_version = {claimed}")
            # As if the running service were of that schema version.
            there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if claimed > version:
                code, output = pi.deploy(variant(pi, "older", b"\0\0\0"))
    expect(code != 0 and f"has schema version {version + 1}" in output and "nothing was switched" in output, "a program that does not know the schema version is reported", output)
    expect(pi.service_pid() == before, "the newer program keeps running")


def failing_program_is_rolled_back_with_its_database(pi):
    build = pi.status()["build"]
    wait_until(lambda: rows(pi) > 0 or stored(pi), 30, "the node has stored rows")
    broken = pi.directory / "broken"
    # Migrates the database, as a newer program would, and exits.
    broken.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = serve ]; then\n'
        "  [ -e main-node.db.before-version-99 ] || cp main-node.db main-node.db.before-version-99\n"
        # SQLite keeps user_version in four bytes at 60.
        "  printf '\\0\\0\\0\\143' | dd of=main-node.db bs=1 seek=60 conv=notrunc status=none\n"
        "  exit 1\nfi\n"
        f'exec {pi.binary} "$@"\n'
    )
    broken.chmod(0o755)
    code, output = pi.deploy(broken, patience=6)
    expect(code != 0 and f"rolled back: build {build} runs" in output, "a program that does not become healthy is rolled back", output + log(pi))
    expect(pi.status()["build"] == build, "the old program answers again")
    kept_as = re.search(r"kept as (\S+)", output)
    expect(kept_as, "the migrated database is kept, with a date in its name", output)
    kept = pi.directory / "lib" / pathlib.Path(kept_as[1]).relative_to("/var/lib")
    with sqlite3.connect(kept) as database:
        expect(database.execute("PRAGMA user_version").fetchone()[0] == 99, "the kept file is the migrated database")
    with sqlite3.connect(pi.database()) as database:
        expect(database.execute("PRAGMA user_version").fetchone()[0] < 99, "the old program has the old database")


def hanging_program_is_rolled_back_in_time(pi):
    build = pi.status()["build"]
    hangs = pi.directory / "hangs"
    # Never ready: a plain `systemctl start` would wait for it.
    hangs.write_text(f'#!/bin/sh\nif [ "$1" = serve ]; then echo "output of the new program"; exec sleep 600; fi\nexec {pi.binary} "$@"\n')
    hangs.chmod(0o755)
    start = time.monotonic()
    code, output = pi.deploy(hangs, patience=3)
    seconds = time.monotonic() - start
    expect(code != 0 and f"rolled back: build {build} runs" in output, "a program that hangs is rolled back", output + log(pi))
    expect(seconds < 23, "within 20 s after the timeout", f"{seconds:.1f} s")
    expect("output of the new program" in output, "its last log lines are shown", output)
    expect("stopping" not in output and "listening on" not in output, "no log lines of the old program are shown", output)


def stored(pi):
    return pi.status()["storage"]["rows_stored"] > 0


def rows(pi):
    with sqlite3.connect(pi.database()) as database:
        return database.execute("SELECT count(*) FROM records").fetchone()[0]


def unreachable_source_does_not_roll_back(pi):
    pi.configure("http://127.0.0.1:9/")
    binary = variant(pi, "fourth", b"\0\0\0")
    code, output = pi.deploy(binary)
    source = pi.status()["sources"][0]
    expect(code == 0 and pi.status()["build"] == digest(binary), "a deploy succeeds although no source answers", output)
    expect(source["last_failure"]["cause"] == "connect", "the source has the cause connect", source)


def root_leaves_no_files_of_its_own(pi):
    code, out, err = pi.sudo("main-node backup --config /etc/main-node/main-node.toml /var/lib/copy.db")
    expect(code == 0 and "verified" in out, "root can make a backup while the service runs", out + err)
    owners = {file.name: file.stat().st_uid for file in pi.database().parent.iterdir()}
    foreign = {name: owner for name, owner in owners.items() if owner != SERVICE}
    expect(not foreign, "all files of the state directory belong to the service's user", foreign)


@contextlib.contextmanager
def package(pi, state="install ok installed"):
    """The Debian package as dpkg knows it, without its files."""
    status = pi.directory / "lib/dpkg/status"
    for name in ("updates", "info"):
        (status.parent / name).mkdir(parents=True, exist_ok=True)
    status.write_text(f"Package: main-node\nStatus: {state}\nArchitecture: all\nVersion: 0.2.0-1\nMaintainer: none\nDescription: none\n\n")
    try:
        yield
    finally:
        status.write_text("")


def nothing_is_installed_beside_the_package(pi):
    if not shutil.which("dpkg-query"):
        not_checked("install.sh beside the Debian package: this machine has no dpkg")
        return
    before, build = pi.service_pid(), pi.status()["build"]
    binary = variant(pi, "fifth", b"\0\0\0\0\0")
    with package(pi):
        code, output = pi.deploy(binary)
    expect(code != 0 and "Debian package main-node 0.2.0-1 is installed" in output, "beside the Debian package nothing is installed", output)
    expect("the service runs /usr/local/bin/main-node" in output and "--remove && sudo dpkg-reconfigure" in output and "sudo apt remove main-node" in output,
           "the output says which one runs, and both ways out", output)
    expect(pi.service_pid() == before and pi.status()["build"] == build, "the program keeps running")
    with package(pi, "deinstall ok config-files"):
        code, output = pi.deploy(binary)
    expect(code == 0 and pi.status()["build"] == digest(binary), "after `apt remove` it is installed", output)


def remove_and_purge(pi):
    (pi.directory / "home/pi/install.sh").write_text((ROOT / "systemd/install.sh").read_text())
    script = "sudo bash /home/pi/install.sh {}"
    code, out, err = pi.ssh_run(script.format("--unistall"))
    expect(code != 0 and "usage:" in err and "--remove" in err and (pi.directory / "bin/main-node").exists(), "a mistyped option removes nothing", out + err)
    program = (pi.directory / "bin/main-node").read_bytes()
    code, out, err = pi.ssh_run(script.format("--remove"))
    expect(code == 0 and "main-node is removed" in out, "the program is removed", out + err)
    gone = ["bin/main-node", "bin/main-node.old", "etc/systemd/system/main-node.service", "share/man/man1/main-node.1", "share/man/man5/main-node.toml.5", "etc/avahi/services/main-node.service"]
    expect(not any((pi.directory / path).exists() for path in gone), "with its unit and its man page")
    expect(pi.configuration.exists() and pi.database().exists(), "configuration and database stay")
    expect("/etc/main-node" in out and "/var/lib/main-node" in out and "--purge" in out, "the output says so", out)
    for option in ("--remove", "--uninstall"):
        expect(pi.ssh_run(script.format(option))[0] == 0, f"a second time, by {option}, is no error")
    if shutil.which("dpkg-query"):
        with package(pi):
            what_the_package_uses_stays(pi, script, program)
    code, out, err = pi.ssh_run(script.format("--purge"))
    expect(code == 0 and not pi.configuration.exists() and not pi.database().exists(), "--purge removes them too", out + err)


def what_the_package_uses_stays(pi, script, program):
    code, out, err = pi.ssh_run(script.format("--purge"))
    expect(code == 0 and "sudo apt remove main-node" in out and pi.configuration.exists(), "the package is named, and nothing of it removed", out + err)
    (pi.directory / "bin/main-node").write_bytes(program)
    (pi.directory / "bin/main-node").chmod(0o755)
    code, out, err = pi.ssh_run(script.format("--purge"))
    expect(not (pi.directory / "bin/main-node").exists() and "dpkg-reconfigure" in out and "apt purge" in out, "a program beside the package is removed", out + err)
    expect(code == 0 and pi.configuration.exists() and pi.database().exists(), "configuration and database of the package stay", out + err)
