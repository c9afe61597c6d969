"""How a trainer resumes from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from nn.errors import WeightsError
from worker.trainers.checks.case import Broken, Case, difference, named, shown
from worker.trainers.protocol import Checkpoint

_HINT = "a state needs all that lives longer than an epoch: momentum, step counters, the state of generators"


def resuming_gives_the_same_bits(case: Case) -> None:
    """Training that is resumed after any epoch ends as the straight one."""
    for options, recorded in case.jobs():
        last = case.trainer.epochs(options)
        for epochs, state in recorded.states.items():
            if epochs >= last:
                continue
            resumed = case.train(options, case.seeds[0], resume_from=Checkpoint(epochs, state), take=False)
            found = difference(recorded.facts(first=epochs), resumed.facts())
            if found is not None:
                raise Broken(
                    f"training that is resumed after epoch {epochs} differs in {found} from a straight one with "
                    f"{named(options)}; {_HINT}"
                )


def longer_jobs_go_on_to_the_same_bits(case: Case) -> None:
    """A job of more epochs that goes on from an artifact, if `continued` lets it, ends as a straight one."""
    for options, recorded in case.jobs():
        last, seed = case.trainer.epochs(options), case.seeds[0]
        if last < 2 or getattr(options, "epochs", None) != last or recorded.trained.problem is not None:
            continue
        shorter = case.read({**options.model_dump(), "epochs": last - 1})
        short = case.straight(shorter, seed)
        if short.trained.problem is not None:
            continue
        state = case.trainer.continued(shorter, options, short.trained.artifact)
        if state is None:
            continue
        resumed = case.train(options, seed, resume_from=Checkpoint(last - 1, state), take=False)
        found = difference(recorded.facts(first=last - 1), resumed.facts())
        if found is not None:
            raise Broken(
                f"a job that goes on from the artifact of {last - 1} epochs differs in {found} from a straight one "
                f"with {named(options)}; {_HINT}, or continued returns None"
            )


def damaged_checkpoints_are_refused(case: Case) -> None:
    """A state that is empty, cut off or no state at all raises WeightsError; one with a changed byte may be trained."""
    for options, recorded in case.jobs():
        epochs, state = next(iter(recorded.states.items()), (1, b""))
        for what, damaged in _damages(state):
            _check_refusal(case, options, Checkpoint(epochs, damaged), what)
        if state:
            middle = len(state) // 2
            flipped = state[:middle] + bytes([state[middle] ^ 0xFF]) + state[middle + 1 :]
            _check_refusal(case, options, Checkpoint(epochs, flipped), "with a changed byte", may_train=True)


def _damages(state: bytes) -> Iterator[tuple[str, bytes]]:
    yield "of no bytes", b""
    yield "of garbage", b"\x00garbage\xff" * 3
    if state:
        yield "that is cut off", state[:-1]


def _check_refusal(
    case: Case, options: BaseModel, checkpoint: Checkpoint, what: str, *, may_train: bool = False
) -> None:
    try:
        case.trainer.train(options, case.seeds[0], case.data, on_epoch=_enough, resume_from=checkpoint)
    except WeightsError:
        return
    except _EnoughError:
        pass
    except Exception as error:
        raise Broken(f"a state {what} raised {shown(error)}; raise WeightsError") from error
    if not may_train:
        raise Broken(f"a state {what} is accepted; raise WeightsError")


class _EnoughError(Exception):
    """An epoch was trained: more are not needed."""


def _enough(*_: Any, **__: Any) -> None:
    raise _EnoughError
