"""The cases of the story `mail_oauth`, in a process of their own like those of `mail` (mail_cases.py).

    BIN/python tests/e2e/stories/mail_oauth_cases.py [CASE…]

The token server and the mail servers are fakes/oauth_mail.py's, on loopback and on free ports.
"""

import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
from fakes.oauth_mail import REFRESH_TOKEN, OAuthSmtpServer, TokenServer  # noqa: E402
from fakes.smtp import Inbox, SmtpServer, free_port  # noqa: E402
from harness import Process, wait_until  # noqa: E402
from stories.mail_cases import BINARY, check_mail, main  # noqa: E402

CASES = []
SECRETS = (REFRESH_TOKEN, "client-s3cret", "access-t0ken")


def case(function):
    CASES.append(function)
    return function


def write_config(directory, tokens, smtp_port, ca, grant="refresh_token"):
    refresh = f'refresh_token = "{REFRESH_TOKEN}"' if grant == "refresh_token" else ""
    address = f"127.0.0.1:{free_port()}"
    file = directory / "main-node.toml"
    file.write_text(
        f"""name = "pi-küche"
listen = "{address}"
database = "{directory}/main-node.db"
[[source]]
name = "meter"
url = "http://127.0.0.1:9/"
every = "1s"
[alert]
no_success_for = "2s"
[mail]
host = "127.0.0.1"
port = {smtp_port}
user = "me@example.org"
auth = "google"
from = "node@example.org"
to = "you@example.org"
ca_file = "{ca}"
[auth.google]
grant = "{grant}"
token_url = "{tokens.url}"
client_id = "client-1"
client_secret = "client-s3cret"
scope = "https://mail.google.com/"
{refresh}
"""
    )
    return file, address


def run(command, file):
    environment = {"PATH": os.environ["PATH"], "RUST_LOG": "debug"}
    done = subprocess.run(
        [BINARY, *command, "--config", str(file)], capture_output=True, text=True, timeout=200, env=environment
    )
    output = done.stdout + done.stderr
    expect_no_secret(output)
    return done.returncode, output


def expect_no_secret(output):
    for secret in SECRETS:
        assert secret not in output, f"the output has {secret}: {output}"


@case
def token_is_the_login_in_each_mechanism_and_grant(directory, paths, context):
    for mechanism in ("XOAUTH2", "OAUTHBEARER"):
        for grant in ("refresh_token", "client_credentials"):
            home = directory / f"{mechanism}-{grant}"
            home.mkdir()
            inbox = Inbox()
            with TokenServer() as tokens, OAuthSmtpServer(inbox, context, tokens, mechanism) as server:
                file, _ = write_config(home, tokens, server.port, paths[0], grant=grant)
                # The tokens are long and short: in the command, and after it.
                for turn in range(2):
                    status, output = run(["test-alert"], file)
                    assert status == 0, output
                    assert "ok     token" in output, output
                    assert f"as me@example.org ({mechanism})" in output, output
                    tokens.valid.clear()
                assert len(tokens.requests) == 2, tokens.requests
                status, output = run(["check", "--online"], file)
                assert "mail" in output, output
            assert [request["grant_type"] for request in tokens.requests[:2]] == [grant] * 2
            assert len(inbox.mails) == 2, len(inbox.mails)
            check_mail(inbox.mails[0][1].content)


@case
def token_that_the_server_refuses_is_renewed_once(directory, paths, context):
    inbox = Inbox()
    with TokenServer() as tokens, OAuthSmtpServer(inbox, context, tokens) as server:
        file, _ = write_config(directory, tokens, server.port, paths[0])
        assert run(["test-alert"], file)[0] == 0
        # What the file of tokens has is valid by its time, but was revoked.
        tokens.valid.clear()
        status, output = run(["test-alert"], file)
        assert status == 0, output
        assert "FAILED AUTH" in output and output.count("ok     token") == 2, output
        assert len(tokens.requests) == 2 and len(inbox.mails) == 2, (tokens.requests, len(inbox.mails))


