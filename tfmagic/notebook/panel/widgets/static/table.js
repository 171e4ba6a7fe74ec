// @ts-check
// The table: shows the rows that are in view, and asks the kernel for them, one request at a time.
// Every string of a model is set as text, never as markup. Not for: filtering, sorting or counting (the kernel's).

import { Timers, button, keepEvents, make } from "./dom.js";
import { counted, countText } from "./words.js";
import { Questions } from "./table_messages.js";
import { ROW, Scroll, within } from "./table_scroll.js";
import { Columns } from "./table_columns.js";
import { Facets } from "./table_facets.js";
import { drawCell, drawDetails } from "./table_view.js";
import { rowAct } from "./table_keys.js";

/**
 * @typedef {import("./table_columns.js").Column} Column
 * @typedef {import("./table_messages.js").Query} Query
 * @typedef {import("./table_messages.js").Answer} Answer
 * @typedef {{get: (name: string) => any, on: (name: string, act: (message?: any) => void) => void,
 *   off: (name: string, act: (message?: any) => void) => void, send: (message: object) => void}} TableModel
 */

// Milliseconds: after a key, and until somebody types no more.
const TYPING = 40, SETTLED = 300;
// Room beside what a column is fitted to.
const FITTED = 2;

class Table {
  timers = new Timers();
  id = `tfm-table-${Math.random().toString(36).slice(2)}`;
  active = -1;
  opened = -1;
  // The number of what was wanted last from outside.
  arrived = 0;

  search = /** @type {HTMLInputElement} */ (make("input", { type: "search", class: "tfm-search", autocomplete: "off", spellcheck: "false" }));
  regex = button(".*", () => this.ask({ regex: !this.query.regex }),
    { "aria-label": "Regular expression", title: "Take the text for a regular expression", "aria-pressed": "false" });
  clear = button("Clear", () => { this.search.value = ""; this.ask({ text: "", chosen: {} }); this.search.focus(); });
  /** @type {HTMLElement | null} */
  switch = null;
  naming = /** @type {HTMLInputElement} */ (make("input", {
    class: "tfm-naming", "aria-label": "Name of the variable for the filtered rows", autocomplete: "off", spellcheck: "false",
  }));
  keep = /** @type {HTMLButtonElement} */ (button("to DataFrame",
    () => this.model.send({ do: "keep", text: this.naming.value, query: this.query }),
    { title: "Put the filtered rows into a variable of the notebook" }));
  head = make("div", { class: "tfm-head", role: "row", "aria-rowindex": 1 });
  top = make("div", { class: "tfm-top", role: "rowgroup" }, this.head);
  rows = make("div", { class: "tfm-rows", role: "rowgroup" });
  pane = make("div", { class: "tfm-pane", role: "presentation" }, this.rows);
  filler = make("div", { class: "tfm-filler", role: "presentation" });
  view = make("div", { class: "tfm-view", role: "grid", tabindex: 0, "aria-readonly": "true" }, this.top, this.pane, this.filler);
  count = make("span", { class: "tfm-count", role: "status" });
  said = make("span", { class: "tfm-note", role: "status" });
  about = make("section", { class: "tfm-row-details", tabindex: -1, "aria-label": "Details of the opened row", "aria-live": "polite" });
  root = make("div", { class: "tfm-table" });

  onMessage = (/** @type {any} */ message) => this.receive(message);
  onDetails = () => this.tell();
  onWanted = () => this.arrive();
  onLayout = () => { this.columns.take(this.model.get("layout_of_columns")); this.columns.paint(); this.paintFrame(); };
  sizes = new ResizeObserver(() => { this.resize(); this.need(); });

  /**
   * @param {TableModel} model
   * @param {HTMLElement} element
   */
  constructor(model, element) {
    this.model = model;
    this.questions = new Questions((message) => model.send(message), model.get("sorted")[0]);
    this.questions.total = model.get("total");
    this.columns = new Columns(model.get("columns"), model.get("layout_of_columns"), (layout) => {
      model.send({ do: "columns", layout });
      this.paintFrame();
    });
    this.facets = new Facets(model.get("facets"), `${this.id}-values`, {
      facets: () => this.questions.facets, chosen: () => this.questions.query.chosen, choose: (chosen) => this.ask({ chosen }),
    });
    this.scroll = new Scroll(this.view, this.pane, this.filler, model.get("height"));
    this.view.setAttribute("aria-label", model.get("label"));
    this.about.hidden = true;
    this.root.append(this.buildTools(), this.facets.list, this.columns.menu, this.view,
      make("div", { class: "tfm-status" }, this.count, this.said), this.about);
    element.append(this.root);
    this.listen();
    this.paintFrame();
    this.tell();
    this.arrive();
    this.need();
  }

