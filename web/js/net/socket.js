// One connection that comes back by itself.
//
// Contract: at most one WebSocket of ours is ever listened to; what a replaced one still says is ignored.
// No DOM in here: the WebSocket class, timers and chance come in, so the tests can play the world.

import { retryDelay } from "./backoff.js";

const CONNECT_TIMEOUT_MS = 10000;
const STEADY_MS = 10000;
// A dial younger than this is worth waiting for when the network comes back; an older one may hang on a dead route.
const FRESH_DIAL_MS = 2000;
const OPEN = 1;
const ABNORMAL = 1006;

/**
 * How a connection ended.
 *
 * @typedef {object} Ending
 * @property {number} code the close code; 1006 when there was no closing handshake
 * @property {string} reason the server's words, often empty
 * @property {boolean} opened false when it never got as far as open
 */

/**
 * What the page may know.
 *
 * @typedef {object} State
 * @property {"idle" | "connecting" | "open" | "waiting" | "stopped"} name
 * @property {Ending | null} ending how the last connection ended; null while all is well
 * @property {number | null} retryAt when the next dial is due, on the clock's scale; only when waiting
 */

/**
 * The time, as the connection sees it.
 *
 * @typedef {object} Clock
 * @property {() => number} now milliseconds, never going back
 * @property {(call: () => void, delay: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

export class Connection {
  #url;
  #WebSocket;
  #clock;
  #random;
  #onState;
  #onMessage;

  #state = { name: "idle", ending: null, retryAt: null };
  #socket = null;
  #timer = null;
  #attempt = 0;
  #dialledAt = 0;

  /**
   * @param {object} parts
   * @param {string} parts.url where to, `ws:` or `wss:`
   * @param {typeof WebSocket} parts.WebSocket
   * @param {Clock} parts.clock
   * @param {() => number} parts.random
   * @param {(state: State) => void} parts.onState told after every change
   * @param {(content: string | ArrayBuffer) => void} parts.onMessage told every message, in order
   */
  constructor({ url, WebSocket, clock, random, onState, onMessage }) {
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#onState = onState;
    this.#onMessage = onMessage;
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** Begin, or begin again after `stop`. */
  start() {
    if (this.#state.name === "idle" || this.#state.name === "stopped") {
      this.#attempt = 0;
      this.#dial();
    }
  }

  /** Close for good reason (the page is going away) and stay closed until `start`. */
  stop() {
    const socket = this.#letGo();
    this.#enter("stopped", null);
    socket?.close(1000);
  }

  /** Dial now instead of later: the network is back, the page is looked at, or somebody asked for it. */
  wake() {
    const { name, ending } = this.#state;
    const hangs =
      name === "connecting" && this.#clock.now() - this.#dialledAt >= FRESH_DIAL_MS;
    if (name === "waiting" || hangs) {
      const socket = this.#letGo();
      this.#dial(ending);
      socket?.close();
    }
  }

  /**
   * Hand one text message over.
   *
   * @param {string} text
   * @returns {boolean} false when there is no open connection; the text then went nowhere
   */
  send(text) {
    if (this.#state.name !== "open" || this.#socket.readyState !== OPEN) {
      return false;
    }
    this.#socket.send(text);
    return true;
  }

  #dial(ending = null) {
    this.#dialledAt = this.#clock.now();
    let socket;
    try {
      socket = new this.#WebSocket(this.#url);
    } catch {
      // A browser that forbids the address says so at once; the page tells it like any failed dial.
      this.#ended({ code: ABNORMAL, reason: "", opened: false });
      return;
    }
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const current = () => this.#socket === socket;
    socket.onopen = () => current() && this.#opened();
    socket.onmessage = (event) => current() && this.#onMessage(event.data);
    socket.onclose = (event) =>
      current() &&
      this.#ended({
        code: event.code,
        reason: event.reason,
        opened: this.#state.name === "open",
      });
    this.#timer = this.#clock.setTimeout(() => this.#giveUp(), CONNECT_TIMEOUT_MS);
    this.#enter("connecting", ending);
  }

  #opened() {
    this.#clock.clearTimeout(this.#timer);
    // Not at once: a server that accepts and drops in a loop would be dialled without pause.
    this.#timer = this.#clock.setTimeout(() => (this.#attempt = 0), STEADY_MS);
    this.#enter("open", null);
  }

  #giveUp() {
    const socket = this.#letGo();
    this.#ended({ code: ABNORMAL, reason: "", opened: false });
    socket.close();
  }

  #ended(ending) {
    this.#letGo();
    const delay = retryDelay(this.#attempt, this.#random);
    this.#attempt += 1;
    this.#timer = this.#clock.setTimeout(() => this.#dial(ending), delay);
    this.#enter("waiting", ending, this.#clock.now() + delay);
  }

  /** Forget the WebSocket and the timer; what either still brings is of no interest. */
  #letGo() {
    const socket = this.#socket;
    this.#socket = null;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    return socket;
  }

  #enter(name, ending, retryAt = null) {
    this.#state = { name, ending, retryAt };
    this.#onState(this.#state);
  }
}
