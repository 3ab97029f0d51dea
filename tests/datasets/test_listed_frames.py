"""Datasets with lists of frames: what is fetched, what is left to people, and what verification finds."""

import gzip
import hashlib
import io
import socket
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pytest_httpserver import HTTPServer

from da2k.datasets.fetch import fetch
from da2k.datasets.holdings import holdings
from da2k.datasets.verify import verify, verify_all
from da2k.errors import BadInput, Unreachable

SIZE = (16, 24)
DIODE_ROWS = ["indoors/s/a", "outdoor/s/b", "outdoor/s/c"]
DIODE_LIST = "\n".join(f"{row}.png {row}_depth.npy {row}_depth_mask.npy" for row in DIODE_ROWS).encode()


def png(values: np.ndarray[Any, Any]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(values).save(written, "PNG")
    return written.getvalue()


def npy(values: np.ndarray[Any, Any]) -> bytes:
    written = io.BytesIO()
    np.save(written, values)
    return written.getvalue()


def photo(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def diode_files() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for seed, row in enumerate(DIODE_ROWS):
        depth = np.random.default_rng(seed).uniform(1, 50, (*SIZE, 1)).astype(np.float32)
        files[f"{row}.png"] = png(photo(seed))
        files[f"{row}_depth.npy"] = npy(depth)
        files[f"{row}_depth_mask.npy"] = npy((depth[..., 0] < 40).astype(np.float32))
    return files


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(f"val/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def kitti_files(valid: float = 0.2, count: int = 3) -> tuple[bytes, dict[str, bytes]]:
    """A list of so many frames and a row without depth, and the frames' files as KITTI's archives unpack them."""
    files, rows = {}, []
    for number in range(count):
        image = f"2011_09_26/d_sync/image_02/data/{number:010d}.png"
        truth = f"d_sync/proj_depth/groundtruth/image_02/{number:010d}.png"
        random = np.random.default_rng(number)
        depth = random.integers(256, 256 * 80, SIZE).astype(np.uint16) * (random.random(SIZE) < valid)
        files[image], files[f"data_depth_annotated/train/{truth}"] = png(photo(number)), png(depth.astype(np.uint16))
        rows.append(f"{image} {truth} 721.5377")
    rows.append("2011_09_26/d_sync/image_02/data/0000000099.png None 721.5377")
    return "\n".join(rows).encode(), files


def put(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Place:
    """The server, the manifest that names it, and the folder of downloaded data."""

    def __init__(self, server: HTTPServer, tmp_path: Path) -> None:
        self.server = server
        self.manifest = tmp_path / "manifest.yaml"
        self.home = tmp_path / "home"
        self.said: list[str] = []
        self.name = ""

    def describe(self, name: str, frame_list: bytes, **changes: Any) -> None:
        self.name = name
        self.serve(frame_list, "/list.txt")
        rows = frame_list.decode().splitlines()
        listed = {
            "url": self.server.url_for("/list.txt"),
            "name": "list.txt",
            "sha256": hashlib.sha256(frame_list).hexdigest(),
            "rows": len(rows),
            "frames": sum("None" not in row for row in rows),
            **changes.pop("lists"),
        }
        entry: dict[str, Any] = {
            "id": name,
            "title": "Frames",
            "url": "https://example.org/frames",
            "licence": "CC0-1.0",
            "licence_evidence": "made by a test",
            "redistribution": "yes",
            "attribution": "nobody",
            "citation": "none",
            "revision": "1",
            "used_for": "tests",
            "lists": [listed],
            **changes,
        }
        self.manifest.write_text(yaml.safe_dump({"datasets": [entry]}))

    def serve(self, body: bytes, path: str) -> None:
        self.server.expect_request(path).respond_with_data(body, headers={"ETag": hashlib.md5(body).hexdigest()})

    def file(self, name: str, **changes: Any) -> dict[str, Any]:
        return {"url": self.server.url_for(f"/{name}"), "name": name, **changes}

    @property
    def folder(self) -> Path:
        return self.home / "datasets" / self.name

    @property
    def asked(self) -> list[str]:
        return [request.path for request, _ in self.server.log]

    def fetch(self, **options: Any) -> Path:
        self.said.clear()
        return fetch(self.name, manifest=self.manifest, say=self.said.append, **options)

    def verify(self, root: Path | None = None) -> list[str]:
        self.said.clear()
        return verify(self.name, root, manifest=self.manifest, say=self.said.append)


@pytest.fixture
def place(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return Place(httpserver, tmp_path)


@pytest.fixture
def diode(place: Place) -> Place:
    place.serve(tar_gz(diode_files()), "/val.tar.gz")
    archive = place.file("val.tar.gz", unpack=True, top_folder="val")
    place.describe("diode", DIODE_LIST, lists={"readers": ["diode"]}, files=[archive])
    return place


@pytest.fixture
def kitti(place: Place) -> Place:
    how = "1. Register.\n2. unzip data_depth_annotated.zip -d {folder}/data_depth_annotated\n"
    place.describe("kitti", kitti_files()[0], lists={"readers": ["kitti-annotated"]}, instructions=how)
    return place


def test_list_and_archive_make_a_complete_copy(diode: Place) -> None:
    assert diode.fetch() == diode.folder
    assert (diode.folder / "list.txt").read_bytes() == DIODE_LIST
    unpacked = diode.folder / "val"
    assert {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*.*")} == set(diode_files())
    assert diode.verify() == []
    assert [(h.here, h.lists) for h in holdings(diode.manifest)] == [(True, True)]

    diode.fetch()
    assert diode.said == ["diode is here and complete; nothing to do"]
    assert diode.asked == ["/list.txt", "/val.tar.gz"]


def test_only_the_list_for_data_that_lies_elsewhere(diode: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine"
    put(diode_files(), elsewhere)
    (missing,) = diode.verify(elsewhere)
    assert "the list of diode's frames is not here; run: da2k data fetch diode" in missing

    diode.fetch(lists_only=True)
    assert diode.asked == ["/list.txt"]
    assert [(h.here, h.lists) for h in holdings(diode.manifest)] == [(False, True)]
    assert verify_all(manifest=diode.manifest) == {}
    assert diode.verify() == [f"{diode.folder}: only its list is here; run: da2k data fetch diode"]
    assert diode.verify(elsewhere) == []

    (elsewhere / "outdoor/s/b_depth.npy").unlink()
    assert diode.verify(elsewhere) == [
        f"diode: {elsewhere}: 1 of 3 frames of list.txt are absent, the first outdoor/s/b.png "
        "(there is no outdoor/s/b_depth.npy)"
    ]


def test_another_list_on_the_server_is_refused(place: Place) -> None:
    place.describe("diode", DIODE_LIST, lists={"readers": ["diode"], "sha256": "0" * 64}, instructions="none")
    with pytest.raises(BadInput, match="another list is another benchmark") as caught:
        place.fetch()
    assert "\n" not in str(caught.value)
    assert not (place.folder / "list.txt").exists()


def test_a_changed_list_is_fetched_anew(diode: Place) -> None:
    diode.fetch()
    (diode.folder / "list.txt").write_bytes(DIODE_LIST[:-1])
    (problem,) = diode.verify()
    assert "is not the list that the data manifest pins" in problem
    diode.fetch()
    assert diode.verify() == []
    assert diode.asked.count("/val.tar.gz") == 1


def test_damage_after_fetching_is_found_and_mended(diode: Place) -> None:
    diode.fetch()
    depth = diode.folder / "val/outdoor/s/b_depth.npy"
    depth.write_bytes(depth.read_bytes()[:-8])
    problems = diode.verify()
    assert problems[0].startswith(f"{depth}: has {depth.stat().st_size} bytes, ")
    assert any(line.startswith(f"diode: {depth}: ") for line in problems)
    assert all(line.endswith("; run: da2k data fetch diode --replace") for line in problems)
    diode.fetch(replace=True)
    assert diode.verify() == []


def test_an_archive_without_a_frame_of_the_list(place: Place) -> None:
    files = diode_files()
    del files["indoors/s/a_depth_mask.npy"]
    place.serve(tar_gz(files), "/val.tar.gz")
    archive = place.file("val.tar.gz", unpack=True, top_folder="val")
    place.describe("diode", DIODE_LIST, lists={"readers": ["diode"]}, files=[archive])
    with pytest.raises(
        BadInput, match=r"not what the data manifest describes: .* 1 of 3 frames of list.txt are absent"
    ):
        place.fetch()


def test_an_incomplete_copy_is_replaced_only_if_asked(diode: Place) -> None:
    diode.fetch()
    (diode.folder / "val/outdoor/s/b.png").unlink()
    with pytest.raises(BadInput, match=r"1 of 3 frames of list.txt are absent.* fetch diode --replace") as caught:
        diode.fetch()
    assert "\n" not in str(caught.value)
    diode.fetch(replace=True)
    assert diode.verify() == []


def test_a_broken_tar_is_fetched_anew(diode: Place) -> None:
    whole = tar_gz(diode_files())
    diode.server.clear()
    diode.serve(DIODE_LIST, "/list.txt")
    diode.serve(whole[:-20], "/val.tar.gz")
    with pytest.raises(BadInput, match=r"not a sound \.tar\.gz archive .*it came from http://") as caught:
        diode.fetch()
    assert "\n" not in str(caught.value)
    diode.server.clear()
    diode.serve(whole, "/val.tar.gz")
    diode.fetch()
    assert diode.verify() == []


def test_the_labelled_file_of_nyu(place: Place) -> None:
    h5py = pytest.importorskip("h5py")
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file["images"] = np.zeros((2, 3, SIZE[1], SIZE[0]), np.uint8)
        file["rawDepths"] = np.eye(SIZE[1], SIZE[0], dtype=np.float32)[None].repeat(2, 0)
    place.serve(packed.getvalue(), "/nyu_depth_v2_labeled.mat")
    place.describe(
        "nyu",
        b"bath/rgb_00001.jpg bath/sync_depth_00001.png 518.8579\n",
        lists={"readers": ["nyu-bts", "nyu-mat"]},
        files=[place.file("nyu_depth_v2_labeled.mat")],
        instructions="make the other folder of {folder}",
    )
    place.fetch()
    assert place.said[-1] == f"make the other folder of {place.folder}"
    assert place.verify() == []
    assert [line.partition(":")[0] for line in place.said] == ["nyu-bts"]
    place.fetch()
    assert place.asked == ["/list.txt", "/nyu_depth_v2_labeled.mat"]
    (place.folder / "nyu_depth_v2_labeled.mat").write_bytes(b"half")
    assert any("its SHA-256 is" in line or "no readable .mat" in line for line in place.verify())


def test_what_people_have_to_do_is_said_and_is_no_error(kitti: Place) -> None:
    assert kitti.fetch() == kitti.folder
    assert kitti.asked == ["/list.txt"]
    assert kitti.said[-2].startswith("kitti: only its list is here. ")
    annotated = kitti.folder / "data_depth_annotated"
    assert kitti.said[-1] == f"1. Register.\n2. unzip data_depth_annotated.zip -d {annotated}"
    assert [(h.here, h.lists) for h in holdings(kitti.manifest)] == [(False, True)]
    state = "only its list is here; run: da2k data fetch kitti, which says what is left to do"
    assert [h.state for h in holdings(kitti.manifest)] == [state]
    assert kitti.verify() == [f"{kitti.folder}: {state}"]

    files = kitti_files()[1]
    lost = "2011_09_26/d_sync/image_02/data/0000000001.png"
    put({name: content for name, content in files.items() if name != lost}, kitti.folder)
    (problem,) = kitti.verify()
    assert f"1 of 3 frames of list.txt are absent, the first {lost}" in problem
    kitti.fetch()
    assert kitti.said[-2].startswith("kitti: not complete yet (kitti-annotated: ")
    assert "1 of 3 frames" in kitti.said[-2]

    put(files, kitti.folder)
    assert kitti.verify() == []
    kitti.fetch()
    assert kitti.said == ["kitti is here and complete; nothing to do"]


def test_raw_lidar_is_a_problem(kitti: Place, tmp_path: Path) -> None:
    kitti.fetch()
    put(kitti_files(valid=0.04)[1], tmp_path / "raw")
    (problem,) = kitti.verify(tmp_path / "raw")
    assert "looks like raw LiDAR" in problem
    (nothing,) = kitti.verify(tmp_path / "empty")
    assert "kitti is not at" in nothing


def test_archives_that_stay_packed(place: Place) -> None:
    frame_list = (
        b"rgb/office/images/dslr_images/1.JPG depth/office_dslr_depth/office/ground_truth_depth/dslr_images/1.JPG"
    )
    place.serve(b"7z\xbc\xaf'\x1c", "/office.7z")
    how = "cd {folder} && 7z x office.7z"
    place.describe("eth3d", frame_list, lists={"readers": ["eth3d"]}, files=[place.file("office.7z")], instructions=how)
    place.fetch()
    assert (place.folder / "office.7z").read_bytes() == b"7z\xbc\xaf'\x1c"
    assert place.said[-1] == f"cd {place.folder} && 7z x office.7z"
    (problem,) = place.verify()
    assert "none of the 1 frames is here" in problem

    image = io.BytesIO()
    Image.fromarray(photo()).save(image, "JPEG")
    depth = np.full(SIZE, 7, "<f4").tobytes()
    put(
        {"office/images/dslr_images/1.JPG": image.getvalue(), "office/ground_truth_depth/dslr_images/1.JPG": depth},
        place.folder,
    )
    (place.folder / "office.7z").unlink()
    place.fetch()
    assert place.said == ["eth3d is here and complete; nothing to do"]
    assert place.asked == ["/list.txt", "/office.7z"]
    assert place.verify() == []


def without_network(place: Place, readers: list[str], **changes: Any) -> str:
    """Describes a dataset on a server that is gone; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"http://127.0.0.1:{server.getsockname()[1]}"
    files = [{**file, "url": f"{gone}/{file['name']}"} for file in changes.pop("files", [])]
    listed = {"readers": readers, "url": f"{gone}/list.txt"}
    place.describe(readers[0].partition("-")[0], kitti_files()[0], lists=listed, files=files, **changes)
    return gone


def test_without_network_it_says_what_people_can_do(place: Place) -> None:
    how = "1. Register.\n2. unzip it -d {folder}\n"
    gone = without_network(
        place,
        ["kitti-annotated"],
        files=[{"name": "a.7z", "sha256": "a" * 64}, {"name": "b.zip", "unpack": True}],
        instructions=how,
    )
    with pytest.raises(Unreachable, match="no connection"):
        place.fetch()
    digest = hashlib.sha256(kitti_files()[0]).hexdigest()
    assert place.said[1:] == [
        "kitti: all of it can be put there by hand; then run: da2k data fetch kitti",
        f"the list, SHA-256 {digest}:\n  {gone}/list.txt\n  to {place.folder}/list.txt",
        f"a.7z, SHA-256 {'a' * 64}:\n  {gone}/a.7z\n  to {place.folder}/a.7z",
        f"b.zip, whose SHA-256 nobody published:\n  {gone}/b.zip\n  to {place.home}/downloads/kitti/b.zip",
        f"1. Register.\n2. unzip it -d {place.folder}",
    ]
    assert not place.home.exists(), "and leaves no empty folder"

    with pytest.raises(Unreachable):
        place.fetch(lists_only=True)
    assert [line.partition(":")[0] for line in place.said[1:]] == ["kitti", f"the list, SHA-256 {digest}"]


def test_what_was_put_there_by_hand_is_not_asked_for_again(place: Place) -> None:
    archive = [{"name": "a.7z"}]
    gone = without_network(place, ["kitti-annotated"], files=archive, instructions="unpack it")
    put({"list.txt": kitti_files()[0]}, place.folder)
    with pytest.raises(Unreachable):
        place.fetch()
    assert [line for line in place.said if gone in line] == [
        f"from {gone}/a.7z to {place.folder}/a.7z",
        f"a.7z, whose SHA-256 nobody published:\n  {gone}/a.7z\n  to {place.folder}/a.7z",
    ]
    put({"a.7z": b"7z"}, place.folder)
    place.fetch()
    assert place.said[-1] == "unpack it"


def test_folders_that_were_there_stay(place: Place) -> None:
    without_network(place, ["kitti-annotated"], instructions="none")
    (place.home / "datasets").mkdir(parents=True)
    with pytest.raises(Unreachable):
        place.fetch()
    assert [path.name for path in place.home.rglob("*")] == ["datasets"]


def test_a_refused_list_leaves_no_folder(place: Place) -> None:
    place.describe("diode", DIODE_LIST, lists={"readers": ["diode"], "sha256": "0" * 64}, instructions="none")
    with pytest.raises(BadInput, match="another list"):
        place.fetch()
    assert not place.home.exists()


@pytest.mark.parametrize("part", ["diode-indoor", "diode-outdoor"])
def test_a_part_of_a_dataset_is_fetched_with_the_whole(diode: Place, part: str) -> None:
    said: list[str] = []
    assert fetch(part, manifest=diode.manifest, say=said.append) == diode.folder
    assert said[0] == f"{part} is a part of diode"
    said.clear()
    assert verify_all(part, manifest=diode.manifest, say=said.append) == {"diode": []}
    assert said == [f"{part} is a part of diode, which is checked as a whole"]
    with pytest.raises(BadInput, match='unknown dataset "diode-cellar"; Known: diode'):
        fetch("diode-cellar", manifest=diode.manifest)


def test_one_of_several_ways_to_read_suffices(place: Place, tmp_path: Path) -> None:
    pixels, depth = photo(), np.full(SIZE, 1500, np.uint16)
    pixels[:5] = pixels[-5:] = pixels[:, :5] = pixels[:, -5:] = 0
    depth[3, 4] = 0
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "PNG")
    files = {"bath/rgb_00045.jpg": jpeg.getvalue(), "bath/sync_depth_00045.png": png(depth)}
    row = b"bath/rgb_00045.jpg bath/sync_depth_00045.png 518.8579\n"
    place.describe("nyu", row, lists={"readers": ["nyu-bts", "nyu-mat"]}, instructions="make it")
    place.fetch(lists_only=True)
    put(files, tmp_path / "bts")
    assert place.verify(tmp_path / "bts") == []
    assert [line.partition(":")[0] for line in place.said] == ["nyu-mat"]

    (tmp_path / "neither").mkdir()
    assert [line.partition(":")[0] for line in place.verify(tmp_path / "neither")] == ["nyu-bts", "nyu-mat"]
    depth[3, 4] = 1
    put({"bath/sync_depth_00045.png": png(depth)}, tmp_path / "bts")
    (problem,) = place.verify(tmp_path / "bts")
    assert "its depth was filled in" in problem


def test_a_wrong_checksum_of_a_list_in_the_manifest_is_named(place: Place) -> None:
    place.describe("diode", DIODE_LIST, lists={"readers": ["diode"], "sha256": "x"}, instructions="none")
    with pytest.raises(BadInput, match=r"datasets\.0\.lists\.0\.sha256"):
        place.fetch()
