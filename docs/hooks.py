"""What the site adds to the pages: documents from outside docs, the Python reference, and Mermaid."""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]

#: Documents outside docs that are pages of the site.
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
#: `make docs` puts it there.
MERMAID = "tests/browser/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"


def on_files(files: Any, config: Any) -> Any:
    """Add the documents and the program that draws diagrams."""
    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "assets/mermaid.js", abs_src_path=str(ROOT / MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to the pages of the site; a file of the repository that it lacks is named without a link."""
    path = page.file.src_uri
    where = Path(path if path in OUTSIDE else f"docs/{path}").parent

    def led(link: re.Match[str]) -> str:
        text, name, anchor = link.groups()
        target = os.path.normpath(where / name)
        inside = target.removeprefix("docs/")
        if not (ROOT / target).exists():
            return link[0]  # MkDocs then refuses it
        if inside == target and target not in OUTSIDE:
            return text if text.startswith("`") else f"`{text}`"
        return f"[{text}]({os.path.relpath(inside, Path(path).parent)}{anchor or ''})"

    markdown = re.sub(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)", led, markdown)
    if path == "reference/python.md":
        markdown = re.sub(r"^### (\w+)\n\n.*$", r"::: seedsweep.\1", markdown, flags=re.MULTILINE)
    return markdown
