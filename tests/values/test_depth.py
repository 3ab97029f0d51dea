"""Reading maps at pixels, and what kinds of map may become what."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from da2k.depth import DepthKind, DepthMap, covers, read_at
from da2k.errors import BadInput

sides = st.integers(1, 9)
finite = st.floats(-1e6, 1e6, width=32)


@st.composite
def maps_and_images(draw):
    values = draw(hnp.arrays(np.float32, st.tuples(sides, sides), elements=finite))
    size = draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    return values, size


def every_pixel(size):
    return np.argwhere(np.ones(size, bool))


@given(maps_and_images())
def test_equals_a_full_size_aligned_corners_resize(case):
    torch = pytest.importorskip("torch")
    values, size = case
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(values.astype(np.float64))[None, None], size=size, mode="bilinear", align_corners=True
    )
    read = read_at(values, every_pixel(size), size).reshape(size)
    assert np.allclose(read, whole[0, 0].numpy(), rtol=1e-9, atol=1e-6)


@given(st.tuples(sides, sides), st.tuples(st.integers(1, 40), st.integers(1, 40)), finite)
def test_a_flat_map_reads_exactly_its_value_everywhere(shape, size, value):
    read = read_at(np.full(shape, value, np.float32), every_pixel(size), size)
    assert (read == np.float32(value)).all()


@given(maps_and_images())
def test_a_map_of_the_images_size_reads_exactly_its_pixels(case):
    values, _ = case
    read = read_at(values, every_pixel(values.shape), values.shape)
    assert np.array_equal(read.reshape(values.shape), values.astype(np.float64))


def test_row_and_column_are_not_mixed_up_on_a_ramp_that_is_not_square():
    rows, cols = np.mgrid[0:20, 0:50]
    assert read_at(rows, [(17, 3)], (20, 50)).item() == 17
    assert read_at(cols, [(17, 3)], (20, 50)).item() == 3
    # From a network-size map: row 38 of 39 gaps is the last row, column 3 of 99 gaps is 3 * 49 / 99.
    assert read_at(rows, [(39, 3)], (40, 100)).item() == 19
    assert read_at(cols, [(39, 3)], (40, 100)).item() == pytest.approx(3 * 49 / 99, abs=1e-12)


def test_a_pixel_without_an_answer_does_not_reach_its_neighbours():
    values = np.array([[1, np.nan], [3, np.inf]], np.float32)
    assert read_at(values, [(0, 0), (4, 0)], (5, 5)).tolist() == [1, 3]
    assert np.isnan(read_at(values, [(0, 2)], (5, 5)).item())


@pytest.mark.parametrize("point", [(5, 0), (0, 7), (-1, 0), (0, -1)])
def test_points_outside_the_image_are_refused(point):
    with pytest.raises(BadInput, match="outside an image of 5 rows x 7 columns"):
        read_at(np.zeros((2, 2)), [point], (5, 7))


def test_points_that_are_not_integers_are_refused():
    with pytest.raises(BadInput, match="integers"):
        read_at(np.zeros((2, 2)), [(0.5, 1.0)], (5, 7))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 4), (2, 1, 3)])
def test_only_two_axes_make_a_map(shape):
    with pytest.raises(BadInput, match=r"\[height, width\]"):
        DepthMap(np.zeros(shape), DepthKind.AFFINE_DEPTH)


def test_axes_of_length_one_around_a_map_are_dropped():
    assert DepthMap(np.zeros((1, 1, 3, 4)), DepthKind.AFFINE_DEPTH).size == (3, 4)
    assert DepthMap(np.zeros((3, 4, 1)), DepthKind.AFFINE_DEPTH).size == (3, 4)


@pytest.mark.parametrize("values", [np.array([["a"]]), np.array([[1j]]), np.array([[None]]), np.array([[True]])])
def test_a_map_holds_real_numbers(values):
    with pytest.raises(BadInput, match="real numbers"):
        DepthMap(values, DepthKind.AFFINE_DEPTH)


def test_other_real_types_are_converted_and_overflow_becomes_infinite():
    assert DepthMap(np.array([[65535]], np.uint16), DepthKind.AFFINE_DEPTH).values.item() == 65535
    assert DepthMap(np.array([[1e300]]), DepthKind.AFFINE_DEPTH).values.item() == np.inf
    assert DepthMap(np.array([[7]], ">i4"), DepthKind.AFFINE_DEPTH).values.item() == 7


LEGAL = {
    ("metric_depth", "scale_invariant_depth"),
    ("metric_depth", "affine_depth"),
    ("metric_depth", "affine_disparity"),
    ("scale_invariant_depth", "affine_depth"),
    ("scale_invariant_depth", "affine_disparity"),
}


@pytest.mark.parametrize("have", DepthKind)
@pytest.mark.parametrize("want", DepthKind)
def test_only_the_legal_conversions_are_made(have, want):
    depth = DepthMap(np.array([[1, 4]], np.float32), have)
    if have == want or (have, want) in LEGAL:
        converted = depth.to(want)
        assert converted.kind == want
        assert converted.values.tolist() == ([[1, 0.25]] if want == "affine_disparity" != have else [[1, 4]])
    else:
        with pytest.raises(BadInput, match="unknown"):
            depth.to(want)


def test_depth_that_is_not_positive_has_no_disparity():
    disparity = DepthMap(np.array([[2, 0, -1, np.inf]]), DepthKind.METRIC_DEPTH).to(DepthKind.AFFINE_DISPARITY)
    assert disparity.values[0, 0] == 0.5
    assert np.isnan(disparity.values[0, 1:3]).all()
    assert disparity.values[0, 3] == 0


@given(st.integers(64, 3000), st.integers(64, 3000), st.integers(200, 1000), st.sampled_from([1, 14, 16, 32]))
def test_a_map_with_its_sides_rounded_to_a_multiple_covers_its_image(height, width, short, multiple):
    scale = short / min(height, width)
    size = tuple(max(multiple, round(side * scale / multiple) * multiple) for side in (height, width))
    assert covers(size, (height, width))


@pytest.mark.parametrize(
    ("map_size", "image_size"),
    [((640, 480), (480, 640)), ((375, 500), (640, 427)), ((480, 480), (480, 640)), ((224, 224), (1080, 1920))],
)
def test_transposed_and_cropped_maps_do_not_cover(map_size, image_size):
    assert not covers(map_size, image_size)


def test_reading_takes_no_memory_of_the_images_size():
    values, image = np.ones((518, 686), np.float32), (3000, 4000)
    read_at(values, [(0, 0)], image)
    tracemalloc.start()
    read_at(values, [(0, 0), (2999, 3999), (17, 1234)], image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000
