"""Protocols are frozen: their digest is part of every number."""

import pytest

from da2k.errors import BadInput
from da2k.protocols import load_protocol


def test_the_protocol_of_da2k_is_the_one_results_were_published_under():
    # A change of this digest makes old and new numbers incomparable: raise `version` and say so in the changelog.
    assert load_protocol("da2k").digest == "12fa51c424b7b4101098f0f62a062daa36628dbf546b018bb9e3fced17a0f5e4"


def test_unknown_protocols_suggest_the_nearest():
    with pytest.raises(BadInput, match='unknown protocol "da2"; did you mean "da2k"'):
        load_protocol("da2")
