"""The Python program before main-node (fakes/predecessor.py), with FastAPI and SQLAlchemy of PyPI.

    with Predecessor(directory) as predecessor:
        predecessor.post([(1761854400, "temperature", 21.5, {"unit": "°C"})])
        predecessor.database
"""

import datetime
import http.client
import json

from harness import ROOT, expect, get, venv
from services.service import Service

# Readings of a request.
BATCH = 10_000


class Predecessor(Service):
    name = "predecessor"

    def __init__(self, directory):
        super().__init__(directory)
        self.database = self.home / "records.db"

    def command(self):
        return [venv("fastapi") / "python", ROOT / "tests/e2e/fakes/predecessor.py", self.port, self.database]

    def ready(self):
        return get(self.address, "/docs").status == 200

    def post(self, readings):
        """Has readings stored: (seconds since 1970, key, value, meta)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for start in range(0, len(readings), BATCH):
            body = json.dumps([
                {"timestamp": rfc3339(second), "key": key, "value": value, "meta": meta}
                for second, key, value, meta in readings[start:start + BATCH]
            ])
            connection.request("POST", "/records", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 201:
                expect(False, "the predecessor stores what it is posted", answer.decode())
        connection.close()


def rfc3339(second):
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
