"""How an ordering benchmark is scored."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from da2k.protocols.digest import digest_of


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
        return digest_of(self.model_dump(mode="json"))
