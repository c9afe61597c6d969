"use strict";
// Keeps a page fresh: hears from the server that there is another version, fetches it, and changes what differs.
// Runs before the report's own script, so that it sees the page as the server wrote it. That script hears the event
// `seedsweep:updated` on the document when parts of the page were replaced.
(() => {
  const SOON = 3000, LATER = 10000;
  let before = document.getElementById("report").cloneNode(true);
  let source = null, fetching = false, again = false;

  const bar = () => document.getElementById("live");
  const tell = (text) => {
    const news = document.getElementById("live-news");
    if (news.textContent !== text) news.textContent = text;
  };

  function connect() {
    if (source || document.hidden || "over" in bar().dataset) return;
    source = new EventSource(bar().dataset.events);
    source.onmessage = (message) => hear(JSON.parse(message.data));
    source.onopen = () => tell("");
    source.onerror = () => {
      tell("The server does not answer: this is what was last seen.");
      // After an answer that is no stream of events, a browser does not ask again by itself.
      if (source && source.readyState === EventSource.CLOSED) disconnect(LATER);
    };
  }

  function disconnect(retry) {
    if (source) source.close();
    source = null;
    if (retry) setTimeout(connect, retry);
  }

  function hear(news) {
    tell(news.problem ? `${news.problem}. This is what was last seen.` : "");
    if (news.version && news.version !== bar().dataset.version) refresh();
  }

  async function refresh() {
    again = fetching;
    if (fetching) return;
    fetching = true;
    try {
      const answer = await fetch(location.pathname, {cache: "no-store"});
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      setTimeout(refresh, SOON);
    } finally {
      fetching = false;
    }
    if (again) refresh();
  }

  function show(fresh) {
    const code = (page) => [...page.querySelectorAll("script, style")].map((each) => each.textContent).join("\0");
    if (code(fresh) !== code(document)) {
      location.reload();  // another version of the server
      return;
    }
    const main = fresh.getElementById("report");
    document.title = fresh.title;
    stay(() => update(document.getElementById("report"), before, main));
    before = main;
    bar().replaceWith(document.importNode(fresh.getElementById("live"), true));
    document.dispatchEvent(new CustomEvent("seedsweep:updated"));
    ages();
    if ("over" in bar().dataset) {
      disconnect();
      tell("The sweep has ended.");
    }
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
    parts.forEach((part, i) => update(part, earlier[i], now[i]));
  }

  // The rows of a table may stand in another order than the server's.
  function alike(shown, old, fresh) {
    if (shown.nodeName !== old.nodeName || shown.nodeName !== fresh.nodeName || shown.nodeName === "TBODY") return false;
    const [a, b, c] = [shown.childNodes, old.childNodes, fresh.childNodes];
    if (a.length !== b.length || a.length !== c.length) return false;
    return [...a].every((part, i) => part.nodeName === b[i].nodeName && part.nodeName === c[i].nodeName
      && part.id === b[i].id && part.id === c[i].id);
  }

  // Puts a new part in the place of an old one: what was open stays open, what was focused stays focused.
  function replace(shown, fresh) {
    const made = document.importNode(fresh, true);
    if (shown.nodeType !== Node.ELEMENT_NODE || made.nodeType !== Node.ELEMENT_NODE) {
      shown.replaceWith(made);
      return;
    }
    const open = [...shown.querySelectorAll("details")].filter((each) => each.open).map(place);
    const moved = [...shown.querySelectorAll(".wide")].filter((each) => each.scrollLeft || each.scrollTop)
      .map((each) => [place(each), each.scrollLeft, each.scrollTop]);
    const focused = shown.contains(document.activeElement) ? place(document.activeElement) : null;
    shown.replaceWith(made);
    for (const each of open) {
      const found = at(each);
      if (found) found.open = true;
    }
    for (const [each, left, top] of moved) at(each)?.scrollTo(left, top);
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

  // Says how long ago a time was; the time itself stays as the title.
  function ages() {
    const words = new Intl.RelativeTimeFormat("en", {numeric: "auto"});
    for (const each of document.querySelectorAll("#live time, #sweeps time")) {
      const seconds = Math.max(0, (Date.now() - new Date(each.dateTime)) / 1000);
      const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, size]) => seconds >= size) ?? ["second", 1];
      each.title = each.dateTime;
      each.textContent = seconds < 60 ? "less than a minute ago" : words.format(-Math.floor(seconds / size), unit);
    }
  }

  document.addEventListener("visibilitychange", () => document.hidden ? disconnect() : connect());
  setInterval(ages, LATER);
  ages();
  connect();
})();
