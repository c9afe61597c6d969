"""The passwords: made once, kept, shown, changed; and no cluster is opened to a network with those it made itself."""

from pathlib import Path

import pytest

from tests.support.paths import contents
from tests.support.secured_server import make_secrets

OWN = {f"SEEDSWEEP_{role}_PASSWORD": f"own-password-of-{role.lower()}" for role in ("WORKER", "ORCHESTRATOR", "FLOWER")}


def test_secrets_are_made_once(tmp_path: Path) -> None:
    make_secrets(tmp_path / "a")
    make_secrets(tmp_path / "b")
    first, other = contents(tmp_path / "a"), contents(tmp_path / "b")
    make_secrets(tmp_path / "a")
    assert contents(tmp_path / "a") == first
    secret = {name for name in first if name.endswith(("password", "cookie-secret", "token"))}
    assert len(secret) == 7
    assert all(first[name] != other[name] and len(first[name]) >= 43 for name in secret)
    assert len({first[name] for name in secret}) == 7


def test_only_the_owner_reads_a_password_and_redis_gets_hashes_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.parent.name != "redis":
            assert path.stat().st_mode & 0o777 == 0o600, path
    users = (tmp_path / "redis" / "users.acl").read_text()
    for file in ("worker/password", "orchestrator/password", "flower/redis-password", "redis/health-password"):
        assert (tmp_path / file).read_text() not in users
    assert users.splitlines()[0].startswith("user default off ")


def test_own_passwords_take_the_place_of_made_ones(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    make_secrets(tmp_path, **OWN)
    assert (tmp_path / "worker" / "url").read_text() == "redis://worker:own-password-of-worker@redis:6379/0"
    assert (tmp_path / "flower" / "basic-auth").read_text() == "seedsweep:own-password-of-flower"
    # But who sees Flower has no password for Redis
    assert "own-password-of-flower" not in (tmp_path / "flower" / "url").read_text()


def test_rotation_makes_all_anew_but_ones_own(tmp_path: Path) -> None:
    own = {"SEEDSWEEP_FLOWER_PASSWORD": OWN["SEEDSWEEP_FLOWER_PASSWORD"]}
    make_secrets(tmp_path, **own)
    before = contents(tmp_path)
    make_secrets(tmp_path, "rotate", **own)
    after = contents(tmp_path)
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {"flower/password", "flower/basic-auth", "redis/redis.conf"}


def test_show_prints_what_a_person_needs(tmp_path: Path) -> None:
    own = OWN | {"SEEDSWEEP_REPORT_TOKEN": "own-token-of-the-report"}
    make_secrets(tmp_path, **own)
    ports = {"SEEDSWEEP_REDIS_PORT": "7000", "SEEDSWEEP_FLOWER_PORT": "7001", "SEEDSWEEP_REPORT_PORT": "7002"}
    shown = make_secrets(tmp_path, "show", **ports).stdout
    assert "redis://orchestrator:own-password-of-orchestrator@127.0.0.1:7000/0" in shown
    assert "redis://worker:own-password-of-worker@127.0.0.1:7000/0" in shown
    assert "http://127.0.0.1:7001 user seedsweep, password own-password-of-flower" in shown
    assert "report               http://127.0.0.1:7002/?token=own-token-of-the-report\n" in shown


def test_with_tls_every_address_names_the_authority(tmp_path: Path) -> None:
    make_secrets(tmp_path, SEEDSWEEP_TLS_DIR="/certificates")
    assert (tmp_path / "worker" / "url").read_text().startswith("rediss://worker:")
    assert (tmp_path / "worker" / "url").read_text().endswith("@redis:6379/0?ssl_ca_certs=/tls/ca.crt")
    assert "port 0" in (tmp_path / "redis" / "redis.conf").read_text().splitlines()
    shown = make_secrets(tmp_path, "show", SEEDSWEEP_TLS_DIR="/certificates").stdout
    assert "@127.0.0.1:6379/0?ssl_ca_certs=/certificates/ca.crt" in shown


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.1.2.3", "::1"])
def test_on_loopback_made_passwords_do(tmp_path: Path, bind: str) -> None:
    make_secrets(tmp_path, SEEDSWEEP_BIND=bind)


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.168.0.7", "::", "2001:db8::1"])  # noqa: S104 - must be refused
def test_on_a_network_only_own_passwords_do(tmp_path: Path, bind: str) -> None:
    done = make_secrets(tmp_path, status=1, SEEDSWEEP_BIND=bind)
    assert done.stderr == (
        f"secrets: SEEDSWEEP_BIND is {bind!r}, not a loopback address; allowed only with SEEDSWEEP_WORKER_PASSWORD, "
        "SEEDSWEEP_ORCHESTRATOR_PASSWORD, SEEDSWEEP_FLOWER_PASSWORD set\n"
    )
    assert contents(tmp_path) == {}
    make_secrets(tmp_path, SEEDSWEEP_BIND=bind, **OWN)
    # The live report is on loopback, and needs no token of one's own
    assert len((tmp_path / "report" / "token").read_text()) >= 43


@pytest.mark.parametrize("password", ["short", "x" * 15, "with a space in it!", "with/slash/and:colon", "ä" * 20])
def test_a_password_that_cannot_be_used_is_refused(tmp_path: Path, password: str) -> None:
    done = make_secrets(tmp_path, status=1, SEEDSWEEP_WORKER_PASSWORD=password)
    assert done.stderr.startswith("secrets: SEEDSWEEP_WORKER_PASSWORD is invalid; allowed: at least 16 letters")
    assert contents(tmp_path) == {}


def test_an_address_that_is_none_and_an_unknown_command_are_refused(tmp_path: Path) -> None:
    for bind in ("localhost", ""):
        done = make_secrets(tmp_path, status=1, SEEDSWEEP_BIND=bind)
        assert done.stderr == f"secrets: SEEDSWEEP_BIND is {bind!r}; allowed: an IP address of this host\n"
    done = make_secrets(tmp_path, "dump", status=1)
    assert done.stderr == "secrets: command is 'dump'; allowed: ensure, rotate, show\n"
