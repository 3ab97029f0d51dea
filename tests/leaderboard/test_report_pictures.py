"""The wrong pairs on the photographs: at the right pixels, the hardest first, as many as a page holds."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from da2k.depth import DepthKind
from da2k.leaderboard.report.crops import window
from da2k.pairs import Point
from tests.leaderboard.report_pages import PAIRS, Noise, evaluated, page_of, plain_benchmark, rows_of, scored_benchmark

BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


@pytest.fixture
def scored(make_benchmark, tmp_path):
    return scored_benchmark(make_benchmark, tmp_path)


def like(picture, colour):
    """Where a picture has a colour, by rows and columns."""
    return np.argwhere(np.abs(picture.astype(int) - colour).sum(axis=2) < 60)


def test_marks_stand_about_the_pixels_of_the_points(tmp_path):
    folder = plain_benchmark(tmp_path, PAIRS)
    constant_order = {tuple(point): value for a, b in PAIRS for point, value in ((a, 1.0), (b, 2.0))}

    def wrong_everywhere(pixels):
        values = np.zeros(pixels.shape[:2])
        for (row, col), value in constant_order.items():
            values[row, col] = value
        return values

    page = page_of(evaluated(folder, tmp_path, wrong_everywhere, kind="affine_disparity"), benchmark=folder)
    assert sorted((closer, farther) for _, closer, farther in page.pairs) == sorted(PAIRS)
    for (_, closer, farther), shown in zip(page.pairs, page.pictures, strict=True):
        for point, colour in ((closer, BLUE), (farther, VERMILION)):
            spots = like(shown, colour)
            top, left = spots.min(axis=0)
            bottom, right = spots.max(axis=0)
            if min(top, left) == 0 or bottom == shown.shape[0] - 1 or right == shown.shape[1] - 1:
                continue  # cut by the photo's border
            row, col = (top + bottom) // 2, (left + right) // 2
            middle = shown[row - 1 : row + 2, col - 1 : col + 2].reshape(-1, 3).mean(axis=0)
            assert np.abs(middle[:2] - point).max() < 4, "the pixel in the middle of the mark is the point's own"
            assert middle[2] < 30, "and it is not covered"


@given(st.data())
def test_a_window_holds_both_points_and_lies_in_the_photo(data):
    height, width = data.draw(st.tuples(st.integers(1, 400), st.integers(2, 400)))
    points = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    a, b = data.draw(points), data.draw(points)
    shown = window((height, width), Point(*a), Point(*b))
    for row, col in (a, b):
        assert shown.top <= row < shown.top + shown.height
        assert shown.left <= col < shown.left + shown.width
    assert min(shown.top, shown.left) >= 0
    assert shown.top + shown.height <= height
    assert shown.left + shown.width <= width
    assert shown.width * shown.scale <= 480.01
    assert shown.height * shown.scale <= 360.01


def test_the_hardest_wrong_pairs_come_first_and_then_the_tied(make_benchmark, tmp_path):
    folder = make_benchmark(images=16, pairs=6, seed=1)
    result = evaluated(folder, tmp_path, Noise(DepthKind.METRIC_DEPTH, least=1))
    rows, page = rows_of(result), page_of(result, benchmark=folder, photos=10_000)
    margin = {
        (r.image.rpartition("/")[2], (r.closer_row, r.closer_col), (r.farther_row, r.farther_col)): (
            r.outcome,
            max(r.value_closer, r.value_farther) / min(r.value_closer, r.value_farther),
        )
        for r in rows.itertuples()
        if r.outcome in ("wrong", "tied")
    }
    shown = [margin[pair] for pair in page.pairs]
    assert len(shown) == len(margin)
    wrong = [value for outcome, value in shown if outcome == "wrong"]
    assert [outcome for outcome, _ in shown] == ["wrong"] * len(wrong) + ["tied"] * (len(shown) - len(wrong))
    assert wrong == sorted(wrong, reverse=True)
    assert len(set(wrong)) > 3


@pytest.mark.parametrize("photos", [0, 1, 7])
def test_no_more_pairs_are_drawn_than_asked_for_and_the_rest_is_counted(scored, photos):
    folder, result = scored
    wrong = int((rows_of(result)["outcome"] == "wrong").sum())
    page = page_of(result, benchmark=folder, photos=photos)
    assert len(page.images) == photos
    drawn = sum("has the point with the cross nearer" in alt for _, alt in page.images)
    assert f"{wrong - drawn} wrong pairs more are not drawn: --photos sets how many are" in page.text


def test_a_page_of_many_noisy_photos_stays_small_and_says_what_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    root, labels = tmp_path / "noisy", {}
    (root / "images/indoor").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (360, 480, 3), np.uint8)).save(root / f"images/indoor/{i}.png")
        labels[f"images/indoor/{i}.png"] = [
            {"point1": [10, 10 + k], "point2": [350, 470 - k], "closer_point": "point1"} for k in range(30)
        ]
    (root / "annotations.json").write_text(json.dumps(labels))
    result = evaluated(root, tmp_path, lambda pixels: np.indices(pixels.shape[:2])[0], kind="affine_disparity")
    page = page_of(result, benchmark=root, photos=10_000)
    assert 10 < len(page.images) < 90
    assert f"{90 - len(page.images)} wrong pairs more are not drawn: the page would get too large" in page.text


def test_without_a_benchmark_the_wrong_pairs_are_listed(scored):
    _, result = scored
    page, rows = page_of(result), rows_of(result)
    wrong = rows[rows["outcome"] == "wrong"]
    hardest = wrong.iloc[(wrong["value_closer"] - wrong["value_farther"]).abs().argsort(kind="stable")[::-1]]
    listed = page.table("The wrong pairs with the largest margin")[1:]
    assert len(listed) == 40
    assert listed[0][0] in set(hardest["image"][:20])
    assert page.images == []
    assert "no --benchmark was given: there are no photographs and no baselines" in page.text


def test_photographs_that_are_missing_are_told(scored):
    folder, result = scored
    images = sorted((folder / "images").rglob("*.png"))
    for image in images[1:3]:
        image.unlink()
    images[5].write_bytes(images[5].read_bytes()[:60])
    page = page_of(result, benchmark=folder, photos=1000)
    assert "of 24 photographs cannot be opened" in page.text
    wrong = rows_of(result)["outcome"].isin(["wrong", "tied"]).sum()
    assert 0 < len(page.images) < wrong
    assert page.tables.keys() & {
        "Accuracy of the baselines in per cent, and exact McNemar tests of the model against each."
    }
    for image in images:
        image.unlink(missing_ok=True)
    page = page_of(result, benchmark=folder)
    assert "24 of 24 photographs cannot be opened" in page.text
    assert "Not compared. None of the photographs can be opened." in page.text
    assert page.table("The wrong pairs")
