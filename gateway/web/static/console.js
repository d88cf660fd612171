// The console's keys and its sliding in. Without it every page works as a plain page with forms; what it shows comes from the server as
// HTML that was escaped there, or goes in by textContent. Keys: docs/console.md.
"use strict";

const $ = (id) => document.getElementById(id);
const ask = (url, options = {}) => fetch(url, { credentials: "same-origin", redirect: "error", ...options, headers: { "X-Jiesu": "1", ...options.headers } });
const desk = $("desk"), list = $("list"), item = $("item");
let busy = false;

function tell(words, wrong = false) {
  const [shown, other] = wrong ? [$("wrong"), $("told")] : [$("told"), $("wrong")];
  other.hidden = true;
  shown.hidden = !words;
  shown.textContent = words || "";
  // Over the page, so that nothing moves under the finger; a mistake stays until the next word.
  shown.classList.add("toast");
  clearTimeout(tell.later);
  if (!wrong) tell.later = setTimeout(() => { shown.hidden = true; }, 6000);
}

// What the server answers to a form that a script sent: JSON, or nothing where it could not be reached or said no.
async function send(form, extra) {
  const fields = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(extra || {})) fields.set(name, value);
  try {
    const answer = await ask(form.action, { method: "POST", body: fields });
    const told = await answer.json();
    if (told.sign_in) location.assign(told.sign_in);
    else if (answer.ok) return told;
    else tell(told.said || told.detail, true);
    return answer.status === 409 ? { again: true } : null;
  } catch {
    tell($("words")?.dataset.offline, true);
    return null;
  }
}

// ---- The list and what is open from it. ----------------------------------------------------------------------------------------------
const rows = () => [...list.querySelectorAll(".row")];
const current = () => list.querySelector(".row[aria-current]");

async function open(row, { focus = true, choose = true } = {}) {
  for (const one of rows()) one.removeAttribute("aria-current");
  if (!row) {
    item.replaceChildren();
    item.hidden = true;
    desk.classList.remove("chosen");
    return;
  }
  row.setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
  const url = new URL(row.href);
  const wanted = row.dataset.number;
  try {
    const answer = await ask(`/console/complaints/${encodeURIComponent(wanted)}/item${without(url, "open")}`);
    if (answer.status === 401) { location.assign("/console/sign-in"); return; }
    if (!answer.ok) { tell((await answer.json()).said, true); return; }
    const page = await answer.text();
    if (current()?.dataset.number !== wanted) return;
    // The server's own page, escaped there.
    item.innerHTML = page;
  } catch {
    tell($("words").dataset.offline, true);
    return;
  }
  item.hidden = false;
  if (choose) desk.classList.add("chosen");
  history.replaceState(null, "", row.href);
  if (focus) item.focus({ preventScroll: true });
  if (choose && matchMedia("(max-width: 860px)").matches) scrollTo(0, 0);
}

function without(url, name) {
  const left = new URLSearchParams(url.search);
  left.delete(name);
  return left.size ? `?${left}` : "";
}

async function move(by) {
  const all = rows(), place = all.indexOf(current());
  const to = all[place < 0 ? 0 : place + by];
  if (to) await open(to);
  else if (by > 0 && (await further())) await open(rows()[place + 1]);
}

// The next page is put behind this one, so that clearing a long queue never stops.
async function further() {
  const more = $("more");
  if (!more) return false;
  try {
    const answer = await ask(more.href);
    if (!answer.ok) return false;
    const page = document.createElement("template");
    page.innerHTML = await answer.text();
    const known = new Set(rows().map((row) => row.dataset.number));
    for (const row of page.content.querySelectorAll(".row")) if (known.has(row.dataset.number)) row.closest("li").remove();
    more.closest("li").remove();
    list.append(page.content);
    return true;
  } catch {
    return false;
  }
}

function count(told) {
  $("left").querySelector("b").textContent = told.left;
  $("undo").hidden = !told.undo;
  $("undo-label").textContent = told.undo;
  tell(told.said);
}

