"""A sweep's folder: `sweep.json`, `results.jsonl`, the leaderboard, and `weights/<sha256>.safetensors`.

`results.jsonl` is a log while the sweep runs. When the sweep ends it is put into the sweep's order.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from nn import weights
from nn.errors import WeightsError
from nn.files import open_regular, read_regular, remove_stale, write_atomically
from orchestrator.errors import OutputError, SweepBusyError, SweepExistsError, SweepNotFoundError
from orchestrator.folder import create as new_folder
from orchestrator.folder.results_log import ResultsLog
from orchestrator.folder.rows import Row
from orchestrator.sweeps.manifest import MAX_MANIFEST_BYTES, Manifest, check_name
from worker.job import Job

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class SweepFolder:
    """The folder of one sweep. Reading needs no lock; whoever writes holds `exclusive()`."""

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / check_name(name)
        self.name = name
        self._weights = self.path / "weights"
        self._results = self.path / "results.jsonl"
        self._log = ResultsLog(self._results)
        self._description = self.path / "sweep.json"

    def exists(self) -> bool:
        """Whether anything has this name."""
        return os.path.lexists(self.path)

    def refuse_existing(self) -> None:
        """Raise `SweepExistsError` if the name is taken."""
        if not self.exists():
            return
        if not os.path.lexists(self._description):
            raise SweepExistsError(f"{self._no_sweep()}: choose another --name, or move it away")
        raise SweepExistsError(f"A sweep named {self.name} exists in {self.path.parent}: choose another --name, "
                               f"or go on with it by --resume")  # fmt: skip

    def _no_sweep(self) -> str:
        """Say what is in the place of a sweep's folder."""
        if self.path.is_dir():
            return f"The folder {self.path} is not a sweep's (it has no sweep.json)"
        kind = "a file" if self.path.is_file() else "in the place of a folder"
        return f"{self.path} is {kind}, and not a sweep's folder"

    def create(self, manifest: Manifest) -> None:
        """Make the folder and write `sweep.json`.

        Raises:
            SweepExistsError: the name is taken.
            OutputError: the folder cannot be written; nothing of the sweep is left behind.
        """
        self.refuse_existing()
        try:
            with self._writing():
                new_folder.make(self.path, manifest.as_text())
        except OutputError:
            # Somebody else may have taken the name meanwhile.
            self.refuse_existing()
            raise

    def check_writable(self) -> None:
        """Find out whether the folder can be made, without leaving anything.

        Raises:
            OutputError: it cannot.
        """
        with self._writing():
            nearest = next(parent for parent in self.path.absolute().parents if os.path.lexists(parent))
            with tempfile.TemporaryFile(dir=nearest):
                pass

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `sweep.json`."""
        self._write(self._description, manifest.as_text())

    def manifest(self) -> Manifest:
        """Read `sweep.json`.

        Raises:
            SweepNotFoundError: there is none, or it is not one.
        """
        file = self._description
        try:
            return Manifest.model_validate_json(read_regular(file, MAX_MANIFEST_BYTES))
        except OSError as error:
            if self.exists() and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise SweepNotFoundError(self._no_sweep()) from None
            if isinstance(error, FileNotFoundError):
                raise SweepNotFoundError(f"There is no sweep named {self.name} in {self.path.parent}") from None
            raise SweepNotFoundError(f"{file} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "".join(f" at {part}" for part in first["loc"][:2])[:80]
            raise SweepNotFoundError(f"{file} is not a sweep's description{where}: {first['msg']}") from None

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other orchestrators out while this one writes, and see to it that it can.

        Raises:
            SweepBusyError: another process writes to this folder.
            OutputError: the folder cannot be opened, its results cannot be written, or something in it leads elsewhere.
        """
        # A lock on the folder itself: it leaves no file behind, and ends with its process however that ends.
        with self._writing():
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SweepBusyError(f"Another process is running the sweep {self.name} in {self.path}") from None
            except OSError:
                pass  # a file system without locks
            with self._writing():
                self._refuse_what_leads_elsewhere()
                # Somebody may have removed it, to save space: the jobs are trained again.
                self._weights.mkdir(exist_ok=True)
                self._log.cut_torn_line()
            yield
        finally:
            os.close(descriptor)

    def _refuse_what_leads_elsewhere(self) -> None:
        """Refuse links: the folder may be from somebody else, and what they point to is not the sweep's to change."""
        for path, is_right, kind in (
            (self._description, stat.S_ISREG, "regular file"),
            (self._results, stat.S_ISREG, "regular file"),
            (self._weights, stat.S_ISDIR, "folder"),
        ):
            with contextlib.suppress(FileNotFoundError):
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    raise OutputError(f"{path} is a symbolic link: a sweep writes to nothing outside its own folder")
                if not is_right(mode):
                    raise OutputError(f"{path} is not a {kind}: move it away, and the sweep can go on")

    def rows(self) -> dict[str, Row]:
        """Read `results.jsonl`: the rows by job key."""
        return self._log.rows()

    def rows_of(self, jobs: Mapping[str, Job]) -> dict[str, Row]:
        """Read the rows of these jobs; one that says something else of its job counts as absent."""
        return {key: row for key, row in self.rows().items() if key in jobs and row.is_of(jobs[key])}

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of `results.jsonl`; none if it cannot be read."""
        return self._log.lines()

    def append(self, row: Row) -> None:
        """Add a row to `results.jsonl`; it survives the end of this process.

        Raises:
            OutputError: the file cannot be written.
        """
        with self._writing():
            self._log.append(row)

    def weights_path(self, sha256: str) -> Path:
        """Return where weights of this hash belong."""
        if not _SHA256.fullmatch(sha256):
            raise WeightsError(f"{sha256!r} is not a SHA-256")
        return self._weights / f"{sha256}.safetensors"

    def has_weights(self, sha256: str) -> bool:
        """Whether the file is there and is what its name says."""
        return self.weights_fault(sha256) is None

    def weights_fault(self, sha256: str) -> str | None:
        """Return what is wrong with the file of these weights: it is missing or damaged; None if it is whole."""
        try:
            with open_regular(self.weights_path(sha256), weights.MAX_BYTES) as file:
                return None if hashlib.file_digest(file, "sha256").hexdigest() == sha256 else "damaged"
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except OSError:
            return "damaged"

    def keep_weights(self, sha256: str, blob: bytes) -> None:
        """Write a weights file, whole or not at all.

        Raises:
            WeightsError: the blob has another hash.
            OutputError: the file cannot be written.
        """
        found = weights.digest(blob)
        if found != sha256:
            raise WeightsError(f"The weights {sha256} arrived damaged: their SHA-256 is {found}")
        self._write(self.weights_path(sha256), blob)

    def take_weights(self, other: SweepFolder, sha256: str) -> None:
        """Share another sweep's weights file; the caller has checked it.

        Raises:
            OutputError: the file cannot be written.
        """
        if self.has_weights(sha256):
            return
        source, target = other.weights_path(sha256), self.weights_path(sha256)
        try:
            # Of a link's own name, a second one would be a link, too.
            os.link(source.resolve(), target)
        except OSError:
            with self._writing():
                blob = read_regular(source, weights.MAX_BYTES)
            self._write(target, blob)

    def finish(self, rows: dict[str, Row], order: list[str], leaderboard_csv: str, leaderboard_json: str) -> None:
        """Put the results into the sweep's order and write the leaderboard.

        Raises:
            OutputError: a file cannot be written.
        """
        self._write(self._results, "".join(rows[key].line() for key in order if key in rows))
        self._write(self.path / "leaderboard.csv", leaderboard_csv)
        self._write(self.path / "leaderboard.json", leaderboard_json)
        with self._writing():
            # This process holds the folder, so that what is there was left by one that was killed.
            for folder in (self.path, self._weights):
                remove_stale(folder, 0.0)

    def _write(self, target: Path, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        with self._writing():
            write_atomically(target, lambda file: file.write(data))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"The output folder {self.path} cannot be written: {error.strerror or error}") from None
