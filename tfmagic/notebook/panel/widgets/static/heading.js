// The line above the tabs. Takes the static form off the page while the panel lives, and puts it back when the kernel ends.

import { Timers, make, ownKeys } from "./dom.js";

const GONE = "The kernel that answered here has ended: run the cell again for the live panel.";
const PATIENCE = 15000, FRAMES = 600;
const TAB = ".lm-TabBar-tab.lm-mod-current";

// Calls back with an element as soon as the page has it; returns what ends the waiting.
function whenThere(id, then) {
  let found = document.getElementById(id);
  if (found) {
    then(found);
    return () => {};
  }
  const watch = new MutationObserver(() => {
    found = document.getElementById(id);
    if (!found) return;
    end();
    then(found);
  });
  const timer = setTimeout(() => watch.disconnect(), PATIENCE);
  const end = () => { clearTimeout(timer); watch.disconnect(); };
  watch.observe(document.body, { childList: true, subtree: true });
  return end;
}

const BUTTON = ".jupyter-button";

// Buttons of which one is chosen are a group, which goes by the label beside them.
function nameGroup(group) {
  if (!group || group.hasAttribute("role")) return;
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", group.querySelector(".widget-label")?.textContent ?? "");
}

// A field of a row has its name where the pointer rests; aloud that is only a hint.
function nameFields(root) {
  for (const field of root.querySelectorAll(".tfm-end-row input[title]")) field.setAttribute("aria-label", field.title);
}

function sayState(target) {
  nameFields(target);
  const buttons = target.matches(BUTTON) ? [target] : target.classList.contains("tfm-panel") || target.closest(".widget-tab-contents") ? target.querySelectorAll(BUTTON) : [];
  for (const each of buttons) {
    each.setAttribute("aria-disabled", each.classList.contains("tfm-off"));
    if (each.classList.contains("widget-toggle-button")) each.setAttribute("aria-pressed", each.classList.contains("mod-active"));
    nameGroup(each.closest(".widget-toggle-buttons"));
  }
}

const isDrawn = (element) => element.isConnected && element.getClientRects().length > 0;

// What has the focus in a panel may go: another tab is shown, or other content takes its place. The focus goes to the
// tab that is open then, and not to the page, where the front end's shortcuts would hear the next key.
class Focus {
  last = null;
  frame = 0;

  constructor(panel) {
    this.panel = panel;
    panel.addEventListener("focusin", this.came);
    panel.addEventListener("focusout", this.went);
  }

  came = ({ target }) => {
    // ipywidgets' own elements do not keep the front end's shortcuts out.
    ownKeys(target);
    this.last = target;
  };

  // Who leaves the panel, or clicks beside it, is not called back.
  went = ({ target }) => { if (isDrawn(target)) this.last = null; };

  changed() {
    cancelAnimationFrame(this.frame);
    if (this.last) this.frame = requestAnimationFrame(() => this.rescue());
  }

  rescue() {
    const { activeElement, body } = document;
    if (!this.last || isDrawn(this.last) || (activeElement !== body && activeElement !== this.last)) return;
    this.panel.querySelector(TAB)?.focus({ preventScroll: true });
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.panel.removeEventListener("focusin", this.came);
    this.panel.removeEventListener("focusout", this.went);
  }
}

function render({ model, el }) {
  const title = make("h3"), detail = make("p");
  const notice = make("span", { role: "status" });
  notice.hidden = true;
  const timers = new Timers();
  el.classList.add("tfm-heading");
  el.append(title, detail, notice);

  // Static forms that are off the page, and what stands in the place of each: a panel may be shown more than once.
  const taken = [];
  let isOver = false, stop = () => {};
  const takeOff = (form) => {
    const place = document.createComment("the live panel is shown");
    // The line of the output goes with it, or its prompt would stand there alone.
    const line = form.closest(".jp-OutputArea-child");
    form.replaceWith(place);
    if (line) line.style.display = "none";
    taken.push([place, form, line]);
  };
  const putBack = () => {
    stop();
    for (const [place, form, line] of taken.splice(0)) {
      if (line) line.style.display = "";
      if (place.isConnected) place.replaceWith(form);
    }
  };
  const watch = () => {
    stop();
    const mark = model.get("stand_in");
    if (mark && !isOver) stop = whenThere(mark, takeOff);
  };
  // The front end marks what lost its kernel as soon as it has told everybody.
  const changed = () => timers.set("changed", 0, () => {
    isOver = el.closest(".jupyter-widgets-disconnected") !== null;
    notice.hidden = !isOver;
    notice.textContent = isOver ? GONE : "";
    // Without a static form, what was seen last stays in view.
    panel?.classList.toggle("tfm-over", isOver && model.get("stand_in") !== "");
    if (isOver) putBack();
    else watch();
  });
  // The panel is there once the front end has put it together.
  let panel = null, focus = null, frame = 0;
  // What ipywidgets' own buttons do not say to a screen reader: that they do nothing for now, that they are chosen.
  const watchButtons = new MutationObserver((changes) => {
    for (const { target } of changes) sayState(target);
    focus?.changed();
  });
  const settle = (left) => {
    panel = el.closest(".tfm-panel");
    if (panel) {
      focus = new Focus(panel);
      watchButtons.observe(panel, { subtree: true, childList: true, attributeFilter: ["class"] });
      sayState(panel);
    }
    else if (left) frame = requestAnimationFrame(() => settle(left - 1));
  };
  settle(FRAMES);
  const retitle = () => {
    title.textContent = model.get("text");
    detail.textContent = model.get("detail");
    // The chooser's heading stays for the static form's sake once a panel with a heading of its own stands below it.
    el.style.display = title.textContent ? "" : "none";
  };
  retitle();
  // Drawn by now or later: the first frame in which it has a place is the one.
  let seen = 0;
  const arrive = (left = FRAMES) => {
    if (model.get("arrivals") === seen) return;
    if (el.offsetParent) {
      seen = model.get("arrivals");
      el.scrollIntoView({ block: "start" });
    }
    else if (left) requestAnimationFrame(() => arrive(left - 1));
  };
  const called = () => arrive();
  model.on("change:arrivals", called);
  called();
  model.on("change:text", retitle);
  model.on("comm_live_update", changed);
  model.on("change:stand_in", watch);
  watch();
  timers.ping(() => model.send({ ping: true }));
  return () => {
    timers.endAll();
    cancelAnimationFrame(frame);
    focus?.end();
    watchButtons.disconnect();
    model.off("change:text", retitle);
    model.off("change:arrivals", called);
    model.off("comm_live_update", changed);
    model.off("change:stand_in", watch);
    // The output is being cleared, or another view of the panel took its place.
    putBack();
  };
}

export default { render };
