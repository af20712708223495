"""A real browser, with what tests of pages ask of it."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.by import By

from tests.site import Site

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)
CONTRAST = """
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number);
  return c.startsWith("color(srgb") ? n.map((v, i) => (i < 3 ? v * 255 : v)) : n; };
const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
const bad = [];
for (const e of document.querySelectorAll("body *")) {
  if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) bad.push(`${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
}
return bad;
"""
"""Elements whose own text has less than WCAG's 4.5 : 1 against what lies under it."""


class Browser:
    """A browser with what the tests ask of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, site: Site, path: str) -> None:
        self.driver.get(f"http://127.0.0.1:{site.server.port}{path}")

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        (found,) = self.all(selector)
        return found

    def script(self, text: str, *values: Any) -> Any:
        return self.driver.execute_script(text, *values)

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def media(self, media: str = "", scheme: str = "light") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)

    def complaints(self) -> list[str]:
        """What the console says: violations of the policy, errors in scripts, assets that are missing."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def rules(self) -> list[str]:
        """The list's rules; in one script, since the page may be changing under us."""
        return list(
            self.script("return [...document.querySelectorAll('#reports [data-of=rule]')].map((e) => e.textContent)")
        )


def phone(browser: Browser) -> None:
    browser.command("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
