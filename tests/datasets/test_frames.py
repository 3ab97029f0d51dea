"""Lists, layouts and counts, for every format: what is scored is what the protocol names, or it is refused or said."""

import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from da2k.datasets.frame_formats import OtherData
from da2k.datasets.frame_lists import NOT_MEASURED, other_dataset, read_rows
from da2k.datasets.open_frames import FORMATS, _spread, open_frames, spot_check
from da2k.errors import BadInput
from da2k.files import sha256_file
from tests.datasets.native_formats import (
    WRITERS,
    Sample,
    black_border,
    in_millimetres,
    make_samples,
    rules_for,
    write_list,
    write_manifest,
)

READERS = sorted(WRITERS)


def dataset_of(reader: str) -> str:
    return reader.partition("-")[0]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Writes a dataset of three frames: `copy(reader)` gives (root, list, manifest that pins the list, samples)."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))

    def write(reader, samples=None):
        samples = samples or [black_border(in_millimetres(s)) for s in make_samples()]
        listed = WRITERS[reader](tmp_path / "data", samples)
        manifest = write_manifest(tmp_path / "manifest.yaml", dataset_of(reader), listed)
        return tmp_path / "data", listed, manifest, samples

    return write


def opened(reader, root, listed, manifest, **options):
    rules = rules_for(reader, options.pop("frames", 3), listed.name)
    return open_frames(dataset_of(reader), rules, root, manifest=manifest, **options)


@pytest.mark.parametrize("reader", READERS)
def test_frames_come_back_as_they_were_written(reader, copy):
    root, listed, manifest, samples = copy(reader)
    frames = opened(reader, root, listed, manifest)
    assert (frames.dataset, frames.reader, frames.expected) == (dataset_of(reader), reader, 3)
    assert (frames.absent, frames.own_list, frames.partial) == ((), False, False)
    assert frames.list_digest == sha256_file(listed)
    for frame, sample in zip(frames.frames, samples, strict=True):
        photo, truth = frame.open_photo(), frame.read_truth()
        assert photo.name == frame.name
        assert photo.size == truth.depth.shape
        np.testing.assert_array_equal(photo.pixels, sample.rgb)
        assert (truth.depth.dtype, truth.valid.dtype) == (np.float32, np.bool_)
        np.testing.assert_array_equal(truth.valid, sample.valid)
        if reader in ("kitti-annotated", "nyu-bts"):
            step = 1 / 256 if reader == "kitti-annotated" else 1e-3
            np.testing.assert_allclose(truth.depth[truth.valid], sample.depth[sample.valid], atol=step / 2 + 1e-6)
        else:
            np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])
    assert spot_check(frames) == []


@pytest.mark.parametrize("reader", READERS)
def test_names_are_the_images_of_the_list_in_its_order(reader, copy):
    root, listed, manifest, _ = copy(reader)
    images = [line.split()[0] for line in listed.read_text().splitlines()]
    if reader == "sintel-clean":
        images = [image.replace("final/", "clean/") for image in images]
    assert [frame.name for frame in opened(reader, root, listed, manifest).frames] == images


@pytest.mark.parametrize("reader", READERS)
def test_threads_may_read_frames_at_once(reader, copy):
    root, listed, manifest, samples = copy(reader)
    frames = opened(reader, root, listed, manifest).frames * 20
    with ThreadPoolExecutor(8) as pool:
        truths = list(pool.map(lambda frame: frame.read_truth(), frames))
        photos = list(pool.map(lambda frame: frame.open_photo().pixels, frames))
    for i in range(len(frames)):
        np.testing.assert_array_equal(truths[i].valid, samples[i % 3].valid)
        np.testing.assert_array_equal(photos[i], samples[i % 3].rgb)


@pytest.mark.parametrize("reader", [r for r in READERS if r != "nyu-mat"])
@pytest.mark.parametrize("which", [0, -1])
def test_a_lost_file_is_counted_and_never_passed_over(reader, which, copy):
    root, listed, manifest, _ = copy(reader)
    lost = opened(reader, root, listed, manifest).frames[1]
    lost.files[which].unlink()
    with pytest.raises(BadInput, match=f"1 of 3 frames of {listed.name} are not here, the first .*--partial"):
        opened(reader, root, listed, manifest)
    rest = opened(reader, root, listed, manifest, partial=True)
    assert [frame.name for frame in rest.frames] == [f.name for f in rest.frames if f.name != lost.name]
    assert (len(rest.frames), len(rest.absent), rest.expected, rest.partial) == (2, 1, 3, True)
    assert "partial copy: 2 of 3 frames are here" in rest.notes


