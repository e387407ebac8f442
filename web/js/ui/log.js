// What was received: rows of time and text, the newest last.
//
// Contract: at most 400 rows; the view follows the newest row only while the reader is at the bottom,
// and never moves under somebody who reads further up.

import { h, setText } from "./dom.js";

const MAX_ROWS = 400;
// About one row: closer than this to the end counts as being there.
const NEAR_BOTTOM_PX = 48;
// One write a frame however many messages come. A timer, because a hidden page is given no frames.
const FLUSH_MS = 16;
const LONG_TEXT = 4000;

const shortTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/**
 * Name a moment the way the rows do.
 *
 * @param {Date} when
 * @returns {string}
 */
export function clockTime(when) {
  return shortTime.format(when);
}

/**
 * Say in words what a message holds.
 *
 * @param {string | ArrayBuffer} content
 * @returns {string}
 */
export function describe(content) {
  if (typeof content === "string") {
    return content;
  }
  const size = content.byteLength;
  return `binary message, ${size} ${size === 1 ? "byte" : "bytes"}`;
}

export class Log {
  #scroller;
  #list;
  #empty;
  #jump;

  #coming = [];
  #timer = null;
  #pinned = true;
  #lastTop = 0;
  #unseen = 0;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.scroller
   * @param {HTMLElement} parts.list the `ol` inside it
   * @param {HTMLElement} parts.empty what is shown while there is nothing
   * @param {HTMLElement} parts.jump the button that leads back to the newest row
   */
  constructor({ scroller, list, empty, jump }) {
    this.#scroller = scroller;
    this.#list = list;
    this.#empty = empty;
    this.#jump = jump;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    jump.addEventListener("click", () => this.#jumpDown());
    // The composer grows, an error line opens, a phone turns: whoever was at the bottom stays there.
    const observer = new ResizeObserver(() => this.#follow());
    observer.observe(scroller);
    observer.observe(list);
  }

  /**
   * Add a message.
   *
   * @param {string | ArrayBuffer} content
   * @param {Date} when
   */
  addMessage(content, when) {
    const text = describe(content);
    const isText = typeof content === "string";
    const long = text.length > LONG_TEXT;
    const attributes = { class: `text${isText ? "" : " binary"}${long ? " long" : ""}`, dir: "auto" };
    if (long) {
      // It scrolls within itself, which the keyboard must be able to do as well.
      attributes.tabindex = "0";
    }
    this.#add({ row: "row", body: [attributes, text], when });
  }

  /**
   * Add a remark of the page itself, such as a gap.
   *
   * @param {string} text
   * @param {Date} when
   */
  addNote(text, when) {
    this.#add({ row: "row note", body: [{ class: "text" }, text], when });
  }

  #add(entry) {
    this.#coming.push(entry);
    if (this.#coming.length > MAX_ROWS) {
      this.#coming.shift();
    }
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush() {
    const rows = this.#coming.map(({ row, body: [attributes, text], when }) =>
      h(
        "li",
        { class: row },
        h(
          "time",
          { datetime: when.toISOString(), title: fullTime.format(when) },
          clockTime(when),
        ),
        " ",
        h("div", attributes, text),
      ),
    );
    this.#coming = [];
    this.#timer = null;
    this.#empty.hidden = true;
    this.#list.append(...rows);
    this.#trim();
    if (!this.#pinned) {
      this.#unseen += rows.length;
      this.#showJump();
    }
    this.#follow();
  }

  #trim() {
    const surplus = this.#list.childElementCount - MAX_ROWS;
    if (surplus <= 0) {
      return;
    }
    // Measured only for a reader further up: it costs a layout, and those at the bottom need none.
    const before = this.#pinned ? 0 : this.#scroller.scrollHeight;
    for (let row = 0; row < surplus; row += 1) {
      this.#list.firstElementChild.remove();
    }
    if (!this.#pinned) {
      this.#scroller.scrollTop -= before - this.#scroller.scrollHeight;
      this.#lastTop = this.#scroller.scrollTop;
    }
  }

  #follow() {
    if (this.#pinned) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
      this.#lastTop = this.#scroller.scrollTop;
    }
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight <= NEAR_BOTTOM_PX) {
      this.#pinned = true;
      this.#unseen = 0;
    } else if (scrollTop < this.#lastTop) {
      // Only a move upwards is the reader's: rows that arrive lengthen the list without one.
      this.#pinned = false;
    }
    this.#lastTop = scrollTop;
    this.#showJump();
  }

  #jumpDown() {
    this.#pinned = true;
    this.#unseen = 0;
    this.#follow();
    // The button goes away; its focus should not fall back to the top of the page.
    this.#scroller.focus({ preventScroll: true });
    this.#showJump();
  }

  #showJump() {
    this.#jump.hidden = this.#pinned;
    const count = this.#unseen > 99 ? "99+" : `${this.#unseen}`;
    setText(this.#jump, this.#unseen === 0 ? "Jump to the newest" : `${count} new below`);
  }
}
