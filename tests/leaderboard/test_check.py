"""Checking a submission: the score is right, everything wrong is told at once, and the row is always the same."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import da2k
from da2k.datasets.benchmarks import open_benchmark
from da2k.errors import BadInput
from da2k.leaderboard.submissions.check import check_submission
from da2k.leaderboard.submissions.problems import SHOWN
from tests.leaderboard.submissions import (
    check,
    declare,
    labels,
    pack,
    rewritten,
    told,
    true_outcomes,
    write_maps,
    write_result,
)


@pytest.fixture
def root(make_benchmark):
    return make_benchmark(images=9, pairs=7)


def outcomes(checked):
    counts = checked.row.result.counts
    return {name: getattr(counts, name) for name in ("correct", "wrong", "tied") if getattr(counts, name)}


def test_predictions_are_scored_here(root, tmp_path):
    checked = check(write_maps(tmp_path / "maps", root), root)
    assert not checked.problems
    assert outcomes(checked) == true_outcomes(root)
    assert checked.row.rescored
    assert checked.row.result.accuracy.micro == true_outcomes(root)["correct"] / (9 * 7)


def test_the_rows_are_those_that_evaluate_writes(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    checked = check(maps, root)
    da2k.evaluate(f"predictions:{maps}", root, out=tmp_path / "r.json")
    (rows,) = tmp_path.glob("r.*.parquet")
    assert checked.pairs == rows.read_bytes()
    assert checked.row.result.rows.sha256 == json.loads((tmp_path / "r.json").read_text())["rows"]["sha256"]


def test_a_result_gives_the_counts_and_rows_of_its_predictions(root, tmp_path):
    from_maps = check(write_maps(tmp_path / "maps", root), root)
    from_result = check(write_result(tmp_path, root), root)
    assert not from_result.problems
    assert not from_result.row.rescored
    assert from_result.pairs == from_maps.pairs
    for field in ("counts", "accuracy", "scenarios", "benchmark", "protocol", "rows"):
        assert getattr(from_result.row.result, field) == getattr(from_maps.row.result, field)


def test_what_is_told_of_the_weights(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root, licence="MIT", url="https://example.org/a", parameters=5, tta="flip")
    row = check(maps, root).row
    assert (row.licence, row.url, row.note) == ("MIT", "https://example.org/a", None)
    assert row.result.model.options == {"tta": "flip"}
    row = check(maps, root, licence="Apache-2.0", note="a <b>note</b>").row
    assert (row.licence, row.url, row.note) == ("Apache-2.0", "https://example.org/a", "a <b>note</b>")


def test_everything_that_is_wrong_with_predictions_is_told_at_once(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root, kind="depht", url="javascript:alert(1)", scael=2, parameters=-1)
    first, second, third, *_ = labels(root)
    (maps / first).with_suffix(".npy").unlink()
    np.save((maps / second).with_suffix(".npy"), np.zeros((3, 200)))
    shutil.copy((maps / third).with_suffix(".npy"), (maps / third).with_suffix(".pfm"))
    (maps / "notes.doc").write_text("x")
    np.save(maps / "images/indoor/of_no_image.npy", np.zeros((3, 3)))
    checked = check(maps, root, licence="", note="x" * 501)
    assert checked.row is None
    assert checked.pairs == b""
    assert {(p.file, p.field) for p in checked.problems} == {
        *((("predictions.yaml"), field) for field in ("kind", "url", "scael", "parameters")),
        *(("options", field) for field in ("licence", "note")),
        *((image, "") for image in (first, second, third, "notes.doc", "images/indoor/of_no_image.npy")),
    }
    text = told(checked)
    assert "Known: aspect, input_crop" in text or "did you mean" in text
    assert "metric_depth, scale_invariant_depth, affine_depth, affine_disparity" in text
    assert "another aspect ratio" in text
    assert "keep one map for" in text
    assert str(tmp_path) not in text
    assert all(p.what and p.todo for p in checked.problems)


def test_without_a_declaration_the_maps_are_still_looked_at(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    (maps / "predictions.yaml").unlink()
    first, *_ = labels(root)
    (maps / first).with_suffix(".npy").unlink()
    assert [(p.file, p.field) for p in check(maps, root).problems] == [("predictions.yaml", ""), (first, "")]


def test_many_missing_maps_are_counted(make_benchmark, tmp_path):
    root = make_benchmark(images=30, pairs=1)
    maps = write_maps(tmp_path / "maps", root)
    shutil.rmtree(maps / "images")
    problems = check(maps, root).problems
    assert len(problems) == SHOWN + 1
    assert f"{30 - SHOWN} more images that failed" in str(problems[-1])


def test_failures_are_a_problem_unless_they_are_allowed_and_then_count_as_not_correct(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    whole = check(maps, root).row.result.counts
    for gone, image in enumerate(labels(root), start=1):
        (maps / image).with_suffix(".npy").unlink()
        assert check(maps, root).row is None
        result = check(maps, root, allow_failures=True).row.result
        assert result.counts.total == whole.total
        assert result.counts.missing == 7 * gone
        assert result.counts.correct <= whole.correct
        assert str(tmp_path) not in result.model_dump_json()
        whole = result.counts
    assert whole.correct == 0


def test_a_result_with_failures_is_treated_like_predictions_with_failures(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    first, *_ = labels(root)
    (maps / first).with_suffix(".npy").unlink()
    da2k.evaluate(f"predictions:{maps}", root, out=tmp_path / "r.json")
    assert [p.file for p in check(tmp_path / "r.json", root).problems] == [first]
    allowed = check(tmp_path / "r.json", root, allow_failures=True).row
    assert allowed.result.counts.missing == 7
    assert str(tmp_path) not in allowed.model_dump_json()


CHANGES = {
    "unknown field": ({"colour": "blue"}, "colour", "unknown field"),
    "unknown field below": ({"counts__colour": 3}, "counts.colour", "unknown field"),
    "not a number": ({"accuracy__micro": float("nan")}, "accuracy.micro", "finite number"),
    "infinite": ({"scenarios__indoor__accuracy": float("inf")}, "scenarios.indoor.accuracy", ""),
    "counts that do not add up": ({"counts__correct": 0}, "counts", "add up to"),
    "counts of a scenario that do not add up": ({"scenarios__indoor__tied": 99}, "scenarios.indoor", "add up to"),
    "accuracy that does not follow": ({"accuracy__micro": 0.999}, "accuracy.micro", "follows from the counts"),
    "macro that does not follow": ({"accuracy__macro": 0.999}, "accuracy.macro", "follows from the counts"),
    "interval that does not follow": ({"accuracy__interval": [0.9, 1.0]}, "accuracy.interval.0", "follows"),
    "interval of a scenario": ({"scenarios__indoor__interval": [0, 0.1]}, "scenarios.indoor.interval.1", "follows"),
    "accuracy of a scenario": ({"scenarios__indoor__accuracy": 0.999}, "scenarios.indoor.accuracy", "follows"),
    "another level": ({"accuracy__level": 0.5}, "accuracy.level", "0.95"),
    "other labels": ({"benchmark__digest": "0" * 64}, "benchmark.digest", "another release"),
    "another revision": ({"benchmark__revision": "2099"}, "benchmark.revision", "another release"),
    "a part": ({"benchmark__partial": True}, "benchmark.partial", "or a part"),
    "fewer images": ({"benchmark__images": 3}, "benchmark.images", "another release"),
    "other rules": ({"protocol__digest": "0" * 64}, "protocol.digest", "rules of this version"),
    "rules of another name": ({"protocol__name": "mine"}, "protocol.name", "rules of this version"),
    "other version": ({"schema_version": 2}, "schema_version", ""),
    "no rows": ({"rows": None}, "rows", "no count can be checked"),
    "rows elsewhere": ({"rows__file": "../result.parquet"}, "rows.file", "pattern"),
    "rows with another digest": ({"rows__sha256": "0" * 64}, "", "is not the file that the result was written with"),
    "another kind": ({"model__kind": "metric_depth"}, "model.kind", "the rows are of affine_disparity"),
    "no kind": ({"model__kind": None}, "model.kind", "the rows are of affine_disparity"),
    "parameters": ({"model__parameters": 10**20}, "model.parameters", ""),
    "a floor": ({"model__name": "baseline:row"}, "model.name", "names the floors"),
    "a failure that was none": (
        {"failures": [{"image": "images/indoor/photo000.png", "reason": "x"}]},
        "failures",
        "did not fail by its rows",
    ),
    "a scenario that is not": ({"scenarios__moon": {"total": 0}}, "scenarios.moon.accuracy", "is missing"),
    "a long text": ({"run__device": "x" * 1_000_000}, "run.device", "1,000,000 characters"),
    "a hidden character": ({"warnings": ["a\u202eb"]}, "warnings.0", "U+202E"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_result_that_was_changed(root, tmp_path, name):
    change, field, what = CHANGES[name]
    checked = check(rewritten(write_result(tmp_path, root), **change), root)
    assert checked.row is None
    assert any(p.field == field and what in p.what + p.todo for p in checked.problems), told(checked)


def test_several_changes_to_a_result_are_told_at_once(root, tmp_path):
    names = ["unknown field", "another revision", "other rules", "interval of a scenario", "rows with another digest"]
    changes = {key: value for name in names for key, value in CHANGES[name][0].items()}
    problems = check(rewritten(write_result(tmp_path, root), **changes), root).problems
    assert {CHANGES[name][1] for name in names} <= {p.field for p in problems}


def change_rows(result, change):
    """The result with changed rows, their true digest, and no other mention of the change."""
    import hashlib

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = result.with_name(json.loads(result.read_text())["rows"]["file"])
    schema = pq.read_schema(path).remove_metadata()
    changed = change(pq.read_table(path).to_pandas())
    table = changed if isinstance(changed, pa.Table) else pa.Table.from_pandas(changed, schema, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path)
    return rewritten(result, rows__sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def with_value(column, value):
    return lambda rows: rows.assign(**{column: [value, *rows[column][1:]]})


def second_is_first(rows):
    return pd.concat([rows.iloc[:1], rows.iloc[:1], rows.iloc[2:]])


ROW_CHANGES = {
    "a pair twice": (second_is_first, "pair", "stands too often"),
    "a pair not there": (second_is_first, "pair", "has no row"),
    "an unknown pair": (with_value("pair", "images/indoor/x.png#0,0-1,1"), "pair", "is no pair of bench"),
    "a row too few": (lambda rows: rows.iloc[1:], "", "62 rows, and the benchmark 63 pairs"),
    "another scenario": (with_value("scenario", "moon"), "scenario", "the label says"),
    "another image": (with_value("image", "images/indoor/x.png"), "image", "the label says"),
    "another point": (with_value("closer_row", 1000), "closer_row", "the label says"),
    "an unknown outcome": (with_value("outcome", "great"), "outcome", '"great"'),
    "an unknown kind": (with_value("kind", "vibes"), "kind", '"vibes"'),
    "a value that gives another outcome": (
        lambda rows: rows.assign(value_closer=-rows["value_closer"] - 1),
        "outcome",
        "closer, ",
    ),
    "everything correct": (lambda rows: rows.assign(outcome="correct"), "outcome", "give "),
    "no value": (with_value("outcome", None), "outcome", "rows without a value"),
    "a column more": (lambda rows: with_column(rows), "extra", "unknown column"),
    "a column less": (lambda rows: with_column(rows).drop_columns(["extra", "kind"]), "kind", "is missing"),
    "text that is long": (with_value("image", "x" * 5000), "image", "more than 4,096 characters"),
}


def with_column(rows):
    import pyarrow as pa

    return pa.Table.from_pandas(rows.assign(extra=1), preserve_index=False)


@pytest.mark.parametrize("name", ROW_CHANGES)
def test_rows_that_were_changed(root, tmp_path, name):
    change, field, what = ROW_CHANGES[name]
    checked = check(change_rows(write_result(tmp_path, root), change), root)
    assert checked.row is None
    assert any(p.field == field and what in p.what for p in checked.problems), told(checked)


def test_consistent_lies_are_found_by_the_values(root, tmp_path):
    """Outcomes, counts, shares and digest all agree with each other, and not with the values."""
    from da2k.metrics.ordering import summarise
    from da2k.results import Counts

    result = change_rows(write_result(tmp_path, root), lambda rows: rows.assign(outcome="correct"))
    content = json.loads(result.read_text())
    counts = {name: Counts(total=s["total"], correct=s["total"]) for name, s in content["scenarios"].items()}
    overall, shares, scenarios = summarise(counts)
    told_counts = {name: s.model_dump(mode="json") for name, s in scenarios.items()}
    rewritten(result, counts=overall.model_dump(), accuracy=shares.model_dump(mode="json"), scenarios=told_counts)
    assert da2k.results.read_result(result).counts.correct == 63
    problems = check(result, root).problems
    assert {p.field for p in problems} <= {"outcome", ""}
    assert "give wrong" in told(check(result, root))


def test_counts_that_agree_with_each_other_and_not_with_the_rows(root, tmp_path):
    from da2k.metrics.ordering import summarise
    from da2k.results import Counts

    result = write_result(tmp_path, root)
    content = json.loads(result.read_text())
    counts = {name: Counts(total=s["total"], correct=s["total"]) for name, s in content["scenarios"].items()}
    overall, shares, scenarios = summarise(counts)
    stated = {name: s.model_dump(mode="json") for name, s in scenarios.items()}
    rewritten(result, counts=overall.model_dump(), accuracy=shares.model_dump(mode="json"), scenarios=stated)
    assert "and the rows give" in told(check(result, root))


def test_a_dense_result_and_no_result(root, tmp_path):
    for content, what in (
        ('{"metrics": {}}', "against measured depth"),
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "holds no fields"),
        ('{"rows": 1, "rows": 2}', "stands twice in one object"),
        (" " * (1 << 22) + "{}", "more than the 4,194,304 bytes"),
    ):
        (tmp_path / "r.json").write_text(content)
        assert what in told(check(tmp_path / "r.json", root))


def test_labels_that_repeat_and_oppose_each_other_have_rows_that_do_so_too(root, tmp_path):
    content = labels(root)
    first, second, *_ = content
    content[first].append(content[first][0])
    one = content[second][0]
    opposed = {**one, "point1": one["point2"], "point2": one["point1"]}
    content[second].append(opposed)
    (root / "annotations.json").write_text(json.dumps(content))
    checked = check(write_result(tmp_path, root), root)
    assert not checked.problems
    assert outcomes(checked) == true_outcomes(root)


def test_a_result_of_a_renamed_folder_is_kept_under_the_name_it_has_here(root, tmp_path):
    result = write_result(tmp_path, root)
    checked = check(rewritten(result, benchmark__name="another name"), root)
    assert checked.row.result.benchmark.name == "bench"


def test_a_baseline_is_handed_in_as_a_result(root, tmp_path):
    da2k.evaluate("baseline:row", root, out=tmp_path / "r.json")
    assert check(tmp_path / "r.json", root).row.result.model.name == "baseline:row"
    maps = write_maps(tmp_path / "maps", root, model="baseline:row")
    assert [p.field for p in check(maps, root).problems] == ["model"]


def test_no_path_of_the_submitter_stands_in_the_row(root, tmp_path):
    result = rewritten(
        write_result(tmp_path, root),
        model__spec="tflite:/home/ann smith/nets/small.tflite",
        model__options={"path": "/home/ann/x", "kind": "affine_disparity", "page": "https://example.org/a/b"},
        warnings=["/home/ann/a/b.npy: has 8 bits, 1/2 of images/s"],
    )
    kept = check(result, root).row.result
    assert kept.model.spec == "tflite:small.tflite"
    assert kept.model.options == {"path": "x", "kind": "affine_disparity", "page": "https://example.org/a/b"}
    assert kept.warnings == ["b.npy: has 8 bits, 1/2 of images/s"]
    assert (kept.run.started, kept.run.seconds) == ("", 0)


CODE = """
import sys
from da2k.datasets.benchmarks import open_benchmark
from da2k.leaderboard.submissions.check import check_submission
checked = check_submission(sys.argv[1], open_benchmark(sys.argv[2]), allow_failures=True)
sys.stdout.buffer.write(checked.row.model_dump_json(indent=1).encode() + checked.pairs)
"""


def test_the_same_submission_gives_the_same_bytes_anywhere(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    first, *_ = labels(root)
    (maps / first).with_suffix(".npy").write_bytes(b"damaged")
    shutil.copytree(maps, tmp_path / "another" / "place")
    (tmp_path / "tmp").mkdir()
    seen = set()
    for path in (maps, maps, tmp_path / "another" / "place", pack(maps, tmp_path / "a.zip", "wrapped/")):
        environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONHASHSEED": str(len(str(path)))}
        done = subprocess.run(
            [sys.executable, "-c", CODE, path, root], capture_output=True, check=True, env=environment
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert str(tmp_path).encode() not in seen.pop()


def test_a_benchmark_that_is_not_whole(root, tmp_path):
    from dataclasses import replace

    maps = write_maps(tmp_path / "maps", root)
    benchmark = replace(open_benchmark(root), partial=True)
    assert "is not whole here" in told(check_submission(maps, benchmark))
    (root / next(iter(labels(root)))).unlink()
    with pytest.raises(BadInput, match="1 of 9 image files are absent"):
        check(maps, root)


def test_progress_is_told(root, tmp_path):
    seen = []
    check(write_maps(tmp_path / "maps", root), root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 9) for n in range(1, 10)]


def test_readme_licence_and_what_predict_leaves_may_lie_beside_the_maps(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    for name in ("README.md", "LICENSE", "previews/images/a.png", ".predict.progress-wal"):
        (maps / name).parent.mkdir(parents=True, exist_ok=True)
        (maps / name).write_text("x")
    assert not check(maps, root).problems


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model: a\nmodel: b\nkind: affine_disparity\n", "stands twice"),
        ("a: &a {k: 1}\nmodel: {<<: *a}\n", "YAML aliases"),
        ("model: [\n", "cannot be read as YAML"),
        ("[" * 20_000, "cannot be read as YAML"),
        ("- model\n", "holds no fields"),
        ("", "holds no fields"),
        ("#" * 70_000, "70,000 bytes"),
        ("model: !!python/object/apply:os.system ['touch pwned']\n", "cannot be read as YAML"),
        (f"model: a\nkind: affine_disparity\nparameters: {'9' * 5000}\n", ""),
        ("model: a\nkind: affine_disparity\nrevision: 2024-01-01\n", "valid string"),
        ("model: a\nkind: affine_disparity\ninput_crop: kb\n", "cropped images"),
        ("model: a\nkind: affine_disparity\n1: 2\n", "unknown field"),
    ],
)
def test_declarations_that_are_refused(root, tmp_path, monkeypatch, text, what):
    monkeypatch.chdir(tmp_path)
    maps = write_maps(tmp_path / "maps", root)
    (maps / "predictions.yaml").write_text(text)
    checked = check(maps, root)
    assert checked.row is None
    assert what in told(checked)
    assert {p.file for p in checked.problems} == {"predictions.yaml"}
    assert not (tmp_path / "pwned").exists()


def test_fields_that_are_sound_are_used_although_another_is_not(root, tmp_path):
    """Else every map of a network that squeezes images would be told to have the wrong aspect."""
    maps = write_maps(tmp_path / "maps", root)
    for name in labels(root):
        np.save((maps / name).with_suffix(".npy"), np.ones((90, 10)))
    declare(maps, aspect="stretched", kind="no kind")
    assert [(p.file, p.field) for p in check(maps, root).problems] == [("predictions.yaml", "kind")]
