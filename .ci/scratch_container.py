"""A container of an image without a container runtime: namespaces, a read-only root, no rights.

Run as a program it becomes process 1 of the container (root only, under `unshare`). `check`
plays what people do with the image; .ci/cross does so for each target, under its emulator.
The network is the machine's own.
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import sys
import tempfile

import container_image

ROOT = container_image.ROOT
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from fakes.servers import json_server  # noqa: E402
from harness import Process, expect, free_port, get, not_checked, run, wait_until  # noqa: E402

CONFIGURATION = "/etc/main-node/main-node.toml"
SECRET = "/run/secrets/meter_token"
# By its presence the clock counts as synchronised; on a Pi the kernel says so, in containers too.
CLOCK_MARKER = "/run/systemd/timesync/synchronized"
USER = container_image.USER_ID
# From <sys/mount.h>, <sys/prctl.h> and <linux/capability.h>.
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = 64


# ---- The container ---------------------------------------------------------------------------


class Container:
    """What `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` makes."""

    def __init__(self, image, directory, emulator=()):
        self.root, self.config = directory / "root", image.configuration["config"]
        self.root.mkdir()
        container_image.unpack(image, self.root)
        # What every runtime adds, and where nothing can be made later.
        for path in ("proc", "dev", "etc", "run/secrets"):
            (self.root / path).mkdir(parents=True)
        self.emulator = []
        if emulator:
            shutil.copy2(emulator[0], self.root / "emulator")
            self.emulator = ["/emulator", *emulator[1:]]

    def command(self, *arguments, mounts, environment=None, user=USER):
        """`mounts` are (file or directory here, path in the container, "ro" or "rw")."""
        for source, target, _ in mounts:
            place = self.root / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.mkdir() if pathlib.Path(source).is_dir() else place.touch()
        variables = dict(variable.split("=", 1) for variable in self.config["Env"])
        description = {
            "root": str(self.root),
            "mounts": [[str(source), target, mode] for source, target, mode in mounts],
            "environment": {**variables, **(environment or {})},
            "directory": self.config["WorkingDir"],
            "user": user,
            "command": [*map(str, self.emulator), *self.config["Entrypoint"], *arguments],
        }
        return ["unshare", "--mount", "--pid", "--kill-child", sys.executable, __file__, json.dumps(description)]


class RunningContainer(Process):
    """Signals go to process 1 of the container, as from `docker stop` and `docker kill`."""

    def signal(self, number):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        os.kill(int(children[0]), number)


def become_process_1(description):
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source, target, kind, flags):
        if libc.mount(source.encode(), target.encode(), kind, flags, None) != 0:
            sys.exit(f"{source} cannot be mounted at {target}: {os.strerror(ctypes.get_errno())}")

    root = description["root"]
    mount(root, root, None, MS_BIND)
    for source, target, mode in description["mounts"]:
        mount(source, root + target, None, MS_BIND)
        if mode == "ro":
            mount("none", root + target, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    mount("proc", f"{root}/proc", b"proc", 0)
    mount("tmpfs", f"{root}/dev", b"tmpfs", 0)
    os.mkdir(f"{root}/dev/shm")
    os.chmod(f"{root}/dev/shm", 0o1777)
    mount("none", root, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    os.chroot(root)
    os.chdir(description["directory"])
    os.umask(0o022)
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(description["user"])
    os.setuid(description["user"])
    command = description["command"]
    os.execve(command[0], command, description["environment"])


# ---- What people do with it --------------------------------------------------------------------


def check(image, emulator, expect_stopped):
    """Plays it; `expect_stopped(process, code, text)` judges how a stopped process ended."""
    if os.geteuid() != 0:
        return not_checked("the container image: a root directory of its own needs root")
    # Where everybody may look, unlike the directory of a developer.
    with tempfile.TemporaryDirectory(prefix="main-node-container-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        container = Container(image, directory, emulator)
        code, out, err = run(["unshare", "--mount", "--pid", "--kill-child", "true"], 10)
        if code != 0:
            return not_checked(f"the container image: this machine has no namespaces to give: {err.strip()}")
        paths = []

        def respond(path):
            paths.append(path)
            return {"watts": len(paths)}

        with json_server(respond) as port:
            play = Play(container, directory, port, paths, expect_stopped)
            play.serves_with_time_zone_and_secret_file()
            play.keeps_its_data_after_a_hang_up()
            play.runs_as_the_user_that_is_asked_for()
            play.says_whose_an_unwritable_volume_is()
            play.explains_a_directory_instead_of_the_configuration()


class Play:
    def __init__(self, container, directory, port, paths, expect_stopped):
        self.container, self.directory, self.paths = container, directory, paths
        self.expect_stopped = expect_stopped
        self.address = f"127.0.0.1:{free_port()}"
        self.configuration = directory / "main-node.toml"
        self.configuration.write_text(
            f'listen = "{self.address}"\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{port}/?key=${{METER_TOKEN}}"\nevery = "1s"\n'
        )
        self.secret = directory / "meter_token"
        self.secret.write_text("k-4711\n")
        self.volume = self.new_volume("volume")
        self.environment = {"TZ": "Pacific/Auckland", "METER_TOKEN_FILE": SECRET}

    def new_volume(self, name, owner=USER, mode=0o1777):
        """Docker gives a new volume the owner and mode of the image's directory."""
        volume = self.directory / name
        volume.mkdir()
        volume.chmod(mode)
        os.chown(volume, owner, owner)
        return volume

    def command(self, *arguments, volume=None, configuration=None, user=USER):
        mounts = [
            (volume or self.volume, "/data", "rw"),
            (configuration or self.configuration, CONFIGURATION, "ro"),
            (self.secret, SECRET, "ro"),
            (self.secret, CLOCK_MARKER, "ro"),
        ]
        return self.container.command(*arguments, mounts=mounts, environment=self.environment, user=user)

    def serve(self, **options):
        node = RunningContainer(self.command(**options), self.directory / "log", cwd=self.directory)
        wait_until(lambda: get(self.address, "/status").status == 200, 60, lambda: f"it serves: {node.output()}")
        return node

    def rows(self):
        with sqlite3.connect(f"file:{self.volume}/main-node.db?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM records").fetchone()[0]

    def serves_with_time_zone_and_secret_file(self):
        node = self.serve()
        wait_until(lambda: get(self.address, "/snapshot").status == 200, 60, lambda: f"it fetches: {node.output()}")
        expect("/?key=k-4711" in self.paths, "in a root that cannot be written to it fetches with the secret of a file", self.paths[:2])
        page = get(self.address, "/web/alerts").text
        expect("Pacific/Auckland" in page, "its pages have the time zone of TZ, though the image has no zoneinfo", page)
        code, out, err = run(self.command("healthcheck"), 60)
        expect(code == 0 and "200" in out, "the image's health check passes", out + err)
        expect(self.container.config["Healthcheck"]["Test"] == ["CMD", "/main-node", "healthcheck"], "and is the one that the image names")
        code, _ = node.stop(10)
        self.expect_stopped(node, code, "`docker stop` ends process 1 with 0")
        code, out, err = run(self.command("healthcheck"), 60)
        expect(code == 1, "whereupon the health check fails", out + err)
        expect(self.rows() > 0, f"the volume has what it stored: {self.rows()} rows")
        for file in self.volume.iterdir():
            status = file.stat()
            expect(
                status.st_uid == USER and status.st_mode & 0o077 == 0,
                f"{file.name} is its user's alone: {status.st_uid} {status.st_mode & 0o777:o}",
            )

    def keeps_its_data_after_a_hang_up(self):
        before, asked = self.rows(), len(self.paths)
        node = self.serve()
        # With the second request the first one has been answered and read.
        wait_until(lambda: len(self.paths) > asked + 1, 60, lambda: f"it fetches: {node.output()}")
        node.signal(signal.SIGHUP)
        self.expect_stopped(node, node.wait(10), "`docker kill -s HUP` is a clean stop as well")
        expect(self.rows() > before, f"the next container continues the database: {self.rows()} rows")

    def runs_as_the_user_that_is_asked_for(self):
        volume = self.new_volume("volume-of-another-user")
        node = self.serve(volume=volume, user=12345)
        wait_until(lambda: (volume / "main-node.db").exists(), 30, lambda: f"with --user it stores: {node.output()}")
        node.stop(10)
        owners = {file.stat().st_uid for file in volume.iterdir()}
        expect(owners == {12345}, "with --user 12345 a new volume can be used, and its files belong to 12345", owners)

    def says_whose_an_unwritable_volume_is(self):
        node = self.serve(volume=self.new_volume("volume-of-root", owner=0, mode=0o755))
        wait_until(
            lambda: "belongs to user 0 (mode 755); change its owner with `chown -R 65532 /data`" in node.output(), 30,
            lambda: f"a volume of root is named with the command that gives it away: {node.output()}",
        )
        status = get(self.address, "/status").json
        expect("chown -R 65532 /data" in json.dumps(status), "a volume of root is named in the log and on /status, with the command that gives it away", status)
        code, seconds = node.stop(10)
        expect(code is not None, f"and the node, which lost what it could not store, stops in time: {seconds:.1f} s")

    def explains_a_directory_instead_of_the_configuration(self):
        made = self.directory / "made-by-docker"
        made.mkdir()
        # The place of the file in the root directory is a file by now.
        (self.container.root / CONFIGURATION.lstrip("/")).unlink()
        code, out, err = run(self.command(configuration=made), 60)
        expect(code == 2 and "expected a file, found a directory" in out + err, "a directory in the place of the configuration is named", out + err)
        print(f"        {err.strip()}", flush=True)


if __name__ == "__main__":
    become_process_1(json.loads(sys.argv[1]))
