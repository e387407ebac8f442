import assert from "node:assert/strict";
import { test } from "node:test";

import { retryDelay } from "../../web/js/net/backoff.js";

const LEAST = () => 0;
const MOST = () => 1 - 2 ** -53;

function near(actual, expected) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);
}

test("the first wait is between 100 and 600 ms", () => {
  near(retryDelay(0, LEAST), 100);
  near(retryDelay(0, MOST), 600);
});

test("later waits double", () => {
  near(retryDelay(1, MOST), 1000);
  near(retryDelay(2, MOST), 2000);
  near(retryDelay(3, MOST), 4000);
});

test("a wait is never below half of its most", () => {
  near(retryDelay(1, LEAST), 500);
  near(retryDelay(4, LEAST), 4000);
  near(retryDelay(50, LEAST), 15000);
});

test("no wait is longer than 30 s, however often it was tried", () => {
  for (const attempt of [5, 6, 7, 100, 5000]) {
    assert.ok(retryDelay(attempt, MOST) <= 30000);
  }
  near(retryDelay(6, MOST), 30000);
  near(retryDelay(5000, MOST), 30000);
});

test("waits of the same attempt differ by chance", () => {
  const random = [0.1, 0.9].values();
  const draw = () => random.next().value;
  assert.notEqual(retryDelay(3, draw), retryDelay(3, draw));
});
