// @ts-check
// Which rows are in view: `top` is the row at the upper edge, in fractions; the scroll position follows it, scaled where
// browsers do not let an element be high enough. Not for: what rows hold.

export const ROW = 26, HEAD = 30;
// Of a bar that scrolls sideways, and rows that are always in view: what is said where there are none takes two.
const BAR = 16, LEAST_ROWS = 2;
// Browsers limit an element's height (Firefox to 17.9 million px): beyond this, the scroll position is scaled.
const MOST_HEIGHT = 8e6;

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function within(value, low, high) { return Math.min(Math.max(value, low), Math.max(low, high)); }

export class Scroll {
  top = 0;
  total = 0;
  paneHeight = 0;
  // Where the view was scrolled to by ourselves: that is no news.
  put = 0;

  /**
   * @param {HTMLElement} view
   * @param {HTMLElement} pane
   * @param {HTMLElement} filler
   * @param {number} height
   */
  constructor(view, pane, filler, height) {
    this.view = view;
    this.pane = pane;
    this.filler = filler;
    this.height = height;
  }

  visible() { return Math.max(this.paneHeight, ROW) / ROW; }
  mostTop() { return Math.max(0, this.total - this.visible()); }
  mostScroll() { return Math.max(0, Math.min(this.total * ROW, MOST_HEIGHT) - this.paneHeight); }
  isScaled() { return this.total * ROW > MOST_HEIGHT; }

  /**
   * What some rows need, and no more than the view may have.
   * @param {number} rows
   */
  needed(rows) {
    const bar = this.view.scrollWidth > this.view.clientWidth ? BAR : 0;
    return Math.min(this.height, HEAD + Math.max(rows, LEAST_ROWS) * ROW + bar);
  }

  /**
   * The view is as high as the rows that are left need.
   * @param {number} rows
   */
  fit(rows) { this.view.style.height = `${this.needed(rows)}px`; }

  /** @param {number} total */
  resize(total) {
    this.total = total;
    this.paneHeight = Math.max(0, (this.view.clientHeight || this.height) - HEAD);
    this.pane.style.height = `${this.paneHeight}px`;
    this.filler.style.height = `${this.mostScroll()}px`;
    this.view.setAttribute("aria-rowcount", String(total + 1));
    this.move(this.top);
  }

  /** @param {number} top */
  move(top) {
    const most = this.mostTop();
    this.top = within(top, 0, most);
    this.view.scrollTop = most ? (this.top / most) * this.mostScroll() : 0;
    this.put = this.view.scrollTop;
  }

  /** Follows the view, and says whether it went anywhere. */
  follow() {
    if (Math.abs(this.view.scrollTop - this.put) < 1) return false;
    this.put = this.view.scrollTop;
    const most = this.mostScroll();
    this.top = most ? within((this.put / most) * this.mostTop(), 0, this.mostTop()) : 0;
    return true;
  }

  /**
   * Where the position is scaled, the wheel still moves by rows; says whether it did.
   * @param {WheelEvent} event
   */
  wheel(event) {
    if (!this.isScaled() || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return false;
    const rows = [event.deltaY / ROW, event.deltaY, event.deltaY * this.visible()][event.deltaMode];
    const before = this.top;
    this.move(this.top + rows);
    return this.top !== before;
  }

  /**
   * Brings a row into view.
   * @param {number} position
   */
  reach(position) {
    if (position < this.top) this.move(position);
    else if (position + 1 > this.top + this.visible()) this.move(position + 1 - this.visible());
  }
}
