"""A Redis server closed as docker-compose.yml closes it: by the files that docker/make_secrets.py writes."""

import subprocess
import sys
from pathlib import Path

import redis

from tests.support.command_line import outside
from tests.support.paths import ROOT
from tests.support.redis_server import RedisServer

MAKE_SECRETS = ROOT / "docker" / "make_secrets.py"


def make_secrets(
    folder: Path, command: str = "ensure", status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program of the service `secrets` on a folder, and check its exit status."""
    done = subprocess.run(
        [sys.executable, "-B", str(MAKE_SECRETS), command],
        env=outside("SEEDSWEEP_") | {"SEEDSWEEP_SECRETS": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


class SecuredServer(RedisServer):
    """A server that lets in the cluster's roles, and one more user for the test itself.

    Args:
        folder: Where its data, its secrets and its socket go.
        persistent: Whether it keeps its data over a restart.
    """

    def __init__(self, folder: Path, *, persistent: bool = False) -> None:
        self.secrets = folder / "secrets"
        make_secrets(self.secrets)
        users = self.secrets / "redis" / "users.acl"
        users.write_text(users.read_text() + "user test on nopass ~* &* +@all\n")
        super().__init__(folder, persistent=persistent, options={"aclfile": str(users)})

    def client(self) -> redis.Redis:
        """Return a connection that may do everything."""
        return redis.Redis(port=self.port, username="test", password="")

    def password(self, role: str) -> str:
        files = {"health": "redis/health-password", "flower": "flower/redis-password"}
        return (self.secrets / files.get(role, f"{role}/password")).read_text()

    def url_for(self, role: str) -> str:
        return f"redis://{role}:{self.password(role)}@127.0.0.1:{self.port}/0"

    def client_for(self, role: str) -> redis.Redis:
        return redis.Redis(port=self.port, username=role, password=self.password(role))

    def denials(self) -> list[str]:
        """Return what the server refused since this was last asked."""
        with self.client() as client:
            log = client.acl_log()
            client.acl_log_reset()
        return [f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})" for entry in log]
