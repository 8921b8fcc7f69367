"""The contents of a model as tables: its variables, and the counts of its ops."""
