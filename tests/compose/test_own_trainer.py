"""The image takes a trainer as docs/own-trainer.md says: two lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.compose import Compose, docker
from tests.support.own_trainer import OFFLINE, document_block
from worker.trainers import registry

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.fixture
def dist(clone: Path, tmp_path: Path) -> Path:
    """The folder with the example's wheel."""
    words = ("wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(clone / "examples" / "own_trainer"))
    subprocess.run([sys.executable, "-m", "pip", *words], env=os.environ | OFFLINE, check=True)
    return tmp_path


def test_an_image_with_another_trainer(built: Compose, dist: Path) -> None:
    # Given the document's two lines
    lines = document_block("dockerfile").replace("seedsweep:latest", built.image)
    assert len(lines.splitlines()) == 2
    (dist / "Dockerfile").write_text(lines)
    # When an image is built of them
    image = f"{built.image}-with-softmax"
    docker("build", "--network", "none", "--tag", image, str(dist))
    try:
        # Then it has both trainers, and a worker's user may use them in a container that nothing can be written to
        program = f"from {registry.__name__} import names, trainer; print(*names(), trainer('softmax').version)"
        words = ("run", "--rm", "--read-only", "--entrypoint", "python")
        assert docker(*words, image, "-c", program).split() == [*registry.names(), "softmax", "1"]
    finally:
        docker("image", "rm", image)
