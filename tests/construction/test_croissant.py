import hashlib
import json
import logging
import shutil

import mlcroissant as mlc
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from da2k.construction.decisions import Answer
from da2k.construction.queue import record_answers, write_pairs
from da2k.construction.release import make_release
from tests.construction.conftest import BASELINES, register
from tests.construction.decided import ANSWERS, FOG, FULL, INDOOR, KEPT_1, OBJECT, PAIRS, decided_workspace, drawn

REQUIRED = ("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator", "datePublished")
"""Properties that the specification, version 1.1, requires of a dataset; `distribution` comes with them."""


@pytest.fixture
def released(make_workspace, tmp_path):
    """Makes a release and gives its folder."""

    def release(*, draft=False, **settings):
        make_release(decided_workspace(make_workspace, **settings), tmp_path / "fog", draft=draft)
        return tmp_path / "fog"

    return release


def described(folder):
    return json.loads((folder / "croissant.json").read_bytes())


def plain(value):
    """Records as Parquet has them: text for bytes, the last part of a field's name, None for what is missing."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rsplit("/", 1)[-1]: plain(each) for name, each in value.items()}
    if isinstance(value, list | np.ndarray):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def test_mlcroissant_has_nothing_to_complain_about(released, caplog):
    folder = released()
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = mlc.Dataset(folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings, caplog.records) == (set(), set(), [])
    assert dataset.metadata.ctx.is_v1_1()
    assert (dataset.metadata.name, dataset.metadata.version) == ("fog-2k", "1.2.0")
    assert {creator.name for creator in dataset.metadata.creators} == set(FULL["creators"])
    assert (dataset.metadata.license, dataset.metadata.url) == (["https://spdx.org/licenses/CC-BY-4.0"], FULL["url"])
    assert str(dataset.metadata.date_published.date()) == "2026-03-04"


def test_all_that_version_1_1_requires_is_there(released):
    about = described(released())
    assert [name for name in REQUIRED if name not in about] == []
    assert about["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    for entry in about["distribution"]:
        assert {"@id", "@type", "encodingFormat"} <= entry.keys()
        assert ("contentUrl" if entry["@type"] == "cr:FileObject" else "includes") in entry


def test_settings_that_are_open_leave_no_error(released):
    dataset = mlc.Dataset(released(release={}) / "croissant.json")
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.license is None


def test_files_are_named_with_their_bytes(released):
    folder = released()
    files = {entry["@id"]: entry for entry in described(folder)["distribution"] if entry["@type"] == "cr:FileObject"}
    assert set(files) == {"annotations.json", "provenance.parquet", "left-out.parquet"}
    for name, entry in files.items():
        data = (folder / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["contentSize"] == f"{len(data)} B"


@pytest.mark.parametrize(("records", "file"), [("pairs", "provenance.parquet"), ("left-out", "left-out.parquet")])
def test_records_are_the_rows(released, records, file):
    folder = released()
    rows = pd.read_parquet(folder / file).to_dict("records")
    read = list(mlc.Dataset(folder / "croissant.json").records(records))
    assert [plain(record) for record in read] == [plain(row) for row in rows]
    assert len(read) > 3


def test_no_rows_are_no_records(released):
    folder = released(pairs=[KEPT_1], answers=[answer for answer in ANSWERS if answer.pair == KEPT_1.id])
    assert list(mlc.Dataset(folder / "croissant.json").records("left-out")) == []


def test_records_of_images_are_the_photographs(released, tmp_path):
    shutil.move(released(), tmp_path / "elsewhere")
    records = list(mlc.Dataset(tmp_path / "elsewhere" / "croissant.json").records("images"))
    assert {record["images/path"].decode() for record in records} == {INDOOR, FOG, OBJECT}
    for record in records:
        path = tmp_path / "elsewhere" / record["images/path"].decode()
        assert np.array_equal(np.asarray(record["images/content"]), np.asarray(Image.open(path)))


def test_photographs_of_several_formats_are_one_set(make_workspace, tmp_path):
    images = [f"images/indoor/{name}" for name in ("a.PNG", "b.jpg", "c.JPEG", "d.webp", "e[1].bmp", "f")]
    pairs = [drawn(image, (0, 0), (1, 1), outcome="manual", votes=(), ratio=None) for image in images]
    by_hand = {"scenarios": {"indoor": {"selection": "manual"}}, "release": FULL, "checks": {"checks": 0}}
    workspace = make_workspace({"images/indoor/x.png": (30, 30)}, **by_hand)
    for seed, image in enumerate(images):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)
        written_as = "WEBP" if "webp" in image else "JPEG" if "jp" in image.lower() else "PNG"
        Image.fromarray(pixels).save(workspace.folder / image, written_as)
        register(workspace, image, (20, 24))
    write_pairs(workspace, pairs)
    record_answers(workspace, [Answer(pair.id, "ann", "point1") for pair in pairs])
    make_release(workspace, tmp_path / "all")
    (photographs,) = (entry for entry in described(tmp_path / "all")["distribution"] if entry["@type"] == "cr:FileSet")
    assert photographs["encodingFormat"] == [
        "application/octet-stream",
        "image/bmp",
        "image/jpeg",
        "image/png",
        "image/webp",
    ]
    records = list(mlc.Dataset(tmp_path / "all" / "croissant.json").records("images"))
    assert {record["images/path"].decode() for record in records} == set(images)


def test_a_changed_table_is_noticed(released):
    folder = released()
    (folder / "provenance.parquet").write_bytes((folder / "left-out.parquet").read_bytes())
    with pytest.raises(mlc.GenerationError, match=r"Download\(provenance\.parquet\)"):
        list(mlc.Dataset(folder / "croissant.json").records("pairs"))


def test_what_users_wrote_comes_back_as_they_wrote_it(released):
    texts = ('"},{"@id": "x', "</script><b>", "émoji \U0001f363 \u202e", "{{x}} $y \\n")
    folder = released(
        release={**FULL, "description": texts[0], "creators": texts, "citation": texts[3], "licence": "§"}
    )
    metadata = mlc.Dataset(folder / "croissant.json").metadata
    assert {creator.name for creator in metadata.creators} == set(texts)
    assert texts[0] in metadata.description
    assert (metadata.cite_as, metadata.license) == (texts[3], ["§"])


def test_a_draft_says_so(released):
    folder = released(draft=True, pairs=[*PAIRS, drawn(OBJECT, (2, 2), (3, 3))])
    dataset = mlc.Dataset(folder / "croissant.json")
    assert dataset.metadata.ctx.issues.warnings == set()
    assert dataset.metadata.version == "1.2.0-draft"
    assert dataset.metadata.description.startswith("DRAFT, not for publishing")
    assert any("without 1 pair that" in bias for bias in dataset.metadata.data_biases)


def test_what_the_set_is_biased_to_is_in_the_responsible_ai_fields(released):
    metadata = mlc.Dataset(released() / "croissant.json").metadata
    assert set(metadata.machine_annotation_tools) == set(BASELINES)
    assert any("baseline:sharpness" in bias and "biased" in bias for bias in metadata.data_biases)
    assert "3 people say the same" in metadata.data_annotation_protocol[0]
    assert "1 of 2 audited" in metadata.data_annotation_analysis[0]
