"""The page of `locate` in Chromium: by keyboard, dark, on a phone, and asking nobody."""

import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_axe import faults
from made_location import made_location
from PIL import Image, ImageColor

pytestmark = pytest.mark.browser


@pytest.fixture
def reader(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    asked, errors = [], []
    context.on("request", lambda request: asked.append(urlsplit(request.url).scheme))
    context.on("console", lambda said: said.type == "error" and errors.append(said.text))
    context.on("weberror", lambda found: errors.append(str(found.error)))
    context.on("dialog", lambda dialog: errors.append(dialog.message))
    yield page
    context.close()
    assert set(asked) <= {"file", "data"}
    assert errors == []


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("locate") / "locate.html"
    path.write_text(made_location().page())
    return path.as_uri()


@pytest.fixture(scope="module")
def loop_address(tmp_path_factory):
    path = tmp_path_factory.mktemp("locate") / "locate-loop.html"
    path.write_text(made_location(inside=["iteration 2", "the first branch"]).page())
    return path.as_uri()


def focused(page):
    return page.evaluate("document.activeElement.parentElement.id")


def test_the_op_that_parts_is_in_the_middle_of_the_view(reader, address):
    reader.goto(address)
    box = reader.locator("[aria-current]").bounding_box()
    assert 200 < box["y"] + box["height"] / 2 < 600
    # Its neighbors are linked: the lines between the ops, on both sides.
    reader.wait_for_function("document.querySelectorAll('.edges path').length >= 16")


def test_everything_is_reached_by_keyboard(reader, address):
    reader.goto(address)
    reader.keyboard.press("Tab")  # "go to it"
    reader.keyboard.press("Enter")
    assert focused(reader) == "op-12"
    reader.keyboard.press("Enter")
    assert reader.locator("#op-12 .values").is_visible()
    assert "Largest error" in reader.locator("#op-12 .values").inner_text()
    reader.keyboard.press("ArrowLeft")
    assert not reader.locator("#op-12 .values").is_visible()
    reader.keyboard.press("ArrowDown")
    assert focused(reader) == "op-13"
    for _ in range(6):
        reader.keyboard.press("ArrowUp")
    reader.keyboard.press("ArrowRight")  # the folded ops before it
    reader.keyboard.press("ArrowDown")
    assert focused(reader) == "op-0"


def test_a_mark_of_the_drift_leads_to_its_op(reader, address):
    reader.goto(address)
    reader.locator("svg [data-op='28']").click(force=True)
    assert focused(reader) == "op-28"
    assert reader.locator("#op-28 > summary").is_visible()


def test_what_a_loop_runs_is_reached_and_folded(reader, loop_address):
    reader.goto(loop_address)
    box = reader.locator("[aria-current]").bounding_box()
    assert 200 < box["y"] + box["height"] / 2 < 600
    reader.locator(".headline a").click()
    assert focused(reader) == "op-12.12.12"
    reader.keyboard.press("ArrowUp")
    assert focused(reader) == "op-12.12.11"
    drawn = reader.locator(".edges path").count()
    reader.locator(".inside .inside > summary").focus()
    reader.keyboard.press("ArrowLeft")
    assert not reader.locator("#op-12\\.12\\.11").is_visible()
    # A browser tells of a fold in a task of its own, and the lines are drawn then.
    reader.wait_for_function(
        "drawn => document.querySelectorAll('.edges path').length < drawn", arg=drawn
    )
    reader.locator(".headline a").click()  # it is opened again
    assert focused(reader) == "op-12.12.12"


@pytest.fixture(params=["address", "loop_address"])
def any_address(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_too_wide(reader, any_address, pictures, scheme, width):
    reader.emulate_media(color_scheme=scheme)
    reader.set_viewport_size({"width": width, "height": 800})
    reader.goto(any_address)
    reader.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert faults(reader, None, wcag_only=False) == []
    assert reader.evaluate("document.documentElement.scrollWidth") <= width
    ground = reader.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    reader.screenshot(path=str(pictures / f"{Path(any_address).stem}-{scheme}-{width}.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])  # of the system, which JupyterLab ignores
@pytest.mark.parametrize(("is_light", "ground"), [("true", "#ffffff"), ("false", "#111111")])
def test_in_jupyterlab_the_theme_decides(reader, tmp_path, scheme, is_light, ground):
    reader.emulate_media(color_scheme=scheme)
    path, body = tmp_path / "panel.html", f'<body data-jp-theme-light="{is_light}">'
    path.write_text(f"{body}{made_location().html()}</body>")
    reader.goto(path.as_uri())
    chosen = "getComputedStyle(document.querySelector('.varhandle-locate')).colorScheme"
    assert reader.evaluate(chosen) == ("light" if is_light == "true" else "dark")
    # The drift is a picture, with a ground of its own.
    box = reader.locator("figure img").bounding_box()
    shot = Image.open(io.BytesIO(reader.screenshot(full_page=True))).convert("RGB")
    assert shot.getpixel((int(box["x"] + 6), int(box["y"] + 6))) == ImageColor.getrgb(ground)


def test_what_is_opened_does_not_cover_the_headline(reader, address):
    reader.goto(address)
    reader.locator(".headline a").click()
    reader.keyboard.press("Enter")
    reader.locator("figure").scroll_into_view_if_needed()
    headline = reader.locator(".headline").bounding_box()
    values = reader.locator("#op-12 .values").bounding_box()
    assert values["y"] < headline["y"] + headline["height"] / 2  # it is scrolled behind it
    on_top = "([x, y]) => document.elementFromPoint(x, y).closest('.headline') !== null"
    place = [values["x"] + 60, headline["y"] + headline["height"] / 2]
    assert reader.evaluate(on_top, place)
