"""Looking into a sweep's folder: which job is meant, what can be missing, and how answers are assessed."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import seedsweep
from nn.datasets.mnist import MNIST_DIGEST, dataset_digest
from nn.errors import DatasetError, InvalidInputError, SeedsweepError, WeightsError
from nn.files import digest
from nn.samples import pack
from nn.weights import Weights, initial_weights, to_safetensors
from orchestrator.analysis.evaluation import assess, data_of, evaluate, probabilities
from orchestrator.analysis.lookup import TrainedJob, trained_job
from orchestrator.analysis.selection import pick, pick_one
from orchestrator.analysis.sweep import Sweep
from orchestrator.cli.show import learning_curve
from orchestrator.errors import SweepNotFoundError
from orchestrator.export.formats import refuse_taken
from orchestrator.folder.rows import Row, lost_row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import open_sweep
from orchestrator.sweeps.specification import SweepSpecification
from tests.support.idx_files import write_idx_folder
from tests.support.privileges import public_folder, without_privileges
from tests.support.sweep_folders import filled
from tests.support.sweep_folders import row as row_of
from tests.support.sweeps import sweep_of
from worker.job import Job

SPECIFICATION = sweep_of(seeds=tuple(range(10)), learning_rates=(0.1, 0.003), epochs=2, hidden=(4, 3))
JOBS = {(job.seed, job.options.learning_rate): job for job in SPECIFICATION.jobs(MNIST_DIGEST)}


def weights(seed: int, features: int = 784) -> Weights:
    return initial_weights((features, 4, 3, 10), np.random.RandomState(seed), "float32")


def row(job: Job, accuracy: float) -> Row:
    return row_of(job, to_safetensors(weights(job.seed)), (0.2, accuracy))


def made(output: Path, specification: SweepSpecification = SPECIFICATION, dataset: str = MNIST_DIGEST) -> SweepFolder:
    return filled(output, specification, lambda _: None, dataset=dataset)


def finished(output: Path) -> SweepFolder:
    """A sweep in which three jobs have a result and one failed; 0.003 has the better mean, 0.1 the better best."""
    folder = made(output)
    for coordinates, accuracy in {(0, 0.003): 0.8, (1, 0.003): 0.7, (0, 0.1): 0.9, (2, 0.1): 0.1}.items():
        result = row(JOBS[coordinates], accuracy)
        folder.keep_weights(str(result.weights_sha256), to_safetensors(weights(coordinates[0])))
        folder.append(result)
    folder.append(lost_row(JOBS[3, 0.1], "failed", "it took its worker down three times"))
    return folder


def test_a_sweep_is_named_by_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made(tmp_path).path)
    assert open_sweep(".", Path("runs")).manifest().name == "a"


@pytest.mark.parametrize("argument", ["", "b", "..", "/", "runs", "a\0", "x" * 5000, "a\nb"])
def test_what_is_no_sweep_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    made(tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SweepNotFoundError, match="There is no sweep") as caught:
        open_sweep(argument, Path("runs"))
    assert "\n" not in str(caught.value)


def test_a_job_is_named_by_its_key_or_its_coordinates_or_is_the_best_of_the_first_place(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    # The first place is that of the higher mean, though another configuration has the best job.
    assert trained_job(Sweep.read(folder)).job == JOBS[0, 0.003]
    with pytest.raises(SweepNotFoundError, match="The sweep a has no result yet"):
        trained_job(Sweep.read(made(tmp_path / "empty")))
    job = JOBS[1, 0.003]
    for chosen in (job.key, job.key[:12], "1:0.003", "1:3e-3", "01:.003"):
        found = trained_job(Sweep.read(folder), [chosen])
        assert (found.job, found.row.job) == (job, job.key)
        assert np.array_equal(found.weights.W1, weights(1).W1)


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        *((each, "the sweep a has no such job") for each in ("1:0.5", "77:0.1", "0" * 64, "007")),
        *((each, "SEED:LEARNING_RATE") for each in ("1:", "1:1e", "", "best", "f" * 65)),
    ],
)
def test_what_names_no_job_is_refused(tmp_path: Path, chosen: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match="the job is") as caught:
        trained_job(Sweep.read(finished(tmp_path)), [chosen])
    assert reason in str(caught.value)


def test_digits_that_are_a_seed_name_the_seed() -> None:
    # Given a sweep of one configuration in which the key of another job begins with a seed's only digit
    jobs = sweep_of(seeds=tuple(range(10)), learning_rates=(0.1,), epochs=2, hidden=(4, 3)).jobs(MNIST_DIGEST)
    by_key = {job.key: job for job in jobs}
    other = next(job for job in jobs if job.key[0].isdecimal() and job.key[0] != str(job.seed))

    # Then the digit names the seed, and one digit more names the other job.
    assert by_key[pick_one("a", by_key, [other.key[0]])].seed == int(other.key[0])
    assert pick_one("a", by_key, [other.key[:12]]) == other.key


@pytest.mark.parametrize(
    ("closed", "sentence"),
    [
        ("results.jsonl", r"/a/results\.jsonl cannot be read: Permission denied"),
        ("sweep.json", r"/a/sweep\.json cannot be read: Permission denied"),
        (".", "/a cannot be read: Permission denied"),
        ("weights", r"safetensors is unreadable \(Permission denied\)"),
    ],
)
def test_what_cannot_be_read_is_not_called_missing_or_empty(closed: str, sentence: str) -> None:
    with public_folder() as output:
        folder = finished(output)
        (folder.path / closed).chmod(0)
        with without_privileges(), pytest.raises(SeedsweepError, match=sentence):
            trained_job(Sweep.read(open_sweep("a", output)), ["0:0.1"])


@pytest.mark.parametrize(
    "look", [seedsweep.verify_claim, lambda path: refuse_taken([path / "in" / "x.csv"], replace=False)]
)
def test_a_closed_folder_is_said(look: Callable[[Path], object]) -> None:
    with public_folder() as output:
        (output / "closed").mkdir(0)
        with without_privileges(), pytest.raises(SeedsweepError, match=r"/closed/.* cannot be read: Permission denied"):
            look(output / "closed")


def test_a_job_without_weights_says_why(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    with pytest.raises(WeightsError, match="has no weights: it has no result yet"):
        trained_job(Sweep.read(folder), ["9:0.1"])
    with pytest.raises(WeightsError, match=r"has no weights: it is failed \(it took its worker down three times\)"):
        trained_job(Sweep.read(folder), ["3:0.1"])

    file = folder.weights_path(str(row(JOBS[0, 0.1], 0.9).weights_sha256))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"is damaged: orchestrator weights .*/a [0-9a-f]{12} trains"):
        trained_job(Sweep.read(folder), ["0:0.1"])
    file.unlink()
    with pytest.raises(WeightsError, match=r"is missing: orchestrator weights .*/a [0-9a-f]{12} trains"):
        trained_job(Sweep.read(folder), ["0:0.1"])


@pytest.mark.parametrize(
    ("sizes", "biases", "reason"),
    [
        ((784, 4, 5, 10), True, r"layers of \(784, 4, 5, 10\) in float32; the job's are \(784, 4, 3, 10\)"),
        ((784, 4, 3, 2), True, r"layers of \(784, 4, 3, 2\) in float32; the job's are \(784, 4, 3, 10\)"),
        ((784, 4, 3, 10), False, r"\.safetensors: the weights have no biases; the job's network has them"),
        ((784, 4, 3, 10), True, r"\.safetensors: a weight is infinite or not a number"),
    ],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, sizes: tuple[int, int, int, int], biases: bool, reason: str
) -> None:
    specification = sweep_of(seeds=(0,), learning_rates=(0.1,), epochs=2, hidden=(4, 3), biases=True)
    folder = made(tmp_path, specification)
    blob = to_safetensors(initial_weights(sizes, np.random.RandomState(0), "float32", biases=biases))
    blob = blob[:-4] + np.float32("nan").tobytes()
    folder.keep_weights(digest(blob), blob)
    (job,) = specification.jobs(MNIST_DIGEST)
    folder.append(row_of(job, blob, (0.2, 0.5)))
    with pytest.raises(WeightsError, match=reason):
        trained_job(Sweep.read(folder), ["0"])


def test_a_network_for_other_images_or_of_other_data_is_not_assessed(tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "data")
    specification = SPECIFICATION.model_copy(update={"data": str(tmp_path / "data")})
    for trained_on, features, kind, reason in (
        (dataset_digest(tmp_path / "data"), 784, WeightsError, "The network takes 784 values; an image .* has 16"),
        ("0" * 64, 16, DatasetError, "the sweep was trained on 000000000000"),
    ):
        folder = made(tmp_path / trained_on, specification, trained_on)
        job = specification.jobs(trained_on)[0]
        network = TrainedJob(Sweep.read(folder), job, row(job, 0.5), weights(0, features=features))
        with pytest.raises(kind, match=reason):
            evaluate(network, data_of(folder.manifest(), job, tmp_path / "cache"))
    # And it takes no picture
    with pytest.raises(WeightsError, match="The network takes 16 values; a picture has 784"):
        probabilities(weights(0, features=16), np.zeros((28, 28), np.uint8))


def test_answers_are_counted_by_class_and_mistakes_ranked_by_confidence() -> None:
    # Given five images of the classes 0, 1, 1, 2, 1, of four classes, and what a network gives each class
    validation = pack(np.zeros((5, 3)), np.array([0, 1, 1, 2, 1]), 4)
    confidences = np.array(
        [
            [0.7, 0.1, 0.1, 0.1],  # right
            [0.6, 0.4, 0.0, 0.0],  # 1 taken for 0
            [0.1, 0.8, 0.1, 0.0],  # right
            [0.0, 0.1, 0.0, 0.9],  # 2 taken for 3
            [math.nan] * 4,  # 1 taken for 0, as argmax has it
        ]
    )

    evaluation = assess(confidences, validation, np.array([50, 51, 52, 53, 54]))

    assert evaluation.confusion.tolist() == [[1, 0, 0, 0], [2, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert evaluation.accuracy == 2 / 5
    assert evaluation.class_accuracy == [1.0, 1 / 3, 0.0, None]
    assert [tuple(asdict(mistake).values()) for mistake in evaluation.mistakes] == [
        (3, 53, 2, 3, 0.9), (1, 51, 1, 0, 0.6), (4, 54, 1, 0, None),
    ]  # fmt: skip


def test_a_learning_curve_has_a_bar_for_each_of_a_few_epochs_and_says_where_bars_begin_and_end() -> None:
    def trained(*accuracies: float) -> Row:
        return row(JOBS[0, 0.1], 0.5).model_copy(update={"validation_score": accuracies})

    # The lowest has the shortest bar, the highest the longest, one stands for itself, and many are thinned out
    _, *one = learning_curve(trained(0.25)).splitlines()
    assert one == ["(the bars begin at 0.00 % and end at 100.00 %)", f"     1  25.00 % {'█' * 13}"]
    _, *pair = learning_curve(trained(0.25, 0.75)).splitlines()
    bars = ["     1  25.00 % █", f"     2  75.00 % {'█' * 50}"]
    assert pair == ["(the bars begin at 25.00 % and end at 75.00 %)", *bars]
    _, _, *many = learning_curve(trained(*(i / 200 for i in range(200)))).splitlines()
    assert [many[place].split()[0] for place in (0, 19, -1)] == ["1", "200", "200"]


VARIED = SweepSpecification(
    seeds=tuple(range(10)),
    options={"learning_rate": 1 / 3},
    grid={"hidden_layer_sizes": ((128, 64), (256, 64)), "limit": (None, 500), "shuffle": (False, True)},
).jobs_by_key(MNIST_DIGEST)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("", 80),
        ("hidden=256,64", 40),
        ("hidden_layer_sizes=256,64", 40),
        ("hidden=256,64 limit=none", 20),
        ("limit=500 shuffle=true", 20),
        ("seed=3", 8),
        ("3 hidden=256,64 limit=500", 2),
        ("3 hidden=256,64 limit=500 shuffle=false", 1),
        # What does not vary may be named, too.
        ("learning_rate=0.3333333333333333 seeds=3 loss=cross_entropy", 8),
        ("learning-rate=0.3333333333333333", 80),
    ],
)
def test_words_pick_the_jobs_that_fit_all_of_them(words: str, count: int) -> None:
    picked = pick("a", VARIED, words.split())

    assert len(picked) == count
    assert picked == [key for key in VARIED if key in picked]
    if count == 1:
        assert pick_one("a", VARIED, words.split()) == picked[0]


def test_a_value_can_be_typed_as_tables_show_it_and_the_words_of_a_job_pick_it() -> None:
    axes = ("hidden_layer_sizes", "limit", "shuffle")
    assert all(pick_one("a", VARIED, job.words(axes).split()) == key for key, job in VARIED.items())
    assert pick("a", VARIED, ["limit=all samples"]) == pick("a", VARIED, ["limit=none"])
    thirds = sweep_of(seeds=(0,), learning_rates=(1 / 3, 2 / 3)).jobs_by_key(MNIST_DIGEST)
    assert thirds[pick_one("a", thirds, ["learning_rate=0.333333"])].options.learning_rate == 1 / 3


#: What `the job is WORDS; allowed:` goes on with, by the words.
NO_JOB = {
    "hidden=1": "hidden=128,64 or 256,64, as in the sweep a",
    "hidden=1,2": "hidden=128,64 or 256,64, as in the sweep a",
    "loss=none": "loss=cross_entropy, as in the sweep a",
    "limit=501": "limit=all samples or 500, as in the sweep a",
    "seed=10": "seed=0-9, as in the sweep a",
    "seed=": "seed=0-9, as in the sweep a",
    "hiden=1,2": "hidden=VALUE, the nearest name",
    "momentum=1": "NAME=VALUE, where NAME is what varies in the sweep a: seed, hidden, shuffle or limit",
    "=": "NAME=VALUE, where NAME is what varies in the sweep a: seed, hidden, shuffle or limit",
    "seed=1 seed=2": "words that fit a job of the sweep a; each of these fits one, and none fits all",
    "hidden=256,64": "words that fit one job of the sweep a; 40 jobs fit, so add seed (0-9), shuffle (false or true) "
    "and limit (all samples or 500)",
}


@pytest.mark.parametrize("words", NO_JOB)
def test_words_that_pick_no_job_or_several_are_refused_with_what_there_is(words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        pick_one("a", VARIED, words.split())
    assert str(caught.value) == f"the job is '{words}'; allowed: {NO_JOB[words]}"
