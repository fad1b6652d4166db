// What docs/check_site.py looks for in an open page; each look returns a list of sentences.
window.siteLooks = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const short = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 90);
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
  const drawn = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();

  // Any colour that CSS can name, as bytes.
  function bytes(color) {
    if (!known.has(color)) {
      drawn.clearRect(0, 0, 1, 1);
      drawn.fillStyle = color;
      drawn.fillRect(0, 0, 1, 1);
      known.set(color, [...drawn.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(color);
  }

  function over([r, g, b, a], below) {
    return [r, g, b].map((v, i) => (v * a + below[i] * (255 - a)) / 255);
  }

  function background(e) {
    if (!e) return [255, 255, 255];
    const style = getComputedStyle(e), own = bytes(style.backgroundColor);
    if (own[3] === 255) return own.slice(0, 3);
    return over(own, background(e.parentElement));
  }

  // WCAG 2.2, "relative luminance" and "contrast ratio".
  function luminance(color) {
    const [r, g, b] = color.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function ratio(one, other) {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  function contrast() {
    const found = new Map();
    for (const e of all("body *")) {
      const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
      if (!text || !seen(e) || e.closest("svg, canvas, [disabled], [aria-hidden='true']")) continue;
      const style = getComputedStyle(e), size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const behind = background(e), value = ratio(over(bytes(style.color), behind), behind);
      const key = `${style.color} on ${behind.map(Math.round)}`;
      if (value < (large ? 3 : 4.5) && !found.has(key)) found.set(key, `${value.toFixed(2)}: ${key}: ${short(e)}`);
    }
    return [...found.values()];
  }

  // What a reader who does not see the page is told.
  function names() {
    const label = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.title || e.alt ||
      e.textContent.trim() || (e.labels && e.labels.length) || e.querySelector("img[alt]:not([alt=''])") || e.placeholder;
    const found = all("button, a[href], input, select, textarea, iframe, canvas, svg[role=img], [role=application]")
      .filter((e) => seen(e) && e.type !== "hidden" && !e.closest("[aria-hidden='true'], button canvas") && !label(e))
      .filter((e) => !(e.matches("canvas") && e.closest("button")));
    const counted = new Map();
    for (const e of all("[id]")) if (!e.closest("mjx-container, svg")) counted.set(e.id, (counted.get(e.id) || 0) + 1);
    const twice = [...counted].filter(([, n]) => n > 1).map(([id]) => `two elements are called ${id}`);
    const mute = all("article img").filter((e) => !e.alt.trim()).map(short);
    return [...found.map(short), ...mute, ...twice, ...(document.documentElement.lang ? [] : ["no language"])];
  }

  // The smallest letters of a figure have 9 points: 12 pixels as it was drawn; 11 are needed.
  function letters() {
    const small = all("img.sphx-glr-single-img, img.sphx-glr-multi-img, img.plot-directive, .plot-directive img")
      .filter((e) => seen(e) && e.naturalWidth && e.getBoundingClientRect().width / e.naturalWidth < 11 / 12 - 0.002);
    const drawn = all(".tg-widget svg text")
      .filter((e) => {
        const box = e.ownerSVGElement.getBoundingClientRect(), wide = e.ownerSVGElement.viewBox.baseVal.width || box.width;
        return seen(e) && parseFloat(getComputedStyle(e).fontSize) * box.width / wide < 10.99;
      });
    const words = all("article p, article td, article li, .tg-widget *")
      .filter((e) => seen(e) && e.children.length === 0 && e.textContent.trim() && !e.closest("svg, mjx-container"))
      .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 11);
    return [...small, ...drawn, ...words].map(short);
  }

  function tables() {
    const scrolls = (e) => e && e.tagName !== "ARTICLE" &&
      (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    const edge = document.documentElement.clientWidth + 1;
    return all("article table").filter((e) => seen(e) && !scrolls(e))
      .filter((e) => e.getBoundingClientRect().right > edge || e.scrollWidth > e.clientWidth + 1).map(short);
  }

  function wider() {
    const width = document.documentElement.clientWidth + 1;
    if (document.documentElement.scrollWidth <= width) return [];
    return all("body *").filter((e) => e.getBoundingClientRect().right > width).slice(0, 3).map(short);
  }

  // Whatever a program is written in or has printed, in what is folded, too.
  function cut() {
    all("details").forEach((e) => { e.open = !e.querySelector("iframe"); });
    return all("article div.highlight pre").filter((e) => seen(e) && e.scrollWidth > e.clientWidth + 1)
      .map((e) => e.textContent.trim().slice(0, 60));
  }

  function table_first() {
    const title = document.querySelector("article h1"), after = title ? [...title.parentElement.children].slice(1, 4) : [];
    const is = (e) => e.matches("table") || (e.firstElementChild && e.firstElementChild.matches("table"));
    return after.some(is) ? [] : ["does not begin with a table"];
  }

  return { contrast, names, letters, tables, wider, cut, table_first };
})();
