// A drawn handbag through a CycleGAN: choose one, paint over it, and see what G makes of it.
(() => {
  "use strict";
  const { bytes, canvas, element, toImage, widget } = tinyganPage;

  function build(host, model) {
    const N = model.size, each = 3 * N * N;
    const pictures = bytes(model.pictures), truth = bytes(model.truth), count = pictures.length / each;
    const translate = (x) => tinygan.predict(model.network, Float32Array.from(x, (v) => v / 127.5 - 1), [N, N, 3]);
    const part = (all, k) => all.slice(k * each, (k + 1) * each);
    const asImage = (x) => toImage({ data: Float32Array.from(x, (v) => v / 127.5 - 1), shape: [N, N, 3] });
    const before = canvas(N, "a drawn handbag; paint over it"), after = canvas(N, "what G makes of it");
    const right = canvas(N, "the true backpack");
    before.classList.add("tg-paint");
    const figure = (e, words) => element("figure", {}, e, element("figcaption", { textContent: words }));
    const choices = Array.from({ length: count }, (_, k) => {
      const small = canvas(N, ""), button = element("button", { type: "button" }, small);
      small.getContext("2d").putImageData(asImage(part(pictures, k)), 0, 0);
      small.removeAttribute("role");
      button.setAttribute("aria-label", `handbag ${k + 1}`);
      button.addEventListener("click", () => choose(k));
      return button;
    });
    const color = element("input", { type: "color", value: "#2060c0" });
    const words = element("p", { className: "tg-legend" });
    words.setAttribute("aria-live", "polite");
    const clean = element("button", { type: "button", textContent: "As it was drawn" });
    const fill = element("button", { type: "button", textContent: "Dye the bag" });
    host.append(element("div", { className: "tg-strip" }, ...choices),
      element("div", { className: "tg-pair" }, figure(before, "drawn"), figure(after, "G of it"), figure(right, "the truth")),
      element("div", { className: "tg-bar" }, element("label", {}, "Paint with ", color), fill, clean), words);

    let chosen = 0, x = null, painted = false;
    const distance = (a, b) => a.reduce((sum, v, i) => sum + Math.abs(v - b[i]), 0) / a.length / 127.5;
    function show() {
      before.getContext("2d").putImageData(asImage(x), 0, 0);
      const y = translate(x), made = Float32Array.from(y.data, (v) => (v + 1) * 127.5);
      after.getContext("2d").putImageData(toImage(y), 0, 0);
      const want = part(truth, chosen);
      words.textContent = painted
        ? "Painted over: of this bag nobody knows the truth; the backpack on the right is that of the bag as it was drawn."
        : `Mean distance from the true backpack: ${distance(made, want).toFixed(3)}; of the handbag left as it is: ` +
          `${distance([...x], want).toFixed(3)} (numbers in [−1, 1]).`;
      host.dataset.painted = painted;
    }
    function choose(k) {
      [chosen, x, painted] = [k, part(pictures, k), false];
      choices.forEach((button, i) => button.setAttribute("aria-pressed", i === k));
      right.getContext("2d").putImageData(asImage(part(truth, k)), 0, 0);
      host.dataset.chosen = k;
      show();
    }
    const rgb = () => [1, 3, 5].map((i) => parseInt(color.value.slice(i, i + 2), 16));
    function paint(event) {
      const box = before.getBoundingClientRect(), ink = rgb();
      const [cx, cy] = [(event.clientX - box.left) / box.width * N, (event.clientY - box.top) / box.height * N];
      for (let i = 0; i < N; i++) {
        for (let j = 0; j < N; j++) {
          if (Math.hypot(i + 0.5 - cy, j + 0.5 - cx) < 1.8) x.set(ink, 3 * (i * N + j));
        }
      }
      painted = true;
      show();
    }
    // What has the colour of the middle gets the chosen one.
    function dye() {
      const ink = rgb(), m = 3 * (Math.round(0.62 * N) * N + N / 2), old = x.slice(m, m + 3);
      for (let k = 0; k < each; k += 3) {
        if (Math.max(...[0, 1, 2].map((c) => Math.abs(x[k + c] - old[c]))) < 60) x.set(ink, k);
      }
      painted = true;
      show();
    }
    before.addEventListener("pointerdown", (event) => { before.setPointerCapture(event.pointerId); paint(event); });
    before.addEventListener("pointermove", (event) => { if (event.buttons) paint(event); });
    fill.addEventListener("click", dye);
    clean.addEventListener("click", () => choose(chosen));
    host.tinygan = { translate: (data) => toImage(translate(data)) };
    choose(0);
  }

  widget("translator", build);
})();
