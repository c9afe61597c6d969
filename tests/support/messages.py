"""Messages as a stranger could put them into the queue: by hand, without Celery."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

from worker.messages import QUEUE, TRAIN


def message(
    body: bytes = b"[[], {}, {}]",
    *,
    task: Any = TRAIN,
    task_id: Any = "forged",
    content_type: str = "application/json",
    content_encoding: str = "utf-8",
    encoded: bool = True,
    **headers: Any,
) -> str:
    """Return a message in kombu's form for Redis."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode() if encoded else body.decode(),
            "headers": {"task": task, "id": task_id, "lang": "py"} | headers,
            "content-type": content_type,
            "content-encoding": content_encoding,
            "properties": {
                "delivery_mode": 2,
                "delivery_tag": f"tag-{task_id}",
                "delivery_info": {"exchange": "", "routing_key": QUEUE},
                "body_encoding": "base64",
                "priority": 0,
            },
        }
    )


class Exploit:
    """Would leave a file behind if anybody unpickled it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (self.path,)


def pickled(path: str) -> str:
    """Return a message whose body makes a folder when it is unpickled."""
    body = pickle.dumps(([], {"job": Exploit(path)}, {}))
    return message(body, content_type="application/x-python-serialize", content_encoding="binary")


#: What is no message, and what is one in form only.
GARBAGE: dict[str, str | bytes] = {
    "bytes": b"\xff\xfe\x00garbage",
    "text": "not JSON",
    "a list": "[]",
    "a number": "3",
    "an empty object": "{}",
    "nested deeper than the parser goes": "[" * 200_000 + "]" * 200_000,
    "no properties": json.dumps({"body": "x", "headers": {}, "content-type": "application/json"}),
    "an unknown task": message(task="os.system"),
    "a task that is no text": message(task=[]),
    "no headers": message().replace('"headers": {', '"headers": null, "other": {'),
    "an id that is no text": message(task_id=7),
    "a body that is no base64": message(b"!!!!", encoded=False),
    "a body that is no JSON": message(b"{{{"),
    "a body that is no list": message(b"7"),
    "a body of the wrong parts": message(b'["a", "b", "c"]'),
    "arguments that are no mapping": message(b"[[], [], {}]"),
    "a body nested deeper than the parser goes": message(b"[" * 200_000 + b"]" * 200_000),
    "a body that is not compressed as it says": message(b"xx", compression="zlib"),
    "a time that is none": message(eta="nonsense"),
    "a time limit that is none": message(timelimit="x"),
    "stamps that are none": message(stamped_headers=7),
    "stamps that are no list of names": message(stamped_headers=[7], stamps=8),
    "a body that is too long": message(b"[[], {}, {}]" + b" " * 100_000),
    "retries that are no number": message(retries="many"),
    "callbacks that are none": message(b'[[], {}, {"callbacks": 7, "chain": 8, "chord": 9}]'),
}
