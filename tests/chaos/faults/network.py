"""Faults of the network."""

from tests.chaos.arena.arena import Arena
from tests.chaos.faults.common import NothingToHarm, end
from tests.chaos.history import Event


def cut_connections(arena: Arena, choice: int, event: Event) -> None:
    if arena.redis_is_away:
        raise NothingToHarm
    kinds = (("normal",), ("pubsub",), ("normal", "pubsub"))[choice % 3]
    cut(arena, *kinds)
    end(arena, event)


def cut(arena: Arena, *kinds: str) -> None:
    """Let Redis close every connection of these kinds."""
    for kind in kinds:
        arena.patient_client.execute_command("CLIENT", "KILL", "TYPE", kind)


def stall_network(arena: Arena, choice: int, event: Event) -> None:
    if arena.network_is_silent:
        raise NothingToHarm
    arena.network_is_silent = True
    arena.proxy.stall()

    def resume() -> None:
        arena.proxy.resume()
        arena.network_is_silent = False
        end(arena, event)

    arena.later(1.0 + (choice % 50) / 10, resume)


def reset_network(arena: Arena, choice: int, event: Event) -> None:
    arena.proxy.reset()
    end(arena, event)
