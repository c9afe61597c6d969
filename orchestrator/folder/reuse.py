"""Finds results that can be reused from other sweeps: equal jobs train to the same bits."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from nn.files import is_guarded, is_private
from orchestrator.errors import SweepNotFoundError, SweepUnreadableError, TrainerMissingError
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.folder.sweeps import Sweeps
from orchestrator.text import counted, some
from worker.errors import TrainerUnusableError
from worker.job import Job

#: What is read of another sweep: its folder, and these in it.
_PARTS = ("", "sweep.json", "results.jsonl", "weights")


def sibling_results(
    folder: SweepFolder,
    wanted: Mapping[str, Job],
    tell: Callable[[str], None],
    fits: Callable[[Row], bool] = lambda _row: True,
    *,
    bare: bool = False,
    named: Collection[SweepFolder] = (),
) -> Iterator[tuple[Row, SweepFolder]]:
    """Yield accepted rows of the wanted jobs, each with the folder that holds its weights; a job at most once.

    They come from what `undo` has withdrawn from this sweep, then from sweeps that the user named, then from the others
    in the same output folder, in descending order of name. Of the last, what somebody else could have written is
    skipped, with a message: sweeps that others can write to or rename, and rows without weights. With a message, all
    but the `MOST_SWEEPS` that changed last are skipped, and sweeps that cannot be read: their jobs can be trained
    instead. Rows whose weights are missing, damaged, or not such as the job trains to are skipped in silence.

    Args:
        folder: The folder of the sweep that needs results.
        wanted: The jobs without a result, by key.
        tell: Shows a message to the user.
        fits: Whether a row may be reused; the others are skipped.
        bare: Whether to yield rows without weights, from this sweep and from named ones that only the user can write.
        named: The sweeps that the user named.
    """
    missing = dict(wanted)
    foreign, weightless = set[str](), set[str]()
    chosen, output = {each.path.resolve() for each in (folder, *named)}, folder.path.parent
    # One after another, by objects that do not last: each remembers what it has read.
    copies = (SweepFolder(each.path.parent, each.name, found=each.real) for each in named)
    others = itertools.chain((folder,), copies, _siblings(output, chosen, foreign, tell))
    while missing and (other := next(others, None)):
        # Once more: reading the sweeps before may have taken a while.
        is_own = is_only_ours(other.path)
        if not is_own and other.path.resolve() not in chosen:
            if other.exists():
                foreign.add(other.name)
            continue
        for key, row in _rows(other, missing, tell).items():
            if not (row.accepted and fits(row)):
                continue
            if bare and other.path.resolve() not in chosen and not other.holds(row):
                weightless.add(other.name)
            elif other.has_weights(missing[key], row, bare=bare and is_own):
                del missing[key]
                yield row, other
    told = ((foreign, "", ", because other users can write to or rename them"), (weightless, " without weights", ""))
    for skipped, which, why in told:
        if skipped and missing:
            whose = f"Results{which} of {counted(len(skipped), 'sweep')} in {output} are not reused{why}"
            tell(f"{whose}: {some(sorted(skipped))}. --reuse-from takes those of one")


def _siblings(
    output: Path, chosen: Collection[Path], foreign: set[str], tell: Callable[[str], None]
) -> Iterator[SweepFolder]:
    """Yield the other sweeps that only this user can write to, and add the names of the rest to `foreign`."""
    own = 0

    def keep(path: Path) -> bool:
        nonlocal own
        if path.resolve() in chosen:
            return False
        if not (is_own := is_only_ours(path)):
            foreign.add(path.name)
        own += is_own
        return is_own

    try:
        names = Sweeps(output).names(keep)
    except SweepUnreadableError as error:
        tell(f"Results of other sweeps are not reused: {error}")
        return
    yield from (SweepFolder(output, name) for name in sorted(names, reverse=True))
    if own > len(names):
        tell(
            f"Results of {own - len(names)} of {own} sweeps in {output} are not reused: the others changed later. "
            "--reuse-from takes those of one"
        )


def is_only_ours(path: Path) -> bool:
    """Return whether only this user can write a sweep, or rename its folder."""
    return is_guarded(path) and all(is_private(path / part) for part in _PARTS)


def _rows(folder: SweepFolder, wanted: Mapping[str, Job], tell: Callable[[str], None]) -> Mapping[str, Row]:
    """Return a sweep's rows of the wanted jobs; none if it cannot be read."""
    try:
        known = folder.manifest().known_jobs
        # A sweep without such jobs need not be read.
        shared = {key: job for key, job in wanted.items() if key in known}
        return folder.rows_of(shared) if shared else {}
    except SweepUnreadableError as error:
        tell(f"The results of the sweep {folder.name} are not reused: {error}")
    except (SweepNotFoundError, TrainerMissingError, TrainerUnusableError):
        pass
    return {}
