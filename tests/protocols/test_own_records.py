"""Records of one's own: what they inherit, and how a wrong one is answered."""

import re
from itertools import count
from pathlib import Path

import pytest
import yaml

from da2k.errors import BadInput
from da2k.protocols import DenseProtocol, dense_protocol, protocol
from da2k.protocols.dense import DatasetRules
from da2k.protocols.described import OWN, dataset_axes
from da2k.protocols.fields import field_table


@pytest.fixture
def own(tmp_path):
    """Writes a record of one's own and gives its path: `own(extends="midas", name="mine")`."""
    numbers = count()

    def write(**fields):
        path = tmp_path / f"{next(numbers)}.yaml"
        path.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return str(path)

    return write


def test_a_record_of_ones_own_says_only_what_differs(own):
    record = dense_protocol(own(extends="dav2-table2", name="mine", datasets={"kitti": {"metric_crop": "none"}}))
    base = dense_protocol("dav2-table2")
    said = {key: text for key, text in base.rules("kitti").evidence.items() if key != "metric_crop"}
    assert record.rules("kitti") == base.rules("kitti").model_copy(
        update={"metric_crop": "none", "status": "unanchored", "note": None, "evidence": said}
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


def evidence_of(record, dataset="kitti"):
    return record.datasets[dataset].evidence


def test_where_a_choice_comes_from_is_inherited_only_with_the_choice(own):
    base = evidence_of(dense_protocol("dav2-table2"))
    kitti = {"range": {"high": 50}, "clamp": {"high": 50}, "align_corners": True}
    record = dense_protocol(own(extends="dav2-table2", name="mine", datasets={"kitti": kitti}))
    assert evidence_of(record) == {key: text for key, text in base.items() if key not in ("range", "clamp")}
    assert evidence_of(record, "nyu") == evidence_of(dense_protocol("dav2-table2"), "nyu")


def test_the_evidence_of_the_record_itself_stands(own):
    kitti = {"range": {"high": 50}, "evidence": {"range": "A paper."}}
    record = dense_protocol(own(extends="dav2-table2", name="mine", datasets={"kitti": kitti}))
    assert evidence_of(record)["range"] == "A paper."


@pytest.mark.parametrize(
    ("base", "fields", "gone"),
    [
        # What is said of the frames speaks of the list, of Garg's crop of the cut frame, of the cap of the floor.
        ("dav2-table2", {"datasets": {"kitti": {"list": "other.txt"}}}, {"list", "frames"}),
        ("dav2-table2", {"datasets": {"kitti": {"frames": 10}}}, {"frames"}),
        ("metric", {"datasets": {"kitti": {"input_crop": "none"}}}, {"input_crop", "metric_crop"}),
        ("dav2-table2", {"alignment": {"floor": 0.001}}, {"clamp"}),
        ("marigold-disparity", {"alignment": {"floor": 0.01}}, set()),
        ("dav2-table2", {"alignment": {"solver": "l1"}}, set()),
    ],
)
def test_what_is_said_of_another_choice_goes_with_it(own, base, fields, gone):
    record = dense_protocol(own(extends=base, name="mine", **fields))
    assert evidence_of(dense_protocol(base)).keys() - evidence_of(record).keys() == gone


def test_the_source_says_which_common_choices_are_ones_own(own):
    base = dense_protocol("dav2-table2").source
    assert dense_protocol(own(extends="dav2-table2", name="mine")).source == f"As protocol dav2-table2: {base}"
    changed = {"alignment": {"floor": 0.001, "solver": "l1"}, "metrics": ["delta1"], "tta": "none"}
    record = dense_protocol(own(extends="dav2-table2", name="mine", **changed))
    own_choices = "Own choice: alignment.floor, alignment.solver, metrics."
    assert record.source == f"{own_choices} All else as protocol dav2-table2: {base}"
    assert dense_protocol(own(extends="dav2-table2", name="mine", source="A paper.")).source == "A paper."
    assert record.title == "dav2-table2 with other choices"


def test_a_description_says_what_is_ones_own(own):
    record = dense_protocol(own(extends="dav2-table2", name="mine", datasets={"kitti": {"range": {"high": 50}}}))
    assert {axis.field for axis in dataset_axes(record, "kitti") if axis.evidence == OWN} == {"range"}
    assert not [axis for axis in dataset_axes(record, "nyu") if axis.evidence == OWN]
    bare = record.model_copy(
        update={"datasets": {"kitti": record.datasets["kitti"].model_copy(update={"evidence": {}})}}
    )
    assert {axis.evidence for axis in dataset_axes(bare, "kitti")} == {OWN}


def test_a_new_dataset_needs_no_status_and_no_evidence(own):
    rules = dense_protocol("marigold").rules("diode").model_dump()
    for field in ("status", "note", "evidence"):
        del rules[field]
    record = dense_protocol(own(extends="metric-single", name="mine", datasets={"diode": rules}))
    assert (record.rules("diode").status, record.rules("diode").evidence) == ("unanchored", {})


KITTI = "extends: midas\nname: mine\ndatasets: {kitti: %s}\n"
MINE = "extends: midas\nname: mine\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: midsa\nname: mine\n", 'extends: unknown protocol "midsa"; did you mean "midas"? Known: '),
        ("extends: [midas]\nname: mine\n", "extends: unknown protocol \"['midas']\"; "),
        (
            "name: mine\nversion: 1\n",
            "has neither extends nor task; most records of one's own begin with extends: NAME",
        ),
        ("name: mine\nextend: midas\n", 'unknown field "extend"; did you mean "extends"? Known: '),
        ("- a list\n", "must hold the fields of a protocol"),
        ("a: [\n", "not valid YAML"),
        (MINE + "1: 2\n", "1 is no name of a field"),
        (MINE + "datasets: {nyu: {on: 2}}\n", "True is no name of a field"),
        (MINE + "task: ordering\n", "task: is dense, as that of midas; leave it out"),
        (MINE + "metrcs: [delta1]\n", 'unknown field "metrcs"; did you mean "metrics"? Known: alignment, anchors, '),
        (MINE + "alignment: {flor: 1/cap}\n", 'alignment: unknown field "flor"; did you mean "floor"? Known: floor, '),
        (
            KITTI % "{metric_crp: none}",
            'datasets.kitti: unknown field "metric_crp"; did you mean "metric_crop"? Known: ',
        ),
        (KITTI % "{range: {hi: 5}}", 'datasets.kitti.range: unknown field "hi"; did you mean "high"? Known: high, low'),
        (KITTI % "{range: 5}", "datasets.kitti.range: must be a mapping with low and high, not 5"),
        (KITTI % "{evidence: {range: null}}", "datasets.kitti.evidence.range: must be text, not null"),
        (KITTI % "{evidence: [x]}", "datasets.kitti.evidence: must be a mapping from names to text, not a list"),
        (KITTI % "5", "datasets.kitti: must be a mapping with reader, frames, "),
        (KITTI % "{frames: 6.5}", "datasets.kitti.frames: must be a whole number of 1 or more, not 6.5"),
        (KITTI % "{align_corners: 1}", "datasets.kitti.align_corners: must be true or false, not 1"),
        (KITTI % "{align_corners: null}", "datasets.kitti.align_corners: must be true or false, not null"),
        (KITTI % "{metric_crop: big}", 'metric_crop: must be one of none, garg, eigen, nyu-eigen, not "big"'),
        (KITTI % "{clamp: {high: .inf}}", "datasets.kitti.clamp.high: must be a number above 0 or null, not inf"),
        (KITTI % "{range: {low: 1e-3}}", 'not "1e-3"; YAML reads 1e-3 as text: write 0.001 or 1.0e-3'),
        (KITTI % "{range: {high: 1.5E2}}", 'not "1.5E2"; YAML reads 1.5E2 as text: write 150 or 1.5e+2'),
        (KITTI % "{range: {high: '80'}}", 'not "80"; write 80 without quotation marks'),
        (KITTI % "{range: {high: 80m}}", 'datasets.kitti.range.high: must be a number above 0 or null, not "80m"'),
        (MINE + "alignment: {floor: 1/cp}\n", "must be 1/cap, 1/max truth, a number above 0 or null, not "),
        (MINE + "alignment: disparity\n", "alignment: must be a mapping with space, solver, support and floor, not "),
        (MINE + "metrics: delta1\n", 'metrics: must be a list of text, not "delta1"'),
        (MINE + "metrics: []\n", "metrics: is empty; it must be a list of text"),
        (MINE + "datasets: [kitti]\n", "datasets: must be a mapping from names to mappings, not a list"),
        (MINE + "datasets: {kity: {frames: 1}}\n", 'datasets: unknown dataset "kity"; did you mean "kitti"? Known: '),
        (
            MINE + "datasets: {diode: {frames: 1}}\n",
            "datasets.diode.reader: is missing; it must be one of kitti-annota",
        ),
        (MINE + "anchors: [{model: x}]\n", "anchors.0.dataset: is missing; it must be text"),
        (
            "extends: midas\nname: Mine\n",
            "name: must be text of a-z, 0-9, . and -, beginning with a letter or digit, not ",
        ),
        ("extends: da2k\nname: mine\nlevel: x\n", 'level: must be a number, not "x"'),
    ],
)
def test_a_bad_file_is_one_line_with_its_place_in_our_words(tmp_path: Path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=re.escape(message)) as caught:
        protocol(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["1e-3", "1.5E2", "2E+1", "1.e2", ".5e1", "7e-12"])
def test_the_way_to_write_a_number_that_is_offered_is_that_number(tmp_path: Path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(KITTI % f"{{range: {{low: 0, high: {text}}}}}", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        protocol(str(path))
    offered = str(caught.value).partition(": write ")[2].split(" or ")
    assert [yaml.safe_load(way) for way in offered] == [float(text), float(text)]


def test_every_field_has_a_meaning_and_a_type():
    table = {name: (kind, meaning) for name, kind, meaning in field_table(DenseProtocol)}
    assert all(kind and meaning for kind, meaning in table.values())
    assert DenseProtocol.model_fields.keys() <= table.keys()
    assert {f"datasets.NAME.{name}" for name in DatasetRules.model_fields} <= table.keys()
    assert table["datasets.NAME.range.high"][0] == "a number above 0 or null"
    assert "alignment.floor" in table
    assert "anchors[].tier" in table


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(BadInput, match=r"mine\.yaml: No such file"):
        protocol(str(tmp_path / "mine.yaml"))
