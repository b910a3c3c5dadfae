"""Debian package by apt: first install and init, upgrade, a bad configuration, removal, purge, and over install.sh."""

from harness import expect, story, wait_until
from node import CONFIG, DATABASE, FAILING_SOURCE, NO_SUCCESS_SECONDS, START_SECONDS, configuration, install, is_active, meter, more_rows, pid, rows
from program import package as debian_package
from virtual_machine import machine

NEWER = "0.9.0"
SECRETS = "/etc/main-node/secrets.env"
DROP_IN = "/etc/systemd/system/main-node.service.d/own.conf"
# Nobody receives them.
WAITING_ALERTS = f'[alert]\nno_success_for = "{NO_SUCCESS_SECONDS}s"\n[[alert.webhook]]\nname = "hook"\nurl = "http://127.0.0.1:9/"\n'


@story(seconds=1500)
def package():
    with machine() as guest, meter() as url:
        first_install(guest, url)
        upgrade_keeps_data_and_alerts(guest)
        problems_leave_the_old_program_running(guest)
        removal_and_purge(guest)
        over_install_sh(guest, url)


def apt(guest, command, file=None):
    """Without a terminal, as over SSH: its output."""
    if file:
        guest.copy(file, f"/root/{file.name}")
    command = f"DEBIAN_FRONTEND=noninteractive apt-get {command} -qq -y --allow-downgrades"
    code, out, err = guest.root(f"{command} {f'/root/{file.name}' if file else ''} </dev/null", seconds=400, check=False)
    expect(code == 0, f"apt-get {command.split()[2]}", out + err)
    return out


def first_install(guest, url):
    said = apt(guest, "install", debian_package())
    expect("runs" in said and "main-node init" in said and is_active(guest), "the package starts the service and says how to begin", said)
    code, out, err = guest.run(f"sudo main-node init meter {url}", check=False)
    expect(code == 0 and "/web" in out, "init takes over the example, with a source that answers", out + err)
    wait_until(lambda: rows(guest) > 0, START_SECONDS, lambda: f"it stores rows: {guest.journal()}")
    expect(guest.get("/web").status == 200, "the page answers")
    guest.write(CONFIG, configuration(url, FAILING_SOURCE, WAITING_ALERTS))
    guest.write(SECRETS, "METER_TOKEN=x\n", mode=0o600)
    guest.write(DROP_IN, "[Service]\nNice=7\n")
    guest.root("systemctl daemon-reload && systemctl restart main-node")
    wait_until(lambda: waiting(guest) > 0, START_SECONDS, lambda: f"an alert waits: {guest.journal()}")


def waiting(guest):
    return sum(channel["waiting"] for channel in guest.get("/status").json["channels"])


def upgrade_keeps_data_and_alerts(guest):
    stored, before, alerts = rows(guest), pid(guest), waiting(guest)
    said = apt(guest, "install", debian_package(NEWER))
    expect(f"main-node {NEWER}-1 runs" in said and pid(guest) != before, "an upgrade restarts it and waits until it is healthy", said)
    copies = guest.root(f"ls {DATABASE}.before-upgrade-from-*")[1].split()
    expect(len(copies) == 1, "the database was copied before", copies)
    wait_until(lambda: rows(guest) >= stored and waiting(guest) >= alerts, START_SECONDS, lambda: f"rows and alerts are there: {guest.journal()}")
    expect(guest.property("Nice") == "7", "the drop-in holds")
    more_rows(guest, "rows are added as before")


def problems_leave_the_old_program_running(guest):
    good, before = guest.root(f"cat {CONFIG}")[1], pid(guest)
    guest.write(CONFIG, good + 'evrey = "5s"\n')
    said = apt(guest, "install", debian_package())
    expect("evrey" in said and "is not started" in said, "another version names the problems of the configuration", said)
    expect(pid(guest) == before and is_active(guest), "the program from before runs on")
    guest.write(CONFIG, good)
    guest.root("main-node check && systemctl restart main-node")
    more_rows(guest, "mended and restarted, it stores")


def removal_and_purge(guest):
    stored = rows(guest)
    apt(guest, "remove main-node")
    expect(guest.property("LoadState") == "not-found", "removed: systemd has no such unit")
    kept = (CONFIG, SECRETS, DROP_IN, DATABASE)
    expect(guest.root(f"ls {' '.join(kept)}", check=False)[0] == 0, "configuration, secrets, drop-in and readings stay")
    apt(guest, "install", debian_package())
    expect(is_active(guest) and rows(guest) >= stored, "installed again, it has its rows")
    apt(guest, "purge main-node")
    left = guest.says("find /etc /usr /var/lib -xdev -path '*main-node*' -not -path '/var/lib/dpkg/*'; grep main-node /etc/passwd /etc/group", check=False)
    expect(not left, "a purge leaves neither file nor user", left)


def over_install_sh(guest, url):
    install(guest, configuration(url))
    before, stored = pid(guest), rows(guest)
    said = apt(guest, "install", debian_package(NEWER))
    commands = [line.strip() for line in said.splitlines() if line.startswith("    sudo ")]
    expect(len(commands) == 3 and pid(guest) == before, "over install.sh it starts nothing, and says how to switch", said)
    for command in commands:
        guest.run(command)
    expect(guest.property("FragmentPath") == "/usr/lib/systemd/system/main-node.service" and is_active(guest), "so the service is the package's")
    expect(rows(guest) >= stored, "with its rows")
    more_rows(guest, "and stores")
