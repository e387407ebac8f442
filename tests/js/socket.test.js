import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection } from "../../web/js/net/socket.js";
import { FakeClock, fakeWebSocketClass } from "./world.js";

// With this chance the waits are 350, 750, 1500, 3000, 6000, 12000, 22500, 22500... ms.
const HALF = () => 0.5;

function world() {
  const clock = new FakeClock();
  const WebSocket = fakeWebSocketClass();
  const states = [];
  const messages = [];
  const connection = new Connection({
    url: "ws://here/plain",
    WebSocket,
    clock,
    random: HALF,
    onState: (state) => states.push(state),
    onMessage: (content) => messages.push(content),
  });
  return { clock, WebSocket, states, messages, connection };
}

function opened() {
  const parts = world();
  parts.connection.start();
  parts.WebSocket.last.opens();
  return parts;
}

test("it dials the given address and tells connecting, then open", () => {
  const { WebSocket, states, connection } = world();
  connection.start();
  assert.equal(WebSocket.last.url, "ws://here/plain");
  WebSocket.last.opens();
  assert.deepEqual(
    states.map(({ name }) => name),
    ["connecting", "open"],
  );
});

test("messages are told in order, binary ones as bytes", () => {
  const { WebSocket, messages } = opened();
  const bytes = new ArrayBuffer(12);
  WebSocket.last.receives("one");
  WebSocket.last.receives(bytes);
  assert.deepEqual(messages, ["one", bytes]);
  assert.equal(WebSocket.last.binaryType, "arraybuffer");
});

test("a text goes to the open connection", () => {
  const { WebSocket, connection } = opened();
  assert.equal(connection.send("hello"), true);
  assert.deepEqual(WebSocket.last.sent, ["hello"]);
});

test("a text is not taken while there is no open connection", () => {
  const { WebSocket, connection } = world();
  assert.equal(connection.send("early"), false);
  connection.start();
  assert.equal(connection.send("early"), false);
  WebSocket.last.opens();
  WebSocket.last.readyState = 2;
  assert.equal(connection.send("late"), false);
  assert.deepEqual(WebSocket.last.sent, []);
});

test("after an ending it waits and dials again", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends(1001, "restart");
  assert.deepEqual(connection.state, {
    name: "waiting",
    ending: { code: 1001, reason: "restart", opened: true },
    retryAt: 350,
  });
  clock.advance(349);
  assert.equal(WebSocket.all.length, 1);
  clock.advance(1);
  assert.equal(WebSocket.all.length, 2);
});

test("how the last connection ended is known until the next is open", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends(1008);
  clock.advance(350);
  assert.equal(connection.state.name, "connecting");
  assert.equal(connection.state.ending.code, 1008);
  WebSocket.last.opens();
  assert.equal(connection.state.ending, null);
});

test("an ending before open says so", () => {
  const { WebSocket, connection } = world();
  connection.start();
  WebSocket.last.ends();
  assert.equal(connection.state.ending.opened, false);
});

test("waits grow while nothing gets through, and stay below 30 s", () => {
  const { clock, WebSocket, connection } = world();
  connection.start();
  const waits = [];
  for (let round = 0; round < 9; round += 1) {
    WebSocket.last.ends();
    waits.push(connection.state.retryAt - clock.now());
    clock.advance(waits.at(-1));
  }
  assert.deepEqual(waits, [350, 750, 1500, 3000, 6000, 12000, 22500, 22500, 22500]);
});

test("a connection that was open for less than 10 s does not shorten the waits", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends();
  clock.advance(350);
  WebSocket.last.opens();
  clock.advance(9999);
  WebSocket.last.ends();
  assert.equal(connection.state.retryAt - clock.now(), 750);
});

test("a connection that was open for 10 s does", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends();
  clock.advance(350);
  WebSocket.last.opens();
  clock.advance(10000);
  WebSocket.last.ends();
  assert.equal(connection.state.retryAt - clock.now(), 350);
});

test("a dial that takes 10 s is given up and tried again", () => {
  const { clock, WebSocket, connection } = world();
  connection.start();
  const slow = WebSocket.last;
  clock.advance(9999);
  assert.equal(connection.state.name, "connecting");
  clock.advance(1);
  assert.equal(connection.state.name, "waiting");
  assert.equal(connection.state.ending.opened, false);
  assert.equal(slow.closed.length, 1);
  clock.advance(350);
  assert.equal(WebSocket.all.length, 2);
});

test("an open connection is never given up for being slow to open", () => {
  const { clock, WebSocket, connection } = opened();
  clock.advance(60000);
  assert.equal(connection.state.name, "open");
  assert.deepEqual(WebSocket.last.closed, []);
});

test("what a replaced connection still says is ignored", () => {
  const { clock, WebSocket, messages, connection } = world();
  connection.start();
  const slow = WebSocket.last;
  clock.advance(10350);
  WebSocket.last.opens();
  const states = connection.state;
  slow.opens();
  slow.receives("from the grave");
  slow.ends(1008);
  assert.equal(connection.state, states);
  assert.deepEqual(messages, []);
  assert.equal(connection.send("to the living"), true);
  assert.deepEqual(slow.sent, []);
});

test("waking dials at once, and only once", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends();
  connection.wake();
  assert.equal(WebSocket.all.length, 2);
  connection.wake();
  clock.advance(1000);
  assert.equal(WebSocket.all.length, 2);
});

test("waking leaves an open connection alone", () => {
  const { WebSocket, connection } = opened();
  connection.wake();
  assert.equal(WebSocket.all.length, 1);
  assert.equal(connection.state.name, "open");
});

test("waking replaces a dial that hangs", () => {
  const { clock, WebSocket, connection } = world();
  connection.start();
  clock.advance(2000);
  connection.wake();
  assert.equal(WebSocket.all.length, 2);
  assert.equal(WebSocket.all[0].closed.length, 1);
});

test("stopping closes with 1000 and nothing is dialled any more", () => {
  const { clock, WebSocket, connection } = opened();
  connection.stop();
  assert.deepEqual(WebSocket.last.closed, [1000]);
  WebSocket.last.ends(1000);
  connection.wake();
  clock.advance(100000);
  assert.equal(connection.state.name, "stopped");
  assert.equal(WebSocket.all.length, 1);
  assert.equal(clock.pending, 0);
});

test("stopping while waiting ends the wait", () => {
  const { clock, WebSocket, connection } = opened();
  WebSocket.last.ends();
  connection.stop();
  clock.advance(100000);
  assert.equal(WebSocket.all.length, 1);
});

test("starting after a stop dials at once, with short waits again", () => {
  const { clock, WebSocket, connection } = world();
  connection.start();
  WebSocket.last.ends();
  connection.stop();
  connection.start();
  assert.equal(WebSocket.all.length, 2);
  WebSocket.last.ends();
  assert.equal(connection.state.retryAt - clock.now(), 350);
});

test("starting twice dials once", () => {
  const { WebSocket, connection } = world();
  connection.start();
  connection.start();
  assert.equal(WebSocket.all.length, 1);
});

test("an address the browser forbids is told like a failed dial, and tried again", () => {
  const { clock, WebSocket, connection } = world();
  WebSocket.refuse = true;
  connection.start();
  assert.equal(connection.state.name, "waiting");
  assert.equal(connection.state.ending.opened, false);
  WebSocket.refuse = false;
  clock.advance(350);
  WebSocket.last.opens();
  assert.equal(connection.state.name, "open");
});
