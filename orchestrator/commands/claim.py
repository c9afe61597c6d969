"""`claim` and `verify-claim`: write what the results of a sweep say as a file, and check such a file of anybody.

Neither the claim nor the sweep's folder is trusted.
"""

import contextlib
import math
import os
import shlex
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nn.errors import Beside, Described, InvalidInputError, SeedsweepError, printable
from nn.files import digest, read_regular, reading, real, temporary_folder
from orchestrator.analysis.statement import FILES, MAX_BYTES, Claim, difference
from orchestrator.analysis.sweep import Sweep
from orchestrator.cluster.connect import Place
from orchestrator.commands.report import Target, Written
from orchestrator.commands.verify import DEFAULT_JOBS, WHY_NOTED, Verification, plan_verification, verify
from orchestrator.errors import ClaimError, MissingPackageError, SweepNotFoundError, SweepUnreadableError
from orchestrator.folder.results_log import lines_of
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import open_sweep
from orchestrator.folder.zipped import unpack
from orchestrator.running.retraining import Check
from orchestrator.sweeps.manifest import Manifest
from orchestrator.text import counted, have
from worker.text import one_line
from worker.trainers import registry

#: The name of a claim in a sweep's folder; what is added to it for its signature; and what ssh-keygen signs it for.
FILE, SIGNATURE, NAMESPACE = "claim.json", ".sig", "seedsweep-claim"
#: Most bytes of a signature, and of a list of signers.
_MOST_SIGNED = 2**20
_VERSION = version("seedsweep")
_CLAIM = Target("The claim", "a claim", b'{\n  "_type": "https://in-toto.io/Statement/v1"')
_SIGNATURE = Target("The signature", "a signature", b"-----BEGIN SSH SIGNATURE-----")
#: What a test found: `passed`, `warned` or `failed`; the test's name; and what it found, as a sentence.
_Finding = tuple[str, str, str]


def write_claim(folder: SweepFolder, to: Path | None = None, key: Path | None = None) -> Written:
    """Write the claim of a sweep.

    Args:
        folder: The sweep's folder.
        to: The file; None for `claim.json` in the sweep's folder. An earlier claim is replaced, any other file is not.
        key: A key of SSH, which signs it; the signature is beside the file, and ends in `.sig`.

    Raises:
        ClaimError: a job of the sweep is missing, or none has a result; or ssh-keygen does not sign.
        MissingPackageError: ssh-keygen is not installed.
        OutputError: a file cannot be written.
        SeedsweepError: the sweep cannot be read.
    """
    path = folder.path / FILE if to is None else to
    within = folder.real if to is None else real(path.parent)
    _CLAIM.check(path, within)
    beside = path.with_name(path.name + SIGNATURE)
    sweep = Sweep.read(folder)
    content = Claim.of_finished(sweep).as_bytes()
    if key is not None:
        _SIGNATURE.check(beside, within)
        signed = _ssh_keygen("sign", "-n", NAMESPACE, "-f", str(key), stdin=content)
        if signed.returncode:
            raise ClaimError(f"ssh-keygen cannot sign by {key}: {signed.stderr.decode(errors='replace').strip()}")
        _SIGNATURE.write(beside, signed.stdout, sweep, within)
    elif beside.is_file():
        # That of an earlier claim would refute this one.
        _SIGNATURE.write(beside, b"", sweep, within)
    return _CLAIM.write(path, content, sweep, within)


