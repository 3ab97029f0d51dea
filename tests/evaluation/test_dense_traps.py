"""The known ways to a wrong or incomparable number, by their numbers in the record: impossible, refused or told."""

import json
import os
import subprocess
import sys
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from da2k.datasets.frames import Frame, FrameSet, GroundTruth
from da2k.datasets.open_frames import open_frames
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, MissingPrediction
from da2k.evaluation.dense import evaluate_dense
from da2k.evaluation.dense.scoring import score_map
from da2k.images import Photo
from da2k.metrics.dense import METRICS
from da2k.models.declaration import Declaration, write_declaration
from da2k.protocols import dense_protocol, protocol_names
from da2k.protocols.dense import Alignment, DatasetRules, DenseProtocol
from tests.datasets import native_formats as native
from tests.evaluation import dense_reference as reference

METRIC, SCALE_FREE, AFFINE, DISPARITY = (
    DepthKind.METRIC_DEPTH,
    DepthKind.SCALE_INVARIANT_DEPTH,
    DepthKind.AFFINE_DEPTH,
    DepthKind.AFFINE_DISPARITY,
)
DENSE = [name for name in protocol_names() if name != "da2k"]


class Known:
    """Answers by name."""

    def __init__(self, maps, kind):
        self.maps, self.kind, self.asked = maps, kind, []

    def predict(self, images):
        self.asked += [photo.name for photo in images]
        return [DepthMap(self.maps[photo.name], self.kind) for photo in images]


def noisy_disparity(depth, seed=0):
    """What a network might answer for this depth, where it was measured; something else elsewhere."""
    rng = np.random.default_rng(seed)
    near = np.where(np.isfinite(depth) & (depth > 0.1), depth, 7)
    return 4 / (near * np.exp(0.05 * rng.standard_normal(depth.shape))) + 1


def truth_of(size, seed=0, measured=0.6, low=1.0, high=60.0):
    rng = np.random.default_rng(seed)
    return GroundTruth(rng.uniform(low, high, size).astype(np.float32), rng.random(size) < measured)


def frame_of(name, truth):
    pixels = np.zeros((*truth.size, 3), np.uint8)
    return Frame(name, (), lambda: Photo.from_array(pixels, name), lambda: truth)


def frames_of(truths, dataset="sintel", protocol="dav2-table2"):
    frames = tuple(frame_of(name, truth) for name, truth in truths.items())
    reader = dense_protocol(protocol).rules(dataset).reader
    return FrameSet(dataset, reader, Path("nowhere"), frames, len(frames), (), "0" * 64, False)


def write_predictions(folder, maps, kind, **declared):
    for name, values in maps.items():
        path = (folder / name).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    write_declaration(folder, Declaration(model="net", kind=kind, **declared))
    return f"predictions:{folder}"


def expected_means(truths, maps, kind, protocol, rules):
    """Per-image metrics of the reference, and their mean over images."""
    each = [reference.score(maps[n], kind, t.depth, t.valid, protocol, rules)[0] for n, t in truths.items()]
    return each, {metric: np.mean([one[metric] for one in each]) for metric in protocol.metrics}


# 1: a disparity in a depth-space fit, or inverted and scaled by medians.

WRONG = [
    ("marigold", DISPARITY, "its shift is unknown, so 1/x of it is not the inverse"),
    ("metric-median", DISPARITY, "1/x"),
    ("metric-median", AFFINE, "scale and shift are unknown"),
    ("metric", DISPARITY, "1/x"),
    ("metric-single", SCALE_FREE, "its scale is unknown"),
    ("metric-single", AFFINE, "scale and shift are unknown"),
    ("dav2-table2", AFFINE, "1/x"),
    ("dav2-table2-disparity", AFFINE, "1/x"),
    ("midas", AFFINE, "1/x"),
    ("marigold-disparity", AFFINE, "1/x"),
]


@pytest.mark.parametrize(("name", "kind", "why"), WRONG)
def test_trap_1_a_map_that_cannot_be_aligned_so_is_refused_before_anything_runs(name, kind, why, tmp_path):
    dataset = "nyu" if name == "midas" else "kitti"
    frames = frames_of({"a.png": truth_of((480, 640))}, dataset, name)
    model = Known({}, kind)
    with pytest.raises(BadInput, match=f"protocol {name} .*{why}") as e:
        evaluate_dense(lambda pixels: model.predict([]), frames, name, kind=kind)
    assert "\n" not in str(e.value)
    tta = dense_protocol(name).tta
    with pytest.raises(BadInput, match=f"protocol {name} "):
        evaluate_dense(write_predictions(tmp_path, {}, kind, tta=tta), frames, name)
    assert model.asked == []
    truth = truth_of((40, 60))
    with pytest.raises(BadInput, match=f"protocol {name} "):
        score_map(DepthMap(truth.depth, kind), truth, dense_protocol(name), dense_protocol(name).rules(dataset))


def test_trap_1_a_model_that_names_its_kind_only_with_its_maps_fails_image_by_image():
    truth = truth_of((40, 60))
    result = evaluate_dense(Known({"a.png": truth.depth}, AFFINE), frames_of({"a.png": truth}), "dav2-table2").result
    assert (result.images.scored, result.images.failed, result.metrics) == (0, 1, {})
    assert "protocol dav2-table2 " in result.failures[0].reason


def test_trap_1_no_record_can_match_medians_of_disparities():
    with pytest.raises(ValueError, match="median"):
        Alignment(space="disparity", solver="median", floor="1/cap")


