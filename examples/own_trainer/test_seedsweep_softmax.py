"""The promises that Seedsweep relies on. Run it with `python -m pytest`."""

from seedsweep_softmax import SoftmaxTrainer

from seedsweep import check_trainer


def test_it_keeps_the_promises_of_a_trainer() -> None:
    """Short epochs are enough: every promise is about any number of them."""
    check_trainer(SoftmaxTrainer, options=[{"epochs": 4}, {"learning_rate": 1.0, "batch_size": 100, "epochs": 2}])
