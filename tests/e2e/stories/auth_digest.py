"""User and password against servers that ask for Digest: Apache, and fakes as strict as RFC 7616."""

import hashlib

from fakes.digest_auth import DigestAuth, basic, schemes
from fakes.vendors import Answer, vendor_server
from harness import (
    ROOT, Process, environment, expect, free_port, get, records_by_key, source_status, start_node, story, tool, wait_until,
    work_dir,
)
from stories.peers import once

PASSWORD = "pa:ss wörd"


def source(name, address, more=f'auth = {{ user = "me", password = "{PASSWORD}" }}', path="/data.json?a=1"):
    return f'[[source]]\nname = "{name}"\nurl = "http://{address}{path}"\nprefix = "{name}."\nevery = "1s"\n{more}\n'


def digest_server(value=7, **options):
    return vendor_server(DigestAuth(lambda _: Answer({"v": value}, ETag='"1"'), "me", PASSWORD, **{"realm": "a \"b\", c", **options}))


@story(seconds=60)
def digest_algorithms():
    directory = work_dir("digest-algorithms")
    for algorithm in ("MD5", "SHA-256", "MD5-sess", "SHA-256-sess"):
        for qop in ("auth", "auth,auth-int", ""):
            if algorithm.endswith("-sess") and not qop:
                continue
            with digest_server(algorithm=algorithm, qop=qop) as server:
                code, out = once(directory, source("meter", f"127.0.0.1:{server.server_port}"))
                expect(code == 0 and "meter.v" in out, f"{algorithm} with qop {qop!r}", out)
                expect(schemes(server) == ["Basic", "Digest"], "the first request tries Basic", schemes(server))
                expect("401" in out and "response=***" in out and "nonce=" in out, "both requests are shown", out)
                expect("wörd" not in out, "the password is not", out)


@story(seconds=60)
def digest_of_a_post():
    directory = work_dir("digest-of-a-post")
    with digest_server() as server:
        body = 'body = { id = 1, method = "Shelly.GetStatus" }\n'
        auth = f'auth = {{ user = "me", password = "{PASSWORD}", scheme = "digest" }}'
        code, out = once(directory, source("rpc", f"127.0.0.1:{server.server_port}", body + auth, path="/rpc"))
        expect(code == 0 and "rpc.v" in out, "a POST is answered for its method", out)
        sent = [(request.method, request.body) for request in server.seen]
        expect(len(sent) == 2 and sent[0] == sent[1] and sent[0][0] == "POST", "and its body is sent again", sent)


@story(seconds=60)
def digest_refusals():
    directory = work_dir("digest-refusals")
    with digest_server() as server:
        address = f"127.0.0.1:{server.server_port}"
        wrong = 'auth = { user = "me", password = "guessed-wrongly" }'
        code, out = once(directory, source("wrong", address, wrong))
        expect(code == 1 and "the user or the password is wrong" in out, "a wrong password is said", out)
        expect(len(server.seen) == 2, "after one more request", schemes(server))
        code, out = once(directory, source("none", address, ""))
        expect(code == 1 and "add auth = { user =" in out, "a missing one too", out)
        code, out = once(directory, source("basic", address, wrong.replace(" }", ', scheme = "basic" }')))
        expect(code == 1 and "wants Digest" in out and len(server.seen) == 4, '"basic" answers no Digest', out)
        del server.seen[:]
        code, out = once(directory, source("url", f"me:pa%3Ass%20w%C3%B6rd@{address}", ""))
        expect(code == 0 and "url.v" in out, "user and password of the URL are an answer too", out)
        expect("w%C3%B6rd" not in out, "and are not shown", out)

    with digest_server(algorithm="SHA-512-256") as server:
        code, out = once(directory, source("new", f"127.0.0.1:{server.server_port}"))
        expect(code == 1 and "algorithm SHA-512-256" in out and len(server.seen) == 1, "an unknown algorithm is named", out)
    with digest_server(qop="auth-int") as server:
        code, out = once(directory, source("int", f"127.0.0.1:{server.server_port}"))
        expect(code == 1 and "qop auth-int" in out, "so is the protection of bodies", out)

    def only_basic(request):
        if request.headers.get("authorization") != basic("me", PASSWORD):
            return Answer({}, status=401, WWW_Authenticate='Basic realm="x"')
        return Answer({"v": 1})

    digest = f'auth = {{ user = "me", password = "{PASSWORD}", scheme = "digest" }}'
    with vendor_server(only_basic) as server, digest_server() as other:
        code, out = once(directory, source("plain", f"127.0.0.1:{server.server_port}", digest))
        expect(code == 1 and "says Digest, so the password is not sent" in out and schemes(server) == ["none"], '"digest" sends no Basic', out)
        code, out = once(directory, source("asked", f"127.0.0.1:{other.server_port}", digest))
        expect(code == 0 and schemes(other) == ["none", "Digest"], "and nothing before it was asked", schemes(other))


