// A consumer in Node: verifies what jiesu sends with the official package, keeps one ticket for one key.
// npm ci && JIESU_SECRET=whsec_… node consumer.mjs 8200
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.JIESU_SECRET);
const carryATicket = new Set(["complaint.routed", "complaint.rerouted", "complaint.updated", "complaint.reopened"]);
const statuses = { "complaint.closed": "closed", "complaint.reopened": "open" };
const seen = new Set();
const tickets = new Map();

// In your program: seen and tickets in one transaction of your database.
function keep(id, { type, data } = {}) {
  const key = data?.idempotency_key;
  if (!seen.has(id)) {
    if (carryATicket.has(type)) tickets.set(key, { ...data, status: tickets.get(key)?.status ?? "open" });
    if (type in statuses && tickets.has(key)) tickets.get(key).status = statuses[type];
    if (type === "complaint.erased") tickets.delete(key);
  }
  seen.add(id);
  return { id, type, number: data?.number, tickets: tickets.size, title: tickets.get(key)?.title, status: tickets.get(key)?.status };
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const answer = (status, text) => response.writeHead(status, { "content-type": "text/plain" }).end(text);
    let event;
    try {
      event = webhook.verify(Buffer.concat(chunks).toString("utf8"), request.headers);
    } catch {
      // Whatever is wrong with it: no signature, a header that is none, or too old.
      return answer(401, "not truly signed");
    }
    // Node spells the names of headers in small letters, however they came.
    console.log(JSON.stringify(keep(request.headers["webhook-id"], event)));
    return answer(200, "ok");
  });
});

server.listen(Number(process.argv[2] ?? 8200), "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
