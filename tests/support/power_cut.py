"""What a disk holds after a power cut: of each file what was synced, under the names that were synced."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest


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
