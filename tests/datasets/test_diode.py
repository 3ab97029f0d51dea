"""DIODE: depth counts where the mask says so, and there is no frame without its mask."""

import numpy as np
import pytest

from da2k.datasets.open_frames import open_frames
from da2k.errors import BadInput
from tests.datasets.native_formats import make_samples, rules_for, write_diode

RULES = rules_for("diode")


@pytest.fixture
def frame(tmp_path):
    listed = write_diode(tmp_path, make_samples(1, (5, 7)))
    return open_frames("diode", RULES, tmp_path, own_list=listed).frames[0]


@pytest.mark.parametrize("folder", ["", "val"])
@pytest.mark.parametrize("depth_axes", [2, 3])
@pytest.mark.parametrize("mask_axes", [2, 3])
@pytest.mark.parametrize("mask_type", [np.float32, np.float64, np.uint8, np.bool_])
def test_any_of_the_shapes_and_types_in_use_is_the_same_frame(folder, depth_axes, mask_axes, mask_type, tmp_path):
    (sample,) = samples = make_samples(1)
    listed = write_diode(tmp_path / folder, samples)
    (frame,) = open_frames("diode", RULES, tmp_path, own_list=listed).frames
    _, depth, mask = frame.files
    np.save(depth, np.load(depth).reshape(sample.depth.shape + (1,) * (depth_axes - 2)))
    np.save(mask, np.load(mask).astype(mask_type).reshape(sample.depth.shape + (1,) * (mask_axes - 2)))
    truth = frame.read_truth()
    np.testing.assert_array_equal(truth.valid, sample.valid)
    np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])


def test_the_mask_decides_and_not_the_depth(frame):
    _, depth, mask = frame.files
    assert (np.load(depth) > 0).all(), "without its mask every pixel would count"
    stored = np.load(mask)
    assert 0 < stored.mean() < 1
    np.testing.assert_array_equal(frame.read_truth().valid, stored == 1)


def test_depth_stored_by_columns_is_not_transposed(frame):
    _, depth, _ = frame.files
    stored = np.load(depth)[..., 0]
    np.save(depth, np.asfortranarray(stored))
    np.testing.assert_array_equal(frame.read_truth().depth, stored)


def test_a_frame_without_its_mask_is_absent_not_scored(tmp_path):
    samples = make_samples(2)
    listed = write_diode(tmp_path, samples)
    open_frames("diode", RULES, tmp_path, own_list=listed).frames[0].files[2].unlink()
    with pytest.raises(BadInput, match="1 of 2 frames"):
        open_frames("diode", RULES, tmp_path, own_list=listed)
    frames = open_frames("diode", RULES, tmp_path, own_list=listed, partial=True)
    assert (len(frames.frames), len(frames.absent)) == (1, 1)


def test_a_list_without_masks_is_refused(tmp_path):
    listed = write_diode(tmp_path, make_samples(2))
    listed.write_text("".join(" ".join(line.split()[:2]) + "\n" for line in listed.read_text().splitlines()))
    with pytest.raises(BadInput, match="line 1: has 2 columns; a row of this dataset is: image, depth, mask"):
        open_frames("diode", RULES, tmp_path, own_list=listed)


def test_a_mask_removed_after_opening_is_not_passed_over(frame):
    frame.files[2].unlink()
    with pytest.raises(BadInput, match=r"_depth_mask.npy: No such file"):
        frame.read_truth()


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((7, 5)), "is 7 x 5, and its image 00000.png 5 x 7"),
        (np.ones((5, 7, 2)), r"has shape \[5, 7, 2\]"),
        (np.ones(35), r"has shape \[35\]"),
        (np.ones((1, 5, 7)), r"has shape \[1, 5, 7\]"),
        (np.full((5, 7), "x"), "holds <U1, not real numbers"),
        (np.full((5, 7), 1j), "holds complex128, not real numbers"),
    ],
)
def test_arrays_of_another_shape_or_kind_are_refused(which, array, message, frame):
    np.save(frame.files[which], array)
    with pytest.raises(BadInput, match=message):
        frame.read_truth()


@pytest.mark.parametrize("value", [2, 255, -1, 0.5, np.nan])
def test_a_mask_of_other_values_than_0_and_1_is_refused(value, frame):
    stored = np.load(frame.files[2])
    stored[2, 3] = value
    np.save(frame.files[2], stored)
    with pytest.raises(BadInput, match="has values other than 0 and 1"):
        frame.read_truth()


class Trap:
    """Would be run by unpickling."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(frame):
    np.save(frame.files[1], np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="holds object, not real numbers"):
        frame.read_truth()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-4], "its header says"),
        (lambda data: data + b"\0", "its header says"),
        (lambda data: data[:30], "is no .npy array"),
        (lambda data: b"", "is no .npy array"),
        (lambda data: b"\x89PNG" + data, "is no .npy array"),
        (lambda data: data.replace(b"(5, 7, 1)", b"(5, 7, 9)"), "its header says"),
        (lambda data: data.replace(b"(5, 7, 1),", b"(1<<40,),  "), "is no .npy array"),
        (lambda data: data.replace(b"(5, 7, 1), }", b"(999999999,)}"), "at most"),
    ],
)
def test_damaged_arrays_are_one_line(change, message, frame):
    data = frame.files[1].read_bytes()
    changed = change(data)
    assert changed != data
    frame.files[1].write_bytes(changed)
    with pytest.raises(BadInput, match=message) as caught:
        frame.read_truth()
    assert str(frame.files[1]) in str(caught.value)
    assert "\n" not in str(caught.value)
