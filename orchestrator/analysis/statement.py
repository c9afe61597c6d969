"""A claim: the result of a sweep in one small file, which anyone can check. An in-toto Statement, version 1."""

import hashlib
import itertools
import json
import math
from contextlib import suppress
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field
from pydantic_core import from_json, to_json

from nn.errors import clipped
from nn.files import JSON_TEXT, json_values, longest_text, open_regular
from nn.options.describe import first_fault
from orchestrator.analysis.leaderboard.judgement import Verdict
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import ClaimError
from orchestrator.folder.rows import Row
from orchestrator.folder.zipped import NAME
from orchestrator.sweeps.manifest import LONGEST
from orchestrator.sweeps.specification import MAX_JOBS
from worker.job import Digest, Text
from worker.text import one_line

#: The files of a sweep that every claim names.
FILES = ("sweep.json", "results.jsonl")
#: Most bytes of a claim, and most values in it: while JSON is read, each costs up to 300 bytes.
MAX_BYTES, MAX_VALUES = 2**25, 10 * MAX_JOBS
#: Most fields of an object in a claim: the options of a job have 4 kB. An unknown field costs 500 bytes, as a fault.
_MOST_FIELDS = 10_000
#: The fields of a verdict that processors round otherwise, and where they are.
_CALCULATED = {"rivals", "leader_low", "leader_high", "regret", "difference", "low", "high"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


class Subject(_Part):
    """A file that the claim is about."""

    name: str = Field(pattern=f"^{NAME}$", description="Its path in the sweep's folder.")
    digest: dict[Literal["sha256"], Digest] = Field(min_length=1)


class Predicate(_Part):
    """What is claimed."""

    sweep: dict[str, Any] = Field(
        description="The content of sweep.json: the specification with its rounds and looks, the job keys, the data "
        "set's digest, and of each session the host, the Git commit and the versions of packages."
    )
    rows: Annotated[list[dict[str, Any]], FailFast()] = Field(
        max_length=MAX_JOBS,
        description="The rows of results.jsonl in the sweep's order, without `history`. Only the first row that has "
        "`correct` keeps it: it says how many validation samples there are.",
    )
    verdict: Verdict = Field(description="Which configuration to use, by which method and at which level.")
    refuted_by: Text = Field(
        default="A file with another SHA-256, rows that lead to another verdict, or a row whose job, trained again by "
        "the same version of the trainer, ends with other weights or metrics.",
        description="What refutes the claim.",
    )


class Claim(_Part):
    """A claim: an in-toto Statement, version 1, about the files of a sweep."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[list[Subject], FailFast()] = Field(
        max_length=MAX_JOBS + len(FILES), description="The sweep's files, and those of the weights that were kept."
    )
    predicate_type: Literal["urn:seedsweep:claim:1"] = Field(alias="predicateType")
    predicate: Predicate

    @classmethod
    def of(cls, sweep: Sweep) -> Self:
        """Return what may be claimed of a sweep in its folder. The same folder gives the same claim."""
        digests = {}
        for name in FILES:
            with suppress(OSError), open_regular(sweep.folder.path / name, within=sweep.folder.real) as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        kept_by = {row.weights_sha256: sweep.jobs[row.job] for row in sweep.ended}
        for sha256, job in kept_by.items():
            if sha256 is not None and sweep.folder.weights_fault(job, sha256) is None:
                digests[f"weights/{sweep.folder.weights_path(sha256).name}"] = sha256
        counted = next((row for row in sweep.ended if row.correct is not None), None)

        def kept(row: Row) -> dict[str, Any]:
            left_out = {"history"} if row is counted else {"history", "correct"}
            return row.model_dump(mode="json", exclude=left_out, exclude_defaults=True)

        manifest, verdict = json.loads(sweep.manifest.as_text()), sweep.leaderboard.verdict
        return cls(
            _type="https://in-toto.io/Statement/v1",
            subject=[Subject(name=name, digest={"sha256": sha256}) for name, sha256 in digests.items()],
            predicateType="urn:seedsweep:claim:1",
            predicate=Predicate(sweep=manifest, rows=list(map(kept, sweep.ended)), verdict=verdict),
        )

    @classmethod
    def of_finished(cls, sweep: Sweep) -> Self:
        """Return the claim of a sweep whose verdict is final.

        Raises:
            ClaimError: a job is missing, none has a result, or the claim would be too large.
        """
        if sweep.judgement.state == "so far":
            raise ClaimError(f"The sweep {sweep.name} can be claimed once no job is to come, and none is cancelled")
        if not sweep.accounting.accepted:
            raise ClaimError(f"No job of the sweep {sweep.name} has a result: there is nothing to claim")
        return cls.read(cls.of(sweep).as_bytes())

    @classmethod
    def read(cls, stored: bytes, name: str = "This") -> Self:
        """Read a claim from untrusted JSON, which messages call by this name.

        Raises:
            ClaimError: it is not a claim, or has more values than a claim can have.
        """
        if len(stored) > MAX_BYTES or json_values(stored) > MAX_VALUES:
            raise ClaimError(f"A claim has at most {MAX_BYTES} bytes and {MAX_VALUES} values")
        try:
            if longest_text(stored) > LONGEST:
                raise ValueError("it has a text that is too long")
            # Not `json`, which takes twice the memory of what it returns.
            read = from_json(stored)
            # Readers differ in which of the two they take.
            if sum(each[1] is not None for each in JSON_TEXT.finditer(stored)) != _fields(read):
                raise ValueError("it gives a field twice")
            claim = cls.model_validate(read)
            files = claim.parts()["files"]
            if len(files) < len(claim.subject):
                raise ValueError("it names a file twice")
            if any("/" in file and sha256 not in file for file, sha256 in files.items()):
                raise ValueError("it names weights by another SHA-256 than theirs")
            return claim
        except ValueError as error:
            raise ClaimError(one_line(f"{name} is not a claim{clipped(first_fault(error), 300)}")) from None

    def as_bytes(self) -> bytes:
        """Return the content of its file."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    def parts(self) -> dict[str, Any]:
        """Return what can be compared: `files` with their SHA-256, `sweep`, `rows` and `verdict`."""
        files = {each.name: each.digest["sha256"] for each in self.subject}
        of = self.predicate
        return {"files": files, "sweep": of.sweep, "rows": of.rows, "verdict": of.verdict.model_dump(mode="json")}

    def files(self) -> dict[str, bytes]:
        """Return the content of `FILES`, as far as it is claimed: a folder of these gives the same claim."""
        # Not `json`, which writes some characters in six times the bytes.
        rows = (to_json(row) + b"\n" for row in self.predicate.rows)
        return dict(zip(FILES, (to_json(self.predicate.sweep), b"".join(rows)), strict=True))


def difference(claimed: Any, found: Any, where: str, rounding: float | None = None) -> str | None:
    """Return the first difference between two values in JSON, as a sentence; None if they are equal.

    With a `rounding`, numbers that a verdict has calculated are equal if they differ by it, or by 1e-9 of the larger.
    """
    if all(each is None or isinstance(each, (dict, list)) for each in (claimed, found)):
        told, seen = (dict(enumerate(each, 1)) if isinstance(each, list) else each or {} for each in (claimed, found))
        for name in itertools.chain(told, (name for name in seen if name not in told)):
            # A stranger's names may have megabytes.
            near = rounding if isinstance(name, int) or name in _CALCULATED else None
            differs = difference(told.get(name), seen.get(name), f"{where}: {clipped(str(name), 100)}", near)
            if differs:
                return differs
        # In a list, an empty value counts, too.
        if len(told) != len(seen) and list in map(type, (claimed, found)):
            return f"{where} has {len(told)} values in the claim, and {len(seen)} in the sweep"
        return None
    floats = isinstance(claimed, float) and isinstance(found, float)
    if claimed == found or (floats and rounding is not None and math.isclose(claimed, found, abs_tol=rounding)):
        return None
    # A list or an object as text may take many times its memory.
    kinds = {type(None): "missing", list: "a list", dict: "an object"}
    one, other = (kinds.get(type(each)) or clipped(str(each)) for each in (claimed, found))
    return f"{where} is {one} in the claim, and {other} in the sweep"


def _fields(value: Any) -> int:
    """Return how many fields all objects in JSON have; raise `ValueError` if one has more than any in a claim."""
    if isinstance(value, dict):
        if len(value) > _MOST_FIELDS:
            raise ValueError(f"an object has {len(value)} fields")
        return len(value) + sum(map(_fields, value.values()))
    return sum(map(_fields, value)) if isinstance(value, list) else 0
