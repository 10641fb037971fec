/* The floor: a WebSocket server that writes a ready frame to each client, one write() each, and does nothing else.

   It answers the opening handshake (RFC 6455, section 4.2.2) and reads frames that clients send whole: `broadcast N`
   sends N messages to everybody; anything else is echoed. It is a measure, not a server: errors end it. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 20000
#define ROUNDED(x, n) (((x) << (n)) | ((x) >> (32 - (n))))

static int clients[MOST], number_of_clients;
static char is_open[65536];

/* SHA-1 of one short text (RFC 3174): only the handshake needs it. */
static void sha1(const char *text, size_t size, unsigned char out[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    unsigned char data[128] = {0};
    memcpy(data, text, size);
    data[size] = 0x80;
    size_t total = size + 9 > 64 ? 128 : 64;
    for (int i = 0; i < 8; i++) data[total - 1 - i] = (unsigned char)((uint64_t)size * 8 >> (8 * i));
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) { uint32_t v; memcpy(&v, data + at + 4 * i, 4); w[i] = ntohl(v); }
        for (int i = 16; i < 80; i++) { uint32_t v = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]; w[i] = ROUNDED(v, 1); }
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20) { f = (b & c) | (~b & d); k = 0x5A827999; }
            else if (i < 40) { f = b ^ c ^ d; k = 0x6ED9EBA1; }
            else if (i < 60) { f = (b & c) | (b & d) | (c & d); k = 0x8F1BBCDC; }
            else { f = b ^ c ^ d; k = 0xCA62C1D6; }
            uint32_t next = ROUNDED(a, 5) + f + e + k + w[i];
            e = d; d = c; c = ROUNDED(b, 30); b = a; a = next;
        }
        h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e;
    }
    for (int i = 0; i < 5; i++) { uint32_t v = htonl(h[i]); memcpy(out + 4 * i, &v, 4); }
}

static void base64(const unsigned char in[20], char out[29]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char data[21] = {0};
    memcpy(data, in, 20);
    for (int i = 0; i < 7; i++) {
        uint32_t v = data[3 * i] << 16 | data[3 * i + 1] << 8 | data[3 * i + 2];
        for (int j = 0; j < 4; j++) out[4 * i + j] = digits[v >> (18 - 6 * j) & 63];
    }
    out[27] = '=';
    out[28] = 0;
}

static void write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t written = write(fd, data, size);
        if (written > 0) { data += written; size -= (size_t)written; }
        else if (written < 0) return; /* gone, or too slow for a measure */
    }
}

static void welcome(int fd, const char *request) {
    const char *key = strcasestr(request, "sec-websocket-key:");
    if (!key) exit(2);
    key += strlen("sec-websocket-key:");
    while (*key == ' ') key++;
    char text[128], accept[29], answer[256];
    unsigned char digest[20];
    int size = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(text, (size_t)size, digest);
    base64(digest, accept);
    size = snprintf(answer, sizeof answer,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    write_all(fd, answer, (size_t)size);
    clients[number_of_clients++] = fd;
    is_open[fd] = 1;
}

static size_t framed(char *out, const char *data, size_t size) {
    size_t head = 2;
    out[0] = (char)0x81;
    if (size < 126) out[1] = (char)size;
    else { out[1] = 126; out[2] = (char)(size >> 8); out[3] = (char)size; head = 4; }
    memcpy(out + head, data, size);
    return head + size;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2; /* the message of a broadcast */
    static char news[65536 + 4], data[65536], echo[65536 + 4];
    size_t news_size = framed(news, argv[1], strlen(argv[1]));
    int listener = socket(AF_INET, SOCK_STREAM, 0), loop = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) return 2;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[512];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(loop, ready, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                fd = accept(listener, NULL, NULL);
                event.data.fd = fd;
                epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t size = read(fd, data, sizeof data - 1);
            if (size <= 0) {
                for (int j = 0; j < number_of_clients; j++)
                    if (clients[j] == fd) clients[j] = clients[--number_of_clients];
                is_open[fd] = 0;
                close(fd);
                continue;
            }
            data[size] = 0;
            if (!is_open[fd]) { welcome(fd, data); continue; }
            for (char *at = data; at + 6 <= data + size;) {
                size_t said = at[1] & 127;
                if (said > 125) exit(2);
                char *mask = at + 2, *text = at + 6;
                for (size_t j = 0; j < said; j++) text[j] ^= mask[j % 4];
                at = text + said;
                if (said > 10 && !memcmp(text, "broadcast ", 10)) {
                    for (long times = strtol(text + 10, NULL, 10); times > 0; times--)
                        for (int j = 0; j < number_of_clients; j++) write_all(clients[j], news, news_size);
                } else write_all(fd, echo, framed(echo, text, said));
            }
        }
    }
}
