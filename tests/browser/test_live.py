"""Pages that keep themselves up to date, and the reader's place in them."""

from __future__ import annotations

import time

import pytest

expect = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install it"
).expect

MINUTE = 60_000


def is_refresh(response):
    return "_live=1" in response.url


@pytest.fixture
def refreshes(enter):
    """Return a page with a clock that stands still, and the list of its refreshes."""

    def refreshes(person, address):
        page, seen, now = enter(person), [], time.time()
        # Before the page is opened: else it might refresh itself before it stands still.
        page.clock.install(time=now)
        page.clock.pause_at(now + 1)
        page.on(
            "requestfinished", lambda it: seen.append(it) if is_refresh(it) else None
        )
        page.goto(address)
        return page, seen

    return refreshes


def run_on(page):
    """Let the clock of a page run until it has refreshed itself."""
    with page.expect_event("requestfinished", is_refresh):
        page.clock.run_for(2_500)
    settle(page)


def settle(page):
    """Wait until the answer has been dealt with."""
    expect(page.locator(".htmx-request")).to_have_count(0)


def forget(page, region, element):
    """Remove an element of a region: when it is back, the region has been replaced."""
    page.locator(region).evaluate("region => { region.durableTag = ''; }")
    element.evaluate("element => element.remove()")


def test_what_is_typed_into_an_answer_stays_while_the_page_refreshes(refreshes, site):
    page, _ = refreshes("fiona", site.pages["question approval"])
    comment = page.get_by_role("textbox", name="Comment")
    comment.press_sequentially("I have se")
    forget(page, "#durable-question", page.locator("#durable-question .durable-terms"))

    run_on(page)

    expect(page.locator("#durable-question .durable-terms")).to_be_visible()
    comment.press_sequentially("en it")
    expect(comment).to_have_value("I have seen it")


def test_nothing_refreshes_while_one_types_in_what_would_be_replaced(refreshes, site):
    page, seen = refreshes("admin", site.pages["execution waiting"] + "?tab=logs")
    step = page.get_by_label("Step")
    step.press_sequentially("che")

    page.clock.run_for(MINUTE)

    assert seen == []
    expect(page.locator("[data-live-text]")).to_have_text("Paused")
    expect(step).to_be_focused()
    expect(step).to_have_value("che")


def test_what_was_typed_before_stays_when_the_page_refreshes(refreshes, site):
    page, _ = refreshes("admin", site.pages["execution waiting"] + "?tab=logs")
    step = page.get_by_label("Step")
    step.press_sequentially("check")
    step.blur()
    badge = page.locator("#durable-execution h1 .durable-badge")
    forget(page, "#durable-execution", badge)

    run_on(page)

    expect(badge).to_be_visible()
    expect(step).to_have_value("check")


def test_the_place_on_the_page_stays_while_it_refreshes(refreshes, site):
    page, _ = refreshes("admin", site.pages["execution list"])
    row = page.locator("#result_list tbody tr").nth(12)
    row.scroll_into_view_if_needed()
    page.evaluate("window.scrollBy(0, 40)")
    before = page.evaluate("window.scrollY")
    assert before > 0
    forget(page, "#durable-list", row.locator(".durable-badge"))

    run_on(page)

    expect(row.locator(".durable-badge")).to_be_visible()
    assert page.evaluate("window.scrollY") == before


def test_what_the_reader_opened_stays_open_while_the_page_refreshes(refreshes, site):
    page, _ = refreshes("admin", site.pages["execution waiting"] + "?tab=data")
    data = page.locator("#durable-data details")
    input_ = page.locator("#durable-input details")
    data.locator("summary").click()
    expect(data).not_to_have_attribute("open", "")
    badge = page.locator("#durable-execution h1 .durable-badge")
    forget(page, "#durable-execution", badge)

    run_on(page)

    expect(badge).to_be_visible()
    expect(data).not_to_have_attribute("open", "")
    expect(input_).to_have_attribute("open", "")


def test_a_tab_that_is_hidden_asks_for_nothing_and_then_at_once(refreshes, site):
    page, seen = refreshes("admin", site.pages["execution waiting"])
    run_on(page)
    turn(page, is_hidden=True)
    count = len(seen)

    page.clock.run_for(10 * MINUTE)

    expect(page.locator("[data-live-text]")).to_have_text("Paused")
    assert len(seen) == count
    with page.expect_event("requestfinished", is_refresh):
        turn(page, is_hidden=False)
    settle(page)
    expect(page.locator("[data-live-text]")).to_have_text("Live")


def turn(page, *, is_hidden):
    """Turn to another tab, or back: in a browser without windows all are visible."""
    page.evaluate(
        """isHidden => {
            const property = {value: isHidden, configurable: true};
            Object.defineProperty(document, "hidden", property);
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_the_reader_turns_it_off_for_all_pages(refreshes, site):
    page, seen = refreshes("admin", site.pages["execution waiting"])
    page.get_by_role("button", name="Live").click()
    expect(page.locator("[data-live-text]")).to_have_text("Live is off")
    count = len(seen)

    page.clock.run_for(10 * MINUTE)
    page.goto(site.pages["inputrequest list"])
    page.clock.run_for(10 * MINUTE)

    assert len(seen) == count
    expect(page.locator("[data-live-text]")).to_have_text("Live is off")


def test_what_has_ended_is_asked_for_no_more(refreshes, site):
    page, seen = refreshes("admin", site.pages["execution completed"])

    page.clock.run_for(10 * MINUTE)

    assert seen == []
    expect(page.locator("[data-live-text]")).to_have_text("Ended")
