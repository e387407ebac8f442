// The status line and the error line: how the connection is, and what went wrong.

import { setText } from "./dom.js";

const TICK_MS = 250;

// Why the server closed. What it holds against this page is shown until a message goes through again;
// the rest is over as soon as the connection is back.
const REPROACHES = {
  1007: "The server could not read the last message as text.",
  1008: "The server refused: messages came too fast, or this is not allowed here.",
  1009: "The last message was too big for the server.",
};
const ENDINGS = {
  1000: "The server closed the connection.",
  1001: "The server is stopping or restarting.",
  1011: "Something went wrong in the server.",
  1012: "The server is restarting.",
  1013: "The server is too busy, or this page could not keep up with it.",
};

/**
 * Say in words how a connection ended.
 *
 * @param {import("../net/socket.js").Ending} ending
 * @param {string} host the server's name and port
 * @returns {string} empty when the status line says enough
 */
export function endingWords({ code, reason, opened }, host) {
  if (!opened) {
    return (
      `Cannot reach the server at ${host}. Check that it is running and that this device is on its network. ` +
      "If both are so, it may be refusing this address."
    );
  }
  const words = REPROACHES[code] ?? ENDINGS[code] ?? "";
  if (reason === "") {
    return words;
  }
  return `${words || "The server closed the connection."} It says: “${reason}”`;
}

/**
 * Say how the connection is.
 *
 * @param {import("../net/socket.js").State} state
 * @param {number} now on the scale of `state.retryAt`
 * @returns {[string, string]} what is true, and what is being done about it
 */
export function statusWords({ name, ending, retryAt }, now) {
  if (name === "open") {
    return ["WebSocket is open", ""];
  }
  if (name === "waiting") {
    const seconds = Math.max(1, Math.ceil((retryAt - now) / 1000));
    return ["WebSocket is closed.", `Trying again in ${seconds} s`];
  }
  if (name === "connecting") {
    // After a failed dial the first half stays as it is, so nothing is read out again at every attempt.
    return ending === null ? ["Connecting…", ""] : ["WebSocket is closed.", "Connecting…"];
  }
  return ["WebSocket is closed.", ""];
}

export class Banner {
  #bar;
  #status;
  #outlook;
  #error;
  #retry;
  #field;
  #host;
  #now;

  #state = null;
  #ticker = null;
  #linkError = "";
  #linkErrorStays = false;
  #sendError = "";

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.bar gets `data-state`, for the style
   * @param {HTMLElement} parts.status what is true
   * @param {HTMLElement} parts.outlook what comes next; it counts down and is not read out
   * @param {HTMLElement} parts.error
   * @param {HTMLElement} parts.retry the button "Retry now"
   * @param {HTMLElement} parts.field where the focus goes when that button is gone
   * @param {string} parts.host
   * @param {() => number} parts.now
   * @param {() => void} parts.onRetry
   */
  constructor({ bar, status, outlook, error, retry, field, host, now, onRetry }) {
    this.#bar = bar;
    this.#status = status;
    this.#outlook = outlook;
    this.#error = error;
    this.#retry = retry;
    this.#field = field;
    this.#host = host;
    this.#now = now;
    retry.addEventListener("click", onRetry);
  }

  /** @param {import("../net/socket.js").State} state */
  showState(state) {
    this.#state = state;
    if (state.name === "open") {
      if (!this.#linkErrorStays) {
        this.#linkError = "";
      }
    } else if (state.name === "waiting") {
      this.#linkError = endingWords(state.ending, this.#host);
      this.#linkErrorStays = state.ending.opened && state.ending.code in REPROACHES;
    }
    this.#showError();
    this.#showStatus();
    clearInterval(this.#ticker);
    if (state.name === "waiting") {
      this.#ticker = setInterval(() => this.#showStatus(), TICK_MS);
    }
  }

  /** @param {string} text why the last message was not sent; empty when it is of no interest any more */
  showSendError(text) {
    this.#sendError = text;
    this.#showError();
  }

  /** A message got through: nothing that was wrong before matters. */
  clearErrors() {
    this.#sendError = "";
    this.#linkError = "";
    this.#linkErrorStays = false;
    this.#showError();
  }

  #showStatus() {
    const [words, outlook] = statusWords(this.#state, this.#now());
    this.#bar.dataset.state = this.#state.name;
    setText(this.#status, words);
    setText(this.#outlook, outlook === "" ? "" : ` ${outlook}`);
    const offered = this.#state.name === "waiting";
    if (!offered && document.activeElement === this.#retry) {
      // The button goes away; its focus should not fall back to the top of the page.
      this.#field.focus();
    }
    this.#retry.hidden = !offered;
  }

  #showError() {
    const text = this.#sendError || this.#linkError;
    setText(this.#error, text);
    this.#error.hidden = text === "";
  }
}
