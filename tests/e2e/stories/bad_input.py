"""What goes wrong before the start, said so that a tired person can act on it."""

import re
import socket
import sqlite3

from harness import expect, free_port, main_node, room, run, run_on_terminal, story


@story(seconds=90)
def bad_input():
    place = room("bad-input")
    unknown_key(place)
    for case in BROKEN:
        broken_configuration(place, *case)
    secret_stays_secret(place)
    port_in_use(place)
    foreign_databases(place)
    impossible_path(place)
    wrong_arguments()


def serve(place, text, *more):
    file = place / "main-node.toml"
    file.write_text(text)
    return run([main_node(), "serve", "--config", file, *more], 15, cwd=place)


def says(result, code, *words):
    found, out, err = result
    text = out + err
    # Line breaks are the printer's business.
    flat = re.sub(r"\s+", " ", text)
    missing = [word for word in words if word not in flat]
    return found == code and not missing and "panicked" not in text


def unknown_key(place):
    text = f'listen = "127.0.0.1:{free_port()}"\ndatabse = "x.db"\n'
    result = serve(place, text)
    expect(says(result, 2, "main-node.toml:2:1", "databse", "database"), "an unknown key: exit 2, file:line:column, the nearest known name", result)
    checked = run([main_node(), "check", "--config", place / "main-node.toml"], 15, cwd=place)
    expect(says(checked, 1, "main-node.toml:2:1", "databse"), "`check` finds it too, and exits 1", checked)


SOURCE = '[[source]]\nname = "w"\noperation = "getForecast"\n'
BROKEN = [
    ("TOML that is none", 'listen = "127.0.0.1:1\n', ["main-node.toml:1"]),
    ("an unknown operation", '[[source]]\nname = "w"\noperation = "getForcast"\n', ["main-node.toml:3", "getForcast", "getForecast"]),
    ("a required parameter that is missing", SOURCE + "params = { latitude = 52.5 }\n", ["main-node.toml", "longitude"]),
    ("an unknown parameter", SOURCE + "params = { latitude = 52.5, longitude = 13.4, latitud = 1 }\n", ["main-node.toml", "latitud"]),
    ("a value outside its range", SOURCE + "params = { latitude = 200, longitude = 13.4 }\n", ["main-node.toml", "latitude", "200", "90"]),
    ("a duration that is none", SOURCE + 'every = "often"\n', ["main-node.toml:4", "often"]),
    ("a variable that is not set", '[[source]]\nname = "m"\nurl = "http://h/${NO_SUCH_NAME}"\n', ["main-node.toml:3", "NO_SUCH_NAME"]),
    ("a source without an address", '[[source]]\nname = "m"\n', ["main-node.toml", "operation", "url"]),
    ("two sources of one name", '[[source]]\nname = "m"\nurl = "http://h/a"\n[[source]]\nname = "m"\nurl = "http://h/b"\n', ["main-node.toml", "m"]),
]


def broken_configuration(place, what, text, words):
    result = serve(place, text)
    expect(says(result, 2, *words), f"{what}: exit 2, saying where and what", result)


def secret_stays_secret(place):
    text = '[[source]]\nname = "m"\nurl = "http://me:hunter2@h/a?token=hunter3"\nheaders = { Authorization = "Bearer hunter4" }\nevry = "1m"\n'
    _, out, err = serve(place, text)
    _, out2, err2 = run([main_node(), "check", "--config", place / "main-node.toml"], 15, cwd=place)
    (place / "main-node.toml").write_text(text.replace('evry = "1m"\n', ""))
    _, out3, err3 = run([main_node(), "check", "--config", place / "main-node.toml"], 15, cwd=place)
    said = out + err + out2 + err2 + out3 + err3
    expect("hunter" not in said, "no message and no `check` shows a password, a token, a header", said)


def port_in_use(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = place / "main-node.toml"
        file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{place / "p.db"}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n')
        code, shown = run_on_terminal([main_node(), "serve", "--config", file], 15, cwd=place)
        expect(code == 2 and str(port) in shown and "panicked" not in shown, "a port in use, on a terminal: exit 2, naming the port", (code, shown))


def foreign_databases(place):
    foreign = place / "addresses.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE people (name TEXT)")
        database.execute("INSERT INTO people VALUES ('Ada')")
    database.close()
    letter = place / "letter.txt"
    letter.write_text("Dear Sir or Madam,\n" * 200)
    for file, what in ((foreign, "a foreign SQLite file"), (letter, "a file that is no database")):
        before = file.read_bytes()
        result = serve(place, f'listen = "127.0.0.1:{free_port()}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n', "--database", file)
        expect(says(result, 2, file.name), f"{what}: exit 2, naming it", result)
        expect(file.read_bytes() == before, "and it is left alone")
        beside = sorted(p.name for p in place.glob(file.name + "*"))
        expect(beside == [file.name], "with nothing new beside it", beside)


def impossible_path(place):
    wanted = "/no/such/directory/main-node.db"
    file = place / "main-node.toml"
    file.write_text(f'listen = "127.0.0.1:{free_port()}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n')
    code, shown = run_on_terminal([main_node(), "serve", "--config", file, "--database", wanted], 15, cwd=place)
    expect(code == 2 and "/no/such/directory" in shown, "a database path that cannot be, on a terminal: exit 2, naming it", (code, shown))


def wrong_arguments():
    for arguments in (["--no-such-flag"], ["no-such-command"], ["serve", "--listen", "nonsense"]):
        result = run([main_node(), *arguments], 15)
        expect(says(result, 2) and (result[1] + result[2]).strip(), f"`main-node {' '.join(arguments)}`: exit 2 and a word about it", result)
    result = run([main_node(), "--help"], 15)
    expect(says(result, 0, "serve", "demo", "once", "check"), "`--help` names the commands and exits 0", result)
    result = run([main_node(), "serve", "--config", "/no/such/main-node.toml"], 15)
    expect(says(result, 2, "/no/such/main-node.toml"), "a configuration file that is not there: exit 2, naming it", result)
