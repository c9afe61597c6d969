"""Write the pages of docs/reference that follow from the code alone: `python docs/make_reference.py`.

They are kept in the repository, so that they can be read there; a test compares them with the code.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic_core import PydanticUndefined
from typer.cli import get_docs_for_click
from typer.main import get_command

import seedsweep
from nn.options.describe import allowed, option, shown, word, written
from nn.options.network import WITHOUT_EFFECT, NetworkOptions
from orchestrator.cli.main import COMMANDS, PANELS, STATUSES, app
from worker import settings
from worker.settings import Settings

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Made by `python docs/make_reference.py`: change the code instead. -->\n"


def pages() -> dict[str, str]:
    """Return the text of each page, by the name of its file."""
    made = {
        "commands": commands,
        "python": python,
        "options": options,
        "settings": variables,
        "exit-statuses": statuses,
    }
    return {f"{name}.md": MADE + "\n".join(["", *make(), ""]) for name, make in made.items()}


def commands() -> Iterator[str]:
    """Describe every command by its help."""
    yield "# Commands\n"
    yield "`--help` after a command shows the same. [Exit statuses](exit-statuses.md) have a page of their own.\n"
    group = get_command(app)
    context = typer.Context(group, info_name="orchestrator")
    for panel, names in PANELS.items():
        yield f"## {panel}\n"
        for name in names:
            command = group.get_command(context, name)  # type: ignore[attr-defined]
            text = get_docs_for_click(obj=command, ctx=context, name=name, call_prefix="orchestrator", indent=2)
            text = text.replace(f"### `orchestrator {name}`", f"### {name}").replace("```console\n$ ", "```text\n")
            text = re.sub(r"^Examples?: (.*)$", r"```sh\n\1\n```", text, flags=re.MULTILINE)
            yield text.strip() + "\n"


def python() -> Iterator[str]:
    """List what `import seedsweep` publishes; the site adds the signatures and docstrings."""
    yield "# Python\n"
    yield "What `import seedsweep` offers. [Use Seedsweep from Python](../how-to/python.md) shows it at work.\n"
    objects = {name: getattr(seedsweep, name) for name in seedsweep.__all__}
    errors = [name for name, each in objects.items() if inspect.isclass(each) and issubclass(each, Exception)]
    classes = [name for name, each in objects.items() if inspect.isclass(each) and name not in errors]
    functions = [name for name in objects if name not in (*errors, *classes)]
    for heading, names in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        yield f"## {heading}\n"
        for name in names:
            yield f"### {name}\n\n{first_paragraph(objects[name])}\n"


def options() -> Iterator[str]:
    """Describe every option of the network."""
    yield "# Options of the network\n"
    yield "Python and rows use an option's name; flags (`--learning-rates`) and TOML files use its word.\n"
    fields = NetworkOptions.model_fields
    rows = []
    for name, info in fields.items():
        default = "none" if info.default is PydanticUndefined else shown(info, info.default)
        if values := option(info).values:
            default = f"{', '.join(map(written, values))} (each, in a sweep)"
        rows.append((f"`{name}`", str(info.description), f"`{word(NetworkOptions, name)}`", default, allowed(info)))
    yield table(("option", "meaning", "word", "default", "allowed"), rows)
    yield "## Options without effect in some combinations\n"
    yield "Together with the given value of another option, these have no effect, and must keep their defaults.\n"
    yield table(
        ("option", "together with", "reason"),
        ((f"`{name}`", f"`{other}` {written(value)}", because) for name, other, value, because in WITHOUT_EFFECT),
    )


def variables() -> Iterator[str]:
    """Describe every setting, by the comment of its field."""
    yield "# Settings\n"
    yield "Workers and `orchestrator` read these environment variables; an empty one counts as absent."
    yield "[Settings](../how-to/operating.md#settings) describes the files that also set them, and the containers.\n"
    comments = re.findall(r"((?: *#: .*\n)+) +(\w+): ", Path(settings.__file__).read_text())
    meanings = {name: " ".join(re.findall(r"#: (.*)", comment)) for comment, name in comments}
    rows = []
    for name, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True)
        value = f"{default:.10g}" if isinstance(default, float) else str(default).replace(str(Path.home()), "~")
        shown = "none" if default is None else value if isinstance(default, (int, float)) else f"`{value}`"
        rows.append((f"`{settings.variable(name)}`", meanings[name], shown, str(info.description)))
    yield table(("variable", "meaning", "default", "allowed"), rows)


def statuses() -> Iterator[str]:
    """Say what the exit statuses mean: of all commands, then of those that say more."""
    yield "# Exit statuses\n"
    yield table(("status", "meaning"), STATUSES.items())
    yield "## Commands that say more\n"
    group = get_command(app)
    rows = []
    for name in COMMANDS:
        text = inspect.cleandoc(group.get_command(typer.Context(group), name).help or "")  # type: ignore[attr-defined]
        rows += [
            (f"[`{name}`](commands.md#{name})", said) for said in re.findall(r"^Exit status: ((?:.+\n?)+)", text, re.M)
        ]
    yield table(("command", "exit status"), rows)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def first_paragraph(published: Any) -> str:
    """Return the first paragraph of a docstring."""
    return " ".join((inspect.getdoc(published) or "").split("\n\n")[0].split())


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text)
