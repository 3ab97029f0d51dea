"""Checksums of files that nobody published one for, as the first fetch on this machine saw them."""

from datetime import UTC, datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, RootModel

from da2k.datasets.disk import locked
from da2k.datasets.manifest import Dataset, File, parse_yaml
from da2k.files import home, write_text
from da2k.results import Count, Digest


class Pin(BaseModel):
    """What a file was when it was first fetched: its checksum and size, when (UTC) and from where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Digest
    bytes: Count
    date: str
    url: str


class _Pins(RootModel[dict[str, Pin]]):
    pass


def pins_file() -> Path:
    """Where the pins are kept."""
    return home() / "pins.yaml"


def read_pin(dataset: Dataset, file: File) -> Pin | None:
    """The pin of this file, if it has one. A pin of another address says nothing about this file.

    Raises:
        BadInput: the pins file is damaged; the message names the field.
    """
    pin = _read().get(_key(dataset, file))
    return pin if pin is not None and pin.url == file.url else None


def expected(file: File, pin: Pin | None) -> tuple[str | None, int | None]:
    """SHA-256 and size in bytes that the file must have, as far as manifest or pin know them."""
    if file.sha256 is None and pin is not None:
        return pin.sha256, pin.bytes
    return file.sha256, file.bytes


def write_pin(dataset: Dataset, file: File, sha256: str, size: int) -> None:
    """Record the checksum and the size (bytes) of this file as fetched now, in place of a former pin.

    Raises:
        BadInput: the pins file is damaged or cannot be written.
    """
    pin = Pin(sha256=sha256, bytes=size, date=datetime.now(UTC).isoformat(timespec="seconds"), url=file.url)
    with locked(pins_file(), wait=10):
        pins = {**_read(), _key(dataset, file): pin}
        text = yaml.safe_dump({key: value.model_dump() for key, value in sorted(pins.items())}, sort_keys=False)
        write_text(pins_file(), text)


def _read() -> dict[str, Pin]:
    return parse_yaml(pins_file(), _Pins).root if pins_file().exists() else {}


def _key(dataset: Dataset, file: File) -> str:
    return f"{dataset.id}/{file.name}"
