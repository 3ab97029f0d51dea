"""Whole runs on measured depth: what is counted, what fails, what is carried on, what is refused."""

import itertools
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, MissingPrediction
from da2k.evaluation.dense import evaluate_dense
from da2k.evaluation.dense.compare import compare_dense
from da2k.evaluation.dense.rows import OWN_COLUMNS, read_rows
from da2k.evaluation.predict import predict
from da2k.models.declaration import read_declaration
from da2k.models.registry import load_model
from da2k.protocols import dense_protocol
from da2k.results import read_any_result
from tests.datasets.native_formats import make_samples, write_dpt
from tests.evaluation import dense_reference as reference
from tests.evaluation.dense_sets import SCALE_FREE, leaning, make_frames, maps_of, score, write_maps, write_protocol


def assert_rows_are_the_references(evaluation, frames, maps, kind=SCALE_FREE):
    """Each row is what the plain computation gives for the frame that it names."""
    record, rules = frames.record, frames.record.rules(frames.dataset)
    rows = evaluation.rows.set_index("image")
    assert len(rows) == len(frames.samples)
    for frame, sample, values in zip(frames.open().frames, frames.samples, maps, strict=True):
        metrics, scale, shift, pixels, clamped, nonpositive = reference.score(
            values, kind, sample.depth, sample.valid, record, rules
        )
        row = rows.loc[frame.name]
        assert (row["pixels"], row["clamped"], row["nonpositive"]) == (pixels, clamped, nonpositive)
        assert (row["scale"], row["shift"]) == pytest.approx((scale, shift), rel=1e-9)
        assert {name: row[name] for name in metrics} == pytest.approx(metrics, rel=1e-9)


# What a run yields


@pytest.mark.parametrize("reader", ["kitti-annotated", "sintel-final", "eth3d", "diode"])
def test_rows_are_those_of_the_plain_computation(tmp_path, reader):
    frames = make_frames(tmp_path / "frames", reader, count=5)
    done = score(frames, workers=2)
    assert_rows_are_the_references(done, frames, maps_of(frames))
    assert list(done.rows["image"]) == sorted(frame.name for frame in frames.open().frames)


def test_the_result_says_what_was_done(tmp_path):
    frames = make_frames(tmp_path / "frames", count=5)
    result = score(frames, out=tmp_path / "r/net.json").result
    images = result.images
    assert (images.expected, images.scored, images.failed, images.absent) == (5, 5, 0, 0)
    assert (result.benchmark.name, result.benchmark.reader) == ("kitti", "kitti-annotated")
    assert not result.benchmark.partial
    assert not result.benchmark.own_list
    assert (result.protocol.name, result.protocol.digest) == ("of-frames", frames.record.digest)
    assert result.model.kind == SCALE_FREE
    assert tuple(result.metrics) == frames.record.metrics
    assert (result.level, result.resamples, result.method) == (0.95, 10_000, "bootstrap by image")
    assert result.failures == []
    assert result.run.images_resumed == 0
    assert read_any_result(tmp_path / "r/net.json") == result
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"net.json", result.rows.file}


