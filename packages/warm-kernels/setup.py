"""Lets an editable install carry the data files that ``pyproject.toml`` names.

Everything about the package stands in ``pyproject.toml``. But the editable install of setuptools
(84 at the time of writing) asks for ``has_data``, a method that no distribution has, and so leaves
the data files out, while an ordinary install lays them down.
"""

from setuptools import Distribution, setup


class WithData(Distribution):
    """A distribution that says, when it is asked, that it has data files."""

    has_data = Distribution.has_data_files


setup(distclass=WithData)
