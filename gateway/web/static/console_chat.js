// The agent's pane of a chat: looks for new lines every two seconds and sends without leaving the page. Without it the page works by reloading.
"use strict";

(() => {
  const talk = document.getElementById("talk"), lines = document.getElementById("lines"), form = document.getElementById("answer");
  const box = document.getElementById("answer-text"), told = document.getElementById("told"), wrong = document.getElementById("wrong");
  const ask = (url, options = {}) => fetch(url, { credentials: "same-origin", redirect: "error", ...options, headers: { "X-Jiesu": "1" } });
  const fresh = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const end = () => { lines.scrollTop = lines.scrollHeight; };
  let shown = "", wroteAt = 0;

  function say(place, words) {
    for (const one of [told, wrong]) one.hidden = one !== place || !words;
    place.textContent = words || "";
  }

  async function look() {
    try {
      const answer = await ask(talk.dataset.lines);
      if (answer.status === 401) { location.assign("/console/sign-in"); return; }
      const page = answer.ok ? await answer.text() : shown;
      if (page === shown) return;
      shown = page;
      const followed = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 80;
      // The server's own page, escaped there.
      lines.innerHTML = page;
      if (followed) end();
    } catch { /* The next look finds it. */ }
  }

  async function send(one) {
    try {
      const answer = await ask(one.action, { method: "POST", body: new URLSearchParams(new FormData(one)) });
      const said = await answer.json();
      if (said.sign_in) { location.assign(said.sign_in); return false; }
      say(answer.ok ? told : wrong, said.said || said.detail);
      await look();
      return answer.ok;
    } catch { return false; }
  }

  form.elements.key.value = fresh();
  for (const one of talk.querySelectorAll("form")) {
    one.addEventListener("submit", async (event) => {
      event.preventDefault();
      // The same key until it has arrived: sent twice it is one line.
      if (await send(one) && one === form) {
        box.value = "";
        form.elements.key.value = fresh();
        end();
      }
    });
  }
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (box.value.trim()) form.requestSubmit();
  });
  box.addEventListener("input", () => {
    if (Date.now() - wroteAt < 3000) return;
    wroteAt = Date.now();
    ask(talk.dataset.typing, { method: "POST", body: new URLSearchParams({ csrf: form.elements.csrf.value }) }).catch(() => 0);
  });
  end();
  setInterval(() => { if (document.visibilityState === "visible") look(); }, 2000);
})();
