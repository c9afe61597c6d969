"""The words of a sweep's specification: `seeds`, `data`, one for each training option, and those of a sampler.

They are read from flags or a file (`orchestrator.sweeps.files`) into checked values, and `specification` makes a
specification from these.
"""

import functools
import itertools
import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from nn.errors import Beside, Described, InvalidInputError, meant
from nn.options.describe import Reader, allowed, help_text, metavar, option, quoted, word
from nn.options.describe import written as written_option
from nn.options.network import MAX_SEED
from orchestrator.sweeps.axes import RefusedError, axis, split
from orchestrator.sweeps.samplers import Sampling, draw
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.trainers import registry
from worker.trainers.registry import DEFAULT, AnyTrainer, names

_SEEDS = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)


@dataclass(frozen=True)
class Word:
    """A word of a specification.

    Attributes:
        read: Returns the checked values of a text or a TOML value, with repetitions, or raises an exception.
        allowed: The allowed values, as the end of a sentence.
        help: The help of the word's flag.
        option: The training option that the word fixes or varies; None for the others.
        is_single: Whether the word has one value, instead of a tuple of them.
        is_switch: Whether the flag is a pair `--word/--no-word`.
        is_required: Whether the word has no default.
        metavar: Stands for the values in the usage of the flag.
    """

    read: Callable[[object], Sequence[Any]]
    allowed: str
    help: str
    option: str | None = None
    is_single: bool = False
    is_switch: bool = False
    is_required: bool = False
    metavar: str = "VALUE"


def words_of(model: type[BaseModel]) -> dict[str, Word]:
    """Return the words for the options of a model."""
    return {
        word(model, name): Word(
            axis(model, name),
            axis(model, name).allowed,
            help_text(model, name),
            name,
            is_switch=info.annotation is bool,
            is_required=info.is_required() and not option(info).values,
            metavar=metavar(model, name),
        )
        for name, info in model.model_fields.items()
    }


def _one(read: Callable[[Any], Any], thing: str, value: object) -> list[Any]:
    """Read the value of a word that has one, however often it is given."""
    found = [read(each) for each in (value if isinstance(value, (list, tuple)) else (value,))]
    if len(set(found)) != 1:
        raise RefusedError(f"one {thing}")
    return found


def _seeds(value: object) -> list[int]:
    seeds: list[int] = []
    for part in split(value):
        match = _SEEDS.fullmatch(str(part))
        if match is None:
            raise ValueError
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= MAX_SEED:
            raise ValueError
        if len(seeds) + last - first >= MAX_JOBS:
            raise RefusedError(f"at most {MAX_JOBS:,} seeds")
        seeds += range(first, last + 1)
    if not seeds:
        raise ValueError
    return seeds


def _installed(name: object) -> str:
    if name not in names():
        raise ValueError
    return str(name)


def seeds_as_text(seeds: Iterable[int]) -> str:
    """Return seeds as one types them: `0-4,7`."""
    # In a range, each seed is as far from its position as the one before.
    runs = [list(run) for _, run in itertools.groupby(enumerate(seeds), lambda each: each[1] - each[0])]
    return ",".join("-".join(str(seed) for _, seed in dict.fromkeys((run[0], run[-1]))) for run in runs)


def flag(word: str) -> str:
    """Return the command line's spelling of a word."""
    return "--" + word.replace("_", "-")


#: What reading a value may raise.
_UNREADABLE = (ValueError, TypeError, OverflowError, OSError, RuntimeError)


