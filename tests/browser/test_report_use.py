"""A report as it is used: by the keyboard alone, by a pointer and by a finger."""

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.chromium import DESKTOP, PHONE, Page, Report, Screen
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

FOCUSED = """
const node = document.activeElement, box = node.getBoundingClientRect();
if (node === document.body) return null;
const middle = document.elementFromPoint(
    Math.min(box.x + box.width / 2, innerWidth - 1), Math.min(Math.max(box.y + 2, box.bottom - 4), innerHeight - 1));
return {
    node, tag: node.tagName.toLowerCase(), kind: node.className.baseVal ?? node.className,
    outline: getComputedStyle(node).outlineStyle,
    covered: !(middle && (node.contains(middle) || middle.contains(node))),
}
"""
#: What a tab stop is for, by a selector.
STOPS = {
    "skip": ".skip", "section": "nav a", "seed": "#seed", "table": ".wide", "sort": "th button", "chart": "svg.chart",
    "data": "summary", "copy": ".copy", "row": "tbody a",
}  # fmt: skip


def press(page: Page, *keys: str) -> None:
    ActionChains(page.driver).send_keys(*keys).perform()


def stops(page: Page) -> Iterator[dict[str, Any]]:
    """Press the tab key until the page has no further stop; yield each."""
    for _ in range(400):
        press(page, Keys.TAB)
        found = page.run(FOCUSED)
        if found is None:
            return
        yield found
    raise AssertionError("the tab key does not leave the page")


def element(page: Page, selector: str) -> WebElement:
    return page.driver.find_element(By.CSS_SELECTOR, selector)


def tip(page: Page) -> str:
    """Return what the tip says; empty while it is hidden."""
    return page.run("const tip = document.getElementById('tip'); return tip.checkVisibility() ? tip.textContent : ''")


def tip_is_on_screen(page: Page) -> bool:
    return page.run(
        "const box = document.getElementById('tip').getBoundingClientRect();"
        "return box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight"
    )


def lit(page: Page) -> dict[str, list[str]]:
    """Return the seeds that are lit up in each chart that has marks of jobs."""
    return page.run(
        """
        const charts = [...document.querySelectorAll('figure.chart')].filter(each => each.querySelector('[data-seed]'));
        return Object.fromEntries(charts.map(chart =>
            [chart.id, [...new Set([...chart.querySelectorAll('.lit')].map(mark => mark.dataset.seed))]]));
        """
    )


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
@pytest.mark.parametrize("kind", ["rates", "axes"])
def test_the_tab_key_goes_through_all_of_it_in_order_and_one_sees_where(
    page: Page, report: Report, kind: str, screen: Screen
) -> None:
    page.show(report(kind), screen)
    found = list(stops(page))
    nodes = [stop["node"] for stop in found]
    in_order = page.run(
        "const nodes = arguments[0]; return nodes.every((node, i) => "
        "i === 0 || nodes[i - 1].compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING)",
        nodes,
    )
    assert in_order
    kinds = page.run(
        "const [nodes, stops] = arguments; return nodes.map(node => Object.keys(stops).find(kind => "
        "node.matches(stops[kind])) ?? node.outerHTML.slice(0, 80))",
        nodes, STOPS,
    )  # fmt: skip
    assert kinds[0] == "skip"
    assert set(kinds) == set(STOPS)
    assert [kind for kind, stop in zip(kinds, found, strict=True) if stop["outline"] == "none"] == []
    assert [kind for kind, stop in zip(kinds, found, strict=True) if stop["covered"]] == []


def test_the_skip_link_leads_past_the_navigation(page: Page, report: Report) -> None:
    page.show(report("rates"))
    press(page, Keys.TAB, Keys.ENTER)
    assert page.run("return document.activeElement.id") == "report"


def test_a_table_is_sorted_by_the_keyboard(page: Page, report: Report) -> None:
    page.show(report("axes"))
    column = page.run(
        "return [...document.querySelectorAll('#table thead th')].map(each => each.textContent.trim()).indexOf('alpha')"
    )

    def values() -> list[float]:
        cells = page.run(
            "const rows = document.querySelector('#table .sortable').tBodies[0].rows;"
            "return [...rows].map(row => row.cells[arguments[0]].textContent)",
            column,
        )
        return [float(each) for each in cells]

    before = values()
    button = page.driver.find_elements(By.CSS_SELECTOR, "#table thead th button")[column]
    page.run("arguments[0].focus()", button)
    for order, sort in (("ascending", sorted), ("descending", lambda found: sorted(found, reverse=True))):
        press(page, Keys.ENTER)
        assert values() == sort(before) != before
        heading = button.find_element(By.XPATH, "./ancestor::th")
        assert heading.get_attribute("aria-sort") == order
    assert page.run("return document.activeElement === arguments[0]", button)


