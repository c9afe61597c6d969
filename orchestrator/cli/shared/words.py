"""Reads the words of a specification from the command line: from their own flags, or from `--set` and `--grid`."""

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar

import typer

from nn.errors import Beside, Described, InvalidInputError, meant
from orchestrator.cli.shared.parameters import Command, made_of, offer
from orchestrator.sweeps import fields
from orchestrator.sweeps.fields import Vocabulary, Word
from worker.trainers.registry import DEFAULT

Spec = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="A TOML file with the options above, or a sweep's sweep.json. Flags override it."
    ),
]


def _several(flag: str, metavar: str, text: str) -> Any:
    return Annotated[list[str] | None, typer.Option(flag, metavar=metavar, help=text)]


_ANY = "an option of any trainer"
Fixed = _several("--set", "NAME=VALUE", f"Fix {_ANY}; may be repeated.")
Varied = _several(
    "--grid", "NAME=VALUES", f"Vary {_ANY}; may be repeated. NAME=VALUES@OTHER=VALUE: only beside that value."
)
Zipped = _several(
    "--zip",
    "NAME=VALUES NAME=VALUES ...",
    "Vary options whose values go together: the first with the first, and so on; may be repeated.",
)
Added = _several("--grid", "NAME=VALUES", f"Further values of {_ANY}.")
#: Values that an option has only beside a value of another one: `0,0.9@optimizer=sgd`.
_CONDITION = re.compile(r'(.+)@([A-Za-z][\w-]*=[^@"]+)', re.ASCII)


