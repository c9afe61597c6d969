"""Bounded reads: one read takes a known amount of memory, whatever the key holds.

Others can write to Redis, so a value may be of any size and type. The server measures a value before it sends it, in
the script that reads it, so that the value cannot grow in between. `worker.redis.limits` has the limit of each kind.

An oversized value, or a key of another type, reads as an empty value, which is invalid for every kind of record.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from redis import Redis, ResponseError

from nn.errors import SeedsweepError

T = TypeVar("T")

#: Most keys, or items of a list or hash, in one command: enough to make round trips negligible, and few enough not to
#: block other clients.
CHUNK = 256
#: The bytes of values after which an answer ends. The rest is left to the next command.
ANSWER_BYTES = 16 * 2**20

#: The bytes that most values do not exceed.
_SHORT = 2**16

#: What the scripts share. ARGV[1]: the limit of a value, in bytes. ARGV[2]: the limit of the answer. `run` returns
#: false for a key of another type.
_COMMON = """
local limit, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local function run(...)
    local reply = redis.pcall(...)
    if type(reply) == 'table' and reply.err then
        if string.find(reply.err, 'WRONGTYPE', 1, true) then return false end
        error(reply)
    end
    return reply
end
local function bounded(value)
    if type(value) == 'table' then
        for i, item in ipairs(value) do value[i] = bounded(item) end
    elseif type(value) == 'string' then
        if #value > limit then return '' end
        room = room - #value
    end
    return value
end
"""
#: KEYS: any keys. ARGV[3] and the rest: a command that reads one of them, without the key. Returns the answers for as
#: many keys as there is room for, but at least for one. False is an absent string, and '' a key of another type.
_EACH = f"""{_COMMON}
local found = {{}}
for i, key in ipairs(KEYS) do
    local reply = run(ARGV[3], key, unpack(ARGV, 4))
    found[i] = reply ~= '' and bounded(reply or '')
    if room < 0 and i > 1 then
        found[i] = nil
        break
    end
end
return found
"""
#: KEYS: hashes. ARGV[3]: the most fields, or 0 if the rest names the fields. Returns for each key its names and values
#: alternately, false for an absent field; for as many keys as there is room for, but at least for one. Without names,
#: the fields are random, so that each read of a large hash returns other fields.
_HASH = f"""{_COMMON}
local most, found = tonumber(ARGV[3]), {{}}
for i, key in ipairs(KEYS) do
    local names = most > 0 and (run('HRANDFIELD', key, most) or {{}}) or {{unpack(ARGV, 4)}}
    local fields = {{}}
    for _, name in ipairs(names) do
        if room < 0 then break end
        local value = ''
        if (run('HSTRLEN', key, name) or 0) <= limit then value = bounded(run('HGET', key, name)) end
        fields[#fields + 1] = bounded(name)
        fields[#fields + 1] = value
    end
    if room < 0 and i > 1 then break end
    found[i] = fields
end
return found
"""


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    remaining = list(items)
    for start in range(0, len(remaining), size):
        yield remaining[start : start + size]


def read(client: Redis, name: str, limit: int, usual: int = _SHORT) -> bytes | None:
    """Return the value of a string of at most `limit` bytes; None if it is absent, `b""` if it is invalid.

    A value of up to `usual` bytes is read without the script that measures it, and no more of a longer one.
    """
    some = min(limit, usual)
    try:
        value: Any = client.getrange(name, 0, some)
    except (ResponseError, SeedsweepError) as error:
        # The client may have made an error of ours of Redis's.
        if "WRONGTYPE" not in str(error):
            raise
        return b""
    return next(read_each(client, [name], limit)) if len(value) > some else value or None


def read_each(client: Redis, names: Iterable[str], limit: int) -> Iterator[bytes | None]:
    """Yield the values of strings, as `read` does. At most `ANSWER_BYTES` and one value are in memory at a time."""
    return _each(client, names, limit, "GETRANGE", 0, limit)


def read_lists(client: Redis, names: Iterable[str], limit: int, most: int) -> Iterator[list[bytes]]:
    """Yield the first `most` items of each list; an item of more than `limit` bytes reads as `b""`."""
    return map(list, _each(client, names, limit, "LRANGE", 0, most - 1))


def read_items(client: Redis, name: str, limit: int, start: int) -> list[bytes]:
    """Return at most `CHUNK` items of a list from the position `start` on, as `read_lists` does."""
    return list(next(_each(client, [name], limit, "LRANGE", start, start + CHUNK - 1)))


def read_lowest(client: Redis, name: str, limit: int, highest: float) -> list[bytes]:
    """Return at most `CHUNK` members of a sorted set, those of the lowest scores up to `highest`."""
    return list(next(_each(client, [name], limit, "ZRANGEBYSCORE", "-inf", highest, "LIMIT", 0, CHUNK)))


def read_members(client: Redis, name: str, limit: int, most: int) -> set[bytes]:
    """Return at most `most` members of a set; one of more than `limit` bytes reads as `b""`."""
    return set(next(_each(client, [name], limit, "SRANDMEMBER", most)))


def scan_values(client: Redis, name: str, limit: int, longest: int) -> Iterator[bytes]:
    """Yield the values of a hash of any size, page by page; a value of more than `limit` bytes as `b""`.

    A field whose name is empty or has more than `longest` bytes is skipped.
    """
    cursor: Any = 0
    while True:
        page: Any = next(_each(client, [name], limit, "HSCAN", cursor, "COUNT", CHUNK)) or (b"0", [])
        cursor, fields = page
        yield from (value for name, value in zip(fields[::2], fields[1::2], strict=True) if 0 < len(name) <= longest)
        if int(cursor) == 0:
            return


def read_fields(client: Redis, name: str, fields: Sequence[str | bytes], limit: int) -> list[bytes | None]:
    """Return the values of fields of a hash, as `read` does."""
    found = next(_each(client, [name], limit, 0, *fields, script=_HASH))
    return [value for _, value in _pairs(found)]


def read_hash(client: Redis, name: str, limit: int, most: int) -> dict[bytes, bytes]:
    """Return at most `most` fields of a hash; a value of more than `limit` bytes as `b""`."""
    return next(read_hashes(client, [name], limit, most))


def read_hashes(client: Redis, names: Iterable[str], limit: int, most: int) -> Iterator[dict[bytes, bytes]]:
    """Yield at most `most` fields of each hash, as `read_hash` does."""
    for fields in _each(client, names, limit, most, script=_HASH):
        yield {field: value for field, value in _pairs(fields) if value is not None}


def _each(client: Redis, names: Iterable[str], limit: int, *arguments: Any, script: str = _EACH) -> Iterator[Any]:
    for chunk in chunks(names):
        rest = chunk
        while rest:
            # The text is short; a call by its hash would need a second command after a restart of Redis.
            found: Any = client.eval_ro(script, len(rest), *rest, limit, ANSWER_BYTES, *arguments)
            rest = rest[len(found) :]
            found.reverse()
            while found:
                # Popped, so that a value can be freed before the next one is yielded.
                yield found.pop()


def _pairs(fields: Iterable[Any]) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the fields of a hash from an answer in which names and values alternate."""
    rest = iter(fields)
    return zip(rest, rest, strict=True)
