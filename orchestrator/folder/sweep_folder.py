"""The folder of a sweep: `sweep.json`, `results.jsonl`, the leaderboard, and `weights/<sha256>.safetensors`.

A trainer's artifact in another format is `weights/<sha256>.bin`.

`results.jsonl` is an append-only log while the sweep runs. At the end of the sweep it is sorted into the sweep's order;
rows of jobs that `undo` has withdrawn come last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shlex
import shutil
import stat
import tempfile
from collections.abc import Collection, Hashable, Iterator, Mapping
from itertools import chain, takewhile
from pathlib import Path

from pydantic import ValidationError

from nn.errors import SeedsweepError, WeightsError
from nn.files import (
    anchored,
    identity,
    is_private,
    json_values,
    open_regular,
    path_of,
    read_regular,
    reading,
    real,
    refuse_elsewhere,
    remove_empty,
    remove_stale,
    sync_folder,
    temporary_folder,
    through,
    write_atomically,
)
from nn.options.describe import first_fault
from orchestrator.errors import (
    HeldOutError,
    OutputError,
    SweepBusyError,
    SweepExistsError,
    SweepNotFoundError,
    SweepUnreadableError,
)
from orchestrator.folder.locks import holder, locks
from orchestrator.folder.reading import FILE, READING_BYTES, READING_VALUES, Reading
from orchestrator.folder.results_log import append_rows, cut_torn_line, lines_of, read_rows
from orchestrator.folder.rows import Row, check_weights
from orchestrator.sweeps.manifest import Manifest
from orchestrator.sweeps.naming import check_name
from orchestrator.text import counted, moment
from worker.errors import TrainerUnusableError
from worker.job import Job
from worker.redis import limits
from worker.trainers.registry import DIGEST

#: Most bytes of a job's log that are read: twice those that a worker keeps.
MAX_LOG = 2**21
_SAFETENSORS, _OTHERS = ".safetensors", ".bin"
_WEIGHTS = "weights"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
#: How the name of a folder ends that is being made or removed.
UNFINISHED = ".seedsweep.new"


class SweepFolder:
    """The folder of one sweep. Reading needs no lock; a process that writes holds `exclusive()`.

    Every method that writes raises `OutputError` if it cannot, and every one that reads rows raises
    `SweepUnreadableError` if `results.jsonl` exists and cannot be read.

    Attributes:
        known: The keys of the jobs that the sweep has or has had, by the `sweep.json` that was last read or written.
        weights_folder: The folder of the weights: the argument `weights`, or `weights` in this folder.
    """

    def __init__(self, output: Path, name: str, weights: Path | None = None, found: Path | None = None) -> None:
        # From a folder that is missing, `..` leads nowhere.
        self.path = (output if os.path.lexists(output) else Path(os.path.normpath(output))) / check_name(name)
        self._real = found or real(self.path)
        self.name = name
        self.logs = self.path / "logs"
        self.weights_folder = weights or self.path / _WEIGHTS
        self._around_weights = None if weights is None else real(weights.parent)
        self._results = self.path / "results.jsonl"
        self._description = self.path / "sweep.json"
        self._reading = self.path / FILE
        self._damaged = 0
        #: `sweep.json` and the rows of some jobs as they were last read, each after what tells that they are the same.
        self._last_manifest: tuple[Hashable, Manifest] | None = None
        self._last_rows: tuple[Hashable, dict[str, Row]] | None = None
        self.known: frozenset[str] = frozenset()
        #: The descriptor of the folder, while this process has locked it.
        self._held: int | None = None
        #: The folder that had the path first, or the nearest one above; what takes its place is left alone.
        self._nearest = next(each for each in (self._real, *self._real.parents) if os.path.lexists(each))
        self._first = identity(self._nearest)

    @property
    def real(self) -> Path:
        """Its path without links: as it was found first, or of the folder that this process has locked, as it is now.

        Nothing is read or written elsewhere, whatever takes the folder's place.
        """
        return self._real if self._held is None else path_of(self._held, self.path)

    def exists(self) -> bool:
        """Return whether the name is taken, by a sweep or by anything else."""
        return os.path.lexists(self.path)

    def refuse_existing(self) -> None:
        """Raise `SweepExistsError` if the name is taken."""
        if not self.exists():
            return
        if not os.path.lexists(self._description):
            raise SweepExistsError(f"{self.absence()}; choose another --name, or move it away")
        raise SweepExistsError(
            f"A sweep named {self.name} exists in {self.path.parent}: choose another --name, or go on with it by "
            "--resume"
        )

    def absence(self) -> str:
        """Return a sentence that says what is there instead of a sweep."""
        if self.path.is_dir():
            return f"There is no sweep in {self.path}: the folder has no sweep.json"
        kind = "a file" if self.path.is_file() else "not a folder"
        return f"There is no sweep in {self.path}: it is {kind}"

    def _make(self, description: str) -> int:
        """Make the folder with a `sweep.json` and an empty folder `weights`, locked: completely or not at all.

        It is made and locked under another name, and renamed at the end: if this process is killed before that, the
        path stays free. On an error before that, neither it nor any new folder above it is left behind. Nothing is made
        elsewhere, whatever is exchanged.
        """
        self.refuse_existing()
        with contextlib.ExitStack() as held, contextlib.ExitStack() as undo:
            folder, above = held.enter_context(anchored(self._nearest, self._nearest)), []
            if identity(folder) != self._first:
                raise OSError(errno.ESTALE, "a folder above was replaced")
            for each in reversed([*takewhile(self._nearest.__ne__, self._real.parents)]):
                # `mkdir(parents=True)` leaves the upper folders behind when a lower one cannot be made.
                with contextlib.suppress(FileExistsError):
                    (folder / each.name).mkdir()
                    undo.callback(remove_empty, folder / each.name)
                above.append(folder)
                folder = held.enter_context(anchored(folder / each.name))
            remove_stale(folder, pattern=f".*{UNFINISHED}", remove=shutil.rmtree)
            with temporary_folder(folder / f".{self._real.name}.{secrets.token_hex(4)}{UNFINISHED}") as hidden:
                made = hidden / self._real.name
                (made / _WEIGHTS).mkdir(parents=True)
                write_atomically(made / "sweep.json", lambda file: file.write(description.encode()))
                # Weights are read by their whole path, which may be too long.
                with contextlib.suppress(FileNotFoundError):
                    (self.path / _WEIGHTS / f"{64 * '0'}{_SAFETENSORS}").lstat()
                found, descriptor = identity(made), os.open(made, _FOLDER)
                undo.callback(os.close, descriptor)
                self._lock(descriptor)
                try:
                    made.rename(folder / self._real.name)
                except OSError:
                    # Another process may have taken the name in the meantime.
                    self.refuse_existing()
                    raise
            for each in (folder, *above):
                sync_folder(each)
            undo.pop_all()
        self._nearest, self._first = self._real, found
        return descriptor

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = f"Another process is running the sweep {self.name} in {self.path}{self._holder()}"
            raise SweepBusyError(f"{told}; orchestrator watch {shlex.quote(str(self.path))} follows it") from None
        except OSError:
            pass  # This file system has no locks.

    def check_writable(self) -> None:
        """Check that the folder can be made. Leaves nothing behind."""
        with self._telling(), tempfile.TemporaryFile(dir=self._nearest):
            pass

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `sweep.json`."""
        self.keep(self._description.name, manifest.as_text())
        self.known = manifest.known_jobs

    def manifest(self) -> Manifest:
        """Read `sweep.json`.

        Raises:
            SweepNotFoundError: there is no such file, or it does not describe a sweep.
            TrainerMissingError: the sweep's trainer is not installed here.
            SweepUnreadableError: the file cannot be read, or a link leads out of the folder.
        """
        try:
            # A stranger's folder must not show another sweep of its reader as its own.
            for file in (self._description, self._results, self.weights_folder, self._reading):
                if file.is_symlink() and file.exists() and not real(file).is_relative_to(real(file.parent)):
                    raise OSError(errno.ELOOP, "A link out of its folder")
            file, now = self._description, identity(self._description, content=True)
            self.refuse_other(self.path)
            if self._last_manifest is None or self._last_manifest[0] != now:
                self._last_manifest = now, Manifest.read(read_regular(file, limits.MANIFEST, self.real))
            manifest = self._last_manifest[1]
        except OSError as error:
            if self.exists() and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise SweepNotFoundError(self.absence()) from None
            if isinstance(error, FileNotFoundError):
                raise SweepNotFoundError(f"There is no sweep named {self.name} in {self.path.parent}") from None
            raise SweepUnreadableError(file, error) from None
        except ValueError as error:
            raise SweepNotFoundError(f"{file} does not describe a sweep{first_fault(error)}") from None
        self.known = manifest.known_jobs
        return manifest

    @contextlib.contextmanager
    def exclusive(self, new: Manifest | None = None, *, prepare: bool = True) -> Iterator[None]:
        """Hold the folder's lock while the block runs.

        Args:
            new: What the folder is made for; None for one that exists.
            prepare: Whether to prepare the folder for writing to its files; otherwise, nothing in it changes.

        Raises:
            SweepExistsError: the name of a new folder is taken.
            SweepBusyError: another process holds the lock.
            SweepNotFoundError: the folder has no `sweep.json`.
            OutputError: also if a file of the folder is a link or of the wrong kind.
        """
        # The folder itself is locked: no lock file is left behind, and the lock ends with its process, even by SIGKILL.
        with self._telling():
            descriptor, owner = os.open(self.path, _FOLDER) if new is None else self._make(new.as_text()), os.getpid()
        try:
            with self._telling():
                refuse_elsewhere(descriptor, self.path, self._real)
                self.refuse_other(through(descriptor, self.path))
            self._lock(descriptor)
            self._held = descriptor
            if not os.path.lexists(through(descriptor, self.path) / self._description.name):
                raise SweepNotFoundError(self.absence())
            if prepare:
                self._prepare()
            yield
        finally:
            self._held = None
            # A process that was forked meanwhile has the lock, too: it neither keeps nor ends it.
            if os.getpid() == owner:
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def refuse_other(self, folder: Path) -> None:
        """Raise `OSError` if this is another folder than the one that had the path first."""
        if self._nearest == self._real and identity(folder) not in (None, self._first):
            raise OSError(errno.ESTALE, "something else has taken its name")

    def _prepare(self) -> None:
        with self.writing() as folder:
            self._refuse_links()
            # A user may have removed the weights to save space.
            (folder / _WEIGHTS).mkdir(exist_ok=True)
            sync_folder(folder)
            cut_torn_line(folder / self._results.name)
            # It is of a session that was killed: nothing goes on.
            (folder / "progress.json").unlink(missing_ok=True)

    def check_held(self) -> None:
        """Raise `OutputError` if the folder that this process has locked was removed or replaced since."""
        if self._held is None:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._held), self.path.stat()):
                return
        raise OutputError(f"The folder {self.path} was moved or removed while the sweep ran")

    def _holder(self) -> str:
        """Return who holds the lock, as the end of a sentence: the process of the sweep's last session, or another."""
        try:
            manifest = self.manifest()
        except SeedsweepError:
            return ""
        last = (manifest.resumed or [manifest.provenance])[-1]
        # Whoever can read the folder can lock it.
        found = holder(self.path, locks())
        if found and found != last.pid:
            return f": process {found} of this host has locked it"
        return "" if last.pid is None else f": process {last.pid} on {last.host}, since {moment(last.created)}"

    def _refuse_links(self) -> None:
        """Refuse links: in an untrusted folder, they could make a sweep overwrite any file of its user."""
        for path, is_right, kind in (
            (self._description, stat.S_ISREG, "regular file"),
            (self._results, stat.S_ISREG, "regular file"),
            (self.weights_folder, stat.S_ISDIR, "folder"),
            (self.logs, stat.S_ISDIR, "folder"),
        ):
            with contextlib.suppress(FileNotFoundError):
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    raise OutputError(f"{path} is a symbolic link; a sweep writes only inside its own folder")
                if not is_right(mode):
                    raise OutputError(f"{path} is not a {kind}: move it away to go on with the sweep")

    def rows(self, jobs: Mapping[str, Job]) -> Mapping[str, Row]:
        """Return the rows of `results.jsonl` under the keys of these jobs; without such a file, none."""
        rows, self._damaged = read_rows(self._results, jobs, self.known, self.real)
        return rows

    def rows_of(self, jobs: Mapping[str, Job]) -> dict[str, Row]:
        """Return the rows of these jobs, by key, with all options; a row that contradicts its job is ignored."""
        now = identity(self._results, content=True), frozenset(jobs)
        if self._last_rows is None or self._last_rows[0] != now:
            rows = self.rows(jobs)
            whole = {key: whole for key, row in rows.items() if (whole := row.of(jobs[key]))}
            self._damaged += len(rows) - len(whole)
            self._last_rows = now, whole
        return dict(self._last_rows[1])

    @property
    def damage(self) -> str | None:
        """A sentence about the complete lines that were skipped when rows were last read; None if there were none."""
        if not self._damaged:
            return None
        lines, verb = counted(self._damaged, "line"), "is" if self._damaged == 1 else "are"
        return f"{lines} of {self._results} {verb} damaged or of another sweep, and {verb} not read"

    def append(self, *rows: Row) -> None:
        """Append rows to `results.jsonl`. Once this returns, they and their weights survive a power cut."""
        with self.writing() as folder:
            if any(map(self.holds, rows)):
                sync_folder(self.weights_folder)
            append_rows(folder / self._results.name, rows)

    def drop_rows(self, keys: Collection[str]) -> None:
        """Remove the rows of these jobs, which wait again. The caller holds `exclusive()`."""
        with self.writing() as folder:
            lines = lines_of(self._results, lambda job: job not in keys, self.real)
            write_atomically(folder / self._results.name, lambda file: file.writelines(lines))

    def weights_path(self, sha256: str) -> Path:
        """Return the path of the weights with this hash; if there are none, the path for safetensors.

        Raises:
            WeightsError: the text is not a SHA-256.
        """
        if not DIGEST.fullmatch(sha256):
            raise WeightsError(f"{sha256!r} is not a SHA-256")
        paths = [self.weights_folder / f"{sha256}{suffix}" for suffix in (_SAFETENSORS, _OTHERS)]
        return next((path for path in paths if os.path.lexists(path)), paths[0])

    def holds(self, row: Row) -> bool:
        """Return whether there is a file for a row's weights, whatever it contains."""
        return row.weights_sha256 is not None and os.path.lexists(self.weights_path(row.weights_sha256))

    def has_weights(self, job: Job, row: Row, *, bare: bool = False) -> bool:
        """Return whether a row's weights are there, and are such as its job trains to.

        If the row may be `bare`, it is enough that it has a result, and that its weights are not there.
        """
        if bare and row.accepted and not self.holds(row):
            return True
        with contextlib.suppress(WeightsError, TrainerUnusableError):
            check_weights(job, row.status, self.weights(job, str(row.weights_sha256)))
            return True
        return False

    def weights_fault(self, job: Job, sha256: str) -> str | None:
        """Return `missing`, `damaged` or `unreadable` with the reason in brackets; None if the weights are whole."""
        try:
            # At most what the job can need: the folder may be untrusted.
            with open_regular(self.weights_path(sha256), job.max_bytes, self._around_weights or self.real) as file:
                return None if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else "damaged"
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except OSError as error:
            is_closed = isinstance(error, PermissionError) or error.errno == errno.ELOOP
            return f"unreadable ({error.strerror})" if is_closed else "damaged"

    def weights(self, job: Job, sha256: str) -> bytes:
        """Read the weights of a job.

        Raises:
            WeightsError: they are missing or damaged, or cannot be read.
        """
        path = self.weights_path(sha256)
        with reading(path, WeightsError):
            blob = read_regular(path, job.max_bytes, self._around_weights or self.real)
        if hashlib.sha256(blob).hexdigest() != sha256:
            raise WeightsError(f"{path} is damaged")
        return blob

    def keep_weights(self, sha256: str, blob: bytes, *, sync: bool = True) -> None:
        """Write weights: the whole file or nothing. Without `sync`, their name is on disk after the next `append`.

        Raises:
            WeightsError: the blob has another hash.
        """
        found = hashlib.sha256(blob).hexdigest()
        if found != sha256:
            raise WeightsError(f"These are not the weights {sha256}: their SHA-256 is {found}")
        # Safetensors begin with the length of their JSON header.
        is_safetensors = 2 <= int.from_bytes(blob[:8], "little") <= len(blob) - 8 and blob[8:9] == b"{"
        suffix = _SAFETENSORS if is_safetensors else _OTHERS
        path = self.weights_path(sha256)
        self.keep((path if os.path.lexists(path) else path.with_suffix(suffix)).name, blob, _WEIGHTS, sync=sync)

    def drop_weights(self, sha256: str) -> None:
        """Remove the weights with this hash."""
        path = self.weights_path(sha256)
        with self.writing(_WEIGHTS) as folder:
            (folder / path.name).unlink(missing_ok=True)

    def take_weights(self, other: SweepFolder, job: Job, sha256: str) -> None:
        """Copy a job's weights from another sweep, or link them if that is possible. The caller has checked them.

        Raises:
            WeightsError: they are no longer there, or no longer the same.
        """
        if self.weights_fault(job, sha256) is None:
            return
        source, target = other.weights_path(sha256), self.weights_path(sha256)
        if not os.path.lexists(target):
            target = target.with_name(source.name)
        with contextlib.suppress(OSError, OutputError), open_regular(source, within=other.real) as file:
            opened = file.fileno()
            # What others can write, they could change later. With a descriptor, though the path is absolute, Python's
            # call follows the link of /proc: a hard link to a symbolic link would be a symbolic link.
            if is_private(through(opened, source)):
                with self.writing(_WEIGHTS) as folder:
                    os.link(through(opened, source), folder / target.name, src_dir_fd=opened)
                return
        self.keep_weights(sha256, other.weights(job, sha256), sync=False)

    def keep_log(self, key: str, text: str) -> None:
        """Write the log of a job."""
        with self.writing() as folder:
            (folder / self.logs.name).mkdir(exist_ok=True)
        self.keep(f"{key}.log", text, self.logs.name)

    def log(self, key: str) -> str | None:
        """Return a job's log; None if there is none, it cannot be read, or it is a link out of the folder."""
        with contextlib.suppress(OSError):
            return read_regular(self.logs / f"{key}.log", MAX_LOG, self.real).decode(errors="replace")
        return None

    def reading(self, jobs: int) -> Reading | None:
        """Return the record that the test split was read; None if it was not.

        Args:
            jobs: How many jobs the sweep has had.

        Raises:
            HeldOutError: there is a record, and it is damaged or cannot be read: the split counts as read.
        """
        if not os.path.lexists(self._reading):
            return None
        try:
            stored = read_regular(self._reading, READING_BYTES * (jobs + 500), self.real)
            if json_values(stored) > READING_VALUES * (jobs + 500):
                raise OSError(errno.EFBIG, "it has too many values")
            return Reading.model_validate_json(stored)
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else f"it is invalid{first_fault(error)}"
            told = f"The test split was read before, and the record of that, {self._reading}, cannot be read"
            raise HeldOutError(f"{told}: {why}") from None

    def finish(self, rows: Mapping[str, Row], order: list[str], leaderboard_csv: str, leaderboard_json: str) -> None:
        """Sort the results into the sweep's order, and write the leaderboard. The caller holds `exclusive()`.

        What `undo` has withdrawn stays, behind them.

        Args:
            rows: The rows, by job key.
            order: The sweep's job keys.
            leaderboard_csv: The content of `leaderboard.csv`.
            leaderboard_json: The content of `leaderboard.json`.
        """
        with self.writing() as folder:
            # Line by line: all of them may be more than there is memory for.
            lines = (rows[key].line().encode() for key in order if key in rows)
            withdrawn = self.known - set(order)
            others = lines_of(self._results, withdrawn.__contains__, self.real) if withdrawn else ()
            write_atomically(folder / self._results.name, lambda file: file.writelines(chain(lines, others)))
        self.keep("leaderboard.csv", leaderboard_csv)
        self.keep("leaderboard.json", leaderboard_json)
        # This process holds the lock, so any temporary file was left by a process that was killed.
        for each in ("", _WEIGHTS):
            with contextlib.suppress(OutputError), self.writing(each) as folder:
                remove_stale(folder, 0.0)
        with self.writing() as folder:
            remove_empty(folder / self.logs.name)

    def keep(self, name: str, content: str | bytes, within: str = "", *, sync: bool = True) -> None:
        """Write a file of the sweep, such as its note, or one in the folder `within` its own."""
        data = content if isinstance(content, bytes) else content.encode()
        with self.writing(within) as folder:
            write_atomically(folder / name, lambda file: file.write(data), sync=sync)

    @contextlib.contextmanager
    def writing(self, name: str = "") -> Iterator[Path]:
        """Yield a path of the sweep's folder, or of a folder in it, that stays this folder, whatever takes its name.

        Raises:
            OutputError: something cannot be written in the block.
            SweepNotFoundError: the folder has no `sweep.json`.
        """
        self.check_held()
        with self._telling(), contextlib.ExitStack() as stack:
            if self._held is None:
                folder = stack.enter_context(anchored(self.path, self._real))
                self.refuse_other(folder)
                if not os.path.lexists(folder / self._description.name):
                    raise SweepNotFoundError(self.absence())
            else:
                folder = through(self._held, self.path)
            yield stack.enter_context(anchored(folder / name)) if name else folder

    def move(self, name: str) -> bool:
        """Rename the folder that this process has locked, and nothing else; return whether that is a link to it."""
        with self.writing() as own, anchored(self.path.parent, real(self.path.parent)) as output:
            locked = own.stat()
            moved = (output / self.path.name).rename(output / name)
            if not os.path.samestat(locked, moved.stat()):
                moved.rename(output / self.path.name)
                raise OSError(errno.ESTALE, "something else has taken its name")
            return not os.path.samestat(locked, moved.lstat())

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"The output folder {self.path} cannot be written: {error.strerror or error}") from None
