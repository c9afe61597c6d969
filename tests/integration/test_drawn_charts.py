"""Charts as they are drawn: by the schema of Vega-Lite, and as the SVG that a page may hold."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from altair.vegalite.schema import core

from orchestrator.analysis.sweep import Sweep
from orchestrator.report.charts import catalogue, configurations, drawing, labels
from orchestrator.report.charts.kinds import by_axis
from tests.support.charted import chart_of, charts_of, mixed_sweep, odd_snapshot
from tests.support.exported import HOSTILE, odd_trainer
from tests.support.report_folders import CONTROLS, INJECTIONS, TEXTS
from worker.job import Job

HOSTILE_TEXTS = (*INJECTIONS, *TEXTS, *CONTROLS, HOSTILE, f"{HOSTILE[:-1]}y")
#: Tells whether a specification is one. What Altair does with it also finds the class of each part, and takes longer.
VEGA_LITE = jsonschema.Draft7Validator(core.load_schema())


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return mixed_sweep(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def drawn(mixed: Sweep) -> Mapping[str, str]:
    """The SVG of every chart of a sweep, by the chart's name."""
    return {chart.name: drawing.svg(chart) for chart in charts_of(mixed)}


#: Sweeps that are unlike others, by what a job's metric is after each epoch.
UNUSUAL: dict[str, tuple[Callable[[Job], list[float]], dict[str, Any]]] = {
    "one seed": (lambda job: [0.5, job.options.ratio], {"seeds": 1, "ratio": (0.1, 0.2)}),
    "one configuration": (lambda job: [0.5, job.seed / 10], {"ratio": (0.1,)}),
    "one epoch": (lambda job: [job.seed / 10], {"ratio": (0.1, 0.2)}),
    "nothing varies in the results": (lambda _: [0.0, 0.0], {"ratio": (0.1, 0.2)}),
    "the largest numbers": (lambda job: [-1e100, 1e100 * (job.seed - 1)], {"ratio": (0.1, 0.2)}),
    "decades": (lambda job: [1e4 * job.options.ratio, 1e3 * job.options.ratio], {"ratio": (1e-5, 1e-3, 0.1)}),
    "the smallest numbers": (
        lambda job: [1e100, job.options.ratio * (1 + job.seed)], {"ratio": (5e-324, 1e-300, 1e-90, 1e90)},
    ),
    "an option beyond axes": (lambda job: [1.0, job.seed / 10], {"ratio": (-1e308, 1e308), "depth": (1, 10**400)}),
    "negative": (lambda job: [-3.0, -2.0 - job.options.ratio], {"ratio": (-1.0, 0.0, 1.0)}),
    "a hundred configurations": (
        lambda job: [2.0, abs(job.options.ratio - 5) + job.seed], {"ratio": tuple((i + 1) / 7 for i in range(100))},
    ),
    "many values of two options": (
        lambda job: [1.0, job.options.ratio + job.seed / 10],
        {"ratio": tuple(i * 0.618 % 1 for i in range(1, 25)), "epochs": (1, 2)},
    ),
    "none, false and lists": (
        lambda job: [1.0, job.seed / 10], {"loss": (True, False), "depth": (None, 3), "widths": ((3, 2), (4, 1))},
    ),
    "texts": (lambda job: [1.0, len(job.options.text) + job.seed / 10], {"text": (*HOSTILE_TEXTS, "")}),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNUSUAL)
def test_charts_of_unusual_sweeps_are_valid_and_can_be_read(tmp_path: Path, kind: str) -> None:
    scores, words = UNUSUAL[kind]
    with odd_trainer(tmp_path / "trainers"):
        swept = odd_snapshot(tmp_path, lambda job: scores(job)[-job.epochs :], **words)
        found = charts_of(swept)
        assert [chart.name for chart in found] == list(catalogue.names(swept))
        assert {"intervals", "curves"} <= {chart.name for chart in found} or kind == "one epoch"
        for chart in found:
            # The data is checked by what is drawn of it.
            VEGA_LITE.validate({name: value for name, value in chart.specification.items() if name != "datasets"})
            assert 1 <= len(chart.table.rows) <= 500
            assert {len(row) for row in chart.table.rows} == {len(chart.table.headings)}
            texts = [each.text or "" for each in parsed(drawing.svg(chart)).iter() if each.tag.endswith("text")]
            assert all(text.isprintable() and len(text) < 80 for text in texts)
            assert not any("NaN" in text or "undefined" in text for text in texts)


