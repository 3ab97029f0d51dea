"""Checking a submission: the score is right, everything wrong is told at once, and the row is always the same."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import da2k
from da2k.datasets.benchmarks import open_benchmark
from da2k.errors import BadInput
from da2k.leaderboard.board import read_row
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import check_submission
from da2k.leaderboard.submissions.keeping import without_paths
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


def map_of(image):
    return image.replace(".png", ".npy")


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
        *((file, "") for file in (map_of(first), second, map_of(third), "notes.doc", "images/indoor/of_no_image.npy")),
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
    assert [(p.file, p.field) for p in check(maps, root).problems] == [("predictions.yaml", ""), (map_of(first), "")]


def test_many_missing_maps_are_counted(make_benchmark, tmp_path):
    root = make_benchmark(images=30, pairs=1)
    maps = write_maps(tmp_path / "maps", root)
    shutil.rmtree(maps / "images")
    first, second, *_ = labels(root)
    assert told(check(maps, root)).startswith(f"maps: 30 of 30 maps: missing, the first {map_of(first)}; make the map")
    write_maps(maps, root)
    for image in (first, second):
        (maps / map_of(image)).write_bytes(b"damaged")
    (problem,) = check(maps, root).problems
    assert problem.what.startswith("2 of 30 maps: not a .npy array")
    assert problem.what.endswith(f", the first {map_of(first)}")


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
    assert [p.file for p in check(tmp_path / "r.json", root).problems] == [map_of(first)]
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
    "impossibly fast": (
        {"run__images_per_second": 1e308},
        "run.images_per_second",
        "is 1e+308, and no device is so fast",
    ),
    "impossibly slow": ({"run__images_per_second": 1e-320}, "run.images_per_second", "and no device is so slow"),
    "without speed": ({"run__images_per_second": 0}, "run.images_per_second", "and no device is so slow"),
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


PATHS = {
    "/home/ann/maps/x.npy: is damaged": "x.npy: is damaged",
    "'/home/ann smith/my maps/x.npy' is damaged": "'x.npy' is damaged",
    "/home/ann smith/x.npy holds 1/2 of it": "x.npy holds 1/2 of it",
    "/home/o'brien, ann/x.npy": "x.npy",
    "/home/ann smith: no space is left": "…: no space is left",
    "no space in (/home/ann)": "no space in (…)",
    "/Users/ann/x": "x",
    "C:\\Users\\Ann Smith\\x.npy": "x.npy",
    "c:/Users/Ann Smith": "…",
    "\\\\server\\ann smith\\x.npy": "x.npy",
    "//server/ann/x.npy": "x.npy",
    "~/ann/x.npy": "x.npy",
    "~ann/maps/x.npy": "x.npy",
    "../ann/maps/x.npy": "x.npy",
    "..\\..\\ann smith\\x.npy": "x.npy",
    "./ann/x.npy": "x.npy",
    "file:///home/ann/x.onnx": "x.onnx",
    "file:///C:/Users/Ann%20Smith/x.onnx": "x.onnx",
    "FILE:ann/x.onnx": "x.onnx",
    "path=/home/ann/x:3": "path=x:3",
    "see https://example.org/home/b, or http://a.b/c": "see https://example.org/home/b, or http://a.b/c",
    "images/indoor/x.png: 1/2 of images/s, N/A and/or a / b": "images/indoor/x.png: 1/2 of images/s, N/A and/or a / b",
}


@pytest.mark.parametrize("text", PATHS)
def test_of_a_path_the_last_name_is_kept(text):
    assert without_paths(text) == PATHS[text]
    assert without_paths(PATHS[text]) == PATHS[text]


@given(st.lists(st.sampled_from(["ann smith", "Ann", "o'brien", "ann, jr", "(ann)", "ann.b"]), min_size=1, max_size=4))
@pytest.mark.parametrize(
    ("begin", "sign"),
    [("/", "/"), ("~/", "/"), ("../", "/"), ("file:///", "/"), ("C:\\", "\\"), ("\\\\", "\\"), ("..\\", "\\")],
)
def test_no_folder_s_name_is_kept(begin, sign, folders):
    assert without_paths(f"cannot read {begin}{sign.join(folders)}{sign}x.npy: damaged") == "cannot read x.npy: damaged"


@pytest.mark.parametrize(
    "folder", ["/home/ann: smith", '/mnt/"ann"', "ann/maps", "C:\\Users\\Ann;Smith", "file:///ann|b"]
)
def test_the_reason_of_a_failure_names_the_map_from_its_image_on(root, tmp_path, folder):
    maps = write_maps(tmp_path / "maps", root)
    first, *_ = labels(root)
    (maps / first).with_suffix(".npy").unlink()
    da2k.evaluate(f"predictions:{maps}", root, out=tmp_path / "r.json")
    file = first.rpartition(".")[0].replace("/", "\\" if "\\" in folder else "/") + ".npy"
    reason = f"OSError: {folder}/{file}: is damaged (1/2)"
    changed = rewritten(tmp_path / "r.json", failures=[{"image": first, "reason": reason}])
    [failure] = check(changed, root, allow_failures=True).row.result.failures
    assert failure.reason in (f"OSError: {file}: is damaged (1/2)", f"{file}: is damaged (1/2)")


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


def squeeze(maps, root):
    for name in labels(root):
        np.save(maps / map_of(name), np.ones((90, 10)))


@pytest.mark.parametrize("text", [None, "model: [", "", "model: Mine\nkind: affine_disparity\naspect: squeezed\n"])
def test_maps_are_not_judged_where_nothing_tells_how_to_read_them(root, tmp_path, text):
    """The maps may have been squeezed; only the declaration could tell."""
    maps = write_maps(tmp_path / "maps", root)
    squeeze(maps, root)
    (maps / "predictions.yaml").unlink()
    if text is not None:
        (maps / "predictions.yaml").write_text(text)
    (problem,) = check(maps, root).problems
    assert problem.file == "predictions.yaml"


def test_one_cause_is_one_problem_with_one_remedy(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    squeeze(maps, root)
    (problem,) = check(maps, root).problems
    assert problem.what.startswith("9 of 9 maps: the map is 90 x 10 for an image of ")
    assert problem.what.endswith(f", the first {next(iter(labels(root)))}")
    assert str(problem).count("declare aspect: stretched") == 1
    assert "--allow-failures" not in str(problem)
    assert not check(maps, root, allow_failures=True).problems


def test_different_causes_are_told_apart_and_name_each_file_once(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    first, second, third, *_ = labels(root)
    (maps / map_of(first)).unlink()
    (maps / map_of(second)).write_bytes(b"damaged")
    shutil.copy(maps / map_of(third), (maps / third).with_suffix(".pfm"))
    lines = told(check(maps, root)).splitlines()
    assert len(lines) == 3
    for line, image, what in zip(lines, (first, second, third), ("missing; ", "not a .npy", "photo"), strict=True):
        assert line.startswith(f"{map_of(image)}: {what}")
        assert line.count(map_of(image)) == 1
    assert f"keep one map for {third}; or hand it in with" in lines[2]


@pytest.mark.parametrize("move", ["images/{name}", "{name}", "indoor/{name}", "deeper/images/indoor/{name}"])
def test_maps_in_the_wrong_place_are_told_once(root, tmp_path, move):
    maps = write_maps(tmp_path / "maps", root)
    for image in labels(root):
        path = maps / map_of(image)
        to = maps / move.format(name=path.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
    first = next(iter(labels(root)))
    (problem,) = check(maps, root).problems
    assert problem.what.startswith("9 of 9 maps lie in the wrong place, the first ")
    assert problem.todo.startswith(f"put it at {map_of(first)}: ")
    assert "images/<scenario>/" in problem.todo


def test_a_map_beside_that_of_its_image_is_a_stray_as_ever(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    first, second, *_ = labels(root)
    shutil.copy(maps / map_of(first), maps / "images")
    (maps / map_of(second)).rename(maps / "images" / map_of(second).rpartition("/")[2])
    assert {p.what.partition(",")[0] for p in check(maps, root).problems} == {
        "is the map of no image of bench",
        "1 of 9 maps lie in the wrong place",
    }


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_zip_of_a_result_is_told_what_to_hand_in(root, tmp_path, packed):
    folder = tmp_path / "out"
    folder.mkdir()
    write_result(folder, root)
    (problem,) = check(pack(folder, tmp_path / "out.zip") if packed else folder, root).problems
    assert problem.what.startswith("this holds a result")
    assert problem.todo.startswith("hand in result.json itself")


def test_a_note_with_a_line_break_has_one_remedy(root, tmp_path):
    (problem,) = check(write_maps(tmp_path / "maps", root), root, note="a\nb").problems
    assert problem.todo == "leave it out"
    assert "leave it out" not in problem.what


@pytest.fixture
def row_file(root, tmp_path):
    """A row on a board, scored there, with everything that can be told of the weights."""
    maps = write_maps(tmp_path / "maps", root, licence="MIT", url="https://example.org/a", revision="v1")
    return add_submission(check(maps, root, note="small"), tmp_path / "board")


def test_anyone_can_check_a_row_of_a_board(root, row_file):
    added, checked = read_row(row_file), check(row_file, root)
    assert not checked.problems
    assert not checked.row.rescored
    assert checked.row == added.model_copy(update={"rescored": False})
    assert checked.row.licence == "MIT"
    assert checked.row.note == "small"
    assert check(row_file, root, licence="Apache-2.0").row.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("change", "field", "what"),
    [
        ({"note": "a\u202eb"}, "note", "U+202E"),
        ({"url": "javascript:alert(1)"}, "url", "web address"),
        ({"rescored": "yes"}, "rescored", "valid boolean"),
        ({"colour": "blue"}, "colour", "unknown field"),
        ({"result__accuracy__micro": 0.999}, "result.accuracy.micro", "follows from the counts"),
        ({"result__benchmark__digest": "0" * 64}, "result.benchmark.digest", "another release"),
        ({"result__protocol__digest": "0" * 64}, "result.protocol.digest", "rules of this version"),
        ({"result__model__name": "a\nb"}, "result.model.name", "U+000A"),
        ({"result__run__images_per_second": 1e9}, "result.run.images_per_second", "no device is so fast"),
        ({"result__rows": None}, "result.rows", "is missing"),
        ({"result__model__name": "Other"}, "", "its content belongs to results/other/v1/"),
    ],
)
def test_a_row_that_was_changed(root, row_file, change, field, what):
    checked = check(rewritten(row_file, **change), root)
    assert checked.row is None
    assert any(p.file == row_file.name and p.field == field and what in str(p) for p in checked.problems), told(checked)


@pytest.mark.parametrize("result", [None, [1], {}, {"metrics": {}}])
def test_a_row_without_a_result(root, row_file, result):
    row_file.write_text(json.dumps(json.loads(row_file.read_text()) | {"result": result}))
    checked = check(row_file, root)
    assert checked.row is None
    assert checked.problems


def test_a_row_lies_where_its_content_says_or_on_no_board(root, row_file, tmp_path):
    rows = row_file.with_name(json.loads(row_file.read_text())["result"]["rows"]["file"])
    for folder, fits in (("mine", True), ("board/results/mine/v2", False), ("board/mine/v1", True)):
        (tmp_path / folder).mkdir(parents=True)
        for file in (row_file, rows):
            shutil.copy(file, tmp_path / folder)
        problems = check(tmp_path / folder / row_file.name, root).problems
        assert [p.what for p in problems] == (
            [] if fits else [f"its content belongs to results/mine/v1/{row_file.name}"]
        )


def test_the_rows_of_a_row_are_read_too(root, row_file):
    rows = row_file.with_name(json.loads(row_file.read_text())["result"]["rows"]["file"])
    rows.write_bytes(b"x")
    (problem,) = check(row_file, root).problems
    assert (problem.file, "is not the file that the result was written with" in problem.what) == (rows.name, True)
