"""A file is whole or absent, also when writing it fails."""

import contextlib
import itertools
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO
from unittest.mock import Mock

import pytest

import nn.files
from nn.files import identity, open_regular, read_regular, remove_stale, sync_folder, temporary_folder, write_atomically

#: Called as `write_atomically` calls a file until it is whole.
STALE = f".a.npy.{'0' * 32}.tmp"


def fail_halfway(file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("before", [None, b"old and longer"])
def test_new_content_replaces_the_old_whole_or_not_at_all(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(path, fail_halfway)

    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])
    write_atomically(path, lambda file: file.write(b"new"))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"new")]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a writer that ends without the time to clear up
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(OSError, match="No space left on device"):
        write_atomically(tmp_path / "a\nfile.npy", fail_halfway)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1

    # When it may still be at work, nothing happens
    remove_stale(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1

    # When it cannot any more, its file goes, unless somebody else may have given it its name
    for mode, left in ((0o777, 1), (0o700, 0)):
        tmp_path.chmod(mode)
        remove_stale(tmp_path, 0.0)
        assert len(list(tmp_path.iterdir())) == left


def test_a_file_that_is_written_again_is_another_one(tmp_path: Path) -> None:
    seen = []
    for text in ("old", "new"):
        (tmp_path / "a").write_text(text)
        os.utime(tmp_path / "a", (1, 1))
        seen.append(identity(tmp_path / "a", content=True))
    assert seen[0] != seen[1]


def test_an_interruption_at_any_line_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places = {nn.files.__file__, shutil.__file__, tempfile.__file__}
    # It holds a lock while it makes its first name; interrupted there, it would wait for ever.
    tempfile.NamedTemporaryFile().close()
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in places:
            return None
        seen += event == "line"
        if event == "line" and seen == interrupted_at:
            raise KeyboardInterrupt
        return trace

    # When each line of making and removing it is interrupted in turn, until there are no more
    for interrupted_at in itertools.count(1):
        seen, before = 0, sys.gettrace()
        sys.settrace(trace)
        # `shutil` closes a file twice if it is interrupted right after the first time.
        with contextlib.suppress(KeyboardInterrupt, OSError), temporary_folder() as folder:
            (folder / "file").touch()
        sys.settrace(before)
        assert not list(tmp_path.iterdir()), f"line {interrupted_at}"
        if seen < interrupted_at:
            break
    assert interrupted_at > 20


def test_what_no_writer_of_ours_left_stays(tmp_path: Path) -> None:
    # Given what other programs have left, and what is no file but has the name of one
    (tmp_path / ".editor-swap.tmp").touch()
    (tmp_path / f".{'0' * 32}.tmp").touch()
    (tmp_path / STALE).mkdir()
    (tmp_path / STALE.replace("0", "1")).symlink_to("nowhere")
    os.mkfifo(tmp_path / STALE.replace("0", "2"))
    before = sorted(tmp_path.iterdir())

    remove_stale(tmp_path, 0.0)

    assert sorted(tmp_path.iterdir()) == before


# A folder may be nested too deep to be removed.
@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, RecursionError])
def test_what_another_process_removes_first_or_nobody_can_remove_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    (tmp_path / STALE).touch()
    monkeypatch.setattr(Path, "unlink", Mock(side_effect=error))
    remove_stale(tmp_path, 0.0)


def test_what_is_added_to_an_open_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    with open_regular(file, 5) as opened, open_regular(file, 5) as other, file.open("ab") as further:
        further.write(b"6" * 2**20)  # more than is buffered
        assert (opened.read(2), opened.read(), other.read(), other.read()) == (b"12", b"345", b"12345", b"")


def test_only_a_file_that_ends_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    assert read_regular(tmp_path / "link", 5) == b"12345"
    refused = {
        "file": "5 bytes; allowed: at most 4",
        "folder": "Is a directory",
        "pipe": "Not a regular file",
        "socket": "Not a regular file",
        "dangling": "No such file or directory",
        "/dev/zero": "Not a regular file",
    }
    for name, reason in refused.items():
        with pytest.raises(OSError, match=reason) as caught:
            open_regular(tmp_path / name, 4)
        assert caught.value.strerror == reason
    # Python has the words for a name that no file can have.
    with pytest.raises(OSError, match="embedded null"):
        open_regular(tmp_path / "a\0b", 4)


def test_a_pipe_that_takes_the_files_place_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a file that is a pipe by the time that it is opened
    (tmp_path / "file").write_bytes(b"12345")
    as_file = (tmp_path / "file").stat()
    (tmp_path / "file").unlink()
    os.mkfifo(tmp_path / "file")
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(Path, "stat", lambda _: as_file)

    with pytest.raises(OSError, match="Not a regular file"):
        open_regular(tmp_path / "file")

    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_folder_that_may_be_written_and_not_read_takes_files(tmp_path: Path) -> None:
    # As root reads every folder, the folder is one that cannot be opened as such: it is gone by then.
    folder = tmp_path / "folder"
    folder.mkdir()
    sync_folder(folder / "none")

    write_atomically(folder / "file", lambda file: file.write(b"content"))
    assert (folder / "file").read_bytes() == b"content"
