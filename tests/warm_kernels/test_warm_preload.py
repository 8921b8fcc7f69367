"""A deferred package looks as if nobody had imported it, and is itself when somebody does."""

import subprocess
import sys

import pytest

BEFORE = (
    "import sys, json, email.mime.text; before = sys.modules['email']; spec = before.__spec__\n"
)
HOLD = (
    "from warm_kernels import preload\n"
    "preload._deferred.update({'email': ['json'], 'json': [], 'nosuchpackage': []})\n"
    "preload.defer()\n"
)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print([n for n in sys.modules if n.split('.')[0] == 'email'])", "[]"),
        ("import email; print(email is before)", "True"),
        ("import email.mime.text as text; print(text is before.mime.text)", "True"),
        ("from email.mime import text; print(text is before.mime.text)", "True"),
        ("import email; print(email.__spec__ is spec, sys.modules['email'] is email)", "True True"),
        (
            "from importlib.util import find_spec; found = find_spec('email')\n"
            "print(found.origin == spec.origin, list(found.submodule_search_locations)"
            " == list(spec.submodule_search_locations), 'email' in sys.modules)",
            "True True False",
        ),
        ("import email, importlib; print(importlib.reload(email) is before)", "True"),
        ("import email.charset; print(email.charset.__name__)", "email.charset"),
        ("import email; print('json' in sys.modules)", "True"),
        ("import json; print('email' in sys.modules)", "False"),
        ("import nosuchpackage", "ModuleNotFoundError: No module named 'nosuchpackage'"),
    ],
)
def test_a_package_that_was_deferred(code, said):
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + HOLD + code], check=False, capture_output=True, text=True
    )
    assert (done.stdout or done.stderr).strip().splitlines()[-1] == said
