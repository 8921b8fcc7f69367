"""Side-by-side measurements, run by ``make bench``: each figure is a ratio within one run."""
