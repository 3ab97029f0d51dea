"""The tables, read back by parsers of their formats; and what other people wrote, which must stay text."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from da2k.leaderboard.board import read_placed
from da2k.leaderboard.published import Published, PublishedRow, load_published
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.tables import (
    as_csv,
    as_eval_results,
    as_json,
    as_latex,
    as_markdown,
    dense_markdown,
    hub_dataset,
    write_tables,
)
from da2k.leaderboard.tables.formats import csv_text, latex, latex_text, markdown, markdown_link, markdown_text
from da2k.leaderboard.tables.lines import lines
from tests.leaderboard.boards import read_board, release_of, write_row
from tests.leaderboard.submissions import check, write_maps, write_result

BOARD = Path(__file__).resolve().parents[2] / "leaderboard"

HOSTILE = [
    '=HYPERLINK("http://x.org","a")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "＝1+1",
    "  =1",
    "<script>alert(1)</script>",
    '"onerror="alert(1)',
    "](javascript:alert(1))",
    "[a](http://x.org)",
    "![a](http://x.org/a.png)",
    "<http://x.org>",
    "http://x.org and www.x.org and a@x.org",
    "a|b|c",
    "a\\|b",
    "back\\",
    "`code` *b* __b__ ~~s~~ $x$ # h",
    "&lt;b&gt; &amp;",
    r"\input{/etc/passwd} 50% of $5 & #1 ~^{}",
    "[1em] * --",
    "模型 ünïcode",
    "tail `",
    "1. a",
]


@pytest.fixture
def release(tmp_path):
    write_row(tmp_path, "baseline:row", "c" * 20 + "w" * 20, model={"spec": "baseline:row", "preprocessing": "lower"})
    write_row(tmp_path, "mid", "c" * 25 + "wtim" + "w" * 11)
    return release_of(
        tmp_path, {"best": "c" * 39 + "w"}, model={"parameters": 1234}, row={"url": "https://x.org/a?b&c"}
    )


@pytest.fixture
def others():
    common = {"benchmark": "bench", "total": 40, "tier": "paper", "source": "a paper", "note": "a remark"}
    rows = (
        PublishedRow(model="said", accuracy=0.725, scenarios={"indoor": 0.9}, **common),
        PublishedRow(model="counted", accuracy=0.5, correct=20, **common),
        PublishedRow(model="elsewhere", accuracy=1.0, **(common | {"benchmark": "other"})),
    )
    return Published(rows=rows)


def hostile_release(tmp_path):
    for i, name in enumerate(HOSTILE):
        write_row(tmp_path, name, "c" * 8 + "wwtm", model={"revision": f"r{i}"}, row={"note": name, "licence": name})
    [release] = read_board(tmp_path)
    return release


def parse_markdown(text):
    """Every table as a list of rows of cell texts, all tokens' types, and all addresses of links."""
    from markdown_it import MarkdownIt

    tables, kinds, links = [], set(), []
    inside = False
    # Everything that could make more of a text than text is on, GitHub's bare addresses included.
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for token in parser.parse(text):
        kinds.add(token.type)
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("td_open", "th_open"):
            inside = True
        elif token.type == "inline":
            kinds |= {child.type for child in token.children}
            links += [child.attrs["href"] for child in token.children if child.type == "link_open"]
            if inside:
                tables[-1][-1].append("".join(child.content for child in token.children))
            inside = False
    return tables, kinds, links


class TestLines:
    def test_measured_by_rank_then_floors_then_published(self, release, others):
        found = [(line.section, line.model, line.rank) for line in lines(release, others)]
        assert found == [
            ("measured", "best", 1),
            ("measured", "mid", 2),
            ("floor", "baseline:row", None),
            ("floor", "constant answer", None),
            ("paper", "said", 1),
            ("paper", "counted", 1),
        ]
        assert [line.by_interval for line in lines(release, others)] == [False] * 4 + [True] * 2

    def test_published_numbers_do_not_move_a_measured_rank(self, release, others):
        alone, beside = lines(release, Published()), lines(release, others)
        assert alone == beside[: len(alone)]

    def test_the_constant_answer_has_nothing_right(self, release):
        constant = lines(release, Published())[-1]
        assert (constant.accuracy, constant.counts["correct"], constant.counts["tied"]) == (0.0, 0, 40)
        assert constant.scenarios == {"indoor": 0.0, "outdoor": 0.0}


