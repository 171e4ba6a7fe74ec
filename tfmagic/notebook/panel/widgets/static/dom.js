// @ts-check
// What all scripts of the widgets share: elements, keys that stay out of the front end, timers that end with their view.
// Every string is set as text, never as markup. Not for: anything that one widget alone shows.

// Notebook 7 takes its shortcuts before any element hears of a key, unless the one that has the focus says this itself
// (Lumino's name; the front end's selectors match that element before they come to one around it).
const SUPPRESS = "data-lm-suppress-shortcuts";
const FOCUSABLE = new Set(["button", "input", "select", "summary"]);
// ipykernel answers a widget in the subshell that answered it last: asked once, it answers while a cell runs.
const PING_AFTER = 1500;

/**
 * Says of an element that its keys are its own.
 * @param {Element} element
 */
export function ownKeys(element) {
  element.setAttribute(SUPPRESS, "true");
}

/**
 * @param {string} tag
 * @param {Object<string, any>} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (FOCUSABLE.has(tag) || "tabindex" in attributes) ownKeys(element);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} text
 * @param {(event: MouseEvent) => void} act
 * @param {Object<string, any>} attributes
 */
export function button(text, act, attributes = {}) {
  const element = make("button", { type: "button", text, ...attributes });
  element.addEventListener("click", act);
  return element;
}

/**
 * The front end's own shortcuts stay out: Lab would take a letter for a command.
 * @param {Element} root
 * @param {string[]} kinds
 */
export function keepEvents(root, ...kinds) {
  for (const kind of kinds) root.addEventListener(kind, (event) => event.stopPropagation());
}

// Timers by name: one that is set again begins anew, and none outlives the view.
export class Timers {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  running = new Map();

  /**
   * @param {string} name
   * @param {number} wait
   * @param {() => void} act
   */
  set(name, wait, act) {
    this.end(name);
    this.running.set(name, setTimeout(() => { this.running.delete(name); act(); }, wait));
  }

  /** @param {string} name */
  end(name) {
    clearTimeout(this.running.get(name));
    this.running.delete(name);
  }

  endAll() { for (const name of [...this.running.keys()]) this.end(name); }

  /** @param {() => void} act */
  ping(act) {
    this.set("ping", PING_AFTER, () => {
      // The kernel may have ended meanwhile: then nobody is there to answer.
      try { act(); } catch { /* as said */ }
    });
  }
}
