"""The instruments of the other tests notice what they are for: each finds the defect of a page that has it."""

from pathlib import Path

import pytest

from tests.support.axe import violations
from tests.support.chromium import Page

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


IMAGE = '<img alt="" src="http://127.0.0.1:1/x.png">'
HEAD = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'


@pytest.mark.parametrize(
    ("body", "head", "complaint", "requests"),
    [
        ("<p>Well.</p>", "", "", []),
        ("<script>missing()</script>", "", "missing is not defined", []),
        ('<p style="color: red">Red?</p>', HEAD, "Content Security Policy", []),
        (IMAGE, "", None, ["http://127.0.0.1:1/x.png"]),
    ],
    ids=["no defect", "an error of a script", "what a policy blocks", "a request"],
)
def test_what_a_page_does_is_seen(
    page: Page, file: Path, body: str, head: str, complaint: str | None, requests: list[str]
) -> None:
    file.write_text(document(body, head=head))
    found = page.show(file).complaints()
    assert page.requests() == requests
    if complaint is not None:
        assert [complaint in each for each in found] == [True] * bool(complaint)


def test_a_request_is_seen_even_if_a_policy_blocks_it(page: Page, file: Path) -> None:
    file.write_text(document(IMAGE, head=HEAD))
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
    file.write_text(document("<p>Well.</p>"))
    assert violations(page.show(file)) == []
    file.write_text(document(body))
    page.show(file)
    assert rule in {found.split(":")[0] for found in violations(page)}
