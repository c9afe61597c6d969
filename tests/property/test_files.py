"""Data sets, weights, checkpoints and sweep folders may be damaged or forged: they are read, or refused, cheaply."""

import gzip
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from nn.datasets import N_CLASSES, idx
from nn.datasets.mnist import MNIST_DIGEST
from nn.errors import DatasetError, SeedsweepError, WeightsError
from nn.files import digest
from nn.weights import from_safetensors, initial_weights, to_safetensors
from orchestrator.analysis.leaderboard.table import to_csv, to_json
from orchestrator.analysis.lookup import trained_job
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.shared.output import print_leaderboard
from orchestrator.cli.shared.progress import LiveProgress, PlainProgress
from orchestrator.cli.show import learning_curve, title
from orchestrator.errors import SweepNotFoundError
from orchestrator.folder.reuse import sibling_results
from orchestrator.folder.rows import Accounting, Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.running.retraining import choose
from tests.property.hostile import answer, damaged, json_values, patient
from tests.support.boards import leaderboard
from tests.support.cluster import make_job
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx_folder
from tests.support.sweep_folders import row, unsaved
from tests.support.sweeps import manifest_of, sweep_of
from worker.records.checkpoints import Epoch, SavedCheckpoint, pack, unpack

JOB = make_job(epochs=3)
WEIGHTS = initial_weights((6, 4, 3, 2), np.random.RandomState(0), "float32")
BLOB = to_safetensors(WEIGHTS)
CHECKPOINT = pack(JOB, SavedCheckpoint((Epoch(0.5, 0.25), Epoch(0.5, 0.5)), to_safetensors(WEIGHTS)))
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


@patient
@given(st.sampled_from([TRAIN_IMAGES, TRAIN_LABELS]), st.booleans(), idx_contents())
@example(TRAIN_IMAGES, False, IMAGES)
@example(TRAIN_IMAGES, True, 100 * gzip.compress(bytes(1_000_000), 1, mtime=0))
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
        assert labels.max() < N_CLASSES


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


@patient
@given(damaged(BLOB) | forged_weights | st.binary(max_size=64))
@example(struct.pack("<Q", 2**63) + b"{}")
@example(struct.pack("<Q", 90_000_000) + b"{" * 1000)
@example(safetensors_bytes({"W1": {"dtype": "F32", "shape": [], "data_offsets": "9" * 5000}}, b"", None))
@example(BLOB)
def test_weights(blob: bytes) -> None:
    weights = answer(from_safetensors, blob, error=WeightsError)
    if weights is not None:
        # Read and written again, they are the same numbers.
        again = from_safetensors(to_safetensors(weights))
        assert [matrix.tobytes() for matrix in again] == [matrix.tobytes() for matrix in weights]


heads = st.fixed_dictionaries(
    {"job": st.just(JOB.key) | json_values, "state": st.just(digest(BLOB)) | json_values},
    optional={"history": json_values | st.lists(st.lists(json_values, min_size=4, max_size=4), max_size=3)},
)
#: Everything is right but for what one epoch's record holds.
records = st.lists(json_values, min_size=4, max_size=4).map(lambda record: [1, *record[1:]])
near_heads = records.map(lambda record: {"job": JOB.key, "state": digest(BLOB), "history": [record]})


def with_head(head: Any) -> bytes:
    return json.dumps(head).encode() + b"\n" + BLOB


@patient
@given(damaged(CHECKPOINT) | (heads | near_heads).map(with_head) | st.binary(max_size=64))
@example(b"[" * 200_000 + b"\n" + BLOB)
@example(with_head({"job": JOB.key, "state": digest(BLOB), "history": [[1, 10**400, 0.5, []]]}))
@example(CHECKPOINT)
def test_checkpoints(blob: bytes) -> None:
    checkpoint = answer(unpack, JOB, blob, error=WeightsError)
    if checkpoint is not None:
        assert 0 < len(checkpoint.history) < JOB.epochs


#: A sweep of one job, and its row with a result.
SPECIFICATION = sweep_of(seeds=(0,), learning_rates=(0.03,), epochs=2, hidden=(4, 3), rule="notebook")
(SWEPT,) = SPECIFICATION.jobs(MNIST_DIGEST)
NETWORK = to_safetensors(initial_weights((784, 4, 3, 10), np.random.RandomState(0), "float32"))
RESULT = row(SWEPT, NETWORK, (0.5, 0.75), others={"notebook_accuracy": [5.0, 7.5]}).line().encode()


def with_fields(line: bytes, fields: dict[str, Any]) -> bytes:
    return (json.dumps(json.loads(line) | fields) + "\n").encode()


