"""OAuth 2.0 against a real server (Authlib) that exchanges refresh tokens: grants, restarts, kills, lost responses."""

import json
import signal
import time

from harness import (
    ROOT, Process, expect, free_port, get, main_node, run, source_status, story, venv, wait_until,
    with_trusted_clock, work_dir,
)
from stories.recipes import SECRETS, at, play, recipe

FIRST = "first-refresh-token"


class TokenServer:
    """fakes/oauth_server.py, whose state outlives it."""

    def __init__(self, directory):
        self.port, self.directory = free_port(), directory
        self.address = f"127.0.0.1:{self.port}"
        self.seen = []
        self.start()

    def start(self):
        program = [venv("oauth") / "python", ROOT / "tests/e2e/fakes/oauth_server.py", self.port, self.directory / "state.json"]
        self.process = Process(program, self.directory / "server.log", cwd=self.directory)
        wait_until(lambda: get(self.address, "/control").status == 200, 30, lambda: f"it answers: {self.process.output()}")

    def control(self, setting=""):
        return get(self.address, f"/control?{setting}").json

    def asked(self):
        return self.control()["requests"]


def configuration(directory, server, *sources, refresh_token=FIRST):
    """A file with these sources, and `[auth.netatmo]`."""
    file = directory / "main-node.toml"
    tables = "".join(
        f'[[source]]\nname = "{name}"\nurl = "http://{server.address}/api/getstationsdata"\nauth = {auth}\nevery = "1s"\nprefix = "{name}."\n'
        for name, auth in sources
    )
    port = free_port()
    file.write_text(
        f'listen = "127.0.0.1:{port}"\ndatabase = "{directory}/main-node.db"\n{tables}\n[auth.netatmo]\n'
        f'grant = "refresh_token"\ntoken_url = "http://{server.address}/oauth2/token"\nclient_id = "app-body"\n'
        f'client_secret = "client-secret-1"\nrefresh_token = "{refresh_token}"\n'
    )
    file.chmod(0o600)
    return file, f"127.0.0.1:{port}"


def once(file, seconds=30):
    code, out, err = run([main_node(), "once", "--config", file], seconds)
    return code, out + err


def stored(directory):
    return json.loads((directory / "tokens.json").read_text())["tokens"]


def refresh_token(directory):
    return next(it["token"]["refresh_token"] for it in stored(directory) if it["owner"]["name"] == "auth:netatmo")


def expect_no_token(server, *texts):
    tokens = [it[kind] for it in server.control()["tokens"] for kind in ("access", "refresh") if it[kind]]
    secrets = [*tokens, "client-secret-1", "s&cret +2", "pass word&"]
    leaked = [secret for secret in secrets for text in texts if secret in text]
    expect(not leaked, "no token and no secret is shown", leaked)


@story(seconds=90)
def oauth_grants():
    directory = work_dir("oauth-grants")
    server = TokenServer(directory)
    token_url = f'token_url = "http://{server.address}/oauth2/token"'
    client = f'grant = "client_credentials", {token_url}, client_id = "app-basic", client_secret = "s&cret +2", client_auth = "basic", scope = "read_station"'
    user = f'grant = "password", {token_url}, client_id = "app-body", client_secret = "client-secret-1", user = "jürgen", password = "pass word&", scope = ["read_station"]'
    several = [(f"n{number}", '"netatmo"') for number in range(8)]
    file, _ = configuration(directory, server, *several, ("client", f"{{ {client} }}"), ("user", f"{{ {user} }}"))
    code, out = once(file)
    expect(code == 0 and "client.body.devices.0.dashboard_data.CO2" in out, "all grants read the station", out)
    grants = sorted(it["grant_type"] for it in server.asked())
    expect(grants == ["client_credentials", "password", "refresh_token"], "eight sources share one token", grants)
    basic = [it["basic"] for it in server.asked() if it["grant_type"] == "client_credentials"]
    expect(basic == [True], "client_auth = \"basic\" is HTTP Basic", server.asked())
    expect((directory / "tokens.json").stat().st_mode & 0o777 == 0o600, "tokens.json is for its owner alone")
    code, out, err = run([main_node(), "check", "--config", file], 30)
    expect(code == 0 and "tokens.json has 3 tokens" in out, "`check` tells its state", out + err)
    expect_no_token(server, out, once(file)[1])
    expect(len(server.asked()) == 3, "another run uses the tokens of the file", server.asked())
    wrong = client.replace("s&cret +2", "wrong-secret")
    code, out = once(configuration(directory, server, ("client", f"{{ {wrong} }}"))[0])
    # The token of the file is still good: the secret is asked for with the next.
    expect(code == 0, "a changed secret is no reason to drop a token", out)
    (directory / "tokens.json").unlink()
    code, out = once(configuration(directory, server, ("client", f"{{ {wrong} }}"))[0])
    said = "are `client_id` and `client_secret` in `auth` of the source client ("
    expect(code == 1 and "invalid_client" in out and said in out, "a wrong secret is explained", out)
    expect("wrong-secret" not in out, "it is not shown", out)


