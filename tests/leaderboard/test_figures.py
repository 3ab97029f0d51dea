"""Figures show the numbers they were given: positions are read back against the figure's own ticks."""

import re
from math import log10
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.leaderboard import pages
from da2k.leaderboard.board import read_board
from da2k.leaderboard.site import build_site
from da2k.leaderboard.site.figures import Estimate, evidence, forest, lowest, matrix
from da2k.leaderboard.site.scatter import PARAMETERS, SPEED, Spot, against, unbeaten
from da2k.leaderboard.site.views import STEPS, Axis, axis_of
from da2k.leaderboard.svg import columns, even_ticks, log_ticks, shortened
from tests.leaderboard.boards import release_of, write_row
from tests.leaderboard.conftest import Model, add_models, write_benchmark
from tests.leaderboard.reading import parse

ESTIMATES = [
    Estimate("Fjord", 0.953, (0.943, 0.962), best=True),
    Estimate("Tarn <b>&\"'", 0.871, (0.856, 0.885)),
    Estimate("lower is nearer", 0.62, (0.599, 0.641), floor=True),
]
SPOTS = [
    Spot("small", 24.8e6, 0.953, (0.943, 0.962), "affine disparity"),
    Spot("large", 335e6, 0.971, (0.963, 0.978), "affine disparity"),
    Spot("odd", 4.1e6, 0.731, (0.71, 0.75), "metric depth"),
]
CSS = (pages.TEMPLATES / "style.css").read_text()


def drawn(svg):
    return ElementTree.fromstring(str(svg))


def classes(root, name):
    return [e for e in root.iter() if name in (e.get("class") or "").split()]


def start(path):
    """The leftmost point and the height of a mark's path."""
    x, y = re.match(r"M(-?[\d.]+) (-?[\d.]+)", path.get("d")).groups()
    return float(x), float(y)


def disc(path):
    """The centre of a disc: its path begins at its left."""
    x, y = start(path)
    return x + float(re.search(r"a([\d.]+) ", path.get("d")).group(1)), y


def outline_of(path):
    """A mark's corners from its first, in whole pixels; a disc has one."""
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d").partition("a")[0])]
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    return tuple((round(x - corners[0][0]), round(y - corners[0][1])) for x, y in corners)


def line_through(points):
    """A linear reading of an axis from its ticks: position -> value."""
    (a, va), (b, vb) = points[0], points[-1]
    return lambda at: va + (at - a) * (vb - va) / (b - a)


def test_a_forest_plot_has_each_accuracy_and_interval_where_its_axis_says():
    root = drawn(forest(ESTIMATES, "Accuracy"))
    ticks = [(float(t.get("x")), float(t.text)) for t in classes(root, "tick")]
    read = line_through(ticks)
    for group, wanted in zip([*classes(root, "best"), *classes(root, "other")], ESTIMATES[:2], strict=True):
        assert read(disc(classes(group, "mark")[0])[0]) == pytest.approx(100 * wanted.share, abs=0.05)
        whisker = classes(group, "whisker")[0]
        ends = [read(float(whisker.get(side))) for side in ("x1", "x2")]
        assert ends == pytest.approx([100 * end for end in wanted.interval], abs=0.05)


def test_floors_stand_below_a_rule_and_all_that_is_written_is_text():
    root = drawn(forest(ESTIMATES, "<Accuracy>"))
    (rule,) = classes(root, "rule")
    heights = {name.text: float(name.get("y")) for name in classes(root, "name")}
    assert set(heights) == {each.name for each in ESTIMATES}
    assert heights[ESTIMATES[1].name] < float(rule.get("y1")) < heights["lower is nearer"]
    assert root.get("aria-label").startswith("<Accuracy>. ")
    assert root.get("role") == "img"


