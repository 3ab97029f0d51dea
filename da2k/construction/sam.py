"""Key points of segment-anything: the points that prompted its masks, found at its own resolution."""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from da2k.construction.points import KeyPoints
from da2k.construction.sam_weights import require_package
from da2k.construction.settings import SamSettings, digest
from da2k.errors import BadInput
from da2k.images import Photo
from da2k.models.devices import inference

POINTS_AT_ONCE = 16
"""Prompts decoded at once: `points_per_batch` of the package, where it is 64. On a CPU 16 is faster, and it needs a
quarter of the memory. Another number can change the last bits of masks, so it is part of the identity."""

_PIXELS_AT_ONCE = 4 << 20
"""Mask pixels enlarged at once: on a CPU, few enough to stay near its caches."""
_PIXELS_AT_ONCE_ON_GPU = 64 << 20


class SamSampler:
    """The points whose masks `SamAutomaticMaskGenerator` of segment-anything 1.0 keeps, without making its masks.

    They are those that it gives for the photograph resized to SAM's own resolution (`ResizeLongestSide`: the longer
    side becomes `sam.image_encoder.img_size`), with its defaults and without crops. What differs is the work: masks
    are dropped by their predicted IoU before they are enlarged, the others are enlarged a few at a time to SAM's
    resolution only, measured and forgotten. Neither time nor memory depends on the photograph's size, except for
    decoding and shrinking it.

    Prompt (i, j) of n x n stands at the fraction ((2i + 1) / 2n, (2j + 1) / 2n) of the picture's height and width, at
    every resolution. So in a photograph of H x W pixels the key point is
    (((2i + 1) H) // 2n, ((2j + 1) W) // 2n) in integers: the pixel that holds that place, exactly.

    A prompt has up to three masks; of those kept, the one with the highest predicted IoU, then the largest, speaks for
    the point. Masks without a pixel, which a stability threshold of 0 lets pass, give no point.

    Args:
        sam: a `segment_anything.modeling.Sam` of any size, on its device.
        settings: the thresholds.
        weights: a digest of the weights; None computes one.
        points_at_once: prompts decoded at once; fewer need less memory.
    """

    def __init__(
        self, sam: Any, settings: SamSettings, *, weights: str | None = None, points_at_once: int = POINTS_AT_ONCE
    ) -> None:
        require_package()
        self.sam = sam
        self.settings = settings
        self.points_at_once = points_at_once
        self.identity = sam_identity(settings, weights or weights_digest(sam), points_at_once)

    def sample(self, photo: Photo) -> KeyPoints:
        """The key points of this photograph.

        Raises:
            BadInput: the photograph cannot be decoded, or is so narrow that nothing of it would be left.
            MemoryError: the machine or its GPU has not enough memory for one photograph.
        """
        import torch
        from segment_anything import SamPredictor
        from segment_anything.utils.amg import batch_iterator, build_all_layer_point_grids
        from torchvision.ops.boxes import batched_nms  # type: ignore[import-untyped]

        side = self.settings.points_per_side
        with inference():
            predictor = SamPredictor(self.sam)
            if min(predictor.transform.get_preprocess_shape(*photo.size, predictor.transform.target_length)) == 0:
                raise BadInput(f"{photo.name}: {photo.size[1]} x {photo.size[0]} pixels are too narrow for SAM")
            predictor.set_image(photo.pixels)
            prompts = build_all_layer_point_grids(side, 0, 1)[0] * np.array(predictor.input_size)[::-1]
            batches = batch_iterator(self.points_at_once, prompts, np.arange(len(prompts)))
            masks = _joined(self._masks(predictor, *batch) for batch in batches)
            categories = torch.zeros(len(masks.boxes), device=masks.boxes.device)
            best = batched_nms(masks.boxes.float(), masks.iou, categories, self.settings.box_nms_thresh)
            prompt, iou, stability, area, _ = (column[best].cpu().numpy() for column in masks)
        share = area / np.prod(predictor.input_size)
        return _one_mask_a_point(prompts_in_photo(side, photo.size)[prompt], share, iou, stability)

    def _masks(self, predictor: Any, prompts: NDArray[np.float64], numbers: NDArray[np.int64]) -> "_Masks":
        """The masks of these prompts, (x, y) at SAM's resolution, that pass both thresholds."""
        import torch

        sam, threshold = self.sam, self.settings.pred_iou_thresh
        points = torch.as_tensor(prompts, device=sam.device)[:, None]
        sparse, dense = sam.prompt_encoder(
            points=(points, torch.ones(points.shape[:2], dtype=torch.int, device=sam.device)), boxes=None, masks=None
        )
        logits, iou = sam.mask_decoder(
            image_embeddings=predictor.features,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        of: Any = torch.as_tensor(numbers, device=sam.device).repeat_interleave(iou.shape[1])
        logits, iou = logits.flatten(0, 1), iou.flatten()
        if threshold > 0:  # at 0 it is off, as in the package: a predicted IoU may be negative
            passed = iou > threshold
            of, iou, logits = of[passed], iou[passed], logits[passed]
        pixels = _PIXELS_AT_ONCE if logits.device.type == "cpu" else _PIXELS_AT_ONCE_ON_GPU
        few = max(1, pixels // sam.image_encoder.img_size**2)
        chunks = zip(of.split(few), iou.split(few), logits.split(few), strict=True)
        return _joined(self._measured(*chunk, predictor.input_size) for chunk in chunks)

    def _measured(self, of: Any, iou: Any, logits: Any, size: tuple[int, int]) -> "_Masks":
        """The stable ones of these masks, logits [N, h, w] of the decoder, measured at SAM's resolution."""
        import torch
        from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score

        sam, threshold = self.sam, self.settings.stability_score_thresh
        # `Sam.postprocess_masks`, whose second step, to the size of the picture, changes nothing at this size.
        square = (sam.image_encoder.img_size,) * 2
        enlarged = torch.nn.functional.interpolate(logits[:, None], square, mode="bilinear", align_corners=False)
        enlarged = enlarged[:, 0, : size[0], : size[1]]
        stability = calculate_stability_score(enlarged, sam.mask_threshold, 1.0)
        if threshold > 0:  # at 0 it is off, as in the package: of a mask without a pixel it is 0 / 0
            steady = stability >= threshold
            of, iou, stability, enlarged = of[steady], iou[steady], stability[steady], enlarged[steady]
        masks = enlarged > sam.mask_threshold
        # int64 all the way would be five times slower; a row of SAM's resolution fits into int16.
        area = masks.sum(-1, dtype=torch.int16).sum(-1, dtype=torch.int32)
        return _Masks(of, iou, stability, area, batched_mask_to_box(masks))


class _Masks(NamedTuple):
    """What is kept of masks: the number of the prompt, predicted IoU, stability, area in pixels, box (x, y, x, y)."""

    prompt: Any
    iou: Any
    stability: Any
    area: Any
    boxes: Any


def _joined(parts: Iterable[_Masks]) -> _Masks:
    import torch

    return _Masks(*(torch.cat(column) for column in zip(*parts, strict=True)))


def prompts_in_photo(points_per_side: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """The pixel (row, col) of each prompt in a photograph of this (height, width), row by row: [N, 2]."""
    rows, cols = (((2 * np.arange(points_per_side) + 1) * side) // (2 * points_per_side) for side in size)
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)


def sam_identity(settings: SamSettings, weights: str, points_at_once: int = POINTS_AT_ONCE) -> str:
    """The digest of all that determines the points besides the photograph, from the digest of the weights."""
    return digest("sam", 1, settings.model_dump(exclude={"model", "checkpoint"}), points_at_once, weights)


def weights_digest(sam: Any) -> str:
    """SHA-256 over a `Sam`: its weights with their names, and what stands beside them."""
    held = {**sam.state_dict(), "pixel_mean": sam.pixel_mean, "pixel_std": sam.pixel_std}
    whole = hashlib.sha256(f"{sam.image_encoder.img_size} {sam.mask_threshold} {sam.image_format}".encode())
    for name, value in sorted(held.items()):
        array = value.detach().cpu().numpy()
        whole.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()


def _one_mask_a_point(
    points: NDArray[np.int64], area: NDArray[np.float64], iou: NDArray[np.float32], stability: NDArray[np.float32]
) -> KeyPoints:
    """The best mask of each point, by row and column; masks without a pixel count for nothing."""
    order = np.lexsort((-stability, -area, -iou, points[:, 1], points[:, 0]))
    order = order[area[order] > 0]
    sorted_points = points[order]
    first = np.ones(len(order), bool)
    first[1:] = (sorted_points[1:] != sorted_points[:-1]).any(axis=1)
    best = order[first]
    return KeyPoints(
        points[best].astype(np.int32),
        area[best],
        iou[best].astype(np.float64),
        stability[best].astype(np.float64),
    )