class TestCsv:
    def test_read_back(self, release, others):
        table = lines(release, others)
        read = list(csv.DictReader(io.StringIO(as_csv(release, table))))
        assert [row["model"] for row in read] == [line.model for line in table]
        mid = read[1]
        assert (mid["section"], mid["rank"], mid["tier"], mid["key"]) == ("measured", "2", "2", "mid")
        outcomes = ("total", "correct", "wrong", "tied", "invalid", "missing")
        assert [int(mid[name]) for name in outcomes] == [40, 25, 12, 1, 1, 1]
        assert float(mid["accuracy"]) == 0.625
        # Of the 25 that are right, 13 stand at even places, which are indoor.
        assert (float(mid["accuracy_indoor"]), float(mid["accuracy_outdoor"])) == (13 / 20, 12 / 20)
        assert (read[0]["parameters"], read[0]["url"], read[0]["rescored"]) == ("1234", "https://x.org/a?b&c", "true")
        assert (read[4]["by_interval"], read[4]["approximate"], read[4]["correct"]) == ("true", "true", "")
        assert (read[5]["approximate"], read[5]["correct"], read[5]["accuracy_indoor"]) == ("false", "20", "")

    @pytest.mark.parametrize("text", [*HOSTILE, "\t=1", "\r=1", "\n=1", "a\nb", 'a"b', "a,b", "'=1"])
    def test_no_cell_is_a_formula_and_none_is_lost(self, text):
        [[title], [cell]] = csv.reader(io.StringIO(csv_text([text], [[text]]), newline=""))
        assert title == cell
        assert cell.removeprefix("'") == text.removeprefix("'")
        assert cell.lstrip()[:1] not in tuple("=+-@＝＋－＠")
        assert cell[:1] not in ("\t", "\r", "\n")

    def test_plain_text_and_numbers_stay_as_they_are(self):
        assert csv_text(["model", "x"], [["Depth Anything (S)", "0.5"]]) == "model,x\r\nDepth Anything (S),0.5\r\n"

    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=1, max_size=4))
    def test_any_text_comes_back(self, cells):
        text = csv_text(cells, [cells])
        for row in csv.reader(io.StringIO(text, newline="")):
            assert [cell.removeprefix("'") for cell in row] == [cell.removeprefix("'") for cell in cells]


class TestJson:
    def test_read_back(self, release, others):
        table = lines(release, others)
        content = json.loads(as_json(release, table, load_published(BOARD)), parse_constant=pytest.fail)
        assert content["release"]["scenarios"] == {"indoor": 20, "outdoor": 20}
        assert content["release"]["digest"] == release.digest
        assert [line["model"] for line in content["lines"]] == [line.model for line in table]
        assert content["lines"][1]["scenarios"] == {"indoor": 0.65, "outdoor": 0.6}
        assert content["lines"][2]["rank"] is None
        assert len(content["measured_depth"]) == 80

    def test_hostile_names_come_back(self, tmp_path):
        release = hostile_release(tmp_path)
        content = json.loads(as_json(release, lines(release, Published()), Published()))
        assert {line["model"] for line in content["lines"]} == {*HOSTILE, "constant answer"}


class TestMarkdown:
    def test_read_back(self, release, others):
        tables, _, links = parse_markdown(as_markdown(release, lines(release, others)))
        measured, published = tables
        assert measured[0] == [
            "rank",
            "model",
            "origin",
            "accuracy",
            "95 % interval",
            "correct",
            "pairs",
            "indoor",
            "outdoor",
        ]
        assert [row[:4] for row in measured[1:]] == [
            ["1", "best", "measured", "97.5"],
            ["2", "mid", "measured", "62.5"],
            ["–", "baseline:row", "floor", "50.0"],
            ["–", "constant answer", "floor", "0.0"],
        ]
        assert measured[2][5:] == ["25", "40", "65.0", "60.0"]
        assert [(row[1], row[2], row[7]) for row in published[1:]] == [
            ("said", "paper", "90.0"),
            ("counted", "paper", "–"),
        ]
        assert published[1][4].startswith("≈ ")
        assert published[2][4][0].isdigit()
        assert links == ["https://x.org/a?b&c"]

    def test_hostile_names_stay_text(self, tmp_path):
        release = hostile_release(tmp_path)
        tables, kinds, links = parse_markdown(as_markdown(release, lines(release, Published())))
        expected = {f"{name} (r{i})" for i, name in enumerate(HOSTILE)} | {"constant answer"}
        assert {row[1] for row in tables[0][1:]} == {" ".join(name.split()) for name in expected}
        assert {len(row) for row in tables[0]} == {len(tables[0][0])}
        assert not kinds & {"html_inline", "html_block", "image", "code_inline", "em_open", "strong_open", "s_open"}
        assert links == []

    @given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1))
    def test_any_text_comes_back(self, text):
        [[_, [cell]]], kinds, _ = parse_markdown(markdown_text(["t"], [[markdown(text)]]))
        assert cell == text
        assert not kinds & {"html_inline", "link_open", "image", "code_inline", "em_open", "strong_open", "s_open"}

    @pytest.mark.parametrize("text", ["see http://x.org", "www.x.org", "a@x.org", "HTTPS://X.ORG", "ftp://x"])
    def test_no_bare_address_is_left_for_a_site_to_link(self, text):
        assert not re.search(r"(?i)://|www\.|@", markdown(text))

    @pytest.mark.parametrize(
        "address", ["https://x.org/a_(b)*c*?d&amp;e", "https://x.org/[1]~~$`"[:-1], "http://x.org/&copy;"]
    )
    def test_a_link_leads_where_it_should(self, address):
        _, kinds, links = parse_markdown(markdown_text(["t"], [[markdown_link("a](http://evil.org)", address)]]))
        assert links == [address.replace("[", "%5B").replace("]", "%5D")]
        assert not kinds & {"em_open", "s_open"}

    def test_measured_depth(self):
        published = load_published(BOARD)
        [table], _, links = parse_markdown(dense_markdown(published.dense))
        assert table[0][1:3] == ["kitti absrel@depth ↓", "kitti delta1 ↑"]
        assert [row[0] for row in table[1:]] == list(dict.fromkeys(n.model for n in published.dense))
        assert [float(cell) for row in table[1:] for cell in row[1:]] == [n.value for n in published.dense]
        assert links == ["https://arxiv.org/abs/2406.09414v2"]


