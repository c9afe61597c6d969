"""The image takes a trainer as docs/how-to/own-trainer.md says: two lines, and a service beside the network's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compose import Compose, docker
from tests.support.own_trainer import OFFLINE, document_block

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.fixture
def image(built: Compose, clone: Path, tmp_path: Path) -> Iterator[str]:
    """An image made of the document's two lines, which goes away afterwards."""
    words = ("wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(clone / "examples" / "own_trainer"))
    subprocess.run([sys.executable, "-m", "pip", *words], env=os.environ | OFFLINE, check=True)
    lines = document_block("dockerfile").replace("seedsweep:latest", built.image)
    assert len(lines.splitlines()) == 2
    (tmp_path / "Dockerfile").write_text(lines)
    made = f"{built.image}-with-softmax"
    # All that the trainer needs is in the image: pip asks no index.
    docker("build", "--network", "none", "--tag", made, str(tmp_path))
    try:
        yield made
    finally:
        docker("image", "rm", made)


@pytest.fixture
def cluster(image: str, clone: Path) -> Iterator[Compose]:
    """A worker of the network and one of the trainer, by the document's service."""
    file = clone / "docker-compose.softmax.yml"
    file.write_text(document_block("yaml").replace("seedsweep-with-softmax:1.0.0", image))
    made = Compose(clone, "own", files=("docker-compose.yml", file.name))
    try:
        made.up(1, "--scale", "softmax=1")
        yield made
    finally:
        made.close()
        file.unlink()


def test_a_sweep_of_another_trainer_in_containers(cluster: Compose) -> None:
    states = [(container["State"], container["Health"]) for container in cluster.containers("softmax")]
    assert states == [("running", "healthy")]

    own = ("--trainer", "softmax", "--grid", "learning_rate=0.01,0.1", "--seeds", "0-1", "--name", "own")
    told = cluster.once("orchestrator", "sweep", *own)
    assert "jobs 4, accepted 4" in told
    # The worker beside it goes on with the network's jobs
    network = ("--seeds", "0", "--learning-rates", "0.1", "--epochs", "1", "--limit", "500", "--name", "network")
    cluster.once("orchestrator", "sweep", *network)
