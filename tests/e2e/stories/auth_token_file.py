"""Token in a file that another program replaces: under a running node, with a server that knows only the
newest token."""

import os

from fakes.vendors import Answer, vendor_server
from harness import (
    expect, free_port, get, main_node, records_by_key, run, source_status, start_node, story, wait_until, work_dir,
)

TOKENS = [f"rotated-{n}-+/=%2B.abcdef" for n in range(6)]


class Meter:
    """Accepts one token, in the header or parameter where it is expected."""

    def __init__(self, read):
        self.read, self.accepted, self.refused, self.sent = read, {TOKENS[0]}, 0, []

    def __call__(self, request):
        token = self.read(request)
        self.sent.append(token)
        if token not in self.accepted:
            self.refused += 1
            return Answer({"error": f"invalid token {token}"}, status=401, WWW_Authenticate=f'Bearer realm="{token}"')
        return Answer({"v": len(self.sent), "echo": token})


def bearer(request):
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def replace(file, token):
    """As programs do it that want no reader to see half a file."""
    new = file.with_suffix(".new")
    new.write_text(token + "\n")
    os.replace(new, file)


def source(server, auth, name="meter"):
    return (
        f'[[source]]\nname = "{name}"\nurl = "http://127.0.0.1:{server.server_port}/{name}"\nprefix = "{name}."\n'
        f'every = "1s"\nauth = {auth}\n'
    )


@story(seconds=90)
def token_file_rotation():
    directory, port = work_dir("token-file-rotation"), free_port()
    address, file = f"127.0.0.1:{port}", directory / "token"
    meter, keyed = Meter(bearer), Meter(lambda request: request.query.get("api_key"))
    replace(file, TOKENS[0])

    def accept(*tokens):
        meter.accepted = keyed.accepted = set(tokens)

    with vendor_server(meter) as server, vendor_server(keyed) as other:
        account = '[auth.house]\ntoken_file = "token"\n'
        by_param = '{ token_file = "token", param = "api_key" }'
        node = start_node(directory, "node", port, source(server, '"house"'), source(other, by_param, "keyed"), account)

        def polled(count=2):
            before = len(meter.sent), len(keyed.sent)
            wait_until(
                lambda: len(meter.sent) >= before[0] + count and len(keyed.sent) >= before[1] + count,
                20, lambda: f"both are polled: {node.output()}",
            )

        polled()
        expect(set(meter.sent) == set(keyed.sent) == {TOKENS[0]}, "the token of the file is sent", (meter.sent, keyed.sent))

        # In good time: both are valid for a while.
        accept(TOKENS[0], TOKENS[1])
        replace(file, TOKENS[1])
        polled()
        accept(TOKENS[1])
        polled()
        expect(meter.refused == keyed.refused == 0, "a token that is replaced in time costs no refusal", (meter.sent, keyed.sent))

        # Without a file, and while it is written, the last token is used.
        for spoil in (file.unlink, lambda: file.write_text(""), lambda: file.write_text("half\nof\n")):
            spoil()
            polled()
        expect(meter.refused == keyed.refused == 0, "the last token is used while the file has none", (meter.sent, keyed.sent))

        # Too late: the server refuses the old one before the file has another.
        replace(file, TOKENS[1])
        accept(TOKENS[2])
        wait_until(lambda: source_status(address, "meter")["failures_in_a_row"] >= 2, 20, "the source fails")
        detail = get(address, "/status").text
        expect("401" in detail and TOKENS[1] not in detail, "it says so, without the token", detail)
        replace(file, TOKENS[2])
        wait_until(lambda: not source_status(address, "meter")["failures_in_a_row"], 30, "it recovers by itself")
        sent = [token for token, before in zip(meter.sent[1:], meter.sent) if token != before]
        expect(sent == [TOKENS[1], TOKENS[2]], "each token was sent once it was there", meter.sent)

        paths = ("/status", "/metrics", "/snapshot?full=1", "/web", "/web/source/meter", "/web/source/keyed")
        shown = node.output() + "".join(get(address, path).text for path in paths)
        expect(not any(token in shown for token in TOKENS), "no token is shown", shown)
        expect(not (directory / "tokens.json").exists(), "nor kept elsewhere")
        code, _ = node.stop()
        expect(code == 0, "it stops", node.output())
        expect(file.read_text() == TOKENS[2] + "\n", "the file is never written")


@story(seconds=60)
def token_file_between_read_and_request():
    """The file is replaced while the server refuses the old token: one fetch, no failure."""
    directory = work_dir("token-file-race")
    file = directory / "token"
    replace(file, TOKENS[0])
    meter = Meter(bearer)

    def rotating(request):
        if bearer(request) == TOKENS[0]:
            meter.accepted = {TOKENS[1]}
            replace(file, TOKENS[1])
        return meter(request)

    with vendor_server(rotating) as server:
        config = directory / "main-node.toml"
        config.write_text(source(server, '{ token_file = "token" }'))
        code, out, err = run([main_node(), "once", "--config", config], 40, cwd=directory)
        expect(code == 0 and "meter.v" in out, "the new token is used at once", out + err)
        expect(meter.sent == TOKENS[:2], "after one refusal", meter.sent)
        expect(not any(token in out + err for token in TOKENS), "neither is shown", out + err)
        file.unlink()
        code, out, err = run([main_node(), "once", "--config", config], 40, cwd=directory)
        expect(code == 1 and "cannot be read" in out + err and len(meter.sent) == 2, "without a file nothing is sent", out + err)
        code, out, err = run([main_node(), "check", "--config", config], 40, cwd=directory)
        expect("the file cannot be read" in out + err, "`check` says so", out + err)
