// The dashboard in the browser: the address and what it says, selection, table, keys, colours.
//
// Holds no data of a study but the table's rows; what is shown is decided by the server.

(function () {
  "use strict";

  const KEYS = ["study", "page", "trial", "sel", "open", "q", "sort", "hide"];
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
    ["Esc", "close what is open, then clear the selection"],
    ["click a point", "open its trial beside the figure; with Shift or Ctrl select it in every figure"],
    ["box or lasso in a figure", "select many"],
    ["← →  in a figure", "go from point to point; Enter opens, Space selects"],
    ["?", "this list"],
  ];

  const meta = (name) => (document.querySelector(`meta[name="${name}"]`) || {}).content || "";
  const byId = (id) => document.getElementById(id);
  const make = (tag, props = {}) => Object.assign(document.createElement(tag), props);
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  // ---- what the address says ----

  const ROUTE = ["study", "page", "trial", "against", "lost"];
  let state = read(location);

  // `lost` is an address that names no study and is not that of the list.
  function read({ pathname, search }) {
    const found = {
      study: null, page: null, trial: null, open: null, sel: "", against: [], options: {}, lost: null,
      where: {}, q: "", sort: "", hide: "",
    };
    for (const [name, value] of new URLSearchParams(search)) {
      if (name === "against") found.against.push(value);
      else if (name === "where" && value.includes(":")) found.where[value.split(":", 1)[0]] = value.slice(value.indexOf(":") + 1);
      else if (name.includes(".")) found.options[name] = value;
      else if (KEYS.includes(name)) found[name] = value || found[name];
    }
    if (found.study === null && pathname + search !== "/") found.lost = pathname + search;
    return found;
  }

  function address(of) {
    const parts = new URLSearchParams();
    for (const name of ["study", "page", "trial", "open"]) if (of[name] !== null) parts.set(name, of[name]);
    for (const name of of.against) parts.append("against", name);
    for (const name of Object.keys(of.options).sort()) parts.set(name, String(of.options[name]));
    for (const name of ["q", "sort", "hide"]) if (of[name]) parts.set(name, of[name]);
    for (const name of Object.keys(of.where)) if (of.where[name]) parts.append("where", `${name}:${of.where[name]}`);
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
    if (before.study !== state.study) state.open = null;
    showPanel();
    if (before.q !== state.q) searchTable();
    if (!same(before.where, state.where)) refilter();
    if (!same([before.sel, before.options], [state.sel, state.options])) set("view", { data: view() });
    if (!isElsewhere) return;
    leave();
    byId("help-box")?.close();
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
  // That of a tag leads to all trials that have it, whatever the columns' filters left out.
  function follow(href, isTag) {
    const next = read(new URL(href, location.href));
    if (next.study !== null && next.study === state.study) {
      next.sel = state.sel;
      next.options = state.options;
      if (next.page !== "trial") next.open = state.open;
      next.against = state.against;
      for (const name of ["where", "sort", "hide"]) next[name] = state[name];
      if (isTag) next.where = {};
      next.q = next.q || state.q;
    }
    go(next);
  }

  window.addEventListener("popstate", () => go(read(location), { push: false }));

  // ---- scripts that only some pages need ----

  const loaded = {};

  function script(source) {
    loaded[source] = loaded[source] || new Promise((done, failed) => {
      const onerror = () => {
        delete loaded[source];
        failed(new Error(`no ${source}`));
      };
      document.head.append(make("script", { src: source, onload: done, onerror }));
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
      .then((done) => {
        wire(element);
        asked.forEach((each) => each.done(done));
      })
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

  // A card with nothing to show is one line that says why.
  function fold(element, traces, layout) {
    const card = element.closest(".card");
    const why = card && card.querySelector(".why");
    if (!why) return;
    const said = (layout && layout.annotations) || [];
    why.textContent = traces.length ? "" : said.map((each) => each.text.replaceAll("<br>", " ")).join(" ");
    card.classList.toggle("folded", why.textContent !== "");
  }

  for (const name of ["react", "newPlot"]) {
    const small = window.Plotly[name];
    window.Plotly[name] = function (element, data, ...rest) {
      const traces = Array.isArray(data) ? data : (data && data.data) || [];
      fold(element, traces, Array.isArray(data) ? rest[0] : data && data.layout);
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
    showPanel();
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
    byId("study-name").title = state.study || "";
    const current = state.page || (firstPage() && firstPage().dataset.page);
    for (const link of pages.querySelectorAll("a")) {
      const to = { ...state, page: link.dataset.page, trial: null };
      link.href = address(to);
      if (link.dataset.page === current) {
        link.setAttribute("aria-current", "page");
        pages.scrollLeft = Math.max(0, link.offsetLeft - pages.offsetLeft - 40);
      }
      else link.removeAttribute("aria-current");
    }
    const number = numbers(state.sel).length;
    const chip = byId("selection");
    chip.hidden = !number;
    chip.textContent = `selection: ${shownCount(number)} trial${number === 1 ? "" : "s"}, clear ✕`;
    const title = state.trial === null ? current : `trial ${state.trial}`;
    document.title = state.study === null ? "tuner" : `${state.study}: ${title}`;
    for (const button of document.querySelectorAll("[data-select]")) {
      press(button, numbers(state.sel).includes(Number(button.dataset.select)));
    }
  }

  // Times are stored and written in UTC; beside it stands what the clock here says.
  function localTimes() {
    if (!new Date().getTimezoneOffset()) return;
    for (const each of document.querySelectorAll("time[datetime]:not([data-local])")) {
      each.dataset.local = "1";
      const here = new Date(each.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      each.append(` (${here} here)`);
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

  // ---- one trial beside the figures ----

  function open(number, beside) {
    const box = beside && beside.getBoundingClientRect();
    byId("panel").classList.toggle("left", !!box && box.left + box.width / 2 > window.innerWidth / 2);
    state = { ...state, open: number === null ? null : String(number) };
    untell();
    history.replaceState(null, "", address(state));
    showPanel();
  }

  let shownPanel = "";

  function showPanel() {
    const data = { study: state.study, open: state.open, theme: theme() };
    if (JSON.stringify(data) === shownPanel || (state.open === null && !shownPanel)) return;
    shownPanel = JSON.stringify(data);
    followed = newest;
    if (state.open === null) set("panel", { children: null });
    set("opened", { data });
  }

  let newest = "";  // of what the panel may show: the page's version, the size of the trial's log
  let followed = "";

  const isWritten = (box) => box === document.activeElement || box.value !== box.defaultValue;

  // Nor do the page and the line on top, while somebody writes in a box of theirs that is seen.
  const isPageWritten = () => [...document.querySelectorAll("#status textarea, #body textarea")].some(
    (box) => box.checkVisibility() && isWritten(box));

  const isTick = ({ body }) => {
    const { changedPropIds } = typeof body === "string" ? JSON.parse(body) : {};
    return changedPropIds?.length === 1 && changedPropIds[0] === "tick.n_intervals";
  };

  // The panel follows its trial, but not while somebody writes in it.
  function followPanel() {
    if (state.open === null || followed === newest) return;
    if ([...byId("panel").querySelectorAll("textarea")].some(isWritten)) return;
    followed = newest;
    const has = byId("panel").querySelector("[data-digest]")?.dataset.digest;
    set("opened", { data: { study: state.study, open: state.open, theme: theme(), has, newest } });
  }

  document.addEventListener("focusout", () => setTimeout(followPanel, 0));

  // What stands over the page until it is closed.
  function dialog(label, ...parts) {
    const box = make("dialog");
    box.setAttribute("aria-label", label);
    box.append(...parts);
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
    return box;
  }

  const confirmed = (what) => new Promise((done) => {
    const answers = [[`yes, ${what}`, "yes"], ["no", ""]].map(([textContent, value]) =>
      make("button", { type: "button", textContent, onclick: () => box.close(value) }));
    const box = dialog(what, ...answers);
    box.addEventListener("close", () => done(box.returnValue === "yes"));
  });

  // What is asked of the study; what cannot be undone is asked for twice.
  async function ask(button) {
    if (button.dataset.sure !== undefined && !(await confirmed(button.dataset.sure || button.textContent))) return;
    const kind = button.dataset.ask;
    // The box that is sent, if any: another one beside it is still being written in.
    const box = { comment: ".to-say", rename: "#new-name", try: button.dataset.content ? "" : ".to-try" }[kind];
    const given = box ? button.parentElement.querySelector(box) : null;
    try {
      const content = kind === "comment"
        ? { text: given.value, trial: button.dataset.trial === undefined ? null : Number(button.dataset.trial) }
        : kind === "rename" ? { name: given.value }
        : JSON.parse(button.dataset.content || given?.value || "{}");
      const answer = await fetch("/-/ask", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ study: state.study, kind, content }),
      });
      const { is_noted: isDone, told } = answer.status === 200 ? await answer.json() : { told: await answer.text() };
      button.textContent = told;
      if (isDone && given) given.defaultValue = given.value;  // nothing is being written any more
      if (isDone && kind === "delete") go(read(new URL("/", location.href)));
      if (isDone && kind === "rename") go({ ...state, study: content.name });
    } catch (error) {
      button.textContent = String(error.message || error);
    }
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = make("textarea", { value: text });  // without https
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    const label = button.textContent;
    button.textContent = "copied";
    setTimeout(() => { button.textContent = label; }, 1200);
  }

  // ---- what stands at the pointer, and points by key ----

  const told = new Map();  // trials in a few lines
  let pointed = null;

  async function tell(number, element) {
    const key = `${state.study}\n${number}\n${document.documentElement.dataset.version}`;
    pointed = key;
    await new Promise((done) => setTimeout(done, 60));
    if (pointed !== key) return;
    if (!told.has(key)) {
      const query = new URLSearchParams({ study: state.study, trial: number });
      const answer = await fetch(`/-/trial?${query}`).catch(() => null);
      if (!answer || answer.status !== 200) return;
      if (told.size > 2000) told.clear();
      told.set(key, (await answer.json()).lines);
    }
    if (pointed !== key || !told.get(key).length) return;
    const tip = byId("tip");
    tip.replaceChildren(...told.get(key).map((line) => make("p", { textContent: line })));
    tip.hidden = false;
    const label = element.querySelector(".hoverlayer .hovertext");
    const box = (label || element).getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), window.innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 6;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight < window.innerHeight ? below : Math.max(8, box.top - tip.offsetHeight - 6)}px`;
  }

  function untell() {
    pointed = null;
    byId("tip").hidden = true;
  }

  // Every trial that has a mark, once, from left to right.
  function places(plot) {
    const found = new Map();
    plot.data.forEach((trace, curve) => {
      const numbers = trace.customdata || [];
      for (let i = 0; i < numbers.length; i++) {
        if (Number.isInteger(numbers[i]) && numbers[i] >= 0 && trace.x[i] != null && trace.y[i] != null && !found.has(numbers[i])) {
          found.set(numbers[i], { curve, i, x: trace.x[i] });
        }
      }
    });
    return [...found].sort((a, b) => a[1].x - b[1].x || a[0] - b[0]);
  }

  function wire(plot) {
    for (const button of plot.querySelectorAll(".modebar-btn")) button.tabIndex = -1;
    if (plot.dataset.wired || !plot.on) return;
    plot.dataset.wired = "1";
    const card = plot.closest(".card");
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-roledescription", "figure");
    const title = card?.querySelector("h3")?.textContent || "curves";
    plot.setAttribute("aria-label", `${title}. ${card?.querySelector(".help p")?.textContent || ""}`);
    plot.on("plotly_hover", ({ points }) => {
      const trial = points.map(trialOf).find((each) => each !== null && each >= 0);
      if (trial !== undefined) tell(trial, plot);
    });
    plot.on("plotly_unhover", untell);
    plot.addEventListener("blur", untell);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[event.key];
      const at = Number(plot.dataset.at ?? -1);
      const all = step || event.key === "Enter" || event.key === " " ? places(plot) : [];
      if (!all.length) return;
      event.preventDefault();
      const next = Math.min(Math.max(0, at + (step || 0)), all.length - 1);
      const [number, { curve, i }] = all[next];
      if (!step && at < 0) return;
      if (event.key === "Enter") return open(number, plot);
      if (event.key === " ") return toggle(number);
      plot.dataset.at = next;
      const trace = plot.data[curve];
      const axes = `${trace.xaxis || "x"}${trace.yaxis || "y"}`;
      window.Plotly.Fx.hover(plot, [{ curveNumber: curve, pointNumber: i }], axes);
      tell(number, plot);
    });
  }

  let isAdding = false;  // whether the point that is clicked is to be selected, not opened
  document.addEventListener("pointerdown", (event) => {
    isAdding = event.shiftKey || event.ctrlKey || event.metaKey;
  }, true);

  // All trials within a box or a lasso, those that are not drawn among them; else those that are.
  // Boxes over the axes of parallel coordinates narrow the selection.
  function selectWithin(key, value, drawn) {
    const asked = state;
    const area = JSON.stringify(value.range || { ...value.lassoPoints, lasso: true });
    fetch("/-/within", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ route: route(), card: key, area }),
    })
      .then((answer) => (answer.status === 200 ? answer.json() : { trials: drawn }))
      .catch(() => ({ trials: drawn }))
      .then(({ trials }) => {
        const before = new Set(key.startsWith("parallel") ? numbers(state.sel) : []);
        const both = trials.filter((number) => before.has(number));
        if (isSameRoute(asked, state) && trials.length) select(both.length ? both : trials);
      });
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

  // A number as `words.number` has it; settings as they are typed.
  function general(value, digits, isSetting) {
    const isWhole = Math.abs(value) < 1e15 && (Math.abs(value) >= 10 ** digits || Number.isInteger(value));
    if (isWhole) return (value + 0).toLocaleString("en", { maximumFractionDigits: 0, useGrouping: !isSetting });
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    if (power >= -4 && power < digits) {
      return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 20, useGrouping: !isSetting });
    }
    return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
  }

  function shown(value, isSetting) {
    if (typeof value !== "number") return value;
    const texts = [6, 4].map((digits) => general(value, digits, isSetting));
    return texts.find((text) => text.length < 10) || texts[1];  // as a cell is wide
  }

  // Numbers: <=0.1, >5, 1e-4..1e-2, or a number, which means all that round to it. Texts: a part of it, =all of it, !not.
  function matcher(text, isNumber) {
    const typed = text.trim().toLowerCase();
    const wanted = isNumber ? typed.replaceAll(",", "") : typed;  // 12,346 as it is shown
    if (!isNumber) {
      if (wanted[0] === "!") return (value) => !String(value ?? "").toLowerCase().includes(wanted.slice(1));
      if (wanted[0] === "=") return (value) => String(value ?? "").toLowerCase() === wanted.slice(1);
      return (value) => String(value ?? "").toLowerCase().includes(wanted);
    }
    const span = wanted.match(/^(.*?)\.\.(.*)$/);
    const [low, high] = span ? span.slice(1).map((end) => (end.trim() === "" ? NaN : Number(end))) : [];
    if (span) return (value) => value != null && !(value < low) && !(value > high);
    const [, sign, number] = wanted.match(/^(<=|>=|<|>|=)?\s*(.*)$/);
    const limit = Number(number);
    if (number === "" || Number.isNaN(limit)) return () => sign !== undefined && number === "";
    const [digits, power] = number.split("e");
    const half = 0.5 * 10 ** (Number(power || 0) - (digits.split(".")[1] || "").length);
    const tests = {
      "<=": (value) => value <= limit, ">=": (value) => value >= limit, "<": (value) => value < limit,
      ">": (value) => value > limit, "=": (value) => value === limit,
    };
    const test = tests[sign] || ((value) => Math.abs(value - limit) <= half * (1 + 1e-9));
    return (value) => value != null && test(value);
  }

  class FilterBox {
    init({ column }) {
      const name = column.getColId();
      this.input = make("input", { value: state.where[name] || "", placeholder: "filter" });
      this.input.dataset.filter = name;
      this.input.setAttribute("aria-label", `${column.getColDef().headerName} filter`);
      this.input.title = table.kinds[name] !== "text" ? "<=0.1  >5  1e-4..1e-2  0.1" : "a part of it, =all of it, !not";
      this.input.addEventListener("input", () => {
        state.where = { ...state.where, [name]: this.input.value };
        filtered();
        keepTable();
      });
    }
    getGui() { return this.input; }
    onParentModelChanged() {}
  }

  function filtered() {
    table.tests = Object.entries(state.where)
      .filter(([name, text]) => text && name in table.columns)
      .map(([name, text]) => [table.columns[name], matcher(text, table.kinds[name] !== "text")]);
    table.api?.onFilterChanged();
  }

  // What stands in the boxes is what filters, also where a link or the way back changed that.
  function refilter() {
    if (!table?.api || table.study !== state.study) return;
    for (const box of table.element.querySelectorAll("[data-filter]")) box.value = state.where[box.dataset.filter] || "";
    filtered();
  }

  const keepTable = () => history.replaceState(null, "", address(state));

  // Which columns are shown; those of the table's beginning are the measured numbers and what matters most.
  function chooser() {
    const menu = byId("columns");
    if (!menu || !table?.api) return;
    const hidden = new Set(state.hide.split(","));
    menu.replaceChildren(...Object.keys(table.columns).filter((name) => name !== "number").map((name) => {
      const button = make("button", { type: "button", className: "toggle", textContent: table.labels[name] });
      button.dataset.column = name;
      press(button, !hidden.has(name));
      return button;
    }));
  }

  function showColumn(button) {
    press(button, !pressed(button));
    const hidden = [...byId("columns").children].filter((each) => !pressed(each)).map((each) => each.dataset.column);
    state.hide = hidden.join(",");
    keepTable();
    table.api.setColumnsVisible([button.dataset.column], pressed(button));
  }

  function column(name, kind, label) {
    const isNumber = kind !== "text";
    const by = state.sort || table.order;
    return {
      colId: name,
      valueGetter: ({ data }) => table.columns[name][data.at],
      headerName: label,
      wrapHeaderText: true,
      autoHeaderHeight: true,
      filter: "agTextColumnFilter",  // what is typed is tested by `matcher`
      floatingFilter: true,
      floatingFilterComponent: FilterBox,
      suppressFloatingFilterButton: true,
      suppressHeaderFilterButton: true,
      hide: state.hide.split(",").includes(name),
      sort: by.replace(/^-/, "") === name ? (by[0] === "-" ? "desc" : "asc") : null,
      sortable: true,
      resizable: true,
      width: name === "number" ? 76 : name === "state" ? 92 : name === "reason" ? 320 : Math.max(isNumber ? 112 : 124, 36 + 8 * Math.max(...label.split(" ").map((word) => word.length))),
      pinned: name === "number" && window.innerWidth > 600 ? "left" : null,
      type: isNumber && name !== "number" ? "rightAligned" : undefined,
      tooltipValueGetter: name === "reason" ? ({ value }) => value : undefined,
      valueFormatter: isNumber ? (cell) => (cell.value == null ? "–" : shown(cell.value, kind === "setting" || name === "number")) : undefined,
      cellClass: name === "number" ? "link" : name === "state" ? ({ value }) => `state ${value}` : undefined,
      comparator: isNumber ? (a, b) => (a == null) - (b == null) || a - b : undefined,
    };
  }

  function grid(element) {
    byId("offscreen").append(element);  // where it has a size before its page is shown
    return window.agGrid.createGrid(element, {
      getRowId: ({ data }) => data.id,
      rowSelection: { mode: "multiRow", selectAll: "filtered", enableClickSelection: false },
      animateRows: false,
      rowHeight: 28,
      floatingFiltersHeight: 32,
      enableCellTextSelection: true,
      ensureDomOrder: true,
      maintainColumnOrder: true,
      tooltipShowDelay: 300,
      isExternalFilterPresent: () => table.isOnlySelected || table.tests.length > 0,
      doesExternalFilterPass: (node) =>
        (!table.isOnlySelected || node.isSelected()) && table.tests.every(([values, test]) => test(values[node.data.at])),
      onSortChanged: ({ api, source }) => {
        if (source !== "uiColumnSorted") return;
        const by = api.getColumnState().find((each) => each.sort);
        state.sort = by ? (by.sort === "desc" ? "-" : "") + by.colId : "number";
        keepTable();
      },
      onModelUpdated: tellRows,
      onBodyScrollEnd: ({ api }) => {
        table.top = Math.ceil(api.getVerticalPixelRange().top / api.getSizesForCurrentTheme().rowHeight);
      },
      onSelectionChanged: ({ api, source }) => {
        if (/^(api|rowData|grid)/.test(source)) return;  // not a person's doing
        select(api.getSelectedRows().map((row) => row.number));
      },
      onCellClicked: ({ column, data, event }) => {
        if (column.getColId() === "number") go({ ...state, page: "trial", trial: String(data.number) });
        else if (column.getColId() in table.columns && !String(window.getSelection())) open(data.number);
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
        study: state.study, element: make("div"), api: null, columns: {}, at: new Map(),
        since: 0, digest: "", top: 0, isOnlySelected: false, isWhole: false, tests: [], kinds: {}, labels: {},
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

  function take({ names, kinds, labels, columns, digest, since, order }, first) {
    table.api = table.api || grid(table.element);
    if (table.digest && table.digest !== digest) {
      Object.assign(table, { columns: {}, at: new Map() });
      table.api.setGridOption("rowData", []);
    }
    if (names.some((name) => !(name in table.columns))) {
      names.forEach((name, i) => {
        table.columns[name] = table.columns[name] || [];
        table.kinds[name] = kinds[i];
        table.labels[name] = labels[i];
      });
      table.order = (order[1] ? "" : "-") + order[0];  // the best first
      filtered();
      table.api.setGridOption("columnDefs", names.map((name, i) => column(name, kinds[i], labels[i])));
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
      searchTable();
      filtered();
      chooser();
      press(byId("only-selected"), table.isOnlySelected);
    }
    showSelected();
    tellRows();
  }

  function searchTable() {
    if (byId("search")) set("search", { value: state.q });
    table?.api?.setGridOption("quickFilterText", state.q);
  }

  const shownCount = (count) => count.toLocaleString("en");

  function tellRows() {
    const note = byId("table-state");
    if (!note || !table?.api || table.study !== state.study) return;
    const [all, left] = [table.at.size, table.api.getDisplayedRowCount()];
    note.textContent = !table.isWhole ? "Loading …" : left === all ? `${shownCount(all)} trials` : `${shownCount(left)} of ${shownCount(all)} trials`;
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

  // A figure's points as a table, for those who cannot see it.
  function asTable(button) {
    const plot = button.closest(".card").querySelector(".js-plotly-plot");
    const table = make("table");
    const row = (cells, kind) => table.insertRow().append(...cells.map((cell) => make(kind, { textContent: cell ?? "" })));
    const axis = (name) => plot.layout[name]?.title?.text || "";
    row(["", axis("xaxis") || "x", axis("yaxis") || "y", "trial"], "th");
    for (const trace of plot.data) {
      for (let i = 0; i < Math.min((trace.x || []).length, 400); i++) {
        if (trace.x[i] != null && trace.y?.[i] != null) row([trace.name, trace.x[i], trace.y[i], trialOf({ customdata: trace.customdata?.[i] })], "td");
      }
    }
    const close = make("button", { type: "button", textContent: "close", onclick: () => box.close() });
    const box = dialog("the figure's numbers", close, table);
  }

  // What a spreadsheet would run as a formula is kept as text.
  const harmless = ({ value }) =>
    value == null ? "" : typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(value) && isNaN(value) ? `'${value}` : value;

  // ---- a word when something happens to a study, for who looks elsewhere ----

  const awaited = new Set();  // names of studies
  let noticed = {};  // what the header last said

  async function tellEnd(button) {
    if (!awaited.delete(state.study)) awaited.add(state.study);
    press(button, awaited.has(state.study));
    if (pressed(button) && "Notification" in window) await Notification.requestPermission();
  }

  function statusChanged() {
    const badge = document.querySelector("#status .badge");
    const button = byId("tell-end");
    if (button && pressed(button) !== awaited.has(state.study)) press(button, awaited.has(state.study));
    if (!badge) return;
    const [before, now] = [noticed, { ...badge.dataset }];
    noticed = now;
    if (!awaited.has(now.study)) return;
    const isOver = !badge.classList.contains("running");
    const failures = before.study === now.study ? now.failed - before.failed : 0;
    const isBetter = before.study === now.study && now.best !== before.best;
    if (isOver) awaited.delete(now.study);
    const what = [
      failures > 0 ? `${shownCount(failures)} failed` : "", isBetter ? `new best, trial ${now.best}` : "",
      isOver ? badge.textContent : "",
    ].filter(Boolean).join(", ");
    if (!what) return;
    const audio = new AudioContext();
    const tone = new OscillatorNode(audio, { frequency: 660 });
    tone.connect(new GainNode(audio, { gain: 0.1 })).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.3);
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    new Notification(`${now.study}: ${what}`, { body: badge.parentElement.innerText, tag: now.study });
  }

  // ---- what a person does ----

  const actions = {
    "tell-end": tellEnd,
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
      return follow(at.href, at.matches(".tag"));
    }
    if (actions[at.id]) return actions[at.id](at);
    if (at.dataset.against !== undefined) return against(at);
    if (at.id === "close-panel") return open(null);
    if (at.dataset.column !== undefined) return showColumn(at);
    if (at.dataset.ask !== undefined) return ask(at);
    if (at.dataset.numbers !== undefined) return asTable(at);
    if (at.dataset.copy !== undefined) return copy(at);
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
    for (const open of document.querySelectorAll("details.help[open], details.many[open]")) if (open !== but) open.open = false;
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
    state.q = event.target.value;
    keepTable();
    table.api.setGridOption("quickFilterText", state.q);
  });

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.key === "Escape") {
      closeDetails();
      if (isTyping) return event.target.blur();
      untell();
      return state.open !== null ? open(null) : select([]);
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
    if (byId("help-box")) return byId("help-box").close();
    const list = make("dl");
    for (const [key, text] of HELP) list.append(make("dt", { textContent: key }), make("dd", { textContent: text }));
    const box = dialog("keyboard", list);
    box.id = "help-box";
    box.addEventListener("click", () => box.close());
  }

  // ---- the server may go away ----

  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const waits = () => isPageWritten() && String(request[0]).includes("_dash-update-component") && isTick(request[1] || {});
    const nothing = () => new Response(null, { status: 204 });  // as the server answers where nothing is new
    if (waits()) return nothing();
    try {
      const answer = await plainFetch(...request);
      if (waits()) return nothing();
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
      showPanel();
      const filter = ["data-failed", "data-best", "data-study"];
      new MutationObserver(statusChanged).observe(byId("status"), { childList: true, subtree: true, attributes: true, attributeFilter: filter });
      return route();
    },
    rendered: (rendered) => {
      if (rendered && rendered.rebuild) {
        // The page must be built anew, in the same place.
        set("route", { data: { ...route(), rebuild: rendered.rebuild } });
        return window.dash_clientside.no_update;
      }
      if (rendered && rendered.route) {
        document.documentElement.dataset.shown = address({ open: null, ...rendered.route, sel: "", options: {}, where: {} });
        if (isSameRoute(rendered.route, state)) arrive();
        document.documentElement.dataset.version = rendered.version;
        document.documentElement.dataset.whole = String(rendered.version !== "more");
      }
      if (rendered && rendered.version && rendered.version !== "more") {
        newest = `${rendered.version} ${rendered.log || 0}`;
        followPanel();
      }
      updateShell();
      localTimes();
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
      else if (trials.length && isAdding) toggle(trials[0]);
      else if (trials.length) {
        const { prop_id: from } = context.triggered.find((each) => each.value && each.value.points);
        open(trials[0], byId(`card-${JSON.parse(from.slice(0, from.lastIndexOf("."))).key}`));
      }
      return window.dash_clientside.no_update;
    },
  };

  const idle = window.requestIdleCallback || ((then) => setTimeout(then, 500));

  // The table is there at once when its page is opened: its script, the grid and some rows come before.
  function prepare() {
    const study = state.study;
    if (study === null || table?.study === study) return;
    script(meta("grid-script")).then(() => idle(() => study === state.study && table?.study !== study && fill(FIRST_ROWS))).catch(() => {});
  }
})();
