"""axe-core over what a tab shows now."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import ROOT

SOURCE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map(({ id, nodes }) => `${id}: ` + nodes.map(({ html }) => html.slice(0, 160)).join(" | "));
}"""


def axe_source(path: Path = SOURCE) -> str:
    """axe's program, which `scripts/web` installs; without it a test is skipped, never under CI."""
    if not path.is_file():
        reason = "axe-core is not installed: scripts/web --check"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return path.read_text(encoding="utf-8")


def serious_faults(page: Page) -> list[str]:
    """Faults that axe calls serious or critical, each with where it is."""
    if page.evaluate("typeof axe") == "undefined":
        # The page's policy lets no script in; the debugger may.
        page.evaluate(axe_source())
    found: list[str] = page.evaluate(_RUN)
    return found
