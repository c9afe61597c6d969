"""Reads from a real Redis that holds what others wrote: of any size, of any number, of any type."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from nn.errors import SeedsweepError, WeightsError
from nn.files import digest
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.connect import Place
from orchestrator.commands.status import status
from orchestrator.errors import SweepExistsError
from orchestrator.running.collect import fetch_weights
from orchestrator.running.session import Session
from orchestrator.sweeps.manifest import Manifest
from tests.support.cluster import make_job
from tests.support.memory import at_most
from tests.support.presences import presence
from tests.support.redis_server import RedisServer
from tests.support.sweep_folders import BLOB, BY_KEY, made, result
from worker.errors import TooManyAttemptsError
from worker.job import Attempt, Mismatch
from worker.records import checkpoints
from worker.records.presence import WORKERS
from worker.records.store import artifact
from worker.redis import bounded, limits
from worker.redis.bounded import (
    read,
    read_each,
    read_fields,
    read_hash,
    read_hashes,
    read_items,
    read_lists,
    read_members,
    scan_values,
)
from worker.settings import Settings

JOB = make_job()
NAME = "seedsweep:sweep:first"
#: More than the limit of any kind.
BOMB = 20 * 2**20
#: What reading a bomb may take: an answer, as received and as parsed.
PEAK = BOMB // 2

#: Runs the command ARGV[1] on the key, with the arguments from ARGV[3] on, and then a value of ARGV[2] bytes.
_PUT = """
local size = table.remove(ARGV, 2)
ARGV[#ARGV + 1] = string.rep(string.rep('1', 512), size / 512)
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
"""


@pytest.fixture
def view(shared_server: RedisServer) -> Cluster:
    return Cluster(Settings(broker_url=shared_server.url))


def attempts(view: Cluster) -> list[Attempt]:
    return [attempt for _, made in view.attempts([JOB.key]) for attempt in made]


def weights(view: Cluster, **named: int) -> bytes:
    return fetch_weights(view.store, JOB, result(JOB, 0.5, **named))


def put(client: redis.Redis, command: str, name: str, *arguments: str, size: int = BOMB) -> None:
    client.eval(_PUT, 1, name, command, size, *arguments)


class TestStrings:
    def test_a_value_within_its_limit_is_read_and_any_other_is_invalid_or_absent(self, client: redis.Redis) -> None:
        client.mset({"within": b"12345", "longer": b"123456"})
        client.rpush("a list", "1")
        expected = {"within": b"12345", "longer": b"", "a list": b"", "absent": None}
        assert {name: read(client, name, 5) for name in expected} == expected

    def test_an_answer_ends_where_it_is_full_and_the_rest_follows(
        self, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounded, "ANSWER_BYTES", 10)
        values = [b"1" * size for size in (4, 4, 4, 0, 12, 12, 1)]
        names = [f"k{number}" for number in range(len(values))]
        client.mset(dict(zip(names, values, strict=True)))
        assert list(read_each(client, names, 100)) == [value or None for value in values]

    def test_more_keys_than_a_command_names(self, client: redis.Redis) -> None:
        names = [f"k{number}" for number in range(1000)]
        client.mset({name: name for name in names[::2]})
        expected = [name.encode() if number % 2 == 0 else None for number, name in enumerate(names)]
        assert list(read_each(client, names, 100)) == expected

    def test_an_error_of_the_server_is_an_error(self, client: redis.Redis) -> None:
        client.acl_setuser("narrow", enabled=True, nopass=True, keys=["*"], commands=["+eval_ro"])
        narrow = redis.Redis(port=client.connection_pool.connection_kwargs["port"], username="narrow", password="-")
        with pytest.raises(redis.ResponseError, match=r"(?i)permission|NOPERM"):
            read(narrow, "a", 5)
        client.acl_deluser("narrow")


class TestOthers:
    def test_items_of_lists(self, client: redis.Redis) -> None:
        client.rpush("a", "1", "123456", "3", "4")
        client.set("c", "no list")
        assert list(read_lists(client, ["a", "b", "c"], 5, 3)) == [[b"1", b"", b"3"], [], []]
        assert read_items(client, "a", 5, 2) == [b"3", b"4"]
        assert read_items(client, "a", 5, 4) == []

    def test_members_of_a_set(self, client: redis.Redis) -> None:
        client.sadd("a", "1", "123456")
        assert read_members(client, "a", 5, 10) == {b"1", b""}
        assert len(read_members(client, "a", 10, 1)) == 1
        assert read_members(client, "b", 5, 10) == set()

    def test_fields_of_a_hash(self, client: redis.Redis) -> None:
        client.hset("a", mapping={"x": "1", "y": "123456", "z": ""})
        assert read_fields(client, "a", ["x", "y", "z", "?"], 5) == [b"1", b"", b"", None]
        assert read_hash(client, "a", 5, 10) == {b"x": b"1", b"y": b"", b"z": b""}
        assert len(read_hash(client, "a", 5, 2)) == 2
        assert read_hash(client, "b", 5, 10) == {}
        client.set("c", "no hash")
        assert read_hash(client, "c", 5, 10) == {}
        assert read_fields(client, "c", ["x"], 5) == [None]

    def test_fields_of_many_hashes(self, client: redis.Redis) -> None:
        client.hset("a", mapping={"x": "1", "y": "123456"})
        client.hset("b", mapping={"x": "2"})
        client.set("c", "no hash")
        names = ["a", "c", *(f"absent {number}" for number in range(bounded.CHUNK)), "b"]
        found = list(read_hashes(client, names, 5, 10))
        assert (found[0], found[1], found[-1]) == ({b"x": b"1", b"y": b""}, {}, {b"x": b"2"})
        assert found[2:-1] == bounded.CHUNK * [{}]

    def test_hashes_that_fill_an_answer_are_whole_but_for_one_that_is_too_large_alone(
        self, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bounded, "ANSWER_BYTES", 10)
        sizes = (1, 2, 2, 30, 1, 0, 3)
        for number, size in enumerate(sizes):
            client.hset(f"h{number}", mapping={f"{field:02}": "12" for field in range(size)} or {"00": ""})
        found = list(read_hashes(client, [f"h{number}" for number in range(len(sizes))], 5, 100))
        assert [len(fields) for fields in found] == [1, 2, 2, 3, 1, 1, 3]

    def test_of_a_hash_no_value_whose_name_is_too_long(self, client: redis.Redis) -> None:
        client.hset("h", mapping={"n" * 11: "long", "n": "short"})
        assert list(scan_values(client, "h", 50, 10)) == [b"short"]

    def test_every_value_of_a_large_hash(self, client: redis.Redis) -> None:
        client.hset("a", mapping={str(number): f"value {number}" for number in range(5000)})
        client.hset("a", "long", "1" * 100)
        found = list(scan_values(client, "a", 50, 50))
        assert set(found) == {f"value {number}".encode() for number in range(5000)} | {b""}
        assert list(scan_values(client, "b", 50, 50)) == []


WEIGHTS = f"seedsweep:weights:{artifact(JOB.key, digest(BLOB))}"
#: What somebody put into Redis, who reads it, and what it counts as, or the error that the read raises.
BOMBS: dict[str, tuple[tuple[str, ...], Callable[[Cluster], object], object]] = {
    "a result": (("SET", f"celery-task-meta-{JOB.key}"), lambda view: list(view.results.states([JOB.key])), []),
    "a result, for Celery": (
        ("SET", f"celery-task-meta-{JOB.key}"), lambda view: view.app.AsyncResult(JOB.key).state, "PENDING",
    ),
    "weights that a result names by their size": (
        ("SET", WEIGHTS), lambda view: weights(view, weights_bytes=BOMB), WeightsError,
    ),
    "weights of another size": (("SET", WEIGHTS), weights, WeightsError),
    "weights of another type": (("RPUSH", WEIGHTS), weights, WeightsError),
    "a manifest": (("HSET", NAME, "manifest"), lambda view: view.registry.manifest("first"), SweepExistsError),
    "the mark of a cancelled sweep": (("HSET", NAME, "cancelled"), lambda view: view.registry.cancelled("first"), None),
    "the name of a sweep": (("SADD", "seedsweep:sweeps"), lambda view: view.registry.wanted_by_others("a", ["b"]), {}),
    "a checkpoint": (
        ("SET", f"seedsweep:checkpoint:{JOB.key}"),
        lambda view: checkpoints.load(view.store, JOB.key, JOB), None,
    ),
    "an attempt": (("HSET", f"seedsweep:attempts:{JOB.key}", "id"), attempts, []),
    "a presence": (("HSET", WORKERS, "w"), lambda view: view.roster.all(), []),
    "a worker's presence": (("HSET", WORKERS, "w"), lambda view: view.roster.is_alive("w", 0.0), False),
    "a cancellation": (("SET", f"seedsweep:cancelled:{JOB.key}"), lambda view: view.store.cancelled(JOB.key), None),
    "the end of a log": (("SET", f"seedsweep:log:{JOB.key}"), lambda view: view.store.log(JOB.key), b""),
    "a log of another type": (("RPUSH", f"seedsweep:log:{JOB.key}"), lambda view: view.store.log(JOB.key), b""),
    "a mismatch": (("RPUSH", f"seedsweep:mismatch:{JOB.key}"), lambda view: list(view.store.mismatches([JOB.key])), []),
    "the first hash": (
        ("SET", f"seedsweep:finished:{JOB.key}"),
        lambda view: view.store.put_weights(b"", JOB.key, "1" * 64, JOB.key, "w"), False,
    ),
    "a refusal": (("SET", f"seedsweep:refusals:{JOB.key}"), lambda view: view.store.refused_for(JOB.key), 0.0),
    "a message": (("RPUSH", "seedsweep"), lambda view: view.queue.messages([JOB.key]), set()),
    "a held message": (("HSET", "seedsweep:unacked", "tag"), lambda view: view.queue.messages([JOB.key]), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_counts_as_invalid_and_is_not_read(view: Cluster, client: redis.Redis, name: str) -> None:
    (command, *place), use, expected = BOMBS[name]
    put(client, command, *place)
    with at_most(PEAK):
        try:
            found = use(view)
        except SeedsweepError as error:
            found = type(error)
    assert found == expected


def test_many_results_of_the_largest_size_come_in_parts(view: Cluster, client: redis.Redis) -> None:
    # Given results within their limit, which all at once would take 72 MiB
    keys = [make_job(seed=seed).key for seed in range(9)]
    for key in keys:
        put(client, "SET", f"celery-task-meta-{key}", size=limits.RESULT)
    with at_most(50 * 2**20):
        assert list(view.results.states(keys)) == []


def test_a_hash_of_many_attempts_is_read_in_part(view: Cluster, client: redis.Redis) -> None:
    name = f"seedsweep:attempts:{JOB.key}"
    client.eval("for i = 1, 100000 do redis.call('HSET', KEYS[1], i, string.rep('1', 100)) end", 1, name)
    with at_most(100_000 * 100 // 2):
        assert attempts(view) == []


def test_many_mismatches_of_many_jobs_are_read_in_part(view: Cluster, client: redis.Redis) -> None:
    # Given sixty thousand false ones, of a thousand jobs
    keys = [make_job(seed=seed).key for seed in range(1000)]
    script = """
    for i = 1, 60 do redis.call('RPUSH', KEYS[1], '{"first":"' .. i .. string.rep('f', 300) .. ARGV[1]) end
    """
    for key in keys:
        client.eval(script, 1, f"seedsweep:mismatch:{key}", '","second":"s","run":"r","worker":"w"}')
    with at_most(12 * 2**20):
        assert [key for key, _ in view.store.mismatches(keys)] == keys


def test_rows_of_a_cluster_are_shortened_like_those_of_a_folder(
    view: Cluster, client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.folder.rows._SOME_TEXT", 0)
    # Given jobs that failed, with long words, and sixteen false mismatches each
    folder, shown = made(tmp_path), []
    monkeypatch.setattr("orchestrator.running.listener.Progress.finished", lambda _, row: shown.append(row))
    for key in BY_KEY:
        view.app.backend.store_result(key, ValueError("x" * 5000), "FAILURE")
        false = (json.dumps(dict.fromkeys(Mismatch.model_fields, f"{n:0150}")) for n in range(limits.MISMATCHES))
        client.rpush(f"seedsweep:mismatch:{key}", *false)
    # When a session collects them
    session = Session(folder, folder.manifest(), dict(BY_KEY), Place(view.app.settings, view))
    yielded = list(session.follow())
    # Then it keeps and shows less than it writes
    assert [(each.job, len(each.error)) for each in (*yielded, *shown)] == 2 * [(key, 110) for key in BY_KEY]
    assert [[len(each.first) for each in row.mismatches] for row in session.rows.values()] == 2 * [[110]]
    assert len((folder.path / "results.jsonl").read_bytes()) > 2 * 5000


def test_status_counts_the_first_sweeps(view: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.commands.status._MOST_JOBS", 500)
    listed, said = [], []
    monkeypatch.setattr(Manifest, "jobs_by_key", lambda self: listed.append(self.name) or dict(BY_KEY))
    for name in "dcab":
        view.registry.register(made(tmp_path, name).manifest())
    place = Place(view.app.settings, tell=said.append)
    assert [each["sweep"] for each in status(tmp_path, place)["sweeps"]] == listed == ["a", "b"]
    assert said == [f"There are more sweeps at {view.address}: orchestrator status SWEEP shows one"]
    assert [each["jobs"] for each in status(tmp_path, place, "d")["sweeps"]] == [2]


def test_what_seedsweep_stores_itself_is_within_the_limits(view: Cluster) -> None:
    # Given a failure with more words than anyone reads
    view.app.backend.store_result(JOB.key, TooManyAttemptsError("\U0001f600" * 2**20), "FAILURE", "\U0001f600" * 2**20)
    # Then it is stored, and read
    ((_, state),) = view.results.states([JOB.key])
    assert "\U0001f600" * 1000 in state.reason
    assert len(state.reason) <= 10_000
    # And so is one with many brackets
    view.app.backend.store_result(JOB.key, TooManyAttemptsError("[" * 10_000), "FAILURE", "{" * 20_000)
    ((_, state),) = view.results.states([JOB.key])
    assert state.reason.startswith("[" * 5_000)
    # And a result of the most epochs
    many, smileys = [1 / 3] * 100_000, "\U0001f600" * 1000
    fields = {"others": {"notebook_accuracy": [x * 3 for x in many]}, "epoch_seconds": many}
    other = make_job(epochs=100_000)
    long = result(other, *many, worker=smileys, error=smileys, **fields)
    view.app.backend.store_result(other.key, long, "SUCCESS")
    assert dict(view.results.states([other.key]))[other.key].result == long
    # And of a job that has fewer epochs, it is another job's
    ((_, state),) = view.results.states([other.key], 10)
    assert state.reason == "the stored result belongs to another job"


def test_a_state_of_many_small_values_is_not_parsed(view: Cluster, client: redis.Redis) -> None:
    # Two bytes for each list in the state, and 56 in memory
    client.set(f"celery-task-meta-{JOB.key}", b'{"status":"PROGRESS","result":[' + b"[]," * 2_000_000 + b"[]]}")
    with at_most(4 * 8 * 2**20):
        assert list(view.results.states([JOB.key])) == []


def test_a_presence_of_many_small_values_is_not_parsed(view: Cluster, client: redis.Redis) -> None:
    view.roster.report(largest := presence(running=dict.fromkeys(map(str, range(1000)), 0.0), versions=[7] * 1000))
    client.hset(WORKERS, "x", b'{"started":1.0,"beat":%a,"x":[' % largest.beat + b"[]," * 80_000 + b"[]]}")
    with at_most(8 * 2**20):
        assert view.roster.all() == [largest]


def test_of_a_message_only_the_id_of_a_task_is_kept(view: Cluster, client: redis.Redis) -> None:
    client.rpush("seedsweep", *(json.dumps({"headers": {"id": name}}) for name in ("x" * 15_000, [7], JOB.key)))
    # One whose parts take long to read, and none of ours has so many
    client.rpush("seedsweep", json.dumps({"headers": {"id": make_job(seed=9).key}, "x": [[]] * 1000}))
    # What is queued or held and is no message has none.
    for tag, held in enumerate([b"\xff", b"5", b"{}", b"[" * 100_000, b'[{"headers": 1}]']):
        client.hset("seedsweep:unacked", str(tag), held)
        client.rpush("seedsweep", held)
    assert view.queue.messages({JOB.key, make_job(seed=9).key, "x" * 15_000}) == {JOB.key}
    assert view.queue.withdraw({"x"}) == set()
