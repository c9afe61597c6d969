"""Writes the tables of a sweep as Parquet, with the types of the options: nothing is turned into text that is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.export.jobs import Missing, OnProgress, as_text
from orchestrator.export.tables import ABSENT, Table, epochs_table, in_batches, jobs_table

if TYPE_CHECKING:
    import pyarrow as pa

#: Jobs whose rows are in memory at a time.
BATCH = 1000
#: Integers that Parquet can hold, and those that a double can.
_INT64, _EXACT = 2**63, 2**53


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> tuple[Missing, ...]:
    """Write the jobs and the epochs to two files. The same results give the same bytes under one version of pyarrow.

    A text is as the sweep has it, also one with control characters.
    """
    # Of the two, the epochs take the time.
    _write(sweep, jobs_table(sweep), paths[0], lambda *_: None)
    _write(sweep, epochs_table(sweep), paths[1], on_progress)
    return ()


def _write(sweep: Sweep, table: Table, path: Path, on_progress: OnProgress) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    kinds = {"text": pa.string(), "int": pa.int64(), "float": pa.float64()}
    types = [kinds.get(column.kind) or _type_of(_values(sweep, table, i)) for i, column in enumerate(table.columns)]
    schema = pa.schema(list(zip(table.headings, types, strict=True)), metadata={"seedsweep.sweep": sweep.name})
    done = 0
    with path.open("wb") as file, ParquetWriter(file, schema) as writer:
        for rows in in_batches(sweep, table, BATCH):
            cells = zip(*rows, strict=True) if rows else ((),) * len(types)
            arrays = [
                pa.array([_as(kind, cell) for cell in each], kind) for kind, each in zip(types, cells, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            done = min(done + BATCH, len(sweep.ended))
            on_progress(done, len(sweep.ended))


def _values(sweep: Sweep, table: Table, i: int) -> list[Any]:
    """Return all cells of a column."""
    return [row[i] for each in sweep.ended for row in table.rows_of(each)]


def _type_of(values: Iterable[Any]) -> pa.DataType:
    """Return the type that holds all values of an option: text, if they are of several kinds."""
    import pyarrow as pa

    known = [value for value in values if value is not None and value is not ABSENT]
    kinds = {type(value) for value in known}
    if not kinds:
        return pa.null()
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and all(-_INT64 <= value < _INT64 for value in known):
        return pa.int64()
    if (
        kinds <= {int, float}
        and float in kinds
        and all(isinstance(each, float) or abs(each) <= _EXACT for each in known)
    ):
        return pa.float64()
    if kinds == {list}:
        return pa.list_(_type_of(each for value in known for each in value))
    return pa.string()


def _as(kind: pa.DataType, value: Any) -> Any:
    """Return a cell as its column's type has it."""
    from pyarrow import types

    if value is None or value is ABSENT:
        return None
    if types.is_string(kind) and not isinstance(value, str):
        return as_text(value)
    if types.is_list(kind):
        return [_as(kind.value_type, each) for each in value]
    return float(value) if types.is_float64(kind) else value
