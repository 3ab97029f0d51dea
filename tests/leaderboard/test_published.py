"""Published numbers: those of the repository, against the facts they come from, and files that are refused."""

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from da2k.datasets.manifest import load_manifest
from da2k.errors import BadInput
from da2k.leaderboard.published import FILE, Published, load_published
from da2k.metrics.dense import METRICS
from da2k.metrics.intervals import wilson
from da2k.models.registry import zoo
from da2k.protocols import dense_protocol

BOARD = Path(__file__).resolve().parents[2] / "leaderboard"
AC = "Depth Anything AC, HVision-NKU"


@pytest.fixture(scope="module")
def published():
    return load_published(BOARD)


def facts(shared, name):
    return (shared / "data" / "facts" / name).read_text()


class TestTheRepositorysNumbers:
    def test_table_3(self, published, shared):
        paper = json.loads(facts(shared, "paper_tables_2_3_5_14.json"))["table3_accuracy_pct"]
        names = {"Geowizard": "GeoWizard"} | {f"DAv2 ViT-{s}": f"Depth Anything V2 ViT-{s}" for s in "SBLG"}
        rows = {row.model: row for row in published.rows if "Table 3" in row.source}
        assert {names.get(name, name) for name in paper} == set(rows)
        for name, percent in paper.items():
            row = rows[names.get(name, name)]
            assert 100 * row.accuracy == pytest.approx(percent, abs=1e-9)
            assert row.tier == "paper"
            assert row.approximate

    def test_table_14(self, published, shared):
        paper = json.loads(facts(shared, "paper_tables_2_3_5_14.json"))
        *scenarios, mean = paper["table14_columns"]
        assert mean == "mean"
        for name, values in paper["table14_accuracy_pct"].items():
            size, pseudo = name.split()[0], "pseudo" in name
            model = f"Depth Anything V2 {size}" + ("" if pseudo else ", synthetic labels only")
            [row] = [row for row in published.rows if row.model == model and "Table 14" in row.source]
            assert [100 * row.scenarios[scenario] for scenario in scenarios] == pytest.approx(values[:-1], abs=1e-9)
            assert 100 * row.accuracy == pytest.approx(values[-1], abs=1e-9)

    def test_a_third_party_s_exact_counts(self, published, shared):
        exact = json.loads(facts(shared, "derived_pair_counts_and_correct.json"))
        table = list(csv.DictReader(facts(shared, "third_party_da2k_per_scenario.csv").splitlines()))
        sizes = {"small": "S", "base": "B", "large": "L"}
        for name, counts in exact["models"].items():
            version, size = name.split("-")
            model = f"Depth Anything {version.upper()} ViT-{sizes[size]}"
            [row] = [row for row in published.rows if row.model == model and "maaz-zubairi" in row.source]
            assert (row.correct, row.total, row.tier) == (counts["total_correct"], 2068, "third party")
            assert row.scenario_counts == {
                scenario: (right, exact["pairs_per_scenario"][scenario])
                for scenario, right in counts["correct"].items()
            }
            assert row.interval == wilson(counts["total_correct"], 2068)
            assert not row.approximate
            printed = {each["metric"]: float(each["ours"]) for each in table if each["model"] == name}
            assert row.accuracy == pytest.approx(printed.pop("acc_overall"), rel=1e-12)
            assert {f"acc_{scenario}": share for scenario, share in row.scenarios.items()} == pytest.approx(printed)

    def test_counts_without_an_address(self, published, shared):
        told = (shared / "PROTOCOLS.md").read_text().partition("nontraining_experiments_package")[2].partition("\n")[0]
        totals = {size: int(n) for size, n in re.findall(r"([SBL]) \*\*(\d+)(?:/2068)? =", told)}
        counts = {
            size: [int(n) for n in each.split("/")] for size, each in re.findall(r"([SBL]) ((?:\d+/){7}\d+)", told)
        }
        rows = {row.model: row for row in published.rows if row.source_url is None}
        assert {f"Depth Anything V2 ViT-{size}" for size in "SBL"} == set(rows)
        for size in "SBL":
            row = rows[f"Depth Anything V2 ViT-{size}"]
            assert row.correct == totals[size] == sum(counts[size])
            order = ("indoor", "outdoor", "non_real", "transparent_reflective")
            order += ("adverse_style", "aerial", "underwater", "object")
            assert [row.scenario_counts[scenario][0] for scenario in order] == counts[size]
            assert (row.tier, "owner of this repository is unknown" in row.note) == ("third party", True)

    def test_another_third_party_s_shares(self, published, shared):
        table = list(csv.DictReader(facts(shared, "depthanythingac_da2k_conditions.csv").splitlines()))
        rows = [row for row in published.rows if row.source.startswith(AC)]
        assert len(rows) == len(table)
        for row, fact in zip(rows, table, strict=True):
            assert row.model.replace(" ", "").startswith(fact["method"].replace(" ", ""))
            assert row.accuracy == float(fact["DA-2K"])
            assert row.approximate
            assert "1029" in row.note
            assert "≈" in row.note

    def test_table_2(self, published, shared):
        paper = json.loads(facts(shared, "paper_tables_2_3_5_14.json"))
        names = {"DAv1": "Depth Anything V1", "DAv2": "Depth Anything V2"}
        datasets = {"KITTI": "kitti", "NYU-D": "nyu", "Sintel": "sintel", "ETH3D": "eth3d", "DIODE": "diode-indoor"}
        metrics = {"AbsRel": "absrel@depth", "d1": "delta1"}
        expected = {}
        for model, values in paper["table2"].items():
            family, _, rest = model.partition(" ")
            for column, value in zip(paper["table2_columns"], values, strict=True):
                dataset, metric = column.split()
                expected[f"{names.get(family, family)} {rest}", datasets[dataset], metrics[metric]] = value
        assert {(n.model, n.benchmark, n.metric): n.value for n in published.dense} == expected

    def test_table_2_is_what_the_protocol_is_anchored_to(self, published):
        sizes = {"small": "S", "base": "B", "large": "L", "giant": "G"}
        numbers = {(n.model, n.benchmark, n.metric): n.value for n in published.dense}
        anchors = [a for a in dense_protocol("dav2-table2").anchors if a.model.startswith("depth-anything")]
        assert len(anchors) >= 20
        for anchor in anchors:
            version = "V2" if "-v2-" in anchor.model else "V1"
            model = f"Depth Anything {version} ViT-{sizes[anchor.model.rpartition('-')[2]]}"
            assert numbers[model, anchor.dataset, anchor.metric] == anchor.value

    def test_names_are_those_that_results_have(self, published):
        expected = load_manifest()["da2k"].expected
        for row in published.rows:
            assert row.benchmark == "da2k"
            assert row.total == expected.pairs
            assert set(row.scenarios) in (set(), set(expected.scenarios))
            for scenario, (_, pairs) in row.scenario_counts.items():
                assert pairs == expected.scenarios[scenario]
        for number in published.dense:
            rules = dense_protocol(number.protocol)
            assert number.benchmark in rules.datasets
            assert number.metric in rules.metrics
            assert number.metric in METRICS

    def test_each_number_has_a_source_that_can_be_opened_or_says_why_not(self, published):
        for each in (*published.rows, *published.dense):
            assert each.source
            assert (each.source_url or "").startswith("https://") or "there is no address" in each.note

    def test_counts_that_are_derived_say_so(self, published):
        for row in published.rows:
            if "maaz-zubairi" in row.source:
                assert "derived from the printed share" in row.note

    def test_parameters_are_those_of_the_models_known_here(self, published):
        sizes = {"ViT-S": "small", "ViT-B": "base", "ViT-L": "large", "ViT-G": "giant"}
        others = {"Depth Pro": "depth-pro", "MiDaS V3.1 ViT-L": "midas-v3.1-beit-large-512"}
        found = set()
        for each in (*published.rows, *published.dense):
            if each.parameters is not None:
                *_, version, size = each.model.partition(",")[0].split()
                family = {"V1": "depth-anything-", "V2": "depth-anything-v2-"}.get(version, "")
                name = others.get(each.model) or family + sizes[size]
                known = zoo()[name].parameters
                assert each.parameters == round(float(known[:-1]) * {"M": 1e6, "B": 1e9}[known[-1]])
                found.add(name)
        assert len(found) == 9

    def test_only_the_benchmark_asked_for(self, published):
        assert published.on("da2k") == published.rows
        assert published.on("mini-da2k") == ()


