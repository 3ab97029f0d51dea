"""Fetching and verifying a dataset like DA-2K from a real server."""

import hashlib
import io
import json
import shutil
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from pytest_httpserver import HTTPServer

from da2k.datasets.benchmarks import absent_images
from da2k.datasets.da2k import read_benchmark
from da2k.datasets.fetch import fetch
from da2k.datasets.holdings import holdings
from da2k.datasets.pins import pins_file
from da2k.datasets.verify import verify, verify_all
from da2k.errors import BadInput, Unreachable

IMAGES = {"images/indoor/a.png": 2, "images/indoor/b.png": 1, "images/object/naïve 日本.png": 3}
SCENARIOS = {"indoor": 3, "object": 3}


def benchmark_zip(
    prefix: str = "",
    *,
    images: dict[str, int] = IMAGES,
    without: tuple[str, ...] = (),
    flagged: bool = True,
    comment: bytes = b"",
) -> bytes:
    """A zip as DA-2K's, with as many pairs for each image as `images` says.

    Without `flagged`, names outside ASCII are UTF-8 that does not say so, as archives made on macOS have them.
    """
    labels = {
        image: [{"point1": [row, 0], "point2": [row, 5], "closer_point": "point1"} for row in range(pairs)]
        for image, pairs in images.items()
    }
    stand_ins = {} if flagged else {image: "x" * len(image.encode()) for image in images if not image.isascii()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.comment = comment
        file.writestr(f"{prefix}annotations.json", json.dumps(labels))
        file.writestr("__MACOSX/._annotations.json", b"clutter")
        for number, image in enumerate(images):
            if image not in without:
                photo = io.BytesIO()
                Image.effect_noise((12, 8), 60 + number).convert("RGB").save(photo, "PNG")
                file.writestr(prefix + stand_ins.get(image, image), photo.getvalue())
    body = packed.getvalue()
    for image, stand_in in stand_ins.items():
        body = body.replace(stand_in.encode(), image.encode())
    return body


class Place:
    """The server, the manifest that names it, and the folder of downloaded data."""

    def __init__(self, server: HTTPServer, tmp_path: Path) -> None:
        self.server = server
        self.manifest = tmp_path / "manifest.yaml"
        self.home = tmp_path / "home"
        self.folder = self.home / "datasets" / "small"
        self.archive = self.home / "downloads" / "small" / "small.zip"
        self.describe()

    def describe(self, **changes: Any) -> None:
        entry: dict[str, Any] = {
            "id": "small",
            "title": "Small",
            "url": "https://example.org/small",
            "licence": "CC0-1.0",
            "licence_evidence": "made by a test",
            "redistribution": "yes",
            "attribution": "nobody",
            "citation": "none",
            "revision": "1",
            "used_for": "tests",
            "files": [{"url": self.server.url_for("/small.zip"), "name": "small.zip", "unpack": True}],
            "expected": {"images": 3, "pairs": 6, "scenarios": SCENARIOS},
            **changes,
        }
        self.manifest.write_text(yaml.safe_dump({"datasets": [entry]}))

    def serve(self, body: bytes, path: str = "/small.zip") -> None:
        self.server.clear()
        self.server.expect_request(path).respond_with_data(body, headers={"ETag": hashlib.md5(body).hexdigest()})

    @property
    def requests(self) -> int:
        return len(self.server.log)

    def fetch(self, **options: Any) -> Path:
        return fetch("small", manifest=self.manifest, **options)

    def verify(self) -> list[str]:
        return verify("small", manifest=self.manifest)


@pytest.fixture
def place(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return Place(httpserver, tmp_path)


@pytest.mark.parametrize("prefix", ["", "DA-2K/", "DA-2K/DA-2K/"])
def test_fetch_and_verify(place: Place, prefix: str) -> None:
    place.serve(benchmark_zip(prefix))
    steps: list[str] = []

    assert place.fetch(say=steps.append) == place.folder

    benchmark = read_benchmark(place.folder)
    assert benchmark.root == place.folder / prefix
    assert {image: len(pairs) for image, pairs in benchmark.by_image.items()} == IMAGES
    assert [benchmark.photo(image).pixels.shape for image in benchmark.images] == [(8, 12, 3)] * 3
    assert place.verify() == []
    assert steps[0] == "Small: licence CC0-1.0. made by a test"

    assert place.fetch(say=steps.append) == place.folder
    assert steps[-1] == "small is here and complete; nothing to do"
    assert place.requests == 1


def test_progress_covers_both_steps(place: Place) -> None:
    body = benchmark_zip()
    place.serve(body)
    seen: list[tuple[str, int, int | None]] = []
    place.fetch(progress=lambda *at: seen.append(at))
    assert ("fetching small.zip", len(body), len(body)) in seen
    assert [label for label, done, total in seen if done == total] == ["fetching small.zip", "unpacking small.zip"]


def test_names_without_the_utf8_flag(place: Place) -> None:
    place.serve(benchmark_zip(flagged=False))
    benchmark = read_benchmark(place.fetch())
    assert absent_images(benchmark) == []
    assert place.verify() == []


def test_the_first_fetch_pins_the_file(place: Place) -> None:
    body = benchmark_zip()
    place.serve(body)
    place.fetch()
    pins = yaml.safe_load(pins_file().read_text())
    assert pins["small/small.zip"].pop("date").startswith("20")
    url = place.server.url_for("/small.zip")
    assert pins == {"small/small.zip": {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "url": url}}


@pytest.mark.parametrize("comment", [b"2", b"another length"])
def test_a_file_that_differs_from_its_pin_is_refused(place: Place, comment: bytes) -> None:
    place.serve(benchmark_zip(comment=b"1"))
    place.fetch()
    shutil.rmtree(place.folder)
    place.archive.unlink()
    changed = benchmark_zip(comment=comment)
    place.serve(changed)

    with pytest.raises(BadInput, match=r"as pinned on 20.* in .*pins\.yaml; .* da2k data fetch small --accept-changed"):
        place.fetch()
    assert not place.folder.exists()
    assert list(place.archive.parent.iterdir()) == []

    place.fetch(accept_changed=True)
    assert yaml.safe_load(pins_file().read_text())["small/small.zip"]["sha256"] == hashlib.sha256(changed).hexdigest()
    assert place.verify() == []


def test_a_file_that_differs_from_the_manifest_is_refused_always(place: Place) -> None:
    url = place.server.url_for("/small.zip")
    place.describe(files=[{"url": url, "name": "small.zip", "unpack": True, "sha256": "0" * 64}])
    place.serve(benchmark_zip())
    for accept in (False, True):
        with pytest.raises(BadInput, match="0000 is expected by the data manifest"):
            place.fetch(accept_changed=accept)
    assert not place.folder.exists()


def test_a_stated_checksum_needs_no_pin(place: Place) -> None:
    body = benchmark_zip()
    file = {"url": place.server.url_for("/small.zip"), "name": "small.zip", "unpack": True, "bytes": len(body)}
    place.describe(files=[{**file, "sha256": hashlib.sha256(body).hexdigest()}])
    place.serve(body)
    place.fetch()
    assert not pins_file().exists()
    assert place.verify() == []


def test_a_web_page_instead_of_the_file_is_not_kept(place: Place) -> None:
    place.serve(b"<!DOCTYPE html><title>Sign in to the airport</title>")
    with pytest.raises(BadInput, match=r"not a sound zip archive .*<!DOCTYPE ht.*; it came from http://"):
        place.fetch()
    assert not pins_file().exists()

    place.serve(benchmark_zip())
    place.fetch()
    assert place.verify() == []


def test_a_release_with_other_counts_is_refused(place: Place) -> None:
    place.serve(benchmark_zip(images={"images/indoor/a.png": 2, "images/aerial/c.png": 1}))
    with pytest.raises(BadInput) as caught:
        place.fetch()
    for difference in (
        "2 images are annotated, 3 expected",
        "3 pairs are annotated, 6 expected",
        "indoor has 2 pairs, 3 expected",
        "object has 0 pairs, 3 expected",
        "aerial has 1 pairs, 0 expected",
    ):
        assert difference in str(caught.value)
    assert not pins_file().exists()

    place.serve(benchmark_zip())
    place.fetch(replace=True)
    assert place.verify() == []


def test_an_incomplete_copy_is_replaced_only_when_asked(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    (place.folder / "images/indoor/a.png").unlink()
    (place.folder / "notes.txt").write_text("mine")

    with pytest.raises(BadInput, match=r"1 of 3 image files are absent, the first images/indoor/a.png.*--replace"):
        place.fetch()
    assert (place.folder / "notes.txt").exists()

    place.fetch(replace=True)
    assert place.verify() == []
    assert place.requests == 1, "the archive that is kept is unpacked again"


def test_verify_names_every_file_that_changed(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    a, b = place.folder / "images/indoor/a.png", place.folder / "images/indoor/b.png"
    a.unlink()
    b.write_bytes(b.read_bytes()[:-1] + b"x")

    problems = place.verify()

    assert len(problems) == 2
    assert problems[0] == f"{a}: no such file or directory; run: da2k data fetch small --replace"
    assert problems[1].startswith(f"{b}: has another content than in the archive")


def test_verify_without_the_archive_opens_the_images(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    place.archive.unlink()
    assert place.verify() == []

    (place.folder / "images/indoor/a.png").unlink()
    (place.folder / "images/indoor/b.png").write_bytes(b"")
    problems = place.verify()
    assert [problem.split(": ")[0] for problem in problems] == [
        str(place.folder / "images/indoor/a.png"),
        str(place.folder / "images/indoor/b.png"),
    ]
    assert all(problem.endswith("; run: da2k data fetch small --replace") for problem in problems)


def test_verify_finds_a_damaged_archive_and_replace_mends_it(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    damaged = bytearray(place.archive.read_bytes())
    damaged[40] ^= 1
    place.archive.write_bytes(damaged)
    (problem,) = place.verify()
    assert problem.startswith(f"{place.archive}: its SHA-256 is {hashlib.sha256(damaged).hexdigest()}, and ")

    place.fetch(replace=True)
    assert place.verify() == []


def test_broken_labels_are_a_problem(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    (place.folder / "annotations.json").write_text("{")
    problems = place.verify()
    assert len(problems) == 2
    assert "annotations.json: not valid JSON" in problems[1]


def test_a_fetch_that_ended_before_unpacking_carries_on_there(place: Place) -> None:
    place.archive.parent.mkdir(parents=True)
    place.archive.write_bytes(benchmark_zip())
    place.fetch()
    assert place.requests == 0
    assert pins_file().exists()
    assert place.verify() == []


def test_a_fetch_that_ended_before_the_pin_is_pinned_by_the_next(place: Place) -> None:
    place.serve(benchmark_zip())
    place.fetch()
    pins_file().unlink()
    place.fetch()
    assert "small/small.zip" in yaml.safe_load(pins_file().read_text())


def test_a_copy_put_there_by_hand_counts(place: Place) -> None:
    with zipfile.ZipFile(io.BytesIO(benchmark_zip("DA-2K/"))) as file:
        file.extractall(place.folder)
    place.fetch()
    assert place.verify() == []
    assert place.requests == 0


def test_without_network_it_says_so(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place.describe(files=[{"url": f"http://127.0.0.1:{port}/small.zip", "name": "small.zip", "unpack": True}])
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: no connection"):
        place.fetch()
    assert not place.folder.exists()


def test_a_dataset_for_people_gives_its_instructions(place: Place) -> None:
    place.describe(files=[], instructions="register at https://example.org, then unpack it there")
    with pytest.raises(BadInput, match="small: cannot be fetched by a program; register at"):
        place.fetch()
    assert place.verify() == [f"{place.folder}: not here; register at https://example.org, then unpack it there"]


def test_several_files_have_a_place_each(place: Place) -> None:
    names = ("rgb.zip", "depth.zip", "split.txt")
    place.server.expect_request("/rgb.zip").respond_with_data(benchmark_zip())
    place.server.expect_request("/depth.zip").respond_with_data(benchmark_zip(comment=b"other"))
    place.server.expect_request("/split.txt").respond_with_data(b"a b c")
    files = [{"url": place.server.url_for(f"/{n}"), "name": n, "unpack": n.endswith(".zip")} for n in names]
    place.describe(files=files, expected=None)

    place.fetch()

    assert sorted(path.name for path in place.folder.iterdir()) == ["depth", "rgb", "split.txt"]
    assert (place.folder / "split.txt").read_bytes() == b"a b c"
    assert set(yaml.safe_load(pins_file().read_text())) == {f"small/{name}" for name in names}
    assert place.verify() == []

    (place.folder / "split.txt").write_bytes(b"a b d")
    (problem,) = place.verify()
    assert problem.startswith(f"{place.folder / 'split.txt'}: its SHA-256 is ")
    shutil.rmtree(place.folder / "rgb")
    assert len(place.verify()) == 1
    place.fetch(replace=True)
    assert place.verify() == []
    assert place.requests == 4, "only the file that changed is fetched again"


def test_holdings_and_verify_all(place: Place) -> None:
    assert [(h.dataset.id, h.here, h.folder) for h in holdings(place.manifest)] == [("small", False, place.folder)]
    assert verify_all(manifest=place.manifest) == {}
    place.serve(benchmark_zip())
    place.fetch()
    assert [h.here for h in holdings(place.manifest)] == [True]
    assert verify_all(manifest=place.manifest) == verify_all("small", manifest=place.manifest) == {"small": []}
