"""The address of a Redis server, in the one form that Celery's broker and its result backend both read."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from nn.errors import InvalidInputError

DEFAULT_BROKER = "redis://localhost:6379/0"
ALLOWED = (
    "redis://[user:password@]host[:port]/database, rediss:// for TLS, "
    "or redis+socket:///path?virtual_host=database for a unix socket"
)


def redis_url(url: str, field: str) -> str:
    """Return `url` in the form that kombu and Celery's Redis backend agree on.

    A unix socket may also be given as redis-py writes it, `unix:///path?db=1`. TLS checks the server's certificate
    unless the URL says otherwise: kombu's own default is not to check it, and the backend's is to refuse.

    Raises:
        InvalidInputError: not the URL of a Redis server; the message does not show a password.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    try:
        _ = parts.port
    except ValueError:
        raise InvalidInputError(field, hide_password(url), ALLOWED) from None
    if parts.scheme in ("redis+socket", "unix") and len(parts.path) > 1:
        query.setdefault("virtual_host", query.pop("db", "0"))
        # By hand: `urlunsplit` would leave out the two slashes where no user is named.
        return f"redis+socket://{parts.netloc}{parts.path}?{urlencode(query)}"
    if parts.scheme == "rediss" and parts.hostname:
        query.setdefault("ssl_cert_reqs", "required")
        return urlunsplit(parts._replace(query=urlencode(query)))
    if parts.scheme == "redis" and parts.hostname:
        return url
    raise InvalidInputError(field, hide_password(url), ALLOWED)


def hide_password(url: str) -> str:
    """Return `url` as it may be shown: with `**` for a password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return url.replace(parts.netloc, f"{name}{colon}{'**' if colon else ''}{at}{host}", 1) if at else url