def read_latex(text):
    """The cells of a tabular, row by row, and its lines that are commands of their own; unescaped as LaTeX prints."""
    body = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0]
    rows, rules = [], []
    for line in body.splitlines():
        if not line.endswith(r" \\"):
            rules.append(line)
        elif line.startswith(r"\multicolumn"):
            rules.append("wide")
        else:
            rows.append([printed(cell) for cell in re.split(r" (?<!\\)& ", line.removesuffix(r" \\"))])
    return rows, rules


NAMED = {"textbackslash": "\\", "textasciicircum": "^", "textasciitilde": "~", "textless": "<", "textgreater": ">"}
NAMED |= {"textbar": "|"}


def printed(source):
    """What LaTeX prints for text of ours; fails on any command that is not one of ours."""
    out, i = [], 0
    while i < len(source):
        rest = source[i:]
        if found := re.match(r"\\(text[a-z]+)\{\}", rest):
            out.append(NAMED[found[1]])
        elif (found := re.match(r"\\([{}$&#_%])", rest)) or (found := re.match(r"\{([-\[\]*])\}", rest)):
            out.append(found[1])
        elif found := re.match(r"\$\\approx\$|--|''", rest):
            out.append({"$\\approx$": "≈", "--": "–", "''": '"'}[found[0]])
        else:
            found = re.match(r"[^\\{}$&#_%^~]", rest)
            assert found, f"special character left in {source!r}"
            out.append(found[0])
        i += found.end()
    return "".join(out)


class TestLatex:
    def test_read_back(self, release, others):
        text = as_latex(release, lines(release, others))
        assert text.startswith("% ")
        assert text.count(r"\begin{tabular}{lllrrrrrr}") == text.count(r"\end{tabular}") == 1
        rows, rules = read_latex(text)
        assert rules == [r"\midrule", r"\midrule", "wide", r"\midrule", "wide"]
        assert {len(row) for row in rows} == {9}
        assert [row[:4] for row in rows[1:]] == [
            ["1", "best", "measured", "97.5"],
            ["2", "mid", "measured", "62.5"],
            ["–", "baseline:row", "floor", "50.0"],
            ["–", "constant answer", "floor", "0.0"],
            ["1", "said", "paper", "72.5"],
            ["1", "counted", "paper", "50.0"],
        ]

    def test_hostile_names_stay_text(self, tmp_path):
        release = hostile_release(tmp_path)
        rows, _ = read_latex(as_latex(release, lines(release, Published())))
        expected = {" ".join(f"{name} (r{i})".split()) for i, name in enumerate(HOSTILE)} | {"constant answer"}
        assert {row[1] for row in rows[1:]} == expected

    # Two apostrophes are printed as a quotation mark, which is what a quotation mark is written as.
    @given(st.text(st.characters(codec="ascii", exclude_categories=("C", "Z"), exclude_characters="'")))
    def test_any_ascii_text_comes_back(self, text):
        assert printed(latex(text)) == text

    @pytest.mark.parametrize("cell", ["[1em] x", "* x"])
    def test_a_cell_is_no_argument_of_the_line_s_end_before_it(self, cell):
        text = latex_text(["a"], {None: [["x"], [cell]]})
        assert not re.search(r"\\\\\s*[\[*]", text)
        assert read_latex(text)[0] == [["a"], ["x"], [cell]]

    def test_empty_groups_have_no_rule(self):
        assert latex_text(["a"], {None: [["1"]], "none": []}).count(r"\midrule") == 1


