"""An evening at the shop. Nobody reloads a page."""

from __future__ import annotations

import re

import pytest

expect = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install it"
).expect

CHANGE = re.compile(r"/execution/[0-9a-f-]+/change/")


def start_order(page, site, number):
    """Start the workflow of an order from the catalogue, and be on its page."""
    page.goto(site.pages["workflow list"])
    page.get_by_role("link", name="Start process_order").click()
    page.get_by_label("Order").select_option(str(site.orders[number]))
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(CHANGE)


def status(page):
    return page.locator("#durable-execution h1 .durable-badge")


def sentence(page):
    return page.locator("#durable-execution .durable-sentence")


def messages(page):
    return page.locator(".messagelist")


def open_question(page, execution_url):
    """Come to the question of an execution from the list of all questions."""
    id_ = execution_url.split("/execution/")[1].split("/")[0]
    page.goto("/admin/")
    page.get_by_role("link", name="Inputs").first.click()
    card = page.locator(".durable-card").filter(has=page.locator(f'a[href*="{id_}"]'))
    card.get_by_role("heading").get_by_role("link").click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_an_order_is_started_approved_and_seen_to_complete(enter, site):
    admin, fiona = enter(), enter("fiona")
    admin.goto("/")
    admin.get_by_label("Username").fill("admin")
    admin.get_by_label("Password").fill("admin")
    admin.get_by_role("button", name="Log in").click()

    start_order(admin, site, "9103")
    expect(messages(admin)).to_contain_text("Started: process_order.")
    # What is noted in the page would be gone if it were loaded again.
    admin.evaluate("window.isStillHere = true")
    expect(status(admin)).to_have_text("waiting")
    expect(sentence(admin)).to_contain_text("Waits for approval go_ahead")

    open_question(fiona, admin.url)
    expect(fiona.locator("h1.durable-prompt")).to_have_text(
        "Tess Tester orders for 1200.00. Go ahead?"
    )
    fiona.get_by_role("textbox", name="Comment").fill("A good customer.")
    fiona.get_by_role("button", name="Approve").click()
    expect(messages(fiona)).to_contain_text("Answered: Tess Tester orders")

    expect(status(admin)).to_have_text("completed")
    expect(admin.locator("[data-live-text]")).to_have_text("Ended")
    assert admin.evaluate("window.isStillHere")


def test_an_execution_is_cancelled_with_a_reason(enter, site):
    admin = enter("admin")
    start_order(admin, site, "9104")
    expect(status(admin)).to_have_text("waiting")

    admin.get_by_role("link", name="Cancel").click()
    admin.get_by_label("Reason").fill("Ordered by mistake")
    admin.get_by_role("button", name="Cancel execution").click()

    expect(status(admin)).to_have_text("cancelled")
    expect(admin.locator("#durable-execution")).to_contain_text("Ordered by mistake")
    admin.get_by_role("link", name="History").click()
    expect(admin.locator("#durable-history")).to_contain_text(
        "Cancelled: Ordered by mistake"
    )


def test_a_failed_execution_is_retried_once_the_cause_is_gone(enter, site, tmp_path):
    part = tmp_path / "part"
    admin = enter("admin")
    admin.goto(site.pages["workflow list"] + "repairable/start/")
    admin.get_by_role("textbox", name="Input").fill(f'{{"part": "{part}"}}')
    admin.get_by_role("button", name="Start").click()
    expect(status(admin)).to_have_text("failed")
    expect(admin.locator(".durable-error").first).to_contain_text(
        "the spare part has not come"
    )

    part.touch()
    admin.get_by_role("link", name="Retry").click()
    admin.get_by_role("button", name="Retry").click()

    expect(status(admin)).to_have_text("completed")


def test_a_refused_form_says_what_is_wrong_and_keeps_what_was_typed(enter, site):
    admin = enter("admin")
    admin.goto(site.pages["start handle_complaint"])
    admin.get_by_role("textbox", name="Text").fill("The lid is missing.")
    admin.get_by_label("Received on").fill("2030-01-02")
    admin.get_by_role("button", name="Start").click()

    expect(admin.get_by_role("alert")).to_contain_text("Please correct")
    expect(admin.locator(".field-order .errorlist")).to_have_text(
        "This field is required."
    )
    expect(admin.get_by_label("Order")).to_be_focused()
    expect(admin.get_by_role("textbox", name="Text")).to_have_value(
        "The lid is missing."
    )
    expect(admin.get_by_label("Received on")).to_have_value("2030-01-02")


def test_a_second_answer_is_refused_and_says_whose_the_first_was(enter, site):
    admin, fiona = enter("admin"), enter("fiona")
    start_order(admin, site, "9106")
    expect(status(admin)).to_have_text("waiting")
    execution = admin.url
    open_question(fiona, execution)
    admin.get_by_role("link", name="Answer go_ahead").click()
    expect(admin.get_by_role("button", name="Reject")).to_be_visible()

    fiona.get_by_role("button", name="Approve").click()
    expect(messages(fiona)).to_contain_text("Answered")
    admin.get_by_role("button", name="Reject").click()

    expect(messages(admin)).to_contain_text("It was closed before your answer came.")
    expect(admin.locator(".durable-closed")).to_contain_text("Answered by fiona")
    expect(admin.get_by_role("button", name="Reject")).to_have_count(0)
    admin.goto(execution)
    expect(status(admin)).to_have_text("completed")
