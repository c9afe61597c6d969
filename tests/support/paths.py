"""Where the project is, and what is in a folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def contents(path: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files in a folder, by their names."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return {str(each.relative_to(path)): each.read_bytes() for each in files}