@story(seconds=60)
def digest_of_a_url_with_cookies():
    """The password stands in the URL, and `auth` has another thing beside it."""
    directory = work_dir("digest-of-a-url-with-cookies")

    def with_cookie(respond):
        def answer(request):
            answer = respond(request)
            answer.headers["Set-Cookie"] = "session=cookie-0123456789; Path=/"
            return answer

        return answer

    inner = DigestAuth(lambda request: Answer({"v": 7}), "me", PASSWORD, "house")
    for more, account in (
        ("auth = { cookies = true }", ""),
        ('auth = "house"', "[auth.house]\ncookies = true\n"),
        ('auth = "house"', '[auth.house]\nquota = "300/day"\n'),
    ):
        with vendor_server(with_cookie(inner)) as server:
            address = f"me:pa%3Ass%20w%C3%B6rd@127.0.0.1:{server.server_port}"
            code, out = once(directory, source("url", address, more) + account)
            expect(code == 0 and "url.v" in out, f"Digest is answered with {more} {account}", out)
            expect(schemes(server) == ["Basic", "Digest"], "after Basic", schemes(server))
            cookie = server.seen[1].headers.get("cookie")
            expect(cookie == ("session=cookie-0123456789" if "cookies" in more + account else None), "with the cookie", cookie)
            expect("w%C3%B6rd" not in out and "cookie-0123456789" not in out, "no secret is shown", out)


@story(seconds=60)
def digest_while_polling():
    """One request for each poll, however nonces come and go."""
    directory, port = work_dir("digest-while-polling"), free_port()
    auth = f'[auth.house]\nuser = "me"\npassword = "{PASSWORD}"\n\n'
    with digest_server() as kept, digest_server(nonce_uses=3) as expiring, digest_server(next_nonces=True) as following:
        servers = {"kept": kept, "expiring": expiring, "following": following}
        sources = [source(name, f"127.0.0.1:{it.server_port}", 'auth = "house"') for name, it in servers.items()]
        node = start_node(directory, "node", port, auth + "".join(sources))

        def polled(times):
            return all(len(it.seen) >= times for it in servers.values())

        wait_until(lambda: polled(10), 30, lambda: f"all are polled: {node.output()} {get(f'127.0.0.1:{port}', '/status').text}")
        for name in ("kept", "following"):
            sent = schemes(servers[name])
            expect(sent[:2] == ["Basic", "Digest"] and set(sent[2:]) == {"Digest"}, f"{name}: Basic once, then Digest", sent)
        sent = schemes(expiring)
        expect(sent.count("Basic") == 1 and "none" not in sent, "a stale nonce is replaced without Basic", sent)
        failures = [source_status(f"127.0.0.1:{port}", name)["failures"] for name in servers]
        expect(not any(failures), "no poll failed", failures)
        attempts = source_status(f"127.0.0.1:{port}", "kept")["attempts"]
        expect(abs(len(kept.seen) - attempts - 1) <= 1, "each poll is one request, but the first", (attempts, schemes(kept)))
        code, _ = node.stop()
        expect(code == 0, "it stops", node.output())
        expect("wörd" not in node.output(), "the log does not have the password", node.output())


