import assert from "node:assert/strict";
import { test } from "node:test";

import { endingWords, statusWords } from "../../web/js/ui/banner.js";
import { refusal } from "../../web/js/ui/composer.js";
import { describe } from "../../web/js/ui/log.js";

const closed = (code, reason = "") => endingWords({ code, reason, opened: true }, "here:1920");

test("each close code of the plain door has words, and no two the same", () => {
  const words = [1001, 1007, 1008, 1009, 1013].map((code) => closed(code));
  assert.ok(words.every((text) => text.length > 10));
  assert.equal(new Set(words).size, words.length);
});

test("the server's own words are added as they are", () => {
  assert.match(closed(1008, "<b>slow down</b>"), /It says: “<b>slow down<\/b>”$/);
  assert.match(closed(4321, "so it is"), /^The server closed the connection\. It says/);
});

test("a drop without a word is left to the status line", () => {
  assert.equal(closed(1006), "");
});

test("a server that cannot be reached is named, with what to check", () => {
  const words = endingWords({ code: 1006, reason: "", opened: false }, "here:1920");
  assert.match(words, /^Cannot reach the server at here:1920\. Check that it is running/);
});

test("the status line says what is and what comes", () => {
  const ending = { code: 1006, reason: "", opened: true };
  const words = (name, end, retryAt) => statusWords({ name, ending: end, retryAt }, 1000);
  assert.deepEqual(words("connecting", null, null), ["Connecting…", ""]);
  assert.deepEqual(words("open", null, null), ["WebSocket is open", ""]);
  assert.deepEqual(words("stopped", null, null), ["WebSocket is closed.", ""]);
  assert.deepEqual(words("connecting", ending, null), ["WebSocket is closed.", "Connecting…"]);
});

test("the seconds to the next attempt are rounded up and never 0", () => {
  const at = (retryAt) => statusWords({ name: "waiting", ending: null, retryAt }, 1000)[1];
  assert.equal(at(4000), "Trying again in 3 s");
  assert.equal(at(3001), "Trying again in 3 s");
  assert.equal(at(3000), "Trying again in 2 s");
  assert.equal(at(900), "Trying again in 1 s");
});

test("65 536 bytes of UTF-8 may be sent and one more may not", () => {
  assert.equal(refusal("a".repeat(65536)), null);
  assert.match(refusal("a".repeat(65537)), /^Not sent: /);
  assert.equal(refusal("é".repeat(32768)), null);
  assert.match(refusal("é".repeat(32769)), /^Not sent: /);
});

test("binary messages are shown by their size", () => {
  assert.equal(describe(new ArrayBuffer(12)), "binary message, 12 bytes");
  assert.equal(describe(new ArrayBuffer(1)), "binary message, 1 byte");
  assert.equal(describe("text"), "text");
});
