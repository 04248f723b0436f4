// The logic of a job's log without a browser: colours, lines by number, phases, and the scroll position.

export const LINE_PX = 18;
export const PAGE = 400;
const PAGES_KEPT = 60;
// Browsers limit elements to about 17 million px. A longer log scrolls in a shorter element.
const TALLEST_PX = 8000000;

const SGR = /\u001b\[([0-9;:]*)m/g;
const HUES = { 0: 8, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: undefined };

export function plain(text) {
  return text.replace(SGR, "");
}

// One of eight hues, which are readable in every theme.
function hueOf(red, green, blue) {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most < 90 ? 8 : undefined;
  const middle = (most + least) / 2;
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0);
}

function hueOfIndex(index) {
  if (index < 16) return HUES[index % 8];
  if (index >= 232) return index < 240 ? 8 : undefined;
  const cube = index - 16;
  return hueOf(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51);
}

// The arguments of 38 (colour) and 48 (background): 5;index or 2;red;green;blue. Returns their number and the hue.
function extended(codes, at) {
  if (codes[at] === 5) return [2, hueOfIndex(codes[at + 1] || 0)];
  if (codes[at] === 2) return [4, hueOf(codes[at + 1] || 0, codes[at + 2] || 0, codes[at + 3] || 0)];
  return [0, undefined];
}

function styled(style, codes) {
  const next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) { for (const key of Object.keys(next)) delete next[key]; }
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 4) next.under = true;
    else if (code === 22) { delete next.bold; delete next.dim; }
    else if (code === 24) delete next.under;
    else if (code === 39) delete next.hue;
    else if (code >= 30 && code <= 37) next.hue = HUES[code - 30];
    else if (code >= 90 && code <= 97) next.hue = HUES[code - 90];
    else if (code === 38 || code === 48) {
      const [taken, hue] = extended(codes, at + 1);
      if (code === 38) next.hue = hue;
      at += taken;
    }
  }
  return next;
}

function classOf(style) {
  return [style.bold && "ansi-bold", style.dim && "ansi-dim", style.under && "ansi-under", style.hue && `ansi-${style.hue}`].filter(Boolean).join(" ");
}

// Text and class of each stretch of one style.
export function pieces(text) {
  const found = [];
  let style = {};
  let at = 0;
  const put = (piece) => { if (piece) found.push({ text: piece, className: classOf(style) }); };
  for (const code of text.matchAll(SGR)) {
    put(text.slice(at, code.index));
    style = styled(style, (code[1] || "0").split(/[;:]/).map(Number));
    at = code.index + code[0].length;
  }
  put(text.slice(at));
  return found;
}

// Splits text at each `word`, which is marked.
export function marked(text, word) {
  const clean = plain(text);
  const low = clean.toLowerCase();
  const wanted = word.toLowerCase();
  // If lower case changes the length, positions do not match: then nothing is marked.
  if (!wanted || low.length !== clean.length || !low.includes(wanted)) return null;
  const found = [];
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, from)) {
    if (at > from) found.push({ text: clean.slice(from, at), mark: false });
    found.push({ text: clean.slice(at, at + wanted.length), mark: true });
    from = at + wanted.length;
  }
  if (from < clean.length) found.push({ text: clean.slice(from), mark: false });
  return found;
}

const pageOf = (seq) => Math.floor((seq - 1) / PAGE);

// Lines by number, in pages; the least recently used ones are dropped. `last`: the newest known number.
export class Lines {
  constructor() { this.pages = new Map(); this.last = 0; }

  put(lines, last = 0) {
    for (const line of lines) {
      const number = pageOf(line.seq);
      let page = this.pages.get(number);
      if (!page) { page = new Array(PAGE); this.pages.set(number, page); }
      page[(line.seq - 1) % PAGE] = line;
      this.last = Math.max(this.last, line.seq);
    }
    this.last = Math.max(this.last, last);
    while (this.pages.size > PAGES_KEPT) this.pages.delete(this.pages.keys().next().value);
  }

