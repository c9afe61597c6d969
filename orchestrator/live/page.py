"""A page, ready to be sent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page, ready to be sent.

    Attributes:
        version: Differs if what is shown differs.
        policy: Its Content-Security-Policy.
        partial: Whether it lacks sweeps that were not read in time.
        seconds: Processor time that making it took.
        body: The HTML, compressed by gzip.
    """

    version: str
    policy: str
    partial: bool
    seconds: float
    body: bytes
