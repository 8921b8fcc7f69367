"""The bottom floor: text and HTML of small results, the environment check, the bare import."""

import subprocess
import sys
from importlib import metadata

import pytest

from varhandle import display
from workbook_lib import environment, locations


def test_numbers_are_set_flush_right_and_lines_have_no_tail():
    table = display.table_text(("op", "count"), [("Const", 3), ("MatMul", 12)])
    assert table.splitlines() == [
        "op      count",
        "------  -----",
        "Const       3",
        "MatMul     12",
    ]


def test_an_empty_table_is_its_head():
    assert display.table_text(("a", "bc"), []).splitlines() == ["a  bc", "-  --"]


def test_html_escapes_and_names_its_columns():
    table = display.table_html(("<op>",), [("<b>",)], "a & b")
    assert "<b>" not in table
    assert "&lt;b&gt;" in table
    assert "a &amp; b" in table
    assert 'scope="col"' in table


@pytest.mark.parametrize("tone", display.TONES)
def test_a_panel_says_its_outcome_in_words_and_hides_the_mark_from_readers(tone):
    panel = display.panel_html(tone, "Not <right>")
    assert "Not &lt;right&gt;" in panel
    assert 'aria-hidden="true"' in panel


UNSAFE = [
    ("two\nlines", r"two\nlines"),
    ("carriage\rreturn", r"carriage\rreturn"),
    ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
    ("\x9b31m", r"\x9b31m"),  # the escape sequence's one-byte form
    ("a\u202etxt.exe", r"a\u202etxt.exe"),
    ("a\u2066b\u200bc", r"a\u2066b\u200bc"),
    ("\ud800", r"\ud800"),
    ("line\u2028separator", r"line\u2028separator"),
    ("\U000e0041tag", r"\U000e0041tag"),
    ("nul\0", r"nul\x00"),
]


@pytest.mark.parametrize(("name", "shown"), UNSAFE)
def test_a_name_is_shown_on_one_line_and_moves_nothing(name, shown):
    assert display.printable(name) == shown
    assert shown in display.table_text(("name",), [(name,)])
    assert shown in display.table_text((name,), [])
    assert shown in display.table_html(("name",), [(name,)], "caption")
    assert shown in display.table_html((name,), [], "caption")
    assert shown in display.table_html(("name",), [], name)
    assert shown in display.panel_html("right", name)


@pytest.mark.parametrize("name", ["dense/kernel:0", "größe_é", "層/重み", "a b", "C:\\model", ""])
def test_an_ordinary_name_is_shown_as_it_is(name):
    assert display.printable(name) == name


@pytest.mark.parametrize(
    ("most", "shown"), [(9, "0123…6789"), (4, "01…9"), (1, "…"), (20, "0123456789" * 2)]
)
def test_of_a_long_name_both_ends_are_shown(most, shown):
    assert display.printable("0123456789" * 2, most) == shown
    assert len(display.printable("x" * 10**6)) == 300
    assert len(display.printable("x" * 10**6, most=None)) == 10**6


def test_a_name_of_a_megabyte_does_not_widen_every_row():
    table = display.table_text(("name", "size"), [("x" * 10**6, 1), ("y", 2)])
    assert len(table) < 20_000


def test_what_is_no_text_is_shown_as_str_gives_it():
    assert display.printable(3) == "3"
    assert display.printable(None) == "None"


def test_a_result_of_one_line_is_shown_as_its_repr():
    class Line(display.Rich):
        def __repr__(self):
            return "Line(<1>)"

    forms = Line()._repr_mimebundle_()
    assert forms["text/plain"] == "Line(<1>)"
    assert "Line(&lt;1&gt;)</pre>" in forms["text/html"]


HEAVY = "{'tensorflow', 'IPython', 'ipywidgets', 'matplotlib', 'h5py', 'google.protobuf'}"


@pytest.mark.parametrize(
    "module",
    [
        *("environment", "lesson", "show", "controls", "samples", "runs"),
        *("controls.slow_work", "controls.recipes", "controls.graph_walking", "show.netron_view"),
    ],
)
def test_importing_a_part_imports_nothing_heavy(module):
    source = (
        f"import sys, workbook_lib.{module} as part\n"
        "getattr(part, 'check_environment', list)()\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_environment_check_works_where_no_package_is_installed():
    source = (
        "from workbook_lib.environment import check_environment\n"
        "found = check_environment()\n"
        "print(repr(found), found.html()[:5])"
    )
    done = subprocess.run(  # -S: no site-packages
        [sys.executable, "-S", "-c", source],
        capture_output=True, text=True, check=True, cwd=locations.project_root(),
    )  # fmt: skip
    assert done.stdout.startswith("Environment(not ready: the packages")
    assert done.stdout.endswith("<pre>\n")


def test_this_machine_is_ready():
    found = environment.check_environment()
    assert found.ready, found.text()
    assert metadata.version("tensorflow") in found.text()


def test_a_missing_package_is_a_finding_with_advice(monkeypatch):
    monkeypatch.setattr(environment, "ALWAYS_LISTED", ("tensorflow", "no-such-package"))
    found = environment.check_environment()
    assert not found.ready
    assert "no-such-package" in repr(found)
    bad = next(f for f in found.findings if not f.ok)
    assert "make setup" in bad.advice


@pytest.mark.parametrize(
    ("wanted", "bad"),
    [(["tensorflow>=99"], True), (["tensorflow>=2"], False), (["keras>=3"], True), (None, True)],
)
def test_what_will_do_is_what_the_workbook_asks_for(monkeypatch, wanted, bad):
    monkeypatch.setattr(environment, "ALWAYS_LISTED", ("tensorflow",))
    monkeypatch.setattr(environment.metadata, "requires", lambda name: wanted)
    assert ("tensorflow" in repr(environment.check_environment())) is bad


def test_the_workbook_asks_for_every_package_that_is_looked_at():
    assert set(environment.ALWAYS_LISTED) <= environment._required_releases().keys()


@pytest.mark.parametrize("module", ["psutil", "packaging.requirements"])
def test_it_does_not_raise_without_a_package_of_its_own(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    bad = [f for f in environment.check_environment().findings if not f.ok]
    assert len(bad) == 1
    assert module in bad[0].found
    assert "make setup" in bad[0].advice


def test_it_does_not_raise_where_the_workbook_is_not_installed(monkeypatch):
    monkeypatch.setattr(environment, "DISTRIBUTIONS", ("no-such-workbook",))
    assert repr(environment.check_environment()) == "Environment(not ready: the packages)"


def test_a_package_without_a_version_is_a_finding(monkeypatch):
    monkeypatch.setattr(environment.metadata, "version", lambda name: None)
    found = environment.check_environment()
    names = {f.what for f in found.findings if f.found == "not known"}
    assert names >= {*environment.ALWAYS_LISTED, "numpy", "lazy-loader"}


def test_a_wrong_python_is_a_finding(monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 1))
    assert environment._python().advice.startswith("Use Python 3.10 to 3.13")


def test_too_little_memory_and_disk_are_findings(monkeypatch):
    monkeypatch.setattr(environment, "_MEMORY_GIB", 1e9)
    monkeypatch.setattr(environment, "_DISK_GIB", 1e9)
    bad = {f.what for f in environment.check_environment().findings if not f.ok}
    assert bad == {"free memory", "free disk"}


def test_missing_files_are_a_finding(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "data_path", lambda name: tmp_path / name)
    assert "data/digits.npz" in environment._files().advice