def test_trap_1_a_disparity_called_depth_is_doubted_aloud():
    truth = truth_of((40, 60), measured=1.0)
    wrong = Known({"a.png": noisy_disparity(truth.depth)}, AFFINE)
    found = evaluate_dense(wrong, frames_of({"a.png": truth}, "diode", "marigold"), "marigold")
    assert any("negative scale in 1 of 1 images" in warning for warning in found.result.warnings)


# 2: no floor under aligned disparities.


@pytest.mark.parametrize("name", DENSE)
def test_trap_2_a_record_that_inverts_disparities_has_a_floor(name):
    fields = dense_protocol(name).model_dump()
    if fields["alignment"]["space"] != "disparity" or fields["metrics_in"] != "depth":
        assert fields["alignment"]["floor"] is None
        return
    fields["alignment"]["floor"] = None
    with pytest.raises(ValueError, match="floor"):
        DenseProtocol.model_validate(fields)


@pytest.mark.parametrize(("name", "dataset"), [("dav2-table2", "eth3d"), ("midas", "sintel"), ("dav2-table2", "kitti")])
def test_trap_2_a_few_pixels_near_0_disparity_cost_no_more_than_the_cap(name, dataset):
    protocol = dense_protocol(name)
    rules = protocol.rules(dataset)
    truth = truth_of((60, 90), 3, 1.0, 2.0, 50.0)
    values = 1 / truth.depth.astype(float)
    inside = np.flatnonzero(reference.crop((60, 90), rules.metric_crop))
    spoiled = np.random.default_rng(0).choice(inside, 5, replace=False)
    values.ravel()[spoiled] = [1e-9, -1e-9, 1e-7, 0, -1e-5]
    made = DepthMap(values, DISPARITY)
    found = score_map(made, truth, protocol, rules)
    kept = np.zeros(truth.depth.size, bool)
    kept[inside] = True
    p, g = made.values.ravel()[kept].astype(float), truth.depth.ravel()[kept].astype(float)
    aligned = np.polyval(np.polyfit(p, 1 / g, 1), p)
    most = (np.abs(rules.clamp.high - g) / g).max()
    assert found.compared.clamped >= np.mean(aligned < 1 / rules.clamp.high) > 0
    assert found.compared.values["absrel@depth"] <= 5 * most / len(g) + 0.02
    assert found.compared.values["absrel@depth"] == pytest.approx(
        np.mean(np.abs(1 / np.maximum(aligned, 1 / rules.clamp.high) - g) / g), rel=1e-7
    )
    raw = np.abs(1 / aligned - g) / g
    assert raw.max() > 3 * most, "without the floor these pixels would weigh more"


def test_trap_2_clamping_more_than_a_hundredth_is_told():
    truth = truth_of((40, 60), measured=1.0, low=60.0, high=71.0)
    truth.depth[:4] = 1.0
    values = 1 / truth.depth
    values[-2:] = 0
    found = evaluate_dense(Known({"a.png": values}, DISPARITY), frames_of({"a.png": truth}), "dav2-table2")
    share = found.rows["clamped"][0]
    assert share > 0.01
    assert found.result.clamped == share
    assert any(f"{100 * share:.1f} % of the pixels were clamped" in warning for warning in found.result.warnings)


# 3: the wrong set of KITTI.


def open_kitti(folder, samples, **options):
    listed = native.write_kitti(folder, samples, **options)
    return open_frames("kitti", dense_protocol("dav2-table2").rules("kitti"), folder, own_list=listed)


def test_trap_3_a_single_lidar_scan_is_refused(tmp_path):
    dense, sparse = native.make_samples(3, measured=0.2), native.make_samples(3, measured=0.045)
    assert len(open_kitti(tmp_path / "a", dense).frames) == 3
    with pytest.raises(BadInput, match="raw LiDAR"):
        open_kitti(tmp_path / "b", sparse)


def test_trap_3_a_folder_of_raw_scans_is_refused_by_its_name(tmp_path):
    listed = native.write_kitti(tmp_path, native.make_samples(2, measured=0.2), truths="")
    drive = tmp_path / native.DRIVE / "proj_depth"
    (drive / "groundtruth").rename(drive / "velodyne_raw")
    listed.write_text(listed.read_text().replace("groundtruth", "velodyne_raw"))
    with pytest.raises(BadInput, match="raw LiDAR"):
        evaluate_dense("baseline:row", "kitti", "dav2-table2", root=tmp_path, own_list=listed)


def test_trap_3_rows_without_ground_truth_are_no_frames_and_the_count_is_enforced(tmp_path):
    listed = native.write_kitti(tmp_path, native.make_samples(3, measured=0.2))
    with listed.open("a") as f:
        f.write("2011_09_26/x/image_02/data/0000000009.png None 721.5377\n")
    frames = open_frames("kitti", dense_protocol("dav2-table2").rules("kitti"), tmp_path, own_list=listed)
    assert len(frames.frames) == 3
    assert frames.own_list, "and never passes for the protocol's own"
    manifest = native.write_manifest(tmp_path / "manifest.yaml", "kitti", listed)
    rules = native.rules_for("kitti-annotated", 652, listed.name)
    with pytest.raises(BadInput, match="has 3 frames with ground truth; the protocol demands 652"):
        open_frames("kitti", rules, tmp_path, manifest=manifest)


