// Batch norm's backward pass, one line of the mathematics at a time, with numbers.
// Every number is compared with tinygan's in tests/docs/test_site_scripts.py.
(function () {
  "use strict";

  const mean = (a) => a.reduce((s, v) => s + v, 0) / a.length;
  const sum = (a) => a.reduce((s, v) => s + v, 0);

  // Returns the steps: [name, formula, values or one number], forward first and then backward.
  function steps(x, dy, gamma, beta, eps = 1e-5) {
    const M = x.length;
    const mu = mean(x);
    const centred = x.map((v) => v - mu);
    const variance = mean(centred.map((v) => v * v));
    const rstd = 1 / Math.sqrt(variance + eps);
    const xhat = centred.map((v) => v * rstd);
    const y = xhat.map((v) => gamma * v + beta);
    const dbeta = sum(dy);
    const dgamma = sum(dy.map((v, i) => v * xhat[i]));
    const dxhat = dy.map((v) => gamma * v);
    const first = dxhat.map((v) => v * rstd);
    const drstd = sum(dxhat.map((v, i) => v * centred[i]));
    const dvar = drstd * -0.5 * (variance + eps) ** -1.5;
    const dcentred = first.map((v, i) => v + (dvar * 2 * centred[i]) / M);
    const dmu = -sum(dcentred);
    const dx = dcentred.map((v) => v + dmu / M);
    return [
      ["x", "the numbers of one channel", x],
      ["μ", "mean of x", mu],
      ["centred", "x − μ", centred],
      ["σ²", "mean of centred²", variance],
      ["rstd", "1 / √(σ² + ε)", rstd],
      ["x̂", "centred · rstd", xhat],
      ["y", "γ x̂ + β", y],
      ["dy", "arrives from behind", dy],
      ["dβ", "sum of dy", dbeta],
      ["dγ", "sum of dy · x̂", dgamma],
      ["dx̂", "γ dy", dxhat],
      ["dcentred, first part", "dx̂ · rstd", first],
      ["drstd", "sum of dx̂ · centred", drstd],
      ["dσ²", "−½ drstd (σ² + ε)^(−3/2)", dvar],
      ["dcentred", "first part + dσ² · 2 centred / M", dcentred],
      ["dμ", "−sum of dcentred", dmu],
      ["dx", "dcentred + dμ / M", dx],
    ];
  }

  const api = { steps };
  if (typeof module !== "undefined") module.exports = api;
  if (typeof document === "undefined") return;

  function build(host) {
    const state = { x: [1, 2, 4, 7], dy: [0.5, -1, 0.25, 1], gamma: 1.5, beta: 0.5, at: 0 };
    host.innerHTML = "";
    const controls = document.createElement("div");
    controls.className = "tg-controls tg-lines";
    for (const name of ["x", "dy"]) {
      const label = document.createElement("label");
      label.append(name + " ");
      state[name].forEach((value, k) => {
        const e = document.createElement("input");
        Object.assign(e, { type: "number", step: 0.5, value });
        e.setAttribute("aria-label", `${name}, number ${k + 1}`);
        e.addEventListener("input", () => {
          state[name][k] = Math.max(-999, Math.min(999, Number(e.value) || 0));
          draw();
        });
        label.append(e);
      });
      controls.append(label);
    }
    const bar = document.createElement("div");
    bar.className = "tg-bar";
    const button = (text, move) => {
      const e = document.createElement("button");
      e.type = "button";
      e.textContent = text;
      e.addEventListener("click", () => { state.at = move(state.at); draw(); });
      bar.append(e);
    };
    const last = () => steps(state.x, state.dy, state.gamma, state.beta).length - 1;
    button("Back", (at) => Math.max(0, at - 1));
    button("Next line", (at) => Math.min(last(), at + 1));
    button("All", () => last());
    const table = document.createElement("table");
    const words = document.createElement("p");
    words.className = "tg-legend";
    words.setAttribute("aria-live", "polite");
    host.append(controls, bar, table, words);

    function draw() {
      const lines = steps(state.x, state.dy, state.gamma, state.beta);
      table.replaceChildren();
      lines.slice(0, state.at + 1).forEach(([name, formula, value], k) => {
        const row = table.insertRow();
        if (k === state.at) row.className = "tg-current";
        row.insertCell().textContent = name;
        row.insertCell().textContent = formula;
        const numbers = Array.isArray(value) ? value : [value];
        row.insertCell().textContent = numbers.map((v) => v.toFixed(3)).join("  ");
      });
      const dx = lines[lines.length - 1][2];
      const [, , xhat] = lines[5];
      words.textContent = state.at < lines.length - 1 ? `Line ${state.at + 1} of ${lines.length}.`
        : `The sum of dx is ${Math.abs(sum(dx)).toFixed(6)}, and that of dx · x̂ ` +
          `${Math.abs(sum(dx.map((v, i) => v * xhat[i]))).toFixed(4)}: no mean and no slope are left.`;
      host.dataset.at = state.at;
      host.dataset.dx = JSON.stringify(dx);
    }
    draw();
  }

  function start() {
    for (const host of document.querySelectorAll('[data-widget="batchnorm"]')) build(host);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
