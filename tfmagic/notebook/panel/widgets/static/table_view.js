// @ts-check
// How a table looks: its cells, and what is told of the row that is open below them.
// Every string of a model is set as text, never as markup. Not for: what is clicked, or what the kernel is asked.

import { button, make } from "./dom.js";
import { countText, ownPart, sizeText } from "./words.js";

/**
 * @typedef {import("./table_columns.js").Column} Column
 * @typedef {{text: string, row?: number}} Link
 * @typedef {{title: string, links: Link[], more?: number}} Group
 * @typedef {{bars: number[], low: string, high: string, text: string}} Chart
 * @typedef {{row: number, title: string, facts: [string, string][], note?: string, groups?: Group[],
 *   acts?: {name: string, text: string}[], chart?: Chart}} Details
 * @typedef {{shut: () => void, goTo: (row: number) => void, act: (name: string) => void}} Acts
 */

// The end of a long name that is always seen, and a text that may not fit: it is said whole where the pointer rests.
const TAIL = 12, LONG = 12;

/**
 * A name whose middle goes where there is no room: first of its scope, then of its own part.
 * @param {HTMLElement} cell
 * @param {string} name
 * @param {(string | undefined)[]} neighbours
 */
function drawName(cell, name, neighbours) {
  const own = ownPart(name, neighbours);
  const tail = Math.max(own, name.length - TAIL);
  const parts = [["tfm-scope", name.slice(0, own)], ["tfm-stem", name.slice(own, tail)], ["tfm-tail", name.slice(tail)]];
  const drawn = parts.filter(([, text]) => text).map(([kind, text]) => make("span", { class: kind, text }));
  cell.append(make("span", { class: "tfm-text" }, ...drawn));
  // Parts side by side are words apart to who hears them.
  if (drawn.length > 1) cell.setAttribute("aria-label", name);
}

/**
 * A number of bytes as a person says it, exact where the pointer rests.
 * @param {HTMLElement} cell
 * @param {string} text
 */
function drawSize(cell, text) {
  const [size, unit] = sizeText(Number(text.replaceAll(",", ""))).split(" ");
  cell.append(make("span", { class: "tfm-text" }, size, " ", make("span", { class: "tfm-unit", text: unit })));
  cell.title = `${text} bytes`;
}

/**
 * @param {Column} column
 * @param {string} text
 * @param {number} share
 * @param {(string | undefined)[]} neighbours
 */
export function drawCell(column, text, share, neighbours) {
  const cell = make("div", { class: `tfm-cell tfm-${column.kind}`, role: "gridcell" });
  if (share) {
    const bar = make("span", { class: "tfm-share" });
    bar.style.setProperty("--share", String(share));
    cell.append(bar);
  }
  if (text.length > LONG) cell.title = text;
  if (column.kind === "name") drawName(cell, text, neighbours);
  else if (column.unit === "bytes" && text) drawSize(cell, text);
  else if (share) cell.append(make("span", { class: "tfm-text", text }));
  // An element less in most cells: thousands are drawn at each key.
  else cell.textContent = text;
  if (text === "0") cell.classList.add("tfm-nought");
  return cell;
}

/**
 * @param {Details} details
 * @param {Acts} acts
 */
export function drawDetails(details, acts) {
  const parts = [
    make("h4", { text: details.title }),
    button("Close", () => acts.shut(), { class: "tfm-close", "aria-label": "Close the details" }),
  ];
  if (details.note) parts.push(make("p", { class: "tfm-note", text: details.note }));
  const facts = make("dl", { class: "tfm-facts" });
  for (const [name, text] of details.facts) facts.append(make("dt", { text: name }), make("dd", { text }));
  const known = make("div", { class: "tfm-known" }, ...(details.facts.length ? [facts] : []));
  if (details.chart) known.append(drawChart(details.chart));
  parts.push(known);
  for (const group of details.groups ?? []) parts.push(drawGroup(group, acts));
  for (const act of details.acts ?? []) parts.push(button(act.text, () => acts.act(act.name), { class: "tfm-act" }));
  return parts;
}

/**
 * @param {Group} group
 * @param {Acts} acts
 */
function drawGroup(group, acts) {
  const line = make("div", { class: "tfm-links" }, make("span", { class: "tfm-note", text: group.title }));
  for (const { text, row } of group.links) {
    line.append(row === undefined ? make("span", { class: "tfm-plain", text }) : button(text, () => acts.goTo(row), { class: "tfm-link" }));
  }
  if (group.more) line.append(make("span", { class: "tfm-note", text: `… and ${countText(group.more)} more` }));
  return line;
}

/** @param {Chart} chart */
function drawChart(chart) {
  const bars = make("div", { class: "tfm-bars", role: "img", "aria-label": chart.text }, ...chart.bars.map((height) => {
    const bar = make("span");
    bar.style.height = `${height * 100}%`;
    return bar;
  }));
  return make("figure", { class: "tfm-chart" }, bars,
    make("figcaption", {}, make("span", { text: chart.low }), make("span", { text: chart.high })));
}
