"""Chromium with a signed-in page of the stack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from scripts.chromium import find
from tests.e2e.chromium import ARGUMENTS
from tests.e2e.stack import Stack

USER = "root@pam"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def sign_in(browser: Browser, stack: Stack, endpoint: str = "", **options: Any) -> tuple[BrowserContext, Page]:
    """A page at the dashboard, signed in as root@pam at ``endpoint``, or at the first one."""
    context = await browser.new_context(base_url=stack.url, **({"viewport": {"width": 1440, "height": 900}} | options))
    page = await context.new_page()
    user, _, realm = USER.partition("@")
    await page.goto("/")
    if endpoint:
        await page.get_by_label("Endpoint").select_option(label=endpoint)
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Password").fill(stack.users[USER])
    await page.get_by_label("Realm").select_option(realm)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".user")).to_have_text(USER)
    return context, page