def test_rows_on_disk_have_the_documented_columns_and_are_sorted(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    done = score(frames, out=tmp_path / "net.json")
    rows = read_rows(done.result, tmp_path / "net.json")
    assert list(rows.columns) == [*OWN_COLUMNS, *frames.record.metrics]
    assert list(rows["image"]) == sorted(rows["image"])
    assert rows["failure"].isna().all()
    for name in frames.record.metrics:
        assert rows[name].tolist() == done.rows[name].tolist()


def test_means_and_intervals_follow_from_the_rows(tmp_path):
    """Of five images all 5^5 resamples are known, so the interval's bounds have exact levels."""
    frames = make_frames(tmp_path / "frames", count=5)
    done = score(frames)
    everything = np.array(list(itertools.product(range(5), repeat=5)))
    for name, metric in done.result.metrics.items():
        values = done.rows[name].to_numpy()
        assert metric.mean == pytest.approx(sum(values) / 5, rel=1e-12)
        means = values[everything].mean(axis=1)
        tolerance = 1e-9 * abs(metric.mean)
        for bound, level in zip(metric.interval, (0.025, 0.975), strict=True):
            assert (means < bound - tolerance).mean() < level + 0.007, name
            assert (means < bound + tolerance).mean() > level - 0.007, name
    assert done.result.clamped == pytest.approx(done.rows["clamped"].mean(), rel=1e-12)
    assert done.metrics == {name: metric.mean for name, metric in done.result.metrics.items()}


def test_the_mean_is_over_images_and_not_over_pixels(tmp_path):
    few, many = make_samples(1, measured=0.2)[0], make_samples(1, seed=5, measured=0.9)[0]._replace(stem="00001")
    frames = make_frames(tmp_path / "frames", samples=[few, many])
    done = score(frames)
    pixels, values = done.rows["pixels"].to_numpy(), done.rows["absrel@depth"].to_numpy()
    assert abs(pixels[0] - pixels[1]) > 300
    assert done.metrics["absrel@depth"] == pytest.approx(values.mean(), rel=1e-12)
    assert done.metrics["absrel@depth"] != pytest.approx(np.average(values, weights=pixels), rel=1e-4)


def test_the_order_of_the_list_changes_neither_rows_nor_means(tmp_path):
    frames = make_frames(tmp_path / "a", count=7)
    straight = score(frames, out=tmp_path / "straight.json")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    lines = frames.list.read_text().splitlines()
    random.Random(4).shuffle(lines)
    (tmp_path / "b" / frames.list.name).write_text("\n".join(lines) + "\n")
    options = {"root": tmp_path / "b", "own_list": tmp_path / "b" / frames.list.name, "kind": SCALE_FREE}
    names = []
    for out in ("shuffled.json", "again.json"):
        done = evaluate_dense(
            lambda pixels: names.append(0) or leaning(pixels),
            "kitti",
            str(frames.protocol),
            out=tmp_path / out,
            **options,
        )
        assert done.result.rows.sha256 == straight.result.rows.sha256
        assert done.result.metrics == straight.result.metrics
    assert len(names) == 14
    # What was written from a list in any order must be found to follow from its own, sorted, rows.
    assert {test.difference for test in compare_dense([tmp_path / "shuffled.json", tmp_path / "again.json"])} == {0.0}


@pytest.mark.parametrize("batch_size", [1, 3, "auto"])
def test_workers_and_batches_change_no_byte(tmp_path, batch_size):
    frames = make_frames(tmp_path / "frames", "sintel-final", count=8)
    whole = score(frames, out=tmp_path / "one.json").result
    for workers in (1, 2, 3):
        out = tmp_path / f"{workers}.json"
        result = score(frames, workers=workers, batch_size=batch_size, out=out).result
        assert result.rows.sha256 == whole.rows.sha256
        assert result.metrics == whole.metrics
    files = [tmp_path / read_any_result(tmp_path / f"{name}.json").rows.file for name in ("one", "2", "3")]
    assert len({file.read_bytes() for file in files}) == 1


def test_progress_is_told_after_each_image_and_of_all(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    told = []
    score(frames, workers=2, progress=lambda done, all_: told.append((done, all_)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_no_workers_are_refused(tmp_path):
    frames = make_frames(tmp_path / "frames", count=1)
    with pytest.raises(BadInput, match="workers=0"):
        score(frames, workers=0)


# What fails is counted, named, and in no mean


def test_three_missing_predictions_are_counted_and_named(tmp_path):
    frames = make_frames(tmp_path / "frames", count=9)
    maps = maps_of(frames)
    whole = score(frames, write_maps(tmp_path / "whole", frames, maps), kind=None)
    gone = {1, 4, 8}
    maps = [None if i in gone else values for i, values in enumerate(maps)]
    done = score(frames, write_maps(tmp_path / "maps", frames, maps), kind=None, out=tmp_path / "r.json")
    images = done.result.images
    assert (images.expected, images.scored, images.failed) == (9, 6, 3)
    assert repr(done).endswith("; 6 of 9 images)")
    names = [frame.name for frame in frames.open().frames]
    assert [failure.image for failure in done.result.failures] == [names[i] for i in sorted(gone)]
    assert all("no prediction for" in failure.reason for failure in done.result.failures)
    kept = whole.rows.drop(index=sorted(gone))
    for name, mean in done.metrics.items():
        assert mean == pytest.approx(kept[name].mean(), rel=1e-12)
    rows = read_rows(done.result, tmp_path / "r.json").set_index("image")
    for i in gone:
        row = rows.loc[names[i]]
        assert row["pixels"] == 0
        assert row["failure"]
        assert np.isnan(row[["scale", "shift", "clamped", "nonpositive", *done.metrics]].astype(float)).all()


def test_a_run_in_which_all_fails_has_no_metrics(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    result = score(frames, lambda pixels: np.full(pixels.shape[:2], np.nan), out=tmp_path / "r.json").result
    assert (result.images.scored, result.images.failed, result.metrics) == (0, 2, {})
    assert read_any_result(tmp_path / "r.json") == result
    assert all("not finite at" in failure.reason for failure in result.failures)


def cut(path, by=30):
    path.write_bytes(path.read_bytes()[:-by])


def as_eight_bits(path):
    Image.fromarray((np.asarray(Image.open(path)) >> 8).astype(np.uint8)).save(path)


def wrong_magic(path):
    path.write_bytes(b"PIEX" + path.read_bytes()[4:])


def other_npy_shape(path):
    np.save(path, np.ones((12, 20, 1), np.float32))


def empty_truth(path):
    write_dpt(path, np.zeros((24, 40)))


DAMAGED = {
    "an 8-bit depth PNG": ("kitti-annotated", 1, as_eight_bits, "is no 16-bit grey PNG"),
    "a truncated depth PNG": ("kitti-annotated", 1, cut, "is no readable PNG"),
    "an absent depth PNG": ("kitti-annotated", 1, Path.unlink, "no such file"),
    "a damaged image": ("kitti-annotated", 0, cut, "the file is damaged"),
    "an image that is none": ("kitti-annotated", 0, lambda path: path.write_bytes(b""), "not an image"),
    "a truncated .dpt": ("sintel-final", 1, cut, "is truncated"),
    "a .dpt with a wrong magic": ("sintel-final", 1, wrong_magic, "is no .dpt file"),
    "a .dpt of nothing": ("sintel-final", 1, empty_truth, "no pixel of the measured depth is valid"),
    "a short ETH3D file": ("eth3d", 1, lambda path: cut(path, 4), "needs 3,840"),
    "a .npy of another shape": ("diode", 1, other_npy_shape, "is 12 x 20, and its image 00001.png 24 x 40"),
    "a mask of another shape": ("diode", 2, other_npy_shape, "is 12 x 20, and its image 00001.png 24 x 40"),
    "a mask that is no mask": ("diode", 2, lambda path: np.save(path, np.full((24, 40), 0.5)), "other than 0 and 1"),
    "a truncated .npy": ("diode", 1, cut, "follow"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_damaged_file_costs_its_image_only_and_is_named(tmp_path, fault):
    reader, file, damage, message = DAMAGED[fault]
    frames = make_frames(tmp_path / "frames", reader, count=4)
    whole = score(frames)
    opened = frames.open()
    bad = opened.frames[1]
    damage(bad.files[file])
    done = evaluate_dense(leaning, opened, str(frames.protocol), kind=SCALE_FREE, workers=2)
    (failure,) = done.result.failures
    assert failure.image == bad.name
    assert message in failure.reason
    assert str(bad.files[file]) in failure.reason or "valid" in message
    assert "\n" not in failure.reason
    assert (done.result.images.expected, done.result.images.scored) == (4, 3)
    rest = whole.rows[whole.rows["image"] != bad.name]
    assert done.metrics == pytest.approx({name: rest[name].mean() for name in done.metrics}, rel=1e-12)


def a_value(value, at=(0, 0)):
    def change(values):
        values[at] = value
        return values

    return change


ANSWERS = {
    "NaN everywhere": (lambda values: values * np.nan, "not finite at"),
    "infinite everywhere": (lambda values: values + np.inf, "not finite at"),
    "transposed": (np.transpose, "another aspect ratio"),
    "three axes": (lambda values: np.stack([values] * 3), "a depth map is [height, width]"),
    "no map": (lambda values: None, "NoneType"),
    "an exception": (lambda values: values[999], "IndexError"),
    "text": (lambda values: np.full(values.shape, "far"), "holds real numbers"),
}


@pytest.mark.parametrize("fault", ANSWERS)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_bad_map_costs_its_image_only(tmp_path, fault, batch_size):
    change, message = ANSWERS[fault]
    frames = make_frames(tmp_path / "frames", count=4, size=(24, 60))
    bad = frames.open().frames[2]

    class Model:
        def predict(self, images):
            return [change(leaning(p.pixels)) if p.name == bad.name else leaning(p.pixels) for p in images]

    done = score(frames, Model(), batch_size=batch_size)
    (failure,) = done.result.failures
    assert failure.image == bad.name
    assert message in failure.reason
    assert "\n" not in failure.reason
    assert done.result.images.scored == 3
    assert_same_but(done, score(frames), bad.name)


def assert_same_but(done, whole, name):
    ours, theirs = (e.rows[e.rows["image"] != name].reset_index(drop=True) for e in (done, whole))
    assert ours.drop(columns=["failure"]).equals(theirs.drop(columns=["failure"]))


def test_a_stored_map_of_another_shape_is_counted(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3, size=(24, 90))
    maps = maps_of(frames)
    maps[1] = maps[1].T
    done = score(frames, write_maps(tmp_path / "maps", frames, maps), kind=None)
    (failure,) = done.result.failures
    assert "90 x 24 for a frame of 24 x 90" in failure.reason


def test_nan_where_nothing_was_measured_costs_nothing(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    maps = maps_of(frames)
    holes = [np.where(sample.valid, values, np.nan) for sample, values in zip(frames.samples, maps, strict=True)]
    done = score(frames, write_maps(tmp_path / "maps", frames, holes), kind=None)
    assert_rows_are_the_references(done, frames, maps)


def test_one_nan_at_a_measured_pixel_fails_the_image(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    maps = maps_of(frames)
    maps[0][tuple(np.argwhere(frames.samples[0].valid)[7])] = np.nan
    done = score(frames, write_maps(tmp_path / "maps", frames, maps), kind=None)
    (failure,) = done.result.failures
    assert f"not finite at 1 of {np.count_nonzero(frames.samples[0].valid)} pixels" in failure.reason


@pytest.mark.parametrize("base", ["metric-median", "metric-single", "marigold"])
def test_negative_values_of_depth_are_clamped_and_counted(tmp_path, base):
    frames = make_frames(tmp_path / "frames", count=3, base=base)
    maps = maps_of(frames)
    for values in maps:
        values[::5] *= -1
    kind = "metric_depth"
    done = score(frames, write_maps(tmp_path / "maps", frames, maps, kind), kind=None)
    assert_rows_are_the_references(done, frames, maps, kind)
    if base != "marigold":  # a fit has a shift, which may lift them
        assert (done.rows["nonpositive"] > 0.1).all()
        assert (done.rows["clamped"] >= done.rows["nonpositive"]).all()


def test_negative_disparities_are_aligned_and_held_at_the_floor(tmp_path):
    limits = {"range": {"low": 0.001, "high": 80.0}, "clamp": {"low": None, "high": 80.0}}
    frames = make_frames(tmp_path / "frames", count=3, base="dav2-table2", **limits)
    rng = np.random.default_rng(0)
    maps = [(1 / s.depth - 0.4 + rng.normal(0, 0.05, s.depth.shape)).astype(np.float32) for s in frames.samples]
    assert all(values.min() < 0 for values in maps)
    done = score(frames, write_maps(tmp_path / "maps", frames, maps, "affine_disparity"), kind=None)
    assert_rows_are_the_references(done, frames, maps, "affine_disparity")
    assert (done.rows["clamped"] > 0).all()
    assert done.result.images.failed == 0


def test_depth_of_0_has_no_disparity_and_fails_where_disparity_is_fitted(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2, base="dav2-table2", clamp={"low": None, "high": 80.0})
    maps = maps_of(frames)
    maps[1][:2] = 0
    done = score(frames, write_maps(tmp_path / "maps", frames, maps, "metric_depth"), kind=None)
    (failure,) = done.result.failures
    assert "is 0 or negative at" in failure.reason


# Warnings


def warned(result, text):
    return [warning for warning in result.warnings if text in warning]


def exact(sample):
    """A map that is right to a factor."""
    return (sample.depth * np.float32(0.25)).astype(np.float32)


def test_an_exact_map_is_not_warned_of_and_has_no_error(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3)
    done = score(frames, write_maps(tmp_path / "maps", frames, [exact(s) for s in frames.samples]), kind=None)
    assert done.metrics["absrel@depth"] < 1e-6
    assert done.metrics["delta1"] == 1
    assert done.result.warnings == ["the intervals are from 3 images only, and say little"]
    assert done.rows["scale"].to_numpy() == pytest.approx([4, 4, 4])


def with_outliers(sample, share):
    values, places = exact(sample), np.argwhere(sample.valid)
    for place in places[: int(share * len(places))]:
        values[tuple(place)] = 1e4
    return values


def test_more_than_one_percent_clamped_is_warned_of(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)

    def run(name, shares):
        maps = [with_outliers(sample, share) for sample, share in zip(frames.samples, shares, strict=True)]
        return score(frames, write_maps(tmp_path / name, frames, maps), kind=None).result

    much = run("much", (0.05, 0.05, 0.05, 0.05))
    assert warned(much, "% of the pixels were clamped")
    assert much.clamped == pytest.approx(0.05, abs=0.005)
    assert warned(run("once", (0.03, 0, 0, 0)), "in 1 of 4 images more than 1 % of the pixels were clamped")
    assert not warned(run("little", (0.008, 0.008, 0.008, 0.008)), "clamped")


def test_so_much_clamped_that_the_unit_is_doubted(tmp_path):
    """Millimetres called metres are clamped nearly everywhere."""
    frames = make_frames(tmp_path / "frames", count=4, base="metric-single")
    for name, factor in (("metres", 1), ("millimetres", 1000)):
        maps = [sample.depth * np.float32(factor) for sample in frames.samples]
        result = score(frames, write_maps(tmp_path / name, frames, maps, "metric_depth"), kind=None).result
        assert bool(warned(result, "are the maps in metres? (scale: in predictions.yaml)")) is (factor == 1000)


@pytest.mark.parametrize("count", [1, 2, 19, 20])
def test_intervals_of_few_images_are_warned_of(tmp_path, count):
    """Counted are those that were scored."""
    frames = make_frames(tmp_path / "frames", samples=make_samples(count + 1, (8, 12)))
    maps = [exact(sample) for sample in frames.samples]
    maps[-1] = None
    result = score(frames, write_maps(tmp_path / "maps", frames, maps), kind=None).result
    images = "1 image" if count == 1 else f"{count} images"
    told = [f"the intervals are from {images} only, and say little"]
    assert warned(result, "intervals") == (told if count < 20 else [])
    for values in maps[:-1]:
        values[:] = np.nan
    none = score(frames, write_maps(tmp_path / "none", frames, maps), kind=None).result
    assert not warned(none, "intervals"), "there are none"


def test_a_negative_scale_is_warned_of(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3, base="marigold")
    maps = [-sample.depth for sample in frames.samples]
    maps[0] *= -1
    result = score(frames, write_maps(tmp_path / "maps", frames, maps, "affine_depth"), kind=None).result
    (warning,) = warned(result, "negative scale")
    assert "in 2 of 3 images" in warning
    assert "affine_depth" in warning


@pytest.mark.parametrize("base", ["metric-median", "marigold", "dav2-table2"])
def test_constant_maps_are_scored_and_warned_of(tmp_path, base):
    clamp = {"low": None if base == "dav2-table2" else 0.001, "high": 80.0}
    frames = make_frames(tmp_path / "frames", count=3, base=base, clamp=clamp)
    maps = maps_of(frames)
    maps[1][:] = 3
    done = score(frames, write_maps(tmp_path / "maps", frames, maps, "metric_depth"), kind=None)
    assert done.result.images.failed == 0
    if base == "metric-median":  # the median of a constant is a scale like any other
        assert not done.rows["degenerate"].any()
    else:
        assert done.rows["degenerate"].tolist() == [False, True, False]
        assert warned(done.result, "1 of 3 maps are constant")


def test_what_nobody_reproduced_is_said(tmp_path):
    frames = make_frames(tmp_path / "frames", count=1, status="unreproduced", note="Nobody came near.")
    (warning,) = warned(score(frames).result, "unreproduced")
    assert warning == "protocol of-frames on kitti is unreproduced. Nobody came near."
    place = {"root": frames.root, "own_list": frames.list, "kind": SCALE_FREE}
    own = evaluate_dense(leaning, "kitti", str(frames.protocol), **place)
    assert not warned(own.result, "unreproduced"), "nobody has published numbers on that list"
    bare = make_frames(tmp_path / "bare", count=1, status="unreproduced", note="")
    (warning,) = warned(score(bare).result, "unreproduced")
    assert warning.endswith("Nobody is known to have reproduced the published numbers with these choices.")


def test_maps_of_two_kinds_are_warned_of(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    kinds = itertools.cycle([DepthKind.METRIC_DEPTH, DepthKind.SCALE_INVARIANT_DEPTH])

    class Model:
        def predict(self, images):
            return [DepthMap(leaning(photo.pixels), next(kinds)) for photo in images]

    done = score(frames, Model(), kind=None)
    assert warned(done.result, "maps of 2 kinds: metric_depth, scale_invariant_depth")
    assert done.result.model.kind is None
    assert set(done.rows["kind"]) == {"metric_depth", "scale_invariant_depth"}


# Which frames


def test_a_partial_copy_is_not_an_own_list(tmp_path):
    frames = make_frames(tmp_path / "frames", count=5)
    whole = score(frames)
    gone = frames.open().frames[3]
    gone.files[1].unlink()
    with pytest.raises(BadInput, match=r"list and files disagree: 1 of 5 frames .* the first .*00003\.png"):
        frames.open()
    done = evaluate_dense(leaning, frames.open(partial=True), str(frames.protocol), kind=SCALE_FREE)
    images, benchmark = done.result.images, done.result.benchmark
    assert (images.expected, images.scored, images.failed, images.absent) == (5, 4, 0, 1)
    assert (benchmark.partial, benchmark.own_list) == (True, False)
    assert warned(done.result, "partial copy: 4 of 5")
    assert benchmark.digest == whole.result.benchmark.digest
    assert done.rows.equals(whole.rows[whole.rows["image"] != gone.name].reset_index(drop=True))


def test_an_own_list_is_said_to_be_one(tmp_path):
    frames = make_frames(tmp_path / "frames", count=5)
    whole = score(frames)
    mine = tmp_path / "mine.txt"
    mine.write_text("".join(frames.list.read_text().splitlines(keepends=True)[1:3]))
    done = evaluate_dense(
        leaning, "kitti", str(frames.protocol), root=frames.root, own_list=mine, kind=SCALE_FREE, out=tmp_path / "r"
    )
    images, benchmark = done.result.images, done.result.benchmark
    assert (images.expected, images.scored, images.absent) == (5, 2, 0)
    assert (benchmark.partial, benchmark.own_list) == (True, True)
    assert repr(done).endswith("; 2 of 2 images)")
    assert benchmark.digest != whole.result.benchmark.digest
    assert warned(done.result, "own list mine.txt of 2 frames; the protocol's has 5")
    assert done.rows.equals(whole.rows[1:3].reset_index(drop=True))


def test_a_list_of_another_length_is_refused(tmp_path):
    frames = make_frames(tmp_path / "frames", count=4)
    write_protocol(frames.protocol, frames.reader, frames.list.name, 5)
    with pytest.raises(BadInput, match="has 4 frames with ground truth; the protocol demands 5"):
        evaluate_dense(leaning, frames.open(), str(frames.protocol), kind=SCALE_FREE)


# Protocols


def test_a_kind_that_cannot_be_taken_is_refused_before_any_work(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)
    calls = []
    with pytest.raises(BadInput, match="affine_disparity does not: its shift is unknown"):
        score(frames, lambda pixels: calls.append(0), kind="affine_disparity", out=tmp_path / "r.json")
    assert calls == []
    assert not (tmp_path / "r.json.progress").exists()


def test_a_dataset_that_is_not_named_is_refused(tmp_path):
    frames = make_frames(tmp_path / "frames", count=1)
    for benchmark in (frames.open(), "kitti"):
        with pytest.raises(BadInput, match="protocol marigold-of-nyu says nothing on kitti; it names nyu"):
            evaluate_dense(leaning, benchmark, str(only_nyu(tmp_path)), kind=SCALE_FREE)
    with pytest.raises(BadInput, match="cannot be run on kitti"):
        evaluate_dense(leaning, "kitti", "midas", kind="metric_depth")


def test_frames_that_were_opened_by_other_rules_are_refused(tmp_path):
    """The result would name a protocol whose images were never looked at."""
    clean = make_frames(tmp_path / "clean", "sintel-clean", count=1)
    final = tmp_path / "final.yaml"
    write_protocol(final, "sintel-final", clean.list.name, 1)
    with pytest.raises(BadInput, match="opened as sintel-clean, and protocol of-final reads sintel as sintel-final"):
        evaluate_dense(leaning, clean.open(), str(final), kind=SCALE_FREE)


def only_nyu(tmp_path):
    path = tmp_path / "nyu.yaml"
    others = dict.fromkeys(name for name in dense_protocol("marigold").datasets if name != "nyu")
    fields = {"extends": "marigold", "name": "marigold-of-nyu", "version": 1, "datasets": others}
    path.write_text(yaml.safe_dump(fields))
    return path


def test_an_own_protocol_extends_one_by_name(tmp_path):
    """Only what its file says differs; its digest is its own."""
    frames = make_frames(tmp_path / "frames", count=3)
    limit = tmp_path / "limit.yaml"
    write_protocol(limit, frames.reader, frames.list.name, 3, range={"low": 0.001, "high": 30.0})
    near = evaluate_dense(leaning, frames.open(), str(limit), kind=SCALE_FREE)
    whole = score(frames)
    assert near.result.protocol.name == "of-limit"
    assert near.result.protocol.digest != whole.result.protocol.digest
    assert (near.rows["pixels"] < whole.rows["pixels"]).all()
    limited = replace(frames, protocol=limit)
    assert_rows_are_the_references(near, limited, maps_of(frames))


def test_broken_protocols_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    with pytest.raises(BadInput, match=r"mine\.yaml: No such file"):
        evaluate_dense(leaning, "kitti", str(path), kind=SCALE_FREE)
    for text, message in (
        ("extends: metrics\nname: mine\nversion: 1\n", r'extends: unknown protocol "metrics"; did you mean "metric"\?'),
        ("extends: metric\nname: metric\nversion: 1\n", "give yours its own"),
        ("extends: metric\nname: mine\nversion: 1\ntta: both\n", "tta"),
        ("extends: metric\nname: mine\nversion: 1\nalignment: {space: disparity, solver: least squares}\n", "floor"),
        ("- a\n", "must hold the fields"),
        ("a: [", "not valid YAML"),
    ):
        path = tmp_path / f"{abs(hash(text))}.yaml"
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            evaluate_dense(leaning, "kitti", str(path), kind=SCALE_FREE)


# Flip averaging and stored maps


def test_flip_averaging_is_the_mean_of_both_passes(tmp_path):
    frames = make_frames(tmp_path / "frames", count=3, base="metric")
    seen = []

    def model(pixels):
        seen.append(pixels.copy())
        return leaning(pixels)

    done = score(frames, model, kind="metric_depth")
    maps = [(leaning(s.rgb) + leaning(s.rgb[:, ::-1])[:, ::-1]) / 2 for s in frames.samples]
    assert_rows_are_the_references(done, frames, maps, "metric_depth")
    assert {pixels.tobytes() for pixels in seen} == {
        np.ascontiguousarray(rgb).tobytes() for s in frames.samples for rgb in (s.rgb, s.rgb[:, ::-1])
    }
    single = make_frames(tmp_path / "single", base="metric-single", samples=frames.samples)
    plain = score(single, kind="metric_depth")
    assert_rows_are_the_references(plain, single, maps_of(single), "metric_depth")
    assert plain.metrics["absrel@depth"] != done.metrics["absrel@depth"]


@pytest.fixture(scope="module")
def kitti_size(tmp_path_factory):
    """Two frames of KITTI's own sizes, which protocols crop."""
    samples = [
        make_samples(1, (375, 1242), seed=1, measured=0.3)[0]._replace(stem="0000000005"),
        make_samples(1, (370, 1226), seed=2, measured=0.3)[0]._replace(stem="0000000050"),
    ]
    return make_frames(tmp_path_factory.mktemp("kitti") / "frames", samples=samples)


CROPPED = """
import numpy as np

def make():
    def predict(pixels):
        columns = np.linspace(0, 9, pixels.shape[1] // 4)
        return pixels[: pixels.shape[0] // 4 * 4 : 4, : pixels.shape[1] // 4 * 4 : 4, 0] / 32 + columns + 2
    return predict
"""


@pytest.mark.parametrize(
    ("protocol", "kind", "tta"),
    [("marigold", "affine_depth", "none"), ("metric", "metric_depth", "flip"), ("dav2-table2", "metric_depth", "none")],
)
def test_predicted_maps_score_as_the_model_does(tmp_path, kitti_size, protocol, kind, tta):
    (tmp_path / "net.py").write_text(CROPPED)
    spec, options = f"python:{tmp_path / 'net.py'}:make", {"kind": kind}
    place = {"root": kitti_size.root, "own_list": kitti_size.list}
    direct = evaluate_dense(spec, "kitti", protocol, model_options=options, out=tmp_path / "direct.json", **place)
    done = predict(load_model(spec, options), "kitti", tmp_path / "maps", protocol=protocol, **place)
    assert (done.written, done.failures) == (2, ())
    declared, input_crop = read_declaration(tmp_path / "maps"), dense_protocol(protocol).rules("kitti").input_crop
    assert (declared.tta, declared.input_crop) == (tta, input_crop)
    assert input_crop == ("none" if protocol == "dav2-table2" else "kb")
    stored = f"predictions:{tmp_path / 'maps'}"
    from_disk = evaluate_dense(stored, "kitti", protocol, out=tmp_path / "stored.json", **place)
    assert from_disk.result.images.scored == 2
    assert from_disk.result.rows.sha256 == direct.result.rows.sha256
    assert from_disk.result.metrics == direct.result.metrics
    other, told = {
        "marigold": ("marigold-disparity", "input_crop: kb"),
        "metric": ("metric-single", "tta: flip"),
        "dav2-table2": ("metric-single", "input_crop: none"),
    }[protocol]
    if kind == "metric_depth":
        with pytest.raises(BadInput, match=rf"predictions\.yaml says {told}, and protocol {other} wants"):
            evaluate_dense(stored, "kitti", other, **place)


@pytest.mark.parametrize("protocol", ["marigold", "metric-single"])
def test_a_crop_of_the_input_cuts_image_and_truth_alike(kitti_size, protocol):
    record = dense_protocol(protocol)
    done = evaluate_dense(
        leaning, "kitti", protocol, root=kitti_size.root, own_list=kitti_size.list, kind="metric_depth", workers=2
    )
    for sample, row in zip(kitti_size.samples, done.rows.to_dict("records"), strict=True):
        rgb, depth, valid = map(reference.kb_crop, (sample.rgb, sample.depth, sample.valid))
        plain, *_ = reference.score(leaning(rgb), "metric_depth", depth, valid, record, record.rules("kitti"))
        assert sample.stem in row["image"]
        assert {name: row[name] for name in plain} == pytest.approx(plain, rel=1e-9)


def test_maps_of_whole_frames_are_refused_where_the_protocol_crops(tmp_path, kitti_size):
    maps = [leaning(sample.rgb) for sample in kitti_size.samples]
    stored = write_maps(tmp_path / "maps", kitti_size, maps, "metric_depth")
    place = {"root": kitti_size.root, "own_list": kitti_size.list}
    with pytest.raises(BadInput) as caught:
        evaluate_dense(stored, "kitti", "metric-single", **place)
    told = f"{stored}: predictions.yaml says input_crop: none, and protocol metric-single wants input_crop: kb; make "
    assert str(caught.value).startswith(f"{told}them with da2k predict --protocol metric-single, declare it if")
    assert evaluate_dense(stored, "kitti", "metric-median", **place).result.images.failed == 0
    declared = write_maps(tmp_path / "maps", kitti_size, maps, "metric_depth", input_crop="kb")
    done = evaluate_dense(declared, "kitti", "metric-single", **place)
    assert done.result.images.scored == 0
    (one, other) = (failure.reason for failure in done.result.failures)
    assert "has the size of the whole frame, 375 x 1242" in one
    assert "has the size of the whole frame, 370 x 1226" in other
    assert "make the maps with da2k predict --protocol metric-single" in one


def test_a_model_that_sees_the_whole_frame_is_refused_where_the_protocol_crops(kitti_size):
    place = {"root": kitti_size.root, "own_list": kitti_size.list}

    class Whole:
        def predict(self, images):
            return [leaning(kitti_size.samples["0000000050" in photo.name].rgb) for photo in images]

    done = evaluate_dense(Whole(), "kitti", "metric-single", kind="metric_depth", **place)
    assert done.result.images.scored == 0
    assert "has the size of the whole frame, 375 x 1242" in done.result.failures[0].reason


@pytest.mark.parametrize("crop", ["none", "kb"])
def test_maps_of_images_cropped_otherwise_are_refused_before_any_work(tmp_path, kitti_size, crop):
    """Both ways, whatever their size, which cannot tell; and a declaration without the field means no crop."""
    maps = [leaning((s.rgb if crop == "none" else reference.kb_crop(s.rgb))[::4, ::4]) for s in kitti_size.samples]
    declared = {} if crop == "none" else {"input_crop": crop}
    stored = write_maps(tmp_path / "maps", kitti_size, maps, "metric_depth", **declared)
    place = {"root": kitti_size.root, "own_list": kitti_size.list}
    wants = {"none": "metric-median", "kb": "metric-single"}
    done = evaluate_dense(stored, "kitti", wants[crop], **place)
    assert done.result.images.scored == 2
    (other,) = set(wants) - {crop}
    with pytest.raises(
        BadInput, match=f"says input_crop: {crop}, and protocol {wants[other]} wants input_crop: {other}"
    ):
        evaluate_dense(stored, "kitti", wants[other], out=tmp_path / "r.json", **place)
    assert not list(tmp_path.glob("r.json*"))


def test_an_input_crop_that_does_not_exist_is_refused(tmp_path, kitti_size):
    write_maps(tmp_path / "maps", kitti_size, maps_of(kitti_size), "metric_depth")
    with (tmp_path / "maps/predictions.yaml").open("a") as file:
        file.write("input_crop: garg\n")
    with pytest.raises(BadInput, match="input_crop"):
        evaluate_dense(
            f"predictions:{tmp_path / 'maps'}", "kitti", "metric-median", root=kitti_size.root, own_list=kitti_size.list
        )


def test_maps_for_another_crop_do_not_mix_into_a_folder(tmp_path, kitti_size):
    (tmp_path / "net.py").write_text(CROPPED)
    model = load_model(f"python:{tmp_path / 'net.py'}:make", {"kind": "metric_depth"})
    place = {"root": kitti_size.root, "own_list": kitti_size.list}
    predict(model, "kitti", tmp_path / "maps", protocol="metric-median", **place)
    with pytest.raises(BadInput, match=r"holds other maps than these \(input_crop: none, not kb\)"):
        predict(model, "kitti", tmp_path / "maps", protocol="metric-single", **place)
    again = predict(model, "kitti", tmp_path / "maps", protocol="dav2-table2", **place)
    assert (again.written, again.failures) == (2, ()), "another protocol that shows the model the same images"


def test_a_model_may_say_that_a_map_is_missing(tmp_path):
    frames = make_frames(tmp_path / "frames", count=2)

    def model(pixels):
        raise MissingPrediction("no map here")

    assert {failure.reason for failure in score(frames, model).result.failures} == {"no map here"}
