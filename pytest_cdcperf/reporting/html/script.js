// Makes the charts of the page answer to the mouse, its tables sort, and tabs of the tables that stand one below the other.
"use strict";

const root = document.documentElement;
const style = name => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const make = (tag, attributes, text) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
root.classList.add("js");

// Figures as Python writes them: at least so many digits, with commas.
const figure = (value, digits = 4) => {
  if (value == null) return "-";
  const size = value ? Math.floor(Math.log10(Math.abs(value))) : 0;
  if (size < -4 || size > 14) return value.toExponential(digits - 1);
  const most = Math.max(0, digits - 1 - size);
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(most, 20) });
};
const clock = seconds => {
  const whole = Math.floor(seconds + 1e-6), two = n => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const hours = minutes >= 60 ? `${Math.floor(minutes / 60)}:${two(minutes % 60)}` : minutes;
  return `${hours}:${two(whole % 60)}`;
};
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const roundStep = raw => {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map(factor => factor * power).find(step => step >= raw * (1 - 1e-9));
};

const MOST_TICKS = 6;
const rounded = (low, high) => {
  const step = roundStep((high - low) / MOST_TICKS);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
};

// ---- charts: each picture drawn by Python is replaced by one of uPlot, of the same figures.
const LEFT = 64, RIGHT = 48, TOP = 22, BOTTOM = 22, FONT = "px system-ui, sans-serif";
const ready = ctx => {
  ctx.font = 11 * devicePixelRatio + FONT; ctx.lineWidth = 1.3 * devicePixelRatio;
  ctx.textAlign = "left"; ctx.textBaseline = "alphabetic";
};
// Text with a rim in the colour of the page, so that it can be read on lines.
const written = (ctx, text, x, y) => {
  ctx.save();
  ctx.setLineDash([]); ctx.lineJoin = "round"; ctx.lineWidth = 3 * devicePixelRatio; ctx.strokeStyle = style("bg");
  ctx.strokeText(text, x, y); ctx.fillText(text, x, y);
  ctx.restore();
};

const unseen = () => ({ stroke: null, width: 0, points: { show: false } });

class Run {
  constructor(section, data, number) {
    this.time = data.time;
    this.key = `run-${number}`;
    this.plots = [];
    this.shown = { min: 0, max: this.time.end };
    const charts = new Map([...section.querySelectorAll(":scope > .chart")].map((one, at) => [one, data.charts[at]]));
    // A chart is made once it comes into sight: a page of many opens at once.
    const seen = new IntersectionObserver(found => found.filter(one => one.isIntersecting).forEach(({ target }) => {
      seen.unobserve(target);
      this.plots.push(this.plot(target, charts.get(target)));
    }), { rootMargin: "500px" });
    for (const chart of charts.keys()) seen.observe(chart);
    this.reset = make("button", { class: "zoom", type: "button", hidden: "" }, "whole run");
    this.reset.onclick = () => this.zoom(0, this.time.end);
    section.querySelector(":scope > .chart")?.previousElementSibling.append(this.reset);
  }

  zoom(min, max) {
    this.shown = { min, max };
    this.reset.hidden = min <= 0 && max >= this.time.end;
    for (const plot of this.plots) plot.setScale("x", this.shown);
  }

