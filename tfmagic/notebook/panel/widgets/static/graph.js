// The live graph: draws the scene that the kernel laid out, and asks it for one unfolding at a time.
// Every string of a model is set as text, never as markup. Not for: layout, or what is in a graph (the kernel's).

import { Timers, button, keepEvents, make, ownKeys } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LEAST_ZOOM = 0.08, READABLE = 0.72, MOST_ZOOM = 3, STEP = 1.25, FAR = 0.5;
const LEAST_HEIGHT = 300, MOST_HEIGHT = 640, MARGIN = 14;
const TYPING = 180, DRAG = 4, DOWNLOAD = 10000;

function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (text !== null) element.textContent = text;
  return element;
}

// A box and all that it says to the eye and to a screen reader.
function drawBox(box) {
  const open = box.state === "open";
  const group = draw("g", {
    class: `tfm-box tfm-${box.state}`, "data-n": box.n, "data-kind": box.kind, role: "treeitem", tabindex: -1,
    "aria-level": box.depth + 1, "aria-selected": "false",
    // What is seen comes first: who speaks to the browser says that.
    "aria-label": [box.label, box.detail, box.title].filter(Boolean).join(" "),
  });
  ownKeys(group);
  if (box.state !== "op") group.setAttribute("aria-expanded", open);
  const round = open ? 9 : box.shape === "end" ? box.h / 2 : 6;
  const size = { width: box.w, height: box.h, rx: round };
  if (box.state === "folded") group.append(draw("rect", { class: "tfm-under", x: box.x + 3, y: box.y + 3, ...size }));
  group.append(draw("rect", { x: box.x, y: box.y, ...size }));
  const middle = box.x + box.w / 2;
  if (open) {
    group.append(draw("text", { x: box.x + 25, y: box.y + 18 }, box.label), " ");
    group.append(draw("text", { "aria-hidden": "true", x: box.x + 11, y: box.y + 18 }, "▾"));
  }
  else {
    group.append(draw("text", { x: middle, y: box.y + (box.detail ? 18 : box.h / 2 + 4) }, box.label), " ");
    if (box.detail) group.append(draw("text", { class: "tfm-detail", x: middle, y: box.y + 33 }, box.detail), " ");
  }
  group.append(draw("title", {}, box.title));
  return group;
}

function drawEdge(edge, marker) {
  const path = draw("path", {
    class: edge.control ? "tfm-edge tfm-control" : "tfm-edge", d: edge.d, "stroke-width": edge.w, "data-a": edge.a,
    "data-b": edge.b, "marker-end": `url(#${marker})`,
  });
  const count = edge.n > 1 ? `${edge.n} tensors` : "";
  path.append(draw("title", {}, [count, edge.shape, edge.control ? "control" : ""].filter(Boolean).join(" ")));
  return path;
}

function arrow(id) {
  const marker = draw("marker", {
    id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
    markerUnits: "userSpaceOnUse",
  });
  marker.append(draw("path", { d: "M0 0L8 4L0 8z", fill: "context-stroke" }));
  return marker;
}

// What a set of boxes feeds (forward) or is fed by, with the edges on the way.
function reach(edges, start, from, to) {
  const next = new Map();
  edges.forEach((edge, index) => {
    if (!next.has(edge[from])) next.set(edge[from], []);
    next.get(edge[from]).push([edge[to], index]);
  });
  const boxes = new Set(), passed = new Set(), waiting = [...start];
  while (waiting.length) {
    for (const [box, index] of next.get(waiting.pop()) ?? []) {
      passed.add(index);
      if (!boxes.has(box) && !start.has(box)) { boxes.add(box); waiting.push(box); }
    }
  }
  return [boxes, passed];
}

class Graph {
  constructor(model, element) {
    this.model = model;
    this.camera = { x: 0, y: 0, k: 1 };
    this.timers = new Timers();
    this.boxes = new Map();
    this.chosen = null;
    this.focused = null;
    this.marker = `tfm-arrow-${Math.random().toString(36).slice(2)}`;
    this.build(element);
    this.listen();
    this.paint();
  }

