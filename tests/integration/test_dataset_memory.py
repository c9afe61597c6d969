"""A data set takes no more memory than it says, and too little memory is one sentence."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nn.datasets import idx
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder


def write_packed(folder: Path, n: int, pixel: int) -> None:
    """Write n training images of 256 x 256 equal pixels, which take a thousandth of that on disk, and a test image."""
    write_idx_folder(folder, train=1, test=1, side=256)
    with gzip.open(folder / f"{TRAIN_IMAGES}.gz", "wb", 1) as images:
        images.write(struct.pack(">4I", 0x0803, n, 256, 256))
        for _ in range(n):
            images.write(bytes([pixel]) * 256**2)
    write_idx(folder, TRAIN_LABELS, idx_bytes(np.zeros(n)))


def test_a_small_folder_with_a_large_content_costs_no_more_memory_than_that_content(tmp_path: Path) -> None:
    # Given a folder with the most that is read, and one with an image more
    n = idx.MAX_BYTES // 256**2 - 1
    write_packed(tmp_path / "most", n, 0)
    write_packed(tmp_path / "more", n + 1, 0)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.gz")) < 5_000_000

    # When a process of its own asks for their digests
    program = (
        "import sys; from nn.datasets.mnist import dataset_digest; from nn.errors import DatasetError\n"
        "from pathlib import Path\n"
        "print(len(dataset_digest(sys.argv[1])))\n"
        "try: dataset_digest(sys.argv[2])\n"
        "except DatasetError as error: print(error)\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "most"), str(tmp_path / "more")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    # Then it takes what the bound says, once, beside what Python and NumPy need
    length, refusal, peak_kilobytes = done.stdout.splitlines()
    assert length == "64"
    assert f"brings the data set to {idx.MAX_BYTES + 256**2} bytes; expected at most {idx.MAX_BYTES}" in refusal
    assert int(peak_kilobytes) < idx.MAX_BYTES / 1024 + 100_000


@pytest.mark.parametrize("megabytes", [150, 350, 600])
def test_too_little_memory_is_one_sentence(tmp_path: Path, megabytes: int) -> None:
    # Given a data set of 100 MB whose pixels are all ink, and a process that may take only so much more than it has
    write_packed(tmp_path, 1600, 1)
    program = (
        "import resource, sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "from nn.errors import DatasetError; from sklearn.model_selection import train_test_split\n"
        "size = 1024 * int(Path('/proc/self/status').read_text().split('VmSize:')[1].split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[2]) * 2**20,) * 2)\n"
        "try: load_mnist(sys.argv[1])\n"
        "except DatasetError as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == f"the data set {str(tmp_path)!r} needs more memory than there is\n"
