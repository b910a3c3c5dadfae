"""The cases of the story `mail` (mail.py), in a process of their own: they need aiosmtpd and
cryptography, which live in a virtual environment (.ci/tools.py venv:mail).

    BIN/python tests/e2e/stories/mail_cases.py [CASE…]

The servers are aiosmtpd's, and Debian's postfix where the cases run as root. Everything is
on loopback and on ports of the system's choice. Most cases wait for time limits of the
node's own, so all run side by side, each in a directory and with servers of its own.
"""

import asyncio
import concurrent.futures
import datetime
import email
import email.policy
import errno
import http.server
import ipaddress
import json
import logging
import mailbox
import os
import pathlib
import pwd
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
from harness import Missing, Program, tool  # noqa: E402

BINARY = harness.main_node()
PASSWORD = "correct horse battery staple"


# ---- Certificates ---------------------------------------------------------------------


def certificates(directory):
    """An authority of our own and a server's certificate by it, for 127.0.0.1."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def build(subject, issuer, key, signer, extensions):
        builder = x509.CertificateBuilder()
        builder = builder.subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - day).not_valid_after(now + 30 * day)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = build(
        "test authority",
        "test authority",
        authority_key,
        authority_key,
        [(x509.BasicConstraints(ca=True, path_length=None), True)],
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.DNSName("localhost"),
    ]
    server = build(
        "test server",
        "test authority",
        server_key,
        authority_key,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName(names), False),
        ],
    )
    pem = serialization.Encoding.PEM
    paths = [directory / name for name in ("ca.pem", "server.pem", "server.key")]
    paths[0].write_bytes(authority.public_bytes(pem))
    paths[1].write_bytes(server.public_bytes(pem))
    paths[2].write_bytes(
        server_key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


# ---- aiosmtpd -------------------------------------------------------------------------


class Inbox:
    """A server's handler: keeps mails, and misbehaves where it is told to."""

    def __init__(self, refuse=(), greylist=False, reject=None):
        self.mails = []
        self.refuse = refuse
        self.greylist = greylist
        self.reject = reject
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return "550 5.1.1 no such person here"
        if self.greylist and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        if self.reject:
            return self.reject
        self.mails.append((session.authenticated, envelope))
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    wanted = (b"me", PASSWORD.encode())
    return AuthResult(success=(data.login, data.password) == wanted, handled=False)


class Server(Controller):
    """On a free port; `implicit` speaks TLS from the first byte."""

    def __init__(self, handler, context=None, implicit=False, login=False):
        self.context = context
        self.login = login
        options = {"hostname": "127.0.0.1", "port": free_port()}
        if implicit:
            options["ssl_context"] = context
        self.implicit = implicit
        super().__init__(handler, **options)

    def start(self):
        """Somebody else may have taken the port since it was free: then another one."""
        for _ in range(10):
            try:
                return super().start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self.port, self._thread, self._thread_exception = free_port(), None, None
                self.loop = asyncio.new_event_loop()
        raise OSError(errno.EADDRINUSE, "ten free ports were taken before a server could bind them")

    def factory(self):
        starttls = None if self.implicit else self.context
        return SMTP(
            self.handler,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=bool(starttls),
            authenticator=authenticate if self.login else None,
            auth_required=self.login,
            auth_require_tls=not self.implicit,
            enable_SMTPUTF8=False,
        )


given = set()
giving = threading.Lock()


def free_port():
    """Never the same twice, for the cases run side by side."""
    with giving:
        while (port := harness.free_port()) in given:
            pass
        given.add(port)
        return port


# ---- The node -------------------------------------------------------------------------


