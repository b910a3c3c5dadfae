"""Upgrade of main-node 0.1, whose user systemd makes up (DynamicUser), with its database and waiting alerts; and back."""

from harness import expect, free_port, story, wait_until
from node import CONFIG, DATABASE, FAILING_SOURCE, START_SECONDS, UPLOADED, configuration, meter, more_rows, query, rows
from program import archive, old_archive
from servers import MailServer
from virtual_machine import HOST, machine

OLD, NEW = "/root/0.1", "/usr/local/lib/new-main-node"


@story(seconds=1200)
def upgrade_from_0_1():
    # Nothing listens there until after the upgrade: the mail waits.
    old, port = old_archive(), free_port()
    mail = f'[mail]\nhost = "{HOST}"\nport = {port}\ntls = "none"\nfrom = "pi@example.org"\nto = "me@example.org"\n[alert]\nno_success_for = "10s"\n'
    with machine() as guest, meter() as url:
        guest.write(CONFIG, configuration(url, FAILING_SOURCE, mail))
        guest.copy(old, OLD)
        guest.copy(archive(), UPLOADED)
        install_0_1(guest)
        a_failed_upgrade_gives_0_1_back(guest)
        before = upgrade(guest)
        with MailServer(port) as server:
            wait_until(lambda: server.mails, START_SECONDS, lambda: f"the waiting mail is sent: {guest.status()['channels']}")
            more_rows(guest, "rows are added after the upgrade")
            subjects = [line for mail in server.mails for line in mail.splitlines() if line.startswith("Subject:")]
            expect(sum("Dead: no data" in subject for subject in subjects) == 1, "the mail that waited in 0.1 is sent once", subjects)
        back_to_0_1(guest, before)


def install_script(guest, directory, **environment):
    variables = " ".join(f"{name}={value}" for name, value in environment.items())
    code, out, err = guest.root(f"cd {directory} && {variables} bash ./install.sh", seconds=400, check=False)
    return code, out + err


def waiting(guest):
    return int(guest.says(query("SELECT count(*) FROM outbox")))


def install_0_1(guest):
    code, output = install_script(guest, OLD)
    expect(code == 0, "0.1 is installed by its install.sh", output + guest.journal())
    wait_until(lambda: rows(guest) >= 5 and waiting(guest) == 1, START_SECONDS, lambda: f"it has rows and a waiting mail: {guest.journal()}")
    is_0_1(guest)


def is_0_1(guest):
    user = guest.says("grep -c '^main-node:' /etc/passwd", check=False)
    state = guest.says("readlink /var/lib/main-node")
    expect(user == "0" and state == "private/main-node" and guest.property("DynamicUser") == "yes", "0.1 runs as a user that systemd makes up, with its state in private/", (user, state))


def a_failed_upgrade_gives_0_1_back(guest):
    before, build = rows(guest), guest.status()["build"]
    guest.root(f"cp -r {UPLOADED} /root/broken")
    # The new program, which migrates the database, and fails some seconds later. The unit hides /root.
    guest.root(f"cp {UPLOADED}/main-node {NEW}")
    guest.write("/root/broken/main-node", (
        f'#!/bin/sh\nif [ "$1" = serve ]; then\n{NEW} "$@" &\nsleep 15; kill -KILL $!; exit 1\nfi\nexec {NEW} "$@"\n'
    ), mode=0o755)
    code, output = install_script(guest, "/root/broken", PATIENCE=40)
    expect(code != 0 and f"rolled back: build {build} runs as before" in output, "an upgrade that fails gives 0.1 back", output + guest.journal())
    expect(guest.status()["build"] == build and rows(guest) >= before and waiting(guest) == 1, "with its database, its rows and its waiting mail", (rows(guest), before))
    expect(guest.property("DynamicUser") == "yes", "and its unit")
    more_rows(guest, "rows are added as before")


def upgrade(guest):
    before = rows(guest)
    code, output = install_script(guest, UPLOADED)
    expect(code == 0, "this version is installed over 0.1", output + guest.journal())
    expect(rows(guest) >= before and guest.says(query("PRAGMA integrity_check")) == "ok", f"the {before} rows are there, the database is sound", rows(guest))
    expect(waiting(guest) == 1, "the mail waits")
    owners = set(guest.says("stat -c '%U:%G' /var/lib/main-node/ /var/lib/main-node/*").split())
    expect(owners == {"main-node:main-node"}, "the state belongs to the user main-node", owners)
    expect(guest.property("DynamicUser") == "no" and guest.says("grep -c '^main-node:' /etc/passwd") == "1", "who is in /etc/passwd")
    code, out, err = guest.run("sudo main-node backup /var/tmp/copy.db", check=False)
    expect(code == 0 and "verified" in out, "a backup works beside the service", out + err)
    return before


def back_to_0_1(guest, before):
    """As docs/operation.md says."""
    build = guest.status()["build"]
    code, output = install_script(guest, OLD, PATIENCE=40)
    expect(code != 0 and f"rolled back: build {build} runs as before" in output, "0.1 refuses the newer database: its install.sh gives this version back", output)
    more_rows(guest, "rows are added as before")
    code, out, err = guest.run("sudo main-node backup /var/tmp/another.db", check=False)
    expect(code == 0 and "verified" in out, "a backup works as before", out + err + guest.says("ls -la /var/lib/main-node/"))
    copy = guest.says(f"ls {DATABASE}.before-version-*")
    guest.root(f"systemctl stop main-node; cd /var/lib/main-node; mkdir newer; mv main-node.db main-node.db-wal newer/ 2>/dev/null; cp -p {copy} main-node.db")
    code, output = install_script(guest, OLD)
    expect(code == 0 and rows(guest) >= before, "with the copy from before the upgrade, 0.1 is installed again and has its rows", output + guest.journal())
    more_rows(guest, "rows are added by 0.1")
