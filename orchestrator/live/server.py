"""The server: its sockets, its limits, and the thread in which it runs until it is asked to stop."""

import asyncio
import contextlib
import errno
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from nn.errors import InvalidInputError
from orchestrator.folder.sweeps import Sweeps
from orchestrator.live.feed import Feeds
from orchestrator.live.handlers import Access, Handler, Health, Page
from worker.text import one_line

#: The most connections at a time: several for each reader.
MOST_CONNECTIONS = 256
#: The most bytes of a request's headers, and of a body: no request needs one.
MAX_HEADER_BYTES = 16 * 2**10
MAX_BODY_BYTES = 2**10
#: Seconds that a client may take to send a request's headers, including the first one's, and a body.
REQUEST_SECONDS = 30.0
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


class Server:
    """A server whose port is bound already, and which runs in a thread of its own.

    Args:
        sweeps: What it shows.
        host: The address or name of this machine to listen at.
        port: The port; 0 for any that is free.
        token: The token that readers must have; None for a random one, or none on loopback.
        names: Further names by which browsers reach the server, such as a proxy's.
        tell: Receives a line for each answered request, without its query, which may contain the token.

    Raises:
        InvalidInputError: the host is not this machine, or the port is taken or needs privileges.
    """

    def __init__(
        self,
        sweeps: Sweeps,
        *,
        host: str,
        port: int,
        token: str | None = None,
        names: Sequence[str] = (),
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.sweeps = sweeps
        self.sockets = _bound(host, port)
        addresses = [ip_address(each.getsockname()[0].partition("%")[0]) for each in self.sockets]
        is_local = all(each.is_loopback for each in addresses)
        own = (host, "127.0.0.1", "::1") if is_local else (host, socket.gethostname())
        # Unguessable: 32 random bytes.
        token = secrets.token_urlsafe(32) if token is None and not is_local else token
        self.access = Access(token, (*own, *names), any_address=not is_local)
        # A server that listens everywhere is reached by this machine's name.
        shown = socket.gethostname() if addresses[0].is_unspecified else host
        self._origin = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.sockets[0].getsockname()[1]}"
        self._tell = tell
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="pages", daemon=True)

    @property
    def address(self) -> str:
        """The address of the index, or of the only sweep, with the token if one is needed."""
        token = "" if self.access.token is None else f"?{urlencode({'token': self.access.token})}"
        return f"{self.bare_address}{token}"

    @property
    def bare_address(self) -> str:
        """The address without the token."""
        return f"{self._origin}/{self.sweeps.only or ''}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve while the block runs; at its end, close every connection at once."""
        self._thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def wait(self) -> None:
        """Wait until the server ends; it never ends by itself."""
        while self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        feeds = Feeds(self.sweeps)
        given = {"access": self.access, "feeds": feeds}
        application = Application(
            [
                (r"/", Page, given),
                (r"/-/health", Health, given),
                (rf"/-/compare/({_NAME}/{_NAME})", Page, given),
                (rf"/({_NAME})", Page, given),
            ],
            default_handler_class=Handler,
            default_handler_args=given,
            log_function=self._log,
        )
        server = _Bounded(
            application,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=MAX_BODY_BYTES,
            idle_connection_timeout=REQUEST_SECONDS,
            body_timeout=REQUEST_SECONDS,
        )
        server.add_sockets(self.sockets)
        try:
            await self._stop.wait()
        finally:
            server.stop()
            await server.close_all_connections()
            await feeds.stop()

    def _log(self, handler: RequestHandler) -> None:
        if handler.get_status() == 304:
            return  # A page asks every second whether it has changed.
        request = handler.request
        milliseconds = 1000 * request.request_time()
        path = one_line(request.path)[:200]
        self._tell(f"{request.remote_ip} {request.method} {path} {handler.get_status()} {milliseconds:.0f} ms")


def _bound(host: str, port: int) -> list[socket.socket]:
    try:
        return bind_sockets(port, host)
    except (OSError, UnicodeError) as error:
        # Those of a name that is not found have numbers of their own.
        number = None if isinstance(error, (socket.gaierror, UnicodeError)) else error.errno
        if number == errno.EADDRINUSE:
            allowed = "a port that no other program uses, or 0 for any free one"
            raise InvalidInputError("--port", port, allowed) from None
        if number in (errno.EACCES, errno.EPERM):
            raise InvalidInputError("--port", port, "a port that this user may open, such as one above 1023") from None
        allowed = "an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
        raise InvalidInputError("--host", host, allowed) from None


class _Bounded(HTTPServer):
    """Closes excess connections at once, and forgets the waiting requests of closed ones."""

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        # Tornado would answer all that it has read of a client before it left.
        if request_conn.stream.closed():
            request_conn.stream.read_until_close()
        return super().start_request(server_conn, request_conn)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._connections) < MOST_CONNECTIONS:
            super().handle_stream(stream, address)
        else:
            stream.close()
