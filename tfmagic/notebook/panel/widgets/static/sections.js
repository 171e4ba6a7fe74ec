// Sections of facts, tables, texts to copy and links. Every string is set as text, never as markup.
// Not for: deciding what is shown (the kernel's).

import { Timers, button, keepEvents, make } from "./dom.js";

const SAID = 4000;
// The longest word, in letters, that a table breaks nowhere.
const WORD = 16;

// A value: a link where it leads somewhere, with a bar behind it where it is a share of the largest.
function drawCell(cell, follow) {
  let shown = document.createTextNode(cell.text);
  if (cell.link) {
    shown = button(cell.text, () => follow(cell.link), { class: "tfm-link" });
  }
  if (cell.share === undefined) return [shown];
  const bar = make("span", { class: "tfm-share", "aria-hidden": "true" });
  bar.style.width = `${Math.round(100 * cell.share)}%`;
  return [bar, make("span", { class: "tfm-value" }, shown)];
}

function drawFacts(facts, kind, follow) {
  if (kind === "warnings") {
    return make("ul", { class: "tfm-warnings" }, ...facts.map(([, cell]) => make("li", {}, ...drawCell(cell, follow))));
  }
  const list = make("dl", { class: "tfm-facts" });
  for (const [name, cell] of facts) list.append(make("dt", { text: name }), make("dd", {}, ...drawCell(cell, follow)));
  return list;
}

// Whether a cell has only words that no narrow page has to break.
const isWhole = (text) => text.split(/\s+/).every((word) => word.length <= WORD);

function drawTable(section, follow) {
  const head = make("tr", {}, ...section.columns.map((name) => make("th", { scope: "col", text: name })));
  const rows = section.rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", isWhole(cell.text) ? { class: "tfm-whole" } : {}, ...drawCell(cell, follow)))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  // A wide table scrolls by itself, also by keyboard.
  return make("div", { class: "tfm-scroll", tabindex: 0, role: "region", "aria-label": section.title }, table);
}

// Takes a text to the clipboard; where the page may not write there, it is selected for the person to take.
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  }
  catch {
    const range = document.createRange();
    range.selectNodeContents(shown);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand?.("copy") ? "Copied" : "Selected: press Ctrl+C";
  }
}

function drawCopies(copies, say) {
  return make("div", { class: "tfm-copies" }, ...copies.map(({ label, text }) => {
    const shown = make("pre", { text, tabindex: 0, role: "region", "aria-label": label });
    const take = async () => {
      // What is folded cannot be selected.
      details.open = true;
      say(await copy(text, shown));
    };
    const details = make("details", {}, make("summary", { text: label }), shown);
    return make("div", { class: "tfm-copy" }, button("Copy", take, { "aria-label": `Copy: ${label}` }), details);
  }));
}

function drawSection(section, follow, say) {
  const heading = make(`h${section.level ?? 3}`, { text: section.title });
  const part = make("section", { "data-kind": section.kind ?? "" }, heading);
  if (section.note) part.append(make("p", { class: "tfm-note", text: section.note }));
  if (section.facts?.length) part.append(drawFacts(section.facts, section.kind, follow));
  if (section.columns) part.append(drawTable(section, follow));
  if (section.more || section.link) {
    const more = make("p", { class: "tfm-note" }, section.more ? `${section.more} ` : "");
    if (section.link) more.append(...drawCell({ text: `Show in ${section.link.tab}`, link: section.link }, follow));
    part.append(more);
  }
  if (section.copies?.length) part.append(drawCopies(section.copies, say));
  return part;
}

function render({ model, el }) {
  const status = make("span", { role: "status", "aria-live": "polite", class: "tfm-said" });
  const body = make("div");
  const folded = model.get("folded");
  const shown = folded ? make("details", {}, make("summary", { text: folded }), body) : body;
  const root = make("div", { class: "tfm-sections" }, shown, status);
  const timers = new Timers();
  const say = (text) => {
    status.textContent = text;
    timers.set("silence", SAID, () => { status.textContent = ""; });
  };
  const follow = (link) => model.send({ follow: link });
  const draw = () => body.replaceChildren(...model.get("sections").map((each) => drawSection(each, follow, say)));
  keepEvents(root, "keydown", "keyup", "keypress");
  model.on("change:sections", draw);
  draw();
  el.append(root);
  timers.ping(() => model.send({ ping: true }));
  return () => {
    timers.endAll();
    model.off("change:sections", draw);
  };
}

export default { render };
