// Runs a script against the official client, unmodified: the carried browser build, evaluated under Node.
//
// Under Node the client requires packages that Node itself has replaced by now: its own WebSocket and fetch stand in
// for `ws` and `fetch-cookie`, and there are no cookies to keep. So nothing has to be installed.
//
// node client.cjs signalr.js script.js URL: the script gets `signalR`, `url` and `say`, which prints a line of JSON.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");

class NoCookies {
    getCookies(url, done) { done(null, []); }
    getCookiesSync() { return []; }
    setCookieSync() {}
}
const stand_ins = {
    "ws": WebSocket,
    "eventsource": undefined,
    "fetch-cookie": (original) => original,
    "tough-cookie": { CookieJar: NoCookies },
};

const [, , build, script, url] = process.argv;
globalThis.self = globalThis;
globalThis.require = (name) => stand_ins[name];
vm.runInThisContext(fs.readFileSync(build, "utf8"), { filename: build });

const say = (value) => console.log(JSON.stringify(value === undefined ? null : value));
const body = new (Object.getPrototypeOf(async function () {}).constructor)("signalR", "url", "say", fs.readFileSync(script, "utf8"));
body(globalThis.signalR, url, say).catch((error) => { console.error(error); process.exitCode = 1; });
