// @ts-check
// The live graph: shows the scene that the kernel laid out, and asks it for one unfolding at a time.
// Not for: layout, or what is in a graph (the kernel's).

import { Timers, button, keepEvents, make } from "./dom.js";
import { Picture, draw, markEdge, reach, tips } from "./graph_drawing.js";
import { Camera } from "./graph_camera.js";
import { Pane } from "./graph_details.js";
import { Search } from "./graph_search.js";
import { boxAct } from "./graph_keys.js";
import { counted } from "./words.js";

/**
 * @typedef {import("./graph_drawing.js").Box} Box
 * @typedef {import("./graph_drawing.js").Scene} Scene
 * @typedef {{get: (name: string) => any, on: (name: string, act: (message?: any) => void) => void,
 *   off: (name: string, act: (message?: any) => void) => void, send: (message: object) => void}} Model
 */

const STEP = 1.25, TYPING = 180, DRAG = 4, DOWNLOAD = 10000, HEIGHT_STEP = 40;
const HINT = "Click to unfold, Shift and click for details, drag to move, Ctrl and wheel to zoom";

class Graph {
  marker = `tfm-arrow-${Math.random().toString(36).slice(2)}`;
  timers = new Timers();
  /** @type {Scene} */
  scene = { boxes: [], edges: [], width: 1, height: 1, kinds: [] };
  /** @type {number | null} */
  chosen = null;
  focused = -1;
  moved = false;
  // Whether the next scene is another picture, to be fitted, or the same one, more or less unfolded.
  fresh = true;
  lastWidth = 0;
  ratio = 1.6;
  /** @type {(() => void) | null} */
  release = null;

  root = make("div", { class: "tfm-graph" });
  stage = make("div", { class: "tfm-stage" });
  svg = draw("svg", { "aria-hidden": "false" });
  world = draw("g", { role: "tree", "aria-label": "Graph of the model" });
  handle = make("div", {
    class: "tfm-handle", role: "separator", tabindex: 0, "aria-orientation": "horizontal",
    "aria-label": "Height of the picture", "aria-valuenow": 0, "aria-valuemin": 150, "aria-valuemax": 4000, title: "Drag to make the picture higher",
  });
  legend = make("span", { class: "tfm-legend" });
  said = make("span", { class: "tfm-said", role: "status" });
  bodies = /** @type {HTMLSelectElement} */ (make("select", { "aria-label": "Graph or function to show" }));
  colours = /** @type {HTMLSelectElement} */ (make("select", { "aria-label": "What boxes are coloured by", title: "What boxes are coloured by" }));
  note = make("span", { class: "tfm-note", hidden: "" });
  constants = button("Constants", () => this.ask({ do: "constants", on: !this.model.get("constants") }),
    { title: "Show constants and variables as boxes", "aria-pressed": "false" });
  full = button("", () => this.fill(), { title: "Full screen", "aria-label": "Full screen", "aria-pressed": "false" });
  picture = new Picture(this.world, this.marker);
  camera = new Camera(this.root, this.stage, this.world, this.handle);
  pane = new Pane((message) => this.paneAsk(message), () => this.leavePane());
  search = new Search(this.marker, {
    ask: (text) => this.ask({ do: "find", text }),
    go: (hit) => this.ask({ do: "reveal", function: hit.function, node: hit.node }),
    leave: () => this.groups.get(this.focused)?.focus({ preventScroll: true }),
  });

  onScene = () => this.paint();
  /** @param {any} message */
  onMessage = (message) => this.receive(message);
  onFull = () => this.filled();
  sizes = new ResizeObserver(() => this.resized());

  get boxes() { return this.picture.boxes; }

  get groups() { return this.picture.groups; }

  /**
   * @param {Model} model
   * @param {HTMLElement} element
   */
  constructor(model, element) {
    this.model = model;
    this.svg.append(tips(this.marker), this.world);
    this.stage.append(this.svg);
    const foot = make("div", { class: "tfm-foot" }, this.legend, this.note, make("span", { class: "tfm-hint", text: HINT }), this.said);
    const left = make("div", { class: "tfm-left" }, this.stage, this.handle);
    this.root.append(this.buildBar(), make("div", { class: "tfm-main" }, left, this.pane.root), foot);
    element.append(this.root);
    this.listen();
    this.paint();
  }

  // The frame

