"""OpenAPI files, large and hostile ones, in the memory of the service: a cgroup as the unit's MemoryMax= makes it.
Whatever the file, the kernel never has to kill the node, and other sources are fetched."""

import re
import time
import typing

import cgroup
import openapi_files as openapi
from fakes.servers import json_server
from harness import ROOT, Missing, expect, main_node, run, story, wait_until, work_dir
from stories.api_files import problems
from stories.reload import Supervised

UP, REFUSED, EITHER = "up", "refused", "up or refused"
# Each reads all files.
REFUSED_RELOADS = 5
# Reading these takes a debug build its time.
START_SECONDS = 120


def memory_of_the_unit():
    unit = (ROOT / "systemd/main-node.service").read_text()
    return int(re.search(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)[1]) * 1024 * 1024


class File(typing.NamedTuple):
    # Of the API and the source, too.
    name: str
    text: str
    operation: str
    # What becomes of the source.
    expected: str
    # Beside it: the text by the file's name.
    others: dict = {}

    @property
    def file(self):
        return f"{self.name}.{'json' if self.text.startswith('{') else 'yaml'}"


def ordinary_files():
    yield File("yaml", openapi.of_size(1_990_000, openapi.as_yaml), "getMeter00100", EITHER)
    yield File("json", openapi.of_size(1_990_000, openapi.as_json), "getMeter00100", EITHER)
    yield File("half_yaml", openapi.of_size(1_000_000, openapi.as_yaml), "getMeter00100", UP)
    yield File("operations", openapi.many_operations(10_000), "getState9999", EITHER)


def hostile_files():
    yield File("recursive", openapi.recursive(), "getState", UP)
    for keyword in ("allOf", "anyOf"):
        yield File(f"fan_{keyword.lower()}", openapi.fan(40, keyword), "getState", EITHER)
    yield File("nested", openapi.nested(500_000), "getState", REFUSED)
    yield File("alias_bomb", openapi.alias_bomb(9), "getState", EITHER)
    yield File("pattern", openapi.costly_pattern(), "getState", EITHER)


def growing_files():
    """Each kind grows until it is refused: the largest of those that are taken is the worst case."""
    for kind, make, counts in (
        ("padded", openapi.padded, [*range(80_000, 200_000, 20_000), 600_000]),
        ("enum", openapi.long_enum, [*range(50_000, 110_000, 10_000), 275_000]),
        ("fields", openapi.many_properties, [*range(5_000, 17_000, 2_000), 45_000]),
    ):
        for count in counts:
            yield File(f"{kind}_{count}", make(count), "getState", EITHER)


def large_files():
    yield File("above_2_mb", openapi.of_size(2_100_000, openapi.as_yaml), "getMeter00100", REFUSED)
    # None is above 2 MB alone.
    halves = [openapi.of_size(1_100_000, openapi.as_json) for _ in range(2)]
    halves[0] = halves[0].replace("#/components/schemas/Meter00000", "half.json#/components/schemas/Meter00000", 1)
    yield File("in_two_files", halves[0], "getMeter00100", REFUSED, {"half.json": halves[1]})
    # Most of it is in the lowered form, too.
    yield File("wide", openapi.long_enum(500_000), "getState", REFUSED)
    yield File("above_13_mb", openapi.of_size(13_000_000, openapi.as_indented_json), "getMeter00100", REFUSED)


class Limited:
    """A node in a cgroup of its own, with a source for each file."""

    def __init__(self, name, group, upstream, files):
        self.group, self.upstream, self.directory = group, upstream, work_dir(f"api-files-memory-{name}")
        self.files = {file.name: file for file in files}
        for file in self.files.values():
            for name, text in {file.file: file.text, **file.others}.items():
                (self.directory / name).write_text(text)
        self.node = Supervised(self.directory, upstream, more=self.tables(), inside=group.inside, seconds=START_SECONDS)

    def tables(self):
        return "".join(
            openapi.api(name, it.file) + openapi.source(name, it.operation, self.upstream, f'api = "{name}"\n')
            for name, it in self.files.items()
        )

    def outcome(self):
        """What has become of each source; None while it is open."""
        sources = {it["name"]: it for it in self.node.status()["sources"]}

        def of(it):
            failure = it["last_failure"] or {}
            return UP if it["state"] == "up" else REFUSED if failure.get("cause") == "configuration" else None

        return {name: of(sources[name]) for name in self.files}

    def settle(self):
        wait_until(lambda: None not in self.outcome().values(), 60, lambda: f"{self.outcome()}: {self.node.status()}")
        return self.outcome()

    def refused_reloads(self, numbers=range(REFUSED_RELOADS)):
        """Each for another option that does not exist, which is found when the files have been read; gives the last problems."""
        for number in numbers:
            self.node.configure(f'unknown_{number} = "x"\n' + self.tables())
            problems = self.node.refused_reload(START_SECONDS)
        return problems

    def anonymous_mb(self):
        """Memory of the process that is of no file."""
        rollup = open(f"/proc/{self.node.process.pid}/smaps_rollup").read()
        return int(re.search(r"Anonymous:\s+(\d+) kB", rollup)[1]) / 1000

    def expect_alive(self, what):
        """The process is the same, was never killed, and fetches; prints its memory."""
        attempts = lambda: next(it for it in self.node.status()["sources"] if it["name"] == "meter")["attempts"]  # noqa: E731
        before = attempts()
        wait_until(lambda: attempts() > before, 20, "the other source is fetched")
        status = open(f"/proc/{self.node.process.pid}/status").read()
        high = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000
        peak = self.group.peak()
        peak = "unknown" if peak is None else f"{peak / 1e6:.1f} MB"
        expect(self.group.kills() == 0 and self.node.process.running(), f"{what}: nothing is killed", self.node.process.output()[-2000:])
        print(f"        peak of the group {peak} of {memory_of_the_unit() / 1e6:.1f} MB, of the process {high:.1f} MB", flush=True)


