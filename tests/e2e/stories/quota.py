"""A quota outlives a kill, however its requests went: what failed was asked too."""

import signal

from harness import Program, expect, free_port, json_server, main_node, room, story, until


@story(seconds=60)
def quota():
    place, port = room("quota"), free_port()
    asked = []

    def answer(path):
        asked.append(path)
        return {"watts": 7} if path == "/free" else []

    with json_server(answer) as upstream:
        def source(name, more):
            return f'[[source]]\nname = "{name}"\nurl = "http://127.0.0.1:{upstream}/{name}"\nevery = "1s"\n{more}\n'

        config = place / "main-node.toml"
        config.write_text(
            f'listen = "127.0.0.1:{port}"\ndatabase = "{place}/main-node.db"\n'
            + source("counted", 'quota = "24/day"') + source("free", "")
        )

        def run(nth):
            return Program([main_node(), "serve", "--config", config], place / f"{nth}.log", cwd=place)

        first = run(1)
        until(lambda: "/counted" in asked and asked.count("/free") > 1, 30, lambda: f"both are asked: {first.said()}")
        expect(True, "a source with a quota is asked at once when it never was; its answer is a failure")
        first.signal(signal.SIGKILL)
        first.wait(5)
        for nth, end in ((2, signal.SIGKILL), (3, signal.SIGTERM), (4, signal.SIGTERM)):
            before = asked.count("/free")
            program = run(nth)
            until(lambda: asked.count("/free") > before + 2, 30, lambda: f"the free one is asked: {program.said()}")
            expect(asked.count("/counted") == 1, f"run {nth} does not ask again within the hour", asked)
            expect("counted: first request in" in program.said(), "and its log says why it is silent", program.said())
            program.signal(end)
            expect(program.wait(8) is not None, "it ends", program.said())
        status = [line for line in program.said().splitlines() if "panicked" in line]
        expect(not status, "nothing panicked", status)
