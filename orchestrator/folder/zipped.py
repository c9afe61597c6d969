"""Unpacks the folder of a sweep that a stranger has sent as a ZIP file."""

import re
import shutil
import zlib
from pathlib import Path
from zipfile import BadZipFile

from nn.files import open_regular, open_zip
from orchestrator.errors import ClaimError

#: Most bytes that are unpacked, and most of the list of files at the end of a ZIP file.
MOST_BYTES, MOST_LISTED = 2**31, 2**24
#: The files of a sweep that are unpacked, which may all be in one folder. All others are left in the ZIP file.
NAME = r"(sweep\.json|results\.jsonl|weights/[0-9a-f]{64}\.(safetensors|bin))"
_KEPT = re.compile(rf"(?:[^/\\]+/)?{NAME}", re.ASCII)


def unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a sweep. What is written is bounded, and so is where: names and sizes are a stranger's.

    Args:
        path: The ZIP file.
        folder: An empty folder.

    Raises:
        ClaimError: it is not a ZIP file, or needs more room than `MOST_BYTES`.
    """
    (folder / "weights").mkdir()
    try:
        with open_regular(path) as file:
            archive = open_zip(file, MOST_LISTED)
            wanted = [(entry, kept) for entry in archive.infolist() if (kept := _KEPT.fullmatch(entry.filename))]
            if sum(entry.file_size for entry, _ in wanted) > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES} bytes")
            for entry, kept in wanted:
                with archive.open(entry) as packed, (folder / kept[1]).open("xb") as target:
                    shutil.copyfileobj(packed, target)
    except (BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise ClaimError(f"{path} cannot be unpacked: {why}") from None
