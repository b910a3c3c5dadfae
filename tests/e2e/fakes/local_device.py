"""A device of a local network: HTTP that echoes the request's Host and the peer, and SMTP that takes mail.

    local_device.py HTTP_PORT SMTP_PORT

On every address. Bodies of POST requests go to standard output.
"""

import http.server
import json
import socket
import socketserver
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({"watts": 7.5, "host": self.headers["Host"], "peer": self.client_address[0]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(f"POST {self.path} {self.headers['Host']} {body}", flush=True)
        self.reply({})

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class HttpServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


class SmtpHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 device\r\n")
        for line in self.rfile:
            is_quit = line.upper().startswith(b"QUIT")
            self.wfile.write(b"221 bye\r\n" if is_quit else b"250 ok\r\n")
            if is_quit:
                return


class SmtpServer(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True


if __name__ == "__main__":
    mail = SmtpServer(("::", int(sys.argv[2])), SmtpHandler)
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    HttpServer(("::", int(sys.argv[1])), Handler).serve_forever()
