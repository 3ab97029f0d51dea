"""The floors: their laws, and that each finds the depth that its cue shows."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from da2k.depth import DepthMap, covers
from da2k.errors import BadModel
from da2k.images import Photo
from da2k.metrics.ordering import Outcome, order_outcomes
from da2k.models.baseline import CUES
from da2k.models.registry import load_model

Pixels = NDArray[np.uint8]


def predict(cue: str, pixels: Pixels) -> DepthMap:
    (depth,) = load_model(f"baseline:{cue}").predict([Photo.from_array(pixels)])
    return depth


def outcomes(depth: DepthMap, closer: Sequence, farther: Sequence, size: tuple[int, int]) -> list[Outcome]:
    return order_outcomes(depth.read_at(closer, size), depth.read_at(farther, size), depth.kind)


def noise(size: tuple[int, int], seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@st.composite
def image_and_two_points(draw):
    # Sides far above and below the working size; one long side at a time keeps the test quick.
    short, long = draw(st.integers(1, 60)), draw(st.integers(1, 3000))
    size = (short, long) if draw(st.booleans()) else (long, short)
    points = [(draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))) for _ in range(2)]
    return size, points


@given(image_and_two_points())
@settings(deadline=None)
def test_row_orders_any_two_points_by_row_and_ties_only_in_a_row(case) -> None:
    size, (a, b) = case
    (outcome,) = outcomes(predict("row", np.zeros((*size, 3), np.uint8)), [a], [b], size)
    assert outcome is (Outcome.TIED if a[0] == b[0] else Outcome.CORRECT if a[0] > b[0] else Outcome.WRONG)


@given(image_and_two_points())
@settings(deadline=None)
def test_centre_is_the_same_mirrored(case) -> None:
    size, (point, _) = case
    mirrored = (size[0] - 1 - point[0], size[1] - 1 - point[1])
    here, there = predict("centre", np.zeros((*size, 3), np.uint8)).read_at([point, mirrored], size)
    assert here == pytest.approx(there, rel=1e-6, abs=1e-6)


@given(st.integers(2, 130), st.integers(2, 130), st.data())
@settings(deadline=None)
def test_centre_orders_by_distance_in_pixels_also_in_oblong_photos(height, width, data) -> None:
    size = (height, width)
    points = [(data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))) for _ in range(2)]
    # Four times the squared distance, in whole numbers.
    a, b = ((2 * row - height + 1) ** 2 + (2 * col - width + 1) ** 2 for row, col in points)
    (outcome,) = outcomes(predict("centre", noise(size)), points[:1], points[1:], size)
    assert outcome is (Outcome.TIED if a == b else Outcome.CORRECT if a < b else Outcome.WRONG)


def test_centre_measures_large_photos_in_their_own_pixels() -> None:
    depth = predict("centre", np.zeros((400, 4000, 3), np.uint8))
    # The middle of the upper edge is 199.5 pixels from the centre; a point 300 pixels to the right is farther.
    assert outcomes(depth, [(0, 2000)], [(200, 2300)], (400, 4000)) == [Outcome.CORRECT]


def hazy(shape: tuple[int, int], seed: int) -> tuple[Pixels, NDArray[np.float64]]:
    """A picture by the model of haze, I = J t + A (1 - t) with t = exp(-depth), of a slope that recedes upwards."""
    rng = np.random.default_rng(seed)
    height, width = shape
    depth = np.linspace(2.5, 0.2, height)[:, None] * np.linspace(0.9, 1.1, width)[None, :]
    clear = rng.random((height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)[:height, :width]
    transmission = np.exp(-depth)[..., None]
    air = np.array([0.86, 0.88, 0.92])
    return np.round(255 * (clear * transmission + air * (1 - transmission))).astype(np.uint8), depth


@pytest.mark.parametrize("upside_down", [False, True])
def test_haze_orders_a_hazy_scene(upside_down) -> None:
    pixels, depth = hazy((96, 128), seed=3)
    if upside_down:
        pixels, depth = pixels[::-1].copy(), depth[::-1]
    rng = np.random.default_rng(1)
    first, second = (np.stack([rng.integers(0, 96, 2000), rng.integers(0, 128, 2000)], axis=1) for _ in range(2))
    ratio = depth[tuple(second.T)] / depth[tuple(first.T)]
    first, second = first[ratio > 1.1], second[ratio > 1.1]
    judged = outcomes(predict("haze", pixels), first, second, (96, 128))
    assert judged.count(Outcome.CORRECT) > 0.9 * len(judged)


@pytest.mark.parametrize("sharp_left", [True, False])
def test_sharpness_puts_the_sharp_half_nearer(sharp_left) -> None:
    grey = np.random.default_rng(5).random((90, 120))
    blurred = np.mean([np.roll(grey, (i, j), axis=(0, 1)) for i in range(-3, 4) for j in range(-3, 4)], axis=0)
    left = np.arange(120) < 60
    pixels = np.round(255 * np.where(left == sharp_left, grey, blurred)).astype(np.uint8)[..., None].repeat(3, 2)
    sides = [(row, col) for row in range(5, 85, 8) for col in (12, 25, 40)]
    mirrored = [(row, 119 - col) for row, col in sides]
    sharp, soft = (sides, mirrored) if sharp_left else (mirrored, sides)
    assert set(outcomes(predict("sharpness", pixels), sharp, soft, (90, 120))) == {Outcome.CORRECT}


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 3000), (3000, 2), (1, 700), (37, 53)])
def test_maps_are_finite_cover_the_photo_and_repeat(cue, size) -> None:
    for pixels in (noise(size), np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            depth = predict(cue, pixels)
        assert np.isfinite(depth.values).all()
        assert covers(depth.size, size)
        assert max(depth.size) <= 512
        assert np.array_equal(depth.values, predict(cue, pixels).values)


def test_haze_is_a_depth_that_has_a_disparity_everywhere() -> None:
    from da2k.depth import DepthKind

    depth = predict("haze", noise((40, 50)))
    assert np.isfinite(depth.to(DepthKind.AFFINE_DISPARITY).values).all()


@pytest.mark.parametrize("cue", CUES)
def test_what_looks_at_no_pixel_is_alike_for_all_and_what_does_is_not(cue) -> None:
    alike = np.array_equal(predict(cue, noise((40, 60), 1)).values, predict(cue, noise((40, 60), 2)).values)
    assert alike == (cue in ("row", "centre"))


def test_photos_of_one_call_may_differ_in_size() -> None:
    photos = [Photo.from_array(noise(size)) for size in ((20, 30), (700, 35))]
    assert [depth.size for depth in load_model("baseline:sharpness").predict(photos)] == [(20, 30), (512, 26)]


def test_the_record_says_what_it_is() -> None:
    record = load_model("baseline:row").record
    assert (record.name, record.spec, record.parameters) == ("baseline:row", "baseline:row", 0)
    assert record.preprocessing


def test_an_unknown_cue_is_refused_with_a_guess() -> None:
    with pytest.raises(BadModel, match='unknown baseline "sharpnes"; did you mean "sharpness"'):
        load_model("baseline:sharpnes")


def test_options_are_refused() -> None:
    with pytest.raises(BadModel, match='baseline:row: unknown option "size"'):
        load_model("baseline:row", {"size": "3"})
