"""Fake vendor APIs on loopback, written from their public documentation: as strict about requests
as the vendors are, and with answers of their shape."""

import contextlib
import datetime
import http.server
import json
import threading
import time
import urllib.parse


class Request:
    """What a vendor sees: method, path, query (the last value of each name), headers, body."""

    def __init__(self, handler, body):
        self.method = handler.command
        url = urllib.parse.urlsplit(handler.path)
        self.path, self.target = url.path, handler.path
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body

    def time(self, name):
        """A query parameter that is an ISO 8601 time with a zone."""
        return datetime.datetime.fromisoformat(self.query[name].replace("Z", "+00:00")).timestamp()


class Answer:
    def __init__(self, body, status=200, content_type="application/json", **headers):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.content_type = status, content_type
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@contextlib.contextmanager
def vendor_server(respond, tls=None, port=0):
    """Answers with `respond(Request)`, an `Answer`; gives the server, with its `requests` in `seen`.

    `tls` is an `ssl.SSLContext`, for HTTPS. Port 0 is a free one."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            request = Request(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            seen.append(request)
            try:
                answer = respond(request)
            except (KeyError, ValueError) as error:
                answer = Answer({"error": f"bad request: {error!r}"}, status=400)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.seen = seen
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def hour(offset=0):
    """The beginning of this hour or another."""
    return (int(time.time()) // 3600 + offset) * 3600


# ---- The vendors -------------------------------------------------------------------------


def tibber(request):
    """https://developer.tibber.com: GraphQL by POST, with a bearer token."""
    if request.method != "POST" or request.path != "/v1-beta/gql":
        return Answer({"errors": [{"message": "Must provide query string."}]}, status=400)
    if request.headers.get("authorization") != "Bearer tibber-secret":
        return Answer({"errors": [{"message": "invalid token"}]}, status=401)
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        return Answer({"errors": [{"message": "expected application/json"}]}, status=415)
    query = json.loads(request.body)["query"]
    if query.count("{") != query.count("}") or "priceInfo" not in query:
        return Answer({"errors": [{"message": "Syntax error"}]}, status=400)
    current = {"total": 0.2336, "startsAt": iso(hour())}
    return Answer({"data": {"viewer": {"homes": [{"currentSubscription": {"priceInfo": {"current": current}}}]}}})


