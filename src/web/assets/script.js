"use strict";
// What pages can do beyond links and forms: values under the mouse, zoom by dragging, and a page that
// keeps itself up to date. Everything else works without this.
(() => {
  const at = (url) => new URL(url, location.href);

  // The time zone of this browser, which the server cannot know.
  const east = -new Date().getTimezoneOffset();
  const zoned = (url) => {
    const to = at(url);
    if (east) to.searchParams.set("tz", east);
    else to.searchParams.delete("tz");
    return to;
  };

  // Replaces what is shown by the page at `url`, unless somebody writes in a form meanwhile.
  let loading = null;
  async function show(url) {
    loading?.abort();
    const mine = (loading = new AbortController());
    try {
      const answer = await fetch(url, { signal: mine.signal });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const typing = document.activeElement?.matches?.("main input:not([type=checkbox]), main select");
      const fresh = page.querySelector("main");
      if (mine.signal.aborted || typing || !fresh || drag) return;
      const checked = new Set([...document.querySelectorAll("main input:checked")].map((box) => box.value));
      const open = [...document.querySelectorAll("main details")].map((it) => it.open);
      const focused = document.activeElement?.getAttribute?.("href");
      document.querySelector("main").replaceWith(fresh);
      for (const box of fresh.querySelectorAll("input[type=checkbox]")) box.checked = checked.has(box.value);
      fresh.querySelectorAll("details").forEach((it, at) => (it.open = open[at] ?? it.open));
      if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      for (const part of ["header", "footer"]) {
        const old = document.querySelector(part);
        const other = page.querySelector(part);
        const used = old?.contains(document.activeElement) || old?.querySelector("details[open]");
        if (old && other && !used) old.replaceWith(other);
      }
      document.body.dataset.tz = page.body.dataset.tz;
      cache.clear();
      hideTip();
    } catch (error) {
      if (error.name !== "AbortError") console.info("not refreshed:", error.message);
    }
  }

  // Links of a first page know no time zone yet.
  if (String(east) !== (document.body.dataset.tz || "0")) {
    const url = zoned(location.href);
    history.replaceState(null, "", url);
    show(url);
  }

  const every = Number(document.body.dataset.every);
  if (every) {
    let last = Date.now();
    const due = () => {
      if (document.hidden || Date.now() - last < every * 1000) return;
      last = Date.now();
      show(location.href);
    };
    setInterval(due, 1000);
    document.addEventListener("visibilitychange", due);
  }

  // Values under the mouse: a graph's numbers are fetched when it is first pointed at.
  const cache = new Map();
  function numbers(figure) {
    const link = figure.querySelector("a[data-json]");
    if (!link) return null;
    const url = link.href;
    if (!cache.has(url)) {
      const entry = { data: null };
      cache.set(url, entry);
      fetch(url)
        .then((answer) => (answer.ok ? answer.json() : null))
        .then((data) => {
          entry.data = data;
          if (pointed) tell(pointed);
        })
        .catch(() => {});
    }
    return cache.get(url).data;
  }

  function shown(value, data) {
    if (value === null || value === undefined) return "–";
    let scaled = value;
    let prefix = "";
    for (const next of "KMGTPE") {
      if (Math.abs(scaled) < data.base * 0.9995) break;
      scaled /= data.base;
      prefix = next;
    }
    const digits = Math.abs(scaled) >= 99.95 || Number.isInteger(scaled) ? 0 : Math.abs(scaled) >= 9.995 ? 1 : Math.abs(scaled) >= 0.0995 ? 2 : Math.abs(scaled) >= 0.00995 ? 3 : 4;
    return `${scaled.toFixed(digits)} ${prefix}${data.unit}`;
  }

  const NS = "http://www.w3.org/2000/svg";
  let tip = null;
  let hair = null;
  let pointed = null;
  let drag = null;

  function hideTip() {
    tip?.remove();
    hair?.remove();
    tip = hair = pointed = null;
  }

  // Where in the graph, as a part of its width and as a time.
  function place(svg, clientX) {
    const box = svg.getBoundingClientRect();
    const [left, width] = svg.dataset.x.split(" ").map(Number);
    const [from, until] = svg.dataset.t.split(" ").map(Number);
    const x = ((clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const part = Math.min(1, Math.max(0, (x - left) / width));
    return { x: left + part * width, time: from + part * (until - from) };
  }

  function tell({ svg, clientX }) {
    const figure = svg.closest("figure");
    const here = place(svg, clientX);
    const height = svg.viewBox.baseVal.height;
    if (!hair || hair.ownerSVGElement !== svg) {
      hair?.remove();
      hair = document.createElementNS(NS, "path");
      hair.setAttribute("class", "hair");
      svg.append(hair);
    }
    hair.setAttribute("d", `M${here.x.toFixed()} 0V${height - 40}`);
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "tip";
      tip.setAttribute("role", "status");
    }
    if (tip.parentNode !== figure) figure.append(tip);
    const data = numbers(figure);
    const lines = [new Date(here.time * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })];
    if (data) {
      const column = Math.floor((here.time - data.start) / data.step);
      const known = data.curves.map((curve) => ({ curve, value: curve.values[column] }));
      for (const { curve, value } of known.slice(0, 24)) lines.push({ curve, text: `${curve.label}: ${shown(value, data)}` });
      if (known.length > 24) lines.push(`and ${known.length - 24} more`);
    }
    tip.replaceChildren(
      ...lines.map((line) => {
        const row = document.createElement("div");
        if (line.curve) {
          const key = document.createElement("i");
          key.className = "k c" + (line.curve.colour % 8);
          row.append(key);
        }
        row.append(line.text ?? line);
        return row;
      }),
    );
    const box = figure.getBoundingClientRect();
    const x = clientX - box.left;
    const right = x + 16 + tip.offsetWidth > box.width;
    // Set through the object model, which the policy for styles allows.
    tip.style.left = Math.max(0, right ? x - tip.offsetWidth - 12 : x + 12) + "px";
    tip.style.top = svg.getBoundingClientRect().top - box.top + 6 + "px";
  }

  const graph = (event) => event.target.closest?.("svg.g");

  document.addEventListener("pointermove", (event) => {
    if (drag) {
      const here = place(drag.svg, event.clientX);
      const [left, right] = [drag.from.x, here.x].sort((a, b) => a - b);
      drag.band.setAttribute("x", left);
      drag.band.setAttribute("width", right - left);
      drag.to = here;
      pointed = { svg: drag.svg, clientX: event.clientX };
      tell(pointed);
      return;
    }
    const svg = graph(event);
    if (!svg) return hideTip();
    pointed = { svg, clientX: event.clientX };
    tell(pointed);
  });

  document.addEventListener("pointerdown", (event) => {
    const svg = graph(event);
    if (!svg || event.button !== 0 || event.pointerType === "touch") return;
    event.preventDefault();
    const from = place(svg, event.clientX);
    const band = document.createElementNS(NS, "rect");
    band.setAttribute("class", "zoom");
    band.setAttribute("height", svg.viewBox.baseVal.height - 44);
    svg.append(band);
    drag = { svg, from, to: from, band };
  });

  const drop = () => {
    const done = drag;
    drag = null;
    done?.band.remove();
    return done;
  };

  document.addEventListener("pointerup", () => {
    const done = drop();
    if (!done || Math.abs(done.to.x - done.from.x) < 12) return;
    const [from, until] = [done.from.time, done.to.time].sort((a, b) => a - b).map(Math.round);
    const url = at(location.href);
    for (const name of ["r", "cs", "ce"]) url.searchParams.delete(name);
    url.searchParams.set("from", from);
    url.searchParams.set("until", until);
    location.assign(url);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      drop();
      hideTip();
    }
    if (event.key === "/" && !event.target.closest("input, select, textarea")) {
      document.querySelector("header input[type=search]")?.focus();
      event.preventDefault();
    }
  });

  // A choice in a form with a single purpose needs no button.
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
  });
})();
