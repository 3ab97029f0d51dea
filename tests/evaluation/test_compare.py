"""Paired comparison against tests computed another way."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

import da2k
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput


class Skilled:
    """Puts a chosen share of the pairs right: pixels are looked up in the labels."""

    def __init__(self, root, share, seed):
        self.rng = np.random.default_rng(seed)
        self.share, self.labels = share, da2k.open_benchmark(root).by_image

    def predict(self, images):
        maps = []
        for photo in images:
            values = np.zeros(photo.size)
            for pair in self.labels[photo.name]:
                right = self.rng.random() < self.share
                values[pair.closer_point if right else pair.farther_point] = 1
            maps.append(DepthMap(values, DepthKind.AFFINE_DISPARITY))
        return maps


@pytest.fixture
def results(make_benchmark, tmp_path):
    root = make_benchmark(images=40, pairs=10)
    for name, share, seed in (("good", 0.95, 1), ("fair", 0.8, 2), ("twin", 0.8, 3)):
        da2k.evaluate(Skilled(root, share, seed), root, out=tmp_path / f"{name}.json")
    return tmp_path


def outcomes(path):
    result = da2k.read_result(path)
    from da2k.evaluation.rows import read_rows

    rows = read_rows(result, path)
    return {row.pair: (row.scenario, row.outcome == "correct") for row in rows.itertuples()}


def test_the_tests_equal_statsmodels_on_tables_counted_by_hand(results):
    tests = da2k.compare([results / "good.json", results / "fair.json"])
    a, b = outcomes(results / "good.json"), outcomes(results / "fair.json")
    assert [test.scenario for test in tests] == ["overall", *da2k.pairs.SCENARIOS]
    for test in tests:
        chosen = [pair for pair in a if test.scenario in ("overall", a[pair][0])]
        table = np.zeros((2, 2), int)
        for pair in chosen:
            table[int(not a[pair][1]), int(not b[pair][1])] += 1
        assert (test.only_a, test.only_b, test.pairs) == (table[0, 1], table[1, 0], len(chosen))
        assert test.p == pytest.approx(float(mcnemar(table, exact=True).pvalue), abs=1e-12)
        assert test.accuracy_a == table[0].sum() / len(chosen)
        assert test.p_holm >= test.p
    assert tests[0].separable


def test_equal_skill_is_not_separable_and_every_two_are_compared(results):
    tests = da2k.compare([results / f"{name}.json" for name in ("good", "fair", "twin")])
    overall = [test for test in tests if test.scenario == "overall"]
    assert len(overall) == 3
    assert [test.separable for test in overall] == [True, True, False]
    # All three results come from the same class, so files tell them apart.
    assert {overall[0].a, overall[0].b} == {str(results / "good"), str(results / "fair")}


def test_exchanging_the_models_exchanges_the_sides(results):
    one = da2k.compare([results / "good.json", results / "fair.json"])[0]
    two = da2k.compare([results / "fair.json", results / "good.json"])[0]
    assert (one.only_a, one.only_b, one.p) == (two.only_b, two.only_a, two.p)


def test_damaged_and_foreign_results_are_refused(results, make_benchmark, noise):
    other = make_benchmark(images=3, name="other", seed=9)
    da2k.evaluate(noise(), other, out=results / "other.json")
    with pytest.raises(BadInput, match=r"other\.json: was scored on benchmark other, and .*good\.json on bench; only"):
        da2k.compare([results / "good.json", results / "other.json"])
    da2k.evaluate(noise(), make_benchmark(images=3, name="bench", seed=9), out=results / "newer.json")
    with pytest.raises(
        BadInput, match=r"newer\.json: was scored on other content of benchmark bench than .*good\.json"
    ):
        da2k.compare([results / "good.json", results / "newer.json"])
    with pytest.raises(BadInput, match="two results or more"):
        da2k.compare([results / "good.json"])
    with pytest.raises(BadInput, match=r"none\.json"):
        da2k.compare([results / "good.json", results / "none.json"])
    file = results / da2k.read_result(results / "fair.json").rows.file
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BadInput, match="SHA-256 differs"):
        da2k.compare([results / "good.json", results / "fair.json"])
    file.unlink()
    with pytest.raises(BadInput, match="No such file"):
        da2k.compare([results / "good.json", results / "fair.json"])


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def better(r):
    """One pair more, in the counts, the scenario and both accuracies alike."""
    scenario = r["scenarios"]["indoor"]
    for counts in (r["counts"], scenario):
        counts["correct"] += 1
        counts["wrong"] -= 1
    scenario["accuracy"] = scenario["correct"] / scenario["total"]
    r["accuracy"]["micro"] = r["counts"]["correct"] / r["counts"]["total"]


FORGERIES = {
    "counts that do not add up": (lambda r: r["counts"].update(correct=400, wrong=400), "add up"),
    "an accuracy of its own": (lambda r: r["accuracy"].update(micro=0.99), "is not correct / total"),
    "a scenario's accuracy": (lambda r: r["scenarios"]["indoor"].update(accuracy=1.0), "scenarios.indoor.accuracy"),
    "scenarios that do not add up": (lambda r: r["scenarios"].pop("indoor"), "not the sum over the scenarios"),
    "an unknown field": (lambda r: r["model"].update(stars=5), "model.stars"),
    "another schema": (lambda r: r.update(schema_version=2), "schema_version"),
    "a count that is text": (lambda r: r["counts"].update(tied="0"), "counts.tied"),
    "not a number": (lambda r: r["accuracy"].update(macro=float("nan")), "accuracy.macro"),
    "no schema": (lambda r: r.pop("schema_version"), "schema_version"),
    "another kind": (lambda r: r["model"].update(kind="metric_depth"), "model.kind does not follow"),
    "another interval": (lambda r: r["accuracy"].update(interval=[0.7, 0.9]), "accuracy.interval does not follow"),
    "another mean of scenarios": (lambda r: r["accuracy"].update(macro=0.9), "accuracy.macro does not follow"),
    "better in every place at once": (lambda r: better(r), "counts does not follow from its rows"),
    "rows elsewhere": (lambda r: r["rows"].update(file="../" + r["rows"]["file"]), "rows.file"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_results_that_contradict_themselves_are_refused_by_field(results, forgery):
    edit, message = FORGERIES[forgery]
    change(results / "fair.json", edit)
    with pytest.raises(BadInput) as caught:
        da2k.compare([results / "good.json", results / "fair.json"])
    assert message in str(caught.value)
    assert "fair" in str(caught.value)


def test_a_scenario_may_be_called_overall(make_benchmark, tmp_path, noise):
    root = make_benchmark(images=3, pairs=4)
    (root / "images/outdoor").rename(root / "images/overall")
    labels = (root / "annotations.json").read_text().replace("images/outdoor", "images/overall")
    (root / "annotations.json").write_text(labels)
    for sign in (1.0, -1.0):
        da2k.evaluate(noise(sign=sign), root, out=tmp_path / f"{sign}.json")
    tests = da2k.compare([tmp_path / "1.0.json", tmp_path / "-1.0.json"])
    assert [test.pairs for test in tests if test.scenario == "overall"] == [12, 4]


def test_a_result_given_twice_is_refused(results):
    with pytest.raises(BadInput, match="given twice"):
        da2k.compare([results / "good.json", results / "fair.json", results / "good.json"])


def rewrite_rows(path, change):
    """Changed rows under a digest that matches them."""
    result = json.loads(path.read_text())
    file = path.with_name(result["rows"]["file"])
    change(file)
    result["rows"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    path.write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.write_bytes(b"no table"), "cannot be read as Parquet"),
        (lambda file: pd.read_parquet(file).drop(columns="pair").to_parquet(file), "has no column pair"),
        (lambda file: pd.read_parquet(file).assign(outcome="fine").to_parquet(file), "have an outcome fine"),
    ],
)
def test_rows_that_are_none_are_refused_on_one_line(results, change, message):
    rewrite_rows(results / "fair.json", change)
    with pytest.raises(BadInput, match=message):
        da2k.compare([results / "good.json", results / "fair.json"])
