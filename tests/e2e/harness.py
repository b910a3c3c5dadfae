"""Test harness of the e2e stories: registry, expectations, waiting, child processes, HTTP client.

Every child process is killed by the kernel when its parent ends (PR_SET_PDEATHSIG), so
nothing is left running however a story ends. Loopback only. Stories wait for conditions
with a deadline (`wait_until`), never for a fixed time.
"""

import atexit
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "e2e"
sys.path.insert(0, str(ROOT / ".ci"))

from tools import Missing, environment, tool, venv  # noqa: E402,F401  (for the stories)


class Failed(Exception):
    """An expectation that is not met."""


class Story(typing.NamedTuple):
    seconds: int
    function: typing.Callable[[], None]
    alone: bool


# By name.
STORIES = {}


def story(seconds, alone=False):
    """Registers a function as a story, with a time limit. `alone`: it compiles, or puts so much
    load on the machine that no other story runs beside it."""

    def register(function):
        name = function.__name__.replace("_", "-")
        STORIES[name] = Story(seconds, function, alone)
        return function

    return register


def expect(condition, description, actual=None):
    """An assertion that is printed when it holds; `actual` is shown when it does not."""
    if not condition:
        detail = "" if actual is None else f"\n        actual: {truncate(actual)}"
        raise Failed(f"{description}{detail}")
    print(f"  ok    {description}", flush=True)


def not_checked(what):
    print(f"NOT CHECKED: {what}", flush=True)


def truncate(value, length=1500):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= length else f"{text[:length]} … ({len(text)} characters)"


def wait_until(condition, seconds, description, poll_every=0.05):
    """Polls until `condition()` is true and gives its value; fails after `seconds`.

    `description` is a text, or a function that makes one when it is needed."""
    deadline = time.monotonic() + seconds
    while True:
        last_error = None
        try:
            if value := condition():
                return value
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            last_error = error
        if time.monotonic() > deadline:
            reason = f" ({last_error!r})" if last_error else ""
            raise Failed(f"{description() if callable(description) else description}: not within {seconds} s{reason}")
        time.sleep(poll_every)


def expect_agreement(one, other, seconds, description):
    """Expects the same value of two functions that read a node at work: they do so at different moments,
    so both are called again until they agree."""
    read = []

    def agree():
        read[:] = one(), other()
        return read[0] == read[1]

    wait_until(agree, seconds, lambda: f"{description}: {truncate(read)}")
    print(f"  ok    {description}", flush=True)


def free_port():
    """A TCP port that no socket uses on any address, TIME_WAIT included. It is below the ephemeral
    range, from which an outgoing connection could take it before the program listens."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = int(file.read().split()[0])
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(max(1024, min(10_000, lowest // 2)), lowest)
            probe.bind(("", port))
            return port


def refused_port():
    """A TCP port that refuses connections, and the socket that holds it: nobody else can listen there."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder.getsockname()[1], holder


def work_dir(name):
    """An empty directory for this story."""
    path = WORK / "stories" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# ---- Processes ---------------------------------------------------------------------------

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child process that logs to a file and ends with the story."""

    def __init__(self, command, log, env=None, cwd=None, preexec=None):
        self.log = pathlib.Path(log)
        self.command = [str(argument) for argument in command]

        def prepare():
            die_with_parent()
            # Ignored where `nohup` runs the stories.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if preexec:
                preexec()

        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=env or clean_environment(), cwd=cwd or ROOT, preexec_fn=prepare,
            )
        atexit.register(self.kill)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        """The exit code, or None when it still runs after `seconds`."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds=5.0):
        """SIGTERM; (exit code or None, seconds it took)."""
        start = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        return code, time.monotonic() - start

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


def clean_environment(**more):
    """The environment without variables that configure main-node or its proxies."""
    ours = ("MAIN_NODE_", "SMTP_", "ALERT_EMAIL", "RUST_LOG", "NOTIFY_SOCKET", "JOURNAL_STREAM")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and name.upper() not in proxies
    }
    return {**kept, **more}


