"use strict";
// Copy buttons, printing and live arrival; every page works without this file.

function addCopyButtons() {
  for (const block of document.querySelectorAll("main pre:not(.message)")) {
    const frame = document.createElement("div");
    frame.className = "copyable";
    block.replaceWith(frame);
    frame.append(block, copyButton(block, "copy"));
  }
  // The one-line commands that check and load a change.
  for (const code of document.querySelectorAll(".paper li > p:not([class]) > b:first-child + code:last-child")) {
    code.after(" ", copyButton(code, "copy beside"));
  }
}

function copyButton(source, className) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.textContent = "Copy";
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
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  button.focus();
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
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

const SHOWN_LIMIT = 200;

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
    this.list.prepend(this.row(report));
    while (this.list.children.length > SHOWN_LIMIT) this.list.lastElementChild.remove();
  }

  row(report) {
    const row = this.template.cloneNode(true);
    const part = (name) => row.querySelector(`[data-of=${name}]`);
    row.id = "r-" + report.uid;
    row.className = `row new p-${report.priority.toLowerCase()}`;
    for (const name of ["priority", "rule", "output", "host", "namespace"]) part(name).textContent = report[name];
    part("rule").setAttribute("href", "reports/" + report.uid);
    part("time").dateTime = report.time;
    part("time").textContent = report.time.slice(0, 19).replace("T", " ") + " UTC";
    return row;
  }
}

addCopyButtons();
addPrintButton();
const list = document.getElementById("reports");
if (list) new LiveList(list);
