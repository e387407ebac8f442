// The form: what is typed, and when it is sent.
//
// Contract: never disabled, and a text leaves the field only once it was handed to an open connection.

const MAX_BYTES = 65536;
const MAX_LINES = 8;
// What keyCode says while an input method is composing, in browsers that set isComposing too late.
const COMPOSING_KEY = 229;

const encoder = new TextEncoder();
const digits = new Intl.NumberFormat();

/**
 * Say why a text cannot be sent.
 *
 * @param {string} text
 * @returns {string | null} null when it can
 */
export function refusal(text) {
  const size = encoder.encode(text).length;
  if (size <= MAX_BYTES) {
    return null;
  }
  return (
    `Not sent: the message has ${digits.format(size)} bytes, ` +
    `and at most ${digits.format(MAX_BYTES)} are allowed. Please shorten it.`
  );
}

export class Composer {
  #field;
  #send;
  #showError;
  // Whether the error line says that there was no connection.
  #waits = false;

  /**
   * @param {object} parts
   * @param {HTMLFormElement} parts.form with one textarea and one button
   * @param {(text: string) => boolean} parts.send hands a text over; false when there is no connection
   * @param {(text: string) => void} parts.showError an empty text clears the line
   */
  constructor({ form, send, showError }) {
    this.#field = form.querySelector("textarea");
    this.#send = send;
    this.#showError = showError;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("keydown", (event) => this.#keyPressed(event));
    this.#field.addEventListener("input", () => this.#changed());
    // A press on the button must not take the focus: on a phone the keyboard would close after each message.
    form.querySelector("button").addEventListener("mousedown", (event) => event.preventDefault());
    this.#changed();
    if (!this.#isTouch()) {
      this.#field.focus();
    }
  }

  /** Say that what could not be sent can be now. */
  connectionIsBack() {
    if (this.#waits) {
      this.#waits = false;
      this.#showError("The connection is back: the text in the field can be sent now.");
    }
  }

  #submit() {
    this.#field.focus();
    this.#waits = false;
    const text = this.#field.value;
    if (text.trim() === "") {
      return;
    }
    const words = refusal(text);
    if (words !== null) {
      this.#showError(words);
    } else if (!this.#send(text)) {
      this.#waits = true;
      this.#showError(
        "Not sent: there was no connection. The text is still in the field; send it again once the WebSocket is open.",
      );
    } else {
      this.#field.value = "";
      this.#changed();
    }
  }

  #keyPressed(event) {
    const composing = event.isComposing || event.keyCode === COMPOSING_KEY;
    const plainEnter =
      event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (plainEnter && !composing && !this.#isTouch()) {
      event.preventDefault();
      this.#submit();
    }
  }

  #changed() {
    const text = this.#field.value;
    this.#field.rows = Math.min(MAX_LINES, text.split("\n").length);
    if (text === "") {
      this.#waits = false;
      this.#showError("");
    }
  }

  // A keyboard on glass has no Shift+Enter, so there Enter starts a line and the button sends.
  #isTouch() {
    return matchMedia("(hover: none) and (pointer: coarse)").matches;
  }
}
