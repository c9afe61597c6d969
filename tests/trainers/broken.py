"""A trainer that keeps every promise, and trainers that break one each. Another process imports them from here."""

import contextlib
import hashlib
import json
import logging
import os
import pickle
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from seedsweep import Checkpoint, DatasetError, Evaluated, Metric, OnEpoch, Trained, Trainer, WeightsError

Width = Annotated[int, Field(ge=1, le=4096)]


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(default=0.1, gt=0, le=10, description="Step size.")
    epochs: int = Field(default=3, ge=1, le=100, description="Passes over the points.")
    penalty: float | None = Field(default=None, ge=0, le=1, description="Penalty, or none.")


@dataclass
class Points:
    X: Any
    y: Any
    digest: str
    pool: Any = None


def normal(*seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(*seed).normal(size=2)


def from_json(state: bytes) -> Any:
    import numpy as np

    return np.array(json.loads(state), float)


class Honest(Trainer[Options, Points]):
    """A perceptron on points of the plane. Its state is its weights."""

    name = "honest"
    version = 1
    Options = Options
    metric = Metric(name="accuracy", is_share=True)
    datasets = ("points",)
    data = "points"

    def load(self, source: str, cache_dir: Path) -> Points:
        import numpy as np

        if source == "points":
            rows = np.random.default_rng(0).integers(-9, 10, (40, 2)).astype(float)
        else:
            try:
                rows = np.loadtxt(source, delimiter=",", ndmin=2)
            except (OSError, ValueError) as error:
                raise DatasetError(f"{source} is no table of numbers: {error}") from None
        return Points(rows, rows.sum(axis=1) > 0, self.hashed(rows, source))

    def hashed(self, rows: Any, source: str) -> str:
        return hashlib.sha256(rows.tobytes()).hexdigest()

    def train(
        self, options: Options, seed: int, data: Points, *, on_epoch: OnEpoch, resume_from: Checkpoint | None = None
    ) -> Trained:
        w, done = self.start(seed), 0
        logging.getLogger(__name__).warning("A trainer may log")
        if resume_from is not None:
            w, done = self.unpack(resume_from.state), resume_from.epochs
        stopped = None
        for _ in range(done, options.epochs):
            w = self.epoch(w, options, data)
            stopped = self.stopped(self.correct(w, data))
            on_epoch(self.value(self.correct(w, data)), self.offered(w, stopped))
            if stopped:
                break
        correct = self.correct(w, data)
        return Trained(artifact=self.artifact(w), correct=correct.tolist(), problem=self.problem(w), stopped=stopped)

    def stopped(self, correct: Any) -> str | None:
        return None

    def offered(self, w: Any, stopped: str | None) -> Any:
        return None if stopped else lambda: self.pack(w)

    def start(self, seed: int) -> Any:
        return normal(seed)

    def epoch(self, w: Any, options: Options, data: Points) -> Any:
        return w + options.rate / len(data.X) * ((1.0 * data.y - (data.X @ w > 0)) @ data.X)

    def correct(self, w: Any, data: Points) -> Any:
        return (data.X @ w > 0) == data.y

    def value(self, correct: Any) -> Any:
        return float(correct.mean())

    def problem(self, w: Any) -> Any:
        return None

    def pack(self, w: Any) -> bytes:
        return json.dumps(w.tolist()).encode()

    def unpack(self, state: bytes) -> Any:
        try:
            w = from_json(state)
        except ValueError:
            raise WeightsError("the checkpoint is not JSON") from None
        if w.shape != (2,):
            raise WeightsError("the checkpoint has not two weights")
        return w

    def artifact(self, w: Any) -> Any:
        return json.dumps(w.tolist()).encode()

    def continued(self, options: Options, longer: Options, artifact: bytes) -> bytes | None:
        return artifact


class NeedsArguments(Honest):
    def __init__(self, depth: int) -> None:
        self.depth = depth


class Thawed(Options):
    model_config = ConfigDict(frozen=False)


class AnyOption(Options):
    model_config = ConfigDict(extra="ignore")


class Overflows(Options):
    """A validator that is not up to every number."""

    @field_validator("rate", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if type(value) is int else value


class CrashesWithoutData(Honest):
    def load(self, source: str, cache_dir: Path) -> Points:
        if source != "points":
            Path(source).read_text()
        return super().load("points", cache_dir)


class NoBools(Honest):
    def train(self, *given: Any, **more: Any) -> Trained:
        trained = super().train(*given, **more)
        return replace(trained, correct=[1 if each else 0 for each in trained.correct or ()])


class Remembers(Honest):
    """Each training begins where the last one ended."""

    last: ClassVar[Any] = None

    def start(self, seed: int) -> Any:
        return super().start(seed) if self.last is None else self.last

    def artifact(self, w: Any) -> Any:
        type(self).last = w
        return super().artifact(w)


class NormalizesInPlace(Honest):
    def epoch(self, w: Any, options: Options, data: Points) -> Any:
        data.X /= abs(data.X).max()
        return super().epoch(w, options, data)


class WrapsExceptions(Honest):
    def train(self, *given: Any, **more: Any) -> Trained:
        try:
            return super().train(*given, **more)
        except WeightsError:
            raise
        except Exception as error:
            raise RuntimeError("training failed") from error


class ForgetsMomentum(Honest):
    """The state lacks what it adds up over epochs."""

    def train(self, *given: Any, **more: Any) -> Trained:
        self.momentum = 0.0
        return super().train(*given, **more)

    def epoch(self, w: Any, options: Options, data: Points) -> Any:
        self.momentum = 0.9 * self.momentum + super().epoch(w, options, data) - w
        return w + self.momentum


class TakesAnything(Honest):
    def unpack(self, state: bytes) -> Any:
        try:
            return super().unpack(state)
        except WeightsError:
            return self.start(0)


class StateInMemory(Honest):
    """A state is a number under which this process keeps the weights."""

    kept: ClassVar[dict[int, Any]] = {}

    def continued(self, options: Options, longer: Options, artifact: bytes) -> None:
        return None

    def pack(self, w: Any) -> bytes:
        self.kept[len(self.kept)] = w
        return json.dumps([len(self.kept) - 1, 0]).encode()

    def unpack(self, state: bytes) -> Any:
        number, _ = super().unpack(state)
        return self.kept.get(int(number), self.start(0))


class HasWidths(Honest):
    Options = create_model(
        "Options", __base__=Options, widths=(tuple[Width, ...], Field(default=(64, 32), description="Widths."))
    )


class Stops(Honest):
    """It stops at the first epoch after which nine of ten points are right."""

    name = "stops"

    def stopped(self, correct: Any) -> str | None:
        return "nine of ten are right" if correct.mean() >= 0.9 else None


class OffersItsStop(Stops):
    def offered(self, w: Any, stopped: str | None) -> Any:
        return lambda: self.pack(w)


class SharesAPool(Honest):
    """It trains by a thread that the first process starts: as OpenMP and JAX do, which compute when they load."""

    def load(self, source: str, cache_dir: Path) -> Points:
        data = super().load(source, cache_dir)
        self.start_pool(data)
        return data

    def start_pool(self, data: Points) -> None:
        data.pool = ThreadPoolExecutor(1)
        data.pool.submit(int).result()

    def epoch(self, w: Any, options: Options, data: Points) -> Any:
        return data.pool.submit(super().epoch, w, options, data).result()


class LoadsForEachProcess(SharesAPool):
    shares = "nothing"


class PreparesAPool(SharesAPool):
    """It starts the thread in each process."""

    def load(self, source: str, cache_dir: Path) -> Points:
        return Honest.load(self, source, cache_dir)

    def prepare(self, data: Points) -> None:
        self.start_pool(data)


class PreparesForAll(PreparesAPool):
    """It starts the thread before the fork, and says that it may."""

    shares = "all"


class ImportDraws(Honest):
    """What it imports when it first trains draws a number, as JAX does."""

    imported: ClassVar[bool] = False

    def start(self, seed: int) -> Any:
        if not self.imported:
            type(self).imported = True
            random.random()
            os.environ["IMPORTED"] = "1"
        return super().start(seed)


def with_option(**field: Any) -> type[Options]:
    """Return the options with one more, or with another definition of one."""
    return create_model("Options", __base__=Options, **field)


def giving(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def raising(error: BaseException) -> Callable[..., Any]:
    def method(*_: Any, **__: Any) -> Any:
        raise error

    return method


def beginning(what: Callable[[int], object]) -> Callable[..., Any]:
    """Return a `start` that does something with the seed before it draws."""

    def start(self: Honest, seed: int) -> Any:
        what(seed)
        return Honest.start(self, seed)

    return start


def seed_numpy(seed: int) -> None:
    import numpy as np

    np.random.seed(seed)


def reporting(report: Callable[..., None]) -> Callable[..., Trained]:
    """Return a `train` that reports in another way: by a function of `on_epoch` and what it would be told."""

    def train(self: Honest, *given: Any, on_epoch: OnEpoch, **more: Any) -> Trained:
        return Honest.train(self, *given, on_epoch=lambda *told: report(on_epoch, *told), **more)

    return train


def quietly(on_epoch: OnEpoch, *told: Any) -> None:
    with contextlib.suppress(Exception):
        on_epoch(*told)


def only_first_epoch(self: Honest, options: Options, *given: Any, **more: Any) -> Trained:
    return Honest.train(self, options.model_copy(update={"epochs": 1}), *given, **more)


def tested(value: float, count: int) -> dict[str, Any]:
    """Return the methods of a trainer that holds out 10 samples, and gives a metric and a number of right answers."""
    return {"held_out": giving(10), "test": giving(Evaluated(value=value, correct=[True] * count))}


#: A trainer that differs from an honest one in these attributes, the check that catches it, and what that says.
_CHANGED: dict[str, tuple[dict[str, Any], str, str]] = {
    "BadName": ({"name": "tests.trainers:BadName"}, "well_formed", "name"),
    "NoVersion": ({"version": 0}, "well_formed", "version is 0"),
    "Undescribed": (
        {"Options": with_option(momentum=(float, Field(default=0.0, ge=0, le=1)))},
        "options_are_described", "the option momentum has no description",
    ),
    "Untypeable": (
        {"Options": with_option(penalty=(str | None, Field(default="none", description="A penalty.")))},
        "defaults_can_be_typed", "the default of the option penalty, 'none', cannot be typed",
    ),
    "NotJson": ({"named": lambda _, options: {"rate": {options.rate}}}, "options_survive_json", "not JSON"),
    "Thawed": ({"options_for": lambda *_, model=Thawed: model}, "well_formed", "frozen=True"),
    "AnyOption": ({"Options": AnyOption}, "well_formed", 'extra="forbid"'),
    "Infinite": (
        {"Options": with_option(scale=(float, Field(default=1.0, description="Scale.")))},
        "bad_options_are_refused", "the option scale accepts nan",
    ),
    "NoEpochs": (
        {"Options": with_option(epochs=(int, Field(default=3, description="Passes over the points.")))},
        "bad_options_are_refused", "the option epochs accepts 0",
    ),
    # It takes the model of the options from a table, by whatever was sent.
    "LooksUp": (
        {"options_for": lambda _, given: {0.1: Options, 0.2: Options}[float(given.get("rate", 0.1))]},
        "bad_options_are_refused", "raised TypeError",
    ),
    "Overflows": ({"Options": Overflows}, "bad_options_are_refused", "raised OverflowError"),
    "Sharing": ({"shares": "everything"}, "well_formed", "its shares is 'everything'"),
    "RandomDigest": (
        {"hashed": lambda *_: os.urandom(32).hex()}, "data_has_a_digest", "from the content only",
    ),
    "ShortDigest": ({"hashed": giving("ab" * 16)}, "well_formed", "a digest that is not a SHA-256"),
    "Raises": ({"epoch": raising(ZeroDivisionError("no points"))}, "trains", "ZeroDivisionError: no points"),
    "Exits": ({"epoch": raising(SystemExit(3))}, "trains", "SystemExit: 3"),
    "StopsEarly": ({"train": only_first_epoch}, "each_epoch_is_reported", "called 1 times"),
    # It diverges before the first epoch.
    "Silent": (
        {"train": giving(Trained(artifact=b"w", problem="it diverged"))},
        "each_epoch_is_reported", "called 0 times",
    ),
    "NotANumber": (
        {"value": giving(float("nan"))}, "metrics_are_finite_numbers", "return Trained(problem=...)",
    ),
    "NoNumber": (
        {"value": lambda _, correct: f"{correct.mean():.2f}"}, "metrics_are_finite_numbers", "float(...)",
    ),
    "Percent": (
        {"value": lambda _, correct: float(100 * correct.mean())},
        "metrics_are_finite_numbers", "a share from 0 to 1",
    ),
    "UnlistedMetric": (
        {"train": reporting(lambda on_epoch, value, checkpoint: on_epoch(value, checkpoint, {"loss": 1.0}))},
        "metrics_are_finite_numbers", "['loss']",
    ),
    "NamesAlone": ({"others": giving(("loss",))}, "metrics_are_finite_numbers", "a Metric for each"),
    "TwoLines": (
        {"others": giving((Metric(name="log\nloss"),))}, "metrics_are_finite_numbers", "characters on one line",
    ),
    "TwoLinesOfItsOwn": ({"metric": Metric(name="log\nloss")}, "well_formed", "characters on one line"),
    "SameName": ({"others": giving((Metric(name="accuracy"),))}, "metrics_are_finite_numbers", "names that differ"),
    "LongProblem": ({"problem": giving("it diverged\n" * 3)}, "a_problem_is_one_sentence", "one line"),
    "OtherCorrect": (
        {"value": lambda _, correct: float(correct.mean()) / 2},
        "correct_samples_agree_with_the_metric", "of correct is true",
    ),
    "Empty": ({"artifact": giving(b"")}, "sizes_are_bounded", "is empty"),
    "Huge": ({"max_bytes": giving(10)}, "sizes_are_bounded", "max_bytes returns 10"),
    "TextArtifact": ({"artifact": lambda _, w: json.dumps(w.tolist())}, "sizes_are_bounded", "return bytes"),
    "Pickled": ({"artifact": lambda _, w: pickle.dumps(w)}, "artifact_is_no_pickle", "safetensors"),
    "RefusesItsOwn": (
        {"check_artifact": raising(WeightsError("it is not safetensors"))},
        "artifact_is_accepted", "it is not safetensors",
    ),
    "NoTest": ({"held_out": giving(10)}, "the_test_split_is_evaluated", "NotImplementedError"),
    "ShortTest": (
        tested(1.0, 9), "the_test_split_is_evaluated", "test returns 9 answers; held_out returns 10",
    ),
    "OtherTest": (
        tested(0.5, 10), "the_test_split_is_evaluated", "the metric that test reports last is 0.5",
    ),
    "Unseeded": ({"start": lambda *_: normal()}, "same_bits_twice", "metrics and artifact"),
    "IgnoresSeed": ({"start": lambda *_: normal(0)}, "seeds_matter", "the seeds 0, 1"),
    "Swallows": ({"train": reporting(quietly)}, "exceptions_of_on_epoch_pass", "went on"),
    # The state is exact, but the artifact is not.
    "RoundsItsArtifact": (
        {"artifact": lambda _, w: json.dumps([round(float(each), 2) for each in w]).encode()},
        "longer_jobs_go_on_to_the_same_bits", "from the artifact of 2 epochs differs in",
    ),
    "CrashesOnGarbage": (
        {"unpack": lambda _, state: from_json(state)}, "damaged_checkpoints_are_refused", "raise WeightsError",
    ),
    "Prints": ({"start": beginning(lambda _: print("begins"))}, "nothing_is_printed", "'begins"),
    "SeedsGlobally": ({"start": beginning(seed_numpy)}, "surroundings_stay", "the state of numpy.random"),
    "SeedsRandom": ({"start": beginning(random.seed)}, "surroundings_stay", "the state of random"),
    "SetsAVariable": (
        {"start": beginning(lambda _: os.environ.update(VARIABLE="1"))},
        "surroundings_stay", "the environment variables",
    ),
    "LeavesAThread": (
        {"start": beginning(lambda _: threading.Thread(target=time.sleep, args=(2,), daemon=True).start())},
        "nothing_is_left_running", "threads",
    ),
    "Forks": ({"start": beginning(lambda _: os.fork() or os._exit(0))}, "nothing_is_left_running", "child process"),
    "HashOrder": (
        {"start": lambda _, seed: normal(seed) * (1 + hash("a") % 1000)}, "same_bits_in_another_process", "hash()",
    ),
}  # fmt: skip

#: Each broken trainer, the check that catches it, and what that says.
CAUGHT: list[tuple[Any, str, str]] = [
    *(
        (type(name, (Honest,), {"__module__": __name__, **changed}), check, said)
        for name, (changed, check, said) in _CHANGED.items()
    ),
    (CrashesWithoutData, "missing_data_is_refused", "FileNotFoundError"),
    (NoBools, "correct_samples_agree_with_the_metric", "correct.tolist()"),
    (Remembers, "same_bits_twice", "artifact"),
    (NormalizesInPlace, "data_and_options_stay", "training changes data.X"),
    (WrapsExceptions, "exceptions_of_on_epoch_pass", "RuntimeError"),
    (ForgetsMomentum, "resuming_gives_the_same_bits", "after epoch 1 differs in"),
    (OffersItsStop, "resuming_gives_the_same_bits", "offer no checkpoint after the epoch at which training stops"),
    (TakesAnything, "damaged_checkpoints_are_refused", "is accepted"),
    # What only another process shows.
    (SharesAPool, "trains_in_a_forked_process", "leaves threads running in load: 1. "),
    (PreparesForAll, "trains_in_a_forked_process", "it hangs at File "),
    (StateInMemory, "resuming_in_another_process_gives_the_same_bits", "memory of its process"),
]
#: Another process finds the trainers by their names in this module.
globals().update({trainer.__name__: trainer for trainer, _, _ in CAUGHT})
