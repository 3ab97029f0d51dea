"""Key points: the grid's laws, and what of the stage is made again when."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from da2k.construction.grid import GridSampler, grid_points
from da2k.construction.keypoints import keypoint_digests, keypoint_keys, place_keypoints, read_keypoints
from da2k.construction.points import KeyPoints
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, BadModel
from da2k.images import Photo
from tests.construction.conftest import register

SIZES = st.tuples(st.integers(1, 700), st.integers(1, 700))
CELLS = st.integers(2, 64)


def counts(points: np.ndarray) -> tuple[int, int]:
    """Cells along height and width, from where the points are."""
    return len(np.unique(points[:, 0])), len(np.unique(points[:, 1]))


@given(SIZES, CELLS)
def test_the_grid_has_one_point_a_cell_inside_and_off_the_edges(size: tuple[int, int], cells: int) -> None:
    points = grid_points(size, cells).points
    height, width = counts(points)
    assert len(points) == height * width
    assert points.dtype == np.int32
    cell_of = points * (height, width) // size
    assert [tuple(cell) for cell in cell_of] == [(row, col) for row in range(height) for col in range(width)]
    for column, side in zip(points.T, size, strict=True):
        assert column.min() >= (1 if side >= 3 else 0)
        assert column.max() <= (side - 2 if side >= 3 else side - 1)


@given(st.integers(2, 64), st.integers(200, 4000), st.integers(200, 4000))
def test_cells_are_counted_along_the_longer_side_and_nearly_square(cells: int, height: int, width: int) -> None:
    rows, cols = counts(grid_points((height, width), cells).points)
    assert max(rows, cols) == cells
    assert (rows, cols) == tuple(reversed(counts(grid_points((width, height), cells).points)))
    shorter = min(rows, cols)
    assert abs(shorter - cells * min(height, width) / max(height, width)) <= 0.5 or shorter == 1


def test_the_grid_knows_no_masks() -> None:
    found = grid_points((480, 640), 16)
    assert len(found.points) == 16 * 12
    for scores in (found.area, found.predicted_iou, found.stability):
        assert np.isnan(scores).all()
        assert scores.shape == (16 * 12,)


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
    st.integers(2, 9),
)
def test_the_moved_grid_keeps_the_laws(size: tuple[int, int], cells: int, seed: int, coarse: int) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (coarse, coarse, 3), np.uint8)
    photo = Photo.from_array(np.asarray(Image.fromarray(small).resize(size[::-1])))
    points = GridSampler(cells).sample(photo).points
    middles = grid_points(size, cells).points
    height, width = counts(middles)
    np.testing.assert_array_equal(points * (height, width) // size, middles * (height, width) // size)
    # Never farther from its cell's centre than the middle half reaches, to the pixel.
    assert (np.abs(points - middles) <= np.array(size) / (height, width) / 4 + 1).all()
    np.testing.assert_array_equal(points, GridSampler(cells).sample(photo).points)


def test_on_an_even_picture_the_points_stay_in_the_middle() -> None:
    photo = Photo.from_array(np.full((512, 768, 3), 90, np.uint8))
    moved, middles = GridSampler(12).sample(photo).points, grid_points(photo.size, 12).points
    assert np.abs(moved - middles).max() <= 1


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("shape", [(480, 640), (640, 480), (1200, 1777)])
def test_points_move_off_contours(shape: tuple[int, int], channel: int) -> None:
    """Two contours cross in the middle of every cell, where points would be without moving."""
    cells = 10
    rows, cols = counts(grid_points(shape, cells).points)
    row, col = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    dark = ((2 * row * rows // shape[0]) + (2 * col * cols // shape[1])) % 2
    pixels = np.full((*shape, 3), 128, np.uint8)
    pixels[..., channel] = 40 + 60 * dark
    points = GridSampler(cells).sample(Photo.from_array(pixels)).points
    for row, col in points:
        assert np.ptp(dark[row - 3 : row + 4, col - 3 : col + 4]) == 0
    for row, col in grid_points(shape, cells).points:
        assert np.ptp(dark[row - 3 : row + 4, col - 3 : col + 4]) == 1


PHOTOS = {
    "images/indoor/a.png": (48, 64),
    "images/outdoor/b.png": (64, 48),
    "images/object/c.png": (48, 64),
    "images/transparent_reflective/d.png": (48, 64),
}
AUTOMATIC = ["images/indoor/a.png", "images/outdoor/b.png"]


def stored(workspace: Workspace) -> dict[str, tuple[bytes, bytes]]:
    return {image: rest for image, *rest in workspace.db.run("SELECT * FROM keypoints")}


def test_the_stage_is_for_the_automatic_scenarios(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(PHOTOS)
    report = place_keypoints(workspace)
    assert (report.stage, report.made, report.remade, report.kept, report.failures) == ("keypoints", 2, 0, 0, {})
    assert sorted(stored(workspace)) == AUTOMATIC
    for image in AUTOMATIC:
        found = read_keypoints(workspace, image)
        np.testing.assert_array_equal(found.points, GridSampler(16).sample(workspace.photo(image)).points)
        assert found.points.dtype == np.int32
        assert np.isnan(found.area).all()
    assert keypoint_digests(workspace) == {
        image: hashlib.sha256(read_keypoints(workspace, image).points.tobytes()).hexdigest() for image in AUTOMATIC
    }
    with pytest.raises(BadInput, match=r"images/object/c\.png: no key points"):
        read_keypoints(workspace, "images/object/c.png")


def test_what_is_up_to_date_stays_and_what_changed_is_made_again(make_workspace: Callable[..., Workspace]) -> None:
    first = make_workspace(PHOTOS, name="first")
    place_keypoints(first)
    before = stored(first)
    report = place_keypoints(first)
    assert (report.made, report.remade, report.kept) == (0, 0, 2)

    other = make_workspace(PHOTOS, name="other", keypoints={"cells": 5})
    assert keypoint_keys(first).keys() == keypoint_keys(other).keys() == set(AUTOMATIC)
    assert not set(keypoint_keys(first).values()) & set(keypoint_keys(other).values())
    report = place_keypoints(first, GridSampler(5))
    assert (report.made, report.remade, report.kept) == (0, 2, 0)
    place_keypoints(other)
    assert stored(first) == stored(other) != before


def test_scores_come_back_as_they_were_stored(make_workspace: Callable[..., Workspace]) -> None:
    class Scored:
        identity = "scored"

        def sample(self, photo: Photo) -> KeyPoints:
            points = np.array([[3, 4], [5, 6]], np.int32)
            return KeyPoints(points, np.array([0.1, 1.0]), np.array([0.9, 1.1]), np.array([0.95, 0.99]))

    workspace = make_workspace(PHOTOS)
    place_keypoints(workspace, Scored())
    found = read_keypoints(workspace, AUTOMATIC[0])
    assert (found.points == [[3, 4], [5, 6]]).all()
    assert (found.area == [0.1, 1.0]).all()
    assert (found.predicted_iou == [0.9, 1.1]).all()
    assert (found.stability == [0.95, 0.99]).all()


def test_an_image_without_any_key_point_is_no_failure(make_workspace: Callable[..., Workspace]) -> None:
    class Blind:
        identity = "blind"

        def sample(self, photo: Photo) -> KeyPoints:
            return KeyPoints(np.empty((0, 2), np.int32), np.empty(0), np.empty(0), np.empty(0))

    workspace = make_workspace(PHOTOS)
    assert place_keypoints(workspace, Blind()).failures == {}
    assert read_keypoints(workspace, AUTOMATIC[0]).points.shape == (0, 2)
    assert place_keypoints(workspace, Blind()).kept == 2


def test_one_bad_photo_is_recorded_and_does_not_stop_the_rest(make_workspace: Callable[..., Workspace]) -> None:
    workspace = make_workspace(PHOTOS)
    broken = workspace.folder / AUTOMATIC[0]
    broken.write_bytes(broken.read_bytes()[:200])
    register(workspace, AUTOMATIC[0], (48, 64))
    report = place_keypoints(workspace)
    assert list(report.failures) == [AUTOMATIC[0]]
    assert "cannot be decoded" in report.failures[AUTOMATIC[0]]
    assert list(keypoint_digests(workspace)) == [AUTOMATIC[1]]
    again = place_keypoints(workspace)
    assert (again.made, again.remade, again.failures) == (0, 0, report.failures)


def test_an_error_that_every_image_would_have_stops_the_stage(make_workspace: Callable[..., Workspace]) -> None:
    class Unusable:
        identity = "unusable"

        def sample(self, photo: Photo) -> KeyPoints:
            raise BadModel("no good")

    workspace = make_workspace(PHOTOS)
    with pytest.raises(BadModel, match="no good"):
        place_keypoints(workspace, Unusable())
    assert workspace.db.run("SELECT * FROM work") == []


def test_a_sampler_that_runs_out_of_memory_is_recorded_as_such(make_workspace: Callable[..., Workspace]) -> None:
    class Hungry:
        identity = "hungry"

        def sample(self, photo: Photo) -> KeyPoints:
            if photo.name == AUTOMATIC[0]:
                raise MemoryError("asked for 8 GB")
            return grid_points(photo.size, 4)

    workspace = make_workspace(PHOTOS)
    report = place_keypoints(workspace, Hungry())
    assert report.made == 1
    assert "out of memory" in report.failures[AUTOMATIC[0]]
    assert list(keypoint_digests(workspace)) == [AUTOMATIC[1]]
