#!/usr/bin/env python3
"""Fake systemctl, systemd-run and journalctl, installed under these names: for the story `deploy` and for
Debian packages (.ci/debian_lifecycle.py).

Implements what a deploy needs of a unit: user, state directory, environment file, READY=1,
restart unless the exit code is 2. Keeps its files in STATE.
"""

import os
import pathlib
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time

STATE = pathlib.Path("/run/fake-systemd")
# RestartSec, shortened.
RESTART_DELAY = 0.3
# The first that exists.
UNITS = [pathlib.Path(directory, "system/main-node.service") for directory in ("/etc/systemd", "/usr/lib/systemd")]
ENABLED = pathlib.Path("/etc/systemd/system/multi-user.target.wants/main-node.service")


def main(name, arguments):
    STATE.mkdir(exist_ok=True)
    if name == "systemd-run":
        return systemd_run(arguments)
    if name == "journalctl":
        return journalctl(arguments)
    ignored = ("--quiet", "--system", "--root=/", "--preset-mode=enable-only", "--")
    verb, *rest = [argument for argument in arguments if argument not in ignored]
    if verb in ("daemon-reload", "enable", "disable"):
        return 0
    if verb == "cat":
        if unit() is None:
            return 1
        print(unit().read_text())
        return 0
    if verb == "preset":
        ENABLED.unlink(missing_ok=True)
        ENABLED.symlink_to(unit())
        return 0
    if verb == "is-enabled":
        print("enabled" if ENABLED.is_symlink() else "disabled")
        return 0 if ENABLED.is_symlink() else 1
    if verb == "is-active":
        return 0 if is_running() else 3
    if verb == "show":
        prop = next(argument.split("=")[1] for argument in rest if argument.startswith("--property="))
        print(show(prop))
        return 0
    if verb in ("restart", "reload-or-restart", "start", "stop"):
        stop()
        return 0 if verb == "stop" else start("--no-block" not in rest)
    sys.exit(f"fake systemctl: unknown verb {verb}")


def read(name):
    file = STATE / name
    return file.read_text() if file.exists() else ""


def unit():
    return next((file for file in UNITS if file.exists()), None)


def unit_properties():
    return dict(line.split("=", 1) for line in unit().read_text().splitlines() if "=" in line and line[0] != "#")


def show(name):
    """A property as `systemctl show` prints it; the result of the last run is in a file."""
    if name == "User":
        return unit_properties().get("User", "") if unit() else ""
    if name == "MainPID":
        return read("pid") if is_running() else "0"
    if name == "ActiveState" and not read("Result"):
        return "active" if is_running() else "inactive"
    if name == "ActiveState":
        return "failed" if read("ExecMainStatus") == "2" else "activating"
    return read(name)


def is_running():
    return bool(read("pid")) and pathlib.Path("/proc", read("pid")).exists()


def stop():
    if supervisor := read("supervisor"):
        try:
            os.kill(int(supervisor), signal.SIGTERM)
            while pathlib.Path("/proc", supervisor).exists():
                time.sleep(0.02)
        except ProcessLookupError:
            pass
    for name in ("supervisor", "pid"):
        (STATE / name).unlink(missing_ok=True)


def journalctl(arguments):
    """The whole log, or what follows a cursor, which is an offset in it."""
    log = (STATE / "log").read_bytes() if (STATE / "log").exists() else b""
    if "--show-cursor" in arguments:
        print(f"-- cursor: {len(log)}")
        return 0
    after = int(arguments[arguments.index("--after-cursor") + 1]) if "--after-cursor" in arguments else 0
    print(log[after:].decode(errors="replace"), end="")
    return 0


def start(wait=True):
    for name in ("Result", "ExecMainStatus", "ready"):
        (STATE / name).unlink(missing_ok=True)
    if os.fork() == 0:
        os.setsid()
        with open(STATE / "log", "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        supervise()
        os._exit(0)
    while not (STATE / "supervisor").exists():
        time.sleep(0.02)
    if not wait:
        return 0
    while not (STATE / "ready").exists() and not (STATE / "Result").exists():
        time.sleep(0.02)
    return 0 if (STATE / "ready").exists() else 1


def supervise():
    (STATE / "supervisor").write_text(str(os.getpid()))
    properties = unit_properties()
    notify = STATE / "notify"
    notify.unlink(missing_ok=True)
    notify_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify_socket.bind(str(notify))
    notify.chmod(0o777)
    STATE.chmod(0o755)
    notify_socket.settimeout(0.05)
    stop_requests = []
    signal.signal(signal.SIGTERM, lambda *_: stop_requests.append(True))
    while not stop_requests:
        child = subprocess.Popen(
            shlex.split(properties["ExecStart"]), env=unit_environment(properties, NOTIFY_SOCKET=str(notify)),
            cwd=state_directory(properties), preexec_fn=lambda: drop_privileges(properties),
        )
        (STATE / "pid").write_text(str(child.pid))
        while child.poll() is None and not stop_requests:
            try:
                if b"READY=1" in notify_socket.recv(4096):
                    (STATE / "ready").touch()
            except TimeoutError:
                pass
        if stop_requests:
            child.terminate()
            child.wait()
            return
        (STATE / "ExecMainStatus").write_text(str(child.returncode))
        (STATE / "Result").write_text("exit-code")
        if child.returncode == 2:
            return
        time.sleep(RESTART_DELAY)


def systemd_run(arguments):
    properties = {}
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option.startswith("--property="):
            name, value = option.split("=", 1)[1].split("=", 1)
            properties[name] = value
    return subprocess.run(
        arguments, env=unit_environment(properties), cwd=state_directory(properties), preexec_fn=lambda: drop_privileges(properties),
    ).returncode


def unit_environment(properties, **more):
    found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "STATE_DIRECTORY": str(state_directory(properties)), **more}
    file = pathlib.Path(properties.get("EnvironmentFile", "").lstrip("-"))
    if file.is_file():
        found |= dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return found


def state_directory(properties):
    directory = pathlib.Path("/var/lib", properties["StateDirectory"])
    user = pwd.getpwnam(properties["User"])
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != user.pw_uid:
        os.chown(directory, user.pw_uid, user.pw_gid)
    return directory


def drop_privileges(properties):
    user = pwd.getpwnam(properties["User"])
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