  // The frame

  build(element) {
    this.root = make("div", { class: "tfm-graph" });
    this.root.append(this.buildBar(), this.buildHits());
    this.stage = make("div", { class: "tfm-stage" });
    this.svg = draw("svg", { "aria-hidden": "false" });
    const definitions = draw("defs");
    definitions.append(arrow(this.marker));
    this.world = draw("g", { role: "tree", "aria-label": "Graph of the model" });
    this.svg.append(definitions, this.world);
    this.stage.append(this.svg);
    this.about = make("section", { class: "tfm-about", "aria-label": "Details of the chosen box", "aria-live": "polite" });
    this.about.hidden = true;
    this.legend = make("span", { style: "display:contents" });
    this.said = make("span", { class: "tfm-said", role: "status" });
    const foot = make("div", { class: "tfm-foot" }, this.legend, this.said);
    this.root.append(this.stage, this.about, foot);
    element.append(this.root);
  }

  buildBar() {
    const bar = make("div", { class: "tfm-bar", role: "toolbar", "aria-label": "Graph" });
    this.search = make("input", {
      type: "search", placeholder: "Find an op…", "aria-label": "Find an op by name or type", role: "combobox",
      "aria-expanded": "false", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    });
    this.bodies = make("select", { "aria-label": "Graph or function to show" });
    const titled = (text, title, act, more = {}) => button(text, act, { title, ...more });
    this.constants = titled("Constants", "Show constants and variables as boxes",
      () => this.ask({ do: "constants", on: !this.model.get("constants") }), { "aria-pressed": "false" });
    bar.append(
      this.search, this.bodies, this.constants, make("span", { class: "tfm-gap" }),
      titled("Fit", "Fit the picture into the view (0)", () => this.fit(true)),
      titled("−", "Zoom out (-)", () => this.zoom(1 / STEP), { "aria-label": "Zoom out" }),
      titled("+", "Zoom in (+)", () => this.zoom(STEP), { "aria-label": "Zoom in" }),
      titled("Fold all", "Fold as at first", () => { this.fresh = true; this.ask({ do: "start" }); }),
      titled("Save SVG", "Save the picture as SVG", () => this.ask({ do: "save" })),
    );
    return bar;
  }

  buildHits() {
    this.hits = make("ul", { class: "tfm-hits", role: "listbox", "aria-label": "Ops found" });
    this.hits.id = `${this.marker}-hits`;
    this.hits.hidden = true;
    this.search.setAttribute("aria-controls", this.hits.id);
    return this.hits;
  }

