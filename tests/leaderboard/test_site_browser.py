"""A real browser opens the site from disk: it sorts, filters, prints, and reads out right."""

import io
import json
from contextlib import contextmanager

import pytest
from PIL import Image

from da2k.leaderboard.site import build_site

PAGES = ("index.html", "models/moraine.html", "models/baseline-row.html", "scenarios/aerial.html", "published.html")


@pytest.fixture(scope="module")
def site(board, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "site"
    build_site(board, out)
    return out


@contextmanager
def opened(browser, file, width=1366, **options):
    """A page from disk; at its end nothing was asked for but it, and nothing was complained of."""
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine is no failure
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert not complaints
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


def column(page, number):
    """The shown texts of a column of the models' part of the table, whole lines first."""
    return page.evaluate(
        "n => [...document.querySelectorAll('#models tr')].filter(r => !r.hidden)"
        ".map(r => (r.cells[n].querySelector('.name') ?? r.cells[n].firstChild).textContent.trim())",
        number,
    )


def sorted_by(page):
    return page.evaluate(
        "() => [...document.querySelectorAll('thead [aria-sort]')]"
        ".map(h => [h.textContent.trim(), h.getAttribute('aria-sort')])"
    )


def head(page, name):
    return page.locator("#board thead th").get_by_role("button", name=name, exact=True)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, site, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    with opened(browser, site / name, color_scheme=scheme, bypass_csp=True) as page:
        page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_axe_is_heard_when_there_is_a_violation(browser, site, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    bad = tmp_path / "bad.html"
    bad.write_text(
        (site / "index.html").read_text().replace('lang="en"', "").replace("--quiet: #57606b", "--quiet: #b0b0b0")
    )
    with opened(browser, bad, bypass_csp=True) as page:
        ids = {violation["id"] for violation in axe.Axe().run(page).response["violations"]}
    assert {"html-has-lang", "color-contrast"} <= ids


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 768, 1366])
def test_no_page_is_wider_than_the_window(browser, site, name, width):
    with opened(browser, site / name, width) as page:
        page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        regions = page.locator(".scroll")
        assert regions.count() > 0 or "models" not in name
        assert all(each.get_attribute("tabindex") == "0" and each.get_attribute("aria-label") for each in regions.all())


def test_a_head_sorts_by_mouse_and_turns_round(browser, site):
    with opened(browser, site / "index.html") as page:
        before = column(page, 1)
        assert sorted_by(page) == [["Rank", "ascending"]]
        head(page, "Images/s").click()
        speeds = column(page, 14)
        assert speeds[-1] == "–", "what is not known stands last"
        assert [float(s) for s in speeds[:-1]] == sorted(map(float, speeds[:-1]), reverse=True)
        assert sorted_by(page) == [["Images/s", "descending"]]
        head(page, "Images/s").click()
        speeds = column(page, 14)
        assert speeds[-1] == "–"
        assert [float(s) for s in speeds[:-1]] == sorted(map(float, speeds[:-1]))
        head(page, "Model").click()
        assert column(page, 1) == sorted(before)
        head(page, "Rank").click()
        assert column(page, 1) == before


def test_parameters_sort_by_number_and_not_by_text(browser, site):
    with opened(browser, site / "index.html") as page:
        page.locator("#board thead button").nth(-2).click()
        assert column(page, 13) == ["4.10 M", "24.8 M", "97.5 M", "335 M", "1.29 B", "–"]


def test_a_head_sorts_by_keyboard(browser, site):
    with opened(browser, site / "index.html") as page:
        page.get_by_role("button", name="Show all").focus()
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.textContent.trim()") == "Accuracy,\xa0%":
                break
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "one sees where one is"
        page.keyboard.press("Enter")
        shares = [float(share) for share in column(page, 2)]
        assert shares == sorted(shares, reverse=True)
        page.keyboard.press("Space")
        assert [float(share) for share in column(page, 2)] == sorted(shares)


def test_filters_leave_what_fits_and_say_how_many(browser, site):
    with opened(browser, site / "index.html") as page:
        everything = column(page, 1)
        assert page.locator("#shown").text_content() == "6 models"
        page.get_by_role("combobox", name="Licence").select_option("Apache-2.0")
        assert set(column(page, 1)) == {"Deep Fjord S", "Moraine"}
        page.get_by_role("combobox", name="Kind").select_option("metric depth")
        assert column(page, 1) == ["Moraine"]
        assert page.locator("#shown").text_content() == "1 of 6 models"
        page.get_by_role("button", name="Show all").click()
        page.wait_for_function("() => document.getElementById('shown').textContent === '6 models'")
        page.get_by_role("combobox", name="Parameters").select_option("up to 30 M")
        assert set(column(page, 1)) == {"Deep Fjord S", "Scree"}
        page.get_by_role("combobox", name="Parameters").select_option("not stated")
        assert column(page, 1) == ["Unnamed"]
        page.get_by_role("button", name="Show all").click()
        page.get_by_role("searchbox", name="Name").press_sequentially("FJORD")
        assert set(column(page, 1)) == {"Deep Fjord L", "Deep Fjord S"}
        page.get_by_role("button", name="Show all").press("Enter")
        page.wait_for_function("() => document.getElementById('shown').textContent === '6 models'")
        assert column(page, 1) == everything
        floors = page.locator("tbody.floors tr")
        assert floors.count() == 6
        assert all(each.is_visible() for each in floors.all())


