"""Resizing against torch, and against reading single pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.depth import read_at
from da2k.metrics.resizing import resize_rows

side = st.integers(1, 40)
sizes = st.tuples(side, side)


def resized(values, size, align_corners):
    return resize_rows(values, size, 0, size[0], align_corners=align_corners)


def by_torch(values, size, align_corners):
    torch = pytest.importorskip("torch")
    whole = torch.from_numpy(np.asarray(values, np.float64))[None, None]
    return torch.nn.functional.interpolate(whole, size=size, mode="bilinear", align_corners=align_corners)[0, 0].numpy()


@given(sizes, sizes, st.booleans(), st.integers(0))
def test_equals_torch_in_float64(before, after, align_corners, seed):
    values = np.random.default_rng(seed).normal(0, 10, before)
    assert np.allclose(
        resized(values, after, align_corners), by_torch(values, after, align_corners), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("before", "after"), [((392, 518), (480, 640)), ((518, 1722), (375, 1242)), ((90, 60), (30, 200))]
)
def test_equals_torch_at_real_sizes(before, after, align_corners):
    values = np.random.default_rng(0).random(before, np.float32)
    assert np.allclose(
        resized(values, after, align_corners), by_torch(values, after, align_corners), rtol=0, atol=1e-11
    )


@given(sizes, sizes, st.integers(0))
def test_with_aligned_corners_a_pixel_is_what_is_read_there(before, after, seed):
    values = np.random.default_rng(seed).normal(0, 10, before).astype(np.float32)
    pixels = np.stack(np.meshgrid(*map(np.arange, after), indexing="ij"), axis=-1).reshape(-1, 2)
    assert (resized(values, after, True).ravel() == read_at(values, pixels, after)).all()


@given(sizes, sizes, st.booleans(), st.data())
def test_a_band_is_those_rows_of_the_whole(before, after, align_corners, data):
    values = np.random.default_rng(0).random(before)
    first = data.draw(st.integers(0, after[0]))
    last = data.draw(st.integers(first, after[0]))
    band = resize_rows(values, after, first, last, align_corners=align_corners)
    assert band.shape == (last - first, after[1])
    assert (band == resized(values, after, align_corners)[first:last]).all()


@given(sizes, st.booleans(), st.sampled_from([np.float32, np.float64, np.float16, np.uint16]))
def test_the_same_size_gives_the_rows_as_they_are(size, align_corners, dtype):
    values = (100 * np.random.default_rng(0).random(size)).astype(dtype)
    rows = resized(values, size, align_corners)
    assert rows.dtype == np.float64
    assert (rows == values).all()
    assert not np.shares_memory(rows, values)


@given(sizes, sizes, st.booleans(), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_flat_map_stays_exactly_flat(before, after, align_corners, value):
    assert (resized(np.full(before, value, np.float32), after, align_corners) == np.float32(value)).all()


@given(sizes, sizes, st.booleans())
def test_the_values_stay_within_the_maps(before, after, align_corners):
    values = np.random.default_rng(0).random(before)
    rows = resized(values, after, align_corners)
    assert values.min() - 1e-12 <= rows.min()
    assert rows.max() <= values.max() + 1e-12


@given(sizes, sizes, st.booleans(), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_a_hole_reaches_exactly_the_pixels_it_has_a_share_in(before, after, align_corners, hole, data):
    row, column = (data.draw(st.integers(0, side - 1)) for side in before)
    weight = np.zeros(before)
    weight[row, column] = 1
    shares = resized(weight, after, align_corners)
    values = np.ones(before)
    values[row, column] = hole
    reached = ~np.isfinite(resized(values, after, align_corners))
    assert (reached == (shares > 0)).all()


@pytest.mark.parametrize(
    ("values", "size", "first", "last"),
    [
        (np.ones((2, 3)), (4, 6), -1, 2),
        (np.ones((2, 3)), (4, 6), 0, 5),
        (np.ones((2, 3)), (4, 6), 3, 2),
        (np.ones((2, 3)), (4, 0), 0, 4),
        (np.ones((0, 3)), (4, 6), 0, 4),
        (np.ones((2, 3, 1)), (4, 6), 0, 4),
    ],
)
def test_rows_that_are_not_there_are_refused(values, size, first, last):
    with pytest.raises(ValueError, match="cannot be had"):
        resize_rows(values, size, first, last, align_corners=True)
