"""Protocols are frozen: their digest is part of every number."""

import pytest

from da2k.errors import BadInput
from da2k.protocols import (
    dense_protocol,
    ordering_protocol,
    protocol,
    protocol_names,
    protocols_for,
    which_protocols,
)
from da2k.protocols.dense import BENCHMARKS

# A change of a digest makes old and new numbers incomparable: raise `version` and say so in the changelog.
FROZEN = {
    "da2k": (1, "12fa51c424b7b4101098f0f62a062daa36628dbf546b018bb9e3fced17a0f5e4"),
    "dav2-table2": (1, "fc3a0ebbd3967fe682005471c520bcd839d10b9d733c1fec072a8df084557bc1"),
    "dav2-table2-disparity": (1, "09c64d2d7be23e64690bd214a9d18076ddf48514f7638088e8460227a08f86a9"),
    "marigold": (1, "4f6775ccadb6d637fe4429a69cb551e7d9ced6b3a64069ab46a2947f445ccae0"),
    "marigold-disparity": (1, "fa5a25f8c37917d33598ab97cb8a13d48cca3d6789e771d1e8cd8ee29f47ca8b"),
    "metric": (1, "a1e1e3177ac3f29328f6a56689980a347ca253495ac01edc58bf1aeb4ceb03c0"),
    "metric-median": (1, "05a1ed052c70ceb7613cd719a2e1b6dc2755e198acec8ced1e900b9d9aa81616"),
    "metric-single": (1, "9c81ac68869d89dbdea6916c4c8aaee704871f5c83070370cf5059081fc6425e"),
    "midas": (1, "4c6ed2521857b3c8ca4d4c470a093c8b273ccbe41c85dc49df7a7266f80e165f"),
}


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
    with pytest.raises(
        BadInput, match="protocol da2k scores pairs of points; measured depth has others: da2k protocols"
    ):
        dense_protocol("da2k")


def test_a_protocol_of_pairs_names_those_that_can_score_the_dataset():
    with pytest.raises(BadInput, match="da2k scores pairs of points; for kitti choose one of dav2-table2, ") as caught:
        dense_protocol("da2k", "kitti")
    assert "midas" not in str(caught.value)
    with pytest.raises(BadInput, match=r"for nyu choose one of dav2-table2, .*midas"):
        dense_protocol("da2k", "nyu")


def test_a_benchmark_names_the_protocols_that_can_be_run_on_it():
    assert "midas" not in protocols_for("kitti")
    assert "midas" in protocols_for("nyu")
    assert protocols_for("diode") == ["marigold", "marigold-disparity"]
    assert protocols_for("diode-outdoor") == ["marigold", "marigold-disparity"]


@pytest.mark.parametrize("dataset", BENCHMARKS)
def test_every_benchmark_has_a_protocol(dataset):
    assert protocols_for(dataset)
    assert which_protocols(dataset) == f"for {dataset} choose one of {', '.join(protocols_for(dataset))}"


def test_a_dataset_without_a_protocol_is_said_so():
    assert which_protocols("tum") == "no protocol that comes with da2k scores tum; write one, see docs/protocols.md"
