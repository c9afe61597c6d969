"""A trainer that keeps every promise, and trainers that break one each. Another process imports them from here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import random
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from worker.trainers import Checkpoint, DatasetError, Evaluated, Metric, OnEpoch, Trained, Trainer, WeightsError


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
            return self.points(rows)
        try:
            return self.points(np.loadtxt(source, delimiter=",", ndmin=2))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{source} is no table of numbers: {error}") from None

    def points(self, rows: Any) -> Points:
        return Points(rows, rows.sum(axis=1) > 0, hashlib.sha256(rows.tobytes()).hexdigest())

    def train(
        self, options: Options, seed: int, data: Points, *, on_epoch: OnEpoch, resume_from: Checkpoint | None = None
    ) -> Trained:
        w, done = self.start(seed), 0
        if resume_from is not None:
            w, done = self.unpack(resume_from.state), resume_from.epochs
        for epoch in range(done + 1, options.epochs + 1):
            w = self.epoch(w, options, seed, epoch, data)
            on_epoch(self.value(self.correct(w, data)), lambda w=w: self.pack(w))
        correct = self.correct(w, data)
        return Trained(artifact=self.artifact(w), correct=correct.tolist(), problem=self.problem(w))

    def start(self, seed: int) -> Any:
        import numpy as np

        return np.random.default_rng(seed).normal(size=2)

    def epoch(self, w: Any, options: Options, seed: int, epoch: int, data: Points) -> Any:
        return w + options.rate / len(data.X) * ((1.0 * data.y - (data.X @ w > 0)) @ data.X)

    def correct(self, w: Any, data: Points) -> Any:
        return (data.X @ w > 0) == data.y

    def value(self, correct: Any) -> Any:
        return float(correct.mean())

    def problem(self, w: Any) -> Any:
        return None

    def pack(self, w: Any) -> Any:
        return self.artifact(w)

    def unpack(self, state: bytes) -> Any:
        import numpy as np

        try:
            w = np.array(json.loads(state), float)
        except ValueError:
            raise WeightsError("the checkpoint is not JSON") from None
        if w.shape != (2,):
            raise WeightsError("the checkpoint has not two weights")
        return w

    def artifact(self, w: Any) -> Any:
        return json.dumps(w.tolist()).encode()

    def continued(self, options: Options, longer: Options, artifact: bytes) -> bytes | None:
        return artifact


class BadName(Honest):
    name = "tests.trainers:BadName"


class NoVersion(Honest):
    version = 0


class NeedsArguments(Honest):
    def __init__(self, depth: int) -> None:
        self.depth = depth


class Undescribed(Honest):
    class Options(Options):
        momentum: float = Field(default=0.0, ge=0, le=1)


class AnyLength(Honest):
    """Nobody can type a tuple of any length."""

    class Options(Options):
        widths: tuple[int, ...] = Field(default=(), description="Widths of layers.")


class NotJson(Honest):
    def named(self, options: Any) -> dict[str, Any]:
        return {"rate": {options.rate}}


class Thawed(Honest):
    """The configuration says frozen, and the class undoes it."""

    class Options(Options):
        def __setattr__(self, name: str, value: Any) -> None:
            self.__dict__[name] = value


class AnyOption(Honest):
    class Options(Options):
        model_config = ConfigDict(frozen=True, extra="forbid")

        @classmethod
        def model_validate(cls, obj: Any, **how: Any) -> Any:
            return super().model_validate(
                {name: value for name, value in obj.items() if name in cls.model_fields}, **how
            )


class Infinite(Honest):
    class Options(Options):
        scale: float = Field(default=1.0, description="Scale.")


class LooksUp(Honest):
    """It takes the model of the options from a table, by whatever was sent."""

    def options_for(self, given: Any) -> Any:
        return {0.1: Options, 0.2: Options}[float(given.get("rate", 0.1))]


class Overflows(Honest):
    """A validator that is not up to every number."""

    class Options(Options):
        @field_validator("rate", mode="before")
        @classmethod
        def _number(cls, value: Any) -> Any:
            return float(value) if type(value) is int else value


class NoEpochs(Honest):
    class Options(Options):
        epochs: int = Field(default=3, description="Passes over the points.")


class RandomDigest(Honest):
    def points(self, rows: Any) -> Points:
        return Points(rows, rows.sum(axis=1) > 0, hashlib.sha256(os.urandom(8)).hexdigest())


class ShortDigest(Honest):
    def points(self, rows: Any) -> Points:
        return Points(rows, rows.sum(axis=1) > 0, hashlib.md5(rows.tobytes()).hexdigest())  # noqa: S324


class CrashesWithoutData(Honest):
    def load(self, source: str, cache_dir: Path) -> Points:
        if source != "points":
            Path(source).read_text()
        return super().load("points", cache_dir)


class DigestOfTheShape(Honest):
    def points(self, rows: Any) -> Points:
        return Points(rows, rows.sum(axis=1) > 0, hashlib.sha256(str(rows.shape).encode()).hexdigest())


class DigestOfThePath(Honest):
    def load(self, source: str, cache_dir: Path) -> Points:
        loaded = super().load(source, cache_dir)
        return Points(loaded.X, loaded.y, hashlib.sha256(source.encode()).hexdigest())


class Raises(Honest):
    def epoch(self, *arguments: Any) -> Any:
        raise ZeroDivisionError("no points")


class Exits(Honest):
    def epoch(self, *arguments: Any) -> Any:
        raise SystemExit(3)


class StopsEarly(Honest):
    def train(self, options: Options, *arguments: Any, **more: Any) -> Trained:
        return super().train(options.model_copy(update={"epochs": 1}), *arguments, **more)


class NotANumber(Honest):
    def value(self, correct: Any) -> Any:
        return float("nan")


class NoNumber(Honest):
    def value(self, correct: Any) -> Any:
        return f"{correct.mean():.2f}"


class NoBools(Honest):
    def train(self, *arguments: Any, **more: Any) -> Trained:
        trained = super().train(*arguments, **more)
        return replace(trained, correct=[1 if each else 0 for each in trained.correct or ()])


class Empty(Honest):
    def artifact(self, w: Any) -> Any:
        return b""

    def pack(self, w: Any) -> Any:
        return super().artifact(w)


class Silent(Honest):
    """It diverges before the first epoch."""

    def train(self, *arguments: Any, **more: Any) -> Trained:
        return Trained(artifact=b"w", problem="it diverged")


class Percent(Honest):
    def value(self, correct: Any) -> Any:
        return float(100 * correct.mean())


class UnlistedMetric(Honest):
    def train(self, options: Options, seed: int, data: Points, *, on_epoch: Any, resume_from: Any = None) -> Trained:
        def more(value: float, checkpoint: Any) -> None:
            on_epoch(value, checkpoint, {"loss": 1.0})

        return super().train(options, seed, data, on_epoch=more, resume_from=resume_from)


class LongProblem(Honest):
    def problem(self, w: Any) -> Any:
        return "it diverged\n" * 3


class OtherCorrect(Honest):
    def value(self, correct: Any) -> Any:
        return float(correct.mean()) / 2


class Huge(Honest):
    def max_bytes(self, options: Options, digest: str) -> int:
        return 10


class TextArtifact(Honest):
    def artifact(self, w: Any) -> Any:
        return json.dumps(w.tolist())

    def pack(self, w: Any) -> Any:
        return super().artifact(w)


class Pickled(Honest):
    def artifact(self, w: Any) -> Any:
        return pickle.dumps(w)

    def pack(self, w: Any) -> Any:
        return super().artifact(w)


class RefusesItsOwn(Honest):
    def check_artifact(self, options: Options, digest: str, artifact: bytes) -> None:
        raise WeightsError("it is not safetensors")


class NoTest(Honest):
    def held_out(self, options: Options) -> int:
        return 10


class ShortTest(NoTest):
    def test(self, options: Options, data: Points, artifact: bytes) -> Evaluated:
        return Evaluated(value=1.0, correct=[True] * 9)


class OtherTest(NoTest):
    def test(self, options: Options, data: Points, artifact: bytes) -> Evaluated:
        return Evaluated(value=0.5, correct=[True] * 10)


class Unseeded(Honest):
    def start(self, seed: int) -> Any:
        import numpy as np

        return np.random.default_rng().normal(size=2)


class Remembers(Honest):
    """Each training begins where the last one ended."""

    last: ClassVar[Any] = None

    def start(self, seed: int) -> Any:
        return super().start(seed) if self.last is None else self.last

    def artifact(self, w: Any) -> Any:
        type(self).last = w
        return super().artifact(w)


class NormalizesInPlace(Honest):
    def epoch(self, w: Any, options: Options, seed: int, epoch: int, data: Points) -> Any:
        data.X /= abs(data.X).max()
        return super().epoch(w, options, seed, epoch, data)


class IgnoresSeed(Honest):
    def start(self, seed: int) -> Any:
        return super().start(0)


class Swallows(Honest):
    def train(self, options: Options, seed: int, data: Points, *, on_epoch: Any, resume_from: Any = None) -> Trained:
        def quietly(*arguments: Any) -> None:
            with contextlib.suppress(Exception):
                on_epoch(*arguments)

        return super().train(options, seed, data, on_epoch=quietly, resume_from=resume_from)


class WrapsExceptions(Honest):
    def train(self, *arguments: Any, **more: Any) -> Trained:
        try:
            return super().train(*arguments, **more)
        except WeightsError:
            raise
        except Exception as error:
            raise RuntimeError("training failed") from error


class ForgetsMomentum(Honest):
    """The state lacks what it adds up over epochs."""

    def train(self, *arguments: Any, **more: Any) -> Trained:
        self.momentum = 0.0
        return super().train(*arguments, **more)

    def epoch(self, w: Any, options: Options, seed: int, epoch: int, data: Points) -> Any:
        self.momentum = 0.9 * self.momentum + super().epoch(w, options, seed, epoch, data) - w
        return w + self.momentum


class RoundsItsArtifact(Honest):
    """The state is exact, but the artifact is not."""

    def artifact(self, w: Any) -> Any:
        return json.dumps([round(float(each), 2) for each in w]).encode()

    def pack(self, w: Any) -> Any:
        return super().artifact(w)


class CrashesOnGarbage(Honest):
    def unpack(self, state: bytes) -> Any:
        import numpy as np

        return np.array(json.loads(state), float)


class TakesAnything(Honest):
    def unpack(self, state: bytes) -> Any:
        try:
            return super().unpack(state)
        except WeightsError:
            return self.start(0)


class HashOrder(Honest):
    def start(self, seed: int) -> Any:
        return super().start(seed) * (1 + hash("a") % 1000)


class StateInMemory(Honest):
    """A state is a number under which this process keeps the weights."""

    kept: ClassVar[dict[int, Any]] = {}

    def continued(self, options: Options, longer: Options, artifact: bytes) -> None:
        return None

    def pack(self, w: Any) -> Any:
        self.kept[len(self.kept)] = w
        return json.dumps([len(self.kept) - 1, 0]).encode()

    def unpack(self, state: bytes) -> Any:
        number, _ = super().unpack(state)
        return self.kept.get(int(number), self.start(0))


class Prints(Honest):
    def epoch(self, *arguments: Any) -> Any:
        print("epoch")
        return super().epoch(*arguments)


class SeedsGlobally(Honest):
    def start(self, seed: int) -> Any:
        import numpy as np

        np.random.seed(seed)
        return np.random.normal(size=2)


class SeedsRandom(Honest):
    def start(self, seed: int) -> Any:
        random.seed(seed)
        return super().start(seed)


class LeavesAThread(Honest):
    def start(self, seed: int) -> Any:
        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
        return super().start(seed)


class Forks(Honest):
    def start(self, seed: int) -> Any:
        if os.fork() == 0:
            os._exit(0)
        return super().start(seed)
