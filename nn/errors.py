"""The base of every error that Seedsweep raises on purpose, and the errors of the `nn` layer."""


class SeedsweepError(Exception):
    """Base class: `str(error)` is one sentence that can be shown to a user as it is."""


class InvalidInputError(SeedsweepError, ValueError):
    """A value that cannot be used.

    Args:
        field: What the value is for, as the user wrote it (`--seeds`, `learning_rate`).
        value: What was given.
        allowed: What would have been accepted, as the end of a sentence.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(field, value, allowed)
        self.field = field
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        try:
            shown = repr(self.value)
        except (ValueError, RecursionError):
            # Python writes no integers of more than 4300 digits, and nothing that is nested too deep.
            shown = f"a value of type {type(self.value).__name__} that is too long to show"
        if len(shown) > 80:
            shown = shown[:77] + "..."
        return f"{self.field} is {shown}; allowed: {self.allowed}"


class DatasetError(SeedsweepError):
    """A data set that is missing, damaged, or not what it should be."""


class WeightsError(SeedsweepError):
    """Weights that cannot be read, or that are not what their hash says."""
