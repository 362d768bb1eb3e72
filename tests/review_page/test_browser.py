"""The page in a real browser, on the real server."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra review is not installed")

from shelves import evidence_of

from beyondcam.evidence import Shelf, Threshold, find_shelf, write_evidence
from beyondcam.review_page import Desk, open_server, worst_first
from beyondcam.reviews import Reviews, open_reviews
from beyondcam.seeds import labels_at
from conftest import complaint
from small import SmallRun

Page = Any
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens a page in a window of its own, which must report no error and ask nobody else for anything."""
    errors, requests, addresses, contexts = [], [], [], []

    def open_page(address: str, width: int = 1300, height: int = 850, *, touch: bool = False) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch)
        contexts.append(context)
        addresses.append(address)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("body[data-shown]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
    assert all(url.startswith(tuple(addresses)) for url in requests)


@contextmanager
def served(small: SmallRun) -> Iterator[str]:
    """The address of the page, served by this process."""
    images = small.images()
    shelf, tau = find_shelf(small.run, images, "best"), Threshold(0.2)
    order = worst_first(images, shelf, tau, None).results
    desk = Desk(images, shelf, tau, open_reviews(small.run, images), "eva", order)
    server, listener, address = open_server(desk, 0)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def commanded(small: SmallRun) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of the page, served by the real command."""
    config = {"train": {"data": small.data, "split": "all"}, "classes": ["cat", "dog"]}
    (small.run / "config.json").write_text(json.dumps(config))
    words = ["review", str(small.run), "--who", "eva", "--threshold", "0.2"]
    with subprocess.Popen([sys.executable, "-m", "beyondcam", *words], stdout=-1, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def reviews_of(small: SmallRun) -> Reviews:
    return open_reviews(small.run, small.images())


def shown(page: Page, number: int) -> None:
    page.wait_for_selector(f"body[data-shown='{number}']")


def until(page: Page, expression: str) -> None:
    """Wait for an expression of the page to be true; `wait_for_function` is refused by its policy."""
    for _ in range(300):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)


def drawn(page: Page) -> np.ndarray:
    """The labels that the page shows, told by their colours; -1 for a colour of no class."""
    colours = page.evaluate("list.classes.map(({colour: [r, g, b]}) => [r, g, b, 255])")
    width, height, pixels = page.evaluate("""() => {
        const { width, height } = mask.canvas;
        return [width, height, [...mask.getImageData(0, 0, width, height).data]];
    }""")
    rgba = np.array(pixels).reshape(height, width, 4)
    labels = np.where(rgba[..., 3] == 0, 0, -1)
    for k, colour in enumerate(colours, 1):
        labels[(rgba == colour).all(-1)] = k
    return labels


@pytest.fixture
def random(small: SmallRun) -> tuple[SmallRun, Shelf]:
    """Three images whose evidence is random, of few levels, so that there are ties."""
    shelf, rng = small.shelf("best"), np.random.default_rng(0)
    for n, i in enumerate(small.ids):
        levels = rng.integers(0, 256, (2, 4, 4)) if n else rng.integers(0, 5, (2, 4, 4)) * 60
        write_evidence(shelf, i, evidence_of(levels, (1, 0)))
    return small, shelf


def test_what_the_slider_and_the_keys_show_is_what_is_written(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, shelf = random
    with served(small) as address:
        page = new_page(address)
        order = page.evaluate("list.images.map(image => image.id)")
        for n, image_id in enumerate(order):
            shown(page, n)
            evidence = shelf.read(image_id)
            levels = {0: 114, 1: 114}  # of τ 0.2
            assert (drawn(page) == labels_at(evidence, levels)).all()
            for level in (0, 59, 60, 119, 120, 180, 254, 255):
                page.locator("input[type=range][aria-label='τ of dog']").fill(str(level))
                levels[1] = level
                assert (drawn(page) == labels_at(evidence, levels)).all()
            page.keyboard.press("Tab")  # away from the slider, whose arrow keys are its own
            page.evaluate("document.activeElement.blur()")
            page.keyboard.press("2")  # cat, since the evidence has dog first
            for key, by in [("ArrowDown", -2)] * 2 + [("Shift+ArrowUp", 16)] * 2:
                page.keyboard.press(key)
                levels[0] += by
                assert (drawn(page) == labels_at(evidence, levels)).all()
            page.keyboard.press("1")
            page.keyboard.press("x")
            assert (drawn(page) == labels_at(evidence, {0: levels[0]})).all()
            if n == 1:
                page.get_by_label("dog", exact=True).check()
            elif n == 2:
                page.keyboard.press("b")  # back to what was suggested
                levels = {0: 114, 1: 114}
            on = {0: levels[0]} if n == 0 else levels
            assert (drawn(page) == labels_at(evidence, on)).all()
            page.keyboard.press("a")
            shown(page, min(n + 1, 2))
            until(page, f"list.states[{n}] === 'a'")
            written = reviews_of(small).current()[image_id]
            assert (reviews_of(small).read(written) == labels_at(evidence, on)).all()
        page.get_by_text("All done").wait_for()


def test_keys_decide_go_back_and_show(random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]) -> None:
    small, _ = random
    with served(small) as address:
        page = new_page(address)
        a, b, c = page.evaluate("list.images.map(image => image.id)")

        def press(key: str, number: int) -> None:
            page.keyboard.press(key)
            shown(page, number)

        def states() -> dict[str, str]:
            return {i: decision.state for i, decision in reviews_of(small).current().items()}

        page.get_by_text("3 left").wait_for()
        press("r", 1)
        assert states() == {a: "rejected"}  # on disk before the next is shown
        press("s", 2)
        assert states() == {a: "rejected", b: "skipped"}
        page.get_by_text("1 left of 3 · 1 rejected · 1 skipped").wait_for()
        press("u", 1)
        assert states() == {a: "rejected"}
        press("u", 0)
        assert not states()
        page.get_by_text("3 left").wait_for()
        page.keyboard.press("u")  # there is nothing more to take back
        press("ArrowRight", 1)
        press("ArrowLeft", 0)
        press("ArrowLeft", 2)
        page.locator("#accept").click()
        shown(page, 0)
        page.locator("#skip").click()
        shown(page, 1)
        page.locator("#reject").click()
        shown(page, 0)  # the one that was skipped
        assert states() == {c: "accepted", a: "skipped", b: "rejected"}
        page.get_by_text("None left but those you skipped").wait_for()
        page.locator("#undo").click()
        shown(page, 1)
        assert states() == {c: "accepted", a: "skipped"}


def test_a_key_held_down_decides_once_and_the_focus_stays(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, _ = random
    with served(small) as address:
        page = new_page(address)
        page.keyboard.down("a")
        for _ in range(3):
            shown(page, 1)
            page.keyboard.down("a")  # as a key that is held repeats
        page.keyboard.up("a")
        assert len(reviews_of(small).current()) == 1
        page.locator("#on-1").focus()
        page.keyboard.press(" ")
        assert page.evaluate("document.activeElement.id") == "on-1"
        page.keyboard.press("b")
        assert page.evaluate("document.activeElement.id") == "on-1"


def test_the_suggestion_comes_back_at_once_and_the_chosen_class_stays(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    with served(random[0]) as address:
        page = new_page(address)
        for key in ("x", "2", "x", "ArrowUp", "1"):
            page.keyboard.press(key)
        count = "(of => { times = 0; winnersOf = (a) => { times += a === view; return of(a); }; })(winnersOf)"
        page.evaluate(count)  # of the photo that is shown: the next one may still be loading
        page.keyboard.press("b")
        assert page.evaluate("view.targets.map(({level, on}) => [level, on])") == [[114, True]] * 2
        assert page.evaluate("[chosen, times]") == [0, 1]


def test_a_photo_that_cannot_be_shown_does_not_hold_up_the_others(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, _ = random
    with served(small) as address:
        page = new_page(address)
        _, b, _ = page.evaluate("list.images.map(image => image.id)")
        (small.root / f"images/{b}.png").write_bytes(b"no photo")
        page.reload()
        shown(page, 0)
        page.keyboard.press("a")
        shown(page, 1)
        page.get_by_text(f"{b}.png").wait_for()
        page.keyboard.press("s")
        shown(page, 2)
        page.keyboard.press("a")
        page.get_by_text("None left but those that cannot be shown").wait_for()
        assert len(reviews_of(small).current()) == 2


def test_the_view_is_zoomed_and_the_mask_fades(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    with served(random[0]) as address:
        page = new_page(address)
        before = page.evaluate("document.querySelector('#sheet').getBoundingClientRect().width")
        page.keyboard.press("+")
        page.keyboard.press("+")
        width = page.evaluate("document.querySelector('#sheet').getBoundingClientRect().width")
        assert width == pytest.approx(before * 2.25)
        page.keyboard.press("0")
        assert page.evaluate("document.querySelector('#sheet').getBoundingClientRect().width") == before
        page.mouse.move(300, 300)
        page.mouse.wheel(0, -400)
        until(page, "zoom.scale > 2")
        page.keyboard.press("m")
        assert not page.locator("#mask").is_visible()
        page.keyboard.press("m")
        opacity = page.evaluate("+getComputedStyle(document.querySelector('#mask')).opacity")
        page.keyboard.press("p")
        assert page.evaluate("+getComputedStyle(document.querySelector('#mask')).opacity") > opacity
        for key in page.evaluate("KEYS.map(([, , key]) => key)"):
            assert page.locator("#keys kbd", has_text=key).first.is_visible()


def test_fingers_move_and_zoom_the_photo_and_not_the_page(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    with served(random[0]) as address:
        page = new_page(address, 400, 800, touch=True)
        fingers = page.context.new_cdp_session(page)
        box = page.locator("#stage").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

        def touch(*paths: list[tuple[int, int]]) -> None:
            """Put a finger down at the start of each path, from the middle, and move them to its end."""
            paths = tuple([(middle[0] + x, middle[1] + y) for x, y in path] for path in paths)
            for n, points in enumerate(zip(*paths, strict=True)):
                at = [{"id": k, "x": x, "y": y} for k, (x, y) in enumerate(points)]
                kind = "touchMove" if n else "touchStart"
                fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
            fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        touch(*([(20 + sign * (20 + 5 * n), 0) for n in range(9)] for sign in (-1, 1)))
        until(page, "zoom.scale === 3")  # they are three times as far apart
        assert page.evaluate("[zoom.x, zoom.y]") == pytest.approx([-40, 0])  # the point between them stays
        touch([(0, 5 * n) for n in range(21)])
        until(page, "zoom.y === 100")
        assert page.evaluate("[zoom.x, zoom.scale]") == pytest.approx([-40, 3])
        assert page.evaluate("[visualViewport.scale, scrollY, held.size]") == [1, 0, 0]
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 30, middle[1] - 10, steps=3)
        page.mouse.up()
        page.mouse.move(*middle)  # nothing is held any more
        assert page.evaluate("[zoom.x, zoom.y]") == pytest.approx([-10, 90])


def test_a_kill_loses_nothing_and_a_second_tab_loses_nothing_of_the_first(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, _ = random
    with commanded(small) as (address, process):
        page, second = new_page(address), new_page(address)
        a, b, c = page.evaluate("list.images.map(image => image.id)")
        page.keyboard.press("r")
        shown(page, 1)
        second.keyboard.press("a")  # of the first image, about which the other tab has decided since
        second.get_by_text("rejected elsewhere, by eva").wait_for()
        assert reviews_of(small).current()[a].state == "rejected"
        second.keyboard.press("ArrowRight")
        shown(second, 1)
        second.keyboard.press("s")
        shown(second, 2)
        page.keyboard.press("ArrowRight")
        shown(page, 2)
        page.locator("input[type=range][aria-label='τ of dog']").fill("7")
        page.keyboard.press("a")
        until(page, "list.states === 'rsa'")
        process.kill()
        process.wait()
        page.locator("#undo").click()
        page.get_by_text("no longer answers").wait_for()
    with commanded(small) as (again, _):
        assert again != address
        page = new_page(again)
        assert page.evaluate("list.states") == "rsa"
        page.get_by_text("0 left").wait_for()
        page.locator("#list button", has_text=c).click()
        shown(page, 2)
        assert page.evaluate("view.targets.map(({level}) => level)") == [7, 114]
        assert (drawn(page) == reviews_of(small).read(reviews_of(small).current()[c])).all()
        page.keyboard.press("u")  # also what was decided before the kill
        until(page, "list.states === 'rs-'")
    assert set(reviews_of(small).current()) == {a, b}


def test_a_mask_that_was_decided_about_elsewhere_since_is_not_accepted_unseen(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, _ = random
    with served(small) as address:
        page = new_page(address)
        a, _, _ = page.evaluate("list.images.map(image => image.id)")
        page.keyboard.press("a")
        shown(page, 1)
        page.keyboard.press("ArrowLeft")
        shown(page, 0)
        reviews_of(small).decide(a, "rejected", "Bo")
        page.keyboard.press("a")
        page.get_by_text("rejected elsewhere, by Bo").wait_for()
        assert page.evaluate("list.states") == "r--"
        assert page.locator("#about").inner_text().count("rejected by Bo") == 1
        page.keyboard.press("a")  # now that it was seen
        shown(page, 1)
        page.keyboard.press("ArrowLeft")
        shown(page, 0)
        page.keyboard.press("a")  # which is so already
        shown(page, 1)
        page.keyboard.press("u")
        until(page, "list.states === 'r--'")


def test_a_decision_that_could_not_be_saved_leaves_the_sliders(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, _ = random
    with served(small) as address:
        page = new_page(address)
        page.locator("input[type=range][aria-label='τ of dog']").fill("7")
        in_the_way = small.run / "reviews"
        in_the_way.write_bytes(b"no folder")
        page.locator("#accept").click()
        page.get_by_text("could not be written").wait_for()
        assert page.evaluate("view.targets.map(({level}) => level)") == [7, 114]
        in_the_way.unlink()
        page.locator("#accept").click()
        shown(page, 1)
    (written,) = reviews_of(small).current().values()
    assert written.levels == {"dog": 7, "cat": 114}


def test_a_corrected_mask_is_shown_as_it_is_until_somebody_moves_a_slider(
    random: tuple[SmallRun, Shelf], new_page: Callable[..., Page]
) -> None:
    small, shelf = random
    mask = np.array([[0, 1, 2, 255]] * 4, np.uint8)
    reviews_of(small).decide("b", "corrected", "Bo", mask=mask)
    with served(small) as address:
        page = new_page(address)
        n = page.evaluate("list.images.findIndex(image => image.id === 'b')")
        page.locator("#list button").nth(n).click()
        shown(page, n)
        page.get_by_text("corrected by Bo").wait_for()
        assert drawn(page).tolist() == [[0, 1, 2, -1]] * 4  # void has a colour of its own
        page.keyboard.press("a")
        until(page, f"document.body.dataset.shown !== '{n}'")
        assert reviews_of(small).current()["b"].state == "corrected"
        page.locator("#list button").nth(n).click()
        shown(page, n)
        page.locator("input[type=range][aria-label='τ of dog']").fill("7")
        assert (drawn(page) == labels_at(shelf.read("b"), {0: 114, 1: 7})).all()
        page.keyboard.press("a")
        until(page, f"list.states[{n}] === 'a'")


def test_a_thousand_images_in_a_narrow_window(tmp_path: Path, new_page: Callable[..., Page]) -> None:
    small = SmallRun(tmp_path / "many", tuple(f"{n:04d}" for n in range(1000)))
    shelf = small.shelf("best")
    levels = np.arange(32).reshape(2, 4, 4) * 8
    for i in small.ids:
        write_evidence(shelf, i, evidence_of(levels, (0, 1)))
    with served(small) as address:
        page = new_page(address, 400, 800)
        assert page.locator("#list li").count() == 1000
        page.get_by_text("1000 left").wait_for()
        assert page.evaluate("document.scrollingElement.scrollWidth") == 400
        for name in ("stage", "accept", "reject", "skip", "undo", "counts"):
            box = page.locator(f"#{name}").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400
            assert box["y"] + box["height"] <= 800
        for number in range(1, 6):
            page.locator("#accept").click()
            shown(page, number)
        page.locator("#list button").nth(999).click()
        shown(page, 999)
        page.keyboard.press("ArrowRight")
        shown(page, 0)
        page.keyboard.press("ArrowLeft")
        shown(page, 999)
        assert page.evaluate("""() => {
            const list = document.querySelector('#list').getBoundingClientRect();
            const row = document.querySelector('[aria-current]').getBoundingClientRect();
            return list.top <= row.top && row.bottom <= list.bottom + 1 && list.height > 100;
        }""")
        page.get_by_text("995 left of 1000 · 5 accepted").wait_for()


def test_a_port_that_is_taken_is_said_in_one_line(random: tuple[SmallRun, Shelf]) -> None:
    small, shelf = random
    desk = Desk(small.images(), shelf, Threshold(0.2), reviews_of(small), "eva", {})
    with open_server(desk, 0).listener as listener:
        complaint(lambda: open_server(desk, listener.getsockname()[1]), "port: ", "in use", "another")
