"""The flags that describe a sweep, derived from the words of a specification."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


def _typed(values: Sequence[Any]) -> Any:
    """Return what was typed after a flag: a tuple if the flag was repeated."""
    return values[0] if len(values) == 1 else tuple(values)


class SpecificationCommand(TyperCommand):
    """A command with a flag for each word of a specification; the values are in the context's `obj`, by word.

    The flags are made when the command runs: the models that they are derived from take longer to import than
    `orchestrator --help` takes.
    """

    @cached_property
    def _flags(self) -> list[Any]:
        from orchestrator.sweeps.fields import Word, flag, vocabulary

        known = vocabulary()

        def parameter(name: str, word: Word) -> inspect.Parameter:
            flags = [flag(each) for each in reversed(known.spellings(name))]
            if word.is_switch:
                flags = [f"{each}/--no-{each[2:]}" for each in flags]
            option = typer.Option(*flags, help=word.help, metavar="" if word.is_switch else "<str>")
            annotation = Annotated[list[bool] | None, option] if word.is_switch else Annotated[list[str] | None, option]
            return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

        def words(**_: object) -> None:
            """Take the words, and do nothing: only typer's parameters are wanted."""

        words.__signature__ = inspect.Signature([parameter(*each) for each in known.words.items()])  # type: ignore[attr-defined]
        app = typer.Typer(add_completion=False)
        app.command()(words)
        return list(typer.main.get_command(app).params)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, those of the specification first."""
        return [*self._flags, *super().get_params(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the flags that the user left out are not in `obj`."""
        words = {each.name: ctx.params.pop(each.name) for each in self._flags}
        ctx.obj = {word: _typed(values) for word, values in words.items() if values}
        return super().invoke(ctx)
