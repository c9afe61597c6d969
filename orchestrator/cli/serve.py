"""`orchestrator serve`: shows the reports of sweeps in a browser until it is asked to stop."""

import contextlib
import re
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from nn.errors import Described, InvalidInputError
from nn.files import read_regular
from orchestrator.cli.shared.output import answer, complain
from orchestrator.cli.shared.parameters import DEFAULT_OUTPUT, Open, Output, integer
from orchestrator.errors import MissingPackageError, SweepNotFoundError
from orchestrator.folder.sweeps import Sweeps, open_sweep
from orchestrator.interruption import Interrupted, Interruption
from orchestrator.live.server import Server

#: A valid token; the same rule as for the passwords of docker-compose.yml.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def command(
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="The only sweep to show, by its name or its folder.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address to listen at; 0.0.0.0 for all that this machine has.")
    ] = "127.0.0.1",
    port: Annotated[int, integer(0, 65535, "The port to listen at; 0 for any that is free.")] = 5556,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Ask for the token in this file.  [default: none on loopback, and else a random one, printed once]",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME", help="Another name of this server, such as a proxy's; may be repeated."
        ),
    ] = None,
    opens: Open = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as one JSON object at the start.")] = False,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Show the reports of sweeps in a browser, and keep them fresh while the sweeps run.

    Without SWEEP: all sweeps of the folder, with their state and verdict. Reads the folders, needs no Redis, and
    changes nothing. Ends at Ctrl-C. Needs the extra report.

    Example: orchestrator serve --open
    """
    for each in names or ():
        if not _NAME.fullmatch(each):
            raise InvalidInputError("names", each, "the name of a host, such as sweeps.example.org")
    if not host or "\0" in host:
        raise InvalidInputError("host", host, "an address of this machine, such as 127.0.0.1")
    with contextlib.suppress(Interrupted), Interruption().handling():
        token = None if token_file is None else _token(token_file)
        MissingPackageError.check("The live page")
        shown = _sweeps(sweep, output)
        server = Server(shown, host=host, port=port, token=token, names=names or (), tell=complain)
        with server.running():
            # A token from a file is not printed: the output may end in a log.
            address = server.address if token_file is None else server.bare_address
            more = "" if token_file is None else f", with ?token= and the token in {token_file}"
            folder = str(shown.output)
            told = f"Serving {shown.only or folder} at {address}{more} (Ctrl-C ends it)"
            answer(told, as_json=as_json, address=address, folder=folder, sweep=shown.only)
            if opens:
                _open(server)
            server.wait()
    return 0


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


def _token(file: str) -> str:
    try:
        text = read_regular(Path(file), 1000).decode(errors="replace").strip()
    except OSError as error:
        allowed = "the path of a file with the token"
        raise InvalidInputError("token_file", Described(f"{file!r} ({error.strerror})"), allowed) from None
    if not _TOKEN.fullmatch(text):
        allowed = "a file with at least 16 letters, digits, - and _, and nothing else"
        raise InvalidInputError("token_file", Described(f"{file!r} with something else"), allowed)
    return text


def _open(server: Server) -> None:
    if server.access.token is not None:
        complain(
            "--open opens no page that wants a token: every user of this machine can read the arguments of a browser. "
            "Open the address yourself"
        )
    elif not webbrowser.open(server.bare_address):
        complain(f"There is no browser to open; the address is {server.bare_address}")
