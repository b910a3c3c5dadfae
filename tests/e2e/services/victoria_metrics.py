"""VictoriaMetrics on loopback. It answers before what it got is on disk: a kill loses what came in the last five
seconds, by its design; a stop loses nothing.

    with VictoriaMetrics(directory) as victoria:
        url = victoria.write_url                       # http://127.0.0.1:PORT/write
        victoria.samples('{key="temperature"}')        # [({"__name__": "main_node_value", "key": "temperature"}, 1795…, 21.5), …]
"""

import base64
import http.client
import json
from urllib.parse import urlencode

from harness import Failed, tool
from services.service import Service

USER, PASSWORD = "node", "victoria secret"
# Without an end what is a second ahead of its clock is left out.
FAR = 4_000_000_000


class VictoriaMetrics(Service):
    """`auth`: it wants USER and PASSWORD. `deduplicates`: of samples of one millisecond it keeps one
    (-dedup.minScrapeInterval=1ms). `retention` is as of "100y"; older samples are dropped without a word."""

    name = "victoria-metrics"

    def __init__(self, directory, auth=False, deduplicates=False, retention="100y"):
        super().__init__(directory)
        self.auth = auth
        self.write_url = f"http://{self.address}/write"
        self.options = [
            f"-httpListenAddr={self.address}", f"-storageDataPath={self.home}/data", f"-retentionPeriod={retention}",
            "-search.latencyOffset=0s", "-search.disableCache", "-memory.allowedBytes=64MB", "-loggerLevel=WARN",
        ]
        if auth:
            self.options += [f"-httpAuth.username={USER}", f"-httpAuth.password={PASSWORD}"]
        if deduplicates:
            self.options.append("-dedup.minScrapeInterval=1ms")

    def command(self):
        return ["env", "GOMAXPROCS=2", tool("victoria-metrics"), *self.options]

    def ready(self):
        return self.request("GET", "/health")[0] == 200

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

    def flush(self):
        """Queries know what was taken (it need not be on disk)."""
        self.expect_ok("GET", "/internal/force_flush")

    def samples(self, selector):
        """All samples of the series that match, as stored: (labels, time in seconds, value), by series and time."""
        self.flush()
        rows = self.expect_ok("GET", "/api/v1/export?" + urlencode({"match[]": selector, "start": 0, "end": FAR})).decode().splitlines()
        return [
            (series["metric"], milliseconds / 1000, value)
            for series in map(json.loads, rows)
            for milliseconds, value in zip(series["timestamps"], series["values"])
        ]

    def write(self, lines):
        """(status, body) of a write of line protocol in seconds."""
        return self.request("POST", "/write?precision=s", lines.encode())

    def expect_ok(self, method, path):
        status, body = self.request(method, path)
        if status != 200:
            raise Failed(f"VictoriaMetrics answers {path} with {status}: {body.decode(errors='replace')}")
        return body
