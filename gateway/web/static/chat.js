// The chat page, by itself or in a site's frame. A line is kept in the browser's storage until the server has acknowledged it, and goes out one
// after the other, so that none is lost, none comes twice and the order stays. Whatever comes from outside is shown by textContent only.
// Protocol: docs/chat.md.
"use strict";

const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const say = WORDS[lang];
const $ = (id) => document.getElementById(id);
const log = $("log"), text = $("text");
const MAX_LINE = Number($("chat").dataset.maxLineChars), MAX_FILE = Number($("chat").dataset.maxUploadBytes);
const ACK_SECONDS = 15, AGAIN_SECONDS = 3, LONGEST_WAIT_SECONDS = 30, TYPING_SECONDS = 6, SETTINGS_SECONDS = 3;
const framed = window.parent !== window;

// ---- What is kept in the browser. Each line has a key of its own, so that two tabs cannot overwrite each other's. --------------------
let scope = "jiesu.";
const fallback = new Map();
const store = {
  get(key) {
    try { return localStorage.getItem(scope + key); } catch { return fallback.get(key) ?? null; }
  },
  set(key, value) {
    // Storage may be full or forbidden; then the line lives as long as the page.
    try { localStorage.setItem(scope + key, value); } catch { fallback.set(key, value); }
  },
  remove(key) {
    fallback.delete(key);
    try { localStorage.removeItem(scope + key); } catch { /* It was never there. */ }
  },
  lines() {
    const found = [...fallback].filter(([key]) => key.startsWith("line.")).map(([, value]) => value);
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(scope + "line.")) found.push(localStorage.getItem(key));
    } catch { /* Only this page's own, then. */ }
    const whole = (line) => typeof line?.id === "string" && typeof line.text === "string";
    return found.flatMap(parsed).filter(whole).sort((a, b) => a.at - b.at);
  },
};

function parsed(line) {
  try { return [JSON.parse(line)]; } catch { return []; }
}

// ---- The connection: one line in flight at a time, in order. -------------------------------------------------------------------------
let socket = null, welcomed = false, inFlight = null, tries = 0, retryTimer = 0, ackTimer = 0, pauseTimer = 0, token = null;
let settings = { identity: "", estate: "" }, notice = "";

