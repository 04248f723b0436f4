// Draws the log of a job. Only lines near the visible ones are in the page.
import { createElement as h, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { LINE_PX, Position, Rows, marked, pieces, plain } from "$/public/external/lxc_dashboard/pages/jobs/job/job_lines.js";
import { useCopied } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";
import { WORD_CHARS, useLog, useSearch } from "$/public/external/lxc_dashboard/pages/jobs/job/job_stream.js";

const OVERSCAN = 30;
const FLOWING_ROWS = 500;
const ROOM_PX = 280;
const BELOW_PX = 44;

function clock(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "";
  const two = (value) => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

function drawn(text, word) {
  const hits = word.length >= WORD_CHARS ? marked(text, word) : null;
  if (hits) return hits.map((part, index) => (part.mark ? h("mark", { key: index }, part.text) : part.text));
  if (!text.includes("\u001b")) return text;
  return pieces(text).map((part, index) => h("span", { key: index, className: part.className }, part.text));
}

const Line = memo(({ line, seq, top, word, current }) => h("div",
  { className: `log-line log-${line ? line.type : "waiting"}${current ? " current" : ""}`, style: top === null ? undefined : { top }, "data-seq": seq },
  h("span", { className: "log-at", title: line ? new Date(line.at).toLocaleString() : undefined }, line ? clock(line.at) : ""),
  h("span", { className: "log-phase" }, line ? line.phase : ""),
  h("span", { className: "log-script", title: line?.script }, line ? line.script : ""),
  h("span", { className: "log-text" }, line ? drawn(line.text, word) : "…")));

function Bar({ words, phases, follow, setFollow, fresh, phase, setPhase, word, setWord, found, cursor, step, wrap, setWrap, copy, copied, base }) {
  const small = (label, onClick, more = {}) => h("button", { type: "button", className: "button small", onClick, ...more }, label);
  const onKeyDown = (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") setWord("");
  };
  return h("div", { className: "log-bar", role: "toolbar", "aria-label": words.log },
    small(follow ? `${words.follow} ✓` : fresh ? `${words.follow}, ${fresh} ${words.fresh}` : words.follow, () => setFollow(!follow), { "aria-pressed": follow, title: words.follow_hint }),
    phases.length > 0 && h("select", { className: "select", "aria-label": words.phase, value: phase, onChange: (event) => setPhase(event.target.value) },
      h("option", { value: "" }, words.all_phases), phases.map((name) => h("option", { key: name, value: name }, name))),
    h("input", { type: "search", className: "input", placeholder: words.search, "aria-label": words.search, value: word, onChange: (event) => setWord(event.target.value), onKeyDown }),
    h("span", { className: "log-found soft", role: "status" }, word.length >= WORD_CHARS && found.word === word ? (found.seqs.length ? `${cursor + 1} ${words.of} ${found.seqs.length}${found.more ? "+" : ""}` : words.nothing) : ""),
    found.seqs.length > 1 && small("↑", () => step(-1), { "aria-label": words.previous, title: words.previous }),
    found.seqs.length > 1 && small("↓", () => step(1), { "aria-label": words.next, title: words.next }),
    h("span", { className: "grow" }),
    small(wrap ? `${words.wrap} ✓` : words.wrap, () => setWrap(!wrap), { "aria-pressed": wrap, title: words.wrap_hint }),
    small({ copied: words.copied, failed: words.copy_failed }[copied] || words.copy, copy, { title: words.copy_hint }),
    h("a", { className: "button small", href: `${base}/log.txt`, download: "" }, words.download));
}

// The log fills the window below its top; if that is too little, most of a window.
function useRoom(box) {
  const [room, setRoom] = useState(null);
  useEffect(() => {
    const measure = () => {
      const top = box.current.getBoundingClientRect().top + window.scrollY;
      const left = Math.floor(window.innerHeight - top - BELOW_PX);
      setRoom(left >= ROOM_PX ? left : Math.floor(window.innerHeight * 0.7));
    };
    const watch = new ResizeObserver(measure);
    watch.observe(document.body);
    window.addEventListener("resize", measure);
    return () => { watch.disconnect(); window.removeEventListener("resize", measure); };
  }, [box]);
  return room;
}

// The rows to draw and their place. Follows the end until the user scrolls away.
function useView(rows, version, wrap) {
  const box = useRef(null);
  const [place] = useState(() => new Position());
  const [height, setHeight] = useState(480);
  const [, redraw] = useState(0);
  const [follow, setFollow] = useState(true);
  const flows = wrap && rows.count <= FLOWING_ROWS;
  useEffect(() => {
    const watch = new ResizeObserver(() => { if (box.current) setHeight(box.current.clientHeight); });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  place.size(rows.count, height);
  if (follow) place.go(place.end);
  const put = useCallback((px) => { if (px !== null) { box.current.scrollTop = px; place.box = box.current.scrollTop; } }, [place]);
  const goTo = useCallback((row) => {
    setFollow(false);
    const line = flows ? box.current.querySelectorAll(".log-line")[row] : null;
    if (line) line.scrollIntoView({ block: "center" });
    else put(place.go((row - 4) * LINE_PX));
    redraw((n) => n + 1);
  }, [flows, place, put]);
  useLayoutEffect(() => {
    if (follow) put(flows ? box.current.scrollHeight : place.box);
  }, [follow, version, height, rows.count, wrap, flows, place, put]);
  const onScroll = () => {
    const now = box.current.scrollTop;
    if (Math.abs(now - place.box) < 1) return;
    const up = now < place.box;
    put(place.scrolled(now));
    const atEnd = flows ? now + height >= box.current.scrollHeight - LINE_PX : place.atEnd;
    if (up && !atEnd) setFollow(false);
    if (!up && atEnd) setFollow(true);
    redraw((n) => n + 1);
  };
  const onWheel = (event) => { if (event.deltaY < 0 && place.whole > height) setFollow(false); };
  const seen = Math.ceil(height / LINE_PX);
  const anchor = wrap && !flows ? Math.round((place.end > 0 ? place.top / place.end : 0) * rows.count) : null;
  const top = anchor === null ? Math.floor(place.top / LINE_PX) : Math.max(0, anchor - seen);
  const first = flows ? 0 : Math.max(0, top - OVERSCAN);
  const last = flows ? rows.count : Math.min(rows.count, (anchor === null ? top : anchor) + seen + OVERSCAN);
  return { box, place, height, follow, setFollow, goTo, onScroll, onWheel, flows, anchor, first, last, top, seen };
}

// Places the rows in one of three ways: each at its own height, all in a flow, or in both directions from an anchor, if there
// are too many wrapped rows above to know their height.
function drawing(view, line) {
  const range = (from, to, top) => {
    const found = [];
    for (let row = from; row < to; row += 1) found.push(line(row, top ? row * LINE_PX - view.place.shift : null));
    return found;
  };
  if (view.flows) return range(view.first, view.last, false);
  if (view.anchor === null) return range(view.first, view.last, true);
  const at = view.place.box + (view.anchor === 0 ? 0 : (view.place.top / view.place.end) * view.height);
  return h("div", { className: "log-anchor", style: { top: at } },
    h("div", { className: "log-above" }, range(Math.max(0, view.anchor - view.seen), view.anchor, false)),
    h("div", { className: "log-below" }, range(view.anchor, view.last, false)));
}

function useCopy(view, rows, log) {
  const [outcome, copy] = useCopied();
  return [outcome, () => {
    const from = view.flows ? 0 : view.top;
    const to = Math.min(rows.count, view.flows ? rows.count : view.top + view.seen);
    const seen = [];
    for (let row = from; row < to; row += 1) seen.push(log.lines.get(rows.seq(row)));
    const selected = String(window.getSelection());
    copy(selected || seen.filter(Boolean).map((line) => plain(line.text)).join("\n"));
  }];
}

// A click on an element with data-log-seq shows the line of that number.
function useLinks(show) {
  useEffect(() => {
    const onClick = (event) => {
      const link = event.target.closest?.("[data-log-seq]");
      if (link) show(Number(link.dataset.logSeq));
    };
    document.addEventListener("click", onClick);
    return () => document.removeEventListener("click", onClick);
  }, [show]);
}

function Log({ base, words, phases, onChange }) {
  const log = useLog(base, words, onChange);
  const [phase, setPhase] = useState("");
  const [word, setWord] = useState("");
  const [wrap, setWrap] = useState(false);
  const [target, setTarget] = useState({ seq: 0 });
  const [cursor, setCursor] = useState(0);
  const found = useSearch(base, word.trim(), log.lines.last);
  const rows = useMemo(() => new Rows(log.lines.last, phase && log.spans ? log.spans.of(phase) : null), [log.version, phase]);
  const view = useView(rows, log.version, wrap);
  const room = useRoom(view.box);
  const [copied, copy] = useCopy(view, rows, log);
  const left = useRef(0);
  if (view.follow) left.current = rows.count;
  const show = useCallback((seq) => { if (seq > 0) setTarget({ seq }); }, []);
  useLinks(show);
  useEffect(() => {
    if (!target.seq || !log.loaded) return;
    const row = rows.row(target.seq);
    if (row < 0) setPhase("");
    else view.goTo(row);
  }, [target, phase, log.loaded]);
  useEffect(() => { setCursor(0); show(found.seqs[0] || 0); }, [found.word]);
  useEffect(() => {
    for (const [, from, to] of rows.spans) {
      const low = Math.max(from, rows.seq(view.first) || from);
      const high = Math.min(to, rows.seq(Math.max(0, view.last - 1)) || to);
      if (low <= high) log.need(low, high);
    }
  }, [view.first, view.last, rows, log.version]);
  const step = (by) => {
    if (!found.seqs.length) return;
    const next = (cursor + by + found.seqs.length) % found.seqs.length;
    setCursor(next);
    show(found.seqs[next]);
  };
  const choose = (name) => { if (name) log.readSpans(); setTarget({ seq: 0 }); setPhase(name); };
  const line = (row, top) => {
    const seq = rows.seq(row);
    return h(Line, { key: seq, seq, top, line: log.lines.get(seq), word: word.trim(), current: seq === target.seq });
  };
  const empty = log.lines.last === 0 && (log.loaded ? words.empty : h("span", { className: "skeleton" }, words.loading));
  return h("section", { className: "job-log", "aria-label": words.log },
    h(Bar, { words, phases, follow: view.follow, setFollow: view.setFollow, fresh: rows.count - left.current, phase, setPhase: choose, word, setWord, found, cursor, step, wrap, setWrap, copy, copied, base }),
    log.failure && h("div", { className: "note warm", role: "status" }, log.failure),
    h("div", { ref: view.box, className: `log-box${wrap ? " wrap" : ""}`, style: room ? { height: room } : undefined, tabIndex: 0, role: "log", "aria-label": words.output, "aria-live": "off", onScroll: view.onScroll, onWheel: view.onWheel },
      h("div", { className: `log-inner${view.flows ? " flows" : ""}`, style: view.flows ? undefined : { height: Math.max(1, view.place.tall) } },
        empty ? h("p", { className: "soft log-empty" }, empty) : drawing(view, line))));
}

// base: the address of the log. words: the texts. phases: their names, in order. onChange: more than lines changed.
export function JobLog(props) {
  return h(Log, { key: props.base, ...props });
}
