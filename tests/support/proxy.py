"""A TCP proxy in front of a server, which can go silent or cut its connections, as a network does."""

from __future__ import annotations

import selectors
import socket
import struct
import threading

#: SO_LINGER with no time: closing the socket sends RST, and what was not sent yet is lost.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes both ways between clients and `127.0.0.1:target_port`, from a thread of its own.

    Args:
        target_port: Where the server listens, also after it was restarted.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._passing = threading.Event()
        self._passing.set()
        self._closed = False
        # Held while sockets are used, so that `reset` and `stall` take effect between two chunks.
        self._lock = threading.Lock()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Proxy:
        self._thread.start()
        return self

    def stall(self) -> None:
        """Pass nothing more, and close nothing: connections stay open and silent. New ones are not answered."""
        with self._lock:
            self._passing.clear()

    def resume(self) -> None:
        """Pass on what has gathered meanwhile, and everything after it."""
        self._passing.set()

    def reset(self) -> None:
        """Cut every connection by RST; what was on its way is lost."""
        with self._lock:
            for client in list(self._peers):
                self._drop(client)

    def close(self) -> None:
        self._closed = True
        self._passing.set()
        self._thread.join(timeout=10)
        self.reset()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._closed:
            self._passing.wait()
            ready = self._selector.select(timeout=0.05)
            with self._lock:
                if self._passing.is_set():
                    for key, _ in ready:
                        self._handle(key.fileobj)

    def _handle(self, source: object) -> None:
        assert isinstance(source, socket.socket)
        if source is self._listener:
            self._accept()
        elif source in self._peers:
            try:
                chunk = source.recv(65536)
                self._peers[source].sendall(chunk)
            except OSError:
                chunk = b""
            if not chunk:
                self._drop(source)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _drop(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        if other is not None:
            self._peers.pop(other, None)
            for end in (one, other):
                self._selector.unregister(end)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.close()
