"""What workers and the orchestrator keep in a real Redis."""

import json
import time
import zlib

import pytest
import redis

from nn.errors import WeightsError
from nn.files import digest
from orchestrator.cluster.registry import Registry
from tests.support import presences
from tests.support.redis_server import RedisServer
from worker.app import create_app
from worker.errors import TooManyAttemptsError, WeightsMissingError
from worker.job import Attempt, Mismatch, Needs
from worker.records.attempts import Attempts
from worker.records.presence import WORKERS, Presence, Roster, clocks_of, problem_of
from worker.records.store import Store, artifact
from worker.settings import Settings

JOB = "a" * 64


@pytest.fixture
def store(client: redis.Redis) -> Store:
    return Store(client, expires=100)


def test_weights_are_kept_by_their_hash_for_a_time(store: Store, client: redis.Redis) -> None:
    store.put_weights(b"weights", JOB, sha256 := digest(b"weights"), JOB, "w@host")
    assert store.weights(JOB, sha256, 7) == b"weights"
    assert 0 < client.ttl(f"seedsweep:weights:{artifact(JOB, sha256)}") <= 100
    client.set(f"seedsweep:weights:{artifact(JOB, sha256)}", b"weighty")
    with pytest.raises(WeightsError, match="are damaged"):
        store.weights(JOB, sha256, 7)
    store.put_weights(b"weights", "f" * 64, sha256, "f" * 64, "w@host")
    store.drop("weights", [artifact(JOB, sha256)])
    with pytest.raises(WeightsMissingError, match="are not in the store; train the job again"):
        store.weights(JOB, sha256, 7)
    assert store.weights("f" * 64, sha256, 7) == b"weights"


def test_the_first_hash_stays_and_a_second_one_is_on_record(store: Store, client: redis.Redis) -> None:
    # A verification is compared, and never becomes the first.
    assert store.put_weights(b"", JOB, "2" * 64, f"{JOB}.verify", "first@host")
    assert client.keys("*") == []
    assert store.put_weights(b"", JOB, "1" * 64, JOB, "first@host")
    assert store.put_weights(b"", JOB, "1" * 64, JOB, "second@host")
    # Twice, because the answer to the first time was lost
    for _ in range(2):
        assert not store.put_weights(b"", JOB, "2" * 64, f"{JOB}.verify", "third@host")
    found = Mismatch(first="1" * 64, second="2" * 64, run=f"{JOB}.verify", worker="third@host")
    assert dict(store.mismatches([JOB, "0" * 64])) == {JOB: [found]}


def test_what_is_no_mismatch_is_no_evidence(store: Store, client: redis.Redis) -> None:
    client.rpush(f"seedsweep:mismatch:{JOB}", b"", b"\xff", b"[]", b"[" * 10_000, b'{"first": 1}')
    assert dict(store.mismatches([JOB])) == {}


def test_a_log_that_redis_refuses_hides_no_error(store: Store, client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)
    store.put_log(JOB, b"why")
    client.config_set("maxmemory", 0)
    assert store.log(JOB) == b""
    store.put_log(JOB, b"why")
    assert store.log(JOB) == b"why"


def test_what_is_known_of_a_run_can_be_forgotten(store: Store, client: redis.Redis) -> None:
    store.cancel([JOB], "why")
    assert store.refused_for(JOB) == 0.0
    assert store.cancelled(JOB) == "why"
    store.forget([JOB])
    assert store.cancelled(JOB) is None
    assert client.keys("*") == []


def test_everything_expires(store: Store, client: redis.Redis) -> None:
    store.put_weights(b"weights", JOB, "1" * 64, JOB, "first@host")
    store.put_weights(b"", JOB, "2" * 64, f"{JOB}.verify", "second@host")
    store.cancel([JOB], "why")
    store.refused_for(JOB)
    attempts_of(store).start(JOB, "w@host")
    report(store, "w@host")
    assert len(client.keys("*")) == 7
    assert all(client.ttl(name) > 0 for name in client.keys("*"))


