"""Writes the tables of a sweep as Parquet, with the types of the options: a number stays a number, a list a list."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.analysis.sweep import Sweep
from orchestrator.export import tables
from orchestrator.export.jobs import OnProgress, as_text
from orchestrator.export.tables import ABSENT, LAST, Column, Table

if TYPE_CHECKING:
    import pyarrow as pa


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write the jobs and the epochs to two files. The same results give the same bytes under one version of pyarrow.

    Text is unchanged, including control characters.
    """
    tables.write_as(_opened, sweep, paths, on_progress)


@contextlib.contextmanager
def _opened(sweep: Sweep, table: Table, path: Path) -> Iterator[Callable[[list[list[Any]]], None]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = [_type_of_column(sweep, column) for column in table.columns]
    schema = pa.schema(list(zip(table.headings, types, strict=True)), metadata={"seedsweep.sweep": sweep.name})

    def add(rows: list[list[Any]]) -> None:
        cells = zip(*rows, strict=True) if rows else ((),) * len(types)
        arrays = [pa.array([_as(kind, cell) for cell in each], kind) for kind, each in zip(types, cells, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    with path.open("wb") as file, ParquetWriter(file, schema) as writer:
        yield add


def _type_of_column(sweep: Sweep, column: Column) -> pa.DataType:
    import pyarrow as pa

    fixed = {"text": pa.string(), "int": pa.int64(), "float": pa.float64()}
    return fixed.get(column.kind) or _type_of(column.cell(each, LAST) for each in sweep.ended)


def _type_of(values: Iterable[Any]) -> pa.DataType:
    """Return the type that holds all values of an option: text, if they are of several kinds or too large."""
    import pyarrow as pa

    known = [value for value in values if value is not None and value is not ABSENT]
    try:
        return pa.array(known).type
    except (pa.ArrowException, OverflowError):
        is_list = all(isinstance(value, list) for value in known)
        return pa.list_(pa.string()) if is_list else pa.string()


def _as(kind: pa.DataType, value: Any) -> Any:
    """Return a cell in the type of its column."""
    from pyarrow import types

    if value is None or value is ABSENT:
        return None
    if types.is_string(kind) and not isinstance(value, str):
        return as_text(value)
    if types.is_list(kind):
        return [_as(kind.value_type, each) for each in value]
    return float(value) if types.is_float64(kind) else value
