// @ts-check
// What a table asks its kernel: one question is under way, and of those that wait the last one counts.
// Not for: what is drawn of the answers, or what a filter means (the kernel's).

/**
 * @typedef {{text: string, regex: boolean, chosen: Object<string, number[]>, sort: string, descending: boolean,
 *   all: boolean}} Query
 * @typedef {{column: string, values: [number, string, number][], more: number}} Facet
 * @typedef {{window: number, start: number, total: number, of: number, numbers: number[], rows: string[][],
 *   shares: Object<string, number[]>, problem: string, facets?: Facet[]}} Answer
 * @typedef {Answer & {key: string, end: number}} Fetched
 * @typedef {{start: number, count: number}} Wanted
 */

// Rows fetched beyond the view on each side, and how near to their end more are fetched.
const BEYOND = 50, NEAR = 18;

export class Questions {
  /** @type {Query} */
  query;
  /** @type {Fetched | null} */
  fetched = null;
  /** @type {Facet[]} */
  facets = [];
  total = 0;
  /** @type {{id: number, key: string} | null} */
  underWay = null;
  /** @type {Wanted | null} */
  waiting = null;
  asked = 0;
  // The query that the facets were counted for.
  counted = "";

  /**
   * @param {(message: object) => void} send
   * @param {{column: string, descending: boolean} | undefined} sorted
   */
  constructor(send, sorted) {
    this.send = send;
    this.query = {
      text: "", regex: false, chosen: {}, sort: sorted?.column ?? "", descending: sorted?.descending ?? false, all: false,
    };
  }

  key() { return JSON.stringify(this.query); }

  isFiltered() { return Boolean(this.query.text) || Object.values(this.query.chosen).some((codes) => codes.length > 0); }

  /**
   * Fetches rows unless those that are here reach far enough beyond the view.
   * @param {number} top
   * @param {number} visible
   */
  need(top, visible) {
    const first = Math.floor(top), last = top + visible, here = this.fetched;
    if (here && here.key === this.key() && first >= here.start) {
      const isNear = (here.start === 0 || first - here.start >= NEAR) && (here.end >= this.total || here.end - last >= NEAR);
      if (isNear) { this.waiting = null; return; }
    }
    // Who types on looks at the first rows alone: fewer are drawn until somebody scrolls.
    const beyond = here && here.key !== this.key() ? NEAR + 2 : BEYOND;
    this.waiting = { start: Math.max(0, first - beyond), count: Math.ceil(visible) + 2 * beyond };
    this.flush();
  }

  flush() {
    if (this.underWay || !this.waiting) return;
    const key = this.key();
    this.asked += 1;
    this.underWay = { id: this.asked, key };
    this.send({ do: "window", ...this.waiting, id: this.asked, query: this.query, facets: key !== this.counted });
    this.waiting = null;
  }

  /**
   * Takes the answer that is waited for, and says whether it was that.
   * @param {Answer} answer
   */
  take(answer) {
    if (answer.window !== this.underWay?.id) return false;
    const { key } = this.underWay;
    this.underWay = null;
    this.fetched = { ...answer, key, end: answer.start + answer.rows.length };
    this.total = answer.total;
    if (answer.facets) { this.facets = answer.facets; this.counted = key; }
    return true;
  }

  /**
   * After an error nothing is waited for any more.
   * @param {number | undefined} id
   */
  fail(id) { if (id === this.underWay?.id) this.underWay = null; }
}
