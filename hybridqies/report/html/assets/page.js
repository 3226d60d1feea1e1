"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Set();

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

  // Black is the last colour of the palette, and cannot be seen on a dark ground.
  const visible = (colour) => (isDark() ? colour.replace("#000000", "#f2f2f2") : colour);
  const recolour = (value) => {
    if (typeof value === "string") return visible(value);
    if (Array.isArray(value)) return value.map((each) => (typeof each === "object" ? recolour(each) : each));
    if (value === null || typeof value !== "object") return value;
    const coloured = (key) => key === "color" || key === "fillcolor" || typeof value[key] === "object";
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, coloured(key) ? recolour(each) : each]),
    );
  };

  const axis = (given, style) => ({
    automargin: true,
    gridcolor: style.borderTopColor,
    linecolor: style.borderTopColor,
    zeroline: false,
    ...given,
    title: { ...given.title, standoff: 10, font: { size: 13 } },
  });

  // Where there is no room for names beside the rows, they stand above them.
  const nameRows = (names) =>
    names.map((text, at) => ({
      text,
      x: 0,
      xref: "paper",
      xanchor: "left",
      y: at,
      yanchor: "bottom",
      yshift: 4,
      showarrow: false,
    }));

  const draw = (chart) => {
    const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
    const style = getComputedStyle(chart);
    const width = chart.clientWidth;
    const named = spec.data.filter((trace) => trace.showlegend !== false).length;
    const perRow = Math.max(1, Math.floor(width / 165));
    const legend = named > 1 ? 20 * Math.ceil(named / perRow) + 10 : 0;
    const names = width < 560 ? spec.layout.yaxis.ticktext || [] : [];
    const height = Math.max(spec.height, 60 + 40 * names.length) + legend;
    const layout = {
      height,
      autosize: true,
      margin: { l: names.length ? 8 : 56, r: 12, t: 10, b: 50 + legend },
      font: { family: style.fontFamily, size: width < 500 ? 11 : 13, color: style.color },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { font: { family: style.fontFamily, size: 13 }, align: "left" },
      hovermode: "closest",
      showlegend: named > 1,
      legend: { orientation: "h", x: 0, xanchor: "left", y: 0, yanchor: "bottom", yref: "container" },
      dragmode: false,
      ...spec.layout,
      xaxis: axis(spec.layout.xaxis, style),
      yaxis: { ...axis(spec.layout.yaxis, style), showticklabels: !names.length },
      annotations: nameRows(names),
    };
    const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    drawn.add(chart);
    return Plotly.react(chart, recolour(spec.data), layout, config);
  };

  // Those in sight, and a screen further.
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) {
          observer.unobserve(entry.target);
          draw(entry.target);
        }
      }
    },
    { rootMargin: "100% 0px" },
  );
  charts.forEach((chart) => observer.observe(chart));

  const redraw = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    drawn.forEach(draw);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("hybridqies-theme", root.dataset.theme);
    } catch {
      // Then the choice lasts as long as the page.
    }
    redraw();
  });
  dark.addEventListener("change", redraw);
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawn.forEach(draw), 150);
  });
  redraw();

  // A cell that a spreadsheet program would take for a formula gets an apostrophe; numbers are none.
  const quote = (text) => {
    const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  document.addEventListener("click", (event) => {
    const wanted = event.target.closest("button.csv");
    if (!wanted) return;
    const rows = [...wanted.closest(".table").querySelectorAll("tr")];
    const lines = rows.map((row) => [...row.cells].map((cell) => quote(cell.textContent)).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = `${wanted.dataset.name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
