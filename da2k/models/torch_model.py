"""A depth network of transformers as a model: equal sizes run together, without gradients, on its device."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from da2k.depth import DepthMap
from da2k.images import Photo
from da2k.models.devices import Dtype, inference
from da2k.models.processors import Steps
from da2k.results import ModelRecord

if TYPE_CHECKING:
    import torch


class TorchModel:
    """A depth network of transformers, with the steps that belong to it."""

    def __init__(
        self,
        record: ModelRecord,
        network: Any,
        steps: Steps,
        device: "torch.device",
        dtype: Dtype,
        warnings: Sequence[str] = (),
    ) -> None:
        self.record = record
        self.device = str(device)
        self.dtype = dtype
        self.warnings = list(warnings)
        self._network = network
        self._steps = steps

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map an image, in their order; images of one size run together."""
        kind = self.record.kind
        assert kind is not None
        maps: dict[int, DepthMap] = {}
        for batch in _batches(images, self._steps.one_by_one):
            with inference():
                pixels = self._steps.prepare([images[i].pixels for i in batch]).to(self.device, self._network.dtype)
                outputs = self._network(pixel_values=pixels)
                for name, value in outputs.items():  # what follows the network is float32, whatever it computes in
                    outputs[name] = value.float() if hasattr(value, "float") else value
                found = self._steps.finish(outputs, images[batch[0]].size)
            maps |= {i: DepthMap(values, kind) for i, values in zip(batch, found.cpu().numpy(), strict=True)}
        return [maps[i] for i in range(len(images))]


def _batches(images: Sequence[Photo], one_by_one: bool) -> Iterator[list[int]]:
    if one_by_one:
        yield from ([i] for i in range(len(images)))
        return
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, photo in enumerate(images):
        by_size.setdefault(photo.size, []).append(i)
    yield from by_size.values()