def test_numbers_with_signs_are_sorted_by_their_size(page: Page, report: Report) -> None:
    page.show(report("rates"))
    signed = ["~<0.01", "-", "~0.40", "~>0.99", "~0.05"]
    found = page.run(
        "const [signed] = arguments, table = document.querySelector('#table .sortable');"
        "const rows = [...table.tBodies[0].rows];"
        "while (rows.length < signed.length) rows.push(table.tBodies[0].appendChild(rows[0].cloneNode(true)));"
        "while (rows.length > signed.length) rows.pop().remove();"
        "rows.forEach((row, place) => { row.cells[0].textContent = signed[place]; });"
        "table.querySelector('th button').click();"
        "return [...table.tBodies[0].rows].map(row => row.cells[0].textContent)",
        signed,
    )
    assert found in (
        [*order, "-"] for order in (["~<0.01", "~0.05", "~0.40", "~>0.99"], ["~>0.99", "~0.40", "~0.05", "~<0.01"])
    )


@pytest.mark.parametrize("kind", ["rates", "axes"])
def test_every_mark_is_reached_by_arrow_keys_and_says_its_job(page: Page, report: Report, kind: str) -> None:
    page.show(report(kind))
    charts = page.driver.find_elements(By.CSS_SELECTOR, "svg.chart")
    assert charts
    for chart in charts:
        marks = chart.find_elements(By.CSS_SELECTOR, ".mark")
        page.run("arguments[0].focus()", chart)
        press(page, Keys.ARROW_RIGHT)
        assert page.run("return document.activeElement === arguments[0]", marks[0])
        assert tip(page).split() == marks[0].get_attribute("aria-label").replace(";", "").split()
        assert tip_is_on_screen(page)
        press(page, Keys.END)
        assert page.run("return document.activeElement === arguments[0]", marks[-1])
        assert tip_is_on_screen(page)
        press(page, Keys.ARROW_LEFT)
        assert page.run("return document.activeElement === arguments[0]", marks[-2])
        press(page, Keys.ESCAPE)
        assert tip(page) == ""


@pytest.mark.parametrize("kind", ["rates", "axes", "diverged"])
def test_a_seed_is_lit_up_in_every_chart(page: Page, report: Report, kind: str) -> None:
    page.show(report(kind))
    charts = lit(page)
    assert len(charts) >= 3
    # By its number
    element(page, "#seed").send_keys("1")
    assert lit(page) == {chart: ["1"] for chart in charts}
    element(page, "#seed").send_keys(Keys.BACKSPACE)
    assert lit(page) == {chart: [] for chart in charts}
    # By a mark, with the keyboard
    mark = element(page, "svg.chart [data-seed='2']")
    page.run("arguments[0].setAttribute('tabindex', -1); arguments[0].focus()", mark)
    press(page, Keys.ENTER)
    assert lit(page) == {chart: ["2"] for chart in charts}
    assert element(page, "#seed").get_attribute("value") == "2"
    press(page, Keys.ESCAPE)
    assert lit(page) == {chart: [] for chart in charts}


def test_a_mark_says_its_job_under_the_pointer_and_lights_up_its_seed(page: Page, report: Report) -> None:
    page.show(report("rates"))
    mark = element(page, "figure.chart circle[data-seed]")
    page.run("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(page.driver).move_to_element(mark).perform()
    assert f"seed {mark.get_attribute('data-seed')}" in tip(page)
    assert tip_is_on_screen(page)
    ActionChains(page.driver).click().perform()
    assert set(map(tuple, lit(page).values())) == {(mark.get_attribute("data-seed"),)}
    ActionChains(page.driver).move_to_element(element(page, "h1")).perform()
    assert tip(page) == ""


def test_a_mark_says_its_job_under_a_finger(page: Page, report: Report) -> None:
    page.show(report("rates"), PHONE)
    mark = element(page, "figure.chart circle[data-seed]")
    page.run("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", mark)
    # The screen follows a frame later.
    page.driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
    )
    x, y = page.run(
        "const box = arguments[0].getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]", mark
    )
    page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    # Of marks that lie on each other, a finger may mean any.
    said = wait_for(lambda: tip(page), "the tip", timeout=10)
    (seeds,) = set(map(tuple, lit(page).values()))
    assert said.startswith(f"seed {seeds[0]},")
    assert tip_is_on_screen(page)
    assert page.run("return document.documentElement.scrollWidth") == PHONE.width


@pytest.mark.parametrize("kind", ["rates", "foreign"])
def test_a_command_is_copied_as_it_stands(page: Page, report: Report, kind: str) -> None:
    page.show(report(kind))
    page.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    buttons = [each for each in page.driver.find_elements(By.CSS_SELECTOR, ".copy") if each.is_displayed()]
    assert buttons
    for button in (buttons[0], buttons[-1]):
        code = page.run("return arguments[0].previousElementSibling.textContent", button)
        page.run("arguments[0].focus()", button)
        press(page, Keys.ENTER)
        wait_for(lambda button=button: button.text == "Copied", "the button's word", timeout=10)
        read = "navigator.clipboard.readText().then(arguments[arguments.length - 1], arguments[arguments.length - 1])"
        assert page.driver.execute_async_script(read) == code
        assert code.startswith("orchestrator ")
    assert page.complaints() == []