  plot(shown, chart) {
    const picture = shown.querySelector("svg"), height = picture.viewBox.baseVal.height;
    const keys = [...shown.querySelectorAll(".legend li")];
    const outputs = chart.lines.map((line, at) => this.legend(keys[at]));
    const xs = this.time.at, heat = chart.heat;
    const series = [{}, ...chart.lines.map(line => ({
      stroke: () => style(line.style) + (line.dashed ? "a6" : ""),
      width: line.style === "p95" ? 2.2 : 1.5,
      dash: /vus|more/.test(line.style) ? line.dashed ? [1.5, 3] : [5, 3] : line.dashed ? [4, 3] : undefined,
      scale: line.right ? "right" : "y",
      points: { show: xs.length < 3 },
    }))];
    const values = [xs, ...chart.lines.map(line => line.values)];
    if (heat) { series.push(unseen()); values.push(xs.map(() => null)); }
    const hasRight = chart.lines.some(line => line.right);
    const bounds = chart.bounds || [];
    const range = (u, low, high) => {
      if (heat || this.reset.hidden || chart.unit === "%") return chart.axis;
      low = Math.min(0, low ?? 0); high = Math.max(high ?? 0, low);
      for (const [value] of bounds) if (value <= 2.5 * high || !high) high = Math.max(high, value);
      return rounded(low, high > low ? high * 1.02 : low + 1);
    };
    const splits = (u, axis, low, high) => {
      if (heat) return heat.map(Math.log2);
      const most = chart.unit === "%" ? 3 : MOST_TICKS;
      const step = roundStep((high - low) / most * 0.999), found = [];
      for (let n = Math.round(low / step); n * step <= high + step * 1e-6; n++) found.push(n * step);
      return found;
    };
    const axis = { stroke: () => style("dim"), font: 11 + FONT, grid: { stroke: () => style("grid"), width: 1 }, ticks: { show: false }, gap: 6 };
    const width = Math.max(280, shown.clientWidth);
    const plot = new uPlot({
      width, height, series,
      legend: { show: false },
      padding: [TOP, hasRight ? 0 : RIGHT, 0, 0],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        sync: { key: this.key, setSeries: false },
        points: { size: 6 },
      },
      scales: {
        x: { time: false, ...this.shown },
        y: { range },
        right: { range: (u, low, high) => rounded(0, high > 0 ? high * 1.02 : 1) },
      },
      axes: [
        {
          ...axis, size: BOTTOM, grid: { show: false },
          splits: (u, at, low, high) => {
            const most = Math.min(11, Math.ceil((u.width - LEFT - RIGHT) / 55));
            const step = TIME_STEPS.find(one => (high - low) / one <= most) || TIME_STEPS.at(-1), found = [];
            for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9; n++) found.push(n * step);
            return found;
          },
          values: (u, found) => found.map(clock),
        },
        { ...axis, size: LEFT, splits, values: (u, found) => found.map(value => heat ? figure(2 ** value, 3) : figure(value)) },
        ...(hasRight ? [{ ...axis, scale: "right", side: 1, size: RIGHT, grid: { show: false }, splits, values: (u, found) => found.map(value => figure(value, 3)) }] : []),
      ],
      hooks: {
        drawClear: [u => this.background(u, chart, picture)],
        draw: [u => this.foreground(u, bounds)],
        setSelect: [u => {
          if (u.select.width < 4) return;
          this.zoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
        setCursor: [u => outputs.forEach((output, at) => {
          const idx = u.cursor.idx;
          if (output) output.textContent = idx == null ? "" : figure(values[at + 1][idx]) + (at ? "" : ` at ${clock(xs[idx])}`);
        })],
      },
    }, values, shown);
    plot.over.addEventListener("dblclick", () => this.zoom(0, this.time.end));
    keys.forEach((key, at) => {
      const button = key.querySelector("button");
      if (button) button.onclick = () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", on);
        plot.setSeries(at + 1, { show: on });
      };
    });
    shown.classList.add("live");
    return plot;
  }

  legend(key) {
    if (!key) return null;
    const button = make("button", { type: "button", "aria-pressed": "true" });
    button.append(...key.childNodes);
    const output = make("output");
    key.append(button, output);
    return output;
  }

  background(u, chart, picture) {
    const { ctx } = u, ratio = devicePixelRatio, { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath(); ctx.rect(left, top - TOP * ratio, width, height + TOP * ratio); ctx.clip();
    ready(ctx);
    const span = (from, to, colour, alpha) => {
      const x = u.valToPos(from, "x", true);
      ctx.globalAlpha = alpha; ctx.fillStyle = colour;
      ctx.fillRect(x, top, Math.max(u.valToPos(to, "x", true) - x, ratio), height);
      ctx.globalAlpha = 1;
    };
    for (const [name, from, to, shaded] of this.time.ramps) {
      if (shaded) span(from, to, style("ramp"), 0.12);
      const x = Math.max(u.valToPos(from, "x", true), left), end = Math.min(u.valToPos(to, "x", true), left + width);
      ctx.fillStyle = style("dim");
      if (end - x > 60 * ratio) ctx.fillText(name, x + 4 * ratio, top - 7 * ratio);
    }
    for (const [from, to] of chart.crossed || []) span(from, to, style("bad"), 0.12);
    this.traced(u, chart.axis, picture);
    ctx.restore();
  }

  // The interval's band and the cells of the heat map are those of the static picture, moved and scaled.
  traced(u, [low, high], picture) {
    const { ctx } = u, box = picture.viewBox.baseVal, x = u.valToPos(0, "x", true), y = u.valToPos(high, "y", true);
    const scaleX = (u.valToPos(this.time.end, "x", true) - x) / (box.width - LEFT - RIGHT);
    const scaleY = (u.valToPos(low, "y", true) - y) / (box.height - TOP - BOTTOM);
    ctx.save();
    ctx.beginPath(); ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height); ctx.clip();
    ctx.transform(scaleX, 0, 0, scaleY, x - LEFT * scaleX, y - TOP * scaleY);
    for (const path of picture.querySelectorAll(".band, .heat")) {
      const traced = new Path2D(path.getAttribute("d")), width = path.getAttribute("stroke-width");
      ctx.globalAlpha = +path.getAttribute("opacity");
      ctx.strokeStyle = style("heat"); ctx.fillStyle = style("p95"); ctx.lineWidth = width;
      if (width) ctx.stroke(traced); else ctx.fill(traced);
    }
    ctx.restore();
  }

  foreground(u, bounds) {
    const { ctx } = u, ratio = devicePixelRatio, { left, top, width, height } = u.bbox, far = [];
    ctx.save();
    ready(ctx);
    let lastY = -1e9, textLeft = 0;
    for (const [value, text] of [...bounds].sort(([a], [b]) => b - a)) {
      const y = u.valToPos(value, "y", true);
      if (y < top - 1 || y > top + height + 1) { if (value > u.scales.y.max) far.push(text); continue; }
      ctx.strokeStyle = ctx.fillStyle = style("bad");
      ctx.setLineDash([6 * ratio, 4 * ratio]);
      ctx.beginPath(); ctx.moveTo(left, y); ctx.lineTo(left + width, y); ctx.stroke();
      ctx.textAlign = "right";
      const textY = y > top + 12 * ratio ? y - 5 * ratio : y + 13 * ratio;
      const right = Math.abs(textY - lastY) < 13 * ratio ? textLeft - 16 * ratio : left + width - 4 * ratio;
      lastY = textY; textLeft = right - ctx.measureText(text).width;
      written(ctx, text, right, textY);
    }
    if (far.length) {
      ctx.fillStyle = style("bad"); ctx.textAlign = "right";
      ctx.fillText(`above: ${far.join(", ")}`, left + width, top - 7 * ratio);
    }
    let freeFrom = 0;
    for (const [at, text, kind] of this.time.marks) {
      const x = u.valToPos(at, "x", true);
      if (x < left || x > left + width) continue;
      ctx.strokeStyle = style(kind === "bad" ? "bad" : "fg"); ctx.fillStyle = style("fg");
      ctx.setLineDash([2 * ratio, 2 * ratio]);
      ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, top + height); ctx.stroke();
      if (x < freeFrom) continue;
      const room = ctx.measureText(text).width + 8 * ratio, atEnd = x + room > left + width;
      ctx.textAlign = atEnd ? "right" : "left";
      written(ctx, text, x + (atEnd ? -4 : 4) * ratio, top + 12 * ratio);
      freeFrom = x + room;
    }
    ctx.restore();
  }
}

