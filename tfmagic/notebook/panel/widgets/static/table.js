// The table: draws the rows that are in view, and asks the kernel for them, one request at a time.
// Every string of a model is set as text, never as markup. Not for: filtering, sorting or counting (the kernel's).

import { Timers, button, keepEvents, make } from "./dom.js";

const ROW = 26, HEAD = 30, BAR = 16;
// Rows fetched beyond the view on each side, and how near to their end more are fetched.
const BEYOND = 50, NEAR = 18;
// Browsers limit an element's height (Firefox to 17.9 million px): beyond this, the scroll position is scaled.
const MOST_HEIGHT = 8e6;
const TYPING = 40;
// Of a column's kind: the least pixels, and its part of what is left.
const WIDTHS = { name: [200, 5], text: [104, 2], number: [76, 1], bar: [120, 1.5] };

const within = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

class Table {
  constructor(model, element) {
    this.model = model;
    this.columns = model.get("columns");
    this.query = { text: "", regex: false, chosen: {}, sort: "", descending: false, all: false };
    this.total = model.get("total");
    this.facets = [];
    this.timers = new Timers();
    this.top = 0;
    this.active = -1;
    this.opened = -1;
    this.id = `tfm-table-${Math.random().toString(36).slice(2)}`;
    this.build(element);
    this.listen();
    this.resize();
    this.tell();
    this.arrive();
    this.need();
  }

  // The frame

  build(element) {
    this.root = make("div", { class: "tfm-table" });
    this.count = make("span", { class: "tfm-count", role: "status" });
    this.said = make("span", { class: "tfm-note", role: "status" });
    this.about = make("section", { class: "tfm-row-details", tabindex: -1, "aria-label": "Details of the opened row", "aria-live": "polite" });
    this.about.hidden = true;
    this.root.append(this.buildTools(), this.buildValues(), this.buildView(),
      make("div", { class: "tfm-status" }, this.count, this.said), this.about);
    element.append(this.root);
  }

  buildTools() {
    const sought = this.model.get("sought");
    this.search = make("input", {
      type: "search", class: "tfm-search", placeholder: `Filter by ${sought}…`, "aria-label": `Filter by ${sought}`,
      autocomplete: "off", spellcheck: "false",
    });
    this.regex = button(".*", () => this.ask({ regex: !this.query.regex }),
      { "aria-label": "Regular expression", title: "Take the text for a regular expression", "aria-pressed": "false" });
    this.choosers = new Map(this.model.get("facets").map(([name]) => [name, button(name, () => this.choose(name),
      { class: "tfm-chooser", "aria-expanded": "false", "aria-controls": `${this.id}-values` })]));
    const tools = make("div", { class: "tfm-tools", role: "group", "aria-label": `${this.model.get("label")}: filters` },
      this.search, this.regex, ...this.choosers.values());
    if (this.model.get("switch")) {
      this.switch = button(this.model.get("switch"), () => this.ask({ all: !this.query.all }), { "aria-pressed": "false" });
      tools.append(this.switch);
    }
    this.clear = button("Clear", () => { this.search.value = ""; this.ask({ text: "", chosen: {} }); this.search.focus(); });
    this.clear.hidden = true;
    tools.append(this.clear, make("span", { class: "tfm-gap" }));
    if (this.model.get("variable")) tools.append(this.buildNaming());
    return tools;
  }

  buildNaming() {
    this.naming = make("input", {
      class: "tfm-naming", value: this.model.get("variable"), "aria-label": "Name of the variable for the filtered rows",
      autocomplete: "off", spellcheck: "false",
    });
    this.naming.value = this.model.get("variable");
    this.keep = button("to DataFrame", () => this.model.send({ do: "keep", text: this.naming.value, query: this.query }),
      { title: "Put the filtered rows into a variable of the notebook" });
    return make("span", { class: "tfm-keep" }, this.keep, this.naming);
  }

  buildValues() {
    this.values = make("ul", { class: "tfm-values", role: "listbox", "aria-multiselectable": "true", tabindex: 0, id: `${this.id}-values` });
    this.values.hidden = true;
    return this.values;
  }

