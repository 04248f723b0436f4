// A guest's terminal. xterm.js is in a chunk that only this page fetches.
import { Suspense, createElement as h, lazy } from "react";

const ConsoleTerminal = lazy(() => import("$/public/external/lxc_dashboard/pages/containers/console/console_terminal.js"));

export function Console({ url, label, words }) {
  if (!url) return null;
  return h("div", { className: "console" }, h(Suspense, { fallback: h("div", { className: "console-screen" }) }, h(ConsoleTerminal, { key: url, url, label, words })));
}