class Vocabulary:
    """The words of a specification for one trainer.

    Args:
        trainer: The trainer.
        model: The model of its options.

    Attributes:
        trainer: The trainer's name.
        words: Every word, in the order in which users see them.
        spelled: The word that each spelling means.
    """

    def __init__(self, trainer: AnyTrainer, model: type[BaseModel]) -> None:
        self.trainer, data_help = trainer.name, trainer.data_help
        self.words: dict[str, Word] = {
            "trainer": Word(
                functools.partial(_one, _installed, "trainer"),
                f"the name of an installed trainer: {', '.join(names())}",
                f"Trainer, of those that are installed.  [default: {DEFAULT}]",
                is_single=True,
                metavar="|".join(names()),
            ),
            "seeds": Word(
                _seeds,
                f"integers from 0 to {MAX_SEED} and rising ranges of them, such as 0-4 or 0,3,7",
                "Seeds: numbers and ranges, as in 0-4,7,9.  [default: 0-4]",
                metavar="SEED[,FIRST-LAST,...]",
            ),
            **words_of(model),
            "data": Word(
                functools.partial(_one, functools.partial(registry.source, trainer), "data set"),
                data_help,
                f"Data set: {data_help}.  [default: {trainer.data}]",
                is_single=True,
                metavar="SOURCE",
            ),
            **{
                name: Word(
                    functools.partial(_one, Reader(Sampling, name), "value"),
                    allowed(info),
                    help_text(Sampling, name),
                    is_single=True,
                    metavar=metavar(Sampling, name).removesuffix("[,...]"),
                )
                for name, info in Sampling.model_fields.items()
            },
            "zipped": Word(self._structure, "texts such as depth,width", ""),
            "beside": Word(self._structure, "texts such as momentum@optimizer=sgd", ""),
        }
        self.spelled = {spelling: word for word in self.words for spelling in self.spellings(word)}

    def _structure(self, value: object) -> list[str]:
        """Return texts such as `hidden,epochs` or `momentum@rule=backprop` with the names of the options."""

        def named(name: str) -> str:
            word = self.spelled.get(name.strip().replace("-", "_"), "seeds")
            option = self.words[word].option
            if option is None:
                raise RefusedError(f"names of options; {name[:80]!r} is none")
            return option

        read = []
        for text in value if isinstance(value, (list, tuple)) else [value]:
            names, at, condition = str(text).partition("@")
            other, _, values = condition.partition("=")
            end = f"@{named(other)}={values}" if at else ""
            read.append(",".join(map(named, names.split(","))) + end)
        return read

    def spellings(self, word: str) -> tuple[str, ...]:
        """Return a word, and the option's own name if it differs: it is accepted, too."""
        return tuple(dict.fromkeys((word, self.words[word].option or word)))

    def parse(
        self, words: Mapping[str, object], spell: Callable[[str], str] = flag, *, where: str = "the specification"
    ) -> dict[str, Any]:
        """Check words and return their values: a tuple of different values for `seeds` and each option, else one value.

        Args:
            words: Values as text (from flags; a tuple of them if the flag was repeated) or as TOML types.
            spell: Returns a word as the user wrote it, for messages.
            where: The source of the words, for messages.

        Raises:
            InvalidInputError: a word is unknown or given twice, or its value is not allowed.
        """
        values: dict[str, Any] = {}
        # Values that go together with others may recur.
        groups = self._read("zipped", spell("zipped"), words.get("zipped", ()))
        zipped = {name for group in groups for name in group.split(",")}
        for name, value in words.items():
            word = self.known(name, where)
            if word in values:
                allowed = f"either {' or '.join(self.spellings(word))}"
                raise InvalidInputError(spell(name), Described("given twice"), allowed)
            read = self._read(word, spell(name), value)
            distinct = tuple(read) if self.words[word].option in zipped else tuple(dict.fromkeys(read))
            values[word] = distinct[0] if self.words[word].is_single else distinct
        return values

    def known(self, name: str, where: str) -> str:
        """Return the word that a name spells.

        Raises:
            InvalidInputError: there is none; the error suggests similar ones.
        """
        if name in self.spelled:
            return self.spelled[name]
        raise InvalidInputError(f"a word of {where}", name, ", ".join(self.words) + meant(name, self.spelled, 0.7))

    def value_of(self, specification: SweepSpecification, word: str) -> Any:
        """Return the value that a word has in a specification, in the form that `parse` returns."""
        name = self.words[word].option
        if name is not None:
            return specification.values(name)
        return getattr(specification.sampling if word in Sampling.model_fields else specification, word, None)

    def typed(self, word: str, value: Any) -> tuple[str, ...]:
        """Return a word's value, in the form that `parse` returns, as one types it: a text for each flag."""
        if self.words[word].is_single:
            return (written_option(value),)
        if word == "seeds":
            return (seeds_as_text(value),)
        texts = list(map(written_option, value))
        if any(isinstance(each, tuple) for each in value) or word in ("zipped", "beside"):
            return tuple(texts)
        return (",".join(map(quoted, texts)),)

    def written(self, word: str, value: Any) -> str:
        """Return the value of a word for a sentence."""
        return " and ".join(self.typed(word, value))

    def _read(self, word: str, spelled: str, value: object) -> Sequence[Any]:
        try:
            return self.words[word].read(value)
        except _UNREADABLE as error:
            allowed = str(error) if isinstance(error, RefusedError) else self.words[word].allowed
            raise InvalidInputError(spelled, _as_given(self._culprit(word, value)), allowed) from None

    def _culprit(self, word: str, value: object) -> object:
        """Return the value of a repeated flag that cannot be read."""
        for each in value if isinstance(value, tuple) else ():
            try:
                self.words[word].read(each)
            except _UNREADABLE:
                return each
        return value


