"""From an older main-node to this one and back: two programs, one database.

The older one is built from this repository's history, the last commit before the database's
present version.
"""

import contextlib
import hashlib
import itertools
import os
import shutil
import sqlite3
import subprocess

from harness import Missing, Program, ROOT, WORK, expect, free_port, get, json_server, main_node, room, run, story, until

# The last commit whose databases have version 3. A new version of the database moves this on.
OLDER, ITS_VERSION = "7a0cac9de21f34709d813ec8efea722390ba85be", 3


@story(seconds=600)
def upgrade():
    older = build_older()
    place = room("upgrade")
    database, address = place / "main-node.db", f"127.0.0.1:{free_port()}"
    fetches = itertools.count()
    with json_server(lambda path: fifty(next(fetches))) as upstream:
        file = place / "main-node.toml"
        file.write_text(
            f'listen = "{address}"\ndatabase = "{database}"\n\n'
            f'[[source]]\nname = "meter"\nurl = "http://127.0.0.1:{upstream}/"\nevery = "1s"\n'
        )
        lived(older, file, address, "the older one keeps what it fetches")
        past = rows(database)
        expect(version(database) == ITS_VERSION and len(past) >= 100, f"in a database of version {ITS_VERSION}: {len(past)} rows", version(database))

        lived(main_node(), file, address, "this one takes the database over and serves")
        now, after = version(database), rows(database)
        expect(now > ITS_VERSION, f"which has version {now} then", now)
        expect(after[: len(past)] == past and len(after) > len(past), f"with every row that was, and {len(after) - len(past)} new ones", len(after))
        kept = place / f"main-node.db.before-version-{now}"
        expect(kept.exists() and rows(kept) == past and version(kept) == ITS_VERSION, f"what was is kept as {kept.name}")

        refused(older, "serve", file, database, now, ITS_VERSION)

        for leftover in place.glob("main-node.db-*"):
            leftover.unlink()
        shutil.copy2(kept, database)
        lived(older, file, address, "with that file in place the older one goes on")
        again = rows(database)
        expect(again[: len(past)] == past and len(again) > len(past), "from where it was", len(again))

        lived(main_node(), file, address, "and a second upgrade is as good as the first")
        expect(rows(database)[: len(again)] == again, "with what the older one added")

        with contextlib.closing(sqlite3.connect(database)) as writing:
            writing.execute(f"PRAGMA user_version = {now + 1}")
        for word in ("serve", "check"):
            refused(main_node(), word, file, database, now + 1, now)


def build_older():
    if not shutil.which("cargo"):
        raise Missing("the older program is built by cargo, and there is no cargo")
    if subprocess.run(["git", "-C", ROOT, "cat-file", "-e", f"{OLDER}^{{commit}}"], capture_output=True).returncode != 0:
        raise Missing(f"the older program is commit {OLDER[:12]}, and this checkout has no such history")
    home = WORK / "older" / OLDER[:12]
    source = home / "source"
    if not source.exists():
        unfinished = home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", ROOT, "archive", OLDER], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", unfinished], input=archive, check=True)
        unfinished.rename(source)
    # A directory of its own: in target/debug it would take the present program's place.
    environment = {**os.environ, "CARGO_TARGET_DIR": str(home / "target"), "CARGO_PROFILE_DEV_DEBUG": "0"}
    code, out, err = run(["cargo", "build", "--locked", "--quiet", "--bin", "main-node"], 400, cwd=source, env=environment)
    expect(code == 0, f"main-node of commit {OLDER[:12]} builds", out + err)
    return home / "target/debug/main-node"


def fifty(nth):
    return {f"room{room:02}": nth + room / 100 for room in range(50)}


def lived(program, file, address, sentence):
    """Serves until it has fetched a few times, and ends, which stores what waits."""
    node = Program([program, "serve", "--config", file], file.parent / "log", cwd=file.parent)
    until(lambda: fetched(address), 60, lambda: f"{sentence}: {node.said()}")
    code, _ = node.stop(10)
    expect(code == 0 and "panicked" not in node.said(), sentence, node.said())


def fetched(address):
    source, = get(address, "/status").json["sources"]
    return source["attempts"] > 2 and source["last_success"]


def rows(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        return reading.execute("SELECT * FROM records ORDER BY id").fetchall()


def version(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reading:
        return reading.execute("PRAGMA user_version").fetchone()[0]


def refused(program, word, file, database, version_there, version_known):
    def digest():
        return hashlib.sha256(database.read_bytes()).hexdigest()

    before = digest()
    code, out, err = run([program, word, "--config", file], 20, cwd=file.parent)
    said = out + err
    told = f"has version {version_there}" in said and f"up to {version_known}" in said and f".before-version-{version_there}" in said
    expect(code not in (0, None) and told, f"{word} refuses version {version_there} where {version_known} is known, and says what to do", said)
    expect(digest() == before, "and leaves it as it is")