class TestEvalResults:
    def test_as_the_hub_s_own_reader_reads_it(self, tmp_path):
        hub = pytest.importorskip("huggingface_hub._eval_results", reason="needs huggingface_hub")
        commit = "874adc4" * 5 + "12345"
        address = {"row": {"url": "https://x.org/a"}}
        placed = write_row(tmp_path, "net", "c" * 7 + "wtm", benchmark="da2k", revision=commit, **address)
        content = yaml.safe_load(as_eval_results(placed, hub_dataset("da2k")))
        entries = hub.parse_eval_result_entries(content)
        assert hub.eval_result_entries_to_yaml(entries) == content
        assert [(entry.task_id, entry.value) for entry in entries] == [
            ("overall", 0.7),
            ("indoor", 0.8),
            ("outdoor", 0.6),
        ]
        for entry, counts in zip(entries, ("7 of 10", "4 of 5", "3 of 5"), strict=True):
            assert entry.dataset_id == "depth-anything/DA-2K"
            assert entry.dataset_revision == commit
            assert entry.date == "2026-01-02T03:04:05+00:00"
            assert entry.source_url == "https://x.org/a"
            assert entry.notes.startswith(f"{counts} pairs; ")

    def test_what_is_not_known_is_left_out(self, tmp_path):
        placed = write_row(tmp_path, "net", "cw", benchmark="da2k", revision="main")
        for entry in yaml.safe_load(as_eval_results(placed, hub_dataset("da2k"))):
            # The hub wants a commit there, and a branch is none.
            assert set(entry) == {"dataset", "value", "date", "notes"}
            assert set(entry["dataset"]) == {"id", "task_id"}

    def test_a_row_that_was_added_has_no_date(self, make_benchmark, tmp_path):
        hub = pytest.importorskip("huggingface_hub._eval_results", reason="needs huggingface_hub")
        root = make_benchmark()
        for submission in (write_maps(tmp_path / "maps", root), write_result(tmp_path / "results", root)):
            added = add_submission(check(submission, root), tmp_path / f"board of {submission.name}")
            content = yaml.safe_load(as_eval_results(read_placed(added), "someone/bench"))
            for entry in content:
                assert set(entry) == {"dataset", "value", "notes"}
            assert hub.eval_result_entries_to_yaml(hub.parse_eval_result_entries(content)) == content

    def test_a_benchmark_that_is_not_on_the_hub_says_so(self, tmp_path):
        text = as_eval_results(write_row(tmp_path, "net", "cw", benchmark="my bench: x"), hub_dataset("my bench: x"))
        assert text.startswith("# dataset.id")
        assert {entry["dataset"]["id"] for entry in yaml.safe_load(text)} == {"my bench: x"}


class TestWriteTables:
    def test_the_files(self, release, others, tmp_path):
        files = write_tables(release, others, tmp_path / "data")
        assert [file.relative_to(tmp_path / "data").as_posix() for file in files] == [
            "leaderboard.csv",
            "leaderboard.json",
            "leaderboard.md",
            "leaderboard.tex",
            "eval_results/best.yaml",
            "eval_results/mid.yaml",
            "eval_results/baseline-row.yaml",
        ]
        assert all(file.read_bytes().endswith(b"\n") for file in files)

    def test_twice_the_same_bytes_whatever_the_order_of_files(self, tmp_path):
        rows = {"a": "c" * 20, "b": "c" * 19 + "w", "c": "w" * 20}
        published = load_published(BOARD)
        found = []
        for names in (list(rows), list(reversed(rows))):
            board = tmp_path / names[0]
            release = release_of(board, {name: rows[name] for name in names}, benchmark="da2k")
            for out in ("one", "two"):
                files = write_tables(release, published, board / out)
                found.append({file.relative_to(board / out): file.read_bytes() for file in files})
        assert found[0] == found[1] == found[2] == found[3]
        assert len(found[0]) == 9

    def test_published_stand_in_tables_of_their_benchmark_only(self, release, tmp_path):
        published = load_published(BOARD)
        files = {file.name: file.read_text() for file in write_tables(release, published, tmp_path / "data")}
        assert "Depth Anything V2" not in files["leaderboard.csv"]
        assert "Depth Anything V2" in files["measured_depth.csv"]
        da2k = release_of(tmp_path / "da2k", {"net": "cw"}, benchmark="da2k")
        texts = {file.name: file.read_text() for file in write_tables(da2k, published, tmp_path / "more")}
        read = list(csv.DictReader(io.StringIO(texts["leaderboard.csv"])))
        assert [row["section"] for row in read].count("paper") == 11
        assert [row["section"] for row in read].count("third party") == 18
        assert texts["leaderboard.md"].count("## Published") == 5
