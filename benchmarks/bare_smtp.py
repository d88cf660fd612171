"""A bare aiosmtpd that discards every mail: the ceiling of SMTP in one process of this library. A program for `smtp.py`."""

from __future__ import annotations

import asyncio
import json
import logging
import signal

import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

# As in the gateway: the library's own log is off.
logging.getLogger("mail.log").addHandler(logging.NullHandler())
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)


class Discard:
    """Says 250 and forgets."""

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        """The library's hook, by its name."""
        return "250 2.0.0 OK discarded"


async def main() -> None:
    """Serves until SIGTERM; prints its address as one line of JSON."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    handler = Discard()
    server = await loop.create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="bare", ident="ESMTP", loop=loop), "127.0.0.1", 0, backlog=200
    )
    print(json.dumps({"smtp": server.sockets[0].getsockname()[:2]}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
