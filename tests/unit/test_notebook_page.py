"""docs/notebook.md: its example prints what the page shows, and every name on the page exists."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.compiles

PAGE = (ROOT / "docs" / "notebook.md").read_text()


def test_the_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    match = re.search(r"```python\n(.*?)```\n\nIt prints:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    example, expected = match.groups()

    exec(compile(example, "docs/notebook.md", "exec"), {})  # noqa: S102

    def without_times(lines: str) -> str:
        return re.sub(r"Spent: [0-9.]+s", "Spent: ?s", lines)

    printed = without_times(capsys.readouterr().out)
    assert printed == without_times(expected)
    assert printed.count("Epoch:") == 10


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(nn\.[A-Za-z0-9_.]+)`", PAGE))))
def test_every_name_exists(name: str) -> None:
    module, _, rest = name.removeprefix("nn.").partition(".")
    found: object = importlib.import_module(f"nn.{module}")
    for part in rest.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE))))
def test_every_named_test_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()
