"""A file is whole or absent, also when writing it fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from nn import array_cache
from nn.files import open_regular, read_regular, remove_stale, write_atomically


def fail_halfway(file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("before", [None, b"old"])
def test_failed_write_changes_nothing_and_leaves_nothing(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(path, fail_halfway)

    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")

    write_atomically(path, lambda file: file.write(b"new"))

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"new")]


class Racing:
    """A folder whose temporary files another process removes as soon as they are listed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def glob(self, pattern: str) -> list[Path]:
        found = list(self.folder.glob(pattern))
        for path in found:
            path.unlink()
        return found


def test_two_may_remove_what_is_stale(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").touch()
    remove_stale(Racing(tmp_path), 0.0)  # type: ignore[arg-type]


def test_what_cannot_be_removed_costs_no_write(tmp_path: Path) -> None:
    # Given a folder that is called as a stale file is
    (tmp_path / ".a.tmp").mkdir()
    os.utime(tmp_path / ".a.tmp", (0, 0))

    array_cache.save(tmp_path, "key", {"a": np.arange(3)})

    kept = array_cache.load(tmp_path, "key", ["a"])
    assert kept is not None
    assert kept["a"].tolist() == [0, 1, 2]


def test_only_a_file_that_ends_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    for name, reason in {"file": "at most 4", "folder": "Is a directory", "pipe": "Not a regular file"}.items():
        with pytest.raises(OSError, match=reason):
            open_regular(tmp_path / name, 4)
    with pytest.raises(OSError, match="Not a regular file"):
        open_regular(Path("/dev/zero"), 4)
