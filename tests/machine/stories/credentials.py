"""Secrets by systemd credentials: `LoadCredential` for a `${NAME}` of the configuration."""

import contextlib

from fakes.vendors import Answer, vendor_server
from harness import expect, story, wait_until
from node import CONFIG, START_SECONDS, UPLOADED, more_rows, pid, rows
from program import archive
from virtual_machine import HOST, machine

SECRET, CHANGED = "s3cret-of-the-meter", "an0ther-secret"
DROP_IN = "/etc/systemd/system/main-node.service.d/secrets.conf"
FILE = "/etc/main-node/meter_token"


@contextlib.contextmanager
def meter_with_token(accepted):
    """A device that wants one of the bearer tokens in `accepted`."""

    def respond(request):
        if request.headers.get("authorization") not in [f"Bearer {token}" for token in accepted]:
            return Answer({"error": "who are you?"}, status=401)
        return Answer({"watts": len(server.seen)})

    with vendor_server(respond) as server:
        yield server


@story(seconds=600)
def credentials():
    accepted = [SECRET]
    with machine() as guest, meter_with_token(accepted) as server:
        guest.copy(archive(), UPLOADED)
        a_missing_secret_is_named(guest, server)
        a_credential_is_the_secret(guest)
        commands_have_it_too(guest)
        a_changed_credential_needs_a_restart(guest, accepted)
        other_names(guest, server)


def configure(guest, server, name):
    guest.write(CONFIG, (
        f'listen = ["0.0.0.0:8000"]\ncommit_every = "1s"\n[[source]]\nname = "meter"\nurl = "http://{HOST}:{server.server_port}/"\nevery = "1s"\n'
        f'headers = {{ Authorization = "Bearer ${{{name}}}" }}\n'
    ))


def load_credential(guest, name):
    guest.write(DROP_IN, f"[Service]\nLoadCredential={name}:{FILE}\n")
    guest.root("systemctl daemon-reload")


def a_missing_secret_is_named(guest, server):
    configure(guest, server, "METER_TOKEN")
    code, out, err = guest.root(f"cd {UPLOADED} && ./install.sh", seconds=240, check=False)
    said = out + err
    expect(code != 0 and "METER_TOKEN" in said and f"{CONFIG}:7" in said, "without the secret nothing is switched; variable, file and line are named", said)


def a_credential_is_the_secret(guest):
    guest.write(FILE, f"{SECRET}\n", mode=0o600)
    load_credential(guest, "meter_token")
    code, out, err = guest.root(f"cd {UPLOADED} && ./install.sh", seconds=240, check=False)
    expect(code == 0, "with LoadCredential=meter_token in a drop-in it is installed", out + err)
    wait_until(lambda: rows(guest) > 0, START_SECONDS, lambda: f"the device accepts the secret: {guest.status()['sources']}")
    expect(f"{guest.says(f'stat -c %U:%a {FILE}')}" == "root:600", "from a file that only root can read")
    shown = guest.says(f"tr '\\0' '\\n' </proc/{pid(guest)}/environ; journalctl --unit main-node --no-pager") + guest.get("/status").text
    expect(SECRET not in shown, "the environment of the process, the journal and /status do not have it")


def commands_have_it_too(guest):
    for command in ("check", "once"):
        code, out, err = guest.run(f"sudo main-node {command}", check=False)
        expect(code == 0 and SECRET not in out + err, f"sudo main-node {command} has it too, and does not print it", out + err)


def a_changed_credential_needs_a_restart(guest, accepted):
    accepted[:] = [CHANGED]
    guest.write(FILE, f"{CHANGED}\n", mode=0o600)
    guest.root("systemctl restart main-node")
    more_rows(guest, "after a restart the changed secret is sent")


def other_names(guest, server):
    for variable, credential in (("METER_TOKEN", "METER_TOKEN"), ("METER_TOKEN", "meter-token")):
        configure(guest, server, variable)
        load_credential(guest, credential)
        guest.root("systemctl restart main-node", check=False)
        more_rows(guest, f"${{{variable}}} is the credential {credential}")
