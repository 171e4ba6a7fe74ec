// @ts-check
// The pane beside the picture: what is known of the box that was chosen.
// Every string of a model is set as text, never as markup. Not for: what is known (the kernel's).

import { button, make } from "./dom.js";
import { sizeText } from "./words.js";

/**
 * @typedef {{name: string, key: string, node: number, op: string, dtype: string, shape: string}} End
 * @typedef {{name: string, dtype: string, shape: string, bytes: number, row: number}} Weight
 * @typedef {{n: number, name: string, op: string, line: string, function: string, row: number, tensor: string,
 *   settings: [string, string][], usual: [string, string][], inputs: End[], outputs: End[], more: number,
 *   holds: Weight[], value: string}} Detail
 * @typedef {{bars: number[], low: string, high: string, text: string}} Chart
 * @typedef {{n: number, row: number, facts: [string, string][], note: string, chart?: Chart}} Statistics
 */

/**
 * A whole name, its last part before the eye.
 * @param {string} name
 */
function title(name) {
  const cut = name.lastIndexOf("/", name.length - 2) + 1;
  return make("h4", {}, ...(cut ? [make("span", { class: "tfm-of", text: name.slice(0, cut) })] : []), name.slice(cut));
}

/**
 * A name without the scopes that it shares with another.
 * @param {string} name
 * @param {string} other
 */
function apart(name, other) {
  let cut = 0;
  for (let end = name.indexOf("/"); end > 0 && name.slice(0, end + 1) === other.slice(0, end + 1); end = name.indexOf("/", end + 1)) cut = end + 1;
  return name.slice(cut) || name;
}

/** @param {[string, string][]} pairs */
function facts(pairs) {
  const list = make("dl", {});
  for (const [name, text] of pairs) list.append(make("div", {}, make("dt", { text: name }), make("dd", { text })));
  return list;
}

/**
 * A histogram; what it shows is said in words to who cannot see it.
 * @param {Chart} chart
 */
function histogram({ bars, low, high, text }) {
  const drawn = make("div", { class: "tfm-bars", role: "img", "aria-label": text });
  for (const bar of bars) {
    const column = make("span", {});
    column.style.height = `${Math.max(bar * 100, bar ? 2 : 0)}%`;
    drawn.append(column);
  }
  return [drawn, make("p", { class: "tfm-scale" }, make("span", { text: low }), make("span", { text: high }))];
}

export class Pane {
  /**
   * @param {(message: Object<string, unknown>) => void} ask
   * @param {() => void} close
   */
  constructor(ask, close) {
    this.ask = ask;
    this.close = close;
    this.root = make("section", { class: "tfm-about", "aria-label": "Details of the chosen box", "aria-live": "polite" });
    this.root.hidden = true;
    /** @type {Map<number, HTMLElement>} */
    this.charts = new Map();
    this.shown = -1;
  }

  get isOpen() { return !this.root.hidden; }

  hide() {
    this.root.hidden = true;
    this.shown = -1;
  }

  /**
   * @param {Detail} detail
   * @param {string[]} links
   */
  show(detail, links) {
    this.shown = detail.n;
    this.charts.clear();
    const shut = button("×", () => this.close(), { class: "tfm-shut", "aria-label": "Close the details", title: "Close (Esc)" });
    const parts = [
      make("div", { class: "tfm-head" }, title(detail.name), shut),
      make("p", { class: "tfm-line", text: detail.line }),
      ...this.acts(detail, links),
      ...this.settings(detail),
      ...this.ends("Input", detail.inputs, detail),
      ...this.ends("Output", detail.outputs, detail),
    ];
    if (detail.more) parts.push(make("p", { class: "tfm-line", text: `… and ${detail.more.toLocaleString("en")} more` }));
    if (detail.value) parts.push(make("h5", { text: "Values" }), make("p", { class: "tfm-values", text: detail.value }));
    parts.push(...this.weights(detail, links));
    this.root.replaceChildren(...parts);
    this.root.scrollTop = 0;
    this.root.hidden = false;
  }

  /**
   * @param {Detail} detail
   * @param {string[]} links
   */
  acts(detail, links) {
    const acts = [];
    if (detail.tensor && links.includes("output")) {
      acts.push(button("Use as output", () => this.ask({ do: "output", n: detail.n }),
        { title: `Convert the model as far as ${detail.tensor}` }));
    }
    if (detail.row >= 0 && links.includes("row")) {
      acts.push(button("Show in Ops", () => this.ask({ do: "row", n: detail.n }), { title: "Show in the table of ops" }));
    }
    if (!detail.op) {
      acts.push(button("Fold or unfold", () => this.ask({ do: "toggle", n: detail.n })));
    }
    return acts.length ? [make("div", { class: "tfm-acts" }, ...acts)] : [];
  }

  /** @param {Detail} detail */
  settings(detail) {
    const parts = [];
    if (detail.settings.length) parts.push(make("h5", { text: detail.op ? "Settings" : "Holds" }), facts(detail.settings));
    if (detail.usual.length) {
      const rest = make("details", {}, make("summary", { text: `${detail.usual.length} more` }), facts(detail.usual));
      parts.push(rest);
    }
    return parts;
  }

  /**
   * @param {string} heading
   * @param {End[]} ends
   * @param {Detail} detail
   */
  ends(heading, ends, detail) {
    if (!ends.length) return [];
    const list = make("ul", { class: "tfm-ends" });
    for (const end of ends) {
      const link = button(apart(end.name, detail.name),
        () => this.ask({ do: "reveal", function: detail.function, node: end.node }), { title: `${end.name} (${end.op})` });
      const key = end.key ? [make("span", { class: "tfm-of", text: end.key })] : [];
      const type = make("span", { class: "tfm-type" }, end.shape, " ", make("small", { text: end.dtype }));
      list.append(make("li", {}, link, ...key, type));
    }
    return [make("h5", { text: ends.length > 1 ? `${heading}s` : heading }), list];
  }

  /**
   * @param {Detail} detail
   * @param {string[]} links
   */
  weights(detail, links) {
    if (!detail.holds.length) return [];
    /** @type {HTMLElement[]} */
    const parts = [make("h5", { text: detail.holds.length > 1 ? "Weights" : "Weight" })];
    for (const weight of detail.holds) {
      const short = weight.name.split("/").at(-1) ?? weight.name;
      const name = links.includes("variable")
        ? button(short, () => this.ask({ do: "variable", row: weight.row }), { title: `Show ${weight.name} in Variables` })
        : make("span", { text: short, title: weight.name });
      const type = make("span", { class: "tfm-type" }, weight.shape, " ",
        make("small", { text: `${weight.dtype}, ${sizeText(weight.bytes)}` }));
      const chart = make("div", { class: "tfm-chart" });
      if (!detail.op) {
        chart.append(button("Statistics", () => this.ask({ do: "weight", n: detail.n, row: weight.row })));
      }
      this.charts.set(weight.row, chart);
      parts.push(make("div", { class: "tfm-weight" }, name, type), chart);
    }
    return parts;
  }

  /** @param {Statistics} statistics */
  measure(statistics) {
    const chart = this.charts.get(statistics.row);
    if (statistics.n !== this.shown || !chart) return;
    const parts = statistics.chart ? histogram(statistics.chart) : [];
    const shown = statistics.chart ? statistics.facts.filter(([name]) => name !== "min" && name !== "max") : statistics.facts;
    if (shown.length) parts.push(facts(shown));
    if (statistics.note) parts.push(make("p", { class: "tfm-line", text: statistics.note }));
    chart.replaceChildren(...parts);
  }
}