async function decide(klass) {
  const form = item?.querySelector(".decide");
  if (busy || !form) return;
  busy = true;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  const told = await send(form, { class: klass });
  busy = false;
  const row = current();
  if (told?.again) { if (row) await open(row); return; }
  if (!told) {
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    return;
  }
  const next = rows()[rows().indexOf(row) + 1] || rows()[rows().indexOf(row) - 1];
  // In a list of everything it stays, decided.
  if (row && !new URL(location.href).searchParams.get("show")) row.closest("li").remove();
  count(told);
  if (rows().length < 10) await further();
  const to = next?.isConnected ? next : rows()[0];
  if (!to) {
    $("empty").hidden = false;
    tell(`${told.said} ${$("words").dataset.done}`);
  }
  await open(to, { choose: desk.classList.contains("chosen") });
}

async function undo() {
  const form = $("undo");
  if (busy || form.hidden) return;
  busy = true;
  const told = await send(form);
  busy = false;
  if (!told || told.again) return;
  count(told);
  // It stands where it stood, and is opened again.
  const url = new URL(location.href);
  url.searchParams.set("open", told.open);
  location.assign(url);
}

function note() {
  const box = item.querySelector(".note");
  if (!box) return;
  box.open = true;
  box.querySelector("textarea").focus();
}

const KEYS = {
  u: undo, s: () => move(1), n: note, j: () => move(1), k: () => move(-1),
  Enter: () => { const whole = $("whole"); if (whole) location.assign(whole.href); },
  "/": () => { $("search").focus(); $("search").select(); },
  "?": () => ($("keys").open ? $("keys").close() : $("keys").showModal()),
};

function typing(target) {
  return target.closest("input, select, textarea, [contenteditable]");
}

if (desk) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && typing(event.target)) { event.target.blur(); item.focus(); return; }
    if (typing(event.target)) return;
    // Enter on a link or button is that link's or button's own.
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    if ($("keys").open && event.key !== "?") return;
    const choice = /^[1-5]$/.test(event.key) ? item.querySelectorAll(".choice")[Number(event.key) - 1] : null;
    if (choice) { event.preventDefault(); if (!event.repeat) decide(choice.value); return; }
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || "jk".includes(event.key)) action();
  });
  list.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const row = event.target.closest(".row"), more = event.target.closest("#more");
    if (row) { event.preventDefault(); open(row); }
    else if (more) { event.preventDefault(); further(); }
  });
  item.addEventListener("click", (event) => {
    const choice = event.target.closest(".choice");
    if (choice) { event.preventDefault(); decide(choice.value); }
    else if (event.target.closest("#skip")) { event.preventDefault(); move(1); }
    else if (event.target.closest(".to-list")) { event.preventDefault(); desk.classList.remove("chosen"); current()?.focus(); }
  });
  $("undo").addEventListener("submit", (event) => { event.preventDefault(); undo(); });
  $("show-keys").addEventListener("click", KEYS["?"]);
}

// ---- Whatever else a page asks for. --------------------------------------------------------------------------------------------------
for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}
// A part of a page that renews itself while something is under way: `data-once` until it is there, else for as long as the page is open.
for (const live of document.querySelectorAll("[data-live]")) {
  const isOpen = () => live.querySelector("[data-open]")?.dataset.open;
  const look = async () => {
    const was = isOpen();
    try {
      const answer = await ask(live.dataset.live);
      if (answer.status === 401) return;
      if (answer.ok) live.innerHTML = await answer.text();
    } catch { /* The next look may succeed. */ }
    if ("once" in live.dataset) {
      if (isOpen() !== "0") setTimeout(look, 2000);
    } else if (was && isOpen() && was !== isOpen()) {
      // It has begun or ended: the page has news elsewhere.
      location.reload();
    } else {
      setTimeout(look, isOpen() === "1" ? 1000 : 10_000);
    }
  };
  setTimeout(look, "once" in live.dataset ? 0 : 1000);
}
