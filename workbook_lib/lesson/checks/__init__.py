"""The checks of the exercises: one module a notebook, named as the notebook is."""
