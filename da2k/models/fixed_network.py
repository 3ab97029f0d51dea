"""A network that comes as one file, as a model; shared by the adapters of ONNX and TFLite."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.depth import DepthMap
from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models.checkpoints import one_line
from da2k.models.network_input import Feed
from da2k.results import ModelRecord


class FixedNetwork:
    """A network of one input size as a model: every photo is stretched to it, one at a time.

    Attributes:
        record: which network this is, with the options in force.
        device: where it runs.
        dtype: type of its input.
    """

    def __init__(
        self, spec: str, file: Path, digest: str, feed: Feed, run: Callable[[NDArray[Any]], NDArray[Any]], device: str
    ) -> None:
        """Run the network once on a grey image, so that one that cannot run fails here and not on every photo.

        Args:
            spec: the string that names the model.
            file: the network's file.
            digest: SHA-256 of its weights.
            feed: how it is fed.
            run: from the input tensor to the output tensor that is the map.
            device: where it runs.

        Raises:
            BadModel: the network cannot run, or its output is no map.
        """
        self.device = device
        self.dtype = feed.input.dtype
        self.record = ModelRecord(
            name=file.stem,
            spec=spec,
            options=feed.options.as_text(),
            kind=feed.options.kind,
            weights_digest=digest,
            preprocessing=feed.preprocessing,
            aspect="stretched",
        )
        self._feed = feed
        self._run = run
        try:
            answer = run(feed.network_input(np.full((*feed.size, 3), 128, np.uint8)))
        except Exception as e:  # the runtimes raise many types
            raise BadModel(f"{spec}: it cannot run on an input of {list(feed.shape)} ({one_line(e)})") from None
        feed.depth_map(answer, spec)

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map an image, at the size of the network's output."""
        return [self._feed.depth_map(self._run(self._feed.network_input(p.pixels)), self.record.spec) for p in images]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what compiled code writes to the process's stderr: LiteRT greets there, and nothing switches it off."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