def test_alert(directory, port, tls, to="you@example.org", user=None, password=None, ca=None,
               extra=""):
    """Exit status and output of `main-node test-alert`."""
    lines = [
        'name = "pi-küche"',
        "[[source]]",
        'name = "meter"',
        'url = "http://127.0.0.1:9/"',
        "[mail]",
        'host = "127.0.0.1"',
        f"port = {port}",
        f'tls = "{tls}"',
        'from = "node@example.org"',
        f'to = "{to}"',
    ]
    if ca:
        lines.append(f'ca_file = "{ca}"')
    lines.append(extra)
    file = directory / "main-node.toml"
    file.write_text("\n".join(lines) + "\n")
    environment = {"PATH": os.environ["PATH"], "RUST_LOG": "debug"}
    if user:
        environment |= {"SMTP_USER": user, "SMTP_PASS": password}
    done = subprocess.run(
        [BINARY, "test-alert", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment,
    )
    output = done.stdout + done.stderr
    assert PASSWORD not in output and (password or "\0") not in output, "the password is shown"
    return done.returncode, output


def check_mail(content, to="you@example.org"):
    """Reads the mail as a mail program does."""
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert not mail.defects, mail.defects
    assert mail["Subject"].startswith("[main-node] Test: "), mail["Subject"]
    assert mail["From"].addresses[0].addr_spec == "node@example.org"
    assert mail["From"].addresses[0].display_name == "main-node on pi-küche"
    assert to in [address.addr_spec for address in mail["To"].addresses]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>"), mail["Message-ID"]
    age = datetime.datetime.now(datetime.timezone.utc) - mail["Date"].datetime
    assert abs(age.total_seconds()) < 120, mail["Date"]
    text = mail.get_body(("plain",)).get_content()
    page = mail.get_body(("html",)).get_content()
    for body in (text, page):
        assert "Nothing is wrong." in body and "pi-küche" in body, body
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b""), "a bare line feed"
    assert all(byte < 128 for byte in content), "not 7 bit clean"


CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def plain_on_loopback(directory, paths, context):
    inbox = Inbox()
    with Served(Server(inbox)) as server:
        status, output = test_alert(directory, server.port, "none")
    assert status == 0, output
    check_mail(inbox.mails[0][1].content)


@case
def starttls_with_login(directory, paths, context):
    inbox = Inbox()
    with Served(Server(inbox, context, login=True)) as server:
        status, output = test_alert(
            directory, server.port, "starttls", user="me", password=PASSWORD, ca=paths[0]
        )
    assert status == 0, output
    assert inbox.mails[0][0], "not logged in"
    check_mail(inbox.mails[0][1].content)
    for step in ("connect", "greeting", "STARTTLS", "TLS", "AUTH", "RCPT TO", "DATA"):
        assert f"ok     {step}" in output, output


@case
def implicit_tls_with_login(directory, paths, context):
    inbox = Inbox()
    with Served(Server(inbox, context, implicit=True, login=True)) as server:
        status, output = test_alert(
            directory, server.port, "implicit", user="me", password=PASSWORD, ca=paths[0]
        )
    assert status == 0, output
    check_mail(inbox.mails[0][1].content)


@case
def a_wrong_password_is_said(directory, paths, context):
    inbox = Inbox()
    with Served(Server(inbox, context, login=True)) as server:
        status, output = test_alert(
            directory, server.port, "starttls", user="me", password="hunter2", ca=paths[0]
        )
    assert status == 1 and "refuses the login" in output, output
    assert not inbox.mails


@case
def an_unknown_certificate_is_not_trusted(directory, paths, context):
    for tls, implicit in (("starttls", False), ("implicit", True)):
        inbox = Inbox()
        with Served(Server(inbox, context, implicit=implicit)) as server:
            status, output = test_alert(directory, server.port, tls)
        assert status == 1 and "no CA that this node trusts" in output and "ca_file" in output, output
        assert not inbox.mails


@case
def a_server_without_starttls_gets_nothing(directory, paths, context):
    inbox = Inbox()
    with Served(Server(inbox)) as server:
        status, output = test_alert(
            directory, server.port, "starttls", user="me", password=PASSWORD
        )
    assert status == 1 and "nothing is sent unencrypted" in output, output
    assert not inbox.mails


@case
def tls_where_none_is_spoken_is_said(directory, paths, context):
    with Served(Server(Inbox())) as server:
        status, output = test_alert(directory, server.port, "implicit")
    assert status == 1 and "does not speak TLS" in output, output


