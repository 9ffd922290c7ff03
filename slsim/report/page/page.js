/* The page's own script: tables that can be sorted, a slider, and lines that can be switched on and off.
   Numbers come from the page's JSON, charts are Plotly's. */
"use strict";

const study = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const shown = study.series.map((one) => one.shown);
const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
let place = study.start;

/* Tables */

function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0];
  const column = [...header.parentNode.children].indexOf(header);
  const isNumber = header.classList.contains("number");
  const down = header.getAttribute("aria-sort") === "ascending";
  const key = (row) => row.children[column].dataset.key;
  const compare = (one, other) => isNumber ? Number(one) - Number(other) || 0 : one.localeCompare(other, "en", { numeric: true });
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return down ? compare(b, a) : compare(a, b);
  });
  for (const each of header.parentNode.children) each.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
}

for (const button of document.querySelectorAll(".sortable thead button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

/* Charts */

const colour = (one) => dark.matches ? one.dark : one.light;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faded = (hex) => hex + "2e";

/* A logarithmic axis for values, with whole numbers at 1, 2 and 5 of each decade, or at 1 where there are many. */
function logarithmic(values) {
  const known = values.filter((value) => value > 0), ends = [Math.min(...known), Math.max(...known)];
  if (!known.length) return {};
  const decades = [];
  for (let power = Math.floor(Math.log10(ends[0])); power <= Math.log10(ends[1]); power++) decades.push(power);
  const steps = decades.length > 4 ? [1] : [1, 2, 5];
  const ticks = decades.flatMap((power) => steps.map((step) => Number(`${step}e${power}`)));
  if (ticks.filter((tick) => tick >= ends[0] && tick <= ends[1]).length < 2) return { type: "log" };
  return { type: "log", tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en")) };
}

/* What a line looks like, or a piece of a bar. */
function swatch(drawn, dash) {
  const made = document.createElement("span");
  made.className = dash ? "swatch" : "swatch full";
  made.style.borderTopColor = drawn;
  made.style.borderTopStyle = !dash || dash === "solid" ? "solid" : parseFloat(dash) < 4 ? "dotted" : "dashed";
  return made;
}

/* Below a chart, what its colours are. */
function legend(id, items) {
  by(id).replaceChildren(...items.map(([text, drawn, dash]) => element("li", "", swatch(drawn, dash), element("span", text))));
}

function layout(own) {
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true };
  return {
    font: { family: "system-ui, sans-serif", size: 13, color: css("--text") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 8, t: 26, b: 44 }, showlegend: false, hovermode: "closest",
    ...own, xaxis: { ...axis, ...own.xaxis }, yaxis: { ...axis, ...own.yaxis },
  };
}

/* A line, and before it its band, as far as both ends are there. */
function line(one, x, y, low, high, hover, more = {}) {
  const traces = [], pen = { color: colour(one), dash: one.dash, width: 2 };
  const there = low ? x.map((_, at) => at).filter((at) => low[at] !== null && high[at] !== null) : [];
  if (there.length > 1) {
    const back = [...there].reverse();
    traces.push({
      x: [...there, ...back].map((at) => x[at]), y: [...there.map((at) => high[at]), ...back.map((at) => low[at])],
      type: "scatter", mode: "none", fill: "toself", fillcolor: faded(colour(one)), hoverinfo: "skip",
    });
  }
  traces.push({ x, y, name: one.label, type: "scatter", mode: x.length > 1 ? "lines" : "markers", line: pen, marker: { color: pen.color }, hovertemplate: hover, ...more });
  return traces;
}

const visible = () => study.series.filter((_, at) => shown[at]);
const over = () => document.querySelector("input[name=over]:checked").value;
const along = { time: "simulated time", uplink: "bytes up", both: "bytes up and down" };
const at = (values, key) => key === "time" ? values.time[place] : values[key];

function drawCurves() {
  const key = over(), unit = study.units[key];
  const traces = visible().flatMap((one) => {
    const found = line(one, at(one, key), one.accuracy, one.low, one.high, `%{y:.1f} %<br>%{x:.4~g} ${unit}`);
    if (one.mark && at(one.mark, key) !== null) {
      found.push({ x: [at(one.mark, key)], y: [one.mark.accuracy], name: one.label, type: "scatter", mode: "markers", marker: { color: colour(one), size: 9 }, hovertemplate: `target reached<br>%{x:.4~g} ${unit}` });
    }
    return found;
  });
  const own = {
    xaxis: { title: { text: `${along[key]} (${unit})` }, rangemode: "tozero", ...(by("log").checked ? logarithmic(visible().flatMap((one) => at(one, key))) : {}) },
    yaxis: { title: { text: "test accuracy (%)" } }, uirevision: key + by("log").checked,
  };
  if (study.target !== null) {
    own.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: study.target, y1: study.target, line: { color: css("--faint"), width: 1, dash: "dash" } }];
    own.annotations = [{ xref: "paper", x: 0, xanchor: "left", y: study.target, yanchor: "bottom", text: "target", showarrow: false, font: { color: css("--faint") } }];
  }
  Plotly.react("curve-plot", traces, layout(own), settings);
}

