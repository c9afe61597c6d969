"""axe-core, which finds what keeps people from using a page: contrast, names, order, structure."""

from functools import cache

from tests.support.chromium import Page
from tests.support.paths import ROOT
from tests.support.redis_server import require

#: Where `make test-slow` installs it; tests/browser/package-lock.json pins it.
AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"


@cache
def _source() -> str:
    require(AXE.exists(), f"axe-core (npm ci --prefix {AXE.parents[2].relative_to(ROOT)})")
    return AXE.read_text()


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong, by the rules of WCAG 2.1 A and AA and by its best practices.

    It runs without any network, in the page as it is now. Nothing is waived.
    """
    page.run(_source())
    page.driver.set_script_timeout(120)
    found = page.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        axe.run(document, {resultTypes: ['violations']}).then(
            result => done(result.violations.flatMap(rule => rule.nodes.map(
                node => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`))),
            error => done([`axe-core failed: ${error}`]));
        """
    )
    return list(found)
