// A latent explorer: a place between four faces, and sliders for what can be said in words.
(() => {
  "use strict";
  const { canvas, element, toImage, widget } = tinyganPage;

  // Between four corners; uniform noise stays in its cube, normal noise gets its usual length back.
  function place(corners, [u, v], moves, normal) {
    const share = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
    const length = normal ? Math.hypot(...share) : 1;
    return corners[0].map((_, i) => {
      let at = share.reduce((sum, s, k) => sum + s * corners[k][i], 0) / length;
      for (const [amount, direction] of moves) at += amount * direction[i];
      return normal ? at : Math.min(1, Math.max(-1, at));
    });
  }

  function build(host, model) {
    const normal = model.noise === "normal", n = model.corners[0].length;
    const draw = (z) => toImage(tinygan.predict(model.network, z, [n]));
    const gauss = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
    let corners = model.corners, at = [0.5, 0.5];

    const size = draw(corners[0]).width;
    const big = canvas(size, "the face that the generator draws at this place");
    const pad = element("div", { className: "tg-pad", tabIndex: 0 });
    pad.setAttribute("role", "application");
    pad.setAttribute("aria-label", "the place between four faces; the arrow keys move it");
    const faces = corners.map((_, k) => canvas(size, `corner ${k + 1}`)), dot = element("i", {});
    pad.append(...faces, dot);
    const sliders = model.directions.map(() => element("input", { type: "range", min: -3, max: 3, step: 0.1, value: 0 }));
    const rows = model.directions.map(([name], k) => element("label", {}, element("span", { textContent: name }), sliders[k]));
    const another = element("button", { type: "button", textContent: "Four other faces" });
    const middle = element("button", { type: "button", textContent: "Sliders to the middle" });
    host.append(element("div", { className: "tg-pair" }, pad, big),
      element("div", { className: "tg-bar" }, another, middle),
      element("div", { className: "tg-controls" }, ...rows),
      element("p", { className: "tg-legend", textContent: `Left: drag the dot, or move it with the arrow keys. Right: what G draws of the ${n} numbers there.` }));

    const far = Math.sqrt(n) * 0.08;
    const moves = () => model.directions.map(([, d], k) => [far * Number(sliders[k].value), d]);
    function show() {
      const image = draw(place(corners, at, moves(), normal));
      big.getContext("2d").putImageData(image, 0, 0);
      dot.style.left = `${100 * at[0]}%`;
      dot.style.top = `${100 * at[1]}%`;
      Object.assign(host.dataset, { u: at[0].toFixed(2), v: at[1].toFixed(2) });
    }
    function showCorners() {
      corners.forEach((z, k) => faces[k].getContext("2d").putImageData(draw(z), 0, 0));
      show();
    }
    function go(u, v) {
      at = [u, v].map((x) => Math.min(1, Math.max(0, x)));
      show();
    }
    function follow(event) {
      const box = pad.getBoundingClientRect();
      go((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    }
    pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); follow(event); });
    pad.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
    pad.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!step) return;
      event.preventDefault();
      go(at[0] + step[0], at[1] + step[1]);
    });
    sliders.forEach((slider) => slider.addEventListener("input", show));
    middle.addEventListener("click", () => { sliders.forEach((s) => { s.value = 0; }); show(); });
    another.addEventListener("click", () => {
      corners = corners.map((z) => z.map(() => (normal ? gauss() : 2 * Math.random() - 1)));
      showCorners();
    });
    host.tinygan = { draw };
    showCorners();
  }

  widget("latent", build);
})();