  listen() {
    this.onScene = () => this.paint();
    this.onMessage = (message) => this.receive(message);
    this.model.on("change:scene", this.onScene);
    this.model.on("msg:custom", this.onMessage);
    this.root.addEventListener("keydown", (event) => this.key(event));
    keepEvents(this.root, "keydown", "keyup", "keypress", "contextmenu");
    this.world.addEventListener("click", (event) => this.click(event));
    // Not on the drawing itself: Chromium gives an SVG element with such a listener a place in the order of Tab.
    this.stage.addEventListener("focusin", (event) => this.focusOn(event.target.closest(".tfm-box")));
    this.svg.addEventListener("click", (event) => { if (event.target === this.svg && !this.moved) this.choose(null); });
    this.svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.listenToPointer();
    this.listenToSearch();
    this.bodies.addEventListener("change", () => { this.fresh = true; this.ask({ do: "choose", entry: this.bodies.selectedIndex }); });
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.stage);
    this.timers.ping(() => this.ask({ do: "ping" }));
  }

  listenToPointer() {
    let last = null;
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) { last = [event.clientX, event.clientY]; this.moved = false; }
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (!last) return;
      const dx = event.clientX - last[0], dy = event.clientY - last[1];
      if (!this.moved && Math.hypot(dx, dy) < DRAG) return;
      if (!this.moved) { this.svg.setPointerCapture(event.pointerId); this.stage.classList.add("tfm-drag"); }
      this.moved = true;
      last = [event.clientX, event.clientY];
      this.look(this.camera.x + dx, this.camera.y + dy, this.camera.k);
    });
    const end = () => { last = null; this.stage.classList.remove("tfm-drag"); };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
  }

  listenToSearch() {
    this.search.addEventListener("input",
      () => this.timers.set("typing", TYPING, () => this.ask({ do: "find", text: this.search.value })));
    this.hits.addEventListener("click", (event) => this.reveal(event.target.closest("li")));
  }

  close() {
    this.timers.endAll();
    this.release?.();
    this.sizes.disconnect();
    this.model.off("change:scene", this.onScene);
    this.model.off("msg:custom", this.onMessage);
  }

  ask(message) { this.model.send(message); }

  say(text) { this.said.textContent = text; }

  // Drawing

  paint() {
    const scene = this.model.get("scene");
    const before = this.boxes.get(scene.anchor);
    const hadFocus = this.world.contains(document.activeElement);
    this.scene = scene;
    this.boxes = new Map(scene.boxes.map((box) => [box.n, box]));
    this.groups = new Map();
    const content = document.createDocumentFragment();
    const add = (box) => { const group = drawBox(box); this.groups.set(box.n, group); content.append(group); };
    scene.boxes.filter((box) => box.state === "open").forEach(add);
    this.edges = scene.edges.map((edge) => drawEdge(edge, this.marker));
    content.append(...this.edges);
    for (const edge of scene.edges) {
      if (edge.at) content.append(draw("text", { class: "tfm-shape", x: edge.at[0], y: edge.at[1] }, edge.shape));
    }
    scene.boxes.filter((box) => box.state !== "open").forEach(add);
    this.world.replaceChildren(content);
    this.paintFrame(scene);
    this.place(scene, before, hadFocus);
    this.root.dataset.boxes = scene.boxes.length;
  }

  paintFrame(scene) {
    this.legend.replaceChildren(...scene.kinds.map(([kind, text]) =>
      make("span", { class: "tfm-key", "data-kind": kind, text })));
    const entries = this.model.get("entries");
    if (this.bodies.options.length !== entries.length || this.bodies.options[0]?.text !== entries[0]) {
      this.bodies.replaceChildren(...entries.map((text) => make("option", { text })));
    }
    this.bodies.selectedIndex = this.model.get("entry");
    this.bodies.hidden = entries.length < 2;
    this.constants.setAttribute("aria-pressed", this.model.get("constants"));
    const open = scene.boxes.filter((box) => box.state === "open").length;
    this.say(`${scene.boxes.length - open} boxes, ${scene.edges.length} edges`);
  }

  // After a new scene: what was clicked stays under the pointer, what was searched comes into view.
  place(scene, before, hadFocus) {
    const target = scene.focus >= 0 ? scene.focus : scene.anchor;
    const box = this.boxes.get(target);
    const first = this.boxes.has(this.focused) ? this.focused : box ? target : scene.boxes[0]?.n;
    this.tabStop(box ? target : first);
    if (!this.width() || this.fresh || !this.seen) this.fit(false);
    else if (scene.focus >= 0 && box) this.centre(box);
    else if (before && box) {
      const { x, y, k } = this.camera;
      this.grow();
      this.look(x + (before.x - box.x) * k, y + (before.y - box.y) * k, k);
      this.keepInView(box);
      this.leaveNoGap();
    } else this.fit(false);
    this.fresh = false;
    this.choose(box && (scene.focus >= 0 || this.chosen !== null) ? target : this.boxes.has(this.chosen) ? this.chosen : null, scene.focus >= 0);
    // What had the focus was replaced: it goes on to the same box, else a key would be the front end's.
    if (hadFocus || (box && scene.focus >= 0)) this.groups.get(this.focused)?.focus({ preventScroll: true });
  }

  width() { return this.stage.clientWidth; }

  // Fits the whole, but no smaller than can be read: then it begins at the upper end, to be dragged.
  fit(whole) {
    const width = this.width();
    if (!width || !this.scene) return;
    this.seen = true;
    const inside = width - 2 * MARGIN;
    const k = Math.min(1.1, inside / this.scene.width);
    const readable = Math.max(k, whole === true ? LEAST_ZOOM : READABLE);
    const height = Math.min(Math.max(this.scene.height * readable + 2 * MARGIN, LEAST_HEIGHT), MOST_HEIGHT);
    this.stage.style.height = `${height}px`;
    let zoom = Math.min(readable, (height - 2 * MARGIN) / this.scene.height);
    zoom = Math.max(zoom, whole === true ? LEAST_ZOOM : Math.min(readable, READABLE));
    const x = Math.max(MARGIN, (width - this.scene.width * zoom) / 2);
    this.look(this.scene.width * zoom > inside ? this.startAt(width, zoom) : x, MARGIN, zoom);
  }

  // Where a picture that is too wide begins: with its first row in the middle.
  startAt(width, zoom) {
    const top = Math.min(...this.scene.boxes.map((box) => box.y));
    const row = this.scene.boxes.filter((box) => box.y - top < 60);
    const middle = row.reduce((sum, box) => sum + box.x + box.w / 2, 0) / row.length;
    return Math.min(MARGIN, Math.max(width - MARGIN - this.scene.width * zoom, width / 2 - middle * zoom));
  }

  grow() {
    const wanted = Math.min(this.scene.height * this.camera.k + 2 * MARGIN, MOST_HEIGHT);
    if (wanted > this.stage.clientHeight) this.stage.style.height = `${wanted}px`;
  }

  // A picture larger than the view fills it; a smaller one stays wholly inside.
  leaveNoGap() {
    const { x, y, k } = this.camera;
    const within = (place, view, size) => {
      const ends = [MARGIN, view - MARGIN - size];
      return Math.min(Math.max(...ends), Math.max(Math.min(...ends), place));
    };
    this.look(within(x, this.width(), this.scene.width * k), within(y, this.stage.clientHeight, this.scene.height * k), k);
  }

  look(x, y, k) {
    this.camera = { x, y, k };
    this.world.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${k.toFixed(4)})`);
    this.root.classList.toggle("tfm-far", k < FAR);
  }

  zoom(factor, x = this.width() / 2, y = this.stage.clientHeight / 2) {
    const k = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.camera.k * factor));
    const ratio = k / this.camera.k;
    this.look(x - (x - this.camera.x) * ratio, y - (y - this.camera.y) * ratio, k);
  }

  centre(box) {
    const k = Math.max(this.camera.k, 0.9);
    this.look(this.width() / 2 - (box.x + box.w / 2) * k, this.stage.clientHeight / 2 - (box.y + Math.min(box.h, 200) / 2) * k, k);
  }

  keepInView(box) {
    let { x, y, k } = this.camera;
    const width = this.width(), height = this.stage.clientHeight;
    const left = x + box.x * k, top = y + box.y * k, right = left + box.w * k, bottom = top + box.h * k;
    if (right > width - MARGIN) x -= Math.min(right - width + MARGIN, Math.max(left - MARGIN, 0));
    if (left < MARGIN) x += MARGIN - left;
    if (bottom > height - MARGIN) y -= Math.min(bottom - height + MARGIN, Math.max(top - MARGIN, 0));
    if (top < MARGIN) y += MARGIN - top;
    this.look(x, y, k);
  }

  // The kernel lays long chains out for the width that there is.
  resized() {
    const width = this.width();
    if (!width || Math.abs(width - (this.lastWidth ?? 0)) < 24) return;
    this.lastWidth = width;
    const ratio = width / 520;
    if (Math.abs(ratio - (this.ratio ?? 1.6)) > 0.25) { this.ratio = ratio; this.fresh = true; this.ask({ do: "ratio", ratio }); }
    else this.fit(false);
  }

  // Pointer

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = this.svg.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * 0.002), event.clientX - frame.left, event.clientY - frame.top);
  }

  click(event) {
    const group = event.target.closest(".tfm-box");
    if (!group || this.moved) return;
    const number = Number(group.dataset.n);
    group.focus({ preventScroll: true });
    const box = this.boxes.get(number);
    if (box.state === "op" || event.shiftKey) this.choose(this.chosen === number ? null : number, true);
    else this.toggle(box);
  }

  toggle(box) {
    if (box.state === "op") return this.choose(box.n, true);
    this.ask({ do: box.state === "open" ? "fold" : "open", n: box.n });
  }

  // Choosing: details, and what feeds and follows

  choose(number, tell = false) {
    this.chosen = number;
    const box = this.boxes.get(number);
    for (const group of this.groups.values()) {
      group.classList.remove("tfm-up", "tfm-down", "tfm-chosen");
      group.setAttribute("aria-selected", "false");
    }
    for (const edge of this.edges) edge.classList.remove("tfm-up", "tfm-down");
    this.root.classList.toggle("tfm-marked", Boolean(box));
    this.about.hidden = !box || this.about.dataset.n !== String(number);
    if (!box) return;
    this.groups.get(number).classList.add("tfm-chosen");
    this.groups.get(number).setAttribute("aria-selected", "true");
    this.mark(number);
    if (tell) this.ask({ do: "detail", n: number });
  }

  mark(number) {
    const inside = new Set([number]);
    // Boxes come after those around them.
    for (const box of this.scene.boxes) if (inside.has(box.parent)) inside.add(box.n);
    for (const [name, from, to] of [["tfm-up", "b", "a"], ["tfm-down", "a", "b"]]) {
      const [boxes, edges] = reach(this.scene.edges, inside, from, to);
      for (const box of boxes) this.groups.get(box)?.classList.add(name);
      for (const edge of edges) this.edges[edge].classList.add(name);
    }
    for (const box of inside) this.groups.get(box)?.classList.add("tfm-down");
  }

  tell(detail) {
    if (detail.n !== this.chosen) return;
    const lines = [make("h4", { text: detail.name })];
    const facts = detail.op
      ? [detail.op, detail.dtype, detail.shape, detail.function && `in ${detail.function}`].filter(Boolean).join(" · ")
      : `${detail.count} ${detail.noun}: ${detail.ops.map(([op, count]) => `${count} ${op}`).join(", ")}`;
    lines.push(make("p", { text: facts }));
    for (const [side, title] of [["inputs", "fed by"], ["outputs", "feeds"]]) {
      if (detail[side]?.length) lines.push(this.neighbours(title, detail[side], detail.function));
    }
    if (detail.more) lines.push(make("p", { text: `… and ${detail.more} more` }));
    if (detail.row >= 0 && this.model.get("can_show_rows")) {
      lines.push(button("Show in the table of ops", () => this.ask({ do: "row", n: detail.n })));
    }
    this.about.replaceChildren(...lines);
    this.about.dataset.n = detail.n;
    this.about.hidden = false;
  }

  neighbours(title, nodes, around) {
    const line = make("p", { text: `${title} ` });
    for (const node of nodes) {
      line.append(button(node.name, () => this.ask({ do: "reveal", function: around, node: node.node }),
        { title: [node.op, node.shape].filter(Boolean).join(" ") }));
    }
    return line;
  }

  // Messages of the kernel

  receive(message) {
    if (message.error) this.say(message.error);
    if (message.detail) this.tell(message.detail);
    if (message.hits) this.list(message);
    if (message.svg) this.save(message.svg);
  }

  save(svg) {
    const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const link = make("a", { href: address, download: "graph.svg" });
    this.root.append(link);
    link.click();
    link.remove();
    this.release?.();
    this.release = () => { URL.revokeObjectURL(address); this.release = null; };
    this.timers.set("download", DOWNLOAD, () => this.release?.());
    this.say("saved graph.svg");
  }

  list(found) {
    if (found.text !== this.search.value) return;
    this.hits.replaceChildren(...found.hits.map((hit, index) => {
      const item = make("li", { role: "option", id: `${this.hits.id}-${index}`, "aria-selected": index === 0 },
        make("div", { text: hit.name }), make("span", { text: hit.op }));
      item.hit = hit;
      return item;
    }));
    this.hits.hidden = !found.hits.length;
    this.search.setAttribute("aria-expanded", !this.hits.hidden);
    this.active(this.hits.firstElementChild);
    this.say(found.text.trim() ? `${found.total} ops found` : "");
  }

  active(item) {
    for (const other of this.hits.children) other.setAttribute("aria-selected", other === item);
    if (item) { this.search.setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
    else this.search.removeAttribute("aria-activedescendant");
  }

  reveal(item) {
    if (!item) return;
    this.closeHits();
    this.ask({ do: "reveal", function: item.hit.function, node: item.hit.node });
  }

  closeHits() {
    this.hits.hidden = true;
    this.search.setAttribute("aria-expanded", "false");
  }

  // Keyboard

  key(event) {
    if (event.target === this.search) return this.searchKey(event);
    const group = event.target.closest?.(".tfm-box");
    if (!group || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.boxKey(event.key, this.boxes.get(Number(group.dataset.n)))) event.preventDefault();
  }

  searchKey(event) {
    const items = [...this.hits.children];
    const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") { this.closeHits(); return; }
    if (this.hits.hidden) return;
    if (event.key === "Enter") this.reveal(items[at]);
    else if (event.key === "ArrowDown") this.active(items[Math.min(at + 1, items.length - 1)]);
    else if (event.key === "ArrowUp") this.active(items[Math.max(at - 1, 0)]);
    else return;
    event.preventDefault();
  }

  // Enter unfolds and folds, Escape folds what is around, arrows follow edges and rows, Space chooses.
  boxKey(key, box) {
    const acts = {
      Enter: () => this.toggle(box),
      " ": () => this.choose(this.chosen === box.n ? null : box.n, true),
      Escape: () => this.escape(box),
      ArrowDown: () => this.step(this.along(box, "a", "b") ?? this.towards(box, 0, 1)),
      ArrowUp: () => this.step(this.along(box, "b", "a") ?? this.towards(box, 0, -1)),
      ArrowLeft: () => this.step(this.towards(box, -1, 0)),
      ArrowRight: () => this.step(this.towards(box, 1, 0)),
      Home: () => this.step(this.scene.boxes[0]?.n),
      End: () => this.step(this.scene.boxes.at(-1)?.n),
      "0": () => this.fit(true), "+": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
      "/": () => this.search.focus(),
    };
    if (!(key in acts)) return false;
    acts[key]();
    return true;
  }

  escape(box) {
    if (this.chosen !== null) return this.choose(null);
    if (box.state === "open") return this.ask({ do: "fold", n: box.n });
    if (this.boxes.has(box.parent)) this.ask({ do: "fold", n: box.parent });
  }

  along(box, from, to) {
    return this.scene.edges.find((edge) => edge[from] === box.n)?.[to];
  }

  // The nearest box in a direction: what lies sideways counts double.
  towards(box, dx, dy) {
    const middle = (each) => [each.x + each.w / 2, each.y + Math.min(each.h, 40) / 2];
    const [x, y] = middle(box);
    let best, least = Infinity;
    for (const other of this.scene.boxes) {
      const [ox, oy] = middle(other);
      const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      const far = ahead + 2 * aside;
      if (other !== box && ahead > 4 && far < least) { least = far; best = other.n; }
    }
    return best;
  }

  step(number) {
    if (number === undefined || !this.groups.has(number)) return;
    this.groups.get(number).focus({ preventScroll: true });
    this.keepInView(this.boxes.get(number));
  }

  focusOn(group) {
    if (group) this.tabStop(Number(group.dataset.n));
  }

  tabStop(number) {
    this.groups.get(this.focused)?.setAttribute("tabindex", -1);
    this.focused = number;
    this.groups.get(number)?.setAttribute("tabindex", 0);
  }
}

function render({ model, el }) {
  const graph = new Graph(model, el);
  return () => graph.close();
}

export default { render };
