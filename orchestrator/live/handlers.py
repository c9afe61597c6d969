"""Answers requests for pages, and for the server's health. Only GET and HEAD.

A request is answered if it is to this server by one of its names, from its own pages, and with its token if it has one.
"""

import asyncio
import gzip
import hashlib
import hmac
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any
from urllib.parse import quote

from tornado.httputil import HTTPHeaders, split_host_and_port
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from nn.errors import SeedsweepError
from orchestrator.live.feed import Feeds

#: The bytes of a page that are sent at a time, and the seconds in which a client must have taken them.
PIECE_BYTES, SEND_SECONDS = 2**14, 60.0
#: A path on this server: one that begins with two slashes would lead to another server.
_PATH = re.compile(r"/[A-Za-z0-9][A-Za-z0-9._-]*")
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Access:
    """Decides about a request by its headers.

    Attributes:
        token: What a reader must know; None if everyone who reaches the server may read.
        names: Names and addresses, besides `localhost`, that the header `Host` may have, against DNS rebinding.
        any_address: Whether `Host` may be any IP address, because the server has several. Rebinding needs a name.
    """

    token: str | None
    names: Collection[str]
    any_address: bool = False

    def refusal(self, headers: HTTPHeaders) -> str | None:
        """Return why a request is refused, as one sentence; None if it is for this server and from its own pages."""
        host = headers.get("Host", "")
        if not self._is_own_name(host):
            return "This server has another name: start it with --allow-host to give it one more."
        if not _is_own_page(headers, host):
            return "This server answers its own pages only."
        return None

    def is_token(self, given: str | None) -> bool:
        """Return whether a text is the token; in constant time."""
        if self.token is None or given is None:
            return False
        return hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """The name of the cookie that keeps the token.

        Browsers send a host's cookies to all of its ports, so the names differ by server: one does not replace the
        token of another.
        """
        return f"seedsweep-{hashlib.sha256((self.token or '').encode()).hexdigest()[:8]}"

    def _is_own_name(self, host: str) -> bool:
        try:
            name = _normal(split_host_and_port(host)[0])
        except ValueError:
            return False
        return name in map(_normal, ("localhost", *self.names)) or (self.any_address and _is_address(name))


class Handler(RequestHandler):
    """The base of all handlers: headers, authorization, and errors as one sentence. It answers any other address."""

    SUPPORTED_METHODS = ("GET", "HEAD")
    #: Whether it answers without the token.
    is_public = False

    def initialize(self, access: Access, feeds: Feeds) -> None:
        """Take what the application gives each handler."""
        self._access = access
        self._feeds = feeds

    def set_default_headers(self) -> None:
        """Set the headers of every answer, also of errors."""
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> None:
        """Reject unauthorized requests."""
        refusal = self._access.refusal(self.request.headers)
        if refusal is not None:
            raise HTTPError(403, refusal)
        if self._access.token is not None and not self.is_public:
            self._demand_token()

    def _demand_token(self) -> None:
        """Move the token from the address into a cookie: addresses are copied, shown and kept in histories."""
        given = self.get_query_arguments("token")
        if not given:
            if not self._access.is_token(self.get_cookie(self._access.cookie)):
                raise HTTPError(401, "Open the address that orchestrator serve printed, with its token.")
            return
        if not self._access.is_token(given[-1]):
            raise HTTPError(401, "The token is not that of this server: it has a new one since it was started again.")
        # It lasts until the browser is closed.
        self.set_cookie(self._access.cookie, given[-1], httponly=True, samesite="Strict", path="/")
        # Not a redirect: after a link on another page, browsers send no strict cookie with it.
        path = self.request.path
        self.set_header("Refresh", f"0; url={path if _PATH.fullmatch(path) else '/'}")
        self._say("The token is kept.")

    def _say(self, sentence: str) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{sentence}\n")

    def write_error(self, status_code: int, **about: Any) -> None:
        """Answer with one sentence."""
        error = about.get("exc_info", (None, None, None))[1]
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        told = error.log_message if isinstance(error, HTTPError) else None
        self._say(told or {405: "Only GET and HEAD are answered."}.get(status_code, self._reason + "."))

    def log_exception(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log only defects: a refused request is in the log like any other."""
        if not isinstance(value, (HTTPError, SeedsweepError, StreamClosedError, TimeoutError)):
            super().log_exception(kind, value, trace)

    async def get(self) -> None:
        """Say that there is nothing."""
        raise HTTPError(404, "There is nothing at this address.")

    head = get

    async def send_now(self) -> None:
        """Send what was written; give up a reader who does not take it."""
        try:
            await asyncio.wait_for(self.flush(), SEND_SECONDS)
        except TimeoutError:
            self.request.connection.stream.close()  # type: ignore[union-attr]
            raise


class Health(Handler):
    """Whether the server answers. It tells nothing else, and so needs no token."""

    is_public = True

    async def get(self) -> None:
        """Say that the server lives."""
        self._say("alive")

    head = get


class Page(Handler):
    """The page of a sweep, or of the comparison of two; without a name, the index, or the only sweep."""

    _waiting: asyncio.Task[Any] | None = None

    async def get(self, name: str | None = None) -> None:
        """Send the page, unless the reader has this version of it."""
        first, _, second = (name or "").partition("/")
        # A sweep does not differ from itself.
        other = self._feeds.sweeps.only if name is None else first if first == second else None
        if other is not None:
            self.redirect(f"/{quote(other)}")
            return
        self._waiting = asyncio.current_task()
        try:
            page = await self._feeds.feed(name).page()
        except SeedsweepError as error:
            raise HTTPError(404, f"{str(error).rstrip('.')}.") from None
        except asyncio.CancelledError:
            return  # The reader has left.
        finally:
            self._waiting = None
        self.set_header("Etag", f'W/"{page.version}"')
        if self.check_etag_header():
            self.set_status(304)
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page.policy)
        self.set_header("Vary", "Accept-Encoding")
        # In pieces, so that many slow readers share the packed page.
        body: io.BufferedIOBase = io.BytesIO(page.body)
        size = len(page.body)
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
        else:
            body = gzip.GzipFile(fileobj=body)
            # RFC 1952, 2.3.1: the size before compression.
            size = int.from_bytes(page.body[-4:], "little")
        self.set_header("Content-Length", str(size))
        while piece := body.read(PIECE_BYTES):
            self.write(piece)
            await self.send_now()

    head = get

    def on_connection_close(self) -> None:
        """Stop waiting for a page: the reader has left."""
        super().on_connection_close()
        if self._waiting is not None:
            self._waiting.cancel()


def _is_own_page(headers: HTTPHeaders, host: str) -> bool:
    origin = headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        return False
    # A page of this server made the request, or a person typed it.
    if headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
        return True
    # Another page may link here: it cannot see what the reader then sees.
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"


def _normal(name: str) -> str:
    name = name.strip("[]").rstrip(".").lower()
    return ip_address(name).compressed if _is_address(name) else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
