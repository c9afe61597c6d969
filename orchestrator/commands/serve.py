"""`serve`: shows the reports of sweeps in a browser while they run, from their folders alone."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlencode

from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.sweeps import Sweeps, open_sweep
from orchestrator.live.access import Access
from orchestrator.live.server import bind, is_loopback
from orchestrator.report import packages


@dataclass(frozen=True)
class ServePlan:
    """A server that is about to start; its port is bound already.

    Attributes:
        sweeps: What it shows.
        access: Which requests it answers.
        sockets: Where it listens.
        origin: Where a browser finds it: `http://127.0.0.1:5556`.
    """

    sweeps: Sweeps
    access: Access
    sockets: Sequence[socket.socket]
    origin: str

    @property
    def address(self) -> str:
        """The address of the index, or of the only sweep, with the token if one is needed."""
        token = "" if self.access.token is None else f"?{urlencode({'token': self.access.token})}"
        return f"{self.bare_address}{token}"

    @property
    def bare_address(self) -> str:
        """The address without the token."""
        return f"{self.origin}/{self.sweeps.only or ''}"


def plan_serve(
    name: str | None,
    output: Path,
    *,
    host: str,
    port: int,
    token: str | None = None,
    names: Sequence[str] = (),
) -> ServePlan:
    """Check the arguments, bind the port, and return the plan.

    Args:
        name: The only sweep to show, by its name or the path of its folder; None for all sweeps of `output`.
        output: The folder that holds the sweeps.
        host: The address or name of this machine to listen at.
        port: The port; 0 for any that is free.
        token: The token that readers must have; None for a random one, or none on loopback.
        names: Further names by which browsers reach the server, such as a proxy's.

    Raises:
        MissingPackageError: the packages that pages need are not installed.
        SweepNotFoundError: there is no such sweep, or no such folder.
        SweepUnreadableError: this user cannot read the folder.
        InvalidInputError: the host is not of this machine, or the port cannot be bound.
    """
    packages.require("The live page")
    sweeps = _sweeps(name, output)
    sockets = bind(host, port)
    is_local = is_loopback(sockets)
    own = (host, "127.0.0.1", "::1") if is_local else (host, socket.gethostname())
    # Unguessable: 32 random bytes.
    token = secrets.token_urlsafe(32) if token is None and not is_local else token
    access = Access.to([*own, *names], token=token, any_address=not is_local)
    return ServePlan(sweeps, access, sockets, _origin(host, sockets))


def _sweeps(name: str | None, output: Path) -> Sweeps:
    if name is not None:
        folder = open_sweep(name, output)
        sweeps = Sweeps(folder.path.parent, folder.name)
        sweeps.folder(folder.name)
        return sweeps
    if not output.is_dir():
        raise SweepNotFoundError(f"There is no folder {output}: --output names the folder that holds the sweeps")
    sweeps = Sweeps(output)
    sweeps.names()
    return sweeps


def _origin(host: str, sockets: Sequence[socket.socket]) -> str:
    """Return the address for a browser. A server that listens everywhere is reached by this machine's name."""
    if ip_address(sockets[0].getsockname()[0].partition("%")[0]).is_unspecified:
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{sockets[0].getsockname()[1]}"
