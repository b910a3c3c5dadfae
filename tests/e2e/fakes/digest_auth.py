"""The server's side of HTTP Digest authentication (RFC 7616), written from its formulas: strict about each
parameter, and about the count of a nonce's uses."""

import base64
import hashlib
import re
import secrets

from fakes.vendors import Answer

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class DigestAuth:
    """Wraps an answer to a `Request`; `nonce_uses` ends a nonce as stale."""

    def __init__(self, respond, user, password, realm, algorithm="SHA-256", nonce_uses=None, qop="auth", next_nonces=False):
        self.respond, self.user, self.password, self.realm = respond, user, password, realm
        self.algorithm, self.qop, self.nonce_uses, self.next_nonces = algorithm, qop, nonce_uses, next_nonces
        self.restart()

    def restart(self):
        """Forgets every nonce, as a device does that restarts."""
        self.nonces = {}

    def new_nonce(self):
        nonce = secrets.token_hex(16)
        self.nonces[nonce] = 0
        return nonce

    def __call__(self, request):
        sent = request.headers.get("authorization", "")
        if not sent.startswith("Digest "):
            return self.challenge()
        params = parse(sent.removeprefix("Digest "))
        used = self.nonces.get(params["nonce"])
        if used is None:
            return self.challenge()
        if self.nonce_uses and used >= self.nonce_uses:
            return self.challenge(stale="true")
        count = used + 1
        if self.qop and int(params["nc"], 16) != count:
            return Answer({"error": f"nc is {params['nc']}, expected {count:08x}"}, status=400)
        if params["uri"] != request.target:
            return Answer({"error": f"uri is {params['uri']}"}, status=400)
        if params["response"] != self.response(request.method, params):
            return self.challenge()
        self.nonces[params["nonce"]] = count
        answer = self.respond(request)
        if self.next_nonces:
            answer.headers["Authentication-Info"] = f'nextnonce="{self.new_nonce()}", qop=auth'
        return answer

    def challenge(self, **more):
        params = {"realm": quoted(self.realm), "nonce": quoted(self.new_nonce()), "algorithm": self.algorithm, **more}
        if self.qop:
            params["qop"] = quoted(self.qop)
        listed = ", ".join(f"{name}={value}" for name, value in params.items())
        return Answer({"error": "unauthorized"}, status=401, WWW_Authenticate=f"Digest {listed}")

    def response(self, method, params):
        def hashed(*parts):
            return HASHES[self.algorithm.removesuffix("-sess")](":".join(parts).encode()).hexdigest()

        key = hashed(self.user, self.realm, self.password)
        if self.algorithm.endswith("-sess"):
            key = hashed(key, params["nonce"], params["cnonce"])
        parts = [params["nc"], params["cnonce"], params["qop"]] if self.qop else []
        return hashed(key, params["nonce"], *parts, hashed(method, params["uri"]))


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse(text):
    """{name: value} of a list of parameters."""
    found = re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', text)
    return {name: re.sub(r"\\(.)", r"\1", value) or bare for name, value, bare in found}


def schemes(server):
    """What each request sent: `none`, `Basic`, `Digest`."""
    return [request.headers.get("authorization", "none").split(" ")[0] for request in server.seen]


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
