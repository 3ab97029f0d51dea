"""The built-in scenes: exact depth, honest labels, the same every time."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from math import radians, tan

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from da2k.datasets.da2k import read_benchmark
from da2k.datasets.scenes import SKY, Scene, iterate_scenes, write_exact_depth, write_scenes
from da2k.datasets.scenes.effects import air
from da2k.datasets.scenes.looks import Material, plain
from da2k.datasets.scenes.pairs import draw_pairs
from da2k.datasets.scenes.props import ball, ground
from da2k.datasets.scenes.raycast import Camera, Solid, cast
from da2k.datasets.scenes.render import Frame, Stage, exact, picture
from da2k.datasets.scenes.stages import STAGES
from da2k.depth import DepthKind, DepthMap
from da2k.images import Photo
from da2k.metrics.ordering import accuracy, count_outcomes, order_outcomes
from da2k.models.registry import load_model
from da2k.pairs import SCENARIOS, Pair


def pair_points(pair: Pair):
    return pair.point1, pair.point2


GREY = Material(plain("#808080"))

INSIDE = {
    "ball": lambda p: (p**2).sum(axis=1) < 1,
    "box": lambda p: np.abs(p).max(axis=1) < 1,
    "cylinder": lambda p: (np.hypot(p[:, 0], p[:, 2]) < 1) & (np.abs(p[:, 1]) < 1),
    "cone": lambda p: (np.hypot(p[:, 0], p[:, 2]) < (1 - p[:, 1]) / 2) & (np.abs(p[:, 1]) < 1),
    "plane": lambda p: p[:, 1] < 0,
}
"""Which points are inside each unit shape."""


def walk(solid: Solid, origin, direction, start: float, end: float, steps: int) -> float:
    """Where a ray first changes between inside and outside of a solid, by walking along it."""
    rotation = Rotation.from_euler("zxy", [solid.roll, -solid.pitch, solid.yaw], degrees=True)
    t = np.linspace(start, end, steps)
    points = origin + t[:, None] * direction - np.asarray(solid.centre)
    inside = INSIDE[solid.shape](rotation.inv().apply(points) / solid.half)
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    return float(t[changes[0] + 1]) if len(changes) else np.inf


coordinate = st.floats(-2, 2)
vector = st.tuples(coordinate, coordinate, coordinate)


@pytest.mark.parametrize("shape", INSIDE)
@given(vector, st.tuples(*[st.floats(0.3, 1.5)] * 3), st.tuples(*[st.floats(-180, 180)] * 3), vector, vector)
@settings(max_examples=60, deadline=None)
def test_a_ray_meets_a_solid_where_walking_along_it_does(shape, centre, half, turns, aim, start) -> None:
    origin = np.array(start) * 3 + 0.01
    # Off the round numbers, at which a ray can touch a tip or an edge without going in.
    direction = np.add(aim, (0.0137, 0.0219, 0.0071)) - origin
    if np.linalg.norm(direction) < 0.5:
        return
    solid = Solid(shape, centre, half, GREY, *turns)
    found = cast([solid], origin, direction[None]).at[0]
    # No step of the walk changes sides before the hit, and at the hit it does.
    assert walk(solid, origin, direction, 1e-6, min(found, 20.0) - 1e-6, 5_000) == np.inf
    if np.isfinite(found):
        assert walk(solid, origin, direction, found - 1e-5, found + 1e-5, 200) < np.inf


def test_the_first_of_many_solids_is_met_whatever_their_order() -> None:
    rng = np.random.default_rng(4)
    shapes = [str(s) for s in rng.choice(["ball", "box", "cylinder", "cone"], 60)]
    solids = [
        Solid(s, tuple(rng.uniform(-8, 8, 3)), tuple(rng.uniform(0.1, 1.5, 3)), GREY, *rng.uniform(-90, 90, 3))
        for s in shapes
    ]
    solids.append(Solid("plane", (0.0, -6.0, 0.0), (1.0, 1.0, 1.0), GREY))
    rays = rng.standard_normal((3000, 3))
    origins = rng.uniform(-12, 12, (3000, 3))
    one_by_one = np.stack([solid.hit(origins.T, rays.T) for solid in solids])
    hits = cast(solids, origins, rays)
    assert np.allclose(hits.at, one_by_one.min(axis=0), rtol=1e-9)
    assert np.array_equal(hits.solid, np.where(np.isfinite(hits.at), one_by_one.argmin(axis=0), -1))
    assert len(set(hits.solid)) > 50
    near = cast(solids, origins, rays, until=3.0).at
    assert np.allclose(near[hits.at < 3], hits.at[hits.at < 3], rtol=1e-9)


@pytest.mark.parametrize("shape", ["ball", "box", "cylinder", "cone"])
def test_normals_point_outwards_and_are_square_to_the_surface(shape) -> None:
    rng = np.random.default_rng(1)
    solid = Solid(shape, (0.5, -0.2, 1.0), (0.7, 1.3, 0.4), GREY, 30, -20, 50)
    origin = np.array([3.0, 2.0, -4.0])
    aims = np.asarray(solid.centre) + 0.5 * rng.standard_normal((400, 3)) - origin
    at = cast([solid], origin, aims).at
    points = (origin + at[:, None] * aims)[np.isfinite(at)]
    normals = solid.normals(points)
    assert len(points) > 100
    assert np.linalg.norm(normals, axis=1) == pytest.approx(np.ones(len(points)))
    rotation = Rotation.from_euler("zxy", [50, 20, 30], degrees=True)

    def inside(p):
        return INSIDE[shape](rotation.inv().apply(p - np.asarray(solid.centre)) / np.asarray(solid.half))

    assert not inside(points + 1e-4 * normals).any()
    assert inside(points - 1e-4 * normals).mean() > 0.99  # all but those by an edge
    across = np.cross(normals, rng.standard_normal(normals.shape))
    along = points + 1e-4 * across / np.linalg.norm(across, axis=1, keepdims=True)
    # A small step along the surface leaves it by far less than the step.
    assert (inside(along - 1e-6 * normals) | ~inside(along + 1e-6 * normals)).mean() > 0.99


def setting(solids, camera: Camera, **more) -> Stage:
    dark = (0.2, 0.2, 0.2)
    return Stage("indoor", "test", camera, solids, lambda unit: np.zeros_like(unit), (dark, dark), **more)


def test_depth_of_a_floor_is_that_of_the_pinhole_formula() -> None:
    height, width, fov, eye = 48, 80, 50.0, 1.7
    camera = Camera((0.0, eye, 0.0), (0.0, eye, 1.0), fov, (height, width))
    depth = exact(setting([ground(plain("#808080"))], camera)).depth
    below = 2 * (np.arange(height) + 0.5) / height - 1
    expected = np.where(below > 0, eye / (tan(radians(fov) / 2) * np.where(below > 0, below, 1)), np.inf)
    assert depth == pytest.approx(np.repeat(expected[:, None], width, axis=1))


def test_depth_is_along_the_axis_and_distance_along_the_ray() -> None:
    wall = Solid("box", (0.0, 0.0, 6.0), (50.0, 50.0, 1.0), GREY)
    found = exact(setting([wall], Camera((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 60, (20, 30))))
    assert found.depth == pytest.approx(np.full((20, 30), 5.0))
    row, col = 3, 25
    x = tan(radians(30)) * (2 * (col + 0.5) / 30 - 1) * 30 / 20
    y = tan(radians(30)) * (1 - 2 * (row + 0.5) / 20)
    assert found.distance[row, col] == pytest.approx(5 * np.sqrt(1 + x * x + y * y))


def test_a_thing_on_the_upper_right_is_in_the_upper_right_of_an_oblong_picture() -> None:
    camera = Camera((1.0, 2.0, -3.0), (1.0, 2.0, 7.0), 40, (30, 60))
    found = exact(setting([ball(3.0, 3.0, 5.0, 0.3, GREY)], camera))
    rows, cols = np.nonzero(np.isfinite(found.depth))
    # The ball's centre is 8 m ahead, 2 m to the right and 1 m up.
    assert rows.mean() + 0.5 == pytest.approx(15 - 15 * (1 / 8) / tan(radians(20)), abs=0.5)
    assert cols.mean() + 0.5 == pytest.approx(30 + 15 * (2 / 8) / tan(radians(20)), abs=0.5)


def test_depth_of_a_mirror_and_of_glass_is_that_of_their_surface() -> None:
    camera = Camera((0.0, 1.0, -4.0), (0.0, 1.0, 0.0), 40, (33, 49))
    floor = ground(plain("#c08040"))
    looks = {
        "matt": GREY,
        "mirror": Material(plain("#000000"), mirror=0.9),
        "glass": Material(plain("#000000"), mirror=0.05, index=1.5),
    }
    stages = {name: setting([floor, ball(0.0, 1.0, 0.0, 0.8, look)], camera) for name, look in looks.items()}
    depth = {name: exact(stage).depth for name, stage in stages.items()}
    assert depth["matt"][16, 24] == pytest.approx(3.2)
    assert np.array_equal(depth["mirror"], depth["matt"])
    assert np.array_equal(depth["glass"], depth["matt"])
    pictures = {name: picture(stage, np.random.default_rng(0)).astype(int) for name, stage in stages.items()}
    upper, lower = (12, 24), (22, 24)
    # The mirror shows the black sky above and the orange floor below; glass turns the world upside down.
    assert pictures["mirror"][upper].max() < 10 < pictures["mirror"][lower].max()
    assert pictures["glass"][lower].max() < pictures["glass"][upper].max()


def test_fog_attenuates_with_distance() -> None:
    distance = np.array([[0.0, 1.0, 10.0, np.inf]])
    colour = np.broadcast_to(np.array([0.9, 0.2, 0.0]), (1, 4, 3))
    frame = Frame(colour, distance, distance, np.zeros((1, 4), np.int64), np.zeros((1, 4, 3)))
    seen = air((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))(frame, np.random.default_rng(0))
    assert seen[0, 0] == pytest.approx([0.9, 0.2, 0.0])
    assert seen[0, 1] == pytest.approx([0.5 + 0.4 * np.exp(-0.1), 0.5 - 0.3 * np.exp(-0.2), 0.5 - 0.5 * np.exp(-0.3)])
    assert seen[0, 2] == pytest.approx([0.5 + 0.4 * np.exp(-1), 0.5 - 0.3 * np.exp(-2), 0.5 - 0.5 * np.exp(-3)])
    assert seen[0, 3] == pytest.approx([0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return read_benchmark(write_scenes(tmp_path_factory.mktemp("scenes")))


@pytest.fixture(scope="module")
def exact_depth(tmp_path_factory):
    return write_exact_depth(tmp_path_factory.mktemp("exact"))


@pytest.fixture(scope="module")
def scenes(benchmark, exact_depth):
    """The scenes as they are on disk; the sky is infinite again."""

    def depth(image: str):
        stored = np.load((exact_depth / image).with_suffix(".npy"), allow_pickle=False)
        return np.where(stored == SKY, np.inf, stored)

    return [
        Scene(image, benchmark.photo(image).pixels, depth(image), pairs) for image, pairs in benchmark.by_image.items()
    ]


def test_two_oblong_scenes_in_each_of_the_eight_scenarios(scenes) -> None:
    assert [s.scenario for s in scenes] == [name for name in SCENARIOS for _ in range(2)]
    assert len({s.name for s in scenes}) == 16
    for scene in scenes:
        height, width, channels = scene.pixels.shape
        assert scene.depth.shape == (height, width)
        assert (channels, scene.pixels.dtype) == (3, np.uint8)
        assert height != width
        assert scene.pixels.std() > 15  # not a blank
        assert (scene.depth > 0).all()
    assert any(s.depth.shape[0] > s.depth.shape[1] for s in scenes)


def test_labels_agree_with_the_exact_depth_away_from_edges(scenes) -> None:
    for scene in scenes:
        for pair in scene.pairs:
            assert scene.depth[pair.farther_point] > 1.15 * scene.depth[pair.closer_point]
            for row, col in pair_points(pair):
                around = scene.depth[row - 2 : row + 3, col - 2 : col + 3]
                assert around.shape == (5, 5)
                assert np.isfinite(around).all()
                assert around.max() < 1.1 * around.min()


def test_about_half_the_closer_points_are_not_lower_in_the_picture(scenes) -> None:
    pairs = [pair for scene in scenes for pair in scene.pairs]
    assert Counter(pair.scenario for pair in pairs) == dict.fromkeys(SCENARIOS, 16)
    higher = sum(pair.closer_point.row < pair.farther_point.row + 8 for pair in pairs)
    assert 0.45 * len(pairs) <= higher <= 0.6 * len(pairs)


def test_the_pairs_would_notice_rows_and_columns_mixed_up(scenes) -> None:
    def outside(scene) -> bool:
        last_row, last_col = np.max([point for pair in scene.pairs for point in pair_points(pair)], axis=0)
        return last_col >= scene.depth.shape[0] or last_row >= scene.depth.shape[1]

    assert sum(outside(scene) for scene in scenes) > 8


def test_in_fog_and_water_what_is_far_takes_the_colour_of_the_air(scenes) -> None:
    by_name = {scene.name: scene for scene in scenes}
    for name in ("fog", "reef", "sunken-temple"):
        pixels, depth = by_name[name].pixels.astype(float), by_name[name].depth
        air_colour = np.median(pixels[np.isinf(depth)], axis=0)
        near, far = np.quantile(depth[np.isfinite(depth)], [0.3, 0.8])
        contrast = [
            np.abs(pixels[part] - air_colour).mean() for part in (depth < near, np.isfinite(depth) & (depth > far))
        ]
        assert contrast[1] < 0.6 * contrast[0]


def score(scenes, predict) -> float:
    outcomes = []
    for scene in scenes:
        size = scene.depth.shape
        closer, farther = [p.closer_point for p in scene.pairs], [p.farther_point for p in scene.pairs]
        depth = predict(scene)
        outcomes += order_outcomes(depth.read_at(closer, size), depth.read_at(farther, size), depth.kind)
    return accuracy(count_outcomes(outcomes))


def test_exact_depth_scores_everything_and_the_floors_neither_all_nor_nothing(scenes) -> None:
    assert score(scenes, lambda s: DepthMap(np.minimum(s.depth, SKY), DepthKind.METRIC_DEPTH)) == 1
    for cue in ("row", "centre", "haze", "sharpness"):
        model = load_model(f"baseline:{cue}")
        assert 0.2 < score(scenes, lambda s, m=model: m.predict([Photo.from_array(s.pixels)])[0]) < 0.8


def test_the_files_hold_the_scenes(benchmark, scenes) -> None:
    assert benchmark.notes == ()
    for made, stored in zip(islice(iterate_scenes(), 2), scenes, strict=False):
        assert np.array_equal(stored.pixels, made.pixels)
        assert stored.pairs == made.pairs
        assert np.array_equal(stored.depth, made.depth.astype(np.float32))


def test_the_written_exact_depth_declares_itself_and_is_finite(exact_depth, scenes) -> None:
    declared = yaml.safe_load((exact_depth / "predictions.yaml").read_text())
    assert declared["kind"] == "metric_depth"
    for scene in scenes:
        stored = np.load((exact_depth / scene.image).with_suffix(".npy"), allow_pickle=False)
        assert stored.dtype == np.float32
        assert np.isfinite(stored).all()


@pytest.mark.parametrize("make", STAGES, ids=lambda make: make.__name__)
def test_a_seed_always_gives_the_same_picture_and_another_seed_another(make) -> None:
    def small(seed: int):
        rng = np.random.default_rng(seed)
        stage = make(rng)
        height, width = stage.camera.size
        return picture(replace(stage, camera=replace(stage.camera, size=(height // 4, width // 4))), rng)

    first = small(0)
    assert np.array_equal(first, small(0))
    assert any(not np.array_equal(first, small(seed)) for seed in (1, 2, 3, 4))


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_pairs_keep_to_the_rules_for_any_chance(seed) -> None:
    depth = np.full((40, 60), np.inf)
    depth[20:] = np.linspace(9, 3, 20)[:, None]
    depth[5:35, 8:22] = 2.0
    depth[2:12, 40:55] = 4.0
    solid = np.where(np.isfinite(depth), 0, -1)
    for closer, farther in draw_pairs(depth, depth, solid, np.random.default_rng(seed)):
        assert depth[farther] > 1.15 * depth[closer]
        for row, col in (closer, farther):
            assert np.ptp(depth[row - 2 : row + 3, col - 2 : col + 3]) < 1.3


def test_a_scene_without_certain_pairs_gives_none() -> None:
    flat = np.full((30, 40), 3.0)
    assert draw_pairs(flat, flat, np.zeros((30, 40), np.int64), np.random.default_rng(0)) == []
