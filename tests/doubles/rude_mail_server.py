"""A mail server that answers what a test says: refusals, rubbish, silence, a connection that ends.

    with rude_mail_server({"RCPT": "450 later"}) as server:
        server.address, server.bodies

A step is the word of the command, 'GREETING', or '.' for the line with the single dot. Its answer is a line, SILENCE or
HANGS_UP; steps that are not named are answered as they should be.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SILENCE, HANGS_UP = "silence", "hangs up"
_POLITE = {
    "GREETING": "220 here",
    "EHLO": "250 here",
    "HELO": "250 here",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go on",
    ".": "250 taken",
    "RSET": "250 OK",
}


@dataclass(slots=True)
class RudeMailServer:
    """`bodies`: what came up to a single dot, whatever it was answered. `connections`: how many there were."""

    answers: Mapping[str, str]
    address: str = ""
    connections: int = 0
    bodies: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines, suppress(OSError):
            if not self._answer(client, "GREETING"):
                return
            for line in lines:
                command = line.split()[0].decode("latin-1").upper() if line.split() else ""
                if not self._answer(client, command):
                    return
                if command == "DATA" and self._of("DATA").startswith("354"):
                    body = []
                    for part in lines:
                        if part == b".\r\n":
                            break
                        body.append(part)
                    else:
                        return
                    self.bodies.append(b"".join(body))
                    if not self._answer(client, "."):
                        return

    def _of(self, step: str) -> str:
        return self.answers.get(step, _POLITE.get(step, "500 unknown"))

    def _answer(self, client: socket.socket, step: str) -> bool:
        """Whether it goes on."""
        answer = self._of(step)
        if answer == SILENCE:
            self.ended.wait(60)
        if answer in (SILENCE, HANGS_UP):
            return False
        client.sendall(answer.encode("latin-1") + b"\r\n")
        return True


@contextmanager
def rude_mail_server(answers: Mapping[str, str]) -> Iterator[RudeMailServer]:
    """The server, until the block ends."""
    server = RudeMailServer(answers)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server.connections += 1
                threading.Thread(target=server.talk, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.address = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server
        finally:
            server.ended.set()
            # Closing alone does not wake who waits in accept().
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
