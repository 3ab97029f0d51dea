"""Taking photographs in: what is taken, what is refused and why, and that any order of accidents ends alike."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import imagehash
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel
from ruamel.yaml import YAML

from da2k.construction import experts as experts_room
from da2k.construction.decisions import Answer
from da2k.construction.intake import NearDuplicate, photo_files, take_in
from da2k.construction.intake.duplicates import near_duplicates
from da2k.construction.queue import DrawnPair, add_manual_pairs, image_of, read_pairs, record_answers, write_pairs
from da2k.construction.settings import EXPERTS_OF_THE_PAPER, FILE_NAME, Settings, read_settings
from da2k.construction.template import COMMENTS, template
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput, BadModel
from da2k.pairs import SCENARIOS, Pair, Point, scenario_of

EXPERTS = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")


def photo(path: Path, seed: int, size=(40, 60), **save) -> Path:
    """A photograph of smooth blobs; those of different seeds look different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(blobs).resize(size[::-1], Image.Resampling.BICUBIC).save(path, **save)
    return path


@pytest.fixture
def photos(tmp_path):
    """Four photographs in two scenarios."""
    root = tmp_path / "photos"
    for seed, name in enumerate(("indoor/b.png", "indoor/a.png", "object/c.png", "object/d.png")):
        photo(root / name, seed)
    return root


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "ws"


def init(workspace, photos=None, **options):
    return take_in(workspace, photos, **{"min_side": 30, "experts": EXPERTS, **options})


def tables(folder):
    """All rows of all tables."""
    with sqlite3.connect(f"file:{folder / 'state.sqlite'}?mode=ro", uri=True) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def why(report):
    return {Path(refusal.path).name: refusal.why for refusal in report.refused}


ALL = ("images/indoor/a.png", "images/indoor/b.png", "images/object/c.png", "images/object/d.png")


