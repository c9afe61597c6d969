"""`orchestrator serve`: reads its arguments, says where the pages are, and serves until it is asked to stop."""

from __future__ import annotations

import contextlib
import json
import re
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nn.errors import Described, InvalidInputError
from nn.files import read_regular
from orchestrator.cli.output import complain
from orchestrator.cli.words.arguments import output_folder
from orchestrator.commands.publishing.serve import ServePlan, check_port, plan_serve, serving
from orchestrator.interruption import Interrupted, Interruption
from worker.text import printable

#: What a token may be, as the passwords of docker-compose.yml.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Options:
    """The options of `orchestrator serve`, as they were typed."""

    host: str
    port: str
    token_file: str | None
    names: Sequence[str]
    opens: bool
    json: bool
    output: str


def run_serve(name: str | None, options: Options) -> int:
    """Serve until a signal comes, and return 0.

    Raises:
        SeedsweepError: bad input; nothing was begun.
    """
    interruption = Interruption()
    with contextlib.suppress(Interrupted), interruption.handling():
        plan = _plan(name, options)
        with serving(plan, lambda line: complain(line)) as server:
            _say(plan, options)
            if options.opens:
                _open(plan)
            server.wait()
    return 0


def _plan(name: str | None, options: Options) -> ServePlan:
    for each in options.names:
        if not _NAME.fullmatch(each):
            raise InvalidInputError("--allow-host", each, "the name of a host, such as sweeps.example.org")
    if not options.host or "\0" in options.host:
        raise InvalidInputError("--host", options.host, "an address of this machine, such as 127.0.0.1")
    return plan_serve(
        name,
        output_folder(options.output),
        host=options.host,
        port=check_port(options.port),
        token=None if options.token_file is None else _token(options.token_file),
        names=options.names,
    )


def _token(file: str) -> str:
    try:
        text = read_regular(Path(file), 1000).decode(errors="replace").strip()
    except OSError as error:
        allowed = "the path of a file with the token"
        raise InvalidInputError("--token-file", Described(f"{file!r} ({error.strerror})"), allowed) from None
    if not _TOKEN.fullmatch(text):
        allowed = "a file with at least 16 letters, digits, - and _, and nothing else"
        raise InvalidInputError("--token-file", Described(f"{file!r} with something else"), allowed)
    return text


def _say(plan: ServePlan, options: Options) -> None:
    # A token that came from a file stays there: what is printed may end in a log.
    address = plan.address if options.token_file is None else plan.bare_address
    if options.json:
        only = plan.sweeps.only
        print(json.dumps({"address": address, "folder": str(plan.sweeps.output), "sweep": only}), flush=True)
        return
    where = plan.sweeps.only or str(plan.sweeps.output)
    more = "" if options.token_file is None else f", with ?token= and the token in {options.token_file}"
    print(printable(f"Serving {where} at {address}{more} (Ctrl-C ends it)"), flush=True)


def _open(plan: ServePlan) -> None:
    if plan.access.token is not None:
        complain(
            "--open opens no page that wants a token: every user of this machine can read the arguments of a browser. "
            "Open the address yourself"
        )
    elif not webbrowser.open(plan.bare_address):
        complain(f"There is no browser to open; the address is {plan.bare_address}")
