// Runs scripts against the official client, unmodified: the carried browser builds, evaluated under Node.
//
// Under Node the client requires packages that Node itself has replaced by now: its own WebSocket, EventSource (which
// sends no headers of one's own) and fetch stand in for `ws`, `eventsource` and `fetch-cookie`, and there are no
// cookies to keep. So nothing has to be installed.
//
// node --experimental-eventsource harness.cjs signalr.js [signalr-protocol-msgpack.js]
//
// Each line of standard input is a JSON object {id, script, url, transport, protocol, patience}, each line of standard
// output the answer {id, said, error}. Scripts run side by side, each with its own:
//   url, transport, protocol, msgpack
//   say(value)                what the test is to see
//   builder(path, options)    begins a connection to url + path; the options may name another transport or protocol;
//                             its warnings are kept for the error
//   open(path, options)       the same, built and started
//   failure(promise)          the message it fails with
//   heard(connection, name)   a function that waits for the next call of this name, and gives its arguments
//   ended(connection)         waits until the connection is closed for good: null, or why
//   returning(connection)     two promises: why it is being reconnected (null, or a message), and its new id
//   items(stream)             waits for the end of a stream: [its items, null or its error]
//   until(condition)          waits for something that no event tells
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const vm = require("node:vm");

class NoCookies {
    getCookies(url, done) { done(null, []); }
    getCookiesSync() { return []; }
    setCookieSync() {}
}
const standIns = {
    "ws": class extends WebSocket {
        constructor(url, protocols, options) { super(url, { protocols: protocols || [], headers: options.headers }); }
    },
    "eventsource": globalThis.EventSource,
    "fetch-cookie": (original) => original,
    "tough-cookie": { CookieJar: NoCookies },
};
globalThis.self = globalThis;
console.log = console.info = console.warn = console.error;  // standard output is for answers
globalThis.require = (name) => standIns[name];
for (const build of process.argv.slice(2)) {
    vm.runInThisContext(fs.readFileSync(build, "utf8"), { filename: build });
}
const signalR = globalThis.signalR;
// A script is a block of its own, so that it may give its variables any name.
const AsyncFunction = Object.getPrototypeOf(async function () {}).constructor;

// JSON has neither bytes nor dates, and the tests want to know them.
function plain(value) {
    if (value === undefined) { return null; }
    if (value instanceof Uint8Array) { return { bytes: Array.from(value) }; }
    if (value instanceof Date) { return { date: value.toISOString() }; }
    if (typeof value === "bigint") { return { bigint: String(value) }; }
    if (Array.isArray(value)) { return value.map(plain); }
    if (value instanceof Error) { return { error: value.message }; }
    if (typeof value === "object" && value !== null) {
        return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
    }
    return value;
}

function toolsOf(request, said, log) {
    const { url, transport, protocol } = request;
    const logger = { log: (level, message) => { if (level >= signalR.LogLevel.Warning) { log.push(message); } } };
    const builder = (path = "", { transport: name = transport, protocol: format = protocol, ...options } = {}) => {
        if (name) { options.transport = typeof name === "string" ? signalR.HttpTransportType[name] : name; }
        const begun = new signalR.HubConnectionBuilder().withUrl(url + path, options).configureLogging(logger);
        return format === "messagepack"
            ? begun.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol()) : begun;
    };
    return {
        signalR, url, transport, protocol, builder,
        say: (value) => { said.push(plain(value)); },
        open: async (path, options) => {
            const connection = builder(path, options).build();
            await connection.start();
            return connection;
        },
        failure: (promise) => promise.then(() => "no failure", (error) => error.message),
        heard: (connection, name) => {
            const waiting = [], calls = [];
            connection.on(name, (...values) => {
                if (waiting.length) { waiting.shift()(values); } else { calls.push(values); }
            });
            return () => calls.length ? Promise.resolve(calls.shift()) : new Promise((done) => waiting.push(done));
        },
        ended: (connection) => new Promise((done) => connection.onclose((error) => done(error ? error.message : null))),
        returning: (connection) => [
            new Promise((done) => connection.onreconnecting((error) => done(error ? error.message : null))),
            new Promise((done) => connection.onreconnected(done)),
        ],
        items: (stream) => new Promise((done) => {
            const received = [];
            stream.subscribe({
                next: (item) => received.push(item),
                error: (error) => done([received, error.message]),
                complete: () => done([received, null]),
            });
        }),
        until: async (condition) => {
            while (!await condition()) { await new Promise((done) => setTimeout(done, 5)); }
        },
    };
}

const patience = (seconds) => new Promise((_, fail) => {
    setTimeout(() => fail(new Error(`The script has not ended after ${seconds} s.`)), seconds * 1000).unref();
});

async function answer(request) {
    const said = [], log = [];
    let error = null;
    try {
        const tools = toolsOf(request, said, log);
        const script = new AsyncFunction(...Object.keys(tools), `{${request.script}\n}`);
        await Promise.race([script(...Object.values(tools)), patience(request.patience)]);
    } catch (failure) {
        error = [String(failure && failure.stack || failure), ...log].join("\n");
    }
    process.stdout.write(JSON.stringify({ id: request.id, said, error }) + "\n");
}

process.on("unhandledRejection", (error) => console.error("unhandled:", error));
readline.createInterface({ input: process.stdin }).on("line", (line) => answer(JSON.parse(line)));
