"""Docker and compose with the image of `make images`: docs/compose.yaml as its reader copies it, another user, a volume of root."""

import json

from harness import ROOT, expect, story, wait_until
from node import meter
from program import image
from virtual_machine import machine

DIRECTORY = "/root/container"
# Emulated, starting a container took a minute.
CONTAINER_SECONDS = 300
# The lines of compose.yaml that a secret needs are there as comments.
WITH_SECRET = r"""sed -i 's/^\( *\)#\(METER_TOKEN_FILE\)/\1\2/; s/^\( *\)#\(secrets:\)/\1\2/; s/^#\(  meter_token:\)/\1/; s/^#\(    file:\)/\1/' compose.yaml"""

# No server synchronises the guest's clock, whose kernel would say so in the container: the marker does.
SYNCHRONIZED = """services:
  main-node:
    volumes: ["/run/systemd/timesync:/run/systemd/timesync:ro"]
"""


@story(seconds=1500)
def container():
    with machine() as guest, meter() as url:
        guest.copy(image(), f"{DIRECTORY}/image.tar")
        guest.copy(ROOT / "docs/compose.yaml", f"{DIRECTORY}/compose.yaml")
        guest.write(f"{DIRECTORY}/compose.override.yaml", SYNCHRONIZED)
        guest.write(f"{DIRECTORY}/meter_token", "k-4711\n")
        guest.write(f"{DIRECTORY}/main-node.toml", f'commit_every = "1s"\n[[source]]\nname = "meter"\nurl = "{url}?key=${{METER_TOKEN}}"\nevery = "1s"\n')
        in_guest(guest, "systemctl start docker && docker load -i image.tar")
        the_image_says_what_it_is(guest)
        compose_starts_a_healthy_node_without_rights(guest)
        stopping_and_starting_keeps_the_data(guest)
        another_user_has_files_of_its_own(guest)
        a_volume_of_root_is_named(guest)


def in_guest(guest, command, check=True):
    return guest.root(f"cd {DIRECTORY} && {command}", seconds=CONTAINER_SECONDS, check=check)


def says(guest, command):
    return in_guest(guest, command)[1].strip()


def the_image_says_what_it_is(guest):
    config = json.loads(says(guest, "docker image inspect -f '{{json .Config}}' main-node"))
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    expect(labels["title"] == "main-node" and labels["version"] in says(guest, "docker run --rm main-node --version"), "`docker load` takes the image; its label has the version of the program", labels)
    expect(config["User"] == "65532:65532" and "/data" in config["Volumes"], "it has a user without rights, and a volume", config)


def compose_starts_a_healthy_node_without_rights(guest):
    in_guest(guest, WITH_SECRET)
    code, out, err = in_guest(guest, "docker compose up --detach", check=False)
    expect(code == 0, "docs/compose.yaml with a secret starts", out + err)
    wait_until(lambda: health(guest) == "healthy", CONTAINER_SECONDS, lambda: f"Docker calls it healthy: {logs(guest)}", poll_every=2)
    host = json.loads(says(guest, f"docker inspect -f '{{{{json .HostConfig}}}}' {id_of(guest)}"))
    expect(host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["Memory"] == 64 << 20, "healthy with a root that cannot be written to, no capabilities and 64 MB", host)
    wait_until(lambda: rows(guest) > 0, CONTAINER_SECONDS, lambda: f"it fetches with the secret and stores: {logs(guest)}", poll_every=2)
    expect("Europe/Berlin" in says(guest, "curl -s http://127.0.0.1:8000/web/alerts"), "its pages have the time zone of TZ")
    modes = says(guest, rf"find {volume(guest)} -type f -printf '%U %m\n'").splitlines()
    expect(set(modes) == {"65532 600"}, "its files are its user's alone", modes)


def stopping_and_starting_keeps_the_data(guest):
    in_guest(guest, "docker compose stop")
    state = json.loads(says(guest, f"docker inspect -f '{{{{json .State}}}}' {id_of(guest)}"))
    expect(state["ExitCode"] == 0 and not state["OOMKilled"], "`docker compose stop` is a clean end", state)
    before = rows(guest)
    in_guest(guest, "docker compose down && docker compose up --detach")
    wait_until(lambda: rows(guest) > before, CONTAINER_SECONDS, lambda: f"a new container continues the database: {logs(guest)}", poll_every=2)
    in_guest(guest, f"docker kill --signal HUP {id_of(guest)}")
    wait_until(lambda: "received SIGHUP" in logs(guest), CONTAINER_SECONDS, lambda: f"SIGHUP stops it: {logs(guest)}", poll_every=2)
    in_guest(guest, "docker compose down")
    print("  ok    `down`, `up` and SIGHUP keep the data", flush=True)


def another_user_has_files_of_its_own(guest):
    options = "--read-only --cap-drop ALL --security-opt no-new-privileges -e METER_TOKEN=k -v ./main-node.toml:/etc/main-node/main-node.toml:ro"
    in_guest(guest, f"mkdir own && chown 1000:1000 own && docker run --detach --name own --user 1000:1000 {options} -v ./own:/data main-node")
    wait_until(lambda: "main-node.db" in says(guest, "ls own").split(), CONTAINER_SECONDS, "with --user 1000 it stores in a directory of that user", poll_every=2)
    owners = set(says(guest, r"find own -type f -printf '%U\n'").splitlines())
    expect(owners == {"1000"}, "with --user 1000 the files in a directory of that user are that user's", owners)
    in_guest(guest, "docker rm --force own")


def a_volume_of_root_is_named(guest):
    in_guest(guest, "mkdir closed && docker run --detach --name closed -e METER_TOKEN=k -v ./closed:/data -v ./main-node.toml:/etc/main-node/main-node.toml:ro main-node")
    said = lambda: says(guest, "docker logs closed 2>&1")  # noqa: E731
    wait_until(lambda: "chown -R 65532 /data" in said(), CONTAINER_SECONDS, lambda: f"a directory of root is named with the command: {said()}", poll_every=2)
    print("  ok    a directory of root is named with the command that gives it away", flush=True)
    in_guest(guest, "docker rm --force closed")


def id_of(guest):
    return says(guest, "docker compose ps --all --quiet main-node")


def health(guest):
    return says(guest, f"docker inspect -f '{{{{.State.Health.Status}}}}' {id_of(guest)}")


def logs(guest):
    return says(guest, "docker compose logs --tail 40 2>&1")


def volume(guest):
    return says(guest, "docker volume inspect -f '{{.Mountpoint}}' container_main-node")


def rows(guest):
    return int(says(guest, f"sqlite3 -readonly -cmd '.timeout 20000' {volume(guest)}/main-node.db 'SELECT count(*) FROM records'") or 0)
