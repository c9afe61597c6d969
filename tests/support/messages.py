"""Messages as a stranger could put them into Redis: by hand, without Celery."""

import base64
import json
import pickle
import time
import zlib
from typing import Any

from nn.datasets.mnist import MNIST_DIGEST
from worker.job import Job
from worker.messages import CONTROL, EVENTS, QUEUE, TRAIN

UUID = "3c747a2c-0000-4328-9896-9026f9ba907f"
#: What `message` asks for unless it is given another body: valid, and trained in a few hundredths of a second.
JOB = Job.of({"learning_rate": 0.03, "epochs": 2, "limit": 500}, seed=77, dataset=MNIST_DIGEST)
NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
CONTROL_CHANNEL = f"/0.{CONTROL}"
HEARTBEAT_CHANNEL = f"/0.{EVENTS}/worker.heartbeat"


def body(job: Any = JOB, *, args: Any = (), more: dict[str, Any] | None = None, **embedded: Any) -> bytes:
    """Return the body of a task's message: its arguments, and what is to follow it."""
    fields = job.fields() if isinstance(job, Job) else job
    return json.dumps([args, {"job": fields} | (more or {}), NOTHING_FOLLOWS | embedded]).encode()


def _wrapped(
    content: bytes,
    headers: dict[str, Any],
    *,
    content_type: str = "application/json",
    content_encoding: str = "utf-8",
    encoded: bool = True,
    **properties: Any,
) -> str:
    usual = {"delivery_mode": 2, "priority": 0, "body_encoding": "base64", "delivery_tag": UUID}
    return json.dumps(
        {
            "body": base64.b64encode(content).decode() if encoded else content.decode(),
            "headers": headers,
            "content-type": content_type,
            "content-encoding": content_encoding,
            "properties": usual | properties,
        }
    )


def message(
    content: bytes | None = None,
    *,
    task: Any = TRAIN,
    task_id: Any = JOB.key,
    wrapped: dict[str, Any] | None = None,
    **headers: Any,
) -> str:
    """Return a task's message in kombu's form for Redis, valid but for what is given.

    Args:
        content: The body.
        task: The header of that name.
        task_id: The header `id`.
        wrapped: Arguments of `_wrapped`: the content's type and encoding, and kombu's properties.
        headers: More headers, or others.
    """
    usual = {
        "lang": "py", "task": task, "id": task_id, "root_id": JOB.key, "parent_id": None, "shadow": None, "eta": None,
        "expires": None, "group": None, "group_index": None, "retries": 0, "timelimit": [None, None], "argsrepr": "",
        "kwargsrepr": "", "origin": "gen1@host", "ignore_result": False, "replaced_task_nesting": 0,
        "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties: dict[str, Any] = {
        "correlation_id": JOB.key,
        "reply_to": UUID,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
    }
    return _wrapped(body() if content is None else content, usual | headers, **properties | (wrapped or {}))


def command(method: Any, arguments: Any, *, headers: dict[str, Any] | None = None, **wrapped: Any) -> str:
    """Return a broadcast to workers, valid but for what is given."""
    content = {"method": method, "arguments": arguments, "destination": None, "pattern": None, "matcher": None}
    info = {"exchange": CONTROL, "routing_key": ""}
    usual = {"clock": 1, "expires": time.time() + 60}
    return _wrapped(json.dumps(content).encode(), usual | (headers or {}), delivery_info=info, **wrapped)


def reply(content: Any, ticket: str, reply_to: dict[str, str]) -> str:
    """Return a worker's answer to a broadcast."""
    return _wrapped(json.dumps(content).encode(), {"ticket": ticket, "clock": 1}, delivery_info=reply_to)


def heartbeat(**fields: Any) -> str:
    """Return a worker's sign of life, valid but for what is given."""
    usual = {
        "hostname": "stranger@host", "utcoffset": 0.0, "pid": 1, "clock": 1, "freq": 2.0, "active": 0, "processed": 0,
        "loadavg": [0.1, 0.1, 0.1], "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
        "timestamp": time.time(), "type": "worker-heartbeat",
    }  # fmt: skip
    info = {"exchange": EVENTS, "routing_key": "worker.heartbeat"}
    return _wrapped(json.dumps(usual | fields).encode(), {"hostname": "stranger@host"}, delivery_info=info)


def task_event(fields: dict[str, Any]) -> str:
    """Return an event of a task."""
    info = {"exchange": EVENTS, "routing_key": f"task.{fields['type'].partition('-')[2]}"}
    return _wrapped(json.dumps(fields).encode(), {"hostname": fields["hostname"]}, delivery_info=info)


