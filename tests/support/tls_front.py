"""TLS in front of a server that speaks none, for a server program that was built without it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path


class TlsFront:
    """Listens at `port` of several addresses, decrypts, and passes bytes both ways to a unix socket.

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
