// Sections of facts, tables, texts to copy and links. Every string is set as text, never as markup.
// Not for: deciding what is shown (the kernel's).

// Notebook 7 takes its shortcuts before any element hears of a key, unless the one that has the focus says this itself.
const NO_SHORTCUTS = { "data-lm-suppress-shortcuts": "true" };
const SAID = 4000, PING_AFTER = 1500;
// The longest word, in letters, that a table breaks nowhere.
const WORD = 16;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// A value: a link where it leads somewhere, with a bar behind it where it is a share of the largest.
function drawCell(cell, follow) {
  let shown = document.createTextNode(cell.text);
  if (cell.link) {
    shown = make("button", { type: "button", class: "tfm-link", text: cell.text, ...NO_SHORTCUTS });
    shown.addEventListener("click", () => follow(cell.link));
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
  return make("div", { class: "tfm-scroll", tabindex: 0, role: "region", "aria-label": section.title, ...NO_SHORTCUTS }, table);
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
    const shown = make("pre", { text, tabindex: 0, role: "region", "aria-label": label, ...NO_SHORTCUTS });
    const button = make("button", { type: "button", text: "Copy", "aria-label": `Copy: ${label}`, ...NO_SHORTCUTS });
    button.addEventListener("click", async () => {
      // What is folded cannot be selected.
      details.open = true;
      say(await copy(text, shown));
    });
    const details = make("details", {}, make("summary", { text: label, ...NO_SHORTCUTS }), shown);
    return make("div", { class: "tfm-copy" }, button, details);
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
  const root = make("div", { class: "tfm-sections" }, body, status);
  let silence, ping;
  const say = (text) => {
    clearTimeout(silence);
    status.textContent = text;
    silence = setTimeout(() => { status.textContent = ""; }, SAID);
  };
  const follow = (link) => model.send({ follow: link });
  const draw = () => body.replaceChildren(...model.get("sections").map((each) => drawSection(each, follow, say)));
  for (const name of ["keydown", "keyup", "keypress"]) root.addEventListener(name, (event) => event.stopPropagation());
  model.on("change:sections", draw);
  draw();
  el.append(root);
  // ipykernel answers a widget in the subshell that answered it last: asked once, a link works while a cell runs.
  ping = setTimeout(() => {
    // The kernel may have ended meanwhile: then nobody is there to answer.
    try { model.send({ ping: true }); } catch { /* no more links */ }
  }, PING_AFTER);
  return () => {
    clearTimeout(ping);
    clearTimeout(silence);
    model.off("change:sections", draw);
  };
}

export default { render };
