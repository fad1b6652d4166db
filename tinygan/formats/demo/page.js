// The page around the network: the interpreter computes in a worker, so that the page stays alive.
"use strict";

const text = (id) => document.getElementById(id).textContent;
const find = (id) => document.getElementById(id);
const about = JSON.parse(text("network"));

const worker = (() => {
  const code = `${text("interpreter")}
    let network;
    onmessage = ({ data }) => {
      if (data.network) { network = tinygan.load(data.network, data.weights, data.half); return; }
      let layers = 0;
      try {
        const done = () => postMessage({ id: data.id, layers: ++layers });
        const y = tinygan.predict(network, data.x, data.shape, data.progress ? done : undefined);
        postMessage({ id: data.id, y });
      } catch (error) { postMessage({ id: data.id, error: String(error) }); }
    };`;
  const made = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const coded = atob(text("weights")), bytes = new Uint8Array(coded.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = coded.charCodeAt(i);
  made.postMessage({ network: about.network, weights: bytes.buffer, half: about.half }, [bytes.buffer]);
  return made;
})();

const waiting = new Map();
worker.onmessage = ({ data: { id, layers, y, error } }) => {
  const { resolve, reject, progress } = waiting.get(id);
  if (layers) return progress(layers);
  waiting.delete(id);
  if (error) reject(new Error(error)); else resolve(y);
};

function predict(x, shape, progress) {
  return new Promise((resolve, reject) => {
    const id = Math.random();
    waiting.set(id, { resolve, reject, progress });
    worker.postMessage({ id, x, shape, progress: Boolean(progress) });
  });
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

function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }, "image/png");
}

const demo = { draw: (z) => predict(z, [z.length]).then(toImage), translate };

// --- a network that draws ---------------------------------------------------------------------

function startDrawing() {
  const normal = about.noise === "normal", n = about.noise_size;
  const gauss = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const drawn = () => Float32Array.from({ length: n }, () => (normal ? gauss() : 2 * Math.random() - 1));
  // Of attributes where they are known, else at random: these take a longer way to change as much.
  const named = about.directions.length > 0, far = Math.sqrt(n) * (named ? 0.08 : 0.25);
  const labels = named ? about.directions.map(([label]) => label)
    : Array.from({ length: 6 }, (_, i) => `Direction ${i + 1}`);
  const directions = labels.map((_, i) => {
    const d = Float32Array.from(named ? about.directions[i][1] : { length: n }, named ? undefined : gauss);
    const length = Math.hypot(...d);
    return d.map((v) => (v / length) * far);
  });
  const canvas = find("picture"), context = canvas.getContext("2d"), sliders = [];
  let z = drawn(), shown = null, busy = false, again = false, walking = false;

  // Where the sliders are; what is drawn from a cube stays in it.
  function moved() {
    return z.map((v, i) => {
      const at = directions.reduce((sum, d, s) => sum + Number(sliders[s].value) * d[i], v);
      return normal ? at : Math.min(1, Math.max(-1, at));
    });
  }

  async function show() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do {
        again = false;
        const place = moved();
        context.putImageData(await demo.draw(place), 0, 0);
        shown = place;
      } while (again);
    } catch (error) { find("status").textContent = error.message; }
    busy = false;
  }

  function remember() {
    if (!shown) return;  // the first picture is not drawn yet
    const button = document.createElement("button"), small = document.createElement("canvas");
    [small.width, small.height] = [canvas.width, canvas.height];
    small.getContext("2d").drawImage(canvas, 0, 0);
    button.append(small);
    button.setAttribute("aria-label", "back to this picture");
    const kept = shown;
    button.onclick = () => goTo(kept);
    find("strip").prepend(button);
    find("earlier").hidden = false;
    while (find("strip").children.length > 16) find("strip").lastChild.remove();
  }

  function goTo(place) {
    if (walking) walk();
    z = place;
    middle();
  }

  function middle() {
    sliders.forEach((slider) => { slider.value = 0; });
    show();
  }

  // Between two z: straight in a cube, along an arc where z are normal, as tinygan.generate has it.
  function between(a, b, t) {
    if (!normal) return a.map((v, i) => (1 - t) * v + t * b[i]);
    const dot = a.reduce((sum, v, i) => sum + v * b[i], 0) / (Math.hypot(...a) * Math.hypot(...b));
    const angle = Math.acos(Math.min(1 - 1e-6, Math.max(1e-6 - 1, dot)));
    const [p, q] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((v) => v / Math.sin(angle));
    return a.map((v, i) => p * v + q * b[i]);
  }

  async function walk() {
    walking = !walking;
    find("walk").textContent = walking ? "Stop" : "Walk";
    find("walk").setAttribute("aria-pressed", walking);
    while (walking) {
      const from = z, to = drawn();
      for (let step = 1; step <= 40 && walking; step++) {
        z = between(from, to, step / 40);
        await show();
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    }
  }

  for (const name of labels) {
    const label = document.createElement("label"), slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -3, max: 3, step: 0.05, value: 0, oninput: show });
    label.append(name, slider);
    sliders.push(slider);
    find("sliders").append(label);
  }
  find("another").onclick = () => { remember(); goTo(drawn()); };
  find("middle").onclick = middle;
  find("walk").onclick = walk;
  find("save").onclick = () => save(canvas, "tinygan.png");
  return show();
}

