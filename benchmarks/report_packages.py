"""What an extra of Seedsweep brings: the packages that it needs beyond those that Seedsweep needs, in bytes."""

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("report", "mlflow", "tensorboard", "optuna")


def brought(extra: str) -> dict[str, int] | None:
    """Return the packages that an extra brings, each with the bytes of its files; None if one is not installed."""
    try:
        names = _needed("seedsweep", frozenset({extra})) - _needed("seedsweep", frozenset())
        return {name: _bytes(distribution(name)) for name in sorted(names)}
    except PackageNotFoundError:
        return None


def _needed(name: str, extras: frozenset[str]) -> set[str]:
    """Return the names of all packages that a package needs with these extras, and its own."""
    found: set[str] = set()
    waiting = [(name, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": each}) for each in (extras or {""})
            ):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def _bytes(found: Distribution) -> int:
    """Return the size of the files of a package, as its RECORD lists them, without what Python compiles itself."""
    if found.files is None:
        raise PackageNotFoundError(f"{found.name} has no list of its files")
    paths = (Path(str(found.locate_file(file))) for file in found.files if "__pycache__" not in file.parts)
    return sum(path.stat().st_size for path in paths if path.is_file())
