"""What each role of the cluster may do in Redis, in one table; `users_acl` turns it into Redis's own file.

A rule allows its commands on its keys or channels, and on nothing else: `lpush` on the queue does not allow `lpush` on
the results. What no rule of a role allows, Redis refuses it: CONFIG, KEYS, FLUSHALL and every other user's data.

Two things cannot be told apart by rules, and are not pretended to be:

- Who trains jobs can store results: a worker's password is trusted with every job's outcome. A result that matters is
  checked by training it again (`orchestrator verify`).
- Celery asks workers how they are, and tells them to stop, on one channel: Flower's password in Redis can do both.
  Flower's users cannot, because it runs with `--read-only`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

#: The queue: one list for each of kombu's priorities.
QUEUE = "~seedsweep ~seedsweep\x06\x16?"
QUEUE_ROUTE = "~_kombu.binding.seedsweep ~_kombu.binding_permanent.seedsweep"
#: Messages that a worker holds and has not acknowledged, and when their leases end.
HELD = "~seedsweep:unacked ~seedsweep:unacked_index"
RESULTS = "~celery-task-meta-*"
#: A result is also told on a channel of its key's name.
RESULT_CHANNELS = "&celery-task-meta-*"
#: All that is known of a run beside its result, of which one command forgets all.
FORGOTTEN = " ".join(f"%W~seedsweep:{kind}:*" for kind in ("checkpoint", "attempts", "refusals", "cancelled"))

#: Remote control and events: who listens to which channel, and lists for which kombu asks and that stay empty.
CONTROL_ROUTES = "~_kombu.binding*.seedsweep.pidbox ~_kombu.binding*.seedsweep.ev"
ROUTE_DEADLINES = "~_kombu.binding_deadlines"
CONTROL_CHANNEL = "&/0.seedsweep.pidbox"
#: Redis wants the pattern of a subscription literally: workers listen to each other, Flower to all.
EVENT_CHANNELS = "&/0.seedsweep.ev/* &/0.seedsweep.ev/worker.*"
EMPTY_QUEUES = "~seedsweep.ev.* ~*.seedsweep.pidbox ~*.seedsweep.pidbox\x06\x16?"
REPLIES = "~*.reply.seedsweep.pidbox ~*.reply.seedsweep.pidbox\x06\x16?"

CONNECT = ("ping hello auth client|setinfo client|setname multi exec discard unwatch", "")
#: A script does no more than its caller may do without it. Those of kombu and redis-py are loaded when first used.
LOAD_SCRIPTS = ("script|load script|exists time", "")
#: Workers ask each other how they are when they start, Flower asks them all.
ASK = (
    LOAD_SCRIPTS,
    ("sadd srem smembers exists del", CONTROL_ROUTES),
    # Apart: a route that somebody turned into a sorted set would keep every worker from connecting.
    ("zadd zrem zrangebyscore", ROUTE_DEADLINES),
    ("evalsha", f"{CONTROL_ROUTES} {ROUTE_DEADLINES}"),
    ("publish psubscribe punsubscribe", CONTROL_CHANNEL),
    ("psubscribe punsubscribe", EVENT_CHANNELS),
    ("llen exists del pexpire", EMPTY_QUEUES),
    ("brpop", REPLIES),
)

#: Role -> (commands, keys or channels). `~` is to read and write a key, `%R~` and `%W~` one of the two; `&` a channel.
RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "worker": (
        CONNECT,
        *ASK,
        ("lpush", REPLIES),
        ("publish", EVENT_CHANNELS),
        ("sadd smembers", QUEUE_ROUTE),
        ("lpush rpush brpop llen exists", QUEUE),
        ("hset hget hdel zadd zrem zrange watch", HELD),
        # The lock under which one worker at a time looks for leases that ended; redis-py frees it with a script.
        ("set get del evalsha", "~seedsweep:unacked_mutex"),
        ("get mget set evalsha", RESULTS),
        ("publish", RESULT_CHANNELS),
        ("set", "%W~seedsweep:weights:*"),
        # A verification task compares its weights with those of the first attempt, and never becomes the first.
        ("set get", "~seedsweep:finished:*"),
        ("rpush expire", "%W~seedsweep:mismatch:*"),
        ("set get unlink", "~seedsweep:checkpoint:*"),
        ("hset hgetall expire", "~seedsweep:attempts:*"),
        ("set unlink", "~seedsweep:refusals:*"),
        ("get", "%R~seedsweep:cancelled:*"),
        ("hset hget hgetall hdel expire", "~seedsweep:workers"),
    ),
    "orchestrator": (
        CONNECT,
        LOAD_SCRIPTS,
        ("sadd smembers", QUEUE_ROUTE),
        ("lpush lrange lrem llen", QUEUE),
        ("hscan", "%R~seedsweep:unacked"),
        # It stores that a job was cancelled, by the script that leaves a result alone which is there already.
        ("get mget set del evalsha", RESULTS),
        ("publish subscribe unsubscribe", RESULT_CHANNELS),
        ("get", "%R~seedsweep:weights:*"),
        ("lrange", "%R~seedsweep:mismatch:*"),
        ("hgetall", "%R~seedsweep:attempts:*"),
        ("set get", "~seedsweep:cancelled:*"),
        ("unlink", FORGOTTEN),
        ("hgetall hdel", "~seedsweep:workers"),
        ("hset hsetnx hget hmget hexists hdel expire", "~seedsweep:sweep:*"),
        ("sadd smembers srem expire", "~seedsweep:sweeps"),
        # How full the server is, when it is full.
        ("info", ""),
    ),
    "flower": (
        CONNECT,
        *ASK,
        ("llen", QUEUE.replace("~", "%R~")),
        ("get mget", RESULTS.replace("~", "%R~")),
    ),
    # Whether the server answers and has loaded its data; nothing else.
    "health": (("ping auth hello", ""),),
}


def users_acl(passwords: Mapping[str, str]) -> str:
    """Return the lines of Redis's ACL file: one for each role, and one that shuts everybody else out.

    Args:
        passwords: Each role's password. The file holds only their SHA-256.
    """
    # Nobody can log in as a user that is off. It keeps its rights all the same: Redis replays the transactions of its
    # append-only file in this user's name, and silently leaves out what it may not do (redis/redis#14541).
    lines = ["user default off resetpass ~* &* +@all"]
    for role, rules in RULES.items():
        digest = hashlib.sha256(passwords[role].encode()).hexdigest()
        lines.append(f"user {role} on #{digest} resetkeys resetchannels -@all {' '.join(map(_selector, rules))}")
    return "\n".join(lines) + "\n"


def _selector(rule: tuple[str, str]) -> str:
    """Return a rule as Redis writes it: rights that hold together, and do not add to those of other rules."""
    commands, where = rule
    return f"({' '.join(['-@all', *(f'+{command}' for command in commands.split()), *where.split()])})"
