"""A file is whole or absent, also when writing it fails."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from nn.files import write_atomically


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
