"""Widgets: where a hand on a control teaches more than a paragraph does.

Where nobody can use a control (a headless run, a terminal, a page without a kernel), the answer for
the default choice appears in its place. The names are those of ``__init__.pyi``; each comes when it
is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
