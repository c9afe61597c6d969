"""Ranges of numbers: their points, and what is no range."""

import pytest

from orchestrator.sweeps.axes import MAX_POINTS, Range, RefusedError


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("linear:0..1:5", [0, 0.25, 0.5, 0.75, 1]),
        ("linear:-1..1:3", [-1, 0, 1]),
        ("log:0.001..1:4", [0.001, 0.01, 0.1, 1]),
        ("log:1e-05..100000:3", [1e-05, 1, 1e5]),
        # Six digits are shown, and are the point; the ends stay as they are.
        ("linear:0..1:4", [0, 0.333333, 0.666667, 1]),
        ("log:0.001..0.3:4", [0.001, 0.00669433, 0.044814, 0.3]),
        ("linear:0.12345678..0.9:2", [0.12345678, 0.9]),
    ],
)
def test_points(text: str, points: list[float]) -> None:
    made = Range.parse(text)

    assert made.points() == points
    assert str(made) == text
    assert all(type(point) is float for point in made.points())
    # What is shown is what it is.
    assert all(float(f"{point:g}") == point for point in made.points()[1:-1])


def test_points_of_integers() -> None:
    assert Range.parse("linear:0...5:3") == Range.parse("linear:0..0.5:3")
    assert Range.parse("linear:1..10:4").points(integers=True) == [1, 4, 7, 10]
    assert Range.parse("log:1..100:3").points(integers=True) == [1, 10, 100]
    # Rounded ones may be equal: whoever reads them drops those, and says so.
    assert Range.parse("linear:1..2:4").points(integers=True) == [1, 1, 2, 2]
    assert all(type(point) is int for point in Range.parse("log:1..9:5").points(integers=True))
    for ends in ("0.5..2", "1..2.5"):
        with pytest.raises(RefusedError, match="a range from an integer to an integer"):
            Range.parse(f"linear:{ends}:3").points(integers=True)


def test_a_range_without_points_has_all_numbers() -> None:
    made = Range.parse(" log:0.001..0.3 ")

    assert (made.kind, made.low, made.high, made.count) == ("log", 0.001, 0.3, None)
    assert made == Range("log", 0.001, 0.3)
    with pytest.raises(RefusedError, match=r"with a number of points, such as log:0.001..0.3:5"):
        made.points()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("log:0.3..0.001:7", "a range from its lower end to its higher one"),
        ("linear:1..1:5", "a range from its lower end to its higher one"),
        ("log:0..1:5", "a logarithmic range whose lower end is greater than 0"),
        ("log:-1..1:5", "a logarithmic range whose lower end is greater than 0"),
        ("linear:0..1:1", "a range of 2 to 100,000 points"),
        ("linear:0..1:0", "a range of 2 to 100,000 points"),
        ("linear:0..1:1000000000", "a range of 2 to 100,000 points"),
        *[
            (text, "a range such as log:0.001..0.3:7 or linear:0..1:5")
            for text in ("log:0.1", "log:0.1..", "lin:0..1:5", "Log:1..2:3", "log:1..2:3.5", "", "0..1",
                         "log:1..1e999:5", "log:nan..1:5", "log:1..2:-3", "log:1..2:", "log:1_0..20:3", "log:٣..9:3",
                         "log:1..2:" + "9" * 5000, "linear:-1e999..0:3")
        ],
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused_with_its_reason(text: str, allowed: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        Range.parse(text)
    assert str(refusal.value) == allowed


@pytest.mark.parametrize(("high", "count"), [(0.12345679, 9), (1.0, MAX_POINTS)])
def test_many_points_keep_their_order_and_none_lies_beyond_an_end(high: float, count: int) -> None:
    points = Range("linear", 0.12345678, high, count).points()

    assert len(points) == count
    assert points == sorted(points)
    assert (points[0], points[-1]) == (0.12345678, high)
