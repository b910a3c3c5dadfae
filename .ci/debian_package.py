"""Builds a Debian package of a binary with cargo-deb."""

import email.utils
import gzip
import os
import shutil
import subprocess
import tomllib

import binaries
from binaries import ROOT
from tools import Missing, cargo

MADE = ROOT / "target" / "deb"
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
VERSION = f"{binaries.VERSION}-1"


def build(binary, arch, directory):
    """The package of a binary, written to a directory."""
    package = directory / f"main-node_{VERSION}_{arch}.deb"
    shutil.rmtree(MADE, ignore_errors=True)
    MADE.mkdir(parents=True)
    time = binaries.commit()[1]
    (MADE / "changelog").write_text(changelog(time))
    compress(MADE / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    compress(MADE / "THIRD-PARTY-NOTICES.gz", binaries.notices(binary).read_bytes())
    (MADE / "main-node.service").write_text(unit())
    command = [
        cargo("cargo-deb"), "--no-build", "--no-strip", "--quiet", "--locked", "--target", binary.target,
        "--deb-version", VERSION, "--output", str(package),
    ]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(binary.home), "SOURCE_DATE_EPOCH": str(time)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Missing(f"cargo-deb made no package for {arch}")
    return package


def changelog(time):
    """The packaging's own: CHANGELOG.md says what changed in the program."""
    maintainer, date = MANIFEST["metadata"]["deb"]["maintainer"], email.utils.formatdate(time)
    return f"main-node ({VERSION}) stable; urgency=medium\n\n  * Release {binaries.VERSION}: see changelog.gz.\n\n -- {maintainer}  {date}\n"


def unit():
    """The unit of install.sh, with the program where a package has it."""
    lines = (ROOT / "systemd" / "main-node.service").read_text().splitlines(keepends=True)
    head = "# main-node under systemd, of the Debian package. To change it: sudo systemctl edit main-node\n"
    text = head + "".join(lines[lines.index("\n"):])
    return text.replace("/usr/local/bin/main-node", "/usr/bin/main-node")


def compress(file, content):
    with open(file, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as compressed:
        compressed.write(content)
