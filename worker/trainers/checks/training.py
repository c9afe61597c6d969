"""Checks of training: what it reports and returns, and how it resumes from a checkpoint."""

import contextlib
import io
import pickletools
import zipfile
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from nn.errors import WeightsError
from worker.trainers.checks.case import Broken, Case, Recorded, arrays_of, check_same, named, shown
from worker.trainers.protocol import Checkpoint, Evaluated, Metric

#: Largest difference between the share of correct samples and the last metric, which may be rounded to float32.
_TOLERANCE = 1e-6
_HINT = "a state needs all that lives longer than an epoch: momentum, step counters, the state of generators"
_STOPPED_HINT = "offer no checkpoint after the epoch at which training stops"


def trains(case: Case, options: BaseModel) -> None:
    """Training with each set of options ends without an exception."""
    for seed in case.seeds:
        case.straight(options, seed)


def each_epoch_is_reported(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """`on_epoch` is called after each epoch, unless training ends early with a stated problem or stop."""
    epochs, reported = case.trainer.epochs(options), len(recorded.values)
    ended = recorded.trained.problem is not None or recorded.trained.stopped is not None
    if not 1 <= reported <= epochs or (reported < epochs and not ended):
        raise Broken(f"on_epoch was called {reported} times with {named(options)}; epochs returns {epochs}")


def metrics_are_finite_numbers(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """Every metric is a finite number, a share is from 0 to 1, and the further metrics are those of `others`."""
    metric, described = case.trainer.metric_of(options), case.trainer.others(options)
    if not all(isinstance(each, Metric) for each in described):
        raise Broken(f"others returns {shown(described)}; allowed: a Metric for each, such as Metric(name='loss')")
    listed = [each.name for each in described]
    if not all(0 < len(name) <= 80 and name.isprintable() for name in listed):
        raise Broken(f"others names {listed}; allowed: names of 1 to 80 characters on one line")
    if len({metric.name, *listed}) <= len(listed):
        raise Broken(f"others names {listed}; allowed: names that differ, also from that of the metric")
    for epoch, (value, others) in enumerate(zip(recorded.values, recorded.others, strict=True), start=1):
        if sorted(others) != sorted(listed):
            raise Broken(f"on_epoch got the further metrics {sorted(others)}; others returns {sorted(listed)}")
        for each, given in ((metric, value), *((Metric(name=name), other) for name, other in others.items())):
            if refusal := each.refusal(given):
                raise Broken(
                    f"on_epoch got {refusal}, after epoch {epoch} with {named(options)}; "
                    "pass float(...), or end training and return Trained(problem=...)"
                )


def a_problem_is_one_sentence(options: BaseModel, recorded: Recorded) -> None:
    """`problem` and `stopped` are texts on one line."""
    for name in ("problem", "stopped"):
        told = getattr(recorded.trained, name)
        if told is not None and not (isinstance(told, str) and 0 < len(told) <= 500 and told.isprintable()):
            raise Broken(f"{name} is {shown(told)} with {named(options)}; allowed: a sentence on one line")


def correct_samples_agree_with_the_metric(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """If the metric is a share, `correct` has a bool per sample, and the share of true ones is the last metric."""
    if not case.trainer.metric_of(options).is_share or recorded.trained.problem is not None:
        return
    _check_answers("train", recorded.trained.correct, recorded.values[-1])


def _check_answers(method: str, answers: Sequence[object] | None, metric: float) -> None:
    correct = [] if answers is None else list(answers)
    if not correct:
        raise Broken(f"the metric is a share, and {method} returns no answers; return correct=...")
    wrong = [each for each in correct if type(each) is not bool]
    if wrong:
        raise Broken(f"correct holds {shown(wrong[0])}; {method} returns a list of bool: correct.tolist()")
    share = correct.count(True) / len(correct)
    if abs(share - float(metric)) > _TOLERANCE:
        raise Broken(f"{share} of correct is true; the metric that {method} reports last is {metric}")


def sizes_are_bounded(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """The artifact and the states of checkpoints are bytes, and not longer than `max_bytes`."""
    largest = case.trainer.max_bytes(options, case.data.digest)
    found = {"the artifact": recorded.trained.artifact}
    found |= {f"the state after epoch {epoch}": state for epoch, state in recorded.states.items()}
    for what, blob in found.items():
        if not isinstance(blob, bytes):
            raise Broken(f"{what} is {shown(blob)}; return bytes")
        if not blob:
            raise Broken(f"{what} is empty; return the model")
        if len(blob) > largest:
            raise Broken(f"{what} has {len(blob)} bytes with {named(options)}; max_bytes returns {largest}")


def artifact_is_no_pickle(recorded: Recorded) -> None:
    """The artifact is not a pickle, because unpickling executes code."""
    content, is_pickle = io.BytesIO(recorded.trained.artifact), False
    if zipfile.is_zipfile(content):
        with zipfile.ZipFile(content) as archive:
            is_pickle = any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    else:
        with contextlib.suppress(Exception):
            pickletools.dis(recorded.trained.artifact, io.StringIO())  # follows the stack, and executes nothing
            is_pickle = True
    if is_pickle:
        raise Broken("the artifact is a pickle; use safetensors, an .npy array, or JSON")


def artifact_is_accepted(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """`check_artifact` accepts what training returned."""
    try:
        case.trainer.check_artifact(options, case.data.digest, recorded.trained.artifact)
    except Exception as error:
        raise Broken(f"check_artifact refuses the artifact of {named(options)}: {shown(error)}") from error


def the_test_split_is_evaluated(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """If `held_out` is not 0, `test` returns the metric, and whether each held-out sample was answered correctly."""
    size = case.trainer.held_out(options)
    if type(size) is not int or size < 0:
        raise Broken(f"held_out returns {shown(size)}; return the number of samples in the test split")
    if not size or recorded.trained.problem is not None:
        return
    found: object = case.trainer.test(options, case.data, recorded.trained.artifact)
    if not isinstance(found, Evaluated):
        raise Broken(f"test returns {shown(found)}; return a seedsweep.Evaluated")
    metric = case.trainer.metric_of(options)
    if refusal := metric.refusal(found.value):
        raise Broken(f"test returns {refusal}; pass float(...)")
    if metric.is_share:
        _check_answers("test", found.correct, found.value)
        if len(found.correct or ()) != size:
            raise Broken(f"test returns {len(found.correct or ())} answers; held_out returns {size}")


def same_bits_twice(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """A second training of a job, without checkpoints, gives the same bits."""
    hint = "draw every random number from a generator that the seed alone starts"
    again = case.train(options, case.seeds[0], take=False)
    check_same(options, recorded.facts(), again.facts(), "a second training with the same seed", hint)


def data_and_options_stay(case: Case) -> None:
    """Training changes neither the arrays of the data set nor the options."""
    for values, (options, _) in zip(case.values, case.jobs(), strict=True):
        if options != case.read(values):
            raise Broken(f"training changes its options; they were {shown(dict(values))}")
    now = dict(arrays_of(case.data))
    if changed := [path for path, hashed in case.arrays.items() if now.get(path) != hashed]:
        raise Broken(f"training changes {changed[0]}, which the jobs after it train on; copy it first")


def seeds_matter(case: Case, options: BaseModel) -> None:
    """If there are several seeds, they give different metrics or artifacts."""
    facts = [case.straight(options, seed).facts() for seed in case.seeds]
    if len(facts) > 1 and all(each == facts[0] for each in facts):
        raise Broken(
            f"the seeds {', '.join(map(str, case.seeds))} give the same bits with {named(options)}; use the seed, "
            "or check with one seed if nothing is random"
        )


def _stopped(
    case: Case, options: BaseModel, begin: Checkpoint | None = None
) -> tuple[Exception | None, list[Exception]]:
    """Train with an `on_epoch` that raises; return the exception that left `train`, and all that were raised."""
    raised: list[Exception] = []

    def on_epoch(*_: Any, **__: Any) -> None:
        raised.append(Exception())
        raise raised[-1]

    try:
        case.trainer.train(options, case.seeds[0], case.data, on_epoch=on_epoch, resume_from=begin)
    except Exception as error:
        return error, raised
    return None, raised


def exceptions_of_on_epoch_pass(case: Case, options: BaseModel) -> None:
    """An exception that `on_epoch` raises passes through `train` unchanged. Workers cancel jobs in this way."""
    error, raised = _stopped(case, options)
    if error is not None and error not in raised:
        raise Broken(f"train turned an exception of on_epoch into {shown(error)}; let it pass") from error
    if raised != ([] if error is None else [error]):
        raise Broken("train caught an exception of on_epoch and went on; let it pass")


def resuming_gives_the_same_bits(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """Training that is resumed after any epoch ends with the bits of a single run."""
    for epochs, state in recorded.states.items():
        if epochs < case.trainer.epochs(options):
            resumed = case.train(options, case.seeds[0], resume_from=Checkpoint(epochs, state), take=False)
            what = f"training that is resumed after epoch {epochs}"
            hint = _STOPPED_HINT if epochs == len(recorded.values) else _HINT
            check_same(options, recorded.facts(first=epochs), resumed.facts(), what, hint)


def longer_jobs_go_on_to_the_same_bits(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """If `continued` returns a state, a longer job that continues from it ends with the bits of a single run."""
    last, seed = case.trainer.epochs(options), case.seeds[0]
    ended = recorded.trained.problem is not None or recorded.trained.stopped is not None
    if last < 2 or getattr(options, "epochs", None) != last or ended:
        return
    shorter = case.read({**options.model_dump(), "epochs": last - 1})
    short = case.straight(shorter, seed)
    if short.trained.problem is not None:
        return
    state = case.trainer.continued(shorter, options, short.trained.artifact)
    if state is not None:
        resumed = case.train(options, seed, resume_from=Checkpoint(last - 1, state), take=False)
        what = f"a job that goes on from the artifact of {last - 1} epochs"
        hint = f"{_HINT}, or continued returns None"
        check_same(options, recorded.facts(first=last - 1), resumed.facts(), what, hint)


def damaged_checkpoints_are_refused(case: Case, options: BaseModel, recorded: Recorded) -> None:
    """An empty, truncated or random state raises WeightsError; a state with one changed byte may be accepted."""
    epochs, state = next(iter(recorded.states.items()), (1, b""))
    damages = {"of no bytes": b"", "of garbage": b"\x00garbage\xff" * 3}
    changed = "with a changed byte"
    if state:
        middle = len(state) // 2
        damages["that is cut off"] = state[:-1]
        damages[changed] = state[:middle] + bytes([state[middle] ^ 0xFF]) + state[middle + 1 :]
    for what, damaged in damages.items():
        error, raised = _stopped(case, options, Checkpoint(epochs, damaged))
        if isinstance(error, WeightsError):
            continue
        if error is not None and error not in raised:
            raise Broken(f"a state {what} raised {shown(error)}; raise WeightsError") from error
        if what != changed:
            raise Broken(f"a state {what} is accepted; raise WeightsError")
