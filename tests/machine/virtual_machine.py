"""The virtual machine: qemu with KVM where that works, else emulated; its monitor, power and SSH.

A run has an overlay of the cached image (image.py) as its disk. `prepare` boots it once and saves the
running machine as the snapshot `booted`. Each story loads that snapshot into a qemu of its own
(`machine()`), so stories share nothing, and one that fails leaves nothing behind. The guest reaches
servers on the loopback of this machine at 10.0.2.2 (`HOST`).
"""

import contextlib
import json
import os
import pathlib
import shlex
import socket
import subprocess
import time

from harness import (
    ROOT, Failed, Process, clean_environment, die_with_parent, free_port, get, run, tool, truncate, wait_until,
)
from image import Image, image

RUNS = ROOT / "target" / "machine" / "run"
# Of two stories that run at once each has a disk.
RUN = RUNS / os.environ.get("MACHINE_JOB", "0")
# This machine, as the guest sees it.
HOST = "10.0.2.2"
# Of a Pi Zero. A Zero has one processor too.
MEMORY_MB = 512
# Emulated beside other work a boot took up to 150 s.
BOOT_SECONDS = 400
SNAPSHOT = "booted"


def prepare(jobs):
    """Makes the disk of a run, boots it, and saves the snapshot that stories start from, with a copy for each job.
    A later run with the same image and qemu takes them as they are: loading the snapshot undoes what stories have
    written."""
    made = image()
    tool("qemu-img"), tool("qemu-system-x86_64")
    known = {"image": str(made.directory.resolve()), "qemu": qemu_version()}
    if not is_prepared(RUN, known):
        prepare_first(made, known)
    for job in range(1, jobs):
        if not is_prepared(RUNS / str(job), known):
            subprocess.run(["rm", "-rf", RUNS / str(job)], check=True)
            subprocess.run(["cp", "-r", "--sparse=always", RUN, RUNS / str(job)], check=True)


def prepare_first(made, known):
    subprocess.run(["rm", "-rf", RUN], check=True)
    RUN.mkdir(parents=True)
    accelerator = "kvm" if kvm_works(made) else "tcg"
    write_settings({**known, "accelerator": accelerator})
    # The image's format is named: a guest cannot make qemu guess another one.
    overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", made.disk, RUN / "disk.qcow2"]
    subprocess.run(overlay, check=True)
    start = time.monotonic()
    guest = VirtualMachine()
    try:
        guest.start()
        guest.wait_for_boot()
        guest.set_clock()
        guest.root("sync")
        guest.close_logins()
        guest.monitor(f"savevm {SNAPSHOT}")
    finally:
        guest.power_off()
    (RUN / "monitor").unlink()
    write_settings({**known, "accelerator": accelerator, "snapshot": SNAPSHOT})
    print(f"  the virtual machine is up after {time.monotonic() - start:.0f} s ({accelerator}, {MEMORY_MB} MB)", flush=True)


def qemu_version():
    return run([tool("qemu-system-x86_64"), "--version"], 30)[1].splitlines()[0]


def is_prepared(run_directory, known):
    with contextlib.suppress(OSError, ValueError):
        settings = json.loads((run_directory / "machine.json").read_text())
        # 3: only leaked clusters, which a qemu that was killed leaves.
        sound = run(["qemu-img", "check", "-q", run_directory / "disk.qcow2"], 60)[0] in (0, 3)
        return sound and {**settings, **known, "snapshot": SNAPSHOT} == settings
    return False


def write_settings(settings):
    (RUN / "machine.json").write_text(json.dumps(settings))


