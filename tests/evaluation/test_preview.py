"""Pictures of maps: near is bright for every kind, and the picture says so."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from da2k.depth import DepthKind, DepthMap
from da2k.evaluation.predict import predict
from da2k.evaluation.preview import draw, write_preview
from da2k.models.registry import load_model


def colours(figure):
    """The colour of every pixel of the map, as drawn."""
    (image,) = figure.axes[0].images
    return image.cmap(image.norm(image.get_array()))[..., :3]


@pytest.mark.parametrize("kind", DepthKind)
def test_nearer_is_brighter_for_every_kind_and_the_legend_says_so(kind):
    nearness = np.linspace(0, 1, 24).reshape(4, 6)
    values = nearness if kind == "affine_disparity" else 5 - nearness
    figure = draw(DepthMap(values, kind), (40, 60), "title")
    brightness = colours(figure).mean(axis=2).ravel()
    assert brightness[-1] > 0.8 > 0.2 > brightness[0]
    assert (np.diff(brightness) > -0.02).all()
    bar = figure.axes[1]
    assert (bar.get_title(), bar.get_xlabel()) == ("near", "far")
    low, high = bar.get_ylim()
    assert (high > low) == (kind == "affine_disparity"), "the near end of the scale is at the top"


def test_pixels_without_an_answer_have_a_colour_of_their_own():
    values = np.arange(12.0).reshape(3, 4)
    values[0, 0], values[1, 1] = np.nan, np.inf
    drawn = colours(draw(DepthMap(values, DepthKind.METRIC_DEPTH), (3, 4), ""))
    assert np.allclose(drawn[0, 0], to_rgb("#00b3b3"))
    assert np.allclose(drawn[1, 1], to_rgb("#00b3b3"))
    assert not np.allclose(drawn[2, 2], to_rgb("#00b3b3"))


@pytest.mark.parametrize("values", [np.full((3, 3), 7.0), np.full((2, 5), np.nan), np.zeros((1, 1))])
def test_maps_without_contrast_are_drawn_all_the_same(tmp_path, values):
    write_preview(DepthMap(values, DepthKind.AFFINE_DEPTH), (30, 40), "flat", tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").width > 100


def test_a_stretched_map_is_drawn_in_the_shape_of_its_photograph():
    figure = draw(DepthMap(np.random.default_rng(0).random((96, 320)), DepthKind.AFFINE_DISPARITY), (600, 400), "")
    FigureCanvasAgg(figure).draw()
    box = figure.axes[0].get_window_extent()
    assert box.height / box.width == pytest.approx(600 / 400, rel=0.02)


def test_predict_writes_previews_apart_from_the_maps(make_benchmark, tmp_path):
    root = make_benchmark(images=2)
    predict(load_model("baseline:row"), root, tmp_path / "maps", preview=True)
    pictures = sorted(p.relative_to(tmp_path / "maps").as_posix() for p in (tmp_path / "maps").rglob("*.png"))
    assert pictures == ["previews/images/indoor/photo000.png", "previews/images/outdoor/photo001.png"]
