"""Paired comparison of results on measured depth, against tests computed another way."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from math import nan

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import da2k
from da2k.cli.dense_tables import print_dense_comparison, print_dense_result
from da2k.datasets.frames import Frame, FrameSet, GroundTruth
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput
from da2k.evaluation.dense import evaluate_dense
from da2k.evaluation.dense.compare import PairedMeans, compare_dense
from da2k.evaluation.dense.rows import columns
from da2k.evaluation.saving import save_result
from da2k.images import Photo
from da2k.metrics.resampling import bootstrap_means, sign_flip_p
from da2k.results import DenseResult

RUN = {
    "da2k_version": "0.1.0",
    "commit": None,
    "python": "3.12",
    "packages": {},
    "device": "cpu",
    "dtype": "float32",
    "seed": None,
    "started": "2025-01-01T00:00:00+00:00",
    "seconds": 1.0,
    "images_per_second": 1.0,
}


def write(path, values, *, failures=None, model="net", expected=None, resamples=500, **records):
    """Write a result whose rows are these: per image, in the order given, the values of each metric."""
    failures = failures or {}
    metrics = [*next(iter(values.values()), {})]
    rng = np.random.default_rng(len(values))
    own = {"kind": "affine_disparity", "pixels": 9, "scale": 1.0, "shift": 0.0, "degenerate": False, "nonpositive": 0.0}
    rows = [
        {**own, "image": image, "clamped": float(rng.random() / 50), "failure": None, **here}
        for image, here in values.items()
    ]
    clamped = [row["clamped"] for row in rows]
    rows += [
        {"image": image, "kind": None, "pixels": 0, "clamped": nan, "failure": reason, **dict.fromkeys(metrics, nan)}
        for image, reason in failures.items()
    ]
    table = np.array([list(here.values()) for here in values.values()])
    expected = expected or len(rows)
    absent = expected - len(rows)
    benchmark = {"name": "kitti", "reader": "kitti-annotated", "digest": "0" * 64, "partial": absent > 0}
    intervals = bootstrap_means(table, level=0.9, resamples=resamples) if values else []
    result = DenseResult.model_validate_json(
        json.dumps(
            {
                "schema_version": 1,
                "benchmark": benchmark,
                "protocol": {"name": "midas", "digest": "1" * 64},
                "model": {"name": model, "spec": f"predictions:{model}", "kind": "affine_disparity"},
                "run": RUN,
                "images": {
                    "expected": expected,
                    "scored": len(values),
                    "failed": len(failures),
                    "absent": absent,
                },
                "metrics": {
                    name: {"mean": float(table[:, i].mean()), "interval": list(map(float, intervals[i]))}
                    for i, name in enumerate(metrics)
                },
                "level": 0.9,
                "resamples": resamples,
                "clamped": float(np.mean(clamped)) if clamped else 0.0,
                "failures": [{"image": image, "reason": reason} for image, reason in failures.items()],
                **records,
            }
        )
    )
    save_result(result, rows, columns(metrics), path)
    return path


def images(count):
    return [f"drive/{i:03}.png" for i in range(count)]


def made(count, seed, *, absrel=0.1, delta1=0.9, spread=0.02):
    """Values of two metrics, one of each direction, for so many images, and the images in a random order."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(images(count)).tolist()
    return {name: {"absrel@depth": rng.normal(absrel, spread), "delta1": rng.normal(delta1, spread)} for name in names}


def column(values, metric, names):
    return np.array([values[name][metric] for name in names])


def share_of_all_flips(differences):
    """Of all 2 ** n ways to give each its sign, the share whose sum is as far from 0; in rational arithmetic."""
    sums = [Fraction(0)]
    for value in map(Fraction, differences):
        sums = [total + signed for total in sums for signed in (value, -value)]
    return sum(abs(total) >= abs(sums[0]) for total in sums) / len(sums)