@case
def greylisting_puts_off_and_a_second_try_arrives(directory, paths, context):
    inbox = Inbox(greylist=True)
    with Served(Server(inbox)) as server:
        status, output = test_alert(directory, server.port, "none")
        assert status == 1 and "put off" in output, output
        status, output = test_alert(directory, server.port, "none")
    assert status == 0, output
    assert len(inbox.mails) == 1


@case
def one_refused_recipient_does_not_cost_the_other(directory, paths, context):
    inbox = Inbox(refuse=["gone@example.org"])
    to = "gone@example.org, you@example.org"
    with Served(Server(inbox)) as server:
        status, output = test_alert(directory, server.port, "none", to=to)
    assert status == 1 and "gone@example.org is refused: 550" in output, output
    assert inbox.mails[0][1].rcpt_tos == ["you@example.org"]
    check_mail(inbox.mails[0][1].content)


@case
def a_refused_mail_is_said(directory, paths, context):
    with Served(Server(Inbox(reject="554 5.7.1 looks like spam"))) as server:
        status, output = test_alert(directory, server.port, "none")
    assert status == 1 and "554 5.7.1 looks like spam" in output, output


@case
def nobody_listens(directory, paths, context):
    # Bound, so that no other case gets the port, and never listening.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        status, output = test_alert(directory, bound.getsockname()[1], "none")
    assert status == 1 and "FAILED connect" in output, output