def octopus(request):
    """https://docs.octopus.energy/rest: half hours, pages with `next`, the key as the user name."""
    if request.path.endswith("/standard-unit-rates/"):
        start, end = request.time("period_from"), request.time("period_to")
        first = int(start) // 1800 * 1800
        rates = [
            {"value_exc_vat": 20.0, "value_inc_vat": 21.0 + (t // 1800) % 48, "valid_from": iso(t), "valid_to": iso(t + 1800), "payment_method": None}
            for t in range(first, int(end) + 1, 1800)
        ]
        return Answer({"count": len(rates), "next": None, "previous": None, "results": rates[::-1]})
    if request.headers.get("authorization") != "Basic b2N0b3B1cy1zZWNyZXQta2V5LTEyMzQ6":
        return Answer({"detail": "Authentication credentials were not provided."}, status=401)
    start, end = int(request.time("period_from")), int(request.time("period_to"))
    if (end - start) % 1800 or not 22 * 3600 < end - start < 26 * 3600:
        return Answer({"detail": "not one day"}, status=400)
    size, page = int(request.query.get("page_size", 100)), int(request.query.get("page", 1))
    slots = list(range(start, end, 1800))
    if request.query.get("order_by") != "period":
        slots.reverse()
    part = slots[(page - 1) * size : page * size]
    following = None
    if page * size < len(slots):
        query = urllib.parse.urlencode({**request.query, "page": page + 1})
        following = f"http://{request.headers['host']}{request.path}?{query}"
    results = [{"consumption": (t - start) // 1800 / 100, "interval_start": iso(t), "interval_end": iso(t + 1800)} for t in part]
    return Answer({"count": len(slots), "next": following, "previous": None, "results": results})


def shelly(power):
    """https://shelly-api-docs.shelly.cloud/gen2: the status of a plug."""

    def respond(request):
        if request.path != "/rpc/Shelly.GetStatus":
            return Answer({"code": 404, "message": "No handler"}, status=404)
        energy = {"total": 1234.5, "by_minute": [1.0, 2.0, 3.0], "minute_ts": int(time.time())}
        return Answer({
            "cloud": {"connected": True},
            "switch:0": {"id": 0, "source": "init", "output": True, "apower": power, "voltage": 231.1, "current": 0.05, "aenergy": energy},
            "sys": {"mac": "A8032ABC0001", "uptime": 1000},
        })

    return respond


def solaredge(request):
    """SolarEdge's monitoring API: the key in the query, dates as `YYYY-MM-DD`, times of the site's zone."""
    if request.query.get("api_key") != "SOLAREDGESECRET123456":
        return Answer({"String": "Invalid token"}, status=403)
    now = datetime.datetime.fromtimestamp(time.time() + berlin_offset(time.time()), datetime.timezone.utc)
    if request.path.endswith("/overview"):
        return Answer({"overview": {
            "lastUpdateTime": now.strftime("%Y-%m-%d %H:%M:%S"),
            "lifeTimeData": {"energy": 761985.75, "revenue": 946.13104},
            "lastDayData": {"energy": 3127.0}, "currentPower": {"power": 1304.8}, "measuredBy": "INVERTER",
        }})
    start = datetime.date.fromisoformat(request.query["startDate"])
    end = datetime.date.fromisoformat(request.query["endDate"])
    days = [start + datetime.timedelta(days=n) for n in range((end - start).days + 1)]
    values = [{"date": f"{day} 00:00:00", "value": 12000.0} for day in days]
    return Answer({"energy": {"timeUnit": request.query["timeUnit"], "unit": "Wh", "values": values}})


def met_no(request):
    """https://api.met.no: 403 without an own User-Agent, `Expires`, conditional requests."""
    agent = request.headers.get("user-agent", "")
    if not agent or agent.startswith(("main-node", "python", "curl")):
        return Answer(b"Forbidden", status=403, content_type="text/plain")
    now = time.time()
    modified = datetime.datetime.fromtimestamp(hour(), datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    expires = datetime.datetime.fromtimestamp(now + 1800, datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    if request.headers.get("if-modified-since") == modified:
        return Answer(b"", status=304, Expires=expires, Last_Modified=modified)
    details = {"air_pressure_at_sea_level": 1013.2, "air_temperature": 4.5, "wind_from_direction": 210.0, "wind_speed": 3.1}
    series = [{"time": iso(hour(n)), "data": {"instant": {"details": details}}} for n in range(24)]
    body = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [float(request.query["lon"]), float(request.query["lat"]), 3]},
        "properties": {"meta": {"updated_at": iso(hour()), "units": {"air_temperature": "celsius"}}, "timeseries": series},
    }
    return Answer(body, Expires=expires, Last_Modified=modified)


def energy_charts(request):
    """https://api.energy-charts.info: parallel arrays of quarter hours of the days from `start` to `end`, local time
    of the bidding zone."""
    first, last = (datetime.date.fromisoformat(request.query[name]) for name in ("start", "end"))
    if not request.query["bzn"] or last < first:
        return Answer({"detail": "no data"}, status=404)
    times = list(range(berlin_midnight(first), berlin_midnight(last + datetime.timedelta(days=1)), 900))
    prices = [70.0 + (t // 3600) % 24 for t in times]
    return Answer({"license_info": "CC BY 4.0", "unix_seconds": times, "price": prices, "unit": "EUR / MWh", "deprecated": False})


def awattar_price(h):
    """EUR/MWh of the hour `h` since 1970: one hour of each day is the cheapest."""
    return 80.5 + (h * 7) % 24


def awattar(request):
    """https://www.awattar.de/services/api: hours that begin at `start` or later, in milliseconds."""
    start, end = int(request.query["start"]), int(request.query["end"])
    first = -(-start // 3_600_000)
    hours = range(first, -(-end // 3_600_000))
    data = [
        {"start_timestamp": h * 3_600_000, "end_timestamp": (h + 1) * 3_600_000, "marketprice": awattar_price(h), "unit": "Eur/MWh"}
        for h in hours
    ]
    return Answer({"object": "list", "data": data, "url": "/de/v1/marketdata"})


class Fronius:
    """The Solar API of a Fronius inverter at night: no power of the panels, and a meter that counts on."""

    def __init__(self):
        self.bought = 1_000_000

    def __call__(self, request):
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+00:00")
        head = {"RequestArguments": {}, "Status": {"Code": 0, "Reason": "", "UserMessage": ""}, "Timestamp": stamp}
        if request.path == "/solar_api/v1/GetPowerFlowRealtimeData.fcgi":
            site = {
                "E_Day": None, "E_Total": 761985.75, "E_Year": None, "Meter_Location": "grid", "Mode": "bidirectional",
                "P_Akku": 250.5, "P_Grid": 310.25, "P_Load": -560.75, "P_PV": None, "rel_Autonomy": 44.7,
            }
            return Answer({"Body": {"Data": {"Inverters": {"1": {"DT": 1, "P": None, "SOC": 61.0}}, "Site": site, "Version": "12"}}, "Head": head})
        if request.path == "/solar_api/v1/GetMeterRealtimeData.cgi" and request.query["Scope"] == "System":
            self.bought += 5
            return Answer({"Body": {"Data": {"0": {"EnergyReal_WAC_Sum_Consumed": self.bought, "Visible": 1}}}, "Head": head})
        return Answer({"Head": {"Status": {"Code": 4, "Reason": "not found"}}}, status=404)


def stationboard(request):
    """https://transport.opendata.ch: the next departures of a station, times with an offset without colon."""
    count = int(request.query["limit"])
    first = (int(time.time()) // 60 + 2) * 60
    board = []
    for index, (category, number, to, delay) in enumerate([("IC", "1", "Zürich HB", None), ("S", "3", "Biel/Bienne", 4), ("RE", "2", "Luzern", 0)]):
        seconds = first + 240 * index
        local = datetime.datetime.fromtimestamp(seconds + berlin_offset(seconds), datetime.timezone.utc)
        offset = "+0200" if berlin_offset(seconds) == 7200 else "+0100"
        stop = {"departure": local.strftime("%Y-%m-%dT%H:%M:%S") + offset, "departureTimestamp": seconds, "delay": delay, "platform": str(index + 3)}
        board.append({"stop": stop, "category": category, "number": number, "to": to, "operator": "SBB"})
    return Answer({"station": {"id": "8507000", "name": request.query["station"]}, "stationboard": board[:count]})


def underground(_):
    """https://api.tfl.gov.uk: a list of lines, in no order that is promised."""
    lines = [
        {"id": name, "name": name.title(), "modeName": "tube", "lineStatuses": [{"statusSeverity": severity, "statusSeverityDescription": text}]}
        for name, severity, text in [("bakerloo", 10, "Good Service"), ("northern", 9, "Minor Delays"), ("victoria", 10, "Good Service")]
    ]
    return Answer(lines[:: 1 if time.time() % 2 < 1 else -1])


def ecb(_):
    """The daily reference rates of the European Central Bank: XML with namespaces and attributes."""
    rates = {"USD": "1.0852", "JPY": "164.37", "CHF": "0.9381"}
    cubes = "".join(f"\t\t\t<Cube currency='{currency}' rate='{rate}'/>\n" for currency, rate in rates.items())
    today = datetime.date.today()
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">\n'
        "\t<gesmes:subject>Reference rates</gesmes:subject>\n\t<gesmes:Sender>\n\t\t<gesmes:name>European Central Bank</gesmes:name>\n\t</gesmes:Sender>\n"
        f"\t<Cube>\n\t\t<Cube time='{today}'>\n{cubes}\t\t</Cube>\n\t</Cube>\n</gesmes:Envelope>"
    )
    return Answer(body.encode(), content_type="text/xml")


def open_meteo(request):
    """https://open-meteo.com: the current conditions, in local time where `timezone` names one."""
    if request.path != "/v1/forecast" or request.query.get("timezone") != "Europe/Berlin":
        return Answer({"error": True, "reason": "expected timezone=Europe/Berlin"}, status=400)
    now = time.time()
    offset = berlin_offset(now)
    local = datetime.datetime.fromtimestamp(now // 900 * 900 + offset, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M")
    return Answer({
        "latitude": float(request.query["latitude"]), "longitude": float(request.query["longitude"]),
        "generationtime_ms": 0.07, "utc_offset_seconds": offset, "timezone": "Europe/Berlin", "timezone_abbreviation": "GMT+1",
        "elevation": 38.0, "current_units": {"time": "iso8601", "interval": "seconds", "temperature_2m": "°C"},
        "current": {"time": local, "interval": 900, "temperature_2m": 11.4},
    })


def berlin_offset(now):
    """Seconds from UTC: summer time is between the last Sundays of March and October, 01:00 UTC."""
    year = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).year

    def last_sunday(month):
        last = datetime.datetime(year, month, 31, 1, tzinfo=datetime.timezone.utc)
        return (last - datetime.timedelta(days=(last.weekday() + 1) % 7)).timestamp()

    return 7200 if last_sunday(3) <= now < last_sunday(10) else 3600


def berlin_midnight(date):
    """The first instant of a day in Berlin, seconds since 1970."""
    midnight = datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.timezone.utc).timestamp()
    return int(midnight - berlin_offset(midnight - 3600))


def node_exporter(_):
    """The text format of Prometheus' node exporter."""
    text = (
        "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n# TYPE node_cpu_seconds_total counter\n"
        'node_cpu_seconds_total{cpu="0",mode="idle"} 1234.5\nnode_cpu_seconds_total{cpu="0",mode="user"} 56.7\n'
        "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.25\n"
    )
    return Answer(text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


ENPHASE_TOKEN = "eyJraWQiOiJlMmUi.eyJhdWQiOiIxMjIyMDAwMCJ9.c2lnbmF0dXJl"


def enphase(request):
    """An IQ Gateway: every path needs the owner's token."""
    if request.headers.get("authorization") != f"Bearer {ENPHASE_TOKEN}":
        return Answer(b"<html><body>Authentication required</body></html>", status=401, content_type="text/html")
    if request.path == "/api/v1/production":
        return Answer({"wattHoursToday": 4120, "wattHoursSevenDays": 61200, "wattHoursLifetime": 9100400, "wattsNow": 812})
    if request.path == "/api/v1/production/inverters":
        inverters = [("121900000001", 101), ("121900000002", 98)]
        return Answer([
            {"serialNumber": number, "lastReportDate": int(time.time()), "devType": 1, "lastReportWatts": watts, "maxReportWatts": 290}
            for number, watts in inverters
        ])
    return Answer({"error": "no such path"}, status=404)


class PiHole:
    """Pi-hole 6: https://docs.pi-hole.net/api/auth/. Sessions last 1800 s from their last use; there are `seats` of them."""

    def __init__(self, password, seats=16):
        self.password, self.seats = password, seats
        self.sessions, self.logins, self.refused = {}, 0, 0

    def respond(self, request):
        if request.path == "/api/auth":
            if request.method != "POST" or request.headers.get("content-type") != "application/json":
                return Answer({"error": {"key": "bad_request", "message": "No request body data", "hint": None}}, status=400)
            return self.log_in(json.loads(request.body).get("password"))
        sid = request.headers.get("x-ftl-sid")
        if sid not in self.sessions:
            self.refused += 1
            return Answer({"error": {"key": "unauthorized", "message": "Unauthorized", "hint": None}, "took": 3.8e-05}, status=401)
        self.sessions[sid] = time.monotonic()
        if request.path == "/api/stats/summary":
            return Answer({
                "queries": {"total": 7497, "blocked": 2586, "percent_blocked": 34.5, "unique_domains": 445},
                "clients": {"active": 10, "total": 22}, "gravity": {"domains_being_blocked": 104756}, "took": 0.003,
            })
        return Answer({"error": {"key": "not_found", "message": "Not found", "hint": request.path}}, status=404)

    def log_in(self, password):
        self.logins += 1
        if password != self.password:
            session = {"valid": False, "totp": False, "sid": None, "validity": -1, "message": "password incorrect"}
            return Answer({"session": session, "took": 0.03}, status=401)
        if len(self.sessions) >= self.seats:
            error = {"key": "api_seats_exceeded", "message": "API seats exceeded", "hint": "increase webserver.api.max_sessions"}
            return Answer({"error": error, "took": 0.03}, status=429)
        sid = f"vFA+EP4MQ5JJvJg+3Q2Jn{self.logins:02}="
        self.sessions[sid] = time.monotonic()
        session = {"valid": True, "totp": False, "sid": sid, "csrf": "Ux87YTIiMOf/GKCefVIOMw=", "validity": 1800, "message": "password correct"}
        return Answer({"session": session, "took": 0.03}, Set_Cookie=f"sid={sid}; SameSite=Lax; Path=/; Max-Age=1800; HttpOnly")
