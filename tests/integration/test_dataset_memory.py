"""A data set takes no more memory than it says, and too little memory is one sentence."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from nn.datasets import idx
from tests.support.idx_files import TRAIN_IMAGES, TRAIN_LABELS, idx_bytes, write_idx, write_idx_folder


def write_packed(folder: Path, announced: int, pixel: int, n: int | None = None) -> None:
    """Write training images of 256 x 256 equal pixels, which take a thousandth of that on disk, and a test image.

    Args:
        folder: Where to.
        announced: The number of images that the header announces.
        pixel: The level of all pixels.
        n: The number of images that there are, if it is another one.
    """
    write_idx_folder(folder, train=1, test=1, side=256)
    whole, rest = divmod((announced if n is None else n) * 256**2, 2**20)
    packer = zlib.compressobj(1, wbits=31)
    pieces = [struct.pack(">4I", 0x0803, announced, 256, 256), *[bytes([pixel]) * 2**20] * whole, bytes([pixel]) * rest]
    content = b"".join(map(packer.compress, pieces)) + packer.flush()
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(content)
    write_idx(folder, TRAIN_LABELS, idx_bytes(np.zeros(announced)))


def output(program: str, *arguments: object) -> list[str]:
    """Return the lines that a Python of its own prints, whose memory is nobody else's."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_a_file_announces_or_unpacks_to_costs_no_memory_beyond_the_largest_data_set(tmp_path: Path) -> None:
    # Given headers that announce 280 TB and 1 GB, a small file that announces 64 KB and unpacks to 268 MB, a data set
    # with the most that is read, and one with an image more
    n = idx.MAX_BYTES // 256**2 - 1
    folders = {name: tmp_path / name for name in ("huge", "large", "bomb", "more", "most")}
    for name in ("huge", "large"):
        write_idx_folder(folders[name])
    write_idx(folders["huge"], TRAIN_IMAGES, struct.pack(">4I", 0x0803, 2**32 - 1, 256, 256))
    write_idx(folders["large"], TRAIN_IMAGES, struct.pack(">4I", 0x0803, 2**14, 256, 256) + b"\0" * 100_000)
    write_packed(folders["bomb"], 1, 0, n=2**12)
    write_packed(folders["more"], n + 1, 0)
    write_packed(folders["most"], n, 0)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.gz")) < 5_000_000

    # When a process of its own asks for their digests
    program = (
        "import sys; from nn.datasets.mnist import dataset_digest; from nn.errors import DatasetError\n"
        "from pathlib import Path\n"
        "for folder in sys.argv[1:]:\n"
        "    try: answer = len(dataset_digest(folder))\n"
        "    except DatasetError as error: answer = str(error)\n"
        "    peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]\n"
        "    print(peak, answer)"
    )
    peaks, answers = zip(*(line.split(" ", 1) for line in output(program, *folders.values())), strict=True)

    # Then what is a lie is refused, and took no more memory than Python and NumPy need
    huge, large, bomb, more, most = answers
    assert "images or labels; expected at most" in huge
    assert "brings the data set to" in large
    assert "goes on after" in bomb
    assert int(peaks[2]) < 150_000
    # And the others take what the bound says, once, beside that
    assert f"brings the data set to {idx.MAX_BYTES + 256**2} bytes; expected at most {idx.MAX_BYTES}" in more
    assert most == "64"
    assert int(peaks[4]) < idx.MAX_BYTES / 1024 + 100_000


def test_too_little_memory_is_one_sentence(tmp_path: Path) -> None:
    # Given a data set of 50 MB whose pixels are all ink, and processes that may take 75, 175 and 300 MB more than
    # they have
    write_packed(tmp_path, 800, 1)
    program = (
        "import os, resource, sys; from pathlib import Path; from nn.datasets.mnist import load_mnist\n"
        "from nn.errors import DatasetError; from sklearn.model_selection import train_test_split\n"
        "size = 1024 * int(Path('/proc/self/status').read_text().split('VmSize:')[1].split()[0])\n"
        "for megabytes in map(int, sys.argv[2:]):\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        assert os.waitpid(child, 0)[1] == 0\n"
        "        continue\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 2**20,) * 2)\n"
        "    try: load_mnist(sys.argv[1])\n"
        "    except DatasetError as error: print(error, flush=True)\n"
        "    os._exit(0)"
    )

    printed = output(program, tmp_path, 75, 175, 300)

    assert printed == [f"the data set {str(tmp_path)!r} needs more memory than there is"] * 3
