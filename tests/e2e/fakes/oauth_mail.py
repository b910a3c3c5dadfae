"""Fakes for the story `mail_oauth`: a token server (RFC 6749), and aiosmtpd with XOAUTH2 and OAUTHBEARER.

They share the set of valid access tokens. Needs aiosmtpd, from `.ci/tools.py venv:mail`.
"""

import base64
import http.server
import json
import threading
import urllib.parse

from aiosmtpd.smtp import SMTP, AuthResult

from fakes.smtp import SmtpServer, free_port

REFRESH_TOKEN = "refresh-t0ken-never-shown"


class TokenServer:
    """POST /token with the grants refresh_token and client_credentials; not listening until `start`."""

    def __init__(self, lifetime=3600, error=None):
        self.lifetime, self.error = lifetime, error
        self.issued, self.valid, self.requests = [], set(), []
        self.port = free_port()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/token"

    def start(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = fake.answer(dict(urllib.parse.parse_qsl(body)))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, form):
        self.requests.append(form)
        if self.error:
            return 400, {"error": self.error, "error_description": "Token has been expired or revoked."}
        if form.get("client_id") != "client-1" or form.get("client_secret") != "client-s3cret":
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "refresh_token" and form.get("refresh_token") != REFRESH_TOKEN:
            return 400, {"error": "invalid_grant"}
        token = f"access-t0ken-{len(self.issued)}." + "x" * (20 if len(self.issued) % 2 else 1500)
        self.issued.append(token)
        self.valid.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class OAuthSmtp(SMTP):
    """Accepts the valid tokens of a token server for the user me@example.org."""

    # RFC 4954 4 wants it of a server that has AUTH; Microsoft's tokens have up to 2 kB.
    line_length_limit = 12288
    tokens = None
    error = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}

    async def auth_XOAUTH2(self, server, args):
        expected = {f"user=me@example.org\x01auth=Bearer {token}\x01\x01" for token in self.tokens.valid}
        return await self.check(args, expected, b"")

    async def auth_OAUTHBEARER(self, server, args):
        port = self.tokens.smtp_port
        expected = {
            f"n,a=me@example.org,\x01host=127.0.0.1\x01port={port}\x01auth=Bearer {token}\x01\x01"
            for token in self.tokens.valid
        }
        return await self.check(args, expected, b"\x01")

    async def check(self, args, expected, acknowledgement):
        if len(args) == 2:
            response = base64.b64decode(args[1], validate=True)
        else:
            response = await self.challenge_auth(b"")
        if response.decode() in expected:
            return AuthResult(success=True, auth_data="me@example.org")
        # Google's form of RFC 7628 3.2.2.
        answer = await self.challenge_auth(json.dumps(self.error).encode())
        assert answer == acknowledgement, answer
        await self.push("535-5.7.8 Username and Password not accepted. For more information, go to")
        await self.push("535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp")
        return AuthResult(success=False, handled=True)


class OAuthSmtpServer(SmtpServer):
    """An [`SmtpServer`] that offers XOAUTH2 or OAUTHBEARER and no login with a password."""

    def __init__(self, handler, context, tokens, mechanism="XOAUTH2"):
        super().__init__(handler, context, login=True)
        self.tokens = tokens
        self.excluded = {"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER"} - {mechanism}

    def factory(self):
        self.tokens.smtp_port = self.port
        server = OAuthSmtp(
            self.handler,
            hostname="mail.test",
            tls_context=self.context,
            require_starttls=True,
            auth_required=True,
            auth_exclude_mechanism=self.excluded,
            enable_SMTPUTF8=False,
        )
        server.tokens = self.tokens
        return server