def test_trap_3_sets_whose_list_was_never_published_cannot_be_run(tmp_path):
    with pytest.raises(BadInput, match=r"midas cannot be run on kitti: .*161"):
        evaluate_dense("baseline:row", "kitti", "midas", root=tmp_path)
    counts = {name: dense_protocol(name).datasets["kitti"].frames for name in DENSE if name != "midas"}
    assert set(counts.values()) == {652}


# 4: which crop, and whether it is applied.

PIXELS = [
    ("dav2-table2", "kitti", (375, 1242), DISPARITY, (371 - 153) * (1197 - 44)),
    ("metric-median", "kitti", (375, 1242), METRIC, (371 - 153) * (1197 - 44)),
    ("metric-single", "kitti", (375, 1242), METRIC, (349 - 143) * (1172 - 43)),
    ("metric", "kitti", (370, 1226), METRIC, (349 - 143) * (1172 - 43)),
    ("marigold", "kitti", (375, 1242), AFFINE, (321 - 117) * (1172 - 43)),
    ("dav2-table2", "nyu", (480, 640), DISPARITY, 238_560),
    ("marigold", "nyu", (480, 640), AFFINE, 238_560),
    ("metric", "nyu", (480, 640), METRIC, 238_560),
    ("midas", "nyu", (480, 640), DISPARITY, 480 * 640),
    ("dav2-table2", "diode-indoor", (768, 1024), DISPARITY, 768 * 1024),
]


class Ramp:
    """A map of each image's own size."""

    def __init__(self, kind):
        self.kind = kind

    def predict(self, images):
        return [DepthMap(np.linspace(1, 9, np.prod(p.size)).reshape(p.size), self.kind) for p in images]


@pytest.mark.parametrize(("name", "dataset", "size", "kind", "pixels"), PIXELS)
def test_trap_4_and_6_a_crop_is_applied_where_the_protocol_has_it(name, dataset, size, kind, pixels):
    truth = GroundTruth(np.full(size, 5.0, np.float32), np.ones(size, bool))
    found = evaluate_dense(Ramp(kind), frames_of({"a.png": truth}, dataset, name), name)
    assert found.rows["pixels"].tolist() == [pixels]


def test_trap_4_what_lies_outside_the_crop_changes_no_number():
    rng = np.random.default_rng(0)
    truth, size = truth_of((375, 1242), measured=0.2), (375, 1242)
    values = noisy_disparity(truth.depth)
    outside = ~reference.crop(size, "garg")
    spoiled = GroundTruth(np.where(outside, rng.uniform(1, 79, size), truth.depth).astype(np.float32), truth.valid)
    results = [
        evaluate_dense(Known({"a.png": v}, DISPARITY), frames_of({"a.png": t}, "kitti"), "dav2-table2").metrics
        for v, t in ((values, truth), (np.where(outside, np.nan, values), spoiled))
    ]
    assert results[0] == results[1]


def test_trap_4_a_map_of_the_whole_frame_is_refused_where_the_input_is_cropped(tmp_path):
    truth = truth_of((375, 1242), measured=0.2, high=79.0)
    cropped = GroundTruth(reference.kb_crop(truth.depth), reference.kb_crop(truth.valid))
    for name, kind in (("metric-single", METRIC), ("marigold", AFFINE)):
        frames = frames_of({"a.png": truth}, "kitti", name)
        silent = write_predictions(tmp_path / name / "silent", {"a.png": cropped.depth}, kind)
        with pytest.raises(BadInput, match=f"input_crop: none, and protocol {name} wants input_crop: kb"):
            evaluate_dense(silent, frames, name)
        for aspect in ("kept", "stretched"):
            declared = {"input_crop": "kb", "aspect": aspect}
            whole = write_predictions(tmp_path / name / aspect, {"a.png": truth.depth}, kind, **declared)
            result = evaluate_dense(whole, frames, name).result
            assert (result.images.scored, result.metrics) == (0, {})
            assert "the size of the whole frame, 375 x 1242" in result.failures[0].reason
        part = write_predictions(tmp_path / name / "part", {"a.png": cropped.depth}, kind, input_crop="kb")
        assert evaluate_dense(part, frames, name).metrics["absrel@depth"] == pytest.approx(0, abs=1e-12)


def test_trap_4_maps_of_cropped_images_are_refused_where_the_input_is_whole(tmp_path):
    """At a network's own size nothing else could tell them: the aspects differ by 4 %."""
    truth = truth_of((375, 1242), measured=0.2, high=79.0)
    frames = frames_of({"a.png": truth}, "kitti", "metric-median")
    maps = {"a.png": reference.resized(reference.kb_crop(truth.depth), (176, 608), True)}
    cropped = write_predictions(tmp_path / "cropped", maps, METRIC, input_crop="kb")
    with pytest.raises(BadInput, match="input_crop: kb, and protocol metric-median wants input_crop: none"):
        evaluate_dense(cropped, frames, "metric-median")
    lying = write_predictions(tmp_path / "lying", maps, METRIC)
    assert evaluate_dense(lying, frames, "metric-median").result.images.scored == 1, "the declaration is all there is"


# 5: NYU filled in, or with another border.


def nyu_samples(count=2):
    samples = native.make_samples(count, (480, 640), measured=0.8)
    return [native.in_millimetres(s._replace(depth=1 + s.depth / np.float32(8))) for s in samples]