def test_a_scenario_is_shown_alone_and_sorted_by(browser, site):
    with opened(browser, site / "index.html") as page:
        page.get_by_role("combobox", name="Scenario").select_option("underwater")
        shown = page.locator("#board thead th:visible").all_text_contents()
        names = [text.strip() for text in shown]
        assert names[4:] == ["underwater", "Scenario mean,\xa0%", "Para\xadmeters", "Images/s"]
        place = page.evaluate(
            "() => [...document.querySelectorAll('#board thead th')]"
            ".findIndex(h => h.textContent.trim() === 'underwater')"
        )
        shares = [float(share) for share in column(page, place)]
        assert shares == sorted(shares, reverse=True)
        assert sorted_by(page) == [["underwater", "descending"]]
        wide = page.evaluate(
            "() => [...document.querySelectorAll('#board tr:not(.group)')]"
            ".map(r => [...r.cells].filter(c => !c.hidden).length)"
        )
        assert set(wide) == {8}
        assert page.evaluate("() => document.querySelector('#board tr.group th').colSpan") == 8
        assert [name.partition(" ")[0] for name in names[:4]] == ["overall", "Model", "overall", "overall"]
        assert "rank, accuracy and interval are those of all pairs" in page.locator("#shown").text_content()
        page.get_by_role("combobox", name="Scenario").select_option("all")
        assert page.locator("#board thead th:visible").count() == 15
        assert page.locator("#board thead .overall").count() == 0
        assert page.locator("#shown").text_content() == "6 models"


def test_all_that_a_figure_draws_is_inside_it(browser, site):
    for name in ("index.html", "scenarios/aerial.html"):
        with opened(browser, site / name) as page:
            outside = page.evaluate(
                "() => [...document.querySelectorAll('figure svg')].flatMap(svg => {"
                " const v = svg.viewBox.baseVal;"
                " return [...svg.querySelectorAll('text')].filter(t => { const b = t.getBBox();"
                " return !t.getAttribute('transform') && (b.x < -1 || b.x + b.width > v.width + 1); })"
                ".map(t => t.textContent) })"
            )
            assert outside == []


def test_on_a_phone_figures_are_whole_and_tables_show_that_they_go_on(browser, site):
    with opened(browser, site / "index.html", width=360) as page:
        edges = page.evaluate(
            "() => [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().right)"
        )
        assert len(edges) == 4
        assert max(edges) <= 360
        assert page.locator(".sideways").first.is_visible()
        fade = "() => getComputedStyle(document.querySelector('.scroll')).getPropertyValue('--fade')"
        assert page.evaluate(fade) == "48px"
        page.evaluate("() => { const s = document.querySelector('.scroll'); s.scrollLeft = s.scrollWidth; }")
        page.wait_for_function(f"() => parseFloat(({fade})()) < 1")
    with opened(browser, site / "index.html", width=1366) as page:
        assert not page.locator(".sideways").first.is_visible()


def test_without_javascript_the_table_reads_the_same(browser, site):
    with opened(browser, site / "index.html") as page:
        with_script = page.locator("#board tr").all_inner_texts()
    with opened(browser, site / "index.html", java_script_enabled=False) as page:
        assert page.locator("#board tr").all_inner_texts() == with_script
        assert page.locator("#board").get_by_role("row").count() == len(with_script)
        assert page.locator("#filters").is_hidden()
        assert page.locator("#board button").count() == 0
        summary = page.get_by_text("The same as a list")
        summary.click()
        assert page.locator(".comparisons").is_visible()


def test_a_screen_reader_is_told_the_table_and_the_figures(browser, site):
    with opened(browser, site / "index.html") as page:
        table = page.get_by_role("table", name="Measured models by rank")
        assert table.get_by_role("rowheader", name="Deep Fjord L").count() == 1
        assert table.get_by_role("columnheader", name="underwater").count() == 1
        for title in ("Accuracy and interval", "Which models the pairs tell apart", "Accuracy against"):
            assert page.get_by_role("img", name=title).count() >= 1
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "Skip to content"


def test_paper_has_the_table_and_not_the_filters(browser, site):
    with opened(browser, site / "index.html", width=1000) as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("#filters").is_hidden()
        assert page.locator("nav").first.is_hidden()
        style = page.evaluate(
            "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert style == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"], "paper is white, whatever the screen is"
        edge = page.evaluate("() => document.getElementById('board').getBoundingClientRect().right")
        assert edge <= 1000, "no column is cut off: A4 across is 1032 pixels within its margins"
        assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_light_or_dark_as_the_reader_likes(browser, site, scheme):
    with opened(browser, site / "index.html", color_scheme=scheme) as page:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("L").resize((1, 1), Image.Resampling.BOX)
    mean = picture.getpixel((0, 0))
    assert mean > 180 if scheme == "light" else mean < 80


def test_real_results_make_a_site_that_opens(browser, real_board, tmp_path):
    report = build_site(real_board, tmp_path / "site")
    assert report.rows == 7
    with opened(browser, tmp_path / "site/index.html") as page:
        shown = dict(zip(column(page, 1), column(page, 2), strict=True))
        for file in real_board.glob("results/*/*/*.json"):
            result = json.loads(file.read_text())["result"]
            if not result["model"]["name"].startswith("baseline"):
                share = 100 * result["counts"]["correct"] / result["counts"]["total"]
                assert shown.pop(result["model"]["name"]) == f"{share:.1f}"
        assert not shown