GOOD = {
    "schema_version": 1,
    "ordering": [
        {
            "tier": "third party",
            "source": "somebody",
            "benchmark": "bench",
            "pairs": {"indoor": 10, "aerial": 30},
            "note": "all",
            "models": [
                {"model": "exact", "correct": {"indoor": 9, "aerial": 20}},
                {"model": "printed", "accuracy": 0.725, "scenarios": {"indoor": 0.9}, "note": "own"},
            ],
        }
    ],
    "dense": [
        {
            "tier": "paper",
            "source": "a table",
            "protocol": "dav2-table2",
            "columns": [["kitti", "delta1"]],
            "models": [{"model": "net", "values": [0.9]}],
        }
    ],
}


def write(tmp_path, content):
    (tmp_path / FILE).write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return tmp_path


def changed(path, value):
    """GOOD with another value at a path such as ordering.0.tier."""
    content = json.loads(json.dumps(GOOD))
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = content
    for part in way:
        place = place[part]
    place[last] = value
    return content


class TestFiles:
    def test_a_board_without_a_file_has_no_published_numbers(self, tmp_path):
        assert load_published(tmp_path) == Published()

    def test_shares_follow_from_exact_counts(self, tmp_path):
        exact, printed = load_published(write(tmp_path, GOOD)).rows
        assert (exact.accuracy, exact.correct, exact.total) == (29 / 40, 29, 40)
        assert exact.scenarios == {"indoor": 0.9, "aerial": 2 / 3}
        assert exact.scenario_counts == {"indoor": (9, 10), "aerial": (20, 30)}
        assert (printed.correct, printed.approximate, printed.interval) == (None, True, wilson(29, 40))
        assert (exact.note, printed.note) == ("all", "own; all")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("[", "is no YAML"),
            ("- 1", "whole file"),
            ("a: &a [1]\nb: *a\n", "line 2: has a YAML alias"),
            ("a: &a [*a]\n", "line 1: has a YAML alias"),
            ("a: &a {x: 1}\nb: {<<: *a}\n", "YAML alias"),
            ("x: " + "[" * 400_000, "more than 10 lists"),
            ("\n".join(f"{' ' * n}x:" for n in range(1000)), "line 11: has more than 10 lists"),
            ("#" * 1_000_001, "more than the 1,000,000 bytes"),
            (changed("x" * 100_000, 1), "x…: Extra"),
            ('schema_version: 1\n"a\\nb\\e": 1\n', "a<U"),
            ("x: 1\nx: 2\n", "stands twice"),
            (f"schema_version: {'9' * 5000}\n", "."),
            ("x: 2024-13-45\n", "."),
            ("x: \x00\n", "is no YAML"),
            (changed("schema_version", 2), "schema_version"),
            (changed("extra", 1), "extra"),
            (changed("ordering.0.tier", "measured"), r"ordering\.0\.tier"),
            (changed("ordering.0.source_url", "javascript:alert(1)"), r"ordering\.0\.source_url.*https"),
            (changed("ordering.0.source", "a‮b"), r"ordering\.0\.source.*U\+202E"),
            (changed("ordering.0.pairs", {"indoor": 0}), r"pairs\.indoor"),
            (changed("ordering.0.models.0.model", "x" * 10_000), r"models\.0\.model"),
            (changed("ordering.0.models.0.model", "printed"), "printed: is given twice"),
            (changed("ordering.0.models.0.correct", {"indoor": 9}), "exact: correct: aerial is missing"),
            (
                changed("ordering.0.models.0.correct", {"indoor": 11, "aerial": 3}),
                r"exact: correct\.indoor: is more than its 10 pairs",
            ),
            (changed("ordering.0.models.0.correct", {"indoor": 9, "aerial": 3, "moon": 1}), "moon is no scenario"),
            (changed("ordering.0.models.0.accuracy", 0.5), "not both"),
            (changed("ordering.0.models.1.accuracy", 97.1), r"models\.1\.accuracy"),
            (changed("ordering.0.models.1.accuracy", float("nan")), "."),
            (changed("ordering.0.models.1.scenarios", {"moon": 0.5}), "moon is no scenario"),
            (changed("ordering.0.models.1", {"model": "none"}), "accuracy: is missing"),
            (changed("dense.0.models.0.values", [0.9, 0.8]), "net: 2 values for 1 columns"),
            (changed("dense.0.models.0.values", ["0.9"]), r"dense\.0\.models\.0\.values"),
        ],
    )
    def test_what_is_wrong_is_named_on_one_line(self, tmp_path, content, says):
        with pytest.raises(BadInput, match=says) as caught:
            load_published(write(tmp_path, content))
        assert str(caught.value).startswith(str(tmp_path / FILE))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
