"""The recipes of docs/configuration.md, each against a small server of the vendor's shape: from
main-node.toml to /snapshot."""

import datetime
import re
import time

from fakes import vendors
from fakes.digest_auth import DigestAuth, schemes
from harness import (
    ROOT, Process, clean_environment, expect, free_port, get, main_node, records_by_key, run, source_status, story,
    wait_until, with_trusted_clock, work_dir,
)

SECRETS = {
    "TIBBER_TOKEN": "tibber-secret",
    "OCTOPUS_KEY": "octopus-secret-key-1234",
    "SOLAREDGE_KEY": "SOLAREDGESECRET123456",
    "SHELLY_PASSWORD": "shelly-secret-9",
    "PIHOLE_PASSWORD": "pihole-secret",
    "NETATMO_ID": "app-body",
    "NETATMO_SECRET": "client-secret-1",
    "NETATMO_REFRESH_TOKEN": "first-refresh-token",
}


def recipe(vendor):
    """The TOML below the heading that begins with the vendor's name."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    found = re.search(rf"^### {re.escape(vendor)}.*?^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    expect(found, f"docs/configuration.md has a recipe for {vendor}")
    return found[1]


def at(toml, address):
    """The same recipe with its servers at `address`."""
    return re.sub(r'url = "https?://[^/"{]+', f'url = "http://{address}', toml)


def shown(record):
    """A record's text, or its number."""
    return record.get("text", record["value"])


def play(name, toml, keys, server, more=None):
    """Runs the recipe by `check`, `once` and `serve`; gives its records once `keys` are there."""
    directory = work_dir(f"recipe-{name}")
    address = f"127.0.0.1:{free_port()}"
    file = directory / "main-node.toml"
    file.write_text(f'listen = "{address}"\ndatabase = "{directory}/main-node.db"\ntimezone = "Europe/Berlin"\ncommit_every = "1s"\n\n{toml}')
    env = clean_environment(**SECRETS)
    code, out, err = run([main_node(), "check", "--config", file], 20, cwd=directory, env=env)
    problems = [line for line in (out + err).splitlines() if line.startswith("PROBLEM")]
    expect(not problems and "problem(s) found" in out, "`check` accepts it", out + err)
    code, out, err = run([main_node(), "once", "--config", file], 30, cwd=directory, env=env)
    expect(code == 0, "`once` reads it", out + err)
    node = Process(with_trusted_clock([main_node(), "serve", "--config", file]), directory / "log", cwd=directory, env=env)

    def complete():
        records = records_by_key(address)
        return records if set(keys) <= set(records) else None

    records = wait_until(complete, 20, lambda: f"/snapshot has {keys}: {node.output()}\n{get(address, '/snapshot').text}")
    for key, value in keys.items():
        found = shown(records[key])
        expect(value is None or found == value, f"{key} = {found}", records[key])
    expect(not any(records[key].get("stale") for key in keys), "none is stale", records)
    methods = {request.method for request in server.seen}
    expect(methods <= {"GET", "POST"}, "only GET and POST were sent", methods)
    if more:
        more(address, records)
    pages = "".join(get(address, path).text for path in ("/status", "/metrics", "/snapshot?full=1", "/web"))
    leaked = [secret for secret in SECRETS.values() if secret in node.output() + pages + out + err]
    expect(not leaked, "no secret is shown", leaked)
    code, _ = node.stop()
    expect(code == 0, "it stops", node.output())


def away_from_the_end_of(period):
    """Waits out the last seconds of an hour or half hour, in which a price would change under the story."""
    wait_until(lambda: time.time() % period < period - 30, 40, "the price stays the same for a while", poll_every=0.5)


@story(seconds=60)
def recipe_tibber():
    with vendors.vendor_server(vendors.tibber) as server:
        toml = at(recipe("Tibber"), f"127.0.0.1:{server.server_port}")
        play("tibber", toml, {"price": 0.2336}, server)
        expect({request.method for request in server.seen} == {"POST"}, "the query is a POST")


