"""A machine without a clock: started in 1970, without a time server, then synchronised by systemd-timesyncd."""

import datetime
import time

from harness import expect, story, wait_until
from node import START_SECONDS, configuration, install, meter, query
from servers import time_server
from virtual_machine import HOST, machine


@story(seconds=600)
def clock_unsynchronised():
    with machine() as guest, meter() as url:
        install(guest, configuration(url))
        # systemd-timesyncd sets the clock to the time of this file, if that is later than the hardware's.
        guest.root("systemctl stop systemd-timesyncd; systemctl mask --now systemd-timesyncd; rm -rf /var/lib/systemd/timesync; sync")
        guest.power_off()
        begin = time.monotonic()
        guest.start("-rtc", "base=1970-01-01T00:00:00")
        guest.wait_for_boot()
        before = newest(guest)
        readings_wait_for_the_clock(guest, before)
        readings_are_stored_when_it_is_synchronised(guest, before, begin)


def newest(guest):
    return int(guest.says(query("SELECT max(id) FROM records")))


def readings_wait_for_the_clock(guest, before):
    wrong = float(guest.says("date +%s"))
    expect(wrong < time.time() - 86400, f"the clock of the machine is wrong: {guest.says('date -uIs')}")
    wait_until(lambda: guest.status()["storage"]["rows_waiting"] >= 5, START_SECONDS, lambda: f"readings wait: {guest.status()['storage']}")
    status = guest.status()
    expect(status["clock"] == {"state": "untrusted", "trusted_by": None}, "/status says that the clock is not trusted", status["clock"])
    record = guest.get("/snapshot").json["records"][0]
    expect(record["value"] is not None and not record.get("stale"), "the reading is published at once, and is fresh", record)
    expect(newest(guest) == before, "none is stored", (before, newest(guest)))


def readings_are_stored_when_it_is_synchronised(guest, before, begin):
    waiting = guest.status()["storage"]["rows_waiting"]
    with time_server() as port:
        guest.root(f"iptables -t nat -A OUTPUT -p udp -d {HOST} --dport 123 -j DNAT --to-destination {HOST}:{port}")
        guest.write("/etc/systemd/timesyncd.conf.d/test.conf", f"[Time]\nNTP={HOST}\nFallbackNTP=\n")
        guest.root("systemctl unmask systemd-timesyncd; systemctl start systemd-timesyncd")
        synchronised = lambda: guest.says("timedatectl show --property=NTPSynchronized --value") == "yes"  # noqa: E731
        wait_until(synchronised, START_SECONDS, lambda: f"systemd-timesyncd synchronises: {guest.journal('systemd-timesyncd')}")
        expect(abs(float(guest.says("date +%s")) - time.time()) < 30, "systemd-timesyncd has set the clock", guest.says("date"))
    wait_until(lambda: guest.status()["clock"]["state"] == "trusted", START_SECONDS, lambda: f"the clock is trusted: {guest.status()['clock']}")
    print(f"  ok    the clock is trusted by {guest.status()['clock']['trusted_by']}", flush=True)
    stored = lambda: int(guest.says(query(f"SELECT count(*) FROM records WHERE id > {before}")))  # noqa: E731
    wait_until(lambda: stored() >= waiting, START_SECONDS, lambda: f"the {waiting} readings that waited are stored: {guest.status()['storage']}")
    print(f"  ok    the {waiting} readings that waited are stored", flush=True)
    first, last = guest.says(query(f"SELECT min(timestamp), max(timestamp) FROM records WHERE id > {before}")).split("|")
    earliest = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=time.monotonic() - begin + 5)
    expect(datetime.datetime.fromisoformat(first) > earliest, f"with the time at which they were received: {first} to {last}", str(earliest))
