"""Real sweeps to make reports of, trained once for all tests; one is full of what others would like to inject."""

import fcntl
import json
import math
from pathlib import Path

from tests.support.boards import folder_of
from tests.support.command_line import CommandLine
from tests.support.own_trainer import WITHOUT_DATA, install_source

#: Each of them sets `window.injected` if a browser takes it for anything but text.
INJECTIONS = (
    "<img src=x onerror=window.injected=1>",
    "</script><script>window.injected=1</script>",
    '" autofocus onfocus="window.injected=1',
    "' onmouseover='window.injected=1",
    "<svg onload=window.injected=1><title>",
    "-->]]></style></textarea><iframe srcdoc='<script>parent.injected=1</script>'>",
)
#: Text that is only text: of templates, of other writing directions, and of 200 characters without a break.
TEXTS = ("{{7*7}} {% raw %} ${7*7}", "שלום עולם", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 e\u0301 🦩", "x" * 200)
#: What acts on a terminal or a line of text; a page shows it escaped.
CONTROLS = {"\x1b[31mred\x1b[0m\x07": "\\x1b[31mred\\x1b[0m\\x07", "abc\u202egnp.exe": "abc\\u202egnp.exe"}

_TRAINER = (
    WITHOUT_DATA
    + '''
import hashlib

class Options(Frozen):
    text: str = Field(default="plain", max_length=300, title="text <b>of</b> {{7*7}}", description="<i>Any</i> text.")
    flag: bool | None = Field(default=None, description="A flag, or none.")
    epochs: int = Field(default=2, ge=1, le=5, description="Epochs.")

class Foreign(WithoutData):
    """Its metric is a loss, which text and seed decide; it fails or diverges where a seed says so."""
    name, version, Options = "foreign", 1, Options
    metric = Metric(name="loss <b>&amp;</b>", higher_is_better=False)

    def train(self, options, seed, data, *, on_epoch, resume_from=None):
        if seed == 3 and options.flag:
            raise ValueError("</script><img src=x onerror=window.injected=1> " + options.text)
        chosen = int(hashlib.sha256(f"{options.text}{options.flag}".encode()).hexdigest()[:4], 16) / 65536
        for epoch in range(options.epochs):
            on_epoch(1 + chosen + (seed * 7 % 5) / 20 - epoch / 10, None)
        problem = "diverged: <img src=x onerror=window.injected=1>" if seed == 2 and not options.flag else None
        return Trained(artifact=f"{options} {seed}".encode(), problem=problem)
'''
)

#: The words of each sweep and the exit status that it ends with.
SWEEPS: dict[str, tuple[tuple[str, ...], int]] = {
    "rates": (("--seeds", "0-2", "--learning-rates", "0.01,0.1", "--epochs", "2", "--limit", "1000"), 0),
    "diverged": (("--seeds", "0-3", "--learning-rates", "0.03,0.1,30", "--epochs", "3", "--limit", "500"), 0),
    "axes": (
        (
            "--trainer", "sklearn", "--data", "digits", "--set", "estimator=SGDClassifier", "--set", "epochs=3",
            "--grid", "alpha=0.0001,0.001,0.01", "--grid", "penalty=l1,l2", "--seeds", "0-2",
        ),
        0,
    ),
}  # fmt: skip


KINDS = (*SWEEPS, "running", "foreign")


def report(kind: str, command_line: CommandLine) -> Path:
    """Return the report of a sweep, as `orchestrator report` writes it.

    Args:
        kind: A key of `SWEEPS`; `running`, which is `rates` when half of its jobs had ended; or `foreign`.
        command_line: In a folder of this kind's own.
    """
    file = command_line.folder / f"{kind}.html"
    with (command_line.folder / "lock").open("w") as lock:
        # Of several test processes, one makes it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            said = command_line.run("report", _sweep(kind, command_line), "--to", file.name).stdout
            # No row was passed over as none of the sweep's.
            assert ("jobs ended" in said) == (kind == "running"), said
    return file


def large(command_line: CommandLine, configurations: int, seeds: int) -> str:
    """Put a sweep of many jobs into the folder, which nobody has trained, and return its name."""
    rates = (10 ** (-4 + 4 * i / configurations) for i in range(configurations))
    outcomes = {
        rate: [0.9 - (math.log10(rate) + 2) ** 2 / 9 + seed * 37 % 100 / 2000 for seed in range(seeds)]
        for rate in rates
    }
    return folder_of(command_line.folder / "runs", outcomes, "large").name


def _sweep(kind: str, command_line: CommandLine) -> str:
    """Put a sweep into the folder, and return its name."""
    name = "rates" if kind == "running" else kind
    if kind == "foreign":
        _foreign(command_line)
    else:
        words, status = SWEEPS[name]
        command_line.finished(name, *words, status=status)
    if kind == "running":
        _halve(command_line.sweep(name))
    return name


def _halve(folder: Path) -> None:
    """Take the later half of the rows, and what the end of a sweep writes."""
    rows = (folder / "results.jsonl").read_text().splitlines(keepends=True)
    (folder / "results.jsonl").write_text("".join(rows[: len(rows) // 2]))
    for path in folder.glob("leaderboard.*"):
        path.unlink()


def _foreign(command_line: CommandLine) -> None:
    """Train a sweep of a hostile trainer, and write into its folder what only a stranger would."""
    source = command_line.folder / "trainers"
    install_source(source, "foreign", _TRAINER, "Foreign")
    command_line.environment["PYTHONPATH"] = str(source)
    texts = [*INJECTIONS, *TEXTS, *CONTROLS]
    lines = (
        'trainer = "foreign"',
        "seeds = [0, 1, 2, 3]",
        "flag = [true, false]",
        f"text = {json.dumps(texts, ensure_ascii=False)}",
    )
    specification = command_line.folder / "foreign.toml"
    specification.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command_line.finished("foreign", "--spec", specification.name, status=1)
    folder = command_line.sweep("foreign")
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        text = texts[number % len(texts)]
        if row["status"] in ("succeeded", "diverged"):
            row |= {"worker": text, "attempts": 2}
        for attempt in row["history"]:
            # Of an attempt, a name that would act on a terminal is refused.
            named = {} if text in CONTROLS else {"worker": text}
            attempt |= named | {"end": ("hung", "worker lost", "finished")[number % 3]}
        row |= {"reused_from": text} if number % 7 == 0 else {}
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((folder / "sweep.json").read_text())
    manifest["provenance"] |= dict.fromkeys(("created", "host", "python", "platform", "git_commit"), INJECTIONS[0])
    manifest["provenance"]["packages"] |= {INJECTIONS[1]: INJECTIONS[2]}
    (folder / "sweep.json").write_text(json.dumps(manifest))
