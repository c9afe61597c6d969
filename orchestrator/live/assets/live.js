"use strict";
// Keeps a page fresh: asks the server whether there is another version, and changes what differs.
// Runs before the report's own script, so that it sees the page as the server wrote it. That script hears the event
// `seedsweep:updated` on the document when parts of the page were replaced.
(() => {
  const SECOND = 1000, LATER = 3000, MOST_PAIRS = 4e6;
  const AWAY = "The server does not answer: this is what was last seen.";
  const REFUSED = "The server was started again and wants another token: open its new address. This is what was last seen.";
  let before = document.getElementById("report").cloneNode(true);
  let timer = null, asking = false;

  const bar = () => document.getElementById("live");
  const tell = (text) => {
    const news = document.getElementById("live-news");
    if (news.textContent !== text) news.textContent = text;
  };

  async function look() {
    clearTimeout(timer);
    if (asking || document.hidden || "over" in bar().dataset) return;
    asking = true;
    let answer = null, text = "";
    try {
      const headers = {"If-None-Match": `W/"${bar().dataset.version}"`};
      answer = await fetch(location.pathname, {cache: "no-store", headers});
      text = await answer.text();
    } catch {
      answer = null;
    }
    asking = false;
    timer = setTimeout(look, answer ? SECOND : LATER);
    if (answer?.ok) show(new DOMParser().parseFromString(text, "text/html"));
    else if (answer?.status === 304) tell("");
    else if (answer?.status === 401) tell(REFUSED);
    else tell(answer?.headers.get("Content-Type")?.startsWith("text/plain") ? `${text.trim()} This is what was last seen.` : AWAY);
  }

  function show(fresh) {
    const code = (page) => [...page.querySelectorAll("script, style")].map((each) => each.textContent).join("\0");
    if (code(fresh) !== code(document)) {
      location.reload();  // another version of the server
      return;
    }
    // A proxy may drop the header that says which version is here.
    if (fresh.getElementById("live").dataset.version === bar().dataset.version) return tell("");
    const main = fresh.getElementById("report");
    document.title = fresh.title;
    stay(() => update(document.getElementById("report"), before, main));
    before = main;
    bar().replaceWith(document.importNode(fresh.getElementById("live"), true));
    document.dispatchEvent(new CustomEvent("seedsweep:updated"));
    ages();
    tell("over" in bar().dataset ? "The sweep has ended." : "");
  }

  // Keeps what is read where it is on the screen, although parts above it grow.
  function stay(change) {
    const read = [...document.querySelectorAll("main section, main figure, main tr[id]")]
      .filter((each) => each.id && each.getBoundingClientRect().top <= 1).at(-1);
    const top = read && scrollY > 0 ? read.getBoundingClientRect().top : null;
    change();
    const now = top === null ? null : document.getElementById(read.id);
    if (now) scrollBy(0, now.getBoundingClientRect().top - top);
  }

  // Makes of the shown node, which was `old` when the server wrote it, what is now `fresh`. What the server did not
  // change stays as it is, with what the reader and the report's script did to it.
  function update(shown, old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (!alike(shown, old, fresh)) {
      replace(shown, fresh);
      return;
    }
    if (shown.nodeType !== Node.ELEMENT_NODE) {
      shown.data = fresh.data;
      return;
    }
    for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
    for (const {name, value} of fresh.attributes) if (old.getAttribute(name) !== value) shown.setAttribute(name, value);
    const parts = [...shown.childNodes], earlier = [...old.childNodes], now = [...fresh.childNodes];
    const pairs = aligned(earlier, now);
    if (!pairs) {
      replace(shown, fresh);
      return;
    }
    const stays = new Set(pairs.map(([i]) => i));
    parts.forEach((part, i) => stays.has(i) || part.remove());
    let from = 0;
    for (const [i, j] of [...pairs, [-1, now.length]]) {
      for (const each of now.slice(from, j)) shown.insertBefore(document.importNode(each, true), parts[i] ?? null);
      from = j + 1;
    }
    for (const [i, j] of pairs) update(parts[i], earlier[i], now[j]);
  }

  // Whether the shown node has the parts that it had when the server wrote it. The rows of a table may stand in another
  // order.
  function alike(shown, old, fresh) {
    if (shown.nodeName !== old.nodeName || shown.nodeName !== fresh.nodeName || shown.nodeName === "TBODY") return false;
    const [a, b] = [shown.childNodes, old.childNodes];
    return a.length === b.length && [...a].every((part, i) => part.nodeName === b[i].nodeName);
  }

  // Pairs old parts with fresh ones of the same kind, as many as go in their order; null if there are too many.
  function aligned(old, fresh) {
    if (old.length * fresh.length > MOST_PAIRS) return null;
    const kind = (part) => [part.nodeName, part.id, part.getAttribute?.("aria-label") ?? part.getAttribute?.("class")].join("\0");
    const [a, b] = [old.map(kind), fresh.map(kind)];
    const longest = Array.from({length: a.length + 1}, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
      }
    }
    const pairs = [];
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      if (a[i] === b[j]) pairs.push([i++, j++]);
      else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
      else j++;
    }
    return pairs;
  }

  // Puts a new part in the place of an old one: what was open, sorted, scrolled or focused is so again.
  function replace(shown, fresh) {
    const made = document.importNode(fresh, true);
    if (shown.nodeType !== Node.ELEMENT_NODE || made.nodeType !== Node.ELEMENT_NODE) {
      shown.replaceWith(made);
      return;
    }
    const open = [...shown.querySelectorAll("details")].filter((each) => each.open).map(place);
    const moved = [...shown.querySelectorAll(".wide")].filter((each) => each.scrollLeft || each.scrollTop)
      .map((each) => [place(each), each.scrollLeft, each.scrollTop]);
    const sorted = [...shown.querySelectorAll("th[aria-sort]")]
      .map((each) => [place(each.closest("table")), each.textContent, each.ariaSort]);
    const focused = shown.contains(document.activeElement) ? place(document.activeElement) : null;
    shown.replaceWith(made);
    for (const each of open) {
      const found = at(each);
      if (found) found.open = true;
    }
    for (const [each, left, top] of moved) at(each)?.scrollTo(left, top);
    for (const [table, text, way] of sorted) {
      const heading = [...at(table)?.tHead.rows[0].cells ?? []].find((each) => each.textContent === text);
      if (heading) heading.ariaSort = way;
    }
    if (focused) at(focused)?.focus({preventScroll: true});
  }

  // Where a part stands: the nearest part above it that has an id, its row's heading, and how many like it come before.
  function place(part) {
    const owner = part.id ? part : part.parentElement.closest("[id]");
    const row = part.closest("tr"), heading = row && owner.contains(row) && owner !== part ? label(row) : null;
    return {id: owner.id, name: part.nodeName, heading, number: part.id ? -1 : like(owner, part.nodeName, heading).indexOf(part)};
  }

  function at({id, name, heading, number}) {
    const owner = document.getElementById(id);
    return number < 0 || !owner ? owner : like(owner, name, heading)[number];
  }

  const label = (row) => row.cells[0]?.textContent;
  function like(owner, name, heading) {
    const found = [...owner.querySelectorAll(name)];
    return heading === null ? found : found.filter((each) => label(each.closest("tr") ?? {cells: []}) === heading);
  }

  // Says how long ago a time was; the time itself stays as the title. Below a minute, seconds count.
  function ages() {
    const words = new Intl.RelativeTimeFormat("en", {numeric: "auto"});
    for (const each of document.querySelectorAll("#live time, #sweeps time")) {
      const seconds = Math.max(0, (Date.now() - new Date(each.dateTime)) / 1000);
      const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, size]) => seconds >= size) ?? ["second", 1];
      each.title = each.dateTime;
      each.textContent = seconds < 60 ? `${Math.floor(seconds)} s ago` : words.format(-Math.floor(seconds / size), unit);
    }
  }

  // The index: rows without the text that is looked for are hidden, and two ticked rows lead to their comparison.
  const ticked = new Set();
  function choose() {
    const wanted = document.getElementById("search")?.value.toLowerCase() ?? "";
    for (const row of document.querySelectorAll("#sweeps tbody tr")) {
      const box = row.querySelector("input"), text = [...row.cells].map((cell) => `${cell.textContent} ${cell.title}`);
      row.hidden = !text.join(" ").toLowerCase().includes(wanted);
      box.checked = ticked.has(box.value);
      box.disabled = ticked.size === 2 && !box.checked;
    }
    const [a, b] = ticked, place = document.getElementById("compare");
    if (!place) return;
    const link = document.createElement("a");
    link.href = `/-/compare/${a}/${b}`;
    link.textContent = `Compare ${a} and ${b}`;
    place.replaceChildren(b ? link : "Tick two sweeps to compare them.");
  }
  document.addEventListener("input", ({target}) => {
    if (target.type === "checkbox") target.checked ? ticked.add(target.value) : ticked.delete(target.value);
    choose();
  });
  document.addEventListener("seedsweep:updated", choose);

  document.addEventListener("visibilitychange", look);
  setInterval(ages, SECOND);
  ages();
  look();
})();