@story(seconds=120)
def digest_apache():
    directory = work_dir("digest-apache")
    port, server = start_apache(directory)
    address = f"127.0.0.1:{port}"
    try:
        expect(get(address, "/data.json").status == 401, "Apache asks for Digest")
        code, out = once(directory, source("apache", address))
        expect(code == 0 and "apache.v" in out, "it is answered", out)
        expect("Digest username=***" in out and "realm=private" in out, "`once` shows how", out)
        code, out = once(directory, source("moved", address, path="/old"))
        expect(code == 0 and "moved.v" in out, "a redirect of the same server has an answer of its own", out)
        dated = source("dated", address, path="/data.json?day={today}")
        code, out = once(directory, dated)
        expect(code == 0 and "dated.v" in out, "a URL with a date too", out)
        code, out = once(directory, source("wrong", address, 'auth = { user = "me", password = "guessed-wrongly" }'))
        expect(code == 1 and "the user or the password is wrong" in out, "a wrong password is said", out)

        web = free_port()
        node = start_node(directory, "node", web, source("apache", address))
        status = lambda: source_status(f"127.0.0.1:{web}", "apache")
        # The nonce lives for 2 s: some polls get another one.
        wait_until(lambda: status()["attempts"] >= 6, 40, lambda: f"it is polled: {node.output()}")
        expect(not status()["failures"], "nonces expire, and no poll fails", status())
        log = (directory / "access.log").read_text()
        expect(" 304 " in log, "unchanged data is answered 304", log)
        expect(records_by_key(f"127.0.0.1:{web}")["apache.v"]["value"] == 7, "and keeps its value")
        node.stop()
    finally:
        server.stop()


def start_apache(directory):
    """(port, process) of Apache with mod_auth_digest."""
    program, port = tool("apache2"), free_port()
    modules = next((it for it in (program.parent.parent / "lib/apache2/modules",) if it.is_dir()))
    (directory / "htdocs").mkdir()
    (directory / "htdocs" / "data.json").write_text('{"v": 7}')
    hashed = hashlib.md5(f"me:private:{PASSWORD}".encode()).hexdigest()
    (directory / "users").write_text(f"me:private:{hashed}\n")
    loaded = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest", "alias", "mime", "deflate", "filter"]
    lines = [f"LoadModule {name}_module {modules}/mod_{name}.so" for name in loaded]
    (directory / "mime.types").write_text("application/json json\n")
    (directory / "apache.conf").write_text("\n".join(lines) + f"""
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {directory}/pid
DefaultRuntimeDir {directory}
Mutex pthread
ErrorLog {directory}/error.log
LogFormat "%r %>s %{{Authorization}}i" seen
CustomLog {directory}/access.log seen
TypesConfig {directory}/mime.types
AddOutputFilterByType DEFLATE application/json
User www-data
Group www-data
DocumentRoot {directory}/htdocs
Redirect /old /data.json
<Directory {directory}/htdocs>
  AuthType Digest
  AuthName private
  AuthDigestProvider file
  AuthUserFile {directory}/users
  AuthDigestNonceLifetime 2
  Require valid-user
</Directory>
""")
    # Apache drops root for its own user, which must reach these files.
    for path in [*directory.parents][:6]:
        if ROOT in path.parents:
            path.chmod(0o755)
    directory.chmod(0o777)
    server = Process([program, "-DFOREGROUND", "-f", directory / "apache.conf"], directory / "apache.log", env=environment(), cwd=directory)

    def log():
        errors = directory / "error.log"
        return server.output() + (errors.read_text() if errors.exists() else "")

    wait_until(lambda: get(f"127.0.0.1:{port}", "/data.json").status, 20, lambda: f"Apache answers: {log()}", poll_every=0.2)
    return port, server
