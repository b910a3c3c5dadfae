"""Fake TCP and HTTP servers on loopback, on free ports: what a story's sources fetch from."""

import contextlib
import http.server
import json
import socket
import threading


@contextlib.contextmanager
def tcp_server(handle_connection):
    """Hands each connection to `handle_connection(socket)`, on a thread; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection):
        with contextlib.suppress(OSError):
            handle_connection(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_connections:
            connection.close()


class HttpServer(http.server.ThreadingHTTPServer):
    """Answers each GET with `respond(path)`: bytes, or a value that is sent as JSON.

    `tls` is an `ssl.SSLContext`, for HTTPS. Port 0 is a free one."""

    daemon_threads = True

    def __init__(self, respond, port=0, tls=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                value = respond(self.path)
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.connections = []
        super().__init__(("127.0.0.1", port), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A client that disconnects early is the story's business, not this server's."""

    def get_request(self):
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def stop(self):
        """Stops listening and closes every connection, kept-alive ones too."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def json_server(respond, tls=None):
    """An `HttpServer` for the length of a `with`; gives its port."""
    server = HttpServer(respond, tls=tls)
    try:
        yield server.server_port
    finally:
        server.stop()
