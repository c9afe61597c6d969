"""Write docs/schemas/results-row.schema.json, the JSON schema of a row of results.jsonl, from the code.

python docs/make_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.folder.schema import row_schema

FILE = Path(__file__).parent / "schemas" / "results-row.schema.json"


def main() -> None:
    """Write the schema."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text())


def text() -> str:
    """Return the content of the file."""
    return json.dumps(row_schema(), indent=2) + "\n"


if __name__ == "__main__":
    main()
