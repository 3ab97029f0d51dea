"""`da2k data`, as people and scripts use it."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner, Result

from da2k.cli.data import app
from da2k.errors import BadInput

LABELS = {"images/indoor/a.png": [{"point1": [0, 0], "point2": [1, 1], "closer_point": "point1"}]}


def small_zip() -> bytes:
    photo, packed = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(photo, "PNG")
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("DA-2K/annotations.json", json.dumps(LABELS))
        file.writestr("DA-2K/images/indoor/a.png", photo.getvalue())
    return packed.getvalue()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def manifest(home: Path, httpserver: HTTPServer) -> Path:
    """A manifest with one small dataset that the server has."""
    httpserver.expect_request("/small.zip").respond_with_data(small_zip())
    entry = {
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
        "files": [
            {"url": httpserver.url_for("/small.zip"), "name": "small.zip", "unpack": True, "approximate_bytes": 12_345}
        ],
        "expected": {"images": 1, "pairs": 1, "scenarios": {"indoor": 1}},
    }
    path = home.parent / "manifest.yaml"
    path.write_text(yaml.safe_dump({"datasets": [entry]}))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_shows_da2k(home: Path) -> None:
    done = run("list")
    assert done.exit_code == 0
    (row,) = [line.split() for line in done.stdout.splitlines() if line.split()[:2] == ["da2k", "1033"]]
    assert row == ["da2k", "1033", "2068", "681", "MB", "Apache-2.0", "no"]
    assert "da2k: not here; run: da2k data fetch da2k" in done.stdout


def test_list_has_a_row_for_each_dataset_and_where_it_is(home: Path) -> None:
    lines = run("list").stdout.splitlines()
    names = [dataset["id"] for dataset in json.loads(run("list", "--json").stdout)]
    assert [line.split()[0] for line in lines[2 : 2 + len(names)]] == names
    assert [line.partition(":")[0] for line in lines[2 + len(names) :]] == names
    assert max(map(len, lines)) <= 80
    sizes = {words[0]: words[2:-2] for words in map(str.split, lines) if words[0] in ("kitti", "nyu", "sintel")}
    assert sizes == {"kitti": ["by", "hand"], "nyu": ["3.0", "GB"], "sintel": [">5.6", "GB"]}
    frames = {words[0]: words[1] for words in map(str.split, lines) if words[0] in ("kitti", "nyu", "sintel", "eth3d")}
    assert frames == {"kitti": "652", "nyu": "654", "sintel": "1064", "eth3d": "454"}


ROWS = [f"2011_09_26/d_sync/image_02/data/{n}.png d_sync/proj_depth/{n}.png 721.5" for n in range(3)]


@pytest.fixture
def frames(home: Path, httpserver: HTTPServer) -> Path:
    """A manifest with a dataset that people have to get, and whose list the server has."""
    frame_list = "\n".join(ROWS).encode()
    httpserver.expect_request("/list.txt").respond_with_data(frame_list)
    listed = {
        "url": httpserver.url_for("/list.txt"),
        "name": "list.txt",
        "sha256": hashlib.sha256(frame_list).hexdigest(),
        "rows": 3,
        "readers": ["kitti-annotated"],
    }
    entry = {
        "id": "kitti",
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
        "instructions": "Register, then:\n  unzip it -d {folder}\n",
    }
    path = home.parent / "manifest.yaml"
    path.write_text(yaml.safe_dump({"datasets": [entry]}))
    return path


def put_frames(root: Path) -> None:
    for row in ROWS:
        image, truth, _ = row.split()
        for name, values in ((image, np.full((9, 12, 3), 90, np.uint8)), (truth, np.full((9, 12), 2560, np.uint16))):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / name)


def test_what_is_left_to_people(home: Path, frames: Path) -> None:
    folder = home / "datasets" / "kitti"
    done = run("fetch", "kitti", "--manifest", frames)
    assert (done.exit_code, done.stdout) == (0, f"{folder}\n")
    assert done.stderr.endswith(f"left to you:\nRegister, then:\n  unzip it -d {folder}\n")
    listed = run("list", "--manifest", frames).stdout.splitlines()
    assert listed[2].split() == ["kitti", "3", "by", "hand", "CC0-1.0", "list", "only"]
    state = "only its list is here; run: da2k data fetch kitti, which says what is left to do"
    assert listed[3] == f"kitti: {state}"
    assert run("verify", "kitti", "--manifest", frames).stdout == f"kitti: {folder}: {state}\n"

    put_frames(folder)
    assert run("verify", "kitti", "--manifest", frames).stdout == "kitti: complete\n"
    assert run("list", "--manifest", frames).stdout.splitlines()[3] == f"kitti: {folder}"


def test_verify_elsewhere(home: Path, frames: Path, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    put_frames(root)
    assert run("fetch", "kitti", "--lists", "--manifest", frames).exit_code == 0
    assert run("verify", "kitti", "--root", root, "--manifest", frames).stdout == "kitti: complete\n"

    (root / ROWS[1].split()[0]).unlink()
    done = run("verify", "kitti", "--root", root, "--manifest", frames)
    assert done.exit_code == 1
    assert f"1 of 3 frames of list.txt are absent, the first {ROWS[1].split()[0]}" in done.stdout

    Image.fromarray(np.zeros((9, 12), np.uint8)).save(root / ROWS[2].split()[1])
    put_frames(tmp_path / "other")
    done = run("verify", "kitti", "--root", root, "--json", "--manifest", frames)
    assert done.exit_code == 1
    assert any("no 16-bit grey PNG" in line for line in json.loads(done.stdout)["kitti"])

    assert run("verify", "--root", root, "--manifest", frames).exit_code == 2


def test_root_and_lists_are_for_benchmarks(home: Path, manifest: Path, tmp_path: Path) -> None:
    run("fetch", "small", "--manifest", manifest)
    elsewhere = home / "datasets" / "small"
    assert run("verify", "small", "--root", elsewhere, "--manifest", manifest).stdout == "small: complete\n"
    assert run("verify", "small", "--root", tmp_path, "--manifest", manifest).exit_code == 1
    done = run("fetch", "small", "--lists", "--manifest", manifest)
    assert str(done.exception) == "small: has no list of frames; fetch it without --lists"
    assert "leave out --root" in str(run("verify", "sam-vit-b", "--root", tmp_path).exception)


def test_fetch_verify_and_list(home: Path, manifest: Path, httpserver: HTTPServer) -> None:
    done = run("fetch", "small", "--manifest", manifest)
    assert done.exit_code == 0, done.output
    folder = home / "datasets" / "small"
    assert done.stdout == f"{folder}\n"
    assert "Small: licence CC0-1.0. made by a test" in done.stderr
    assert "fetching small.zip" in done.stderr
    assert "unpacking small.zip" in done.stderr

    again = run("fetch", "small", "--manifest", manifest)
    assert (again.stdout, again.stderr) == (f"{folder}\n", "small is here and complete; nothing to do\n")
    assert len(httpserver.log) == 1

    assert run("verify", "--manifest", manifest).stdout == "small: complete\n"
    (listed,) = json.loads(run("list", "--json", "--manifest", manifest).stdout)
    assert (listed["id"], listed["here"], listed["folder"]) == ("small", True, str(folder))
    assert (listed["expected"]["images"], listed["licence"]) == (1, "CC0-1.0")
    assert f"small: {folder}" in run("list", "--manifest", manifest).stdout


def test_verify_fails_on_damage_and_says_what_to_do(home: Path, manifest: Path) -> None:
    run("fetch", "small", "--manifest", manifest)
    photo = home / "datasets/small/DA-2K/images/indoor/a.png"
    photo.write_bytes(b"")

    done = run("verify", "small", "--manifest", manifest)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"small: {photo}: has 0 bytes, ")
    assert done.stdout.endswith(" in the archive; run: da2k data fetch small --replace\n")

    done = run("verify", "--json", "--manifest", manifest)
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["small"]) == 1

    assert run("fetch", "small", "--replace", "--manifest", manifest).exit_code == 0
    assert run("verify", "small", "--manifest", manifest).exit_code == 0


def test_verify_of_what_is_not_here(home: Path) -> None:
    done = run("verify", "da2k")
    assert done.exit_code == 1
    assert done.stdout == f"da2k: {home / 'datasets' / 'da2k'}: not here; run: da2k data fetch da2k\n"
    everything = run("verify")
    assert everything.exit_code == 0
    assert everything.stdout == "no dataset is here; get one with: da2k data fetch NAME\n"
    assert json.loads(run("verify", "--json").stdout) == {}


def test_accepting_a_changed_file(home: Path, manifest: Path) -> None:
    run("fetch", "small", "--manifest", manifest)
    pins = yaml.safe_load((home / "pins.yaml").read_text())
    pins["small/small.zip"]["sha256"] = "0" * 64
    (home / "pins.yaml").write_text(yaml.safe_dump(pins))

    refused = run("fetch", "small", "--replace", "--manifest", manifest)
    assert isinstance(refused.exception, BadInput)
    assert str(refused.exception).endswith("accept it with: da2k data fetch small --accept-changed")

    assert run("fetch", "small", "--accept-changed", "--manifest", manifest).exit_code == 0
    assert run("verify", "small", "--manifest", manifest).exit_code == 0


@pytest.mark.parametrize("command", [["fetch", "da2l"], ["verify", "da2l"]])
def test_a_typo_is_guessed(home: Path, command: list[str]) -> None:
    done = run(*command)
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith('unknown dataset "da2l"; did you mean "da2k"?')
    assert done.stdout == ""


@pytest.mark.parametrize("command", [["list"], ["fetch", "x"], ["verify"]])
def test_a_missing_manifest_is_named(home: Path, tmp_path: Path, command: list[str]) -> None:
    done = run(*command, "--manifest", tmp_path / "none.yaml")
    assert isinstance(done.exception, BadInput)
    assert str(done.exception).startswith(f"{tmp_path / 'none.yaml'}: ")


def test_the_program_itself(home: Path, manifest: Path) -> None:
    command = [sys.executable, "-c", "from da2k.cli import main; main()", "data"]
    fetched = subprocess.run([*command, "fetch", "small", "--manifest", manifest], capture_output=True, text=True)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout == f"{home / 'datasets' / 'small'}\n"

    failed = subprocess.run([*command, "fetch", "da2l"], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (1, "")
    known = "da2k, diode, eth3d, kitti, nyu, sam-vit-b, sam-vit-h, sam-vit-l, sintel"
    assert failed.stderr == f'error: unknown dataset "da2l"; did you mean "da2k"? Known: {known}\n'

    misused = subprocess.run([*command, "fetch"], capture_output=True, text=True)
    assert misused.returncode == 2


def test_the_module_is_light() -> None:
    code = "import sys; before = set(sys.modules); import da2k.cli.data; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "da2k.cli.data" in loaded
    assert not {"pydantic", "yaml", "numpy", "PIL", "rich.progress", "urllib.request"} & set(loaded)
