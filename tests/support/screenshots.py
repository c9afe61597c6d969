"""Takes the pictures of the report that stand in README.md and docs/how-to/report.md: `make screenshots`."""

import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.support.chromium import DESKTOP, PHONE, Page, Screen, chromium
from tests.support.paths import ROOT

IMAGES = ROOT / "docs" / "images"
NAME = "first"
#: Colours of a picture: text, two themes and a few hues need no more.
COLOURS = 128


@dataclass(frozen=True)
class Shot:
    """A picture of a report.

    Attributes:
        name: The file's name.
        screen: The screen.
        theme: The theme.
        at: What it begins with, as a selector.
        seed: The seed that is lit up; empty for none.
    """

    name: str
    screen: Screen
    theme: str
    at: str = "body"
    seed: str = ""


#: High enough for the verdict, the leaderboard and the first chart.
TALL = Screen("tall", DESKTOP.width, 1608)
SHOTS = (
    Shot("report-desktop-light.png", TALL, "light"),
    Shot("report-desktop-dark.png", DESKTOP, "dark", "#curves", seed="3"),
    Shot("report-network.png", DESKTOP, "light", "#model h3:nth-of-type(2)"),
    Shot("report-phone-light.png", PHONE, "light"),
    Shot("report-phone-dark.png", PHONE, "dark", "#metric"),
)


def take(report: Path, folder: Path) -> None:
    """Take the pictures of a report into a folder."""
    with chromium() as driver:
        page = Page(driver)
        for shot in SHOTS:
            page.show(report, shot.screen, shot.theme)
            page.run(
                "const [at, seed] = arguments, input = document.getElementById('seed');"
                "input.value = seed; input.dispatchEvent(new Event('input', {bubbles: true}));"
                "document.querySelector(at).scrollIntoView()",
                shot.at, shot.seed,
            )  # fmt: skip
            taken = Image.open(io.BytesIO(page.photograph())).convert("RGB")
            taken.quantize(COLOURS, dither=Image.Dither.NONE).save(folder / shot.name, optimize=True)


def main() -> None:
    """Train the sweep of `make sweep`, and take the pictures of its report."""
    command = Path(sys.executable).with_name("orchestrator")
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        subprocess.run([command, "sweep", "--name", NAME, "--report"], cwd=folder, check=True)
        take(Path(folder) / "runs" / NAME / "report.html", IMAGES)


if __name__ == "__main__":
    main()
