"""The base of everything that varhandle raises on purpose."""


class VarhandleError(Exception):
    """Bad input, or a model that cannot be read, converted, cured or lifted as asked.

    Its message says what to do next, unless it is an ``InternalError``.
    """


class InternalError(VarhandleError):
    """What a part of the tool tells another, or a child process: who catches it says what to do."""


class UnknownNameError(VarhandleError, KeyError):
    """A name that nothing has; the message says which there are."""


class PlaceError(VarhandleError, OSError):
    """A place where nothing can be read or written as it is; ``strerror`` says what to do."""


CHECK_PATH = "check the path, and your rights to it"
NAME_PLACE = "name another place, which you may write to"


def system_fault(error: OSError, step: str) -> str:
    """Say what is wrong with a file or a place, and what to do where the system said it."""
    if isinstance(error, PlaceError):
        return str(error.strerror)
    return f"{error.strerror or error}: {step}"
