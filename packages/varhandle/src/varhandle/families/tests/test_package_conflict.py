"""A package beside TensorFlow whose release does not fit."""

from family_checks import log_test

from varhandle.families.catalog import family

FAMILY = family("package-conflict")

test_it_shows_in_a_log = log_test(
    FAMILY,
    ["TypeError: this __dict__ descriptor does not support '_DictWrapper' objects"],
)


def test_the_release_to_install_is_named():
    assert "wrapt==1.14.1" in FAMILY.fix
