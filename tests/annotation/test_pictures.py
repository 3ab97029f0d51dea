"""The pictures people compare two points in, held against the photograph they show."""

import io
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from da2k.annotation.pictures import draw_pair, encode, place_letters, shrunk, upright
from da2k.errors import BadInput
from da2k.pairs import Point

RED, BLUE = (0xE6, 0x19, 0x4B), (0x2B, 0x83, 0xFF)


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def flat(height, width, colour=(128, 128, 128)):
    return np.full((height, width, 3), colour, np.uint8)


def is_of(picture, colour):
    """Where a picture has exactly this colour: bool [H, W]."""
    return (np.asarray(picture) == colour).all(axis=2)


def neighbourhood(pixels, point):
    row, col = (round(x) for x in point)
    return np.asarray(pixels)[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2]


@st.composite
def sizes_and_points(draw, least=1, most=160, near=None):
    """A size, and two different points in it, one of them often in a corner or near the other."""
    height, width = draw(st.integers(least, most)), draw(st.integers(least, most))
    assume(height * width > 1)
    rows = st.one_of(st.integers(0, height - 1), st.sampled_from([0, height - 1]))
    cols = st.one_of(st.integers(0, width - 1), st.sampled_from([0, width - 1]))
    a = Point(draw(rows), draw(cols))
    if near or draw(st.booleans()):
        reach = near or 6
        row = min(max(a.row + draw(st.integers(-reach, reach)), 0), height - 1)
        b = Point(row, min(max(a.col + draw(st.integers(-reach, reach)), 0), width - 1))
    else:
        b = Point(draw(rows), draw(cols))
    assume(a != b)
    return (height, width), a, b


@settings(max_examples=60)
@given(sizes_and_points())
def test_a_point_and_its_neighbours_are_untouched(case):
    size, a, b = case
    pixels = photo(*size)
    marked = draw_pair(pixels, a, b).marked
    assert marked.size == (size[1], size[0])
    for point in (a, b):
        assert np.array_equal(neighbourhood(marked, point), neighbourhood(pixels, point))


@given(sizes_and_points(least=24))
def test_letters_stand_in_the_picture_on_neither_point_nor_each_other(case):
    size, a, b = case
    letters = place_letters(size, a, b)
    covered = np.zeros(size, int)
    for letter in letters:
        assert letter.side >= 6
        assert 0 <= letter.row <= size[0] - letter.side
        assert 0 <= letter.col <= size[1] - letter.side
        covered[letter.row : letter.row + letter.side, letter.col : letter.col + letter.side] += 1
    assert covered.max() == 1
    assert neighbourhood(covered, a).max() == neighbourhood(covered, b).max() == 0


@settings(max_examples=60)
@given(sizes_and_points(least=48))
def test_letters_are_drawn_whole_in_their_colour(case):
    size, a, b = case
    marked = np.asarray(draw_pair(flat(*size), a, b).marked).astype(int)
    for letter, colour in zip(place_letters(size, a, b), (RED, BLUE), strict=True):
        square = marked[letter.row : letter.row + letter.side, letter.col : letter.col + letter.side]
        coloured = np.abs(square - colour).max(axis=2) < 60
        for half in (coloured[: letter.side // 2], coloured[letter.side // 2 :]):
            assert 0.06 < half.mean() < 0.7


def test_a_picture_too_small_for_letters_has_none():
    assert place_letters((23, 500), (3, 3), (9, 9)) is None
    assert place_letters((24, 500), (3, 3), (9, 9)) is not None


@settings(max_examples=40)
@given(sizes_and_points(least=100, most=300, near=8))
def test_of_near_points_each_has_the_nearer_part_of_the_ring(case):
    size, a, b = case
    marked = np.array(draw_pair(flat(*size), a, b).marked)
    for letter in place_letters(size, a, b):
        marked[letter.row : letter.row + letter.side, letter.col : letter.col + letter.side] = 128
    rows, cols = np.indices(size)
    to_a, to_b = (np.hypot(rows - p.row, cols - p.col) for p in (a, b))
    red, blue = (np.abs(marked.astype(int) - colour).max(axis=2) < 40 for colour in (RED, BLUE))
    assert (to_a < to_b)[red].all()
    assert (to_b < to_a)[blue].all()
    if all(20 <= x < s - 20 for point in (a, b) for x, s in zip(point, size, strict=True)):
        assert red.sum() > 10
        assert blue.sum() > 10


def test_near_points_have_pointers_inside_their_rings_and_distant_ones_have_none():
    for other, pointers in ((Point(700, 1005), 2), (Point(720, 1000), 2), (Point(700, 1200), 0)):
        a, b = Point(700, 1000), other
        marked = np.asarray(draw_pair(flat(1500, 2000), a, b).marked)
        rows, cols = np.indices(marked.shape[:2])
        found = 0
        for own, far, colour in ((a, b, RED), (b, a, BLUE)):
            near, to_far = np.hypot(rows - own.row, cols - own.col), np.hypot(rows - far.row, cols - far.col)
            found += bool((is_of(marked, colour) & (near < 12) & (near < to_far)).sum() > 10)
        assert found == pointers


@settings(max_examples=40)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3))
def test_rings_show_on_any_ground(ground_a, ground_b):
    pixels = flat(500, 1000, ground_a)
    pixels[:, 500:] = ground_b
    a, b = Point(250, 250), Point(250, 750)
    marked = np.asarray(draw_pair(pixels, a, b).marked).astype(int)
    for point, ground, colour in ((a, ground_a, RED), (b, ground_b, BLUE)):
        steps = np.arange(4, 25)
        for angle in np.linspace(0, 2 * math.pi, 48, endpoint=False):
            rows = np.rint(point.row + steps * math.sin(angle)).astype(int)
            cols = np.rint(point.col + steps * math.cos(angle)).astype(int)
            ray = marked[rows, cols]
            assert np.abs(ray - colour).max(axis=1).min() < 100, "no line of the ring's colour"
            assert np.abs(ray - ground).max(axis=1).max() >= 90, "nothing differs from the ground"
        assert (marked[point.row - 4 : point.row + 5, point.col - 4 : point.col + 5] == ground).all(), "not hollow"


