"""`da2k protocols`, as people and scripts use it, and the page that is written from the records."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from da2k.cli import app
from da2k.depth import DepthKind
from da2k.protocols import DenseProtocol, protocol, protocol_names

ROOT = Path(__file__).resolve().parents[2]
DENSE = [name for name in protocol_names() if isinstance(protocol(name), DenseProtocol)]


def run(*words):
    result = CliRunner().invoke(app, ["protocols", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_names_every_protocol_and_marks_what_nobody_reproduced():
    lines = run("list").splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert set(protocol_names()) <= rows.keys()
    assert " kitti nyu diode-indoor sintel* eth3d* " in rows["dav2-table2"]
    assert " kitti† " in rows["midas"]
    assert " kitti° nyu° " in rows["metric-median"]
    assert any(line.startswith("* nobody is known to have reproduced") for line in lines)


def test_list_as_json():
    records = json.loads(run("list", "--json"))
    assert list(records) == protocol_names()
    assert records["marigold"]["digest"] == protocol("marigold").digest
    assert records["marigold"]["takes"] == "affine_depth"
    assert records["dav2-table2"]["datasets"]["eth3d"] == "unreproduced"
    assert records["da2k"]["task"] == "ordering"


@pytest.mark.parametrize("name", DENSE)
def test_show_prints_every_axis_of_every_dataset(name):
    record = protocol(name)
    body = run("show", name).partition("\nFor all")[2]
    common, *sets = re.split(rf"^(?=(?:{'|'.join(record.datasets)}): )", body, flags=re.MULTILINE)
    assert [part.partition(":")[0] for part in sets] == list(record.datasets)
    for part in sets:
        numbers = {int(number) for number in re.findall(r"^ {1,2}(\d{1,2})  \w", common + part, flags=re.MULTILINE)}
        assert numbers == set(range(1, 16))


@pytest.mark.parametrize("name", DENSE)
def test_show_prints_digest_evidence_anchors_and_unknowns(name):
    record = protocol(name)
    text = " ".join(run("show", name).split())
    assert record.digest in text
    for rules in record.datasets.values():
        assert all(" ".join(reason.split()) in text for reason in rules.evidence.values())
    assert all(" ".join(unknown.split()) in text for unknown in record.unknown)
    for anchor in record.anchors:
        assert f"{anchor.value:g} {anchor.tier}" in text
        assert anchor.source in text
        assert anchor.model in text
        assert anchor.reproduced is None or anchor.reproduced in text


def test_show_says_plainly_what_is_not_reproduced():
    lines = run("show", "dav2-table2").splitlines()
    assert "sintel, eth3d: UNREPRODUCED: nobody is known to have reproduced a published number" in lines
    assert "sintel: UNREPRODUCED: nobody is known to have reproduced a published number" in lines
    assert "kitti: UNAVAILABLE: it cannot be run" in run("show", "midas").splitlines()


def test_show_as_json_is_the_whole_record():
    shown = json.loads(run("show", "midas", "--json"))
    assert shown.pop("digest") == protocol("midas").digest
    assert DenseProtocol.model_validate(shown) == protocol("midas")


def test_show_prints_the_protocol_of_pairs_too():
    text = run("show", "da2k")
    assert protocol("da2k").digest in text
    assert "ties:        not correct" in text


def test_the_example_of_the_page_can_be_shown(tmp_path):
    example = re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs/protocols.md").read_text(encoding="utf-8"), re.DOTALL
    ).group(1)
    path = tmp_path / "own.yaml"
    path.write_text(example, encoding="utf-8")
    text = run("show", str(path))
    assert text.startswith(yaml.safe_load(example)["name"])
    assert "crop of the metrics: none" in text
    assert "kitti: unanchored" in text
    assert "\nnyu: " not in text


def test_a_wrong_name_is_one_line():
    line = [sys.executable, "-m", "da2k", "protocols", "show", "dav2"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r'error: unknown protocol "dav2"; .*dav2-table2.*\n', done.stderr)


def test_the_page_of_protocols_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_protocols", ROOT / "docs/write_protocols.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    text = writer.PAGE.read_text(encoding="utf-8")
    assert writer.BEGIN in text
    assert text == writer.page(text), "run: make docs"


def test_the_table_of_kinds_on_the_page_is_that_of_the_records():
    text = (ROOT / "docs/protocols.md").read_text(encoding="utf-8")
    lines = text[text.index("| | metric_depth |") :].partition("\n\n")[0].splitlines()
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    seen = []
    for names, *cells in rows:
        for name in names.split(", "):
            takes = protocol(name).alignment.takes
            for kind, cell in zip(map(DepthKind, header[1:]), cells, strict=True):
                inverted = kind.larger_is_nearer is not takes.larger_is_nearer
                taken = "as 1/depth" if inverted else "taken"
                assert cell == (taken if kind.why_not(takes) is None else "refused"), (name, kind)
            seen.append(name)
    assert sorted(seen) == DENSE
