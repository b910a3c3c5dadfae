"""main-node in the guest: its configuration, its installation by install.sh, and what it has stored."""

import contextlib
import itertools
import json
import shlex

from fakes.servers import json_server
from fakes.vendors import Answer, vendor_server
from harness import expect, wait_until
from program import archive
from virtual_machine import HOST

CONFIG = "/etc/main-node/main-node.toml"
DATABASE = "/var/lib/main-node/main-node.db"
UPLOADED = "/root/archive"
# Emulated and beside other work, a start with its first fetch took up to 30 s.
START_SECONDS = 120


@contextlib.contextmanager
def meter():
    """A device on this machine whose reading is another one at each request; gives its URL in the guest."""
    readings = itertools.count(1)
    with json_server(lambda path: {"watts": next(readings)}) as port:
        yield f"http://{HOST}:{port}/"


@contextlib.contextmanager
def webhook(port=0):
    """A receiver of alerts; gives it, with its requests in `seen`."""
    with vendor_server(lambda request: Answer(b"ok"), port=port) as server:
        yield server


def configuration(url, *tables):
    """Fetches `url` each second as the source `meter`, stores at once."""
    return "\n".join([
        'listen = ["0.0.0.0:8000", "[::]:8000"]', 'commit_every = "1s"', "",
        "[[source]]", 'name = "meter"', f'url = "{url}"', 'every = "1s"', "", *tables,
    ])


# Nothing listens at port 9.
FAILING_SOURCE = '[[source]]\nname = "dead"\nurl = "http://127.0.0.1:9/"\nevery = "2s"\n'
NO_SUCCESS_SECONDS = 10


def alerts_to(port):
    """Sends alerts to the `webhook` at this port."""
    return f'[alert]\nno_success_for = "{NO_SUCCESS_SECONDS}s"\n[[alert.webhook]]\nname = "hook"\nurl = "http://{HOST}:{port}/"\n'


def install(guest, text, directory=UPLOADED):
    """Installs the archive with this configuration, and waits for the first stored rows."""
    guest.write(CONFIG, text)
    guest.copy(archive(), directory)
    code, out, err = guest.root(f"cd {shlex.quote(directory)} && ./install.sh", seconds=240, check=False)
    expect(code == 0 and "deployed: build" in out, "install.sh of the archive installs a healthy node", out + err)
    wait_until(lambda: rows(guest) > 0, START_SECONDS, lambda: f"it stores rows: {guest.journal()}")


def rows(guest):
    """How many rows of the meter are in the database: what the service has committed."""
    return int(guest.says(query("SELECT count(*) FROM records WHERE key = 'watts'")) or 0)


def query(sql):
    """The command that reads the database beside the running service."""
    return f"sqlite3 -readonly -cmd '.timeout 20000' {DATABASE} {shlex.quote(sql)}"


def more_rows(guest, description):
    """Expects that rows are added from now on."""
    before = rows(guest)
    wait_until(lambda: rows(guest) > before, START_SECONDS, lambda: f"{description}: {guest.journal()}", poll_every=0.5)
    print(f"  ok    {description}", flush=True)


def is_active(guest):
    return guest.property("ActiveState") == "active"


def pid(guest):
    return int(guest.property("MainPID"))


def seconds_active(guest):
    """For how long the service has been ready."""
    said = guest.says("cut -d' ' -f1 /proc/uptime; systemctl show --property=ActiveEnterTimestampMonotonic --value main-node")
    uptime, since = map(float, said.split())
    return uptime - since / 1e6


def wait_for_new_process(guest, old, seconds, description):
    """Until another process of the service has started and is ready; gives its process number."""
    wait_until(
        lambda: is_active(guest) and pid(guest) not in (0, old), seconds, lambda: f"{description}: {guest.journal()}", poll_every=0.5
    )
    print(f"  ok    {description}", flush=True)
    return pid(guest)


def alerts(server):
    """The alerts about the source `dead` that a webhook received: what happened. An emulated machine may be so
    slow that there are alerts about the meter too."""
    events = [event for request in server.seen for event in json.loads(request.body)["events"]]
    return [event["kind"] for event in events if "dead" in event["alert"]]
