// @ts-check
// How names and numbers are written, in every widget alike. Not for: elements (`dom.js`).

/** @param {number} bytes */
export function sizeText(bytes) {
  let size = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (size < 1000) return `${unit === "B" || size >= 100 ? Math.round(size) : size.toFixed(1)} ${unit}`;
    size /= 1000;
  }
  return `${size.toFixed(1)} GB`;
}

/** @param {number} count */
export function countText(count) { return count.toLocaleString("en"); }

/**
 * A number of things, of one without the plural.
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun, plural = `${noun}s`) { return `${countText(count)} ${count === 1 ? noun : plural}`; }

/**
 * Where the part of a name begins that tells it from others: behind its scope; where there is none, behind what it
 * shares with a neighbour, up to a sign that parts words.
 * @param {string} name
 * @param {(string | undefined)[]} neighbours
 */
export function ownPart(name, neighbours) {
  const scope = name.lastIndexOf("/", name.length - 2) + 1;
  if (scope) return scope;
  return Math.max(0, ...neighbours.map((other) => shared(name, other ?? "")));
}

/**
 * How much of a name another one begins with, up to a sign that parts words; of a name that ends there, nothing.
 * @param {string} name
 * @param {string} other
 */
function shared(name, other) {
  let end = 0, cut = 0;
  while (end < name.length - 1 && name[end] === other[end]) {
    end += 1;
    if (/[_.-]/.test(name[end - 1])) cut = end;
  }
  return cut;
}
