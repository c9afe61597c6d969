"""The instruments of the other tests notice what they are for: each finds the defect of a page that has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.axe import violations
from tests.support.chromium import DESKTOP, PHONE, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow(reason="needs Chromium"), pytest.mark.timeout(300)]

POLICY = "default-src 'none'; style-src 'self'"


def document(body: str, *, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>{head}</head>'
        f"<body><main><h1>A page</h1>{body}</main></body></html>"
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def test_nothing_is_found_in_a_page_without_defects(page: Page, file: Path) -> None:
    file.write_text(document("<p>Well.</p>"))
    page.show(file)
    assert page.complaints() == page.requests() == violations(page) == []


def test_an_error_of_a_script_is_a_complaint(page: Page, file: Path) -> None:
    file.write_text(document("<script>missing()</script>"))
    (complaint,) = page.show(file).complaints()
    assert "missing is not defined" in complaint


def test_what_a_policy_blocks_is_a_complaint(page: Page, file: Path) -> None:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    file.write_text(document('<p style="color: red">Red?</p>', head=policy))
    (complaint,) = page.show(file).complaints()
    assert "Content Security Policy" in complaint


def test_a_request_is_seen_even_if_a_policy_blocks_it(page: Page, file: Path) -> None:
    image = '<img alt="" src="http://127.0.0.1:1/x.png">'
    file.write_text(document(image))
    assert page.show(file).requests() == ["http://127.0.0.1:1/x.png"]
    file.write_text(document(image, head=f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'))
    assert page.show(file).requests() or page.complaints()


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("color-contrast", "<style>p { color: #bbb; background: #fff }</style><p>Pale</p>"),
        ("button-name", "<button></button>"),
        ("svg-img-alt", '<svg role="img"><circle r="3"/></svg>'),
        ("heading-order", "<h4>Deep</h4>"),
        ("region", "</main><p>Outside of every landmark</p><main>"),
    ],
)
def test_axe_finds(page: Page, file: Path, rule: str, body: str) -> None:
    file.write_text(document(body))
    page.show(file)
    assert rule in {found.split(":")[0] for found in violations(page)}


def test_a_phone_is_as_wide_as_a_phone(page: Page, file: Path) -> None:
    file.write_text(document("", head='<meta name="viewport" content="width=device-width">'))
    for screen in (PHONE, DESKTOP):
        page.show(file, screen)
        assert page.run("return [innerWidth, innerHeight]") == [screen.width, screen.height]


def test_themes_media_and_scripts_are_switched(page: Page, file: Path) -> None:
    file.write_text(document('<p id="p">off</p><script>p.textContent = "on"</script>'))
    for theme in ("light", "dark"):
        page.show(file, theme=theme)
        assert page.run("return matchMedia(`(prefers-color-scheme: ${arguments[0]})`).matches", theme)
    assert page.show(file, media="print").run("return matchMedia('print').matches")
    assert page.show(file, script=False).run("return p.textContent") == "off"
    assert page.show(file).run("return p.textContent") == "on"
    assert page.pdf().startswith(b"%PDF")
