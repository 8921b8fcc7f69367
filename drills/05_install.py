# An old service saves a SavedModel and stops. TensorFlow has to stay at 2.8.
# To be true: `requirements` has a line for the package at fault, with releases that fit.
LOG = """\
  File "tensorflow/python/training/tracking/data_structures.py", line 823, in __getattribute__
    return super().__getattribute__(name)
  File "site-packages/typing_extensions.py", line 2890, in _is_protocol_getattr
TypeError: this __dict__ descriptor does not support '_DictWrapper' objects
"""
# pip freeze says: tensorflow==2.8.4, wrapt==1.16.0, typing_extensions==4.12.2, numpy==1.22.4
# ---- broken
requirements = """
tensorflow==2.8.4
"""
# ---- right 1
requirements = "tensorflow==2.8.4\nwrapt==1.14.1"
# ---- right 2
requirements = """
tensorflow==2.8.4  # until the service is moved
wrapt>=1.11, <1.15
"""
# ---- wrong 1
requirements = """
tensorflow==2.8.4
numpy<1.22
"""
# ---- wrong 2
requirements = """
tensorflow==2.8.4
wrapt>=1.16
"""
# ---- wrong 3
requirements = """
tensorflow==2.21.0
wrapt==1.14.1
"""
# ---- end


# ---- check package-conflict
def check(requirements):
    """Read from a log which package does not fit.

    1. No op and no variable is named. Whose class is `_DictWrapper`?
    2. TensorFlow wraps dictionaries with the package wrapt, whose release is newer than it.
    3. TensorFlow 2.8 was made with wrapt 1.14.
    """
    from packaging.requirements import Requirement

    lines = [line.partition("#")[0].strip() for line in requirements.splitlines()]
    wanted = {found.name: found.specifier for found in map(Requirement, filter(None, lines))}
    if "wrapt" not in wanted:
        raise Wrong("None of the lines is for the package whose object the last line of LOG names.")
    if not wanted["wrapt"].contains("1.14.1") or wanted["wrapt"].contains("1.16.0"):
        raise Wrong(f"wrapt{wanted['wrapt']} does not keep 1.16.0 out and let 1.14.1 in.")
    if not wanted.get("tensorflow", Requirement("t<0").specifier).contains("2.8.4"):
        raise Wrong("TensorFlow has to stay at 2.8.4, and be named.")
    return "An old TensorFlow says what it needs at least, and not what is too new for it."