@pytest.mark.parametrize("reader", [r for r in READERS if r != "nyu-mat"])
def test_the_file_that_is_missing_is_named(reader, copy):
    root, listed, manifest, _ = copy(reader)
    row = listed.read_text().splitlines()[1].split()[: len(FORMATS[reader].columns)]
    frame = opened(reader, root, listed, manifest).frames[1]
    frame.files[-1].unlink()
    with pytest.raises(BadInput) as caught:
        opened(reader, root, listed, manifest)
    assert f"the first {frame.name.replace('clean/', 'final/')} (there is no {row[-1]}); --partial" in str(caught.value)
    frame.files[0].unlink()
    with pytest.raises(BadInput) as caught:
        opened(reader, root, listed, manifest)
    assert "there is no" not in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_another_number_of_frames_than_the_protocol_demands_is_refused(reader, copy):
    root, listed, manifest, _ = copy(reader)
    for partial in (False, True):
        with pytest.raises(BadInput, match="has 3 frames with ground truth; the protocol demands 4"):
            opened(reader, root, listed, manifest, frames=4, partial=partial)


@pytest.mark.parametrize("reader", READERS)
def test_an_own_list_is_any_part_and_the_result_says_so(reader, copy):
    root, listed, manifest, samples = copy(reader)
    lines = listed.read_text().splitlines(keepends=True)
    own = root / "mine.txt"
    own.write_text("\n" + lines[2])
    frames = opened(reader, root, listed, manifest, own_list=own)
    assert (len(frames.frames), frames.own_list, frames.partial, frames.expected) == (1, True, True, 3)
    assert frames.list_digest == sha256_file(own)
    assert "own list mine.txt of 1 frames; the protocol's has 3" in frames.notes
    np.testing.assert_array_equal(frames.frames[0].read_truth().valid, samples[2].valid)


def test_a_list_of_another_content_is_not_the_protocols(copy):
    root, listed, manifest, _ = copy("sintel-final")
    listed.write_text(listed.read_text().replace("0002", "0001x"))
    with pytest.raises(BadInput, match=r"sintel_list.txt: is not the list .* SHA-256 .*da2k data fetch sintel"):
        opened("sintel-final", root, listed, manifest)


def test_the_list_is_taken_from_where_fetch_puts_it(copy, tmp_path):
    root, listed, manifest, _ = copy("sintel-final")
    with pytest.raises(BadInput, match=r"not here; run: da2k data fetch sintel"):
        opened("sintel-final", root, listed.rename(tmp_path / listed.name), manifest)
    fetched = tmp_path / "home/datasets/sintel"
    fetched.mkdir(parents=True)
    shutil.copy(tmp_path / listed.name, fetched)
    assert len(opened("sintel-final", root, listed, manifest).frames) == 3
    listed.write_text("another list of this name lies beside the data\n")
    assert opened("sintel-final", root, listed, manifest).list_digest == sha256_file(fetched / listed.name)


def test_a_list_that_the_manifest_does_not_pin_is_refused(copy, tmp_path):
    root, _, manifest, _ = copy("sintel-final")
    with pytest.raises(BadInput, match=r"pins no list other.txt of sintel, but sintel_list.txt; give yours"):
        opened("sintel-final", root, tmp_path / "other.txt", manifest)


def test_without_a_root_the_dataset_is_where_fetch_puts_it(copy, tmp_path):
    root, listed, manifest, _ = copy("diode")
    with pytest.raises(
        BadInput, match=r"diode is not at .*home.datasets.diode; run: da2k data fetch diode, or .*--root"
    ):
        opened("diode", None, listed, manifest)
    (tmp_path / "home/datasets").mkdir(parents=True)
    root.rename(tmp_path / "home/datasets/diode")
    assert len(opened("diode", None, listed, manifest).frames) == 3


def test_a_root_that_is_no_folder_is_refused(copy, tmp_path):
    _, listed, manifest, _ = copy("diode")
    with pytest.raises(BadInput, match=r"diode is not at .*nowhere; check --root"):
        opened("diode", tmp_path / "nowhere", listed, manifest)
    with pytest.raises(BadInput, match="which is a file; check --root"):
        opened("diode", listed, listed, manifest)


