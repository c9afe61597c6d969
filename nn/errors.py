"""The base class of Seedsweep's errors, and the errors of the `nn` layer."""


class SeedsweepError(Exception):
    """The base class of Seedsweep's errors. `str(error)` is one sentence, written for a user."""


class Described(str):
    """A description that an error message shows, unquoted, instead of a value: `missing`, `5000 bytes`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class InvalidInputError(SeedsweepError, ValueError):
    """An invalid value.

    Args:
        field: The name of the option or field, as the user wrote it (`--seeds`, `learning_rate`).
        value: The invalid value, or a `Described`.
        allowed: The allowed values, as the end of a sentence.
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
            # Python cannot format integers of more than 4300 digits (ValueError) or deeply nested values.
            shown = f"a value of type {type(self.value).__name__} that is too long to show"
        if len(shown) > 80:
            shown = shown[:77] + "..."
        return f"{self.field} is {shown}; allowed: {self.allowed}"


class DatasetError(SeedsweepError):
    """A data set is missing, damaged, or not the expected one."""


class WeightsError(SeedsweepError):
    """Weights cannot be read, or do not match their hash."""
