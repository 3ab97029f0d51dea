"""One map against one frame: equal to the plain reference for every protocol, and the laws of alignment."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da2k.datasets.frames import Frame, GroundTruth
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput
from da2k.evaluation.dense.inputs import open_input, prepare_model, read_truth
from da2k.evaluation.dense.scoring import score_map
from da2k.images import Photo
from da2k.models.python import as_model
from da2k.protocols import dense_protocol, protocol_names
from da2k.protocols.dense import Clamp, DenseProtocol
from tests.evaluation import dense_reference as reference

METRIC, SCALE_FREE, AFFINE, DISPARITY = (
    DepthKind.METRIC_DEPTH,
    DepthKind.SCALE_INVARIANT_DEPTH,
    DepthKind.AFFINE_DEPTH,
    DepthKind.AFFINE_DISPARITY,
)
TAKEN = {
    "dav2-table2": (DISPARITY, METRIC, SCALE_FREE),
    "dav2-table2-disparity": (DISPARITY, METRIC, SCALE_FREE),
    "midas": (DISPARITY, METRIC, SCALE_FREE),
    "marigold": (AFFINE, METRIC, SCALE_FREE),
    "marigold-disparity": (DISPARITY, METRIC, SCALE_FREE),
    "metric": (METRIC,),
    "metric-single": (METRIC,),
    "metric-median": (METRIC, SCALE_FREE),
}
"""What the alignments can take: an affine map only in its own space, a scaled one where the scale is fitted."""

SIZES = {
    "kitti": ((375, 1242), (370, 1226)),
    "nyu": ((480, 640),),
    "sintel": ((54, 128),),
    "eth3d": ((700, 1050),),
    "diode": ((96, 128),),
}
NETWORK = {352: (126, 420), 375: (126, 420), 370: (130, 420), 480: (266, 350), 54: (41, 98), 700: (532, 798)}
NETWORK[96] = (131, 170)
"""A network's output by the height of its image: smaller, and once larger."""

RUN = [
    (name, dataset)
    for name in TAKEN
    for dataset, rules in dense_protocol(name).datasets.items()
    if rules.status != "unavailable"
]


def surface(size, low=0.8, high=95.0):
    """A smooth depth, float64 [H, W], the same scene at any size."""
    rows, columns = np.linspace(0, 1, size[0])[:, None], np.linspace(0, 1, size[1])
    height = 0.5 + 0.25 * np.sin(5 * rows + 3 * columns) + 0.25 * np.cos(7 * columns - 2 * rows)
    return low * (high / low) ** height


@cache
def make_truth(size, high, seed=0, measured=0.4):
    """Measured depth: some beyond any range, garbage where nothing was measured."""
    rng = np.random.default_rng(seed)
    depth = surface(size, high=1.3 * high) * np.exp(0.05 * rng.standard_normal(size))
    valid = rng.random(size) < measured
    depth[rng.random(size) < 0.01] = 0
    garbage = rng.choice([np.nan, np.inf, -3.0, 0.0, 4.0], size)
    return GroundTruth(np.where(valid, depth, garbage).astype(np.float32), valid)


def make_map(kind, size, high, seed=1, negative=False):
    """A noisy prediction of that scene; with `negative`, some of it below 0."""
    rng = np.random.default_rng(seed)
    depth = surface(size, high=1.3 * high) * np.exp(0.15 * rng.standard_normal(size))
    if negative:
        depth[rng.random(size) < 0.02] *= -1
    disparity = 1 / depth + 0.02 * rng.standard_normal(size)
    values = {METRIC: depth, SCALE_FREE: 0.37 * depth, AFFINE: 3 * depth - 20, DISPARITY: 7 * disparity - 0.4}[kind]
    return DepthMap(values, kind)


def in_memory(truth, name="frame.png", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*truth.size, 3), np.uint8)
    return Frame(name, (), lambda: Photo.from_array(pixels, name), lambda: truth)


def cap(rules):
    return rules.range.high or rules.clamp.high or 40.0


def assert_scored(found, expected):
    metrics, scale, shift, pixels, clamped, nonpositive = expected
    assert found.pixels == pixels
    assert list(found.compared.values) == list(metrics)
    for name, value in metrics.items():
        assert abs(found.compared.values[name] - value) <= 1e-9 * abs(value), name
    assert found.fit.scale == pytest.approx(scale, rel=1e-9)
    assert found.fit.shift == pytest.approx(shift, rel=1e-7, abs=1e-9)
    assert (found.compared.clamped, found.compared.nonpositive) == (clamped, nonpositive)


