"""Every page: no complaints, enough contrast, labels, and a way for the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest

expect = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install it"
).expect

# Some fifty pages, one after the other.
pytestmark = pytest.mark.timeout(300)

JUDGE = (Path(__file__).parent / "pages.js").read_text()
MOST_STOPS = 400
# All of a page is in the window, so that one can ask what is where.
TALL = {"width": 1280, "height": 6000}
PHONE = {"width": 390, "height": 6000}
FOR_KEYS = (
    "execution list",
    "execution failed",
    "timeline of items",
    "question approval",
    "question form",
    "workflow process_order",
    "start handle_complaint",
    "cancel",
    "answer link",
)


def look_at(page, address):
    page.goto(address)
    page.evaluate(JUDGE)


def judged(page, name, *questions):
    """Return a line for each thing that is wrong with a page."""
    found = page.evaluate(
        "questions => questions.map(one => [one, judge[one]()])", list(questions)
    )
    return [f"{name}: {question}: {one}" for question, wrong in found for one in wrong]


def all_pages(site):
    """Return addresses by name, with the pages of those who have no account."""
    link = site.links[-1].removeprefix("http://127.0.0.1")
    broken = link[:-3]
    return {**site.pages, "answer link": link, "broken link": broken}


@pytest.fixture
def admin(enter, watch):
    watch.forgive(404)
    return enter("admin", viewport=TALL)


def test_every_page_can_be_read_in_light_and_dark_and_on_a_phone(admin, site):
    wrong = []
    for name, address in all_pages(site).items():
        look_at(admin, address)
        for scheme in ("light", "dark"):
            admin.emulate_media(color_scheme=scheme)
            wrong += judged(admin, f"{name}, {scheme}", "faint")
        wrong += judged(admin, name, "unlabelled", "nameless", "inline", "wide")
        admin.set_viewport_size(PHONE)
        wrong += judged(admin, f"{name}, on a phone", "wide")
        admin.set_viewport_size(TALL)

    assert wrong == []


def test_all_is_reached_by_keyboard_and_shows_where_one_is(admin, site):
    addresses, wrong = all_pages(site), []
    for name in FOR_KEYS:
        look_at(admin, addresses[name])
        wrong += [f"{name}: {one}" for one in walked(admin)]

    assert wrong == []


def walked(page):
    """Press Tab through a page; return what does not show it, and what is left out."""
    page.evaluate("judge.remember()")
    found = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        said = page.evaluate("judge.look()")
        if said == "end":
            break
        if said:
            found.append(f"does not show focus: {said}")
    missed = page.evaluate("judge.missed()")
    return found + [f"is not reached: {one}" for one in missed]


def test_our_own_markup_passes_with_the_theme_too(enter, site, site_with_theme, watch):
    watch.forgive(404)
    admin = enter("admin", viewport=TALL, base_url=site_with_theme)
    addresses, wrong = all_pages(site), []
    for name in ("execution list", "inputrequest list", "workflow list", *FOR_KEYS):
        look_at(admin, addresses[name])
        wrong += judged(admin, name, "inline", "wide", "faintOfOurs")

    assert wrong == []


def test_the_log_in_has_nothing_to_complain_about(enter):
    nobody = enter()
    nobody.goto("/admin/")
    expect(nobody.get_by_label("Username")).to_be_focused()
