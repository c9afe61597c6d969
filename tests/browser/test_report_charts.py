"""The charts of a report in a browser: their text can be read, and every job's mark says which job it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import DESKTOP, PHONE, Page, Screen
from tests.support.report_folders import KINDS

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

Report = Callable[[str], Path]

#: Pixels on the screen: less cannot be read.
SMALLEST_TEXT = 10
#: Pixels by which the boxes of two texts may meet: a box is higher than its letters.
TOUCHING = 3

TEXTS = """
return [...document.querySelectorAll('figure.chart svg')].map(svg => {
    const frame = svg.getBoundingClientRect();
    return [svg.closest('figure').id, [frame.left, frame.top, frame.right, frame.bottom],
        [...svg.querySelectorAll('text')].filter(text => text.textContent.trim()).map(text => {
            const box = text.getBoundingClientRect();
            const matrix = text.getScreenCTM();
            const height = Math.hypot(matrix.a, matrix.b) * parseFloat(getComputedStyle(text).fontSize);
            return [text.textContent, height, [box.left, box.top, box.right, box.bottom]];
        })];
})
"""
Box = list[float]


def charts(page: Page) -> dict[str, tuple[Box, list[tuple[str, float, Box]]]]:
    """Return the frame of every chart, and its texts with their height and their box, all in pixels of the screen."""
    found: list[list[Any]] = page.run(TEXTS)
    assert found
    return {name: (frame, texts) for name, frame, texts in found}


def overlap(a: Box, b: Box) -> float:
    """Return by how many pixels two boxes overlap, in the direction in which they overlap least."""
    return min(a[2] - b[0], b[2] - a[0], a[3] - b[1], b[3] - a[1])


def unreadable(name: str, frame: Box, texts: list[tuple[str, float, Box]]) -> Iterator[str]:
    """Yield what is wrong with the texts of a chart."""
    for number, (text, height, box) in enumerate(texts):
        if height < SMALLEST_TEXT:
            yield f"{name}: {text!r} is {height:.1f} pixels high"
        out = max(frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
        if out > 2:
            yield f"{name}: {text!r} is cut off by {out:.0f} pixels"
        for other, _, its_box in texts[number + 1 :]:
            if overlap(box, its_box) > TOUCHING:
                yield f"{name}: {text!r} lies on {other!r}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
def test_the_text_of_charts_can_be_read(page: Page, report: Report, kind: str, screen: Screen) -> None:
    page.show(report(kind), screen)
    for name, (frame, texts) in charts(page).items():
        assert texts, name
        assert list(unreadable(name, frame, texts)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_of_a_job_says_its_job(page: Page, report: Report, kind: str) -> None:
    page.show(report(kind))
    marks = page.run(
        "return [...document.querySelectorAll('figure.chart [data-seed]')].map("
        "mark => [mark.closest('figure').id, mark.dataset.seed, mark.getAttribute('aria-label')])"
    )
    assert marks
    for figure, seed, label in marks:
        assert f"seed {seed}" in label.replace(":", "").replace("=", " "), f"{figure}: {label}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_has_a_name_and_its_data(page: Page, report: Report, kind: str) -> None:
    page.show(report(kind))
    figures = page.run(
        """
        return [...document.querySelectorAll('figure.chart')].map(figure => [figure.id,
            figure.querySelector('figcaption').textContent.trim(),
            figure.querySelector('svg').getAttribute('aria-label'),
            figure.querySelectorAll('details tbody tr').length])
        """
    )
    assert figures
    assert len({name for name, *_ in figures}) == len(figures)
    for name, caption, label, rows in figures:
        assert caption, name
        assert label, name
        assert rows, name
