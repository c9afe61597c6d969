"""Tables in files: CSV and `.npz`. Anything but numbers is refused, and nothing in a file is executed."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nn.errors import DatasetError, clipped
from nn.files import open_regular, open_zip, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The largest file that is read, in bytes, and the most values, samples and empty lines that it may hold. An array of
#: targets has at most 32 bytes for each of these samples.
MAX_FILE_BYTES = 2**30
MAX_VALUES, MAX_SAMPLES = 2**27, 2**23
#: The most columns of a table, the most characters of a row, and of a name or of a class.
MAX_COLUMNS, MAX_ROW = 2**14, 2**22
MAX_NAME = 200
SUFFIXES = (".csv", ".npz")
#: Words for a missing value, besides no text at all.
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})


#: The features: float64, shape (n, n_features); finite. And the target: shape (n,): int64, finite float64, or texts.
Table = tuple["NDArray[np.float64]", "NDArray[Any]"]


def read_table(path: Path, target: str) -> Table:
    """Read a file: its features and its target.

    Args:
        path: A file whose name ends in one of `SUFFIXES`.
        target: The column to be predicted; in a `.npz` file, the array.

    Raises:
        DatasetError: the file cannot be read, is too large, lacks the target, or holds something other than numbers.
    """
    readers = {".csv": _read_csv, ".npz": _read_npz}
    with reading(f"the data set {str(path)!r}", DatasetError), open_regular(path, MAX_FILE_BYTES) as file:
        return readers[path.suffix.lower()](path.name, file, target)


# CSV


def _read_csv(name: str, file: BinaryIO, target: str) -> Table:
    """Read a table whose first line names the columns, separated by commas, in UTF-8."""
    try:
        rows = _rows(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
        columns = [each.strip() for each in next(rows, [])]
        position = _position(name, columns, target)
        features, texts = array("d"), list[str]()
        others = [*columns[:position], *columns[position + 1 :]]
        for read, row in enumerate(rows):
            number = len(texts) + bool(row)
            if read - len(texts) > MAX_SAMPLES:
                raise DatasetError(f"{name} has more than {MAX_SAMPLES} empty lines")
            if number * len(columns) > MAX_VALUES or number > MAX_SAMPLES:
                raise _too_large(name)
            where = f"row {number} of {name}"
            if row and len(row) != len(columns):
                raise DatasetError(f"{where} has {len(row)} values; expected {len(columns)}, as in its first line")
            if row:
                texts.append(_label(where, row.pop(position).strip()))
                features.extend(_numbers(where, others, row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{name} is not CSV in UTF-8: {error}"[:300]) from None
    import numpy as np

    return np.array(features).reshape(len(texts), len(others)), _target(name, texts)


def _rows(text: io.TextIOWrapper) -> Iterator[list[str]]:
    """Yield the rows; what one of them may take is bounded before it is read."""
    left = MAX_ROW

    def lines() -> Iterator[str]:
        nonlocal left
        while line := text.readline(left + 1):
            left -= len(line)
            if left < 0:
                raise csv.Error(f"a row has more than {MAX_ROW} characters")
            yield line

    for row in csv.reader(lines(), strict=True):
        yield row
        left = MAX_ROW


def _too_large(name: str) -> DatasetError:
    return DatasetError(f"{name} is too large; allowed: at most {MAX_VALUES} values and {MAX_SAMPLES} samples")


def _position(name: str, columns: list[str], target: str) -> int:
    if not 2 <= len(columns) <= MAX_COLUMNS:
        raise DatasetError(f"{name} has {len(columns)} columns; allowed: from 2 to {MAX_COLUMNS}")
    repeated, times = Counter(columns).most_common(1)[0]
    if times > 1:
        raise DatasetError(f"{name} has two columns {_shown(repeated)}; expected a first line of different names")
    return _found(name, columns, target)


def _found(name: str, names: list[str], target: str) -> int:
    if target not in names:
        listed = ", ".join(map(_shown, names[:20])) + (", ..." if len(names) > 20 else "")
        raise DatasetError(f"{name} has no {_shown(target)}; allowed as the target: {listed}")
    return names.index(target)


def _number(text: str) -> float | None:
    """Return a finite number, or None; `float` would also read `1_0`."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if "_" not in text and math.isfinite(value) else None


def _numbers(where: str, columns: list[str], row: list[str]) -> Iterator[float]:
    for column, text in zip(columns, row, strict=True):
        value = _number(text)
        if value is None:
            where = f"column {_shown(column)}, {where}"
            if text.strip().lower() in _MISSING:
                raise _missing(where)
            raise DatasetError(f"{where} is {_shown(text)}; allowed: finite numbers in every column but the target")
        yield value


def _label(where: str, text: str) -> str:
    """Return a target's text, unless it is too long: memory is bounded while it is read."""
    if len(text) > MAX_NAME:
        raise DatasetError(f"the target in {where} has {len(text)} characters; allowed: {MAX_NAME}")
    return text