def test_photographs_are_copied_and_all_that_is_known_of_them_is_stored(workspace, photos):
    report = init(workspace, photos)
    assert report.images == report.taken == ALL
    assert not report.refused + report.duplicates + report.near + report.missing
    assert tree(workspace / "images") == tree(photos)
    with open_workspace(workspace, read_only=True) as opened:
        for taken in opened.images():
            source = photos / Path(taken.image).relative_to("images")
            assert taken.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
            assert taken.size == (40, 60)
            assert taken.phash == str(imagehash.phash(Image.open(source)))
            assert (workspace / taken.image).stat().st_mtime_ns == source.stat().st_mtime_ns
        assert opened.changed_photos() == {}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_upright_picture(workspace, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(tmp_path / "photos/indoor/a.jpg", 1, (40, 60), exif=exif)
    init(workspace, tmp_path / "photos")
    with open_workspace(workspace, read_only=True) as opened:
        (taken,) = opened.images()
    assert taken.size == ((60, 40) if orientation in (6, 8) else (40, 60))


def test_a_folder_that_has_images_is_understood(workspace, photos, tmp_path):
    (tmp_path / "bench").mkdir()
    shutil.move(photos, tmp_path / "bench/images")
    (tmp_path / "bench/annotations.json").write_text("{}")
    report = init(workspace, tmp_path / "bench")
    assert report.taken == ALL
    assert not report.refused


@pytest.mark.parametrize("given_as", ["nothing", "workspace", "images"])
def test_photographs_that_lie_in_the_workspace_are_taken_in_where_they_are(workspace, photos, given_as):
    shutil.copytree(photos, workspace / "images")
    before = tree(workspace / "images")
    named = {"nothing": None, "workspace": workspace, "images": workspace / "images"}[given_as]
    assert init(workspace, named).taken == ALL
    assert tree(workspace / "images") == before


def test_again_is_no_work_and_changes_nothing(workspace, photos, monkeypatch):
    photo(photos / "object/e.png", 0)  # the bytes of indoor/b.png
    init(workspace, photos)
    before = tables(workspace), tree(workspace / "images"), (workspace / FILE_NAME).read_bytes()

    def explode(*_):
        raise AssertionError("was read again")

    monkeypatch.setattr(photo_files, "decode", explode)
    monkeypatch.setattr(photo_files, "image_size", explode)
    seen = []
    for again in (photos, None):
        report = init(workspace, again, progress=lambda done, total: seen.append((done, total)))
        assert report.images == ALL
        assert not report.taken + report.renewed + report.restored + report.refused
    assert (tables(workspace), tree(workspace / "images"), (workspace / FILE_NAME).read_bytes()) == before
    assert seen == [(0, 1), (1, 1)]  # the duplicate


def test_a_touched_photograph_is_the_same(workspace, photos):
    init(workspace, photos)
    os.utime(workspace / ALL[0], (1, 1))
    os.utime(photos / "indoor/b.png", (1, 1))
    report = init(workspace, photos)
    assert not report.renewed + report.taken + report.refused
    assert dict(r[:1] + r[5:6] for r in tables(workspace)["images"])[ALL[0]] == 10**9


def test_what_is_no_photograph_is_refused_and_the_rest_taken_in(workspace, photos, tmp_path):
    (photos / "indoor/notes.txt").write_text("not a picture")
    (photos / "indoor/photo.heic").write_text("not a picture that can be read")
    (photos / "indoor/empty.jpg").write_bytes(b"")
    whole = photo(photos / "indoor/cut.png", 9, (300, 300)).read_bytes()
    (photos / "indoor/cut.png").write_bytes(whole[: len(whole) // 2])
    photo(photos / "indoor/small.png", 10, (29, 60))
    photo(photos / "indoor/fits.png", 11, (30, 60))
    photo(photos / "indoor/more/deep.png", 12)
    photo(photos / "stray.png", 13)
    (photos / "indoor/gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(photos / "indoor/pipe.png")
    report = init(workspace, photos)
    assert set(report.taken) == {*ALL, "images/indoor/fits.png"}
    found = why(report)
    for name, text in {
        "photo.heic": "not an image",
        "empty.jpg": "the file is empty",
        "cut.png": "damaged",
        "small.png": "60 x 29 pixels, and the shorter side must have 30 (images.min_side)",
        "more": "a folder; photographs lie directly",
        "stray.png": "lies in no scenario's folder",
        "gone.png": "a link to nothing",
        "pipe.png": "not a regular file",
    }.items():
        assert text in found.pop(name), name
    assert not found
    assert not any(refusal.why.startswith(refusal.path) for refusal in report.refused)
    assert [(Path(skipped.path).name, skipped.scenario) for skipped in report.skipped] == [("notes.txt", "indoor")]


def test_hidden_files_and_those_of_file_managers_are_skipped(workspace, photos):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.png", ".hidden/x.png"):
        (photos / "indoor" / name).parent.mkdir(exist_ok=True)
        (photos / "indoor" / name).write_text("x")
    (photos / ".git").mkdir()
    (photos / "__MACOSX").mkdir()
    assert not init(workspace, photos).refused


@pytest.mark.parametrize(
    "name", [b"line\nbreak.png", b"tab\t.png", b"back\\slash.png", b"latin\xe9.png", b"\xe2\x80\xae.png"]
)
def test_names_that_cannot_be_told_are_refused_on_one_line(workspace, photos, name):
    path = os.fsencode(photos / "indoor") + b"/" + name
    shutil.copy(photo(photos / "indoor/x.png", 9), path)
    (photos / "indoor/x.png").unlink()
    report = init(workspace, photos)
    assert report.images == ALL
    (refusal,) = report.refused
    assert "rename it" in refusal.why
    refusal.path.encode("utf-8")
    assert refusal.path.isprintable()


ODD = ("a#1,2-3,4.png", "b b.png", "50%.png", "ünïcodé.png", "照片.png", "🙂.png", "-dash.png", "it's.png", "no ending")


def test_odd_names_are_names_like_any_other(workspace, tmp_path):
    for seed, name in enumerate(ODD):
        photo(tmp_path / "photos/object" / name, seed, format="png")
    report = init(workspace, tmp_path / "photos")
    assert set(report.images) == {f"images/object/{name}" for name in ODD}
    with open_workspace(workspace) as opened:
        add_manual_pairs(opened, [(image, Point(1, 2), Point(3, 4)) for image in report.images])
        for pair in read_pairs(opened):
            assert image_of(pair.id) == pair.image
            assert scenario_of(pair.image) == "object"
            assert opened.photo(pair.image).pixels.shape == (40, 60, 3)


def test_a_known_photograph_whose_name_comes_back_in_another_form_is_the_same(workspace):
    """As after a copy by way of macOS, which writes accents apart."""
    composed, decomposed = (workspace / "images/indoor" / name for name in ("caf\u00e9.png", "cafe\u0301.png"))
    photo(composed, 1)
    init(workspace)
    before = tables(workspace)
    composed.rename(decomposed)
    report = init(workspace)
    assert (report.missing, report.renewed, report.taken, report.refused) == ((), (), (), ())
    assert composed.is_file()
    assert not decomposed.exists()
    assert tables(workspace) == before


def test_a_name_is_the_same_in_either_unicode_form(workspace, tmp_path):
    composed, decomposed = "caf\u00e9.png", "cafe\u0301.png"
    photo(tmp_path / "photos/indoor" / decomposed, 1)
    assert init(workspace, tmp_path / "photos").images == (f"images/indoor/{composed}",)
    assert list(tree(workspace / "images")) == [f"indoor/{composed}"]
    assert not init(workspace, tmp_path / "photos").taken
    photo(tmp_path / "photos/indoor" / composed, 2)
    assert "same name in another Unicode form" in why(init(workspace, tmp_path / "photos"))[decomposed]


def test_a_decomposed_name_in_the_workspace_is_composed(workspace):
    path = photo(workspace / "images/indoor/cafe\u0301.png", 1)
    assert init(workspace).taken == ("images/indoor/caf\u00e9.png",)
    assert not path.exists()
    with open_workspace(workspace, read_only=True) as opened:
        assert opened.changed_photos() == {}


def test_names_that_differ_in_case_only_are_refused(workspace, photos):
    photo(photos / "indoor/A.png", 9)
    report = init(workspace, photos)
    assert "images/indoor/A.png" in report.taken
    assert "cannot tell its name from images/indoor/A.png" in why(report)["a.png"]
    # One that is in already keeps its name.
    shutil.rmtree(workspace)
    (photos / "indoor/A.png").rename(photos.parent / "A.png")
    init(workspace, photos)
    (photos.parent / "A.png").rename(photos / "indoor/A.png")
    report = init(workspace, photos)
    assert report.images == ALL
    assert list(why(report)) == ["A.png"]


def test_of_equal_photographs_the_first_is_taken_in(workspace, photos):
    shutil.copy(photos / "object/c.png", photos / "indoor/z.png")
    shutil.copy(photos / "object/c.png", photos / "object/again.png")
    report = init(workspace, photos)
    assert "images/indoor/z.png" in report.taken
    assert [(Path(path).name, image) for path, image in report.duplicates] == [
        ("again.png", "images/indoor/z.png"),
        ("c.png", "images/indoor/z.png"),
    ]
    assert not report.refused
    assert init(workspace, photos).duplicates == report.duplicates


def test_alike_photographs_are_both_taken_in_and_named(workspace, photos):
    picture = Image.open(photos / "indoor/a.png").convert("RGB")
    picture.resize((120, 80)).save(photos / "object/larger.jpg", quality=90)
    report = init(workspace, photos)
    assert "images/object/larger.jpg" in report.taken
    (near,) = report.near
    hashes = [imagehash.phash(Image.open(photos / name)) for name in ("indoor/a.png", "object/larger.jpg")]
    assert near == NearDuplicate("images/object/larger.jpg", "images/indoor/a.png", hashes[0] - hashes[1])
    assert init(workspace, photos).near == report.near


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 40), max_size=30), st.integers(0, 64))
def test_near_duplicates_are_those_of_counting_bits(numbers, bits):
    expected = []
    for second, number in enumerate(numbers):
        apart = [((number ^ other).bit_count(), first) for first, other in enumerate(numbers[:second])]
        if apart and min(apart)[0] <= bits:
            expected.append((min(apart)[1], second, min(apart)[0]))
    assert near_duplicates([f"{number:016x}" for number in numbers], bits) == expected


def test_near_duplicates_are_found_among_more_than_are_compared_at_once():
    rng = np.random.default_rng(0)
    numbers = [int(n) for n in rng.integers(0, 2**63, 2500)]
    numbers[2400], numbers[1030] = numbers[17] ^ 0b101, numbers[1029] ^ 1
    found = near_duplicates([f"{number:016x}" for number in numbers], 3)
    assert found == [(1029, 1030, 1), (17, 2400, 2)]


def test_another_photograph_of_the_same_name_is_refused_until_the_old_one_is_deleted(workspace, photos):
    init(workspace, photos)
    photo(photos / "indoor/a.png", 77)
    old = (workspace / ALL[0]).read_bytes()
    report = init(workspace, photos)
    assert "another file of that name" in why(report)["a.png"]
    assert (workspace / ALL[0]).read_bytes() == old
    (workspace / ALL[0]).unlink()
    report = init(workspace, photos)
    assert (report.renewed, report.refused) == ((ALL[0],), ())
    assert (workspace / ALL[0]).read_bytes() == (photos / "indoor/a.png").read_bytes()


def fill(workspace, *images):
    """Give images rows in every table, as the stages would."""
    with open_workspace(workspace) as opened:
        for image in images:
            opened.db.run("INSERT INTO work VALUES ('keypoints', ?, 'k', NULL)", image)
            opened.db.run("INSERT INTO keypoints VALUES (?, ?, ?)", image, b"12345678", b"")
            opened.db.run("INSERT INTO readings VALUES (?, 'e', 'metric_depth', ?)", image, b"")
            pair = Pair(image, Point(0, 0), Point(5, 5), 1)
            write_pairs(
                opened, [DrawnPair(pair.id, image, pair.point1, pair.point2, "disputed", (1, 2), 4.0, False, True)]
            )
        add_manual_pairs(opened, [(image, Point(1, 1), Point(7, 7)) for image in images])
        record_answers(opened, [Answer(pair.id, "ann", "point1") for pair in read_pairs(opened)])


def test_a_changed_photograph_is_taken_in_anew_and_all_that_was_made_of_it_goes(workspace, photos):
    init(workspace, photos)
    fill(workspace, ALL[0], ALL[2])
    before = tables(workspace)
    photo(workspace / ALL[0], 99, (50, 70))
    report = init(workspace)
    assert (report.renewed, report.taken, report.refused) == ((ALL[0],), (), ())
    after = tables(workspace)
    for name in ("work", "keypoints", "readings", "pairs"):
        kept = [row for row in before[name] if ALL[0] not in row]
        assert after[name] == kept
        assert len(kept) < len(before[name])
    assert after["answers"] == before["answers"]
    with open_workspace(workspace, read_only=True) as opened:
        assert opened.changed_photos() == {}
        assert opened.images()[0].size == (50, 70)


def test_exchanged_photographs_are_both_taken_in_anew(workspace, photos):
    init(workspace, photos)
    a, b = workspace / ALL[0], workspace / ALL[1]
    one, other = a.read_bytes(), b.read_bytes()
    a.write_bytes(other)
    b.write_bytes(one)
    report = init(workspace)
    assert (report.renewed, report.duplicates, report.refused) == (ALL[:2], (), ())
    assert [row[1] for row in tables(workspace)["images"][:2]] == [hashlib.sha256(x).hexdigest() for x in (other, one)]


def test_a_photograph_that_became_another_one_or_none_is_refused_and_stays_known(workspace, photos):
    init(workspace, photos)
    before = tables(workspace)["images"]
    shutil.copy(workspace / ALL[2], workspace / ALL[0])
    (workspace / ALL[1]).write_text("nothing")
    found = why(init(workspace))
    assert f"has the bytes of {ALL[2]} now" in found["a.png"]
    assert "not an image" in found["b.png"]
    for text in found.values():
        assert "put the old file back, or delete this one and use --remove-missing" in text
    assert tables(workspace)["images"] == before


def test_a_missing_photograph_is_told_put_back_or_removed(workspace, photos):
    init(workspace, photos)
    fill(workspace, *ALL)
    (workspace / ALL[0]).unlink()
    (workspace / ALL[2]).unlink()
    before = tables(workspace)
    assert init(workspace).missing == (ALL[0], ALL[2])
    assert tables(workspace) == before
    shutil.copytree(photos, workspace.parent / "part")
    shutil.rmtree(workspace.parent / "part/object")
    report = init(workspace, workspace.parent / "part")
    assert (report.restored, report.missing, report.images) == ((ALL[0],), (ALL[2],), ALL)
    report = init(workspace, remove_missing=True)
    assert (report.removed, report.missing, report.images) == ((ALL[2],), (), (ALL[0], ALL[1], ALL[3]))
    after = tables(workspace)
    for name in ("images", "work", "keypoints", "readings", "pairs"):
        assert not [row for row in after[name] if ALL[2] in row]
        assert [row for row in after[name] if ALL[0] in row] == [row for row in before[name] if ALL[0] in row]


def test_links_are_the_same_file_and_their_change_is_noticed(workspace, photos):
    report = init(workspace, photos, link=True)
    assert report.taken == ALL
    source, target = photos / "indoor/a.png", workspace / ALL[0]
    assert source.stat().st_ino == target.stat().st_ino
    assert not init(workspace, photos, link=True).taken
    with source.open("ab") as f:
        f.write(b"more")
    with open_workspace(workspace) as opened:
        assert list(opened.changed_photos()) == [ALL[0]]


def test_symbolic_links_are_followed(workspace, photos, tmp_path):
    elsewhere = photo(tmp_path / "elsewhere/x.png", 50)
    (photos / "indoor/x.png").symlink_to(elsewhere)
    (photos / "outdoor").symlink_to(photo(tmp_path / "many/y.png", 51).parent)
    report = init(workspace, photos)
    assert set(report.taken) == {*ALL, "images/indoor/x.png", "images/outdoor/y.png"}
    assert not (workspace / "images/indoor/x.png").is_symlink()
    assert (workspace / "images/indoor/x.png").read_bytes() == elsewhere.read_bytes()


def test_a_misspelt_scenario_stops_everything_before_it_begins(workspace, photos):
    (photos / "object").rename(photos / "obejct")
    with pytest.raises(BadInput, match=r'no scenario is called "obejct"; did you mean "object"\?'):
        init(workspace, photos)
    assert not workspace.exists()
    with pytest.raises(BadInput, match="--scenario replaces the whole list"):
        init(workspace, photos, scenarios=["indoor", "object"])


def test_scenarios_that_would_lose_others_say_that_the_list_is_replaced(workspace, photos):
    init(workspace, photos)
    before = (workspace / FILE_NAME).read_bytes()
    with pytest.raises(BadInput, match=r'no scenario is called "indoor", "object".*--scenario replaces the whole list'):
        init(workspace, scenarios=["fog"])
    assert (workspace / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("given_as", ["path", "dot"])
def test_the_folder_of_one_scenario_is_told_from_that_of_all(workspace, photos, monkeypatch, given_as):
    monkeypatch.chdir(photos / "indoor")
    named = photos / "indoor" if given_as == "path" else Path()
    with pytest.raises(BadInput, match=f"give the folder above it: {photos}$"):
        init(workspace, named)
    assert not workspace.exists()


@pytest.mark.parametrize(
    ("expert", "message"),
    [
        ("baseline:rwo", 'did you mean "row"'),
        ("depth-anything-v9", "unknown model"),
        ("depth-anything-large knd=affine_disparity", 'unknown option "knd"'),
        ("hf:absent", "there is no folder"),
    ],
)
def test_an_expert_that_cannot_be_is_told_before_the_settings_change(workspace, photos, expert, message):
    experts = ["baseline:row", expert]
    with pytest.raises(BadModel, match=message):
        init(workspace, photos, experts=experts)
    assert not workspace.exists()
    init(workspace, photos)
    before = (workspace / FILE_NAME).read_bytes()
    with pytest.raises(BadModel, match=message):
        init(workspace, photos, experts=experts)
    assert (workspace / FILE_NAME).read_bytes() == before


def test_the_default_experts_are_told_and_need_not_be_here(workspace, photos, monkeypatch):
    monkeypatch.setattr(experts_room, "find_spec", lambda name: None)  # no torch on this machine either
    said = []
    take_in(workspace, photos, min_side=30, say=said.append)
    (line,) = [line for line in said if line.startswith("experts: ")]
    for word in (*EXPERTS_OF_THE_PAPER, "large networks", "downloaded", "--expert"):
        assert word in line
    said.clear()
    take_in(workspace, photos, experts=["depth-anything-v2-small", "baseline:row"], say=said.append)
    assert said == [
        "da2k.yaml: experts = depth-anything-v2-small, baseline:row "
        "(was depth-anything-large, depth-anything-v2-large, marigold-v1-0, geowizard-v1)"
    ]


@pytest.mark.parametrize("folders", [[], ["indoor"], ["indoor", "object"]])
def test_an_empty_folder_is_an_error(workspace, tmp_path, folders):
    for folder in ["", *folders]:
        (tmp_path / "photos" / folder).mkdir()
    with pytest.raises(BadInput, match="holds no photographs"):
        init(workspace, tmp_path / "photos")
    with pytest.raises(BadInput, match=r"da2k build init .* PHOTOS"):
        init(workspace)
    with pytest.raises(BadInput, match="no such folder"):
        init(workspace, tmp_path / "absent")
    assert not workspace.exists()


def test_options_that_are_settings_are_written_and_said(workspace, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.tflite").write_bytes(b"network")
    said = []
    init(
        workspace,
        photos,
        scenarios=["indoor", "object=manual", "fog"],
        experts=["baseline:row", "tflite:n.tflite kind=metric_depth output_scale=-1"],
        say=said.append,
    )
    settings = read_settings(workspace / FILE_NAME)
    assert [(name, s.selection) for name, s in settings.scenarios.items()] == [
        ("indoor", "automatic"),
        ("object", "manual"),
        ("fog", "automatic"),
    ]
    assert settings.experts[1].options == {"kind": "metric_depth", "output_scale": "-1"}
    assert settings.images.min_side == 30
    assert said == [
        "da2k.yaml: scenarios = indoor, object (manual), fog",
        "da2k.yaml: experts = baseline:row, tflite:n.tflite kind=metric_depth output_scale=-1",
        "da2k.yaml: images.min_side = 30",
    ]
    # The same again is no change; an expert that is there keeps its options and its name says them.
    init(workspace, photos, experts=["baseline:row", "tflite:n.tflite"], say=said.append)
    init(workspace, photos, experts=[expert.name for expert in settings.experts], say=said.append)
    assert read_settings(workspace / FILE_NAME) == settings
    assert len(said) == 3


def test_a_wrong_option_changes_nothing(workspace, photos):
    for options, message in [
        ({"experts": ["baseline:row"]}, "experts: "),
        ({"scenarios": ["fog=hand"]}, "automatic or manual"),
        ({"scenarios": ["indoor", "object", "indoor"]}, "twice"),
        ({"scenarios": ["indoor", "object", "../x"]}, "scenarios."),
    ]:
        with pytest.raises(BadInput, match=message):
            init(workspace, photos, **options)
        assert not workspace.exists()
    init(workspace, photos)
    before = (workspace / FILE_NAME).read_bytes()
    with pytest.raises(BadInput, match="experts: "):
        init(workspace, photos, experts=["baseline:row"])
    assert (workspace / FILE_NAME).read_bytes() == before


def test_a_larger_least_side_names_what_is_too_small_and_loses_nothing(workspace, photos):
    init(workspace, photos)
    before = tables(workspace)
    report = init(workspace, photos, min_side=41)
    assert report.images == ALL
    assert all("taken in before" in refusal.why for refusal in report.refused)
    assert len(report.refused) == 4
    assert tables(workspace) == before


def test_what_a_killed_copy_left_is_removed(workspace, photos):
    init(workspace, photos)
    left = workspace / "images/indoor/.da2k.abc.tmp"
    left.write_bytes(b"half")
    init(workspace, photos)
    assert not left.exists()


KILL = """
import sys
from pathlib import Path
from da2k.construction.intake import take_in
take_in(Path(sys.argv[1]), Path(sys.argv[2]), min_side=30)
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_had_not_been(tmp_path):
    photos = tmp_path / "photos"
    for number in range(60):
        photo(photos / SCENARIOS[number % 3] / f"p{number:02}.png", number % 50, (200, 200))  # ten stand there twice
    (photos / "indoor/zz.txt").write_text("no picture")
    command = [sys.executable, "-c", KILL]
    subprocess.run([*command, tmp_path / "whole", photos], check=True)
    kills = 0
    for wanted in range(1, 40, 8):
        child = subprocess.Popen([*command, tmp_path / "killed", photos])
        while child.poll() is None and len(list((tmp_path / "killed/images").glob("*/*"))) < wanted:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
    assert kills >= 3
    subprocess.run([*command, tmp_path / "killed", photos], check=True)
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")
    assert tree(tmp_path / "killed/images") == tree(tmp_path / "whole/images")
    assert len(tables(tmp_path / "whole")["images"]) == 50


def test_a_disk_that_takes_no_more_is_one_error_and_loses_nothing(workspace, photos):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (800, 800, 3), np.uint8)).save(photos / "object/noise.png")
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))"
    done = subprocess.run([sys.executable, "-c", limit + KILL, workspace, photos], capture_output=True, text=True)
    assert "noise.png: cannot be written (File too large)" in done.stderr.splitlines()[-1]
    assert [row[0] for row in tables(workspace)["images"]] == list(ALL)
    assert not list(workspace.rglob("*.tmp"))
    assert init(workspace, photos).taken == ("images/object/noise.png",)


def test_a_workspace_that_cannot_be_made_is_an_error(tmp_path, photos):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file"):
        init(tmp_path / "file", photos)


def test_the_template_is_the_default_settings_with_a_word_on_every_key():
    assert Settings.model_validate(yaml.safe_load(template(Settings()))) == Settings()

    def leaves(model, path=""):
        for name in type(model).model_fields:
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                yield from leaves(value, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    assert set(COMMENTS) == set(leaves(Settings()))
    for line in template(Settings()).splitlines():
        assert len(line) <= 120


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,5}", fullmatch=True),
        st.sampled_from(["automatic", "manual"]),
        min_size=1,
        max_size=3,
    ),
    st.lists(
        st.tuples(names, st.dictionaries(names, names, max_size=2)), min_size=2, max_size=3, unique_by=lambda e: e[0]
    ),
    names,
)
def test_any_settings_survive_the_template(scenarios, experts, text):
    settings = Settings.model_validate(
        {
            "scenarios": {name: {"selection": selection, "quota": 1} for name, selection in scenarios.items()},
            "experts": [{"model": model, "options": {"path": text}, "again": [options]} for model, options in experts],
            "release": {"description": text, "creators": [text], "date": "2024-02-01"},
            "selection": {"audit": 1e-7},
        }
    )
    assert Settings.model_validate(YAML(typ="safe").load(template(settings))) == settings
