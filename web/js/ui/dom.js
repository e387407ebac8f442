// Making elements. Text goes in as text and nothing else: no markup is ever parsed here.

const ATTRIBUTES = new Set(["class", "datetime", "dir", "tabindex", "title"]);

/**
 * Make one element.
 *
 * @param {string} tag
 * @param {Record<string, string>} attributes of the few names allowed here: none runs script, loads or styles
 * @param {...(Node | string)} children a string becomes a text node
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (!ATTRIBUTES.has(name)) {
      throw new TypeError(`h() does not set ${name}`);
    }
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Put words into an element, and leave it alone when they are there already: a live region would say them again.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/**
 * The element of that id, which index.html has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`index.html has no #${id}`);
  }
  return element;
}