@pytest.mark.parametrize("count", range(1, 14))
def test_p_of_few_images_is_exact(tmp_path, count):
    """Up to 13 images, 2 ** 13 flips, there is no chance in p; it is a whole number of flips."""
    a, b = made(count, 1), made(count, 2, absrel=0.115, delta1=0.895)
    for test in compare_dense([write(tmp_path / "a.json", a), write(tmp_path / "b.json", b, model="other")]):
        differences = column(a, test.metric, images(count)) - column(b, test.metric, images(count))
        assert test.p == share_of_all_flips(differences)
        assert (test.p * 2**count).is_integer()
        assert test.p >= 2.0 ** (1 - count)


@pytest.mark.parametrize("count", range(1, 14))
@pytest.mark.parametrize("model", ["alike", "one-sided", "tied", "whole numbers"])
def test_exact_flips_with_ties_and_extremes(count, model):
    rng = np.random.default_rng(count)
    differences = {
        "alike": rng.normal(0, 1, count),
        "one-sided": rng.uniform(1, 2, count),
        "tied": rng.choice([-1, 0, 1], count),
        "whole numbers": rng.integers(-4, 5, count),
    }[model]
    exact = share_of_all_flips(differences.tolist())
    # Sums of tenths are rounded, and must not be told apart by that.
    assert sign_flip_p(differences) == sign_flip_p(differences / 10) == exact
    assert {sign_flip_p(differences, seed=seed) for seed in range(5)} == {exact}
    if model == "one-sided":
        assert exact == 2.0 ** (1 - count)


@pytest.mark.parametrize(("count", "draws"), [(14, 10_000), (15, 10_000), (12, 4095), (13, 8191)])
@pytest.mark.parametrize("shift", [0.0, 0.4, 0.8])
def test_random_flips_go_on_where_exact_ones_end(count, draws, shift):
    """On either side of the number of flips that are gone through, p is the same but for the chance of the draws."""
    differences = np.random.default_rng(count).normal(shift, 1, count)
    exact = share_of_all_flips(differences)
    assert sign_flip_p(differences, resamples=2**count) == exact
    drawn = {sign_flip_p(differences, resamples=draws, seed=seed) for seed in range(5)}
    assert len(drawn) > 1
    for p in drawn:
        assert p == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / draws) + 1 / draws)


def test_p_is_that_of_all_sign_flips(tmp_path):
    a, b = made(12, 1), made(12, 2, absrel=0.115, delta1=0.895)
    tests = compare_dense([write(tmp_path / "a.json", a), write(tmp_path / "b.json", b, model="other")])
    assert [test.metric for test in tests] == ["absrel@depth", "delta1"]
    for test in tests:
        pair = [column(values, test.metric, images(12)) for values in (a, b)]
        exact = stats.permutation_test(
            pair, lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, vectorized=False
        ).pvalue
        assert 0.001 < exact < 0.9
        assert test.p == pytest.approx(exact, rel=1e-12)
        assert (test.mean_a, test.mean_b) == pytest.approx((pair[0].mean(), pair[1].mean()), rel=1e-12)
        assert test.difference == pytest.approx(np.mean(pair[0] - pair[1]), rel=1e-9)
        assert (test.a, test.b, test.images, test.unscored_a, test.unscored_b) == ("net", "other", 12, 0, 0)


def test_the_interval_is_scipys_bootstrap_of_the_differences(tmp_path):
    a, b = made(80, 1), made(80, 2, absrel=0.105)
    tests = compare_dense([write(tmp_path / "a.json", a), write(tmp_path / "b.json", b)])
    for test in tests:
        differences = column(a, test.metric, images(80)) - column(b, test.metric, images(80))
        rng = np.random.default_rng(9)
        known = stats.bootstrap((differences,), np.mean, n_resamples=100_000, method="percentile", rng=rng)
        low, high = known.confidence_interval
        assert test.interval == pytest.approx((low, high), abs=0.04 * (high - low))
        assert test.interval[0] < test.difference < test.interval[1]


def test_holm_over_the_metrics_equals_statsmodels(tmp_path):
    rng = np.random.default_rng(5)
    names = ("absrel@depth", "rmse@depth", "delta1", "silog100")
    paths = [
        write(
            tmp_path / f"{k}.json",
            {i: {n: rng.normal(1 + k * j / 20, 0.2) for j, n in enumerate(names)} for i in images(30)},
        )
        for k in (0, 1)
    ]
    tests = compare_dense(paths)
    assert [test.metric for test in tests] == list(names)
    reject, corrected, *_ = multipletests([test.p for test in tests], method="holm")
    assert [test.p_holm for test in tests] == pytest.approx(corrected, rel=1e-12)
    assert [test.separable for test in tests] == reject.tolist()
    assert {test.separable for test in tests} == {True, False}


