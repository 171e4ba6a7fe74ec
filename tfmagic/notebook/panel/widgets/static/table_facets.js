// @ts-check
// The values of a column to choose among, with their counts: a button for each column, one list below them.
// Not for: counting (the kernel's).

import { button, make } from "./dom.js";
import { countText } from "./words.js";
import { within } from "./table_scroll.js";

/** @typedef {import("./table_messages.js").Facet} Facet */

const PAGE = 8;

export class Facets {
  /** @type {string | null} */
  choosing = null;
  at = 0;

  /**
   * @param {[string, string][]} named
   * @param {string} id
   * @param {{facets: () => Facet[], chosen: () => Object<string, number[]>, choose: (chosen: Object<string, number[]>) => void}} table
   */
  constructor(named, id, table) {
    this.id = id;
    this.table = table;
    // What nothing is called in each column.
    this.nothing = new Map(named);
    this.choosers = new Map(named.map(([name]) => [name, button(name, () => this.open(name),
      { class: "tfm-chooser", "aria-expanded": "false", "aria-controls": id })]));
    this.list = make("ul", { class: "tfm-values", role: "listbox", "aria-multiselectable": "true", tabindex: 0, id });
    this.list.hidden = true;
    this.list.addEventListener("click", (event) => this.toggle(/** @type {Element} */ (event.target).closest("li")));
    this.list.addEventListener("keydown", (event) => this.key(event));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  called(name, text) { return text || (this.nothing.get(name) ?? ""); }

  /** @param {string} name */
  chosenTexts(name) {
    const codes = this.table.chosen()[name] ?? [];
    const values = this.table.facets().find((facet) => facet.column === name)?.values ?? [];
    return values.filter(([code]) => codes.includes(code)).map(([, text]) => this.called(name, text));
  }

  paintButtons() {
    for (const [name, chooser] of this.choosers) {
      const chosen = this.chosenTexts(name);
      chooser.textContent = chosen.length ? `${name}: ${chosen.join(", ")}` : name;
      chooser.classList.toggle("tfm-set", chosen.length > 0);
      chooser.setAttribute("aria-expanded", String(this.choosing === name));
    }
  }

  /** @param {string | null} name */
  open(name) {
    this.choosing = this.choosing === name ? null : name;
    this.at = 0;
    this.paintButtons();
    this.paint();
    if (this.choosing) this.list.focus();
  }

  paint() {
    const facet = this.table.facets().find((each) => each.column === this.choosing);
    this.list.hidden = !facet;
    if (!facet) return;
    const chosen = this.table.chosen()[facet.column] ?? [];
    const scrolled = this.list.scrollTop;
    this.list.setAttribute("aria-label", `Values of ${facet.column}`);
    this.list.replaceChildren(...facet.values.map(([code, text, count], index) => make("li", {
      role: "option", id: `${this.id}-${index}`, "data-code": code, "aria-selected": chosen.includes(code),
    }, make("span", { class: "tfm-value", text: this.called(facet.column, text) }), " ", make("span", { class: "tfm-many", text: countText(count) }))));
    if (facet.more) {
      const text = `… and ${countText(facet.more)} more`;
      this.list.append(make("li", { class: "tfm-more", role: "option", "aria-disabled": "true", "aria-selected": "false", text }));
    }
    this.list.scrollTop = scrolled;
    this.point(this.at);
  }

  /** @param {number} index */
  point(index) {
    const items = [...this.list.querySelectorAll("li[data-code]")];
    this.at = within(index, 0, items.length - 1);
    items.forEach((item, place) => item.classList.toggle("tfm-pointed", place === this.at));
    const item = items[this.at];
    if (!item) return;
    this.list.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  /** @param {Element | null | undefined} item */
  toggle(item) {
    const code = /** @type {HTMLElement | null | undefined} */ (item)?.dataset.code;
    if (!item || code === undefined || this.choosing === null) return;
    const before = this.table.chosen()[this.choosing] ?? [];
    const codes = before.includes(Number(code)) ? before.filter((each) => each !== Number(code)) : [...before, Number(code)];
    this.at = [...this.list.children].indexOf(item);
    item.setAttribute("aria-selected", String(codes.includes(Number(code))));
    this.table.choose({ ...this.table.chosen(), [this.choosing]: codes });
  }

  leave() {
    const chooser = this.choosers.get(this.choosing ?? "");
    this.open(this.choosing);
    chooser?.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const last = this.list.children.length - 1;
    /** @type {Object<string, () => void>} */
    const acts = {
      ArrowDown: () => this.point(this.at + 1), ArrowUp: () => this.point(this.at - 1),
      Home: () => this.point(0), End: () => this.point(last),
      PageDown: () => this.point(this.at + PAGE), PageUp: () => this.point(this.at - PAGE),
      Enter: () => this.toggle(this.list.children[this.at]), " ": () => this.toggle(this.list.children[this.at]),
      Escape: () => this.leave(),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    acts[event.key]();
    event.preventDefault();
  }
}
