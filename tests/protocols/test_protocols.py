"""Protocols are frozen: their digest is part of every number."""

from itertools import count
from pathlib import Path

import pytest
import yaml

from da2k.errors import BadInput
from da2k.protocols import dense_protocol, ordering_protocol, protocol, protocol_names, protocols_for

# A change of a digest makes old and new numbers incomparable: raise `version` and say so in the changelog.
FROZEN = {
    "da2k": (1, "12fa51c424b7b4101098f0f62a062daa36628dbf546b018bb9e3fced17a0f5e4"),
    "dav2-table2": (1, "fc3a0ebbd3967fe682005471c520bcd839d10b9d733c1fec072a8df084557bc1"),
    "dav2-table2-disparity": (1, "09c64d2d7be23e64690bd214a9d18076ddf48514f7638088e8460227a08f86a9"),
    "marigold": (1, "39c5189c0968e90964ccc51c649578cddf55a28b4bf5fd23f6c1c886393629fb"),
    "marigold-disparity": (1, "f3d3f691d50da086e68a7db9964146ca0aca987421a43ea9414499954169536e"),
    "metric": (1, "a1e1e3177ac3f29328f6a56689980a347ca253495ac01edc58bf1aeb4ceb03c0"),
    "metric-median": (1, "05a1ed052c70ceb7613cd719a2e1b6dc2755e198acec8ced1e900b9d9aa81616"),
    "metric-single": (1, "9c81ac68869d89dbdea6916c4c8aaee704871f5c83070370cf5059081fc6425e"),
    "midas": (1, "4c6ed2521857b3c8ca4d4c470a093c8b273ccbe41c85dc49df7a7266f80e165f"),
}


@pytest.fixture
def own(tmp_path):
    """Writes a record of one's own and gives its path: `own(extends="midas", name="mine")`."""
    numbers = count()

    def write(**fields):
        path = tmp_path / f"{next(numbers)}.yaml"
        path.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return str(path)

    return write


def test_the_protocols_are_those_that_numbers_were_published_under():
    assert {name: (protocol(name).version, protocol(name).digest) for name in protocol_names()} == FROZEN


@pytest.mark.parametrize("name", protocol_names())
def test_a_record_is_named_as_its_file(name):
    assert protocol(name).name == name


def test_unknown_protocols_suggest_the_nearest():
    with pytest.raises(BadInput, match='unknown protocol "da2"; did you mean "da2k"'):
        protocol("da2")


def test_a_protocol_is_for_pairs_or_for_depth():
    with pytest.raises(BadInput, match="pairs are scored by protocol da2k"):
        ordering_protocol("midas")
    with pytest.raises(BadInput, match=r"for measured depth choose one of dav2-table2, .*midas"):
        dense_protocol("da2k")


def test_a_benchmark_names_the_protocols_that_can_be_run_on_it():
    assert "midas" not in protocols_for("kitti")
    assert "midas" in protocols_for("nyu")
    assert protocols_for("diode") == ["marigold", "marigold-disparity"]
    assert protocols_for("diode-outdoor") == []


def test_a_record_of_ones_own_says_only_what_differs(own):
    record = dense_protocol(own(extends="dav2-table2", name="mine", datasets={"kitti": {"metric_crop": "none"}}))
    base = dense_protocol("dav2-table2")
    assert record.rules("kitti") == base.rules("kitti").model_copy(
        update={"metric_crop": "none", "status": "unanchored"}
    )
    assert record.alignment == base.alignment
    assert list(record.datasets) == list(base.datasets)
    assert record.digest != base.digest


def test_published_numbers_are_not_inherited(own):
    record = dense_protocol(own(extends="dav2-table2", name="mine"))
    assert record.anchors == ()
    assert {rules.status for rules in record.datasets.values()} == {"unanchored"}


def test_what_cannot_be_run_stays_so_when_inherited(own):
    with pytest.raises(BadInput, match="mine cannot be run on kitti"):
        dense_protocol(own(extends="midas", name="mine")).rules("kitti")


def test_a_dataset_set_to_null_is_left_out(own):
    record = dense_protocol(own(extends="metric", name="mine", datasets={"kitti": None}))
    with pytest.raises(BadInput, match="protocol mine says nothing on kitti; it names nyu"):
        record.rules("kitti")


def test_a_record_of_ones_own_cannot_take_a_name_that_is_taken(own):
    with pytest.raises(BadInput, match="name: midas is one that comes with da2k; give yours its own"):
        protocol(own(extends="midas"))
    with pytest.raises(BadInput, match="name: metric is one that comes with da2k"):
        protocol(own(extends="midas", name="metric"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: midsa\nname: mine\n", 'extends: .*"midas"'),
        ("- a list\n", "must hold the fields of a protocol"),
        ("a: [\n", "not valid YAML"),
        ("extends: midas\nname: mine\ncrop: none\n", "crop: Extra inputs"),
        ("extends: midas\nname: mine\ndatasets: {nyu: {range: {low: 1e-3}}}\n", r"datasets\.nyu\.range\.low: "),
        ("extends: midas\nname: Mine\n", "name: "),
    ],
)
def test_a_bad_file_is_one_line_with_its_place(tmp_path: Path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=message) as caught:
        protocol(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(BadInput, match=r"mine\.yaml: No such file"):
        protocol(str(tmp_path / "mine.yaml"))