class Hanging:
    """A server that says nothing more from one step on, and counts who came."""

    STEPS = ("greeting", "EHLO", "STARTTLS", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "the end")

    def __init__(self, step, context, implicit=False):
        self.step, self.context, self.implicit = step, context, implicit
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=[wire], daemon=True).start()

    def talk(self, wire):
        try:
            self.dialogue(wire)
        except OSError:
            pass  # The client has left, as it should.

    def dialogue(self, wire):
        def hang():
            while wire.recv(4096):
                pass

        if self.implicit:
            wire = self.context.wrap_socket(wire, server_side=True)
        lines = wire.makefile("rb")
        if self.step == "greeting":
            return hang()
        wire.sendall(b"220 mail.test\r\n")
        while line := lines.readline():
            verb = line.split()[0].split(b":")[0].decode().upper()
            if verb == self.step:
                return hang()
            if verb == "EHLO":
                wire.sendall(b"250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            elif verb == "STARTTLS":
                wire.sendall(b"220 go on\r\n")
                if self.step == "TLS":
                    return hang()
                wire = self.context.wrap_socket(wire, server_side=True)
                lines = wire.makefile("rb")
            elif verb == "AUTH":
                wire.sendall(b"235 2.7.0 welcome\r\n")
            elif verb == "DATA":
                wire.sendall(b"354 go on\r\n")
                while lines.readline() != b".\r\n":
                    pass
                return hang()
            else:
                wire.sendall(b"250 2.1.0 fine\r\n")


@case
def a_server_that_hangs_is_left_wherever_it_hangs(directory, paths, context):
    """The bounds are the node's own: 30 s for a step, 120 s for the mail itself."""
    named = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", "the end": "DATA"}

    def check(step):
        home = directory / step.replace(" ", "-")
        home.mkdir()
        server = Hanging(step, context)
        began = time.monotonic()
        status, output = test_alert(
            home, server.port, "starttls", user="me", password=PASSWORD, ca=paths[0]
        )
        took = time.monotonic() - began
        server.listener.close()
        name, bound = named.get(step, step), 120 if step in ("DATA", "the end") else 30
        assert status == 1 and f"FAILED {name}" in output, (step, output)
        assert f"Not sent: {name}: no answer within {bound} s" in output, (step, output)
        assert ("may have arrived" in output) == (bound == 120), (step, output)
        # Two seconds per step before it are more than it needs even beside all other cases.
        assert bound <= took + 0.5 and took < bound + 20, (step, took)

    with concurrent.futures.ThreadPoolExecutor(len(Hanging.STEPS)) as pool:
        list(pool.map(check, Hanging.STEPS))


@case
def a_connection_that_nobody_takes_is_left(directory, paths, context):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # The queue is full: the kernel answers no more.
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        time.sleep(0.5)
        began = time.monotonic()
        status, output = test_alert(directory, listener.getsockname()[1], "none")
        took = time.monotonic() - began
        for client in waiting:
            client.close()
    assert status == 1 and "FAILED connect" in output, output
    assert "no answer within 10 s" in output and took < 30, (took, output)


@case
def a_mail_in_doubt_is_sent_again_under_its_own_name(directory, paths, context):
    """The server takes the mail and never says so; the next one hears of the same mail."""
    home = directory / "doubt"
    home.mkdir()

    class Mute(Inbox):
        async def handle_DATA(self, server, session, envelope):
            answer = await super().handle_DATA(server, session, envelope)
            if len(self.mails) == 1:
                server.transport.abort()
            return answer

    inbox = Mute()
    with Served(Server(inbox)) as server:
        node = Node(home, server.port)
        node.start()
        until("the mail", 60, lambda: len(inbox.mails) == 1)
        node.source_up()
        until("the same again, and the end", 150, lambda: len(inbox.mails) >= 3)
        node.stop()
    mails = [read(envelope) for _, envelope in inbox.mails]
    ids = [mail["Message-ID"] for mail in mails]
    assert ids[0] == ids[1] != ids[2] and len(ids) == 3, ids
    assert "good again" in mails[2]["Subject"], mails[2]["Subject"]


@case
def a_real_mta_takes_it(directory, paths, context):
    """Postfix, with a configuration of its own beside the system's."""
    if os.geteuid() != 0:
        raise Missing("only root can start a postfix of its own")
    if not pathlib.Path("/usr/sbin/postfix").exists() and pathlib.Path("/run/systemd/system").exists():
        raise Missing("to install postfix here would start it: apt-get install postfix, if that is welcome")
    tool("postfix")
    home = directory / "postfix"
    for name in ("etc", "spool", "data", "mail"):
        (home / name).mkdir(parents=True)
    # Postfix's own account must be able to walk here.
    for path in [home, *home.iterdir()]:
        path.chmod(0o755)
    subprocess.run(["chown", "postfix", str(home / "data")], check=True)
    subprocess.run(["chown", "mail", str(home / "mail")], check=True)
    mail = pwd.getpwnam("mail")
    ports = {kind: free_port() for kind in ("plain", "starttls", "implicit")}
    (home / "etc/main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mail.test
mydestination =
virtual_mailbox_domains = example.org
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = static:inbox
virtual_minimum_uid = 1
virtual_uid_maps = static:{mail.pw_uid}
virtual_gid_maps = static:{mail.pw_gid}
mynetworks = 127.0.0.0/8
local_recipient_maps =
luser_relay =
alias_maps =
alias_database =
smtpd_tls_cert_file = {paths[1]}
smtpd_tls_key_file = {paths[2]}
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
"""
    )
    base = "smtpd\n  -o syslog_name=postfix"
    (home / "etc/master.cf").write_text(
        f"""127.0.0.1:{ports["plain"]} inet n - n - - {base}
127.0.0.1:{ports["starttls"]} inet n - n - - {base} -o smtpd_tls_security_level=encrypt
127.0.0.1:{ports["implicit"]} inet n - n - - {base} -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
virtual unix - n n - - virtual
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
    )
    etc = str(home / "etc")
    subprocess.run(["postfix", "-c", etc, "check"], check=True, capture_output=True)
    master = Program(["/usr/lib/postfix/sbin/master", "-c", etc, "-d"], home / "log")
    try:
        for port in ports.values():
            wait_for(port)
        for kind, tls in (("plain", "none"), ("starttls", "starttls"), ("implicit", "implicit")):
            status, output = test_alert(directory, ports[kind], tls, ca=paths[0])
            assert status == 0, output + master.said()
            assert "queued as" in output, output
        inbox = home / "mail/inbox"
        until("three mails in the mailbox", 30, lambda: inbox.exists() and len(mailbox.mbox(inbox)) == 3)
        for delivered in mailbox.mbox(inbox):
            assert delivered["Delivered-To"] == "you@example.org"
            content = delivered.as_bytes()
            check_mail(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        ids = {delivered["Message-ID"] for delivered in mailbox.mbox(inbox)}
        assert len(ids) == 3, ids
    finally:
        master.stop(20)


# ---- The service -----------------------------------------------------------------------


class Node:
    """`main-node serve` with one source that is down until `source_up`."""

    def __init__(self, directory, smtp_port, alert=""):
        self.source_port = free_port()
        self.port = free_port()
        self.source = None
        self.directory = directory
        self.file = directory / "serve.toml"
        self.file.write_text(
            f"""name = "pi"
listen = "127.0.0.1:{self.port}"
database = "{directory / 'node.db'}"
[[source]]
name = "meter"
url = "http://127.0.0.1:{self.source_port}"
every = "1s"
[alert]
no_success_for = "2s"
{alert}
[mail]
host = "127.0.0.1"
port = {smtp_port}
tls = "none"
from = "node@example.org"
to = "you@example.org"
"""
        )
        self.process = None

    def start(self):
        self.process = Program([BINARY, "serve", "--config", self.file], self.directory / "serve.log")

    def kill(self):
        self.process.kill()

    def stop(self):
        """Asks it to end; how long that took."""
        code, took = self.process.stop(15)
        assert code == 0, (code, self.says())
        if self.source:
            self.source.shutdown()
        return took

    def source_up(self):
        class Meter(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b'{"power": 1}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.source = http.server.ThreadingHTTPServer(("127.0.0.1", self.source_port), Meter)
        threading.Thread(target=self.source.serve_forever, daemon=True).start()

    def says(self):
        return self.process.said()

    def status(self):
        """What `/status` says, once it answers."""
        for _ in range(50):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                time.sleep(0.2)
        raise AssertionError(f"/status does not answer: {self.says()}")

    def channel(self):
        return self.status()["channels"][0]

    def test_alert(self):
        """Exit status and output of `main-node test-alert` beside the service."""
        command = [BINARY, "test-alert", "--config", str(self.file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


def until(what, seconds, holds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def read(envelope):
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


@case
def a_beginning_and_its_end_arrive_and_thread_together(directory, paths, context):
    inbox = Inbox()
    home = directory / "threads"
    home.mkdir()
    with Served(Server(inbox)) as server:
        node = Node(home, server.port)
        node.start()
        until("the beginning", 60, lambda: len(inbox.mails) == 1)
        node.source_up()
        until("the end", 60, lambda: len(inbox.mails) == 2)
        assert node.stop() < 5
    beginning, end = (read(envelope) for _, envelope in inbox.mails)
    assert "no data" in beginning["Subject"], beginning["Subject"]
    assert "good again" in end["Subject"], end["Subject"]
    assert end["In-Reply-To"] == beginning["Message-ID"]
    assert beginning["Message-ID"] in end["References"]
    assert beginning["Message-ID"] != end["Message-ID"]


@case
def an_outage_that_eats_its_mail_is_told_whole_when_it_is_over(directory, paths, context):
    inbox = Inbox()
    home = directory / "late"
    home.mkdir()
    server = Server(inbox)
    node = Node(home, server.port)
    node.start()
    until("a failed attempt", 60, lambda: "could not be delivered" in node.says())
    node.source_up()
    # Time for the recovery to be judged and committed.
    time.sleep(5)
    with Served(server):
        until("the mail", 120, lambda: len(inbox.mails) == 1)
        time.sleep(15)
        node.stop()
    assert len(inbox.mails) == 1, [read(it)["Subject"] for _, it in inbox.mails]
    mail = read(inbox.mails[0][1])
    assert "good again" in mail["Subject"], mail["Subject"]
    text = mail.get_body(("plain",)).get_content()
    assert "its beginning and its end in one message" in text, text


@case
def a_kill_between_taking_and_recording_repeats_the_same_message(directory, paths, context):
    home = directory / "kill"
    home.mkdir()

    class Killing(Inbox):
        async def handle_DATA(self, server, session, envelope):
            answer = await super().handle_DATA(server, session, envelope)
            if len(self.mails) == 1:
                node.kill()
            return answer

    inbox = Killing()
    with Served(Server(inbox)) as server:
        node = Node(home, server.port)
        node.start()
        until("the kill", 60, lambda: not node.process.running())
        node.start()
        until("the same again", 60, lambda: len(inbox.mails) == 2)
        time.sleep(15)
        node.stop()
    ids = [read(envelope)["Message-ID"] for _, envelope in inbox.mails]
    assert len(ids) == 2 and len(set(ids)) == 1, ids


@case
def a_refused_alert_is_kept_in_sight_and_told_after_a_test_that_succeeds(directory, paths, context):
    home = directory / "refused"
    home.mkdir()
    inbox = Inbox(reject="554 5.7.1 looks like spam")
    with Served(Server(inbox)) as server:
        node = Node(home, server.port)
        node.start()
        until("the refusal", 60, lambda: node.channel()["refused"] == 1)
        status, mail = node.status(), node.channel()
        assert status["status"] != "pass" and "554 5.7.1 looks like spam" in status["summary"], status
        assert mail["last_delivered"] is None and mail["waiting"] == 1, mail
        code, output = node.test_alert()
        assert code == 1 and "kept, shown as refused" in output, output
        # A restart with the same configuration is no reason to ask again.
        node.process.stop(15)
        node.start()
        until("it is in sight again", 60, lambda: node.channel()["refused"] == 1)
        inbox.reject = None
        code, output = node.test_alert()
        assert code == 0 and "1 alert that was refused before waits" in output, output
        until("the alert", 60, lambda: len(inbox.mails) == 2)
        until("nothing waits", 10, lambda: node.channel()["waiting"] == 0)
        assert node.channel()["last_delivered"], node.channel()
        node.stop()
    assert "no data" in read(inbox.mails[1][1])["Subject"], read(inbox.mails[1][1])["Subject"]


@case
def a_dead_mans_switch_hears_of_a_fresh_node_once_a_minute(directory, paths, context):
    home = directory / "ping"
    home.mkdir()
    pings = []

    class Switch(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            pings.append((time.monotonic(), self.path))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    switch = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    threading.Thread(target=switch.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{switch.server_address[1]}/ping/s3cret"
    node = Node(home, free_port(), f'ping = "{url}"')
    node.source_up()
    node.start()
    until("the first ping", 75, lambda: pings)
    # Nothing is fresh any more, three intervals later.
    node.source.shutdown()
    node.source.server_close()
    node.source = None
    time.sleep(64)
    assert [path for _, path in pings] == ["/ping/s3cret"], pings
    said = node.says()
    node.stop()
    switch.shutdown()
    assert "s3cret" not in said, "the switch's address is a secret"


@case
def a_stop_does_not_wait_for_a_server_that_hangs(directory, paths, context):
    home = directory / "hang"
    home.mkdir()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        node = Node(home, listener.getsockname()[1])
        node.start()
        connection, _ = listener.accept()
        with connection:
            assert node.stop() < 5


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Served:
    """A controller while it serves."""

    def __init__(self, controller):
        self.controller = controller

    def __enter__(self):
        self.controller.start()
        return self.controller

    def __exit__(self, *problem):
        self.controller.stop()


def main(names):
    # What the servers under test make of a client that leaves is not the story's.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cases = [case for case in CASES if not names or case.__name__ in names]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        # Postfix's own account must be able to walk here.
        directory.chmod(0o755)
        paths = certificates(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(paths[1], paths[2])
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            played = [pool.submit(play, case, directory, paths, context) for case in cases]
            held = [future.result() for future in played]
    return 0 if all(held) else 1


def play(case, directory, paths, context):
    """Whether it holds; one case must not hide the next."""
    began, sentence = time.monotonic(), case.__name__.replace("_", " ")
    home = directory / case.__name__
    home.mkdir()
    home.chmod(0o755)
    held = True
    try:
        case(home, paths, context)
        result = f"  ok    {sentence} ({time.monotonic() - began:.1f} s)"
    except Missing as missing:
        result = f"NOT CHECKED: {sentence}: {missing}"
    except Exception as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        held = False
        result = f"  FAILED {sentence} (line {where.lineno}: {where.line})\n        {problem!r}"
    # In one piece, for many say theirs at once.
    sys.stdout.write(result + "\n")
    sys.stdout.flush()
    return held


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
