// Node's ws: what a broadcast and an echo cost there. `npm install` has put ws beside this file's copy.
import { WebSocketServer } from "ws";

const news = process.argv[2];
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 }, () =>
  console.log(server.address().port),
);

server.on("connection", (client) =>
  client.on("message", (data) => {
    const text = data.toString();
    if (!text.startsWith("broadcast ")) return client.send(text);
    for (let times = Number(text.slice("broadcast ".length)); times > 0; times--) {
      const message = Buffer.from(JSON.stringify(JSON.parse(news)));
      for (const each of server.clients) each.send(message, { binary: false });
    }
  }),
);