@pytest.mark.parametrize(("metric", "winner"), [("rmse@depth", "a"), ("delta1", "b"), ("delta1_exceeded_percent", "a")])
def test_which_is_better_follows_the_metrics_direction(tmp_path, metric, winner):
    low = {name: {metric: 0.5 + i / 1000} for i, name in enumerate(images(30))}
    high = {name: {metric: 0.6 + i / 1000} for i, name in enumerate(images(30))}
    high[images(30)[0]] = low[images(30)[0]]
    high[images(30)[1]] = {metric: 0.1}
    (test,) = compare_dense([write(tmp_path / "a.json", low), write(tmp_path / "b.json", high)])
    assert (test.separable, test.better) == (True, winner)
    assert test.difference < 0
    assert (test.better_a, test.better_b) == ((28, 1) if winner == "a" else (1, 28))
    assert replace(test, p_holm=0.05).better is None


def test_models_that_never_differ_are_not_separable(tmp_path):
    values = made(20, 3)
    for test in compare_dense([write(tmp_path / "a.json", values), write(tmp_path / "b.json", values)]):
        assert (test.p, test.p_holm, test.separable, test.better) == (1, 1, False, None)
        assert (test.difference, test.interval, test.better_a, test.better_b) == (0, (0, 0), 0, 0)


def test_one_shared_image(tmp_path):
    a, b = made(1, 1), made(1, 2)
    for test in compare_dense([write(tmp_path / "a.json", a), write(tmp_path / "b.json", b)]):
        assert (test.images, test.p) == (1, 1)
        assert test.interval == pytest.approx((test.difference, test.difference), rel=1e-12)


def test_exchanging_the_models_exchanges_the_sides(tmp_path):
    a, b = made(25, 1), made(25, 2, absrel=0.12)
    del b[images(25)[3]]
    paths = [write(tmp_path / "a.json", a), write(tmp_path / "b.json", b)]
    for one, two in zip(compare_dense(paths), compare_dense(paths[::-1]), strict=True):
        assert (one.a, one.b, one.p, one.p_holm) == (two.b, two.a, two.p, two.p_holm)
        assert (one.mean_a, one.better_a, one.unscored_a) == (two.mean_b, two.better_b, two.unscored_b)
        assert one.difference == -two.difference
        assert one.interval == pytest.approx((-two.interval[1], -two.interval[0]), rel=1e-9)
        assert {one.better, two.better} in ({"a", "b"}, {None})


def test_only_images_that_both_scored_count(tmp_path):
    a, b = made(20, 1), made(20, 2)
    failed, absent = images(20)[:3], images(20)[18:]
    a_left = {name: values for name, values in a.items() if name not in failed}
    b_left = {name: values for name, values in b.items() if name not in absent}
    b_left[failed[0]] = {"absrel@depth": 1e6, "delta1": -1e6}
    paths = [
        write(tmp_path / "a.json", a_left, failures=dict.fromkeys(failed, "not finite"), expected=20),
        write(tmp_path / "b.json", b_left, expected=20),
    ]
    shared = images(20)[3:18]
    for test in compare_dense(paths):
        assert (test.images, test.unscored_a, test.unscored_b) == (15, 3, 2)
        assert test.mean_a == pytest.approx(column(a, test.metric, shared).mean(), rel=1e-12)
        assert test.mean_b == pytest.approx(column(b, test.metric, shared).mean(), rel=1e-12)
        differences = column(a, test.metric, shared) - column(b, test.metric, shared)
        assert test.better_a + test.better_b == 15
        assert test.better_a == sum(differences < 0 if test.metric == "absrel@depth" else differences > 0)


def test_every_two_are_compared_and_named_by_file_where_models_share_a_name(tmp_path):
    paths = [write(tmp_path / f"{k}.json", made(10, k)) for k in range(3)]
    tests = compare_dense(paths)
    stems = [str(tmp_path / str(k)) for k in range(3)]
    couples = [(stems[0], stems[1]), (stems[0], stems[2]), (stems[1], stems[2])]
    assert [(test.a, test.b) for test in tests] == [couple for couple in couples for _ in range(2)]


