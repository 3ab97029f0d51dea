"""Reading a board: each file once, pairs in one order, little memory."""

import hashlib
import json
import re
import tracemalloc
from collections import Counter

import pandas as pd
import pytest

from da2k.errors import BadInput
from da2k.leaderboard.board import OUTCOMES, RESULTS, read_board, read_placed
from da2k.leaderboard.site import build_site
from tests.leaderboard.boards import SHORT, write_row

LETTERS = "cwtimcwtimccww"


def rewrite_rows(placed, change):
    """Write the per-pair rows of a row anew, and their digest into the row."""
    content = json.loads(placed.path.read_text())
    file = placed.path.with_name(content["result"]["rows"]["file"])
    change(pd.read_parquet(file)).to_parquet(file)
    content["result"]["rows"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    placed.path.write_text(json.dumps(content))
    return placed.path


def test_a_build_reads_each_file_once(board, tmp_path, monkeypatch):
    parsed, texts = Counter(), Counter()
    read_parquet, validate = pd.read_parquet, type(read_board(board)[0].rows[0].row).model_validate_json

    def counted(file, *args, **options):
        parsed[file] += 1
        return read_parquet(file, *args, **options)

    def counted_text(text, *args, **options):
        texts[text] += 1
        return validate(text, *args, **options)

    monkeypatch.setattr(pd, "read_parquet", counted)
    monkeypatch.setattr("da2k.leaderboard.board.Row.model_validate_json", counted_text)
    build_site(board, tmp_path / "site")
    assert parsed == Counter((board / RESULTS).glob("*/*/*.parquet"))
    assert texts == Counter(path.read_bytes() for path in (board / RESULTS).glob("*/*/*.json"))


def test_outcomes_are_in_the_order_of_the_pairs_whatever_that_of_the_file(tmp_path):
    order = [*range(1, len(LETTERS), 2), *range(0, len(LETTERS), 2)]
    plain, mixed = write_row(tmp_path, "plain", LETTERS), write_row(tmp_path, "mixed", LETTERS, order=order)
    for placed in (plain, mixed):
        rows = pd.read_parquet(placed.path.with_name(placed.row.result.rows.file))
        by_pair = dict(zip(rows["pair"], rows["outcome"], strict=True))
        assert [OUTCOMES[code] for code in placed.outcomes] == [by_pair[pair] for pair in sorted(by_pair)]
    assert Counter(OUTCOMES[code] for code in plain.outcomes) == Counter(SHORT[letter] for letter in LETTERS)
    assert plain.pairs_digest == mixed.pairs_digest


def test_a_pair_that_is_labelled_twice_is_told_by_its_points(tmp_path):
    """Rows of equal names stand in another order, and mean the same."""

    def one_name(rows):
        return rows.assign(pair="a")

    plain = read_placed(rewrite_rows(write_row(tmp_path, "plain", "cwcw"), one_name))
    turned = write_row(tmp_path, "turned", "cwcw", order=[3, 2, 1, 0])
    turned = read_placed(rewrite_rows(turned, one_name))
    assert plain.outcomes.tolist() == turned.outcomes.tolist() == [0, 1, 0, 1]
    assert plain.pairs_digest == turned.pairs_digest


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(pair=[*rows["pair"][:-1], "z"]),
        lambda rows: rows.assign(farther_col=rows["farther_col"] + 1),
        lambda rows: rows.assign(closer_row=rows["closer_row"] + 1),
    ],
)
def test_other_names_or_points_are_other_pairs(tmp_path, change):
    placed = write_row(tmp_path, "net", LETTERS)
    assert read_placed(rewrite_rows(placed, change)).pairs_digest != placed.pairs_digest


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(closer_row="here"),
        lambda rows: rows.assign(pair=[b"bytes"] * len(rows)),
        lambda rows: rows.assign(pair=[[1]] * len(rows)),
    ],
)
def test_pairs_of_another_sort_are_told(tmp_path, change):
    path = rewrite_rows(write_row(tmp_path, "net", LETTERS), change)
    with pytest.raises(BadInput, match="name pairs or points otherwise"):
        read_board(tmp_path)
    with pytest.raises(BadInput, match=re.escape(path.name)):
        read_placed(path)


def test_a_board_of_200_rows_of_da2k_takes_less_than_20_megabytes(tmp_path):
    rows, pairs = 8, 2068
    for index in range(rows):
        write_row(tmp_path, f"net{index}", ("cwcc" * pairs)[:pairs])
    read_board(tmp_path)  # what is imported, and kept for the next time, is no part of it
    tracemalloc.start()
    try:
        [release] = read_board(tmp_path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(placed.outcomes.nbytes for placed in release.rows) == rows * pairs
    assert held / rows * 200 < 20_000_000