@pytest.mark.parametrize("reader", READERS)
def test_where_nothing_is_found_the_message_names_a_place(reader, copy, tmp_path):
    _, listed, manifest, _ = copy(reader)
    empty = tmp_path / "empty"
    empty.mkdir()
    place = "nyu_depth_v2_labeled.mat" if reader == "nyu-mat" else listed.read_text().split()[0]
    place = place.replace("final/", "clean/") if reader == "sintel-clean" else place
    for partial in (False, True):
        with pytest.raises(BadInput) as caught:
            opened(reader, empty, listed, manifest, own_list=listed, partial=partial)
        assert f"none of the 3 frames is here: there is no {place}" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("of", READERS)
def test_where_nothing_is_found_the_list_is_suspected_too(reader, of, copy, tmp_path):
    root, listed, manifest, samples = copy(reader)
    other = WRITERS[of](tmp_path / "other", samples)
    expect = "check --root and --list"
    if reader == "nyu-mat":
        (root / "nyu_depth_v2_labeled.mat").unlink()
        expect = "run: da2k data fetch nyu, or check --root and --list"
    if dataset_of(of) != dataset_of(reader):
        expect = f"the list's rows look like those of {dataset_of(of)}'s; {expect}"
    else:
        root = tmp_path
    with pytest.raises(BadInput) as caught:
        opened(reader, root, listed, manifest, own_list=other)
    told = str(caught.value)
    if "columns" in told:
        assert told.endswith(f", and this one looks like {dataset_of(of)}'s; check --list")
    elif reader == "nyu-mat" and dataset_of(of) != "nyu":
        assert "has no number; a list for the .mat names images rgb_" in told
    else:
        assert told.endswith(f"; {expect}")


def test_where_fetch_puts_it_is_not_called_a_root(copy, tmp_path):
    _, listed, manifest, _ = copy("diode")
    (tmp_path / "home/datasets/diode").mkdir(parents=True)
    shutil.copy(listed, tmp_path / "home/datasets/diode")
    for named in (None, tmp_path / "home/datasets/diode"):
        with pytest.raises(BadInput, match=r"diode_val/indoors/.* …; run: da2k data fetch diode$"):
            opened("diode", named, listed, manifest)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"; check --root$"):
        opened("diode", tmp_path / "empty", listed, manifest)


@pytest.mark.parametrize(
    ("reader", "row", "both"),
    [
        ("sintel-final", "clean/alley_1/frame_0001.png depth/alley_1/frame_0001.dpt", "final/alley_1/frame_0001.png"),
        ("sintel-clean", "clean/alley_1/frame_0001.png depth/alley_1/frame_0001.dpt", "clean/alley_1/frame_0001.png"),
        ("sintel-final", "./final//alley_1/frame_0001.png depth/alley_1/frame_0001.dpt", ""),
        ("nyu-mat", "bathroom/rgb_1.jpg bathroom/sync_depth_1.png", "index 1 in the .mat"),
    ],
)
def test_two_rows_of_one_frame_are_refused(reader, row, both, copy):
    root, listed, manifest, _ = copy(reader)
    listed.write_text(f"{listed.read_text()}{row}\n")
    named = re.escape(f" (both are {both})") if both else ""
    with pytest.raises(
        BadInput, match=rf"line 4: \S+ stands in the list already, in line 2{named}; a frame counts once"
    ):
        opened(reader, root, listed, manifest, own_list=listed)


def state_sizes(manifest, rows, columns):
    entry = yaml.safe_load(manifest.read_text())
    entry["datasets"][0]["frame_sizes"] = {"rows": rows, "columns": columns}
    manifest.write_text(yaml.safe_dump(entry))


@pytest.mark.parametrize("reader", READERS)
def test_frames_of_a_size_that_the_dataset_has_not_are_refused_or_told(reader, copy):
    root, listed, manifest, _ = copy(reader)
    state_sizes(manifest, [20, 24], [40, 45])
    plain = opened(reader, root, listed, manifest)
    assert opened(reader, root, listed, manifest, own_list=listed).notes[:-1] == plain.notes
    for rows, columns, sizes in (([25, 30], [40, 45], "25–30 x 40–45"), ([24, 24], [30, 39], "24 x 30–39")):
        state_sizes(manifest, rows, columns)
        what = f"is 24 x 40, and the images of {dataset_of(reader)} are {sizes}"
        with pytest.raises(OtherData, match=f"{what}; get the dataset's own"):
            opened(reader, root, listed, manifest)
        own = opened(reader, root, listed, manifest, own_list=listed)
        assert any(note.startswith(f"{own.frames[0].name} {what}: ") for note in own.notes)


