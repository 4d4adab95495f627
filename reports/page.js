"use strict";
(() => {
  const config = {
    background: "transparent",
    font: "system-ui, sans-serif",
    padding: 4,
    view: { stroke: null },
    axis: {
      labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)", domainColor: "var(--line)",
      tickColor: "var(--line)", labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", titlePadding: 6,
    },
    axisY: { labelColor: "var(--ink)" },
    text: { color: "var(--ink)", fontSize: 11 },
    rule: { color: "var(--ink)" },
  };

  const read = (element) => JSON.parse(element.textContent);

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
    for (const row of data.rows) {
      const tr = body.insertRow();
      row.forEach((value, i) => {
        const td = tr.insertCell();
        td.textContent = cell(value);
        if (numeric[i]) td.className = "number";
      });
    }
    details.querySelector(".scroll").replaceChildren(table);
  };

  const draw = async (figure, values) => {
    const target = figure.querySelector(".chart");
    const spec = { ...read(figure.querySelector("script.spec")), data: { name: "rows", values }, config };
    // The interpreter (ast) keeps Vega from compiling text to code, which the page's policy forbids.
    await vegaEmbed(target, spec, {
      ast: true, renderer: "svg", actions: false, defaultStyle: false, mode: "vega-lite", logLevel: 1,
      tooltip: { disableDefaultStyle: true },
    });
    target.dataset.drawn = "true";
  };

  const blocks = [...document.querySelectorAll("article")].filter((a) => a.querySelector("script.data"));
  const drawing = blocks.map(async (block) => {
    const data = read(block.querySelector("script.data"));
    const rows = block.querySelector("details.rows");
    rows.addEventListener("toggle", () => fillTable(rows, data), { once: true });
    const values = objects(data);
    for (const figure of block.querySelectorAll("figure")) await draw(figure, values);
  });
  Promise.all(drawing).then(() => { document.documentElement.dataset.drawn = "true"; });
})();
