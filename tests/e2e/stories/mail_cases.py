"""The cases of the story `mail` (mail.py), in a process of their own: they need aiosmtpd and
cryptography, which are in a virtual environment (.ci/tools.py venv:mail).

    BIN/python tests/e2e/stories/mail_cases.py [CASE…]

The servers are aiosmtpd's (fakes/smtp.py), and Debian's postfix where the cases run as root.
Everything is on loopback and on free ports. Some cases wait for time limits of main-node (a
reply within 120 s, a retry after two minutes, a ping each minute), so all cases run in
parallel, each in a directory and with servers of its own.
"""

import concurrent.futures
import datetime
import email
import email.policy
import logging
import mailbox
import os
import pathlib
import pwd
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
from fakes.servers import HttpServer  # noqa: E402
from fakes.smtp import PASSWORD, HangingServer, Inbox, SmtpServer, certificates, free_port  # noqa: E402
from harness import Missing, Process, tool, wait_until  # noqa: E402

BINARY = harness.main_node()


# ---- test-alert -----------------------------------------------------------------------


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
    assert PASSWORD not in output and (password or "\0") not in output, "the output has the password"
    return done.returncode, output


def check_mail(content, to="you@example.org"):
    """Checks headers, bodies and encoding as a mail program reads them."""
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
    with SmtpServer(inbox) as server:
        status, output = test_alert(directory, server.port, "none")
    assert status == 0, output
    check_mail(inbox.mails[0][1].content)


@case
def starttls_with_login(directory, paths, context):
    inbox = Inbox()
    with SmtpServer(inbox, context, login=True) as server:
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
    with SmtpServer(inbox, context, implicit=True, login=True) as server:
        status, output = test_alert(
            directory, server.port, "implicit", user="me", password=PASSWORD, ca=paths[0]
        )
    assert status == 0, output
    check_mail(inbox.mails[0][1].content)


@case
def wrong_password_is_reported(directory, paths, context):
    inbox = Inbox()
    with SmtpServer(inbox, context, login=True) as server:
        status, output = test_alert(
            directory, server.port, "starttls", user="me", password="hunter2", ca=paths[0]
        )
    assert status == 1 and "refuses the login" in output, output
    assert not inbox.mails


@case
def unknown_certificate_is_not_trusted(directory, paths, context):
    for tls, implicit in (("starttls", False), ("implicit", True)):
        inbox = Inbox()
        with SmtpServer(inbox, context, implicit=implicit) as server:
            status, output = test_alert(directory, server.port, tls)
        assert status == 1 and "not trusted" in output and "`ca_file`" in output, output
        assert not inbox.mails
        # The line that it prints is pasted.
        line = re.search(r'fingerprint = "sha256:[^"]*"', output)[0]
        other = line.replace(line[-9:-1], "00:11:22")
        for pin, expected in ((line, 0), (other, 1)):
            inbox = Inbox()
            with SmtpServer(inbox, context, implicit=implicit) as server:
                status, output = test_alert(directory, server.port, tls, extra=pin)
            assert status == expected and len(inbox.mails) == 1 - expected, output
        assert "another fingerprint" in output and "found sha256:" in output, output


@case
def nothing_is_sent_without_starttls(directory, paths, context):
    inbox = Inbox()
    with SmtpServer(inbox) as server:
        status, output = test_alert(
            directory, server.port, "starttls", user="me", password=PASSWORD
        )
    assert status == 1 and "nothing is sent unencrypted" in output, output
    assert not inbox.mails


@case
def tls_to_a_plain_text_server_is_reported(directory, paths, context):
    with SmtpServer(Inbox()) as server:
        status, output = test_alert(directory, server.port, "implicit")
    assert status == 1 and "does not speak TLS" in output, output


@case
def greylisted_mail_is_delivered_on_retry(directory, paths, context):
    inbox = Inbox(greylist=True)
    with SmtpServer(inbox) as server:
        status, output = test_alert(directory, server.port, "none")
        assert status == 1 and "451 4.7.1" in output and "greylisting" in output, output
        status, output = test_alert(directory, server.port, "none")
    assert status == 0, output
    assert len(inbox.mails) == 1


@case
def refused_recipient_does_not_block_the_others(directory, paths, context):
    inbox = Inbox(refused_recipients=["gone@example.org"])
    to = "gone@example.org, you@example.org"
    with SmtpServer(inbox) as server:
        status, output = test_alert(directory, server.port, "none", to=to)
    assert status == 1 and "gone@example.org: 550 5.1.1" in output and "Delivered to you@example.org" in output, output
    assert inbox.mails[0][1].rcpt_tos == ["you@example.org"]
    check_mail(inbox.mails[0][1].content)