  buildView() {
    const widths = this.columns.map(({ kind, least }) => least ? [least, least / 100] : WIDTHS[kind]);
    this.template = widths.map(([least, part]) => `minmax(${least}px, ${part}fr)`).join(" ");
    const least = `${widths.reduce((sum, [each]) => sum + each, 0)}px`;
    this.head = make("div", { class: "tfm-head", role: "row", "aria-rowindex": 1 }, ...this.columns.map((column) => this.buildHeader(column)));
    this.rows = make("div", { class: "tfm-rows", role: "rowgroup" });
    this.pane = make("div", { class: "tfm-pane", role: "presentation" }, this.rows);
    this.filler = make("div", { class: "tfm-filler", role: "presentation" });
    this.view = make("div", {
      class: "tfm-view", role: "grid", tabindex: 0, "aria-label": this.model.get("label"), "aria-colcount": this.columns.length,
      "aria-readonly": "true",
    }, make("div", { class: "tfm-top", role: "rowgroup" }, this.head), this.pane, this.filler);
    this.head.style.gridTemplateColumns = this.template;
    for (const each of [this.head.parentNode, this.pane, this.filler]) each.style.minWidth = least;
    const room = HEAD + Math.max(this.model.get("total"), 4) * ROW + BAR;
    this.view.style.height = `${Math.min(this.model.get("height"), room)}px`;
    return this.view;
  }

  buildHeader(column) {
    const sorter = button(column.name, () => this.sort(column), { class: "tfm-sorter" });
    return make("div", { class: `tfm-cell tfm-${column.kind}`, role: "columnheader", "aria-sort": "none", "data-column": column.name }, sorter);
  }

