"""What axe-core finds wrong in the outputs of a notebook; JupyterLab's own faults are not ours."""

from axe_playwright_python.sync_playwright import Axe

# The outputs and the prose are ours, the page around them is JupyterLab's.
OURS = ".jp-OutputArea-output, .jp-MarkdownOutput"
_OPTIONS = {
    "resultTypes": ["violations"],
    "iframes": False,  # Netron's page is Netron's own, and does not let itself be looked into
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}


def faults(page, scope=OURS):
    """Run axe-core on parts of the page.

    Args:
        page: The page, standing on an open notebook.
        scope: A selector of the parts.

    Returns:
        A line for each element that breaks a rule of WCAG 2.2 AA: rule, element, reason.
    """
    result = Axe().run(page, context=scope, options=_OPTIONS)
    return [
        f"{rule['id']}: {node['html'][:160]} ({_reason(node)})"
        for rule in result.response["violations"]
        for node in rule["nodes"]
    ]


def _reason(node):
    return " ".join(line.strip() for line in node["failureSummary"].splitlines()[1:2])
