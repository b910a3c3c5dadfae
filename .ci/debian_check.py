"""Checks of Debian packages: lintian, control fields, files, the program under its processor.

debian_lifecycle.py installs, upgrades and removes one.
"""

import gzip
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile

import binaries
import debian_lifecycle
from binaries import EMULATORS, Binary
from debian_package import VERSION, build
from harness import ROOT, Failed, Missing, clean_environment, expect, not_checked, run, tool

CONFFILE = "/etc/main-node/main-node.toml"
# Mode and path. Directories are root's, with 755.
FILES = {
    "usr/bin/main-node": 0o755,
    "usr/lib/systemd/system/main-node.service": 0o644,
    "usr/lib/sysusers.d/main-node.conf": 0o644,
    "etc/main-node/main-node.toml": 0o644,
    "usr/share/man/man1/main-node.1.gz": 0o644,
    "usr/share/man/man5/main-node.toml.5.gz": 0o644,
    "usr/share/bash-completion/completions/main-node": 0o644,
    "usr/share/zsh/vendor-completions/_main-node": 0o644,
    "usr/share/fish/vendor_completions.d/main-node.fish": 0o644,
    "usr/share/lintian/overrides/main-node": 0o644,
    "usr/share/doc/main-node/copyright": 0o644,
    "usr/share/doc/main-node/changelog.gz": 0o644,
    "usr/share/doc/main-node/changelog.Debian.gz": 0o644,
    "usr/share/doc/main-node/THIRD-PARTY-NOTICES.gz": 0o644,
    "usr/share/doc/main-node/examples/main-node.toml": 0o644,
    "usr/share/doc/main-node/examples/main-node.avahi.service": 0o644,
    "usr/share/doc/main-node/examples/grafana.json": 0o644,
}


def check(packages, built):
    """Exit code: 1 when a check fails."""
    failed = False
    for arch, package in packages.items():
        print(f"package for {arch}", flush=True)
        failed |= not passes(lambda: check_package(arch, package, built[arch]))
    arch, package = next(iter(packages.items()))
    failed |= not passes(lambda: is_reproducible(package, arch, built[arch]))
    print("installation, upgrade and removal", flush=True)
    failed |= not passes(lambda: debian_lifecycle.play(packages.get(native_architecture()) or dev_package()))
    print(f"deb result: {'FAILED' if failed else 'ok'}")
    return int(failed)


def passes(function):
    try:
        function()
    except Missing as missing:
        not_checked(f"Debian package: {missing}")
    except Failed as failure:
        print(f"  FAILED {failure}", flush=True)
        return False
    return True


def check_package(arch, package, binary):
    with tempfile.TemporaryDirectory(prefix="main-node-deb-") as name:
        root = pathlib.Path(name) / "root"
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
        check_control_fields(arch, package)
        check_files(package, root, binary)
        check_program(arch, root, *EMULATORS[binary.target])
        check_with_lintian(package)


def check_control_fields(arch, package):
    fields = {"Package": "main-node", "Version": VERSION, "Architecture": arch, "Depends": "passwd", "Section": "net"}
    said = {name: run(["dpkg-deb", "--field", package, name], 20)[1].strip() for name in fields}
    expect(said == fields, f"control fields: {' '.join(said.values())}", said)
    synopsis = run(["dpkg-deb", "--field", package, "Description"], 20)[1].splitlines()[0]
    expect(len(synopsis) <= 80, "the synopsis is one line of at most 80 characters", synopsis)
    conffiles = run(["dpkg-deb", "--info", package, "conffiles"], 20)[1].split()
    expect(conffiles == [CONFFILE], f"the one conffile is {CONFFILE}", conffiles)


