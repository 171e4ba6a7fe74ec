// @ts-check
// How a scene looks: boxes, edges, the tips of arrows, and the short way that boxes go when the picture changes.
// Every string of a model is set as text, never as markup. Not for: what is clicked, or what the kernel is asked.

import { ownKeys } from "./dom.js";

/**
 * @typedef {{n: number, x: number, y: number, w: number, h: number, label: string, detail: string, title: string,
 *   kind: string, state: string, shape: string, parent: number, depth: number}} Box
 * @typedef {{a: number, b: number, d: string, n: number, w: number, control: boolean, shape: string,
 *   at: [number, number] | null}} Edge
 * @typedef {{boxes: Box[], edges: Edge[], width: number, height: number, kinds: [string, string][], coloured?: string,
 *   note?: string, tucked?: boolean, anchor?: number, focus?: number}} Scene
 */

const SVG = "http://www.w3.org/2000/svg";
// What moves, moves so long; a picture of more boxes does not.
const MOVING = 160, MOST_MOVED = 400;
// What an edge is: plain, on the way to what is chosen, on the way from it.
const TIPS = ["", "tfm-up", "tfm-down"];

/**
 * @param {string} tag
 * @param {Object<string, unknown>} attributes
 * @param {string | null} text
 * @returns {SVGElement}
 */
export function draw(tag, attributes = {}, text = null) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const name in attributes) element.setAttribute(name, String(attributes[name]));
  if (text !== null) element.textContent = text;
  return element;
}

/**
 * A box and all that it says to the eye and to a screen reader, at the origin: `put` gives it its place.
 * @param {Box} box
 */
export function drawBox(box) {
  const open = box.state === "open";
  const group = draw("g", {
    class: `tfm-box tfm-${box.state}`, "data-n": box.n, "data-kind": box.kind, role: "treeitem", tabindex: -1,
    "aria-level": box.depth + 1, "aria-selected": "false",
    // What is seen comes first: who speaks to the browser says that.
    "aria-label": [box.label, box.detail, box.title].filter(Boolean).join(" "),
  });
  ownKeys(group);
  if (box.state !== "op") group.setAttribute("aria-expanded", String(open));
  const round = open ? 6 : box.shape === "end" ? box.h / 2 : 4;
  const size = { width: box.w, height: box.h, rx: round };
  if (box.state === "folded") group.append(draw("rect", { class: "tfm-under", x: 3, y: 3, ...size }));
  group.append(draw("rect", size));
  const middle = box.w / 2;
  if (open) {
    group.append(draw("text", { x: 25, y: 18 }, box.label), " ");
    group.append(draw("text", { "aria-hidden": "true", x: 11, y: 18 }, "▾"));
  }
  else {
    group.append(draw("text", { x: middle, y: box.detail ? 18 : box.h / 2 + 4 }, box.label), " ");
    if (box.detail) group.append(draw("text", { class: "tfm-detail", x: middle, y: 33 }, box.detail), " ");
  }
  group.append(draw("title", {}, box.title));
  return group;
}

/** What of a box is drawn, but for its place. */
const LOOKS = /** @type {(keyof Box)[]} */ (["w", "h", "label", "detail", "title", "kind", "state", "shape", "depth"]);

/**
 * @param {SVGElement} group
 * @param {Box} box
 */
function put(group, box) {
  group.setAttribute("transform", `translate(${box.x} ${box.y})`);
}

/**
 * @param {Edge} edge
 * @param {string} marker
 */
export function drawEdge(edge, marker) {
  const path = draw("path", { class: "tfm-edge", "data-a": edge.a, "data-b": edge.b, "marker-end": `url(#${marker})` });
  path.append(draw("title"));
  describe(path, edge);
  return path;
}

/**
 * Gives an edge its way, its width and its words.
 * @param {SVGElement} path
 * @param {Edge} edge
 */
function describe(path, edge) {
  path.classList.toggle("tfm-control", edge.control);
  path.setAttribute("d", edge.d);
  path.setAttribute("stroke-width", String(edge.w));
  const count = edge.n > 1 ? `${edge.n} tensors` : "";
  const words = [count, edge.shape, edge.control ? "control" : ""].filter(Boolean).join(" ");
  if (path.firstElementChild) path.firstElementChild.textContent = words;
}

/**
 * Shows an edge as one on the way to or from what is chosen, its tip too: WebKit knows no `context-stroke`.
 * @param {Element} path
 * @param {string} marker
 * @param {string} name
 */
export function markEdge(path, marker, name) {
  for (const tip of TIPS) if (tip) path.classList.toggle(tip, tip === name);
  path.setAttribute("marker-end", `url(#${name ? `${marker}-${name}` : marker})`);
}

/**
 * The tips of arrows: one for each colour of an edge.
 * @param {string} id
 */
export function tips(id) {
  const definitions = draw("defs");
  for (const name of TIPS) {
    const marker = draw("marker", {
      id: name ? `${id}-${name}` : id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
      orient: "auto", markerUnits: "userSpaceOnUse",
    });
    marker.append(draw("path", { d: "M0 0L8 4L0 8z", class: name ? `tfm-tip ${name}-tip` : "tfm-tip" }));
    definitions.append(marker);
  }
  return definitions;
}

