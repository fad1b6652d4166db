// A GAN in two dimensions that trains in the page: networks, backpropagation, losses and Adam by hand.
// The same mathematics as tinygan's, compared with it number by number in tests/docs/test_site_scripts.py.
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

  // How far the fakes are from the real points: sliced Wasserstein, over 64 directions of the plane.
  function distance(a, b) {
    let total = 0;
    for (let k = 0; k < 64; k++) {
      const [c, s] = [Math.cos((Math.PI * k) / 64), Math.sin((Math.PI * k) / 64)];
      const along = (list) => Float64Array.from({ length: list.length / 2 },
        (_, i) => c * list[2 * i] + s * list[2 * i + 1]).sort();
      const [p, q] = [along(a), along(b)];
      total += p.reduce((sum, v, i) => sum + Math.abs(v - q[i]), 0) / p.length;
    }
    return total / 64;
  }

  const api = { network, forward, backward, adam, adamStep, OBJECTIVES, round, newGame, trainD, trainG,
    pushOnFakes, generatorOf, DATA, points, noise, normal, sigmoid, distance };
  if (typeof module !== "undefined") module.exports = api;
  else window.tinyganGame = api;
})();
