"""What the stories stand on: free ports, programs that end with their story, waiting.

Every child gets the kernel's word that it dies with its parent, so nothing is left
behind however a story ends. Loopback only.
"""

import atexit
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "target" / "e2e"
sys.path.insert(0, str(ROOT / ".ci"))

from tools import Missing, environment, tool, venv  # noqa: E402,F401  (for the stories)


class Failed(Exception):
    """An expectation that did not hold."""


STORIES = {}
checks_held = 0


def story(seconds):
    """Names a function as a story, and bounds it."""

    def register(function):
        name = function.__name__.replace("_", "-")
        STORIES[name] = (seconds, function)
        return function

    return register


def expect(holds, sentence, found=None):
    """One sentence that must be true; `found` says what was there instead."""
    global checks_held
    if holds:
        checks_held += 1
        print(f"  ok    {sentence}", flush=True)
        return
    detail = "" if found is None else f"\n        found: {shorten(found)}"
    raise Failed(f"{sentence}{detail}")


def not_checked(what):
    print(f"NOT CHECKED: {what}", flush=True)


def shorten(value, length=1500):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= length else f"{text[:length]} … ({len(text)} characters)"


def until(question, seconds, sentence, every=0.05):
    """Asks until the answer is true, and gives it back; the bound is the test."""
    end = time.monotonic() + seconds
    while True:
        last = None
        try:
            if answer := question():
                return answer
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            last = error
        if time.monotonic() > end:
            reason = f" ({last!r})" if last else ""
            raise Failed(f"{sentence() if callable(sentence) else sentence}: not within {seconds} s{reason}")
        time.sleep(every)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def room(name):
    """An empty directory of this story's own."""
    import shutil

    path = WORK / "rooms" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# ---- Programs ----------------------------------------------------------------------------

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A child with its output in a file, ended with the story."""

    def __init__(self, command, log, env=None, cwd=None, preexec=None):
        self.log = pathlib.Path(log)
        self.command = [str(word) for word in command]

        def prepare():
            die_with_parent()
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

    def said(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds):
        """The exit code, or None past the bound."""
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
    """The environment without what would configure a node or divert its calls."""
    ours = ("MAIN_NODE_", "SMTP_", "ALERT_EMAIL", "RUST_LOG", "NOTIFY_SOCKET", "JOURNAL_STREAM")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and name.upper() not in proxies
    }
    return {**kept, **more}


def run(command, seconds, cwd=None, env=None, stdin=None):
    """A command to its end: (exit code, stdout, stderr)."""
    try:
        done = subprocess.run(
            [str(word) for word in command], cwd=cwd or ROOT, env=env or clean_environment(),
            timeout=seconds, text=True, errors="replace", capture_output=True,
            input=stdin, preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace") if late.stdout else ""
        raise Failed(f"`{' '.join(map(str, command))}` ended not within {seconds} s; it said {shorten(said)}")
    return done.returncode, done.stdout, done.stderr


def run_on_terminal(command, seconds, cwd=None, env=None):
    """A command on a terminal of its own: (exit code or None, what it showed)."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        die_with_parent()
        os.chdir(cwd or ROOT)
        os.execvpe(str(command[0]), [str(word) for word in command], env or clean_environment())
    os.set_blocking(terminal, False)
    shown, end, status = b"", time.monotonic() + seconds, None
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            shown += os.read(terminal, 65536)
        done, raw = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(raw)
            break
        time.sleep(0.02)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            shown += chunk
    os.close(terminal)
    return status, shown.decode(errors="replace").replace("\r\n", "\n")


def main_node():
    """The binary under test: E2E_BINARY, else cargo's dev build."""
    given = os.environ.get("E2E_BINARY")
    return pathlib.Path(given).resolve() if given else WORK / "bin" / "main-node"


# ---- HTTP --------------------------------------------------------------------------------


class Reply:
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
        return f"{self.status} {self.headers} {shorten(self.body.decode(errors='replace'))}"


def get(address, path, headers=None, method="GET", seconds=5, source=None):
    """One request on a connection of its own."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(
        host, int(port), timeout=seconds, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read())
    finally:
        connection.close()


@contextlib.contextmanager
def server_that(behave):
    """A loopback TCP server that hands each connection to `behave(socket)`; gives its port."""
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    def quietly(connection):
        with contextlib.suppress(OSError):
            behave(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in held:
            connection.close()


@contextlib.contextmanager
def json_server(answer, tls=None):
    """A loopback HTTP server; `answer(path)` gives the value that goes out as JSON.

    `tls` is an `ssl.SSLContext`, for HTTPS."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps(answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """A client that left in the middle is the story's business, not this server's."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


# ---- Prometheus text ---------------------------------------------------------------------


def samples(text):
    """{name: [(labels, value)]} of the Prometheus text format, as far as we write it."""
    import re

    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if not match:
            raise Failed(f"/metrics has a line that is no sample: {line}")
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        found.setdefault(match[1], []).append((labels, float(match[3])))
    return found