def test_trap_5_filled_depth_is_refused_in_both_variants(tmp_path):
    filled = [native.black_border(s._replace(valid=np.ones_like(s.valid))) for s in nyu_samples()]
    listed = native.write_nyu_bts(tmp_path / "bts", filled)
    with pytest.raises(BadInput, match="filled in"):
        evaluate_dense("baseline:row", "nyu", "dav2-table2", root=tmp_path / "bts", own_list=listed)
    listed = native.write_nyu_mat(tmp_path / "mat", nyu_samples(), filled=True)
    with pytest.raises(BadInput, match="filled in"):
        evaluate_dense("baseline:row", "nyu", "midas", root=tmp_path / "mat", own_list=listed)


def test_trap_5_a_frame_that_was_filled_in_fails_also_among_others(tmp_path):
    samples = [native.black_border(s) for s in nyu_samples(7)]
    samples[1] = samples[1]._replace(valid=np.ones((480, 640), bool))
    listed = native.write_nyu_bts(tmp_path, samples)
    frames = open_frames("nyu", dense_protocol("dav2-table2").rules("nyu"), tmp_path, own_list=listed)
    result = evaluate_dense(Ramp(DISPARITY), frames, "dav2-table2").result
    assert (result.images.scored, result.images.failed) == (6, 1)
    assert "filled in" in result.failures[0].reason


def test_trap_5_images_with_a_white_border_are_told_from_those_that_papers_use(tmp_path):
    listed = native.write_nyu_bts(tmp_path / "bts", [native.white_border(s) for s in nyu_samples()])
    own = evaluate_dense(Ramp(DISPARITY), open_nyu(tmp_path / "bts", listed, "dav2-table2"), "dav2-table2")
    assert any("border is not black" in warning for warning in own.result.warnings)
    manifest = native.write_manifest(tmp_path / "manifest.yaml", "nyu", listed)
    with pytest.raises(BadInput, match="border is not black"):
        open_frames("nyu", native.rules_for("nyu-bts", 2, listed.name), tmp_path / "bts", manifest=manifest)
    listed = native.write_nyu_mat(tmp_path / "mat", [native.white_border(s) for s in nyu_samples()])
    mat = evaluate_dense(Ramp(DISPARITY), open_nyu(tmp_path / "mat", listed, "midas"), "midas")
    assert any("with their white border" in warning for warning in mat.result.warnings)


def open_nyu(root, listed, protocol):
    return open_frames("nyu", dense_protocol(protocol).rules("nyu"), root, own_list=listed)


# 6: DIODE without its mask, or all of it for a part.


def test_trap_6_depth_where_the_mask_says_no_does_not_count(tmp_path):
    samples = native.make_samples(2, (48, 64))
    listed = native.write_diode(tmp_path, samples)  # it stores 0.25 m where nothing was measured
    names = [line.split()[0] for line in listed.read_text().splitlines()]
    maps = {name: np.where(s.valid, 1 / s.depth, 1e6) for name, s in zip(names, samples, strict=True)}
    found = evaluate_dense(Known(maps, DISPARITY), "diode-indoor", "dav2-table2", root=tmp_path, own_list=listed)
    assert found.rows["pixels"].tolist() == [s.valid.sum() for s in samples]
    assert found.metrics == {"absrel@depth": pytest.approx(0, abs=1e-6), "delta1": 1.0}


def test_trap_6_a_frame_without_its_mask_is_not_read(tmp_path):
    listed = native.write_diode(tmp_path, native.make_samples(2))
    next(tmp_path.rglob("*_depth_mask.npy")).unlink()
    with pytest.raises(BadInput, match="1 of 2 frames"):
        evaluate_dense("baseline:row", "diode", "marigold", root=tmp_path, own_list=listed)
    found = evaluate_dense(Ramp(AFFINE), "diode", "marigold", root=tmp_path, own_list=listed, partial=True).result
    assert (found.images.scored, found.images.absent, found.benchmark.partial) == (1, 1, True)


def test_trap_6_indoor_is_not_all(tmp_path):
    rows = native.write_diode(tmp_path, native.make_samples(2)).read_text()
    listed = native.write_diode(tmp_path, native.make_samples(3, seed=1), part="outdoor")
    listed.write_text(rows + listed.read_text())
    indoor = evaluate_dense(Ramp(DISPARITY), "diode-indoor", "dav2-table2", root=tmp_path, own_list=listed)
    whole = evaluate_dense(Ramp(AFFINE), "diode", "marigold", root=tmp_path, own_list=listed)
    assert (indoor.result.images.scored, whole.result.images.scored) == (2, 5)
    assert all(name.startswith("indoors/") for name in indoor.rows["image"])
    with pytest.raises(BadInput, match="dav2-table2 says nothing on diode; it names"):
        evaluate_dense(Ramp(DISPARITY), "diode", "dav2-table2", root=tmp_path, own_list=listed)


def test_trap_6_nyus_box_of_pixels_is_for_nyu_only():
    fields = dense_protocol("dav2-table2").rules("diode-indoor").model_dump()
    with pytest.raises(ValueError, match="nyu-eigen"):
        DatasetRules.model_validate(fields | {"metric_crop": "nyu-eigen"})


# 7: Sintel's sky, and its passes.


