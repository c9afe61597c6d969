"""The URL of a Redis server, in a form that both Celery's broker and its result backend accept."""

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from nn.errors import InvalidInputError

DEFAULT_BROKER = "redis://localhost:6379/0"
ALLOWED = (
    "redis://[user:password@]host[:port]/database, rediss:// for TLS (with ?ssl_ca_certs=file as needed), "
    "or redis+socket:///path?virtual_host=database for a unix socket"
)
#: The options that the address of a TLS server may have.
_TLS_OPTIONS = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_EMBEDDED = re.compile(r"redis\+socket://(/(?:.*/)?seedsweep-[a-z0-9_]{8}/server\.sock)(?:\?virtual_host=0)?")


def redis_url(url: str, field: str) -> str:
    """Return `url` in a form that kombu and Celery's Redis backend both accept.

    The URL of a unix socket may also have the form of redis-py, `unix:///path?db=1`. TLS verifies the server's
    certificate unless the URL disables that. (By default kombu would not verify it, and the backend would not connect.)

    Raises:
        InvalidInputError: `url` is not the URL of a Redis server. The message shows no password.
    """
    try:
        parts = urlsplit(url)
        # Reading the port raises ValueError if it is invalid.
        _ = parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        return _normal(parts, query)
    except ValueError:
        raise InvalidInputError(field, hide_password(url), ALLOWED) from None


def _normal(parts: SplitResult, query: dict[str, str]) -> str:
    if parts.fragment:
        raise ValueError(parts.fragment)
    if parts.scheme in ("redis+socket", "unix") and len(parts.path) > 1:
        database = query.pop("virtual_host", query.pop("db", "0"))
        _check(database, query, frozenset())
        # `urlunsplit` would omit the two slashes if no user is named.
        return f"redis+socket://{parts.netloc}{parts.path}?{urlencode({'virtual_host': database})}"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError(parts.scheme)
    with_tls = parts.scheme == "rediss"
    _check(parts.path.removeprefix("/"), query, _TLS_OPTIONS if with_tls else frozenset())
    return urlunsplit(parts._replace(query=urlencode({"ssl_cert_reqs": "required"} | query)) if with_tls else parts)


def _check(database: str, options: dict[str, str], allowed: frozenset[str]) -> None:
    # Celery passes all options to redis-py, and fails on an unknown one only when it connects.
    certificate = options.get("ssl_cert_reqs", "required")
    if not (
        re.fullmatch(r"[0-9]{0,5}", database)
        and options.keys() <= allowed
        and certificate in ("required", "optional", "none")
    ):
        raise ValueError(database)


def embedded_socket(url: str) -> Path | None:
    """Return the socket of an embedded cluster's address; None for that of a server which may come back."""
    found = _EMBEDDED.fullmatch(url)
    return Path(found[1]) if found else None


def hide_password(url: str) -> str:
    """Return `url`, valid or not, with `**` instead of its password."""
    shown = re.sub(r"^([a-z+]*://)?([^:/@]*):.*@", r"\1\2:**@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"(password=)[^&]*", r"\1**", shown, flags=re.IGNORECASE)
