"""NYU: measured depth, never filled in, from the BTS folder or from the dataset's own file."""

import subprocess
import sys

import cv2
import h5py
import numpy as np
import pytest

from da2k.datasets.frame_formats import OtherData
from da2k.datasets.nyu_mat import MAT
from da2k.datasets.open_frames import open_frames, spot_check
from da2k.errors import BadInput
from tests.datasets.native_formats import (
    black_border,
    in_millimetres,
    make_samples,
    rules_for,
    white_border,
    write_list,
    write_manifest,
    write_nyu_bts,
    write_nyu_mat,
)

BTS, LABELLED = rules_for("nyu-bts"), rules_for("nyu-mat")


@pytest.fixture(scope="module")
def samples():
    return [in_millimetres(s) for s in make_samples(3, (48, 64))]


def bts_frames(root, listed, tmp_path):
    """Opened as the protocol's own list, not the user's."""
    manifest = write_manifest(tmp_path / "manifest.yaml", "nyu", listed)
    return open_frames("nyu", rules_for("nyu-bts", 3, listed.name), root, manifest=manifest)


@pytest.mark.parametrize("folder", ["", "test", "official_splits/test"])
def test_the_bts_folder_is_found_where_public_code_puts_it(folder, samples, tmp_path):
    listed = write_nyu_bts(tmp_path / folder, samples)
    frames = open_frames("nyu", BTS, tmp_path, own_list=listed).frames
    for frame, sample in zip(frames, samples, strict=True):
        truth = frame.read_truth()
        np.testing.assert_array_equal(truth.valid, sample.valid)
        np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])


@pytest.mark.parametrize("place", ["", "nyu_depth_v2"])
def test_the_labelled_file_is_found_in_its_folder_or_named_itself(place, samples, tmp_path):
    listed = write_nyu_mat(tmp_path / place, samples)
    named = write_nyu_mat(tmp_path / "elsewhere", samples, name="my copy.mat").with_name("my copy.mat")
    for root in (tmp_path, named):
        frames = open_frames("nyu", LABELLED, root, own_list=listed)
        for frame, sample in zip(frames.frames, samples, strict=True):
            truth, pixels = frame.read_truth(), frame.open_photo().pixels
            np.testing.assert_array_equal(truth.valid, sample.valid)
            np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])
            np.testing.assert_array_equal(pixels, sample.rgb)


def test_a_file_in_place_of_a_folder_is_for_the_labelled_file_only(samples, tmp_path):
    listed = write_nyu_mat(tmp_path, samples)
    with pytest.raises(BadInput, match="which is a file"):
        open_frames("nyu", BTS, tmp_path / MAT, own_list=listed)


def test_the_number_in_the_name_is_the_index_from_0(samples, tmp_path, shared):
    write_nyu_mat(tmp_path, samples)
    listed = write_list(tmp_path / "own.txt", [("study/rgb_00002.jpg", "study/sync_depth_00002.png", "518.8579")])
    (frame,) = open_frames("nyu", LABELLED, tmp_path, own_list=listed).frames
    np.testing.assert_array_equal(frame.open_photo().pixels, samples[2].rgb)
    # 1449 frames: the published list has index 0 and 1448, so it counts from 0.
    rows = (shared / "data/splits/nyudepthv2_test_files_with_gt.txt").read_text().split()
    numbers = [int(word.rpartition("_")[2][:5]) for word in rows if word.endswith(".jpg")]
    assert (min(numbers), max(numbers)) == (0, 1448)


def test_an_index_that_the_file_lacks_and_a_name_without_one_are_refused(samples, tmp_path):
    write_nyu_mat(tmp_path, samples)
    listed = write_list(tmp_path / "own.txt", [("a/rgb_00003.jpg", "a/sync_depth_00003.png")])
    (frame,) = open_frames("nyu", LABELLED, tmp_path, own_list=listed).frames
    for read in (frame.read_truth, frame.open_photo):
        with pytest.raises(BadInput, match=r"has shape .3, .* and its frame 3 is wanted"):
            read()
    listed = write_list(tmp_path / "own.txt", [("a/photo.jpg", "a/b.png")])
    with pytest.raises(BadInput, match=r"photo.jpg: has no number"):
        open_frames("nyu", LABELLED, tmp_path, own_list=listed)


def test_filled_in_depth_is_never_read_from_the_labelled_file(samples, tmp_path):
    listed = write_nyu_mat(tmp_path, samples)
    with h5py.File(tmp_path / MAT) as file:
        assert (file["depths"][:] > 0).all()
    for frame in open_frames("nyu", LABELLED, tmp_path, own_list=listed).frames:
        assert not frame.read_truth().valid.all()
    listed = write_nyu_mat(tmp_path, samples, filled=True)
    with pytest.raises(OtherData, match=r"rawDepths\[0\]: has no hole, so its depth was filled in"):
        open_frames("nyu", LABELLED, tmp_path, own_list=listed)


