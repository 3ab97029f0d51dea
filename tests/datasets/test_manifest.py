"""The data manifest: what it says of DA-2K, and how a wrong one is refused."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from da2k.datasets.manifest import dataset_folder, find_dataset, load_manifest
from da2k.datasets.pins import pins_file, read_pin, write_pin
from da2k.errors import BadInput
from da2k.pairs import SCENARIOS
from da2k.protocols.dense import Reader

ENTRY: dict[str, Any] = {
    "id": "small",
    "title": "Small",
    "url": "https://example.org/small",
    "licence": "CC-BY-4.0",
    "licence_evidence": "its page",
    "redistribution": "no",
    "attribution": "someone",
    "citation": "someone, 2024",
    "revision": "1",
    "used_for": "tests",
    "folder_names": ["Small-Set"],
    "files": [{"url": "https://example.org/small.zip", "name": "small.zip", "unpack": True}],
    "expected": {"images": 1, "pairs": 3, "scenarios": {"indoor": 1, "aerial": 2}},
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "manifest.yaml"


def write(manifest: Path, *entries: dict[str, Any]) -> Path:
    manifest.write_text(yaml.safe_dump({"datasets": list(entries)}))
    return manifest


def test_da2k_is_described_as_published(shared: Path) -> None:
    facts = json.loads((shared / "data" / "facts" / "derived_pair_counts_and_correct.json").read_text())
    da2k = load_manifest()["da2k"]
    assert da2k.expected is not None
    assert da2k.expected.scenarios == facts["pairs_per_scenario"]
    assert da2k.expected.pairs == facts["total_pairs"] == 2068
    assert da2k.expected.images == 1033


def test_da2k_is_whole() -> None:
    da2k = load_manifest()["da2k"]
    (file,) = da2k.files
    assert file.url == "https://huggingface.co/datasets/depth-anything/DA-2K/resolve/main/DA-2K.zip"
    assert (file.name, file.unpack, file.sha256) == ("DA-2K.zip", True, None)
    assert da2k.expected is not None
    assert list(da2k.expected.scenarios) == list(SCENARIOS)
    assert da2k.licence == "Apache-2.0"
    assert da2k.redistribution == "link-only"
    assert "DA-2K" in da2k.folder_names


FRAMES = {"kitti": 652, "nyu": 654, "sintel": 1064, "eth3d": 454, "diode": 771}


@pytest.mark.parametrize("name", FRAMES)
def test_lists_are_the_published_ones(name: str, shared: Path) -> None:
    (listed,) = load_manifest()[name].lists
    content = (shared / "data" / "splits" / listed.name).read_bytes()
    rows = [line.split() for line in content.decode().splitlines()]
    assert hashlib.sha256(content).hexdigest() == listed.sha256
    assert (len(content), len(rows)) == (listed.bytes, listed.rows)
    assert sum("None" not in row for row in rows) == listed.scored == FRAMES[name]


@pytest.mark.parametrize("name", FRAMES)
def test_datasets_with_frames_are_whole(name: str) -> None:
    dataset = load_manifest()[name]
    (listed,) = dataset.lists
    assert listed.scored == FRAMES[name]
    assert re.search(r"/[0-9a-f]{40}/", listed.url), "a branch may change"
    assert listed.readers
    assert all(reader.startswith(name) for reader in listed.readers)
    assert dataset.redistribution == "link-only"
    assert all(file.sha256 is not None or file.url.startswith("https://") for file in dataset.files)


def test_every_reader_is_fetched_for() -> None:
    readers = [reader for dataset in load_manifest().values() for each in dataset.lists for reader in each.readers]
    assert sorted(readers) == sorted(get_args(Reader))


def test_instructions_name_every_drive_of_the_list(shared: Path) -> None:
    rows = (shared / "data/splits/kitti_eigen_test_files_with_gt.txt").read_text().splitlines()
    drives = {row.split("/")[1] for row in rows if row.split()[1] != "None"}
    wanted: dict[str, set[str]] = {}
    for drive in drives:
        wanted.setdefault(drive[:10], set()).add(drive[17:21])
    told = str(load_manifest()["kitti"].instructions)
    named = {
        date: set(re.findall(r"\b\d{4}\b(?!_)", numbers))
        for date, numbers in re.findall(r"(2011_\d\d_\d\d): ((?:\d{4}\s+)+)", told)
    }
    assert named == wanted
    assert f"these {len(drives)} drives" in told


def test_another_manifest(manifest: Path) -> None:
    datasets = load_manifest(write(manifest, ENTRY))
    assert list(datasets) == ["small"]
    assert find_dataset("small", manifest) == find_dataset("SMALL-set", manifest) == datasets["small"]
    with pytest.raises(BadInput, match='unknown dataset "smal"; did you mean "small"'):
        find_dataset("smal", manifest)


def test_a_dataset_that_people_must_get_themselves(manifest: Path) -> None:
    entry = {**ENTRY, "files": [], "instructions": "register at https://example.org"}
    assert load_manifest(write(manifest, entry))["small"].size is None


def test_the_size_is_known_only_if_every_file_has_one(manifest: Path) -> None:
    files = [{"url": "https://example.org/a", "name": "a", "bytes": 5}, {"url": "https://example.org/b", "name": "b"}]
    assert load_manifest(write(manifest, {**ENTRY, "files": files}))["small"].size is None
    assert load_manifest(manifest)["small"].size_known == 5
    files[1]["approximate_bytes"] = 7
    assert load_manifest(write(manifest, {**ENTRY, "files": files}))["small"].size == 12


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        # Of the five days of KITTI, and its crop for benchmarks, a resized copy, and NYU.
        (
            "kitti",
            [(375, 1242), (370, 1224), (374, 1238), (370, 1226), (376, 1241)],
            [(352, 1216), (375, 750), (480, 640), (1242, 375)],
        ),
        ("nyu", [(480, 640)], [(375, 1242), (427, 561), (640, 480), (240, 320)]),
    ],
)
def test_sizes_that_tell_datasets_apart(
    name: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
) -> None:
    sizes = load_manifest()[name].frame_sizes
    assert sizes is not None
    assert all(map(sizes.contain, inside))
    assert not any(map(sizes.contain, outside))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"licnce": "MIT"}, "datasets.0.licnce: Extra inputs"),
    "id": ({"id": "../evil"}, "datasets.0.id: "),
    "page": ({"url": "example.org"}, "datasets.0.url: must be an address"),
    "licence": ({"licence": "free for research!"}, "datasets.0.licence: "),
    "licence without text": ({"licence": "LicenseRef-KITTI"}, "datasets.0: a LicenseRef licence needs licence_url"),
    "redistribution as a YAML boolean": ({"redistribution": False}, "datasets.0.redistribution: "),
    "no way to get it": ({"files": []}, "datasets.0: a dataset without files needs instructions"),
    "sums": (
        {"expected": {"images": 1, "pairs": 4, "scenarios": {"indoor": 3}}},
        "datasets.0.expected: .* add up to 3",
    ),
    "scheme": ({"files": [{"url": "file:///etc/passwd", "name": "x"}]}, "datasets.0.files.0.url: must be"),
    "space": ({"files": [{"url": "https://example.org/a b", "name": "x"}]}, "datasets.0.files.0.url: must be"),
    "file name": ({"files": [{"url": "https://example.org/x", "name": "../x"}]}, "datasets.0.files.0.name: must be"),
    "checksum": (
        {"files": [{"url": "https://example.org/x", "name": "x", "sha256": "abc"}]},
        "datasets.0.files.0.sha256: ",
    ),
    "unpack": (
        {"files": [{"url": "https://example.org/x", "name": "x.rar", "unpack": True}]},
        "datasets.0.files.0: unpack is for .zip and .tar.gz files",
    ),
    "top folder": (
        {"files": [{"url": "https://example.org/x", "name": "x.zip", "unpack": True, "top_folder": "x"}]},
        "datasets.0.files.0: top_folder is for .tar.gz files",
    ),
    "list without a checksum": (
        {"lists": [{"url": "https://example.org/x", "name": "x.txt", "rows": 1}]},
        "datasets.0.lists.0.sha256: ",
    ),
    "reader": (
        {"lists": [{"url": "https://example.org/x", "name": "x", "sha256": "0" * 64, "rows": 1, "readers": ["kiti"]}]},
        "datasets.0.lists.0.readers.0: ",
    ),
    "more frames than rows": (
        {"lists": [{"url": "https://example.org/x", "name": "x", "sha256": "0" * 64, "rows": 1, "frames": 2}]},
        "datasets.0.lists.0: frames = 2 is more than rows = 1",
    ),
    "a list named as a file": (
        {"lists": [{"url": "https://example.org/x", "name": "SMALL.zip", "sha256": "0" * 64, "rows": 1}]},
        "datasets.0: two files are called",
    ),
    "two files of one name": (
        {"files": [{"url": "https://example.org/1", "name": "x"}, {"url": "https://example.org/2", "name": "X"}]},
        "datasets.0: two files are called",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_named(name: str, manifest: Path) -> None:
    change, reason = WRONG[name]
    with pytest.raises(BadInput, match=f"manifest.yaml: {reason}") as caught:
        load_manifest(write(manifest, {**ENTRY, **change}))
    assert "\n" not in str(caught.value)


def test_an_id_that_stands_twice(manifest: Path) -> None:
    with pytest.raises(BadInput, match='id "small" stands twice'):
        load_manifest(write(manifest, ENTRY, ENTRY))


@pytest.mark.parametrize(
    "content", [b"datasets: [", b"\xff\xfe\xff", b"", b"- 1", b"datasets: 7", b"a: !!python/none x"]
)
def test_a_broken_manifest_is_one_line(manifest: Path, content: bytes) -> None:
    manifest.write_bytes(content)
    with pytest.raises(BadInput, match=r"manifest\.yaml: ") as caught:
        load_manifest(manifest)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest(manifest: Path) -> None:
    with pytest.raises(BadInput, match=r"manifest\.yaml: No such file"):
        load_manifest(manifest)


def test_data_lies_in_the_chosen_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path))
    assert dataset_folder("da2k") == tmp_path / "datasets" / "da2k"


def test_pins_are_kept_apart(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path))
    one, other = load_manifest(write(manifest, ENTRY, {**ENTRY, "id": "other"})).values()
    write_pin(one, one.files[0], "1" * 64, 1)
    write_pin(other, other.files[0], "2" * 64, 2)
    write_pin(one, one.files[0], "3" * 64, 3)

    first, second = read_pin(one, one.files[0]), read_pin(other, other.files[0])
    assert first is not None
    assert second is not None
    assert (first.sha256, first.bytes) == ("3" * 64, 3)
    assert (second.sha256, second.bytes) == ("2" * 64, 2)
    assert set(yaml.safe_load(pins_file().read_text())) == {"small/small.zip", "other/small.zip"}
    moved = one.files[0].model_copy(update={"url": "https://example.org/elsewhere.zip"})
    assert read_pin(one, moved) is None


def test_damaged_pins_are_an_error(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path))
    dataset = load_manifest(write(manifest, ENTRY))["small"]
    write_pin(dataset, dataset.files[0], "1" * 64, 1)
    pins_file().write_text(pins_file().read_text().replace("1" * 64, "1" * 63))
    with pytest.raises(BadInput, match=r"pins.yaml: small/small.zip.sha256: "):
        read_pin(dataset, dataset.files[0])
