"""Fake SMTP servers for the story `mail`: aiosmtpd's, and one that stops answering at a given step.

Also makes the CA and the server certificate for 127.0.0.1. Needs aiosmtpd and
cryptography, from the virtual environment `.ci/tools.py venv:mail`.
"""

import asyncio
import datetime
import errno
import ipaddress
import socket
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import harness

PASSWORD = "correct horse battery staple"


# ---- Certificates ---------------------------------------------------------------------


def certificates(directory):
    """A test CA and a server certificate that it signed for 127.0.0.1: paths of ca, cert, key."""
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

    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = build(
        "test CA",
        "test CA",
        ca_key,
        ca_key,
        [(x509.BasicConstraints(ca=True, path_length=None), True)],
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.DNSName("localhost"),
    ]
    server = build(
        "test server",
        "test CA",
        server_key,
        ca_key,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName(names), False),
        ],
    )
    pem = serialization.Encoding.PEM
    paths = [directory / name for name in ("ca.pem", "server.pem", "server.key")]
    paths[0].write_bytes(ca.public_bytes(pem))
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
    """An aiosmtpd handler that keeps the mails it accepts.

    It can refuse recipients, greylist each one once, or reject every mail with a reply."""

    def __init__(self, refused_recipients=(), greylist=False, reject=None):
        self.mails = []
        self.refused_recipients = refused_recipients
        self.greylist = greylist
        self.reject = reject
        self.greylisted = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused_recipients:
            return "550 5.1.1 no such user here"
        if self.greylist and address not in self.greylisted:
            self.greylisted.add(address)
            return "451 4.7.1 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        if self.reject:
            return self.reject
        self.mails.append((session.authenticated, envelope))
        return "250 2.0.0 accepted"


def authenticate(server, session, envelope, mechanism, data):
    expected = (b"me", PASSWORD.encode())
    return AuthResult(success=(data.login, data.password) == expected, handled=False)


class SmtpServer(Controller):
    """An aiosmtpd server on a free port, for the length of a `with`.

    With `context` it offers STARTTLS, or is TLS from the first byte (`implicit`)."""

    def __init__(self, handler, context=None, implicit=False, login=False):
        self.context = context
        self.login = login
        options = {"hostname": "127.0.0.1", "port": free_port()}
        if implicit:
            options["ssl_context"] = context
        self.implicit = implicit
        super().__init__(handler, **options)

    def start(self):
        """Takes another port when somebody else has taken this one meanwhile."""
        for _ in range(10):
            try:
                return super().start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self.port, self._thread, self._thread_exception = free_port(), None, None
                self.loop = asyncio.new_event_loop()
        raise OSError(errno.EADDRINUSE, "no free port after ten attempts")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

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


allocated_ports = set()
allocated_ports_lock = threading.Lock()


def free_port():
    """A free port that no other case gets: they run in parallel."""
    with allocated_ports_lock:
        while (port := harness.free_port()) in allocated_ports:
            pass
        allocated_ports.add(port)
        return port


class HangingServer:
    """An SMTP server that stops answering at one step of the dialogue."""

    STEPS = ("greeting", "EHLO", "STARTTLS", "TLS", "AUTH", "MAIL", "RCPT", "DATA", "end of data")

    def __init__(self, step, context):
        self.step, self.context = step, context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=[connection], daemon=True).start()

    def handle(self, connection):
        try:
            self.dialogue(connection)
        except OSError:
            pass  # The client has disconnected, as expected.

    def dialogue(self, connection):
        def hang():
            while connection.recv(4096):
                pass

        lines = connection.makefile("rb")
        if self.step == "greeting":
            return hang()
        connection.sendall(b"220 mail.test\r\n")
        while line := lines.readline():
            verb = line.split()[0].split(b":")[0].decode().upper()
            if verb == self.step:
                return hang()
            if verb == "EHLO":
                connection.sendall(b"250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            elif verb == "STARTTLS":
                connection.sendall(b"220 go on\r\n")
                if self.step == "TLS":
                    return hang()
                connection = self.context.wrap_socket(connection, server_side=True)
                lines = connection.makefile("rb")
            elif verb == "AUTH":
                connection.sendall(b"235 2.7.0 welcome\r\n")
            elif verb == "DATA":
                connection.sendall(b"354 go on\r\n")
                while lines.readline() != b".\r\n":
                    pass
                return hang()
            else:
                connection.sendall(b"250 2.1.0 fine\r\n")
