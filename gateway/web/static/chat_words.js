// The words of the chat page, and the colour that a site may give it.
"use strict";

const WORDS = {
  zh: {
    sending: "发送中", received: "已收到", refused: "未发送", waiting: "等待发送",
    connecting: "正在连接…", connected: "已连接", away: "连接已中断。您写的内容会保留，恢复后自动发送。",
    tooLong: (n, most) => `这一条有 ${n} 个字，请分几条发送，每条不超过 ${most} 个字。`,
    steps: (to) => ["已收到", to ? `已转交${to}` : "转交责任部门", "处理中", "已答复"], confirming: "客服专员确认类别",
    copied: "已复制", cleared: "已清除。可以写下新的投诉了。", another: "请写下另一件事：发生了什么？它会有自己的编号。",
    unsent: "还有内容没有送达，请稍等。", writing: "正在输入", machine: "自动受理程序", agent: (name) => `客服专员 ${name}`,
    withAgent: (name) => `客服专员 ${name} 正在与您对话`, fresh: "新的投诉",
    fileTooLarge: (name, most) => `“${name}”超过 ${most} MB，未发送。`, fileLost: (name) => `“${name}”没有送达，请重新选择。`,
  },
  en: {
    sending: "Sending", received: "Received", refused: "Not sent", waiting: "Waiting to be sent",
    connecting: "Connecting…", connected: "Connected", away: "The connection is lost. What you write is kept and sent as soon as it is back.",
    tooLong: (n, most) => `This line has ${n} characters; please send it in parts of ${most} at most.`,
    steps: (to) => ["Received", to ? `Passed to: ${to}` : "Pass to department", "Being handled", "Answered"], confirming: "Category is confirmed",
    copied: "Copied", cleared: "Cleared. You can write a new complaint now.", another: "Please write the other matter; it gets a number of its own.",
    unsent: "Something has not been delivered yet; please wait.", writing: "is writing", machine: "The machine", agent: (name) => `Agent ${name}`,
    withAgent: (name) => `${name} of customer service is with you`, fresh: "New complaint",
    fileTooLarge: (name, most) => `“${name}” is larger than ${most} MB and was not sent.`, fileLost: (name) => `“${name}” was not delivered; please choose it again.`,
  },
};
const EMOJI = "🙂 😊 🙏 👍 👌 👎 😟 😢 😡 😔 🤔 ❓ ❗ ✅ ❌ 🏠 🔧 💧 ⚡ 🔥 🛗 🚗 📷 📄".split(" ");

// A site's colour, as text and as ground, at the contrast that WCAG 2.2 (1.4.3) wants in light and dark.
function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}
function themed(hex, dark) {
  if (!/^#[0-9a-f]{6}$/i.test(hex)) return null;
  const rgb = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const to = dark ? 255 : 0, grounds = dark ? [[25, 30, 38], [15, 19, 24]] : [[255, 255, 255], [238, 240, 244]];
  let mixed = rgb;
  for (let part = 0; part <= 20 && grounds.some((ground) => contrast(mixed, ground) < 4.6); part++) {
    mixed = rgb.map((v) => Math.round(v + ((to - v) * part) / 20));
  }
  const onIt = contrast(mixed, [255, 255, 255]) >= contrast(mixed, [0, 0, 0]) ? "#fff" : "#000";
  return { accent: `rgb(${mixed.join(", ")})`, onAccent: onIt };
}