def run(command, seconds, cwd=None, env=None, stdin=None):
    """Runs a command to its end: (exit code, stdout, stderr)."""
    try:
        done = subprocess.run(
            [str(word) for word in command], cwd=cwd or ROOT, env=env or clean_environment(),
            timeout=seconds, text=True, errors="replace", capture_output=True,
            input=stdin, preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired as timeout:
        output = (timeout.stdout or b"").decode(errors="replace")
        raise Failed(f"`{' '.join(map(str, command))}` did not end within {seconds} s; output: {truncate(output)}")
    return done.returncode, done.stdout, done.stderr


def run_on_terminal(command, seconds, cwd=None, env=None):
    """Runs a command on a pseudo-terminal: (exit code or None, what it printed)."""
    pid, terminal = pty.fork()
    if pid == 0:
        die_with_parent()
        os.chdir(cwd or ROOT)
        os.execvpe(str(command[0]), [str(argument) for argument in command], env or clean_environment())
    output, deadline, exit_code = b"", time.monotonic() + seconds, None
    # The terminal reports an error (EIO) once the command has closed its end.
    with contextlib.suppress(OSError):
        while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            output += os.read(terminal, 65536)
    if time.monotonic() < deadline:
        exit_code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(terminal)
    return exit_code, output.decode(errors="replace").replace("\r\n", "\n")


# In namespaces of its own: the marker by which systemd-timesyncd says that the clock is synchronised.
MARK_CLOCK = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized && exec "$@"'


def with_trusted_clock(command):
    """The command, run where the clock counts as synchronised."""
    for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
        prefix = [*unshare, "sh", "-c", MARK_CLOCK, "sh"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return [*prefix, *command]
    raise Missing("needs root or user namespaces, to mark the clock as synchronised")


def main_node():
    """The binary under test: E2E_BINARY, else cargo's dev build."""
    given = os.environ.get("E2E_BINARY")
    return pathlib.Path(given).resolve() if given else WORK / "bin" / "main-node"


# ---- HTTP --------------------------------------------------------------------------------


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, header):
        return self.headers.get(header.lower())

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {truncate(self.body.decode(errors='replace'))}"


def get(address, path, headers=None, method="GET", seconds=5, source=None):
    """One request on a new connection; `source` is the local address."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(
        host, int(port), timeout=seconds, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())
    finally:
        connection.close()


# ---- Prometheus text format --------------------------------------------------------------


def parse_metrics(text):
    """{name: [(labels, value)]} of the Prometheus text format, as far as main-node uses it."""
    samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if not match:
            raise Failed(f"/metrics has a line that is no sample: {line}")
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        samples.setdefault(match[1], []).append((labels, float(match[3])))
    return samples


# ---- main-node ---------------------------------------------------------------------------


def start_node(directory, name, port, *tables):
    """`main-node serve`; its configuration, log and database are named after the node."""
    head = f'name = "{name}"\nlisten = "127.0.0.1:{port}"\ndatabase = "{directory / name}.db"\n'
    file = directory / f"{name}.toml"
    file.write_text(head + "\n".join(tables))
    return Process([main_node(), "serve", "--config", file], directory / f"{name}.log", cwd=directory)


def source_table(name, target):
    """A `[[source]]` that is fetched every second."""
    return f'[[source]]\nname = "{name}"\n{target}\nevery = "1s"\n'


def records_by_key(address):
    return {record["key"]: record for record in get(address, "/snapshot?full=1").json["records"]}


def keys_with_numbers(address):
    return {record["key"] for record in get(address, "/snapshot").json["records"] if record["value"] is not None}


def source_status(address, name):
    return next(it for it in get(address, "/status").json["sources"] if it["name"] == name)


def output_status(address, name):
    """`state` (up, down, starting), `trouble`, `sent`, `failures`, `waiting`, … of an output."""
    return next(it for it in get(address, "/status").json["outputs"] if it["name"] == name)


@contextlib.contextmanager
def demo_node(directory):
    """`main-node demo` with its first values; gives its address."""
    address = f"127.0.0.1:{free_port()}"
    node = Process([main_node(), "demo", "--listen", address], directory / "demo.log", cwd=directory)
    wait_until(lambda: len(get(address, "/snapshot").json["records"]) > 3, 20, lambda: f"the demo has values: {node.output()}")
    try:
        yield address
    finally:
        node.stop()
