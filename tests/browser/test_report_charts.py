"""The charts of a report in a browser: their text can be read, and every job's mark says which job it is."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chromium import DESKTOP, PHONE, Page, Report, Screen
from tests.support.report_folders import KINDS

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

#: Pixels on the screen: less cannot be read.
SMALLEST_TEXT = 10
#: Pixels by which the boxes of two texts may meet: a box is higher than its letters.
TOUCHING = 3

TEXTS = """
return [...document.querySelectorAll('figure.chart svg')].map(svg => {
    const frame = svg.getBoundingClientRect();
    return [svg.closest('figure').id, [frame.left, frame.top, frame.right, frame.bottom],
        [...svg.querySelectorAll('text')].filter(text => text.textContent.trim()).map(text => {
            const box = text.getBBox(), matrix = text.getScreenCTM();
            const right = box.x + box.width, low = box.y + box.height;
            const corners = [[box.x, box.y], [right, box.y], [right, low], [box.x, low]].map(([x, y]) => {
                const point = new DOMPoint(x, y).matrixTransform(matrix);
                return [point.x, point.y];
            });
            const size = Math.hypot(matrix.a, matrix.b) * parseFloat(getComputedStyle(text).fontSize);
            return [text.textContent, size, corners];
        })];
})
"""
Box = list[float]
#: The corners of a rectangle, which may be turned.
Corners = list[tuple[float, float]]
Text = tuple[str, float, Corners]


def charts(page: Page) -> dict[str, tuple[Box, list[Text]]]:
    """Return the frame of every chart, and its texts with their size and their corners, all in pixels of the screen."""
    found: list[list[Any]] = page.run(TEXTS)
    assert found
    return {name: (frame, texts) for name, frame, texts in found}


def overlap(a: Corners, b: Corners) -> float:
    """Return by how many pixels two rectangles overlap, in the direction of a side in which they overlap least."""
    least = math.inf
    for (x0, y0), (x1, y1) in (a[:2], a[1:3], b[:2], b[1:3]):
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        across = [[(x * (x1 - x0) + y * (y1 - y0)) / length for x, y in corners] for corners in (a, b)]
        least = min(least, min(map(max, across)) - max(map(min, across)))
    return least


def unreadable(name: str, frame: Box, texts: list[Text]) -> Iterator[str]:
    """Yield what is wrong with the texts of a chart."""
    for number, (text, size, corners) in enumerate(texts):
        if size < SMALLEST_TEXT:
            yield f"{name}: {text!r} is {size:.1f} pixels high"
        out = max(max(frame[0] - x, frame[1] - y, x - frame[2], y - frame[3]) for x, y in corners)
        if out > 2:
            yield f"{name}: {text!r} is cut off by {out:.0f} pixels"
        for other, _, its_corners in texts[number + 1 :]:
            if overlap(corners, its_corners) > TOUCHING:
                yield f"{name}: {text!r} lies on {other!r}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
def test_the_text_of_charts_can_be_read(page: Page, report: Report, kind: str, screen: Screen) -> None:
    page.show(report(kind), screen)
    for name, (frame, texts) in charts(page).items():
        assert texts, name
        assert list(unreadable(name, frame, texts)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_has_a_name_and_its_data_and_every_mark_of_a_job_its_job(
    page: Page, report: Report, kind: str
) -> None:
    page.show(report(kind))
    figures = page.run(
        """
        return [...document.querySelectorAll('figure.chart')].map(figure => [figure.id,
            figure.querySelector('figcaption').textContent.trim(),
            figure.querySelector('svg').getAttribute('aria-label'),
            figure.querySelectorAll('details tbody tr').length,
            [...figure.querySelectorAll('[data-seed]')].map(
                mark => [mark.dataset.seed, mark.getAttribute('aria-label')])])
        """
    )
    assert len({name for name, *_ in figures}) == len(figures) > 0
    assert any(marks for *_, marks in figures)
    for name, caption, label, rows, marks in figures:
        assert caption, name
        assert label, name
        assert rows, name
        for seed, said in marks:
            assert f"seed {seed}" in said.replace(":", "").replace("=", " "), f"{name}: {said}"
