// @ts-check
// What keys do: Enter unfolds and folds, arrows follow edges and rows, Space chooses, Escape goes one step back.
// Not for: what a pointer does.

/**
 * @typedef {import("./graph_drawing.js").Box} Box
 * @typedef {import("./graph_drawing.js").Edge} Edge
 * @typedef {{boxes: Box[], edges: Edge[]}} Drawn
 */

/**
 * The box at the other end of the first edge.
 * @param {Drawn} scene
 * @param {Box} box
 * @param {"a" | "b"} from
 * @param {"a" | "b"} to
 */
export function along(scene, box, from, to) {
  return scene.edges.find((edge) => edge[from] === box.n)?.[to];
}

/**
 * The nearest box in a direction: what lies sideways counts double.
 * @param {Drawn} scene
 * @param {Box} box
 * @param {number} dx
 * @param {number} dy
 */
export function towards(scene, box, dx, dy) {
  /** @type {(each: Box) => [number, number]} */
  const middle = (each) => [each.x + each.w / 2, each.y + Math.min(each.h, 40) / 2];
  const [x, y] = middle(box);
  /** @type {number | undefined} */
  let best;
  let least = Infinity;
  for (const other of scene.boxes) {
    const [ox, oy] = middle(other);
    const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    const far = ahead + 2 * aside;
    if (other !== box && ahead > 4 && far < least) { least = far; best = other.n; }
  }
  return best;
}

/**
 * What a key does on a box of a graph, null where it does nothing.
 * @param {any} graph
 * @param {string} key
 * @param {Box} box
 * @returns {(() => void) | null}
 */
export function boxAct(graph, key, box) {
  const { scene } = graph;
  /** @type {Object<string, () => void>} */
  const acts = {
    Enter: () => graph.toggle(box),
    " ": () => graph.choose(graph.chosen === box.n ? null : box.n, true),
    Escape: () => graph.escape(box),
    ArrowDown: () => graph.step(along(scene, box, "a", "b") ?? towards(scene, box, 0, 1)),
    ArrowUp: () => graph.step(along(scene, box, "b", "a") ?? towards(scene, box, 0, -1)),
    ArrowLeft: () => graph.step(towards(scene, box, -1, 0)),
    ArrowRight: () => graph.step(towards(scene, box, 1, 0)),
    Home: () => graph.step(scene.boxes[0]?.n),
    End: () => graph.step(scene.boxes.at(-1)?.n),
    0: () => graph.camera.fit(true),
    "+": () => graph.zoom(1),
    "-": () => graph.zoom(-1),
    "/": () => graph.search.input.focus(),
  };
  return Object.hasOwn(acts, key) ? acts[key] : null;
}
