"""Generates the cluster's passwords and Redis's configuration, each file in the volume of the service that reads it.

ensure: generate missing passwords; a password set by SEEDSWEEP_*_PASSWORD replaces a generated one.
rotate: replace every generated password.
show:   print the addresses and passwords that a user needs.
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
#: Each secret, with its file in the volume of its reader, and the variable with which a user may set it.
KEPT = {
    "worker": ("worker/password", "SEEDSWEEP_WORKER_PASSWORD"),
    "orchestrator": ("orchestrator/password", "SEEDSWEEP_ORCHESTRATOR_PASSWORD"),
    "flower": ("flower/redis-password", None),
    "health": ("redis/health-password", None),
    "pages": ("flower/password", "SEEDSWEEP_FLOWER_PASSWORD"),
    "cookies": ("flower/cookie-secret", None),
    "report": ("report/token", "SEEDSWEEP_REPORT_TOKEN"),
}
#: Those without which Redis stays on loopback; the live report is on loopback always.
FOR_A_NETWORK = ("worker", "orchestrator", "pages")
#: The roles that connect to Redis by a URL with a password.
CLIENTS = ("worker", "orchestrator", "flower")
PASSWORD = re.compile(r"[A-Za-z0-9_-]{16,}")
#: Where docker-compose.tls.yml mounts the certificates in every container.
TLS = Path("/tls")


def main(command: str = "ensure") -> None:
    """Run a command; exit with one sentence if the input is invalid."""
    commands = {"ensure": lambda: ensure(rotate=False), "rotate": lambda: ensure(rotate=True), "show": show}
    if command not in commands:
        sys.exit(f"secrets: command is {command!r}; allowed: {', '.join(commands)}")
    commands[command]()


def ensure(*, rotate: bool) -> None:
    """Write every file.

    Args:
        rotate: Whether to replace generated secrets that exist.
    """
    own = own_passwords()
    refuse_unsafe_bind(own)
    chosen = {what: own.get(what) or ("" if rotate else kept(what)) or secrets.token_urlsafe(32) for what in KEPT}
    for what, (file, _) in KEPT.items():
        write(file, chosen[what])
    for role in CLIENTS:
        write(f"{role}/url", url(role, chosen[role], "redis", "6379", str(TLS)))
    write("flower/basic-auth", f"seedsweep:{chosen['pages']}")
    write("redis/users.acl", users_acl({role: chosen[role] for role in RULES}))
    write("redis/redis.conf", redis_conf())


def own_passwords() -> dict[str, str]:
    """Return the passwords that are set by environment variables."""
    own = {}
    for what, (_, variable) in KEPT.items():
        password = os.environ.get(variable, "") if variable else ""
        if password and not PASSWORD.fullmatch(password):
            sys.exit(f"secrets: {variable} is invalid; allowed: at least 16 letters, digits, - and _")
        if password:
            own[what] = password
    return own


def refuse_unsafe_bind(own: dict[str, str]) -> None:
    """Exit if Redis would be reachable from a network with generated passwords."""
    bind = os.environ.get("SEEDSWEEP_BIND", "127.0.0.1")
    try:
        loopback = ip_address(bind).is_loopback
    except ValueError:
        sys.exit(f"secrets: SEEDSWEEP_BIND is {bind!r}; allowed: an IP address of this host")
    missing = [variable for what in FOR_A_NETWORK if (variable := KEPT[what][1]) and what not in own]
    if missing and not loopback:
        sys.exit(
            f"secrets: SEEDSWEEP_BIND is {bind!r}, not a loopback address; allowed only with {', '.join(missing)} set"
        )


def redis_conf() -> str:
    """Return the settings of Redis that depend on the environment; docker-compose.yml has the others."""
    lines = [f"aclfile {SECRETS}/redis/users.acl"]
    if with_tls():
        # Plain TCP is disabled. Clients authenticate with passwords, not with certificates.
        lines += ["port 0", "tls-port 6379", "tls-auth-clients no"]
        lines += [f"tls-cert-file {TLS}/redis.crt", f"tls-key-file {TLS}/redis.key", f"tls-ca-cert-file {TLS}/ca.crt"]
    return "\n".join(lines) + "\n"


def with_tls() -> bool:
    """Return whether docker-compose.tls.yml is in use."""
    return bool(os.environ.get("SEEDSWEEP_TLS_DIR"))


def url(role: str, password: str, host: str, port: str, certificates: str) -> str:
    """Return the URL with which a role connects to Redis.

    Args:
        role: The role.
        password: Its password.
        host: The host of Redis.
        port: The port of Redis.
        certificates: The folder of `ca.crt`, for TLS.
    """
    if with_tls():
        return f"rediss://{role}:{password}@{host}:{port}/0?ssl_ca_certs={certificates}/ca.crt"
    return f"redis://{role}:{password}@{host}:{port}/0"


def show() -> None:
    """Print the addresses and passwords with which a user reaches the cluster."""
    bind = os.environ.get("SEEDSWEEP_BIND", "127.0.0.1")
    host = f"[{bind}]" if ":" in bind else bind
    redis_port = os.environ.get("SEEDSWEEP_REDIS_PORT", "6379")
    flower_port = os.environ.get("SEEDSWEEP_FLOWER_PORT", "5555")
    for role in ("orchestrator", "worker"):
        address = url(role, kept(role), host, redis_port, os.environ.get("SEEDSWEEP_TLS_DIR", ""))
        print(f"{role + ' broker':20} {address}")
    report_port = os.environ.get("SEEDSWEEP_REPORT_PORT", "5556")
    print(f"{'report':20} http://127.0.0.1:{report_port}/?token={kept('report')}")
    print(f"{'Flower':20} http://127.0.0.1:{flower_port} user seedsweep, password {kept('pages')}")


def kept(what: str) -> str:
    """Return a stored secret, or an empty text."""
    path = SECRETS / KEPT[what][0]
    return path.read_text().strip() if path.exists() else ""


def write(name: str, text: str) -> None:
    """Replace a file atomically; at no time has it wider permissions than it needs."""
    # Redis runs as a user of its own image, so its files are readable for all users; only the Redis service mounts the
    # volume. The ACL file contains hashes of long passwords, and the health check's password allows only PING.
    mode = 0o644 if name.startswith("redis/") else 0o600
    path = SECRETS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=mode)
    temporary.chmod(mode)
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:2])
