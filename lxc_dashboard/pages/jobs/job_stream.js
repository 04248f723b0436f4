// Reads a job's log: pages of lines by number over HTTP, new lines over an event stream, matches of a search.
import { useCallback, useEffect, useRef, useState } from "react";
import { Lines, PAGE, Spans } from "$/public/external/lxc_dashboard/pages/jobs/job/job_lines.js";

export const WORD_CHARS = 2;
const SEARCH_DELAY_MS = 200;
const SEARCH_AGAIN_MS = 2000;
const AGAIN_MS = 1000;
const CHANGES_EVERY_MS = 250;
const HIDDEN_FOR_MS = 10000;
const FINAL = [401, 403, 404];

async function read(address, signal) {
  const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "application/json" }, signal });
  if (!answer.ok) throw Object.assign(new Error(`${answer.status}`), { status: answer.status });
  return answer.json();
}

function reason(error, words) {
  if (error.status === 401) return words.signed_out;
  if (FINAL.includes(error.status)) return words.gone;
  return words.unreadable;
}

// Calls at once, then at most every `ms`. The last call is never dropped.
function useSparing(call, ms) {
  const held = useRef({ at: 0, timer: null, call });
  held.current.call = call;
  useEffect(() => () => clearTimeout(held.current.timer), []);
  return useCallback(() => {
    const now = held.current;
    if (now.timer) return;
    now.timer = setTimeout(() => { now.timer = null; now.at = Date.now(); now.call?.(); }, Math.max(0, now.at + ms - Date.now()));
  }, [ms]);
}

// Follows the stream while the page is visible: a hidden tab costs nothing, and continues where it was. A start before the last
// stop has no effect, so that there is at most one stream, which is always closed.
function useStream(base, log, readSpans, tell, changed, fail) {
  useEffect(() => {
    let stream = null;
    let timer = null;
    let turn = 0;
    const stop = () => { turn += 1; clearTimeout(timer); stream?.close(); stream = null; };
    const again = (error) => { fail(error); if (!FINAL.includes(error.status)) timer = setTimeout(begin, AGAIN_MS); };
    const open = () => {
      stream = new EventSource(`${base}/events?after=${log.lines.last}`);
      stream.onmessage = (event) => {
        const body = JSON.parse(event.data);
        log.lines.put(body.lines, body.last);
        log.spans?.add(body.spans);
        tell();
        if (body.changed) changed();
      };
      stream.addEventListener("end", () => { stop(); changed(); });
      // The session has ended, or the user may not see the job: the page finds out.
      stream.addEventListener("signed-out", () => { stop(); fail({ status: 401 }); changed(); });
      stream.onerror = () => { stop(); timer = setTimeout(begin, AGAIN_MS); };
    };
    const begin = () => {
      stop();
      const mine = turn;
      const query = log.loaded ? `after=${log.lines.last}&limit=${PAGE}` : `tail=${PAGE}`;
      read(`${base}/log?${query}`).then((body) => {
        if (mine !== turn) return;
        log.loaded = true;
        log.lines.put(body.lines, body.last);
        if (log.spans) readSpans();
        fail(null);
        tell();
        open();
      }, (error) => { if (mine === turn) again(error); });
    };
    const seen = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(stop, HIDDEN_FOR_MS);
      else if (!stream) { begin(); changed(); }
    };
    begin();
    document.addEventListener("visibilitychange", seen);
    return () => { stop(); document.removeEventListener("visibilitychange", seen); };
  }, [base, log, readSpans, tell, changed, fail]);
}

// The log under `base`. `need(from, to)` reads lines, `readSpans` the spans of phases.
export function useLog(base, words, onChange) {
  const [log] = useState(() => ({ lines: new Lines(), spans: null, loaded: false, asked: new Set() }));
  const [version, setVersion] = useState(0);
  const [failure, setFailure] = useState("");
  const tell = useCallback(() => setVersion((n) => n + 1), []);
  // Each drawing of the page passes a new, equal object of words, which must restart nothing.
  const known = useRef(words);
  known.current = words;
  const fail = useCallback((error) => setFailure(error ? reason(error, known.current) : ""), []);
  const readSpans = useCallback(() => {
    log.spans = log.spans || new Spans();
    read(`${base}/log/phases`).then((body) => {
      const whole = new Spans();
      whole.add(body.spans);
      whole.add(log.spans.list);
      log.spans = whole;
      tell();
    }, fail);
  }, [base, log, tell, fail]);
  useStream(base, log, readSpans, tell, useSparing(onChange, CHANGES_EVERY_MS), fail);
  const need = useCallback((from, to) => {
    const gap = log.lines.missing(from, to);
    if (!gap || log.asked.has(gap.after)) return;
    log.asked.add(gap.after);
    read(`${base}/log?after=${gap.after}&limit=${gap.limit}`).then((body) => {
      log.asked.delete(gap.after);
      log.lines.put(body.lines); // its `last` may be ahead of the stream, which brings those lines itself
      fail(null);
      tell();
    }, (error) => {
      fail(error);
      setTimeout(() => { log.asked.delete(gap.after); tell(); }, AGAIN_MS);
    });
  }, [base, log, tell, fail]);
  return { ...log, version, failure, need, readSpans };
}

// The numbers of the lines with `word`, including lines that are printed later.
export function useSearch(base, word, last) {
  const [found, setFound] = useState({ word: "", seqs: [], more: false, last: 0 });
  useEffect(() => {
    const goesOn = found.word === word;
    if (word.length < WORD_CHARS) { if (found.word) setFound({ word: "", seqs: [], more: false, last: 0 }); return undefined; }
    if (goesOn && (found.more || last <= found.last)) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      const after = goesOn ? found.last : 0;
      read(`${base}/log/search?q=${encodeURIComponent(word)}&after=${after}`, stop.signal).then((body) => {
        setFound((old) => ({ word, more: body.more, last: body.last, seqs: goesOn ? [...old.seqs, ...body.seqs] : body.seqs }));
      }, () => null);
    }, goesOn ? SEARCH_AGAIN_MS : SEARCH_DELAY_MS);
    return () => { clearTimeout(timer); stop.abort(); };
    // One more line must not restart the wait: it depends on whether there are lines at all.
  }, [base, word, found, last > found.last]);
  return found;
}
