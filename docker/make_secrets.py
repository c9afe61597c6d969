"""Makes the cluster's passwords and Redis's ACL file once, each into the volume of its reader; shows them on demand.

ensure: make what is missing; passwords of one's own (SEEDSWEEP_*_PASSWORD) take the place of those that were made.
rotate: make all passwords anew that are not one's own.
show:   print the addresses and passwords that a person needs.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from ipaddress import ip_address
from pathlib import Path

from acl import RULES, users_acl

SECRETS = Path(os.environ.get("SEEDSWEEP_SECRETS", "/secrets"))
PASSWORD = re.compile(r"[A-Za-z0-9_-]{16,}")
#: Roles whose passwords a person may set.
PEOPLE = ("worker", "orchestrator", "flower")
#: Where docker-compose.tls.yml puts the certificates in every container.
TLS = Path("/tls")


def main(command: str = "ensure") -> None:
    """Run one of the commands, or end with one sentence."""
    commands = {"ensure": lambda: ensure(rotate=False), "rotate": lambda: ensure(rotate=True), "show": show}
    if command not in commands:
        sys.exit(f"secrets: command is {command!r}; allowed: {', '.join(commands)}")
    commands[command]()


def ensure(*, rotate: bool) -> None:
    """Write every secret, keeping those that are there unless they are to change."""
    own = {role: own_password(role) for role in PEOPLE}
    refuse_unsafe_bind(own)
    passwords = {}
    for role in RULES:
        made = "" if rotate else kept(password_file(role))
        passwords[role] = own.get(role) or made or secrets.token_urlsafe(32)
    for role in PEOPLE:
        write(password_file(role), passwords[role])
        write(f"{role}/url", url(role, passwords[role], "redis", "6379", str(TLS)))
    write("flower/basic-auth", f"seedsweep:{passwords['flower']}")
    write("flower/cookie-secret", ("" if rotate else kept("flower/cookie-secret")) or secrets.token_urlsafe(48))
    # The rest is Redis's, which runs as another user in its own image: readable for all who mount the volume, and only
    # Redis does. The ACL file holds hashes of long passwords; the health check's password lets nobody do anything.
    write(password_file("health"), passwords["health"], mode=0o644)
    write("redis/users.acl", users_acl(passwords), mode=0o644)
    write("redis/redis.conf", redis_conf(), mode=0o644)


def password_file(role: str) -> str:
    """Return where a role's password is kept: in the volume of who uses it."""
    return "redis/health-password" if role == "health" else f"{role}/password"


def own_password(role: str) -> str:
    """Return the password that the user chose for a role, or an empty text."""
    name = f"SEEDSWEEP_{role.upper()}_PASSWORD"
    password = os.environ.get(name, "")
    if password and not PASSWORD.fullmatch(password):
        sys.exit(f"secrets: {name} cannot be used; allowed: at least 16 letters, digits, - and _")
    return password


def refuse_unsafe_bind(own: dict[str, str]) -> None:
    """End if Redis would be open to a network with passwords that its owner never chose."""
    bind = os.environ.get("SEEDSWEEP_BIND", "127.0.0.1")
    try:
        loopback = ip_address(bind).is_loopback
    except ValueError:
        sys.exit(f"secrets: SEEDSWEEP_BIND is {bind!r}; allowed: an IP address of this host")
    missing = [f"SEEDSWEEP_{role.upper()}_PASSWORD" for role, password in own.items() if not password]
    if missing and not loopback:
        sys.exit(
            f"secrets: SEEDSWEEP_BIND is {bind!r}, not a loopback address; allowed only with {', '.join(missing)} set"
        )


def redis_conf() -> str:
    """Return the part of Redis's configuration that is not in docker-compose.yml."""
    lines = [f"aclfile {SECRETS}/redis/users.acl"]
    if with_tls():
        # Nothing is answered in plain text. Clients prove who they are by their passwords, not by certificates.
        lines += ["port 0", "tls-port 6379", "tls-auth-clients no"]
        lines += [f"tls-cert-file {TLS}/redis.crt", f"tls-key-file {TLS}/redis.key", f"tls-ca-cert-file {TLS}/ca.crt"]
    return "\n".join(lines) + "\n"


def with_tls() -> bool:
    """Return whether docker-compose.tls.yml is in use."""
    return bool(os.environ.get("SEEDSWEEP_TLS_DIR"))


def url(role: str, password: str, host: str, port: str, certificates: str) -> str:
    """Return the address at which a role finds Redis."""
    if with_tls():
        return f"rediss://{role}:{password}@{host}:{port}/0?ssl_ca_certs={certificates}/ca.crt"
    return f"redis://{role}:{password}@{host}:{port}/0"


def show() -> None:
    """Print what a person needs to use the cluster from this host or another."""
    bind = os.environ.get("SEEDSWEEP_BIND", "127.0.0.1")
    host = f"[{bind}]" if ":" in bind else bind
    redis_port = os.environ.get("SEEDSWEEP_REDIS_PORT", "6379")
    flower_port = os.environ.get("SEEDSWEEP_FLOWER_PORT", "5555")
    for role in ("orchestrator", "worker"):
        address = url(role, kept(password_file(role)), host, redis_port, os.environ.get("SEEDSWEEP_TLS_DIR", ""))
        print(f"{role + ' broker':20} {address}")
    print(f"{'Flower':20} http://127.0.0.1:{flower_port} user seedsweep, password {kept('flower/password')}")


def kept(name: str) -> str:
    """Return a secret that was written before, or an empty text."""
    path = SECRETS / name
    return path.read_text().strip() if path.exists() else ""


def write(name: str, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step, never readable for more than its mode says."""
    path = SECRETS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=mode)
    temporary.chmod(mode)
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:2])
