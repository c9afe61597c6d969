"""`serve`: shows the reports of sweeps in a browser while they run, from their folders alone."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.sweeps import Sweeps, open_sweep
from orchestrator.live.access import Access
from orchestrator.live.server import Server, bind, is_loopback
from orchestrator.report import packages


def plan_serve(
    name: str | None,
    output: Path,
    *,
    host: str,
    port: int,
    token: str | None = None,
    names: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _line: None,
) -> Server:
    """Check the arguments, bind the port, and return the server, which is about to start.

    Args:
        name: The only sweep to show, by its name or the path of its folder; None for all sweeps of `output`.
        output: The folder that holds the sweeps.
        host: The address or name of this machine to listen at.
        port: The port; 0 for any that is free.
        token: The token that readers must have; None for a random one, or none on loopback.
        names: Further names by which browsers reach the server, such as a proxy's.
        tell: Receives a line for each answered request.

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
    access = Access(token, (*own, *names), any_address=not is_local)
    return Server(sweeps, access, sockets, _origin(host, sockets), tell)


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
