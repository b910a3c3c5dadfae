"""Disk image of the virtual machine: Debian 13 with systemd, SSH and Docker, by debootstrap. Cached in
target/machine/images by the digest of this file; a cached image is never changed.

The packages come from the Debian mirror that apt of this machine uses.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import time

from harness import ROOT, Failed, Missing, clean_environment, run, tool

IMAGES = ROOT / "target" / "machine" / "images"
SUITE = "trixie"
SIZE = "4G"
# debootstrap does not resolve alternatives and virtual packages: these are installed by it, the others by apt.
BASE = ["systemd", "systemd-sysv", "dbus", "udev", "ca-certificates", "curl", "iproute2", "sqlite3", "python3-minimal"]
PACKAGES = [
    "libpam-systemd", "sudo", "openssh-server", "systemd-resolved", "systemd-timesyncd", "initramfs-tools", "zstd",
    "linux-image-cloud-amd64", "iptables", "docker.io", "docker-cli", "docker-compose",
]
# Without them Docker and the timers take no memory and no processor from the stories that do not need them.
# A story starts Docker by `systemctl start docker`.
NOT_STARTED = [
    "docker.service", "docker.socket", "containerd.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
    "e2scrub_all.timer", "fstrim.timer",
]
FILES = {
    "etc/hostname": "pi-test\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 pi-test\n::1 localhost ip6-localhost\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/machine-id": "",
    "etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD: ALL\n",
    "etc/systemd/network/20-dhcp.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n",
    "etc/docker/daemon.json": '{"userland-proxy": false}\n',
}


class Image:
    """The files of a finished image."""

    def __init__(self, directory):
        self.directory = directory
        self.disk, self.kernel, self.initrd, self.key = (directory / name for name in ("disk.img", "kernel", "initrd", "key"))


def image():
    """The cached image, made first if need be."""
    given = os.environ.get("MACHINE_IMAGE")
    if given:
        return Image(pathlib.Path(given).resolve())
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    directory = IMAGES / digest
    if not directory.exists():
        if os.geteuid() != 0:
            raise Missing("needs root, to build the disk image")
        for name in ("debootstrap", "mke2fs", "ssh"):
            tool(name)
        start = time.monotonic()
        unfinished = IMAGES / f"{digest}.unfinished"
        remove(unfinished)
        unfinished.mkdir(parents=True)
        build(unfinished)
        unfinished.rename(directory)
        for older in IMAGES.iterdir():
            if older != directory:
                remove(older)
        print(f"  built the disk image in {time.monotonic() - start:.0f} s", flush=True)
    return Image(directory)


def build(directory):
    root, made = directory / "root", Image(directory)
    in_steps(
        (["debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", SUITE, root, mirror()], 900),
        (["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made.key], 30),
    )
    finish(root, made.key.with_suffix(".pub").read_text())
    shutil.copy(next((root / "boot").glob("vmlinuz-*")), made.kernel)
    shutil.copy(next((root / "boot").glob("initrd.img-*")), made.initrd)
    in_steps((["mke2fs", "-q", "-t", "ext4", "-d", root, made.disk, SIZE], 300))
    remove(root)


def finish(root, public_key):
    """What turns a root made by debootstrap into a machine that boots, has a network and a login."""
    # Services are not started in a chroot.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    # A small initrd boots faster under emulation: only the modules of the machine's disk.
    initramfs = root / "etc/initramfs-tools"
    (initramfs / "conf.d").mkdir(parents=True)
    (initramfs / "conf.d/small").write_text("MODULES=list\n")
    (initramfs / "modules").write_text("virtio_pci\nvirtio_blk\next4\n")
    in_steps(
        (in_chroot(root, "apt-get update --quiet"), 300),
        (in_chroot(root, f"apt-get install --quiet --yes --no-install-recommends -o DPkg::Options::=--force-confold {' '.join(PACKAGES)}"), 900),
        (in_chroot(root, "apt-get clean; id pi || useradd --create-home --shell /bin/bash --groups sudo,adm pi"), 60),
        (in_chroot(root, "systemctl enable systemd-networkd systemd-resolved systemd-timesyncd ssh"), 60),
        (in_chroot(root, f"systemctl disable {' '.join(NOT_STARTED)}"), 60),
    )
    policy.unlink()
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "var/log/journal").mkdir(exist_ok=True)
    for home in ("root", "home/pi"):
        (root / home / ".ssh").mkdir(exist_ok=True)
        (root / home / ".ssh/authorized_keys").write_text(public_key)
    in_steps((in_chroot(root, "chmod 440 /etc/sudoers.d/pi; chown -R pi:pi /home/pi"), 60))


def in_chroot(root, command):
    """With /proc, in a mount namespace: nothing is left mounted."""
    script = f'mount -t proc proc "$1/proc" && exec chroot "$1" sh -c "$2"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", root, f"export DEBIAN_FRONTEND=noninteractive; {command}"]


def in_steps(*steps):
    for command, seconds in steps:
        code, out, err = run(["nice", "-n", "10", *command], seconds, env=environment())
        if code != 0:
            last = (out + err).strip().splitlines()[-3:]
            raise Failed(f"the disk image cannot be built: {command[0]} … {command[-1]}: {' / '.join(last)}")


def environment():
    """The environment, with the proxy that apt of this machine uses."""
    more = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    code, proxy, _ = run(["apt-config", "--format", "%v%n", "dump", "Acquire::http::Proxy"], 20)
    if proxy := proxy.strip():
        more["http_proxy"] = proxy
    elif proxy := os.environ.get("http_proxy", os.environ.get("HTTP_PROXY")):
        more["http_proxy"] = proxy
    return clean_environment(**more)


def mirror():
    """The mirror of Debian's main archive in apt's sources."""
    code, out, err = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(SITE)", "Created-By: Packages"], 30)
    for line in out.splitlines():
        origin, release, site = line.split(maxsplit=2)
        # The archives of updates and of security hold a few packages only.
        if origin == "Debian" and "-" not in release and "security" not in site:
            return site
    raise Missing(f"apt of this machine has no Debian mirror: {out}{err}")


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)