def kvm_works(made):
    """Whether a kernel starts under KVM: /dev/kvm alone does not say so (nested or restricted KVM)."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    console = RUN / "kvm.console"
    probe = Process(
        [tool("qemu-system-x86_64"), "-accel", "kvm", "-cpu", "host", "-m", "256", "-kernel", made.kernel, "-append", "console=ttyS0",
         "-display", "none", "-monitor", "none", "-serial", f"file:{console}", "-no-reboot"],
        RUN / "kvm.log",
    )
    try:
        with contextlib.suppress(Failed):
            # The first line of a kernel that has unpacked itself.
            return wait_until(lambda: not probe.running() or b"Linux version" in console.read_bytes(), 10, "a kernel starts") and probe.running()
        return False
    finally:
        probe.kill()


@contextlib.contextmanager
def machine():
    """The machine as it was when it had booted, with the present time, for one story."""
    guest = VirtualMachine()
    try:
        guest.start("-loadvm", SNAPSHOT)
        guest.set_clock()
        yield guest
    finally:
        guest.power_off()


@contextlib.contextmanager
def machine_that_boots(*options):
    """The machine with the disk of the snapshot, switched on: for stories about the start, with options of qemu."""
    subprocess.run([tool("qemu-img"), "snapshot", "-a", SNAPSHOT, RUN / "disk.qcow2"], check=True)
    guest = VirtualMachine()
    try:
        guest.start(*options)
        guest.wait_for_boot()
        yield guest
    finally:
        guest.power_off()


class VirtualMachine:
    def __init__(self):
        settings = json.loads((RUN / "machine.json").read_text())
        self.image, self.accelerator = Image(pathlib.Path(settings["image"])), settings["accelerator"]
        self.ssh_port, self.http_port = free_port(), free_port()
        # The node in the guest, seen from here.
        self.address = f"127.0.0.1:{self.http_port}"
        self.process, self.logins = None, {}

    # ---- Power --------------------------------------------------------------------------

    def start(self, *options):
        monitor = RUN / "monitor"
        monitor.unlink(missing_ok=True)
        is_emulated = self.accelerator == "tcg"
        forwarded = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.http_port}-:8000"
        self.process = Process(
            [tool("qemu-system-x86_64"), "-accel", self.accelerator, "-cpu", "max" if is_emulated else "host",
             "-m", MEMORY_MB, "-smp", "1", "-kernel", self.image.kernel, "-initrd", self.image.initrd,
             "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0",
             # writeback: what the guest has flushed is in the file when qemu is killed. What it has not need not be.
             "-drive", f"file={RUN / 'disk.qcow2'},format=qcow2,if=virtio,cache=writeback",
             "-netdev", f"user,id=net,{forwarded}", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
             "-display", "none", "-no-reboot", "-chardev", f"file,id=console,path={RUN / 'console'},append=on", "-serial", "chardev:console",
             "-qmp", f"unix:{monitor},server=on,wait=off", *options],
            RUN / "qemu.log",
        )
        wait_until(lambda: monitor.exists() or not self.process.running(), 30, "qemu has a monitor")
        if not self.process.running():
            raise Failed(f"qemu does not start: {self.process.output()}")

    def power_off(self):
        """Cuts the power: nothing is written any more, neither by the guest nor by qemu."""
        self.close_logins()
        if self.process:
            self.process.kill()

    def wait_for_boot(self):
        """Until systemd has started everything, failed units included."""
        def is_up():
            state = self.root("systemctl is-system-running --wait", check=False)[1].strip()
            return state in ("running", "degraded")

        wait_until(is_up, BOOT_SECONDS, lambda: f"the machine boots: {truncate(self.console()[-1500:])}", poll_every=1)

    def reboot(self):
        """An orderly reboot: qemu ends at the reset, and another one starts."""
        self.root("systemctl reboot", check=False)
        wait_until(lambda: not self.process.running(), BOOT_SECONDS, lambda: f"the machine shuts down: {truncate(self.console()[-1500:])}", poll_every=0.5)
        self.close_logins()
        self.start()
        self.wait_for_boot()

    def monitor(self, command, seconds=120):
        """A command of qemu's monitor, by QMP."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(RUN / "monitor"))
            with connection.makefile("rw") as stream:
                stream.readline()
                for request in ("qmp_capabilities", "human-monitor-command"):
                    arguments = {"command-line": command} if request.startswith("human") else {}
                    stream.write(json.dumps({"execute": request, "arguments": arguments}) + "\n")
                    stream.flush()
                    answer = {"event": None}
                    while "event" in answer:
                        answer = json.loads(stream.readline())
        if answer.get("return"):
            raise Failed(f"qemu's monitor, {command}: {answer}")

    def console(self):
        console = RUN / "console"
        return console.read_text(errors="replace") if console.exists() else ""

    # ---- Logins -------------------------------------------------------------------------

    def ssh_options(self):
        return [
            "-q", "-p", str(self.ssh_port), "-i", str(self.image.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
        ]

    def run(self, command, user="pi", seconds=120, stdin=None, check=True):
        """A shell command in the guest: (exit code, stdout, stderr). With `check` a failure ends the story."""
        words = ["ssh", *self.ssh_options(), "-S", self.login(user), f"{user}@127.0.0.1", command]
        code, out, err = run(words, seconds, stdin=stdin)
        if check and code != 0:
            raise Failed(f"in the guest, as {user}: `{truncate(command, 300)}`: exit {code}: {truncate(out + err)}")
        return code, out, err

    def root(self, command, **options):
        return self.run(command, user="root", **options)

    def says(self, command, **options):
        """What a command, run as root, prints."""
        return self.root(command, **options)[1].strip()

    def login(self, user):
        """The socket of a connection that all commands of a user share: emulated, a login takes seconds."""
        path = RUN / f"ssh-{user}"
        master = self.logins.get(user)
        if not master or not master.running():
            path.unlink(missing_ok=True)
            self.logins[user] = Process(["ssh", *self.ssh_options(), "-M", "-N", "-S", path, f"{user}@127.0.0.1"], RUN / f"ssh-{user}.log")
            login = self.logins[user]
            with contextlib.suppress(Failed):
                wait_until(lambda: path.exists() or not login.running(), 60, "a login")
        return path

    def close_logins(self):
        for login in self.logins.values():
            login.kill()
        self.logins = {}

    def copy(self, source, target, mode=0o644):
        """A file, or a directory with what is in it, to the guest, as root."""
        source = pathlib.Path(source)
        if source.is_dir():
            script = f"mkdir -p {shlex.quote(target)} && tar -C {shlex.quote(target)} -x"
            sent = subprocess.run(["tar", "-C", source, "-c", "."], capture_output=True, check=True).stdout
        else:
            script = f"mkdir -p $(dirname {shlex.quote(target)}) && cat >{shlex.quote(target)} && chmod {mode:o} {shlex.quote(target)}"
            sent = source.read_bytes()
        words = ["ssh", *self.ssh_options(), "-S", self.login("root"), "root@127.0.0.1", script]
        done = subprocess.run(words, input=sent, capture_output=True, timeout=180, env=clean_environment(), preexec_fn=die_with_parent)
        if done.returncode != 0:
            raise Failed(f"{source} cannot be copied to {target} in the guest: {done.stderr.decode(errors='replace')}")

    def write(self, path, text, mode=0o644):
        """A file of root's in the guest."""
        self.root(f"mkdir -p $(dirname {path}) && cat >{path} && chmod {mode:o} {path}", stdin=text)

    # ---- What is in it ------------------------------------------------------------------

    def set_clock(self):
        """The time of this machine, and the marker by which systemd-timesyncd says that it is right."""
        self.root(f"date -s @{time.time():.2f} && mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")

    def get(self, path, **options):
        return get(self.address, path, **options)

    def status(self):
        return self.get("/status").json

    def journal(self, unit="main-node", lines=40):
        return self.says(f"journalctl --unit {unit} --lines {lines} --no-pager --output short-monotonic", check=False)

    def property(self, name, unit="main-node"):
        return self.says(f"systemctl show --property={name} --value {unit}")
