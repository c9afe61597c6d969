"""Settings: where they come from, and what is said about a bad one."""

import json
import os
from pathlib import Path

import pytest

from nn.errors import InvalidInputError
from orchestrator.cli.main import run
from tests.support.paths import ROOT
from worker.settings import FILE, Settings, load_settings, read_settings, variable

VARIABLES = {field: variable(field) for field in Settings.model_fields}
DEFAULTS = {field: info.get_default(call_default_factory=True) for field, info in Settings.model_fields.items()}
#: Those that docker-compose.yml does not take from `.env` under their own names, as docs/how-to/operating.md says.
NOT_IN_ENV_FILE = ("broker_url", "result_backend", "cache_dir", "log_dir")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for each in VARIABLES.values():
        monkeypatch.delenv(each, raising=False)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_absent_or_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    for each in VARIABLES.values() if value is not None else ():
        monkeypatch.setenv(each, value)
    settings = load_settings()
    assert settings.model_dump() == DEFAULTS
    assert (settings.broker_url, settings.data, settings.lease_seconds) == (None, None, 30)


#: For each type of setting, a value that none has by default.
OTHERS = {
    str: "/somewhere",
    str | None: "redis://host/1",
    Path: Path("/somewhere"),
    Path | None: Path("/somewhere"),
    float: 77.0,
    int: 77,
    int | None: 77,
}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_environment_sets_every_field(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    value = OTHERS[Settings.model_fields[field].annotation]
    monkeypatch.setenv(VARIABLES[field], str(value))
    # It sets this one, and no other
    assert load_settings().model_dump() == DEFAULTS | {field: value}


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("SEEDSWEEP_LEASE_SECONDS", "1", "is '1'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_LEASE_SECONDS", "nan", "is 'nan'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_RESTORE_SECONDS", "x", "is 'x'; allowed: seconds from 0.5 to 600"),
        ("SEEDSWEEP_HANG_SECONDS", "0", "is '0'; allowed: seconds from 1 to 86400"),
        ("SEEDSWEEP_LEASE_SECOND", "3", "is not a setting; allowed: SEEDSWEEP_LEASE_SECONDS"),
        ("SEEDSWEEP_BROKER_URL", "x", "is not a setting; allowed: CELERY_BROKER_URL"),
        ("SEEDSWEEP_MAX_ATTEMPTS", "0", "is '0'; allowed: an integer from 1 to 1000"),
        ("SEEDSWEEP_RESULT_EXPIRES", "1e3", "is '1e3'; allowed: an integer of seconds from 60 to 315360000"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInputError) as refusal:
        load_settings()
    assert str(refusal.value) == f"{variable} {fault}"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """The user's file, and the project's in a folder above the working folder; neither exists yet."""
    users, working = tmp_path / "home" / "seedsweep" / FILE, tmp_path / "project" / "inner"
    for folder in (users.parent, working):
        folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(working)
    return users, working.parent / FILE


def test_the_environment_comes_before_the_projects_file_and_that_before_the_users(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    users, projects = files
    users.write_text('threads = 2\nlease_seconds = 40\nhang_seconds = 50\nbroker_url = "redis://host/1"')
    projects.write_text("lease_seconds = 41\nhang_seconds = 51")
    monkeypatch.setenv("SEEDSWEEP_HANG_SECONDS", "52")
    settings, origins = read_settings()
    assert settings.model_dump() == DEFAULTS | {
        "threads": 2, "lease_seconds": 41, "hang_seconds": 52, "broker_url": "redis://host/1"
    }  # fmt: skip
    assert origins == {
        "threads": str(users), "broker_url": str(users), "lease_seconds": str(projects),
        "hang_seconds": "SEEDSWEEP_HANG_SECONDS",
    }  # fmt: skip


def test_config_shows_each_value_and_its_origin_without_passwords(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text('broker_url = "redis://user:secret@host/1"')
    assert (run(["config"]), run(["config", "--json"])) == (0, 0)
    table, line = capsys.readouterr().out.rsplit("\n", 2)[:2]
    found = json.loads(line)["settings"]
    assert found["broker_url"] == {"value": "redis://user:**@host/1", "origin": str(files[0])}
    assert found["threads"] == {"value": 1, "origin": None}
    assert list(found) == [row.split()[0] for row in table.splitlines() if row.split()[2:]][1:]
    assert "secret" not in table


def test_a_result_backend_belongs_to_the_broker_beside_it(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    files[0].write_text('broker_url = "redis://host/1"\nresult_backend = "redis://host/2"')
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://other/1")
    assert load_settings().model_dump() == DEFAULTS | {"broker_url": "redis://other/1"}


def test_the_folder_of_logs_may_be_reached_by_a_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "there").symlink_to(tmp_path)
    monkeypatch.setenv("SEEDSWEEP_LOG_DIR", str(tmp_path / "there" / "logs"))
    assert load_settings().log_dir == tmp_path / "logs"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("thread = 2", r"a setting in FILE is 'thread'; allowed: trainer, .* \(did you mean threads\?\)"),
        ("threads = 0", "threads in FILE is 0; allowed: an integer from 1 to 1024"),
        ("threads =", r"FILE is unreadable; allowed: a TOML file with settings \(Invalid value .*\)"),
        # A stranger's project must not say where jobs go, or where files are written.
        ('broker_url = "redis://host"', "broker_url in FILE is misplaced; allowed: the environment, or your own .*"),
        ('log_dir = "/"', "log_dir in FILE is misplaced; .*"),
    ],
)
def test_a_bad_file_of_a_project_is_named(files: tuple[Path, Path], text: str, sentence: str) -> None:
    files[1].write_text(text)
    with pytest.raises(InvalidInputError, match=f"^{sentence.replace('FILE', str(files[1]))}$"):
        load_settings()
    # A nearer file hides it, except one that others could have written
    nearer = Path(FILE)
    nearer.write_text("threads = 3")
    assert load_settings().threads == 3
    nearer.chmod(0o666)
    with pytest.raises(InvalidInputError, match=r"is open to other users; allowed: a file that only you can write to"):
        load_settings()
    if os.geteuid() == 0:
        # or that is another user's: anybody may put one into a folder like /tmp.
        os.chown(nearer, 65534, 65534)
        with pytest.raises(InvalidInputError, match=f"^{sentence.replace('FILE', str(files[1]))}$"):
            load_settings()


def test_compose_passes_every_setting_on_and_changes_no_default() -> None:
    compose, example = ((ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example"))
    for field in Settings.model_fields.keys() - set(NOT_IN_ENV_FILE):
        name, default = VARIABLES[field], DEFAULTS[field]
        written = "" if default is None else f"{default:.10g}" if isinstance(default, float) else str(default)
        assert f"\n      {name}: ${{{name}:-{written}}}\n" in compose
        assert f"\n{name}={written}\n" in example
