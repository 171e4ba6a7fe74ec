// How the widgets' scripts are checked, besides their types: what is sure to be wrong, and markup made of a model's names.
const MARKUP = "Strings of a model are set as text, never as markup.";
// What pages have; nothing that fetches is among it.
const GLOBALS = [
  "AbortController", "Blob", "CSS", "CustomEvent", "DOMParser", "DOMRect", "DocumentFragment", "Element", "Event",
  "EventTarget", "File", "FileReader", "FocusEvent", "HTMLElement", "IntersectionObserver", "KeyboardEvent",
  "MouseEvent", "MutationObserver", "Node", "NodeFilter", "PointerEvent", "Range", "ResizeObserver", "SVGElement",
  "Selection", "TextDecoder", "TextEncoder", "URL", "XMLSerializer", "cancelAnimationFrame", "clearInterval",
  "clearTimeout", "console", "document", "getComputedStyle", "getSelection", "innerHeight", "innerWidth", "matchMedia",
  "navigator", "performance", "queueMicrotask", "requestAnimationFrame", "setInterval", "setTimeout", "structuredClone",
  "window",
];

export default [{
  files: ["**/*.js"],
  languageOptions: {
    ecmaVersion: 2023, sourceType: "module", globals: Object.fromEntries(GLOBALS.map((name) => [name, "readonly"])),
  },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules: {
    "array-callback-return": "error",
    "eqeqeq": "error",
    "no-cond-assign": "error",
    "no-const-assign": "error",
    "no-constant-condition": "error",
    "no-dupe-args": "error",
    "no-dupe-class-members": "error",
    "no-dupe-else-if": "error",
    "no-dupe-keys": "error",
    "no-eval": "error",
    "no-fallthrough": "error",
    "no-implied-eval": "error",
    "no-new-func": "error",
    "no-self-assign": "error",
    "no-self-compare": "error",
    "no-shadow": "error",
    "no-undef": "error",
    "no-unreachable": "error",
    "no-unused-vars": "error",
    "no-var": "error",
    "prefer-const": "error",
    "use-isnan": "error",
    "valid-typeof": "error",
    "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "writeln"].map(
      (property) => ({ property, message: MARKUP }))],
  },
}];
