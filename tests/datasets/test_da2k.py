"""The official layout, and everything that can be wrong with it."""

import json
import unicodedata

import pytest

from da2k.datasets.benchmarks import open_benchmark, open_photos
from da2k.datasets.da2k import find_root, read_benchmark, write_annotations
from da2k.datasets.manifest import load_manifest
from da2k.errors import BadInput
from da2k.protocols.dense import BENCHMARKS

GOOD = {"point1": [1, 2], "point2": [3, 4], "closer_point": "point1"}


def write(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_benchmark_is_read_as_it_is_written(make_benchmark):
    root = make_benchmark(images=9, pairs=4)
    benchmark = read_benchmark(root)
    content = json.loads((root / "annotations.json").read_text())
    assert benchmark.images == tuple(content)
    assert len(benchmark.pairs) == 36
    for image, entries in content.items():
        for pair, entry in zip(benchmark.by_image[image], entries, strict=True):
            closer = entry["closer_point"]
            assert list(pair.closer_point) == entry[closer]
            assert list(pair.farther_point) == entry["point2" if closer == "point1" else "point1"]


def test_writing_and_reading_states_the_same(make_benchmark, tmp_path):
    benchmark = read_benchmark(make_benchmark(images=8))
    write_annotations(tmp_path / "again" / "annotations.json", benchmark.pairs)
    again = read_benchmark(tmp_path / "again")
    assert again.digest == benchmark.digest
    assert all(pair.closer == 1 for pair in again.pairs), "the official release lists the closer point first"


def test_the_digest_sees_labels_but_not_their_order(make_benchmark):
    root = make_benchmark(images=3)
    before = read_benchmark(root).digest
    content = json.loads((root / "annotations.json").read_text())
    write(root, {image: list(reversed(pairs)) for image, pairs in reversed(content.items())})
    assert read_benchmark(root).digest == before
    first = next(iter(content.values()))[0]
    first["closer_point"] = "point2" if first["closer_point"] == "point1" else "point1"
    write(root, content)
    assert read_benchmark(root).digest != before


@pytest.mark.parametrize("nesting", ["", "DA-2K", "DA-2K/DA-2K"])
def test_the_zip_may_unpack_to_any_of_three_depths(tmp_path, nesting):
    write(tmp_path / nesting, {"images/indoor/a.jpg": [GOOD]})
    assert find_root(tmp_path) == tmp_path / nesting


BROKEN = {
    "not JSON": ("{", "not valid JSON"),
    "a list": ([], "must be an object"),
    "no pair": ({}, "holds no pair"),
    "pairs are no list": ({"images/indoor/a.jpg": GOOD}, r'"images/indoor/a.jpg": must be a list'),
    "a pair is no object": ({"images/indoor/a.jpg": [[1, 2]]}, r"\[0\]: must be an object"),
    "a wrong field": ({"images/indoor/a.jpg": [GOOD, {**GOOD, "closer": 1}]}, r'\[1\]: unknown field "closer"'),
    "a missing field": ({"images/indoor/a.jpg": [{"point1": [1, 2], "point2": [3, 4]}]}, '"closer_point" is missing'),
    "no such answer": ({"images/indoor/a.jpg": [{**GOOD, "closer_point": "point3"}]}, r"\[0\]\.closer_point"),
    "an answer of another type": ({"images/indoor/a.jpg": [{**GOOD, "closer_point": ["point1"]}]}, "closer_point"),
    "a point of three": ({"images/indoor/a.jpg": [{**GOOD, "point1": [1, 2, 3]}]}, r"\[0\]\.point1: must be \[row"),
    "a point of floats": ({"images/indoor/a.jpg": [{**GOOD, "point2": [1.5, 2]}]}, r"\[0\]\.point2"),
    "a point of truths": ({"images/indoor/a.jpg": [{**GOOD, "point2": [True, False]}]}, r"\[0\]\.point2"),
    "a negative point": ({"images/indoor/a.jpg": [{**GOOD, "point2": [-1, 2]}]}, r"\[0\]\.point2.*outside"),
    "a point beyond all images": ({"images/indoor/a.jpg": [{**GOOD, "point2": [2**31, 2]}]}, r"\[0\]\.point2.*outside"),
    "a name that is no text": ('{"images/indoor/\\ud800.jpg": []}', "not valid Unicode"),
    "equal points": ({"images/indoor/a.jpg": [{**GOOD, "point2": [1, 2]}]}, r"\[0\]: both points are \(1, 2\)"),
    "a path upwards": ({"images/../a.jpg": [GOOD]}, "leaves the benchmark"),
    "no scenario": ({"images/a.jpg": [GOOD]}, "images/<scenario>/<file>"),
    "a key twice": ('{"images/a/b.jpg": [], "images/a/b.jpg": []}', '"images/a/b.jpg" stands twice'),
    "a field twice": ('{"images/a/b.jpg": [{"point1": [1,2], "point1": [1,2]}]}', '"point1" stands twice'),
    "deep nesting": ("[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_labels_name_the_file_and_the_field(tmp_path, fault):
    content, message = BROKEN[fault]
    write(tmp_path, content)
    with pytest.raises(BadInput, match=message) as caught:
        read_benchmark(tmp_path)
    assert "annotations.json" in str(caught.value)


def test_points_outside_the_image_are_refused_with_the_images_size(make_benchmark):
    root = make_benchmark(images=1)
    content = json.loads((root / "annotations.json").read_text())
    image = next(iter(content))
    content[image][1]["point2"] = [5, 9000]
    write(root, content)
    with pytest.raises(
        BadInput, match=r'annotations\.json: "images/indoor/photo000\.png"\[1\]\.point2: .*col 9000.*outside'
    ):
        open_photos(read_benchmark(root))


def test_unknown_scenarios_and_repeated_pairs_are_allowed_and_reported(tmp_path):
    swapped = {"point1": [3, 4], "point2": [1, 2], "closer_point": "point2"}
    benchmark = read_benchmark(write(tmp_path, {"images/endoscopy/a.jpg": [GOOD, swapped]}))
    assert any("endoscopy" in note for note in benchmark.notes)
    assert any("1 pairs repeat" in note for note in benchmark.notes)


def test_names_that_differ_in_unicode_normalisation_are_found(make_benchmark):
    root = make_benchmark(images=1)
    content = json.loads((root / "annotations.json").read_text())
    (image, pairs), *_ = content.items()
    decomposed = unicodedata.normalize("NFD", "images/indoor/é.png")
    (root / image).rename(root / decomposed)
    write(root, {unicodedata.normalize("NFC", decomposed): pairs})
    photos = open_photos(read_benchmark(root))
    assert all(not isinstance(photo, BadInput) for photo in photos.values())


def test_an_absent_image_is_an_outcome_not_an_end(make_benchmark):
    root = make_benchmark(images=3)
    (root / "images/outdoor/photo001.png").unlink()
    photos = open_photos(read_benchmark(root))
    assert [isinstance(photo, BadInput) for photo in photos.values()] == [False, True, False]


def test_a_folder_that_calls_itself_da2k_must_be_whole(make_benchmark):
    root = make_benchmark(images=3, name="DA-2K")
    with pytest.raises(BadInput, match=r"3 images are annotated, 1033 expected.*--partial"):
        open_benchmark(root)
    partial = open_benchmark(root, partial=True)
    assert partial.partial
    assert partial.name == "da2k"
    assert any("1033 expected" in note for note in partial.notes)


def test_a_named_benchmark_can_lie_anywhere(make_benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    with pytest.raises(BadInput, match="da2k data fetch da2k"):
        open_benchmark("da2k")
    root = make_benchmark(images=3)
    with pytest.raises(BadInput, match="not the whole of da2k"):
        open_benchmark("da2k", root=root)
    assert open_benchmark("da2k", root=root, partial=True).partial


def test_a_copy_of_the_right_counts_is_whole_until_an_image_file_is_absent(make_benchmark):
    root = make_benchmark(images=1, name="DA-2K")
    photo = (root / "images/indoor/photo000.png").read_bytes()
    # Two pairs an image, and three in the first image of a scenario with an odd number: 1033 images, 2068 pairs.
    content = {}
    for scenario, pairs in load_manifest()["da2k"].expected.scenarios.items():
        for index in range(pairs // 2):
            image = root / "images" / scenario / f"{index}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(photo)
            count = 3 if pairs % 2 and index == 0 else 2
            entries = [{"point1": [0, i], "point2": [9, 9], "closer_point": "point1"} for i in range(count)]
            content[f"images/{scenario}/{index}.png"] = entries
    write(root, content)
    benchmark = open_benchmark(root)
    assert (len(benchmark.images), len(benchmark.pairs), benchmark.partial) == (1033, 2068, False)
    (root / benchmark.images[5]).unlink()
    with pytest.raises(BadInput, match="1 of 1033 image files are absent"):
        open_benchmark(root)


@pytest.mark.parametrize(
    ("name", "nearest"), [("KITTI", "kitti"), ("nyuv2", "nyu"), ("DIODE_indoor", "diode-indoor"), ("DA2KK", "da2k")]
)
def test_names_of_measured_depth_are_suggested_too(name, nearest):
    with pytest.raises(BadInput, match=f'"{name}"; did you mean "{nearest}"') as caught:
        open_benchmark(name)
    assert {"da2k", *BENCHMARKS} == set(str(caught.value).rpartition("Known: ")[2].split(", "))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_measured_depth_has_no_pairs(name):
    with pytest.raises(BadInput, match=f'^"{name}" has measured depth and no pairs of points; with pairs are: da2k$'):
        open_benchmark(name)


def test_unknown_names_suggest_the_nearest(tmp_path):
    with pytest.raises(BadInput, match='"da2kk"; did you mean "da2k"'):
        open_benchmark("da2kk")
    with pytest.raises(BadInput, match="--root goes with a named benchmark"):
        open_benchmark(tmp_path, root=tmp_path)
