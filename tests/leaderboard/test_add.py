"""A row on the board: written once, whole, and never over another."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from da2k.errors import BadInput
from da2k.leaderboard.board import read_board
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import Checked
from tests.leaderboard.submissions import check, labels, write_maps, write_result


@pytest.fixture
def root(make_benchmark):
    return make_benchmark(images=8, pairs=5)


@pytest.fixture
def board(tmp_path):
    return tmp_path / "board"


def files(board):
    return {p.relative_to(board).as_posix(): p.read_bytes() for p in board.rglob("*") if p.is_file()}


def test_a_row_can_be_read_from_the_board_again(root, board, tmp_path):
    checked = check(write_maps(tmp_path / "maps", root, revision="v1.0", note=None, licence="MIT"), root)
    path = add_submission(checked, board)
    digest, rules = checked.row.result.benchmark.digest[:12], checked.row.result.protocol.digest[:8]
    assert path == board / "results" / "mine" / "v1.0" / f"bench@{digest}+{rules}.json"
    (release,) = read_board(board)
    (placed,) = release.rows
    assert placed.row == checked.row
    assert len(placed.outcomes) == 8 * 5
    assert len(files(board)) == 2


def test_a_row_from_a_result_too(root, board, tmp_path):
    add_submission(check(write_result(tmp_path, root), root), board)
    (release,) = read_board(board)
    assert not release.rows[0].row.rescored


def test_twice_the_same_is_told_and_changes_nothing(root, board, tmp_path):
    checked = check(write_maps(tmp_path / "maps", root), root)
    path = add_submission(checked, board)
    before = files(board), path.stat().st_mtime_ns
    with pytest.raises(BadInput, match="this very submission is on the board already"):
        add_submission(check(tmp_path / "maps", root), board)
    assert (files(board), path.stat().st_mtime_ns) == before


def test_another_result_of_the_same_revision_never_overwrites(root, board, tmp_path):
    add_submission(check(write_maps(tmp_path / "maps", root), root), board)
    before = files(board)
    other = write_maps(tmp_path / "other", root)
    first = next(iter(labels(root)))
    (other / first).with_suffix(".npy").unlink()
    with pytest.raises(BadInput, match=r'another row of "Mine", no revision, \d+ of 40 correct .this one: \d+.*remove'):
        add_submission(check(other, root, allow_failures=True), board)
    assert files(board) == before


def test_rows_are_kept_apart_by_model_revision_and_release(root, board, make_benchmark, tmp_path):
    other = make_benchmark(images=8, pairs=5, seed=1, name="elsewhere/bench")
    places = [
        add_submission(check(write_maps(tmp_path / "a", root), root), board),
        add_submission(check(write_maps(tmp_path / "b", root, revision="2"), root), board),
        add_submission(check(write_maps(tmp_path / "c", root, model="Other"), root), board),
        add_submission(check(write_maps(tmp_path / "d", other), other), board),
    ]
    assert len(set(places)) == 4
    assert sorted(len(release.rows) for release in read_board(board)) == [1, 3]


@pytest.mark.parametrize("name", ["mine!", "MINE", "m\u00efne"])
def test_names_that_fall_together_are_told(root, board, tmp_path, name):
    add_submission(check(write_maps(tmp_path / "a", root), root), board)
    with pytest.raises(BadInput, match='is the place of "Mine" too; choose a name'):
        add_submission(check(write_maps(tmp_path / "b", root, model=name), root), board)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", "con/../..", "a\\b", "模型"])
def test_no_name_leaves_the_board(root, board, tmp_path, name):
    path = add_submission(check(write_maps(tmp_path / "a", root, model=name, revision=name), root), board)
    assert path.resolve().parents[2] == (board / "results").resolve()
    assert len(read_board(board)) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"a", "bench", "board"}


def test_a_submission_with_problems_is_not_added(root, board, tmp_path):
    checked = check(write_maps(tmp_path / "maps", root, kind="x", url="y"), root)
    with pytest.raises(BadInput, match=r"maps: not added: predictions.yaml: kind: .*\(and 1 more\)"):
        add_submission(checked, board)
    with pytest.raises(BadInput, match="not added"):
        add_submission(Checked("x", ()), board)
    assert not board.exists()


def test_something_else_in_the_place_of_a_row(root, board, tmp_path):
    checked = check(write_maps(tmp_path / "maps", root), root)
    path = add_submission(checked, board)
    path.write_text("not a row")
    with pytest.raises(BadInput, match="is there already and is no row"):
        add_submission(checked, board)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="is there already and is no row"):
        add_submission(checked, board)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("link", ["results", "results/mine", "results/mine/unversioned"])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link_on_the_board(root, board, tmp_path, link, there):
    checked = check(write_maps(tmp_path / "maps", root), root)
    elsewhere = tmp_path / "elsewhere"
    if there:
        elsewhere.mkdir()
    (board / link).parent.mkdir(parents=True)
    (board / link).symlink_to(elsewhere)
    with pytest.raises(BadInput, match="is a link, or lies behind one"):
        add_submission(checked, board)
    assert elsewhere.exists() is there
    assert not there or not list(elsewhere.iterdir())


def test_the_board_itself_may_be_reached_by_a_link(root, board, tmp_path):
    board.mkdir()
    (tmp_path / "link").symlink_to(board)
    add_submission(check(write_maps(tmp_path / "maps", root), root), tmp_path / "link")
    assert len(read_board(board)) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"licence": "GPL-3.0"}, r'but for licence \("MIT" there, "GPL-3.0" here\); '),
        ({"url": "https://example.org/a"}, r'but for url \(none there, "https://example.org/a" here\); '),
        ({"note": "new", "licence": "x"}, r'but for licence .*, note \(none there, "new" here\); '),
    ],
)
def test_a_row_with_the_same_answers_is_told_where_it_differs(root, board, tmp_path, options, what):
    maps = write_maps(tmp_path / "maps", root, licence="MIT")
    add_submission(check(maps, root), board)
    before = files(board)
    with pytest.raises(BadInput, match="holds this row with the same answers, " + what):
        add_submission(check(maps, root, **options), board)
    assert files(board) == before


@pytest.mark.parametrize("digest", ["ab" * 32, None])
def test_other_answers_of_the_same_weights_are_told(root, board, tmp_path, digest):
    first, *_ = labels(root)
    maps = write_maps(tmp_path / "maps", root, weights_digest=digest)
    add_submission(check(maps, root), board)
    (maps / first).with_suffix(".npy").unlink()
    with pytest.raises(BadInput, match="holds another row of") as told:
        add_submission(check(maps, root, allow_failures=True), board)
    same = "the weights are the same (abababababab…), and the answers to 5 pairs differ" in str(told.value)
    assert same is (digest is not None)


def test_a_row_by_other_rules_has_a_place_of_its_own(root, board, tmp_path):
    """As it was added by an earlier version of the protocol; were it in the place of ours, that would be told."""
    checked = check(write_maps(tmp_path / "maps", root), root)
    older = checked.row.result.protocol.model_copy(update={"digest": "0" * 64})
    row = checked.row.model_copy(update={"result": checked.row.result.model_copy(update={"protocol": older})})
    before, now = add_submission(replace(checked, row=row), board), add_submission(checked, board)
    assert before.parent == now.parent
    assert before != now
    assert len(files(board)) == 3  # the same answers, in one file
    assert [len(release.rows) for release in read_board(board)] == [1, 1]
    now.write_bytes(before.read_bytes())
    with pytest.raises(BadInput, match=f"belongs to mine/unversioned/{re.escape(before.name)}; move it there"):
        add_submission(checked, board)
    same_start = checked.row.result.protocol.digest[:8] + "0" * 56
    now.write_text(before.read_text().replace("0" * 64, same_start))
    with pytest.raises(BadInput, match="holds a row by other rules"):
        add_submission(checked, board)


def test_a_board_that_cannot_be_written_to(root, board, tmp_path):
    board.write_text("a file")
    checked = check(write_maps(tmp_path / "maps", root), root)
    with pytest.raises(BadInput, match="board"):
        add_submission(checked, board)
    assert board.read_text() == "a file"


def test_killed_between_its_two_files_a_row_is_not_there_and_the_next_try_makes_it(root, board, tmp_path, monkeypatch):
    checked = check(write_maps(tmp_path / "maps", root), root)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("da2k.leaderboard.submissions.add.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            add_submission(checked, board)
    assert read_board(board) == []
    add_submission(checked, board)
    assert len(files(board)) == 2
    assert len(read_board(board)) == 1


CODE = """
import sys
from pathlib import Path
from da2k.datasets.benchmarks import open_benchmark
from da2k.errors import BadInput
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import check_submission
submission, root, board = map(Path, sys.argv[1:])
checked = check_submission(submission, open_benchmark(root), allow_failures=True)
print("ready", flush=True)
sys.stdin.readline()
try:
    add_submission(checked, board)
    print("added")
except BadInput as e:
    print(e)
"""


def test_of_processes_at_once_one_adds_its_row_and_the_others_are_told(root, board, tmp_path):
    """All hand in the same model and revision, with different maps; they are let go at the same moment."""
    maps = [write_maps(tmp_path / str(number), root) for number in range(4)]
    for folder, image in zip(maps[1:], labels(root), strict=False):
        (folder / image).with_suffix(".npy").unlink()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, folder, root, board],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        for folder in maps
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].strip() for process in processes]
    assert [p.returncode for p in processes] == [0] * 4
    assert said.count("added") == 1
    assert sum('holds another row of "Mine"' in each for each in said) == 3
    assert len(files(board)) == 2
    winner = check(maps[said.index("added")], root, allow_failures=True)
    assert read_board(board)[0].rows[0].row == winner.row


def test_the_same_row_on_two_boards_has_the_same_bytes(root, tmp_path):
    maps = write_maps(tmp_path / "maps", root)
    shutil.copytree(maps, tmp_path / "copy")
    boards = []
    for number, folder in enumerate((maps, tmp_path / "copy")):
        add_submission(check(folder, root), tmp_path / str(number))
        boards.append(files(Path(tmp_path, str(number))))
    assert boards[0] == boards[1]
