"""Starts the processes of an embedded cluster, and kills them when the orchestrator ends in any way.

This is a separate program that uses only the standard library, so it starts in a few milliseconds. The orchestrator
holds the other end of its standard input, which closes even if the orchestrator is killed. The reaper then, or once
another byte comes, kills every part of the cluster with all its children, and removes the cluster's folder.

Standard input: one line of JSON, `{part: [argument, ...]}`; then nothing until the end.
Standard output: one line of JSON, `{part: process group}`; then a line `{"part": name, "status": number}` for each part
that ends by itself.
"""

import contextlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

#: Seconds between two checks of the parts.
LOOK_SECONDS = 0.1


def start(commands: dict[str, list[str]], folder: Path, parts: dict[str, subprocess.Popen[bytes]]) -> None:
    """Start each part in its own process group, with its output in `<part>.log`, and add it to `parts`."""
    for name, command in commands.items():
        with (folder / f"{name}.log").open("wb") as log:
            parts[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
            )


def say(message: object) -> None:
    """Write a line to the orchestrator, if it still runs."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")


def keep(parts: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """Report parts that end, and remove the socket then, until the orchestrator writes a byte or closes its end."""
    ended: set[str] = set()
    while not select.select([0], [], [], LOOK_SECONDS)[0]:
        for name, process in parts.items():
            if name not in ended and process.poll() is not None:
                ended.add(name)
                say({"part": name, "status": process.returncode})
                (folder / "server.sock").unlink(missing_ok=True)


def end(parts: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    """Kill every part with its children, and remove the folder."""
    for process in parts.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for process in parts.values():
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run until standard input closes."""
    folder = Path(sys.argv[1])
    # Empty functions, because the parts would inherit `SIG_IGN`.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, lambda *_: None)
    parts: dict[str, subprocess.Popen[bytes]] = {}
    try:
        # Unbuffered: `keep` waits for what follows.
        start(json.loads(io.FileIO(0, closefd=False).readline()), folder, parts)
        say({name: process.pid for name, process in parts.items()})
        keep(parts, folder)
    finally:
        end(parts, folder)


if __name__ == "__main__":
    main()
