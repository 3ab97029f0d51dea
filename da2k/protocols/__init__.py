"""Protocols: frozen records of every choice that a number depends on. The record's digest goes into each result."""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from da2k.errors import BadInput, did_you_mean


class OrderingProtocol(BaseModel):
    """How an ordering benchmark is scored. `source` says where the choices come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    task: Literal["ordering"]
    version: int
    reading: Literal["bilinear, aligned corners, at the points"]
    comparison: Literal["strict"]
    ties: Literal["not correct"]
    invalid: Literal["not correct"]
    missing: Literal["not correct"]
    overall: Literal["micro over pairs"]
    interval: Literal["wilson"]
    level: float
    source: str

    @property
    def digest(self) -> str:
        """SHA-256 of the record."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@cache
def load_protocol(name: str) -> OrderingProtocol:
    """The protocol of this name.

    Raises:
        BadInput: there is none; the message lists them.
    """
    folder = resources.files("da2k.protocols")
    names = [entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    if name not in names:
        raise BadInput(f'unknown protocol "{name}"; {did_you_mean(name, names)}')
    return OrderingProtocol.model_validate(yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")))
