"""HTTP server on loopback that values are pushed to: it counts requests at once, thinks as long as it is told, and can go away."""

import contextlib
import http.server
import json
import threading
import time


class PushReceiver:
    """Keeps each request as `(method, path, headers, body)` and answers with `respond`.

    `delay` is how long it thinks about each, `most_running` how many there were at once."""

    def __init__(self):
        self.received = []
        self.delay, self.running, self.most_running = 0, 0, 0
        self.lock = threading.Lock()
        self.port, self.server = 0, None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def respond(self, method, path, headers, body):
        """Status, and a text or what is sent as JSON."""
        return 200, "OK"

    def start(self):
        """Listens, on the same port as before."""
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, value = receiver.handle(self.command, self.path, self.headers, body)
                data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def handle(self, method, path, headers, body):
        with self.lock:
            self.received.append((method, path, headers, body))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        time.sleep(self.delay)
        try:
            with self.lock:
                return self.respond(method, path, headers, body)
        finally:
            with self.lock:
                self.running -= 1