def test_what_decides_how_an_open_task_goes_on_outlasts_results(store: Store, client: redis.Redis) -> None:
    # Given a store that keeps results for 100 s
    attempts = attempts_of(store)
    attempt_id, attempt = attempts.start(JOB, "w@host")
    store.cancel([JOB], "why")
    store.refused_for(JOB)
    names = [f"seedsweep:{kind}:{JOB}" for kind in ("attempts", "cancelled", "refusals")]
    assert all(client.ttl(name) > 100 for name in names)
    # When they have nearly expired, and a worker still holds the task, then they are renewed
    for name in names:
        client.expire(name, 10)
    store.keep_open([JOB])
    assert all(client.ttl(name) > 100 for name in names)
    # And what is not there is not made
    store.keep_open(["0" * 64])
    assert len(client.keys("*")) == len(names)
    # And with the job's end, its attempts expire like its result
    for end, is_over in (("child lost", False), ("given back", False), ("finished", True), ("failed", True)):
        attempts.finish(JOB, attempt_id, attempt, end)
        assert (client.ttl(names[0]) <= 100) == is_over
    # As do those before the attempt that made the result
    last, _ = attempts.start(JOB, "v@host")
    assert client.ttl(names[0]) > 100
    attempts.drop(JOB, last)
    assert client.ttl(names[0]) <= 100


def test_a_stored_success_is_final(shared_server: RedisServer) -> None:
    # Given a result, which is sent again if the connection is lost before the answer
    backend = create_app(Settings(broker_url=shared_server.url)).backend
    result = backend.encode({"status": "SUCCESS", "result": {"accuracy": 1}, "task_id": JOB})
    for _ in range(2):
        backend._set_with_state(backend.get_key_for_task(JOB), result, "SUCCESS")
        assert backend.stored
    # When a state is written that was read before the result was there
    stale = backend.encode({"status": "PROGRESS", "result": {}, "task_id": JOB})
    backend._set_with_state(backend.get_key_for_task(JOB), stale, "PROGRESS")
    # Then the result stays
    assert (backend.get_task_meta(JOB)["status"], backend.stored) == ("SUCCESS", False)
    stored = shared_server.client().get(f"celery-task-meta-{JOB}")
    assert len(stored) < 100
    assert backend.decode_result(stored)["result"] == {"accuracy": 1}
    assert 0 < shared_server.client().ttl(f"celery-task-meta-{JOB}") <= Settings().result_expires
    # And one that is cut off, or that unpacks to more than a result has, counts as absent
    for forged in (stored[:-5], zlib.compress(bytes(2**17)), b"x"):
        assert backend.decode_result(forged)["status"] == "PENDING"


# --- workers and attempts


def report(store: Store, name: str, **changes: object) -> Presence:
    made = presences.presence().model_copy(update={"name": name} | changes)
    Roster(store, lease_seconds=10).report(made)
    return made


def test_what_a_presence_says_is_one_line(store: Store) -> None:
    # Given a presence whose texts would begin a line of a sweep's messages
    forged = "x\n[2/2] seed 1: 99 %\x1b[2J"
    now = time.time()
    report(store, forged, host=forged, broken=forged, exhausted=forged, beat=now, ahead=1e9)
    # Then nothing that is said of it does
    roster = Roster(store, lease_seconds=10)
    [read] = roster.all()
    workers = (read, read.model_copy(update={"exhausted": None}))
    problems = [str(problem_of(worker, now, patience=5, idle=5)) for worker in workers]
    _, host = clocks_of([read], roster.clock)
    said = [read.name, host, *problems]
    assert all("seed 1" in text and text.isprintable() for text in said)


def attempts_of(store: Store, limit: int = 2) -> Attempts:
    return Attempts(store, Roster(store, lease_seconds=10), limit)


def test_only_a_worker_that_beats_and_was_there_is_alive(store: Store) -> None:
    roster = Roster(store, lease_seconds=10)
    presence = report(store, "w@host")
    assert roster.is_alive("w@host", presence.started + 1)
    # A worker of that name which started later is another one.
    assert not roster.is_alive("w@host", presence.started - 1)
    report(store, "w@host", beat=presence.beat - 11)
    assert not roster.is_alive("w@host", presence.started + 1)
    # One that claims to have beaten after now would be alive for ever.
    report(store, "w@host", beat=presence.beat + 11)
    assert not roster.is_alive("w@host", presence.started + 1)
    assert roster.online() == []
    assert not roster.is_alive("nobody@host", presence.started + 1)