  get(seq) {
    return this.pages.get(pageOf(seq))?.[(seq - 1) % PAGE];
  }

  // The first missing page for [from, to]; null if none is missing.
  missing(from, to) {
    const end = Math.min(to, this.last);
    for (let seq = Math.max(1, from); seq <= end; seq += 1) {
      const number = pageOf(seq);
      const page = this.pages.get(number);
      if (page && (seq === from || (seq - 1) % PAGE === 0)) { this.pages.delete(number); this.pages.set(number, page); }
      if (!page?.[(seq - 1) % PAGE]) return { after: seq - 1, limit: Math.min((number + 1) * PAGE, this.last) - seq + 1 };
    }
    return null;
  }
}

// The lines of each phase, as [phase, first, last], in order.
export class Spans {
  constructor() { this.list = []; }

  get last() { return this.list.length ? this.list[this.list.length - 1][2] : 0; }

  // Adds only what follows the known spans.
  add(spans) {
    for (const [phase, first, last] of spans) {
      const from = Math.max(first, this.last + 1);
      if (last < from) continue;
      const end = this.list[this.list.length - 1];
      if (end && end[0] === phase && end[2] + 1 === from) end[2] = last;
      else this.list.push([phase, from, last]);
    }
  }

  of(phase) {
    return this.list.filter((span) => span[0] === phase);
  }
}

// Rows of a shown part of the log: all of it, or the spans of one phase. Rows count from 0.
export class Rows {
  constructor(last, spans = null) {
    this.spans = spans || (last ? [["", 1, last]] : []);
    this.count = this.spans.reduce((sum, [, first, end]) => sum + end - first + 1, 0);
  }

  seq(row) {
    let before = 0;
    for (const [, first, end] of this.spans) {
      const size = end - first + 1;
      if (row < before + size) return first + row - before;
      before += size;
    }
    return 0;
  }

  // The row of a line; -1 if it is not shown.
  row(seq) {
    let before = 0;
    for (const [, first, end] of this.spans) {
      if (seq >= first && seq <= end) return before + seq - first;
      before += end - first + 1;
    }
    return -1;
  }
}

// The scroll position: `top` in px of the whole log, `box` in px of the element, which may be shorter.
export class Position {
  constructor() { this.top = 0; this.box = 0; this.height = 0; this.rows = 0; }

  get whole() { return this.rows * LINE_PX; }

  get tall() { return Math.min(this.whole, TALLEST_PX); }

  get end() { return Math.max(0, this.whole - this.height); }

  get boxEnd() { return Math.max(0, this.tall - this.height); }

  get atEnd() { return this.top >= this.end - LINE_PX; }

  // The offset from a row's place in the log to its place in the element.
  get shift() { return this.top - this.box; }

  size(rows, height) {
    this.rows = rows;
    this.height = height;
    this.top = Math.min(this.top, this.end);
  }

  // The element has scrolled. Returns where to put it instead; null if it may stay.
  scrolled(box) {
    const moved = box - this.box;
    this.box = box;
    if (this.whole <= this.tall) { this.top = box; return null; }
    if (Math.abs(moved) > 2 * this.height) { this.top = this._share(box) * this.end; return null; }
    this.top = Math.min(this.end, Math.max(0, this.top + moved));
    const atEdge = box <= 0 || box >= this.boxEnd;
    const edge = this.top <= 0 || this.top >= this.end;
    if (atEdge === edge) return null;
    const put = this._place();
    // Near its end the element could not scroll further.
    if (put <= 0) this.top = 0;
    else if (put >= this.boxEnd) this.top = this.end;
    return put;
  }

  // Goes to `top`. Returns where to put the element.
  go(top) {
    this.top = Math.min(this.end, Math.max(0, top));
    return this._place();
  }

  _share(box) { return this.boxEnd > 0 ? Math.min(1, box / this.boxEnd) : 0; }

  _place() {
    this.box = this.whole <= this.tall ? this.top : Math.round((this.top / this.end) * this.boxEnd);
    return this.box;
  }
}
