"use strict";
// Sorts tables, lights up a seed, shows what a mark says, copies commands. The page says everything without it.
// Every listener is on the document, so that it also serves what a live page puts in later.
(() => {
  const tip = document.getElementById("tip");
  const closest = (event, selector) => (event.target.closest ? event.target.closest(selector) : null);
  const MARK = "svg.chart .mark";

  // A mark says its job: under the pointer, or reached by the arrow keys.
  const say = (mark, x, y) => {
    tip.textContent = mark.getAttribute("aria-label").replaceAll("; ", "\n");
    tip.hidden = false;
    const right = scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(scrollX + 8, Math.min(x + scrollX + 12, right))}px`;
    const above = y + scrollY - tip.offsetHeight - 12;
    tip.style.top = `${above < scrollY ? y + scrollY + 18 : above}px`;
  };
  const hush = () => { tip.hidden = true; };
  document.addEventListener("pointermove", (event) => {
    const mark = closest(event, MARK);
    if (mark) say(mark, event.clientX, event.clientY);
    else hush();
  });
  document.addEventListener("focusin", (event) => {
    const mark = closest(event, MARK);
    if (!mark) return hush();
    const box = mark.getBoundingClientRect();
    say(mark, box.x + box.width / 2, box.y);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hush(); light(""); return; }
    const svg = closest(event, "svg.chart");
    if (!svg) return;
    const every = [...svg.querySelectorAll(".mark")], at = every.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step ? at + step : { Home: 0, End: every.length - 1 }[event.key];
    if (every[next]) {
      event.preventDefault();
      every[next].setAttribute("tabindex", "-1");
      every[next].focus();
    } else if ((event.key === "Enter" || event.key === " ") && event.target.dataset.seed) {
      event.preventDefault();
      light(event.target.dataset.seed);
    }
  });

  // One seed is lit up in all charts and lists.
  let seed = "";
  const light = (chosen) => {
    seed = chosen === seed ? "" : chosen;
    show();
  };
  const show = () => {
    let found = 0;
    for (const each of document.querySelectorAll("[data-seed]")) found += each.classList.toggle("lit", each.dataset.seed === seed);
    document.body.classList.toggle("lighting", found > 0);
    const input = document.getElementById("seed");
    if (input && document.activeElement !== input) input.value = seed;
  };
  document.addEventListener("click", (event) => {
    const mark = closest(event, MARK);
    // A finger does not hover.
    if (mark) say(mark, event.clientX, event.clientY);
    else hush();
    if (mark?.dataset.seed) light(mark.dataset.seed);
    const sort = closest(event, "th button");
    if (sort) {
      const heading = sort.closest("th");
      order(heading, heading.ariaSort === "ascending" ? "descending" : "ascending");
    }
    const copying = closest(event, "button.copy");
    if (copying) copy(copying);
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "seed") { seed = event.target.value; show(); }
  });
  document.addEventListener("submit", (event) => event.preventDefault());

  // Tables: numbers by their size, what is missing last.
  const collator = new Intl.Collator(undefined, { numeric: true });
  const key = (row, column) => (row.cells[column].dataset.sort ?? row.cells[column].textContent).trim().replace(/^[~<>]+/, "");
  const order = (heading, way) => {
    const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
    const sign = way === "ascending" ? 1 : -1;
    for (const each of heading.parentElement.cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", way);
    const rows = [...body.rows].map((row) => ({ row, text: key(row, column), number: parseFloat(key(row, column)) }));
    rows.sort((a, b) => {
      const missing = (a.text === "-") - (b.text === "-");
      const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
      return missing || sign * (numbers ? a.number - b.number || collator.compare(a.text, b.text) : collator.compare(a.text, b.text));
    });
    body.append(...rows.map((each) => each.row));
  };

  const copy = async (button) => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };

  // What works only with this script appears only with it; a live page calls this again for what it puts in.
  const equip = () => {
    for (const each of document.querySelectorAll("[data-script][hidden], button.copy[hidden]")) each.hidden = false;
    for (const svg of document.querySelectorAll("svg.chart:not([tabindex])")) svg.setAttribute("tabindex", "0");
    for (const text of document.querySelectorAll("table.sortable thead th > bdi")) {
      const button = document.createElement("button");
      button.type = "button";
      text.replaceWith(button);
      button.append(text);
    }
    for (const heading of document.querySelectorAll("th[aria-sort]")) order(heading, heading.ariaSort);
    show();
  };
  document.addEventListener("seedsweep:updated", equip);
  equip();
})();