def changed(protocol, dataset, alignment=None, **choices):
    """A protocol with other choices for one dataset, as a user's file could have them."""
    fields = dense_protocol(protocol).model_dump()
    fields["anchors"] = ()
    fields["alignment"] |= alignment or {}
    fields["datasets"] = {dataset: fields["datasets"][dataset] | {"status": "unanchored"} | choices}
    record = DenseProtocol.model_validate(fields)
    return record, record.rules(dataset)


def test_all_protocols_for_measured_depth_are_tested():
    assert set(TAKEN) == {name for name in protocol_names() if name != "da2k"}
    for name, kinds in TAKEN.items():
        for kind in DepthKind:
            if kind in kinds:
                dense_protocol(name).require(kind)
            else:
                with pytest.raises(BadInput, match=f"protocol {name} "):
                    dense_protocol(name).require(kind)


@pytest.mark.parametrize(("name", "dataset"), RUN)
@pytest.mark.parametrize("align_corners", [True, False])
def test_a_score_is_that_of_the_reference(name, dataset, align_corners):
    protocol, rules = changed(name, dataset, align_corners=align_corners)
    for seed, size in enumerate(SIZES[dataset.partition("-")[0]]):
        whole = make_truth(size, cap(rules), seed)
        truth, depth, valid = read_truth(in_memory(whole), rules), whole.depth, whole.valid
        if name in ("marigold", "marigold-disparity", "metric", "metric-single") and dataset == "kitti":
            depth, valid = reference.kb_crop(depth), reference.kb_crop(valid)
        assert truth.size == depth.shape == open_input(in_memory(whole), rules).size
        for kind in TAKEN[name]:
            for map_size in (truth.size, NETWORK[truth.size[0]]):
                negative = protocol.alignment.space != "disparity"
                made = make_map(kind, map_size, cap(rules), seed + 7, negative)
                expected = reference.score(made.values, kind, depth, valid, protocol, rules)
                assert_scored(score_map(made, truth, protocol, rules), expected)


def test_the_reference_cases_reach_what_they_are_for():
    """Clamps, values below 0 and pixels out of range all occur in them."""
    protocol, rules = changed("dav2-table2", "sintel")
    truth = make_truth((54, 128), 72.0)
    found = score_map(make_map(DISPARITY, (54, 128), 72.0), truth, protocol, rules)
    assert 0.01 < found.compared.clamped < 0.9
    assert 0 < found.pixels < truth.valid.sum()
    protocol, rules = changed("metric-single", "nyu")
    found = score_map(make_map(METRIC, (480, 640), 10.0, negative=True), make_truth((480, 640), 10.0), protocol, rules)
    assert found.compared.nonpositive > 0.005


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("small", "large"), [((5, 9), (11, 31)), ((13, 8), (4, 3)), ((1, 6), (7, 6)), ((7, 7), (1, 1))]
)
def test_the_references_own_resize_is_torchs(align_corners, small, large):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).standard_normal(small)
    tensor = torch.from_numpy(values)[None, None]
    expected = torch.nn.functional.interpolate(tensor, large, mode="bilinear", align_corners=align_corners)
    np.testing.assert_allclose(reference.resized(values, large, align_corners), expected[0, 0], rtol=1e-12, atol=1e-12)


# Laws. Whole numbers times quarters are exact in float32, so that a map may be transformed without rounding it.

small_sizes = st.sampled_from([(12, 17), (24, 40), (31, 20)])
seeds = st.integers(0, 2**32 - 1)
factors = st.integers(1, 60).map(lambda quarters: quarters / 4)


def whole_numbers(size, seed, low=-500, high=500):
    return np.random.default_rng(seed).integers(low, high, size).astype(np.float32)


def small_truth(size, seed, low=0.5, high=45.0, measured=0.6):
    rng = np.random.default_rng(seed)
    valid = rng.random(size) < measured
    valid[-1, -1] = valid[0, 0] = True
    return GroundTruth(rng.uniform(low, high, size).astype(np.float32), valid)


def same(one, other):
    return all(
        value == pytest.approx(other.compared.values[name], rel=1e-9, abs=1e-12)
        for name, value in one.compared.values.items()
    )


