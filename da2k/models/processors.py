"""What happens around a depth network whose checkpoint brings its own image processor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling

from da2k.depth import covers
from da2k.errors import BadModel, MissingExtra
from da2k.models.checkpoints import one_line

if TYPE_CHECKING:
    import torch

_PROBES = ((480, 640), (640, 240), (240, 640), (511, 640))
"""Image sizes, (height, width). Rounding to the nearest multiple of 32 keeps the aspect of all of them in the sense
of `covers`; squeezing into one shape does not, nor does rounding 511 down."""


@dataclass(frozen=True)
class Steps:
    """What happens before and after a network, for photos of one size.

    Attributes:
        prepare: RGB uint8 [H, W, 3], one or more, to the network's input, float32 [N, 3, h, w].
        finish: the network's output and the photos' (H, W) to maps [N, h', w'] that show the whole photo.
        preprocessing: one line for the record.
        aspect: whether a map keeps the photo's aspect.
        one_by_one: the network mixes the members of a batch, so each photo runs alone.
    """

    prepare: Callable[[Sequence[NDArray[np.uint8]]], "torch.Tensor"]
    finish: Callable[[Any, tuple[int, int]], "torch.Tensor"]
    preprocessing: str
    aspect: Literal["kept", "stretched"]
    one_by_one: bool = False


@dataclass(frozen=True)
class _Window:
    """Where the photo lies in the padded input, along one side: from pixel `start`, `length` of `whole` pixels."""

    start: int
    length: int
    whole: int

    def samples(self, map_side: int) -> int:
        return max(2, round(map_side * self.length / self.whole))


def processor_steps(folder: Path, config: Any, where: str) -> Steps:
    """The steps of a checkpoint's own processor: its pixels in, the network's map at network size out.

    Padding is removed at network size; Depth Pro's inverse depth becomes metres by its processor's own code.

    Raises:
        BadModel: the folder has no usable processor; `where` names the model.
        MissingExtra: the processor needs torchvision.
    """
    own = _Processor(_load(folder, where), config.model_type)
    try:
        kept = all(covers(own.shown_size(size), size) for size in _PROBES)
        preprocessing = own.described()
    except Exception as e:  # a processor with nonsense in its configuration can raise anything
        raise BadModel(f"{where}: its image processor fails on an ordinary photo ({one_line(e)})") from None
    return Steps(
        own.prepare,
        own.finish,
        preprocessing,
        aspect="kept" if kept else "stretched",
        # With several metric heads, ZoeDepth picks one by the sum of the whole batch's votes.
        one_by_one=len(getattr(config, "bin_configurations", ())) > 1,
    )


class _Processor:
    """An image processor of transformers, and where the photo lies in what it makes."""

    def __init__(self, processor: Any, family: str) -> None:
        self._processor = processor
        self._family = family

    def prepare(self, photos: Sequence[NDArray[np.uint8]], **changes: Any) -> "torch.Tensor":
        # Without the layout the processor guesses it, and guesses wrong for an image three pixels high.
        done = self._processor(list(photos), input_data_format="channels_last", return_tensors="pt", **changes)
        pixels: torch.Tensor = done["pixel_values"]
        return pixels

    def finish(self, outputs: Any, image_size: tuple[int, int]) -> "torch.Tensor":
        maps: torch.Tensor = outputs.predicted_depth
        if self._family == "depth_pro":
            return self._metres(outputs)
        windows = self._windows(image_size)
        return without_padding(maps, *windows) if windows else maps

    def shown_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the part of the network's input that shows the photo."""
        (height, width), windows = self._input_size(image_size), self._windows(image_size)
        return (windows[0].samples(height), windows[1].samples(width)) if windows else (height, width)

    def described(self) -> str:
        height, width = self._input_size((480, 640))
        text = f"the checkpoint's {type(self._processor).__name__}: 480 x 640 becomes {height} x {width}, "
        text += Resampling(self._processor.resample).name.lower()
        if self._processor.do_normalize:
            text += f", mean {list(self._processor.image_mean)}, std {list(self._processor.image_std)}"
        return text + ("; map at network size, padding removed" if self._pads else "; map at network size")

    @property
    def _pads(self) -> bool:
        return bool(getattr(self._processor, "do_pad", False))

    def _input_size(self, image_size: tuple[int, int], **changes: Any) -> tuple[int, int]:
        height, width = self.prepare([np.zeros((*image_size, 3), np.uint8)], **changes).shape[2:]
        return height, width

    def _windows(self, image_size: tuple[int, int]) -> tuple[_Window, _Window] | None:
        if not self._pads:
            return None
        if self._family == "zoedepth":
            return _reflected(image_size[0]), _reflected(image_size[1])
        inner, padded = self._input_size(image_size, do_pad=False), self._input_size(image_size)
        return _centred(inner[0], padded[0]), _centred(inner[1], padded[1])

    def _metres(self, outputs: Any) -> "torch.Tensor":
        import torch

        sizes = [tuple(outputs.predicted_depth.shape[-2:])] * len(outputs.predicted_depth)
        done = self._processor.post_process_depth_estimation(outputs, target_sizes=sizes)
        return torch.stack([each["predicted_depth"] for each in done])


def without_padding(maps: "torch.Tensor", down: _Window, across: _Window) -> "torch.Tensor":
    """The part of padded maps [N, h, w] that shows the photo, corner to corner, at the maps' own density.

    Bicubic, at the positions where resizing to the padded photo with unaligned corners would put its pixels.
    """
    import torch

    def positions(window: _Window, side: int) -> torch.Tensor:
        first = (window.start + 0.5) / window.whole * side - 0.5
        last = (window.start + window.length - 0.5) / window.whole * side - 0.5
        at = torch.linspace(first, last, window.samples(side), dtype=torch.float64)
        return (at / (side - 1) * 2 - 1).to(maps)

    rows, cols = torch.meshgrid(positions(down, maps.shape[1]), positions(across, maps.shape[2]), indexing="ij")
    grid = torch.stack([cols, rows], dim=-1).expand(len(maps), -1, -1, -1)
    sample = torch.nn.functional.grid_sample
    return sample(maps[:, None], grid, mode="bicubic", padding_mode="border", align_corners=True)[:, 0]


def _reflected(side: int) -> _Window:
    # ZoeDepth's own rule: 3 * sqrt(side / 2) pixels before and after, added before the photo is resized.
    border = int(np.sqrt(side / 2) * 3)
    return _Window(border, side, side + 2 * border)


def _centred(inner: int, padded: int) -> _Window:
    return _Window((padded - inner) // 2, inner, padded)


def _load(folder: Path, where: str) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as e:  # transformers raises many types on a missing or broken processor
        if find_spec("torchvision") is None:
            raise MissingExtra("torchvision", "models") from None
        what = f"its preprocessor_config.json is missing or cannot be used ({one_line(e)})"
        raise BadModel(f"{where}: {what}") from None