def _missing(where: str) -> DatasetError:
    return DatasetError(f"{where} has no value; fill or remove missing values first")


def _target(name: str, texts: list[str]) -> NDArray[Any]:
    """Return the texts as integers if all are integers, else as numbers if all are numbers, else unchanged."""
    import numpy as np

    for number, text in enumerate(texts, 1):
        if text.lower() in _MISSING:
            raise _missing(f"the target in row {number} of {name}")
    numbers = [_number(text) for text in texts]
    # As objects: in an array of texts, each takes as much as the longest.
    return np.array(texts, object) if None in numbers else integers(np.array(numbers, np.float64))


def integers(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers as int64 if all are integers that float64 holds exactly; else unchanged."""
    import numpy as np

    if np.all(numbers == np.rint(numbers)) and np.all(np.abs(numbers) < 2.0**53):
        return numbers.astype(np.int64)
    return numbers


def _shown(text: str) -> str:
    return repr(clipped(text, 60))


# .npz


def _read_npz(name: str, file: BinaryIO, target: str) -> Table:
    """Read the array `X`, shape (n, ...), and the target, shape (n,), of a file of `numpy.savez`; never a pickle."""
    import numpy as np

    try:
        # Casts of odd values would print warnings.
        with np.errstate(all="ignore"), open_zip(file) as archive:
            names = [each.removesuffix(".npy") for each in archive.namelist()]
            if "X" not in names:
                raise DatasetError(f"{name} has no array X, which holds the features")
            _found(name, [each for each in names if each != "X"], target)
            features, labels = (_read_array(name, archive, each) for each in ("X", target))
            if features.ndim < 2 or labels.shape != features.shape[:1]:
                raise DatasetError(
                    f"{name} has X of shape {features.shape} and {target} of shape {labels.shape}; "
                    "expected (n, n_features) and (n,)"
                )
            # One by one: as an array of texts, they would take four times as much.
            read: Any = {"S": bytes.decode, "U": str}.get(labels.dtype.kind)
            rows = enumerate(labels, 1)
            texts = None if read is None else [_label(f"row {i} of {name}", read(each)) for i, each in rows]
            features = finite(f"X of {name}", features.reshape(len(features), -1)) if features.size else features
            if texts is not None:
                return features, _target(name, texts)
            return features, integers(finite(f"{target} of {name}", labels))
    except (DatasetError, MemoryError):
        raise
    except Exception as error:
        # On a damaged file, NumPy and zipfile raise exceptions of many types.
        raise DatasetError(f"{name} is not an intact .npz file: {error}"[:300]) from None


def _read_array(name: str, archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    """Read an array, and check its size against its header; `np.load` would allocate what the header says."""
    import numpy as np
    from numpy.lib import format as npy

    info = archive.getinfo(f"{member}.npy")
    most, longest, allowed = 8 * MAX_VALUES, 16, "numbers"
    if member != "X":
        most, longest, allowed = 32 * MAX_SAMPLES, 4 * MAX_NAME, f"numbers, and texts of at most {MAX_NAME} characters"
    if info.file_size > most:
        raise DatasetError(f"{member} of {name} has {info.file_size} bytes; allowed: at most {most}")
    with archive.open(info) as file:
        start: bytes = file.peek(512)  # type: ignore[attr-defined]
        # Python would print a warning that contains the escaped character.
        if b"\\" in start[10 : 10 + int.from_bytes(start[8:10], "little")]:
            raise DatasetError(f"{member} of {name} has a backslash in its header")
        # Later ones have longer headers, for the names of fields.
        if (version := npy.read_magic(file)) != (1, 0):
            raise DatasetError(f"{member} of {name} has the format {version}; allowed: (1, 0)")
        shape, is_fortran, dtype = npy.read_array_header_1_0(file, max_header_size=500)
        if dtype.kind not in "biufUS" or not 0 < dtype.itemsize <= longest:
            raise DatasetError(f"{member} of {name} has the type {dtype}; allowed: {allowed}")
        if math.prod(shape) > MAX_VALUES or shape[:1] > (MAX_SAMPLES,):
            raise _too_large(f"{member} of {name}")
        content = file.read()
    if math.prod(shape) * dtype.itemsize != len(content) or min(shape, default=0) < 0:
        raise DatasetError(f"{member} of {name} is damaged: its header says {shape}, which its bytes are not")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


def finite(where: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers as float64.

    Raises:
        DatasetError: a value is missing, infinite, or not a number.
    """
    import numpy as np

    if values.dtype.kind not in "biuf":
        raise DatasetError(f"{where} has the type {values.dtype}; allowed: numbers")
    converted = np.ascontiguousarray(values, np.float64)
    if np.isnan(converted).any():
        raise _missing(where)
    if not np.isfinite(converted).all():
        raise DatasetError(f"{where} has an infinite value; allowed: finite numbers")
    return converted