@given(
    st.sampled_from([("dav2-table2", "sintel"), ("dav2-table2-disparity", "eth3d"), ("midas", "eth3d")]),
    small_sizes,
    seeds,
    factors,
    st.integers(-4000, 4000),
    st.booleans(),
)
def test_a_disparity_may_have_any_scale_and_shift(where, size, seed, factor, shift, resized):
    protocol = dense_protocol(where[0])
    rules = protocol.rules(where[1])
    truth = small_truth((size[0] * 2, size[1] * 2) if resized else size, seed)
    values = whole_numbers(size, seed)
    one = score_map(DepthMap(values, DISPARITY), truth, protocol, rules)
    other = score_map(DepthMap(values * factor + shift, DISPARITY), truth, protocol, rules)
    assert same(one, other)
    assert one.fit.scale == pytest.approx(other.fit.scale * factor, rel=1e-8, abs=1e-12)


@given(
    st.sampled_from([("marigold", "diode"), ("marigold", "eth3d")]),
    small_sizes,
    seeds,
    factors,
    st.integers(-4000, 4000),
)
def test_a_depth_may_have_any_scale_and_shift_where_both_are_fitted(where, size, seed, factor, shift):
    protocol = dense_protocol(where[0])
    rules, truth, values = protocol.rules(where[1]), small_truth(size, seed), whole_numbers(size, seed)
    one = score_map(DepthMap(values, AFFINE), truth, protocol, rules)
    assert same(one, score_map(DepthMap(values * factor + shift, AFFINE), truth, protocol, rules))


@given(small_sizes, seeds, factors)
def test_a_depth_may_have_any_scale_where_medians_are_matched(size, seed, factor):
    protocol = dense_protocol("metric-median")
    rules, truth, values = protocol.rules("kitti"), small_truth(size, seed), whole_numbers(size, seed, 1, 900)
    one = score_map(DepthMap(values, SCALE_FREE), truth, protocol, rules)
    assert same(one, score_map(DepthMap(values * factor, SCALE_FREE), truth, protocol, rules))
    shifted = score_map(DepthMap(values + 300, SCALE_FREE), truth, protocol, rules)
    assert not same(one, shifted), "but not any shift"


@given(small_sizes, seeds)
def test_metres_may_have_no_other_scale(size, seed):
    protocol = dense_protocol("metric-single")
    rules, truth = protocol.rules("kitti"), small_truth(size, seed, 2.0, 40.0)
    one = score_map(DepthMap(truth.depth, METRIC), truth, protocol, rules)
    twice = score_map(DepthMap(truth.depth * 2, METRIC), truth, protocol, rules)
    assert (one.compared.values["absrel@depth"], twice.compared.values["absrel@depth"]) == (0, 1)


@pytest.mark.parametrize(("name", "dataset"), RUN)
def test_what_is_right_up_to_the_alignment_has_no_error(name, dataset):
    protocol = dense_protocol(name)
    rules = protocol.rules(dataset)
    size = (480, 640) if dataset == "nyu" else (64, 96)
    rng = np.random.default_rng(3)
    # Powers of two have exact inverses; factor and shift keep them exact.
    depth = 2.0 ** rng.integers(0, 4, size).astype(np.float32)
    truth = GroundTruth(depth.astype(np.float32), rng.random(size) < 0.5)
    maps = {METRIC: depth, SCALE_FREE: 0.75 * depth, AFFINE: 5 * depth - 11, DISPARITY: 3 / depth + 2}
    for kind in TAKEN[name]:
        found = score_map(DepthMap(maps[kind], kind), truth, protocol, rules)
        for metric, value in found.compared.values.items():
            best = 1.0 if metric.startswith("delta") and metric != "delta1_exceeded_percent" else 0.0
            assert value == pytest.approx(best, abs=1e-6 if metric == "silog100" else 1e-12), metric
        assert found.compared.clamped == 0
        assert not found.fit.degenerate
        if kind is DISPARITY:
            assert (found.fit.scale, found.fit.shift) == pytest.approx((1 / 3, -2 / 3), rel=1e-12)


