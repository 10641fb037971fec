// Runs a script against the official client, unmodified: the carried browser build, evaluated under Node.
//
// Under Node the client requires packages that Node itself has replaced by now: its own WebSocket and fetch stand in
// for `ws` and `fetch-cookie`, and there are no cookies to keep. So nothing has to be installed.
//
// node client.cjs signalr.js URL: the script comes by standard input. It gets `signalR`, `url`, `say`, which prints a
// line of JSON, and `builder(path)`, which begins a connection that logs to standard error.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");

class NoCookies {
    getCookies(url, done) { done(null, []); }
    getCookiesSync() { return []; }
    setCookieSync() {}
}
const stand_ins = {
    "ws": class extends WebSocket {
        constructor(url, protocols, options) { super(url, { protocols: protocols || [], headers: options.headers }); }
    },
    "eventsource": undefined,
    "fetch-cookie": (original) => original,
    "tough-cookie": { CookieJar: NoCookies },
};

const [, , build, url] = process.argv;
globalThis.self = globalThis;
globalThis.require = (name) => stand_ins[name];
vm.runInThisContext(fs.readFileSync(build, "utf8"), { filename: build });

const signalR = globalThis.signalR;
const say = (value) => console.log(JSON.stringify(value === undefined ? null : value));
const log = { log: (level, message) => { if (level >= signalR.LogLevel.Warning) console.error(message); } };
const builder = (path = "") => new signalR.HubConnectionBuilder().withUrl(url + path).configureLogging(log);

const AsyncFunction = Object.getPrototypeOf(async function () {}).constructor;
const script = new AsyncFunction("signalR", "builder", "url", "say", fs.readFileSync(0, "utf8"));
script(signalR, builder, url, say).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
