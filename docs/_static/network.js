// A trained network in the page: loaded when a reader asks, run by the interpreter of tinygan demo.
// Its pixels are compared with tinygan's in tests/docs/test_networks_of_the_site.py.
var tinyganPage = (() => {
  "use strict";
  const own = document.currentScript && document.currentScript.src;
  const folder = new URL("models/", own || document.baseURI);

  // A script element works from a folder, too, where a page may not fetch.  Each script comes once.
  const scripts = {};
  function script(name) {
    return scripts[name] ??= new Promise((resolve, reject) => {
      const e = document.createElement("script");
      Object.assign(e, { src: new URL(name, folder), onload: resolve });
      e.onerror = () => { delete scripts[name]; reject(new Error(`${name} cannot be loaded`)); };
      document.head.append(e);
    });
  }

  function bytes(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  }

  // The interpreter comes first.
  async function load(name) {
    window.tinyganModels ??= {};
    await script("interpreter.js");
    await script(`${name}.js`);
    const model = window.tinyganModels[name];
    if (typeof model.weights === "string") {
      model.weights = bytes(model.weights);
      tinygan.load(model.network, model.weights.buffer, true);
    }
    return model;
  }

  // Numbers in [−1, 1] as the bytes of a canvas; grey becomes three equal channels.
  function toImage({ data, shape: [H, W, C] }) {
    const image = new ImageData(W, H);
    for (let i = 0; i < H * W; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = (data[C * i + (C === 3 ? c : 0)] + 1) * 127.5;
      image.data[4 * i + 3] = 255;
    }
    return image;
  }

  function element(kind, properties, ...inside) {
    const e = Object.assign(document.createElement(kind), properties);
    e.append(...inside);
    return e;
  }

  function canvas(size, label) {
    const e = element("canvas", { width: size, height: size, className: "tg-pixels" });
    e.setAttribute("role", "img");
    e.setAttribute("aria-label", label);
    return e;
  }

  // build(host, model) replaces the button once the model is there.
  function widget(kind, build) {
    const start = () => {
      for (const host of document.querySelectorAll(`[data-widget="${kind}"]`)) {
        const button = host.querySelector("button"), words = button.textContent;
        button.addEventListener("click", async () => {
          button.disabled = true;
          button.textContent = "Loading …";
          try {
            const model = await load(host.dataset.model);
            host.replaceChildren();
            build(host, model);
            host.dataset.ready = "yes";
          } catch (error) {
            button.disabled = false;
            button.textContent = `${words}: ${error.message}; again?`;
          }
        });
      }
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
  }

  return { bytes, canvas, element, load, toImage, widget };
})();
