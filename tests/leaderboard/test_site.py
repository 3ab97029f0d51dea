"""The site's files: what they say, where they link to, what they can do, and what may be replaced by them."""

import hashlib
import json
import re
import shutil
from base64 import b64encode
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from da2k.errors import BadInput
from da2k.evaluation.evaluate import evaluate
from da2k.leaderboard import pages
from da2k.leaderboard.pages import environment
from da2k.leaderboard.site import MARK, build_site
from tests.leaderboard.boards import write_row
from tests.leaderboard.conftest import BASELINES, MODELS, Model, add_models, place, write_benchmark, write_predictions
from tests.leaderboard.reading import ATTACKS, pages_of, parse, shape, tamed


@pytest.fixture(scope="module")
def site(board, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(board, out)
    return out


def results(board, benchmark):
    """The result part of every row of a benchmark, by the model's name, as plain JSON."""
    rows = [json.loads(path.read_text()) for path in board.glob("results/*/*/*.json")]
    return {row["result"]["model"]["name"]: row for row in rows if row["result"]["benchmark"]["name"] == benchmark}


def cells(page):
    """The text of every line of a page's tables, cell by cell."""
    found = []
    for line in re.findall(r"<tr.*?>(.*?)</tr>", page.read_text(), re.S):
        parts = re.findall(r"<t[dh].*?>(.*?)</t[dh]>", line, re.S)
        found.append(
            [re.sub(r"\s+", " ", unescape(re.sub("<.*?>", " ", part.replace("<wbr>", "")))).strip() for part in parts]
        )
    return found


def test_the_index_has_every_measured_model_with_its_numbers(board, site):
    lines = {line[1].split(" · ")[0]: line for line in cells(site / "index.html") if len(line) > 4}
    for name, row in results(board, "noise").items():
        if name.startswith("baseline"):
            continue
        kind = row["result"]["model"]["kind"].replace("_", " ")
        line = lines[f"{name} {kind}"]
        counts = row["result"]["counts"]
        assert line[2] == f"{100 * counts['correct'] / counts['total']:.1f}"
        low, high = row["result"]["accuracy"]["interval"]
        assert line[3] == f"{100 * low:.1f} – {100 * high:.1f}"
        shares = [f"{100 * s['correct'] / s['total']:.1f}" for s in row["result"]["scenarios"].values()]
        assert line[4:12] == shares
        scenarios = row["result"]["scenarios"].values()
        assert line[12] == f"{sum(100 * s['correct'] / s['total'] for s in scenarios) / len(scenarios):.1f}"
        assert ("rescored" in line[1]) is row["rescored"]
        assert (row["licence"] or "licence not stated") in line[1]
        speed = row["result"]["run"]["images_per_second"]
        assert speed is None or line[14].endswith(row["result"]["run"]["device"])


def test_ranks_never_fall_down_the_table_and_floors_stand_below_without_one(site):
    lines = [line for line in cells(site / "index.html") if len(line) == 15]
    first = next(i for i, line in enumerate(lines) if line[0] == "floor")
    ranks = [int(line[0]) for line in lines[1:first]]
    assert ranks[0] == 1
    assert ranks == sorted(ranks)
    floors = lines[first : first + 5]
    assert all(line[0] == "floor" for line in floors)
    assert floors[-1][1].startswith("constant answer")
    assert {line[1].split()[0] for line in floors[:4]} == set(BASELINES)
    assert floors[-1][2] == "0.0"


def test_pairs_without_an_answer_are_named_beside_the_model(site):
    (line,) = [line for line in cells(site / "index.html") if len(line) == 15 and line[1].startswith("Moraine")]
    assert "8 pairs unanswered" in line[1]


def test_published_numbers_stand_in_a_table_of_their_own(site):
    text = (site / "index.html").read_text()
    measured, published = text.split('<section id="published"')
    assert "ViT-L" not in measured
    assert "not measured here" in published
    assert 'href="https://arxiv.org/abs/2406.09414v2"' in published
    lines = [line for line in cells(site / "index.html") if len(line) == 13 and "ViT-L" in line[1]]
    assert any(line[2] == "97.1" and line[3].startswith("≈ ") for line in lines), "printed in per cent"
    assert any(line[2] == "97.1" and not line[3].startswith("≈ ") for line in lines), "exact counts"
    assert "Table 2" in (site / "published.html").read_text()


def test_another_release_has_pages_of_its_own(board, site):
    (other,) = (site / "releases").iterdir()
    lines = [line for line in cells(other / "index.html") if len(line) == 15]
    names = {line[1].split(" affine")[0] for line in lines[1:3]}
    assert names == {"Deep Fjord L", "Deep Fjord S"}
    page = (site / "models/deep-fjord-l.html").read_text()
    assert "noise, revision" in page
    assert "noise2, revision" in page
    (accuracy,) = {
        row["result"]["accuracy"]["micro"] for n, row in results(board, "noise2").items() if n == "Deep Fjord L"
    }
    assert f"{100 * accuracy:.1f}" in page


def test_a_scenario_page_is_in_the_order_of_that_scenario(board, site):
    lines = [line for line in cells(site / "scenarios/aerial.html") if len(line) == 8][1:]
    shares = [float(line[1]) for line in lines[:6]]
    assert shares == sorted(shares, reverse=True)
    counted = {line[0]: (int(line[3]), int(line[4]), int(line[5]), int(line[6])) for line in lines}
    for name, row in results(board, "noise").items():
        s = row["result"]["scenarios"]["aerial"]
        assert counted[name] == (s["correct"], s["wrong"], s["tied"], s["invalid"] + s["missing"])


def test_every_link_leads_to_a_file_or_to_the_web_and_every_fragment_to_a_place(site):
    seen = 0
    for file in sorted(site.rglob("*.html")):
        parsed = parse(file)
        ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
        assert len(set(ids)) == len(ids), file
        for tag, attributes in parsed.elements:
            if tag != "a":
                continue
            seen += 1
            address = attributes["href"]
            if address.startswith("#"):
                assert address[1:] in ids
            elif not address.startswith(("https://", "http://")):
                assert (file.parent / unquote(address)).is_file(), (file, address)
    assert seen > 200


def test_each_row_can_be_counted_again_from_what_its_page_links_to(board, site):
    for file in sorted(board.glob("results/*/*/*.json")):
        row = json.loads(file.read_text())
        key = file.parent.parent.name  # no row of this board has a revision
        parsed = parse(site / f"models/{key}.html")
        found = {
            (site / "models" / unquote(a["href"])).resolve()
            for t, a in parsed.elements
            if t == "a" and "/rows/" in a["href"]
        }
        assert found == {site.resolve() / f"data/rows/{key}/{name}" for name in (f.name for f in file.parent.iterdir())}
        (copied,) = [path for path in found if path.name == row["result"]["rows"]["file"]]
        assert hashlib.sha256(copied.read_bytes()).hexdigest() == row["result"]["rows"]["sha256"]
        assert (copied.parent / file.name).read_bytes() == file.read_bytes()
    assert "data/" in (site / MARK).read_text()


def test_scenarios_stand_in_their_columns_in_whatever_order_a_row_lists_them(tmp_path):
    for turned in ("Fjord", "Tarn"):  # whichever row comes first
        board = tmp_path / turned
        board.mkdir()
        write_row(board, "Fjord", "cwcwcccw")
        write_row(board, "Tarn", "cccwcwww")
        (file,) = board.glob(f"results/{turned.lower()}/*/*.json")
        row = json.loads(file.read_text())
        row["result"]["scenarios"] = dict(reversed(row["result"]["scenarios"].items()))
        file.write_text(json.dumps(row))
        build_site(board, tmp_path / f"site {turned}")
        lines = [line for line in cells(tmp_path / f"site {turned}/index.html") if len(line) == 9]
        columns = [lines[0].index(name) for name in ("indoor", "outdoor")]
        shown = {line[1].split()[0]: [line[i] for i in columns] for line in lines[1:]}
        assert shown["Fjord"] == ["100.0", "25.0"]
        assert shown["Tarn"] == ["75.0", "25.0"]


def test_different_models_with_the_same_answers_are_named_and_revisions_of_one_are_not(tmp_path):
    for name, letters in {"Fjord": "ccwcccwcct", "Copy": "ccwcccwcct", "Tarn": "ccwcccwctc"}.items():
        write_row(tmp_path, name, letters)
    write_row(tmp_path, "Tarn", "ccwcccwctc", model={"revision": "v2"})
    warnings = [line for line in build_site(tmp_path, tmp_path.with_name("alike")).warnings if "same outcome" in line]
    assert len(warnings) == 1
    assert "Copy, Fjord have the same outcome on each of 10 pairs" in warnings[0]
    for page, other in (("fjord", "Copy"), ("copy", "Fjord")):
        assert (
            f"Same answers to every pair as {other}." in parse(tmp_path.with_name("alike") / f"models/{page}.html").text
        )
    index = parse(tmp_path.with_name("alike") / "index.html").text
    assert index.count("same answers to every pair as") == 2


def test_a_floor_that_no_model_beats_is_said_in_words(tmp_path):
    said = {}
    for name, model, floor in (("a", "ccwc", "cccc"), ("b", "cccc", "ccwc")):
        (tmp_path / name).mkdir()
        write_row(tmp_path / name, "Fjord", model)
        write_row(tmp_path / name, "rule", floor, model={"spec": "baseline:rule"})
        build_site(tmp_path / name, tmp_path / f"site {name}")
        said[name] = parse(tmp_path / f"site {name}/index.html").text
    assert "No model here does better than rule, which needs no knowledge of depth: it has 100.0 %" in said[
        "a"
    ].replace("\xa0", " ")
    assert "No model here does better" not in said["b"]


def test_the_first_page_is_of_the_release_with_most_rows_or_of_the_one_that_is_named(tmp_path):
    board = tmp_path / "board"
    board.mkdir()
    for name in ("Fjord", "Tarn"):
        write_row(board, name, "ccwc", revision="r1")
    file = write_row(board, "Firn", "ccwcc", revision="r2").path
    digest = json.loads(file.read_text())["result"]["benchmark"]["digest"]

    def first(named):
        build_site(board, tmp_path / "site", first=named)
        return re.search("<title>(.*?)</title>", (tmp_path / "site/index.html").read_text()).group(1)

    assert "revision r1" in first(None)
    assert "revision r2" in first("r2")
    assert "revision r2" in first(digest[:10])
    assert "revision r1" in first("r1")
    for named in ("r", "", "r3", "0" * 64):
        with pytest.raises(BadInput, match="is not on the board; it holds: bench, revision r1, digest"):
            build_site(board, tmp_path / "site", first=named)


def test_no_page_can_ask_for_anything_or_run_anything_else(site):
    for name, parsed in pages_of(site).items():
        (policy,) = [a["content"] for t, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["img-src"] == "data:"
        allowed = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parsed.scripts]
        assert rules["script-src"] == (f"'sha256-{allowed[0]}'" if allowed else "'none'")
        assert len(allowed) == name.endswith("index.html")
        first = [tag for tag, _ in parsed.elements][:5]
        assert first == ["html", "head", "meta", "meta", "meta"], "the policy stands before all that it is for"
        for tag, attributes in parsed.elements:
            assert tag not in ("img", "iframe", "object", "embed", "base", "image", "use", "foreignobject"), name
            assert not {"src", "srcset", "xlink:href", "action", "formaction"} & set(attributes)
            assert not [a for a in attributes if a.startswith("on")]
            if "href" in attributes and tag != "a":
                assert (tag, attributes["href"]) == ("link", "data:,")


def test_the_same_board_gives_the_same_bytes(board, site, tmp_path):
    build_site(board, tmp_path / "again")
    files = {f.relative_to(site).as_posix(): f.read_bytes() for f in site.rglob("*") if f.is_file()}
    again = {
        f.relative_to(tmp_path / "again").as_posix(): f.read_bytes()
        for f in (tmp_path / "again").rglob("*")
        if f.is_file()
    }
    assert files == again


def test_a_new_build_replaces_the_old_one_whole(new_board, tmp_path):
    board = new_board()
    out = tmp_path / "site"
    build_site(board, out)
    (out / "models/stale.html").write_text("old")
    report = build_site(board, out)
    assert not (out / "models/stale.html").exists()
    assert report.pages == len(list(out.rglob("*.html")))
    assert report.rows == 3
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".da2k")]
    assert not left


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {MARK: "# My own folder\n"}, {MARK: None}])
def test_what_is_no_site_is_not_replaced(new_board, tmp_path, content):
    out = tmp_path / "mine"
    for name, text in content.items():
        out.mkdir(exist_ok=True)
        (out / name).mkdir() if text is None else (out / name).write_text(text)
    with pytest.raises(BadInput, match="choose another --out"):
        build_site(new_board(), out)
    assert sorted(path.name for path in out.iterdir()) == sorted(content)


