"""A page, ready to be sent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page, ready to be sent.

    Attributes:
        version: Differs if what is shown differs.
        policy: Its Content-Security-Policy.
        over: Whether it will not change any more, unless the sweep is extended.
        partial: Whether it lacks sweeps that were not read in time.
        seconds: Processor time that making it took.
        body: The HTML, compressed by gzip.
    """

    version: str
    policy: str
    over: bool
    partial: bool
    seconds: float
    body: bytes