@given(st.sampled_from(RUN), seeds)
@settings(max_examples=60)
def test_nothing_outside_crop_range_and_validity_matters(where, seed):
    protocol = dense_protocol(where[0])
    rules = protocol.rules(where[1])
    size = (480, 640) if where[1] == "nyu" else (40, 130)
    kind = TAKEN[where[0]][0]
    # Whole depths, in a small range around 1e1, and some out of any range.
    rng = np.random.default_rng(seed)
    depth = rng.choice(np.array([0.0, 1, 2, 3, 4, 6, 8, 1e6], np.float32), size)
    high = np.inf if rules.range.high is None else rules.range.high
    valid = rng.random(size) < 0.7
    inside = valid & reference.crop(size, rules.metric_crop) & (depth > 0) & (depth < high)
    values = rng.uniform(1, 9, size).astype(np.float32)
    one = score_map(DepthMap(values, kind), GroundTruth(depth, valid), protocol, rules)

    garbage = rng.choice(np.array([np.nan, np.inf, -np.inf, -5, 0, 1e30], np.float32), size)
    spoiled = np.where(inside, values, garbage)
    beyond = np.array([0, -1, np.nan, np.inf] + ([high, 2 * high] if high < np.inf else []), np.float32)
    other_depth = np.where(inside, depth, np.where(valid, rng.choice(beyond, size), garbage))
    other = score_map(DepthMap(spoiled, kind), GroundTruth(other_depth, valid), protocol, rules)
    assert one == other, "not a bit of it"
    assert one.pixels == inside.sum()

    place = tuple(rng.choice(np.argwhere(inside)))
    touched = values.copy()
    touched[place] += 2
    assert score_map(DepthMap(touched, kind), GroundTruth(depth, valid), protocol, rules) != one
    for bad in (np.nan, np.inf, -np.inf):
        touched[place] = bad
        with pytest.raises(BadInput, match=rf"not finite at 1 of {one.pixels} pixels that count"):
            score_map(DepthMap(touched, kind), GroundTruth(depth, valid), protocol, rules)


def test_the_bounds_of_the_range_are_strict():
    protocol, rules = changed("metric-single", "nyu", metric_crop="none", range={"low": 1.0, "high": 4.0})
    depth = np.array([[1.0, np.nextafter(np.float32(1), np.float32(2)), 2.0, np.nextafter(np.float32(4), 0), 4.0]])
    truth = GroundTruth(depth.astype(np.float32), np.ones((1, 5), bool))
    assert score_map(DepthMap(np.full((1, 5), 2.0), METRIC), truth, protocol, rules).pixels == 3


@given(small_sizes, seeds, st.booleans())
def test_delta1_is_the_same_in_both_spaces(size, seed, resized):
    in_depth, in_disparity = dense_protocol("dav2-table2"), dense_protocol("dav2-table2-disparity")
    truth = small_truth((size[0] * 2, size[1] * 2) if resized else size, seed, 2.0, 20.0)
    noise = np.random.default_rng(seed).uniform(0.9, 1.1, truth.size)
    values = 5 / (truth.depth * noise) + 1
    made = DepthMap(values[::2, ::2] if resized else values, DISPARITY)
    one = score_map(made, truth, in_depth, in_depth.rules("sintel"))
    other = score_map(made, truth, in_disparity, in_disparity.rules("sintel"))
    assert one.fit == other.fit
    if one.compared.clamped == 0:
        assert one.compared.values["delta1"] == other.compared.values["delta1"]
    assert resized or one.compared.clamped == 0, "the law was tested"


@pytest.mark.parametrize("name", ["marigold", "marigold-disparity"])
def test_the_fit_sees_a_nearest_neighbour_copy_and_the_metrics_see_all(name):
    protocol, rules = changed(name, "eth3d", fit_side=48)
    kind = TAKEN[name][0]
    truth, size = make_truth((64, 96), 40.0, measured=0.9), (64, 96)
    made = make_map(kind, size, 40.0)
    found = score_map(made, truth, protocol, rules)
    used = truth.valid & (truth.depth > 1e-5) & (truth.depth < np.inf)
    target = truth.depth.astype(float) if name == "marigold" else 1 / np.where(used, truth.depth, 1).astype(float)
    chosen = used[::2, ::2] & ((made.values[::2, ::2] > 0) | (name == "marigold"))
    p, t = made.values[::2, ::2][chosen].astype(float), target[::2, ::2][chosen]
    scale, shift = np.polyfit(p, t, 1)
    assert (found.fit.scale, found.fit.shift) == pytest.approx((scale, shift), rel=1e-9)
    assert found.pixels == used.sum(), "all pixels are compared"
    skipped = made.values.copy()
    skipped[1::2] += 1
    other = score_map(DepthMap(skipped, kind), truth, protocol, rules)
    assert other.fit == found.fit
    assert other.compared != found.compared


@pytest.mark.parametrize(("size", "side"), [((4032, 6048), 1024), ((6048, 4032), 1024), ((700, 1050), 1024)])
def test_that_copy_is_torchs(size, side):
    torch = pytest.importorskip("torch")
    factor = side / max(size)  # as Marigold's alignment asks torch for it
    taken = reference.subsample(size, side)
    for axis, count in enumerate(size):
        places = torch.arange(count, dtype=torch.float32)[None, None]
        expected = torch.nn.functional.interpolate(places, scale_factor=factor, mode="nearest")[0, 0].numpy()
        assert np.flatnonzero(taken.any(axis=1 - axis)).tolist() == expected.astype(int).tolist()