@dataclass(frozen=True)
class ClaimResult:
    """Whether a claim holds.

    The tests are `signature`, `files`, `sweep`, `jobs`, `looks`, `rows`, `verdict` and `training`.

    Attributes:
        claim: The claim.
        name: The name of its file.
        sha256: The SHA-256 of the file.
        passed: What each test found that the claim passed, as a sentence, by the test's name.
        warned: The same of tests that are weaker than they should be, and refute nothing.
        failed: The same of the test that refutes the claim, which is the last one.
    """

    claim: Claim
    name: str
    sha256: str
    passed: dict[str, str] = field(default_factory=dict)
    warned: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing refutes the claim."""
        return not self.failed

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if self.failed:
            return f"REFUTED: {', '.join(self.failed.values())}"
        warning = f", with a warning ({', '.join(self.warned)})" if self.warned else ""
        return one_line(f"The claim holds{warning}: {self.claim.predicate.verdict}")

    def statement(self) -> dict[str, Any]:
        """Return the result as an in-toto Statement with the predicate test-result, version 0.1."""
        notes = {"sentence": self.sentence, **self.passed, **self.warned, **self.failed}
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": self.name, "digest": {"sha256": self.sha256}}],
            "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
            "predicate": {
                "result": "FAILED" if self.failed else "WARNED" if self.warned else "PASSED",
                "configuration": [{"uri": f"pkg:pypi/seedsweep@{_VERSION}", "annotations": notes}],
                "passedTests": list(self.passed),
                "warnedTests": list(self.warned),
                "failedTests": list(self.failed),
            },
        }


def verify_claim(
    path: Path,
    place: Place,
    *,
    folder: Path | None = None,
    rebuild: bool = False,
    jobs: int | None = None,
    seed: int | None = None,
    signers: Path | None = None,
    data: str | None = None,
) -> ClaimResult:
    """Check a claim, and tell the place what is trained. Other arguments and errors: `seedsweep.verify_claim`."""
    # A folder stands for the claim in it. Not `Path.is_dir`, which raises in some Pythons if a name is too long.
    if os.path.isdir(path):  # noqa: PTH112
        if os.path.lexists(path / FILES[0]) and not os.path.lexists(path / FILE):
            command = shlex.join(["orchestrator", "claim", str(path)])
            raise ClaimError(f"The sweep {path.resolve().name} has no claim; write one with: {command}")
        path /= FILE
    if folder is not None and rebuild:
        raise InvalidInputError("folder", str(folder), Beside("--rebuild"))
    stored = _read(path, "The claim", MAX_BYTES, path.parent)
    claim = Claim.read(stored, str(path))
    if folder is None and not rebuild and not (path.parent / FILES[0]).exists():
        allowed = "the sweep's folder, or a ZIP file of it; --rebuild needs neither"
        raise InvalidInputError("folder", Described("missing"), allowed)

    def tests() -> Generator[_Finding, None, None]:
        if signers is not None:
            yield _signature(path, stored, signers)
        with _opened(path, claim, None if rebuild else folder or path.parent) as sweep:
            try:
                found = [] if rebuild else _before_changes(claim, sweep)
            except OSError as error:
                raise ClaimError(f"The claim cannot be checked: {error.strerror or error}") from None
            yield from found or _compared(claim, sweep, rebuilt=rebuild)
            here = replace(sweep, manifest=_with_data(sweep.manifest, data, place))
            count = DEFAULT_JOBS if jobs is None and not rebuild else jobs
            plan = plan_verification(sweep.folder, place, sweep=here, jobs=count, seed=seed)
            number = len(plan.jobs)
            place.tell(f"Training {number} of {counted(plan.candidates, 'job')} {plan.place.describe(number)}")
            yield _training(verify(plan, tell=place.tell, checked=lambda each: place.tell(_told(plan, each))))

    result = ClaimResult(claim, path.name, digest(stored))
    with contextlib.closing(tests()) as findings:
        for outcome, test, sentence in findings:
            getattr(result, outcome)[test] = one_line(sentence)
            if result.failed:
                break
    return result


@contextlib.contextmanager
def _opened(path: Path, claim: Claim, source: Path | None) -> Iterator[Sweep]:
    """Yield the sweep in a folder or a ZIP file, or without a source, that of the claim's own rows.

    All three are read by the reader of folders, which trusts none.
    """
    with temporary_folder() as made:
        if source is not None and not os.path.isfile(source):  # noqa: PTH113 (as above)
            folder = open_sweep(str(source.absolute()), source.parent)
        else:
            folder = SweepFolder(made, "sweep")
            folder.path.mkdir()
            if source is not None:
                unpack(source, folder.path)
            for name, content in (claim.files() if source is None else {}).items():
                (folder.path / name).write_bytes(content)
        try:
            sweep = Sweep.read(folder)
        except (SweepNotFoundError, SweepUnreadableError, InvalidInputError) as error:
            # A field of the sweep has no flag here.
            of = f"{folder.path / FILES[0]} does not describe a sweep: " if isinstance(error, InvalidInputError) else ""
            raise ClaimError(
                printable(f"{of}{error}").replace(printable(str(folder.path)), str(source or path))
            ) from None
        yield sweep


def _signature(path: Path, stored: bytes, signers: Path) -> _Finding:
    beside = path.with_name(path.name + SIGNATURE)
    _read(signers, "The list of signers", _MOST_SIGNED)
    # A copy, because others may exchange the file meanwhile.
    with os.fdopen(os.memfd_create("signature"), "wb") as copy:
        copy.write(_read(beside, "The signature", _MOST_SIGNED, path.parent))
        copy.flush()
        by = ("-f", str(signers), "-s", f"/proc/{os.getpid()}/fd/{copy.fileno()}")
        signer = _ssh_keygen("find-principals", *by).stdout.decode(errors="replace").partition("\n")[0]
        words = ("-I", signer.partition(",")[0], "-n", NAMESPACE)
        if signer and not _ssh_keygen("verify", *by, *words, stdin=stored).returncode:
            return "passed", "signature", f"the signature is by {signer}"
        # A key that is listed for another purpose does not refute what it signed.
        if not signer or not _ssh_keygen("check-novalidate", "-n", NAMESPACE, *by[2:], stdin=stored).returncode:
            raise ClaimError(f"The signature {beside} is not by a key that {signers} lists for {NAMESPACE}")
    return "failed", "signature", f"the signature names the key of {signer}, and is not a valid one of this claim"


def _before_changes(claim: Claim, sweep: Sweep) -> list[_Finding]:
    """Return what is found of the sweep as it was before its weights were pruned, if the claim is true of that.

    The files of the claim's time are made again from the lines of now, and must have the SHA-256 of the claim. The list
    is empty if nothing else changed, or the claim was untrue: that is to be refuted. If the claim was true before the
    sweep went on, `ClaimError` says so.
    """
    findings: list[_Finding] = []
    is_true, now = False, sweep.manifest
    with contextlib.suppress(SeedsweepError, ValueError), temporary_folder() as made:
        then, path = Manifest.read(claim.files()[FILES[0]]), made / "sweep"
        if now == then or not now.goes_on(then):
            return []
        path.mkdir()
        (path / FILES[0]).write_text(then.as_text())
        # Lines of no job stay when weights are pruned.
        lines = lines_of(sweep.folder.path / FILES[1], (then.known_jobs | {""}).__contains__, sweep.folder.real)
        with (path / FILES[1]).open("wb") as file:
            file.writelines(lines)
        folder = SweepFolder(path.parent, path.name, sweep.folder.weights_folder)
        earlier, further = Sweep.read(folder), now.looks[len(then.looks) :]
        findings += _compared(claim, earlier, rebuilt=False)
        is_true = (
            now.provenance == then.provenance
            and now.resumed[: len(then.resumed)] == then.resumed
            and now.looks[: len(then.looks)] == then.looks
            # A claim must not hide what was seen before: that comes first. After `undo`, later looks see fewer rows.
            and all(each.rows >= earlier.accounting.accepted for each in further[:1])
            and all(outcome != "failed" for outcome, _, _ in findings)
        )
    if not is_true:
        return []
    changed = [name for name in Manifest.model_fields if getattr(now, name) != getattr(then, name)]
    if changed == ["keep_weights"]:
        return findings
    what = f"the rows of its {len(claim.predicate.rows)} jobs are unchanged; not so in {FILES[0]}: {', '.join(changed)}"
    advice = "orchestrator claim writes a new claim, and --rebuild checks this one alone"
    raise ClaimError(f"The sweep has changed since the claim: {what}; {advice}")


def _compared(claim: Claim, sweep: Sweep, *, rebuilt: bool) -> Iterator[_Finding]:
    """Yield whether the sweep here is one, and how the claim differs from the one that is made of it again.

    The caller stops at the first test that fails.
    """
    manifest = sweep.manifest
    if list(sweep.jobs) != manifest.jobs:
        by = manifest.provenance.packages.get("seedsweep"), manifest.provenance.trainer_package
        if by != (_VERSION, registry.package(manifest.specification.trainer)):
            raise ClaimError(f"The claim is by seedsweep {by[0]} and the trainer of {by[1]}: install these to check it")
        yield "failed", "jobs", "the specification and the data set give other jobs than are listed"
    elif left := len(sweep.jobs) - len(sweep.rows):
        yield "failed", "jobs", f"{have(left, 'job')} no row, or an impossible one"
    yield "passed", "jobs", f"the specification gives {counted(len(sweep.jobs), 'job')}, each with a row"
    if manifest.rounds and not manifest.looks:
        yield "warned", "looks", "the sweep was extended, and lists no look: its verdict may be too sure"
    told, found = claim.parts(), Claim.of(sweep).parts()
    # Weights may have been removed: they can be trained again.
    place = sweep.folder.weights_folder.parent
    gone = {name for name in told["files"] if name not in FILES and not os.path.lexists(place / name)}
    told["files"] = {name: sha256 for name, sha256 in told["files"].items() if name not in gone}
    found["files"] = {name: found["files"].get(name) for name in (*FILES, *told["files"])}
    missing = f"; {counted(len(gone), 'weights file')} missing" if gone else ""
    jobless = {Path(name).stem for name in gone} - {row.weights_sha256 for row in sweep.rows.values()}
    same = {
        "files": f"{counted(len(told['files']), 'file')} of the claim unchanged{missing}",
        "sweep": "specification, rounds, looks and data set are those of the claim",
        "rows": f"{counted(len(sweep.rows), 'row')} say what the claim says",
        "verdict": f"the rows lead to this verdict, by the method {found['verdict']['method']}",
    }
    # Other processors round otherwise what follows from the rows; a difference may be 0 on one of them.
    leader = sweep.judgement.leader
    rounding = 1e-12 * max(map(abs, leader.trained.values()), default=0.0) if leader else 0.0
    for test in list(same)[rebuilt:]:
        differs = difference(told[test], found[test], test, rounding if test == "verdict" else None)
        if differs and test == "files":
            differs += "; a sweep that went on since needs a new claim"
        elif jobless and test == "files":
            differs = f"files: {counted(len(jobless), 'file')} missing whose weights no job has"
        yield ("failed", test, differs) if differs else ("passed", test, same[test])


def _told(plan: Verification, check: Check) -> str:
    name, first = plan.sweep.names.job(check.seed, check.options), next(iter((*check.differences, *check.noted)), None)
    return f"{name}: {'the same' if first is None else f'{first.what} was {first.kept}, and is {first.again}'}"


def _training(done: Verification) -> _Finding:
    trained = [each for each in done.checks if each.worker is not None]
    drawn = f"of {len(trained)} jobs that were trained again (of {done.candidates}, by --seed {done.seed})"
    different = [each for each in trained if each.differences]
    if different:
        return "failed", "training", f"{len(different)} {drawn} differ: {_told(done, different[0])}"
    for each in done.checks:
        if each.worker is None:
            raise ClaimError(f"The claim cannot be checked here: {_told(done, each)}")
    if not done.noted:
        return "passed", "training", f"0 {drawn} differ: {power(len(done.checks), done.candidates)}"
    told = f"{len(done.noted)} {drawn} differ, {done.gap}"
    return "warned", "training", f"{told}, which refutes nothing: {WHY_NOTED}"


def power(trained: int, candidates: int) -> str:
    """Return what follows for all rows with a result if no job that was drawn and trained again differs."""
    if trained == candidates:
        return "every row with a result is true"
    share = math.ceil(100 * (1 - 0.05 ** (1 / trained)))
    return f"with 95 % confidence, fewer than {share} % of the rows with a result are false"


def _with_data(manifest: Manifest, data: str | None, place: Place) -> Manifest:
    """Return the manifest with the data set of this machine: no path of a claim or a folder is opened."""
    specification = manifest.specification
    trainer = specification.trained_by
    own = specification.data if specification.data in trainer.datasets else place.settings.data
    if data is None and own is None:
        raise InvalidInputError("data", Described("missing"), "the path of the data set on this machine")
    specification = specification.model_copy(update={"data": registry.source(trainer, data or str(own))})
    return manifest.model_copy(update={"specification": specification, "keep_weights": "none"})


def _read(path: Path, what: str, most: int, folder: Path | None = None) -> bytes:
    """Return the content of a file, unless it is in a folder that may be a stranger's, and a link leads out of it."""
    with reading(f"{what} {path}", ClaimError):
        return read_regular(path, most, None if folder is None else real(folder))


def _ssh_keygen(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", *words], input=stdin, capture_output=True, check=False)
    except FileNotFoundError:
        raise MissingPackageError("Signatures need the program ssh-keygen, of OpenSSH 8.2 or later") from None
