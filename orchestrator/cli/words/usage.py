"""Error messages about the words themselves: an unknown option, a list that the shell took apart.

Imports nothing that takes time, so that `--help` stays fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import typer


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return typer's error as one sentence that says how to correct the command line.

    Args:
        error: What typer raised.
        arguments: The words after `orchestrator`.
    """
    message = error.format_message()
    unknown = getattr(error, "option_name", None)
    context = getattr(error, "ctx", None)
    # Only an unknown option comes with a list of near ones; typer's own list has `--help` for `--lr`.
    if unknown is not None and context is not None and hasattr(error, "possibilities"):
        # By each spelling, the one that messages use.
        known = {
            name: parameter.opts[-1]
            for parameter in context.command.get_params(context)
            for name in parameter.opts
            if name.startswith("--")
        }
        near = dict.fromkeys(known[name] for name in near_options(unknown, list(known)))
        return f"No such option: {unknown}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    whole = split_list(arguments)
    if whole is not None and "extra argument" in message:
        return f"Spaces split a list into several arguments: write {whole} or '{whole.replace(',', ', ')}'"
    return message


def near_options(unknown: str, known: Sequence[str]) -> list[str]:
    """Return the options that `unknown` may stand for: a typing error, a beginning, or the words' first letters."""
    word = unknown.lstrip("-")
    names = {option.lstrip("-"): option for option in known}
    near = get_close_matches(word, names, cutoff=0.7)
    meant = [name for name in names if name.startswith(word) or word == "".join(part[0] for part in name.split("-"))]
    return [names[name] for name in dict.fromkeys([*near, *meant])]


def split_list(arguments: Sequence[str]) -> str | None:
    """Return the first list that spaces after its commas split into several arguments, put together again."""
    found: list[str] = []
    for argument in arguments:
        if found and (found[-1].endswith(",") or argument.startswith(",")):
            found.append(argument)
        elif len(found) > 1:
            break
        else:
            found = [argument]
    return "".join(found) if len(found) > 1 else None
