"""The report on pairs: its numbers follow from the rows, by other programs' arithmetic."""

import re

import numpy as np
import pytest
import typer
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from typer.testing import CliRunner

import da2k
from da2k.cli.report import report as command
from da2k.errors import BadInput
from da2k.leaderboard.pages import page
from da2k.leaderboard.report import write_report
from tests.leaderboard.report_pages import Page, evaluated, page_of, rows_of, scored_benchmark


def percent(share):
    return f"{100 * share:.1f}"


def span(bounds):
    return f"{100 * bounds[0]:.1f} – {100 * bounds[1]:.1f}"


def wilson(correct, total):
    return proportion_confint(correct, total, method="wilson")


@pytest.fixture
def scored(make_benchmark, tmp_path):
    return scored_benchmark(make_benchmark, tmp_path)


def test_the_counts_and_intervals_are_those_of_the_rows(scored):
    folder, result = scored
    rows, page = rows_of(result), page_of(result, benchmark=folder)
    assert set(rows["outcome"]) == {"correct", "wrong", "tied", "invalid"}
    expected = {}
    for name, part in [*rows.groupby("scenario"), ("all pairs", rows)]:
        correct = int((part["outcome"] == "correct").sum())
        counts = [int((part["outcome"] == o).sum()) for o in ("correct", "wrong", "tied", "invalid", "missing")]
        shown = [percent(correct / len(part)), span(wilson(correct, len(part))), *map(str, [*counts, len(part)])]
        expected[name.replace("_", " ")] = shown
    assert {name: cells for name, *cells in page.table("Accuracy by scenario")[1:]} == expected
    macro = np.mean([(part["outcome"] == "correct").mean() for _, part in rows.groupby("scenario")])
    assert f"mean of scenarios {percent(macro)} %" in page.text


def test_every_baseline_is_tested_on_the_pairs_that_both_answered(scored):
    folder, result = scored
    rows = rows_of(result).set_index(["pair", "closer_row", "closer_col"])
    table = {
        cells[0].split()[0]: cells[1:] for cells in page_of(result, benchmark=folder).table("Accuracy of the base")
    }
    expected, p_values = {}, []
    for cue in ("row", "centre", "haze", "sharpness"):
        theirs = da2k.evaluate(f"baseline:{cue}", folder).rows.set_index(rows.index.names).loc[rows.index]
        if cue == "row":  # these photos are not shrunk, so its map is the row
            lower = rows.index.get_level_values("closer_row") > rows["farther_row"]
            assert ((theirs["outcome"] == "correct") == lower).all()
        both = (rows["outcome"] != "invalid") & (theirs["outcome"] != "invalid")
        ours, other = ((each["outcome"] == "correct")[both] for each in (rows, theirs))
        cells = [[(ours & other).sum(), (ours & ~other).sum()], [(~ours & other).sum(), (~ours & ~other).sum()]]
        p_values.append(mcnemar(cells, exact=True).pvalue)
        right = int((theirs["outcome"] == "correct").sum())
        expected[f"baseline:{cue}"] = [percent(right / len(rows)), span(wilson(right, len(rows)))] + [
            str(int(n)) for n in (cells[0][1], cells[1][0], both.sum())
        ]
    for (name, cells), p, holm in zip(
        expected.items(), p_values, multipletests(p_values, method="holm")[1], strict=True
    ):
        shown = ["< .001" if value < 0.0005 else f"{value:.3f}" for value in (p, holm)]
        assert table[name][:7] == cells + shown
        assert (table[name][7] == "not separable") == (holm >= 0.05)


def test_a_baseline_is_not_compared_with_itself(make_benchmark, tmp_path):
    folder = make_benchmark()
    table = page_of(evaluated(folder, tmp_path, "baseline:haze"), benchmark=folder).table("Accuracy of the base")
    assert [cells[0].split()[0] for cells in table[2:]] == ["baseline:row", "baseline:centre", "baseline:sharpness"]


def test_lower_against_higher_is_what_the_rows_say(scored):
    _, result = scored
    rows, page = rows_of(result), page_of(result)
    right, steps = rows["outcome"] == "correct", rows["closer_row"] - rows["farther_row"]
    counts = {
        "closer point lower": steps > 0,
        "same row": steps == 0,
        "closer point higher": steps < 0,
    }
    expected = {
        name: [percent(right[part].mean()), span(wilson(right[part].sum(), part.sum())), str(right[part].sum())]
        for name, part in counts.items()
        if part.any()
    }
    assert {cells[0]: cells[1:4] for cells in page.table("Accuracy in per cent by which")[1:]} == expected
    lower, higher = (right[part] for part in (steps > 0, steps < 0))
    low, high = confint_proportions_2indep(lower.sum(), len(lower), higher.sum(), len(higher), method="newcomb")
    difference = 100 * (lower.mean() - higher.mean())
    assert f"{difference:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}" in page.text
    assert f"alone has {percent((steps > 0).mean())} % of these pairs right" in page.text


def test_a_page_is_one_head_with_all_style_and_one_body(scored):
    folder, result = scored
    html = page_of(result, benchmark=folder).html
    head, _, body = html.partition("</head>")
    assert head.count("<style>") == head.count("</style>") == 2
    assert ".r-pairs" in head
    assert "<style" not in body
    # A sign of per cent stays on the line of its number, or of the heading that it is the unit of.
    assert not re.findall(r"[^\d,]&nbsp;%|[\d,]%", body)
    assert re.search(r"\d&nbsp;%", body)
    assert "Accuracy,&nbsp;%" in body


def test_the_same_files_give_the_same_bytes(scored, tmp_path):
    folder, result = scored
    first = write_report(result, tmp_path / "a.html", benchmark=folder).path.read_bytes()
    assert first == write_report(result, tmp_path / "b.html", benchmark=folder).path.read_bytes()


def test_an_earlier_report_is_replaced_and_nothing_else(scored, tmp_path):
    _, result = scored
    out = tmp_path / "report.html"
    write_report(result, out, photos=0)
    first = out.read_bytes()
    out.write_bytes(first + b"<!-- of last week -->")
    write_report(result, out, photos=0)
    assert out.read_bytes() == first
    mark = '<meta name="generator" content="da2k report">'
    for other in (
        "<!doctype html>\n<html><head><title>my thesis</title></head></html>",
        f"<!doctype html>\n<html><head><title>my thesis</title></head><body>{mark}</body></html>",
        f"<!doctype html>\n<html><head>{' ' * 100_000}{mark}</head></html>",
        page("published.html.j2", version="1", tables=[]),
        "notes",
        "",
    ):
        out.write_text(other)
        with pytest.raises(BadInput, match="is no report of da2k; choose another --out"):
            write_report(result, out, photos=0)
        assert out.read_text() == other


def test_the_command_writes_the_page_and_says_what_is_not_on_it(scored, tmp_path):
    _, result = scored
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "by-command.html"
    done = CliRunner().invoke(app, [str(result), "--out", str(out), "--photos", "3"])
    assert done.exit_code == 0, done.output
    assert f"report: {out} (" in done.output
    assert "warning: no --benchmark was given" in done.output
    assert Page(out.read_text()).table("Accuracy by scenario")
    assert CliRunner().invoke(app, [str(result), "--out", str(out), "--photos", "-1"]).exit_code == 2
