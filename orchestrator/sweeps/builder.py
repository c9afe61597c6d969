"""Makes a specification from the values that `orchestrator.sweeps.fields` has read, and draws random configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nn.errors import Beside, Described, InvalidInputError
from nn.options.describe import word
from orchestrator.sweeps.axes import Range, RefusedError
from orchestrator.sweeps.fields import Vocabulary, vocabulary
from orchestrator.sweeps.samplers import Sampling, draw
from orchestrator.sweeps.specification import MAX_JOBS, SweepSpecification
from orchestrator.text import counted
from worker.errors import TrainerUnusableError
from worker.trainers.registry import DEFAULT


def specification(
    values: Mapping[str, Any], words: Vocabulary | None = None, *, skip_invalid: bool = False
) -> SweepSpecification:
    """Make a specification from the values of `Vocabulary.parse`; a missing word gets its default.

    Args:
        values: The values.
        words: The vocabulary; that of the trainer `network` by default.
        skip_invalid: Whether to leave out combinations that the trainer's model refuses.

    Raises:
        InvalidInputError: the sweep has too many jobs, a range has no number of points although nothing samples it, or
            a sampler has nothing to choose from.
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
    _check_ranges(values, words, is_sampled=bool(sampling))
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


def _check_ranges(values: Mapping[str, Any], words: Vocabulary, *, is_sampled: bool) -> None:
    for name in (each for each, field in words.words.items() if field.option and each in values):
        ranges = [each for each in values[name] if isinstance(each, Range)]
        if ranges and not is_sampled:
            allowed = f"in a grid, a range with a number of points: {ranges[0]}:5 (a --sampler takes it as it is)"
            raise InvalidInputError(name, str(ranges[0]), allowed)
        if ranges and len(values[name]) > 1:
            raise InvalidInputError(name, Described(words.written(name, values[name])), "either values, or one range")


def _check_sampling(sampling: Mapping[str, Any], words: Vocabulary) -> None:
    for name in ("sampler", "samples"):
        if name not in sampling:
            given = next(iter(sampling))
            raise InvalidInputError(
                name, Described("missing"), f"{words.words[name].allowed}, because {given} is given"
            )
    if sampling["sampler"] != "optuna" and "sampler_batch" in sampling:
        raise InvalidInputError("sampler_batch", sampling["sampler_batch"], "only with the sampler optuna")


def _drawn_at_random(made: SweepSpecification) -> SweepSpecification:
    """Draw all configurations, if the sampler is `random`."""
    if made.sampling is None:
        return made
    if not made.grid:
        raise InvalidInputError("sampler", made.sampling.sampler, "an option that varies, for it to choose from")
    if made.sampling.sampler != "random":
        return made
    try:
        drawn = draw(made.space, made.sampling.samples, made.sampling.sampler_seed)
    except RefusedError as error:
        raise InvalidInputError("samples", made.sampling.samples, str(error)) from None
    return made.model_copy(update={"drawn": drawn})
