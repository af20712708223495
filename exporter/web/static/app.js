"use strict";
// Copy buttons, printing and live arrival; every page works without this file.

function addCopyButtons() {
  for (const block of document.querySelectorAll("main pre[data-copy]")) {
    const frame = document.createElement("div");
    frame.className = "copyable";
    block.replaceWith(frame);
    frame.append(block, copyButton(block));
  }
}

function copyButton(source) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy " + source.dataset.copy);
  button.addEventListener("click", () => copy(source.textContent.replace(/\n$/, ""), button));
  return button;
}

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyBySelection(text); // over plain HTTP there is no clipboard object
  }
  const name = button.getAttribute("aria-label");
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  button.removeAttribute("aria-label"); // what it says now is its name
  button.focus();
  setTimeout(() => {
    button.textContent = "Copy";
    button.setAttribute("aria-label", name);
  }, 2000);
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

function addPrintButton() {
  const button = document.getElementById("print");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Folded sections are printed whole, and folded again afterwards.
function unfoldForPrint() {
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")];
    for (const part of folded) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });
}

// A link to a folded section unfolds it; browsers that do so themselves lose nothing.
function unfoldTarget() {
  const found = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const part = found && found.closest("details");
  if (part) part.open = true;
}

const SHOWN_LIMIT = 200;
const EARLIER_LIMIT = 20;

class LiveList {
  constructor(list) {
    this.list = list;
    this.cursor = list.dataset.cursor;
    this.template = document.getElementById("row").content.firstElementChild;
    this.frame = document.getElementById("live");
    this.state = document.getElementById("live-state");
    this.button = document.getElementById("live-toggle");
    this.frame.hidden = false;
    this.button.addEventListener("click", () => (this.stream ? this.pause() : this.resume()));
    this.resume();
  }

  resume() {
    const address = new URL("reports/live", document.baseURI);
    address.search = window.location.search;
    address.searchParams.set("after", this.cursor);
    this.stream = new EventSource(address);
    this.stream.addEventListener("open", () => this.show("yes", "Live"));
    this.stream.addEventListener("error", () => this.show("no", "Connection lost, trying again"));
    this.stream.addEventListener("report", (event) => this.add(event));
    this.button.textContent = "Pause";
  }

  pause() {
    this.stream.close();
    this.stream = null;
    this.show("", "Paused");
    this.button.textContent = "Resume";
  }

  show(on, text) {
    this.frame.dataset.on = on;
    if (this.state.textContent !== text) this.state.textContent = text;
  }

  add(event) {
    this.cursor = event.lastEventId;
    const report = JSON.parse(event.data);
    if (document.getElementById("r-" + report.uid)) return;
    document.getElementById("empty").hidden = true;
    const before = [...this.list.children].find((row) => row.dataset.group === report.group);
    this.list.prepend(this.row(report, before));
    if (before) before.remove();
    while (this.list.children.length > SHOWN_LIMIT) this.list.lastElementChild.remove();
  }

  // The row of a report; of one that repeats it takes over the earlier ones.
  row(report, before) {
    const row = this.template.cloneNode(true);
    const part = (name) => row.querySelector(`[data-of=${name}]`);
    row.id = "r-" + report.uid;
    row.className = `row new v-${report.verdict} p-${report.priority.toLowerCase()}`;
    row.dataset.group = report.group;
    for (const name of ["verdict_words", "priority", "rule", "summary", "place"]) part(name).textContent = report[name];
    part("host").textContent = report.host === report.place ? "" : report.host;
    part("rule").setAttribute("href", "reports/" + report.uid);
    part("time").replaceChildren(moment(report.time));
    if (before) {
      const times = Number(before.querySelector("[data-of=times]").textContent.slice(1)) + 1;
      part("times").textContent = "×" + times;
      part("times").hidden = false;
      const earlier = before.querySelector(".earlier");
      const link = document.createElement("a");
      link.setAttribute("href", before.querySelector("[data-of=rule]").getAttribute("href"));
      link.append(before.querySelector("[data-of=time] time"));
      const item = document.createElement("li");
      item.append(link);
      const list = earlier.querySelector("ol");
      list.prepend(item);
      while (list.children.length > EARLIER_LIMIT) list.lastElementChild.remove();
      earlier.hidden = false;
      row.querySelector(".earlier").replaceWith(earlier);
    }
    return row;
  }
}

// Pages that grow are loaded again when they changed, unless somebody is selecting text.
// The policy of trusted types lets no script put HTML into a page.
const REFRESH_MS = 3000;

async function refresh() {
  const version = document.querySelector("[data-version]")?.dataset.version;
  if (!version) return;
  if (!document.hidden && !String(window.getSelection())) {
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !(await answer.text()).includes('data-version="' + version + '"')) {
        window.location.reload();
        return;
      }
    } catch {
      // The exporter is away; the next try may find it.
    }
  }
  setTimeout(refresh, REFRESH_MS);
}

function moment(text) {
  const time = document.createElement("time");
  time.dateTime = text;
  time.textContent = text.slice(0, 19).replace("T", " ") + " UTC";
  return time;
}

addCopyButtons();
addPrintButton();
unfoldForPrint();
unfoldTarget();
window.addEventListener("hashchange", unfoldTarget);
const filter = document.getElementById("filter");
// After Back a browser fills the fields in again; the list is that of the address.
if (filter) window.addEventListener("pageshow", () => filter.reset());
const list = document.getElementById("reports");
if (list && list.dataset.page === "1") new LiveList(list);
setTimeout(refresh, REFRESH_MS);
