"""An import that is interrupted: the service, the command, or both are stopped or killed in the middle of it. Whoever comes
next goes on, and nothing is lost or stored twice."""

import json
import signal
import time

from fakes.servers import json_server
from harness import expect, story, wait_until, work_dir
from services.predecessor import rfc3339
from stories.data_import import DAY, Node, counted

# Of a file; the store takes 10,000 in a step.
ROWS, KEYS = 120_000, 4


class Cases:
    """Files that are imported one after the other into the same database."""

    def __init__(self, directory, node):
        self.directory, self.node = directory, node
        # The end of no file is near to what retention deletes.
        self.first = int(time.time()) // DAY * DAY - 25 * DAY

    def write(self, name):
        """A CSV file with keys of its own."""
        path = self.directory / f"{name}.csv"
        with open(path, "w") as file:
            file.write("timestamp,key,value\n")
            file.writelines(f"{rfc3339(second)},{key},{value}\n" for key, second, value in self.rows(name))
        return path

    def rows(self, name):
        for at in range(ROWS // KEYS):
            for key in range(KEYS):
                yield f"{name}.{key}", self.first + at * 60, at % 1000 / 8 + key

    def is_in_the_middle(self, name):
        """Whether some steps are done, but not all; as the database has it, which is there without a service as well."""
        found = self.node.select("SELECT value FROM node WHERE name = 'maintenance'")
        state = json.loads(found[0][0]) if found else {"subject": None}
        return state["subject"] == f"{name}.csv" and 0 < state["done"] < state["total"] and not state["is_finished"]

    def wait_for_the_middle(self, name, command):
        wait_until(lambda: self.is_in_the_middle(name), 60, lambda: f"{name}: it is in the middle: {command.output()}", poll_every=0.01)

    def is_complete(self, name):
        said = self.node.maintenance()
        return said["subject"] == f"{name}.csv" and said["finished"] and said["done"] == said["total"] == ROWS

    def expect_complete(self, name, description):
        """Each row once, rollups as of these rows, and no files left over."""
        rows = self.node.select("SELECT key, unixepoch(timestamp), value FROM records WHERE key GLOB ? ORDER BY key, timestamp", f"{name}.*")
        missing = set(self.rows(name)) - set(rows)
        expect(len(rows) == ROWS and not missing, f"{description}: every row is there once", (len(rows), sorted(missing)[:3]))
        wrong = self.node.select(
            "WITH rows AS ("
            "  SELECT k, unixepoch(timestamp) / 3600 AS hour, count(*) AS count, min(value) AS min, max(value) AS max,"
            "    min(id) AS first_id, max(id) AS last_id FROM records JOIN keys USING (key) WHERE key GLOB ?1 GROUP BY k, hour) "
            "SELECT key, hour FROM rows JOIN keys USING (k) LEFT JOIN hourly USING (k, hour) "
            "WHERE (rows.count, rows.min, rows.max) IS NOT (hourly.count, hourly.min, hourly.max) "
            "  OR rows.first_id < hourly.first_id OR rows.last_id > hourly.last_id",
            f"{name}.*",
        )
        expect(not wrong, "the hours are those of the rows", (len(wrong), wrong[:3]))
        # The request goes once it is written down that it is done.
        wait_until(lambda: not self.left_over(), 20, lambda: f"nothing is left over: {self.left_over()}")

    def left_over(self):
        return [path.name for path in self.directory.iterdir() if ".import" in path.name or ".request" in path.name]


@story(seconds=150)
def import_interrupted():
    directory = work_dir("import-interrupted")
    with json_server(lambda _: {"value": 1}) as upstream:
        node = Node(directory, f'[[source]]\nname = "live"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n[source.records]\nlive = "/value"')
        cases = Cases(directory, node)
        node.start()
        beside_a_service(cases, node)
        without_a_service(cases, node)
        (damage,) = node.select("PRAGMA integrity_check")
        expect(damage == ("ok",), "the database is in order", damage)


def beside_a_service(cases, node):
    command = node.begin("a.log", "import", cases.write("a"))
    cases.wait_for_the_middle("a", command)
    said = node.maintenance()
    expect(said["subject"] == "a.csv" and said["total"] == ROWS, "/status says how far it has come", said)
    node.process.kill()
    node.start()
    code = command.wait(60)
    expect(code == 0 and counted(command.output(), "readings") == ROWS, "the command waits for a service that is killed and starts again", command.output())
    cases.expect_complete("a", "the service is killed")

    command = node.begin("b.log", "import", cases.write("b"))
    cases.wait_for_the_middle("b", command)
    command.kill()
    wait_until(lambda: cases.is_complete("b"), 60, lambda: f"the service goes on without the command: {node.storage()}")
    cases.expect_complete("b", "the command is killed")

    command = node.begin("stopped.log", "import", cases.write("stopped"))
    cases.wait_for_the_middle("stopped", command)
    command.signal(signal.SIGTERM)
    code = command.wait(20)
    expect(code == 1 and "the service goes on" in command.output(), "a command that is stopped says that the service goes on", command.output())
    wait_until(lambda: cases.is_complete("stopped"), 60, lambda: f"and it does: {node.storage()}")
    cases.expect_complete("stopped", "the command is stopped beside a service")

    command = node.begin("c.log", "import", cases.write("c"))
    cases.wait_for_the_middle("c", command)
    node.process.kill()
    command.kill()
    node.start()
    wait_until(lambda: cases.is_complete("c"), 60, lambda: f"the service goes on when it starts: {node.storage()}")
    cases.expect_complete("c", "both are killed")

    command = node.begin("d.log", "import", cases.write("d"))
    cases.wait_for_the_middle("d", command)
    node.stop()
    code = command.wait(60)
    expect(code == 0 and counted(command.output(), "readings") == ROWS, "where the service is stopped the command does the rest", command.output())
    cases.expect_complete("d", "the service is stopped")


def without_a_service(cases, node):
    command = node.begin("e.log", "import", cases.write("e"))
    wait_until(lambda: any(".import" in name for name in cases.left_over()), 20, "it reads the file", poll_every=0.01)
    command.kill()
    command = node.begin("e.log", "import", cases.write("e"))
    cases.wait_for_the_middle("e", command)
    command.kill()
    code, out = node.run("import", cases.directory / "a.csv")
    expect(code == 0 and "continued first" in out and f"{ROWS} readings stored already" in out, "the next command first goes on with what was interrupted", out)
    cases.expect_complete("e", "the command is killed")

    command = node.begin("f.log", "import", cases.write("f"))
    cases.wait_for_the_middle("f", command)
    command.signal(signal.SIGTERM)
    code = command.wait(20)
    expect(code == 1 and "Give the command again" in command.output(), "a command that is stopped says what to do", (code, command.output()))
    code, out = node.run("import", cases.directory / "f.csv")
    expect(code == 0 and counted(out, "readings") > 0 and "stored already" in out, "the same command does the rest", out)
    cases.expect_complete("f", "the command is stopped")

    command = node.begin("g.log", "import", cases.write("g"))
    cases.wait_for_the_middle("g", command)
    command.kill()
    node.start()
    wait_until(lambda: cases.is_complete("g"), 60, lambda: f"a service that starts goes on with it: {node.storage()}")
    node.stop()
    cases.expect_complete("g", "the command is killed before a service starts")