function connect() {
  clearTimeout(retryTimer);
  drop();
  tell(tries ? "away" : "connecting");
  token = store.get("token");
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws/chat`);
  socket = mine;
  const hello = { type: "hello", lang, topics: [...complaints.keys()].filter(Boolean) };
  if (token) hello.token = token;
  if (settings.identity) hello.identity = settings.identity;
  if (settings.estate) hello.estate = settings.estate;
  mine.onopen = () => mine.send(JSON.stringify(hello));
  mine.onmessage = (message) => { for (const event of parsed(message.data)) hear(event); };
  mine.onclose = (close) => lost(close.code);
}

// A dead connection may take minutes to close, so it is forgotten rather than waited for.
function drop() {
  clearTimeout(ackTimer);
  clearTimeout(pauseTimer);
  if (socket) {
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
  if (inFlight) showLine(inFlight, "waiting");
  socket = null;
  welcomed = false;
  inFlight = null;
}

function lost(code) {
  // The frame was too large for the server: the same line again would only break the connection again.
  if (code === 1009 && inFlight) refuse(inFlight, say.tooLong(inFlight.text.length, MAX_LINE));
  drop();
  tell("away");
  const wait = Math.min(LONGEST_WAIT_SECONDS, 2 ** Math.min(tries, 5)) * (0.5 + Math.random() / 2);
  tries += 1;
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, wait * 1000);
}

function send(event) {
  if (welcomed) socket.send(JSON.stringify(event));
}

const heard = {
  welcome,
  ack: acknowledged,
  line: (event) => { follow(event); showLine(event, "received"); offer([], ""); },
  say: said,
  answer: answered,
  status: (event) => { place(event); showStanding(); },
  agent: (event) => { agent = event.name; tell("connected"); },
  typing: () => typing(agent ? `${say.agent(agent)} ${say.writing}` : say.writing, TYPING_SECONDS),
  error: wrong,
};
function hear(event) {
  if (Object.hasOwn(heard, event.type)) heard[event.type](event);
}

function welcome(event) {
  // The site's word on who he is does not hold; why comes next, and his conversation must not be overwritten by a stranger's.
  if (settings.identity && !event.known) return;
  const kept = store.get("token");
  if (kept && kept !== token) {
    // Another tab has begun the conversation meanwhile; this one joins it.
    connect();
    return;
  }
  if (token && token !== event.token) wipe();
  token = event.token;
  store.set("token", token);
  tries = 0;
  welcomed = true;
  agent = event.agent;
  tell("connected");
  calm();
  if (notice) tellWrong(notice);
  for (const line of event.lines) {
    // What the server has need not be sent again, even if its acknowledgement was lost.
    store.remove("line." + line.id);
    follow(line);
  }
  // In the order in which it happened: words of the machine come after what they answer.
  const everything = [...event.lines.map((line) => ["line", line]), ...event.told.map((one) => [one.kind, one])];
  everything.sort(([, a], [, b]) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  for (const [kind, one] of everything) {
    if (kind === "line") showLine(one, "received");
    else showTold(kind, one, false);
  }
  for (const one of event.complaints) place(one);
  if (event.complaints.length && !store.lines().length) current = event.topic;
  const open = event.told.filter((one) => one.asks && one.asks === event.asked).at(-1);
  offer(open?.replies ?? [], open?.asks ?? "");
  showStanding();
  if (event.complaints.length) toParent({ jiesu: "used" });
  seen();
  pump();
}

function pump() {
  clearTimeout(pauseTimer);
  if (!welcomed || inFlight) return;
  [inFlight = null] = store.lines();
  if (!inFlight) return;
  showLine(inFlight, "sending");
  const line = { type: "message", id: inFlight.id, text: inFlight.text };
  if (typeof inFlight.topic === "string") line.topic = inFlight.topic;
  socket.send(JSON.stringify(line));
  ackTimer = setTimeout(() => lost(0), ACK_SECONDS * 1000);
}

function acknowledged(event) {
  const line = inFlight?.id === event.id ? inFlight : { id: event.id, text: "" };
  settled(event.id);
  calm();
  showLine(line, "received");
  follow(event);
  if (line.topic === current) current = event.topic;
  showStanding();
  toParent({ jiesu: "used" });
  if (!agent) typing(`${say.machine} ${say.writing}`, 4);
  pump();
}

function settled(id) {
  store.remove("line." + id);
  if (inFlight?.id === id) {
    clearTimeout(ackTimer);
    inFlight = null;
  }
}

function wrong(event) {
  const sentence = event[lang] || event.code;
  if (["bad_identity", "identity_expired"].includes(event.code)) {
    notice = sentence;
    settings.identity = "";
    scope = "jiesu.";
    clean();
    connect();
    return;
  }
  if (["try_later", "too_fast", "too_many_new"].includes(event.code)) {
    tellWrong(sentence);
    clearTimeout(ackTimer);
    inFlight = null;
    pauseTimer = setTimeout(pump, AGAIN_SECONDS * 1000 * (event.code === "too_many_new" ? 20 : 1));
  } else if (event.id && inFlight?.id === event.id) {
    refuse(inFlight, sentence);
    pump();
  } else {
    tellWrong(sentence);
  }
}

// A line that the server will never take goes back into the box, where its writer can mend it.
function refuse(line, sentence) {
  settled(line.id);
  showLine(line, "refused");
  if (!text.value.trim()) text.value = line.text;
  keepDraft();
  tellWrong(sentence, true);
}

// ---- Complaints: a talk may have several, each with its number. --------------------------------------------------------------------------
const complaints = new Map();
let current = "", agent = "";

function follow(event) {
  if (typeof event.number === "string") place({ ...complaints.get(event.topic), topic: event.topic, number: event.number });
}

function place(standing) {
  complaints.set(standing.topic, { ...complaints.get(standing.topic), ...standing });
}

function nextTopic() {
  for (let n = 2; ; n++) if (!complaints.has(String(n))) return String(n);
}

function showStanding() {
  const numbered = [...complaints.values()].filter((one) => one.number);
  const here = complaints.get(current) ?? {};
  $("standing").hidden = !numbered.length;
  $("another").hidden = $("forget").hidden = !numbered.length;
  $("complaints").hidden = numbered.length < 2 && (here.number || !numbered.length);
  const buttons = numbered.map((one) => {
    const button = element("button", "", one.number);
    button.type = "button";
    button.setAttribute("aria-pressed", String(one.topic === current));
    button.addEventListener("click", () => { current = one.topic; showStanding(); });
    return button;
  });
  if (!here.number && numbered.length) {
    const button = element("button", "", say.fresh);
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    buttons.push(button);
  }
  const focused = [...$("complaints").children].indexOf(document.activeElement);
  $("complaints").replaceChildren(...buttons);
  if (focused >= 0) buttons[focused]?.focus();
  document.querySelector(".number").hidden = $("steps").hidden = !here.number;
  if (!here.number) return;
  if ($("number").textContent !== here.number) $("number").textContent = here.number;
  const sorted = Boolean(here.class);
  const names = say.steps(sorted ? (lang === "en" && here.department_en) || here.department : "");
  if (here.review) names[1] = say.confirming;
  const at = sorted ? (here.review ? 1 : Math.max(here.step, 1) + (here.step < 3 ? 1 : 0)) : 1;
  $("steps").replaceChildren(...names.map((name, n) => {
    const step = element("li", n < at || here.step === 3 ? "done" : "", name);
    if (n === at || (n === 3 && here.step === 3)) step.setAttribute("aria-current", "step");
    return step;
  }));
}

// ---- What is shown. --------------------------------------------------------------------------------------------------------------------
let unread = 0, lastAnswer = 0;

function tell(state) {
  const place_ = $("connection"), words = state === "connected" && agent ? say.withAgent(agent) : say[state];
  place_.className = state;
  if (place_.textContent !== words) place_.textContent = words;
}

function tellWrong(sentence, invalid = false) {
  $("wrong").textContent = sentence;
  text.setAttribute("aria-invalid", String(invalid));
}

// What was said of the connection no longer holds; what was said of the text in the box does.
function calm() {
  if (text.getAttribute("aria-invalid") !== "true") tellWrong("");
}

let typingTimer = 0;
function typing(words, seconds) {
  clearTimeout(typingTimer);
  $("typing").hidden = !words;
  $("typing-text").textContent = words;
  if (words) typingTimer = setTimeout(() => typing(""), seconds * 1000);
}

function element(name, className, words = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = words;
  return made;
}

function toEnd() {
  log.scrollTop = log.scrollHeight;
}

function append(line, before = null) {
  const follows = atEnd || line.classList.contains("mine");
  log.insertBefore(line, before);
  if (follows) toEnd();
}

function showLine(one, state) {
  let line = document.getElementById("line-" + one.id);
  if (!line) {
    line = element("div", "line mine");
    line.id = "line-" + one.id;
    const words = element("span", "text", (one.file ? "📎 " : "") + one.text);
    words.dir = "auto";
    line.append(words, element("span", "state"));
    // What the server already has stands before what still waits.
    append(line, state === "received" ? log.querySelector(".mine:not(.received)") : null);
  }
  if (line.classList.contains(state)) return;
  line.className = "line mine " + state;
  line.lastChild.textContent = (state === "received" ? "✓ " : "") + say[state];
}

function showTold(kind, one, fresh) {
  if (document.getElementById("told-" + one.id)) return;
  const line = element("div", "line ours" + (kind === "answer" ? " person" : ""));
  line.id = "told-" + one.id;
  if (kind === "answer") {
    line.append(element("span", "by", one.by === "jiesu" ? say.machine : say.agent(one.by)));
    lastAnswer = Math.max(lastAnswer, Number(one.id.slice(1)) || 0);
  }
  const words = element("span", "text", kind === "say" ? one[lang] : one.text);
  words.dir = "auto";
  line.append(words);
  append(line, log.querySelector(".mine:not(.received)"));
  if (fresh && !looking()) count(unread + 1);
}

function said(event) {
  typing("");
  showTold("say", event, true);
  // What is told in between leaves the question that stands open as it is.
  if (event.asks) offer(event.replies, event.asks);
  else if (event.open !== $("replies").dataset.asks) offer([], "");
  if (event.asks === "matter") current = event.topic;
  showStanding();
}

function answered(event) {
  typing("");
  showTold("answer", event, true);
  seen();
}

// Quick replies stand beside the text box, which stays free.
function offer(replies, asks) {
  const buttons = replies.map(([zh, en]) => {
    const button = element("button", "", lang === "zh" ? zh : en);
    button.type = "button";
    button.addEventListener("click", () => { write(button.textContent); text.focus({ preventScroll: true }); });
    return button;
  });
  $("replies").replaceChildren(...buttons);
  $("replies").hidden = !buttons.length;
  $("replies").dataset.asks = asks;
}

// ---- Whether he looks: what is unread is counted, what was shown is told. --------------------------------------------------------------------
let opened = !framed, told = 0;

const looking = () => opened && document.visibilityState === "visible";

function count(n) {
  unread = n;
  toParent({ jiesu: "unread", count: n });
  if (!framed) document.title = (n ? `(${n}) ` : "") + $("title").textContent;
}

function seen() {
  if (!looking()) return;
  if (unread) count(0);
  if (welcomed && lastAnswer > told) {
    told = lastAnswer;
    send({ type: "seen", through: told });
  }
}

// ---- What the customer does. -------------------------------------------------------------------------------------------------------------
// crypto.randomUUID is missing on plain http, so the id is made by hand.
const freshId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function submit() {
  const written = text.value.trim();
  if (!written) return;
  if ([...written].length > MAX_LINE) {
    tellWrong(say.tooLong([...written].length, MAX_LINE), true);
    return;
  }
  text.value = "";
  tellWrong("");
  keepDraft();
  write(written);
}

function write(words) {
  const id = freshId(), last = store.lines().at(-1)?.at ?? 0;
  const line = { id, text: words, at: Math.max(Date.now(), last + 1), topic: current };
  store.set("line." + id, JSON.stringify(line));
  offer([], "");
  showLine(line, "waiting");
  pump();
}

async function upload(file) {
  const most = Math.floor(MAX_FILE / 1048576);
  if (file.size > MAX_FILE) { tellWrong(say.fileTooLarge(file.name, most)); return; }
  const line = { id: freshId(), text: file.name, file: true }, topic = current;
  showLine(line, "sending");
  const query = new URLSearchParams({ id: line.id, name: file.name, topic });
  for (let n = 0; n < 5; n++) {
    try {
      const answer = await fetch(`/chat/uploads?${query}`, { method: "POST", body: file, headers: { Authorization: `Bearer ${token}` } });
      const event = await answer.json().catch(() => ({}));
      if (answer.ok) {
        showLine(line, "received");
        follow({ number: event.number, topic });
        showStanding();
        return;
      }
      if (answer.status !== 503 && answer.status !== 429 && event.code !== "no_talk") {
        showLine(line, "refused");
        tellWrong(event[lang] || event.detail || say.fileLost(file.name));
        return;
      }
    } catch { /* The connection broke; once more. */ }
    showLine(line, "waiting");
    await new Promise((go) => setTimeout(go, AGAIN_SECONDS * 1000));
    showLine(line, "sending");
  }
  showLine(line, "refused");
  tellWrong(say.fileLost(file.name));
}

async function uploadAll(files) {
  for (const file of files) await upload(file);
}

function keepDraft() {
  try { sessionStorage.setItem("jiesu.draft", text.value); } catch { /* It is only a convenience. */ }
}

function clean() {
  drop();
  wipe();
}

function wipe() {
  log.querySelectorAll(".line:not(#greeting)").forEach((line) => line.remove());
  complaints.clear();
  current = agent = "";
  lastAnswer = told = 0;
  offer([], "");
  count(0);
  showStanding();
  tellWrong("");
}

function forget() {
  store.remove("token");
  clean();
  append(element("p", "line ours", say.cleared));
  connect();
  text.focus();
}

async function copyNumber() {
  getSelection().selectAllChildren($("number"));
  try {
    await navigator.clipboard.writeText($("number").textContent);
  } catch {
    // The clipboard is closed to pages on plain http; the old way needs only the selection.
    document.execCommand("copy");
  }
  const button = $("copy"), before = button.textContent;
  if (before === say.copied) return;
  button.textContent = say.copied;
  setTimeout(() => { button.textContent = before; }, 2000);
}

function showEmoji(open) {
  $("emoji").hidden = !open;
  $("smile").setAttribute("aria-expanded", String(open));
  if (open) $("emoji").firstChild.focus();
}

// Whoever has scrolled back to read is left where he is.
let atEnd = true, wroteAt = 0;
function begin() {
  $("form").hidden = false;
  try { text.value = sessionStorage.getItem("jiesu.draft") || ""; } catch { /* None was kept. */ }
  $("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  text.addEventListener("input", () => {
    keepDraft();
    tellWrong("");
    if (Date.now() - wroteAt > 3000) { wroteAt = Date.now(); send({ type: "typing" }); }
  });
  text.addEventListener("keydown", (event) => {
    // While an input method composes, Enter chooses a word (key code 229 is Safari's way to say so).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  text.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) { event.preventDefault(); uploadAll([...event.clipboardData.files]); }
  });
  $("copy").addEventListener("click", copyNumber);
  $("language").addEventListener("click", () => store.set("lang", lang === "zh" ? "en" : "zh"));
  $("attach").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { uploadAll([...$("file").files]); $("file").value = ""; });
  $("smile").addEventListener("click", () => showEmoji($("emoji").hidden));
  $("emoji").replaceChildren(...EMOJI.map((one) => {
    const button = element("button", "plain", one);
    button.type = "button";
    button.addEventListener("click", () => {
      text.setRangeText(one, text.selectionStart, text.selectionEnd, "end");
      keepDraft();
      showEmoji(false);
      text.focus();
    });
    return button;
  }));
  $("another").addEventListener("click", () => {
    current = nextTopic();
    offer([], "");
    append(element("p", "line ours", say.another));
    showStanding();
    text.focus();
  });
  $("forget").addEventListener("click", () => {
    if (store.lines().length) { tellWrong(say.unsent); return; }
    $("confirm-number").textContent = [...complaints.values()].map((one) => one.number).filter(Boolean).join(" ");
    $("confirm").returnValue = "no";
    $("confirm").showModal();
  });
  $("confirm").addEventListener("close", () => { if ($("confirm").returnValue === "yes") forget(); });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || $("confirm").open) return;
    if (!$("emoji").hidden) { showEmoji(false); $("smile").focus(); } else if (framed) toParent({ jiesu: "close" });
  });
  $("close").addEventListener("click", () => toParent({ jiesu: "close" }));
  addEventListener("online", () => { if (!welcomed) connect(); });
  document.addEventListener("visibilitychange", seen);
  // Another tab has begun anew, or has joined: this one follows.
  addEventListener("storage", (event) => {
    if (event.key !== scope + "token" || !event.newValue || event.newValue === token) return;
    clean();
    connect();
  });
  log.addEventListener("scroll", () => { atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80; }, { passive: true });
  new ResizeObserver(() => { if (atEnd) toEnd(); }).observe(log);
  for (const line of store.lines()) showLine(line, "waiting");
  connect();
}

// ---- In a site's frame: the site says who its user is and how it looks, and is told what is unread; nothing else passes. -------------------
let host = "*";
function toParent(message) {
  if (framed) window.parent.postMessage(message, host);
}

function dress(colour) {
  const found = themed(colour, matchMedia("(prefers-color-scheme: dark)").matches);
  if (!found) return;
  document.documentElement.style.setProperty("--accent", found.accent);
  document.documentElement.style.setProperty("--on-accent", found.onAccent);
}

function obey(given, from) {
  host = from;
  const words = (value) => (typeof value === "string" ? value : "");
  settings = { identity: words(given.identity), estate: words(given.estate).slice(0, 60) };
  // Each user of the site has a conversation of his own in this browser.
  const [claims] = settings.identity ? parsed(fromBase64(settings.identity.split(".")[0])) : [];
  if (claims?.id) scope = `jiesu.u.${claims.id}.`;
  if (words(given.title)) $("title").textContent = document.title = given.title.slice(0, 60);
  dress(words(given.colour));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dress(words(given.colour)));
  opened = Boolean(given.open);
}

function fromBase64(said_) {
  try {
    const bytes = Uint8Array.from(atob(said_.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.codePointAt(0));
    return new TextDecoder().decode(bytes);
  } catch { return ""; }
}

function start() {
  const chosen = store.get("lang");
  const asked = new URLSearchParams(location.search).get("lang");
  // The language that was chosen last holds wherever the address does not say another.
  if (!asked && chosen && chosen !== lang) { location.replace("?lang=" + (chosen === "en" ? "en" : "zh")); return; }
  if (!framed) { begin(); return; }
  document.documentElement.classList.add("framed");
  $("close").hidden = false;
  const origins = [location.origin, ...$("chat").dataset.origins.split(" ")];
  let begun = false;
  const once = () => { if (!begun) { begun = true; begin(); } };
  addEventListener("message", (event) => {
    if (event.source !== window.parent || !origins.includes(event.origin) || !event.data) return;
    if (event.data.jiesu === "settings" && !begun) {
      obey(event.data, event.origin);
      once();
      if (opened) text.focus();
    } else if (event.data.jiesu === "open" || event.data.jiesu === "closed") {
      opened = event.data.jiesu === "open";
      seen();
      if (opened) { text.focus(); toEnd(); }
    }
  });
  toParent({ jiesu: "ready" });
  setTimeout(once, SETTINGS_SECONDS * 1000);
}

start();
