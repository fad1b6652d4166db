// What docs/check_site.py looks for in an open page; each look returns a list of sentences.
window.siteLooks = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const short = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 90);
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;

  // What axe-core lets pass: a picture that is said to be decoration, a name given twice.
  function names() {
    const counted = new Map();
    for (const e of all("[id]")) if (!e.closest("mjx-container, svg")) counted.set(e.id, (counted.get(e.id) || 0) + 1);
    const twice = [...counted].filter(([, n]) => n > 1).map(([id]) => `two elements are called ${id}`);
    return [...all("article img").filter((e) => !e.alt.trim()).map(short), ...twice];
  }

  // The smallest letters of a figure have 9 points, 12 pixels as it was drawn, those of a diagram that
  // is 480 pixels wide 12 points, 16 pixels; 11 are needed.
  function letters() {
    const small = all('article :is(img.plot-directive, .plot-directive img, img[src*="_images/"])')
      .filter((e) => !e.matches(".tg-recorded, .tg-film, .sphx-glr-thumbcontainer img"))
      .filter((e) => {
        const drawn = e.matches(".plot-directive") && e.naturalWidth <= 490 ? 16 : 12;
        return seen(e) && e.naturalWidth && (e.getBoundingClientRect().width / e.naturalWidth) * drawn < 10.98;
      });
    const drawn = all(".tg-widget svg text")
      .filter((e) => {
        const box = e.ownerSVGElement.getBoundingClientRect(), wide = e.ownerSVGElement.viewBox.baseVal.width || box.width;
        return seen(e) && parseFloat(getComputedStyle(e).fontSize) * box.width / wide < 10.99;
      });
    const words = all("article p, article td, article li, article pre, .tg-widget *")
      .filter((e) => seen(e) && (e.children.length === 0 || e.matches("pre")) && e.textContent.trim() && !e.closest("svg, mjx-container"))
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
    const spilt = all(".tg-widget *").filter((e) => seen(e) && !e.closest("svg, .tg-film-view, table") &&
      e.getBoundingClientRect().right > e.closest(".tg-widget").getBoundingClientRect().right + 1).map(short);
    const begins = (e) => e.getBoundingClientRect().left >= e.closest("div.math").getBoundingClientRect().left - 1;
    spilt.push(...all("div.math mjx-container").filter((e) => seen(e) && !begins(e))
      .map((e) => `begins at its end: ${e.textContent.slice(0, 40)}`));
    if (document.documentElement.scrollWidth <= width) return spilt;
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

  return { names, letters, tables, wider, cut, table_first };
})();
