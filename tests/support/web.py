"""Asks servers on this machine for pages, exactly as a test words it."""

import base64
import contextlib
import http.client
from dataclasses import dataclass

from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path, exactly as it is written. `Sec_Fetch_Site` is the header `Sec-Fetch-Site`."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of a user with a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