def check_files(package, root, binary):
    found = {str(it.relative_to(root)): it.stat().st_mode & 0o7777 for it in root.rglob("*") if not it.is_dir()}
    expect(found == FILES, f"it has the {len(FILES)} files that it should have, with their modes", set(found.items()) ^ set(FILES.items()))
    owners = {line.split()[1] for line in run(["dpkg-deb", "--contents", package], 20)[1].splitlines()}
    expect(owners == {"0/0"} or owners == {"root/root"}, "all of them root's", owners)
    expect((root / "usr/bin/main-node").read_bytes() == binary.path.read_bytes(), "its program is the one that was built")
    unit = (root / "usr/lib/systemd/system/main-node.service").read_text()
    expect("\nExecStart=/usr/bin/main-node serve\n" in unit and "/usr/local" not in unit, "the unit runs that program", unit)
    text = gzip.decompress((root / "usr/share/doc/main-node/THIRD-PARTY-NOTICES.gz").read_bytes())
    expect(text == binaries.notices(binary).read_bytes(), "it has the licences of what is compiled in")
    copyright = (root / "usr/share/doc/main-node/copyright").read_text()
    owner = re.search(r"^Copyright \(c\) (.*)$", (ROOT / "LICENSE-MIT").read_text(), re.M)[1]
    expect("\nFiles: *\n" in copyright and owner in copyright, f"and a machine-readable copyright: {owner}", copyright)


def check_program(arch, root, emulator, processor):
    if emulator is None and native_architecture() != arch:
        return not_checked(f"the program for {arch}: this machine is {platform.machine()}")
    program = [*([tool(emulator), "-cpu", processor] if emulator else []), root / "usr/bin/main-node"]
    code, out, err = run([*program, "--version"], 30, cwd=root)
    expect(code == 0 and f"main-node {binaries.VERSION} " in out, f"as {processor or arch}: {out.strip()}", out + err)
    shipped = root / CONFFILE.lstrip("/")
    code, out, err = run([*program, "check", "--config", shipped, "--database", root / "x.db"], 60, cwd=root)
    expect('operation = "getForecast"' in out and "panicked" not in err, "check reads the shipped configuration", out + err)
    code, out, err = run([*program, "licenses"], 30, cwd=root)
    text = gzip.decompress((root / "usr/share/doc/main-node/THIRD-PARTY-NOTICES.gz").read_bytes()).decode()
    expect(code == 0 and out == text, "licenses prints the same notices", err)


def check_with_lintian(package):
    code, out, err = run([tool("lintian"), "--allow-root", "--fail-on", "error,warning", package], 300)
    tags = [line for line in (out + err).splitlines() if re.match(r"[EWIN]: .*", line)]
    expect(code == 0 and not tags, "lintian finds nothing", out + err)


def is_reproducible(package, arch, binary):
    with tempfile.TemporaryDirectory(prefix="main-node-deb-") as name:
        again = build(binary, arch, pathlib.Path(name))
        expect(again.read_bytes() == package.read_bytes(), "the same commit gives the same bytes")


def native_architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())


def dev_package():
    """A package of cargo's dev build, for a machine whose own architecture was not built."""
    arch = native_architecture()
    if arch is None:
        raise Missing(f"a main-node for {platform.machine()}")
    built = subprocess.run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node"], cwd=ROOT)
    if built.returncode != 0:
        raise Failed("the dev build of main-node does not build")
    directory = ROOT / "target" / "deb-check"
    shutil.rmtree(directory, ignore_errors=True)
    target = f"{platform.machine()}-unknown-linux-gnu"
    binary = Binary(directory / target / "release" / "main-node", directory, target)
    binary.path.parent.mkdir(parents=True)
    debug = pathlib.Path(clean_environment().get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    subprocess.run(["strip", "-o", binary.path, debug / "main-node"], check=True)
    written = max((debug / "build").glob("main-node-*/out/notices.txt"), key=lambda it: it.stat().st_mtime)
    copy = binary.path.parent / "build" / "main-node-dev" / "out"
    copy.mkdir(parents=True)
    shutil.copy(written, copy)
    return build(binary, arch, directory)
