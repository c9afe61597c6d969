"""Writes a sweep as an experiment of MLflow: a parent run for each configuration, and in it a run for each seed.

MLflow keeps runs in a database or behind a server; new versions no longer write its former folders of files. So an
export is a SQLite file, which `mlflow ui --backend-store-uri sqlite:///FILE` opens, or goes to a server.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from nn.errors import InvalidInputError
from nn.files import temporary_folder
from nn.options.describe import written
from orchestrator.analysis.leaderboard.board import Standing
from orchestrator.analysis.sweep import Sweep
from orchestrator.errors import OutputError
from orchestrator.export.jobs import OnProgress, metric_of, series_of, start_of
from orchestrator.folder.rows import Row
from orchestrator.text import listed
from worker.job import Job, key_of
from worker.text import one_line
from worker.trainers.environment import variables

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
#: Most metrics that MLflow takes at a time, and most runs that it returns.
METRICS, PAGE = 1000, 1000
#: Longest configuration in the name of a run, and longest tag, in characters.
LONGEST, LONGEST_TAG = 200, 4000
#: Tags of the runs: the one by which MLflow nests them, and those that it does not know.
PARENT = "mlflow.parentRunId"
JOB, CONFIGURATION, STATUS, WEIGHTS, SWEEP = (
    f"seedsweep.{name}" for name in ("job", "configuration", "status", "weights_sha256", "sweep")
)
#: The figures of a standing that its run has; the first ones get the metric's name as a prefix.
_OF_METRIC = ("mean", "low", "high", "std", "best", "worst")
_OF_JOBS = ("rank", "n", "planned", "diverged", "failed", "cancelled")
#: The fields of a row that are tags of its run, if they are known.
_OF_ROW = ("worker", "reused_from", "error", "code", "stopped")
_STATUS = {"succeeded": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
#: By default, MLflow sends telemetry, tries for minutes to reach a server, and prints two lines about each run. A
#: variable that the user has set stays.
_ENVIRONMENT = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def write(sweep: Sweep, paths: Sequence[Path], on_progress: OnProgress) -> None:
    """Write a SQLite file. Its bytes differ from export to export, because MLflow gives runs random ids."""
    # Not written in place: SQLite opens a database by its path without links, where others may put a link.
    with temporary_folder() as folder:
        # Of a name of its own: MLflow keeps what it has opened, by its address.
        made = folder / f"{secrets.token_hex(8)}.db"
        # Artifacts belong to the server of the file, not to a local folder.
        record(sweep, f"sqlite:///{made}", on_progress, artifacts=f"mlflow-artifacts:/{sweep.name}")
        shutil.copyfile(made, paths[0])


def record(sweep: Sweep, uri: str, on_progress: OnProgress, *, artifacts: str | None = None) -> int:
    """Add a sweep to a tracking server or a database; return the number of jobs that are new or changed.

    A job that is there with the same result stays as it is, so that an interrupted export can be repeated.

    Args:
        sweep: The sweep.
        uri: Its address, which `check` accepts.
        on_progress: Called after each job.
        artifacts: Where the experiment's artifacts are; None for where the server keeps them.

    Raises:
        OutputError: it cannot be written.
    """
    with variables({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}):
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        # Their own logs do not help the user.
        for name in ("mlflow", "alembic", "sqlalchemy"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            return _Recorder(sweep, client, artifacts).record(on_progress)
        except (MlflowException, SQLAlchemyError, ImportError) as error:
            # An ImportError is about a database driver, which Seedsweep does not install.
            raise OutputError(f"MLflow at {without_password(uri)} cannot be written: {_reason(error, uri)}") from None


def check(uri: str) -> None:
    """Raise `InvalidInputError` if an address is not that of a tracking server or a database."""
    allowed = None
    try:
        parts = urlsplit(uri)
        scheme = parts.scheme.partition("+")[0]
    except ValueError:
        scheme = ""
    if scheme not in SCHEMES:
        allowed = f"an address that begins with {listed([f'{each}://' for each in SCHEMES], 'or')}"
    elif scheme in ("http", "https") and not parts.hostname:
        allowed = f"{scheme}:// and the name of a host"
    elif scheme == "sqlite":
        database = parts.path.removeprefix("/")
        # Without a name, or with this one, it is in memory: it would be gone at once.
        if not database or database.startswith(":memory:") or "mode=memory" in parts.query:
            allowed = "sqlite:/// and the path of a file"
        elif not Path(database).parent.is_dir():
            # MLflow would try for minutes to create it.
            allowed = "a database in a folder that exists"
    if allowed is not None:
        raise InvalidInputError("--tracking-uri", without_password(uri), allowed)


def _reason(error: Exception, uri: str) -> str:
    """Return the first line of another package's error, without the address's password."""
    text = str(error).replace(uri, without_password(uri))
    parts = urlsplit(uri)
    secrets = [parts.password, parts.query, *(value for _, value in parse_qsl(parts.query))]
    for secret in filter(None, secrets):
        text = text.replace(secret, "...")
    return one_line(text.strip().partition("\n")[0])[:300]


def without_password(uri: str) -> str:
    """Return an address as it can be shown: without user, password and query, which may hold a password, too."""
    scheme, found, rest = uri.partition("://")
    place, question, _ = rest.partition("?")
    host, slash, path = place.partition("/")
    query = "?..." if question else ""
    return f"{scheme}{found}{'...@' if '@' in host else ''}{host.rpartition('@')[2]}{slash}{path}{query}"


@dataclass(frozen=True)
class _Recorder:
    sweep: Sweep
    client: MlflowClient
    artifacts: str | None

    def record(self, on_progress: OnProgress) -> int:
        """Write all runs, and return the number of those that are new or changed."""
        experiment, there = self._experiment()
        sweep = self.sweep
        added, parents, configuration_of = 0, set[str](), dict[str, str]()
        gone = {key for each in sweep.manifest.withdrawn for key in each.jobs if key in there} - sweep.jobs.keys()
        for standing in sweep.leaderboard.standings:
            fields = sweep.jobs[standing.scored.keys[0]].fields()
            key = key_of({name: value for name, value in fields.items() if name != "seed"})
            ended = [sweep.rows[key] for key in standing.scored.keys if key in sweep.rows]
            if not ended:
                continue
            parents.add(parent := self._parent(experiment, key, standing, ended, there.get(key)))
            for row in ended:
                added += self._job(experiment, parent, row, there.get(row.job))
                configuration_of[row.job] = key
                on_progress(len(configuration_of), len(sweep.ended))
        # What undo has withdrawn since an earlier export; MLflow can restore it.
        own = {run.info.run_id for run in there.values() if CONFIGURATION in run.data.tags}
        runs = {run.data.tags.get(PARENT) for run in map(there.__getitem__, gone)} & own - parents
        for run_id in (*(there[key].info.run_id for key in gone), *runs):
            self.client.delete_run(run_id)
        if self.artifacts is None:  # Others may write to a server.
            self._remove_doubles(experiment, configuration_of)
        return added

    def _remove_doubles(self, experiment: str, configuration_of: Mapping[str, str]) -> None:
        """Delete what an export at the same time has written, too: of several runs, that of the least id stays."""
        found = self._runs(experiment)
        for run in (run for _, *others in found.values() for run in others):
            # That of a job under way is still written to: the other export deletes it when it ends.
            if run.info.status != "RUNNING" or JOB not in run.data.tags:
                self.client.delete_run(run.info.run_id)
        for job, configuration in configuration_of.items():
            # Somebody may have deleted one of the two meanwhile.
            kept, parent = found.get(job, [None])[0], found.get(configuration, [None])[0]
            if kept and parent and kept.data.tags.get(PARENT) != parent.info.run_id:
                self.client.set_tag(kept.info.run_id, PARENT, parent.info.run_id)

    def _experiment(self) -> tuple[str, dict[str, Run]]:
        """Return the id of the sweep's experiment, and its runs by their job or configuration."""
        first = self.sweep.manifest.provenance
        begun = one_line(f"{first.created} by process {first.pid} on {first.host}")
        tags = {SWEEP: self.sweep.name, "seedsweep.dataset": self.sweep.manifest.dataset, "seedsweep.begun": begun}
        found = self.client.get_experiment_by_name(self.sweep.name)
        if found is None:
            return self.client.create_experiment(self.sweep.name, self.artifacts, tags), {}
        if found.lifecycle_stage != "active":
            raise OutputError(f"The experiment {self.sweep.name} was deleted on the tracking server: restore it there")
        if not tags.items() <= found.tags.items():
            raise OutputError(f"The experiment {self.sweep.name} on the server is of another sweep: rename one of them")
        return found.experiment_id, {key: runs[0] for key, runs in self._runs(found.experiment_id).items()}

    def _runs(self, experiment: str) -> dict[str, list[Run]]:
        """Return the runs of an experiment by their job or configuration, of which each should have one."""
        runs: dict[str, list[Run]] = {}
        token = None
        while token != "":
            page = self.client.search_runs([experiment], max_results=PAGE, page_token=token)
            for run in page:
                key = run.data.tags.get(JOB) or run.data.tags.get(CONFIGURATION, run.info.run_id)
                runs.setdefault(key, []).append(run)
            token = page.token or ""
        return {key: sorted(each, key=lambda run: run.info.run_id) for key, each in runs.items()}

    def _parent(self, experiment: str, key: str, standing: Standing, ended: Sequence[Row], run: Run | None) -> str:
        """Write the run of a configuration, and return its id. Its figures are those of the leaderboard."""
        job, start = self.sweep.jobs[ended[0].job], self.sweep.start
        run_id = self._id(run, experiment, self._name(job), start, {CONFIGURATION: key, SWEEP: self.sweep.name})
        metric = metric_of(self.sweep)
        figures = {f"{metric}.{name}": getattr(standing, name) for name in _OF_METRIC}
        figures |= {name: getattr(standing, name) for name in _OF_JOBS}
        before = {} if run is None else run.data.metrics
        figures = {name: value for name, value in figures.items() if name in before or value is not None}
        known = {name: math.nan if value is None else float(value) for name, value in figures.items()}
        # As text, because NaN differs from itself.
        if str(known) != str({name: before.get(name) for name in known}):
            # MLflow shows the figure of the highest step: that of the last export, whatever it was of.
            step = max((each.step for each in self.client.get_metric_history(run_id, "planned")), default=0) + 1
            self._log(run_id, {name: {step: value} for name, value in known.items()}, self._parameters(job), [start])
        if len(ended) == standing.planned:
            self.client.set_terminated(run_id, "FINISHED", round(1000 * max(map(self._end, ended))))
        return run_id

    def _job(self, experiment: str, parent: str, row: Row, run: Run | None) -> bool:
        """Write a job's run, unless it is there with the same result; return whether it was written."""
        job, status = self.sweep.jobs[row.job], _STATUS[row.status]
        tags = {
            SWEEP: self.sweep.name,
            "seedsweep.trainer": job.trainer,
            "seedsweep.attempts": str(row.attempts),
            **{f"seedsweep.{name}": getattr(row, name) for name in _OF_ROW},
            PARENT: parent,
            STATUS: row.status,
            WEIGHTS: row.weights_sha256 or "",
        }
        known = {name: one_line(value)[:LONGEST_TAG] for name, value in tags.items() if value is not None}
        told = {} if run is None else {name: text for name, text in run.data.tags.items() if name in tags}
        if run is not None and run.info.status == status and told | {PARENT: parent} == known:
            return False
        # The run is created with the tag that finds it again, so that an interrupted one is completed.
        start = start_of(self.sweep, row)
        run_id = self._id(run, experiment, f"{self._name(job)} seed {row.seed}", start, {JOB: row.job, **known})
        series = {name: dict(enumerate(values, 1)) for name, values in series_of(self.sweep, row).items()}
        parameters = {**self._parameters(job), "seed": str(row.seed)}
        self._log(run_id, series, parameters, list(itertools.accumulate(row.epoch_seconds, initial=start)))
        if run is not None:
            for name, value in known.items():
                self.client.set_tag(run_id, name, value)
            for name in run.data.tags.keys() & tags.keys() - known.keys():
                self.client.delete_tag(run_id, name)
        self.client.set_terminated(run_id, status, round(1000 * self._end(row)))
        return True

    def _id(self, run: Run | None, experiment: str, name: str, start: float, tags: Mapping[str, str]) -> str:
        if run is None:
            tags = {"mlflow.source.name": "seedsweep", **tags}
            run = self.client.create_run(experiment, round(1000 * start), tags, name)
        return str(run.info.run_id)

    def _log(
        self,
        run_id: str,
        series: Mapping[str, Mapping[int, float]],
        parameters: Mapping[str, str],
        times: Sequence[float],
    ) -> None:
        """Write metrics by name and step, and parameters. A step has its place's time, or the last one."""
        from mlflow.entities import Metric, Param

        metrics = [
            Metric(name, value, round(1000 * times[min(step, len(times) - 1)]), step)
            for name, values in series.items()
            for step, value in values.items()
        ]
        params = [Param(name, value) for name, value in parameters.items()]
        for first in range(0, max(len(metrics), 1), METRICS):
            self.client.log_batch(run_id, metrics[first : first + METRICS], [] if first else params)

    def _name(self, job: Job) -> str:
        return self.sweep.names.words(job.options)[:LONGEST] or self.sweep.name

    def _parameters(self, job: Job) -> dict[str, str]:
        return {name: one_line(written(value)) for name, value in job.options}

    def _end(self, row: Row) -> float:
        return start_of(self.sweep, row) + sum(row.epoch_seconds)
