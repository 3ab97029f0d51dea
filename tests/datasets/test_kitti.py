"""KITTI: metres are a 256th of 16-bit values, and only the annotated ground truth is read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from da2k.datasets.frame_formats import OtherData
from da2k.datasets.kitti import ANNOTATED
from da2k.datasets.open_frames import open_frames, spot_check
from da2k.errors import BadInput
from tests.datasets.native_formats import make_samples, rules_for, write_kitti, write_list

RULES = rules_for("kitti-annotated")


@pytest.mark.parametrize("images", ["", "raw", "raw_data", "kitti_raw", "rgb", "input"])
@pytest.mark.parametrize("truths", ["", "data_depth_annotated", "data_depth_annotated/train", "gts", "gt_depth", "val"])
def test_layouts_that_public_code_uses_are_found(images, truths, tmp_path):
    samples = make_samples(1)
    listed = write_kitti(tmp_path, samples, images=images, truths=truths)
    (frame,) = open_frames("kitti", RULES, tmp_path, own_list=listed).frames
    truth = frame.read_truth()
    np.testing.assert_array_equal(truth.depth[truth.valid], samples[0].depth[samples[0].valid])


def test_drives_of_training_and_validation_are_found_together(tmp_path):
    first, second = make_samples(2)
    rows = write_kitti(tmp_path, [first], truths="data_depth_annotated/train").read_text()
    listed = write_kitti(tmp_path, [second], truths="data_depth_annotated/val")
    listed.write_text(rows + listed.read_text())
    frames = open_frames("kitti", RULES, tmp_path, own_list=listed).frames
    assert "train" in frames[0].files[1].parts
    assert "val" in frames[1].files[1].parts


def test_real_frames_are_read_as_opencv_reads_them(shared):
    folder = shared / "data/depth/kitti"
    for number in ("0000000005", "0000000050"):
        stored = cv2.imread(str(folder / f"depth_{number}.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        frame = _real(folder, number)
        truth = frame.read_truth()
        np.testing.assert_array_equal(truth.valid, stored != 0)
        np.testing.assert_array_equal(truth.depth.astype(np.float64), stored / 256)
        assert frame.open_photo().size == truth.depth.shape == (375, 1242)
        assert 0.15 < truth.valid.mean() < 0.25


def _real(folder, number):
    row = (f"rgb_{number}.png", f"depth_{number}.png")
    return ANNOTATED.frame(row, tuple(folder / name for name in row))


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_depth_png_of_8_bits_is_refused(mode, tmp_path):
    listed = write_kitti(tmp_path, make_samples(2))
    frames = open_frames("kitti", RULES, tmp_path, own_list=listed).frames
    path = frames[0].files[1]
    Image.open(path).convert("L").convert(mode).save(path)
    with pytest.raises(BadInput, match=rf"{path.name}: is no 16-bit grey PNG \(its mode is {mode}\).*8 bits"):
        frames[0].read_truth()
    # One such file is that frame's failure; a set of nothing else is not KITTI's.
    assert len(open_frames("kitti", RULES, tmp_path, own_list=listed).frames) == 2
    Image.open(path).save(frames[1].files[1])
    with pytest.raises(BadInput, match="is no 16-bit grey PNG"):
        open_frames("kitti", RULES, tmp_path, own_list=listed)


def test_raw_lidar_is_refused_by_its_path(tmp_path):
    listed = write_kitti(tmp_path, make_samples(2), truths="")
    listed.write_text(listed.read_text().replace("groundtruth", "velodyne_raw"))
    groundtruth = next(tmp_path.rglob("groundtruth"))
    groundtruth.rename(groundtruth.with_name("velodyne_raw"))
    with pytest.raises(OtherData, match=r"raw LiDAR.*annotated"):
        open_frames("kitti", RULES, tmp_path, own_list=listed)


def test_raw_lidar_under_another_name_is_refused_by_its_density(tmp_path):
    listed = write_kitti(tmp_path, make_samples(9, (60, 200), measured=0.043))
    with pytest.raises(OtherData, match=r"looks like raw LiDAR: 4\.\d% of the pixels"):
        open_frames("kitti", RULES, tmp_path, own_list=listed)
    listed = write_kitti(tmp_path, make_samples(9, (60, 200), measured=0.19))
    assert len(open_frames("kitti", RULES, tmp_path, own_list=listed).frames) == 9


def test_697_rows_with_ground_truth_are_not_the_652_of_the_protocol(tmp_path, shared, monkeypatch):
    published = shared / "data/splits/kitti_eigen_test_files_with_gt.txt"
    rows = [line.split() for line in published.read_text().splitlines()]
    samples = make_samples(1, (8, 12))
    listed = write_kitti(tmp_path, samples)
    truth = listed.read_text().split()[1]
    # Somebody filled the 45 gaps: every row has ground truth.
    filled = [(image, truth if gt == "None" else gt, focal) for image, gt, focal in rows]
    assert sum(gt == truth for _, gt, _ in filled) == 45
    write_list(tmp_path / published.name, filled)
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    with pytest.raises(BadInput, match="is not the list that the data manifest pins"):
        open_frames("kitti", rules_for("kitti-annotated", 652, published.name), tmp_path)


def test_damaged_and_missing_files_are_one_line_each(tmp_path):
    listed = write_kitti(tmp_path, make_samples(3))
    frames = open_frames("kitti", RULES, tmp_path, own_list=listed).frames
    data = frames[0].files[1].read_bytes()
    frames[0].files[1].write_bytes(data[: len(data) // 2])
    frames[1].files[1].write_bytes(b"not an image")
    frames[2].files[1].unlink()
    for frame in frames:
        with pytest.raises(BadInput, match=frame.files[1].name) as caught:
            frame.read_truth()
        assert "\n" not in str(caught.value)
    assert len(spot_check(open_frames("kitti", RULES, tmp_path, own_list=listed, partial=True))) == 2


def test_ground_truth_of_another_size_than_its_image_is_refused(tmp_path):
    listed = write_kitti(tmp_path, make_samples(1))
    (frame,) = open_frames("kitti", RULES, tmp_path, own_list=listed).frames
    Image.open(frame.files[0]).resize((41, 24)).save(frame.files[0])
    with pytest.raises(BadInput, match=r"is 24 x 40, and its image 00000\.png 24 x 41"):
        frame.read_truth()
