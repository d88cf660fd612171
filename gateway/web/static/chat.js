// The chat page. A line is kept in the browser's storage until the server has acknowledged it, and goes out one after the other, so that
// none is lost, none comes twice and the order stays. Whatever comes from outside is shown by textContent only. Protocol: docs/chat.md.
"use strict";

const WORDS = {
  zh: {
    sending: "发送中", received: "已收到", refused: "未发送", waiting: "等待发送",
    connecting: "正在连接…", connected: "已连接", away: "连接已中断。您写的内容会保留，恢复后自动发送。",
    tooLong: (n, most) => `这一条有 ${n} 个字，请分几条发送，每条不超过 ${most} 个字。`,
    unsent: "还有内容没有送达，请等送达后再开始新的投诉。",
    taken: (number) => `已收到，编号 ${number}。我们会尽快转交责任部门，您可以继续补充。`,
    routed: (to, within) => `已转交${to}，${within}与您联系。`,
    review: (within) => `客服专员正在确认类别，${within}与您联系。`,
    within: (hours) => (hours ? `将在 ${hours} 小时内` : "会尽快"),
    steps: (to) => ["已收到", to ? `已转交${to}` : "转交责任部门", "与您联系"], confirming: "客服专员确认类别",
    copied: "已复制", started: "可以写下新的投诉了。",
  },
  en: {
    sending: "Sending", received: "Received", refused: "Not sent", waiting: "Waiting to be sent",
    connecting: "Connecting…", connected: "Connected", away: "The connection is lost. What you write is kept and sent as soon as it is back.",
    tooLong: (n, most) => `This line has ${n} characters; please send it in parts of ${most} at most.`,
    unsent: "Something has not been delivered yet. Please wait for that before you start a new complaint.",
    taken: (number) => `Received, number ${number}. We will pass it to the department in charge; you may add to it.`,
    routed: (to, within) => `Passed to: ${to}. They will contact you ${within}.`,
    review: (within) => `A customer service agent is confirming the category and will contact you ${within}.`,
    within: (hours) => (hours ? `within ${hours} ${hours === 1 ? "hour" : "hours"}` : "as soon as possible"),
    steps: (to) => ["Received", to ? `Passed to: ${to}` : "Pass to department", "We contact you"], confirming: "Category is confirmed",
    copied: "Copied", started: "You can write the new complaint now.",
  },
};
const lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const say = WORDS[lang];
const $ = (id) => document.getElementById(id);
const log = $("log"), text = $("text");
const MAX_LINE = Number($("chat").dataset.maxLineChars);
const ACK_SECONDS = 15, AGAIN_SECONDS = 3, LONGEST_WAIT_SECONDS = 30;

