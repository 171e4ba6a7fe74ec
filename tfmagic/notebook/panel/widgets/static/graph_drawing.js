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
 *   note?: string, anchor?: number, focus?: number}} Scene
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
 * A box and all that it says to the eye and to a screen reader.
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

/**
 * @param {Edge} edge
 * @param {string} marker
 */
export function drawEdge(edge, marker) {
  const path = draw("path", {
    class: edge.control ? "tfm-edge tfm-control" : "tfm-edge", d: edge.d, "stroke-width": edge.w, "data-a": edge.a,
    "data-b": edge.b, "marker-end": `url(#${marker})`,
  });
  const count = edge.n > 1 ? `${edge.n} tensors` : "";
  path.append(draw("title", {}, [count, edge.shape, edge.control ? "control" : ""].filter(Boolean).join(" ")));
  return path;
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

/**
 * Draws all of a scene: open boxes, edges, shapes, and boxes above them.
 * @param {Scene} scene
 * @param {string} marker
 */
export function drawScene(scene, marker) {
  const content = document.createDocumentFragment();
  /** @type {Map<number, SVGElement>} */
  const groups = new Map();
  /** @param {Box} box */
  const add = (box) => { const group = drawBox(box); groups.set(box.n, group); content.append(group); };
  scene.boxes.filter((box) => box.state === "open").forEach(add);
  const edges = scene.edges.map((edge) => drawEdge(edge, marker));
  content.append(...edges);
  for (const edge of scene.edges) {
    if (edge.at) content.append(draw("text", { class: "tfm-shape", x: edge.at[0], y: edge.at[1] }, edge.shape));
  }
  scene.boxes.filter((box) => box.state !== "open").forEach(add);
  return { content, groups, edges };
}

/**
 * Lets boxes go from where they were; nothing moves for who asked the system for less motion.
 * @param {Map<number, Box>} before
 * @param {Scene} scene
 * @param {Map<number, SVGElement>} groups
 * @param {Element[]} edges
 */
export function move(before, scene, groups, edges) {
  if (!before.size || scene.boxes.length > MOST_MOVED || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const timing = { duration: MOVING, easing: "ease-out" };
  for (const box of scene.boxes) {
    const old = before.get(box.n), group = groups.get(box.n);
    if (!old) group?.animate([{ opacity: 0 }, { opacity: 1 }], timing);
    else if (old.x !== box.x || old.y !== box.y) {
      group?.animate([{ transform: `translate(${old.x - box.x}px, ${old.y - box.y}px)` }, { transform: "none" }], timing);
    }
  }
  for (const edge of edges) edge.animate([{ opacity: 0 }, { opacity: 1 }], timing);
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
