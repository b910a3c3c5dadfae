#!/usr/bin/env python3
"""Stands in for systemctl, systemd-run and journalctl where no systemd runs: for the deploy story alone.

Called by any of these names. Does of a unit what the deploy relies on: its user, its state
directory, its environment file, READY=1, restarts but for exit 2. Keeps itself to STATE.
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

STATE = pathlib.Path("/run/stand-in")
UNIT = pathlib.Path("/etc/systemd/system/main-node.service")


def main(name, arguments):
    STATE.mkdir(exist_ok=True)
    if name == "systemd-run":
        return systemd_run(arguments)
    if name == "journalctl":
        return journalctl(arguments)
    verb, *rest = [word for word in arguments if word != "--quiet"]
    if verb in ("daemon-reload", "enable", "disable"):
        return 0
    if verb == "cat":
        if not UNIT.exists():
            return 1
        print(UNIT.read_text())
        return 0
    if verb == "is-active":
        return 0 if alive() else 3
    if verb == "show":
        prop = next(word.split("=")[1] for word in rest if word.startswith("--property="))
        print(read(prop))
        return 0
    if verb in ("restart", "start", "stop"):
        stop()
        return 0 if verb == "stop" else start("--no-block" not in rest)
    sys.exit(f"the stand-in knows no systemctl {verb}")


def read(name):
    file = STATE / name
    return file.read_text() if file.exists() else ""


def alive():
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
    """All that was said, or what came after a cursor, which is a directory in the log."""
    log = (STATE / "log").read_bytes() if (STATE / "log").exists() else b""
    if "--show-cursor" in arguments:
        print(f"-- cursor: {len(log)}")
        return 0
    after = int(arguments[arguments.index("--after-cursor") + 1]) if "--after-cursor" in arguments else 0
    print(log[after:].decode(errors="replace"), end="")
    return 0


def start(is_waited_for=True):
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
    if not is_waited_for:
        return 0
    while not (STATE / "ready").exists() and not (STATE / "Result").exists():
        time.sleep(0.02)
    return 0 if (STATE / "ready").exists() else 1


def supervise():
    (STATE / "supervisor").write_text(str(os.getpid()))
    properties = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    notify = STATE / "notify"
    notify.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(str(notify))
    notify.chmod(0o777)
    STATE.chmod(0o755)
    door.settimeout(0.05)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    while not stopping:
        child = subprocess.Popen(
            shlex.split(properties["ExecStart"]), env=surroundings(properties, NOTIFY_SOCKET=str(notify)),
            cwd=home(properties), preexec_fn=lambda: become(properties),
        )
        (STATE / "pid").write_text(str(child.pid))
        while child.poll() is None and not stopping:
            try:
                if b"READY=1" in door.recv(4096):
                    (STATE / "ready").touch()
            except TimeoutError:
                pass
        if stopping:
            child.terminate()
            child.wait()
            return
        (STATE / "ExecMainStatus").write_text(str(child.returncode))
        (STATE / "Result").write_text("exit-code")
        if child.returncode == 2:
            return
        time.sleep(0.3)


def systemd_run(arguments):
    properties = {}
    while arguments and arguments[0].startswith("--"):
        word = arguments.pop(0)
        if word.startswith("--property="):
            name, value = word.split("=", 1)[1].split("=", 1)
            properties[name] = value
    return subprocess.run(
        arguments, env=surroundings(properties), cwd=home(properties), preexec_fn=lambda: become(properties),
    ).returncode


def surroundings(properties, **more):
    found = {"PATH": "/usr/local/bin:/usr/bin:/bin", **more}
    file = pathlib.Path(properties.get("EnvironmentFile", "").lstrip("-"))
    if file.is_file():
        found |= dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return found


def home(properties):
    directory = pathlib.Path("/var/lib", properties["StateDirectory"])
    user = pwd.getpwnam(properties["User"])
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return place


def become(properties):
    user = pwd.getpwnam(properties["User"])
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


if __name__ == "__main__":
    sys.exit(main(os.path.basename(sys.argv[0]), sys.argv[1:]))
