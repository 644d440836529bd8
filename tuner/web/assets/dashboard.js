// The dashboard in the browser: the address and what it says, selection, table, keys, colours.
//
// Holds no data of a study but the table's rows; what is shown is decided by the server.

(function () {
  "use strict";

  const KEYS = ["study", "page", "trial", "sel"];
  const LONGEST_ADDRESS = 4000;
  const FIRST_ROWS = 40;
  const ARRIVES_MS = 1000;  // after which the page that is left is drawn on, for the server may be gone
  const CARTESIAN = new Set([
    "scatter", "bar", "box", "heatmap", "histogram", "histogram2d", "histogram2dcontour", "contour",
    "image", "pie", "scatterternary", "violin", "funnel", "waterfall",
  ]);
  const HELP = [
    ["1 … 9", "go to a page"],
    ["j  k", "next and previous trial"],
    ["b", "the best trial"],
    ["/", "search the table of trials"],
    ["t", "dark or light"],
    ["Esc", "clear the selection, close this"],
    ["click a point", "select its trial in every figure"],
    ["box or lasso in a figure", "select many"],
    ["?", "this list"],
  ];

  const meta = (name) => (document.querySelector(`meta[name="${name}"]`) || {}).content || "";
  const byId = (id) => document.getElementById(id);
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  // ---- what the address says ----

  const ROUTE = ["study", "page", "trial", "against", "lost"];
  let state = read(location);

  // `lost` is an address that names no study and is not that of the list.
  function read({ pathname, search }) {
    const found = { study: null, page: null, trial: null, sel: "", against: [], options: {}, lost: null };
    for (const [name, value] of new URLSearchParams(search)) {
      if (name === "against") found.against.push(value);
      else if (name.includes(".")) found.options[name] = value;
      else if (KEYS.includes(name)) found[name] = value || found[name];
    }
    if (found.study === null && pathname + search !== "/") found.lost = pathname + search;
    return found;
  }

  function address(of) {
    const parts = new URLSearchParams();
    for (const name of ["study", "page", "trial"]) if (of[name] !== null) parts.set(name, of[name]);
    for (const name of of.against) parts.append("against", name);
    for (const name of Object.keys(of.options).sort()) parts.set(name, String(of.options[name]));
    const whole = new URLSearchParams(parts);
    if (of.sel) whole.set("sel", of.sel);
    const text = (whole.toString().length < LONGEST_ADDRESS ? whole : parts).toString().replace(/%2C/g, ",");
    return text ? `/?${text}` : "/";
  }

  const isSameRoute = (a, b) => ROUTE.every((name) => same(a[name], b[name]));

  const view = () => ({ sel: state.sel, options: state.options, theme: theme() });
  const route = () => ({
    ...Object.fromEntries(ROUTE.map((name) => [name, state[name]])), ...view(),
  });

  function go(next, { push = true } = {}) {
    const before = state;
    state = next;
    if (push) history.pushState(null, "", address(state));
    updateShell();
    const isElsewhere = !isSameRoute(before, state);
    if (!same([before.sel, before.options], [state.sel, state.options])) set("view", { data: view() });
    if (!isElsewhere) return;
    leave();
    const close = byId("help-box");
    if (close && close.open) close.close();
    set("route", { data: route() });
    loadGrid();
    if (before.study !== state.study || before.page !== state.page) window.scrollTo(0, 0);
  }

  function change(changes) {
    state = { ...state, ...changes };
    history.replaceState(null, "", address(state));
    updateShell();
    set("view", { data: view() });
  }

  // A link keeps the selection and the options while it stays within the study.
  function follow(href) {
    const next = read(new URL(href, location.href));
    if (next.study !== null && next.study === state.study) {
      next.sel = state.sel;
      next.options = state.options;
      next.against = state.against;
    }
    go(next);
  }

  window.addEventListener("popstate", () => go(read(location), { push: false }));

  // ---- scripts that only some pages need ----

  const loaded = {};

  function script(source) {
    loaded[source] = loaded[source] || new Promise((done, failed) => {
      const tag = document.createElement("script");
      tag.src = source;
      tag.onload = done;
      tag.onerror = () => {
        delete loaded[source];
        failed(new Error(`no ${source}`));
      };
      document.head.appendChild(tag);
    });
    return loaded[source];
  }

  // ---- drawing: what is in view first, one figure at a time, so that the page stays alive ----

  const waiting = new Map();
  const askedOn = new WeakMap();  // the visit on which each figure was drawn first
  let visit = 0;
  let isOnTheWay = false;
  let isDrawing = false;

  const inView = (element) => {
    const box = element.getBoundingClientRect();
    return box.top < window.innerHeight && box.bottom > 0;
  };

  function drawNext() {
    // Another page is asked for: nothing of the one that is left may be in its way.
    const able = [...waiting.keys()].filter((each) => !isOnTheWay || askedOn.get(each) === visit);
    const element = able.find((each) => waiting.get(each).isInView) || able[0];
    isDrawing = element !== undefined;
    if (!isDrawing) return;
    const { draw, asked } = waiting.get(element);
    waiting.delete(element);
    new Promise((done) => done(element.isConnected ? draw() : element))
      .then((done) => asked.forEach((each) => each.done(done)))
      .catch((error) => asked.forEach((each) => each.failed(error)))
      .finally(() => setTimeout(drawNext, 0));
  }

  function startDrawing() {
    if (isDrawing) return;
    isDrawing = true;
    setTimeout(drawNext, 0);
  }

  function leave() {
    const mine = ++visit;
    isOnTheWay = true;
    setTimeout(() => mine === visit && arrive(), ARRIVES_MS);
  }

  function arrive() {
    isOnTheWay = false;
    startDrawing();
  }

  for (const name of ["react", "newPlot"]) {
    const small = window.Plotly[name];
    window.Plotly[name] = function (element, data, ...rest) {
      const traces = Array.isArray(data) ? data : (data && data.data) || [];
      const isCartesian = traces.every((trace) => CARTESIAN.has(trace.type || "scatter"));
      // The small library cannot draw everything; the whole one is loaded when a figure needs it.
      const draw = isCartesian
        ? () => small.call(this, element, data, ...rest)
        : () => script(meta("plotly-script")).then(() => window.Plotly[name](element, data, ...rest));
      return new Promise((done, failed) => {
        const before = waiting.get(element);
        const asked = [...(before ? before.asked : []), { done, failed }];
        waiting.set(element, { draw, asked, isInView: inView(element) });
        if (!askedOn.has(element)) askedOn.set(element, visit);
        startDrawing();
      });
    };
  }

  // Every figure is told its size twice while it is mounted; it is drawn again only for another one,
  // and where it stands is asked when the browser has just worked that out.
  const resize = window.Plotly.Plots.resize;
  window.Plotly.Plots.resize = (element) =>
    new Promise((done) => requestAnimationFrame(done)).then(() => {
      const drawn = element._fullLayout;
      const fits = !drawn || (drawn.width === element.clientWidth && drawn.height === element.clientHeight);
      return fits ? element : resize(element);
    });

  // ---- colours ----

  const theme = () => localStorage.getItem("tuner-theme") || (system.matches ? "dark" : "light");

  function applyTheme() {
    const root = document.documentElement;
    root.dataset.theme = theme();
    root.dataset.agThemeMode = theme();
    if (byId("theme")) byId("theme").textContent = theme() === "dark" ? "light" : "dark";
  }

  function switchTheme() {
    localStorage.setItem("tuner-theme", theme() === "dark" ? "light" : "dark");
    applyTheme();
    set("view", { data: view() });
  }

  system.addEventListener("change", () => {
    applyTheme();
    set("view", { data: view() });
  });
  applyTheme();

  // ---- the shell ----

  const firstPage = () => document.querySelector("#pages a");

  function updateShell() {
    const pages = byId("pages");
    if (!pages) return;
    pages.hidden = state.study === null;
    byId("study-name").textContent = state.study === null ? "" : state.study;
    const current = state.page || (firstPage() && firstPage().dataset.page);
    for (const link of pages.querySelectorAll("a")) {
      const to = { ...state, page: link.dataset.page, trial: null };
      link.href = address(to);
      if (link.dataset.page === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const number = numbers(state.sel).length;
    const chip = byId("selection");
    chip.hidden = !number;
    chip.textContent = `selection: ${number} trial${number === 1 ? "" : "s"}, clear ✕`;
    const title = state.trial === null ? current : `trial ${state.trial}`;
    document.title = state.study === null ? "tuner" : `${state.study}: ${title}`;
    for (const button of document.querySelectorAll("[data-select]")) {
      press(button, numbers(state.sel).includes(Number(button.dataset.select)));
    }
  }

  const press = (button, is) => button.setAttribute("aria-pressed", is ? "true" : "false");
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";

  // ---- selection ----

  function numbers(text) {
    const found = [];
    for (const part of (text || "").split(",")) {
      const [low, high] = part.split("-");
      if (!/^\d+$/.test(low)) continue;
      const last = /^\d+$/.test(high || "") ? Number(high) : Number(low);
      for (let i = Number(low); i <= last && found.length < 20000; i++) found.push(i);
    }
    return found;
  }

  function ranges(chosen) {
    const sorted = [...new Set(chosen)].sort((a, b) => a - b);
    const parts = [];
    for (let i = 0; i < sorted.length; ) {
      let j = i;
      while (j + 1 < sorted.length && sorted[j + 1] === sorted[j] + 1) j++;
      parts.push(i === j ? `${sorted[i]}` : `${sorted[i]}-${sorted[j]}`);
      i = j + 1;
    }
    return parts.join(",");
  }

  function select(chosen) {
    const text = ranges(chosen);
    if (text === state.sel) return;
    change({ sel: text });
    showSelected();
    if (!text) forgetBoxes();
  }

  function toggle(number) {
    const now = new Set(numbers(state.sel));
    if (!now.delete(number)) now.add(number);
    select(now);
  }

  function forgetBoxes() {
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      if (!plot.layout) continue;
      if ((plot.layout.selections || []).length) window.Plotly.relayout(plot, { selections: [] });
      if (plot.data.some((trace) => trace.selectedpoints)) window.Plotly.restyle(plot, { selectedpoints: null });
    }
  }

  // All trials within a box or a lasso, those that are not drawn among them; else those that are.
  function selectWithin(key, value, drawn) {
    const asked = state;
    const area = JSON.stringify(value.range || { ...value.lassoPoints, lasso: true });
    fetch("/-/within", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ route: route(), card: key, area }),
    })
      .then((answer) => (answer.status === 200 ? answer.json() : { trials: drawn }))
      .catch(() => ({ trials: drawn }))
      .then(({ trials }) => isSameRoute(asked, state) && trials.length && select(trials));
  }

  function trialOf(point) {
    const data = Array.isArray(point.customdata) ? point.customdata[0] : point.customdata;
    return Number.isInteger(data) ? data : null;
  }

  // ---- the table of trials: one grid for all visits of a study, made in an idle moment ----

  let table = null;

  function loadGrid() {
    const page = state.page || firstPage()?.dataset.page;
    if (state.study !== null && meta("grid-pages").split(",").includes(page)) script(meta("grid-script")).catch(() => {});
  }

  function shown(value) {
    if (typeof value !== "number") return value;
    if (Number.isInteger(value)) return String(value);
    const texts = [6, 4].map((digits) => String(Number(value.toPrecision(digits))));
    return texts.find((text) => text.length < 10) || value.toExponential(3);  // as a cell is wide
  }

  function column(name, kind) {
    const isNumber = kind === "number";
    return {
      colId: name,
      valueGetter: ({ data }) => table.columns[name][data.at],
      headerName: name === "number" ? "trial" : name,
      filter: isNumber ? "agNumberColumnFilter" : "agTextColumnFilter",
      floatingFilter: true,
      sortable: true,
      resizable: true,
      width: isNumber ? 118 : name === "reason" ? 320 : 132,
      pinned: name === "number" && window.innerWidth > 600 ? "left" : null,
      type: isNumber && name !== "number" ? "rightAligned" : undefined,
      tooltipValueGetter: name === "reason" ? ({ value }) => value : undefined,
      valueFormatter: isNumber ? (cell) => (cell.value == null ? "–" : shown(cell.value)) : undefined,
      cellClass: name === "number" ? "link" : undefined,
      comparator: isNumber ? (a, b) => (a == null) - (b == null) || a - b : undefined,
    };
  }

  function grid(element) {
    byId("offscreen").append(element);  // where it has a size before its page is shown
    return window.agGrid.createGrid(element, {
      getRowId: ({ data }) => data.id,
      rowSelection: { mode: "multiRow", selectAll: "filtered", enableClickSelection: false },
      animateRows: false,
      enableCellTextSelection: true,
      ensureDomOrder: true,
      maintainColumnOrder: true,
      tooltipShowDelay: 300,
      isExternalFilterPresent: () => table.isOnlySelected,
      doesExternalFilterPass: (node) => node.isSelected(),
      onModelUpdated: tellRows,
      onBodyScrollEnd: ({ api }) => {
        table.top = Math.ceil(api.getVerticalPixelRange().top / api.getSizesForCurrentTheme().rowHeight);
      },
      onSelectionChanged: ({ api, source }) => {
        if (/^(api|rowData|grid)/.test(source)) return;  // not a person's doing
        select(api.getSelectedRows().map((row) => row.number));
      },
      onCellClicked: ({ column, data }) => {
        if (column.getColId() === "number") go({ ...state, page: "trial", trial: String(data.number) });
      },
    });
  }

  const trials = (query) =>
    fetch(`/-/trials?${new URLSearchParams(query)}`).then((answer) => (answer.status === 200 ? answer.json() : null));

  // What is new goes into the grid; `first` is a number of rows that make a beginning.
  async function fill(first = 0) {
    if (table?.study !== state.study) {
      table?.api?.destroy();
      table = {
        study: state.study, element: document.createElement("div"), api: null, columns: {}, at: new Map(),
        since: 0, digest: "", top: 0, search: "", isOnlySelected: false, isWhole: false,
      };
    }
    const mine = table;
    if (mine.isBusy) {
      mine.isStale = mine.isStale || !first;
      return;
    }
    mine.isBusy = true;
    const { study, since, digest } = mine;
    const query = first ? { study, first } : { study, since, digest };
    const [answer] = await Promise.all([trials(query), script(meta("grid-script"))]).catch(() => [null]);
    mine.isBusy = false;
    if (mine !== table) return;
    if (answer) take(answer, first);
    if (mine.isStale) {
      mine.isStale = false;
      fill();
    }
  }

  function take({ names, kinds, columns, digest, since }, first) {
    table.api = table.api || grid(table.element);
    if (table.digest && table.digest !== digest) {
      Object.assign(table, { columns: {}, at: new Map() });
      table.api.setGridOption("rowData", []);
    }
    if (names.some((name) => !(name in table.columns))) {
      for (const name of names) table.columns[name] = table.columns[name] || [];
      table.api.setGridOption("columnDefs", names.map((name, i) => column(name, kinds[i])));
    }
    const [add, update] = [[], []];
    columns[0].forEach((number, i) => {
      const isNew = !table.at.has(number);
      if (isNew) table.at.set(number, table.at.size);
      const at = table.at.get(number);
      (isNew ? add : update).push({ id: String(number), number, at });
      names.forEach((name, c) => { table.columns[name][at] = columns[c][i]; });
    });
    if (columns[0].length) table.api.applyTransaction({ add, update });
    Object.assign(table, { digest, since: first ? 0 : since, isWhole: !first });
    showTable();
  }

  // The grid moves into the page that has just been built, and is as it was left.
  function showTable() {
    const holder = byId("grid");
    if (!holder || !table?.api || table.study !== state.study) return;
    if (!holder.contains(table.element)) {
      holder.replaceChildren(table.element);
      if (table.top) table.api.ensureIndexVisible(table.top, "top");
      set("search", { value: table.search });
      press(byId("only-selected"), table.isOnlySelected);
    }
    showSelected();
    tellRows();
  }

  function tellRows() {
    const note = byId("table-state");
    if (!note || !table?.api || table.study !== state.study) return;
    const [all, left] = [table.at.size, table.api.getDisplayedRowCount()];
    note.textContent = !table.isWhole ? "Loading …" : left === all ? `${all} trials` : `${left} of ${all} trials`;
  }

  function showSelected() {
    if (!table?.api) return;
    const chosen = new Set(numbers(state.sel));
    const [on, off] = [[], []];
    table.api.forEachNode((node) => {
      if (chosen.has(node.data.number) !== !!node.isSelected()) {
        (chosen.has(node.data.number) ? on : off).push(node);
      }
    });
    if (on.length) table.api.setNodesSelected({ nodes: on, newValue: true });
    if (off.length) table.api.setNodesSelected({ nodes: off, newValue: false });
    if (table.isOnlySelected && on.length + off.length) table.api.onFilterChanged();
  }

  // What a spreadsheet would run as a formula is kept as text.
  const harmless = ({ value }) =>
    value == null ? "" : typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(value) && isNaN(value) ? `'${value}` : value;

  // ---- what a person does ----

  const actions = {
    theme: switchTheme,
    keys: help,
    selection: () => select([]),
    csv: () => table?.api?.exportDataAsCsv({
      fileName: `${state.study}-trials.csv`, processCellCallback: harmless,
      processHeaderCallback: ({ column }) => harmless({ value: column.getColDef().headerName }),
    }),
    "only-selected": (button) => {
      press(button, !pressed(button));
      if (!table?.api) return;
      table.isOnlySelected = pressed(button);
      table.api.onFilterChanged();
    },
  };

  document.addEventListener("click", (event) => {
    const at = event.target.closest("a, button, summary");
    if (!event.target.closest("details.help, details.many")) closeDetails();
    if (!at) return;
    if (at.matches("summary")) return closeDetails(at.parentElement);
    if (at.matches("a")) {
      const isPlain = !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0;
      const to = new URL(at.href, location.href);
      if (!isPlain || at.hasAttribute("download") || to.origin !== location.origin || to.pathname !== "/") return;
      event.preventDefault();
      return follow(at.href);
    }
    if (actions[at.id]) return actions[at.id](at);
    if (at.dataset.against !== undefined) return against(at);
    if (at.dataset.select !== undefined) return toggle(Number(at.dataset.select));
    if (at.dataset.kind === "switch") {
      press(at, !pressed(at));
      return option(at.dataset.option, pressed(at));
    }
    if (at.dataset.kind === "choices") {
      press(at, !pressed(at));
      const on = [...at.parentElement.querySelectorAll("button")].filter(pressed);
      return option(at.dataset.option, on.map((button) => button.dataset.value).join(","));
    }
  });

  function closeDetails(but) {
    for (const open of document.querySelectorAll("details[open]")) if (open !== but) open.open = false;
  }

  function option(name, value) {
    change({ options: { ...state.options, [name]: value } });
  }

  function against(button) {
    const name = button.dataset.against;
    const now = state.against.filter((other) => other !== name);
    go({ ...state, against: pressed(button) ? now : [...now, name] });
  }

  document.addEventListener("change", (event) => {
    const at = event.target.closest("[data-option]");
    if (!at || at.matches("button")) return;
    option(at.dataset.option, event.target.value);
  });

  document.addEventListener("input", (event) => {
    if (event.target.id !== "search" || !table?.api) return;
    table.search = event.target.value;
    table.api.setGridOption("quickFilterText", table.search);
  });

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.key === "Escape") {
      closeDetails();
      if (isTyping) return event.target.blur();
      return select([]);
    }
    if (isTyping || event.metaKey || event.ctrlKey || event.altKey) return;
    const pages = [...document.querySelectorAll("#pages a")];
    if (/^[1-9]$/.test(event.key) && state.study !== null) return pages[event.key - 1]?.click();
    if (event.key === "t") return switchTheme();
    if (event.key === "?") return help();
    if (["j", "k", "b"].includes(event.key)) {
      const link = byId(`trial-${event.key}`);
      if (link) return link.click();
      if (state.study !== null) return go({ ...state, page: "trial", trial: event.key === "j" ? "0" : null });
    }
    if (event.key === "/") {
      event.preventDefault();
      const search = byId("search");
      if (search) return search.focus();
      const page = meta("grid-pages").split(",")[0];
      if (state.study !== null && page) {
        go({ ...state, page, trial: null });
        const wait = setInterval(() => {
          if (byId("search")) byId("search").focus();
          if (byId("search")) clearInterval(wait);
        }, 50);
      }
    }
  });

  function help() {
    let box = byId("help-box");
    if (!box) {
      box = document.createElement("dialog");
      box.id = "help-box";
      box.setAttribute("aria-label", "keyboard");
      const list = document.createElement("dl");
      for (const [key, text] of HELP) {
        const [name, meaning] = [document.createElement("dt"), document.createElement("dd")];
        name.textContent = key;
        meaning.textContent = text;
        list.append(name, meaning);
      }
      box.append(list);
      box.addEventListener("click", () => box.close());
      document.body.append(box);
    }
    if (box.open) box.close();
    else box.showModal();
  }

  // ---- the server may go away ----

  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    try {
      const answer = await plainFetch(...request);
      showOffline(answer.status === 403 ? "The token is no longer good: open the address that `tune dashboard` prints." : "");
      return answer;
    } catch (error) {
      if (error.name !== "AbortError") showOffline("The dashboard does not answer. Start it again with `tune dashboard`; this page goes on by itself.");
      throw error;
    }
  };

  function showOffline(text) {
    const box = byId("offline");
    if (!box || box.textContent === text) return;
    box.textContent = text;
    box.hidden = !text;
  }

  // ---- called by Dash ----

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.tuner = {
    begin: () => {
      applyTheme();
      updateShell();
      loadGrid();
      return route();
    },
    rendered: (rendered) => {
      if (rendered && rendered.rebuild) {
        // The page must be built anew, in the same place.
        set("route", { data: { ...route(), rebuild: rendered.rebuild } });
        return window.dash_clientside.no_update;
      }
      if (rendered && rendered.route) {
        document.documentElement.dataset.shown = address({ ...rendered.route, sel: "", options: {} });
        if (isSameRoute(rendered.route, state)) arrive();
        document.documentElement.dataset.whole = String(rendered.version !== "more");
      }
      updateShell();
      showTable();
      if (byId("grid")) fill();
      else if (rendered && rendered.version && rendered.version !== "more") idle(prepare);
      return window.dash_clientside.no_update;
    },
    point: (clicks, boxes) => {
      const context = window.dash_clientside.callback_context;
      const found = context.triggered.map((each) => each.value).filter((value) => value && value.points);
      if (!found.length) return window.dash_clientside.no_update;
      const trials = found.flatMap((value) => value.points.map(trialOf)).filter((trial) => trial !== null);
      const isBox = context.triggered.some((each) => each.prop_id.endsWith("selectedData"));
      const box = context.triggered.find((each) => each.value && (each.value.range || each.value.lassoPoints));
      if (isBox && box) selectWithin(JSON.parse(box.prop_id.slice(0, box.prop_id.lastIndexOf("."))).key, box.value, trials);
      else if (isBox && trials.length) select(trials);
      else if (trials.length) toggle(trials[0]);
      return window.dash_clientside.no_update;
    },
  };

  const idle = window.requestIdleCallback || ((then) => setTimeout(then, 500));

  // The table is there at once when its page is opened: its script, the grid and some rows come before.
  function prepare() {
    const study = state.study;
    if (study === null || table?.study === study) return;
    script(meta("grid-script")).then(() => idle(() => study === state.study && fill(FIRST_ROWS))).catch(() => {});
  }
})();