def test_those_long_silent_are_forgotten(store: Store, client: redis.Redis) -> None:
    presence = report(store, "live@host")
    report(store, "dead@host", beat=presence.beat - 101)
    report(store, "future@host", beat=1e11)
    client.hset(WORKERS, "strange", json.dumps({"name": 3}))
    # One of a later version, which says more
    newer = presence.model_dump(mode="json") | {"name": "newer@host", "more": 1}
    client.hset(WORKERS, "newer@host", json.dumps(newer))
    assert [worker.name for worker in Roster(store, 10).all()] == ["live@host", "newer@host"]
    assert sorted(client.hkeys(WORKERS)) == [b"live@host", b"newer@host"]
    assert Roster(store, 10).is_alive("newer@host", presence.started)


def test_a_job_is_served_by_those_that_have_its_trainer_and_its_data_set_and_take_jobs(store: Store) -> None:
    presence = report(store, "right@host", dataset=JOB)
    report(store, "other@host", dataset="b" * 64)
    report(store, "tired@host", dataset=JOB, consuming=False)
    report(store, "stranger@host", dataset=JOB, trainer="softmax")
    report(store, "later@host", dataset=JOB, versions=[3])
    report(store, "gone@host", dataset=JOB, beat=presence.beat - 11)
    needs = Needs(trainer="network", version=2, dataset=JOB)
    assert Roster(store, 10).trainers_of(needs) == ["right@host"]


def made_at(attempts: Attempts, task: str = JOB) -> list[Attempt]:
    [(_, made)] = attempts.of_each([task])
    return made


def test_attempts_have_numbers_and_causes(store: Store) -> None:
    attempts = attempts_of(store, limit=9)
    report(store, "w@host")

    def attempt(end: str | None = None) -> None:
        attempt_id, started = attempts.start(JOB, "w@host")
        if end:
            attempts.finish(JOB, attempt_id, started, end)  # type: ignore[arg-type]

    attempt("given back")
    attempt()
    attempts.finish_on(JOB, "w@host", "child lost")
    attempt()  # Its worker lives: it may still run.
    attempt("hung")
    attempt("finished")
    attempt()
    Roster(store, 10).leave("w@host")
    attempt("finished")
    assert [(found.number, found.cause, found.end) for found in made_at(attempts)] == [
        (1, "first run", "given back"),
        (2, "given back", "child lost"),
        (3, "child lost", "worker lost"),
        (4, "delivered again", "hung"),
        (5, "hung", "finished"),
        (6, "submitted again", "worker lost"),
        (7, "worker lost", "finished"),
    ]


def test_an_attempt_has_the_time_of_its_end(store: Store, client: redis.Redis) -> None:
    # Given a worker that lives, and one that is gone
    attempts = attempts_of(store, limit=9)
    report(store, "live@host")
    before = Roster(store, 10).now()
    # When their attempts end in different ways
    attempt_id, attempt = attempts.start(JOB, "live@host")
    attempts.finish(JOB, attempt_id, attempt, "given back")
    attempts.start(JOB, "live@host")
    attempts.finish_on(JOB, "live@host", "hung")
    attempts.start(JOB, "gone@host")
    attempts.start(JOB, "live@host")
    after = Roster(store, 10).now()
    # Then each has a time by Redis's clock, but for the one that is open
    found = made_at(attempts)
    assert [attempt.end for attempt in found] == ["given back", "hung", "worker lost", None]
    assert found[-1].ended is None
    times = [time for attempt in found[:-1] for time in (attempt.started, attempt.ended)]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= after
    # And one that was only cut off is open again
    report(store, "gone@host", started=found[2].started)
    attempts.is_suspect(attempts.earlier(JOB), 0)
    assert [(attempt.end, attempt.ended) for attempt in made_at(attempts)[2:]] == 2 * [(None, None)]


def test_the_attempts_at_many_tasks_are_those_at_each(store: Store) -> None:
    attempts = attempts_of(store, limit=9)
    report(store, "w@host")
    tasks = [JOB, "b" * 64, "c" * 64]
    for task in (JOB, JOB, tasks[2]):
        attempts.start(task, "w@host")
    assert dict(attempts.of_each(tasks)) == {task: made_at(attempts, task) for task in tasks}
    assert [len(found) for _, found in attempts.of_each(tasks)] == [2, 0, 1]


