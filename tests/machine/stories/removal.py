"""Removal by install.sh: `--remove` keeps configuration and readings, `--purge` leaves nothing."""

from harness import expect, story
from node import CONFIG, DATABASE, UPLOADED, configuration, install, meter, rows
from virtual_machine import machine

DROP_IN = "/etc/systemd/system/main-node.service.d/own.conf"
# Everything of the machine that a program may write, without the archive and what the system writes by itself.
FILES = "find /etc /usr /var/lib /opt /run/systemd/system -xdev -path '*main-node*' | sort"


@story(seconds=600)
def removal():
    with machine() as guest, meter() as url:
        before = guest.says(FILES)
        install(guest, configuration(url))
        guest.write(DROP_IN, "[Service]\nEnvironment=A=b\n")
        guest.write("/etc/main-node/secrets.env", "METER_TOKEN=x\n", mode=0o600)
        guest.root("systemctl daemon-reload")
        stored = rows(guest)
        remove(guest, "--remove")
        left = guest.says(FILES).splitlines()
        for kept in (CONFIG, "/etc/main-node/secrets.env", DROP_IN, DATABASE):
            expect(kept in left, f"--remove keeps {kept}", left)
        unexpected = [path for path in left if not path.startswith(("/etc/main-node", "/var/lib/main-node", "/etc/systemd/system/main-node.service.d", "/etc/sysusers.d"))]
        expect(not unexpected, "and nothing else but the user", unexpected)
        is_gone(guest)

        code, out, err = guest.root(f"cd {UPLOADED} && ./install.sh", seconds=240, check=False)
        expect(code == 0 and rows(guest) >= stored, f"installed again it has its {stored} rows", out + err)
        remove(guest, "--purge")
        expect(guest.says(FILES) == before, "--purge leaves no file", guest.says(FILES))
        expect(guest.root("grep main-node /etc/passwd /etc/group", check=False)[0] == 1, "and no user")
        is_gone(guest)


def remove(guest, option):
    code, out, err = guest.run(f"sudo {UPLOADED}/install.sh {option}", check=False)
    expect(code == 0 and "main-node is removed" in out, f"sudo install.sh {option}: {' / '.join(out.split(chr(10)))}", out + err)


def is_gone(guest):
    expect(guest.says("systemctl show --property=LoadState --value main-node") == "not-found", "systemd has no such unit")
    expect(not guest.says("systemctl --failed --no-legend"), "nor a failed one", guest.says("systemctl --failed"))
    expect(guest.says("pgrep -c main-node", check=False) == "0", "no process is left")
