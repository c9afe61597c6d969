"""Write the tables and pictures of docs/results.md from the two sweeps that the page names.

    python docs/make_results.py runs/notebook-rule runs/backprop-rule

The script replaces everything between the page's `<!-- begin NAME -->` and `<!-- end NAME -->` lines, and redraws every
picture in docs/figures. The same sweeps give the same bytes. It needs matplotlib, a development package.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

try:
    import results_figures
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"docs/make_results.py needs {missing.name}: install the development packages by `make setup`, "
        "then run .venv/bin/python docs/make_results.py"
    ) from None
import results_tables
from results_networks import examine

from nn.datasets.mnist import load_mnist
from orchestrator.folder.rows import Row
from orchestrator.folder.sweep_folder import SweepFolder
from worker.settings import load_settings

HERE = Path(__file__).parent


def main() -> None:
    """Read the two sweeps; write the page's blocks and pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("notebook", type=Path, help="the folder of the sweep with --rule notebook")
    parser.add_argument("backprop", type=Path, help="the folder of the sweep with --rule backprop")
    parser.add_argument("--page", type=Path, default=HERE / "results.md", help="the page to fill")
    parser.add_argument("--figures", type=Path, default=HERE / "figures", help="the folder for the pictures")
    arguments = parser.parse_args()
    notebook_folder, notebook = read(arguments.notebook)
    _, backprop = read(arguments.backprop)
    networks = examine(notebook_folder, notebook, load_mnist(cache_dir=load_settings().cache_dir))
    by_rate = {
        rate: [row for row in backprop if row.learning_rate == rate]
        for rate in sorted({row.learning_rate for row in backprop})
    }
    blocks = {
        "notebook-counts": results_tables.counts_table(notebook, networks),
        "notebook-epochs": results_tables.epochs_table(notebook, networks),
        "notebook-jumps": results_tables.jumps_table(notebook, networks),
        "notebook-networks": results_tables.networks_list(networks),
        "backprop-accuracy": results_tables.accuracy_table(by_rate),
        "backprop-epochs": results_tables.spread_table(by_rate),
        "backprop-seeds": results_tables.seeds_list(by_rate),
    }
    arguments.page.write_text(filled(arguments.page.read_text(), blocks))
    arguments.figures.mkdir(parents=True, exist_ok=True)
    results_figures.draw(notebook, networks, by_rate, arguments.figures)


def read(path: Path) -> tuple[SweepFolder, list[Row]]:
    """Return a sweep's folder and its rows in the sweep's order; exit if a job has no result."""
    path = path.resolve()
    folder = SweepFolder(path.parent, path.name)
    rows = folder.rows()
    missing = [key for key in folder.manifest().jobs if key not in rows or not rows[key].accepted]
    if missing:
        raise SystemExit(f"{path}: {len(missing)} jobs have no result; finish the sweep first (--resume)")
    return folder, [rows[key] for key in folder.manifest().jobs]


def filled(page: str, blocks: dict[str, str]) -> str:
    """Return the page with each block between its two marks; exit if marks and blocks do not correspond."""
    marked = re.findall(r"<!-- begin (\S+) -->\n", page)
    if sorted(marked) != sorted(blocks):
        raise SystemExit(f"the page has marks for {sorted(marked)}; expected {sorted(blocks)}")
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        start, stop = page.index(begin) + len(begin), page.index(end)
        page = page[:start] + "\n" + block + "\n" + page[stop:]
    return page


if __name__ == "__main__":
    main()
