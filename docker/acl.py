"""The permissions of each role in Redis, as one table; `users_acl` writes them in the format of Redis's ACL file.

A rule allows its commands only on its own keys or channels: `lpush` on the queue does not allow `lpush` on the results.
Redis refuses everything that no rule of a role allows: CONFIG, KEYS, FLUSHALL, and the data of other applications.

The rules have two limits:

- A worker can store a result for any job, so the worker's password is trusted with every outcome. To check a result,
  train it again (`orchestrator verify`).
- Celery sends harmless and destructive commands on one channel, so Flower's Redis password can both inspect and stop
  workers. Flower's users cannot, because Flower runs with `--read-only`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: The queue: one list per priority of kombu.
QUEUE = "~seedsweep ~seedsweep\x06\x16?"
QUEUE_ROUTE = "~_kombu.binding.seedsweep ~_kombu.binding_permanent.seedsweep"
#: Messages that workers hold and have not acknowledged, and the times of their leases.
HELD = "~seedsweep:unacked"
LEASES = "~seedsweep:unacked_index"
RECEIPTS = "~seedsweep:withdrawn:*"
RESULTS = "~celery-task-meta-*"
#: A result is also published on a channel with the name of its key.
RESULT_CHANNELS = "&celery-task-meta-*"
#: The records of a task other than its result; the orchestrator removes them together.
FORGOTTEN = " ".join(f"%W~seedsweep:{kind}:*" for kind in ("checkpoint", "attempts", "refusals", "cancelled", "log"))

#: Remote control and events: the bindings of channels, and lists that kombu reads although they stay empty.
CONTROL_ROUTES = "~_kombu.binding*.seedsweep.pidbox ~_kombu.binding*.seedsweep.ev"
ROUTE_DEADLINES = "~_kombu.binding_deadlines"
CONTROL_CHANNEL = "&/0.seedsweep.pidbox"
#: Redis compares the pattern of a subscription literally: workers subscribe to worker events, Flower to all events.
EVENT_CHANNELS = "&/0.seedsweep.ev/* &/0.seedsweep.ev/worker.*"
EMPTY_QUEUES = "~seedsweep.ev.* ~*.seedsweep.pidbox ~*.seedsweep.pidbox\x06\x16?"
#: By the length of a process's name, so that no list can take the place of `_kombu.binding.reply.seedsweep.pidbox`.
_UUID = "-".join("?" * length for length in (8, 4, 4, 4, 12))
REPLIES = f"~{_UUID}.reply.seedsweep.pidbox ~{_UUID}.reply.seedsweep.pidbox\x06\x16?"

CONNECT = ("ping hello auth client|setinfo client|setname multi exec discard unwatch", "")
#: A script has only the rights of its caller. Kombu and redis-py load theirs at first use.
LOAD_SCRIPTS = ("script|load script|exists time", "")
#: Bounded reads (`worker/redis/bounded.py`): a script that may not write, and the commands that it runs, by the type of
#: the key.
READ_STRING = "eval_ro getrange"
READ_LIST = "eval_ro lrange"
READ_HASH = "eval_ro hrandfield hstrlen hget"
SCAN_HASH = "eval_ro hscan"
READ_SET = "eval_ro srandmember"
#: Remote control: workers query each other when they start, and Flower queries every worker.
ASK = (
    LOAD_SCRIPTS,
    ("sadd srem sismember exists del", CONTROL_ROUTES),
    # A separate rule: a binding that was overwritten with a sorted set would keep every worker from connecting.
    ("zadd zrem zrangebyscore zremrangebyscore", ROUTE_DEADLINES),
    ("evalsha", f"{CONTROL_ROUTES} {ROUTE_DEADLINES}"),
    ("publish psubscribe punsubscribe", CONTROL_CHANNEL),
    ("psubscribe punsubscribe", EVENT_CHANNELS),
    ("llen exists del pexpire", EMPTY_QUEUES),
    ("brpop", REPLIES),
)

#: Role -> (commands, keys or channels). `~` allows reading and writing a key, `%R~` only reading, `%W~` only writing;
#: `&` names a channel.
RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "worker": (
        CONNECT,
        *ASK,
        ("lpush", REPLIES),
        ("publish", EVENT_CHANNELS),
        ("sadd smembers", QUEUE_ROUTE),
        ("lpush rpush brpop llen exists", QUEUE),
        # Separate rules: with a key of another type in the place of one of these, no worker could take a job.
        ("hset hget hdel watch", HELD),
        ("zadd zrem zrange watch", LEASES),
        (READ_HASH, "%R~seedsweep:unacked"),
        # The lock of the search for expired leases; redis-py releases it with a script.
        ("set get del expire evalsha", "~seedsweep:unacked_mutex"),
        (f"{READ_STRING} set evalsha", RESULTS),
        ("publish", RESULT_CHANNELS),
        ("set", "%W~seedsweep:weights:*"),
        # The hash of the first finished attempt, with which later attempts are compared.
        (f"{READ_STRING} set", "~seedsweep:finished:*"),
        ("rpush expire", "%W~seedsweep:mismatch:*"),
        (f"{READ_STRING} set unlink expire", "~seedsweep:checkpoint:*"),
        (f"{READ_HASH} hset hdel expire", "~seedsweep:attempts:*"),
        (f"{READ_STRING} set unlink expire", "~seedsweep:refusals:*"),
        ("set", "%W~seedsweep:log:*"),
        (READ_STRING, "%R~seedsweep:cancelled:*"),
        ("expire", "%W~seedsweep:cancelled:*"),
        # One look for any record of a task.
        ("exists", " ".join(f"%R~seedsweep:{kind}:*" for kind in ("checkpoint", "attempts", "refusals", "cancelled"))),
        (f"{READ_HASH} hset hdel expire", "~seedsweep:workers"),
    ),
    "orchestrator": (
        CONNECT,
        LOAD_SCRIPTS,
        ("sadd smembers", QUEUE_ROUTE),
        (f"{READ_LIST} lpush lrem llen", QUEUE),
        # Messages are withdrawn by a script, which keeps receipts in case its answer is lost.
        ("sadd sismember expire unlink", RECEIPTS),
        ("eval", f"{QUEUE} {RECEIPTS}"),
        (SCAN_HASH, "%R~seedsweep:unacked"),
        # Cancelling stores a state, by the script that never overwrites a success.
        (f"{READ_STRING} set del evalsha", RESULTS),
        ("publish subscribe unsubscribe", RESULT_CHANNELS),
        # Weights leave once a sweep folder has them; some stay for later sweeps, up to `artifact_bytes`.
        (READ_STRING, "%R~seedsweep:weights:*"),
        ("unlink", "%W~seedsweep:weights:*"),
        ("eval_ro zrangebyscore zadd zremrangebyrank expire unlink", "~seedsweep:released"),
        ("incrby expire unlink", "~seedsweep:released:bytes"),
        # Absent if Redis has lost what came before a result.
        (READ_STRING, "%R~seedsweep:finished:*"),
        (READ_LIST, "%R~seedsweep:mismatch:*"),
        (READ_HASH, "%R~seedsweep:attempts:*"),
        (READ_STRING, "%R~seedsweep:log:*"),
        ("set", "%W~seedsweep:cancelled:*"),
        # A job of more epochs goes on from the weights of a shorter one.
        ("set", "%W~seedsweep:checkpoint:*"),
        ("unlink", FORGOTTEN),
        (f"{READ_HASH} hdel", "~seedsweep:workers"),
        # A script replaces the manifest of a sweep that was extended.
        (f"{READ_HASH} hset hsetnx hexists hdel expire eval", "~seedsweep:sweep:*"),
        (f"{READ_SET} sadd srem expire", "~seedsweep:sweeps"),
        # The error message about a full server shows its memory.
        ("info", ""),
    ),
    "flower": (
        CONNECT,
        *ASK,
        ("llen", QUEUE.replace("~", "%R~")),
        (READ_STRING, RESULTS.replace("~", "%R~")),
    ),
    # The health check only sends PING.
    "health": (("ping auth hello", ""),),
}


def users_acl(passwords: Mapping[str, str]) -> str:
    """Return the content of Redis's ACL file: one user per role, and a disabled default user.

    Args:
        passwords: The password of each role. The file contains only their SHA-256.
    """
    # The default user is off: no client can log in as it. It keeps its rights because Redis replays the transactions of
    # its append-only file as this user, and silently skips commands that the user may not run (redis/redis#14541).
    lines = ["user default off resetpass ~* &* +@all"]
    for role, rules in RULES.items():
        digest = hashlib.sha256(passwords[role].encode()).hexdigest()
        lines.append(f"user {role} on #{digest} resetkeys resetchannels -@all {' '.join(map(_selector, rules))}")
    return "\n".join(lines) + "\n"


def _selector(rule: tuple[str, str]) -> str:
    """Return a rule as a selector of Redis, whose commands apply only to the keys and channels of the same rule."""
    commands, where = rule
    return f"({' '.join(['-@all', *(f'+{command}' for command in commands.split()), *where.split()])})"
