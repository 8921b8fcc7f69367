"""The site: lessons, families of failure, references. Built by ``make site``, read offline."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "The VarHandleOp workbook"
author = "The authors of the workbook"
html_title = project
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated_pages"]
exclude_patterns = ["page"]  # it is built by itself: workbook_lib/editions/page.py
suppress_warnings = ["myst.xref_missing"]  # links in README-like pages to files of the repository

# The notebooks are shown as they were stored; nbval holds their outputs to a fresh run.
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # otherwise from another host; without it a control shows its text
nb_merge_streams = True
nb_mime_priority_overrides = [
    ("html", "application/vnd.jupyter.widget-view+json", None),
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_member_order = "bysource"

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["workbook.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": True,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # one search box is enough: the one in the side bar
    "navigation_with_keys": True,
}
