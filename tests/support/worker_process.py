"""Real workers: `celery -A worker worker` in a process group of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.support import launcher
from tests.support.paths import ROOT
from tests.support.waiting import wait_for


def start_celery(
    log: Path, environment: Mapping[str, str], *arguments: str, prefix: tuple[str, ...] = ()
) -> launcher.Popen:
    """Start a program of Celery in a process group of its own; what it prints goes into a log."""
    with log.open("ab") as output:
        return launcher.Popen(
            [*prefix, sys.executable, "-m", "celery", "-A", "worker", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class WorkerProcess:
    """A worker, its children and its log.

    Args:
        name: Its Celery name, up to the `@`.
        folder: Where its log goes.
        environment: What it finds beside the test's own environment: `CELERY_BROKER_URL`, `SEEDSWEEP_...`.
        arguments: More arguments for `celery worker`.
        concurrency: How many jobs it trains at once.
        sociable: Whether it looks for other workers, as every worker does outside tests.
        prefix: What its command begins with, to run it elsewhere: `ip netns exec ...`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: dict[str, str],
        *arguments: str,
        concurrency: int = 1,
        sociable: bool = False,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{name}@test"
        self.log = folder / f"{name}.log"
        options = ["--loglevel", "INFO", "--hostname", self.name, "--concurrency", str(concurrency)]
        if not sociable:
            # A worker looks for its neighbours for a second when it starts; few tests need that.
            options += ["--without-mingle", "--without-gossip"]
        self.process = start_celery(self.log, environment, "worker", *options, *arguments, prefix=prefix)

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(errors="replace")

    def wait_until_logged(self, text: str, *, times: int = 1) -> None:
        """Wait until the log holds this text so many times; fail when the worker ends before."""

        def logged() -> bool:
            found = self.text().count(text) >= times
            assert found or self.process.poll() is None, f"{self.name} ended before logging {text!r}:\n{self.text()}"
            return found

        wait_for(logged, f"{text!r} in the log of {self.name}", report=self.text)

    def wait_until_ready(self) -> WorkerProcess:
        self.wait_until_logged(f"{self.name} ready.")
        return self

    def children(self) -> list[psutil.Process]:
        """Return the processes that train, oldest first."""
        found = psutil.Process(self.process.pid).children()
        return sorted((child for child in found if child.is_running()), key=lambda child: child.create_time())

    def signal_all(self, how: signal.Signals) -> None:
        """Signal the worker and its children alike: SIGKILL is a machine that lost power, SIGSTOP a frozen one."""
        os.killpg(self.process.pid, how)

    def kill(self) -> None:
        """Kill the worker and its children at once."""
        if self.process.poll() is None:
            self.signal_all(signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self, *, timeout: float = 30) -> int:
        """End the worker as `docker stop` does, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout)