@pytest.mark.parametrize("size", [(1500, 2048), (2048, 1500), (700, 1000), (96, 96)])
def test_rings_grow_with_the_picture(size):
    a, b = Point(size[0] // 3, size[1] // 3), Point(2 * size[0] // 3, 2 * size[1] // 3)
    ring = np.asarray(draw_pair(flat(*size), a, b).marked)[a.row, a.col :].astype(int)
    radius = int(np.abs(ring - RED).max(axis=1).argmin())
    assert radius == pytest.approx(max(6, 0.0122 * max(size)), abs=1.6)


def test_a_large_photo_is_shown_smaller_and_its_marks_where_the_points_went():
    pixels = photo(240, 320).repeat(10, axis=0).repeat(10, axis=1) // 4 + 90
    a, b = Point(700, 900), Point(1700, 2500)
    marked = draw_pair(pixels, a, b).marked
    assert marked.size == (2048, 1536)
    plain = np.asarray(shrunk(pixels)).astype(int)
    pillow = np.asarray(Image.fromarray(pixels).resize((2048, 1536), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(plain - pillow).max() <= 12
    for point, colour, letter in zip((a, b), (RED, BLUE), place_letters((1536, 2048), a, b), strict=True):
        at = [(x + 0.5) * 0.64 - 0.5 for x in point]
        assert np.array_equal(neighbourhood(marked, at), neighbourhood(plain, at))
        ring = is_of(marked, colour)[round(at[0]) - 35 : round(at[0]) + 36, round(at[1]) - 35 : round(at[1]) + 36]
        assert letter.side > 50
        rows, cols = np.nonzero(ring)
        on_ring = np.hypot(rows - 35, cols - 35) < 28
        middle = rows[on_ring].mean() + round(at[0]) - 35, cols[on_ring].mean() + round(at[1]) - 35
        assert middle == pytest.approx(at, abs=0.5)


@settings(max_examples=40)
@given(sizes_and_points(most=220))
def test_the_middle_of_a_close_up_is_the_point_in_its_own_colour_and_its_neighbours(case):
    size, a, b = case
    pixels = photo(*size)
    pictures = draw_pair(pixels, a, b)
    padded = np.pad(pixels, ((48, 48), (48, 48), (0, 0)), constant_values=128)
    for point, strip in ((a, pictures.strip_a), (b, pictures.strip_b)):
        assert strip.size == (960, 480)
        close = np.asarray(strip)[:, 480:]
        assert (close[240:245, 240:245] == pixels[point]).all()
        expected = padded[point.row : point.row + 96, point.col : point.col + 96]
        expected = expected.repeat(5, axis=0).repeat(5, axis=1)
        assert np.array_equal(close[235:250, 235:250], expected[235:250, 235:250])
        off_the_cross = np.ones((480, 480), bool)
        off_the_cross[190:295, 190:295] = False
        off_the_cross[:, 0] = False  # the seam
        assert np.array_equal(close[off_the_cross], expected[off_the_cross])


@pytest.mark.parametrize(("size", "wide"), [((1000, 1400), 640), ((480, 600), 600), ((96, 96), 96), ((20, 30), 96)])
def test_surroundings_are_grey_beyond_the_border(size, wide):
    last = Point(size[0] - 1, size[1] - 1)
    pictures = draw_pair(flat(*size, (250, 250, 250)), Point(0, 0), last)
    first, other = (np.asarray(strip)[:, :479] for strip in (pictures.strip_a, pictures.strip_b))
    assert (first[:220] == 128).all()
    assert (first[:, :220] == 128).all()
    assert (other[262:] == 128).all()
    assert (other[:, 262:] == 128).all()
    for axis, length in ((0, size[0]), (1, size[1])):
        along = (first if axis == 0 else first.transpose(1, 0, 2))[:, 275 if min(size) > 40 else 285]
        end = np.flatnonzero(along[270:, 0] > 190).max() + 271
        assert end == pytest.approx(min(240 + length * 480 / wide, 480), abs=2)


def test_the_surroundings_show_the_point_in_the_middle_of_its_ring():
    pixels = flat(1000, 1400, (0, 0, 0))
    a = Point(401, 707)
    pixels[a.row - 80 : a.row + 81, a.col - 80 : a.col + 81] = 255
    around = np.asarray(draw_pair(pixels, a, Point(0, 0)).strip_a)[:, :479]
    bright = (around > 127).all(axis=2)
    expected = (240 + 0.375, 160.0 * 0.75)  # the point's own pixel is 320 to 321 of 640
    for axis in (0, 1):
        seen = np.flatnonzero(bright.any(axis=axis))
        assert (seen[0] + seen[-1] + 1) / 2 == pytest.approx(expected[0], abs=0.6)
        assert seen[-1] - seen[0] + 1 == pytest.approx(161 * 0.75, abs=1.1)
    rows, cols = np.nonzero(np.abs(around.astype(int) - RED).max(axis=2) < 60)
    assert (rows.mean() + 0.5, cols.mean() + 0.5) == pytest.approx((expected[0], expected[0]), abs=0.6)
    assert np.hypot(rows - 240, cols - 240).min() > 10


@settings(max_examples=40)
@given(sizes_and_points(most=80))
def test_the_same_pixels_give_the_same_bytes_and_are_not_changed(case):
    size, a, b = case
    pixels = photo(*size, seed=3)
    before = pixels.copy()
    one, other = draw_pair(pixels, a, b), draw_pair(pixels.copy(), a, b, shrunk(pixels))
    for name in ("marked", "strip_a", "strip_b"):
        assert encode(getattr(one, name)) == encode(getattr(other, name))
    assert np.array_equal(pixels, before)


def test_exchanged_points_exchange_colours():
    pixels = photo(200, 300)
    one, other = (
        draw_pair(pixels, *points) for points in ((Point(50, 60), Point(150, 200)), (Point(150, 200), Point(50, 60)))
    )
    close_one, close_other = (np.asarray(p)[235:250, 715:730] for p in (one.strip_a, other.strip_b))
    assert np.array_equal(close_one, close_other)
    assert is_of(one.strip_a, RED).any()
    assert not is_of(one.strip_a, BLUE).any()
    assert is_of(other.strip_b, BLUE).any()


@pytest.mark.parametrize("outside", [Point(20, 0), Point(0, 30), Point(-1, 0)])
def test_a_point_outside_the_photo_is_refused(outside):
    with pytest.raises(BadInput, match="not in the photograph of 20 rows and 30 columns"):
        draw_pair(photo(20, 30), Point(1, 1), outside)


@pytest.mark.parametrize("size", [(40, 60), (1100, 1200)])
def test_pictures_are_encoded_as_plain_jpeg(size):
    rows, cols = np.mgrid[: size[0], : size[1]]
    pixels = np.stack([rows * 255 // size[0], cols * 255 // size[1], rows * 0 + 90], axis=2).astype(np.uint8)
    data = encode(upright(pixels))
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", (size[1], size[0]))
    assert not image.getexif()
    assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 2


def test_what_jpeg_cannot_hold_is_refused():
    with pytest.raises(BadInput, match="65501 x 1 pixels"):
        encode(upright(flat(1, 65501)))
    assert encode(upright(flat(1, 65500)))


def test_real_photos_keep_their_points(shared):
    from da2k.images import read_image

    for path in sorted((shared / "data/mini-da2k/images").glob("*/*.jpg"))[::9]:
        pixels = read_image(path)
        height, width = pixels.shape[:2]
        a, b = Point(0, width - 1), Point(height // 2, width // 2)
        pictures = draw_pair(pixels, a, b)
        plain = shrunk(pixels)
        at = [(x + 0.5) * plain.shape[0] / height - 0.5 for x in b]
        assert np.array_equal(neighbourhood(pictures.marked, at), neighbourhood(plain, at))
        assert (np.asarray(pictures.strip_b)[240:245, 720:725] == pixels[b]).all()
