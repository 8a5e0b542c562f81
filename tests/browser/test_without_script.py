"""All of it works where JavaScript is off: one reloads the page then."""

from __future__ import annotations

import pytest

from tests.browser.test_story import messages, start_order, status
from tests.processes.worker_processes import eventually

expect = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install it"
).expect


def reload_until(page, text):
    """Reload the page of an execution until it says this."""
    # Chromium refuses to reload a page that is about to be replaced by another one.
    page.wait_for_load_state()

    def has_come():
        page.reload()
        return text in page.locator("#durable-execution .durable-head").inner_text()

    eventually(has_come, within=60, what=f"a page that says {text}")


@pytest.fixture
def admin(enter):
    """The administrator, with JavaScript off."""
    return enter("admin", java_script_enabled=False)


def test_an_order_is_started_and_approved_without_javascript(admin, site):
    start_order(admin, site, "9107")
    reload_until(admin, "Waits for approval")
    expect(admin.locator("[data-live-switch]")).to_be_hidden()

    admin.get_by_role("link", name="Answer go_ahead").click()
    admin.get_by_role("button", name="Approve").click()
    expect(messages(admin)).to_contain_text("Answered")

    reload_until(admin, "Completed")


def test_an_order_is_cancelled_without_javascript(admin, site):
    start_order(admin, site, "9108")
    reload_until(admin, "Waits for approval")

    admin.get_by_role("link", name="Cancel").click()
    admin.get_by_label("Reason").fill("No script, no tea")
    admin.get_by_role("button", name="Cancel execution").click()

    expect(status(admin)).to_have_text("cancelled")


def test_a_link_answers_without_javascript_and_without_an_account(enter, site):
    nobody = enter(java_script_enabled=False)
    nobody.goto(site.links[0].removeprefix("http://127.0.0.1"))

    nobody.get_by_role("button", name="Approve").click()

    expect(nobody.get_by_role("heading")).to_have_text("Thank you")