def test_filled_in_depth_is_refused_in_the_bts_folder(samples, tmp_path):
    filled = [s._replace(valid=np.ones_like(s.valid)) for s in samples]
    listed = write_nyu_bts(tmp_path, [samples[0], *filled[1:]])
    frames = open_frames("nyu", BTS, tmp_path, own_list=listed).frames
    frames[0].read_truth()
    with pytest.raises(OtherData, match=r"sync_depth_00001.png: has no hole"):
        frames[1].read_truth()
    with pytest.raises(OtherData, match="has no hole"):
        open_frames("nyu", BTS, tmp_path, own_list=write_nyu_bts(tmp_path, filled))


@pytest.mark.parametrize("jpeg", [False, True])
def test_the_protocols_own_frames_have_the_black_border_of_bts(jpeg, samples, tmp_path):
    # The brightest photograph makes the worst ringing beside the border.
    bright = [s._replace(rgb=np.full_like(s.rgb, 255)) for s in samples]
    listed = write_nyu_bts(tmp_path / "black", [black_border(s) for s in bright], jpeg=jpeg)
    frames = bts_frames(tmp_path / "black", listed, tmp_path)
    assert frames.notes == ()
    assert spot_check(frames) == []
    listed = write_nyu_bts(tmp_path / "white", [white_border(s) for s in samples], jpeg=jpeg)
    with pytest.raises(OtherData, match=r"border is not black .median 255 of 255"):
        bts_frames(tmp_path / "white", listed, tmp_path)
    own = open_frames("nyu", BTS, tmp_path / "white", own_list=listed)
    assert any("border is not black" in note for note in own.notes)


def test_real_frames_are_read_as_opencv_reads_them(shared, tmp_path):
    """They are of NYU's video, not of the test set, and have the white border of the dataset's own images."""
    folder = shared / "data/depth/nyu"
    listed = write_list(tmp_path / "own.txt", [(f"rgb_{n}.jpg", f"sync_depth_{n}.png") for n in ("00000", "00050")])
    frames = open_frames("nyu", BTS, folder, own_list=listed)
    assert any("border is not black (median 255 of 255)" in note for note in frames.notes)
    for frame in frames.frames:
        stored = cv2.imread(str(frame.files[1]), cv2.IMREAD_UNCHANGED)
        truth = frame.read_truth()
        np.testing.assert_array_equal(truth.valid, stored != 0)
        np.testing.assert_allclose(truth.depth, stored / 1000, rtol=1e-7)
        assert truth.depth.shape == frame.open_photo().size == (480, 640)


@pytest.mark.parametrize("removed", ["rawDepths", "images"])
def test_another_mat_file_is_named(removed, samples, tmp_path):
    listed = write_nyu_mat(tmp_path, samples)
    (frame, *_) = open_frames("nyu", LABELLED, tmp_path, own_list=listed).frames
    with h5py.File(tmp_path / MAT, "a") as file:
        del file[removed]
    with pytest.raises(BadInput, match=f"has no {removed}; is it the labelled dataset"):
        (frame.read_truth if removed == "rawDepths" else frame.open_photo)()


@pytest.mark.parametrize("change", [lambda data: data[:3000], lambda data: b"MATLAB 5.0 MAT-file" + data[600:]])
def test_a_damaged_mat_file_is_one_line(change, samples, tmp_path):
    listed = write_nyu_mat(tmp_path, samples)
    (frame, *_) = open_frames("nyu", LABELLED, tmp_path, own_list=listed).frames
    (tmp_path / MAT).write_bytes(change((tmp_path / MAT).read_bytes()))
    for read in (frame.read_truth, frame.open_photo):
        with pytest.raises(BadInput, match=r"is no readable .mat file of version 7.3") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_without_h5py_the_extra_is_named(samples, tmp_path):
    listed = write_nyu_mat(tmp_path, samples)
    # The module that makes rules needs h5py itself, so they travel as text.
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        "from pathlib import Path\n"
        "from da2k.datasets.open_frames import open_frames\n"
        "from da2k.protocols.dense import DatasetRules\n"
        f"rules = DatasetRules.model_validate_json({LABELLED.model_dump_json()!r})\n"
        f"open_frames('nyu', rules, Path({str(tmp_path)!r}), own_list=Path({str(listed)!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingExtra: h5py is not installed; run: pip install 'da2k[dense]'" in done.stderr
