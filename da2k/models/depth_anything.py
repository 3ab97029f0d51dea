"""Depth Anything V1 and V2 as their authors run them, around the network that transformers provides.

The hub's processor picks another size for most photographs ("scale as little as possible", where the authors
scale until both sides reach 518) and smooths before it shrinks; with it, pairs come out in another order. The
steps here are those of the authors' `infer_image` (V2) and `run.py` (V1).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from da2k.errors import BadInput, BadModel
from da2k.models.processors import Steps

if TYPE_CHECKING:
    import torch

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_LONGEST = 20
"""Longer side / shorter side of the longest photo that is run; the cost of a network grows with its square."""


def steps(config: Any, input_size: int, version: str | None, where: str) -> Steps:
    """What happens before and after a Depth Anything network.

    Args:
        config: the checkpoint's `DepthAnythingConfig`.
        input_size: the shorter side that the network sees; the authors' is 518.
        version: "1" or "2"; None takes it from the backbone, see `recognised_version`.
        where: names the model in errors.

    Raises:
        BadModel: `input_size` is no multiple of the network's patches.
    """
    multiple = config.patch_size
    if input_size % multiple:
        raise BadModel(
            f"{where}: option input_size={input_size} is not a multiple of the network's patches, {multiple}"
        )
    version = version or recognised_version(config)
    end = "map at network size" if version == "2" else "map resized to the image's, bilinear, corners not aligned"

    def prepare(photos: Sequence[NDArray[np.uint8]]) -> "torch.Tensor":
        image_size = photos[0].shape[:2]
        if max(image_size) > _LONGEST * min(image_size):
            raise BadInput(f"{image_size[0]} x {image_size[1]} pixels: one side is over {_LONGEST} times the other")
        return network_input(photos, network_size(image_size, input_size, multiple))

    return Steps(
        prepare,
        _map_at_network_size if version == "2" else _map_at_image_size,
        preprocessing=f"original Depth Anything V{version}: RGB / 255, bicubic without antialias until both sides "
        f"reach {input_size}, aspect kept, multiples of {multiple}, ImageNet mean and std; {end}",
        aspect="kept",
    )


def recognised_version(config: Any) -> str:
    """ "1" if the backbone hands on its last four blocks, else "2", whose taps are spread over all blocks.

    With four blocks in all there is no difference, and the answer is "2".
    """
    blocks = config.backbone_config.num_hidden_layers
    last_four = list(range(blocks - 3, blocks + 1))
    return "1" if blocks > 4 and list(config.backbone_config.out_indices) == last_four else "2"


def network_size(image_size: tuple[int, ...], shorter: int = 518, multiple: int = 14) -> tuple[int, int]:
    """(height, width) that the network sees: both sides at least `shorter`, aspect kept, multiples of `multiple`.

    >>> network_size((427, 640)), network_size((240, 320))
    ((518, 770), (518, 686))
    """
    scale = max(shorter / side for side in image_size)
    height, width = (max(round(scale * side / multiple) * multiple, shorter) for side in image_size)
    return height, width


def network_input(photos: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> "torch.Tensor":
    """Photos of one size, RGB uint8 [H, W, 3], as the network's input, float32 [N, 3, h, w].

    torch's bicubic kernel without antialias is the one of OpenCV's INTER_CUBIC, which the authors use, and like
    theirs the arithmetic is float64.
    """
    import torch

    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (_MEAN, _STD))

    def one(photo: NDArray[np.uint8]) -> torch.Tensor:
        pixels = torch.tensor(photo).permute(2, 0, 1)[None].double()
        resized = torch.nn.functional.interpolate(pixels, size, mode="bicubic", align_corners=False)[0]
        return ((resized / 255 - mean) / std).float()

    return torch.stack([one(photo) for photo in photos])


def _map_at_network_size(outputs: Any, image_size: tuple[int, int]) -> "torch.Tensor":  # noqa: ARG001
    # V2's own last step, bilinear with aligned corners, is how da2k reads any map at a pixel.
    depth: torch.Tensor = outputs.predicted_depth
    return depth


def _map_at_image_size(outputs: Any, image_size: tuple[int, int]) -> "torch.Tensor":
    import torch

    depth = outputs.predicted_depth[:, None]
    return torch.nn.functional.interpolate(depth, image_size, mode="bilinear", align_corners=False)[:, 0]
