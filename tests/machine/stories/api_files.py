"""OpenAPI files that the service reads itself, within MemoryMax= of its unit and as its own user: a file of just
under 2 MB, larger ones by the lowered form that `sudo main-node check` writes, and one in root's home."""

import openapi_files as openapi
from fakes.servers import json_server
from harness import expect, story, wait_until, work_dir
from node import CONFIG, DATABASE, START_SECONDS, configuration, install, is_active, meter, more_rows, pid
from virtual_machine import HOST, machine

# Of the file on this machine and in the guest; bytes.
FILES = {"usual": 1_000_000, "nearly_2_mb": 1_990_000, "above_2_mb": 2_100_000, "above_13_mb": 13_000_000}
LARGE = ["above_2_mb", "above_13_mb"]
LOWER_SECONDS = 600


@story(seconds=1200)
def api_files():
    directory = work_dir("machine-api-files")
    with machine() as guest, meter() as url, json_server(lambda path: openapi.READING) as port:
        for name, size in FILES.items():
            file = directory / f"{name}.yaml"
            file.write_text(openapi.of_size(size, openapi.as_yaml if size < 5_000_000 else openapi.as_json))
            guest.copy(file, f"/etc/main-node/{name}.yaml")
        text = configuration(url, *(table(name, port) for name in FILES))
        install(guest, text)
        the_service_stays_within_its_memory(guest)
        check_by_root_lowers_large_files(guest)
        a_file_in_a_home_directory_is_named(guest, text)


def table(name, port, file=None):
    api = openapi.api(name, file or f"{name}.yaml")
    return api + openapi.source(name, "getMeter00100", port, f'api = "{name}"\n').replace("127.0.0.1", HOST)


def source(guest, name):
    return next(it for it in guest.status()["sources"] if it["name"] == name)


def the_service_stays_within_its_memory(guest):
    before = pid(guest)
    for name in FILES:
        if name in LARGE:
            wait_until(lambda: source(guest, name)["last_failure"], START_SECONDS, lambda: f"{name} is refused: {guest.journal()}")  # noqa: B023
            failure = source(guest, name)["last_failure"]
            expect(failure["cause"] == "configuration" and "main-node check" in failure["detail"], f"{name}: refused alone, with the command", failure)
    wait_until(lambda: source(guest, "usual")["state"] == "up", START_SECONDS, lambda: f"a file of 1 MB is read: {guest.status()}")
    guest.root("systemctl restart main-node")
    wait_until(lambda: is_active(guest) and pid(guest) not in (0, before), START_SECONDS, lambda: f"it starts: {guest.journal()}")
    more_rows(guest, "beside them the other source is stored")
    expect_no_kill(guest)


def expect_no_kill(guest):
    said = guest.says("journalctl --unit main-node --no-pager; journalctl --dmesg --no-pager")
    expect("oom-kill" not in said and "Killed process" not in said, "the kernel kills nothing", said[-2000:])
    expect(guest.property("NRestarts") == "0", "systemd restarts nothing", guest.property("NRestarts"))
    print(f"        peak {guest.property('MemoryPeak')} bytes of {guest.property('MemoryMax')}", flush=True)


def check_by_root_lowers_large_files(guest):
    said = guest.says("main-node check; true", seconds=LOWER_SECONDS)
    for name in LARGE:
        lowered = DATABASE.replace(".db", f".api-{name}.jsonl")
        owner = guest.says(f"stat -c %U {lowered}").strip()
        expect(owner == "main-node", f"`main-node check` by root lowers {name}, for the service's user", (owner, said))
    guest.root("systemctl reload main-node")
    for name in LARGE:
        wait_until(lambda: source(guest, name)["state"] == "up", START_SECONDS, lambda: f"{name}: {guest.journal()}")  # noqa: B023
        print(f"  ok    after a reload {name} is fetched", flush=True)
    more_rows(guest, "and the other source is stored as before")
    expect_no_kill(guest)


def a_file_in_a_home_directory_is_named(guest, text):
    """ProtectHome= of the unit hides it, whoever may read it."""
    guest.root("cp /etc/main-node/usual.yaml /root/ && install -o pi -m 644 /root/usual.yaml /home/pi/")
    for file in ("/root/usual.yaml", "/home/pi/usual.yaml"):
        guest.write(CONFIG, text.replace('file = "usual.yaml"', f'file = "{file}"'))
        code, out, err = guest.root("main-node check", check=False, seconds=LOWER_SECONDS)
        expect(code != 0 and file in out + err, f"`main-node check` says that the service cannot read {file}", out + err)
        guest.root("systemctl reload main-node")
        wait_until(lambda: guest.status()["configuration"]["refused"], START_SECONDS, lambda: f"the reload is refused: {guest.journal()}")
        more_rows(guest, "the service runs on with the file that it had read")
        guest.write(CONFIG, text)
        guest.root("systemctl reload main-node")
        wait_until(lambda: guest.status()["configuration"]["refused"] is None, START_SECONDS, lambda: f"it is mended: {guest.journal()}")
