"""README and the documents: commands can be pasted, and every target, option, path, test and link exists."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from orchestrator.cli.main import run
from tests.support.paths import ROOT

#: CHANGELOG.md is not among them: it names what is gone.
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    )
)
TEXT = {name: (ROOT / name).read_text() for name in DOCUMENTS}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What a fenced block may be: commands, output, or the content of a file.
LANGUAGES = {"sh", "text", "python", "ini", "toml", "mermaid", "dockerfile", "yaml"}
ROOMS = ("nn", "worker", "orchestrator", "tests", "docs", "docker", "benchmarks")
PATH = re.compile(rf"(?:{'|'.join(ROOMS)})/[\w./-]*")


def commands(document: str) -> Iterator[list[str]]:
    """Yield the words of each command of a document's blocks and code spans."""
    for language, block in FENCE.findall(TEXT[document]):
        if language == "sh":
            for line in re.sub(r"<<(\w+)\n.*?^\1$", "", block, flags=re.MULTILINE | re.DOTALL).split("\n"):
                yield shlex.split(line.removesuffix("\\"), comments=True)
    for span in spans(document):
        if re.match(r"(make|orchestrator|[A-Z_]+=\S+ make) \S", span):
            yield shlex.split(span)


def spans(document: str) -> set[str]:
    """Return the code spans of a document's prose and tables."""
    return set(re.findall(r"`([^`\n]+)`", FENCE.sub("", TEXT[document])))


@cache
def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_block_holds_commands_without_prompts_or_is_something_else(document: str) -> None:
    for language, block in FENCE.findall(TEXT[document]):
        assert language in LANGUAGES, f"{document} has a block marked {language!r}"
        if language == "sh":
            assert not re.search(r"^\s*[$#>%] ", block, re.MULTILINE), (
                f"{document}: a prompt cannot be pasted:\n{block}"
            )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_exists(document: str) -> None:
    for words in commands(document):
        if "make" in words:
            targets = [word for word in words[words.index("make") + 1 :] if re.fullmatch(r"[a-z][a-z-]*", word)]
            assert set(targets) <= makefile_targets(), f"{document}: {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_option_exists(document: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(document):
        if "orchestrator" not in words or "--entrypoint" in words:
            continue
        command, *rest = words[words.index("orchestrator") + 1 :] or ["--help"]
        if command == "--help":
            continue
        assert run([command] if command.startswith("-") else [command, "--help"]) == 0, f"{document}: {' '.join(words)}"
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, f"{document}: {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_path_and_test_exists(document: str) -> None:
    for span in spans(document):
        for path in PATH.findall(span) if PATH.match(span) else ():
            assert (ROOT / path).exists(), f"{document}: {span}"
        file, separator, test = span.partition("::")
        if separator and PATH.fullmatch(file):
            assert re.search(rf"^(async )?def {re.escape(test)}\(", (ROOT / file).read_text(), re.MULTILINE), span


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_module_exists(document: str) -> None:
    for span in spans(document):
        if re.fullmatch(r"(nn|worker|orchestrator)(\.\w+)+", span):
            assert any(is_module(span.rsplit(".", part)[0]) for part in range(3)), f"{document}: {span}"


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = Path(os.path.normpath(ROOT / document / ".." / name)) if name else ROOT / document
        assert target.exists(), f"{document}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{document}: {link}"


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_word_is_used_that_the_glossary_replaced(document: str) -> None:
    gone = r"\b(run[- ]folders?|run[- ]ids?|solitude|keepers?|traces|reconcil\w+)\b"
    assert not re.findall(gone, FENCE.sub("", TEXT[document]), re.IGNORECASE)


def test_the_drawing_shows_every_room_and_every_module_outside_a_room() -> None:
    drawing = TEXT["docs/architecture.md"].split("```mermaid\n")[1].split("```")[0]
    for package in ("nn", "worker", "orchestrator"):
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert rooms <= set(re.findall(r"<b>(\w+)</b>", drawing)), package
        modules = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
        assert modules <= set(re.findall(r"\w+", drawing)), package


def test_each_step_of_a_jobs_life_names_its_module() -> None:
    steps = re.findall(r"^\| \d+\. .*\| (.*) \|$", TEXT["docs/life-of-a-job.md"], re.MULTILINE)
    assert len(steps) >= 30
    assert all(re.search(r"`(nn|worker|orchestrator)/[\w/]+\.py`|\]\(guarantees\.md#", step) for step in steps)


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()) == records
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    for name in records:
        text = (folder / name).read_text()
        assert text.startswith(f"# {int(name[:4])}. ")
        sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert sections == ["Context", "Decision", "Consequences", "Alternatives considered"], name


def test_the_results_script_names_the_package_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an installation without matplotlib, which only the development packages bring
    for name in [name for name in sys.modules if name.split(".")[0] in ("matplotlib", "results_figures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    with pytest.raises(SystemExit, match=r"needs matplotlib: install the development packages"):
        runpy.run_path(str(ROOT / "docs" / "make_results.py"))