def test_trap_7_the_sky_does_not_count_and_no_record_can_let_it(tmp_path):
    samples = native.make_samples(2, (54, 128), measured=1.0)
    for s in samples:
        s.depth[:20] = 6e4
    listed = native.write_sintel(tmp_path, samples)
    maps = {f"final/alley_1/frame_{i:04}.png": np.where(s.depth > 100, 500, 1 / s.depth) for i, s in enumerate(samples)}
    for name in ("dav2-table2", "midas", "dav2-table2-disparity"):
        found = evaluate_dense(Known(maps, DISPARITY), "sintel", name, root=tmp_path, own_list=listed)
        assert found.rows["pixels"].tolist() == [(s.depth < 72).sum() for s in samples]
        assert next(iter(found.metrics.values())) == pytest.approx(0, abs=1e-6)
        fields = dense_protocol(name).rules("sintel").model_dump()
        with pytest.raises(ValueError, match="sky"):
            DatasetRules.model_validate(fields | {"range": {"low": 0.0, "high": None}})


def test_trap_7_each_pass_is_read_from_its_own_folder_and_named_by_it(tmp_path):
    samples = native.make_samples(2)
    native.write_sintel(tmp_path, [s._replace(rgb=255 - s.rgb) for s in samples], render_pass="clean")
    listed = native.write_sintel(tmp_path, samples, render_pass="final")
    fields = dense_protocol("dav2-table2").rules("sintel").model_dump()
    for render_pass in ("clean", "final"):
        rules = DatasetRules.model_validate(fields | {"reader": f"sintel-{render_pass}"})
        frames = open_frames("sintel", rules, tmp_path, own_list=listed)
        for frame, sample in zip(frames.frames, samples, strict=True):
            assert frame.name.startswith(f"{render_pass}/")
            seen = sample.rgb if render_pass == "final" else 255 - sample.rgb
            np.testing.assert_array_equal(frame.open_photo().pixels, seen)


def test_trap_7_frames_of_another_reader_than_the_protocols_are_refused(tmp_path):
    listed = native.write_sintel(tmp_path, native.make_samples(2), render_pass="clean")
    fields = dense_protocol("dav2-table2").rules("sintel").model_dump()
    rules = DatasetRules.model_validate(fields | {"reader": "sintel-clean"})
    frames = open_frames("sintel", rules, tmp_path, own_list=listed)
    with pytest.raises(BadInput, match="sintel-clean"):
        evaluate_dense(Ramp(DISPARITY), frames, "dav2-table2")


# 8: ETH3D's undistorted photographs.


def test_trap_8_undistorted_or_resized_photographs_are_refused(tmp_path):
    samples = native.make_samples(2, (40, 60))
    listed = native.write_eth3d(tmp_path / "a", samples)
    folder = tmp_path / "a/office/images"
    (folder / "dslr_images").rename(folder / "dslr_images_undistorted")
    undistorted = listed.read_text().replace("images/dslr_images", "images/dslr_images_undistorted")
    listed.write_text(undistorted)
    with pytest.raises(BadInput, match="undistorted"):
        evaluate_dense("baseline:row", "eth3d", "dav2-table2", root=tmp_path / "a", own_list=listed)
    listed = native.write_eth3d(tmp_path / "b", samples)
    for path in (tmp_path / "b").rglob("images/dslr_images/*.JPG"):
        Image.fromarray(np.zeros((38, 57, 3), np.uint8)).save(path, "PNG")
    with pytest.raises(BadInput, match="undistorted or a resized one"):
        evaluate_dense("baseline:row", "eth3d", "dav2-table2", root=tmp_path / "b", own_list=listed)


# 9: resampling.


def test_trap_9_both_corner_rules_are_the_records_and_give_different_numbers():
    truth = truth_of((96, 128), measured=1.0, high=70.0)
    truth = GroundTruth(np.sort(truth.depth, axis=1), truth.valid)
    values = noisy_disparity(truth.depth)[::3, ::3]
    found = {}
    for name in ("dav2-table2", "midas"):
        protocol = dense_protocol(name)
        rules = protocol.rules("eth3d")
        found[name] = score_map(DepthMap(values, DISPARITY), truth, protocol, rules).compared.values["absrel@depth"]
        made = np.float32(values)
        expected = reference.score(made, DISPARITY, truth.depth, truth.valid, protocol, rules)[0]["absrel@depth"]
        assert found[name] == pytest.approx(expected, rel=1e-9)
    assert abs(found["dav2-table2"] - found["midas"]) > 1e-4
    assert {n: dense_protocol(n).datasets["nyu"].align_corners for n in ("dav2-table2", "midas", "marigold")} == {
        "dav2-table2": True,
        "midas": False,
        "marigold": False,
    }


@pytest.mark.parametrize("align_corners", [True, False])
def test_trap_9_resizing_never_leaves_the_values_of_the_map(align_corners):
    """A cubic kernel overshoots at an edge: steps between 2 and 30 would be clamped to a range of just that."""
    fields = dense_protocol("metric-single").model_dump() | {"anchors": ()}
    choices = {"status": "unanchored", "metric_crop": "none", "align_corners": align_corners}
    fields["datasets"] = {"kitti": fields["datasets"]["kitti"] | choices | {"clamp": {"low": 2.0, "high": 30.0}}}
    protocol = DenseProtocol.model_validate(fields)
    steps = np.where(np.random.default_rng(0).random((20, 30)) < 0.5, 2.0, 30.0)
    truth = GroundTruth(np.full((63, 91), 5.0, np.float32), np.ones((63, 91), bool))
    found = score_map(DepthMap(steps, METRIC), truth, protocol, protocol.rules("kitti"))
    assert found.compared.clamped == 0
    cubic = np.asarray(Image.fromarray(steps.astype(np.float32)).resize((91, 63), Image.Resampling.BICUBIC))
    assert ((cubic < 2) | (cubic > 30)).mean() > 0.1


