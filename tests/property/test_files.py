"""Data sets, weights, checkpoints and run folders may be damaged or forged: they are read, or refused, cheaply."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from nn import idx
from nn.checkpoint import Checkpoint, EpochRecord
from nn.errors import DatasetError, WeightsError
from nn.weights import digest, from_safetensors, initial_weights, to_safetensors
from orchestrator.errors import SweepNotFoundError
from orchestrator.rows import lost_row
from orchestrator.run_folder import RunFolder
from tests.property.hostile import answer, damaged, json_values, thorough
from tests.support.cluster import make_job
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx_folder
from worker.checkpoints import pack, unpack

JOB = make_job()
WEIGHTS = initial_weights((6, 4, 3, 2), np.random.RandomState(0), "float32")
BLOB = to_safetensors(WEIGHTS)
CHECKPOINT = pack(JOB, Checkpoint(WEIGHTS, (EpochRecord(1, 0.5, 0.25), EpochRecord(2, 0.5, 0.5))))
IMAGES = idx_bytes(np.zeros((12, 4, 4)))
LABELS = idx_bytes(np.arange(12) % 10)
ROW = lost_row(JOB, "failed", "a reason").line().encode()

uint32 = st.integers(0, 2**32 - 1)


@st.composite
def idx_contents(draw: st.DrawFn) -> bytes:
    """An IDX file with any header, or a damaged one; often compressed, and perhaps damaged once more then."""
    forged = st.builds(
        lambda magic, shape, rest: struct.pack(f">I{len(shape)}I", magic, *shape) + rest,
        st.sampled_from([0x0801, 0x0803, 0x0D03]) | uint32,
        st.lists(st.sampled_from([0, 1, 12, 2**16, 2**32 - 1]) | uint32, max_size=4),
        st.binary(max_size=64),
    )
    content = draw(st.one_of(damaged(IMAGES), damaged(LABELS), forged, st.binary(max_size=64)))
    if draw(st.booleans()):
        content = gzip.compress(content, 1, mtime=0)
        content = draw(damaged(content)) if draw(st.booleans()) else content
    return content


@thorough
@given(st.sampled_from([TRAIN_IMAGES, TRAIN_LABELS]), st.booleans(), idx_contents())
@example(TRAIN_IMAGES, True, gzip.compress(bytes(100_000_000), 1, mtime=0))
@example(TRAIN_IMAGES, True, gzip.compress(struct.pack(">4I", 0x0803, 2**20, 256, 256) + bytes(5_000_000), 1, mtime=0))
def test_data_sets(tmp_path: Path, name: str, compressed: bool, content: bytes) -> None:
    write_idx_folder(tmp_path, compress=False)
    (tmp_path / name).unlink()
    (tmp_path / f"{name}.gz").unlink(missing_ok=True)
    (tmp_path / (f"{name}.gz" if compressed else name)).write_bytes(content)
    read = answer(idx.read_folder, tmp_path, error=DatasetError)
    if read is not None:
        images, labels = read
        assert images.shape == (len(labels), 16)
        assert labels.max() < idx.N_CLASSES


def safetensors_bytes(header: Any, data: bytes, length: int | None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "I8", "BF16", "F8_E4M3"]) | json_values,
        "shape": st.lists(st.integers(0, 2**64) | st.integers(0, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(0, 2**64) | st.integers(0, 64), min_size=2, max_size=2) | json_values,
    }
)
forged_weights = st.builds(
    safetensors_bytes,
    st.dictionaries(st.sampled_from(["W1", "W2", "W3", "__metadata__"]) | st.text(max_size=5), tensors, max_size=4),
    st.binary(max_size=64),
    st.none() | st.integers(0, 2**64 - 1),
)


@thorough
@given(damaged(BLOB) | forged_weights | st.binary(max_size=64))
@example(struct.pack("<Q", 2**63) + b"{}")
@example(struct.pack("<Q", 90_000_000) + b"{" * 1000)
@example(BLOB)
def test_weights(blob: bytes) -> None:
    weights = answer(from_safetensors, blob, error=WeightsError)
    if weights is not None:
        # Read and written again, they are the same numbers.
        again = from_safetensors(to_safetensors(weights))
        assert [matrix.tobytes() for matrix in again] == [matrix.tobytes() for matrix in weights]


heads = st.fixed_dictionaries(
    {"job": st.just(JOB.key) | json_values, "weights": st.just(digest(BLOB)) | json_values},
    optional={"history": json_values | st.lists(st.lists(json_values, min_size=4, max_size=4), max_size=3)},
)
#: Everything is right but for what one epoch's record holds.
records = st.lists(json_values, min_size=4, max_size=4).map(lambda record: [1, *record[1:]])
near_heads = records.map(lambda record: {"job": JOB.key, "weights": digest(BLOB), "history": [record]})


def with_head(head: Any) -> bytes:
    return json.dumps(head).encode() + b"\n" + BLOB


@thorough
@given(damaged(CHECKPOINT) | (heads | near_heads).map(with_head) | st.binary(max_size=64))
@example(b"[" * 200_000 + b"\n" + BLOB)
@example(with_head({"job": JOB.key, "weights": digest(BLOB), "history": [[1, 10**400, 0.5, None]]}))
@example(CHECKPOINT)
def test_checkpoints(blob: bytes) -> None:
    checkpoint = answer(unpack, JOB, blob, error=WeightsError)
    if checkpoint is not None:
        assert [record.epoch for record in checkpoint.history] == list(range(1, checkpoint.epochs + 1))


lines = st.one_of(
    damaged(ROW),
    st.just(ROW),
    st.binary(max_size=64),
    st.dictionaries(
        st.sampled_from(sorted(json.loads(ROW))), st.none() | st.floats() | st.text(max_size=9), max_size=2
    ).map(lambda fields: (json.dumps({**json.loads(ROW), **fields}) + "\n").encode()),
)


@thorough
@given(st.lists(lines, max_size=5).map(b"".join))
@example(b"[" * 200_000)
@example(ROW + b"\xff\n" + ROW)
def test_results(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path, "sweep")
    folder.path.mkdir(exist_ok=True)
    (folder.path / "results.jsonl").write_bytes(content)
    rows = answer(folder.rows, error=SweepNotFoundError)
    assert rows is not None
    assert all(row.job == key for key, row in rows.items())
    # An intact line is found, whatever surrounds it.
    if ROW in content.split(b"\n")[:-1] or content.startswith(ROW):
        assert JOB.key in rows


@thorough
@given(st.binary(max_size=64) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 200_000)
@example(b"\xff\xfe")
def test_manifests(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path, "sweep")
    folder.path.mkdir(exist_ok=True)
    (folder.path / "sweep.json").write_bytes(content)
    answer(folder.manifest, error=SweepNotFoundError)
