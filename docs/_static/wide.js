// What is wider than a phone scrolls by itself, and can be scrolled by the keyboard, too.
(function () {
  "use strict";

  // A wide figure scrolls on a phone, so that its letters can be read there.  The diagrams of
  // docs/figures/diagram.py have letters large enough for a phone as they are.
  function widen(image) {
    if (image.naturalWidth <= (image.matches(".plot-directive") ? 490 : 380)) return;
    const box = document.createElement("div");
    box.className = "tg-wide";
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Figure: ${image.alt}`);
    image.style.setProperty("--tg-least", `${0.92 * image.naturalWidth}px`);
    image.parentNode.insertBefore(box, image);
    box.append(image);
  }

  // Tab leads to what scrolls, and to nothing else.
  function reach() {
    for (const e of document.querySelectorAll("article :is(.tg-wide, .math, mjx-container, table, pre)")) {
      const larger = e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight;
      if (larger && getComputedStyle(e).overflowX !== "visible") e.tabIndex = 0;
      else e.removeAttribute("tabindex");
    }
  }

  async function start() {
    const plain = 'article :is(img.plot-directive, img[src*="_images/"]):not(.tg-recorded, .tg-film, .sphx-glr-thumbcontainer img)';
    for (const image of document.querySelectorAll(plain)) {
      if (image.complete && image.naturalWidth) widen(image);
      else image.addEventListener("load", () => { widen(image); reach(); }, { once: true });
    }
    for (const e of document.querySelectorAll("summary:has(> .toctree-toggle)")) e.ariaLabel = "Pages below";
    for (const e of document.querySelectorAll("nav.contents")) e.ariaLabel = "Contents";
    addEventListener("resize", reach);
    document.addEventListener("toggle", reach, true);
    await window.MathJax?.startup?.promise;
    reach();
  }
  if (document.readyState === "complete") start();
  else addEventListener("load", start);
})();