@pytest.mark.parametrize(
    ("size", "side"), [((64, 96), 48), ((64, 96), 70), ((91, 70), 24), ((43, 31), 31), ((58, 50), 40), ((64, 96), 96)]
)
def test_the_pixels_of_the_copy_are_those_of_exact_arithmetic(size, side):
    """One pixel at a time: a fit moves where a taken pixel changes, and only there."""
    protocol, rules = changed("marigold", "eth3d", fit_side=side)
    truth = GroundTruth(surface(size).astype(np.float32), np.ones(size, bool))
    made = make_map(AFFINE, size, 95.0)
    found = score_map(made, truth, protocol, rules)
    taken = reference.subsample(size, side) if side < max(size) else np.ones(size, bool)
    values = np.where(taken, made.values, 1e4 * np.random.default_rng(0).random(size)).astype(np.float32)
    assert score_map(DepthMap(values, AFFINE), truth, protocol, rules).fit == found.fit
    for place in np.random.default_rng(1).permutation(np.argwhere(taken))[:20]:
        values = made.values.copy()
        values[tuple(place)] += 50
        assert score_map(DepthMap(values, AFFINE), truth, protocol, rules).fit != found.fit


def test_only_positive_predictions_are_fitted_where_the_protocol_says_so():
    protocol = dense_protocol("marigold-disparity")
    rules, truth = protocol.rules("diode"), make_truth((48, 64), 40.0)
    values = make_map(DISPARITY, (48, 64), 40.0).values - np.float32(0.5)
    used = truth.valid & (truth.depth > 0)
    assert 0.1 < (values[used] > 0).mean() < 0.9
    found = score_map(DepthMap(values, DISPARITY), truth, protocol, rules)
    fitted = used & (values > 0)
    scale, shift = np.polyfit(values[fitted].astype(float), 1 / truth.depth[fitted].astype(float), 1)
    assert (found.fit.scale, found.fit.shift) == pytest.approx((scale, shift), rel=1e-9)
    assert found.pixels == used.sum()
    with pytest.raises(BadInput, match=r"no pixel is left to be fitted.*positive"):
        score_map(DepthMap(-np.abs(values), DISPARITY), truth, protocol, rules)


def test_the_robust_fit_is_no_worse_than_any_other_and_ignores_a_wrong_fifth():
    protocol, rules = changed("marigold", "diode", {"solver": "l1"})
    truth = small_truth((20, 30), 5)
    values = (truth.depth * 3 + 7).astype(np.float32)
    rng = np.random.default_rng(6)
    values[rng.random((20, 30)) < 0.2] = rng.choice(values.ravel())
    found = score_map(DepthMap(values, AFFINE), truth, protocol, rules)
    g, p = truth.depth[truth.valid].astype(float), values[truth.valid].astype(float)
    assert (found.fit.scale, found.fit.shift) == pytest.approx((1 / 3, -7 / 3), rel=1e-5)
    least = np.abs(found.fit.scale * p + found.fit.shift - g).sum()
    for scale, shift in np.random.default_rng(0).normal((1 / 3, -7 / 3), (0.01, 0.1), (200, 2)):
        assert least <= np.abs(scale * p + shift - g).sum()


def test_the_floor_may_be_the_farthest_measured_depth_of_the_image():
    protocol, rules = changed("dav2-table2", "eth3d", {"floor": "1/max truth"}, clamp={"low": None, "high": None})
    truth, made = make_truth((40, 60), 30.0), make_map(DISPARITY, (40, 60), 30.0)
    expected = reference.score(made.values, DISPARITY, truth.depth, truth.valid, protocol, rules)
    assert expected[4] > 0, "the floor was reached"
    assert_scored(score_map(made, truth, protocol, rules), expected)


def test_a_constant_map_gets_the_mean_and_says_that_it_is_degenerate():
    for name, dataset, kind in [("dav2-table2", "sintel", DISPARITY), ("marigold", "diode", AFFINE)]:
        protocol = dense_protocol(name)
        rules, truth = protocol.rules(dataset), small_truth((20, 30), 1, 1.0, 20.0)
        g = truth.depth[truth.valid].astype(float)
        level = (1 / g).mean() if kind is DISPARITY else g.mean()
        d = 1 / level if kind is DISPARITY else level
        for size in ((20, 30), (26, 39)):
            found = score_map(DepthMap(np.full(size, 0.1), kind), truth, protocol, rules)
            assert found.fit.degenerate
            assert (found.fit.scale, found.fit.shift) == (0, pytest.approx(level, rel=1e-12))
            assert found.compared.values["absrel@depth"] == pytest.approx(np.mean(np.abs(d - g) / g), rel=1e-9)


