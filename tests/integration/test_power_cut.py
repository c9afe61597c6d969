"""A power cut at any instant of a sweep: what is on disk by then is whole, and the sweep goes on from it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cluster.connect import Place
from orchestrator.commands.sweep import plan_resumption, plan_sweep, train
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running import collect, waiting
from orchestrator.running.session import Session
from tests.support import launcher
from tests.support.sweeps import sweep_of
from worker.settings import Settings

SPECIFICATION = sweep_of(seeds="0-2", learning_rates="0.03", epochs="1", limit="100")


class Disk:
    """Follows every `fsync` below a folder, and keeps what is then safe.

    It is as strict as POSIX: the content of a file is safe as of the file's last sync, and a name in a folder as of the
    folder's last sync, with whatever content the file it names has by then.

    Args:
        root: The folder; it exists already, and so its own name is safe.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._content: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        #: Called after every sync with this disk.
        self.after_sync: Callable[[Disk], None] = lambda _disk: None

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin to follow this process."""
        fsync = os.fsync

        def followed(descriptor: int) -> None:
            fsync(descriptor)
            self._note(descriptor)

        monkeypatch.setattr(os, "fsync", followed)

    def _note(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        link = Path(f"/proc/self/fd/{descriptor}")
        path = link.readlink()
        if not path.is_relative_to(self._root):
            return
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = {each.name: (each.inode(), each.is_dir()) for each in os.scandir(path)}
        else:
            self._content[found.st_ino] = link.read_bytes()
        self.after_sync(self)

    def restore(self, target: Path) -> None:
        """Make a folder with what a power cut would leave now."""
        shutil.rmtree(target, ignore_errors=True)
        self._restore(self._root.stat().st_ino, target)

    def _restore(self, folder: int, target: Path) -> None:
        target.mkdir()
        for name, (inode, is_folder) in self._names.get(folder, {}).items():
            if is_folder:
                self._restore(inode, target / name)
            else:
                # A file that was never synced is empty.
                (target / name).write_bytes(self._content.get(inode, b""))


def test_rows_and_weights_survive_a_power_cut_after_any_sync(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, left, middle = tmp_path / "runs", tmp_path / "left", tmp_path / "middle"
    output.mkdir()
    settings = Settings(broker_url=None, result_backend=None, cache_dir=cache_dir)
    accepted: list[Row] = []
    batches: list[int] = []
    cuts = 0

    def cut(disk: Disk) -> None:
        nonlocal cuts
        cuts += 1
        disk.restore(left)
        if not (left / "cut").exists():
            # The whole folder or none: a maker that was killed leaves one that is hidden.
            assert not [path for path in left.iterdir() if not path.name.startswith(".")]
            assert not accepted
            return
        folder = SweepFolder(left, "cut")
        jobs = folder.manifest().jobs_by_key()
        rows = folder.rows_of(jobs)
        for row in rows.values():
            assert folder.weights_fault(jobs[row.job], str(row.weights_sha256)) is None, "a row without its weights"
        for row in accepted:
            assert rows[row.job].weights_sha256 == row.weights_sha256, "an accepted row is gone"
        if 0 < len(rows) < len(jobs):
            disk.restore(middle)

    accept = Session.accept

    def kept(session: Session, *rows: Row) -> list[Row]:
        accepted.extend(accept(session, *rows))
        batches.append(len(rows))
        return accepted[-len(rows) :]

    monkeypatch.setattr(subprocess, "Popen", launcher.Popen)
    with monkeypatch.context() as patched:
        # Long enough for several jobs to end, so that their rows are written together.
        patched.setattr(waiting, "SHORTEST_PAUSE", 3.0)
        # Fewer than all, so that a cut falls between two writes.
        patched.setattr(collect, "SOME_ROWS", 2)
        patched.setattr(Session, "accept", kept)
        disk = Disk(output)
        disk.after_sync = cut
        disk.watch(patched)
        with plan_sweep(SweepFolder(output, "cut"), SPECIFICATION, Place(settings)).begin() as session:
            done = train(session)

    assert done.accounting.accepted == len(accepted) == 3
    # The folder, then weights of each job and rows of several, then the results in order and the leaderboard.
    assert cuts > 10
    assert max(batches) == 2
    assert (left / "cut" / "leaderboard.csv").read_bytes() == (output / "cut" / "leaderboard.csv").read_bytes()

    with plan_resumption(SweepFolder(middle, "cut"), Place(settings)).begin() as session:
        again = train(session)
    assert {key: row.weights_sha256 for key, row in again.rows.items()} == {
        key: row.weights_sha256 for key, row in done.rows.items()
    }
