"""README and the documents: commands can be pasted, and every target, option, path, test and link exists."""

import contextlib
import io
import os
import pkgutil
import re
import runpy
import shlex
from collections.abc import Iterator, Sequence
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
PROMPT = re.compile(r"^\s*[$#>%] ", re.MULTILINE)
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


def check(faults: Sequence[object]) -> None:
    """Fail with every fault, each on a line of its own."""
    assert not faults, "\n".join(["", *map(str, faults)])


def test_a_block_holds_commands_without_prompts_or_is_something_else() -> None:
    blocks = [(document, *block) for document in DOCUMENTS for block in FENCE.findall(TEXT[document])]
    check([(document, language) for document, language, _ in blocks if language not in LANGUAGES])
    # A prompt cannot be pasted.
    check([(document, block) for document, language, block in blocks if language == "sh" and PROMPT.search(block)])


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = [
        (document, word)
        for document in DOCUMENTS
        for words in commands(document)
        if "make" in words
        for word in words[words.index("make") + 1 :]
        if re.fullmatch(r"[a-z][a-z-]*", word)
    ]
    assert used
    check([(document, target) for document, target in used if target not in targets])


def test_every_command_and_option_exists() -> None:
    used = [
        (document, words[words.index("orchestrator") + 1 :])
        for document in DOCUMENTS
        for words in commands(document)
        if "orchestrator" in words and "--entrypoint" not in words
    ]
    assert used
    unknown = []
    for document, words in used:
        command, *rest = words or ["--help"]
        known = options_of(command)
        if known is None or not {word.split("=")[0] for word in rest if word.startswith("--")} <= known:
            unknown.append((document, " ".join(words)))
    check(unknown)


@cache
def options_of(command: str) -> set[str] | None:
    """Return the options that a command's help names; None if there is no such command."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run([command] if command.startswith("-") else [command, "--help"])
    return set(re.findall(r"--[a-z-]+", printed.getvalue())) if status == 0 else None


def test_every_named_path_test_and_module_exists() -> None:
    named = [(document, span) for document in DOCUMENTS for span in spans(document)]
    check([(document, span) for document, span in named if not exists(span)])


def exists(span: str) -> bool:
    """Whether everything is there that a code span names by its path, or by a module's name."""
    if re.fullmatch(r"(nn|worker|orchestrator)(\.\w+)+", span):
        with contextlib.suppress(ImportError, AttributeError):
            return pkgutil.resolve_name(span) is not None
        return False
    if PATH.match(span) and not all((ROOT / path).exists() for path in PATH.findall(span)):
        return False
    file, separator, test = span.partition("::")
    if separator and PATH.fullmatch(file):
        return re.search(rf"^(async )?def {re.escape(test)}\(", (ROOT / file).read_text(), re.MULTILINE) is not None
    return True


def test_every_link_leads_somewhere() -> None:
    dead = []
    for document in (*DOCUMENTS, "CHANGELOG.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", (ROOT / document).read_text())):
            name, _, anchor = link.partition("#")
            target = Path(os.path.normpath(ROOT / document / ".." / name)) if name else ROOT / document
            if link.startswith("https://") or (target.exists() and (not anchor or anchor in anchors(target))):
                continue
            dead.append((document, link))
    check(dead)


@cache
def anchors(target: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", target.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_drawing_shows_every_room_and_every_module_outside_a_room() -> None:
    drawing = TEXT["docs/explanation/architecture.md"].split("```mermaid\n")[1].split("```")[0]
    for package in ("nn", "worker", "orchestrator"):
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert rooms <= set(re.findall(r"<b>(\w+)</b>", drawing)), package
        modules = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
        assert modules <= set(re.findall(r"\w+", drawing)), package


def test_each_step_of_a_jobs_life_names_its_module() -> None:
    steps = re.findall(r"^\| \d+\. .*\| (.*) \|$", TEXT["docs/explanation/life-of-a-job.md"], re.MULTILINE)
    assert len(steps) >= 30
    assert all(re.search(r"`(nn|worker|orchestrator)/[\w/]+\.py`|\]\(guarantees\.md#", step) for step in steps)


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / "docs" / "explanation" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()) == records
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    for name in records:
        text = (folder / name).read_text()
        assert text.startswith(f"# {int(name[:4])}. ")
        sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert sections == ["Context", "Decision", "Consequences", "Alternatives considered"], name


def test_the_reference_is_what_the_code_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEEDSWEEP_DATA", raising=False)
    made = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["pages"]()
    stale = [name for name, text in made.items() if TEXT[f"docs/reference/{name}"] != text]
    assert stale == [], "run: python docs/make_reference.py"
