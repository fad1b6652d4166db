// The figure of the GAN in two dimensions: what gan2d.js computes, to be watched and changed.
(function () {
  "use strict";
  const { forward, OBJECTIVES, round, newGame, pushOnFakes, generatorOf, DATA, points, noise, normal, sigmoid,
    distance } = window.tinyganGame;

  const REACH = 3.2;
  const OWN = "your own points";
  const GRID = 40;

  function build(host) {
    const state = { settings: { lrG: 1e-3, lrD: 1e-3, beta1: 0.5, stepsD: 1, objective: "non-saturating" },
      data: "ring", seed: 1, running: false, step: 0, own: [], pen: [0, 0] };
    host.innerHTML = "";
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 480;
    const bar = element("div", "tg-bar");
    const play = button(bar, "Train", () => setRunning(!state.running));
    button(bar, "One step", () => { setRunning(false); advance(1); draw(); });
    button(bar, "Restart", () => { restart(); draw(); });
    const info = element("output", "tg-info");
    info.setAttribute("aria-live", "off");
    bar.append(info);
    const controls = element("div", "tg-controls");
    choice(controls, "Data", [...Object.keys(DATA), OWN], state.data, (v) => {
      Object.assign(state, { data: v, own: [] });
      restart();
      draw();
    });
    choice(controls, "Objective", Object.keys(OBJECTIVES), state.settings.objective, (v) => {
      state.settings.objective = v;
    });
    slide(controls, "Rate of G", [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], 3, (v) => { state.settings.lrG = v; });
    slide(controls, "Rate of D", [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], 3, (v) => { state.settings.lrD = v; });
    slide(controls, "β₁ of Adam", [0, 0.1, 0.3, 0.5, 0.7, 0.9], 3, (v) => { state.settings.beta1 = v; });
    slide(controls, "D's steps a round", [1, 2, 3, 5, 10], 0, (v) => { state.settings.stepsD = v; });
    const legend = element("p", "tg-legend");
    const curve = document.createElement("canvas");
    Object.assign(curve, { width: 480, height: 72 });
    curve.setAttribute("role", "img");
    host.append(canvas, bar, curve, controls, legend);
    const small = document.createElement("canvas");
    small.width = small.height = GRID;

    // Real points: drawn by a rule, or near those that a reader has put on the plane.
    function real(random) {
      if (state.data !== OWN || !state.own.length) return (DATA[state.data] || DATA.ring)(random);
      return state.own[Math.floor(state.own.length * random())].map((v) => v + 0.1 * normal(random));
    }
    function put(x, y) {
      if (state.data !== OWN) return;
      state.own.push([x, y].map((v) => Math.max(-3, Math.min(3, v))));
      state.real = points(real, 250, state.random);
      draw();
    }
    function follow(event) {
      const box = canvas.getBoundingClientRect();
      put(((event.clientX - box.left) / box.width * 2 - 1) * REACH, (1 - (event.clientY - box.top) / box.height * 2) * REACH);
    }
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, 0.2], ArrowDown: [0, -0.2], " ": [0, 0] }[event.key];
      if (!move || state.data !== OWN) return;
      event.preventDefault();
      if (event.key === " ") return put(...state.pen);
      state.pen = state.pen.map((v, k) => Math.max(-3, Math.min(3, v + move[k])));
      draw();
    });

    function restart() {
      state.random = generatorOf(state.seed++);
      state.game = newGame(state.random);
      state.step = 0;
      state.past = [];
      state.real = points(real, 250, state.random);
      state.watched = noise(250, state.random);
      const mine = state.data === OWN;
      canvas.style.touchAction = mine ? "none" : "";
      canvas.tabIndex = mine ? 0 : -1;
      canvas.setAttribute("role", mine ? "application" : "img");
      legend.textContent = "Blue: D says real. Red: D says fake. Grey: real points. Black: fakes, " +
        "with the push that G gets on each." + (mine ? " Put real points on the plane: click or drag, " +
        "or move the cross with the arrow keys and press the space bar. Until there is one, the ring is the data." : "");
    }
    function batch() {
      const n = 96;
      return { n, x: points(real, n, state.random), z: noise(n, state.random) };
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
      for (let k = 0; k < n; k += 3) {
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
      if (state.data === OWN) {
        context.font = "24px sans-serif";
        context.textAlign = "center";
        context.textBaseline = "middle";
        context.fillText("+", at(state.pen[0]), at(-state.pen[1]));
      }
      const far = distance(fake, state.real).toFixed(2);
      plot(Number(far));
      info.textContent = `step ${state.step}, distance ${far}`;
      Object.assign(host.dataset, { step: state.step, far, own: state.own.length });
      canvas.setAttribute("aria-label", `A GAN in the plane after ${state.step} steps: ` +
        `the scores of D as colours, real points and generated points, which are ${far} apart.`);
    }
    // The distance over the steps, from 0 to the largest.
    function plot(far) {
      if (!state.past.length || state.past[state.past.length - 1][0] < state.step) state.past.push([state.step, far]);
      if (state.past.length > 600) state.past = state.past.filter((_, k) => k % 2 === 0);
      const context = curve.getContext("2d"), { width, height } = curve;
      const known = state.past.filter(([, v]) => Number.isFinite(v));
      const most = Math.max(0.1, ...known.map(([, v]) => v));
      context.clearRect(0, 0, width, height);
      context.strokeStyle = context.fillStyle = getComputedStyle(host).color;
      context.globalAlpha = 0.4;
      context.strokeRect(0.5, 0.5, width - 1, height - 1);
      context.globalAlpha = 1;
      context.beginPath();
      for (const [step, v] of known) context.lineTo(width * step / Math.max(1, state.step), height - 2 - (height - 4) * v / most);
      context.lineWidth = 2;
      context.stroke();
      context.font = "16px sans-serif";
      context.textAlign = "right";
      context.fillText(`distance, at most ${most.toFixed(2)}`, width - 8, 20);
      curve.setAttribute("aria-label", `The distance over the steps: ${far.toFixed(2)} now, at most ${most.toFixed(2)}.`);
    }
    restart();
    draw();
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
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
