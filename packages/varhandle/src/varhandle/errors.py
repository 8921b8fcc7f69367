"""The base of everything that varhandle raises on purpose."""


class VarhandleError(Exception):
    """Bad input, or a model that cannot be read, converted, cured or lifted as asked."""