@story(seconds=120)
def oauth_rotation():
    directory = work_dir("oauth-rotation")
    server = TokenServer(directory)
    file, address = configuration(directory, server, ("netatmo", '"netatmo"'))
    server.control("lifetime=1")
    used = []
    for _ in range(3):
        code, out = once(file)
        expect(code == 0, "each run exchanges the token", out)
        used.append(server.asked()[-1]["refresh_token"])
        time.sleep(1.1)
    expect(used[0] == FIRST and len(set(used)) == 3, "with the newest refresh token", used)
    # Five processes want another token at the same moment.
    server.control("lifetime=600")
    before = len(server.asked())
    runs = [Process([main_node(), "once", "--config", file], directory / f"once-{number}.log") for number in range(5)]
    codes = [it.wait(30) for it in runs]
    expect(codes == [0] * 5, "all of them read", [it.output() for it in runs])
    expect(len(server.asked()) == before + 1, "one of them asked", server.asked()[before:])
    # The service goes on with it, and gets another when it is refused.
    node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log")
    wait_until(lambda: source_status(address, "netatmo")["attempts"] > 1, 20, node.output)
    expect(len(server.asked()) == before + 1, "a restart asks for no token", server.asked())
    attempts = server.control("revoke")["api"]
    wait_until(lambda: server.control()["api"] > attempts + 1, 20, lambda: f"it reads again: {node.output()}")
    asked = server.asked()
    expect(len(asked) == before + 2, "a refused token is replaced once", asked[before:])
    status = source_status(address, "netatmo")
    expect(status["failures_in_a_row"] == 0, "no fetch has failed", status)
    code, out, err = run([main_node(), "backup", directory / "copy.db", "--config", file], 30)
    expect(code == 0, "a backup can be made", out + err)
    _, exported, _ = run([main_node(), "export", "--config", file], 30)
    token = stored(directory)[0]["token"]["access_token"]
    copies = [(directory / name).read_bytes() for name in ("copy.db", "main-node.db")]
    expect(not any(token.encode() in it for it in [*copies, exported.encode()]), "database, backup and export have no token")
    expect_no_token(server, node.output(), get(address, "/status").text, get(address, "/web").text, get(address, "/metrics").text)
    expect(node.stop()[0] == 0, "it stops", node.output())


@story(seconds=120)
def oauth_kill():
    directory = work_dir("oauth-kill")
    server = TokenServer(directory)
    file, address = configuration(directory, server, ("netatmo", '"netatmo"'))
    # Killed while the server, which has exchanged the token, has not answered.
    server.control("hold=1")
    node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log")
    wait_until(lambda: server.asked() and server.control()["tokens"], 20, lambda: f"it asks: {node.output()}")
    node.signal(signal.SIGKILL)
    node.wait(5)
    server.control("release=1")
    left = [it.name for it in directory.glob("tokens.json*") if not it.name.endswith(".tmp")]
    expect(not left, "there is no file of tokens yet", left)
    code, out = once(file)
    said = "get a new refresh token there, write it as `refresh_token` in [auth.netatmo] ("
    expect(code == 1 and "invalid_grant" in out and said in out, "the loss is explained", out)
    expect(f"{file.name}:" in out, "with the line to change", out)
    # The service tries it once.
    before = len(server.asked())
    node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log")
    wait_until(lambda: source_status(address, "netatmo")["failures_in_a_row"] > 2, 20, node.output)
    expect(len(server.asked()) == before + 1, "it is not asked again", server.asked()[before:])
    expect(source_status(address, "netatmo")["last_failure"]["cause"] == "http_status", "the cause is http_status")
    expect(node.stop()[0] == 0, "it stops", node.output())
    # A person writes a new one; it wins.
    server.control("first=second-refresh-token")
    file, _ = configuration(directory, server, ("netatmo", '"netatmo"'), refresh_token="second-refresh-token")
    code, out = once(file)
    expect(code == 0, "a new refresh token in the configuration helps", out)
    expect(server.asked()[-1]["refresh_token"] == "second-refresh-token", "it was used", server.asked())
    # The server dies after it has exchanged a token.
    newest = refresh_token(directory)
    server.control("lifetime=1")
    server.control("revoke")
    server.control("die")
    code, out = once(file)
    expect(code == 1 and "no access token: " in out, "a lost response is a failure", out)
    expect(refresh_token(directory) == newest, "the old token is kept")
    server.process.wait(5)
    server.start()
    code, out = once(file)
    expect(code == 1 and said in out, "the server takes it no more", out)
    left = sorted(it.name for it in directory.glob("tokens.json*"))
    expect(left == ["tokens.json"], "nothing is left beside it", left)


@story(seconds=60)
def oauth_storage():
    directory = work_dir("oauth-storage")
    server = TokenServer(directory)
    file, _ = configuration(directory, server, ("netatmo", '"netatmo"'))
    (directory / "tokens.json").mkdir()
    code, out = once(file)
    expect(code == 1 and "storage" in out and "it is not a file" in out, "a directory is no file", out)
    expect(not server.asked(), "the refresh token is not given away", server.asked())
    code, out, err = run([main_node(), "check", "--config", file], 20)
    expect("PROBLEM: the tokens in " in out, "`check` tells it", out + err)
    (directory / "tokens.json").rmdir()
    code, out = once(file)
    expect(code == 0, "afterwards it works", out)
    (directory / "tokens.json").chmod(0o644)
    code, out, err = run([main_node(), "check", "--config", file], 20)
    expect("PROBLEM" in out and "chmod 600" in out, "`check` says that others can read it", out + err)
    server.control("revoke")
    code, out = once(file)
    expect(code == 0, "it works, with another token", out)
    expect((directory / "tokens.json").stat().st_mode & 0o777 == 0o600, "it is for its owner alone")


@story(seconds=60)
def recipe_netatmo():
    directory = work_dir("oauth-netatmo")
    server = TokenServer(directory)
    toml = at(recipe("Netatmo"), server.address)

    def shares(address, records):
        asked = [it["grant_type"] for it in server.asked()]
        expect(asked == ["refresh_token"], "`once` and `serve` share a token", asked)
        expect_no_token(server, get(address, "/status").text)

    keys = {"indoor": 21.3, "co2": 612, "garden.temperature": 7.5}
    play("netatmo", toml, keys, server, shares)
    expect(SECRETS["NETATMO_REFRESH_TOKEN"] == FIRST, "the recipe began with the first refresh token")
