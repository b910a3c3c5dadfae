"""Errors before the start: configuration, port, database and arguments, with exit code 2 and a
message that says where the mistake is."""

import re
import socket
import sqlite3

from harness import expect, free_port, main_node, run, run_on_terminal, story, work_dir


@story(seconds=90)
def bad_input():
    directory = work_dir("bad-input")
    unknown_key(directory)
    for case in INVALID_CONFIGURATIONS:
        invalid_configuration(directory, *case)
    secrets_are_not_printed(directory)
    port_in_use(directory)
    not_a_main_node_database(directory)
    impossible_path(directory)
    wrong_arguments()


def serve(directory, text, *more):
    file = directory / "main-node.toml"
    file.write_text(text)
    return run([main_node(), "serve", "--config", file, *more], 15, cwd=directory)


def fails_with(result, code, *texts):
    exit_code, out, err = result
    text = out + err
    # Messages may be wrapped anywhere.
    unwrapped = re.sub(r"\s+", " ", text)
    missing = [part for part in texts if part not in unwrapped]
    return exit_code == code and not missing and "panicked" not in text


def unknown_key(directory):
    text = f'listen = "127.0.0.1:{free_port()}"\ndatabse = "x.db"\n'
    result = serve(directory, text)
    expect(fails_with(result, 2, "main-node.toml:2:1", "databse", "database"), "unknown key: exit 2 with file:line:column and the nearest known name", result)
    checked = run([main_node(), "check", "--config", directory / "main-node.toml"], 15, cwd=directory)
    expect(fails_with(checked, 1, "main-node.toml:2:1", "databse"), "`check` reports it too, with exit code 1", checked)


SOURCE = '[[source]]\nname = "w"\noperation = "getForecast"\n'
INVALID_CONFIGURATIONS = [
    ("invalid TOML", 'listen = "127.0.0.1:1\n', ["main-node.toml:1"]),
    ("an unknown operation", '[[source]]\nname = "w"\noperation = "getForcast"\n', ["main-node.toml:3", "getForcast", "getForecast"]),
    ("a required parameter that is missing", SOURCE + "params = { latitude = 52.5 }\n", ["main-node.toml", "longitude"]),
    ("an unknown parameter", SOURCE + "params = { latitude = 52.5, longitude = 13.4, latitud = 1 }\n", ["main-node.toml", "latitud"]),
    ("a value outside its range", SOURCE + "params = { latitude = 200, longitude = 13.4 }\n", ["main-node.toml", "latitude", "200", "90"]),
    ("an invalid duration", SOURCE + 'every = "often"\n', ["main-node.toml:4", "often"]),
    ("a variable that is not set", '[[source]]\nname = "m"\nurl = "http://h/${NO_SUCH_NAME}"\n', ["main-node.toml:3", "NO_SUCH_NAME"]),
    ("a Unix socket to listen on", 'listen = "unix:/run/main-node.sock"\n' + SOURCE, ["main-node.toml:1:10", "127.0.0.1:8000"]),
    ("a source without an address", '[[source]]\nname = "m"\n', ["main-node.toml", "operation", "url"]),
    ("two sources with one name", '[[source]]\nname = "m"\nurl = "http://h/a"\n[[source]]\nname = "m"\nurl = "http://h/b"\n', ["main-node.toml", "m"]),
]


def invalid_configuration(directory, title, text, expected):
    result = serve(directory, text)
    expect(fails_with(result, 2, *expected), f"{title}: exit 2 with place and cause", result)


def secrets_are_not_printed(directory):
    text = '[[source]]\nname = "m"\nurl = "http://me:hunter2@h/a?token=hunter3"\nheaders = { Authorization = "Bearer hunter4" }\nevry = "1m"\n'
    _, out, err = serve(directory, text)
    _, out2, err2 = run([main_node(), "check", "--config", directory / "main-node.toml"], 15, cwd=directory)
    (directory / "main-node.toml").write_text(text.replace('evry = "1m"\n', ""))
    _, out3, err3 = run([main_node(), "check", "--config", directory / "main-node.toml"], 15, cwd=directory)
    output = out + err + out2 + err2 + out3 + err3
    expect("hunter" not in output, "neither errors nor `check` print passwords, tokens and headers", output)


def port_in_use(directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = directory / "main-node.toml"
        file.write_text(f'listen = "127.0.0.1:{port}"\ndatabase = "{directory / "p.db"}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n')
        code, shown = run_on_terminal([main_node(), "serve", "--config", file], 15, cwd=directory)
        expect(code == 2 and str(port) in shown and "panicked" not in shown, "port in use, on a terminal: exit 2 with the port", (code, shown))


def not_a_main_node_database(directory):
    foreign = directory / "addresses.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE people (name TEXT)")
        database.execute("INSERT INTO people VALUES ('Ada')")
    database.close()
    letter = directory / "letter.txt"
    letter.write_text("Dear Sir or Madam,\n" * 200)
    for file, title in ((foreign, "an SQLite file of another program"), (letter, "a file that is not a database")):
        before = file.read_bytes()
        result = serve(directory, f'listen = "127.0.0.1:{free_port()}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n', "--database", file)
        expect(fails_with(result, 2, file.name), f"{title}: exit 2 with its name", result)
        expect(file.read_bytes() == before, "the file is unchanged")
        siblings = sorted(p.name for p in directory.glob(file.name + "*"))
        expect(siblings == [file.name], "no file is created next to it", siblings)


def impossible_path(directory):
    wanted = "/no/such/directory/main-node.db"
    file = directory / "main-node.toml"
    file.write_text(f'listen = "127.0.0.1:{free_port()}"\n[[source]]\nname = "m"\nurl = "http://127.0.0.1:9/"\n')
    code, shown = run_on_terminal([main_node(), "serve", "--config", file, "--database", wanted], 15, cwd=directory)
    expect(code == 2 and "/no/such/directory" in shown, "impossible database path, on a terminal: exit 2 with the path", (code, shown))


def wrong_arguments():
    for arguments in (["--no-such-flag"], ["no-such-command"], ["serve", "--listen", "nonsense"]):
        result = run([main_node(), *arguments], 15)
        expect(fails_with(result, 2) and (result[1] + result[2]).strip(), f"`main-node {' '.join(arguments)}`: exit 2 with a message", result)
    result = run([main_node(), "--help"], 15)
    expect(fails_with(result, 0, "serve", "demo", "once", "check"), "`--help` lists the commands and exits with 0", result)
    result = run([main_node(), "serve", "--config", "/no/such/main-node.toml"], 15)
    expect(fails_with(result, 2, "/no/such/main-node.toml"), "missing configuration file: exit 2 with its name", result)
