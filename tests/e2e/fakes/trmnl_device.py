"""A TRMNL device, as its firmware (1.8) speaks to a server of one's own: setup, poll, download, log.

It never sleeps: what it would wait is noted in `waits`. It refuses what the firmware refuses, and downloads a picture
only when its file name is another than that of the picture shown."""

import http.client
import json
import struct
import urllib.parse

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BMP_BYTES = 48_062
# Of the OG's memory for a picture.
MAX_PNG_BYTES = 90_000
# The name of a file in its flash memory.
MAX_NAME = 31
SETUP_WAIT = 900
TRIES, WAIT_BETWEEN_TRIES = 5, 2
# After the first, second, … failure in a row.
FAILURE_WAITS = (15, 30, 60, 900)


class Refused(Exception):
    """The server answered something that the firmware does not take."""


class TrmnlDevice:
    def __init__(self, server, mac, source=None):
        """`server` is the URL typed into its captive portal, `source` a local address."""
        self.server, self.mac, self.source = server.rstrip("/"), mac, source
        self.model, self.firmware, self.size = "og", "1.8.14", (800, 480)
        self.battery, self.rssi = "4.05", "-61"
        # Kept in flash memory.
        self.key = self.friendly_id = self.filename = self.image = None
        self.refresh_rate, self.unsent = 900, []
        # What happened.
        self.polls, self.downloads, self.failures, self.waits = 0, 0, 0, []

    def setup(self):
        """Whether the server knows it; then it has a key and shows the picture of setup."""
        reply = self.request("GET", f"{self.server}/api/setup", {"ID": self.mac, "FW-Version": self.firmware, "Model": self.model})
        answer = parse_json(reply) if reply.status in (200, 404, 403) else {}
        if reply.status != 200 or answer.get("status") != 200:
            self.waits.append(SETUP_WAIT)
            return False
        key, friendly_id = answer["api_key"], answer["friendly_id"]
        if not (isinstance(key, str) and key and isinstance(friendly_id, str) and len(friendly_id) == 6):
            raise Refused(f"setup gives no key or friendly id: {answer}")
        self.key, self.friendly_id = key, friendly_id
        # That picture is fetched without a header.
        image = self.download(answer["image_url"], {})
        if len(image) != BMP_BYTES:
            raise Refused(f"the picture of setup has {len(image)} bytes, not {BMP_BYTES}")
        check_bmp(image)
        self.image = image
        return True

    def poll(self):
        """Asks what to show; whether it downloaded a picture. Waits for as long as it was told."""
        self.polls += 1
        reply = self.with_tries("GET", f"{self.server}/api/display", self.telemetry())
        if reply is None or reply.status not in (200, 301, 429):
            self.waits.append(FAILURE_WAITS[min(self.failures, len(FAILURE_WAITS) - 1)])
            self.failures += 1
            return False
        self.failures = 0
        answer = parse_json(reply)
        if answer.get("status") != 0:
            raise Refused(f"the status of /api/display is not 0: {answer}")
        if answer["update_firmware"] or answer["reset_firmware"] or answer["special_function"] != "none":
            raise Refused(f"/api/display wants something else of it: {answer}")
        name, rate = answer["filename"], answer["refresh_rate"]
        if not 0 < len(name) <= MAX_NAME:
            raise Refused(f"the name of the picture is cut: {name}")
        if not (isinstance(rate, int) and rate > 0):
            raise Refused(f"refresh_rate is {rate!r}")
        is_new = name != self.filename
        if is_new:
            image = self.download(answer["image_url"])
            check_image(image)
            self.image, self.filename = image, name
            self.downloads += 1
        self.refresh_rate = rate
        self.waits.append(rate)
        return is_new

    def log(self, message):
        """Sends a log, and what it could not send before; the status of the answer. It keeps what is not taken."""
        self.unsent.append({"message": message, "wifi_signal": int(self.rssi), "battery_voltage": float(self.battery)})
        body = json.dumps({"logs": self.unsent}).encode()
        headers = {**self.identity(), "Content-Type": "application/json", "Content-Length": str(len(body))}
        reply = self.request("POST", f"{self.server}/api/log", headers, body)
        if reply.status in (200, 204):
            self.unsent = []
        return reply.status

    def identity(self):
        return {"ID": self.mac, "Access-Token": self.key or ""}

    def telemetry(self):
        width, height = self.size
        return {
            **self.identity(), "Refresh-Rate": str(self.refresh_rate), "Battery-Voltage": self.battery, "Battery-Charging": "false",
            "USB-Connected": "false", "FW-Version": self.firmware, "Model": self.model, "Image-Cached": self.filename or "",
            "Wake-Time": "1500", "RSSI": self.rssi, "WiFi-Band": "2.4", "Width": str(width), "Height": str(height), "SENSORS": "",
        }

    def download(self, url, headers=None):
        # Only the server that gave it the key is shown it.
        is_own = urllib.parse.urlsplit(url)[:2] == urllib.parse.urlsplit(self.server)[:2]
        if headers is None:
            headers = self.identity() if is_own else {}
        reply = self.with_tries("GET", url, headers)
        if reply is None or reply.status != 200:
            raise Refused(f"{url} answers {reply and reply.status}")
        if reply.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(f"{url} is compressed")
        if reply.headers.get("Content-Length") != str(len(reply.body)):
            raise Refused(f"{url} has no Content-Length, or another: {reply.headers}")
        return reply.body

    def with_tries(self, method, url, headers):
        """The answer, or None when there was none."""
        for attempt in range(TRIES):
            try:
                return self.request(method, url, headers)
            except OSError:
                self.waits.append(WAIT_BETWEEN_TRIES)
        return None

    def request(self, method, url, headers, body=None, redirects=1):
        parts = urllib.parse.urlsplit(url)
        source = (self.source, 0) if self.source else None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=15, source_address=source)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, body, {"User-Agent": "ESP32HTTPClient", "Accept-Encoding": "identity", **headers})
            reply = connection.getresponse()
            reply.body = reply.read()
        finally:
            connection.close()
        if reply.status in (307, 308) and redirects:
            return self.request(method, urllib.parse.urljoin(url, reply.headers["Location"]), headers, body, redirects - 1)
        return reply