  get query() { return this.questions.query; }

  // The frame

  buildTools() {
    const what = `Filter by ${this.model.get("sought")}`;
    this.search.placeholder = `${what}…`;
    this.search.setAttribute("aria-label", what);
    this.clear.hidden = true;
    const tools = make("div", { class: "tfm-tools", role: "group", "aria-label": `${this.model.get("label")}: filters` },
      this.search, this.regex, ...this.facets.choosers.values());
    if (this.model.get("switch")) {
      this.switch = button(this.model.get("switch"), () => this.ask({ all: !this.query.all }), { "aria-pressed": "false" });
      tools.append(this.switch);
    }
    tools.append(this.clear, make("span", { class: "tfm-gap" }), this.columns.chooser);
    this.naming.value = this.model.get("variable");
    if (this.naming.value) tools.append(make("span", { class: "tfm-keep" }, this.keep, this.naming));
    return tools;
  }

  /** @param {Column} column */
  buildHeader(column) {
    const sorter = button(column.name, () => this.sort(column), { class: "tfm-sorter" });
    const heading = make("div", { class: `tfm-cell tfm-${column.kind}`, role: "columnheader", "aria-sort": "none", "data-column": column.name }, sorter);
    this.columns.equip(column, heading, () => this.fit(column));
    return heading;
  }

