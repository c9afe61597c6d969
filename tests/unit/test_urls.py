"""Redis addresses: the forms that are taken, and what is said about others."""

import pytest
from kombu import Connection

from nn.errors import InvalidInputError
from orchestrator.cluster.embedded import refuse_ended
from worker.app import create_app
from worker.messages import TRAIN
from worker.redis.address import hide_password, redis_url
from worker.settings import Settings


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://seedsweep-a:p%40ss@host/3", "redis://seedsweep-a:p%40ss@host/3"),
        ("rediss://host/1", "rediss://host/1?ssl_cert_reqs=required"),
        ("rediss://host/1?ssl_cert_reqs=none", "rediss://host/1?ssl_cert_reqs=none"),
        ("rediss://h/0?ssl_ca_certs=/a/ca.pem", "rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fa%2Fca.pem"),
        ("redis+socket:///seedsweep-a/redis.sock", "redis+socket:///seedsweep-a/redis.sock?virtual_host=0"),
        ("redis+socket:///run/redis.sock?virtual_host=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("redis+socket://u:p@/run/redis.sock", "redis+socket://u:p@/run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=4", "redis+socket:///run/redis.sock?virtual_host=4"),
    ],
)
def test_celery_and_kombu_both_read_what_is_taken(given: str, taken: str) -> None:
    refuse_ended(taken)
    assert redis_url(given, "--broker") == taken
    assert Connection(taken).transport_cls in ("redis", "rediss")
    app, other = (create_app(Settings(broker_url=each)) for each in (given, "redis://elsewhere/9"))
    parameters = app.backend.connparams
    assert "path" in parameters or parameters["host"]
    # Two apps are two apps.
    assert other.backend.connparams["host"] == "elsewhere"
    assert (app.tasks[TRAIN].app, other.tasks[TRAIN].app) == (app, other)
    # Only an embedded cluster has no Flower that its events are for.
    embedded = create_app(Settings(broker_url="redis+socket:///tmp/seedsweep-12345678/server.sock"))
    assert [each.conf.worker_send_task_events for each in (app, embedded)] == [True, False]


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "amqp://host", "redis://", "redis+socket://", "http://h", "redis://h:x/0", "redis://[::1",
        "redis://ho\u2100st/0", "redis://h/abc", "redis://h/0/1", "redis://h/-1", "redis://h/0?foo=1", "redis://h/0?x",
        "redis://h/0?ssl_cert_reqs=none", "rediss://h/0?db=1", "rediss://h/0?ssl_cert_reqs=maybe", "rediss://h/0?ssl_x=1",
        "redis://h/0#1", "unix:///a?db=x", "unix:///a?db=1&x=2",
        # Wherever a password stands in it, it is not shown.
        "amqp://me:secret@host", "redis://me:secret@[::1", "redis://me:secret@ho\u2100st/0", "redis://:a#secret@host/0",
        "redis://:a/secret@host/0", "redis://:a@secret@host/x", "me:secret@host", "redis://:a\nsecret@host/x",
        "redis://host/0?password=secret", "REDIS://:secret@host/x",
    ],
)  # fmt: skip
def test_others_are_refused_without_a_password(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"(?s)^--broker is .*; allowed: redis://") as refusal:
        redis_url(url, "--broker")
    assert "secret" not in str(refusal.value)


def test_a_password_is_never_shown() -> None:
    assert hide_password("redis://me:secret@host/1") == "redis://me:**@host/1"
    assert hide_password("redis://:secret@host/1") == "redis://:**@host/1"
    assert hide_password("redis+socket://:secret@/a.sock?virtual_host=1") == "redis+socket://:**@/a.sock?virtual_host=1"
