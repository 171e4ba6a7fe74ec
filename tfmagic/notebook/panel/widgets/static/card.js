// The first screen of a model: a tree of elements that the kernel makes, with the picture of the folded graph beside it.
// Every string is set as text, never as markup. Not for: deciding what is shown (the kernel's).

import { Timers, keepEvents, make } from "./dom.js";

// A node is text, or [tag, attributes, children, where it leads].
function draw(node, follow) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, children, leadsTo] = node;
  const element = make(tag, leadsTo ? { type: "button", ...attributes } : attributes, ...children.map((each) => draw(each, follow)));
  if (leadsTo) element.addEventListener("click", () => follow(leadsTo));
  return element;
}

// The picture is drawn inline, where it takes the colours of the page; as XML it is no page whose scripts would run.
function drawPicture(text) {
  const drawing = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  return drawing.localName === "svg" && !drawing.querySelector("script, foreignObject") ? document.importNode(drawing, true) : null;
}

function render({ model, el }) {
  const root = make("div", { class: "tfm-card" });
  const timers = new Timers();
  const follow = (link) => model.send({ follow: link });
  const redraw = () => {
    const words = draw(model.get("words"), follow);
    const picture = model.get("picture") ? drawPicture(model.get("picture")) : null;
    const row = make("div", { class: "tfm-card-row" }, words);
    if (picture) row.append(make("figure", {}, draw(model.get("caption"), follow), picture, draw(model.get("note"), follow)));
    root.replaceChildren(row);
  };
  keepEvents(root, "keydown", "keyup", "keypress");
  model.on("change:words", redraw);
  model.on("change:picture", redraw);
  redraw();
  el.append(root);
  timers.ping(() => model.send({ ping: true }));
  return () => {
    timers.endAll();
    model.off("change:words", redraw);
    model.off("change:picture", redraw);
  };
}

export default { render };