def test_the_size_is_looked_for_in_more_than_the_first_frame(copy):
    root, listed, manifest, _ = copy("kitti-annotated", [*make_samples(2), *make_samples(3, (23, 40))[2:]])
    state_sizes(manifest, [24, 24], [40, 40])
    with pytest.raises(OtherData, match=r"00002\.png: is 23 x 40"):
        opened("kitti-annotated", root, listed, manifest)


REAL = {
    "kitti": ("kitti-annotated", ("rgb_0000000005.png", "depth_0000000005.png"), "375 x 1242", "365–380 x 1220–1250"),
    "nyu": ("nyu-bts", ("rgb_00000.jpg", "sync_depth_00000.png"), "480 x 640", "480 x 640"),
}


@pytest.mark.parametrize("dataset", REAL)
@pytest.mark.parametrize("files_of", REAL)
def test_real_frames_of_the_other_dataset_with_16_bit_depth_are_told(dataset, files_of, shared, tmp_path):
    reader, _, _, sizes = REAL[dataset]
    _, row, size, _ = REAL[files_of]
    listed = write_list(tmp_path / "own.txt", [row])
    notes = open_frames(dataset, rules_for(reader), shared / "data/depth" / files_of, own_list=listed).notes
    told = any(f"{row[0]} is {size}, and the images of {dataset} are {sizes}" in note for note in notes)
    assert told is (dataset != files_of)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("final/a.png", "line 4: has 1 column; a row of this dataset is: image, ground truth"),
        ("a.png b.dpt 3 4", "line 4: has 4 columns"),
        ("/etc/passwd b.dpt", "line 4: '/etc/passwd' is no path below the root"),
        ("a.png ../../b.dpt", "line 4: '../../b.dpt' is no path below the root"),
        ("C:\\a.png b.dpt", "is no path below the root"),
        ("a\0.png b.dpt", "is no path below the root"),
        ("final/alley_1/frame_0000.png depth/x.dpt", "line 4: .*stands in the list already"),
    ],
)
def test_broken_rows_are_named_by_their_line(row, message, copy):
    root, listed, manifest, _ = copy("sintel-final")
    listed.write_text(listed.read_text() + row + "\n")
    with pytest.raises(BadInput, match=message):
        opened("sintel-final", root, listed, manifest, own_list=listed)


def test_a_list_without_rows_or_without_text_is_refused(copy, tmp_path):
    root, listed, manifest, _ = copy("sintel-final")
    for data, message in ((b"\n \n", "has no rows"), (b"\xff\xfe\x00", "is no text file"), (None, "No such file")):
        own = tmp_path / "own.txt"
        own.unlink(missing_ok=True)
        if data is not None:
            own.write_bytes(data)
        with pytest.raises(BadInput, match=message):
            opened("sintel-final", root, listed, manifest, own_list=own)


def test_spot_check_tells_what_is_broken(copy):
    root, listed, manifest, _ = copy("diode")
    frames = opened("diode", root, listed, manifest)
    depth = frames.frames[0].files[1]
    depth.write_bytes(depth.read_bytes()[:-4])
    image_bytes = frames.frames[2].files[0].read_bytes()
    frames.frames[2].files[0].write_bytes(image_bytes[: len(image_bytes) // 2])
    mask = frames.frames[1].files[2]
    np.save(mask, np.zeros_like(np.load(mask)))
    problems = spot_check(frames)
    assert len(problems) == 3
    for path, problem in zip((depth, mask, frames.frames[2].files[0]), problems, strict=True):
        assert str(path) in problem
    assert spot_check(frames, 1) == problems[:1]


@pytest.mark.parametrize("reader", ["nyu-mat", "sintel-final", "sintel-clean", "eth3d", "diode"])
@pytest.mark.parametrize(
    ("dataset", "rows"),
    [
        ("kitti", [("rgb_0000000005.png", "depth_0000000005.png"), ("rgb_0000000050.png", "depth_0000000050.png")]),
        ("nyu", [("rgb_00000.jpg", "sync_depth_00000.png"), ("rgb_00050.jpg", "sync_depth_00050.png")]),
    ],
)
def test_real_frames_are_the_same_in_every_format_that_has_floats(reader, dataset, rows, shared, tmp_path):
    own = "kitti-annotated" if dataset == "kitti" else "nyu-bts"
    listed = write_list(tmp_path / "own.txt", rows)
    originals = open_frames(dataset, rules_for(own), shared / "data/depth" / dataset, own_list=listed).frames
    samples = []
    for number, frame in enumerate(originals):
        truth = frame.read_truth()
        samples.append(Sample(str(number), frame.open_photo().pixels, truth.depth, truth.valid))
    listed = WRITERS[reader](tmp_path / "again", samples)
    copies = open_frames(dataset_of(reader), rules_for(reader), tmp_path / "again", own_list=listed).frames
    for copy, sample in zip(copies, samples, strict=True):
        truth = copy.read_truth()
        assert truth.valid.sum() > 80_000
        np.testing.assert_array_equal(truth.valid, sample.valid)
        np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])
        np.testing.assert_array_equal(copy.open_photo().pixels, sample.rgb)