def vocabulary(trainer: str = DEFAULT, given: Mapping[str, object] | None = None) -> Vocabulary:
    """Return the words for a trainer.

    Args:
        trainer: The trainer's name.
        given: Words as given; the other words may depend on them (`Trainer.options_for`).

    Raises:
        InvalidInputError: there is no such trainer, or a word on which others depend is invalid.
        TrainerUnusableError: the trainer cannot be imported.
    """
    found = registry.trainer(trainer, "trainer")
    single = {name: value for name, value in (given or {}).items() if isinstance(value, (str, int, float))}
    return vocabulary_of(found, found.options_for(single))


#: Returns the words for a trainer whose options have this model. They are cached, as making them is slow.
vocabulary_of = functools.lru_cache(maxsize=100)(Vocabulary)


def _as_given(value: object) -> object:
    """Return a value as a message shows it: text in quotes, anything else as a file has it."""
    if value is None or isinstance(value, (str, float)):
        return value
    try:
        # TOML has dates and times.
        text = json.dumps(value, default=operator.methodcaller("isoformat"), ensure_ascii=False)
    except (AttributeError, ValueError, TypeError, RecursionError):
        return value
    return Described(text.strip('"'))


def specification(
    values: Mapping[str, Any], words: Vocabulary | None = None, *, skip_invalid: bool = False
) -> SweepSpecification:
    """Make a specification from the values of `Vocabulary.parse`; a missing word gets its default.

    Args:
        values: The values.
        words: The vocabulary; that of the trainer `network` by default.
        skip_invalid: Whether to leave out combinations that the trainer's model refuses.

    Raises:
        InvalidInputError: the sweep has too many jobs, the values do not go together, or a sampler has nothing to
            choose from.
    """
    words = words or vocabulary()
    sampling = {name: values[name] for name in Sampling.model_fields if values.get(name) is not None}
    own = {name: values[name] for name in ("trainer", "seeds", "data", "zipped", "beside") if name in values}
    grid = {field.option: values[name] for name, field in words.words.items() if field.option and name in values}
    for name, field in words.words.items():
        if field.option and field.is_required and field.option not in grid:
            raise InvalidInputError(name, Described("missing"), field.allowed)
    if sampling and skip_invalid:
        raise InvalidInputError("skip_invalid", Described("given"), Beside("a sampler"))
    if sampling:
        _check_sampling(sampling, words)
        own["sampling"] = sampling
    try:
        made = SweepSpecification.model_validate({**own, "options": {}, "grid": grid, "skip_invalid": skip_invalid})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if isinstance(why := first.get("ctx", {}).get("error"), InvalidInputError):
            raise why from None
        # All words are valid, so a default is not.
        reason = first["msg"]
        raise TrainerUnusableError(
            f"The trainer {own.get('trainer', DEFAULT)} has an option whose default cannot be read from text: {reason}"
        ) from None
    if made.size > MAX_JOBS:
        axes = [f"{len(each)} values of {word(made.model, name)}" for name, each in made.grid.items()]
        if made.sampling is not None:
            axes = [f"{made.sampling.samples:,} samples"]
        product = " x ".join([counted(len(made.seeds), "seed"), *axes])
        allowed = f"at most {MAX_JOBS:,} jobs (it has {product})"
        raise InvalidInputError("the sweep", Described(f"one of {made.size:,} jobs"), allowed)
    return _drawn_at_random(made)


def _check_sampling(sampling: Mapping[str, Any], words: Vocabulary) -> None:
    for name in ("sampler", "samples"):
        if name not in sampling:
            allowed = f"{words.words[name].allowed}, because {flag(next(iter(sampling)))} is given"
            raise InvalidInputError(name, Described("missing"), allowed)
    if sampling["sampler"] != "optuna" and "sampler_batch" in sampling:
        raise InvalidInputError("sampler_batch", sampling["sampler_batch"], "only with the sampler optuna")


def _drawn_at_random(made: SweepSpecification) -> SweepSpecification:
    if made.sampling is None:
        return made
    if not made.grid:
        raise InvalidInputError("sampler", made.sampling.sampler, "only where an option varies")
    if made.sampling.sampler != "random":
        return made
    try:
        drawn = draw(made.space, made.sampling.samples, made.sampling.sampler_seed)
    except RefusedError as error:
        raise InvalidInputError("samples", made.sampling.samples, str(error)) from None
    return made.model_copy(update={"drawn": drawn})
