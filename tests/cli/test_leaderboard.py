"""`da2k leaderboard`, `report` and `demo`, as a user runs them: output, errors on one line, exit codes."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from da2k.cli import main
from da2k.evaluation.dense import evaluate_dense
from tests.evaluation.dense_sets import make_frames, maps_of
from tests.evaluation.dense_sets import write_maps as write_depth_maps
from tests.leaderboard.conftest import MODELS, add_models, write_benchmark
from tests.leaderboard.reading import pages_of, parse
from tests.leaderboard.submissions import declare, labels, pack, rewritten, true_outcomes, write_maps, write_result

PAIRS = 9 * 7


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `da2k …` in an empty folder."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["da2k", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        # How far the run is, which slow machines are told, says nothing of it.
        return Done(left.value.code or 0, out, re.sub(r"^\S+: \d+/\d+, .*\n", "", err, flags=re.MULTILINE))

    return call


@pytest.fixture
def root(make_benchmark):
    return make_benchmark(images=9, pairs=7)


@pytest.fixture
def maps(root, tmp_path):
    return write_maps(tmp_path / "maps", root, licence="MIT")


@pytest.fixture
def dense(tmp_path):
    """A result against measured depth."""
    frames = make_frames(tmp_path / "frames", count=3, size=(30, 50))
    spec = write_depth_maps(tmp_path / "depth", frames, maps_of(frames))
    evaluate_dense(spec, frames.open(), str(frames.protocol), out=tmp_path / "dense.json")
    return frames, tmp_path / "dense.json"


@pytest.fixture
def board(tmp_path):
    """A model that was scored, one that was handed in as a result, and a baseline."""
    folder = tmp_path / "boards"
    benchmark = write_benchmark(folder / "bench", images=4, scenarios=("indoor", "outdoor"))
    return add_models(folder / "board", benchmark, folder / "scratch", (MODELS[0], MODELS[2]), ("baseline:row",))


def one_line_error(done, *needles):
    assert (done.returncode, done.stdout) == (1, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for needle in needles:
        assert str(needle) in line


def score_line(root, how):
    counts = true_outcomes(root)
    correct, others = counts["correct"], f"{counts['wrong']} wrong, {counts['tied']} tied"
    share = f"{100 * correct / PAIRS:.2f} %"
    return f"Mine [affine_disparity] on bench: {correct} of {PAIRS} correct, {others}; {share}, {how}"


def doubts(root):
    """What a good submission is warned of."""
    return [f"{true_outcomes(root)['tied']} pairs are tied"]


def stem(image):
    """What the names of an image and of its map begin with."""
    return image.removesuffix(".png")


def require_usage(done, command):
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(rf"Usage: \S.*\b{command} ", done.stderr)


def require_warned(done, *needles):
    """It went well, and what else is said are these warnings."""
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(needles), lines
    for line, needle in zip(lines, needles, strict=True):
        assert line.startswith("warning: ")
        assert needle in line


class TestCheck:
    def test_a_folder_and_a_zip_are_scored_here(self, run, root, maps, tmp_path):
        for submission in ("maps", "maps/", pack(maps, tmp_path / "maps.zip"), pack(maps, tmp_path / "a.zip", "top/")):
            done = run("leaderboard", "check", submission, "--benchmark", root)
            require_warned(done, *doubts(root))
            assert done.stdout == score_line(root, "scored here") + "\n"

    def test_a_result_is_recomputed_and_the_line_says_so(self, run, root, tmp_path):
        done = run("leaderboard", "check", write_result(tmp_path, root), "--benchmark", root)
        require_warned(done, *doubts(root))
        assert done.stdout == score_line(root, "recomputed from its rows, not scored here") + "\n"

    def test_all_problems_are_told_at_once_on_stderr(self, run, root, maps):
        declare(maps, kind="nearness", url="javascript:alert(1)")
        (maps / "run.sh").write_text("")
        first, second, *_ = labels(root)
        (maps / first).with_suffix(".npy").unlink()
        (maps / second).with_suffix(".npy").write_bytes(b"no array")
        done = run("leaderboard", "check", maps, "--benchmark", root, "--note", "a\nb")
        assert (done.returncode, done.stdout) == (1, "")
        lines = done.stderr.splitlines()
        assert all(line.startswith("problem: ") for line in lines)
        wanted = (
            "options: note: ",
            "predictions.yaml: kind: ",
            "predictions.yaml: url: ",
            "run.sh: ",
            stem(first),
            stem(second),
        )
        assert [sum(f"problem: {place}" in line for line in lines) for place in wanted] == [1] * 6
        assert len(lines) == 6

    def test_json(self, run, root, maps):
        done = run("leaderboard", "check", maps, "--benchmark", root, "--json", "--note", "hello")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert (told["submission"], told["problems"]) == ("maps", [])
        assert told["row"]["result"]["counts"]["correct"] == true_outcomes(root)["correct"]
        assert (told["row"]["licence"], told["row"]["note"], told["row"]["rescored"]) == ("MIT", "hello", True)

        declare(maps, kind=None, model=None)
        done = run("leaderboard", "check", maps, "--benchmark", root, "--json")
        assert (done.returncode, done.stderr) == (1, "")
        told = json.loads(done.stdout)
        assert told["row"] is None
        assert [(each["file"], each["field"], each["what"]) for each in told["problems"]] == [
            ("predictions.yaml", "model", "is missing"),
            ("predictions.yaml", "kind", "is missing"),
        ]

    def test_failures_are_taken_only_if_they_are_allowed(self, run, root, maps):
        first = next(iter(labels(root)))
        (maps / first).with_suffix(".npy").unlink()
        done = run("leaderboard", "check", maps, "--benchmark", root)
        assert done.returncode == 1
        assert done.stderr.startswith(f"problem: {stem(first)}")
        assert len(done.stderr.splitlines()) == 1
        done = run("leaderboard", "check", maps, "--benchmark", root, "--allow-failures")
        assert done.returncode == 0
        assert f"of {PAIRS} correct" in done.stdout
        assert f", {len(labels(root)[first])} missing; " in done.stdout

    def test_a_result_against_measured_depth_has_no_place_here_which_is_one_problem(self, run, root, dense):
        for command in ("check", "add"):
            done = run("leaderboard", command, dense[1], "--benchmark", root)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == (
                "problem: dense.json: is a result against measured depth, and the leaderboard is of pairs of points; "
                "hand in a result of da2k evaluate on the benchmark\n"
            )
        assert not (dense[1].parent / "leaderboard").exists()

    def test_what_is_not_there_is_one_error(self, run, root, maps, tmp_path):
        one_line_error(run("leaderboard", "check", "nowhere", "--benchmark", root), "nowhere: No such file")
        one_line_error(run("leaderboard", "check", maps, "--benchmark", "nowhere"), '"nowhere"')
        one_line_error(run("leaderboard", "check", maps), 'benchmark "da2k" is not at', "da2k data fetch da2k")
        one_line_error(run("leaderboard", "check", maps, "--benchmark", root, "--root", tmp_path), "leave it out")

    def test_wrong_usage(self, run):
        for words in ((), ("check",), ("check", "maps", "--format", "x"), ("add",), ("build",), ("delete", "x")):
            require_usage(run("leaderboard", *words), "leaderboard")


class TestAdd:
    def test_the_row_is_written_once_and_never_again(self, run, root, maps, tmp_path):
        done = run("leaderboard", "add", maps, "--benchmark", root)
        require_warned(done, "leaderboard was not there; a new board begins", *doubts(root))
        first, second = done.stdout.splitlines()
        assert first == score_line(root, "scored here")
        path = tmp_path / second.removeprefix("row: ")
        assert path.relative_to(tmp_path).parts[:4] == ("leaderboard", "results", "mine", "unversioned")
        assert json.loads(path.read_text())["licence"] == "MIT"
        before = path.read_bytes()

        one_line_error(
            run("leaderboard", "add", maps, "--benchmark", root),
            path.name,
            "on the board already; nothing is to be done",
        )
        one_line_error(
            run("leaderboard", "add", maps, "--benchmark", root, "--licence", "GPL-3.0"), "a row is never overwritten"
        )
        assert path.read_bytes() == before

    def test_another_board(self, run, root, maps, tmp_path):
        done = run("leaderboard", "add", maps, "--benchmark", root, "--board", "mine/board")
        assert done.returncode == 0
        assert len([*tmp_path.glob("mine/board/results/*/*/*.json")]) == 1
        assert not (tmp_path / "leaderboard").exists()

    def test_a_submission_with_problems_is_told_and_writes_nothing(self, run, root, tmp_path):
        result = rewritten(write_result(tmp_path, root), counts__correct=0, model__name="")
        done = run("leaderboard", "add", result, "--benchmark", root)
        assert (done.returncode, done.stdout) == (1, "")
        assert "problem: result.json: counts: the outcomes add up to " in done.stderr
        assert "problem: result.json: model.name: " in done.stderr
        assert not (tmp_path / "leaderboard").exists()


class TestBuild:
    def test_the_site_is_built_counted_and_opens(self, run, board, tmp_path):
        done = run("leaderboard", "build", "--board", board, "--out", "site")
        assert done.returncode == 0
        assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
        assert "were handed in as results" in done.stderr
        pages = pages_of(tmp_path / "site")
        rows = len([*board.glob("results/*/*/*.json")])
        assert done.stdout == f"{len(pages)} pages of {rows} rows\nopen: site/index.html\n"
        assert "Deep Fjord L" in pages["index.html"].text
        assert "baseline:row" in pages["index.html"].text

    def test_an_earlier_site_is_replaced_and_anything_else_is_not(self, run, board, tmp_path):
        assert run("leaderboard", "build", "--board", board, "--out", "site").returncode == 0
        (tmp_path / "site/old.html").write_text("")
        assert run("leaderboard", "build", "--board", board, "--out", "site").returncode == 0
        assert not (tmp_path / "site/old.html").exists()

        (tmp_path / "home.html").write_text("")
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/letter.txt").write_text("dear")
        one_line_error(run("leaderboard", "build", "--board", board, "--out", "mine"), "is not from da2k leaderboard")
        one_line_error(run("leaderboard", "build", "--board", board, "--out", "home.html"), "is no folder")
        one_line_error(run("leaderboard", "build", "--board", board, "--out", tmp_path), "holds the board")
        assert (tmp_path / "mine/letter.txt").read_text() == "dear"

    def test_a_damaged_row_is_one_error_that_names_file_and_field(self, run, board):
        path = next(board.glob("results/*/*/*.json"))
        content = json.loads(path.read_text())
        content["result"]["run"]["started"] = "yesterday\x1b[2J"
        path.write_text(json.dumps(content))
        done = run("leaderboard", "build", "--board", board, "--out", "site")
        one_line_error(done, path.name, "result.run.started: ")
        assert "\x1b" not in done.stderr

    def test_a_board_without_rows_is_a_page_too(self, run, tmp_path):
        one_line_error(run("leaderboard", "build", "--board", "nothing", "--out", "site"), "nothing: no such folder")
        (tmp_path / "empty").mkdir()
        done = run("leaderboard", "build", "--board", "empty", "--out", "site")
        require_warned(done, "the board has no rows; add one with da2k leaderboard add", "no published numbers")
        assert done.stdout == "1 page of 0 rows\nopen: site/index.html\n"
        assert parse(tmp_path / "site/index.html").text


class TestReport:
    def test_on_pairs(self, run, root, tmp_path):
        result = write_result(tmp_path, root)
        done = run("report", result, "--benchmark", root, "--out", "report.html", "--photos", "2")
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"report: report\.html \(\d\.\d MB\)\n", done.stdout)
        assert "baseline:row" in (tmp_path / "report.html").read_text()
        done = run("report", result, "--out", "report.html")
        assert done.returncode == 0
        assert done.stderr.startswith("warning: no --benchmark was given")

    def test_on_measured_depth(self, run, dense, tmp_path):
        frames, result = dense
        where = ("--root", frames.root, "--list", frames.list, "--protocol", frames.protocol)
        done = run("report", result, *where, "--out", "report.html")
        assert (done.returncode, done.stderr) == (0, "")
        html = (tmp_path / "report.html").read_text()
        assert "absrel@depth" in html
        assert "data:image/jpeg" in html
        done = run("report", result, "--out", "report.html")
        assert done.returncode == 0
        assert done.stderr.startswith("warning: no --root was given")

    def test_what_does_not_go_with_the_result_is_one_error(self, run, root, dense, make_benchmark, tmp_path):
        frames, depth = dense
        result = write_result(tmp_path, root)
        out = ("--out", "report.html")
        one_line_error(run("report", depth, "--benchmark", root, *out), "on measured depth; leave --benchmark out")
        one_line_error(run("report", result, "--list", frames.list, *out), "on pairs; leave --list out")
        one_line_error(run("report", result, "--protocol", "x", *out), "on pairs; leave --protocol out")
        one_line_error(run("report", result, "--root", root, *out), "or give --benchmark too")
        other = make_benchmark(images=9, pairs=7, seed=1, name="other")
        one_line_error(run("report", result, "--benchmark", other, *out), "digest")
        one_line_error(run("report", "nowhere.json", *out), "nowhere.json: No such file")
        (tmp_path / "letter.txt").write_text("dear")
        one_line_error(run("report", result, "--out", "letter.txt"), "letter.txt: is there already and is no report")
        assert (tmp_path / "letter.txt").read_text() == "dear"
        assert not (tmp_path / "report.html").exists()

    def test_wrong_usage(self, run, root, tmp_path):
        result = write_result(tmp_path, root)
        for words in ((result,), (result, "--out", "r.html", "--photos", "-1"), ("--out", "r.html"), (result, "--x")):
            require_usage(run("report", *words), "report")


def test_a_process_of_its_own_says_the_same(root, maps, tmp_path):
    """The exit code and the two streams, as a shell sees them."""
    command = [sys.executable, "-m", "da2k", "leaderboard", "add", "maps", "--benchmark", str(root)]
    first, second = (subprocess.run(command, capture_output=True, text=True, cwd=tmp_path) for _ in range(2))
    assert (first.returncode, first.stdout.splitlines()[0]) == (0, score_line(root, "scored here"))
    assert (second.returncode, second.stdout) == (1, "")
    assert [line.partition(" ")[0] for line in second.stderr.splitlines()] == ["error:"]


@pytest.mark.slow
def test_the_demo_ends_with_pages_to_open_and_another_makes_the_same(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "da2k", "demo", "--out", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    for folder, process in zip(folders, started, strict=True):
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert f"open the leaderboard: {folder / 'site/index.html'}\n" in out
        assert f"open a report, of baseline:row: {folder / 'report.html'}\n" in out
    site, report = parse(folders[0] / "site/index.html"), (folders[0] / "report.html").read_text()
    for name in ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness"):
        assert name in site.text
        assert name in report
    assert "exact depth" in site.text
    first, second = (
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder)} for folder in folders
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def files(folder):
    """The pages of a demo, and all that lies beside them."""
    return [folder / "report.html", *(path for path in (folder / "site").rglob("*") if path.is_file())]
