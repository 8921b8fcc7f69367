"""What axe-core finds wrong in a page; what JupyterLab or a theme brings is not ours."""

from axe_playwright_python.sync_playwright import Axe

IN_NOTEBOOK = ".jp-OutputArea-output, .jp-MarkdownOutput"
ON_SITE = "article"
# Netron's page, in a frame, is Netron's own, and does not let itself be looked into.
_OPTIONS = {"resultTypes": ["violations"], "iframes": False, "preload": False}
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def faults(page, scope=IN_NOTEBOOK, wcag_only=True):
    """Return a line for each element that breaks a rule of WCAG 2.2 AA, or any rule of axe-core.

    ``scope`` is a selector of the parts to look at; ``None`` is the whole page.
    """
    options = {**_OPTIONS, "runOnly": {"type": "tag", "values": _WCAG}} if wcag_only else _OPTIONS
    return _faults(page, scope, options)


def faint(page, scope=IN_NOTEBOOK):
    """Return the same for the rule on contrast alone: in another theme, nothing else is new."""
    return _faults(page, scope, {**_OPTIONS, "runOnly": ["color-contrast"]})


def _faults(page, scope, options):
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[1:2]})"
        for rule in Axe().run(page, context=scope, options=options).response["violations"]
        for node in rule["nodes"]
    ]
