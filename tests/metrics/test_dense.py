"""Metrics against their definitions, written in one line each."""

import tracemalloc
from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from da2k.metrics.alignment import CHUNK, IDENTITY, Fit, least_squares
from da2k.metrics.dense import METRICS, compare


def within(d, g, power):
    with np.errstate(divide="ignore"):
        return np.mean((d > 0) & (np.maximum(d / g, g / d) < 1.25**power))


DEFINED = {
    "absrel@depth": lambda d, g: np.mean(np.abs(d - g) / g),
    "absrel@disparity": lambda d, g: np.mean(np.abs(d - g) / g),
    "sqrel@depth": lambda d, g: np.mean((d - g) ** 2 / g),
    "rmse@depth": lambda d, g: np.sqrt(np.mean((d - g) ** 2)),
    "rmse_log_e": lambda d, g: np.sqrt(np.mean((np.log(d) - np.log(g)) ** 2)),
    "mae_log_10": lambda d, g: np.mean(np.abs(np.log10(d) - np.log10(g))),
    "silog100": lambda d, g: 100 * np.std(np.log(d) - np.log(g)),
    "delta1": lambda d, g: within(d, g, 1),
    "delta2": lambda d, g: within(d, g, 2),
    "delta3": lambda d, g: within(d, g, 3),
    "delta1_exceeded_percent": lambda d, g: 100 * (1 - within(d, g, 1)),
}
SPACES = [("depth", "depth"), ("disparity", "depth"), ("disparity", "disparity")]


def taken_in(space):
    return [name for name, metric in METRICS.items() if metric.space in (None, space)]


def prepared(prediction, truth, fit, fitted_in, metrics_in, floor, low, high):
    """Aligned and limited prediction, truth, both in the space of the metrics, and which pixels were limited."""
    aligned = fit.scale * prediction.astype(np.float64) + fit.shift
    truth = truth.astype(np.float64)
    if metrics_in == "disparity":
        return aligned, 1 / truth, np.zeros(len(truth), bool), aligned <= 0
    floored = aligned < floor if fitted_in == "disparity" else np.zeros(len(truth), bool)
    depth = 1 / np.maximum(aligned, floor) if fitted_in == "disparity" else aligned
    limited = np.clip(depth, low, high)
    return limited, truth, floored | (np.abs(limited - depth) > 1e-12 * np.abs(depth)), aligned <= 0


def random_case(rng, count=None):
    """Depths of any range, and a prediction that is any line of depth or disparity, and noise."""
    count = count or int(rng.integers(1, 200))
    truth = (10 ** rng.uniform(-1, 2) * rng.uniform(0.05, 1, count)).astype(np.float32)
    fitted_in, metrics_in = SPACES[rng.integers(3)]
    target = truth.astype(np.float64) if fitted_in == "depth" else 1 / truth.astype(np.float64)
    noisy = target * np.exp(10 ** rng.uniform(-4, 0) * rng.standard_normal(count))
    noisy -= rng.choice([0, 0.2]) * target.mean()
    fit = Fit(float(rng.uniform(0.1, 9) * rng.choice([-1, 1])), float(rng.uniform(-5, 5)))
    prediction = ((noisy - fit.shift) / fit.scale).astype(rng.choice([np.float32, np.float64]))
    limits = {"floor": float(0.9 / truth.max()), "low": float(truth.min() * 0.7), "high": float(truth.max() * 1.1)}
    return prediction, truth, fit, fitted_in, metrics_in, limits


def check(prediction, truth, fit, fitted_in, metrics_in, limits):
    names = taken_in(metrics_in)
    given_limits = {k: v for k, v in limits.items() if k != "floor" or fitted_in == "disparity"}
    found = compare(prediction, truth, names, fit, fitted_in=fitted_in, metrics_in=metrics_in, **given_limits)
    d, g, clamped, nonpositive = prepared(prediction, truth, fit, fitted_in, metrics_in, **limits)
    assert list(found.values) == names
    for name in names:
        assert found.values[name] == pytest.approx(DEFINED[name](d, g), rel=1e-9, abs=1e-12), name
    assert found.clamped == pytest.approx(clamped.mean(), abs=1e-15)
    assert found.nonpositive == pytest.approx(nonpositive.mean(), abs=1e-15)
    return found


def test_every_metric_equals_its_definition_in_a_thousand_cases():
    rng = np.random.default_rng(11)
    found = [check(*random_case(rng)) for _ in range(1000)]
    assert sum(one.clamped > 0 for one in found) > 100
    assert sum(one.nonpositive > 0 for one in found) > 20
    assert sum(0 < one.values["delta1"] < 1 for one in found) > 200


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 77])
def test_every_metric_equals_its_definition_over_many_pixels(count):
    rng = np.random.default_rng(count)
    for _ in range(6):
        check(*random_case(rng, count))


def test_each_metric_alone_equals_itself_among_all():
    prediction, truth = np.random.default_rng(0).uniform(1, 9, (2, 500))
    names = taken_in("depth")
    together = compare(prediction, truth, names, fitted_in="depth", metrics_in="depth").values
    for name in names:
        assert compare(prediction, truth, [name], fitted_in="depth", metrics_in="depth").values == {
            name: together[name]
        }


