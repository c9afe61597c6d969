"""The flags that describe a sweep, derived from the words of a specification."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from orchestrator.sweeps.fields import Word


def _typed(values: Sequence[Any]) -> Any:
    """Return what was typed after a flag: a tuple if the flag was repeated."""
    return values[0] if len(values) == 1 else tuple(values)


class SpecificationCommand(TyperCommand):
    """A command with a flag for each word of a specification; the values are in the context's `obj`, by word.

    The flags are made when the command runs: the models that they are derived from take longer to import than
    `orchestrator --help` takes.
    """

    def words(self, known: Mapping[str, Word]) -> Mapping[str, Word]:
        """Return the words that have a flag, with its help."""
        return known

    @cached_property
    def _flags(self) -> list[Any]:
        from orchestrator.sweeps.fields import flag, vocabulary

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

        parameters = [parameter(*each) for each in self.words(known.words).items()]
        words.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
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


class ExtensionCommand(SpecificationCommand):
    """A command with a flag for seeds and for each training option, of which a sweep gets further values."""

    def words(self, known: Mapping[str, Word]) -> Mapping[str, Word]:
        """Leave out what a sweep has once and for all, and defaults: without a flag, a sweep keeps what it has."""
        return {
            name: replace(word, help=re.sub(r" *\[default: .*\]$", "", word.help))
            for name, word in known.items()
            if name == "seeds" or word.option is not None
        }