# 11: medians, and means.


def test_trap_11_it_is_the_ratio_of_medians():
    protocol = dense_protocol("metric-median")
    truth = truth_of((40, 60), 5, 1.0, 1.0, 70.0)
    values = (truth.depth * np.random.default_rng(1).uniform(1, 9, (40, 60))).astype(np.float32)
    inside = reference.crop((40, 60), "garg")
    g, p = truth.depth[inside].astype(float), values[inside].astype(float)
    scale = score_map(DepthMap(values, SCALE_FREE), truth, protocol, protocol.rules("kitti")).fit.scale
    assert scale == pytest.approx(np.median(g) / np.median(p), rel=1e-12)
    assert abs(scale / np.median(g / p) - 1) > 0.01, "the median of ratios is another number"


@given(st.integers(0, 10_000), st.integers(2, 5))
@settings(max_examples=10)
def test_trap_11_images_count_alike_and_each_has_its_own_fit(seed, count):
    protocol = dense_protocol("dav2-table2")
    rules = protocol.rules("sintel")
    shares = np.linspace(0.05, 1, count)
    truths = {f"{i}.png": truth_of((24, 40), seed + i, share) for i, share in enumerate(shares)}
    maps = {n: (i + 1) * noisy_disparity(t.depth, i).astype(np.float32) for i, (n, t) in enumerate(truths.items())}
    found = evaluate_dense(Known(maps, DISPARITY), frames_of(truths), "dav2-table2")
    each, mean = expected_means(truths, maps, DISPARITY, protocol, rules)
    for metric in protocol.metrics:
        assert found.metrics[metric] == pytest.approx(mean[metric], rel=1e-9)
        assert found.rows[metric].to_numpy() == pytest.approx(np.array([one[metric] for one in each]), rel=1e-9)
    pixels = found.rows["pixels"].to_numpy()
    pooled = (pixels * found.rows["absrel@depth"]).sum() / pixels.sum()
    assert pooled != pytest.approx(mean["absrel@depth"], rel=1e-6), "a pooled mean is another number"


# 12: one name, several formulas.


def test_trap_12_names_say_space_or_formula_and_bare_ones_do_not_exist():
    for bare in ("absrel", "abs_rel", "sqrel", "rmse", "rmse_log", "rmselog", "log10", "silog", "d1", "a1"):
        assert bare not in METRICS
        fields = dense_protocol("metric").model_dump() | {"metrics": (bare,), "anchors": ()}
        with pytest.raises(ValueError, match="unknown metric"):
            DenseProtocol.model_validate(fields)
    assert all(metric.formula for metric in METRICS.values())


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_trap_12_each_name_is_its_variant_of_the_formula(seed):
    rng = np.random.default_rng(seed)
    truth = truth_of((20, 60), seed)
    values = (truth.depth * np.exp(0.4 * rng.standard_normal((20, 60)))).clip(0.1, 75).astype(np.float32)
    protocol = dense_protocol("metric-single")
    found = score_map(DepthMap(values, METRIC), truth, protocol, protocol.rules("kitti")).compared.values
    kept = truth.valid & reference.crop((20, 60), "garg")
    e = np.log(values[kept].astype(float) / truth.depth[kept].astype(float))
    assert found["silog100"] == pytest.approx(100 * np.sqrt(np.mean(e**2) - np.mean(e) ** 2), rel=1e-9)
    assert found["silog100"] != pytest.approx(100 * np.sqrt(np.mean(e**2) - 0.5 * np.mean(e) ** 2), rel=1e-9)
    assert found["silog100"] != pytest.approx(100 * np.std(e, ddof=1), rel=1e-9)
    assert found["rmse_log_e"] == pytest.approx(np.sqrt(np.mean(e**2)), rel=1e-9)
    assert found["mae_log_10"] == pytest.approx(np.mean(np.abs(e)) / log(10), rel=1e-9)


def test_trap_12_the_share_beyond_is_the_complement_in_per_cent_and_the_bound_is_strict():
    truth = GroundTruth(np.array([[4.0, 4, 4, 4]], np.float32), np.ones((1, 4), bool))
    made = DepthMap(np.array([[5.0, 4.9, 3.2, 3.3]]), METRIC)
    fields = dense_protocol("metric-single").model_dump() | {"anchors": ()}
    fields |= {"metrics": ("delta1", "delta1_exceeded_percent")}
    fields["datasets"]["kitti"] |= {"metric_crop": "none", "status": "unanchored"}
    protocol = DenseProtocol.model_validate(fields | {"datasets": {"kitti": fields["datasets"]["kitti"]}})
    found = score_map(made, truth, protocol, protocol.rules("kitti")).compared.values
    # 5 / 4 is 1.25 exactly and 3.2 in float32 is a little above 4 / 1.25.
    assert found == {"delta1": 0.75, "delta1_exceeded_percent": 25.0}


# 13: frames silently lost.


def answers(how, truth):
    """A model's answer, or its failure."""
    if how == "exception":
        raise RuntimeError("the network\nbroke")
    if how == "memory":
        raise MemoryError
    if how == "missing":
        raise MissingPrediction("no map")
    good = noisy_disparity(truth.depth).astype(np.float32)
    return {
        "nan": np.full_like(good, np.nan),
        "one nan": np.where(np.arange(good.size).reshape(good.shape) == np.argmax(truth.valid), np.nan, good),
        "inf": np.full_like(good, np.inf),
        "transposed": good.T,
        "three axes": np.zeros((*good.shape, 2)),
        "no map": None,
        "text": np.full(good.shape, "x"),
        "constant": np.full_like(good, 3),
    }.get(how, good)


