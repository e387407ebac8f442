// Wiring only: who tells whom.

import { Connection } from "./net/socket.js";
import { Banner } from "./ui/banner.js";
import { Composer } from "./ui/composer.js";
import { byId, setText } from "./ui/dom.js";
import { clockTime, Log } from "./ui/log.js";

const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/plain`;

const clock = {
  now: () => performance.now(),
  setTimeout: (call, delay) => setTimeout(call, delay),
  clearTimeout: (timer) => clearTimeout(timer),
};

const log = new Log({
  scroller: byId("log"),
  list: byId("messages"),
  empty: byId("empty"),
  jump: byId("jump"),
});

const banner = new Banner({
  bar: byId("bar"),
  status: byId("status-words"),
  outlook: byId("outlook"),
  error: byId("error"),
  retry: byId("retry"),
  field: byId("text"),
  host: location.host,
  now: clock.now,
  onRetry: () => connection.wake(),
});

// When the last connection ended, until the next one is open.
let lostAt = null;

const connection = new Connection({
  url,
  WebSocket,
  clock,
  random: Math.random,
  onState(state) {
    banner.showState(state);
    if (state.name === "open") {
      composer.connectionIsBack();
    }
    if (state.name === "open" && lostAt !== null) {
      const now = new Date();
      const [from, to] = [clockTime(lostAt), clockTime(now)];
      const span = from === to ? "for a moment" : `from ${from} to ${to}`;
      // The plain door keeps nothing for those who were away, so say where the hole is.
      log.addNote(`Not connected ${span}: what was said then is missing here.`, now);
      lostAt = null;
    } else if (state.ending?.opened && lostAt === null) {
      lostAt = new Date();
    }
  },
  onMessage: (content) => log.addMessage(content, new Date()),
});

const composer = new Composer({
  form: byId("composer"),
  send(text) {
    const sent = connection.send(text);
    if (sent) {
      banner.clearErrors();
    }
    return sent;
  },
  showError: (text) => banner.showSendError(text),
});

// navigator.onLine is not asked: on a network without internet it is false although the server is in reach.
addEventListener("online", () => connection.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    connection.wake();
  }
});
// A page with an open connection may not be kept for the Back button.
addEventListener("pagehide", () => {
  if (connection.state.name === "open") {
    lostAt = new Date();
  }
  connection.stop();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    connection.start();
  }
});

setText(byId("address"), url);
byId("help").hidden = false;
connection.start();
