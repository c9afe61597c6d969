"""`orchestrator report`: the page of a sweep, as the command writes it."""

from __future__ import annotations

import json
import re

from tests.support.command_line import SMALL, CommandLine


def test_a_finished_sweep_gets_one_page_that_loads_nothing(command_line: CommandLine) -> None:
    command_line.finished("a", *SMALL)

    said = json.loads(command_line.run("report", "a", "--json").stdout)

    page = (command_line.sweep("a") / "report.html").read_text()
    assert said == {"path": "runs/a/report.html", "bytes": len(page.encode()), "jobs": 4, "ended": 4}
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"""(src|href|action|url)\s*[=(]\s*["']?(?!#|data:)[^\s>]*//""", page)
    sections = re.findall(r'<section id="([a-z]+)"', page)
    assert sections == [
        "verdict", "table", "metric", "curves", "differences", "accounting", "network", "reproduce", "provenance",
    ]  # fmt: skip
