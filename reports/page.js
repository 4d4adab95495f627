"use strict";
(() => {
  const read = (element) => JSON.parse(element.textContent);
  // Pages without runs lack both elements.
  const runs = read(document.getElementById("runs") ?? { textContent: "[]" });
  const config = read(document.getElementById("config") ?? { textContent: "{}" });

  // --- picking runs: charts and table rows of all other runs fade ---

  const views = new Set();
  const picked = new Set();
  const hint = document.getElementById("picked");
  const hintWords = hint?.textContent;

  const numbers = (element) => element.dataset.runs.split(" ").filter(Boolean).map(Number);

  const fade = (root) => {
    for (const element of root.querySelectorAll("[data-runs]:not(button)")) {
      element.classList.toggle("faded", picked.size > 0 && !numbers(element).some((i) => picked.has(i)));
    }
  };

  const names = () => [...picked].sort((a, b) => a - b).map((i) => runs[i]);

  const show = () => {
    for (const button of document.querySelectorAll("button.pick")) {
      button.setAttribute("aria-pressed", String(numbers(button).some((i) => picked.has(i))));
    }
    fade(document);
    for (const view of views) view.signal("picked", names()).runAsync();
    hint.textContent = picked.size ? `Highlighted: ${names().join(", ")}. Press Escape to clear.` : hintWords;
  };

  const toggle = (number) => {
    if (!picked.delete(number)) picked.add(number);
    show();
  };

  for (const button of document.querySelectorAll("button.pick")) {
    button.addEventListener("click", () => numbers(button).forEach(toggle));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !picked.size) return;
    picked.clear();
    show();
  });

  // --- data tables ---

  const objects = (data) => data.rows.map((row) => Object.fromEntries(data.columns.map((c, i) => [c, row[i]])));

  const cell = (value) => {
    if (value === null) return "–";
    return typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(5) : String(value);
  };

  const fillTable = (details, data) => {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    const numeric = data.columns.map((_, i) => data.rows.some((row) => typeof row[i] === "number"));
    data.heads.forEach(([label, unit, meaning], i) => {
      const th = document.createElement("th");
      th.textContent = unit ? `${label} (${unit})` : label;
      th.title = meaning;
      if (numeric[i]) th.className = "number";
      head.append(th);
    });
    const body = table.createTBody();
    const named = data.columns.indexOf("run");
    for (const row of data.rows) {
      const tr = body.insertRow();
      tr.dataset.runs = String(runs.indexOf(row[named]));
      row.forEach((value, i) => {
        const td = tr.insertCell();
        td.textContent = cell(value);
        if (numeric[i]) td.className = "number";
      });
    }
    fade(table);
    details.querySelector(".scroll").replaceChildren(table);
  };

  // --- sorting by a click on a heading: by number if cells have one, otherwise by text ---

  const keyOf = (cell) => {
    const number = Number(cell?.dataset.value ?? cell?.textContent.replace(/[,\u2009]/g, ""));
    return cell?.textContent.trim() && Number.isFinite(number) ? number : null;
  };

  const sort = (heading) => {
    const table = heading.closest("table");
    const headings = [...heading.parentElement.children];
    const column = headings.indexOf(heading);
    const falling = heading.getAttribute("aria-sort") === "descending";
    const sign = falling ? 1 : -1;
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, cell: row.cells[column] }));
    for (const one of rows) one.key = keyOf(one.cell);
    rows.sort((a, b) => {
      // Cells without a number stay at the end.
      if (a.key === null || b.key === null) {
        if (a.key !== b.key) return a.key === null ? 1 : -1;
        return -sign * a.cell.textContent.localeCompare(b.cell.textContent);
      }
      return sign * (a.key - b.key);
    });
    table.classList.add("sorted");
    table.tBodies[0].append(...rows.map(({ row }) => row));
  };

  document.addEventListener("click", (event) => {
    const heading = event.target.closest?.("thead th");
    if (heading) sort(heading);
  });
  document.addEventListener("keydown", (event) => {
    const heading = event.target.closest?.("thead th");
    if (!heading || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    sort(heading);
  });

  // --- charts ---

  // Compiled Vega specifications by Vega-Lite text: small multiples differ only in their rows.
  const compiled = new Map();

  // The predicate of a filter by values of a field; null for other transformations.
  const passes = (step) => {
    const { field, equal, oneOf } = step?.filter ?? {};
    if (oneOf) return (row) => oneOf.includes(row[field]);
    return equal === undefined ? null : (row) => row[field] === equal;
  };

  const draw = async (figure, values) => {
    const target = figure.querySelector(".chart");
    const spec = read(figure.querySelector("script.spec"));
    // A chart may contain its own rows.
    const data = spec.data;
    // Apply leading filters here, so Vega does not have to ingest these rows.
    const transform = [...(spec.transform ?? [])];
    let rows = values;
    while (passes(transform[0])) rows = rows.filter(passes(transform.shift()));
    // Copy the rows, because Vega modifies them.
    rows = rows.map((row) => ({ ...row }));
    const text = JSON.stringify({ ...spec, transform });
    const known = compiled.get(text);
    const given = known
      ? { ...known, data: known.data.map((data) => (data.name === "rows" ? { ...data, values: rows } : data)) }
      : { ...spec, transform, data: data ?? { name: "rows", values: rows }, config };
    // With `ast`, Vega does not compile text to code, which the page's policy forbids.
    const { view, vgSpec } = await vegaEmbed(target, given, {
      ast: true, expr: expressionClosures, renderer: "svg", actions: false, defaultStyle: false,
      mode: known ? "vega" : "vega-lite", logLevel: 1, tooltip: { disableDefaultStyle: true },
    });
    compiled.set(text, vgSpec);
    if (spec.params) {
      views.add(view);
      if (picked.size) view.signal("picked", names()).runAsync();
    }
    view.addEventListener("click", (_, item) => {
      const number = runs.indexOf(item?.datum?.run);
      if (number >= 0) toggle(number);
    });
    target.dataset.drawn = "true";
  };

  const waiting = new Map();
  const blocks = [...document.querySelectorAll("article")].filter((a) => a.querySelector("script.spec"));
  for (const block of blocks) {
    const given = block.querySelector("script.data");
    const data = given ? read(given) : { columns: [], rows: [] };
    const rows = block.querySelector("details.rows");
    rows?.addEventListener("toggle", () => fillTable(rows, data), { once: true });
    let values;
    for (const figure of block.querySelectorAll("figure")) {
      const target = figure.querySelector(".chart");
      // Reserve the height, so drawing a chart does not move the page.
      target.style.minHeight = `${Number(target.dataset.height ?? 0) + 30}px`;
      waiting.set(figure, () => draw(figure, (values ??= objects(data))));
    }
  }

  const start = (figure) => {
    const begin = waiting.get(figure);
    if (!begin) return Promise.resolve();
    waiting.delete(figure);
    return begin().then(() => {
      if (!waiting.size) document.documentElement.dataset.drawn = "true";
    });
  };

  // Charts near the viewport are drawn first and the others when the browser is idle, so the page is readable
  // immediately. Printing draws all charts.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      start(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const figure of waiting.keys()) near.observe(figure);
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 20));
  const rest = () => {
    const [next] = waiting.keys();
    if (next) start(next).then(() => idle(rest));
  };
  idle(rest);
  window.addEventListener("beforeprint", () => { for (const figure of [...waiting.keys()]) start(figure); });
  if (!waiting.size) document.documentElement.dataset.drawn = "true";
})();