@case
def rejected_mail_is_reported(directory, paths, context):
    with SmtpServer(Inbox(reject="554 5.7.1 looks like spam")) as server:
        status, output = test_alert(directory, server.port, "none")
    assert status == 1 and "554 5.7.1 looks like spam" in output, output


@case
def connection_refused_is_reported(directory, paths, context):
    # Bound, so that no other case gets the port, but not listening.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        status, output = test_alert(directory, bound.getsockname()[1], "none")
    assert status == 1 and "FAILED connect" in output, output


@case
def hanging_server_times_out_at_each_step(directory, paths, context):
    """The timeouts of main-node are what is tested: 30 s for a step, 120 s for the mail itself."""
    named = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", "end of data": "DATA"}

    def check(step):
        home = directory / step.replace(" ", "-")
        home.mkdir()
        server = HangingServer(step, context)
        began = time.monotonic()
        status, output = test_alert(
            home, server.port, "starttls", user="me", password=PASSWORD, ca=paths[0]
        )
        took = time.monotonic() - began
        server.listener.close()
        name, bound = named.get(step, step), 120 if step in ("DATA", "end of data") else 30
        assert status == 1 and f"FAILED {name}" in output, (step, output)
        assert f"Not sent: {name}: no response within {bound} s" in output, (step, output)
        assert ("may have been delivered" in output) == (bound == 120), (step, output)
        # The margin is for the steps before, with all other cases running.
        assert bound <= took + 0.5 and took < bound + 20, (step, took)

    with concurrent.futures.ThreadPoolExecutor(len(HangingServer.STEPS)) as pool:
        list(pool.map(check, HangingServer.STEPS))


@case
def connect_times_out(directory, paths, context):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # With a full accept queue the kernel answers no further SYN.
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        port = listener.getsockname()[1]
        wait_until(lambda: accept_queue(port) > 0, 10, "the accept queue is full")
        began = time.monotonic()
        status, output = test_alert(directory, port, "none")
        took = time.monotonic() - began
        for client in waiting:
            client.close()
    assert status == 1 and "FAILED connect" in output, output
    assert "no response within 10 s" in output and took < 30, (took, output)


def accept_queue(port):
    """Connections that the kernel holds for a listener: its rx_queue in /proc/net/tcp."""
    listening = f":{port:04X} 00000000:0000 0A "
    line = next(line for line in open("/proc/net/tcp") if listening in line)
    return int(line.split()[4].split(":")[1], 16)


@case
def unacknowledged_mail_is_resent_with_the_same_message_id(directory, paths, context):
    """The server accepts the mail but the connection breaks before its reply."""

    class Disconnecting(Inbox):
        async def handle_DATA(self, server, session, envelope):
            answer = await super().handle_DATA(server, session, envelope)
            if len(self.mails) == 1:
                server.transport.abort()
            return answer

    inbox = Disconnecting()
    with SmtpServer(inbox) as server:
        node = Node(directory, server.port)
        node.start()
        wait_until(lambda: len(inbox.mails) == 1, 60, "the mail")
        node.source_up()
        wait_until(lambda: len(inbox.mails) >= 3, 150, "the same mail again, and the recovery")
        node.stop()
    mails = [parse(envelope) for _, envelope in inbox.mails]
    ids = [mail["Message-ID"] for mail in mails]
    assert ids[0] == ids[1] != ids[2] and len(ids) == 3, ids
    assert "good again" in mails[2]["Subject"], mails[2]["Subject"]


