"""What axe-core finds wrong in a page; what JupyterLab or a theme brings is not ours."""

from axe_playwright_python.sync_playwright import Axe

IN_NOTEBOOK = ".jp-OutputArea-output, .jp-MarkdownOutput"
ON_SITE = "article"
# Netron's page, in a frame, is Netron's own, and does not let itself be looked into.
_OPTIONS = {"resultTypes": ["violations"], "iframes": False, "preload": False}
_WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

# A placeholder is no text of the page, so axe-core does not look at it. Its contrast with what is
# behind it is (light + 0.05) / (dark + 0.05).
_FAINT_PLACEHOLDERS = """() => {
    const parts = color => color.match(/[\\d.]+/g).map(Number);
    const on = (under, [red, green, blue, alpha = 1], opacity = 1) =>
        [red, green, blue].map((part, i) => under[i] + (part - under[i]) * alpha * opacity);
    const light = color => color.map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = box => {
        let ground = [255, 255, 255];
        const around = [];
        for (let one = box; one; one = one.parentElement) around.unshift(one);
        for (const one of around) ground = on(ground, parts(getComputedStyle(one).backgroundColor));
        const hint = getComputedStyle(box, '::placeholder');
        const both = [ground, on(ground, parts(hint.color), hint.opacity)].map(light);
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    };
    return [...document.querySelectorAll('.jp-OutputArea-output [placeholder]')]
        .filter(box => contrast(box) < 4.5)
        .map(box => `${box.placeholder}: ${contrast(box).toFixed(2)}`);
}"""


def faults(page, scope=IN_NOTEBOOK, wcag_only=True):
    """Return a line for each element that breaks a rule of WCAG 2.2 AA, or any rule of axe-core.

    ``scope`` is a selector of the parts to look at; ``None`` is the whole page.
    """
    options = {**_OPTIONS, "runOnly": {"type": "tag", "values": _WCAG}} if wcag_only else _OPTIONS
    return _faults(page, scope, options)


def faint(page, scope=IN_NOTEBOOK):
    """Return the same for the rule on contrast alone: in another theme, nothing else is new."""
    found = _faults(page, scope, {**_OPTIONS, "runOnly": ["color-contrast"]})
    return found + page.evaluate(_FAINT_PLACEHOLDERS)


def _faults(page, scope, options):
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[1:2]})"
        for rule in Axe().run(page, context=scope, options=options).response["violations"]
        for node in rule["nodes"]
    ]
