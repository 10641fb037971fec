// A page that uses the types of the hubs in test_typescript.py: `tsc` accepts each line, and refuses each line below
// `@ts-expect-error`.
import { HubConnectionBuilder, Subject } from "@microsoft/signalr";
import type { ChatConnection, ForDotnetConnection, OddConnection } from "./hubs";

export async function chat() {
    const chat = new HubConnectionBuilder().withUrl("/chat").build() as unknown as ChatConnection;
    await chat.start();
    chat.on("said", (text, at) => { const both: [string, string] = [text, at]; return both; });
    chat.on("name", async () => "Ann");
    chat.on("left", (who, ...others) => { const all: (string | undefined)[] = [who, ...others]; return all; });
    chat.off("said");
    await chat.send("say", "hello", 2);
    await chat.invoke("say", "hello");
    const found: Record<string, { unit_price: string }[]> = await chat.invoke("find", { page: 1 }, "a", "b");
    const [left, right]: [number, boolean] = await chat.invoke("pair", [1, "x"], "a", "AQI=");
    const sum: number = await chat.invoke("upload", "numbers", new Subject<number>());
    chat.stream("count", 3).subscribe({
        next: node => { const color: "red" | "blue" = node.children[0].color; return color; },
        complete() {},
        error() {},
    });
    // @ts-expect-error there is no such method
    await chat.invoke("shout", "hello");
    // @ts-expect-error text is needed
    await chat.invoke("say", 1);
    // @ts-expect-error an argument is missing
    await chat.send("find");
    // @ts-expect-error it answers with a stream
    await chat.invoke("count", 3);
    // @ts-expect-error it answers with none
    chat.stream("say", "hello");
    // @ts-expect-error the hub does not call that
    chat.on("gone", () => {});
    // @ts-expect-error it is called with text
    chat.on("said", (text: number) => text);
    return [found, left, right, sum];
}

export async function odd(odd: OddConnection, dotnet: ForDotnetConnection) {
    const paid: { inside: string } = await odd.invoke("new", "1.10", 3, "2026-01-01");
    const bill = await odd.invoke("constructor", { net_price: "1.10" }, { y: { a: { x: 1 } } });
    odd.on("whatever", (anything) => anything);
    const gross: string | undefined = bill.gross_price;
    const price: number = (await dotnet.invoke("bill", { netPrice: 1.1, NOTE: "given" })).netPrice;
    // @ts-expect-error it is computed
    bill.gross_price = "2.20";
    // @ts-expect-error as .NET's clients have it
    await dotnet.invoke("bill", { net_price: 1.1, NOTE: "" });
    return [paid, gross, price];
}
