"""Authorizes requests: to this server by one of its names, from its own pages, and with its token if it has one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

from tornado.httputil import HTTPHeaders, split_host_and_port

#: `Sec-Fetch-Site` of a request that a page of this server made, or that a person typed.
_OWN = ("same-origin", "none")


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


def _is_own_page(headers: HTTPHeaders, host: str) -> bool:
    origin = headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != host.lower():
        return False
    if headers.get("Sec-Fetch-Site", "none") in _OWN:
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
