"""The digits and the models that the lessons share; all of it ships with the workbook.

The names are those of ``__init__.pyi``; each comes, with what it needs, when it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