@pytest.fixture
def two(tmp_path):
    """Two results that can be compared; one image of the second failed."""
    values = made(15, 2)
    del values[images(15)[4]]
    write(tmp_path / "a.json", made(15, 1), model="ours")
    write(tmp_path / "b.json", values, failures={images(15)[4]: "the map is not finite"}, model="theirs")
    compare_dense([tmp_path / "a.json", tmp_path / "b.json"])
    return tmp_path


def refused(folder, *names):
    with pytest.raises(BadInput) as caught:
        compare_dense([folder / name for name in names or ("a.json", "b.json")])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_too_few_and_the_same_twice(two):
    assert "two results or more" in refused(two, "a.json")
    assert "given twice" in refused(two, "a.json", "b.json", "a.json")
    (two / "link.json").symlink_to(two / "a.json")
    assert "given twice" in refused(two, "a.json", "link.json")
    assert "none.json" in refused(two, "a.json", "none.json")


def test_other_work_is_named(two):
    values = made(15, 3)
    nyu = {"name": "nyu", "reader": "nyu-bts", "digest": "2" * 64}
    marigold, midas = {"name": "marigold", "digest": "3" * 64}, {"name": "midas", "digest": "4" * 64}
    kitti = {"name": "kitti", "reader": "kitti-annotated", "digest": "2" * 64}
    first = two / "a.json"
    for name, records, why in (
        ("frames", {"benchmark": nyu}, f"was scored on benchmark nyu, and {first} on kitti; only results on the same"),
        ("rules", {"protocol": marigold}, f"was scored on protocol marigold, and {first} on midas; only results on"),
        ("list", {"benchmark": kitti}, f"was scored on other content of benchmark kitti than {first} (another list or"),
        ("release", {"protocol": midas}, f"was scored on other content of protocol midas than {first} (another list"),
    ):
        file = write(two / f"{name}.json", values, **records)
        message = refused(two, "a.json", "b.json", file.name)
        assert message.startswith(f"{file}: {why}")
        assert f"(field {next(iter(records))}.digest)" in message


def test_results_on_pairs_are_refused_either_way(two, make_benchmark, noise):
    da2k.evaluate(noise(), make_benchmark(images=3), out=two / "pairs.json")
    for first, second, odd in (("a", "pairs", "pairs"), ("pairs", "a", "pairs")):
        message = refused(two, f"{first}.json", f"{second}.json")
        assert message.startswith(f"{two / odd}.json: is a result on pairs of points (bench)")
    for first, second in (("a", "pairs"), ("pairs", "a")):
        with pytest.raises(BadInput, match=r"a\.json: is a result on measured depth \(kitti\)"):
            da2k.compare([two / f"{first}.json", two / f"{second}.json"])


def test_nothing_in_common(two):
    here = {f"other/{name}": values for name, values in made(4, 1).items()}
    write(two / "elsewhere.json", here, model="elsewhere", expected=15)
    assert "ours and elsewhere have no scored image in common" in refused(two, "a.json", "elsewhere.json")
    write(two / "none.json", {}, failures={"x.png": "the map is missing"}, model="none")
    assert "ours and none have no scored image in common" in refused(two, "a.json", "none.json")


def forged(name, key, value):
    def edit(result):
        result[name][key] = value

    return edit


def shifted(result, by=1e-6):
    """A mean that is a little better, and its interval with it."""
    metric = result["metrics"]["absrel@depth"]
    metric["mean"] -= by
    metric["interval"] = [bound - by for bound in metric["interval"]]


def widened(result):
    result["metrics"]["delta1"]["interval"][1] += 1e-6


def one_failure_fewer(result):
    result["failures"] = []
    result["images"] |= {"failed": 0, "scored": 15}


def failed_twice(result):
    result["failures"] *= 2
    result["images"] |= {"failed": 2, "scored": 13}


