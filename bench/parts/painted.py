"""When the rows of the list of containers were painted, by the page's own clock."""

from __future__ import annotations

from playwright.async_api import Page

# In epoch seconds: when each row was first painted with each status, and when the page was last clicked.
WATCH = """() => {
  window.painted = {};
  const note = () => {
    const rows = [...document.querySelectorAll(".guest-row")].map((row) => `${row.dataset.vmid} ${row.dataset.status}`);
    const fresh = rows.filter((key) => !window.painted[key]);
    if (!fresh.length) return;
    for (const key of fresh) window.painted[key] = -1;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        for (const key of fresh) window.painted[key] = (performance.timeOrigin + performance.now()) / 1000;
      };
      channel.port2.postMessage(null);
    });
  };
  note();
  new MutationObserver(note).observe(document.querySelector(".guest-rows"), { childList: true, subtree: true, attributes: true });
  const click = (event) => { window.clicked = (performance.timeOrigin + event.timeStamp) / 1000; };
  document.addEventListener("click", click, { capture: true });
}"""


async def watch(page: Page) -> None:
    """Start recording what the list paints and when it is clicked."""
    await page.evaluate(WATCH)


async def forget(page: Page, vmid: int, status: str) -> None:
    """Forget when the row was painted with this status, so that the next paint is recorded."""
    await page.evaluate("(key) => { delete window.painted[key]; }", f"{vmid} {status}")


async def painted(page: Page, vmid: int, status: str, within_s: float) -> float:
    """When the row was painted with this status, in epoch seconds. Waits for it."""
    handle = await page.wait_for_function(
        "(key) => window.painted[key] > 0 && window.painted[key]", arg=f"{vmid} {status}", timeout=within_s * 1000
    )
    return float(await handle.json_value())


async def clicked(page: Page) -> float:
    """When the page was clicked last, in epoch seconds."""
    return float(await page.evaluate("() => window.clicked"))