@case
def postfix_accepts_all_tls_modes(directory, paths, context):
    """A real mail server, with a configuration of its own."""
    if os.geteuid() != 0:
        raise Missing("only root can start postfix")
    if not pathlib.Path("/usr/sbin/postfix").exists() and pathlib.Path("/run/systemd/system").exists():
        raise Missing("installing postfix here would start it; if that is fine: apt-get install postfix")
    tool("postfix")
    home = directory / "postfix"
    for name in ("etc", "spool", "data", "mail"):
        (home / name).mkdir(parents=True)
    # Postfix's own user must be able to enter it.
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
    master = Process(["/usr/lib/postfix/sbin/master", "-c", etc, "-d"], home / "log")
    try:
        for port in ports.values():
            wait_until(lambda: accepts_connections(port), 20, f"postfix listens on port {port}")
        for kind, tls in (("plain", "none"), ("starttls", "starttls"), ("implicit", "implicit")):
            status, output = test_alert(directory, ports[kind], tls, ca=paths[0])
            assert status == 0, output + master.output()
            assert "queued as" in output, output
        inbox = home / "mail/inbox"
        wait_until(lambda: inbox.exists() and len(mailbox.mbox(inbox)) == 3, 30, "three mails in the mailbox")
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
    """`main-node serve` with one source, which is down until `source_up`."""

    def __init__(self, directory, smtp_port, alert_options="", name="node"):
        self.source_port = free_port()
        self.address = f"127.0.0.1:{free_port()}"
        self.source = None
        self.log = directory / f"{name}.log"
        self.file = directory / f"{name}.toml"
        self.file.write_text(
            f"""name = "pi"
listen = "{self.address}"
database = "{directory / name}.db"
[[source]]
name = "meter"
url = "http://127.0.0.1:{self.source_port}"
every = "1s"
[alert]
no_success_for = "2s"
{alert_options}
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
        self.process = Process([BINARY, "serve", "--config", self.file], self.log)

    def kill(self):
        self.process.kill()

    def stop(self):
        """Stops the node, then its source; seconds that the node took."""
        code, seconds = self.process.stop(15)
        assert code == 0, (code, self.output())
        if self.source:
            self.source_down()
        return seconds

    def source_up(self):
        self.source = HttpServer(lambda path: {"power": 1}, self.source_port)

    def source_down(self):
        self.source.stop()
        self.source = None

    def output(self):
        return self.process.output()

    def status(self):
        """`/status`, as soon as the node answers."""
        return wait_until(lambda: harness.get(self.address, "/status").json, 15, lambda: f"/status: {self.output()}")

    def channel(self):
        """The mail channel in `/status`."""
        return self.status()["channels"][0]

    def wait_until_all_sent(self):
        """Waits until the outbox is empty: no further mail can come."""
        wait_until(lambda: self.channel()["waiting"] == 0, 20, lambda: f"the outbox is empty: {self.channel()}")

    def test_alert(self):
        """Exit status and output of `main-node test-alert` while the service runs."""
        command = [BINARY, "test-alert", "--config", str(self.file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


def parse(envelope):
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


@case
def alert_and_recovery_are_one_thread(directory, paths, context):
    inbox = Inbox()
    with SmtpServer(inbox) as server:
        node = Node(directory, server.port)
        node.start()
        wait_until(lambda: len(inbox.mails) == 1, 60, "the alert")
        node.source_up()
        wait_until(lambda: len(inbox.mails) == 2, 60, "the recovery")
        assert node.stop() < 5
    alert, recovery = (parse(envelope) for _, envelope in inbox.mails)
    assert "no data" in alert["Subject"], alert["Subject"]
    assert "good again" in recovery["Subject"], recovery["Subject"]
    assert recovery["In-Reply-To"] == alert["Message-ID"]
    assert alert["Message-ID"] in recovery["References"]
    assert alert["Message-ID"] != recovery["Message-ID"]


@case
def delayed_alert_is_sent_with_its_recovery_as_one_mail(directory, paths, context):
    inbox = Inbox()
    server = SmtpServer(inbox)
    node = Node(directory, server.port)
    node.start()
    wait_until(lambda: "alert not delivered" in node.output(), 60, "a failed attempt")
    node.source_up()
    wait_until(lambda: harness.get(node.address, "/snapshot").json.get("alert") is None, 30, "the alert is over")
    with server:
        wait_until(lambda: len(inbox.mails) == 1, 120, "the mail")
        node.wait_until_all_sent()
        node.stop()
    assert len(inbox.mails) == 1, [parse(it)["Subject"] for _, it in inbox.mails]
    mail = parse(inbox.mails[0][1])
    assert "good again" in mail["Subject"], mail["Subject"]
    text = mail.get_body(("plain",)).get_content()
    assert "both the start and the end of the incident" in " ".join(text.split()), text


@case
def kill_after_acceptance_resends_the_same_message_id(directory, paths, context):

    class Killing(Inbox):
        async def handle_DATA(self, server, session, envelope):
            answer = await super().handle_DATA(server, session, envelope)
            if len(self.mails) == 1:
                node.kill()
            return answer

    inbox = Killing()
    with SmtpServer(inbox) as server:
        node = Node(directory, server.port)
        node.start()
        wait_until(lambda: not node.process.running(), 60, "the kill")
        node.start()
        wait_until(lambda: len(inbox.mails) == 2, 60, "the same mail again")
        node.wait_until_all_sent()
        node.stop()
    ids = [parse(envelope)["Message-ID"] for _, envelope in inbox.mails]
    assert len(ids) == 2 and len(set(ids)) == 1, ids


@case
def refused_alert_is_shown_and_sent_after_a_successful_test(directory, paths, context):
    inbox = Inbox(reject="554 5.7.1 looks like spam")
    with SmtpServer(inbox) as server:
        node = Node(directory, server.port)
        node.start()
        wait_until(lambda: node.channel()["refused"] == 1, 60, "the refusal")
        status, mail = node.status(), node.channel()
        assert status["status"] != "pass" and "554 5.7.1 looks like spam" in status["summary"], status
        assert mail["last_delivered"] is None and mail["waiting"] == 1, mail
        code, output = node.test_alert()
        assert code == 1 and "kept, shown as refused" in output, output
        # A restart with the same configuration does not retry.
        node.stop()
        node.start()
        wait_until(lambda: node.channel()["refused"] == 1, 60, "it is shown again")
        inbox.reject = None
        code, output = node.test_alert()
        assert code == 0 and "1 refused alert is waiting" in output, output
        wait_until(lambda: len(inbox.mails) == 2, 60, "the alert")
        wait_until(lambda: node.channel()["waiting"] == 0, 10, "nothing waits")
        assert node.channel()["last_delivered"], node.channel()
        node.stop()
    assert "no data" in parse(inbox.mails[1][1])["Subject"], parse(inbox.mails[1][1])["Subject"]


@case
def stale_node_stops_pinging_the_heartbeat_url(directory, paths, context):
    """The interval of a minute is what is tested: a second node, whose data stays fresh and which
    started later, shows by its second ping that the next ping of the first one was due."""
    pings = []

    def record(path):
        pings.append(path)
        return b""

    heartbeat = HttpServer(record)
    url = f"http://127.0.0.1:{heartbeat.server_port}/ping"
    stale, fresh = (
        Node(directory, free_port(), f'ping = "{url}/{name}-s3cret"', name) for name in ("stale", "fresh")
    )
    for node in (stale, fresh):
        node.source_up()
        node.start()
        node.status()
    wait_until(lambda: "/ping/stale-s3cret" in pings, 75, "the first ping")
    stale.source_down()
    wait_until(lambda: pings.count("/ping/fresh-s3cret") == 2, 130, "the second ping of the node that stays fresh")
    assert pings.count("/ping/stale-s3cret") == 1, pings
    for node in (stale, fresh):
        node.stop()
        assert "s3cret" not in node.output(), "the log has the heartbeat URL, which is a secret"
    heartbeat.stop()


@case
def stop_does_not_wait_for_a_hanging_server(directory, paths, context):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        node = Node(directory, listener.getsockname()[1])
        node.start()
        connection, _ = listener.accept()
        with connection:
            assert node.stop() < 5


def accepts_connections(port):
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


def main(known, names):
    """Runs the cases with those names, or all that are known."""
    # aiosmtpd's complaints about clients that disconnect are of no interest.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cases = [case for case in known if not names or case.__name__ in names]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        # Postfix's own user must be able to enter it.
        directory.chmod(0o755)
        paths = certificates(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(paths[1], paths[2])
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            results = [pool.submit(run_case, case, directory, paths, context) for case in cases]
            passed = [future.result() for future in results]
    return 0 if all(passed) else 1


def run_case(case, directory, paths, context):
    """Whether the case passed; prints its result in one write, for cases run in parallel."""
    began, title = time.monotonic(), case.__name__.replace("_", " ")
    home = directory / case.__name__
    home.mkdir()
    home.chmod(0o755)
    passed = True
    try:
        case(home, paths, context)
        result = f"  ok    {title} ({time.monotonic() - began:.1f} s)"
    except Missing as missing:
        result = f"NOT CHECKED: {title}: {missing}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        passed = False
        result = f"  FAILED {title} (line {where.lineno}: {where.line})\n        {error!r}"
    sys.stdout.write(result + "\n")
    sys.stdout.flush()
    return passed


if __name__ == "__main__":
    sys.exit(main(CASES, sys.argv[1:]))
