"""A gateway whose worker stands still: the same door and the same store, but nobody competes with acceptance. A program for `smtp.py`."""

from __future__ import annotations

import json

from gateway import bootstrap, config, serve


class _Still:
    """Stands where the worker stands, and does nothing."""

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def wake(self) -> None:
        """Nobody sleeps."""

    def alive(self) -> bool:
        """As far as anybody asks."""
        return True


def main() -> None:
    """Serves until SIGTERM; prints its addresses as one line of JSON when the doors are open."""
    settings = config.load()
    with serve.locked(settings):
        app = bootstrap.build(settings)
        app.worker = _Still()  # type: ignore[assignment]

        def ready(addresses: serve.Addresses) -> None:
            host, port = addresses.web
            print(json.dumps({"smtp": addresses.smtp, "web": f"http://{host}:{port}"}), flush=True)

        serve.serve(app, ready)


if __name__ == "__main__":
    main()