  buildBar() {
    const bar = make("div", { class: "tfm-bar", role: "toolbar", "aria-label": "Graph" });
    /** @type {(text: string, title: string, act: () => void, more?: object) => HTMLElement} */
    const titled = (text, title, act, more = {}) => button(text, act, { title, ...more });
    // Drawn, not written: few fonts have a sign for it.
    const corners = draw("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" });
    corners.append(draw("path", { class: "tfm-corners", d: "M1 4V1H4M8 1H11V4M11 8V11H8M4 11H1V8" }));
    this.full.append(corners);
    // What only changes how the picture is looked at stays together where the bar breaks.
    bar.append(this.search.root, this.bodies, this.colours, this.constants, make("span", { class: "tfm-looks" },
      titled("Fit", "Fit the picture into the view (0)", () => this.camera.fit(true)),
      titled("−", "Zoom out (-)", () => this.zoom(-1), { "aria-label": "Zoom out" }),
      titled("+", "Zoom in (+)", () => this.zoom(1), { "aria-label": "Zoom in" }),
      titled("Fold all", "Fold as at first", () => { this.fresh = true; this.ask({ do: "start" }); }),
      titled("Save SVG", "Save the picture as SVG", () => this.ask({ do: "save" })),
      this.full,
    ));
    return bar;
  }

  listen() {
    this.model.on("change:scene", this.onScene);
    this.model.on("msg:custom", this.onMessage);
    this.root.addEventListener("keydown", (event) => this.key(event));
    keepEvents(this.root, "keydown", "keyup", "keypress", "contextmenu");
    this.world.addEventListener("click", (event) => this.click(/** @type {MouseEvent} */ (event)));
    // Not on the drawing itself: Chromium gives an SVG element with such a listener a place in the order of Tab.
    this.stage.addEventListener("focusin",
      (event) => this.focusOn(/** @type {Element} */ (event.target).closest(".tfm-box")));
    this.svg.addEventListener("click", (event) => { if (event.target === this.svg && !this.moved) this.choose(null); });
    this.svg.addEventListener("wheel", (event) => this.wheel(/** @type {WheelEvent} */ (event)), { passive: false });
    this.listenToPointer();
    this.listenToHandle();
    this.search.input.addEventListener("input",
      () => this.timers.set("typing", TYPING, () => this.ask({ do: "find", text: this.search.input.value })));
    this.bodies.addEventListener("change", () => {
      this.fresh = true;
      this.ask({ do: "choose", entry: this.bodies.selectedIndex });
    });
    this.colours.addEventListener("change",
      () => this.ask({ do: "colour", colour: this.model.get("colours")[this.colours.selectedIndex][0] }));
    document.addEventListener("fullscreenchange", this.onFull);
    this.sizes.observe(this.root);
    this.timers.ping(() => this.ask({ do: "ping" }));
  }

  listenToPointer() {
    /** @type {[number, number] | null} */
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
      this.camera.look(this.camera.x + dx, this.camera.y + dy, this.camera.k);
    });
    const end = () => { last = null; this.stage.classList.remove("tfm-drag"); };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
  }

  listenToHandle() {
    let from = 0, height = 0;
    this.handle.addEventListener("pointerdown", (event) => {
      from = event.clientY;
      height = this.stage.clientHeight;
      this.handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.handle.addEventListener("pointermove", (event) => {
      if (this.handle.hasPointerCapture(event.pointerId)) this.camera.resize(height + event.clientY - from);
    });
    this.handle.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowDown" ? HEIGHT_STEP : event.key === "ArrowUp" ? -HEIGHT_STEP : 0;
      if (!step) return;
      this.camera.resize(this.stage.clientHeight + step);
      event.preventDefault();
    });
  }

  close() {
    this.timers.endAll();
    this.release?.();
    this.sizes.disconnect();
    document.removeEventListener("fullscreenchange", this.onFull);
    this.model.off("change:scene", this.onScene);
    this.model.off("msg:custom", this.onMessage);
  }

  /** @param {object} message */
  ask(message) { this.model.send(message); }

  /** @param {string} text */
  say(text) { this.said.textContent = text; }

  // Drawing

  paint() {
    /** @type {Scene} */
    const scene = JSON.parse(this.model.get("scene"));
    const before = this.boxes;
    const hadFocus = this.world.contains(document.activeElement);
    this.scene = scene;
    this.camera.begin(scene);
    this.picture.show(scene, !this.fresh);
    this.paintFrame(scene);
    this.place(scene, before.get(scene.anchor ?? -1), hadFocus);
    this.root.dataset.boxes = String(scene.boxes.length);
  }

  /** @param {Scene} scene */
  paintFrame(scene) {
    const title = scene.coloured ? [make("strong", { text: scene.coloured })] : [];
    this.legend.replaceChildren(...title, ...scene.kinds.map(([kind, text]) =>
      make("span", { class: "tfm-key", "data-kind": kind, text })));
    this.note.textContent = scene.note ?? "";
    this.note.hidden = !scene.note;
    this.paintColours();
    /** @type {string[]} */
    const entries = this.model.get("entries");
    if (this.bodies.options.length !== entries.length || this.bodies.options[0]?.text !== entries[0]) {
      this.bodies.replaceChildren(...entries.map((text) => make("option", { text })));
    }
    this.bodies.selectedIndex = this.model.get("entry");
    this.bodies.hidden = entries.length < 2;
    this.constants.setAttribute("aria-pressed", this.model.get("constants"));
    this.constants.hidden = !scene.tucked && !this.model.get("constants");
    const open = scene.boxes.filter((box) => box.state === "open").length;
    this.say(`${counted(scene.boxes.length - open, "box", "boxes")}, ${counted(scene.edges.length, "edge")}`);
  }

  paintColours() {
    /** @type {[string, string][]} */
    const colours = this.model.get("colours") ?? [];
    if (this.colours.options.length !== colours.length) {
      this.colours.replaceChildren(...colours.map(([, text]) => make("option", { text: `Colour: ${text}` })));
    }
    this.colours.selectedIndex = colours.findIndex(([word]) => word === this.model.get("colour"));
    this.colours.hidden = colours.length < 2;
  }

  /**
   * After a new scene: what was clicked stays under the pointer, what was searched comes into view.
   * @param {Scene} scene
   * @param {Box | undefined} before
   * @param {boolean} hadFocus
   */
  place(scene, before, hadFocus) {
    const isSought = (scene.focus ?? -1) >= 0;
    const target = isSought ? Number(scene.focus) : Number(scene.anchor ?? -1);
    const box = this.boxes.get(target);
    const first = this.boxes.has(this.focused) ? this.focused : scene.boxes[0]?.n;
    this.tabStop(box ? target : first);
    const camera = this.camera;
    if (!camera.width || this.fresh || !camera.seen) camera.fit(false);
    else if (isSought && box) camera.centre(box);
    else if (before && box) {
      camera.grow();
      camera.look(camera.x + (before.x - box.x) * camera.k, camera.y + (before.y - box.y) * camera.k, camera.k);
      camera.keepInView(box);
      camera.leaveNoGap();
    } else camera.fit(false);
    camera.end();
    this.fresh = false;
    const chosen = box && (isSought || this.chosen !== null) ? target : this.chosen;
    this.choose(chosen !== null && this.boxes.has(chosen) ? chosen : null, isSought || (this.pane.isOpen && Boolean(box)));
    // What had the focus was replaced: it goes on to the same box, else a key would be the front end's.
    if (hadFocus || (box && isSought)) this.groups.get(this.focused)?.focus({ preventScroll: true });
  }

  // The kernel lays long chains out for the width that there is; a picture that stays as it was is fitted all the same.
  resized() {
    const width = this.root.clientWidth;
    if (!width || Math.abs(width - this.lastWidth) < 24) return;
    this.lastWidth = width;
    const ratio = width / 520;
    this.camera.fit(false);
    if (Math.abs(ratio - this.ratio) <= 0.25) return;
    this.ratio = ratio;
    this.fresh = true;
    this.ask({ do: "ratio", ratio });
  }

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen().catch(() => this.say("this page allows no full screen"));
  }

  filled() {
    const isFull = this.camera.isFull;
    this.full.setAttribute("aria-pressed", String(isFull));
    this.root.classList.toggle("tfm-full", isFull);
    this.camera.fit(false);
  }

  /** @param {number} way */
  zoom(way) { this.camera.zoom(way > 0 ? STEP : 1 / STEP); }

  // Pointer

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = this.svg.getBoundingClientRect();
    this.camera.zoom(Math.exp(-event.deltaY * 0.002), event.clientX - frame.left, event.clientY - frame.top);
  }

  /** @param {MouseEvent} event */
  click(event) {
    const group = /** @type {SVGElement | null} */ (/** @type {Element} */ (event.target).closest(".tfm-box"));
    if (!group || this.moved) return;
    const number = Number(group.dataset.n);
    group.focus({ preventScroll: true });
    const box = this.boxes.get(number);
    if (!box) return;
    if (box.state === "op" || event.shiftKey) this.choose(this.chosen === number ? null : number, true);
    else this.toggle(box);
  }

  /** @param {Box} box */
  toggle(box) {
    if (box.state === "op") this.choose(box.n, true);
    else this.ask({ do: box.state === "open" ? "fold" : "open", n: box.n });
  }

  // Choosing: details, and what feeds and follows

  /**
   * @param {number | null} number
   * @param {boolean} tell
   */
  choose(number, tell = false) {
    const last = this.chosen === null ? undefined : this.groups.get(this.chosen);
    last?.classList.remove("tfm-chosen");
    last?.setAttribute("aria-selected", "false");
    this.chosen = number;
    for (const group of this.groups.values()) group.classList.remove("tfm-up", "tfm-down");
    for (const edge of this.picture.edges) if (edge.classList.length > 1) markEdge(edge, this.marker, "");
    const group = number === null ? undefined : this.groups.get(number);
    if (number === null || !group) {
      this.showPane(false);
      return;
    }
    group.classList.add("tfm-chosen");
    group.setAttribute("aria-selected", "true");
    this.mark(number);
    if (tell) this.ask({ do: "detail", n: number });
    else if (this.pane.shown !== number) this.showPane(false);
  }

  /** @param {number} number */
  mark(number) {
    const inside = new Set([number]);
    // Boxes come after those around them.
    for (const box of this.scene.boxes) if (inside.has(box.parent)) inside.add(box.n);
    /** @type {[string, "a" | "b", "a" | "b"][]} */
    const ways = [["tfm-up", "b", "a"], ["tfm-down", "a", "b"]];
    for (const [name, from, to] of ways) {
      const [boxes, edges] = reach(this.scene.edges, inside, from, to);
      for (const box of boxes) this.groups.get(box)?.classList.add(name);
      for (const edge of edges) markEdge(this.picture.edges[edge], this.marker, name);
    }
  }

  /**
   * Opens or closes the pane; the picture stays where it is, and what is chosen in view.
   * @param {boolean} isOpen
   */
  showPane(isOpen) {
    if (!isOpen) this.pane.hide();
    this.root.classList.toggle("tfm-asided", isOpen);
    const box = this.chosen === null ? undefined : this.boxes.get(this.chosen);
    if (isOpen && box) this.camera.keepInView(box);
  }

  leavePane() {
    const box = this.chosen;
    this.choose(null);
    if (box !== null) this.groups.get(box)?.focus({ preventScroll: true });
  }

  /** @param {Object<string, unknown>} message */
  paneAsk(message) {
    const box = this.boxes.get(Number(message.n));
    if (message.do !== "toggle") this.ask(message);
    else if (box) this.toggle(box);
  }

  // Messages of the kernel

  /** @param {any} message */
  receive(message) {
    if (message.error) this.say(message.error);
    if (message.said) this.say(message.said);
    // What was chosen could not be done.
    if (message.error) this.paintColours();
    if (message.detail && message.detail.n === this.chosen) {
      this.pane.show(message.detail, this.model.get("links"));
      this.showPane(true);
    }
    if (message.statistics) this.pane.measure(message.statistics);
    if (message.hits) this.list(message);
    if (message.svg) this.save(message.svg);
    // Nothing is still to come that would have to be fitted.
    if (message.fitted) this.fresh = false;
  }

  /** @param {any} found */
  list(found) {
    if (!this.search.show(found)) return;
    const held = new Set(found.hits.map((/** @type {{n: number}} */ hit) => hit.n));
    for (const [number, group] of this.groups) group.classList.toggle("tfm-hit", held.has(number));
    this.say(found.text.trim() ? `${found.total.toLocaleString("en")} found` : "");
  }

  /** @param {string} svg */
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

  // Keyboard

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target === this.search.input) {
      this.search.key(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    if (event.key === "Escape" && this.pane.root.contains(target)) {
      this.leavePane();
      event.preventDefault();
      return;
    }
    const group = /** @type {SVGElement | null} */ (target.closest(".tfm-box"));
    const box = group && this.boxes.get(Number(group.dataset.n));
    const act = box && boxAct(this, event.key, box);
    if (!act) return;
    act();
    event.preventDefault();
  }

  /** @param {Box} box */
  escape(box) {
    if (this.chosen !== null) this.choose(null);
    else if (box.state === "open") this.ask({ do: "fold", n: box.n });
    else if (this.boxes.has(box.parent)) this.ask({ do: "fold", n: box.parent });
  }

  /** @param {number | undefined} number */
  step(number) {
    const box = number === undefined ? undefined : this.boxes.get(number);
    if (!box) return;
    this.groups.get(box.n)?.focus({ preventScroll: true });
    this.camera.keepInView(box);
  }

  /** @param {Element | null} group */
  focusOn(group) {
    if (group) this.tabStop(Number(/** @type {SVGElement} */ (group).dataset.n));
  }

  /** @param {number} number */
  tabStop(number) {
    this.groups.get(this.focused)?.setAttribute("tabindex", "-1");
    this.focused = number;
    this.groups.get(number)?.setAttribute("tabindex", "0");
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const graph = new Graph(model, el);
  return () => graph.close();
}

export default { render };
