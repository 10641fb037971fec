// @microsoft/signalr 10.0.11, MIT (LICENSE.txt beside the scripts that asgi_signalr carries).
export declare const VERSION = "10.0.11";
