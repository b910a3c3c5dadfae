"""Request quotas survive restarts and kills; failed requests count too."""

import signal

from fakes.servers import json_server
from harness import Process, expect, free_port, main_node, story, wait_until, work_dir


@story(seconds=60)
def quota():
    directory, port = work_dir("quota"), free_port()
    requests = []

    def respond(path):
        requests.append(path)
        return {"watts": 7} if path == "/free" else []

    with json_server(respond) as upstream:
        def source(name, more):
            return f'[[source]]\nname = "{name}"\nurl = "http://127.0.0.1:{upstream}/{name}"\nevery = "1s"\n{more}\n'

        config = directory / "main-node.toml"
        config.write_text(
            f'listen = "127.0.0.1:{port}"\ndatabase = "{directory}/main-node.db"\n'
            + source("counted", 'quota = "24/day"') + source("free", "")
        )

        def run(nth):
            return Process([main_node(), "serve", "--config", config], directory / f"{nth}.log", cwd=directory)

        first = run(1)
        wait_until(lambda: "/counted" in requests and requests.count("/free") > 1, 30, lambda: f"both sources are fetched: {first.output()}")
        expect(True, "the first run fetches a source with a quota immediately; the response is an error")
        first.signal(signal.SIGKILL)
        first.wait(5)
        for nth, number in ((2, signal.SIGKILL), (3, signal.SIGTERM), (4, signal.SIGTERM)):
            before = requests.count("/free")
            program = run(nth)
            wait_until(lambda: requests.count("/free") > before + 2, 30, lambda: f"the source without a quota is fetched: {program.output()}")
            expect(requests.count("/counted") == 1, f"run {nth} does not fetch again within the hour", requests)
            expect("counted: first request in" in program.output(), "its log says when the next request is due", program.output())
            program.signal(number)
            expect(program.wait(8) is not None, "it stops", program.output())
        panics = [line for line in program.output().splitlines() if "panicked" in line]
        expect(not panics, "no panic", panics)