// --- a network that translates ----------------------------------------------------------------

// Bytes of a canvas in and out; the picture is continued by its mirror image up to whole strides.
async function translate({ data, width: W, height: H }, progress) {
  const C = about.channels, stride = about.stride;
  const whole = (size) => Math.max(Math.ceil(size / stride), 2) * stride;
  const [PH, PW] = [whole(H), whole(W)], [top, left] = [(PH - H) >> 1, (PW - W) >> 1];
  const row = tinygan.mirrored(H, top), column = tinygan.mirrored(W, left);
  const x = new Float32Array(PH * PW * C);
  for (let i = 0; i < PH; i++) {
    for (let j = 0; j < PW; j++) {
      const at = 4 * (row(i) * W + column(j)), to = (i * PW + j) * C;
      if (C === 3) for (let c = 0; c < 3; c++) x[to + c] = data[at + c] / 127.5 - 1;
      else x[to] = (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) / 127.5 - 1;
    }
  }
  const y = await predict(x, [PH, PW, C], progress);
  const F = about.factor, [OH, OW] = [H * F, W * F], cut = new Float32Array(OH * OW * C);
  for (let i = 0; i < OH; i++) {
    const from = ((i + top * F) * PW + left) * F * C;
    cut.set(y.data.subarray(from, from + OW * C), i * OW * C);
  }
  return toImage({ data: cut, shape: [OH, OW, C] });
}

function startTranslating() {
  const before = find("before"), after = find("after"), bar = find("progress");
  const status = find("status");
  let file = null, turn = 0;

  async function show() {
    if (!file) return;
    const mine = ++turn;
    find("save").disabled = true;
    try {
      const picture = await createImageBitmap(file);
      const scale = Number(find("size").value) / Math.min(picture.width, picture.height);
      for (const canvas of [before, after]) {
        canvas.width = Math.max(1, Math.round(picture.width * scale));
        canvas.height = Math.max(1, Math.round(picture.height * scale));
      }
      const context = before.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      context.fillStyle = "white";
      context.fillRect(0, 0, before.width, before.height);
      context.drawImage(picture, 0, 0, before.width, before.height);
      find("result").hidden = bar.hidden = false;
      bar.value = 0;
      status.textContent = "The network is at work …";
      const pixels = context.getImageData(0, 0, before.width, before.height);
      const made = await translate(pixels, (n) => { if (mine === turn) bar.value = n / about.layers; });
      if (mine !== turn) return;
      [after.width, after.height] = [made.width, made.height];
      after.getContext("2d").putImageData(made, 0, 0);
      status.textContent = "";
      find("save").disabled = false;
    } catch (error) {
      if (mine !== turn) return;
      status.textContent = `This file cannot be shown: ${error.message}`;
    }
    bar.hidden = true;
  }

  function split() {
    after.style.clipPath = `inset(0 0 0 ${find("split").value}%)`;
  }

  function take(files) {
    if (files.length) { file = files[0]; show(); }
  }

  find("file").onchange = (event) => take(event.target.files);
  find("size").onchange = show;
  find("split").oninput = split;
  find("save").onclick = () => save(after, "translated.png");
  const drop = find("drop");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
  demo.take = take;
  split();
}

demo.ready = about.mode === "draw" ? startDrawing() : startTranslating();