@story(seconds=100)
def recipe_octopus():
    away_from_the_end_of(1800)
    with vendors.vendor_server(vendors.octopus) as server:
        toml = at(recipe("Octopus"), f"127.0.0.1:{server.server_port}")
        price = 21.0 + (int(time.time()) // 1800) % 48
        today = datetime.datetime.fromtimestamp(time.time() + vendors.berlin_offset(time.time()), datetime.timezone.utc).date()
        seconds = vendors.berlin_midnight(today) - vendors.berlin_midnight(today - datetime.timedelta(days=1))
        used = round(sum(range(seconds // 1800)) / 100, 6)
        play("octopus", toml, {"price": price, "used.yesterday": used}, server)
        pages = [request.query.get("page") for request in server.seen if "/consumption/" in request.path]
        expect(pages[:2] == [None, "2"], "the second page is asked for", pages)


@story(seconds=60)
def recipe_shelly():
    with vendors.vendor_server(vendors.shelly(10.5)) as fridge, vendors.vendor_server(vendors.shelly(21.0)) as desk:
        toml = recipe("Shelly").replace("192.168.1.20", f"127.0.0.1:{fridge.server_port}")
        toml = toml.replace("192.168.1.21", f"127.0.0.1:{desk.server_port}")
        keys = {"fridge.power": 10.5, "desk.power": 21.0, "fridge.energy": 1234.5, "desk.energy": 1234.5}
        play("shelly", toml, keys, fridge)


@story(seconds=60)
def recipe_shelly_gen_2():
    def device(power, number):
        password = SECRETS["SHELLY_PASSWORD"]
        return vendors.vendor_server(DigestAuth(vendors.shelly(power), "admin", password, f"shellyplusplugs-a8032abc000{number}"))

    with device(10.5, 1) as boiler, device(21.0, 2) as heater:
        toml = recipe("Shelly Gen 2").replace("192.168.1.22", f"127.0.0.1:{boiler.server_port}")
        toml = toml.replace("192.168.1.23", f"127.0.0.1:{heater.server_port}")
        play("shelly-gen-2", toml, {"boiler.power": 10.5, "heater.power": 21.0}, boiler)
        expect(set(schemes(boiler) + schemes(heater)) == {"none", "Digest"}, "the password itself is not sent", schemes(boiler))


@story(seconds=60)
def recipe_pihole():
    pihole = vendors.PiHole("pihole-secret")
    with vendors.vendor_server(pihole.respond) as server:
        toml = at(recipe("Pi-hole 6"), f"127.0.0.1:{server.server_port}")

        def session_is_no_secret_shown(address, _):
            pages = "".join(get(address, path).text for path in ("/status", "/snapshot?full=1", "/web"))
            expect(pihole.sessions and not any(sid in pages for sid in pihole.sessions), "no session is shown")

        play("pihole", toml, {"dns.queries": 7497, "dns.blocked": 34.5}, server, session_is_no_secret_shown)
        expect(len(pihole.sessions) == 1, "`once` and the service share one session", pihole.sessions)


@story(seconds=60)
def recipe_solaredge():
    with vendors.vendor_server(vendors.solaredge) as server:
        toml = at(recipe("SolarEdge"), f"127.0.0.1:{server.server_port}")
        # The second source waits for its turn of the quota: `once` does not.
        toml = toml.replace("300/day", "86400/day")

        def quota_is_shared(address, _):
            intervals = [source_status(address, name)["every_s"] for name in ("solar", "solar energy")]
            expect(all(seconds >= 2 for seconds in intervals), "both share the quota", intervals)

        keys = {"solar.power": 1304.8, "solar.today": 3127.0, "solar.yesterday": 12000.0}
        play("solaredge", toml, keys, server, quota_is_shared)


@story(seconds=60)
def recipe_met_no():
    with vendors.vendor_server(vendors.met_no) as server:
        toml = at(recipe("met.no"), f"127.0.0.1:{server.server_port}")

        def expires_is_obeyed(address, _):
            following = source_status(address, "yr")["next_attempt"]
            wait = datetime.datetime.fromisoformat(following.replace("Z", "+00:00")).timestamp() - time.time()
            expect(1700 < wait < 2000, "the next request waits until `Expires`, 30 minutes", following)

        play("met-no", toml, {"temperature": 4.5, "wind": 3.1}, server, expires_is_obeyed)


@story(seconds=100)
def recipe_energy_charts():
    away_from_the_end_of(3600)
    with vendors.vendor_server(vendors.energy_charts) as server:
        toml = at(recipe("energy-charts"), f"127.0.0.1:{server.server_port}")
        price = round((70.0 + (int(time.time()) // 3600) % 24) * 0.1, 6)
        play("energy-charts", toml, {"price.exchange": price}, server)


@story(seconds=140)
def recipe_awattar():
    away_from_the_end_of(3600)
    with vendors.vendor_server(vendors.awattar) as server:
        toml = at(recipe("aWATTar"), f"127.0.0.1:{server.server_port}")
        hour = int(time.time()) // 3600
        today = datetime.datetime.fromtimestamp(time.time() + vendors.berlin_offset(time.time()), datetime.timezone.utc).date()
        end = vendors.berlin_midnight(today + datetime.timedelta(days=2)) // 3600
        lowest = min(range(hour, end), key=vendors.awattar_price)
        local = datetime.datetime.fromtimestamp(lowest * 3600 + vendors.berlin_offset(lowest * 3600), datetime.timezone.utc)
        keys = {
            "price.now": round(vendors.awattar_price(hour) * 0.1, 6), "price.next": round(vendors.awattar_price(hour + 1) * 0.1, 6),
            "price.lowest": round(vendors.awattar_price(lowest) * 0.1, 6), "price.cheapest_hour": local.strftime("%Y-%m-%d %H:%M"),
        }

        def tomorrow_is_in_the_history(address, _):
            until = datetime.datetime.fromtimestamp(end * 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            url = f"/history?key=price.now&to={until}"
            wait_until(lambda: '"forecast"' in get(address, url).text, 20, lambda: f"the history has the hours ahead: {get(address, url).text}")

        play("awattar", toml, keys, server, tomorrow_is_in_the_history)


@story(seconds=100)
def recipe_fronius():
    fronius = vendors.Fronius()
    with vendors.vendor_server(fronius) as server:
        toml = at(recipe("Fronius"), f"127.0.0.1:{server.server_port}").replace('every = "1m"', 'every = "1s"')

        def energy_is_counted(address, _):
            def counted():
                records = records_by_key(address)
                today = records["bought.today"]["value"]
                return today if today >= 15 else None

            today = wait_until(counted, 30, "the meter's increase of today")
            expect(today % 5 == 0 and today <= fronius.bought - 1_000_000, "it is what the meter counted", today)

        keys = {"grid": 310.25, "solar": 0, "battery": 250.5, "house": 560.75, "bought": None, "bought.today": None, "solar.today": 0}
        play("fronius", toml, keys, server, energy_is_counted)


@story(seconds=60)
def recipe_departure_board():
    with vendors.vendor_server(vendors.stationboard) as board, vendors.vendor_server(vendors.underground) as tube:
        toml = recipe("Departure board").replace("https://transport.opendata.ch", f"http://127.0.0.1:{board.server_port}")
        toml = toml.replace("https://api.tfl.gov.uk", f"http://127.0.0.1:{tube.server_port}")

        def times_are_local(_, records):
            times = [shown(records[f"departure.{index}.time"]) for index in range(3)]
            expect(all(len(text) == 5 and text[2] == ":" for text in times), "times are hours and minutes", times)

        keys = {
            "departure.0.to": "Zürich HB", "departure.1.to": "Biel/Bienne", "departure.2.to": "Luzern", "departure.0.delay": 0,
            "departure.1.delay": 4, "departure.1.platform": "4", "tube.victoria": "Good Service", "tube.northern": "Minor Delays",
        }
        play("departure-board", toml, keys, board, times_are_local)


@story(seconds=60)
def recipe_ecb():
    with vendors.vendor_server(vendors.ecb) as server:
        toml = at(recipe("European Central Bank"), f"127.0.0.1:{server.server_port}")
        play("ecb", toml, {"eur.USD": 1.0852, "eur.JPY": 164.37, "eur.CHF": 0.9381}, server)


@story(seconds=60)
def recipe_open_meteo():
    with vendors.vendor_server(vendors.open_meteo) as server:
        base = f'operation = "getForecast"\nbase_url = "http://127.0.0.1:{server.server_port}"'
        toml = recipe("Open-Meteo").replace('operation = "getForecast"', base)

        def observed_is_right(_, records):
            observed = records["outside.temperature"]["observed"]
            age = time.time() - datetime.datetime.fromisoformat(observed.replace("Z", "+00:00")).timestamp()
            expect(0 <= age < 1000, "the local time of the response is understood", observed)

        play("open-meteo", toml, {"outside.temperature": 11.4}, server, observed_is_right)


@story(seconds=60)
def recipe_prometheus():
    with vendors.vendor_server(vendors.node_exporter) as server:
        toml = at(recipe("Prometheus"), f"127.0.0.1:{server.server_port}")
        play("prometheus", toml, {"load": 0.25, "cpu.0.idle": 1234.5, "cpu.0.user": 56.7}, server)