def test_the_names_say_the_space_and_the_formula_where_there_are_several():
    assert set(METRICS) == set(DEFINED)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert (metric.space is None) is name.startswith("delta")
        assert name.endswith("@disparity") is (metric.space == "disparity")
        assert metric.better == ("higher" if name in ("delta1", "delta2", "delta3") else "lower")


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=50))
def test_deltas_are_equal_in_both_spaces(pairs):
    disparity, truth = np.array(pairs).T
    product = disparity * truth
    for power in (1, 2, 3):
        assume((np.abs(product / 1.25**power - 1) > 1e-12).all() and (np.abs(product * 1.25**power - 1) > 1e-12).all())
    names = [name for name in METRICS if name.startswith("delta")]
    in_depth = compare(disparity, truth, names, fitted_in="disparity", metrics_in="depth", floor=1e-3)
    assert in_depth.clamped == 0
    assert in_depth == compare(disparity, truth, names, fitted_in="disparity", metrics_in="disparity")


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("value", [1.0, 0.1, 3.7, 80.0])
def test_a_pixel_exactly_at_the_factor_is_outside(power, value):
    small = np.array([value], np.float32).astype(np.float64)
    large = small * 1.25**power
    assert large / 1.25**power == small
    for d, g in ((large, small), (small, large)):
        assert compare(d, g, [f"delta{power}"], fitted_in="depth", metrics_in="depth").values == {f"delta{power}": 0}
        nearer = d * (1 - 1e-9) if d > g else d * (1 + 1e-9)
        found = compare(nearer, g, [f"delta{power}"], fitted_in="depth", metrics_in="depth")
        assert found.values == {f"delta{power}": 1}


@pytest.mark.parametrize("value", [0.0, -0.0, -2.0, -1e-30])
@pytest.mark.parametrize("space", ["depth", "disparity"])
def test_a_value_that_is_not_positive_is_outside_every_delta(value, space):
    names = ["delta1", "delta2", "delta3", "delta1_exceeded_percent"]
    found = compare(np.array([value, 2.0]), np.array([2.0, 0.5]), names, fitted_in=space, metrics_in=space)
    hit = 0.5 if space == "disparity" else 0.0
    assert found.values == {"delta1": hit, "delta2": hit, "delta3": hit, "delta1_exceeded_percent": 100 * (1 - hit)}
    assert found.nonpositive == 0.5


def test_a_disparity_below_the_floor_becomes_the_depth_of_the_floor():
    disparity, truth = np.array([-3.0, 0.0, 1e-9, 0.5]), np.array([40.0, 80.0, 20.0, 2.0])
    found = compare(
        disparity, truth, ["absrel@depth", "delta1"], fitted_in="disparity", metrics_in="depth", floor=1 / 80, high=80
    )
    assert found.values["absrel@depth"] == pytest.approx((1 + 0 + 3 + 0) / 4)
    assert found.values["delta1"] == 0.5
    assert (found.clamped, found.nonpositive) == (0.75, 0.5)


def test_the_range_limits_depths_that_the_floor_leaves():
    disparity = np.array([1e-3, 0.01, 0.1, 10.0])
    found = compare(
        disparity,
        np.full(4, 10.0),
        ["rmse@depth"],
        fitted_in="disparity",
        metrics_in="depth",
        floor=1e-3,
        low=1,
        high=50,
    )
    assert found.values["rmse@depth"] == pytest.approx(np.sqrt((40**2 + 40**2 + 0 + 9**2) / 4))
    assert found.clamped == 0.75


def test_disparities_compared_as_such_are_not_limited():
    disparity, truth = np.array([-1.0, 0.25]), np.array([2.0, 4.0])
    found = compare(
        disparity, truth, ["absrel@disparity"], fitted_in="disparity", metrics_in="disparity", floor=0.1, low=1, high=5
    )
    assert found.values == {"absrel@disparity": pytest.approx((1.5 / 0.5 + 0) / 2)}
    assert (found.clamped, found.nonpositive) == (0, 0.5)


positive = st.floats(0.1, 100)
maps = st.lists(st.tuples(positive, positive), min_size=1, max_size=50).map(lambda pairs: np.array(pairs).T)


def depths(prediction, truth, **more):
    return compare(prediction, truth, taken_in("depth"), fitted_in="depth", metrics_in="depth", **more).values


@given(maps)
def test_a_perfect_prediction_is_perfect(both):
    truth = both[1]
    for name, value in depths(truth, truth).items():
        assert value == (1 if METRICS[name].better == "higher" else 0), name


@given(maps, st.integers(-5, 5))
def test_another_unit_of_length_changes_only_metrics_in_metres(both, power):
    factor = 2.0**power
    before, after = depths(*both), depths(*(factor * both))
    for name, value in before.items():
        changed = value * factor if METRICS[name].unit == "m" else value
        assert after[name] == pytest.approx(changed, rel=1e-9, abs=1e-12), name


@given(maps, positive)
def test_silog_does_not_see_the_scale(both, factor):
    prediction, truth = both
    assert depths(factor * prediction, truth)["silog100"] == pytest.approx(depths(*both)["silog100"], abs=1e-9)