FORGERIES = {
    "a better mean": (shifted, "field metrics.absrel@depth.mean does not follow from its rows"),
    "a wider interval": (widened, "field metrics.delta1.interval does not follow from its rows"),
    "another level": (lambda r: r.update(level=0.95), "field metrics.absrel@depth.interval does not follow"),
    "other resamples": (lambda r: r.update(resamples=499), "field metrics.absrel@depth.interval does not follow"),
    "no level": (lambda r: r.update(level=1.0), "level: Input should be less than 1"),
    "a level of 0": (lambda r: r.update(level=0.0), "level: Input should be greater than 0"),
    "no resamples": (lambda r: r.update(resamples=0), "resamples: Input should be greater than or equal to 1"),
    "resamples without end": (lambda r: r.update(resamples=10**6 + 1), "resamples: Input should be less than or equal"),
    "a failure named twice": (failed_twice, "failures: an image is named twice"),
    "an image unaccounted for": (lambda r: r["images"].update(expected=16), "are not the expected 16"),
    "absent ones of a whole copy": (lambda r: r["images"].update(expected=16, absent=1), "benchmark.partial: is true"),
    "a whole copy called partial": (forged("benchmark", "partial", True), "benchmark.partial: is true"),
    "less clamped": (lambda r: r.update(clamped=0.0), "field clamped does not follow"),
    "a failure hidden": (one_failure_fewer, "field images.scored does not follow"),
    "another reason": (lambda r: r["failures"][0].update(reason="cosmic rays"), "field failures does not follow"),
    "another image failed": (lambda r: r["failures"][0].update(image="drive/000.png"), "field failures does not"),
    "another kind": (forged("model", "kind", "metric_depth"), "field model.kind does not follow"),
    "a metric renamed": (lambda r: r["metrics"].update(rmse_log_e=r["metrics"].pop("delta1")), "no column rmse_log_e"),
    "a mean out of its interval": (lambda r: r["metrics"]["delta1"].update(mean=2.0), "metrics.delta1"),
    "no number": (lambda r: r["metrics"]["delta1"].update(mean=nan), "metrics.delta1.mean"),
    "rows elsewhere": (forged("rows", "file", "../rows.parquet"), "rows.file"),
    "no rows": (lambda r: r.update(rows=None), "names no file of rows"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_results_that_do_not_follow_from_their_rows_are_refused_by_field(two, forgery):
    edit, told = FORGERIES[forgery]
    content = json.loads((two / "b.json").read_text())
    edit(content)
    (two / "b.json").write_text(json.dumps(content))
    message = refused(two)
    assert told in message
    assert str(two / "b.") in message


def with_first(metric, value):
    def change(rows):
        rows = rows.astype({metric: object}) if isinstance(value, str) else rows
        rows.loc[0, metric] = value
        return rows

    return change


def as_text(rows):
    rows["delta1"] = rows["delta1"].astype(str) + " m"
    return rows


DAMAGES = {
    "no image": (with_first("image", None), "one without an image"),
    "an image twice": (lambda rows: pd.concat([rows, rows[:1]]), "name an image twice"),
    "a value that is NaN": (with_first("delta1", nan), "no finite delta1 for drive/"),
    "a value that is infinite": (with_first("absrel@depth", np.inf), "no finite absrel@depth for drive/"),
    "values that are text": (as_text, "no finite delta1 for drive/"),
    "no share of clamped pixels": (with_first("clamped", nan), "no finite clamped for drive/"),
    "a row fewer": (lambda rows: rows[1:], "images.scored does not follow"),
    "a column fewer": (lambda rows: rows.drop(columns="delta1"), "has no column delta1"),
    "another value": (with_first("delta1", 0.5), "metrics.delta1.mean does not follow"),
    "another kind": (with_first("kind", "metric_depth"), "model.kind does not follow"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_refused_on_one_line(two, damage):
    change, told = DAMAGES[damage]
    content = json.loads((two / "b.json").read_text())
    file = two / content["rows"]["file"]
    change(pd.read_parquet(file)).to_parquet(file)
    assert "SHA-256 differs" in refused(two)
    content["rows"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (two / "b.json").write_text(json.dumps(content))
    message = refused(two)
    assert told in message
    assert str(two / "b.") in message


def test_a_metric_that_does_not_exist_is_refused(two):
    write(two / "b.json", {name: {"stars": 5.0} for name in images(15)})
    assert "field metrics.stars: there is no such metric" in refused(two)


def test_the_tables_tell_the_tests(two, capsys):
    tests = compare_dense([two / "a.json", two / "b.json"])
    first = replace(tests[0], p=0.0001, p_holm=0.0002, difference=-0.0123, interval=(-0.02, -0.0041))
    print_dense_comparison([first, *tests[1:]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "A = ours",
        "B = theirs   (1 image scored by A only, and left out)",
        "14 images scored by both",
    ]
    assert [line.split()[0:2] for line in lines if line.startswith(("absrel", "delta1"))] == [
        ["absrel@depth", "↓"],
        ["delta1", "↑"],
    ]
    (row,) = (line for line in lines if line.startswith("absrel"))
    assert "-0.0123" in row
    assert "-0.0200 to -0.0041" in row
    assert row.split()[-3:] == ["<.001", "<.001", "A"]
    assert f"{first.mean_a:.4f}" in row


def test_the_table_of_a_result_tells_means_units_and_direction(two, capsys):
    result = da2k.results.read_any_result(
        write(two / "c.json", {"x": {"rmse@depth": 2.0, "delta1": 0.5}, "y": {"rmse@depth": 3.0, "delta1": 0.75}})
    )
    print_dense_result(result.model_copy(update={"clamped": 0.0123}))
    head, _, rmse, delta, clamped = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0].split() == ["metric"]
    assert "90 % int." in head
    assert rmse.split() == ["rmse@depth", "2.5000", "2.0000–3.0000", "m", "↓", "lower"]
    assert delta.split() == ["delta1", "0.6250", "0.5000–0.7500", "–", "↑", "higher"]
    assert clamped == "clamped: 1.2 % of pixels"
    print_dense_result(da2k.results.read_any_result(write(two / "d.json", {}, failures={"x": "the map is missing"})))
    assert capsys.readouterr().out == ""


def test_tests_are_plain_values_for_json(two):
    for test in compare_dense([two / "a.json", two / "b.json"]):
        fields = json.loads(json.dumps(asdict(test)))
        assert PairedMeans(**{**fields, "interval": tuple(fields["interval"])}) == test


def test_results_of_an_evaluation_follow_from_their_rows_whatever_the_order_of_the_list(tmp_path):
    rng = np.random.default_rng(0)
    truths = {f"{i}.png": rng.uniform(1, 9, (12, 16)).astype(np.float32) for i in (3, 0, 10, 2, 1, 7)}

    def frame(name):
        truth = GroundTruth(truths[name], np.ones((12, 16), bool))
        photo = Photo.from_array(np.full((12, 16, 3), 99, np.uint8), name)
        return Frame(name, (), lambda: photo, lambda: truth)

    frames = FrameSet("sintel", "sintel-final", tmp_path, tuple(map(frame, truths)), 1064, (), "4" * 64, True)

    class Noisy:
        def __init__(self, noise):
            self.noise = noise

        def predict(self, images):
            seeds = {name: i for i, name in enumerate(truths)}
            noise = [np.random.default_rng(seeds[photo.name]).normal(0, self.noise, (12, 16)) for photo in images]
            return [
                DepthMap(1 / truths[photo.name] + off, DepthKind.AFFINE_DISPARITY)
                for photo, off in zip(images, noise, strict=True)
            ]

    for name, noise in (("a", 0.01), ("b", 0.1)):
        evaluate_dense(Noisy(noise), frames, "dav2-table2", out=tmp_path / f"{name}.json")
    tests = compare_dense([tmp_path / "a.json", tmp_path / "b.json"])
    assert [(test.images, test.better_a, test.better_b) for test in tests] == [(6, 6, 0)] * len(tests)
    assert {test.metric: test.difference < 0 for test in tests} == {"absrel@depth": True, "delta1": False}


def test_importing_the_comparison_imports_nothing_heavy():
    check = (
        "import sys, da2k.evaluation.dense.compare, da2k.cli.dense_tables; "
        "print({'torch', 'scipy', 'pandas', 'pyarrow', 'matplotlib'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "set()\n"