class Exploit:
    """Would leave a file behind if anybody unpickled it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (self.path,)


def pickled(path: str) -> str:
    """Return a message whose body makes a folder when it is unpickled."""
    content = pickle.dumps(([], {"job": Exploit(path)}, {}))
    return message(content, wrapped={"content_type": "application/x-python-serialize", "content_encoding": "binary"})


#: What is no message, and what is one in form only.
GARBAGE: dict[str, str | bytes] = {
    "bytes": b"\xff\xfe\x00garbage",
    "text": "not JSON",
    "a list": "[]",
    "a number": "3",
    "an empty object": "{}",
    "nested deeper than the parser goes": "[" * 200_000 + "]" * 200_000,
    "nested, and short": "[" * 5_000,
    "no properties": json.dumps({"body": "x", "headers": {}, "content-type": "application/json"}),
    "an unknown task": message(task="os.system"),
    "one of Celery's own tasks": message(task="celery.backend_cleanup"),
    "a task that is no text": message(task=[]),
    "no headers": message().replace('"headers": {', '"headers": null, "other": {'),
    "an id that is no text": message(task_id=7),
    "an id that is no job's key": message(task_id="forged"),
    "an id with a line break and an escape": message(task_id=JOB.key + "\n[CRITICAL] forged line\x1b]0;x\x07"),
    "a body that is no base64": message(b"!!!!", wrapped={"encoded": False}),
    "a body that is no JSON": message(b"{{{"),
    "a body that is no list": message(b"7"),
    "a body of the wrong parts": message(b'["a", "b", "c"]'),
    "arguments that are no mapping": message(b"[[], [], {}]"),
    "more arguments than a job": message(body(args=["a"])),
    "more named arguments than a job": message(body(more={"c": 1})),
    "a body nested deeper than the parser goes": message(b"[" * 200_000 + b"]" * 200_000),
    "a job nested deeper than the parser goes": message(body(job=None).replace(b"null", b"[" * 3000 + b"]" * 3000, 1)),
    "a body that is not compressed as it says": message(b"xx", compression="zlib"),
    "a body that says how it is compressed": message(compression="zlib"),
    "an unknown encoding of the body": message(wrapped={"body_encoding": "evil"}),
    "an encoding that is none": message(wrapped={"content_encoding": "evil"}),
    "another queue to be given back to": message(
        wrapped={"delivery_info": {"exchange": "", "routing_key": "seedsweep:finished:x"}}
    ),
    "a tag that is no text": message(wrapped={"delivery_tag": [7]}),
    "a time that is none": message(eta="nonsense"),
    "a time": message(eta="2020-01-01T00:00:00+00:00", retries=1),
    "an end": message(expires="2020-01-01T00:00:00+00:00"),
    "a time limit that is none": message(timelimit="x"),
    "a time limit": message(timelimit=[0.3, None]),
    "stamps that are none": message(stamped_headers=7),
    "stamps that are no list of names": message(stamped_headers=[7], stamps=8),
    "stamps": message(stamped_headers=["x"], stamps={"x": "y"}),
    "a group": message(group=JOB.key),
    "a result that is to be ignored": message(ignore_result=True),
    "a task that is replaced": message(replaced_task_nesting=3),
    "a header of our own": message(colour="red"),
    "a header that is too long": message(kwargsrepr="x" * 100_000),
    "a header with an escape": message(kwargsrepr="\x1b]0;x\x07"),
    "a body that is too long": message(body() + b" " * 100_000),
    "retries that are no number": message(retries="many"),
    "callbacks that are none": message(body(callbacks=7, chain=8, chord=9)),
    "callbacks": message(body(callbacks=[{"task": TRAIN, "args": [], "kwargs": {}, "options": {}}])),
    "errbacks": message(body(errbacks=[{"task": TRAIN, "args": [], "kwargs": {}, "options": {}}])),
    "a chain": message(body(chain=[{"task": TRAIN, "args": [], "kwargs": {}, "options": {}}])),
    "a chord": message(body(chord={"task": TRAIN, "args": [], "kwargs": {}, "options": {}})),
}

#: What is published and is no broadcast, or one that nobody of us sends: (channel, message).
NOISE: dict[str, tuple[str, str | bytes]] = {
    "a byte": (CONTROL_CHANNEL, "1"),
    "a list": (CONTROL_CHANNEL, "[]"),
    "bytes": (CONTROL_CHANNEL, b"\xff\xfe\x00"),
    "nested": (CONTROL_CHANNEL, "[" * 200_000),
    "nested, and short": (CONTROL_CHANNEL, "[" * 5_000),
    "an unknown encoding": (CONTROL_CHANNEL, command("ping", {}, body_encoding="evil")),
    "an unknown content": (CONTROL_CHANNEL, command("ping", {}, content_type="application/x-python-serialize")),
    "a clock that is none": (CONTROL_CHANNEL, command("ping", {}, headers={"clock": "x"})),
    "a method that is none": (CONTROL_CHANNEL, command(["ping"], {})),
    "arguments that are none": (CONTROL_CHANNEL, command("ping", [7])),
    "an event's byte": (HEARTBEAT_CHANNEL, "1"),
    "a nested event": (HEARTBEAT_CHANNEL, "[" * 200_000),
    "an event at no time": (HEARTBEAT_CHANNEL, heartbeat(timestamp="y")),
    "an event without a zone": (HEARTBEAT_CHANNEL, heartbeat(utcoffset="y")),
    "an event with a worker's own attribute": (HEARTBEAT_CHANNEL, heartbeat(id="y")),
    "an event with a method's name": (HEARTBEAT_CHANNEL, heartbeat(event=7)),
    "an election": (f"/0.{EVENTS}/worker.elect", heartbeat(type="worker-elect", topic="task", action={"task": TRAIN})),
}


def no_replies(ticket: str, reply_to: dict[str, str]) -> dict[str, str | bytes]:
    """Return answers to a broadcast that no worker gives.

    Args:
        ticket: The ticket of the broadcast.
        reply_to: Where its answers go.
    """
    empty = reply({"stranger@host": {}}, ticket, reply_to)
    # It unpacks to a thousand times its length.
    packed = json.loads(empty) | {"body": base64.b64encode(zlib.compress(bytes(10 << 20))).decode()}
    packed["headers"]["compression"] = "application/x-gzip"
    return {
        "a byte": "1",
        "a list": "[]",
        "nested": "[" * 200_000,
        "a list for a reply": reply([1], ticket, reply_to),
        "an unknown encoding": empty.replace("base64", "evil"),
        "a name with an escape": reply({"\x1b]0;x\x07@host": {}}, ticket, reply_to),
        "packed": json.dumps(packed),
    }
