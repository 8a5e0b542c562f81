"""``make pictures``: photograph the demo, for README and docs.

Runs ``manage.py demo`` on a database of its own and writes each page to ``docs/images``,
light and dark, 1280 pixels wide.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import sub
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import executable

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
WIDTH = 1280
HIGHEST = 1100
COLOURS = 200
EXACT = 120
APART = 5
MOST_BYTES = 1_500_000

APP = "/admin/django_durable/"
EXECUTIONS = f"{APP}execution/"
INPUTS = f"{APP}inputrequest/"
WORKFLOWS = f"{APP}workflow/"
SCHEDULES = f"{APP}schedule/"

# Name of the picture, and where the page is: an address, or the list on which to find
# it and what its link says, and the tab.
PAGES: dict[str, tuple[str, ...]] = {
    "app": (APP,),
    "overview": (f"{APP}overview/",),
    "executions": (f"{EXECUTIONS}?workflow=process_order",),
    "execution": (f"{EXECUTIONS}?q=key:1016", "process_order"),
    "timeline": (f"{EXECUTIONS}?q=key:1035", "process_order", "Timeline"),
    "steps": (f"{EXECUTIONS}?q=key:1007", "process_order", "Steps"),
    "inbox": (INPUTS,),
    "question": (INPUTS, "What do we offer"),
    "workflows": (WORKFLOWS,),
    "workflow": (WORKFLOWS, "process_order"),
    "start": (f"{WORKFLOWS}handle_complaint/start/",),
    "schedules": (SCHEDULES,),
    "schedule": (SCHEDULES, "stock_report"),
    "workers": (f"{APP}worker/",),
}


def main() -> None:
    """Write all pictures, and say how large they are."""
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        for scheme in ("light", "dark"):
            photograph(browser, url, scheme)
        browser.close()
    sizes = {path.name: path.stat().st_size for path in IMAGES.glob("admin-*.png")}
    for name, size in sorted(sizes.items()):
        sys.stdout.write(f"{size:9,}  {name}\n")
    sys.stdout.write(f"{sum(sizes.values()):9,}  bytes in all\n")
    if sum(sizes.values()) > MOST_BYTES:
        sys.exit(f"More than {MOST_BYTES:,}: take fewer colours, or fewer pages.")


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo beside the block, on a database that is empty before."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3",
                "ADMIN_THEME": "0",
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield address(process)
        finally:
            process.terminate()
            process.wait(60)


def address(process: subprocess.Popen[str]) -> str:
    """Return where the demo is, once it serves."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        # The second time, it is the server itself that says so.
        if found := re.search(r"server at (http://[\d.:]+)", line):
            return found[1]
    raise RuntimeError(f"The demo has ended: {said}")


def photograph(browser: Browser, url: str, scheme: Any) -> None:
    """Write the picture of each page in one scheme of colours."""
    context = browser.new_context(
        base_url=url,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": WIDTH, "height": HIGHEST},
    )
    # The list of apps at the side is not what the picture is about.
    context.add_init_script(
        "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"
    )
    page = context.new_page()
    page.goto("/admin/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    for name, (start, *links) in PAGES.items():
        page.goto(start)
        for link in links:
            page.locator("#content").get_by_role("link", name=link).first.click()
        # What was pressed last would be drawn with a frame.
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(0, 0)
        save(taken(page), IMAGES / f"admin-{name}-{scheme}.png")
    context.close()


def taken(page: Page) -> bytes:
    """Return the picture of a page, down to where there is nothing more."""
    page.wait_for_load_state("networkidle")
    bottom = page.evaluate(
        "Math.max(...['#content', '#changelist-filter'].map(one => "
        "document.querySelector(one)?.getBoundingClientRect().bottom ?? 0))"
    )
    height = min(max(int(bottom) + 24, 300), HIGHEST)
    return page.screenshot(
        clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, animations="disabled"
    )


def save(picture: bytes, path: Path) -> None:
    """Write a picture with few colours: it is flat, and a third as large then."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(palette=palette(image), dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def palette(image: Image.Image) -> Image.Image:
    """Return the colours that fill areas as they are, and what comes near the others."""
    counted = image.getcolors(image.width * image.height) or []
    often = [colour for _, colour in sorted(counted, reverse=True)[:EXACT]]
    others = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE).getpalette()
    colours: list[Sequence[int]] = []
    for colour in (*often, *batched(others or [])):
        # Of two that are nearly the same, the one that is found first is taken for both.
        if all(max(map(abs, map(sub, colour, one))) >= APART for one in colours):
            colours.append(colour)
    found = Image.new("P", (1, 1))
    found.putpalette([value for colour in colours[:COLOURS] for value in colour])
    return found


def batched(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[at : at + 3] for at in range(0, len(values), 3))


if __name__ == "__main__":
    main()