@pytest.mark.parametrize(("name", "dataset"), RUN)
def test_one_measured_pixel_can_be_scored(name, dataset):
    protocol = dense_protocol(name)
    rules = protocol.rules(dataset)
    size = (480, 640) if dataset == "nyu" else (64, 96)
    valid = np.zeros(size, bool)
    valid[48, 44] = True
    truth = GroundTruth(np.full(size, 4.0, np.float32), valid)
    found = score_map(DepthMap(np.full(size, 3.0), TAKEN[name][0]), truth, protocol, rules)
    assert found.pixels == 1
    fitted = protocol.alignment.solver != "none"
    first = next(value for metric, value in found.compared.values.items() if metric.startswith("absrel"))
    assert first == pytest.approx(0.0 if fitted else 0.25, abs=1e-12)
    assert found.fit.degenerate is (protocol.alignment.solver == "least squares")


def test_a_map_that_runs_the_wrong_way_keeps_its_negative_scale():
    protocol = dense_protocol("dav2-table2")
    rules, truth = protocol.rules("sintel"), make_truth((54, 128), 72.0)
    made = make_map(DISPARITY, (54, 128), 72.0)
    right, wrong = (score_map(DepthMap(s * made.values, DISPARITY), truth, protocol, rules) for s in (1, -1))
    assert wrong.fit.scale == pytest.approx(-right.fit.scale, rel=1e-12)
    assert wrong.fit.scale < 0
    assert same(right, wrong)


def test_a_median_that_is_not_positive_gives_depth_at_the_near_limit():
    protocol = dense_protocol("metric-median")
    rules, truth = protocol.rules("kitti"), small_truth((20, 60), 2)
    found = score_map(DepthMap(np.full((20, 60), -2.0), SCALE_FREE), truth, protocol, rules)
    g = truth.depth[truth.valid & reference.crop((20, 60), "garg")].astype(float)
    assert found.fit.degenerate
    assert found.compared.clamped == 1
    assert found.compared.values["absrel@depth"] == pytest.approx(np.mean((g - 0.001) / g), rel=1e-9)


@pytest.mark.parametrize("kind", [METRIC, SCALE_FREE])
@pytest.mark.parametrize(("bad", "message"), [(0.0, "0 or negative"), (-2.0, "0 or negative"), (np.inf, "not finite")])
def test_a_depth_without_a_disparity_is_refused_with_its_count(kind, bad, message):
    protocol = dense_protocol("dav2-table2")
    rules, truth = protocol.rules("sintel"), make_truth((20, 30), 30.0, measured=1.0)
    values = make_map(kind, (20, 30), 30.0).values.copy()
    places = np.argwhere(truth.depth > 0)[[3, 50, 99]]
    values[tuple(places.T)] = bad
    with pytest.raises(BadInput, match=message) as e:
        score_map(DepthMap(values, kind), truth, protocol, rules)
    assert f" at 3 of {(truth.depth > 0).sum()} pixels that count" in str(e.value)
    assert "\n" not in str(e.value)


def test_a_depth_of_0_or_less_is_limited_where_depths_are_compared():
    protocol = dense_protocol("metric-single")
    rules, truth = protocol.rules("kitti"), small_truth((20, 60), 4)
    values = np.where(np.arange(60) % 2, -truth.depth, truth.depth)
    found = score_map(DepthMap(values, METRIC), truth, protocol, rules)
    counted = truth.valid & reference.crop((20, 60), "garg")
    assert found.compared.nonpositive == found.compared.clamped == counted[:, 1::2].sum() / counted.sum()


def test_a_nan_that_is_resized_into_a_pixel_that_counts_spoils_the_image():
    protocol = dense_protocol("dav2-table2")
    rules, truth = protocol.rules("sintel"), small_truth((40, 60), 4, measured=1.0)
    values = make_map(DISPARITY, (32, 48), 40.0).values.copy()
    values[10, 10] = np.nan
    with pytest.raises(BadInput, match=r"the map is not finite at \d+ of 2400 pixels"):
        score_map(DepthMap(values, DISPARITY), truth, protocol, rules)
    away = np.ones((40, 60), bool)
    away[10:16, 10:16] = False
    hidden = score_map(DepthMap(values, DISPARITY), replace(truth, valid=away), protocol, rules)
    whole = np.nan_to_num(values, nan=1e9)
    assert hidden == score_map(DepthMap(whole, DISPARITY), replace(truth, valid=away), protocol, rules)