def test_a_file_is_not_replaced_and_a_board_is_not_built_over(new_board, tmp_path):
    board = new_board()
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", board, tmp_path):
        with pytest.raises(BadInput, match="choose another --out"):
            build_site(board, out)
    site = tmp_path / "site"
    build_site(board, site)
    inside = Path(shutil.move(board, site / "board"))
    with pytest.raises(BadInput, match="holds the board"):
        build_site(inside, site)
    assert (inside / "results").is_dir()


def test_a_failed_build_leaves_the_old_site(new_board, tmp_path):
    board, out = new_board(), tmp_path / "site"
    build_site(board, out)
    before = {f: f.read_bytes() for f in out.rglob("*") if f.is_file()}
    (board / "published.yaml").write_text("schema_version: 2")
    with pytest.raises(BadInput, match=r"published\.yaml"):
        build_site(board, out)
    assert before == {f: f.read_bytes() for f in out.rglob("*") if f.is_file()}
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".da2k")]


def test_an_empty_board_gives_a_page_that_says_so(tmp_path):
    (tmp_path / "board").mkdir()
    report = build_site(tmp_path / "board", tmp_path / "site")
    assert (report.pages, report.rows) == (1, 0)
    assert any("no rows" in warning for warning in report.warnings)
    assert "No model has been measured yet" in parse(tmp_path / "site/index.html").text


