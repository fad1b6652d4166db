// A GAN in two dimensions that trains in the page: networks, backpropagation, losses and Adam by hand.
// The same mathematics as tinygan's, compared with it number by number in tests/test_site_scripts.py.
(function () {
  "use strict";

  // --- the networks -----------------------------------------------------------------------------

  // A network is a list of layers {w, b, ins, outs}; leaky ReLU between them.
  function network(sizes, random) {
    return sizes.slice(1).map((outs, k) => {
      const ins = sizes[k];
      const spread = Math.sqrt(2 / ins);
      const w = Float64Array.from({ length: ins * outs }, () => spread * normal(random));
      return { ins, outs, w, b: new Float64Array(outs) };
    });
  }

  const SLOPE = 0.2;

  // x is (n, ins), row after row.  Returns every layer's input, and the output last.
  function forward(net, x, n) {
    const inputs = [x];
    net.forEach(({ ins, outs, w, b }, k) => {
      const x = inputs[k];
      const y = new Float64Array(n * outs);
      for (let r = 0; r < n; r++) {
        for (let o = 0; o < outs; o++) y[r * outs + o] = b[o];
        for (let i = 0; i < ins; i++) {
          const value = x[r * ins + i];
          for (let o = 0; o < outs; o++) y[r * outs + o] += value * w[i * outs + o];
        }
      }
      if (k < net.length - 1) for (let j = 0; j < y.length; j++) if (y[j] < 0) y[j] *= SLOPE;
      inputs.push(y);
    });
    return inputs;
  }

  // Returns the gradient of the input; adds into grads, a list of {w, b}, unless it is null (frozen).
  function backward(net, inputs, dy, n, grads) {
    for (let k = net.length - 1; k >= 0; k--) {
      const { ins, outs, w } = net[k];
      const x = inputs[k];
      if (k < net.length - 1) {
        const y = inputs[k + 1];
        dy = dy.map((value, j) => (y[j] < 0 ? SLOPE * value : value));
      }
      const dx = new Float64Array(n * ins);
      for (let r = 0; r < n; r++) {
        for (let i = 0; i < ins; i++) {
          let sum = 0;
          const value = x[r * ins + i];
          for (let o = 0; o < outs; o++) {
            const d = dy[r * outs + o];
            sum += d * w[i * outs + o];
            if (grads) grads[k].w[i * outs + o] += value * d;
          }
          dx[r * ins + i] = sum;
        }
        if (grads) for (let o = 0; o < outs; o++) grads[k].b[o] += dy[r * outs + o];
      }
      dy = dx;
    }
    return dy;
  }

  const zeros = (net) =>
    net.map(({ w, b }) => ({ w: new Float64Array(w.length), b: new Float64Array(b.length) }));

  function adam(net) {
    return { net, m: zeros(net), v: zeros(net), t: 0 };
  }

  function adamStep(state, grads, lr, beta1, beta2 = 0.999, eps = 1e-8) {
    state.t += 1;
    const c1 = 1 - beta1 ** state.t;
    const c2 = 1 - beta2 ** state.t;
    state.net.forEach((layer, k) => {
      for (const name of ["w", "b"]) {
        const [p, g, m, v] = [layer[name], grads[k][name], state.m[k][name], state.v[k][name]];
        for (let j = 0; j < p.length; j++) {
          m[j] = beta1 * m[j] + (1 - beta1) * g[j];
          v[j] = beta2 * v[j] + (1 - beta2) * g[j] * g[j];
          p[j] -= (lr * (m[j] / c1)) / (Math.sqrt(v[j] / c2) + eps);
        }
      }
    });
  }

  // --- the losses: each the gradient with respect to the scores, of the mean over the batch -----

  const sigmoid = (s) => 1 / (1 + Math.exp(-s));
  const bce = (target) => (s) => sigmoid(s) - target;
  const square = (target) => (s) => 2 * (s - target);
  const OBJECTIVES = {
    "non-saturating": { real: bce(1), fake: bce(0), G: bce(1) },
    minimax: { real: bce(1), fake: bce(0), G: (s) => -sigmoid(s) },
    "least squares": { real: square(1), fake: square(0), G: square(1) },
    hinge: { real: (s) => (s < 1 ? -1 : 0), fake: (s) => (s > -1 ? 1 : 0), G: () => -1 },
  };

  function scoreGradient(scores, rule) {
    return scores.map((s) => rule(s) / scores.length);
  }

  function trainD(game, x, fake, n, settings) {
    const grads = zeros(game.D);
    const rules = OBJECTIVES[settings.objective];
    for (const [points, rule] of [[x, rules.real], [fake, rules.fake]]) {
      const inputs = forward(game.D, points, n);
      backward(game.D, inputs, scoreGradient(inputs[inputs.length - 1], rule), n, grads);
    }
    adamStep(game.optD, grads, settings.lrD, settings.beta1);
  }

  function pushOnFakes(game, fake, n, settings) {
    const inputs = forward(game.D, fake, n);
    const dscore = scoreGradient(inputs[inputs.length - 1], OBJECTIVES[settings.objective].G);
    return backward(game.D, inputs, dscore, n, null);
  }

  function trainG(game, inputs, n, settings) {
    const grads = zeros(game.G);
    const dfake = pushOnFakes(game, inputs[inputs.length - 1], n, settings);
    backward(game.G, inputs, dfake, n, grads);
    adamStep(game.optG, grads, settings.lrG, settings.beta1);
  }

  // One round: D's steps, then one of G against the D that has just learnt.
  function round(game, settings, batch) {
    for (let k = 1; k < settings.stepsD; k++) {
      const { x, z, n } = batch();
      const made = forward(game.G, z, n);
      trainD(game, x, made[made.length - 1], n, settings);
    }
    const { x, z, n } = batch();
    const inputs = forward(game.G, z, n);
    trainD(game, x, inputs[inputs.length - 1], n, settings);
    trainG(game, inputs, n, settings);
  }

  function newGame(random, hidden = 32) {
    const G = network([2, hidden, hidden, 2], random);
    const D = network([2, hidden, hidden, 1], random);
    return { G, D, optG: adam(G), optD: adam(D) };
  }

  // --- random numbers and data ------------------------------------------------------------------

  function generatorOf(seed) { // mulberry32
    return function () {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function normal(random) {
    return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  }

  const DATA = {
    ring(random) {
      const a = 2 * Math.PI * random();
      return [2 * Math.cos(a) + 0.1 * normal(random), 2 * Math.sin(a) + 0.1 * normal(random)];
    },
    "eight places"(random) {
      const a = (Math.PI / 4) * Math.floor(8 * random());
      return [2 * Math.cos(a) + 0.1 * normal(random), 2 * Math.sin(a) + 0.1 * normal(random)];
    },
    "two moons"(random) {
      const a = Math.PI * random();
      const up = random() < 0.5;
      const x = 1.5 * Math.cos(a) + (up ? -0.75 : 0.75) + 0.1 * normal(random);
      return [x, (up ? 1.5 : -1.5) * Math.sin(a) + (up ? -0.4 : 0.4) + 0.1 * normal(random)];
    },
    line(random) {
      const t = 4 * random() - 2;
      return [t, 0.6 * t + 0.1 * normal(random)];
    },
  };

  function points(draw, count, random) {
    const out = new Float64Array(2 * count);
    for (let k = 0; k < count; k++) out.set(draw(random), 2 * k);
    return out;
  }

  function noise(count, random) {
    return Float64Array.from({ length: 2 * count }, () => normal(random));
  }

  const api = { network, forward, backward, adam, adamStep, OBJECTIVES, round, newGame, trainD, trainG,
    pushOnFakes, generatorOf, DATA, points, noise, sigmoid };
  if (typeof module !== "undefined") module.exports = api;
  if (typeof document === "undefined") return;

  // --- the figure -------------------------------------------------------------------------------

  const REACH = 3.2;
  const GRID = 40;

  function build(host) {
    const state = { settings: { lrG: 1e-3, lrD: 1e-3, beta1: 0.5, stepsD: 1, objective: "non-saturating" },
      data: "ring", seed: 1, running: false, step: 0 };
    host.innerHTML = "";
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 480;
    canvas.setAttribute("role", "img");
    const bar = element("div", "tg-bar");
    const play = button(bar, "Train", () => setRunning(!state.running));
    button(bar, "One step", () => { setRunning(false); advance(1); draw(); });
    button(bar, "Restart", () => { restart(); draw(); });
    const info = element("output", "tg-info");
    info.setAttribute("aria-live", "off");
    bar.append(info);
    const controls = element("div", "tg-controls");
    choice(controls, "Data", Object.keys(DATA), state.data, (v) => { state.data = v; restart(); draw(); });
    choice(controls, "Objective", Object.keys(OBJECTIVES), state.settings.objective, (v) => {
      state.settings.objective = v;
    });
    slide(controls, "Rate of G", [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], 3, (v) => { state.settings.lrG = v; });
    slide(controls, "Rate of D", [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], 3, (v) => { state.settings.lrD = v; });
    slide(controls, "β₁ of Adam", [0, 0.1, 0.3, 0.5, 0.7, 0.9], 3, (v) => { state.settings.beta1 = v; });
    slide(controls, "D's steps a round", [1, 2, 3, 5, 10], 0, (v) => { state.settings.stepsD = v; });
    const legend = element("p", "tg-legend");
    legend.textContent = "Blue: D says real. Red: D says fake. Grey: real points. Black: fakes, " +
      "with the push that G gets on each.";
    host.append(canvas, bar, controls, legend);
    const small = document.createElement("canvas");
    small.width = small.height = GRID;

    function restart() {
      state.random = generatorOf(state.seed++);
      state.game = newGame(state.random);
      state.step = 0;
      state.real = points(DATA[state.data], 250, state.random);
      state.watched = noise(150, state.random);
    }
    function batch() {
      const n = 96;
      return { n, x: points(DATA[state.data], n, state.random), z: noise(n, state.random) };
    }
    function advance(count) {
      for (let k = 0; k < count; k++) round(state.game, state.settings, batch);
      state.step += count;
    }
    function setRunning(on) {
      state.running = on;
      play.textContent = on ? "Pause" : "Train";
      if (on) requestAnimationFrame(tick);
    }
    function tick() {
      if (!state.running || !host.isConnected) return;
      const start = performance.now();
      do advance(1); while (performance.now() - start < 12);
      draw();
      requestAnimationFrame(tick);
    }
    function draw() {
      const { game, settings } = state;
      const context = canvas.getContext("2d");
      const at = (v) => ((v + REACH) / (2 * REACH)) * canvas.width;
      const grid = new Float64Array(2 * GRID * GRID);
      for (let i = 0; i < GRID; i++) for (let j = 0; j < GRID; j++) {
        grid[2 * (i * GRID + j)] = -REACH + (2 * REACH * (j + 0.5)) / GRID;
        grid[2 * (i * GRID + j) + 1] = REACH - (2 * REACH * (i + 0.5)) / GRID;
      }
      const scores = forward(game.D, grid, GRID * GRID).pop();
      const squares = settings.objective === "least squares";
      const shown = small.getContext("2d");
      const pixels = shown.createImageData(GRID, GRID);
      scores.forEach((s, k) => {
        const p = squares ? Math.min(1, Math.max(0, s)) : sigmoid(s);
        const red = [214, 96, 77], blue = [67, 147, 195], white = [247, 247, 247];
        const [from, t] = p < 0.5 ? [red, 2 * p] : [blue, 2 - 2 * p];
        for (let c = 0; c < 3; c++) pixels.data[4 * k + c] = from[c] + (white[c] - from[c]) * t;
        pixels.data[4 * k + 3] = 255;
      });
      shown.putImageData(pixels, 0, 0);
      context.imageSmoothingEnabled = true;
      context.drawImage(small, 0, 0, canvas.width, canvas.height);
      context.fillStyle = "#555";
      dots(context, at, state.real, 2);
      const n = state.watched.length / 2;
      const fake = forward(game.G, state.watched, n).pop();
      const push = pushOnFakes(game, fake, n, settings);
      context.strokeStyle = "#0b5d1e";
      context.lineWidth = 1.5;
      for (let k = 0; k < n; k += 2) {
        let dx = -push[2 * k] * n * 22, dy = push[2 * k + 1] * n * 22;
        const length = Math.hypot(dx, dy);
        if (length > 60) { dx *= 60 / length; dy *= 60 / length; }
        context.beginPath();
        context.moveTo(at(fake[2 * k]), at(-fake[2 * k + 1]));
        context.lineTo(at(fake[2 * k]) + dx, at(-fake[2 * k + 1]) + dy);
        context.stroke();
      }
      context.fillStyle = "#000";
      dots(context, at, fake, 3);
      info.textContent = `step ${state.step}`;
      host.dataset.step = state.step;
      canvas.setAttribute("aria-label", `A GAN in the plane after ${state.step} steps: ` +
        "the scores of D as colours, real points and generated points.");
    }
    restart();
    draw();
    host.tinygan = { state, advance, draw };
  }

  function dots(context, at, list, radius) {
    for (let k = 0; k < list.length; k += 2) {
      context.beginPath();
      context.arc(at(list[k]), at(-list[k + 1]), radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
  function element(tag, name) {
    const e = document.createElement(tag);
    e.className = name;
    return e;
  }
  function button(parent, text, act) {
    const e = element("button", "");
    e.type = "button";
    e.textContent = text;
    e.addEventListener("click", act);
    parent.append(e);
    return e;
  }
  function choice(parent, text, names, chosen, act) {
    const label = element("label", "");
    const select = element("select", "");
    for (const name of names) select.add(new Option(name, name, false, name === chosen));
    select.addEventListener("change", () => act(select.value));
    label.append(text + " ", select);
    parent.append(label);
  }
  function slide(parent, text, values, start, act) {
    const label = element("label", "");
    const input = element("input", "");
    const shown = element("output", "");
    Object.assign(input, { type: "range", min: 0, max: values.length - 1, step: 1, value: start });
    const show = () => { shown.textContent = String(values[input.value]); };
    input.addEventListener("input", () => { show(); act(values[Number(input.value)]); });
    show();
    label.append(text + " ", input, shown);
    parent.append(label);
  }

  function start() {
    for (const host of document.querySelectorAll('[data-widget="gan2d"]')) build(host);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