SCORED = ("good", "constant")
FAULTS = (
    *SCORED,
    "exception",
    "memory",
    "missing",
    "nan",
    "one nan",
    "inf",
    "transposed",
    "three axes",
    "no map",
    "text",
    "unreadable image",
    "unreadable truth",
    "nothing measured",
)


@given(st.lists(st.sampled_from(FAULTS), min_size=6, max_size=6), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=40)
def test_trap_13_scored_and_failed_frames_are_all_frames_for_any_mixture(faults, batch_size, workers):
    truths = {f"{i}.png": truth_of((24, 90), i) for i in range(6)}
    by_name = dict(zip(truths, faults, strict=True))

    def refuse():
        raise BadInput("the file is damaged")

    def faulty(name, truth):
        frame = frame_of(name, truth)
        if by_name[name] == "unreadable image":
            return Frame(name, (), refuse, frame.read_truth)
        if by_name[name] == "unreadable truth":
            return Frame(name, (), frame.open_photo, refuse)
        if by_name[name] == "nothing measured":
            return frame_of(name, GroundTruth(truth.depth, np.zeros_like(truth.valid)))
        return frame

    class Model:
        def predict(self, images):
            return [answers(by_name[photo.name], truths[photo.name]) for photo in images]

    whole = frames_of(truths)
    frames = FrameSet(
        whole.dataset,
        whole.reader,
        whole.root,
        tuple(faulty(name, truth) for name, truth in truths.items()),
        6,
        (),
        whole.list_digest,
        False,
    )
    found = evaluate_dense(Model(), frames, "dav2-table2", kind=DISPARITY, batch_size=batch_size, workers=workers)
    images = found.result.images
    assert images.scored + images.failed == images.expected == 6
    failed = {name for name, fault in by_name.items() if fault not in SCORED}
    assert {failure.image for failure in found.result.failures} == failed
    assert all(failure.reason and "\n" not in failure.reason for failure in found.result.failures)
    assert sorted(found.rows["image"]) == sorted(truths), "a row for every frame"
    scored = {name: truth for name, truth in truths.items() if name not in failed}
    assert found.rows.set_index("image")["failure"].isna().to_dict() == {name: name in scored for name in truths}
    protocol = dense_protocol("dav2-table2")
    if not scored:
        assert found.metrics == {}
        return
    maps = {name: answers(by_name[name], truth) for name, truth in scored.items()}
    _, mean = expected_means(scored, maps, DISPARITY, protocol, protocol.rules("sintel"))
    assert found.metrics == pytest.approx(mean, rel=1e-9)


def test_trap_13_frames_with_one_name_are_refused_and_not_merged():
    truth = truth_of((24, 40))
    one = frame_of("a.png", truth)
    with pytest.raises(BadInput, match=r"a\.png: is in the list 2 times"):
        FrameSet("sintel", "sintel-final", Path("nowhere"), (one, one), 2, (), "0" * 64, True)


def test_trap_13_a_list_that_names_both_passes_of_a_frame_loses_none_silently(tmp_path):
    samples = native.make_samples(2)
    native.write_sintel(tmp_path, samples, render_pass="clean")
    listed = native.write_sintel(tmp_path, samples)
    rows = listed.read_text()
    listed.write_text(rows + rows.replace("final/", "clean/"))
    with pytest.raises(BadInput, match=r"final/alley_1/frame_0000\.png"):
        evaluate_dense(Ramp(DISPARITY), "sintel", "dav2-table2", root=tmp_path, own_list=listed)


