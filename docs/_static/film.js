// A slider and a play button over a tall picture whose frames stand under one another.
(function () {
  "use strict";

  // The page shows the last frame; the film, in films/, is loaded when a reader asks for another.
  function dress(image) {
    const said = /frames-(\d+) film-of-([\w-]+) kilobytes-(\d+)/.exec(image.className);
    if (!said || !image.naturalWidth) return;
    const frames = Number(said[1]), name = `Play (${(said[3] / 1000).toFixed(1)} MB)`;
    const box = document.createElement("div");
    const view = document.createElement("div");
    const bar = document.createElement("div");
    const play = document.createElement("button");
    const slider = document.createElement("input");
    const count = document.createElement("output");
    box.className = "tg-widget tg-film-box";
    view.className = "tg-film-view";
    bar.className = "tg-bar";
    play.type = "button";
    play.textContent = name;
    Object.assign(slider, { type: "range", min: 0, max: frames - 1, step: 1, value: frames - 1 });
    slider.setAttribute("aria-label", image.alt);
    view.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    view.style.maxWidth = `${image.naturalWidth}px`;
    image.parentNode.insertBefore(box, image);
    view.append(image);
    bar.append(play, slider, count);
    box.append(view, bar);

    let timer = null, asked = false, whole = false;
    const fetchAll = () => {
      if (asked) return;
      asked = true;
      const root = document.documentElement.dataset.content_root || "";
      image.addEventListener("load", () => { whole = true; show(); }, { once: true });
      image.src = `${root}films/${said[2]}.webp`;
    };
    const show = () => {
      if (whole) image.style.transform = `translateY(${(-100 * slider.value) / frames}%)`;
      count.textContent = `${Number(slider.value) + 1} / ${frames}`;
      box.dataset.frame = slider.value;
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = asked ? "Play" : name;
    };
    play.addEventListener("click", () => {
      if (timer !== null) return stop();
      fetchAll();
      if (Number(slider.value) === frames - 1) slider.value = 0;
      play.textContent = "Pause";
      timer = setInterval(() => {
        if (!whole) return;
        slider.value = Number(slider.value) + 1;
        show();
        if (Number(slider.value) === frames - 1) stop();
      }, 180);
    });
    slider.addEventListener("input", () => { fetchAll(); stop(); show(); });
    show();
  }

  function start() {
    for (const image of document.querySelectorAll("img.tg-film")) {
      if (image.complete && image.naturalWidth) dress(image);
      else image.addEventListener("load", () => dress(image), { once: true });
      image.loading = "eager";
    }
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
