"""What somebody does who can write to Redis: none of it may reach a worker or the sweep."""

import base64
import bz2
import json
import random
from typing import Any

from tests.chaos.arena.arena import Arena
from tests.chaos.faults.common import NothingToHarm, end, miss
from tests.chaos.history import Event
from tests.support.messages import CONTROL_CHANNEL, NOISE, body, command, message
from worker.messages import QUEUE, TRAIN

#: A broadcast of a few kilobytes that unpacks to ten times so many bytes.
UNPACKED_BYTES = 20 << 20
#: Seconds within which workers that were cut off listen again.
LISTENING_SECONDS = 10.0
_CALL = {"task": TRAIN, "args": [], "kwargs": {}, "options": {}}
#: Headers, and parts of the body, that our own messages never have.
FORGED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "held until 2099": ({"eta": "2099-01-01T00:00:00+00:00", "retries": 1}, {}),
    "expired": ({"expires": "2020-01-01T00:00:00+00:00"}, {}),
    "a time limit": ({"timelimit": [0.1, None]}, {}),
    "callbacks": ({}, {"callbacks": [_CALL] * 100}),
    "errbacks": ({}, {"errbacks": [_CALL]}),
    "a chain": ({}, {"chain": [_CALL]}),
    "no result": ({"ignore_result": True}, {}),
    "a large header": ({"kwargsrepr": "x" * (1 << 20)}, {}),
    "a line of the log": ({"argsrepr": "\n[2026-01-01] CRITICAL MISMATCH: forged\x1b]0;x\x07"}, {}),
}
_REPORT = {
    "epoch": 3, "epochs": 60, "validation_score": [0.5], "seconds": 1.0, "slowest_epoch": 0.1, "at": 0.0,
    "worker": "\x1b[2J\x1b]0;x\x07", "attempt": 1,
}  # fmt: skip
#: What is no state of a task, and reports of progress that nobody sends.
FOREIGN: dict[str, bytes] = {
    "nothing": b"",
    "bytes": b"\xff\xfe",
    "a list": b"[]",
    "brackets": b"[" * 100_000,
    "a success without a result": b'{"status": "SUCCESS"}',
    "a success that kombu cannot read": (
        b'{"status": "SUCCESS", "result": {"__type__": "datetime", "__value__": "x"}}'
    ),
    "a status that is a number": b'{"status": 1, "result": 1}',
    "an epoch of 400 digits": json.dumps({"status": "PROGRESS", "result": _REPORT | {"epoch": 0}})
    .replace('"epoch": 0', f'"epoch": 1{"0" * 400}')
    .encode(),
    "an accuracy without end": json.dumps(
        {"status": "PROGRESS", "result": _REPORT | {"validation_score": [float("inf")], "seconds": float("nan")}}
    ).encode(),
    "a report with controls": json.dumps({"status": "PROGRESS", "result": _REPORT}).encode(),
    "a report that is text": b'{"status": "PROGRESS", "result": "x"}',
}
#: Stores a value in a result's place unless a success is there, which is compressed: what a worker has stored is not
#: the stranger's to take.
_REPLACE = """
local stored = redis.call('GET', KEYS[1])
if stored and string.sub(stored, 1, 1) == 'x' then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


def shout(arena: Arena, choice: int, event: Event) -> None:
    """Publish what is no broadcast and no event, in an order of its own, and one that is packed."""
    shouts = [*NOISE.values(), (CONTROL_CHANNEL, _packed())]
    random.Random(choice).shuffle(shouts)
    began = arena.history.now()

    def publish() -> None:
        if arena.history.now() - began > LISTENING_SECONDS:
            miss(arena, event)
        elif arena.redis_is_away or not arena.patient_client.pubsub_numpat():
            # Workers that have just lost their connections do not listen. They subscribe to patterns.
            arena.later(0.1, publish)
        else:
            event["heard"] = sum(arena.patient_client.publish(channel, text) for channel, text in shouts)
            (end if event["heard"] else miss)(arena, event)

    publish()


def _packed() -> str:
    packed = 10 * bz2.compress(bytes(UNPACKED_BYTES))
    told = json.loads(command("ping", {}, headers={"compression": "application/x-bz2"}))
    return json.dumps(told | {"body": base64.b64encode(packed).decode()})


def forge_headers(arena: Arena, choice: int, event: Event) -> None:
    """Put messages of the sweep's own jobs into the queue, at both ends, valid but for a header or what follows."""
    if arena.redis_is_away or arena.redis_refuses_writes:
        raise NothingToHarm
    arena.monitor.look()
    jobs = [key for key in arena.monitor.running() + arena.monitor.untouched() if key in arena.jobs]
    rng = random.Random(choice)
    for headers, follows in FORGED.values():
        push = arena.patient_client.lpush if rng.random() < 0.5 else arena.patient_client.rpush
        for key in rng.sample(jobs, min(3, len(jobs))):
            job = arena.jobs[key]
            push(QUEUE, message(body(job, **follows), task_id=key, root_id=key, **headers))
    event["struck"] = bool(jobs)
    end(arena, event)


def store_foreign_values(arena: Arena, choice: int, event: Event) -> None:
    """Store values in the places of results and reports of jobs that have not ended, each in another one."""
    if arena.redis_is_away or arena.redis_refuses_writes:
        raise NothingToHarm
    arena.monitor.look()
    rng = random.Random(choice)
    jobs = arena.monitor.running() + rng.sample(waiting := arena.monitor.untouched(), min(8, len(waiting)))
    values = rng.sample(list(FOREIGN.values()), len(FOREIGN))
    stored = [
        arena.patient_client.eval(_REPLACE, 1, f"celery-task-meta-{job}", value)
        for job, value in zip(jobs, values, strict=False)
    ]
    event["struck"] = any(stored)
    event["stored"] = sum(stored)
    end(arena, event)
