// @ts-check
// What part of the picture is seen: fitted, moved, zoomed; and how high the view is.
// Not for: what is drawn, or what is clicked.

/**
 * @typedef {import("./graph_drawing.js").Box} Box
 * @typedef {import("./graph_drawing.js").Scene} Scene
 */

const LEAST_ZOOM = 0.08, READABLE = 0.72, MOST_ZOOM = 3, FAR = 0.5;
const LEAST_HEIGHT = 300, MOST_HEIGHT = 640, MARGIN = 14;

export class Camera {
  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} stage
   * @param {SVGElement} world
   * @param {HTMLElement} handle
   */
  constructor(root, stage, world, handle) {
    this.root = root;
    this.stage = stage;
    this.world = world;
    this.handle = handle;
    this.x = 0;
    this.y = 0;
    this.k = 1;
    this.seen = false;
    // As a person set it; else the picture says it.
    this.height = 0;
    // The size of the view while a scene is drawn: asked for in between, it would have all laid out once more each time.
    /** @type {{width: number, height: number} | null} */
    this.held = null;
    /** @type {Scene} */
    this.scene = { boxes: [], edges: [], width: 1, height: 1, kinds: [] };
  }

  get width() { return this.held?.width ?? this.stage.clientWidth; }

  get high() { return this.held?.height ?? this.stage.clientHeight; }

  /**
   * Before a scene is drawn.
   * @param {Scene} scene
   */
  begin(scene) {
    this.scene = scene;
    this.held = { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  /** Once a scene is drawn. */
  end() { this.held = null; }

  get isFull() { return document.fullscreenElement === this.root; }

  /** @param {number} wanted */
  setHeight(wanted) {
    const height = Math.round(this.height || Math.min(Math.max(wanted, LEAST_HEIGHT), MOST_HEIGHT));
    this.stage.style.height = this.isFull ? "" : `${height}px`;
    if (this.held && !this.isFull) this.held.height = height;
    this.handle.setAttribute("aria-valuenow", String(this.high));
  }

  /**
   * Makes the view as high as a person wants it.
   * @param {number} height
   */
  resize(height) {
    this.height = Math.round(Math.max(LEAST_HEIGHT / 2, height));
    this.setHeight(this.height);
  }

  /**
   * Fits the whole, but no smaller than can be read: then it begins at the upper end, to be dragged.
   * @param {boolean} whole
   */
  fit(whole) {
    const width = this.width;
    if (!width) return;
    this.seen = true;
    const inside = width - 2 * MARGIN;
    const k = Math.min(1.1, inside / this.scene.width);
    const readable = Math.max(k, whole ? LEAST_ZOOM : READABLE);
    this.setHeight(this.scene.height * readable + 2 * MARGIN);
    const height = this.high;
    let zoom = Math.min(readable, (height - 2 * MARGIN) / this.scene.height);
    zoom = Math.max(zoom, whole ? LEAST_ZOOM : Math.min(readable, READABLE));
    const x = Math.max(MARGIN, (width - this.scene.width * zoom) / 2);
    const y = this.isFull || this.height ? Math.max(MARGIN, (height - this.scene.height * zoom) / 2) : MARGIN;
    this.look(this.scene.width * zoom > inside ? this.startAt(width, zoom) : x, y, zoom);
  }

  /**
   * Where a picture that is too wide begins: with its first row in the middle.
   * @param {number} width
   * @param {number} zoom
   */
  startAt(width, zoom) {
    const top = Math.min(...this.scene.boxes.map((box) => box.y));
    const row = this.scene.boxes.filter((box) => box.y - top < 60);
    const middle = row.reduce((sum, box) => sum + box.x + box.w / 2, 0) / row.length;
    return Math.min(MARGIN, Math.max(width - MARGIN - this.scene.width * zoom, width / 2 - middle * zoom));
  }

  grow() {
    const wanted = Math.min(this.scene.height * this.k + 2 * MARGIN, MOST_HEIGHT);
    if (wanted > this.high) this.setHeight(wanted);
  }

  /** A picture larger than the view fills it; a smaller one stays wholly inside. */
  leaveNoGap() {
    /** @type {(place: number, view: number, size: number) => number} */
    const within = (place, view, size) => {
      const ends = [MARGIN, view - MARGIN - size];
      return Math.min(Math.max(...ends), Math.max(Math.min(...ends), place));
    };
    const x = within(this.x, this.width, this.scene.width * this.k);
    this.look(x, within(this.y, this.high, this.scene.height * this.k), this.k);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} k
   */
  look(x, y, k) {
    this.x = x;
    this.y = y;
    this.k = k;
    this.world.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) scale(${k.toFixed(4)})`);
    this.root.classList.toggle("tfm-far", k < FAR);
  }

  /**
   * @param {number} factor
   * @param {number} x
   * @param {number} y
   */
  zoom(factor, x = this.width / 2, y = this.high / 2) {
    const k = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.k * factor));
    const ratio = k / this.k;
    this.look(x - (x - this.x) * ratio, y - (y - this.y) * ratio, k);
  }

  /** @param {Box} box */
  centre(box) {
    const k = Math.max(this.k, 0.9);
    const y = this.high / 2 - (box.y + Math.min(box.h, 200) / 2) * k;
    this.look(this.width / 2 - (box.x + box.w / 2) * k, y, k);
  }

  /** @param {Box} box */
  keepInView(box) {
    let { x, y } = this;
    const k = this.k, width = this.width, height = this.high;
    const left = x + box.x * k, top = y + box.y * k, right = left + box.w * k, bottom = top + box.h * k;
    if (right > width - MARGIN) x -= Math.min(right - width + MARGIN, Math.max(left - MARGIN, 0));
    if (left < MARGIN) x += MARGIN - left;
    if (bottom > height - MARGIN) y -= Math.min(bottom - height + MARGIN, Math.max(top - MARGIN, 0));
    if (top < MARGIN) y += MARGIN - top;
    this.look(x, y, k);
  }
}