def parse_json(reply):
    if "json" not in reply.headers.get("Content-Type", ""):
        raise Refused(f"the answer is no JSON: {reply.headers}")
    return json.loads(reply.body)


def check_image(image):
    if image.startswith(PNG_SIGNATURE):
        check_png(image)
    else:
        check_bmp(image)


def check_bmp(image):
    """Of the firmware's parser: 800 × 480, 1 bit, 48,000 bytes of pixels, black and white in this order."""
    if image[:2] != b"BM" or len(image) < 62:
        raise Refused("it is no BMP")
    width, height = struct.unpack_from("<ii", image, 18)
    planes, bits, compression, pixel_bytes = struct.unpack_from("<HHII", image, 26)
    colours = struct.unpack_from("<I", image, 46)[0]
    start = struct.unpack_from("<I", image, 10)[0]
    # A positive height: rows from the lowest.
    found = (width, height, planes, bits, compression, pixel_bytes)
    if found != (800, 480, 1, 1, 0, 48_000) or colours not in (0, 2):
        raise Refused(f"a BMP of {found}, {colours} colours")
    if start != 62 or image[54:62] != bytes([0, 0, 0, 0, 255, 255, 255, 0]):
        raise Refused(f"pixels begin at {start}, and the table of colours is {image[54:62].hex()}")
    if len(image) != start + pixel_bytes or struct.unpack_from("<I", image, 2)[0] != len(image):
        raise Refused(f"a BMP of {len(image)} bytes")


def check_png(image):
    """Grey without a palette, 1 or 2 bits, not interlaced, of a size that its memory holds."""
    if len(image) >= MAX_PNG_BYTES:
        raise Refused(f"a PNG of {len(image)} bytes")
    length, kind = struct.unpack_from(">I4s", image, 8)
    width, height, bits, colour, compression, filters, interlace = struct.unpack_from(">IIBBBBB", image, 16)
    found = (length, kind, width, height, colour, compression, filters, interlace)
    if found != (13, b"IHDR", 800, 480, 0, 0, 0, 0) or bits not in (1, 2):
        raise Refused(f"a PNG of {found}, {bits} bits")
