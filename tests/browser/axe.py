"""Ask axe-core what keeps people from using a part of a page.

The rules come with ``axe-playwright-python``, from the package index like every other need of the tests: nothing of
other people's lies in this repository, and no page asks another host for it. Not for: what no rule can tell, such as
the order of the keyboard's focus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What axe says of the rest, ``moderate`` and ``minor``, is advice on whole pages: landmarks, one heading.
GRAVE = ("serious", "critical")
#: Of what is well, one element for each rule is enough.
RUN = """async (selector) => {
  const found = await axe.run(selector, { resultTypes: ["violations"] });
  const applied = [...found.violations, ...found.incomplete, ...found.passes].map((rule) => rule.id);
  return { violations: found.violations, applied };
}"""
#: JupyterLab's body has no height and hides what flows over: axe then takes all of the page for unseen, and looks at no
#: colour. What is seen stays the same.
BODY = "body { min-height: 100vh }"


def violations(page: Page, selector: str = "body") -> list[str]:
    """Return what is seriously wrong in the parts of a page that a selector finds, a line for each rule.

    Raises
    ------
    playwright.sync_api.Error
        If the selector finds nothing.
    AssertionError
        If axe looked at no colours, as it does where it thinks that nothing can be seen.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
        page.add_style_tag(content=BODY)
    found = page.evaluate(RUN, selector)
    assert "color-contrast" in found["applied"], found["applied"]
    return [_line(each) for each in found["violations"] if each["impact"] in GRAVE]


def _line(violation: dict[str, Any]) -> str:
    """Word a violation: the rule, how many elements break it, the first of them and what is wrong with it."""
    nodes = violation["nodes"]
    why = " ".join(nodes[0]["failureSummary"].split())
    return f"{violation['id']} ({violation['impact']}, {len(nodes)} times): {nodes[0]['html'][:200]} {why}"
