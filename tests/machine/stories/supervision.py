"""Supervision by systemd: restart after a kill and after a hang, no restart of a configuration error, a port in use."""

import time

from harness import expect, story, wait_until
from node import (
    CONFIG, FAILING_SOURCE, NO_SUCCESS_SECONDS, START_SECONDS, alerts, alerts_to, configuration, install, is_active, meter, more_rows, pid,
    rows, seconds_active, wait_for_new_process, webhook,
)
from virtual_machine import machine

# WatchdogSec= of the unit, and what an emulated machine adds to it.
WATCHDOG_SECONDS, SLACK_SECONDS = 60, 40


@story(seconds=600)
def supervision():
    with machine() as guest, meter() as url, webhook() as hook:
        text = configuration(url, FAILING_SOURCE, alerts_to(hook.server_port))
        install(guest, text)
        wait_until(lambda: alerts(hook), START_SECONDS, lambda: f"the alert of the failing source: {guest.journal()}")
        a_killed_service_is_restarted(guest, hook)
        a_hanging_service_is_restarted(guest)
        alerts_are_not_repeated(guest, hook)
        a_configuration_error_is_not_restarted(guest, text)
        a_port_in_use_is_tried_again(guest)


def a_killed_service_is_restarted(guest, hook):
    before, stored = pid(guest), rows(guest)
    guest.root("systemctl kill --signal=KILL main-node")
    wait_for_new_process(guest, before, START_SECONDS, "killed with SIGKILL: systemd starts it again")
    expect(rows(guest) >= stored, "no committed row is lost", rows(guest))
    more_rows(guest, "rows are added as before")
    alerts_are_not_repeated(guest, hook)


def alerts_are_not_repeated(guest, hook):
    wait_until(lambda: seconds_active(guest) > 2 * NO_SUCCESS_SECONDS, START_SECONDS, "it runs for longer than `no_success_for`", poll_every=1)
    expect(alerts(hook) == ["trigger"], "the alert of the failing source was sent once", alerts(hook))


def a_hanging_service_is_restarted(guest):
    before, restarts = pid(guest), int(guest.property("NRestarts"))
    start = time.monotonic()
    guest.root(f"kill -STOP {before}")
    wait_for_new_process(guest, before, WATCHDOG_SECONDS + SLACK_SECONDS, "stopped with SIGSTOP: the watchdog ends it, systemd starts it again")
    seconds = time.monotonic() - start
    print(f"  ok    after {seconds:.0f} s, with WatchdogSec={guest.property('WatchdogUSec')}", flush=True)
    expect(int(guest.property("NRestarts")) == restarts + 1, "as one restart")
    expect("atchdog timeout" in guest.journal(), "the journal says that it was the watchdog", guest.journal())
    more_rows(guest, "rows are added as before")


def a_configuration_error_is_not_restarted(guest, good):
    guest.write(CONFIG, good + 'evrey = "5s"\n')
    guest.root("systemctl restart main-node", check=False)
    wait_until(lambda: guest.property("ActiveState") == "failed", START_SECONDS, lambda: f"the service fails: {guest.journal()}")
    expect(guest.property("ExecMainStatus") == "2", "a configuration error: exit status 2", guest.journal())
    line = good.count("\n") + 1
    said = guest.journal()
    expect("evrey" in said and f"{CONFIG}:{line}" in said, "the journal names the option, the file and the line", said)
    # Longer than RestartSec=2s.
    guest.root("sleep 6")
    expect(guest.property("ActiveState") == "failed" and guest.property("NRestarts") == "0", "it is not restarted", guest.property("NRestarts"))
    guest.write(CONFIG, good)
    guest.root("systemctl start main-node")
    more_rows(guest, "with the configuration mended it starts and stores")


def a_port_in_use_is_tried_again(guest):
    guest.root("systemctl stop main-node && systemd-run --quiet --unit=holder systemd-socket-activate --listen=8000 /bin/true")
    guest.root("systemctl start --no-block main-node")
    wait_until(lambda: "8000" in guest.journal(lines=5) and "in use" in guest.journal(lines=5), START_SECONDS, lambda: f"the journal says that the port is in use: {guest.journal()}")
    print("  ok    a port in use: the journal says so", flush=True)
    expect(not is_active(guest) and guest.property("ActiveState") != "failed", "it is tried again", guest.property("ActiveState"))
    guest.root("systemctl stop holder")
    wait_until(lambda: is_active(guest), START_SECONDS, lambda: f"it starts when the port is free: {guest.journal()}")
    more_rows(guest, "when the port is free, it starts and stores")
