"""One Chromium for many tests. It starts at its first use and keeps a context for each user that signs in often."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright, StorageState, sync_playwright
from playwright.sync_api import Error as PlaywrightError

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Options that a page of a shared context can apply itself.
OF_A_PAGE = frozenset({"storage_state", "viewport", "color_scheme"})


@dataclass
class SharedContext:
    context: BrowserContext
    state: StorageState
    is_lent: bool = False


def names_and_values(cookies: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(cookie["name"], cookie["value"]) for cookie in cookies}


class Chromium:
    """``launcher``: the path of the program. After ``close``, the next use starts it again."""

    def __init__(self, launcher: str) -> None:
        self._launcher = launcher
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._shared: dict[tuple[str, str], SharedContext] = {}

    @property
    def browser(self) -> Browser:
        if self._browser is None:
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=self._launcher, args=ARGUMENTS)
        return self._browser

    def close(self) -> None:
        self._shared.clear()
        if self._browser is not None:
            self._browser.close()
            self._browser = None
        if self._playwright is not None:
            self._playwright.stop()
            self._playwright = None

    def signed_in(self, url: str, userid: str, sign_in: Callable[[BrowserContext], None]) -> StorageState:
        """The cookies of the user's session at ``url``. Signs in again if an earlier test ended the session."""
        known = self._shared.get((url, userid))
        if known is not None and (known.is_lent or known.context.request.get("/", max_redirects=0).ok):
            return known.state
        if known is not None:
            self._drop(known)
        context = self.browser.new_context(base_url=url, reduced_motion="reduce")
        sign_in(context)
        made = SharedContext(context, context.storage_state())
        self._clear(made)
        self._shared[url, userid] = made
        return made.state

    def lend(self, options: Mapping[str, Any]) -> BrowserContext | None:
        """The shared context of the user that ``storage_state`` signs in, or None if the test already uses it."""
        for shared in self._shared.values():
            if shared.state is options.get("storage_state") and not shared.is_lent and options.keys() <= OF_A_PAGE:
                shared.is_lent = True
                return shared.context
        return None

    def is_lent(self, context: BrowserContext) -> bool:
        return any(shared.context is context for shared in self._shared.values())

    def take_back(self, context: BrowserContext) -> None:
        """Close the context, or clear a shared one for the next test."""
        shared = next((each for each in self._shared.values() if each.context is context), None)
        if shared is None:
            context.close()
            return
        shared.is_lent = False
        if names_and_values(context.cookies()) == names_and_values(shared.state["cookies"]):
            self._clear(shared)
        else:
            self._drop(shared)

    def _clear(self, shared: SharedContext) -> None:
        """Close its tabs and delete what they stored in the browser."""
        shared.context.unroute_all()
        shared.context.set_offline(False)
        for page in shared.context.pages:
            with contextlib.suppress(PlaywrightError):
                page.evaluate("localStorage.clear()")
            page.close()

    def _drop(self, shared: SharedContext) -> None:
        self._shared = {key: each for key, each in self._shared.items() if each is not shared}
        shared.context.close()
