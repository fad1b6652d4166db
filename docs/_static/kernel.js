// A 3×3 kernel to type, over a drawn face: what one convolution sees.
// The result is compared with tinygan's in tests/docs/test_site_scripts.py.
(function () {
  "use strict";

  // picture: rows of numbers in [-1, 1]; kernel: nine numbers, row after row; zeros outside.
  function convolve3(picture, kernel) {
    return picture.map((row, i) => row.map((_, j) => {
      let sum = 0;
      for (let k = 0; k < 3; k++) for (let l = 0; l < 3; l++) {
        const r = picture[i + k - 1];
        const value = r === undefined ? undefined : r[j + l - 1];
        if (value !== undefined) sum += value * kernel[3 * k + l];
      }
      return sum;
    }));
  }

  const KERNELS = {
    identity: [0, 0, 0, 0, 1, 0, 0, 0, 0],
    mean: Array(9).fill(0.111),
    "left to right": [-0.25, 0, 0.25, -0.5, 0, 0.5, -0.25, 0, 0.25],
    "all directions": [0, -1, 0, -1, 4, -1, 0, -1, 0],
    sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
  };
  const api = { convolve3, KERNELS };
  if (typeof module !== "undefined") module.exports = api;
  if (typeof document === "undefined") return;

  function build(host) {
    const text = host.dataset.picture; // 64 × 64 grey values as two hexadecimal digits each
    const size = Math.round(Math.sqrt(text.length / 2));
    const picture = Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) =>
      parseInt(text.substr(2 * (i * size + j), 2), 16) / 127.5 - 1));
    const kernel = [...KERNELS["all directions"]];
    host.innerHTML = "";
    const bar = document.createElement("div");
    bar.className = "tg-bar";
    for (const name of Object.keys(KERNELS)) {
      const e = document.createElement("button");
      e.type = "button";
      e.textContent = name;
      e.addEventListener("click", () => {
        KERNELS[name].forEach((v, k) => { kernel[k] = v; fields[k].value = v; });
        draw();
      });
      bar.append(e);
    }
    const grid = document.createElement("div");
    grid.className = "tg-kernel";
    const fields = kernel.map((value, k) => {
      const e = document.createElement("input");
      Object.assign(e, { type: "number", step: 0.25, value });
      e.setAttribute("aria-label", `kernel, row ${Math.floor(k / 3) + 1}, column ${(k % 3) + 1}`);
      e.addEventListener("input", () => {
        kernel[k] = Math.max(-999, Math.min(999, Number(e.value) || 0));
        draw();
      });
      grid.append(e);
      return e;
    });
    const images = document.createElement("div");
    images.className = "tg-pair";
    const before = canvas("the picture"), after = canvas("the picture, seen through the kernel");
    images.append(before, after);
    const words = document.createElement("p");
    words.className = "tg-legend";
    words.setAttribute("aria-live", "polite");
    host.append(bar, grid, images, words);

    function canvas(label) {
      const e = document.createElement("canvas");
      e.width = e.height = size;
      e.setAttribute("role", "img");
      e.setAttribute("aria-label", label);
      return e;
    }
    function paint(target, rows, low, high) {
      const context = target.getContext("2d");
      const pixels = context.createImageData(size, size);
      rows.flat().forEach((value, k) => {
        const grey = 255 * (value - low) / (high - low || 1);
        for (let c = 0; c < 3; c++) pixels.data[4 * k + c] = grey;
        pixels.data[4 * k + 3] = 255;
      });
      context.putImageData(pixels, 0, 0);
    }
    function draw() {
      const seen = convolve3(picture, kernel);
      const values = seen.flat();
      const low = Math.min(...values), high = Math.max(...values);
      paint(after, seen, low, high);
      const sum = kernel.reduce((a, b) => a + b, 0);
      words.textContent = `Sum of the kernel ${sum.toFixed(2)}: ` +
        (Math.abs(sum) < 0.01 ? "areas of one colour become 0, edges remain." : "areas of one colour keep a value.") +
        ` Black is ${low.toFixed(2)}, white ${high.toFixed(2)}.`;
      host.dataset.low = low;
      host.dataset.high = high;
    }
    paint(before, picture, -1, 1);
    draw();
  }

  function start() {
    for (const host of document.querySelectorAll('[data-widget="kernel"]')) build(host);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
