"""`orchestrator init`: writes a specification file to begin with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from nn.errors import InvalidInputError
from nn.files import write_atomically
from orchestrator.cli.shared.output import answer, complain
from orchestrator.cli.shared.parameters import AsJson, path
from orchestrator.cli.shared.words import Fixed, TypedWords
from orchestrator.errors import OutputError
from orchestrator.sweeps.fields import specification
from orchestrator.sweeps.files import template
from worker.text import one_line

#: What FILE may be.
ALLOWED = "the path of a file that does not exist yet"


def command(
    file: Annotated[Path, typer.Argument(parser=path(ALLOWED), metavar="FILE", help="The file to write.")] = Path(
        "sweep.toml"
    ),
    trainer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Trainer, of those that are installed.  [default: network]")
    ] = None,
    fixed: Fixed = None,
    as_json: AsJson = False,
) -> int:
    """Write a specification file that lists every option of a sweep, with comments.

    The file means what orchestrator sweep with the same --trainer and --set means. An existing file is not overwritten.

    Example: orchestrator init sweep.toml --trainer sklearn --set estimator=SGDClassifier
    """
    typed = TypedWords({} if trainer is None else {"trainer": trainer}, fixed or (), ())
    vocabulary = typed.vocabulary({})
    values = typed.values(vocabulary, complain)
    with typed.spelling(vocabulary):
        made = specification(values, vocabulary)
    if os.path.lexists(file):
        raise InvalidInputError("file", str(file), ALLOWED)
    content = template(one_line(str(file)), made).encode()
    try:
        write_atomically(file, lambda written: written.write(content))
    except OSError as error:
        raise OutputError(f"The file {file} cannot be written: {error.strerror or error}") from None
    run = shlex.join(["orchestrator", "sweep", "--spec", str(file)])
    return answer(f"Wrote {file}; run it with: {run}", as_json=as_json, file=str(file))
