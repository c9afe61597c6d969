"""What the property tests share: hostile values, and a call that must end well on them."""

import datetime
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nn.errors import SeedsweepError
from tests.support.memory import at_most

T = TypeVar("T")

#: An example may take long, because machines are busy, and may find in its folder what the last one left there. How
#: many examples there are is in the profiles of tests/conftest.py.
patient = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

#: More than any of these inputs needs, and far less than what a forged size asks for.
PEAK_BYTES = 32 * 2**20
#: A sentence for a user, not a dump of what was sent.
LONGEST_MESSAGE = 2000

#: An integer that Python refuses to write in decimal, so that no strategy can hold it (Hypothesis prints them).
UNPRINTABLE = 10**5000

#: Numbers at the edges of what types hold, and beyond.
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([-1, 0, 1, 2**31, 2**32, 2**63, 2**64, 10**400, -(10**400), 1e-320, 1e308, True, False]),
)
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", " ", "0", "1e999", "nan", "0x10", "1_000", "٣", "9" * 5000, "a" * 5000, "\0", "\ud800", "-0"]),
)
#: Whatever JSON can say.
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
#: What TOML can say beside that.
toml_values = json_values | st.datetimes() | st.dates() | st.times() | st.just(datetime.timedelta.max)
#: What nobody can send as JSON, but a caller can pass.
odd_objects = st.sampled_from([b"\xff", object(), {1, 2}, {1: 2}, {None: 1}, range(3), int, 1j, Ellipsis, bytearray(3)])


@st.composite
def nearly(
    draw: st.DrawFn, valid: dict[str, Any], hostile: st.SearchStrategy[Any] = json_values, more: Sequence[str] = ()
) -> Any:
    """A valid value, some fields of which, or of some more, are missing, hostile, or hold something hostile."""
    fields = dict(valid)
    for name in draw(st.lists(st.sampled_from(sorted({*valid, *more})), max_size=3)):
        match draw(st.sampled_from(["missing", "hostile", "within"])):
            case "missing":
                fields.pop(name, None)
            case "within" if isinstance(valid.get(name), list):
                fields[name] = draw(st.lists(hostile, max_size=3))
            case "within" if isinstance(valid.get(name), dict):
                fields[name] = draw(st.dictionaries(texts, hostile, max_size=3))
            case _:
                fields[name] = draw(hostile)
    return fields


def answer(call: Callable[..., T], *arguments: object, error: type[SeedsweepError]) -> T | None:
    """Return what the call returns, or None if it raises an error of ours, in one sentence and in little memory."""
    with at_most(PEAK_BYTES):
        try:
            return call(*arguments)
        except error as refusal:
            sentence = str(refusal)
            assert sentence
            assert "\n" not in sentence
            assert len(sentence) <= LONGEST_MESSAGE
            return None


@st.composite
def damaged(draw: st.DrawFn, intact: bytes) -> bytes:
    """Bytes that were intact once: changed at some places, cut, or with something behind them."""
    content = bytearray(intact)
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    end = draw(st.integers(0, len(content)) | st.just(len(content)))
    return bytes(content[:end]) + draw(st.binary(max_size=16))
