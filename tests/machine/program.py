"""What the stories install: the static program, its archive and package, and main-node 0.1.

Archive and package are made in a copy of the checkout (`target/machine/tree`), so that `dist/` and
`target/cross` stay as they are, and another version of the package can be made. Owns target/machine,
without the images and the disk of a run.
"""

import fcntl
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from harness import ROOT, Failed, Missing, clean_environment, expect, run

TARGET = "x86_64-unknown-linux-musl"
MACHINE = ROOT / "target" / "machine"
BINARY = MACHINE / "main-node"
# Where .ci/cross puts it, and .ci/dist, .ci/deb find it.
BUILT = pathlib.Path("target/cross") / TARGET / "release/main-node"
# 0.1: its unit has DynamicUser=.
OLD = "5480bc87"


def locked(make):
    """Two stories that run at once may need the same file: one makes it."""

    @functools.wraps(make)
    def make_alone(*arguments):
        MACHINE.mkdir(parents=True, exist_ok=True)
        with open(MACHINE / "program.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return make(*arguments)

    return make_alone


def build():
    """Builds the static program (MACHINE_BINARY=FILE: takes this one) and copies it to BINARY: a later
    build must not replace it under a story."""
    given = os.environ.get("MACHINE_BINARY")
    if not given:
        done = subprocess.run([sys.executable, ROOT / ".ci/cross", "--build-only", TARGET], cwd=ROOT)
        if done.returncode != 0:
            raise Failed(f"the program does not build for {TARGET}")
    source = pathlib.Path(given).resolve() if given else ROOT / BUILT
    MACHINE.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, BINARY.with_suffix(".new"))
    os.replace(BINARY.with_suffix(".new"), BINARY)
    shutil.rmtree(MACHINE / "tree", ignore_errors=True)


def version():
    """The version in Cargo.toml."""
    return re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def tree(other_version=None):
    """A copy of the checkout with the program under test in the place of a cross build: its directory.
    `other_version` is written into Cargo.toml and Cargo.lock; the program does the same."""
    directory = MACHINE / "tree" / (other_version or version())
    if directory.exists():
        return directory
    unfinished = directory.with_name(directory.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).exists():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, unfinished / name)
    if other_version:
        for name in ("Cargo.toml", "Cargo.lock"):
            text, start = (unfinished / name).read_text(), 'name = "main-node"\nversion = "'
            (unfinished / name).write_text(text.replace(f'{start}{version()}"', f'{start}{other_version}"', 1))
    built = unfinished / BUILT
    (built.parent / "build/main-node-0/out").mkdir(parents=True)
    shutil.copy2(BINARY, built)
    if other_version:
        # By its User-Agent the scripts know which version a program is. As another build it has another digest too.
        with open(built, "ab") as program:
            program.write(f"main-node/{other_version}".encode())
    (unfinished / "target/tools").symlink_to(ROOT / "target/tools")
    # The build script's list of licences, which the program prints.
    code, notices, err = run([BINARY, "licenses"], 30)
    expect(code == 0 and notices, "the program prints the licences of what is compiled in", err)
    (built.parent / "build/main-node-0/out/notices.txt").write_text(notices)
    unfinished.rename(directory)
    return directory


@locked
def archive():
    """The unpacked archive that .ci/dist makes: its directory."""
    directory = tree()
    unpacked = directory / "unpacked"
    name = f"main-node-{version()}-{TARGET}"
    if not unpacked.exists():
        make_in(directory, ".ci/dist")
        unpacked.mkdir()
        subprocess.run(["tar", "-xzf", directory / "dist" / f"{name}.tar.gz", "-C", unpacked], check=True)
    return unpacked / name


@locked
def package(other_version=None):
    """The Debian package for amd64 that .ci/deb makes: its file."""
    directory = tree(other_version)
    if not (directory / ".ci/deb").exists():
        raise Missing("this checkout makes no Debian packages (.ci/deb)")
    found = lambda: next((directory / "dist").glob("main-node_*_amd64.deb"), None)  # noqa: E731
    if not found():
        make_in(directory, ".ci/deb")
    if not found():
        raise Missing("make deb made no package for amd64")
    return found()


@locked
def image():
    """The container image for amd64 that .ci/images makes, for `docker load`: its file."""
    directory = tree()
    file = directory / "dist" / f"main-node-{version()}-linux-amd64.tar"
    if not file.exists():
        make_in(directory, ".ci/images")
    if not file.exists():
        raise Missing("make images made no image for amd64")
    return file


def make_in(directory, command):
    code, out, err = run([directory / command], 300, cwd=directory, env=clean_environment())
    # What the other architectures lack is named and no failure here.
    if code != 0 and not list((directory / "dist").glob("*")):
        raise Failed(f"{command} failed: {out}{err}")


@locked
def old_archive():
    """main-node 0.1, built from its commit, with the files that its `make deploy` sent: their directory."""
    directory = MACHINE / "old" / OLD
    if directory.exists():
        return directory
    if subprocess.run(["git", "cat-file", "-e", f"{OLD}^{{commit}}"], cwd=ROOT, capture_output=True).returncode != 0:
        raise Missing(f"main-node 0.1 is commit {OLD}, which this checkout does not have")
    source = MACHINE / "old" / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    commit = subprocess.run(["git", "archive", OLD], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", source], input=commit, check=True)
    # Static, so that it runs on a Debian with another C library. Outside of target/debug, which it would fill.
    environment = clean_environment(
        CARGO_TARGET_DIR=str(MACHINE / "old" / "target"), RUSTFLAGS="-C target-feature=+crt-static",
        CARGO_PROFILE_DEV_DEBUG="0", CARGO_PROFILE_DEV_STRIP="symbols", CARGO_PROFILE_DEV_OPT_LEVEL="1",
    )
    target = "x86_64-unknown-linux-gnu"
    code, out, err = run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node", "--target", target], 900, cwd=source, env=environment)
    expect(code == 0, f"main-node 0.1 (commit {OLD}) builds", out + err)
    unfinished = directory.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source / "systemd", unfinished)
    shutil.copy2(MACHINE / "old" / "target" / target / "debug/main-node", unfinished / "main-node")
    unfinished.rename(directory)
    for leftover in ("source", "target"):
        shutil.rmtree(MACHINE / "old" / leftover)
    return directory