accuracies = st.lists(st.floats() | st.sampled_from([0.0, 1.0, 0.5]), max_size=3)
#: Values that are nearly right, so that a line with one is read on.
field_values: dict[str, st.SearchStrategy[Any]] = {
    "job": st.sampled_from([JOB.key, SWEPT.key, "0" * 64]),
    "seed": st.sampled_from([0, -1, 2**32, 10**4000]),
    "options": st.fixed_dictionaries(
        {},
        optional={
            "learning_rate": st.floats(),
            "epochs": st.sampled_from([0, 1, 2, 10**400]),
            "hidden_layer_sizes": st.lists(st.integers(), max_size=3),
            "momentum": json_values,
        },
    ),
    "status": st.sampled_from(["succeeded", "diverged", "failed", "cancelled"]),
    "validation_score": accuracies,
    "others": st.none() | st.dictionaries(st.sampled_from(["notebook_accuracy", "x", "X"]), accuracies, max_size=2),
    "epoch_seconds": accuracies,
    "weights_sha256": st.none() | st.sampled_from([digest(NETWORK), "0" * 64]),
    "attempts": st.sampled_from([0, 1, -1, 10**4000]),
    "mismatches": st.just([{"first": "", "second": "", "run": "", "worker": ""}]),
}
fields = st.lists(st.sampled_from(sorted(json.loads(RESULT))), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: json_values | field_values.get(name, json_values) for name in names})
)
intact = st.sampled_from([ROW, RESULT])
lines = st.one_of(
    intact,
    intact.flatmap(damaged),
    st.binary(max_size=64),
    st.builds(with_fields, intact, fields),
    # The key of one job stands first, where it is looked for, and that of another one behind it.
    st.builds(lambda line, key: line.replace(b"{", b'{"job":"%s",' % key.encode(), 1), intact, field_values["job"]),
)


def made(output: Path) -> SweepFolder:
    """Make a sweep's folder, if it is not there yet, with the weights of its one job."""
    folder = SweepFolder(output, "sweep")
    if not folder.exists():
        with folder.exclusive(manifest_of(SPECIFICATION, "sweep")):
            folder.keep_weights(digest(NETWORK), NETWORK)
    return folder


contents = st.lists(lines, max_size=5).map(b"".join)


@patient
@given(contents)
@example(b"[" * 200_000)
@example(ROW + b"\xff\n" + ROW)
@example(RESULT * 2)
@example(RESULT.replace(b"{", b'{"job":"%s",' % JOB.key.encode(), 1))
@example(with_fields(RESULT, {"validation_score": []}))
@example(with_fields(RESULT, {"status": "failed"}))
@example(with_fields(RESULT, {"others": {"notebook_accuracy": [1.0]}}))
@example(with_fields(RESULT, {"weights_sha256": None}))
@example(with_fields(RESULT, {"epoch_seconds": [float("nan")] * 2}))
def test_results(tmp_path: Path, content: bytes) -> None:
    folder = made(tmp_path)
    (folder.path / "results.jsonl").write_bytes(content)
    wanted = {JOB.key: JOB, SWEPT.key: SWEPT}
    rows = answer(folder.rows, wanted, error=SweepNotFoundError)
    assert rows is not None
    assert all(row.job == key for key, row in rows.items())
    # An intact line is found, whatever surrounds it.
    if ROW in content.split(b"\n")[:-1] or content.startswith(ROW):
        assert JOB.key in rows
    # What was read can be written, and is the same when it is read again.
    assert [Row.model_validate_json(row.line()) for row in rows.values()] == list(rows.values())
    are_ranked_and_shown(folder)
    # A job is shown or refused.
    for chosen in ((), (SWEPT.key,)):
        found = answer(lambda chosen=chosen: trained_job(Sweep.read(folder), chosen), error=SeedsweepError)
        if found is not None:
            assert found.job == SWEPT
            assert learning_curve(found.row).count("\n") == 2 + len(found.row.validation_score)
            assert title(found).startswith("job ")
    # A sweep beside it reuses each row once.
    reused = answer(lambda: list(sibling_results(SweepFolder(tmp_path, "new"), wanted, str)), error=SeedsweepError)
    assert reused is not None
    assert len({row.job for row, _ in reused}) == len(reused)
    assert all(row.job in wanted and row.accepted and row.weights_sha256 == digest(NETWORK) for row, _ in reused)


def are_ranked_and_shown(folder: SweepFolder) -> None:
    jobs = {SWEPT.key: SWEPT}
    rows = folder.rows(jobs)
    board = leaderboard(jobs, rows, "bundled")
    json.loads(to_json(board))
    assert len(to_csv(board).splitlines()) == 2
    console = Console(file=io.StringIO())
    print_leaderboard(console, board)
    console.print(str(Accounting.of(1, rows.values())))
    for kind in (PlainProgress, LiveProgress):
        kind(console, unsaved(jobs, rows))
        progress = kind(console, unsaved(jobs))
        for each in rows.values():
            progress.finished(each)
    assert [each.job for each in choose(list(rows.values()), 1, 0)] == list(rows)


@patient
@given(st.binary(max_size=64) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 200_000)
@example(b"\xff\xfe")
def test_manifests(tmp_path: Path, content: bytes) -> None:
    folder = SweepFolder(tmp_path, "sweep")
    folder.path.mkdir(exist_ok=True)
    (folder.path / "sweep.json").write_bytes(content)
    answer(folder.manifest, error=SweepNotFoundError)
