"""What the gate drops, and how it shortens what it lets pass to Flower."""

import base64
import json

import pytest

from tests.support.messages import GARBAGE, JOB, NOISE, UUID, command, heartbeat, message, no_replies, reply, task_event
from worker.gate.transport import admitted
from worker.messages import CONTROL, EVENTS, QUEUE, REPLIES, TRAIN

REPLY_QUEUE = f"{UUID}.{REPLIES}"
REPLY_TO = {"exchange": REPLIES, "routing_key": UUID}
INVALID: dict[str, tuple[str, str | bytes]] = {
    **{f"queue: {name}": (QUEUE, raw) for name, raw in GARBAGE.items()},
    **{f"channel: {name}": (channel.partition(".")[2], raw) for name, (channel, raw) in NOISE.items()},
    **{f"reply: {name}": (REPLY_QUEUE, raw) for name, raw in no_replies(UUID, REPLY_TO).items()},
}


@pytest.mark.parametrize("name", INVALID)
def test_what_none_of_us_sends_is_dropped_with_one_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    source, raw = INVALID[name]
    assert admitted(source, raw if isinstance(raw, bytes) else raw.encode()) is None
    [record] = caplog.records
    assert record.getMessage().startswith(f"Dropped a message of {len(raw)} bytes in {source}: ")
    assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    ("source", "raw"),
    [
        (QUEUE, message()),
        (REPLY_QUEUE, reply({"w@host": {"ok": "pong"}}, UUID, REPLY_TO)),
        (CONTROL, command("ping", {})),
        (f"{EVENTS}/worker.heartbeat", heartbeat()),
    ],
)
def test_what_all_these_vary_is_valid(source: str, raw: str) -> None:
    assert admitted(source, raw.encode()) is not None


@pytest.mark.parametrize(
    "source", ["seedsweep2", "celery", "seedsweep.pidbox", "x.reply.seedsweep.pidbox", "seedsweep.ev/x", ""]
)
def test_a_valid_message_is_dropped_where_it_is_not_expected(source: str) -> None:
    assert admitted(source, message().encode()) is None


def failed(**fields: str) -> bytes:
    """Return the event of a task that has failed, with these fields."""
    event = {
        "hostname": "w@host", "utcoffset": 0, "pid": 1, "clock": 1, "timestamp": 1.0, "type": "task-failed",
        "uuid": JOB.key, "name": TRAIN,
    }  # fmt: skip
    return task_event(event | fields).encode()


def test_flower_counts_only_our_kinds_of_events() -> None:
    source = f"{EVENTS}/task.multi"
    assert admitted(source, failed()) is not None
    assert admitted(source, failed(type="task-invented")) is None
    assert admitted(source, failed(name="invented")) is None


def test_flower_is_shown_the_end_of_a_long_text_with_a_byte_for_each_character() -> None:
    passed = admitted(
        f"{EVENTS}/task.failed", failed(traceback="x" * 99_000 + "the end", exception="\N{GRINNING FACE}" * 2000)
    )
    assert passed is not None
    shown = json.loads(base64.b64decode(json.loads(passed)["body"]))
    assert shown["traceback"].endswith("the end")
    assert shown["exception"].isascii()
    assert max(len(shown["traceback"]), len(shown["exception"])) <= 2000