def test_the_schema_refuses_what_is_no_specification(mixed: Sweep) -> None:
    shape = dict(chart_of(mixed, "curves").specification)
    shape["layer"] = [{**layer, "mark": "line of no kind"} for layer in shape["layer"]]
    assert not VEGA_LITE.is_valid(shape)


def test_labels_are_short_and_unlike_and_descriptions_whole(tmp_path: Path) -> None:
    texts = (*HOSTILE_TEXTS, "x" * 200 + "a" + "x" * 99, "x" * 200 + "b" + "x" * 99)
    with odd_trainer(tmp_path / "trainers"):
        swept = odd_snapshot(tmp_path, lambda job: [0.5, 0.1 * job.seed], text=texts)
        every = configurations.drawn(swept)
        assert len({each.label for each in every}) == len(texts)
        assert max(len(each.label) for each in every) <= 30
        svg = drawing.svg(chart_of(swept, "intervals"))
    found = "\n".join(each.get("aria-label", "") for each in parsed(svg).iter())
    for text in texts:
        assert labels.plain(text) in found
    assert all(label.isprintable() for label in found.splitlines())
    assert "<script" not in svg
    assert "<img" not in svg


def test_beyond_a_number_of_jobs_none_has_a_mark_of_its_own(mixed: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a limit that is smaller than that of thousands
    monkeypatch.setattr(configurations, "MOST_JOBS", 5)
    for name in ("intervals", "metric-by-learning_rate", "curves", "differences"):
        svg = drawing.svg(chart_of(mixed, name))
        found = [each for each in parsed(svg).iter() if each.get("class") == "mark"]
        assert found, name
        assert not [each for each in found if each.get("data-seed")], name
        if name == "metric-by-learning_rate":
            # Rows have every job once.
            said = [each.get("aria-label", "") for each in found]
            counts = [int(count[1]) for text in said if (count := re.search(r" of (\d+) jobs?$", text))]
            assert sum(counts) == sum(standing.n for standing in mixed.leaderboard.standings)


def test_many_options_have_no_dot_for_each_job_in_each_of_their_charts(
    mixed: Sweep, drawn: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_axis, "MOST_DOTS", len(mixed.jobs) - 1)
    assert "data-seed" not in drawing.svg(chart_of(mixed, "metric-by-learning_rate"))
    assert "data-seed" in drawn["metric-by-learning_rate"]
    assert "data-seed" in drawing.svg(chart_of(mixed, "intervals"))


def test_a_page_with_a_strict_policy_may_hold_every_chart(drawn: Mapping[str, str]) -> None:
    assert drawn.keys() == {"intervals", "metric-by-learning_rate", "curves", "differences"}
    for svg in drawn.values():
        for element in parsed(svg).iter():
            assert element.tag.rpartition("}")[2] in {
                "svg", "g", "path", "circle", "line", "rect", "text", "tspan", "defs", "clipPath",
            }  # fmt: skip
            assert not {name for name in element.attrib if name == "style" or "href" in name or name[:2] == "on"}
        assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]
    # No chart has an id of another one.
    ids = [each.get("id") for svg in drawn.values() for each in parsed(svg).iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    used = {found for svg in drawn.values() for found in re.findall(r"url\(#([^)]+)\)", svg)}
    assert used <= set(ids)


def test_every_job_is_a_mark_with_its_seed_and_its_name(mixed: Sweep, drawn: Mapping[str, str]) -> None:
    found = [each for each in parsed(drawn["curves"]).iter() if each.get("data-seed")]
    assert len(found) == len([row for row in mixed.rows.values() if row.accepted])
    assert all(each.get("aria-label", "").startswith(f"seed {each.get('data-seed')}, ") for each in found)