@pytest.mark.parametrize(("across", "unit"), [(PARAMETERS, {"M": 1e6, "B": 1e9, "k": 1e3}), (SPEED, {})])
def test_a_scatter_plot_has_each_model_where_both_axes_say(across, unit):
    spots = SPOTS if across is PARAMETERS else [Spot(s.name, s.x / 1e6, s.share, s.interval, s.group) for s in SPOTS]
    root = drawn(against(spots, across, "t"))
    bottom = [t for t in classes(root, "tick") if t.get("text-anchor") == "middle"]
    values = [(t.text.split()[0], unit.get(t.text.split()[-1], 1.0)) for t in bottom]
    x = line_through([(float(t.get("x")), log10(float(v) * u)) for t, (v, u) in zip(bottom, values, strict=True)])
    side = [t for t in classes(root, "tick") if t.get("text-anchor") == "end"]
    y = line_through([(float(t.get("y")) - 4, float(t.text)) for t in side])
    found = {t.text.partition(":")[0]: mark for mark in classes(root, "mark") for t in mark.findall("./title")}
    assert set(found) == {s.name for s in spots}
    for spot in spots[:2]:
        at_x, at_y = disc(found[spot.name])
        assert x(at_x) == pytest.approx(log10(spot.x), abs=0.005)
        assert y(at_y) == pytest.approx(100 * spot.share, abs=0.1)


def test_groups_differ_in_shape_and_not_only_in_colour():
    spots = [Spot(f"m{i}", 10.0**i, 0.9, (0.85, 0.95), f"group {i}") for i in range(1, 9)]
    root = drawn(against(spots, PARAMETERS, "t"))
    shapes = {g.get("class"): {outline_of(m) for m in classes(g, "mark")} for g in root.findall("g")}
    assert sorted(shapes) == ["g0", "g1", "g2", "g3", "g4", "g5"]
    assert all(len(shape) == 1 for shape in shapes.values())
    assert len({shape for (shape,) in shapes.values()}) == 6
    assert "other" in [t.text for t in classes(root, "name")]


def spots(least):
    return st.lists(st.tuples(st.floats(least, 1e9), st.integers(0, 20)), min_size=1, max_size=12).map(
        lambda rows: [Spot(f"m{i}", x, s / 20, (s / 20, s / 20), "g") for i, (x, s) in enumerate(rows)]
    )


@given(spots(1), st.booleans())
def test_the_dashed_line_joins_exactly_what_nothing_beats(found, more):
    def beats(a, b):
        cheaper = a.x > b.x if more else a.x < b.x
        return (cheaper and a.share >= b.share) or (a.x == b.x and a.share > b.share)

    front = unbeaten(found, more)
    wanted = {(s.x, s.share) for s in found if not any(beats(other, s) for other in found)}
    assert {(s.x, s.share) for s in front} == wanted


@given(spots(1e6))
def test_names_in_a_scatter_plot_cover_neither_each_other_nor_a_mark(found):
    root = drawn(against(found, PARAMETERS, "t"))
    boxes = []
    for text in classes(root, "small"):
        if float(text.get("y")) <= 16:
            continue  # the legend
        x, y, wide = float(text.get("x")), float(text.get("y")), 6 * len(text.text)
        left = x - wide if text.get("text-anchor") == "end" else x
        boxes.append((left, y - 9, left + wide, y + 2))
    marks = [disc(m) for g in root.findall("g") if len(g) and g[0].tag == "line" for m in classes(g, "mark")]
    for i, a in enumerate(boxes):
        assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in boxes[:i])
        assert not any(a[0] <= x <= a[2] and a[1] <= y <= a[3] for x, y in marks)


