// Kernel, stride and padding of a convolution and of its transpose: which pixels meet, how often.
// The counts are compared with tinygan's in tests/docs/test_site_scripts.py.
(function () {
  "use strict";

  // For each output pixel the list of input pixels it sees; null where it sees the border.
  function outputSize(size, kernel, stride, padding) {
    return Math.floor((size + 2 * padding - kernel) / stride) + 1;
  }
  function transposedSize(size, kernel, stride, padding, outputPadding) {
    return (size - 1) * stride - 2 * padding + kernel + outputPadding;
  }
  // Along one axis: in how many windows is each pixel of the large side?  That is how often a
  // transposed convolution paints it, and how many terms its gradient has.
  function overlap(small, large, kernel, stride, padding) {
    const counts = new Array(large).fill(0);
    for (let i = 0; i < small; i++) for (let k = 0; k < kernel; k++) {
      const h = stride * i + k - padding;
      if (h >= 0 && h < large) counts[h] += 1;
    }
    return counts;
  }

  const api = { outputSize, transposedSize, overlap };
  if (typeof module !== "undefined") module.exports = api;
  if (typeof document === "undefined") return;

  const SVG = "http://www.w3.org/2000/svg";
  function shape(parent, tag, attributes) {
    const e = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
    parent.append(e);
    return e;
  }

  function build(host) {
    const state = { mode: host.dataset.mode || "convolution", kernel: 4, stride: 2, padding: 1, i: 1, j: 1 };
    host.innerHTML = "";
    const controls = document.createElement("div");
    controls.className = "tg-controls";
    const figure = document.createElementNS(SVG, "svg");
    figure.setAttribute("tabindex", "0");
    figure.setAttribute("role", "application");
    const words = document.createElement("p");
    words.className = "tg-legend";
    words.setAttribute("aria-live", "polite");
    host.append(controls, figure, words);

    const label = document.createElement("label");
    const select = document.createElement("select");
    for (const name of ["convolution", "transposed convolution"]) {
      select.add(new Option(name, name, false, name === state.mode));
    }
    select.addEventListener("change", () => { state.mode = select.value; clamp(); draw(); });
    label.append("Layer ", select);
    controls.append(label);
    for (const [name, low, high] of [["kernel", 1, 7], ["stride", 1, 4], ["padding", 0, 3]]) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const shown = document.createElement("output");
      Object.assign(input, { type: "range", min: low, max: high, step: 1, value: state[name], name });
      shown.textContent = state[name];
      input.addEventListener("input", () => {
        state[name] = Number(input.value);
        shown.textContent = input.value;
        clamp();
        draw();
      });
      label.append(name + " ", input, shown);
      controls.append(label);
    }

    function sizes() {
      const { kernel, stride, padding } = state;
      if (state.mode === "convolution") {
        const large = 8;
        return { large, small: outputSize(large, kernel, stride, padding) };
      }
      const small = 4;
      return { small, large: transposedSize(small, kernel, stride, padding, 0) };
    }
    function clamp() {
      const { small } = sizes();
      state.i = Math.max(0, Math.min(state.i, small - 1));
      state.j = Math.max(0, Math.min(state.j, small - 1));
    }
    figure.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      state.i += move[0];
      state.j += move[1];
      clamp();
      draw();
    });
    const point = (event) => {
      const cell = document.elementFromPoint(event.clientX, event.clientY);
      if (!cell || cell.dataset.i === undefined || !figure.contains(cell)) return;
      state.i = Number(cell.dataset.i);
      state.j = Number(cell.dataset.j);
      draw();
    };
    figure.addEventListener("pointerdown", (event) => { figure.setPointerCapture(event.pointerId); point(event); });
    figure.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });

    function draw() {
      const { kernel, stride, padding } = state;
      const { large, small } = sizes();
      figure.replaceChildren();
      if (small < 1 || large < 1) {
        figure.setAttribute("viewBox", "0 0 360 30");
        words.textContent = "The kernel is larger than the padded picture: there is no output.";
        host.dataset.small = 0;
        return;
      }
      const transposed = state.mode !== "convolution";
      const cell = 20, gap = 34;
      const border = padding;
      const span = Math.max(large + 2 * border, small);
      const width = Math.max(span * cell, 300);
      const counts = overlap(small, large, kernel, stride, padding);
      const most = Math.max(...counts);
      const height = (large + 2 * border + small) * cell + gap + 44;
      figure.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const text = (x, y, value, more = {}) => {
        const e = shape(figure, "text", { x, y, class: "tg-text", ...more });
        e.textContent = value;
      };
      text(0, 12, `${transposed ? "output" : "input"} ${large} × ${large}` + (border ? `, with ${border} around it` : ""));
      const left = (width - (large + 2 * border) * cell) / 2, top = 20;
      const inWindow = (h, v) => h >= stride * state.i - padding && h < stride * state.i - padding + kernel &&
        v >= stride * state.j - padding && v < stride * state.j - padding + kernel;
      for (let h = -border; h < large + border; h++) for (let v = -border; v < large + border; v++) {
        const inside = h >= 0 && h < large && v >= 0 && v < large;
        const times = inside ? counts[h] * counts[v] : 0;
        const shade = inside && most ? 0.85 * (times / (most * most)) : 0;
        const x = left + (v + border) * cell, y = top + (h + border) * cell;
        shape(figure, "rect", { x, y, width: cell - 1, height: cell - 1,
          class: inside ? "tg-pixel" : "tg-border" });
        if (inside) {
          shape(figure, "rect", { x, y, width: cell - 1, height: cell - 1, class: "tg-shade", "fill-opacity": shade });
          text(x + cell / 2 - 0.5, y + cell / 2 + 4, times, { "text-anchor": "middle", class: shade > 0.45 ? "tg-text tg-on-dark" : "tg-text" });
        }
        if (inWindow(h, v)) shape(figure, "rect", { x: x + 1, y: y + 1, width: cell - 3, height: cell - 3, class: "tg-window" });
      }
      const below = top + (large + 2 * border) * cell + gap;
      text(0, below - 8, `${transposed ? "input" : "output"} ${small} × ${small}`);
      const start = (width - small * cell) / 2;
      for (let i = 0; i < small; i++) for (let j = 0; j < small; j++) {
        shape(figure, "rect", { x: start + j * cell, y: below + i * cell, width: cell - 1, height: cell - 1,
          "data-i": i, "data-j": j, class: i === state.i && j === state.j ? "tg-chosen" : "tg-pixel tg-pick" });
      }
      const middle = counts.slice(Math.floor(large / 4), Math.ceil((3 * large) / 4));
      const even = new Set(middle).size === 1;
      const cells = `The ${kernel} × ${kernel} window of pixel (${state.i}, ${state.j}) is outlined. `;
      words.textContent = cells + (transposed
        ? `Each number says how often a pixel is painted. ${even ? "All pixels in the middle equally often: no checkerboard." : "Not equally often: this is where a checkerboard comes from."}`
        : `Each number says in how many windows a pixel is: ${even ? "all in the middle equally often." : "not equally often, and so some pixels get more gradient than others."}`);
      figure.setAttribute("aria-label", `${state.mode}: kernel ${kernel}, stride ${stride}, padding ${padding}: ` +
        `${transposed ? small : large} becomes ${transposed ? large : small} pixels. Arrow keys move the window.`);
      Object.assign(host.dataset, { small, large, even, i: state.i, j: state.j });
    }
    draw();
  }

  function start() {
    for (const host of document.querySelectorAll('[data-widget="convolution"]')) build(host);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