@pytest.mark.parametrize("why", ["nothing measured", "out of range", "outside the crop"])
def test_a_frame_without_a_pixel_that_counts_is_refused(why):
    protocol = dense_protocol("dav2-table2")
    rules = protocol.rules("kitti")
    depth, valid = np.full((40, 120), 5.0, np.float32), np.ones((40, 120), bool)
    if why == "nothing measured":
        valid[:] = False
    elif why == "out of range":
        depth[:] = 80.0
    else:
        valid[16:39] = False
    with pytest.raises(BadInput, match="no pixel of the measured depth is valid"):
        score_map(DepthMap(np.random.rand(40, 120), DISPARITY), GroundTruth(depth, valid), protocol, rules)


def test_another_aspect_is_refused_unless_it_is_declared():
    protocol = dense_protocol("dav2-table2")
    rules, truth = protocol.rules("sintel"), make_truth((54, 128), 72.0)
    for size in ((128, 54), (54, 54), (96, 96)):
        made = make_map(DISPARITY, size, 72.0)
        with pytest.raises(BadInput, match="another aspect ratio"):
            score_map(made, truth, protocol, rules)
        expected = reference.score(made.values, DISPARITY, truth.depth, truth.valid, protocol, rules)
        assert_scored(score_map(made, truth, protocol, rules, stretched=True), expected)


CROPS = {("metric-median", "kitti"): (375, 1242), ("metric", "nyu"): (480, 640)}
"""Crops of the metrics: Garg's, of another aspect than the frame, and Eigen's of NYU, of nearly the same."""


@pytest.mark.parametrize(("name", "dataset"), CROPS)
@pytest.mark.parametrize("stretched", [True, False])
def test_a_map_of_the_metrics_crop_is_refused(name, dataset, stretched):
    """Stretched over the frame it would be compared with other places, and NYU's aspect is too near to tell."""
    protocol = dense_protocol(name)
    rules, size = protocol.rules(dataset), CROPS[name, dataset]
    truth = make_truth(size, 10.0)
    inside = reference.crop(size, rules.metric_crop)
    cut = surface(size)[inside.any(axis=1)][:, inside.any(axis=0)]
    if stretched or dataset == "nyu":
        with pytest.raises(BadInput) as caught:
            score_map(DepthMap(cut, METRIC), truth, protocol, rules, stretched=stretched)
        rows, columns = cut.shape
        assert f"the protocol's crop of the metrics, {rows} x {columns}" in str(caught.value)
        assert f"the whole frame, {size[0]} x {size[1]}" in str(caught.value)
    else:
        with pytest.raises(BadInput, match="another aspect ratio"):
            score_map(DepthMap(cut, METRIC), truth, protocol, rules)
    for rows, columns in (cut.shape[0] - 1, cut.shape[1]), (cut.shape[0], cut.shape[1] + 1), size:
        made = make_map(METRIC, (rows, columns), 10.0)
        expected = reference.score(made.values, METRIC, truth.depth, truth.valid, protocol, rules)
        assert_scored(score_map(made, truth, protocol, rules, stretched=True), expected)


def test_a_map_of_a_frame_that_no_metric_crops_is_taken():
    protocol = dense_protocol("dav2-table2")
    rules, truth = protocol.rules("sintel"), make_truth((54, 128), 72.0)
    assert rules.metric_crop == "none"
    made = make_map(DISPARITY, (54, 128), 72.0)
    expected = reference.score(made.values, DISPARITY, truth.depth, truth.valid, protocol, rules)
    assert_scored(score_map(made, truth, protocol, rules), expected)


# What the model sees.


def test_kittis_crop_is_the_same_for_image_and_truth():
    rules = dense_protocol("marigold").rules("kitti")
    for size in SIZES["kitti"]:
        truth = make_truth(size, 80.0)
        frame = in_memory(truth)
        photo, whole = open_input(frame, rules), frame.open_photo().pixels
        assert (photo.size, photo.name) == ((352, 1216), "frame.png")
        for seen in (photo.pixels, np.asarray(photo), photo.copy().pixels, np.array(photo.copy())):
            np.testing.assert_array_equal(seen, reference.kb_crop(whole))
        cropped = read_truth(frame, rules)
        np.testing.assert_array_equal(cropped.depth, reference.kb_crop(truth.depth))
        np.testing.assert_array_equal(cropped.valid, reference.kb_crop(truth.valid))
    with pytest.raises(BadInput, match="352 x 1216"):
        open_input(in_memory(make_truth((54, 128), 72.0)), rules)
    with pytest.raises(BadInput, match="352 x 1216"):
        read_truth(in_memory(make_truth((54, 128), 72.0)), rules)