def test_a_board_of_published_numbers_alone_shows_them(board, tmp_path):
    (tmp_path / "board").mkdir()
    shutil.copy(board / "published.yaml", tmp_path / "board")
    build_site(tmp_path / "board", tmp_path / "site")
    text = parse(tmp_path / "site/index.html").text
    assert "Marigold" in text
    assert "Published numbers No model has been measured here yet" in text
    assert "No model has been measured yet" not in text
    assert not (tmp_path / "site/data").exists()
    assert "data/" not in (tmp_path / "site" / MARK).read_text()


def test_a_board_of_floors_alone_has_no_figures_of_models(tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", images=4)
    add_models(tmp_path / "board", benchmark, tmp_path / "scratch", [], BASELINES[:1])
    build_site(tmp_path / "board", tmp_path / "site")
    parsed = parse(tmp_path / "site/index.html")
    assert "baseline:row" in parsed.text
    assert "svg" not in [tag for tag, _ in parsed.elements]


def test_scenarios_with_one_slug_and_models_with_one_name_stay_apart(tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", images=4, scenarios=("水", "火"))
    board = add_models(tmp_path / "board", benchmark, tmp_path / "scratch", MODELS[:1], [])

    def revised(dumped):
        return {"model": {**dumped["model"], "revision": "v2"}}

    place(board, tmp_path / "scratch/0.json", result=revised)
    build_site(board, tmp_path / "site")
    assert sorted(path.name for path in (tmp_path / "site/scenarios").iterdir()) == ["unnamed-2.html", "unnamed.html"]
    text = parse(tmp_path / "site/index.html").text
    assert "Deep Fjord L (v2)" in text
    assert "Deep Fjord L (unversioned)" in text


def hostile_board(folder, change):
    """A board on which everything that other people write is an attack, or what `change` makes of it."""
    texts = [change(text) for text in ATTACKS]
    scenarios = [change(text).replace("/", "|") for text in ATTACKS[:4]]
    benchmark = write_benchmark(folder / change("bench<b>"), images=8, scenarios=scenarios)
    board = folder / "board"
    for i in range(6):
        model = Model(f"{i}{texts[i]}", 0.95 - 0.1 * i, 1000 * 10**i)
        out = folder / f"{i}.json"
        evaluate(f"predictions:{write_predictions(folder / f'maps{i}', benchmark, model, i)}", benchmark, out=out)

        def attacked(dumped, i=i):
            model = {**dumped["model"], "spec": texts[i], "options": {texts[i]: texts[-i]}, "revision": texts[i + 1]}
            run = {**dumped["run"], "device": texts[i + 2], "dtype": texts[i], "packages": {texts[i]: texts[i + 1]}}
            run |= {"images_per_second": 1.5 * 4**i, "python": texts[i], "commit": texts[i], "da2k_version": texts[i]}
            return {
                "model": {**model, "preprocessing": texts[i + 2]},
                "run": run,
                "failures": [{"image": texts[i], "reason": texts[i + 1]}],
                "warnings": [texts[i]],
                "protocol": {**dumped["protocol"], "name": texts[0]},
            }

        url = "https://e.example/?q=%22%3Cscript%3E&x=javascript:alert(1)"
        place(board, out, result=attacked, licence=texts[i], note=texts[i + 3], url=url)
    said = {"tier": "paper", "source": texts[0], "source_url": "https://e.example/#'javascript:".replace("'", "%27")}
    ordering = {**said, "benchmark": texts[1], "pairs": {texts[2]: 10, texts[3]: 20}, "note": texts[4]}
    ordering["models"] = [{"model": texts[5], "accuracy": 0.9, "scenarios": {texts[2]: 0.9}, "note": texts[6]}]
    dense = {**said, "protocol": texts[7], "columns": [[texts[8], texts[9]]], "note": texts[2]}
    dense["models"] = [{"model": texts[3], "values": [0.25]}]
    published = {"schema_version": 1, "ordering": [ordering], "dense": [dense]}
    (board / "published.yaml").write_text(yaml.safe_dump(published))
    return board


def test_what_others_wrote_makes_no_element_no_attribute_and_no_address(tmp_path):
    build_site(hostile_board(tmp_path / "a", str), tmp_path / "hostile")
    build_site(hostile_board(tmp_path / "b", tamed), tmp_path / "harmless")
    hostile, harmless = pages_of(tmp_path / "hostile"), pages_of(tmp_path / "harmless")
    assert len(hostile) == len(harmless)
    assert shape(hostile) == shape(harmless)
    whole = "".join(parsed.text for parsed in hostile.values())
    for attack in ATTACKS:
        assert attack.replace("  ", " ") in whole, "it is shown, and as it was written"
    for parsed in hostile.values():
        for tag, attributes in parsed.elements:
            address = attributes.get("href") or ""
            assert address.partition(":")[0] in ("https", "data") or ":" not in address, (tag, address)
    scripts = {script for parsed in hostile.values() for script in parsed.scripts}
    assert scripts == {(pages.TEMPLATES / "site.js").read_text()}


def test_the_longest_texts_of_a_run_are_cut_where_they_are_shown(tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", images=4)
    add_models(tmp_path / "none", benchmark, tmp_path / "scratch", MODELS[:1], [])
    name, line = 120 * "z", 1000 * "z"

    def longest(dumped):
        run = {**dumped["run"], "device": name, "dtype": name, "images_per_second": 2.0}
        run["packages"] = {f"{n:03}{name[3:]}": name for n in range(200)}
        return {
            "run": run,
            "model": {**dumped["model"], "options": {"size": line}},
            "failures": [{"image": line, "reason": line}],
            "warnings": 200 * [line],
        }

    place(tmp_path / "board", tmp_path / "scratch/0.json", result=longest)
    build_site(tmp_path / "board", tmp_path / "site")
    pages = pages_of(tmp_path / "site")
    assert not any("z" * 400 in parsed.text for parsed in pages.values())
    assert any(name in parsed.text for parsed in pages.values())


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " https://e.example", "data:text/html,x", "//e.example", "JAVASCRIPT:x"]
)
def test_an_address_that_is_none_of_the_web_is_shown_and_not_linked_to(address):
    link = environment().get_template("parts.html.j2").module.link
    assert "<a" not in link(address, "text")
    assert link("https://e.example", "<b>").startswith('<a href="https://e.example"')
    assert "&lt;b&gt;" in link("https://e.example", "<b>")