def test_trap_13_missing_and_damaged_files_are_counted_from_the_command_line(tmp_path):
    samples = native.make_samples(8, (24, 90))
    listed = native.write_sintel(tmp_path / "data", samples)
    truths = sorted((tmp_path / "data/depth").rglob("*.dpt"))
    truths[1].write_bytes(truths[1].read_bytes()[:-7])
    truths[2].write_bytes(b"PIEX" + truths[2].read_bytes()[4:])
    names = [line.split()[0] for line in listed.read_text().splitlines()]
    depths = {name: GroundTruth(s.depth, s.valid) for name, s in zip(names, samples, strict=True)}
    maps = {name: noisy_disparity(truth.depth).astype(np.float32) for name, truth in depths.items()}
    del maps[names[4]]
    maps[names[5]] = maps[names[5]] * np.nan
    maps[names[6]] = maps[names[6]].T
    model = write_predictions(tmp_path / "maps", maps, DISPARITY)
    words = ["evaluate", model, "--benchmark", "sintel", "--protocol", "dav2-table2", "--root", tmp_path / "data"]
    words += ["--list", listed, "--workers", 2, "--json"]
    environment = os.environ | {"DA2K_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "da2k", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert (result["images"]["scored"], result["images"]["failed"]) == (3, 5)
    reasons = {failure["image"]: failure["reason"] for failure in result["failures"]}
    for place, why in ((1, "truncated"), (2, "no .dpt file"), (4, "no prediction"), (5, "not finite"), (6, "aspect")):
        assert why in reasons[names[place]]
    protocol = dense_protocol("dav2-table2")
    good = {names[i]: depths[names[i]] for i in (0, 3, 7)}
    _, mean = expected_means(good, maps, DISPARITY, protocol, protocol.rules("sintel"))
    for metric, value in mean.items():
        assert result["metrics"][metric]["mean"] == pytest.approx(value, rel=1e-9)


def test_trap_13_a_partial_copy_says_what_is_not_there(tmp_path):
    listed = native.write_sintel(tmp_path, native.make_samples(5))
    manifest = native.write_manifest(tmp_path / "manifest.yaml", "sintel", listed)
    fields = dense_protocol("dav2-table2").rules("sintel").model_dump()
    rules = DatasetRules.model_validate(fields | {"frames": 5, "list": listed.name})
    for path in sorted(tmp_path.rglob("*.dpt"))[:2]:
        path.unlink()
    with pytest.raises(BadInput, match="2 of 5 frames"):
        open_frames("sintel", rules, tmp_path, manifest=manifest)
    frames = open_frames("sintel", rules, tmp_path, manifest=manifest, partial=True)
    result = evaluate_dense(Ramp(DISPARITY), frames, "dav2-table2").result
    assert result.images.model_dump() == {"expected": 5, "scored": 3, "failed": 0, "absent": 2}
    assert result.benchmark.partial
    assert any("3 of 5 frames are here" in warning for warning in result.warnings)


# 8, at its real size.

FULL_SIZE = """
import json, resource, sys
from pathlib import Path

from da2k.evaluation.dense import evaluate_dense

folder, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
found = []
for maps, protocol, workers in runs:
    listed = folder / "eth3d_list.txt"
    model = f"predictions:{folder / maps}"
    done = evaluate_dense(model, "eth3d", protocol, root=folder, own_list=listed, workers=workers)
    found.append([done.result.images.scored, dict(done.metrics), done.rows["pixels"].tolist()])
status = Path("/proc/self/status")  # getrusage counts what the parent held when it forked
if status.is_file():
    peak = int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"found": found, "peak": peak}))
"""
"""Runs over a folder, as a process of its own; prints what was scored and the most memory it held, in bytes."""


@pytest.mark.slow
def test_full_size_eth3d_frames_are_scored_in_little_memory(tmp_path):
    size = (4032, 6048)
    rows, columns = np.mgrid[:1:4032j, :1:6048j].astype(np.float32)
    depth = 1 + 30 * rows + 8 * np.abs(np.sin(20 * columns))
    valid = (np.arange(size[1]) % 5 < 3)[None] & (rows > 0.1)
    sample = native.Sample("a", np.zeros((*size, 3), np.uint8), depth, valid)
    runs = [
        ("full", "dav2-table2", 1),
        ("full", "dav2-table2", 2),
        ("small", "dav2-table2", 1),
        ("depth", "marigold", 2),
    ]
    try:
        listed = native.write_eth3d(tmp_path, [sample], jpeg=True)
        listed.write_text(listed.read_text() + listed.read_text().replace("/a.JPG", "/b.JPG"))
        maps = {"full": 3 / depth + 2, "small": (3 / depth + 2)[::12, ::12], "depth": (5 * depth - 1)[::12, ::12]}
        for name, values in maps.items():
            image = "rgb/office/images/dslr_images/a.JPG"
            write_predictions(tmp_path / name, {image: values}, AFFINE if name == "depth" else DISPARITY)
        for path in [*tmp_path.rglob("a.JPG"), *tmp_path.rglob("a.npy")]:
            path.with_stem("b").symlink_to(path)
        words = [sys.executable, "-c", FULL_SIZE, tmp_path, json.dumps(runs)]
        done = subprocess.run([*map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
    finally:
        for path in tmp_path.rglob("*"):
            if path.is_file() or path.is_symlink():
                path.unlink()
    for (name, _, _), (scored, metrics, pixels) in zip(runs, told["found"], strict=True):
        assert scored == 2
        assert pixels == [valid.sum()] * 2
        assert metrics["absrel@depth"] < (1e-5 if name == "full" else 0.05)
    assert told["peak"] < 1.5e9


# 17: flip averaging by default.


@pytest.mark.parametrize(("name", "wants"), [("metric", "flip"), ("metric-single", "none"), ("metric-median", "none")])
def test_trap_17_maps_made_with_another_augmentation_are_refused(name, wants, tmp_path):
    truth = truth_of((480, 640), high=9.0)
    frames = frames_of({"a.png": truth}, "nyu", name)
    other = {"flip": "none", "none": "flip"}[wants]
    wrong = write_predictions(tmp_path / "wrong", {"a.png": truth.depth}, METRIC, tta=other)
    with pytest.raises(BadInput, match=f"tta: {other}, and protocol {name} wants"):
        evaluate_dense(wrong, frames, name)
    right = write_predictions(tmp_path / "right", {"a.png": truth.depth}, METRIC, tta=wants)
    assert evaluate_dense(right, frames, name).metrics["absrel@depth"] == 0


def test_trap_17_the_two_protocols_of_metric_networks_differ_in_nothing_else_and_have_two_names():
    flipped, single = dense_protocol("metric"), dense_protocol("metric-single")
    one, other = flipped.model_dump(), single.model_dump()
    assert (one["tta"], other["tta"]) == ("flip", "none")
    for choice in ("alignment", "metrics_in", "metrics", "mean"):
        assert one[choice] == other[choice]
    for dataset, rules in flipped.datasets.items():
        prose = {"status", "note", "evidence"}
        assert rules.model_dump(exclude=prose) == single.datasets[dataset].model_dump(exclude=prose)
    assert flipped.digest != single.digest
