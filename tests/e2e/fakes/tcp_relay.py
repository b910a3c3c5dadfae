"""A TCP relay on loopback between a client and a server, which can be cut, paused and refused.

    with TcpRelay(broker.port) as relay:     # clients connect to relay.port
        relay.cut_after(to_server=100)       # in the middle of a packet
"""

import contextlib
import socket
import struct
import threading

CHUNK = 65536


class TcpRelay:
    """Forwards connections of `port` to `target_port`. Everything may be called from any thread."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.lock = threading.Lock()
        self.flows = threading.Event()
        self.flows.set()
        self.pairs, self.half_closed = [], set()
        self.accepted, self.bytes_to_server, self.bytes_to_client = 0, 0, 0
        self.refuses, self.budgets = False, {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def cut(self):
        """Ends all connections by a reset (RST), as a router does that has lost them; new ones are accepted."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
            self.half_closed.clear()
        for pair in pairs:
            for connection in pair:
                reset(connection)

    def pause(self):
        """Connections stay, and nothing is forwarded in either direction: a cable pulled out."""
        self.flows.clear()

    def resume(self):
        self.flows.set()

    def refuse(self, refuses=True):
        """Whether new connections are reset at once; those that there are stay."""
        self.refuses = refuses

    def cut_after(self, to_server=None, to_client=None):
        """Cuts all connections once as many more bytes were forwarded, so also within a packet. Once only."""
        with self.lock:
            self.budgets = {name: count for name, count in (("to_server", to_server), ("to_client", to_client)) if count is not None}

    def connections(self):
        """How many are open."""
        with self.lock:
            return len(self.pairs)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.refuses:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5)
            except OSError:
                reset(client)
                continue
            server.settimeout(None)
            pair = (client, server)
            for connection in pair:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.append(pair)
            for source, sink, direction in ((client, server, "to_server"), (server, client, "to_client")):
                threading.Thread(target=self.forward, args=(pair, source, sink, direction), daemon=True).start()

    def forward(self, pair, source, sink, direction):
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                self.flows.wait()
                allowed, cuts = self.allowance(direction, len(chunk))
                sink.sendall(chunk[:allowed])
                if cuts:
                    self.cut()
                    return
            self.flows.wait()
            self.half_close(pair, sink)
            return
        self.end(pair)

    def allowance(self, direction, size):
        """(bytes that may go, whether the connections are cut then)"""
        with self.lock:
            left = self.budgets.get(direction)
            allowed = size if left is None else min(left, size)
            cuts = left is not None and left <= size
            if cuts:
                self.budgets = {}
            elif left is not None:
                self.budgets[direction] = left - allowed
            setattr(self, f"bytes_{direction}", getattr(self, f"bytes_{direction}") + allowed)
        return allowed, cuts

    def half_close(self, pair, sink):
        """One side has said all it has to say; the other may go on."""
        with self.lock:
            # Cut: the end was ours, and a FIN must not come before the reset.
            if pair not in self.pairs:
                return
            is_last = bool(self.half_closed.intersection(pair))
            self.half_closed.add(sink)
        sink.shutdown(socket.SHUT_WR)
        if is_last:
            self.end(pair)

    def end(self, pair):
        with self.lock:
            if pair in self.pairs:
                self.pairs.remove(pair)
            self.half_closed.difference_update(pair)
        for connection in pair:
            # Wakes the thread that reads from it, without which it stays open.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.resume()
        self.cut()


def reset(connection):
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the thread that reads from it.
        connection.shutdown(socket.SHUT_RD)
    connection.close()
