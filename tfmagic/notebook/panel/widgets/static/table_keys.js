// @ts-check
// What keys do in a table: arrows and pages go through its rows, Enter opens one and leads to its details, Escape closes it, `/` filters.
// Not for: keys in lists beside it (`table_facets.js`, `table_columns.js`).

/**
 * @typedef {{active: number, scroll: {top: number, total: number, visible: () => number}, search: HTMLElement,
 *   step: (position: number) => void, open: () => void, shut: () => void}} Rows
 */

/**
 * What a key does on the rows, null where it does nothing.
 * @param {Rows} table
 * @param {string} key
 * @returns {(() => void) | null}
 */
export function rowAct(table, key) {
  const { scroll } = table;
  const page = Math.max(1, Math.floor(scroll.visible()) - 1);
  const from = table.active < 0 ? Math.ceil(scroll.top) - 1 : table.active;
  /** @type {Object<string, () => void>} */
  const acts = {
    ArrowDown: () => table.step(from + 1),
    ArrowUp: () => table.step(from - 1),
    PageDown: () => table.step(from + page),
    PageUp: () => table.step(from - page),
    Home: () => table.step(0),
    End: () => table.step(scroll.total - 1),
    Enter: () => table.open(),
    " ": () => table.open(),
    Escape: () => table.shut(),
    "/": () => table.search.focus(),
  };
  return Object.hasOwn(acts, key) ? acts[key] : null;
}