@case
def refused_token_is_reported_with_the_words_of_the_server(directory, paths, context):
    inbox = Inbox()
    with TokenServer() as tokens, OAuthSmtpServer(inbox, context, tokens) as server:
        tokens.valid = frozenset()
        tokens.answer = lambda form: (200, {"access_token": "access-t0ken-bad", "expires_in": 3600})
        file, _ = write_config(directory, tokens, server.port, paths[0])
        status, output = run(["test-alert"], file)
    assert status == 1, output
    assert "the server refuses the access token (535 5.7.8 Username and Password not accepted" in output, output
    assert '"status": "400"' in output and "https://mail.google.com/" in output, output
    assert "kept and retried" in output, output
    assert not inbox.mails


@case
def refresh_token_that_is_revoked_is_reported(directory, paths, context):
    with TokenServer(error="invalid_grant") as tokens, OAuthSmtpServer(Inbox(), context, tokens) as server:
        file, _ = write_config(directory, tokens, server.port, paths[0])
        status, output = run(["test-alert"], file)
    assert status == 1 and "FAILED token" in output and "[auth.google]" in output, output
    assert "FAILED AUTH" not in output and "connect" not in output, output


@case
def password_at_a_server_that_wants_tokens_is_reported(directory, paths, context):
    with TokenServer() as tokens, OAuthSmtpServer(Inbox(), context, tokens) as server:
        file, _ = write_config(directory, tokens, server.port, paths[0])
        text = file.read_text().replace('auth = "google"', 'password = "client-s3cret"')
        file.write_text(text)
        status, output = run(["test-alert"], file)
    assert status == 1 and "only OAuth 2.0 (XOAUTH2)" in output and 'auth = "NAME"' in output, output


@case
def token_at_a_server_that_wants_a_password_is_reported(directory, paths, context):
    with TokenServer() as tokens, SmtpServer(Inbox(), context, login=True) as server:
        file, _ = write_config(directory, tokens, server.port, paths[0])
        status, output = run(["test-alert"], file)
    assert status == 1 and "takes no access token" in output and "`password` in [mail]" in output, output


@case
def alert_waits_for_the_token_server(directory, paths, context):
    inbox, tokens = Inbox(), TokenServer()
    with OAuthSmtpServer(inbox, context, tokens) as server:
        file, address = write_config(directory, tokens, server.port, paths[0])
        node = Process([BINARY, "serve", "--config", file], directory / "log")

        def channel():
            return harness.get(address, "/status").json["channels"][0]

        wait_until(lambda: "alert not delivered" in node.output(), 60, "a failed attempt")
        assert "token: " in node.output() and "127.0.0.1" in channel()["trouble"], (node.output(), channel())
        assert channel()["waiting"] == 1, channel()
        with tokens:
            wait_until(lambda: len(inbox.mails) == 1, 150, "the alert")
            wait_until(lambda: channel()["waiting"] == 0, 20, "nothing waits")
        assert channel()["trouble"] is None, channel()
        code, seconds = node.stop(15)
        assert code == 0 and seconds < 5, (code, seconds, node.output())
    assert len(tokens.issued) == 1, tokens.requests
    expect_no_secret(node.output())


@case
def stop_does_not_wait_for_a_hanging_token_server(directory, paths, context):
    with socket.socket() as listener, OAuthSmtpServer(Inbox(), context, TokenServer()) as server:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(60)
        tokens = TokenServer()
        tokens.port = listener.getsockname()[1]
        file, _ = write_config(directory, tokens, server.port, paths[0])
        node = Process([BINARY, "serve", "--config", file], directory / "log")
        connection, _ = listener.accept()
        with connection:
            code, seconds = node.stop(15)
            assert code == 0 and seconds < 5, (code, seconds, node.output())


if __name__ == "__main__":
    sys.exit(main(CASES, sys.argv[1:]))
