"""Binaries that `make pi` and `make cross` built, and what their builds wrote beside them."""

import pathlib
import subprocess
import tomllib
import typing

from tools import Missing

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
# What is released: the target, and the Debian architecture of its package. Every 32-bit Debian gets
# the build for ARMv6, which runs on a Zero.
TARGETS = {
    "x86_64-unknown-linux-musl": "amd64",
    "aarch64-unknown-linux-musl": "arm64",
    "arm-unknown-linux-musleabihf": "armhf",
    "armv7-unknown-linux-musleabihf": None,
}
# What runs a program here: the emulator, and the processor of the Pi that the target is for.
EMULATORS = {
    "aarch64-unknown-linux-musl": ("qemu-aarch64", "cortex-a53"),
    "arm-unknown-linux-musleabihf": ("qemu-arm", "arm1176"),
    "armv7-unknown-linux-musleabihf": ("qemu-arm", "cortex-a7"),
    "x86_64-unknown-linux-musl": (None, None),
}


class Binary(typing.NamedTuple):
    """A built program; `home` is the target directory of the build, `target` cargo's name of the machine."""

    path: pathlib.Path
    home: pathlib.Path
    target: str


def newest(target):
    """What `make pi` or `make cross` built last for a target; None if that is no program of this version."""
    homes = [ROOT / "target", ROOT / "target" / "cross"]
    built = [Binary(home / target / "release" / "main-node", home, target) for home in homes]
    found = max((it for it in built if it.path.exists()), key=lambda it: it.path.stat().st_mtime, default=None)
    return found if found and is_of_this_version(found.path.read_bytes()) else None


def built(products):
    """The newest program for each target. `products` says what is made of it; what cannot be made is named."""
    programs = {}
    for target, product in products.items():
        if binary := newest(target):
            programs[target] = binary
        else:
            print(f"no {product}: version {VERSION} is not built for it: make pi TARGET={target}", flush=True)
    return programs


def is_of_this_version(program):
    """By its User-Agent: a program for another processor does not run here."""
    # The compiler puts other texts right behind it.
    return f"main-node/{VERSION}".encode() in program


def notices(binary):
    """What the build script (src/build.rs) wrote for this target's last build."""
    written = (binary.path.parent / "build").glob("main-node-*/out/notices.txt")
    found = max(written, key=lambda it: it.stat().st_mtime, default=None)
    if found is None:
        raise Missing(f"the build of {binary.path} left no notices.txt: build it again")
    return found


def commit():
    """The commit that is checked out and its time: (digest, seconds since 1970)."""
    said = subprocess.run(["git", "log", "-1", "--format=%H %ct"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    return (said[0], int(said[1])) if said else ("unknown", 0)
