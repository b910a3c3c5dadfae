"""An OAuth 2.0 server (Authlib on Flask) with an API behind it: oauth_server.py PORT STATE. Runs in the venv `oauth`.

Refresh tokens are exchanged: each is good once. STATE is a file that a restart goes on with. `/control` sets
what the stories need: `lifetime` of access tokens, `revoke` (all access tokens), `hold` (answers of the token
endpoint wait until `release`), `die` (the process ends after it has exchanged a token, before it answers)."""

import json
import os
import pathlib
import sys
import threading
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector  # noqa: E402
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants  # noqa: E402
from authlib.oauth2.rfc6750 import BearerTokenValidator  # noqa: E402
from flask import Flask, jsonify, request  # noqa: E402

app = Flask(__name__)
state_file = pathlib.Path(sys.argv[2])
state = {"tokens": [], "requests": [], "api": 0, "lifetime": 10800}
if state_file.exists():
    state.update(json.loads(state_file.read_text()))
state.setdefault("first", "first-refresh-token")
settings = {"die": False}
released = threading.Event()
released.set()
CLIENTS = {
    "app-body": ("client-secret-1", "client_secret_post", "read_station"),
    "app-basic": ("s&cret +2", "client_secret_basic", "read_station"),
}


def save():
    state_file.write_text(json.dumps(state))


class Client(ClientMixin):
    def __init__(self, client_id):
        self.client_id = client_id
        self.secret, self.method, self.scope = CLIENTS[client_id]

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return " ".join(it for it in (scope or "").split() if it in self.scope.split())

    def check_client_secret(self, secret):
        return secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant_type):
        return grant_type in ("client_credentials", "refresh_token", "password")

    def check_response_type(self, response_type):
        return False

    def check_redirect_uri(self, uri):
        return False

    def get_default_redirect_uri(self):
        return None


class Token(TokenMixin):
    def __init__(self, entry):
        self.entry = entry

    def check_client(self, client):
        return self.entry["client"] == client.client_id

    def get_scope(self):
        return self.entry["scope"]

    def get_expires_in(self):
        return self.entry["expires_in"]

    def is_revoked(self):
        return self.entry["revoked"]

    def is_expired(self):
        return time.time() >= self.entry["issued"] + self.entry["expires_in"]

    def get_user(self):
        return "me"

    def get_client(self):
        return Client(self.entry["client"])


def query_client(client_id):
    return Client(client_id) if client_id in CLIENTS else None


def save_token(token, oauth_request):
    state["tokens"].append({
        "access": token["access_token"],
        "refresh": token.get("refresh_token"),
        "client": oauth_request.client.client_id,
        "scope": token.get("scope", ""),
        "expires_in": token["expires_in"],
        "issued": time.time(),
        "revoked": False,
        "used": False,
    })
    save()


class RefreshTokenGrant(grants.RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def authenticate_refresh_token(self, refresh_token):
        if refresh_token == state["first"]:
            return Token({"client": "app-body", "scope": "read_station", "refresh": refresh_token})
        for entry in state["tokens"]:
            if entry["refresh"] == refresh_token and not entry["used"]:
                return Token(entry)
        return None

    def authenticate_user(self, credential):
        return "me"

    def revoke_old_credential(self, credential):
        if credential.entry["refresh"] == state["first"]:
            state["first"] = ""
        credential.entry["used"] = True
        save()


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def authenticate_user(self, username, password):
        return "me" if (username, password) == ("jürgen", "pass word&") else None


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return next((Token(it) for it in state["tokens"] if it["access"] == token_string), None)


def expires_in(client, grant_type):
    return state["lifetime"]


server = AuthorizationServer()
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
server.init_app(app, query_client=query_client, save_token=save_token)
for grant in (RefreshTokenGrant, ClientCredentialsGrant, PasswordGrant):
    server.register_grant(grant)
protected = ResourceProtector()
protected.register_token_validator(Validator())


@app.post("/oauth2/token")
def token():
    state["requests"].append({**request.form.to_dict(), "basic": bool(request.authorization)})
    save()
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {name: state["lifetime"] for name in ("refresh_token", "client_credentials", "password")}
    response = server.create_token_response()
    if settings["die"]:
        os._exit(1)
    released.wait(60)
    if response.status_code == 200:
        # As Netatmo answers.
        body = response.get_json()
        body["scope"] = body.get("scope", "").split()
        body["expire_in"] = body["expires_in"] = state["lifetime"]
        state["tokens"][-1]["expires_in"] = state["lifetime"]
        save()
        response.set_data(json.dumps(body))
    return response


@app.get("/api/getstationsdata")
@protected("read_station")
def stations():
    state["api"] += 1
    now = int(time.time())
    outdoor = {"_id": "02:00:00:00:00:01", "module_name": "garden", "type": "NAModule1",
               "dashboard_data": {"time_utc": now, "Temperature": 7.5, "Humidity": 81}}
    device = {"_id": "70:ee:50:00:00:01", "module_name": "living room", "type": "NAMain", "modules": [outdoor],
              "dashboard_data": {"time_utc": now, "Temperature": 21.3, "CO2": 612, "Humidity": 45, "Noise": 38}}
    return jsonify({"body": {"devices": [device], "user": {"mail": "me@example.org"}}, "status": "ok"})


@app.get("/control")
def control():
    for name, value in request.args.items():
        if name == "lifetime":
            state["lifetime"] = int(value)
        elif name == "revoke":
            for entry in state["tokens"]:
                entry["revoked"] = True
        elif name == "hold":
            released.clear()
        elif name == "release":
            released.set()
        elif name == "first":
            state["first"] = value
        elif name == "die":
            settings["die"] = True
    save()
    return jsonify(state)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
