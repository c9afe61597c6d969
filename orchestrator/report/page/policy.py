"""What the page may load and run: nothing but its own style, its own scripts and the images inside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def content_security_policy(styles: Iterable[str], scripts: Iterable[str], *, live: bool = False) -> str:
    """Return the Content-Security-Policy of a page, for a `meta` element or a header.

    Styles and scripts are allowed by their hash, so that nothing else that stands in the page is applied or run: no
    `style` attribute, no handler in an attribute, no other element.

    Args:
        styles: The text inside each `style` element.
        scripts: The text inside each `script` element.
        live: Whether the page may ask the server that it came from for news.
    """
    directives = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hashes(styles),
        "script-src": _hashes(scripts),
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _hashes(texts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
