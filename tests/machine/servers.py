"""Servers on the loopback of this machine that the guest uses: mail (SMTP) and time (SNTP)."""

import contextlib
import socket
import socketserver
import struct
import threading
import time


class MailServer(socketserver.ThreadingTCPServer):
    """Takes every mail, unencrypted and without a login; `mails` has their texts."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, port=0):
        self.mails = []
        super().__init__(("127.0.0.1", port), MailSession)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class MailSession(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 mail.test")
        for line in self.rfile:
            command = line.split()[0].upper() if line.split() else b""
            if command == b"DATA":
                self.say("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(b"".join(lines).decode())
            if command == b"QUIT":
                return self.say("221 bye")
            self.say("250 mail.test" if command in (b"EHLO", b"HELO") else "250 ok")

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")


# From the epoch of NTP, 1900, to that of Unix.
NTP_TO_UNIX = 2_208_988_800


@contextlib.contextmanager
def time_server():
    """SNTP (RFC 4330) with the time of this machine; gives its UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_times, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def answer_times(server):
    while True:
        try:
            request, client = server.recvfrom(512)
        except OSError:
            return
        if len(request) < 48:
            continue
        now = struct.pack("!Q", int((time.time() + NTP_TO_UNIX) * 2**32))
        # Leap 0, version 4, mode server; stratum 2, poll 6, precision 2^-20; root delay, dispersion, reference.
        head = struct.pack("!BBbbIII", 0x24, 2, 6, -20, 0, 0, 0x7F000001)
        # Reference, the client's transmit time as origin, receive, transmit.
        server.sendto(head + now + request[40:48] + now + now, client)
