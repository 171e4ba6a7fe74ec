// @ts-check
// The columns of a table: how wide they are, which are seen and in what order. What a person chose is told to the kernel,
// which keeps it. Not for: what stands in them.

import { button, make } from "./dom.js";
import { within } from "./table_scroll.js";

/**
 * @typedef {{name: string, kind: string, least?: number, unit?: string}} Column
 * @typedef {{order: string[], hidden: string[], widths: Object<string, number>}} Layout
 */

// Of a column's kind: the least pixels, and its part of what is left.
/** @type {Object<string, [number, number]>} */
const WIDTHS = { name: [200, 5], text: [104, 2], number: [76, 1], bar: [120, 1.5] };
const NARROWEST = 48, WIDEST = 1600, STEP = 16, DRAG = 5;
const HINT = "By mouse: drag a heading to move its column, its edge to make it wider. By keyboard: Shift and arrows on a heading.";

export class Columns {
  /** @type {Column[]} */
  shown = [];
  template = "";
  least = 0;
  /** @type {Layout} */
  layout = { order: [], hidden: [], widths: {} };
  // A heading that was dragged is not clicked.
  moved = false;

  /**
   * @param {Column[]} all
   * @param {Layout} layout
   * @param {(layout: Layout) => void} keep
   */
  constructor(all, layout, keep) {
    this.all = all;
    this.keep = keep;
    this.chooser = button("Columns", () => this.toggle(), { class: "tfm-chooser", "aria-expanded": "false" });
    this.menu = make("div", { class: "tfm-columns", role: "group", "aria-label": "Columns" });
    this.menu.hidden = true;
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.toggle();
      event.preventDefault();
    });
    this.take(layout);
  }

  /** @param {Partial<Layout>} layout */
  take(layout) {
    const names = this.all.map(({ name }) => name);
    const known = (layout.order ?? []).filter((name) => names.includes(name));
    this.layout = {
      order: [...known, ...names.filter((name) => !known.includes(name))],
      hidden: (layout.hidden ?? []).filter((name) => names.includes(name)), widths: { ...layout.widths },
    };
    this.arrange();
  }

  arrange() {
    const { order, hidden, widths } = this.layout;
    const byName = new Map(this.all.map((column) => [column.name, column]));
    this.shown = order.filter((name) => !hidden.includes(name)).flatMap((name) => byName.get(name) ?? []);
    const sizes = this.shown.map((column) => this.size(column, widths[column.name]));
    this.template = sizes.map(([least, part]) => part ? `minmax(${least}px, ${part}fr)` : `${least}px`).join(" ");
    this.least = sizes.reduce((sum, [least]) => sum + least, 0);
  }

  /**
   * @param {Column} column
   * @param {number | undefined} width
   * @returns {[number, number]}
   */
  size({ kind, least }, width) {
    if (width) return [width, 0];
    return least ? [least, least / 100] : WIDTHS[kind];
  }

  /** Where the cells of each column that is seen stand in a row as the kernel sends it. */
  places() { return this.shown.map((column) => this.all.indexOf(column)); }

  /** @param {Partial<Layout>} change */
  change(change) {
    this.layout = { ...this.layout, ...change };
    this.arrange();
    this.paint();
    this.keep(this.layout);
  }

  /**
   * @param {string} name
   * @param {number} width
   */
  widen(name, width) {
    this.change({ widths: { ...this.layout.widths, [name]: Math.round(within(width, NARROWEST, WIDEST)) } });
  }

  /**
   * @param {string} name
   * @param {number} place
   */
  put(name, place) {
    const order = this.layout.order.filter((each) => each !== name);
    order.splice(within(place, 0, order.length), 0, name);
    this.change({ order });
  }

  /**
   * @param {string} name
   * @param {boolean} isSeen
   */
  see(name, isSeen) {
    const hidden = this.layout.hidden.filter((each) => each !== name);
    this.change({ hidden: isSeen ? hidden : [...hidden, name] });
  }

  // The list

  toggle() {
    this.menu.hidden = !this.menu.hidden;
    this.chooser.setAttribute("aria-expanded", String(!this.menu.hidden));
    this.paint();
    if (this.menu.hidden) this.chooser.focus();
    else this.menu.querySelector("input")?.focus();
  }

  paint() {
    this.chooser.classList.toggle("tfm-set", this.layout.hidden.length > 0);
    if (this.menu.hidden) return;
    // What has the focus is drawn anew: it goes to the same control of the same column.
    const focused = this.menu.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.does : "";
    const rows = this.layout.order.map((name, place) => this.row(name, place));
    this.menu.replaceChildren(
      make("ul", {}, ...rows), button("As at first", () => this.change({ order: this.all.map(({ name }) => name), hidden: [], widths: {} }), { "data-does": "reset" }),
      make("span", { class: "tfm-note", text: HINT }),
    );
    if (!focused) return;
    const same = /** @type {HTMLElement | null} */ (this.menu.querySelector(`[data-does="${CSS.escape(focused)}"]`));
    (same ?? this.chooser).focus();
  }

  /**
   * @param {string} name
   * @param {number} place
   */
  row(name, place) {
    const isSeen = !this.layout.hidden.includes(name);
    const box = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox", "data-does": `see ${name}` }));
    box.checked = isSeen;
    // A table without any column would show nothing to bring one back by.
    if (isSeen && this.shown.length < 2) box.setAttribute("aria-disabled", "true");
    box.addEventListener("click", (event) => { if (box.getAttribute("aria-disabled")) event.preventDefault(); });
    box.addEventListener("change", () => this.see(name, box.checked));
    return make("li", {}, make("label", {}, box, " ", name),
      button("←", () => this.put(name, place - 1), { "aria-label": `Move ${name} to the left`, title: "To the left", "data-does": `left ${name}` }),
      button("→", () => this.put(name, place + 1), { "aria-label": `Move ${name} to the right`, title: "To the right", "data-does": `right ${name}` }));
  }

  // Headings

  /**
   * A heading by which its column is moved and made wider.
   * @param {Column} column
   * @param {HTMLElement} heading
   * @param {() => void} fit
   */
  equip(column, heading, fit) {
    const grip = make("span", { class: "tfm-grip", "aria-hidden": "true", title: "Drag to make the column wider; twice to fit it" });
    heading.append(grip);
    this.listenToGrip(column, heading, grip, fit);
    this.listenToHeading(column, heading);
    heading.addEventListener("keydown", (event) => {
      const way = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!way || !event.shiftKey) return;
      this.widen(column.name, heading.getBoundingClientRect().width + way * STEP);
      event.preventDefault();
    });
  }

  /**
   * @param {Column} column
   * @param {HTMLElement} heading
   * @param {HTMLElement} grip
   * @param {() => void} fit
   */
  listenToGrip(column, heading, grip, fit) {
    let from = 0, width = 0;
    grip.addEventListener("pointerdown", (event) => {
      from = event.clientX;
      width = heading.getBoundingClientRect().width;
      grip.setPointerCapture(event.pointerId);
      event.preventDefault();
      event.stopPropagation();
    });
    grip.addEventListener("pointermove", (event) => {
      if (grip.hasPointerCapture(event.pointerId)) this.widen(column.name, width + event.clientX - from);
    });
    grip.addEventListener("dblclick", () => fit());
  }

  /**
   * @param {Column} column
   * @param {HTMLElement} heading
   */
  listenToHeading(column, heading) {
    heading.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const from = event.clientX, over = new AbortController();
      this.moved = false;
      // A quick pointer has left the heading by the time that it is seen to move.
      document.addEventListener("pointermove", (move) => {
        if (!this.moved && Math.abs(move.clientX - from) < DRAG) return;
        this.moved = true;
        heading.classList.add("tfm-dragged");
        heading.style.transform = `translateX(${move.clientX - from}px)`;
      }, { signal: over.signal });
      /** @param {PointerEvent} last */
      const end = (last) => {
        over.abort();
        heading.classList.remove("tfm-dragged");
        heading.style.transform = "";
        if (this.moved && last.type === "pointerup") this.drop(column.name, heading, last.clientX);
      };
      document.addEventListener("pointerup", end, { signal: over.signal });
      document.addEventListener("pointercancel", end, { signal: over.signal });
    });
    heading.addEventListener("click", (event) => {
      // A key clicks, too, and has dragged nothing.
      if (this.moved && event.detail) { event.stopPropagation(); event.preventDefault(); }
    }, true);
  }

  /**
   * Puts a column before the one that its heading was dropped on the left half of.
   * @param {string} name
   * @param {HTMLElement} heading
   * @param {number} x
   */
  drop(name, heading, x) {
    const others = [...(heading.parentElement?.children ?? [])].filter((each) => each !== heading);
    const next = /** @type {HTMLElement | undefined} */ (others.find((each) => {
      const { left, width } = each.getBoundingClientRect();
      return x < left + width / 2;
    }));
    const order = this.layout.order.filter((each) => each !== name);
    this.put(name, next ? order.indexOf(next.dataset.column ?? "") : order.length);
  }
}
