// The left part of the status line: the age of PVE's last answer, PVE's version, and how many nodes answer.
import { createElement as h, useEffect, useState } from "react";

const STALE_S = 15;

// The last push, and the time of its answer by this browser's clock: the next page starts with them. `at` differs in each push.
let told = null;
let known = { all: 0 };

function take(feed) {
  if (feed?.age === undefined || feed === told) return;
  told = feed;
  known = { ...feed, at: feed.age < 0 ? 0 : Date.now() - 1000 * feed.age };
}

function lineOf({ at, version, up, all, error }, age, words) {
  const nodes = all ? (all === 1 ? words.nodes_one : words.nodes).replace("{up}", up).replace("{all}", all) : "";
  const rest = error ? [error] : [version && `PVE ${version}`, nodes];
  return [at ? words.age.replace("{seconds}", age) : "", ...rest].filter(Boolean).join(" \u00b7 ");
}

export function StatusLine({ feed, words }) {
  const [, count] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => count((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  take(feed);
  const age = known.at ? Math.max(0, Math.round((Date.now() - known.at) / 1000)) : 0;
  const stale = Boolean(known.error) || age >= STALE_S;
  return h("div", { className: "status-left", title: known.error || undefined }, h("span", { id: "feed-status", className: stale ? "stale" : undefined }, lineOf(known, age, words)));
}
