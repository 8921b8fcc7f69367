"""Models of the kinds that people have, and how right the tool is on each."""