// The elements of a scene: open boxes, edges with their shapes, and other boxes above them. Of the next scene what stays
// as it was keeps its element, and with it the focus: to make, style and lay out hundreds anew takes longer than a frame.
export class Picture {
  /** @type {Map<number, Box>} */
  boxes = new Map();
  /** @type {Map<number, SVGElement>} */
  groups = new Map();
  // As the scene lists them.
  /** @type {SVGElement[]} */
  edges = [];
  /** @type {Map<string, {edge: Edge, path: SVGElement, shape: SVGElement | null}>} */
  ways = new Map();
  open = draw("g");
  lines = draw("g");
  closed = draw("g");

  /**
   * @param {SVGElement} world
   * @param {string} marker
   */
  constructor(world, marker) {
    this.marker = marker;
    world.append(this.open, this.lines, this.closed);
  }

  /**
   * Shows a scene; boxes go there from where they were.
   * @param {Scene} scene
   * @param {boolean} isMoving
   */
  show(scene, isMoving) {
    const before = this.boxes;
    const last = this.groups;
    this.boxes = new Map(scene.boxes.map((box) => [box.n, box]));
    this.groups = new Map(scene.boxes.map((box) => [box.n, this.drawn(box, before.get(box.n), last.get(box.n))]));
    /** @param {boolean} isOpen */
    const those = (isOpen) => scene.boxes.filter((box) => (box.state === "open") === isOpen)
      .map((box) => /** @type {SVGElement} */ (this.groups.get(box.n)));
    arrange(this.open, those(true));
    arrange(this.closed, those(false));
    this.showEdges(scene);
    if (isMoving) move(before, scene, this.groups, this.lines);
  }

  /**
   * @param {Box} box
   * @param {Box | undefined} old
   * @param {SVGElement | undefined} group
   */
  drawn(box, old, group) {
    if (!old || !group || LOOKS.some((name) => old[name] !== box[name])) {
      const fresh = drawBox(box);
      put(fresh, box);
      return fresh;
    }
    group.classList.remove("tfm-hit");
    if (old.x !== box.x || old.y !== box.y) put(group, box);
    return group;
  }

  /** @param {Scene} scene */
  showEdges(scene) {
    const before = this.ways;
    this.ways = new Map();
    /** @type {SVGElement[]} */
    const shown = [];
    this.edges = scene.edges.map((edge) => {
      const key = `${edge.a} ${edge.b}`;
      const way = before.get(key) ?? { edge, path: drawEdge(edge, this.marker), shape: null };
      before.delete(key);
      if (way.edge.d !== edge.d || way.edge.n !== edge.n || way.edge.shape !== edge.shape || way.edge.control !== edge.control) {
        describe(way.path, edge);
      }
      way.edge = edge;
      if (edge.at) {
        way.shape ??= draw("text", { class: "tfm-shape" });
        way.shape.setAttribute("x", String(edge.at[0]));
        way.shape.setAttribute("y", String(edge.at[1]));
        if (way.shape.textContent !== edge.shape) way.shape.textContent = edge.shape;
      }
      else { way.shape?.remove(); way.shape = null; }
      shown.push(way.path, ...(way.shape ? [way.shape] : []));
      this.ways.set(key, way);
      return way.path;
    });
    for (const { path, shape } of before.values()) { path.remove(); shape?.remove(); }
    // Where among others an edge stands in the page is seen by nobody.
    this.lines.append(...shown.filter((each) => each.parentNode !== this.lines));
  }
}

/**
 * Puts elements into one, in order, and takes others out of it; those that are in their places are not touched.
 * @param {SVGElement} parent
 * @param {SVGElement[]} children
 */
function arrange(parent, children) {
  const kept = new Set(children);
  for (const child of [...parent.children]) if (!kept.has(/** @type {SVGElement} */ (child))) child.remove();
  let at = parent.firstElementChild;
  for (const child of children) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

/**
 * Lets boxes go from where they were; nothing moves for who asked the system for less motion.
 * @param {Map<number, Box>} before
 * @param {Scene} scene
 * @param {Map<number, SVGElement>} groups
 * @param {Element} lines
 */
function move(before, scene, groups, lines) {
  if (!before.size || scene.boxes.length > MOST_MOVED || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const timing = { duration: MOVING, easing: "ease-out" };
  for (const box of scene.boxes) {
    const old = before.get(box.n), group = groups.get(box.n);
    if (!old) group?.animate([{ opacity: 0 }, { opacity: 1 }], timing);
    else if (old.x !== box.x || old.y !== box.y) {
      const [from, to] = [old, box].map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` }));
      group?.animate([from, to], timing);
    }
  }
  lines.animate([{ opacity: 0 }, { opacity: 1 }], timing);
}

/**
 * What a set of boxes feeds (forward) or is fed by, with the edges on the way.
 * @param {Edge[]} edges
 * @param {Set<number>} start
 * @param {"a" | "b"} from
 * @param {"a" | "b"} to
 * @returns {[Set<number>, Set<number>]}
 */
export function reach(edges, start, from, to) {
  /** @type {Map<number, [number, number][]>} */
  const next = new Map();
  edges.forEach((edge, index) => {
    const steps = next.get(edge[from]) ?? [];
    steps.push([edge[to], index]);
    next.set(edge[from], steps);
  });
  /** @type {Set<number>} */
  const boxes = new Set();
  /** @type {Set<number>} */
  const passed = new Set();
  const waiting = [...start];
  for (let box = waiting.pop(); box !== undefined; box = waiting.pop()) {
    for (const [other, index] of next.get(box) ?? []) {
      passed.add(index);
      if (!boxes.has(other) && !start.has(other)) { boxes.add(other); waiting.push(other); }
    }
  }
  return [boxes, passed];
}
