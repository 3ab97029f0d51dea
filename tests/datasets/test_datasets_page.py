"""docs/datasets.md says what readers and data manifest do."""

import importlib.util
import re
from pathlib import Path
from typing import get_args

import pytest

from da2k.datasets import diode, eth3d, kitti, nyu, sintel
from da2k.datasets.manifest import load_manifest
from da2k.datasets.open_frames import FORMATS
from da2k.protocols.dense import BENCHMARKS, Reader

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("write_datasets", ROOT / "docs/write_datasets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text(writer):
    return writer.PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date(writer, text):
    assert writer.BEGIN in text
    assert text == writer.page(text), "run: make docs"


@pytest.mark.parametrize("name", [*BENCHMARKS, *get_args(Reader)])
def test_datasets_and_readers_occur_in_the_hand_written_part(name, writer, text):
    assert name in text.partition(writer.BEGIN)[0].lower()


@pytest.mark.parametrize("reader", get_args(Reader))
def test_every_place_occurs_under_its_reader(reader, writer, text):
    section = text.partition(f"### {reader}\n")[2].partition("\n#")[0]
    for places, line in zip(
        FORMATS[reader].places(writer.ROWS[reader.partition("-")[0]]),
        [line for line in section.splitlines() if line.startswith("- ")],
        strict=True,
    ):
        path, folders = re.fullmatch(r"- .+: `(.+?)` in (.+)", line).groups()
        told = [path if each == "the root" else f"{each.strip('`')}/{path}" for each in folders.split(", ")]
        assert told == list(dict.fromkeys(places))


@pytest.mark.parametrize("module", [kitti, nyu, sintel, eth3d, diode])
def test_folders_named_in_the_code_occur(module, text):
    folders = [folder for name in ("_FOLDERS", "_IMAGES", "_TRUTHS") for folder in getattr(module, name, ()) if folder]
    assert folders
    assert [folder for folder in folders if f"`{folder}" not in text] == []


def test_rows_are_those_of_the_published_lists(writer, shared):
    for name, row in writer.ROWS.items():
        listed = {"kitti": "kitti_eigen_test_files_with_gt", "nyu": "nyudepthv2_test_files_with_gt"}
        path = (
            shared / "data/splits" / f"{listed.get(name, load_manifest()[name].lists[0].name.removesuffix('.txt'))}.txt"
        )
        assert path.read_text().split()[: len(row)] == list(row)


def test_limits_named_on_the_page_are_those_of_the_code(writer, text):
    own = text.partition(writer.BEGIN)[0]
    sizes = load_manifest()["kitti"].frame_sizes
    assert "{} to {} rows and {} to {} columns".format(*sizes.rows, *sizes.columns) in own
    sizes = load_manifest()["nyu"].frame_sizes
    assert f"NYU {sizes.rows[0]} and {sizes.columns[0]};" in own
    assert f"fewer than {kitti.LEAST_MEASURED:.0%} of".replace("%", " %") in own
    assert f"tag {sintel.TAG}" in own


def test_every_file_and_licence_occurs(text):
    for name in ("kitti", "nyu", "sintel", "eth3d", "diode"):
        dataset = load_manifest()[name]
        for each in [*dataset.lists, *dataset.files]:
            assert f"`{each.name}`" in text
        assert f"| [{name}]({dataset.url}) | " in text
        assert dataset.licence in text