@given(st.integers(1, 700), st.integers(1, 12))
def test_looked_at_are_frames_spread_evenly(total, count):
    chosen = _spread(range(total), count)
    assert len(set(chosen)) == len(chosen) == min(total, count)
    assert chosen[0] == 0
    gaps = np.diff(chosen)
    assert not len(gaps) or (chosen[-1] == total - 1 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize(
    ("reader", "name", "rows", "measured"),
    [
        ("kitti-annotated", "kitti_eigen_test_files_with_gt.txt", 697, 652),
        ("nyu-bts", "nyudepthv2_test_files_with_gt.txt", 654, 654),
        ("nyu-mat", "nyudepthv2_test_files_with_gt.txt", 654, 654),
        ("sintel-final", "sintel_final.txt", 1064, 1064),
        ("eth3d", "eth3d.txt", 454, 454),
        ("diode", "diode_val_all.txt", 771, 771),
    ],
)
def test_the_published_lists_are_read_whole(reader, name, rows, measured, shared):
    read = read_rows(shared / "data/splits" / name, FORMATS[reader], dataset_of(reader))
    assert len(read) == rows
    assert sum(NOT_MEASURED not in row for row in read) == measured
    assert {other_dataset(row, "") for row in read if NOT_MEASURED not in row} == {dataset_of(reader)}
    if reader == "diode":
        assert Counter(row[0].partition("/")[0] for row in read) == {"indoors": 325, "outdoor": 446}


def test_rows_without_ground_truth_do_not_count_and_are_told_of_an_own_list(copy):
    root, listed, manifest, _ = copy("kitti-annotated")
    rows = [line.split() for line in listed.read_text().splitlines()]
    listed = write_list(listed, [*rows, [rows[0][0].replace("00000", "99999"), "None", "721.5377"]])
    manifest = write_manifest(manifest, "kitti", listed)
    untold = "1 of the list's 4 rows have no ground truth"
    frames = opened("kitti-annotated", root, listed, manifest)
    assert (len(frames.frames), frames.notes) == (3, ()), "of the protocol's own list it is known"
    frames = opened("kitti-annotated", root, listed, manifest, own_list=listed)
    assert len(frames.frames) == 3
    assert untold in frames.notes


def test_a_part_of_diode_is_chosen_by_its_rows(copy, tmp_path):
    root, listed, manifest, samples = copy("diode")
    outdoor = WRITERS["diode"](root / "other", samples[:2]).read_text().replace("indoors/", "outdoor/")
    shutil.move(root / "other/indoors", root / "outdoor")
    listed.write_text(listed.read_text() + outdoor)
    manifest = write_manifest(manifest, "diode", listed)
    for dataset, count in (("diode", 5), ("diode-indoor", 3), ("diode-outdoor", 2)):
        frames = open_frames(dataset, rules_for("diode", count, listed.name), root, manifest=manifest)
        assert (frames.dataset, len(frames.frames)) == (dataset, count)
    listed.write_text(outdoor)
    with pytest.raises(BadInput, match="has no frames of diode-indoor with ground truth"):
        open_frames("diode-indoor", rules_for("diode", 3, listed.name), root, own_list=listed, manifest=manifest)


def test_a_stamp_changes_with_any_file_of_a_frame(copy):
    root, listed, manifest, _ = copy("diode")
    frames = opened("diode", root, listed, manifest)
    stamps = [frame.stamp for frame in frames.frames]
    image, depth, mask = frames.frames[1].files
    image.write_bytes(image.read_bytes() + b" ")
    assert [frame.stamp for frame in frames.frames] == stamps
    for file in (depth, mask):
        file.write_bytes(file.read_bytes() + b" ")
        now = [frame.stamp for frame in frames.frames]
        assert now[1] != stamps[1]
        assert now[0] == stamps[0]
        stamps = now
