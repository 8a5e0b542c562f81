"""People in front of the site, each in a browser of their own that complains.

The tests change nothing but through the site, and look at nothing else: in a thread that
drives Chromium runs an event loop, where Django refuses to ask a database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.served import Site, furnish, serving, working
from tests.browser.watching import Watch

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A machine that does much else is slow, and no test fails for that.
PATIENCE = 30_000

Enter = Callable[..., Any]


def executable() -> str | None:
    """Return the browser: ``BROWSER_EXECUTABLE``, or the first that is on the path."""
    given = os.environ.get("BROWSER_EXECUTABLE")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def _is_possible(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--postgres"):
        pytest.skip("the browser shows the same on every database: run on SQLite")
    pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install it"
    )
    if executable() is None:
        pytest.skip(
            "needs a browser: apt-get install chromium, or BROWSER_EXECUTABLE=/path/to/it"
        )


@pytest.fixture(scope="session")
def _folder(_is_possible: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site(_folder: Path) -> Iterator[Site]:
    """The site without a theme, under the strict policy, with a worker beside it."""
    found: Any = furnish(_folder)
    with working(_folder), serving(_folder, with_theme=False) as url:
        yield Site(url, **found)


@pytest.fixture(scope="session")
def site_with_theme(site: Site, _folder: Path) -> Iterator[str]:
    """The address of the same site with ``django-admin-interface``."""
    pytest.importorskip("admin_interface", reason="needs django-admin-interface")
    with serving(_folder, with_theme=True) as url:
        yield url


@pytest.fixture(scope="module")
def chromium(_is_possible: None) -> Iterator[Any]:
    """A browser. It ends with the module: its event loop would be in others' way."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(),
            # As root, as in a container, its sandbox does not work.
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    """What the browsers of this test complain about: nothing, or the test fails."""
    return Watch()


@pytest.fixture
def enter(chromium: Any, site: Site, watch: Watch) -> Iterator[Enter]:
    """Return a page of a browser in which a person is logged in, or nobody.

    Options are those of Playwright's ``new_context``.
    """
    with ExitStack() as stack:

        def enter(person: str | None = None, **options: Any) -> Any:
            options.setdefault("base_url", site.url)
            context = chromium.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            watch.look_at(context)
            if person:
                cookie = {"name": "sessionid", "value": site.sessions[person]}
                context.add_cookies([{**cookie, "url": options["base_url"]}])
            return context.new_page()

        yield enter

        assert watch.complaints == []
