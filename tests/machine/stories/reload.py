"""`systemctl reload`: a good configuration takes over without a refused connection, a bad one changes nothing; a
new secret needs a restart, which is said."""

import re
import shlex

from harness import expect, story, wait_until
from node import (
    CONFIG, FAILING_SOURCE, START_SECONDS, alerts, alerts_to, configuration, install, is_active, meter, more_rows, pid, rows, webhook,
)
from virtual_machine import machine

# A display in the guest: one new connection after another; for each the exit code of curl, the status and the seconds.
DISPLAY = (
    "while [ ! -e /run/asked-enough ]; do "
    "curl -s -o /dev/null --max-time 20 -w '%{exitcode} %{http_code} %{time_total}\\n' http://127.0.0.1:8000/snapshot >>/run/asked; done"
)
# Promised is a second. The guest is emulated: a start of the program alone takes it seconds.
LONGEST_SECONDS = 10


@story(seconds=480)
def reload():
    with machine() as guest, meter() as url, webhook() as hook:
        text = configuration(url, FAILING_SOURCE, alerts_to(hook.server_port))
        install(guest, text)
        wait_until(lambda: alerts(hook), START_SECONDS, lambda: f"the alert of the failing source: {guest.journal()}")
        a_bad_configuration_changes_nothing(guest, text)
        a_good_configuration_takes_over(guest, text)
        expect(len(alerts(hook)) == 1, "the alert that was open before is not sent again", alerts(hook))
        a_new_secret_needs_a_restart(guest, text)


def a_bad_configuration_changes_nothing(guest, text):
    before = pid(guest), guest.property("ActiveEnterTimestampMonotonic")
    guest.write(CONFIG, text + '[[sourse]]\nname = "x"\n')
    guest.root("systemctl reload main-node")
    wait_until(lambda: guest.status()["configuration"]["refused"], START_SECONDS, lambda: f"the refusal is in /status: {guest.journal()}")
    problems = guest.status()["configuration"]["refused"]["problems"]
    expect(any("sourse" in problem and CONFIG in problem for problem in problems), "/status has the problem, with file and line", problems)
    expect("sourse" in guest.journal() and "stays in use" in guest.journal(), "so has the journal", guest.journal())
    expect(is_active(guest) and (pid(guest), guest.property("ActiveEnterTimestampMonotonic")) == before, "the service runs on, as the same process")
    more_rows(guest, "rows are added as before")


def a_good_configuration_takes_over(guest, text):
    process, restarts, stored = pid(guest), guest.property("NRestarts"), rows(guest)
    guest.write(CONFIG, 'name = "renamed"\n' + text)
    guest.root("rm -f /run/asked /run/asked-enough; systemd-run --quiet --unit=display sh -c " + shlex.quote(DISPLAY))
    wait_until(lambda: int(guest.says("wc -l </run/asked || echo 0")) > 5, START_SECONDS, "a display asks")
    guest.root("systemctl reload main-node")
    wait_until(lambda: guest.status()["node"] == "renamed", START_SECONDS, lambda: f"the new configuration is in use: {guest.journal()}")
    more = int(guest.says("wc -l </run/asked")) + 5
    wait_until(lambda: int(guest.says("wc -l </run/asked")) > more, START_SECONDS, "the display goes on asking")
    guest.root("touch /run/asked-enough; systemctl stop display", check=False)
    asked = re.findall(r"^(\d+) (\d+) ([\d.]+)$", guest.says("cat /run/asked"), re.MULTILINE)
    refused = [line for line in asked if line[:2] != ("0", "200")]
    expect(not refused, f"none of {len(asked)} requests of a display was refused", refused)
    slowest = max(float(seconds) for _, _, seconds in asked)
    usual = sorted(float(seconds) for _, _, seconds in asked)[len(asked) // 2]
    expect(slowest < LONGEST_SECONDS, f"the slowest took {slowest:.2f} s in the emulated guest, a usual one {usual:.2f} s", slowest)
    expect(pid(guest) == process and guest.property("NRestarts") == restarts, "the same process, and no restart")
    expect(is_active(guest), "systemd calls it active", guest.property("ActiveState"))
    expect(guest.says(f"cat /proc/{process}/comm").strip() == "main-node", "the process keeps its name")
    expect(rows(guest) >= stored, "no row is lost", (stored, rows(guest)))
    more_rows(guest, "rows are added as before")


def a_new_secret_needs_a_restart(guest, text):
    header = 'headers = { Authorization = "Bearer ${METER_TOKEN}" }\n'
    guest.write(CONFIG, text.replace('\nevery = "1s"\n', f'\nevery = "1s"\n{header}', 1))
    guest.write("/etc/main-node/secrets.env", "METER_TOKEN=abc\n", mode=0o600)
    guest.root("systemctl reload main-node")
    wait_until(lambda: guest.status()["configuration"]["refused"], START_SECONDS, lambda: f"the refusal is in /status: {guest.journal()}")
    problems = guest.status()["configuration"]["refused"]["problems"]
    expect("METER_TOKEN" in problems[0] and "systemctl restart main-node" in problems[0], "a secret that was added since the start: it is said that a restart reads it", problems)
    expect("abc" not in guest.journal() + str(guest.status()), "the secret is not shown")
    guest.root("systemctl restart main-node")
    wait_until(lambda: guest.status()["configuration"]["refused"] is None, START_SECONDS, lambda: f"the restart loads it: {guest.journal()}")
    more_rows(guest, "after the restart rows are added as before")
