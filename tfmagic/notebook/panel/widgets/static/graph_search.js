// @ts-check
// The search: its list lies over the picture, names are set as text with what was sought marked in them.
// Not for: finding (the kernel's), or how what was found is shown in the picture.

import { make } from "./dom.js";

/** @typedef {{name: string, op: string, function: string, node: number, n: number}} Hit */

export class Search {
  /**
   * @param {string} id
   * @param {{ask: (text: string) => void, go: (hit: Hit) => void, leave: () => void}} acts
   */
  constructor(id, acts) {
    this.acts = acts;
    this.input = /** @type {HTMLInputElement} */ (make("input", {
      type: "search", placeholder: "Find an op…", "aria-label": "Find an op by name or type", role: "combobox",
      "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `${id}-hits`, autocomplete: "off",
      spellcheck: "false",
    }));
    this.list = make("ul", { class: "tfm-hits", role: "listbox", "aria-label": "Ops found", id: `${id}-hits` });
    this.more = make("p", { class: "tfm-more" });
    this.over = make("div", { class: "tfm-over" }, this.list, this.more);
    this.over.hidden = true;
    this.root = make("div", { class: "tfm-find" }, this.input, this.over);
    /** @type {Map<Element, Hit>} */
    this.hits = new Map();
    this.list.addEventListener("click", (event) => this.go(/** @type {Element} */ (event.target).closest("li")));
    // The list goes when the search is left, but a click on it comes first.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.input.addEventListener("blur", () => this.close());
  }

  /** @param {{hits: Hit[], total: number, text: string}} answer */
  show({ hits, total, text }) {
    if (text !== this.input.value) return false;
    this.hits.clear();
    this.list.replaceChildren(...hits.map((hit, index) => {
      const item = make("li", { role: "option", id: `${this.list.id}-${index}`, "aria-selected": index === 0 },
        make("div", {}, ...marked(hit.name, text.trim())), make("span", { text: hit.op }));
      this.hits.set(item, hit);
      return item;
    }));
    this.over.hidden = !hits.length;
    const rest = total - hits.length;
    this.more.textContent = `${rest > 0 ? `${rest.toLocaleString("en")} more. ` : ""}Enter goes there, Esc closes.`;
    this.input.setAttribute("aria-expanded", String(!this.over.hidden));
    this.active(this.list.firstElementChild);
    return true;
  }

  /** @param {Element | null} item */
  active(item) {
    for (const other of this.list.children) other.setAttribute("aria-selected", String(other === item));
    if (item) { this.input.setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** @param {Element | null} item */
  go(item) {
    const hit = item && this.hits.get(item);
    if (!hit) return;
    this.close();
    this.acts.go(hit);
  }

  close() {
    this.over.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const items = [...this.list.children];
    const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      if (this.over.hidden) this.acts.leave();
      else this.close();
      event.preventDefault();
      return;
    }
    if (this.over.hidden) {
      if (event.key === "ArrowDown" && items.length && this.input.value) this.acts.ask(this.input.value);
      return;
    }
    if (event.key === "Enter") this.go(items[at]);
    else if (event.key === "ArrowDown") this.active(items[Math.min(at + 1, items.length - 1)]);
    else if (event.key === "ArrowUp") this.active(items[Math.max(at - 1, 0)]);
    else return;
    event.preventDefault();
  }
}

/**
 * A name in pieces, what was sought as a mark.
 * @param {string} name
 * @param {string} text
 */
function marked(name, text) {
  const at = text ? name.toLowerCase().lastIndexOf(text.toLowerCase()) : -1;
  // A letter that is longer in lower case would mark its neighbour: then nothing is.
  if (at < 0 || name.toLowerCase().length !== name.length) return [name];
  return [name.slice(0, at), make("mark", { text: name.slice(at, at + text.length) }), name.slice(at + text.length)];
}
