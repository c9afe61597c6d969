"""Certificates made by the very commands of docs/operating.md, and a Redis server that speaks TLS alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import redis

from tests.support.paths import ROOT
from tests.support.secured_server import SecuredServer


def make_certificates(folder: Path) -> Path:
    """Run the commands of docs/operating.md in a folder."""
    text = (ROOT / "docs" / "operating.md").read_text()
    commands = text.split("<!-- certificates -->\n```sh\n")[1].split("```")[0]
    folder.mkdir(parents=True)
    subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env=os.environ | {"HOST": "192.0.2.1"},
        capture_output=True,
        check=True,
    )
    return folder


class TlsServer(SecuredServer):
    """A server without a plain port.

    Args:
        folder: Where its data and its secrets go.
        certificates: Where `ca.crt`, `redis.crt` and `redis.key` are.
    """

    def __init__(self, folder: Path, certificates: Path) -> None:
        super().__init__(folder)
        self.certificates = certificates
        self._options |= {
            # Two addresses, of which the certificate names one.
            "bind": "127.0.0.1 127.0.0.2",
            "port": "0",
            "tls-port": str(self.port),
            "tls-auth-clients": "no",
            "tls-cert-file": str(certificates / "redis.crt"),
            "tls-key-file": str(certificates / "redis.key"),
            "tls-ca-cert-file": str(certificates / "ca.crt"),
        }

    def client(self) -> redis.Redis:
        return redis.Redis(
            port=self.port, username="test", password="", ssl=True, ssl_ca_certs=str(self.certificates / "ca.crt")
        )

    def url_for(self, role: str, authority: Path | None = None, host: str = "127.0.0.1") -> str:
        """Return the address of a role, who trusts the server's own authority or another one."""
        file = (authority or self.certificates) / "ca.crt"
        return f"rediss://{role}:{self.password(role)}@{host}:{self.port}/0?ssl_ca_certs={file}"
