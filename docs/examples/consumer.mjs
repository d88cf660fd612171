// A consumer in Node: verifies what jiesu sends with the official package, keeps one ticket for one key.
// npm ci && JIESU_SECRET=whsec_… node consumer.mjs 8200
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.JIESU_SECRET);
const seen = new Set();
const tickets = new Map();

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const answer = (status, text) => response.writeHead(status, { "content-type": "text/plain" }).end(text);
    let event;
    try {
      event = webhook.verify(Buffer.concat(chunks).toString("utf8"), request.headers);
    } catch {
      return answer(401, "not truly signed");
    }
    const id = request.headers["webhook-id"];
    if (!seen.has(id) && event.data.idempotency_key) {
      tickets.set(event.data.idempotency_key, event.data);
    }
    seen.add(id);
    console.log(JSON.stringify({ id, type: event.type, number: event.data.number, tickets: tickets.size }));
    return answer(200, "ok");
  });
});

server.listen(Number(process.argv[2] ?? 8200), "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