def test_a_matrix_has_a_square_for_every_two_models():
    p = [[1, 0.2, 0.0004], [0.2, 1, 0.03], [0.0004, 0.03, 1]]
    difference = [[0, 0.01, 0.1], [-0.01, 0, 0.09], [-0.1, -0.09, 0]]
    root = drawn(matrix(["A", "B", "C"], p, difference, "t"))
    found = {}
    for square in classes(root, "cell"):
        (group,) = [g for g in root.iter("g") if square in g]
        found[square.find("title").text] = (group.get("class"), classes(group, "points")[0].text)
    assert found == {
        "A less B: +1.0 points, p = 0.2": ("p0", "1.0"),
        "A less C: +10.0 points, p = 0.0004": ("p3", "10.0"),
        "B less C: +9.0 points, p = 0.03": ("p1", "9.0"),
    }
    assert evidence(0.03) == 1


def test_models_that_do_not_differ_differ_by_nothing_without_a_sign():
    root = drawn(
        matrix(["A", "B", "C"], [[1.0] * 3] * 3, [[0.0, -0.0, 4e-4], [0.0, 0.0, -4e-4], [-4e-4, 4e-4, 0]], "t")
    )
    assert {text.text for text in classes(root, "points")} == {"0.0"}
    assert all(": +0.0 points" in square.find("title").text for square in classes(root, "cell"))


def test_a_forest_plot_has_room_for_its_widest_numbers():
    root = drawn(forest([Estimate("all", 1.0, (1.0, 1.0)), *ESTIMATES], "t"))
    width = float(root.get("width"))
    for number in classes(root, "number"):
        assert float(number.get("x")) + 6.9 * len(number.text) <= width


@given(st.floats(0, 0.9), st.tuples(*[st.floats(0, 1)] * 3))
def test_a_bar_says_what_of_it_is_below_the_axis(low, shares):
    a, b, c = sorted(shares)
    bar = Axis(0.0, low).bar(b, (a, c))
    assert (bar.below is not None) == (b < low)
    assert bar.cut == (a < low)


@given(st.floats(1e-3, 1e12), st.floats(1.5, 1e9))
def test_log_ticks_are_inside_and_there_are_some_over_a_decade(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)
    assert ratio < 10 or ticks
    assert len(ticks) <= 12


@given(st.floats(0, 0.9))
def test_even_ticks_are_inside_and_end_at_the_top(low):
    ticks = even_ticks(low, 1.0)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-9 <= ticks[0]
    assert ticks[-1] == 1.0


@given(st.lists(st.floats(0, 1), min_size=1))
def test_an_axis_of_accuracy_holds_all(lows):
    assert 0 <= lowest(lows) <= min(*lows, 0.9)


@given(st.floats(0, 0.9), st.tuples(*[st.floats(0, 1)] * 3))
def test_a_bar_and_a_cell_stay_on_their_axis(low, shares):
    a, b, c = sorted(shares)
    axis = Axis(low)
    bar = axis.bar(b, (a, c))
    assert 0 <= bar.left <= bar.at + 1e-9
    assert bar.at <= bar.left + bar.width + 1e-9 <= 100 + 1e-6
    assert 0 <= axis.cell(b).step < STEPS
    assert axis.cell(a).step <= axis.cell(c).step


@given(st.text(max_size=80), st.integers(5, 40))
def test_a_shortened_name_fits_and_keeps_its_ends(name, longest):
    short = shortened(name, longest)
    assert columns(short) <= longest
    if short != name:
        begins, _, ends = short.partition("…") if name.count("…") == 0 else (short[0], "", short[-1])
        assert name.startswith(begins)
        assert name.endswith(ends)


def test_a_figure_has_no_colour_of_its_own_and_no_address():
    for svg in (
        forest(ESTIMATES, "t"),
        against(SPOTS, PARAMETERS, "t"),
        matrix(["A", "B"], [[1, 0], [0, 1]], [[0, 0], [0, 0]], "t"),
    ):
        text = str(svg)
        assert not re.search(r"(fill|stroke|style|href|src)=|#[0-9a-f]{3}", text)


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes():
    return [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
    ]


