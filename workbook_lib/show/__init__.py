"""How things look: drawings, tables, the grid of releases, and Netron inside JupyterLab.

Every function returns one small result with a text form (terminal, screen reader, nbval) and a form
that a notebook draws. The names are those of ``__init__.pyi``; each comes when it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
