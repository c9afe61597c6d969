"""Settings: where they come from, and what is said about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.errors import InvalidInputError
from tests.support.paths import ROOT
from worker.settings import Settings, load_settings

VARIABLES = {
    field: str(info.validation_alias or f"SEEDSWEEP_{field.upper()}") for field, info in Settings.model_fields.items()
}
DEFAULTS = {field: info.get_default(call_default_factory=True) for field, info in Settings.model_fields.items()}
#: Those that docker-compose.yml does not take from `.env` under their own names, as docs/how-to/operating.md says.
NOT_IN_ENV_FILE = ("broker_url", "result_backend", "cache_dir", "log_dir")


def shown(default: object) -> str:
    """Return a default as people read and write it."""
    if default is None:
        return "none"
    text = f"{default:.10g}" if isinstance(default, float) else str(default)
    return text.replace(str(Path.home()), "~")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_absent_or_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    for variable in VARIABLES.values() if value is not None else ():
        monkeypatch.setenv(variable, value)
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
    ("variable", "value", "sentence"),
    [
        ("SEEDSWEEP_LEASE_SECONDS", "1", "SEEDSWEEP_LEASE_SECONDS is '1'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_LEASE_SECONDS", "nan", "SEEDSWEEP_LEASE_SECONDS is 'nan'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_RESTORE_SECONDS", "x", "SEEDSWEEP_RESTORE_SECONDS is 'x'; allowed: seconds from 0.5 to 600"),
        ("SEEDSWEEP_HANG_SECONDS", "0", "SEEDSWEEP_HANG_SECONDS is '0'; allowed: seconds from 1 to 86400"),
        ("SEEDSWEEP_MAX_ATTEMPTS", "0", "SEEDSWEEP_MAX_ATTEMPTS is '0'; allowed: an integer from 1 to 1000"),
        (
            "SEEDSWEEP_RESULT_EXPIRES",
            "1e3",
            "SEEDSWEEP_RESULT_EXPIRES is '1e3'; allowed: an integer of seconds from 60 to 315360000",
        ),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInputError) as refusal:
        load_settings()
    assert str(refusal.value) == sentence


def test_compose_passes_every_setting_on_and_changes_no_default() -> None:
    compose, example = ((ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example"))
    for field in Settings.model_fields.keys() - set(NOT_IN_ENV_FILE):
        variable, default = VARIABLES[field], "" if DEFAULTS[field] is None else shown(DEFAULTS[field])
        assert f"\n      {variable}: ${{{variable}:-{default}}}\n" in compose
        assert f"\n{variable}={default}\n" in example
