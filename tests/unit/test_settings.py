"""Settings: where they come from, and what is said about a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nn.errors import InvalidInputError
from worker.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for field, info in Settings.model_fields.items():
        monkeypatch.delenv(str(info.validation_alias or f"SEEDSWEEP_{field.upper()}"), raising=False)


def test_defaults() -> None:
    settings = load_settings()
    assert settings.broker_url is None
    assert settings.data == "bundled"
    assert settings.lease_seconds == 30


def test_the_environment_sets_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://host/1")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://host/2")
    monkeypatch.setenv("SEEDSWEEP_CACHE_DIR", "/var/cache")
    monkeypatch.setenv("SEEDSWEEP_MAX_ATTEMPTS", "7")
    settings = load_settings()
    assert (settings.broker_url, settings.result_backend) == ("redis://host/1", "redis://host/2")
    assert (settings.cache_dir, settings.max_attempts) == (Path("/var/cache"), 7)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SEEDSWEEP_LEASE_SECONDS", "1", "SEEDSWEEP_LEASE_SECONDS is '1'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_LEASE_SECONDS", "nan", "SEEDSWEEP_LEASE_SECONDS is 'nan'; allowed: seconds from 3 to 86400"),
        ("SEEDSWEEP_RESTORE_SECONDS", "x", "SEEDSWEEP_RESTORE_SECONDS is 'x'; allowed: seconds from 0.5 to 600"),
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


def test_every_field_says_what_is_allowed() -> None:
    assert all(info.description for info in Settings.model_fields.values())