@story(seconds=600)
def api_files_memory():
    with json_server(lambda path: openapi.READING) as upstream:
        the_limit_kills()
        for name, files in (("ordinary", ordinary_files()), ("hostile", hostile_files()), ("growing", growing_files())):
            with cgroup.limited("api-files", memory_of_the_unit()) as group:
                starts(Limited(name, group, upstream, files))
        with cgroup.limited("api-files", memory_of_the_unit()) as group:
            refused_reloads_keep_nothing(Limited("kept", group, upstream, [File("fields", openapi.many_properties(9_000), "getState", UP)]))
        with cgroup.limited("api-files", memory_of_the_unit()) as group:
            large_files_need_a_command(Limited("large", group, upstream, large_files()))


def the_limit_kills():
    """Otherwise no story of this module could fail."""
    with cgroup.limited("api-files", memory_of_the_unit()) as group:
        code, out, err = run(group.inside(["python3", "-c", "x = b'x' * 100_000_000"]), 30)
        if group.kills() == 0:
            raise Missing(f"the cgroup does not limit memory: 100 MB were taken, with the status {code}: {err}")


def starts(limited):
    node, outcome = limited.node, limited.settle()
    grouped = {state: [api for api, it in outcome.items() if it == state] for state in (UP, REFUSED)}
    print("        " + "; ".join(f"{state}: {', '.join(apis) or 'none'}" for state, apis in grouped.items()), flush=True)
    for api, actual in outcome.items():
        expected = limited.files[api].expected
        if actual not in expected:
            failure = next(it for it in node.status()["sources"] if it["name"] == api)["last_failure"]
            expect(False, f"{api} is {expected}", (actual, failure))
    for kind in ("padded", "enum", "fields"):
        of_kind = [it for api, it in outcome.items() if api.startswith(kind + "_")]
        if of_kind:
            expect(of_kind[0] == UP and of_kind[-1] == REFUSED, f"{kind}: the smallest is fetched, the largest refused", of_kind)
    limited.expect_alive(f"{len(outcome)} files at the start")
    expect(node.told("READY=1") == 1 and node.told("STOPPING=1") == 0, "it has started once", node.messages)

    refused = limited.refused_reloads()
    silent = [api for api in grouped[REFUSED] if not any(limited.files[api].file in problem for problem in refused)]
    expect(not silent, f"a reload names {len(grouped[REFUSED])} files that are refused", refused)
    limited.expect_alive(f"{REFUSED_RELOADS} refused reloads")

    limited.files = {api: it for api, it in limited.files.items() if outcome[api] == UP}
    node.configure(limited.tables())
    node.reload(START_SECONDS)
    expect(set(limited.settle().values()) <= {UP}, "with the others alone the reload is good", limited.outcome())
    limited.expect_alive("a good reload")
    node.process.stop(15)


def refused_reloads_keep_nothing(limited):
    """The operation of this file takes about 2 MB."""
    limited.settle()
    # The allocator keeps some of what the first took.
    limited.refused_reloads([0])
    before = limited.anonymous_mb()
    limited.refused_reloads(range(1, 11))
    after = limited.anonymous_mb()
    expect(after - before < 10, f"10 refused reloads keep nothing: {before} MB before, {after} MB after", after - before)
    limited.node.process.stop(15)


def large_files_need_a_command(limited):
    node, directory = limited.node, limited.directory
    outcome = limited.settle()
    expect(set(outcome.values()) == {REFUSED}, "files above 2 MB, and two that are together, are refused alone", outcome)
    for api in outcome:
        detail = next(it for it in node.status()["sources"] if it["name"] == api)["last_failure"]["detail"]
        expect("main-node check" in detail and limited.files[api].file in detail, f"{api}: with the command to run", detail)
    limited.expect_alive("files above 2 MB")

    commands_in_the_group(limited)
    code, out, err = run([main_node(), "check", "--config", node.file], 240, cwd=directory)
    expect(not problems(out, err), "`check` outside lowers them", out + err)
    node.reload(START_SECONDS)
    expect(set(limited.settle().values()) == {UP}, "after a reload all are fetched", limited.outcome())
    limited.expect_alive("lowered forms")
    limited.refused_reloads()
    limited.expect_alive(f"{REFUSED_RELOADS} refused reloads with them")
    node.process.stop(15)


def commands_in_the_group(limited):
    """They are told of less memory than they want: they say so, and are not killed."""
    kills = limited.group.kills()
    file = limited.files["above_13_mb"].file
    for words in (["check", "--config", limited.node.file], ["operations", file]):
        start = time.monotonic()
        code, out, err = run(limited.group.inside([main_node(), *words]), 240, cwd=limited.directory)
        expect(code in (1, 2) and "above_13_mb" in out + err and "memory" in out + err, f"`{words[0]}` in the group says that the memory is not enough", (code, out[-1500:] + err))
        print(f"        within {time.monotonic() - start:.1f} s", flush=True)
    expect(limited.group.kills() == kills, "and is not killed")
    limited.expect_alive("commands beside the service")