function drawAxis() {
  if (!by("axis-plot")) return;
  const unit = study.units.cost, positive = study.numbers[0] > 0;
  const traces = visible().flatMap((one) => [
    ...line(one, study.numbers, one.to_target, one.least, one.most, `%{x:.4~g}: %{y:.4~g} ${unit}`),
    { x: one.crossings.map((each) => each[0]), y: one.crossings.map((each) => each[1]), name: one.label, type: "scatter", mode: "markers", marker: { symbol: "x", size: 11, color: colour(one) }, hovertemplate: "pays up to or from %{x:.4~g}" },
  ]);
  const here = study.numbers[place];
  legend("axis-legend", visible().map((one) => [one.name, colour(one), one.dash]));
  Plotly.react("axis-plot", traces, layout({
    xaxis: { title: { text: study.axis }, ...(positive ? logarithmic(study.numbers) : {}) },
    yaxis: { title: { text: `time to target (${unit})` }, ...logarithmic(visible().flatMap((one) => one.to_target)) },
    shapes: [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: here, x1: here, line: { color: css("--faint"), width: 2 } }],
  }), settings);
}

function drawFrontier() {
  if (!by("frontier-plot")) return;
  const unit = study.units.both;
  const traces = visible().filter((one) => one.frontier).flatMap((one) =>
    line(one, one.frontier.bytes, one.frontier.accuracy, one.frontier.low, one.frontier.high, `%{y:.1f} % with %{x:.4~g} ${unit}`, { mode: "lines+markers" }));
  const budgets = visible().flatMap((one) => one.frontier ? one.frontier.bytes : []);
  legend("frontier-legend", visible().map((one) => [one.name, colour(one), one.dash]));
  Plotly.react("frontier-plot", traces, layout({
    xaxis: { title: { text: `bytes sent, up and down (${unit})` }, ...logarithmic(budgets) }, yaxis: { title: { text: "test accuracy (%)" } },
  }), settings);
}

function drawRounds() {
  if (!by("rounds-plot")) return;
  by("rounds-note").textContent = study.rounds.note;
  legend("rounds-legend", study.rounds.data.map((one) => [one.phase, one.marker.color]));
  const own = { ...study.rounds.layout, margin: { l: 10, r: 8, t: 8, b: 44 } };
  Plotly.react("rounds-plot", study.rounds.data, layout(own), { ...settings, displayModeBar: false });
}

/* The table beside the slider */

function element(name, text, ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

const rows = study.series.map((one, number) => {
  const box = document.createElement("input"), drawn = swatch(colour(one), one.dash);
  box.type = "checkbox";
  box.addEventListener("change", () => { shown[number] = box.checked; draw(); });
  const name = element("th", "", element("label", "", box, drawn, element("span", one.name)));
  name.scope = "row";
  const cells = [element("td", ""), element("td", "")];
  cells.forEach((cell) => { cell.className = "number"; });
  return { row: element("tr", "", name, ...cells), box, drawn, cells };
});

function fill(cell, text, below, bold) {
  cell.replaceChildren(element(bold ? "strong" : "span", text), ...(below ? [element("small", below)] : []));
}

function drawTimes() {
  rows.forEach(({ row, box, drawn, cells }, number) => {
    const one = study.series[number], [time, range, ratio, interval, bold] = one.cells[place];
    box.checked = shown[number];
    row.className = shown[number] ? "" : "off";
    drawn.style.borderTopColor = colour(one);
    fill(cells[0], time, range, bold);
    fill(cells[1], ratio, interval, false);
  });
  const wanted = study.order[place].map((number) => rows[number].row), body = by("times").tBodies[0];
  if (wanted.some((row, number) => body.rows[number] !== row)) {
    const focused = document.activeElement;
    body.append(...wanted);
    if (body.contains(focused)) focused.focus();
  }
  by("winners").replaceChildren(...study.winners[place].map((text) => element("p", text)));
  by("at").textContent = study.values[place] ? ` at ${study.values[place]}` : "";
}

/* All of it */

function draw() {
  drawTimes();
  drawCurves();
  drawAxis();
  drawFrontier();
}

function move(to) {
  place = to;
  by("slider").value = to;
  by("slider").setAttribute("aria-valuetext", study.values[to]);
  by("value").textContent = study.values[to];
  drawTimes();
  drawCurves();
  drawAxis();
}

if (by("slider")) {
  by("slider").addEventListener("input", (event) => move(Number(event.target.value)));
  by("reset").addEventListener("click", () => move(study.start));
}
for (const input of document.querySelectorAll("input[name=over], #log")) input.addEventListener("change", drawCurves);
for (const button of document.querySelectorAll("[data-switch]")) {
  button.addEventListener("click", () => { shown.fill(button.dataset.switch === "all"); draw(); });
}
if (!study.series.some((one) => one.both.length)) document.querySelector("input[value=both]").closest("label").hidden = true;
by("time-unit").textContent = `, ${study.units.cost}`;
by("left-out").textContent = study.left_out ? `${study.left_out} more settings are in the summary.` : "";
dark.addEventListener("change", () => { draw(); drawRounds(); });
if (by("slider")) move(place);
draw();
drawRounds();
document.documentElement.dataset.ready = "yes";
