// 接诉 jiesu: puts the chat onto any page by one tag. It makes one element, whose shadow root holds a button and a frame of our own origin;
// the page's styles and scripts do not reach into either. Nothing here relies on what a page may have changed. Protocol: docs/chat.md.
(function () {
  "use strict";
  var tag = document.currentScript;
  if (!tag || document.querySelector("jiesu-chat")) return;
  var data = tag.dataset, home = new URL(tag.src).origin, phone = "(max-width: 480px), (max-height: 480px)";
  var zh = data.lang ? data.lang.toLowerCase() !== "en" : !/^en/i.test(document.documentElement.lang || navigator.language || "zh");
  var words = zh
    ? { open: "在线投诉", close: "关闭对话", unread: " 条未读" }
    : { open: "Complaints", close: "Close the chat", unread: " unread" };
  var title = data.title || words.open;

  // Written so that no rule of the page can undo it.
  function pin(element, styles) {
    for (var name in styles) element.style.setProperty(name, styles[name], "important");
  }
  var host = document.createElement("jiesu-chat");
  pin(host, { all: "initial", display: "block", position: "fixed", "z-index": "2147483000", bottom: "0", right: "0", width: "0", height: "0",
    visibility: "visible", opacity: "1", transform: "none", filter: "none", "pointer-events": "auto" });
  var root = host.attachShadow({ mode: "open" });

  var colour = /^#[0-9a-f]{6}$/i.test(data.color || data.colour || "") ? data.color || data.colour : "#1f5fbf";
  function luminance(hex) {
    var sum = 0, weight = [0.2126, 0.7152, 0.0722];
    for (var n = 0; n < 3; n++) {
      var v = parseInt(hex.substr(1 + 2 * n, 2), 16) / 255;
      sum += weight[n] * (v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
  }
  // Of black and white one always stands out from the colour by 4.5 (WCAG 2.2, 1.4.3).
  var ink = luminance(colour) > 0.179 ? "#000" : "#fff";
  var side = data.side === "left" ? "left" : "right";
  var css =
    ":host{color-scheme:light dark}*{box-sizing:border-box}" +
    "button{position:fixed;bottom:20px;" + side + ":20px;width:56px;height:56px;border:0;border-radius:28px;cursor:pointer;padding:0;" +
    "background:" + colour + ";color:" + ink + ";box-shadow:0 2px 10px rgba(0,0,0,.35);font:600 14px/1.4 system-ui,sans-serif}" +
    "button:focus-visible{outline:3px solid " + ink + ";box-shadow:0 0 0 6px " + colour + "}" +
    "svg{display:block;width:28px;height:28px;margin:auto}" +
    ".badge{position:absolute;top:-4px;right:-4px;min-width:22px;padding:1px 5px;border-radius:11px;background:#b3261e;color:#fff}" +
    ".badge[hidden],.panel[hidden]{display:none}" +
    ".panel{position:fixed;bottom:88px;" + side + ":20px;width:360px;height:560px;max-height:calc(100vh - 108px);border-radius:12px;" +
    "overflow:hidden;box-shadow:0 4px 24px rgba(0,0,0,.35);background:Canvas}" +
    "iframe{display:block;border:0;width:100%;height:100%}" +
    "@media " + phone + "{.panel{inset:0;width:auto;height:auto;max-height:none;border-radius:0}.open{display:none}}" +
    "@media print{button,.panel{display:none}}";
  try {
    var sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
  } catch (_) {
    var style = document.createElement("style");
    style.textContent = css;
    root.appendChild(style);
  }

  function svg(name, attributes) {
    var made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (var key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  }
  var button = document.createElement("button"), badge = document.createElement("span"), panel = document.createElement("div");
  var icon = svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  icon.appendChild(svg("path", { fill: "currentColor", d: "M4 3h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-8l-5 4v-4H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm3 5v2h10V8zm0 4v2h7v-2z" }));
  button.type = "button";
  badge.className = "badge";
  badge.hidden = true;
  badge.setAttribute("aria-hidden", "true");
  panel.className = "panel";
  panel.hidden = true;
  button.appendChild(icon);
  button.appendChild(badge);
  root.appendChild(panel);
  root.appendChild(button);

  var frame = null, ready = false, opened = false, unread = 0;
  function label() {
    button.setAttribute("aria-label", opened ? words.close : title + (unread ? (zh ? "，" : ", ") + unread + words.unread : ""));
    button.setAttribute("aria-expanded", String(opened));
    button.className = opened ? "open" : "";
    badge.hidden = opened || !unread;
    badge.textContent = unread > 9 ? "9+" : String(unread);
  }
  function tell(message) {
    if (frame && ready) frame.contentWindow.postMessage(message, home);
  }
  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = title;
    frame.allow = "clipboard-write";
    frame.referrerPolicy = "no-referrer";
    frame.src = home + "/chat?lang=" + (zh ? "zh" : "en");
    panel.appendChild(frame);
  }
  function show(open) {
    opened = open;
    load();
    panel.hidden = !open;
    label();
    tell({ jiesu: open ? "open" : "closed" });
    if (open) frame.focus();
    else button.focus();
  }
  button.addEventListener("click", function () { show(!opened); });
  root.addEventListener("keydown", function (event) { if (event.key === "Escape" && opened) show(false); });
  window.addEventListener("message", function (event) {
    if (!frame || event.source !== frame.contentWindow || event.origin !== home || !event.data) return;
    switch (event.data.jiesu) {
      case "ready":
        ready = true;
        tell({ jiesu: "settings", title: title, colour: data.color || data.colour ? colour : "", estate: data.estate || "",
          identity: data.identity || "", open: opened });
        break;
      case "close": show(false); break;
      case "unread": unread = Number(event.data.count) || 0; label(); break;
      case "used": try { localStorage.setItem("jiesu.used", "1"); } catch (_) { /* It is only a convenience. */ } break;
    }
  });
  label();
  (document.body || document.documentElement).appendChild(host);
  // Whoever has complained before is told of answers without opening it.
  var used = null;
  try { used = localStorage.getItem("jiesu.used"); } catch (_) { /* Then it is loaded when it is opened. */ }
  if (used || data.open === "true") load();
  if (data.open === "true") show(true);
})();