const data = JSON.parse(document.getElementById("data").textContent);
const runs = [...document.querySelectorAll("section.run")].map((section, at) => new Run(section, data[at], at));
const every = action => runs.forEach(run => run.plots.forEach(action));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => every(plot => plot.redraw(false)));
let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => every(plot => plot.setSize({ width: Math.max(280, plot.root.parentElement.clientWidth), height: plot.height })));
});

// ---- tables: a head that is pressed sorts by its column, figures as numbers, again the other way round.
const sortValue = cell => {
  const text = cell ? cell.textContent.trim() : "";
  const number = parseFloat(text.replace(/,/g, ""));
  return cell && cell.classList.contains("n") ? (isNaN(number) ? -Infinity : number) : text.toLowerCase();
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.onclick = () => {
      const down = head.getAttribute("aria-sort") !== (head.classList.contains("n") ? "descending" : "ascending");
      const sign = down === head.classList.contains("n") ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
      const rows = [...body.rows].map(row => [sortValue(row.cells[column]), row]);
      rows.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
      body.append(...rows.map(([, row]) => row));
    };
  });
}

// ---- tabs
let tabs = 0;
for (const box of document.querySelectorAll(".tabs")) {
  const panels = [...box.children];
  if (panels.length < 2) continue;
  const list = make("div", { class: "tablist", role: "tablist" });
  const choose = chosen => panels.forEach((panel, at) => {
    panel.hidden = at !== chosen;
    list.children[at].setAttribute("aria-selected", at === chosen);
    list.children[at].tabIndex = at === chosen ? 0 : -1;
  });
  panels.forEach((panel, at) => {
    const title = panel.querySelector("h4"), id = `tab-${tabs++}`;
    const tab = make("button", { type: "button", role: "tab", id, "aria-controls": `${id}-panel` }, title.textContent);
    title.hidden = true;
    panel.id = `${id}-panel`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    tab.onclick = () => choose(at);
    tab.onkeydown = event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (at + step + panels.length) % panels.length;
      choose(next);
      list.children[next].focus();
    };
    list.append(tab);
  });
  box.prepend(list);
  choose(0);
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