// ---- What is kept in the browser. Each line has a key of its own, so that two tabs cannot overwrite each other's. --------------------
const fallback = new Map();
const store = {
  get(key) {
    try { return localStorage.getItem("jiesu." + key); } catch { return fallback.get(key) ?? null; }
  },
  set(key, value) {
    // Storage may be full or forbidden; then the line lives as long as the page.
    try { localStorage.setItem("jiesu." + key, value); } catch { fallback.set(key, value); }
  },
  remove(key) {
    fallback.delete(key);
    try { localStorage.removeItem("jiesu." + key); } catch { /* It was never there. */ }
  },
  lines() {
    const found = [...fallback].filter(([key]) => key.startsWith("line.")).map(([, value]) => value);
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith("jiesu.line.")) found.push(localStorage.getItem(key));
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

function connect() {
  clearTimeout(retryTimer);
  drop();
  tell(tries ? "away" : "connecting");
  token = store.get("token");
  const mine = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws/chat`);
  socket = mine;
  mine.onopen = () => mine.send(JSON.stringify(token ? { type: "hello", token } : { type: "hello" }));
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
  if (inFlight) showLine(inFlight.id, inFlight.text, "waiting");
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

function hear(event) {
  if (event.type === "welcome") welcome(event);
  else if (event.type === "ack") acknowledged(event);
  else if (event.type === "status") showStatus(event);
  else if (event.type === "error") wrong(event);
}

function welcome(event) {
  const kept = store.get("token");
  if (kept && kept !== token) {
    // Another tab has begun the conversation meanwhile; this one joins it.
    connect();
    return;
  }
  token = event.token;
  store.set("token", token);
  tries = 0;
  welcomed = true;
  tell("connected");
  calm();
  for (const line of event.lines) {
    // What the server has need not be sent again, even if its acknowledgement was lost.
    store.remove("line." + line.id);
    showLine(line.id, line.text, "received");
  }
  pump();
}

function pump() {
  clearTimeout(pauseTimer);
  if (!welcomed || inFlight) return;
  [inFlight = null] = store.lines();
  if (!inFlight) return;
  showLine(inFlight.id, inFlight.text, "sending");
  socket.send(JSON.stringify({ type: "message", id: inFlight.id, text: inFlight.text }));
  ackTimer = setTimeout(() => lost(0), ACK_SECONDS * 1000);
}

function acknowledged(event) {
  settled(event.id);
  calm();
  showLine(event.id, "", "received");
  if (store.get("number") !== event.number) {
    store.set("number", event.number);
    showNumber(event.number, say.taken(event.number));
  }
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
  if (event.code === "try_later" || event.code === "too_fast") {
    tellWrong(sentence);
    clearTimeout(ackTimer);
    inFlight = null;
    pauseTimer = setTimeout(pump, AGAIN_SECONDS * 1000);
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
  showLine(line.id, line.text, "refused");
  if (!text.value.trim()) text.value = line.text;
  keepDraft();
  tellWrong(sentence, true);
}

// ---- What is shown. --------------------------------------------------------------------------------------------------------------------
function tell(state) {
  const place = $("connection");
  place.className = state;
  if (place.textContent !== say[state]) place.textContent = say[state];
}

function tellWrong(sentence, invalid = false) {
  $("wrong").textContent = sentence;
  text.setAttribute("aria-invalid", String(invalid));
}

// What was said of the connection no longer holds; what was said of the text in the box does.
function calm() {
  if (text.getAttribute("aria-invalid") !== "true") tellWrong("");
}

function showLine(id, said, state) {
  let line = document.getElementById("line-" + id);
  if (!line) {
    line = element("div", "line mine");
    line.id = "line-" + id;
    const words = element("span", "text", said);
    words.dir = "auto";
    line.append(words, element("span", "state"));
    // What the server already has stands before what still waits.
    log.insertBefore(line, state === "received" ? log.querySelector(".mine:not(.received), #told") : null);
    log.scrollTop = log.scrollHeight;
  }
  if (line.classList.contains(state)) return;
  line.className = "line mine " + state;
  line.lastChild.textContent = (state === "received" ? "✓ " : "") + say[state];
}

function element(name, className, words = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = words;
  return made;
}

function showNumber(number, sentence) {
  $("standing").hidden = $("another").hidden = false;
  $("number").textContent = number;
  showSteps("", 1, false);
  if (sentence) answer(sentence);
}

function showSteps(to, current, review) {
  const names = say.steps(to);
  if (review) names[1] = say.confirming;
  $("steps").replaceChildren(...names.map((name, n) => {
    const step = element("li", n < current ? "done" : "", name);
    if (n === current) step.setAttribute("aria-current", "step");
    return step;
  }));
}

// The machine's last word stands at the end; an older one would no longer be true.
function answer(sentence) {
  if ($("told")?.textContent === sentence) return;
  $("told")?.remove();
  const told = element("p", "line ours", sentence);
  told.id = "told";
  log.append(told);
  log.scrollTop = log.scrollHeight;
}

function showStatus(event) {
  const to = (lang === "en" && event.department_en) || event.department;
  // A quarter of an hour is allowed for, so that a clock that goes a little wrong does not make 25 hours of 24.
  const hours = Math.ceil((Date.parse(event.reply_due) - Date.now()) / 3_600_000 - 0.25);
  const within = say.within(hours >= 1 ? hours : 0);
  store.set("number", event.number);
  showNumber(event.number);
  showSteps(to, event.review ? 1 : 2, event.review);
  answer(event.review ? say.review(within) : say.routed(to, within));
}

// ---- What the customer does. -------------------------------------------------------------------------------------------------------------
function submit() {
  const said = text.value.trim();
  if (!said) return;
  if ([...said].length > MAX_LINE) {
    tellWrong(say.tooLong([...said].length, MAX_LINE), true);
    return;
  }
  // crypto.randomUUID is missing on plain http, so the id is made by hand.
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const last = store.lines().at(-1)?.at ?? 0;
  store.set("line." + id, JSON.stringify({ id, text: said, at: Math.max(Date.now(), last + 1) }));
  text.value = "";
  tellWrong("");
  keepDraft();
  showLine(id, said, "waiting");
  pump();
}

function keepDraft() {
  try { sessionStorage.setItem("jiesu.draft", text.value); } catch { /* It is only a convenience. */ }
}

function startAnew() {
  store.remove("token");
  store.remove("number");
  clean();
  answer(say.started);
  connect();
  text.focus();
}

function clean() {
  drop();
  log.querySelectorAll(".mine, #told").forEach((line) => line.remove());
  $("standing").hidden = $("another").hidden = true;
  tellWrong("");
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

function begin() {
  $("form").hidden = false;
  try { text.value = sessionStorage.getItem("jiesu.draft") || ""; } catch { /* None was kept. */ }
  $("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  text.addEventListener("input", () => { keepDraft(); tellWrong(""); });
  text.addEventListener("keydown", (event) => {
    // While an input method composes, Enter chooses a word (key code 229 is Safari's way to say so).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  $("copy").addEventListener("click", copyNumber);
  $("language").addEventListener("click", () => store.set("lang", lang === "zh" ? "en" : "zh"));
  $("another").addEventListener("click", () => {
    if (store.lines().length) { tellWrong(say.unsent); return; }
    $("confirm-number").textContent = $("number").textContent;
    $("confirm").returnValue = "no";
    $("confirm").showModal();
  });
  $("confirm").addEventListener("close", () => { if ($("confirm").returnValue === "yes") startAnew(); });
  addEventListener("online", () => { if (!welcomed) connect(); });
  // Another tab has begun a new complaint, or has joined: this one follows.
  addEventListener("storage", (event) => {
    if (event.key !== "jiesu.token" || !event.newValue || event.newValue === token) return;
    clean();
    connect();
  });
  const number = store.get("number");
  if (number) showNumber(number);
  for (const line of store.lines()) showLine(line.id, line.text, "waiting");
  connect();
}

const chosen = store.get("lang");
const asked = new URLSearchParams(location.search).get("lang");
// The language that was chosen last holds wherever the address does not say another.
if (!asked && chosen && chosen !== lang) location.replace("?lang=" + (chosen === "en" ? "en" : "zh"));
else begin();
