"""How a trainer loads data, and what it calls it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from nn.errors import DatasetError
from worker.trainers.checks.case import Broken, Case, shown
from worker.trainers.registry import DIGEST


def data_has_a_digest(case: Case) -> None:
    """The digest is a SHA-256, and the same however often the data set is loaded, and from `digest`."""
    digest = _load(case, case.source)
    if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
        raise Broken(f"the digest is {shown(digest)}; allowed: a SHA-256 of the content, 64 digits from 0 to f")
    again = _load(case, case.source)
    if again != digest:
        raise Broken(f"the same data set has the digest {digest} once and {again} then; make it from the content only")
    alone = case.trainer.digest(case.source, case.cache_dir)
    if alone != digest:
        raise Broken(f"digest returned {shown(alone)}; the digest of what load returns is {digest}")


def missing_data_is_refused(case: Case) -> None:
    """A path that does not exist is refused by `load` and by `digest` with a DatasetError."""
    with tempfile.TemporaryDirectory() as folder:
        missing = str(Path(folder) / "missing")
        for load in (_load, lambda case, source: case.trainer.digest(source, case.cache_dir)):
            if not _is_refused(case, missing, load):
                raise Broken("the path of a file that does not exist is accepted; raise DatasetError")


def changed_data_has_another_digest(case: Case) -> None:
    """Checked if the source is a file: a copy has the same digest, a changed copy another one, or it is refused."""
    path = Path(case.source)
    if not (path.is_absolute() and path.is_file()):
        return
    digest, content = _load(case, case.source), path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"copy-of-{path.name}"
        shutil.copy(path, copy)
        if _load(case, str(copy)) != digest:
            raise Broken(
                "a copy of the file has another digest; make it from the content, not from the path or the time"
            )
        copy.write_bytes(_changed(content))
        if not _is_refused(case, str(copy)) and _load(case, str(copy)) == digest:
            raise Broken("another file has the same digest; make it from the whole content")


def _changed(content: bytes) -> bytes:
    """Return a text whose last digit is another one, or the first half of other content."""
    digits = list(re.finditer(rb"[0-9]", content)) if content.isascii() else []
    if not digits:
        return content[: len(content) // 2]
    at = digits[-1].start()
    return content[:at] + (b"1" if content[at : at + 1] == b"0" else b"0") + content[at + 1 :]


def _load(case: Case, source: str) -> Any:
    return case.trainer.load(source, case.cache_dir).digest


def _is_refused(case: Case, source: str, load: Any = _load) -> bool:
    try:
        load(case, source)
    except DatasetError:
        return True
    except Exception as error:
        raise Broken(f"a missing or damaged file raised {shown(error)}; raise DatasetError") from error
    return False
