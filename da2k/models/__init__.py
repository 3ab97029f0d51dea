"""Depth models by name. `registry.load_model` turns a string into something with `predict`.

An adapter is one small module with `load(target, options, device) -> Model`; heavy packages are imported inside
that function.
"""

from collections.abc import Sequence
from typing import Protocol

from da2k.depth import DepthMap
from da2k.images import Photo
from da2k.results import ModelRecord


class Model(Protocol):
    """What every adapter returns. Nobody has to inherit from it."""

    @property
    def record(self) -> ModelRecord:
        """Which model this is."""
        ...

    def predict(self, images: Sequence[Photo]) -> Sequence[DepthMap]:
        """One depth map an image, in the same order, at any size; photos of one call may differ in size."""
        ...
