"""Several hosts on this machine: network namespaces, each with its own wire to the first one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import redis

from tests.support.redis_server import RedisServer, require


def ip(*arguments: str, check: bool = True) -> bool:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.returncode == 0


class Hosts:
    """A hub, and hosts that reach it and nothing else. Needs root; nothing of the machine's own network changes.

    Args:
        names: The hosts' names, a few letters each.
    """

    def __init__(self, *names: str) -> None:
        require(shutil.which("ip") and os.geteuid() == 0, "root with iproute2, for network namespaces")
        self.names = names
        self._tag = f"sw{os.getpid()}"
        require(ip("netns", "add", self._namespace("hub"), check=False), "the right to make network namespaces")
        self._in("hub", "link", "set", "lo", "up")
        for number, name in enumerate(names, start=1):
            ip("netns", "add", self._namespace(name))
            self._in(name, "link", "set", "lo", "up")
            ends = (f"to-{name}", "eth0")
            self._in(
                "hub", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", self._namespace(name)
            )
            for host, end, last in (("hub", ends[0], 1), (name, ends[1], 2)):
                self._in(host, "address", "add", f"192.168.{number}.{last}/24", "dev", end)
                self._in(host, "link", "set", end, "up")

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return what a command begins with that runs on a host."""
        return ("ip", "netns", "exec", self._namespace(name))

    def hub_address(self, name: str) -> str:
        """Return the address at which a host reaches the hub."""
        return f"192.168.{1 + self.names.index(name)}.1"

    def cut(self, name: str) -> None:
        """Pull a host's plug out of the hub: packets are lost, and nobody is told."""
        self._in("hub", "link", "set", f"to-{name}", "down")

    def heal(self, name: str) -> None:
        self._in("hub", "link", "set", f"to-{name}", "up")

    def close(self) -> None:
        for name in ("hub", *self.names):
            ip("netns", "delete", self._namespace(name), check=False)

    def _namespace(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def _in(self, name: str, *arguments: str) -> None:
        ip("-netns", self._namespace(name), *arguments)


class HubServer(RedisServer):
    """A server on the hub, for every host; the test reaches it through its unix socket."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        options = {"bind": "0.0.0.0", "protected-mode": "no"}  # noqa: S104 - of the hub, which nothing else reaches
        super().__init__(folder, options=options, prefix=hosts.prefix("hub"))
        self._hosts = hosts

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def url_from(self, name: str) -> str:
        """Return the server's address for a host."""
        return f"redis://{self._hosts.hub_address(name)}:{self.port}/0"
