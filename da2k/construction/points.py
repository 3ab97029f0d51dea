"""The key points of a photograph, and what finds them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from da2k.images import Photo


@dataclass(frozen=True, eq=False)
class KeyPoints:
    """The key points of one photograph, no pixel twice, by row and column.

    Attributes:
        points: int32 [N, 2], (row, col) in the photograph.
        area: float64 [N], the share of the picture that the point's mask covers, in (0, 1].
        predicted_iou: float64 [N], what SAM thinks of the mask; larger is better, about 0 to 1.
        stability: float64 [N], the mask's IoU between a strict and a lax threshold, 0 to 1.

    The last three are NaN where points come without masks.
    """

    points: NDArray[np.int32]
    area: NDArray[np.float64]
    predicted_iou: NDArray[np.float64]
    stability: NDArray[np.float64]


class Sampler(Protocol):
    """Anything that finds the key points of a photograph.

    Attributes:
        identity: a digest of all that determines the points besides the photograph.
    """

    identity: str

    def sample(self, photo: Photo) -> KeyPoints:
        """The key points of this photograph."""
