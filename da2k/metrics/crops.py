"""Parts of a frame where depth is compared, or that the model sees."""

from typing import Literal, NamedTuple

from da2k.errors import BadInput

MetricCrop = Literal["none", "garg", "eigen", "nyu-eigen"]

_SHARES = {
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
}
"""Shares of the height (top, bottom) and of the width (left, right)."""


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of a frame; bottom and right are the first outside."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts the box out of an array [H, W] of the frame."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def kb_box(size: tuple[int, int]) -> Box:
    """KITTI's benchmark crop of a frame (height, width): 352 x 1216, at the bottom, in the middle of the width.

    Raises:
        BadInput: the frame is smaller.

    >>> kb_box((375, 1242))
    Box(top=23, bottom=375, left=13, right=1229)
    """
    height, width = size
    if height < 352 or width < 1216:
        raise BadInput(f"KITTI's benchmark crop is 352 x 1216, but the frame is {height} x {width}")
    left = (width - 1216) // 2
    return Box(height - 352, height, left, left + 1216)


def metric_box(crop: MetricCrop, size: tuple[int, int]) -> Box:
    """Where metrics are taken in a frame (height, width).

    `garg` (Garg et al., ECCV 2016) and `eigen` (Eigen et al., NIPS 2014) are shares of a KITTI frame's sides, cut to
    whole pixels; `nyu-eigen` is rows 45 to 471 and columns 41 to 601 of NYU Depth v2's 480 x 640.

    Raises:
        BadInput: the frame is too small for the crop, or not 480 x 640 for `nyu-eigen`.

    >>> metric_box("garg", (352, 1216)), metric_box("nyu-eigen", (480, 640)).size
    (Box(top=143, bottom=349, left=43, right=1172), (426, 560))
    """
    height, width = size
    if crop == "none":
        return Box(0, height, 0, width)
    if crop == "nyu-eigen":
        if size != (480, 640):
            raise BadInput(f"the crop nyu-eigen is a box of a 480 x 640 frame, but the frame is {height} x {width}")
        return Box(45, 471, 41, 601)
    top, bottom, left, right = _SHARES[crop]
    box = Box(int(top * height), int(bottom * height), int(left * width), int(right * width))
    if min(box.size) < 1:
        raise BadInput(f"the crop {crop} of a frame of {height} x {width} holds no pixel")
    return box
