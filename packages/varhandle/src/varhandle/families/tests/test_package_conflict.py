"""A package beside TensorFlow whose release does not fit."""

from family_checks import ids, log_test

from varhandle import explain
from varhandle.families.catalog import family

FAMILY = family("package-conflict")

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        "TypeError: this __dict__ descriptor does not support '_DictWrapper' objects",
        "ImportError: generic_type: type 'InterpreterWrapper' is already registered!",
        'File "/site-packages/tflite_support/__init__.py", line 53, in <module>\nImportError:'
        " generic_type: cannot initialize type 'StatusCode': an object with that name is",
    ],
)


def test_the_release_to_install_is_named():
    (match,) = explain("TypeError: descriptor does not support '_DictWrapper' objects").matches
    assert "wrapt, which holds the dictionaries of a SavedModel, is of a newer release" in (
        match.message
    )
    assert "wrapt==1.14.1" in match.fix
    other = 'generic_type: cannot initialize type "StatusCode": an object with that name is'
    assert ids(f'File "/site-packages/ortools/init.py"\nImportError: {other}') == []
    assert ids("TypeError: '_DictWrapper' objects cannot be written as JSON") == []