@given(maps, st.randoms())
def test_the_order_of_pixels_does_not_matter(both, random):
    order = list(range(both.shape[1]))
    random.shuffle(order)
    assert depths(*both[:, order]) == pytest.approx(depths(*both), rel=1e-9, abs=1e-12)


@given(maps)
def test_inequalities_between_metrics(both):
    found = depths(*both)
    assert 0 <= found["delta1"] <= found["delta2"] <= found["delta3"] <= 1
    assert found["delta1_exceeded_percent"] == pytest.approx(100 - 100 * found["delta1"])
    assert found["silog100"] / 100 <= found["rmse_log_e"] * (1 + 1e-9) + 1e-12
    assert found["mae_log_10"] * np.log(10) <= found["rmse_log_e"] * (1 + 1e-9) + 1e-12


def test_silog_keeps_its_digits_where_the_scale_is_far_off():
    """mean e^2 - (mean e)^2, taken as written, would have no digit left."""
    truth = np.random.default_rng(0).uniform(1, 80, 5000)
    prediction = 1e6 * truth * np.exp(1e-7 * np.random.default_rng(1).standard_normal(5000))
    expected = 100 * np.std(np.log1p((prediction / 1e6 - truth) / truth))
    assert depths(prediction, truth)["silog100"] == pytest.approx(expected, rel=1e-6)


def test_a_scale_and_shift_are_undone_by_the_fit():
    truth = np.random.default_rng(0).uniform(1, 70, 1000)
    prediction = 40 / truth - 3
    fit = least_squares(prediction, truth, inverse=True)
    found = compare(prediction, truth, taken_in("depth"), fit, fitted_in="disparity", metrics_in="depth", floor=1 / 80)
    assert found.values["absrel@depth"] < 1e-13
    assert found.values["delta1"] == 1


@pytest.mark.parametrize("name", ["rmse_log_e", "mae_log_10", "silog100"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_logarithm_of_what_is_not_positive_is_refused_unless_it_is_limited(name, value):
    prediction, truth = np.array([1.0, value, 2.0]), np.ones(3)
    with pytest.raises(ValueError, match=f"{name} needs a low limit: 1 of 3"):
        compare(prediction, truth, ["delta1", name], fitted_in="depth", metrics_in="depth")
    found = compare(prediction, truth, ["delta1", name], fitted_in="depth", metrics_in="depth", low=1e-3)
    assert found.values[name] == pytest.approx(DEFINED[name](np.array([1.0, 1e-3, 2.0]), truth))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": ["absrel"]}, 'no metric "absrel"'),
        ({"names": ["absrel@disparity"]}, "not taken in depth"),
        ({"metrics_in": "disparity"}, "not compared as disparities"),
        ({"fitted_in": "disparity"}, "floor above 0 is needed"),
        ({"fitted_in": "disparity", "floor": 0.0}, "floor above 0 is needed"),
        ({"fitted_in": "disparity", "floor": nan}, "floor above 0 is needed"),
        ({"floor": 0.1}, "floor is for aligned disparities"),
        ({"low": 3.0, "high": 2.0}, "leave nothing"),
        ({"fitted_in": "disparity", "floor": 1.0, "low": 2.0}, "leave nothing"),
    ],
)
def test_what_does_not_go_together_is_refused(more, message):
    asked = {"names": ["delta1"], "fitted_in": "depth", "metrics_in": "depth", **more}
    with pytest.raises(ValueError, match=message):
        compare(np.ones(3), np.ones(3), asked.pop("names"), **asked)


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("where", [0, CHUNK + 3])
@pytest.mark.parametrize("name", ["delta1", "absrel@depth"])
def test_a_prediction_that_is_not_finite_is_refused_and_not_clamped(value, where, name):
    prediction = np.ones(CHUNK + 9, np.float32)
    prediction[where] = value
    with pytest.raises(ValueError, match="not finite"):
        compare(prediction, np.ones(CHUNK + 9), [name], fitted_in="depth", metrics_in="depth", low=0.5, high=2)


@pytest.mark.parametrize(("prediction", "truth"), [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_unequal_shapes_and_no_pixel_are_refused(prediction, truth):
    with pytest.raises(ValueError, match="one value a pixel"):
        compare(np.ones(prediction), np.ones(truth), ["delta1"], IDENTITY, fitted_in="depth", metrics_in="depth")


def test_a_truth_of_zero_is_refused():
    with pytest.raises(ValueError, match="truth is 0"):
        compare(np.ones(2), np.array([0.0, 1.0]), ["absrel@depth"], fitted_in="depth", metrics_in="depth")


def test_comparing_holds_little_memory_and_leaves_its_arguments_alone():
    prediction, truth = np.random.default_rng(0).uniform(1, 9, (2, 4_000_000)).astype(np.float32)
    prediction.flags.writeable = truth.flags.writeable = False
    tracemalloc.start()
    compare(prediction, truth, taken_in("depth"), fitted_in="disparity", metrics_in="depth", floor=0.1, high=9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < prediction.nbytes / 8
