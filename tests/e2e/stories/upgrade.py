"""Database migration: from an older main-node to this one, back with the kept copy, and again.

The older program is built from the last commit before the present schema version.
"""

import contextlib
import hashlib
import itertools
import os
import shutil
import sqlite3
import subprocess

from fakes.servers import json_server
from harness import ROOT, WORK, Missing, Process, expect, free_port, get, main_node, run, story, wait_until, work_dir

# The last commit with schema version 3. Update it with each new schema version.
OLDER, OLDER_VERSION = "7a0cac9de21f34709d813ec8efea722390ba85be", 3


@story(seconds=600, alone=True)
def upgrade():
    older = build_older()
    directory = work_dir("upgrade")
    database, address = directory / "main-node.db", f"127.0.0.1:{free_port()}"
    fetches = itertools.count()
    with json_server(lambda path: fifty_rooms(next(fetches))) as upstream:
        file = directory / "main-node.toml"
        file.write_text(
            f'listen = "{address}"\ndatabase = "{database}"\n\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n'
        )
        run_until_stored(older, file, address, "the older program stores readings")
        old_rows = rows(database)
        expect(version(database) == OLDER_VERSION and len(old_rows) >= 100, f"schema version {OLDER_VERSION}: {len(old_rows)} rows", version(database))

        run_until_stored(main_node(), file, address, "this program migrates the database and serves")
        now, after = version(database), rows(database)
        expect(now > OLDER_VERSION, f"schema version {now} after the migration", now)
        expect(after[: len(old_rows)] == old_rows and len(after) > len(old_rows), f"all rows are kept, with {len(after) - len(old_rows)} new ones", len(after))
        kept = directory / f"main-node.db.before-version-{now}"
        expect(kept.exists() and rows(kept) == old_rows and version(kept) == OLDER_VERSION, f"the old database is kept as {kept.name}")

        refuses(older, "serve", file, database, "version", now, OLDER_VERSION)

        for leftover in directory.glob("main-node.db-*"):
            leftover.unlink()
        shutil.copy2(kept, database)
        run_until_stored(older, file, address, "the older program continues with the kept copy")
        again = rows(database)
        expect(again[: len(old_rows)] == old_rows and len(again) > len(old_rows), "it has all rows and adds new ones", len(again))

        run_until_stored(main_node(), file, address, "a second migration works")
        expect(rows(database)[: len(again)] == again, "all rows are kept again")

        with contextlib.closing(sqlite3.connect(database)) as writing:
            writing.execute(f"PRAGMA user_version = {now + 1}")
        for word in ("serve", "check"):
            refuses(main_node(), word, file, database, "schema version", now + 1, now)


def build_older():
    if not shutil.which("cargo"):
        raise Missing("needs cargo to build the older program")
    if subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{OLDER}^{{commit}}"], capture_output=True).returncode != 0:
        raise Missing(f"the older program is commit {OLDER[:12]}, which this checkout does not have")
    build_directory = WORK / "older" / OLDER[:12]
    source = build_directory / "source"
    if not source.exists():
        unfinished = build_directory / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", ROOT, "archive", OLDER], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", unfinished], input=archive, check=True)
        unfinished.rename(source)
    # Not in target/debug, where it would replace the current binary.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(build_directory / "target"), "CARGO_PROFILE_DEV_DEBUG": "0"}
    code, out, err = run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node"], 400, cwd=source, env=environment)
    expect(code == 0, f"main-node of commit {OLDER[:12]} builds", out + err)
    return build_directory / "target/debug/main-node"


def fifty_rooms(nth):
    return {f"room{room:02}": nth + room / 100 for room in range(50)}


def run_until_stored(program, file, address, description):
    """Serves until it has fetched a few times, then stops, which commits the readings."""
    node = Process([program, "serve", "--config", file], file.parent / "log", cwd=file.parent)
    wait_until(lambda: fetched(address), 60, lambda: f"{description}: {node.output()}")
    code, _ = node.stop(10)
    expect(code == 0 and "panicked" not in node.output(), description, node.output())


def fetched(address):
    source, = get(address, "/status").json["sources"]
    return source["attempts"] > 2 and source["last_success"]


def rows(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        return reading.execute("SELECT * FROM records ORDER BY id").fetchall()


def version(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        return reading.execute("PRAGMA user_version").fetchone()[0]


def refuses(program, word, file, database, term, version_there, version_known):
    def digest():
        return hashlib.sha256(database.read_bytes()).hexdigest()

    before = digest()
    code, out, err = run([program, word, "--config", file], 20, cwd=file.parent)
    output = out + err
    explains = f"has {term} {version_there}" in output and f"up to {version_known}" in output and f".before-version-{version_there}" in output
    expect(code not in (0, None) and explains, f"{word} refuses schema version {version_there} where {version_known} is known, and says what to do", output)
    expect(digest() == before, "the database is unchanged")