def test_every_theme_is_legible():
    found = themes()
    assert len(found) == 3, "light, dark and print"
    for theme in found:
        for ink in ("ink", "quiet", "accent"):
            assert contrast(theme[ink], theme["paper"]) >= 4.5
            assert contrast(theme[ink], theme["raised"]) >= 4.5
        for mark in ("mark", "c0", "c1", "c2", "c3", "c4", "c5"):
            assert contrast(theme[mark], theme["paper"]) >= 3
        for level in range(4):
            assert contrast(theme[f"p{level}"], theme[f"p{level}-ink"]) >= 4.5


def test_the_heat_map_is_legible_and_grows_lighter_all_the_way():
    steps = re.findall(r"\.h(\d+) \{ background: (#[0-9a-f]{6}); color: (#[0-9a-f]{3}); \}", CSS)
    assert [int(step) for step, _, _ in steps] == list(range(STEPS))
    assert all(contrast(ground, ink) >= 4.5 for _, ground, ink in steps)
    light = [luminance(ground) for _, ground, _ in steps]
    assert light == sorted(light)


def test_the_script_and_the_style_cannot_end_their_elements():
    for file in Path(pages.TEMPLATES).iterdir():
        if file.suffix in (".js", ".css"):
            assert "</" not in file.read_text()
            assert "url(" not in file.read_text()


def test_a_plot_of_one_or_two_models_is_not_drawn_and_the_page_says_so(new_board, tmp_path):
    build_site(new_board(), tmp_path / "site")
    text = parse(tmp_path / "site/index.html").text
    assert (
        "Accuracy against parameters is not drawn: 2 models with a number of parameters, and the figure needs 3" in text
    )
    assert "Accuracy against speed is not drawn: 2 models with a speed" in text


def test_a_device_that_nobody_named_is_not_called_none(tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", images=4)
    models = [Model(f"m{i}", 0.9, speed=2.0 + i, device="none") for i in range(3)]
    build_site(add_models(tmp_path / "board", benchmark, tmp_path / "scratch", models, []), tmp_path / "site")
    text = parse(tmp_path / "site/index.html").text
    assert "device not stated" in text
    assert ">none<" not in (tmp_path / "site/index.html").read_text()


@pytest.mark.parametrize("speed", [1e308, 1e-320, 0.0])
def test_a_speed_that_cannot_be_breaks_no_page_and_stands_in_no_figure(tmp_path, speed):
    benchmark = write_benchmark(tmp_path / "bench", images=4)
    models = [Model(f"m{i}", 0.9, speed=2.0 + i) for i in range(3)] + [Model("odd", 0.9, speed=speed)]
    build_site(add_models(tmp_path / "board", benchmark, tmp_path / "scratch", models, []), tmp_path / "site")
    text = (tmp_path / "site/index.html").read_text()
    assert "Accuracy against speed" in text
    assert "1 model without a measured speed is left out" in parse(tmp_path / "site/index.html").text
    assert not re.search("0{9}", re.sub('data-v="[^"]*"', "", text)), "and fills no line of the table"


def test_the_bars_axis_holds_floors_and_leaves_models_a_fifth(tmp_path):
    (tmp_path / "near").mkdir()
    release_of(tmp_path / "near", {"Fjord": 180 * "c" + 20 * "w"})
    write_row(tmp_path / "near", "rule", 100 * "cw", model={"spec": "baseline:rule"})
    [near] = read_board(tmp_path / "near")
    low = min(placed.row.result.accuracy.interval[0] for placed in near.rows)
    axis = axis_of([near])
    assert axis.start <= low
    assert axis.bar(0.5, (low, 0.57)).below is None
    (tmp_path / "far").mkdir()
    release_of(tmp_path / "far", {"Fjord": 200 * "c"})
    write_row(tmp_path / "far", "rule", 10 * "c" + 190 * "w", model={"spec": "baseline:rule"})
    [far] = read_board(tmp_path / "far")
    axis = axis_of([far])
    assert axis.start == 0.9
    assert axis.bar(0.05, (0.03, 0.09)).below == 0.9
