"""What is shown of a location: text, panel and page, of a comparison made by hand."""

import json
import re

import pytest
from bs4 import BeautifulSoup
from made_location import HOSTILE, made_location

from varhandle.divergence.drift import adds_most, factor
from varhandle.divergence.side_by_side import short_name


def page(**how):
    return BeautifulSoup(made_location(**how).page(), "html.parser")


def test_the_text_has_the_ops_around_the_one_that_parts():
    lines = made_location(name="net").text().splitlines()
    numbers = [int(found[1]) for line in lines if (found := re.match(r"[> ] [✓≈✗]\s+(\d+) ", line))]
    assert numbers == list(range(9, 16))
    (here,) = [line for line in lines if line.startswith(">")]
    assert "12" in here
    assert " 100 " in here  # times what is allowed


def test_of_an_agreeing_file_no_op_stands_out():
    assert "\n>" not in made_location(parting=None).text()
    assert not page(parting=None).select("[aria-current]")


def test_the_page_has_every_op_once_and_the_parting_one_in_the_open():
    shown = page()
    assert [row["data-number"] for row in shown.select("[data-number]")] == list(
        map(str, range(30))
    )
    (here,) = shown.select("summary[aria-current]")
    assert here.parent["id"] == "op-12"
    assert not here.find_parents(class_="stretch")
    assert [len(one.select("[data-number]")) for one in shown.select(".stretch")] == [8, 13]


def test_a_pair_tells_its_values_and_its_error():
    (row,) = page(name="net").select("#op-12 .values")
    told = row.get_text(" ")
    assert "Largest error 0.01 at [0, 3], mean 0.005" in told
    cells = [[cell.get_text() for cell in line.select("td")] for line in row.select("tr")]
    assert cells[2] == ["value 1", "2.5", "2"]
    assert cells[3] == ["where the error is largest", "net", "4"]


@pytest.mark.parametrize("form", ["page", "html"])
def test_names_of_a_strangers_file_are_no_markup(form):
    text = getattr(made_location(), form)()
    shown = BeautifulSoup(text, "html.parser")
    assert "alert(1)</script>" not in text
    assert not shown.select("img[onerror]")
    assert "\u202e" not in text
    assert len(shown.find_all("script")) == (form == "page")
    assert HOSTILE[9:17] in shown.get_text()  # it is there, as text


def test_a_panel_is_small_and_has_no_script_whatever_the_file():
    panel = BeautifulSoup(made_location(count=3000, parting=1500, name="net").html(), "html.parser")
    assert len(panel.select("[data-number]")) == 9
    assert "1496 ops" in panel.get_text()


def test_what_a_loop_runs_stands_under_it_and_can_be_folded():
    shown = page(count=14, inside=["iteration 2", "the first branch"])
    (here,) = shown.select("summary[aria-current]")
    assert here.parent["id"] == "op-12.12.12"
    assert [one.select_one("summary").get_text()[:22] for one in shown.select(".inside")] == [
        *("iteration 2 of 12 ADD:", "the first branch of 12"),
    ]
    keys = [row["data-number"] for row in shown.select("[data-number]")]
    assert len(keys) == len(set(keys)) == 3 * 14
    assert shown.select_one("#op-12\\.12\\.5")["data-inputs"] == "12.12.0 12.12.4"
    assert [link["href"] for link in shown.select(".headline a")] == ["#op-12.12.12"]


def test_the_text_has_the_ops_around_the_innermost_too():
    lines = made_location(name="net", inside=["iteration 2"]).text().splitlines()
    assert "iteration 2:" in lines
    assert sum(line.startswith(">") for line in lines) == 2


def test_the_values_inside_are_no_part_of_the_json():
    told = made_location(name="net", inside=["iteration 2"]).as_dict()
    (step,) = told["first"]["inside"]
    assert len(step["pairs"]) == 30
    assert "got" not in step["pairs"][0]
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_op_that_adds_most_is_not_the_one_that_inherits():
    found = made_location()
    assert adds_most(found.ops, found.pairs)[0] == 12
    late = [dict(pair) for pair in found.pairs]
    late[20]["share"] = 2e-2
    assert adds_most(found.ops, late)[0] == 20
    late[20]["added"] = 1e-6  # run again on the file's own inputs, it adds next to nothing
    assert adds_most(found.ops, late)[0] == 12


def test_a_name_is_cut_at_its_beginning():
    assert short_name("StatefulPartitionedCall/net/layer/Relu;net/layer/conv") == "net/layer/Relu"
    assert short_name("a" * 30 + "/" + "b" * 30) == "b" * 30


def test_without_its_styles_the_words_of_a_row_stay_apart():
    """A notebook that nobody has trusted drops the style, and all classes with it."""
    panel = BeautifulSoup(made_location(name="net").html(), "html.parser")
    row = panel.select_one("#op-12 summary").get_text()
    assert re.search(r"\S \| ✗ differs\s*0\.\d+.* \| 12 ADD ", row)
    assert panel.select_one(".heads").get_text() == "the model | the file"


@pytest.mark.parametrize(
    ("times", "words"),
    [(0.0015, "0.0015"), (14.2, "14"), (123.4, "120"), (7234.5, "7,200"), (2e7, "2e+07")],
)
def test_a_factor_is_read_at_once(times, words):
    assert factor(times) == words