def test_a_crop_of_a_file_is_decoded_and_named_as_the_file(tmp_path):
    from PIL import Image

    rules = dense_protocol("marigold").rules("kitti")
    pixels = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = Photo.open(tmp_path / "a.png", "x/a.png")
    photo = open_input(Frame("x/a.png", (), lambda: whole, lambda: make_truth((375, 1242), 80.0)), rules)
    assert photo.load() == whole.digest
    np.testing.assert_array_equal(photo.pixels, reference.kb_crop(pixels))
    assert photo.name == "x/a.png"


class Uneven:
    """Answers with places in the image, so that a mirrored one is told from a plain one; spoils what it is given."""

    def __init__(self, kind=METRIC, size=None):
        self.kind, self.size = kind, size

    def predict(self, images):
        return [self.map_of(photo) for photo in images]

    def map_of(self, photo):
        pixels = np.asarray(photo.pixels)
        values = pixels[..., 0].astype(np.float32) * np.arange(1, pixels.shape[1] + 1) + pixels[..., 1]
        pixels[:] = 0
        return DepthMap(values if self.size is None else reference.resized(values, self.size, True), self.kind)


@pytest.mark.parametrize("size", [None, (9, 13)])
def test_flip_averaging_is_the_mean_of_the_map_and_the_mirrored_images_map_mirrored_back(size):
    pixels = np.random.default_rng(2).integers(0, 256, (3, 18, 25, 3), np.uint8)
    photos = [Photo.from_array(p.copy(), f"{i}.png") for i, p in enumerate(pixels)]
    protocol = dense_protocol("metric")
    model = prepare_model(as_model(Uneven(size=size), None, "kept"), protocol, protocol.rules("nyu"))
    maps = model.predict(photos)
    for photo, seen, found in zip(photos, pixels, maps, strict=True):
        np.testing.assert_array_equal(photo.pixels, seen, "the photo is not the model's to change")
        plain = Uneven(size=size).map_of(Photo.from_array(seen.copy())).values.astype(float)
        mirrored = Uneven(size=size).map_of(Photo.from_array(seen[:, ::-1].copy())).values.astype(float)
        np.testing.assert_allclose(found.values, (plain + mirrored[:, ::-1]) / 2, rtol=1e-6)
        assert not np.allclose(found.values, plain)
        assert found.kind is METRIC


def test_no_flip_is_added_where_the_protocol_has_none():
    model = as_model(Uneven(), None, "kept")
    for name in set(TAKEN) - {"metric"}:
        for rules in dense_protocol(name).datasets.values():
            assert prepare_model(model, dense_protocol(name), rules) is model


def test_a_flip_of_an_input_crop_is_of_the_crop():
    protocol = dense_protocol("metric")
    frame = in_memory(make_truth((375, 1242), 80.0))
    rules = protocol.rules("kitti")
    photo = open_input(frame, rules)
    seen = reference.kb_crop(frame.open_photo().pixels)
    (found,) = prepare_model(as_model(Uneven(), None, "kept"), protocol, rules).predict([photo])
    plain = Uneven().map_of(Photo.from_array(seen.copy())).values.astype(float)
    mirrored = Uneven().map_of(Photo.from_array(seen[:, ::-1].copy())).values.astype(float)
    np.testing.assert_allclose(found.values, (plain + mirrored[:, ::-1]) / 2, rtol=1e-6)


def test_the_clamp_is_of_the_aligned_prediction_and_never_of_the_truth():
    protocol = dense_protocol("marigold")
    rules = protocol.rules("diode")
    assert (rules.clamp, rules.range.high) == (Clamp(low=0.6, high=350.0), None)
    truth = GroundTruth(np.array([[0.1, 0.2, 10.0, 400.0]], np.float32), np.ones((1, 4), bool))
    found = score_map(DepthMap(truth.depth, AFFINE), truth, protocol, rules)
    assert found.compared.clamped == 0.75
    expected = np.mean([0.5 / 0.1, 0.4 / 0.2, 0, 50 / 400])
    assert found.compared.values["absrel@depth"] == pytest.approx(expected, rel=1e-6)
