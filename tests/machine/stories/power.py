"""Reboot and power cut of the whole machine: rows up to the last commit, alerts kept, the service up without a person."""

from harness import expect, free_port, story, wait_until
from node import (
    DATABASE, FAILING_SOURCE, START_SECONDS, alerts, alerts_to, configuration, install, is_active, meter, more_rows, query, rows, webhook,
)
from virtual_machine import machine


@story(seconds=900)
def reboot_and_power_cut():
    # Nothing listens there until the power has been cut: the alert waits.
    port = free_port()
    with machine() as guest, meter() as url:
        install(guest, configuration(url, FAILING_SOURCE, alerts_to(port)))
        wait_until(lambda: waiting(guest) >= 1, START_SECONDS, lambda: f"an alert waits for its receiver: {guest.status()['channels']}")
        a_reboot_keeps_rows_and_alert(guest)
        a_power_cut_keeps_rows_and_alert(guest)
        with webhook(port) as hook:
            wait_until(lambda: alerts(hook), START_SECONDS, lambda: f"the alert from before the power cut is delivered: {guest.status()['channels']}")
            print("  ok    the alert from before the power cut is delivered", flush=True)
            wait_until(lambda: waiting(guest) == 0, START_SECONDS, "no alert waits")
            expect(alerts(hook) == ["trigger"], "once", alerts(hook))


def waiting(guest):
    return next(it for it in guest.status()["channels"] if it["name"] == "hook")["waiting"]


def a_reboot_keeps_rows_and_alert(guest):
    before = rows(guest)
    guest.reboot()
    is_back(guest, before, "a reboot")


def a_power_cut_keeps_rows_and_alert(guest):
    before = rows(guest)
    guest.power_off()
    guest.start()
    guest.wait_for_boot()
    is_back(guest, before, "a power cut")


def is_back(guest, before, what):
    wait_until(lambda: is_active(guest), START_SECONDS, lambda: f"the service is active: {guest.journal()}")
    expect(int(guest.property("NRestarts")) == 0, f"after {what} the service is active, at the first start")
    expect(rows(guest) >= before, f"the {before} rows committed before it are there", rows(guest))
    expect(guest.says(query("PRAGMA integrity_check")) == "ok", "the database is sound")
    expect(guest.says(f"ls $(dirname {DATABASE})").count("main-node.db.") == 0, "it was not quarantined", guest.says(f"ls $(dirname {DATABASE})"))
    expect(waiting(guest) >= 1, "the alert waits", guest.status()["channels"])
    # As systemd-timesyncd does some seconds after a start: until then readings wait.
    guest.set_clock()
    more_rows(guest, "rows are added")
