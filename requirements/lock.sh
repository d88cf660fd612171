#!/bin/sh
# Writes the locked lists anew (needs uv). No index line and no download address may stand in them.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@"; }
compile --extra build pyproject.toml -o requirements/run.txt
compile --extra build --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
