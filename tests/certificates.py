"""A key and a certificate that a server of the tests signs for itself, as `localhost`."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(folder: Path) -> Path:
    """Writes `key.pem` and `cert.pem` into the folder, good for a month. Returns the certificate, by which clients believe the server."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", *names, *files]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    return folder / "cert.pem"