  listen() {
    this.onMessage = (message) => this.receive(message);
    this.onDetails = () => this.tell();
    this.onWanted = () => this.arrive();
    this.model.on("msg:custom", this.onMessage);
    this.model.on("change:details", this.onDetails);
    this.model.on("change:wanted", this.onWanted);
    keepEvents(this.root, "keydown", "keyup", "keypress", "contextmenu");
    this.search.addEventListener("input",
      () => this.timers.set("typing", TYPING, () => this.ask({ text: this.search.value })));
    this.search.addEventListener("keydown", (event) => this.searchKey(event));
    this.view.addEventListener("keydown", (event) => this.viewKey(event));
    this.view.addEventListener("scroll", () => this.scrolled());
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.rows.addEventListener("click", (event) => this.click(event));
    this.values.addEventListener("click", (event) => this.toggle(event.target.closest("li")));
    this.values.addEventListener("keydown", (event) => this.valuesKey(event));
    this.about.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.shut(); event.preventDefault(); } });
    this.naming?.addEventListener("input", () => this.model.send({ do: "name", text: this.naming.value }));
    this.sizes = new ResizeObserver(() => { this.resize(); this.need(); });
    this.sizes.observe(this.view);
    this.timers.ping(() => this.model.send({ do: "ping" }));
  }

  close() {
    this.timers.endAll();
    this.sizes.disconnect();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:details", this.onDetails);
    this.model.off("change:wanted", this.onWanted);
  }

  // Requests: one is under way, of those that wait the last one counts

  ask(change) {
    Object.assign(this.query, change);
    this.active = -1;
    this.move(0);
    this.paintTools();
    this.need();
  }

  key() { return JSON.stringify(this.query); }

  // Fetch rows unless those that are here reach far enough beyond the view.
  need() {
    const first = Math.floor(this.top), last = this.top + this.visible();
    const { start, end, key } = this.fetched ?? {};
    const isNear = key === this.key() && (start === 0 || first - start >= NEAR) && (end >= this.total || end - last >= NEAR);
    if (isNear && first >= start) { this.waiting = null; return; }
    this.waiting = { start: Math.max(0, first - BEYOND), count: Math.ceil(this.visible()) + 2 * BEYOND };
    this.flush();
  }

  flush() {
    if (this.underWay || !this.waiting) return;
    const key = this.key();
    this.underWay = { id: this.asked = (this.asked ?? 0) + 1, key };
    this.model.send({ do: "window", ...this.waiting, id: this.asked, query: this.query, facets: key !== this.counted });
    this.waiting = null;
  }

  receive(message) {
    if (message.error) {
      this.say(message.error);
      if (message.id === this.underWay?.id) this.underWay = null;
    }
    if ("window" in message) this.take(message);
    if ("place" in message) this.place(message);
    if (message.naming) this.named(message.naming);
  }

  take(message) {
    if (message.window !== this.underWay?.id) return;
    const { key } = this.underWay;
    this.underWay = null;
    this.fetched = { ...message, key, end: message.start + message.rows.length };
    this.total = message.total;
    if (message.facets) { this.facets = message.facets; this.counted = key; this.paintValues(); this.paintTools(); }
    this.resize();
    this.paintRows();
    this.paintCount();
    this.need();
    this.flush();
  }

  say(text) { this.said.textContent = text; }

  // Scrolling. `top` is the row at the upper edge, in fractions; the scroll position follows it, scaled where it must be.

  visible() { return Math.max(this.paneHeight, ROW) / ROW; }
  mostTop() { return Math.max(0, this.total - this.visible()); }
  mostScroll() { return Math.max(0, Math.min(this.total * ROW, MOST_HEIGHT) - this.paneHeight); }
  isScaled() { return this.total * ROW > MOST_HEIGHT; }

  resize() {
    this.paneHeight = Math.max(0, (this.view.clientHeight || this.model.get("height")) - HEAD);
    this.pane.style.height = `${this.paneHeight}px`;
    this.filler.style.height = `${this.mostScroll()}px`;
    this.view.setAttribute("aria-rowcount", this.total + 1);
    this.move(this.top);
  }

  move(top) {
    this.top = within(top, 0, this.mostTop());
    const most = this.mostTop();
    this.view.scrollTop = most ? (this.top / most) * this.mostScroll() : 0;
    this.put = this.view.scrollTop;
    this.position();
  }

  scrolled() {
    if (Math.abs(this.view.scrollTop - this.put) < 1) return;
    this.put = this.view.scrollTop;
    const most = this.mostScroll();
    this.top = most ? within((this.put / most) * this.mostTop(), 0, this.mostTop()) : 0;
    this.position();
    this.need();
  }

  // Where the position is scaled, the wheel still moves by rows.
  wheel(event) {
    if (!this.isScaled() || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    const step = event.deltaMode === 0 ? event.deltaY / ROW : event.deltaMode === 1 ? event.deltaY : event.deltaY * this.visible();
    const before = this.top;
    this.move(this.top + step);
    if (this.top !== before) { event.preventDefault(); this.need(); }
  }

  // Rows that do not reach the view stay where they are until others are there: no frame is blank.
  position() {
    if (!this.fetched) return;
    const { start, end } = this.fetched;
    const isCovered = start <= this.top && end >= Math.min(this.total, this.top + this.visible());
    this.view.setAttribute("aria-busy", !isCovered || this.fetched.key !== this.key());
    if (isCovered) this.rows.style.transform = `translateY(${Math.round((start - this.top) * ROW)}px)`;
  }

  // Drawing

  paintRows() {
    const { start, rows, numbers, shares } = this.fetched;
    const largest = Object.fromEntries(this.columns.map((column, place) => [place, shares[column.name]]));
    this.rows.replaceChildren(...rows.map((cells, index) => this.drawRow(start + index, numbers[index], cells, (place) => largest[place]?.[index])));
    if (!rows.length) {
      const cell = make("div", { role: "gridcell", "aria-colspan": this.columns.length, text: this.fetched.of ? "No row matches." : `There are no ${this.model.get("label").toLowerCase() || "rows"}.` });
      this.rows.append(make("div", { class: "tfm-none", role: "row", "aria-rowindex": 2 }, cell));
    }
    this.position();
    this.mark();
    this.root.dataset.rows = rows.length;
  }

  drawRow(position, number, cells, share) {
    const row = make("div", {
      class: position % 2 ? "tfm-row tfm-odd" : "tfm-row", role: "row", id: `${this.id}-${position}`, "aria-rowindex": position + 2,
      "aria-selected": number === this.opened, "data-position": position, "data-row": number,
    });
    row.style.gridTemplateColumns = this.template;
    cells.forEach((text, place) => {
      const cell = make("div", { class: `tfm-cell tfm-${this.columns[place].kind}`, role: "gridcell" });
      const part = share(place);
      if (part) { const bar = make("span", { class: "tfm-share" }); bar.style.width = `${part * 100}%`; cell.append(bar); }
      cell.append(make("span", { class: "tfm-text", text }));
      if (text.length > 12) cell.title = text;
      row.append(cell);
    });
    return row;
  }

  mark() {
    const start = this.fetched?.start ?? 0;
    for (const row of this.rows.children) row.classList.toggle("tfm-active", Number(row.dataset.position) === this.active);
    for (const row of this.rows.children) if (row.dataset.row) row.setAttribute("aria-selected", Number(row.dataset.row) === this.opened);
    const isHere = this.active >= start && this.active < (this.fetched?.end ?? 0);
    if (isHere) this.view.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.view.removeAttribute("aria-activedescendant");
  }

  paintCount() {
    const { total, of, problem } = this.fetched;
    const all = `${of.toLocaleString("en")} ${of === 1 ? "row" : "rows"}`;
    this.count.textContent = total === of ? all : `${total.toLocaleString("en")} of ${all}`;
    this.say(problem);
    this.search.setAttribute("aria-invalid", Boolean(problem));
  }

  paintTools() {
    const { query } = this;
    this.regex.setAttribute("aria-pressed", query.regex);
    this.switch?.setAttribute("aria-pressed", query.all);
    this.clear.hidden = !query.text && !Object.values(query.chosen).some((codes) => codes.length);
    for (const [name, chooser] of this.choosers) {
      const chosen = this.chosenTexts(name);
      chooser.textContent = chosen.length ? `${name}: ${chosen.join(", ")}` : name;
      chooser.classList.toggle("tfm-set", chosen.length > 0);
      chooser.setAttribute("aria-expanded", this.choosing === name);
    }
    for (const header of this.head.children) {
      const isSorted = header.dataset.column === query.sort;
      header.setAttribute("aria-sort", !isSorted ? "none" : query.descending ? "descending" : "ascending");
    }
  }

  // What a value is called: the facet says what nothing means.
  called(name, text) { return text || (this.model.get("facets").find(([each]) => each === name)?.[1] ?? ""); }

  chosenTexts(name) {
    const codes = this.query.chosen[name] ?? [];
    const values = this.facets.find((facet) => facet.column === name)?.values ?? [];
    return values.filter(([code]) => codes.includes(code)).map(([, text]) => this.called(name, text));
  }

  sort(column) {
    const firstDown = column.kind === "number" || column.kind === "bar";
    const { sort, descending } = this.query;
    if (sort !== column.name) this.ask({ sort: column.name, descending: firstDown });
    else if (descending === firstDown) this.ask({ descending: !firstDown });
    else this.ask({ sort: "", descending: false });
  }

  // Facets

  choose(name) {
    this.choosing = this.choosing === name ? null : name;
    this.at = 0;
    this.paintTools();
    this.paintValues();
    if (this.choosing) this.values.focus();
  }

  paintValues() {
    const facet = this.facets.find((each) => each.column === this.choosing);
    this.values.hidden = !facet;
    if (!facet) return;
    const chosen = this.query.chosen[facet.column] ?? [];
    const scrolled = this.values.scrollTop;
    this.values.setAttribute("aria-label", `Values of ${facet.column}`);
    this.values.replaceChildren(...facet.values.map(([code, text, count], index) => make("li", {
      role: "option", id: `${this.id}-value-${index}`, "data-code": code, "aria-selected": chosen.includes(code),
    }, make("span", { class: "tfm-value", text: this.called(facet.column, text) }), " ", make("span", { class: "tfm-many", text: count.toLocaleString("en") }))));
    if (facet.more) this.values.append(make("li", { class: "tfm-more", role: "option", "aria-disabled": "true", "aria-selected": "false", text: `… and ${facet.more.toLocaleString("en")} more` }));
    this.values.scrollTop = scrolled;
    this.point(this.at);
  }

  point(index) {
    const items = [...this.values.querySelectorAll("li[data-code]")];
    this.at = within(index, 0, items.length - 1);
    items.forEach((item, place) => item.classList.toggle("tfm-pointed", place === this.at));
    if (items[this.at]) { this.values.setAttribute("aria-activedescendant", items[this.at].id); items[this.at].scrollIntoView({ block: "nearest" }); }
  }

  toggle(item) {
    if (!item?.dataset.code) return;
    const name = this.choosing, code = Number(item.dataset.code);
    const before = this.query.chosen[name] ?? [];
    const codes = before.includes(code) ? before.filter((each) => each !== code) : [...before, code];
    this.at = [...this.values.children].indexOf(item);
    item.setAttribute("aria-selected", codes.includes(code));
    this.ask({ chosen: { ...this.query.chosen, [name]: codes } });
  }

  valuesKey(event) {
    const last = this.values.children.length - 1;
    const acts = {
      ArrowDown: () => this.point(this.at + 1), ArrowUp: () => this.point(this.at - 1), Home: () => this.point(0), End: () => this.point(last),
      PageDown: () => this.point(this.at + 8), PageUp: () => this.point(this.at - 8),
      Enter: () => this.toggle(this.values.children[this.at]), " ": () => this.toggle(this.values.children[this.at]),
      Escape: () => { const chooser = this.choosers.get(this.choosing); this.choose(this.choosing); chooser?.focus(); },
    };
    if (!(event.key in acts)) return;
    acts[event.key]();
    event.preventDefault();
  }

  // Rows

  click(event) {
    const row = event.target.closest(".tfm-row");
    if (!row || String(getSelection()).length) return;
    this.active = Number(row.dataset.position);
    this.view.focus({ preventScroll: true });
    this.open();
  }

  searchKey(event) {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      this.view.focus({ preventScroll: true });
      this.step(Math.floor(this.top));
      event.preventDefault();
    } else if (event.key === "Escape" && this.search.value) {
      this.search.value = "";
      this.ask({ text: "" });
      event.preventDefault();
    }
  }

  viewKey(event) {
    if (event.target !== this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.visible()) - 1);
    const from = this.active < 0 ? Math.ceil(this.top) - 1 : this.active;
    const acts = {
      ArrowDown: () => this.step(from + 1), ArrowUp: () => this.step(from - 1), PageDown: () => this.step(from + page), PageUp: () => this.step(from - page),
      Home: () => this.step(0), End: () => this.step(this.total - 1), Enter: () => this.open(), " ": () => this.open(),
      Escape: () => this.shut(), "/": () => this.search.focus(),
    };
    if (!(event.key in acts)) return;
    acts[event.key]();
    event.preventDefault();
  }

  step(position) {
    this.active = within(position, 0, this.total - 1);
    if (this.active < this.top) this.move(this.active);
    else if (this.active + 1 > this.top + this.visible()) this.move(this.active + 1 - this.visible());
    this.mark();
    this.need();
  }

  open() {
    const number = this.fetched?.numbers[this.active - this.fetched.start];
    if (number === undefined) return;
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

  goTo(row) { this.model.send({ do: "place", row, query: this.query }); }

  place({ place, row }) {
    if (place < 0) return this.unhide(row);
    this.total = Math.max(this.total, place + 1);
    this.active = place;
    this.opened = row;
    this.move(place - Math.floor(this.visible() / 2));
    this.mark();
    this.need();
    this.model.send({ do: "open", row });
  }

  unhide(row) {
    if (!this.clear.hidden) { this.search.value = ""; Object.assign(this.query, { text: "", chosen: {} }); }
    else if (this.switch && !this.query.all) this.query.all = true;
    else return this.say("that row is not in this table");
    this.paintTools();
    this.need();
    this.goTo(row);
  }

  // Details

  tell() {
    const details = this.model.get("details");
    const focused = this.about.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.about.hidden = !("row" in details);
    this.about.replaceChildren(...(this.about.hidden ? [] : this.drawDetails(details)));
    if (!this.about.hidden) { this.opened = details.row; this.mark(); }
    if (focused === null) return;
    // What had the focus was replaced: it goes to the same button, else a key would be the front end's.
    const same = [...this.about.querySelectorAll("button")].find((each) => each.textContent === focused);
    if (this.about.hidden) this.view.focus({ preventScroll: true });
    else (same ?? this.about).focus({ preventScroll: true });
  }

  drawDetails(details) {
    const parts = [make("h4", { text: details.title })];
    parts.push(button("Close", () => this.shut(), { class: "tfm-close", "aria-label": "Close the details" }));
    if (details.note) parts.push(make("p", { class: "tfm-note", text: details.note }));
    const facts = make("dl", { class: "tfm-facts" });
    for (const [name, text] of details.facts) facts.append(make("dt", { text: name }), make("dd", { text }));
    const known = make("div", { class: "tfm-known" }, ...(details.facts.length ? [facts] : []));
    if (details.chart) known.append(this.drawChart(details.chart));
    parts.push(known);
    for (const group of details.groups ?? []) parts.push(this.drawGroup(group));
    for (const act of details.acts ?? []) parts.push(button(act.text, () => this.model.send({ do: "act", name: act.name }), { class: "tfm-act" }));
    return parts;
  }

  drawGroup(group) {
    const line = make("div", { class: "tfm-links" }, make("span", { class: "tfm-note", text: group.title }));
    for (const link of group.links) {
      line.append(link.row === undefined ? make("span", { class: "tfm-plain", text: link.text })
        : button(link.text, () => this.goTo(link.row), { class: "tfm-link" }));
    }
    if (group.more) line.append(make("span", { class: "tfm-note", text: `… and ${group.more.toLocaleString("en")} more` }));
    return line;
  }

  drawChart(chart) {
    const bars = make("div", { class: "tfm-bars", role: "img", "aria-label": chart.text }, ...chart.bars.map((height) => {
      const bar = make("span");
      bar.style.height = `${height * 100}%`;
      return bar;
    }));
    return make("figure", { class: "tfm-chart" }, bars,
      make("figcaption", {}, make("span", { text: chart.low }), make("span", { text: chart.high })));
  }

  named({ text, problem, note, kept }) {
    if (text !== this.naming.value.trim() && text !== this.naming.value) return;
    this.naming.setAttribute("aria-invalid", Boolean(problem));
    this.keep.disabled = Boolean(problem);
    this.say(kept ?? (problem || note));
  }
}

export default {
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.close();
  },
};
