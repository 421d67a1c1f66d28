"""Pictures of a page as a desktop and a telephone show it, light and dark, to be looked at.

    python benchmarks/screenshots.py report.html pictures/

Wants playwright (the extra ``dev``) and a Chromium; the network is off. Says what the page's console said.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

WIDTHS = {"desktop": 1280, "telephone": 390}
SCREEN = 900  # pixels of height of one picture
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=40, help="Pictures of each width.")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    browser_at = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_at is None:
        sys.exit(f"no browser found ({', '.join(BROWSERS)}); install chromium")
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_at, args=["--no-sandbox"])
        for name, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": SCREEN}, offline=True, color_scheme=scheme
                )
                shoot(context.new_page(), given, stem=f"{name}-{scheme}", few=scheme == "dark")
        browser.close()


def shoot(page, given, *, stem: str, few: bool) -> None:
    """Take pictures of one screen after another, every fourth where few are wanted."""
    page.on("console", lambda message: print(f"{stem}: {message.type}: {message.text}"))
    page.goto(given.page.resolve().as_uri())
    height, width = page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
    print(f"{stem}: {height} pixels high, {width} wide, {page.viewport_size['width']} of them seen at once")
    for number, top in enumerate(range(0, height, SCREEN)):
        if number < given.most and (not few or number % 4 == 0):
            page.evaluate(f"window.scrollTo(0, {top})")
            page.screenshot(path=given.out / f"{stem}-{number:02d}.png")


if __name__ == "__main__":
    main()
