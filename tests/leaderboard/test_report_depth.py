"""The report on measured depth: its numbers follow from the rows, and its maps are what was scored."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput
from da2k.evaluation.dense import evaluate_dense
from da2k.evaluation.dense.scoring import score_map
from da2k.leaderboard.report import write_report
from da2k.leaderboard.report.maps import compare_frame
from da2k.protocols import dense_protocol
from tests.evaluation.dense_sets import make_frames, maps_of, write_maps
from tests.leaderboard.report_pages import Page


@pytest.fixture
def scored(tmp_path):
    """Eight frames, the maps of seven in a folder, and their result."""
    frames = make_frames(tmp_path / "frames", count=8, size=(30, 50))
    maps = maps_of(frames)
    maps[2] = None
    spec = write_maps(tmp_path / "maps", frames, maps)
    result = tmp_path / "result.json"
    evaluate_dense(spec, frames.open(), str(frames.protocol), out=result)
    return frames, result


def rows_of(result):
    return pd.read_parquet(result.with_name(json.loads(result.read_text())["rows"]["file"]))


def write(result, frames=None, **options):
    if frames is not None:
        options = {"root": frames.root, "own_list": frames.list, "protocol": str(frames.protocol)} | options
    made = write_report(result, result.with_name("report.html"), **options)
    return Page(made.path.read_text()), made


def test_the_table_has_the_means_of_the_rows(scored):
    _, result = scored
    rows, stated = rows_of(result), json.loads(result.read_text())["metrics"]
    page, _ = write(result)
    table = page.table("Means over the images")[1:]
    assert [cells[0] for cells in table] == list(stated)
    for name, mean, interval, *_ in table:
        assert mean == f"{rows[name].mean():.4f}"
        assert interval == f"{stated[name]['interval'][0]:.4f} – {stated[name]['interval'][1]:.4f}"
    directions = {cells[0]: cells[4] for cells in table}
    assert directions["absrel@depth"] == "↓ lower"
    assert directions["delta1"] == "↑ higher"
    assert f"{100 * rows['clamped'].mean():.1f} % of the pixels" in page.text
    assert "7 images scored of 8, 1 failed" in page.text
    assert "no --root was given: the best and the worst frames are not drawn" in page.text
    assert page.images == []


def test_the_best_and_the_worst_frames_are_drawn(scored):
    frames, result = scored
    rows = rows_of(result).dropna(subset="absrel@depth").sort_values("absrel@depth")
    page, made = write(result, frames)
    names = [alt.rpartition(": ")[0] for _, alt in page.images]
    assert names[::4] == [*rows["image"][:3], *rows["image"][::-1][:3]]
    assert [alt.rpartition(": ")[2] for _, alt in page.images[:4]] == ["image", "prediction, aligned", "truth", "error"]
    for name, value in zip(rows["image"], rows["absrel@depth"], strict=True):
        assert (f"{name}: absrel@depth {value:.4f}." in page.text) == (name in names)
    assert {picture.shape for picture in page.pictures} == {(30, 50, 3)}
    assert made.notes == ()
    samples = {frame.name: sample for frame, sample in zip(frames.open().frames, frames.samples, strict=True)}
    for name, shown in zip(names[2::4], page.pictures[2::4], strict=True):
        unmeasured = (np.abs(shown.astype(int) - 232).max(axis=2) < 40)[~samples[name].valid].mean()
        assert unmeasured > 0.6, "of single pixels beside others JPEG keeps the colour roughly"


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("metric-median", "scale_invariant_depth"),
        ("dav2-table2", "affine_disparity"),
        ("dav2-table2-disparity", "affine_disparity"),
        ("marigold", "affine_depth"),
        ("marigold-disparity", "affine_disparity"),
        ("midas", "affine_disparity"),
        ("metric", "metric_depth"),
    ],
)
def test_the_error_map_averages_to_what_was_scored(tmp_path, base, kind):
    limits = {"clamp": {"low": None, "high": None}} if dense_protocol(base).metrics_in == "disparity" else {}
    frames = make_frames(tmp_path / "frames", count=2, base=base, **limits)
    protocol, rules = frames.record, frames.record.rules(frames.dataset)
    for frame, values in zip(frames.open().frames, maps_of(frames), strict=True):
        depth, truth = DepthMap(values[::2, ::2], DepthKind(kind)), frame.read_truth()
        score = score_map(depth, truth, protocol, rules)
        found = compare_frame(depth, truth, protocol, rules, score.fit.scale, score.fit.shift)
        counted = np.isfinite(found.error)
        assert counted.sum() == score.pixels
        absrel = {name: value for name, value in score.compared.values.items() if name.startswith("absrel")}
        ratio = np.maximum(found.aligned / found.truth, found.truth / found.aligned)[counted]
        shares = {"delta1": (ratio < 1.25).mean(), "delta1_exceeded_percent": 100 * (ratio >= 1.25).mean()}
        if (found.aligned[counted] > 0).all():
            named = {name: value for name, value in score.compared.values.items() if name in shares}
            assert named == pytest.approx({name: shares[name] for name in named})
        for value in absrel.values():
            assert found.error[counted].mean() == pytest.approx(value)


def test_errors_of_disparities_are_reported_in_their_own_space(tmp_path):
    limits = {"clamp": {"low": None, "high": None}}
    frames = make_frames(tmp_path / "frames", count=3, size=(30, 50), base="dav2-table2-disparity", **limits)
    spec = write_maps(tmp_path / "maps", frames, maps_of(frames), kind="affine_disparity")
    result = tmp_path / "result.json"
    evaluate_dense(spec, frames.open(), str(frames.protocol), out=result)
    rows, (page, made) = rows_of(result), write(result, frames)
    table = {name: (mean, better) for name, mean, _, _, better, _ in page.table("Means over the images")[1:]}
    assert table["absrel@disparity"] == (f"{rows['absrel@disparity'].mean():.4f}", "↓ lower")
    assert len(page.images) == 4 * 2
    assert made.notes == ()
    assert "near, disparity in 1/m" in page.text
    counted = {frame.name: sample for frame, sample in zip(frames.open().frames, frames.samples, strict=True)}
    shown = re.findall(r"(\S+): absrel@disparity [\d.]+\. Colours from ([\d.e-]+) 1/m \(far\) to ([\d.e-]+)", page.text)
    assert len(shown) == 2
    for name, far, near in shown:
        sample = counted[name]
        disparities = 1 / sample.depth[sample.valid & (sample.depth > 0.001) & (sample.depth < 80)]
        assert [float(far), float(near)] == pytest.approx(np.percentile(disparities, (1, 99)), rel=0.02)


def test_a_map_that_has_changed_is_not_drawn(scored):
    frames, result = scored
    worst = rows_of(result).set_index("image")["absrel@depth"].idxmax()
    file = (result.with_name("maps") / worst).with_suffix(".npy")
    np.save(file, np.load(file) + np.arange(50))
    page, made = write(result, frames)
    assert len(page.images) == 4 * 5
    assert len(made.notes) == 1
    assert made.notes[0].startswith(f"not drawn: {worst}: its map or its truth has changed: ")
    assert "its map or its truth has changed" in page.text


def test_predictions_that_are_gone_and_networks_are_told(scored, tmp_path):
    frames, result = scored
    (tmp_path / "maps").rename(tmp_path / "elsewhere")
    page, made = write(result, frames)
    assert page.images == []
    assert made.notes[0].startswith("the predictions cannot be read again")
    other = tmp_path / "haze.json"
    evaluate_dense("baseline:haze", frames.open(), str(frames.protocol), out=other)
    page, made = write(other, frames)
    assert page.images == []
    assert made.notes == ("frames are drawn for predictions folders only: a network is not run again for a report",)


def test_a_result_without_a_scored_image_has_a_page(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    spec = write_maps(tmp_path / "maps", frames, [None, None])
    evaluate_dense(spec, frames.open(), str(frames.protocol), out=tmp_path / "result.json")
    page, _ = write(tmp_path / "result.json", frames)
    assert "No image could be scored" in page.text
    assert page.dangers() == []


def test_the_same_files_give_the_same_bytes(scored):
    frames, result = scored
    assert write(result, frames)[0].html == write(result, frames)[0].html


def test_what_a_file_says_is_shown_and_never_run(scored):
    frames, result = scored
    attack = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
    content = json.loads(result.read_text())
    content["model"] |= {"name": attack, "preprocessing": attack}
    content["benchmark"]["reader"] = attack
    content["warnings"] = [attack, "\u202eright to left"]
    result.write_text(json.dumps(content))
    page, _ = write(result, frames)
    assert page.dangers() == []
    assert page.open == []
    assert attack in page.text
    assert "\u202e" not in page.html


def lift(content):
    content["metrics"]["absrel@depth"]["mean"] += 1e-4


def digest(content):
    content["rows"]["sha256"] = "0" * 64


@pytest.mark.parametrize(("change", "message"), [(lift, "absrel@depth"), (digest, "SHA-256")])
def test_a_damaged_result_is_refused(scored, change, message):
    _, result = scored
    content = json.loads(result.read_text())
    change(content)
    result.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=message):
        write(result)


def test_what_does_not_belong_together_is_refused(scored, tmp_path):
    frames, result = scored
    with pytest.raises(BadInput, match="leave --benchmark out"):
        write(result, benchmark="da2k")
    with pytest.raises(BadInput, match="unknown protocol"):
        write(result, frames, protocol=None)
    with pytest.raises(BadInput, match=r"protocol\.digest"):
        write(result, frames, protocol="dav2-table2")
    other = tmp_path / "other.txt"
    other.write_text("".join(frames.list.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BadInput, match=r"benchmark\.digest"):
        write(result, frames, own_list=other)