  listen() {
    this.model.on("msg:custom", this.onMessage);
    this.model.on("change:details", this.onDetails);
    this.model.on("change:wanted", this.onWanted);
    this.model.on("change:layout_of_columns", this.onLayout);
    keepEvents(this.root, "keydown", "keyup", "keypress", "contextmenu");
    this.search.addEventListener("input",
      () => this.timers.set("typing", TYPING, () => this.ask({ text: this.search.value })));
    this.search.addEventListener("keydown", (event) => this.searchKey(event));
    this.view.addEventListener("keydown", (event) => this.viewKey(event));
    this.view.addEventListener("scroll", () => { if (this.scroll.follow()) { this.position(); this.need(); } });
    this.view.addEventListener("wheel", (event) => {
      if (this.scroll.wheel(event)) { event.preventDefault(); this.position(); this.need(); }
    }, { passive: false });
    this.rows.addEventListener("click", (event) => this.click(event));
    this.rows.addEventListener("copy", (event) => this.copy(event));
    this.about.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.shut(); event.preventDefault(); } });
    this.naming.addEventListener("input", () => this.model.send({ do: "name", text: this.naming.value }));
    this.sizes.observe(this.view);
    this.timers.ping(() => this.model.send({ do: "ping" }));
  }

  close() {
    this.timers.endAll();
    this.sizes.disconnect();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:details", this.onDetails);
    this.model.off("change:wanted", this.onWanted);
    this.model.off("change:layout_of_columns", this.onLayout);
  }

  // Columns

  /** Draws headings and rows as wide, and in the order, that their columns have. */
  paintFrame() {
    const shown = this.columns.shown.map(({ name }) => name).join("\n");
    if (this.head.dataset.shown !== shown) {
      const focused = this.head.contains(document.activeElement) ? document.activeElement?.textContent : null;
      this.head.replaceChildren(...this.columns.shown.map((column) => this.buildHeader(column)));
      this.head.dataset.shown = shown;
      [...this.head.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
    }
    this.view.setAttribute("aria-colcount", String(this.columns.shown.length));
    this.head.style.gridTemplateColumns = this.columns.template;
    for (const each of [this.top, this.pane, this.filler]) each.style.minWidth = `${this.columns.least}px`;
    this.scroll.fit(this.questions.fetched?.total ?? this.model.get("total"));
    this.resize();
    this.paintTools();
    if (this.questions.fetched) this.paintRows();
  }

  /**
   * Makes a column as wide as what is drawn of it.
   * @param {Column} column
   */
  fit(column) {
    const place = this.columns.shown.indexOf(column);
    const rows = /** @type {HTMLElement[]} */ ([this.head, ...this.rows.children]);
    const template = this.columns.shown.map((_, index) => index === place ? "max-content" : "0px").join(" ");
    for (const row of rows) row.style.gridTemplateColumns = template;
    const widths = rows.map((row) => row.children[place]?.getBoundingClientRect().width ?? 0);
    for (const row of rows) row.style.gridTemplateColumns = this.columns.template;
    this.columns.widen(column.name, Math.max(...widths) + FITTED);
  }

  /** @param {Column} column */
  sort(column) {
    const firstDown = column.kind === "number" || column.kind === "bar";
    const { sort, descending } = this.query;
    if (sort !== column.name) this.ask({ sort: column.name, descending: firstDown });
    else if (descending === firstDown) this.ask({ descending: !firstDown });
    else this.ask({ sort: "", descending: false });
  }

  // Questions and answers

  /** @param {Partial<Query>} change */
  ask(change) {
    Object.assign(this.query, change);
    this.active = -1;
    this.move(0);
    this.paintTools();
    this.need();
  }

  need() { this.questions.need(this.scroll.top, this.scroll.visible()); }

  /** @param {any} message */
  receive(message) {
    if (message.error) {
      this.say(message.error);
      this.questions.fail(message.id);
    }
    if ("window" in message) this.take(message);
    if ("place" in message) this.place(message);
    if (message.naming) this.named(message.naming);
  }

  /** @param {Answer} answer */
  take(answer) {
    if (!this.questions.take(answer)) return;
    if (answer.facets) { this.facets.paint(); this.paintTools(); }
    // What stands below a table that gets lower comes up when nobody types on.
    if (this.scroll.needed(answer.total) >= this.view.clientHeight) this.scroll.fit(answer.total);
    else this.timers.set("fit", SETTLED, () => { this.scroll.fit(this.questions.total); this.resize(); });
    this.resize();
    this.paintRows();
    this.paintCount();
    this.need();
    this.questions.flush();
  }

  /** @param {string} text */
  say(text) { this.said.textContent = text; }

  // What is in view

  resize() {
    this.scroll.resize(this.questions.total);
    this.position();
  }

  /** @param {number} top */
  move(top) {
    this.scroll.move(top);
    this.position();
  }

  // Rows that do not reach the view stay where they are until others are there: no frame is blank.
  position() {
    const here = this.questions.fetched;
    if (!here) return;
    const { start, end, key } = here, { top, total } = this.scroll;
    const isCovered = start <= top && end >= Math.min(total, top + this.scroll.visible());
    this.view.setAttribute("aria-busy", String(!isCovered || key !== this.questions.key()));
    if (isCovered) this.rows.style.transform = `translateY(${Math.round((start - top) * ROW)}px)`;
  }

  // Drawing

  paintRows() {
    const here = this.questions.fetched;
    if (!here) return;
    const places = this.columns.places();
    this.rows.replaceChildren(...here.rows.map((_, index) => this.drawRow(index, places)));
    if (!here.rows.length) {
      const text = here.of ? "No row matches." : `There are no ${this.model.get("label").toLowerCase() || "rows"}.`;
      const cell = make("div", { role: "gridcell", "aria-colspan": places.length, text });
      this.rows.append(make("div", { class: "tfm-none", role: "row", "aria-rowindex": 2 }, cell));
    }
    this.position();
    this.mark();
    this.root.dataset.rows = String(here.rows.length);
  }

  /**
   * @param {number} index
   * @param {number[]} places
   */
  drawRow(index, places) {
    const { start, rows, numbers, shares } = /** @type {import("./table_messages.js").Fetched} */ (this.questions.fetched);
    const position = start + index, number = numbers[index];
    const row = make("div", {
      class: position % 2 ? "tfm-row tfm-odd" : "tfm-row", role: "row", id: `${this.id}-${position}`, "aria-rowindex": position + 2,
      "aria-selected": number === this.opened, "data-position": position, "data-row": number,
    });
    row.style.gridTemplateColumns = this.columns.template;
    this.columns.shown.forEach((column, index_) => {
      const place = places[index_];
      const neighbours = column.kind === "name" ? [rows[index - 1]?.[place], rows[index + 1]?.[place]] : [];
      row.append(drawCell(column, rows[index][place], shares[column.name]?.[index] ?? 0, neighbours));
    });
    return row;
  }

  mark() {
    const here = this.questions.fetched;
    for (const row of /** @type {HTMLCollectionOf<HTMLElement>} */ (this.rows.children)) {
      row.classList.toggle("tfm-active", Number(row.dataset.position) === this.active);
      if (row.dataset.row) row.setAttribute("aria-selected", String(Number(row.dataset.row) === this.opened));
    }
    const isHere = here && this.active >= here.start && this.active < here.end;
    if (isHere) this.view.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.view.removeAttribute("aria-activedescendant");
  }

  paintCount() {
    const here = this.questions.fetched;
    if (!here) return;
    const all = counted(here.of, "row");
    this.count.textContent = here.total === here.of ? all : `${countText(here.total)} of ${all}`;
    this.say(here.problem);
    this.search.setAttribute("aria-invalid", String(Boolean(here.problem)));
  }

  paintTools() {
    const { query } = this;
    this.regex.setAttribute("aria-pressed", String(query.regex));
    this.switch?.setAttribute("aria-pressed", String(query.all));
    this.clear.hidden = !this.questions.isFiltered();
    this.facets.paintButtons();
    for (const header of /** @type {HTMLCollectionOf<HTMLElement>} */ (this.head.children)) {
      const isSorted = header.dataset.column === query.sort;
      header.setAttribute("aria-sort", !isSorted ? "none" : query.descending ? "descending" : "ascending");
    }
  }

  // Rows

  /** @param {MouseEvent} event */
  click(event) {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".tfm-row"));
    if (!row || String(getSelection()).length) return;
    this.active = Number(row.dataset.position);
    this.view.focus({ preventScroll: true });
    this.open();
  }

  /**
   * A name is copied in one piece, as it is: its parts stand side by side, which else become lines.
   * @param {ClipboardEvent} event
   */
  copy(event) {
    const range = getSelection()?.getRangeAt(0);
    const around = range?.commonAncestorContainer;
    const element = around instanceof Element ? around : around?.parentElement;
    if (!range || !element?.closest(".tfm-cell")) return;
    event.clipboardData?.setData("text/plain", range.cloneContents().textContent ?? "");
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  searchKey(event) {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      this.view.focus({ preventScroll: true });
      this.step(Math.floor(this.scroll.top));
      event.preventDefault();
    } else if (event.key === "Escape" && this.search.value) {
      this.search.value = "";
      this.ask({ text: "" });
      event.preventDefault();
    }
  }

  /** @param {KeyboardEvent} event */
  viewKey(event) {
    if (event.target !== this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = rowAct(this, event.key);
    if (!act) return;
    act();
    event.preventDefault();
  }

  /** @param {number} position */
  step(position) {
    this.active = within(position, 0, this.questions.total - 1);
    this.scroll.reach(this.active);
    this.position();
    this.mark();
    this.need();
  }

  open() {
    const here = this.questions.fetched;
    const number = here?.numbers[this.active - here.start];
    if (number === undefined) return;
    // Between the rows and what is told of one stand all headings: a second Enter leads there at once.
    if (number === this.opened && !this.about.hidden) { this.about.focus(); return; }
    this.opened = number;
    this.mark();
    this.model.send({ do: "open", row: number });
  }

  shut() {
    this.opened = -1;
    this.mark();
    this.model.send({ do: "close" });
    this.view.focus({ preventScroll: true });
  }

  // What leads here: a row is sought under the filters that are set, then without them

  arrive() {
    const { n, row, query } = this.model.get("wanted");
    if (!n || n === this.arrived) return;
    this.arrived = n;
    if (query) { this.search.value = query.text; this.ask(query); }
    if (row !== undefined) this.goTo(row);
  }

  /** @param {number} row */
  goTo(row) { this.model.send({ do: "place", row, query: this.query }); }

  /** @param {{place: number, row: number}} found */
  place({ place, row }) {
    if (place < 0) { this.unhide(row); return; }
    this.questions.total = Math.max(this.questions.total, place + 1);
    this.scroll.total = this.questions.total;
    this.active = place;
    this.opened = row;
    this.move(place - Math.floor(this.scroll.visible() / 2));
    this.mark();
    this.need();
    this.model.send({ do: "open", row });
  }

  /** @param {number} row */
  unhide(row) {
    if (this.questions.isFiltered()) { this.search.value = ""; Object.assign(this.query, { text: "", chosen: {} }); }
    else if (this.switch && !this.query.all) this.query.all = true;
    else { this.say("that row is not in this table"); return; }
    this.paintTools();
    this.need();
    this.goTo(row);
  }

  // Details

  tell() {
    const details = this.model.get("details");
    const focused = this.about.contains(document.activeElement) ? document.activeElement?.textContent : null;
    this.about.hidden = !("row" in details);
    this.about.replaceChildren(...(this.about.hidden ? [] : drawDetails(details, {
      shut: () => this.shut(), goTo: (row) => this.goTo(row), act: (name) => this.model.send({ do: "act", name }),
    })));
    if (!this.about.hidden) { this.opened = details.row; this.mark(); }
    if (focused === null) return;
    // What had the focus was replaced: it goes to the same button, else a key would be the front end's.
    const same = [...this.about.querySelectorAll("button")].find((each) => each.textContent === focused);
    if (this.about.hidden) this.view.focus({ preventScroll: true });
    else (same ?? this.about).focus({ preventScroll: true });
  }

  /** @param {{text: string, problem: string, note: string, kept?: string}} naming */
  named({ text, problem, note, kept }) {
    if (text !== this.naming.value.trim() && text !== this.naming.value) return;
    this.naming.setAttribute("aria-invalid", String(Boolean(problem)));
    this.keep.disabled = Boolean(problem);
    this.say(kept ?? (problem || note));
  }
}

export default {
  /** @param {{model: TableModel, el: HTMLElement}} view */
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.close();
  },
};