def test_only_losses_count_against_a_job_which_is_given_up_in_their_words(store: Store) -> None:
    attempts, hung = attempts_of(store, limit=2), "b" * 64
    report(store, "live@host")
    for _ in range(5):
        attempt_id, attempt = attempts.start(JOB, "live@host")
        attempts.finish(JOB, attempt_id, attempt, "given back")
        attempts.start(JOB, "live@host")  # Never ends, but its worker lives.
    for end in ("hung", "child lost"):
        attempts.start(JOB, "dead@host")
        attempts.start(hung, "live@host")
        attempts.finish_on(hung, "live@host", end)  # type: ignore[arg-type]
    for task, said in {
        JOB: "took its worker down 2 times (worker lost on dead@host, worker lost on dead@host)",
        hung: "hung or took its worker down 2 times (hung on live@host, child lost on live@host)",
    }.items():
        with pytest.raises(TooManyAttemptsError) as refusal:
            attempts.is_suspect(attempts.earlier(task), 0)
        assert str(refusal.value) == f"the job {said} and is given up"


def test_a_worker_that_was_only_cut_off_is_not_held_against_a_job(store: Store) -> None:
    # Given a job that seems to have taken its worker down
    attempts = attempts_of(store, limit=1)
    presence = report(store, "cut@host", beat=time.time() - 11)
    attempt_id, attempt = attempts.start(JOB, "cut@host")
    with pytest.raises(TooManyAttemptsError):
        attempts.is_suspect(attempts.earlier(JOB), 0)
    assert [found.end for found in made_at(attempts)] == ["worker lost"]
    # When the worker is heard of again
    report(store, "cut@host", started=presence.started)
    # Then nothing is held against the job, and its attempt has the last word
    assert not attempts.is_suspect(attempts.earlier(JOB), 0)
    assert [found.end for found in made_at(attempts)] == [None]
    attempts.finish(JOB, attempt_id, attempt, "finished")
    assert [found.end for found in made_at(attempts)] == ["finished"]


def test_who_gets_further_each_time_is_not_given_up(store: Store) -> None:
    attempts = attempts_of(store, limit=2)
    # Given a job whose workers went down, after a checkpoint each
    for epochs in range(4):
        assert not attempts.is_suspect(attempts.earlier(JOB), epochs)
        attempts.start(JOB, "dead@host", epochs)
    # Then only the loss after which it was no further counts
    assert not attempts.is_suspect(attempts.earlier(JOB), 4)
    assert attempts.is_suspect(attempts.earlier(JOB), 3)


def test_the_last_chance_is_one_alone_only_where_a_whole_worker_went_down(store: Store) -> None:
    attempts = attempts_of(store, limit=3)
    report(store, "w@host")
    for number in range(2):
        assert not attempts.is_suspect(attempts.earlier(JOB), 0), number
        attempts.start(JOB, "w@host")
        attempts.finish_on(JOB, "w@host", "child lost")
    assert not attempts.is_suspect(attempts.earlier(JOB), 0)


def test_a_refusal_is_timed_from_the_first_until_a_holder_is_seen(store: Store, client: redis.Redis) -> None:
    assert store.refused_for(JOB) == 0.0
    client.set(f"seedsweep:refusals:{JOB}", time.time() - 50)
    assert 50 <= store.refused_for(JOB) < 60
    store.drop("refusals", [JOB])
    assert store.refused_for(JOB) == 0.0
    client.set(f"seedsweep:refusals:{JOB}", b"nonsense")
    assert store.refused_for(JOB) == 0.0


def test_records_of_other_versions_are_read_as_far_as_they_go(store: Store, client: redis.Redis) -> None:
    # Given an attempt without the time of its end, and one of which nothing can be read
    earlier = {"number": 1, "cause": "first run", "worker": "w@host", "started": 1e9, "end": "failed"}
    client.hset(f"seedsweep:attempts:{JOB}", mapping={"earlier": json.dumps(earlier), "x": "{}"})
    [(_, [attempt])] = attempts_of(store).of_each([JOB])
    assert (attempt.end, attempt.ended) == ("failed", None)
    _, attempt = attempts_of(store).start(JOB, "w@host")
    assert attempt.number == 2


def test_a_sweep_that_ends_after_redis_lost_it_is_not_kept_for_ever(store: Store, client: redis.Redis) -> None:
    Registry(store).finish("lost")
    assert 0 < client.ttl("seedsweep:sweep:lost") <= 100