class SpecificationCommand(Command):
    """A command with a flag for each word of a specification, and further ones for any word.

    What was typed after them is the context's `obj`, as `TypedWords`.
    """

    #: The further flags, by the arguments of `TypedWords`.
    further: ClassVar[Mapping[str, Any]] = {"spec": Spec, "fixed": Fixed, "varied": Varied, "zipped": Zipped}

    def words(self, known: Mapping[str, Word]) -> Mapping[str, Word]:
        """Return the words that have a flag, with its help."""
        return {name: word for name, word in known.items() if word.help}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Turn words into values; all that follow `--zip`, up to the next flag, are its value."""
        found: list[str] = []
        for each in args:
            if found[-2:-1] == ["--zip"] and not each.startswith("-"):
                found[-1] += f"\0{each}"
            else:
                found.append(each)
        return super().parse_args(ctx, found)

    @cached_property
    def _flags(self) -> list[Any]:
        known = fields.vocabulary()

        def annotation(name: str, word: Word) -> Any:
            flags = [fields.flag(each) for each in reversed(known.spellings(name))]
            if word.is_switch:
                flags = [f"{each}/--no-{each[2:]}" for each in flags]
            metavar = "" if word.is_switch else word.metavar
            offered = offer(word.metavar if "|" in word.metavar else word.allowed)
            option = typer.Option(*flags, help=word.help, metavar=metavar, autocompletion=offered)
            return Annotated[list[bool] | None, option] if word.is_switch else Annotated[list[str] | None, option]

        flags = {**{name: annotation(name, word) for name, word in self.words(known.words).items()}, **self.further}
        of = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY, default=None)
        return made_of([of(name, annotation=each) for name, each in flags.items()])

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, those of the specification first."""
        return [*self._flags, *super().get_params(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        given = {each.name: ctx.params.pop(each.name) for each in self._flags}
        further = {name: given.pop(name) for name in self.further}
        ctx.obj = TypedWords({word: values for word, values in given.items() if values}, **further)
        return super().invoke(ctx)


class ExtensionCommand(SpecificationCommand):
    """A command whose flags add values to a sweep: seeds, and values of each training option."""

    further: ClassVar[Mapping[str, Any]] = {"varied": Added}

    def words(self, known: Mapping[str, Word]) -> Mapping[str, Word]:
        """Keep seeds and training options, without their defaults: without a flag, a sweep keeps what it has."""
        return {
            name: replace(word, help=re.sub(r" *\[default: .*\]$", "", word.help))
            for name, word in known.items()
            if name == "seeds" or word.option is not None
        }


class TypedWords:
    """The words of a specification that the user typed, and how each was spelled.

    Args:
        flags: What was typed after the words' own flags, by word of the default trainer.
        fixed: What was typed after each `--set`.
        varied: What was typed after each `--grid`.
        zipped: What was typed after each `--zip`: several `NAME=VALUES`.
        spec: The path of a specification file.

    Attributes:
        given: What was typed, by word; a tuple if it was repeated.

    Raises:
        InvalidInputError: a word after `--set` or `--grid` is not `NAME=VALUE`.
    """

    def __init__(
        self,
        flags: Mapping[str, Sequence[object]],
        fixed: Sequence[str] | None = None,
        varied: Sequence[str] | None = None,
        zipped: Sequence[str] | None = None,
        spec: str | None = None,
    ) -> None:
        self.spec = spec
        self.given: dict[str, object] = {
            word: values[0] if len(values) == 1 else tuple(values) for word, values in flags.items()
        }
        self._spellings = {word: fields.flag(word) for word in flags}
        self._file: dict[str, object] = {}
        groups = [each.split("\0") if "\0" in each else each.split() for each in zipped or ()]
        for option, pairs in (("--set", fixed), ("--grid", varied), *(("--zip", group) for group in groups)):
            for pair in pairs or ():
                self._add(option, pair)
        if groups:
            self._spellings["zipped"] = "--zip"
            self.given["zipped"] = tuple(",".join(map(self._name, group)) for group in groups)
        self._fixed = {self._name(pair) for pair in fixed or ()}

    def _add(self, option: str, pair: str) -> None:
        name, equals, value = pair.partition("=")
        if not (equals and name.strip() and value):
            example = "NAME=VALUE" if option == "--set" else "NAME=VALUE,VALUE,... or NAME=RANGE"
            raise InvalidInputError(option, pair, example)
        name = self._name(pair)
        if option == "--grid" and (match := _CONDITION.fullmatch(value)):
            value, self._spellings["beside"] = match[1], f"{option} {name}"
            self.given["beside"] = (*self.given.get("beside", ()), f"{name}@{match[2]}")  # type: ignore[misc]
        before = self.given.get(name)
        spelled = f"{option} {name}"
        if before is not None and self._spellings[name] != spelled:
            raise InvalidInputError(spelled, Described("given"), Beside(self._spellings[name]))
        self._spellings[name] = spelled
        self.given[name] = value if before is None else (*(before if isinstance(before, tuple) else (before,)), value)

    @staticmethod
    def _name(pair: str) -> str:
        return pair.partition("=")[0].strip().replace("-", "_")

    def vocabulary(self, file: Mapping[str, object]) -> Vocabulary:
        """Return the words of the trainer that was chosen.

        Args:
            file: The words of a specification file.

        Raises:
            InvalidInputError: there is no such trainer, or a word on which others depend is invalid.
        """
        self._file = dict(file)
        trainer = self.given.get("trainer", file.get("trainer", DEFAULT))
        if isinstance(trainer, (tuple, list)):
            trainer = trainer[0] if len(set(map(str, trainer))) == 1 else ""
        if not isinstance(trainer, str) or not trainer:
            raise InvalidInputError("--trainer", Described("given twice"), "one trainer")
        made = fields.vocabulary(str(trainer), {**file, **self.given})
        # A flag of the default trainer sets another trainer's option of the same name.
        known = fields.vocabulary()
        for word in list(self.given):
            option = known.words[word].option if word in known.words else None
            if word not in made.spelled and option in made.spelled and option not in self.given:
                self.given[option] = self.given.pop(word)
                self._spellings[option] = self._spellings.pop(word)
        return made

    def values(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """Return the values, as `Vocabulary.parse` does. Arguments and errors: see there."""
        given = {*self.given, *self._file}
        for name in (name for name in self.given if name not in vocabulary.spelled):
            # A missing option is reported before the unknown one, which may depend on it.
            for word, field in vocabulary.words.items():
                if field.is_required and not given & set(vocabulary.spellings(word)):
                    raise InvalidInputError(f"--set {word}", Described("missing"), field.allowed)
            options = ", ".join(word for word, field in vocabulary.words.items() if field.option)
            allowed = f"an option of the trainer {vocabulary.trainer}: {options}{meant(name, vocabulary.spelled, 0.7)}"
            raise InvalidInputError(self._spellings[name], Described("unknown"), allowed)
        values = vocabulary.parse(self.given, lambda name: self._spellings.get(name, name))
        for name in self._fixed:
            word = vocabulary.spelled[name]
            if isinstance(values[word], tuple) and len(values[word]) > 1:
                shown = Described(vocabulary.written(word, values[word]))
                raise InvalidInputError(f"--set {name}", shown, f"one value (an option varies by --grid {name}=...)")
        return values

    def spelled(self, word: str, vocabulary: Vocabulary) -> str:
        """Return a word as it was typed, or as it stands in the specification file."""
        typed = next((each for each in vocabulary.spellings(word) if each in self.given), None)
        if typed is not None:
            return self._spellings[typed]
        if self.spec is not None:
            return f"{word} in {self.spec}"
        # Only the options of the default trainer have flags of their own.
        return fields.flag(word) if word in fields.vocabulary().words else f"--set {word}"

    @contextlib.contextmanager
    def spelling(self, vocabulary: Vocabulary) -> Iterator[None]:
        """Let the errors of a block spell words as the user did."""
        try:
            yield
        except InvalidInputError as error:
            if error.field not in vocabulary.spelled:
                raise
            field = self.spelled(vocabulary.spelled[error.field], vocabulary)
            raise InvalidInputError(field, error.value, error.allowed) from None
