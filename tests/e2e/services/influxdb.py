"""InfluxDB 1 on loopback. What it answered with 204 is on disk: it may be killed at any time.

    with InfluxDb(directory) as influxdb:
        url = influxdb.write_url                       # http://127.0.0.1:PORT/write?db=house
        influxdb.points("main_node")                   # [{"time": 1795…, "key": "temperature", "value": 21.5}, …]
"""

import base64
import http.client
import json
from urllib.parse import urlencode

from harness import Failed, tool
from services.service import Service

DATABASE = "house"
USER, PASSWORD = "node", "influx secret"


class InfluxDb(Service):
    """`auth`: it wants USER and PASSWORD. `retention` is the duration of the database, as of "52w"; older points are refused.
    `max_body_size` is the largest body that it takes, in bytes."""

    name = "influxdb"

    def __init__(self, directory, auth=False, retention=None, max_body_size=25_000_000):
        super().__init__(directory)
        self.auth, self.retention, self.has_database = auth, retention, False
        self.write_url = f"http://{self.address}/write?db={DATABASE}"
        data = self.home / "data"
        (self.home / "influxdb.conf").write_text(
            # The RPC of backups, on a port that nobody needs to know.
            'reporting-disabled = true\nbind-address = "127.0.0.1:0"\n'
            f'[meta]\n dir = "{data}/meta"\n'
            f'[data]\n dir = "{data}/data"\n wal-dir = "{data}/wal"\n wal-fsync-delay = "0s"\n query-log-enabled = false\n'
            f'[http]\n bind-address = "{self.address}"\n auth-enabled = {str(auth).lower()}\n max-body-size = {max_body_size}\n'
            "[monitor]\n store-enabled = false\n[continuous_queries]\n enabled = false\n"
        )

    def command(self):
        return ["env", "GOMAXPROCS=2", tool("influxd"), "run", "-config", self.home / "influxdb.conf"]

    def ready(self):
        return self.request("GET", "/ping")[0] == 204

    def start(self):
        super().start()
        if self.has_database:
            return
        if self.auth:
            # The first user is made without one.
            self.query(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")
        self.query(f"CREATE DATABASE {DATABASE}" + (f" WITH DURATION {self.retention}" if self.retention else ""))
        self.has_database = True

    def request(self, method, path, body=None):
        """(status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            connection.request(method, path, body, {"Authorization": f"Basic {login}"} if self.auth else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def query(self, statement):
        """The series of an InfluxQL statement: {"name", "tags", "columns", "values"}."""
        status, body = self.request("POST", "/query?" + urlencode({"db": DATABASE, "epoch": "s", "q": statement}))
        answer = json.loads(body)
        failed = answer.get("error") or next((it["error"] for it in answer["results"] if "error" in it), None)
        if status != 200 or failed:
            raise Failed(f"InfluxDB answers {statement} with {status}: {failed}")
        return [series for result in answer["results"] for series in result.get("series", [])]

    def points(self, measurement):
        """All points of a measurement in the order of time: tags and fields by name, `time` in seconds."""
        return [
            {name: value for name, value in zip(series["columns"], row) if value is not None}
            for series in self.query(f'SELECT * FROM "{measurement}"')
            for row in series["values"]
        ]

    def write(self, lines):
        """(status, body) of a write of line protocol in seconds."""
        return self.request("POST", f"/write?db={DATABASE}&precision=s", lines.encode())
