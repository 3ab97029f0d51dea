"""The boxes of the field's crops, and their pixel counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.errors import BadInput
from da2k.metrics.crops import Box, kb_box, metric_box

KITTI, CROPPED, NYU = (375, 1242), (352, 1216), (480, 640)


@pytest.mark.parametrize(
    ("crop", "size", "rows", "columns"),
    [
        ("garg", CROPPED, (143, 349), (43, 1172)),
        ("eigen", CROPPED, (117, 321), (43, 1172)),
        ("garg", KITTI, (153, 371), (44, 1197)),
        ("eigen", KITTI, (124, 342), (44, 1197)),
        ("nyu-eigen", NYU, (45, 471), (41, 601)),
        ("none", (375, 1242), (0, 375), (0, 1242)),
    ],
)
def test_the_boxes_are_those_of_the_published_code(crop, size, rows, columns):
    assert metric_box(crop, size) == (*rows, *columns)


@pytest.mark.parametrize(
    ("crop", "size", "pixels"),
    [
        ("nyu-eigen", NYU, 238_560),
        ("garg", CROPPED, 206 * 1129),
        ("eigen", CROPPED, 204 * 1129),
        ("garg", KITTI, 218 * 1153),
        ("eigen", KITTI, 218 * 1153),
    ],
)
def test_the_boxes_hold_their_pixels(crop, size, pixels):
    box = metric_box(crop, size)
    mask = np.zeros(size, bool)
    mask[box.top : box.bottom, box.left : box.right] = True
    assert mask.sum() == box.size[0] * box.size[1] == pixels


@pytest.mark.parametrize("size", [(375, 1242), (370, 1226), (374, 1238), (376, 1241), (352, 1216)])
def test_kittis_benchmark_crop_is_at_the_bottom_and_in_the_middle(size):
    box = kb_box(size)
    assert box.size == CROPPED
    assert box.bottom == size[0]
    assert box.left == int((size[1] - 1216) / 2)
    assert box.left - (size[1] - box.right) in (0, -1)


def test_gargs_crop_before_and_after_the_benchmark_crop_are_other_pixels():
    outer, inner = kb_box(KITTI), metric_box("garg", CROPPED)
    after = Box(outer.top + inner.top, outer.top + inner.bottom, outer.left + inner.left, outer.left + inner.right)
    before = metric_box("garg", KITTI)
    assert after != before
    assert after.size != before.size


@given(st.integers(60, 5000), st.integers(60, 5000), st.sampled_from(["none", "garg", "eigen"]))
def test_a_box_lies_in_its_frame(height, width, crop):
    box = metric_box(crop, (height, width))
    assert 0 <= box.top < box.bottom <= height
    assert 0 <= box.left < box.right <= width


@pytest.mark.parametrize("size", [(351, 1242), (375, 1215), (1242, 375)])
def test_a_frame_smaller_than_the_benchmark_crop_is_refused(size):
    with pytest.raises(BadInput, match=f"352 x 1216, but the frame is {size[0]} x {size[1]}"):
        kb_box(size)


@pytest.mark.parametrize("size", [(768, 1024), (640, 480), (479, 640)])
def test_nyus_box_is_refused_on_other_frames(size):
    with pytest.raises(BadInput, match="480 x 640"):
        metric_box("nyu-eigen", size)


@pytest.mark.parametrize("crop", ["garg", "eigen"])
def test_a_crop_without_a_pixel_is_refused(crop):
    with pytest.raises(BadInput, match="holds no pixel"):
        metric_box(crop, (1, 1))
