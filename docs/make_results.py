"""Write the tables and pictures of docs/results/index.md from the sweeps that the page names.

    python docs/make_results.py --notebook runs/notebook-rule --backprop runs/backprop-rule
    python docs/make_results.py --initialization runs/initialization
    python docs/make_results.py --rates runs/rates --starts runs/starts --race runs/race
    python docs/make_results.py --splits runs/splits-fixed runs/splits-seed

For each sweep that is given, the script replaces what stands between the page's `<!-- begin NAME -->` and
`<!-- end NAME -->` lines, and redraws the pictures in docs/results/figures. The rest of the page stays; the section
about initialization is appended if the page has none. The same sweeps give the same bytes. It needs matplotlib, a
development package.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

try:
    import results_figures
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"docs/make_results.py needs {missing.name}: install the development packages by `make setup`, "
        "then run .venv/bin/python docs/make_results.py"
    ) from None
import results_answer
import results_initialization
import results_splits
import results_tables
from matplotlib.figure import Figure
from results_networks import examine

from nn.datasets.mnist import load_mnist
from orchestrator.analysis.race import Terms
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from orchestrator.sweeps.names import JobNames
from worker.settings import load_settings

HERE = Path(__file__).parent


#: The race of the page: `orchestrator decide race --within 0.001 --budget 200`.
TERMS = Terms(within=0.001, budget=200)

#: The blocks of a part of the page, and what draws its pictures, by their names.
Part = tuple[Mapping[str, str], Mapping[str, Callable[[], Figure]]]


def main() -> None:
    """Read the sweeps; write the page's blocks and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--notebook", type=Path, help="the folder of the sweep with --rule notebook")
    parser.add_argument("--backprop", type=Path, help="the folder of the sweep with --rule backprop")
    parser.add_argument("--initialization", type=Path, help="the folder of the sweep that varies how weights start")
    parser.add_argument("--rates", type=Path, help="the folder of the sweep that asks for the best learning rate")
    parser.add_argument("--starts", type=Path, help="the folder of the sweep that asks for the best initialization")
    parser.add_argument("--race", type=Path, help="the folder of the sweep that was decided by a race")
    parser.add_argument("--splits", type=Path, nargs=2, help="the folders of the sweeps with --split fixed and seed")
    parser.add_argument("--page", type=Path, default=HERE / "results/index.md", help="the page to fill")
    parser.add_argument("--figures", type=Path, default=HERE / "results/figures", help="the folder for the pictures")
    arguments = parser.parse_args()
    makers: dict[str, Callable[[Any], Part]] = {
        "notebook": notebook_part,
        "backprop": backprop_part,
        "initialization": initialization_part,
        "rates": rates_part,
        "starts": starts_part,
        "race": race_part,
        "splits": splits_part,
    }
    given = {name: getattr(arguments, name) for name in makers if getattr(arguments, name) is not None}
    if not given:
        parser.error("give the folder of at least one sweep")
    page = arguments.page.read_text()
    arguments.figures.mkdir(parents=True, exist_ok=True)
    for name, path in given.items():
        if name == "initialization" and "<!-- begin initialization-" not in page:
            page += results_initialization.SECTION
        blocks, pictures = makers[name](path)
        page = filled(page, blocks)
        for picture, draw in pictures.items():
            results_figures.save(draw, arguments.figures / f"{picture}.svg")
    arguments.page.write_text(page)


def notebook_part(path: Path) -> Part:
    """Describe a sweep under the notebook's rule."""
    folder, rows = read(path)
    networks = examine(folder, rows, load_mnist(cache_dir=load_settings().cache_dir))
    blocks = {
        "notebook-counts": results_tables.counts_table(rows, networks),
        "notebook-epochs": results_tables.epochs_table(rows, networks),
        "notebook-jumps": results_tables.jumps_table(rows, networks),
        "notebook-networks": results_tables.networks_list(networks),
    }
    return blocks, {"notebook-printed": partial(results_figures.printed, rows, networks)}


def backprop_part(path: Path) -> Part:
    """Describe a sweep of learning rates under backpropagation."""
    _, rows = read(path)
    rates = sorted({results_tables.network_options(row).learning_rate for row in rows})
    by_rate = {
        rate: [row for row in rows if results_tables.network_options(row).learning_rate == rate] for rate in rates
    }
    blocks = {
        "backprop-accuracy": results_tables.accuracy_table(by_rate),
        "backprop-epochs": results_tables.spread_table(by_rate),
        "backprop-seeds": results_tables.seeds_list(by_rate),
    }
    return blocks, {
        "backprop-distribution": partial(results_figures.distribution, by_rate),
        "backprop-curves": partial(results_figures.curves, by_rate),
    }


def initialization_part(path: Path) -> Part:
    """Describe a sweep of ways in which weights start."""
    folder, rows = read(path)
    found = results_initialization.study(rows, JobNames(folder.manifest().jobs_by_key().values()))
    return results_initialization.blocks(found), {"initialization": partial(results_initialization.draw, found)}


def rates_part(path: Path) -> Part:
    """Answer which learning rate to use."""
    folder = results_answer.checked(path)
    return {"answer-rates": results_answer.verdict(folder), "answer-noise": results_answer.noise(folder)}, {}


def starts_part(path: Path) -> Part:
    """Answer which initialization to use."""
    return {"answer-starts": results_answer.verdict(results_answer.checked(path))}, {}


def race_part(path: Path) -> Part:
    """Tell a race."""
    return {"answer-race": results_answer.race(results_answer.checked(path), TERMS)}, {}


def splits_part(paths: Sequence[Path]) -> Part:
    """Compare one split for all seeds with a split for each seed."""
    return results_splits.blocks([results_answer.checked(path) for path in paths]), {}


def read(path: Path) -> tuple[SweepFolder, list[Row]]:
    """Return a sweep's folder and its rows in the sweep's order; exit if a job has no result."""
    path = path.resolve()
    folder = SweepFolder(path.parent, path.name)
    jobs = folder.manifest().jobs_by_key()
    rows = folder.rows_of(jobs)
    missing = [key for key in jobs if key not in rows or not rows[key].accepted]
    if missing:
        raise SystemExit(f"{path}: {len(missing)} jobs have no result; finish the sweep first (--resume)")
    return folder, [rows[key] for key in jobs]


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """Return the page with each of the blocks between its two marks; exit if the page has no such marks."""
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if begin not in page or end not in page:
            raise SystemExit(f"the page has no marks for {name}")
        start, stop = page.index(begin) + len(begin), page.index(end)
        page = page[:start] + "\n" + block + "\n" + page[stop:]
    return page


if __name__ == "__main__":
    main()
