"""Writes the schemas of events and the AsyncAPI document into gateway/schemas/: `make docs`."""

from pathlib import Path

from gateway import event_schemas

FOLDER = Path(__file__).parents[1] / "gateway" / "schemas"

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in event_schemas.files().items():
        (FOLDER / name).write_text(text, "utf-8")
