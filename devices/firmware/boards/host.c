/*
 * A "board" that is a process of Linux: all of the firmware without an emulator, for tests, sanitizers and a first try.
 *
 *     firmware pty                 a pseudo terminal; its path is printed
 *     firmware unix PATH           one client at a time at a Unix socket
 *     firmware tcp PORT            the same at 127.0.0.1
 *     ... POOL_BYTES               memory of its blocks, default 1 MiB
 */
#define _XOPEN_SOURCE 700
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "firmware.h"
#include "ring.h"

#define POOL_BYTES 1048576l
#define LISTENER_MS 200

board_memory_t board_memory;
ring_t board_ring;

static int listening = -1, line = -1;
static uint8_t outgoing[4096];
static size_t waiting;
static int deaf; /* nobody takes what is sent: a real line would not wait, either */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_pty(void)
{
    struct termios settings;
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0) {
        fail("pty");
    }
    /* An end of our own stays open: with none, reading would fail whenever a client has gone. */
    int end = open(ptsname(line), O_RDWR | O_NOCTTY);
    if (end < 0 || tcgetattr(end, &settings) != 0) {
        fail("pty");
    }
    settings.c_iflag = settings.c_oflag = settings.c_lflag = 0;
    settings.c_cflag = CS8 | CREAD | CLOCAL;
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    if (tcsetattr(end, TCSANOW, &settings) != 0) {
        fail("pty");
    }
    printf("%s\n", ptsname(line));
}

static void listen_at(const char *path, int port)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1, bound;
    listening = socket(path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    if (path != NULL) {
        strncpy(local.sun_path, path, sizeof local.sun_path - 1);
        unlink(path);
        bound = bind(listening, (struct sockaddr *)&local, sizeof local);
    } else {
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        bound = bind(listening, (struct sockaddr *)&loopback, sizeof loopback);
    }
    if (bound != 0 || listen(listening, 1) != 0) {
        fail("listen");
    }
    if (path != NULL) {
        printf("unix://%s\n", path);
    } else {
        socklen_t size = sizeof loopback;
        getsockname(listening, (struct sockaddr *)&loopback, &size);
        printf("socket://127.0.0.1:%d\n", ntohs(loopback.sin_port));
    }
}

static void flush(void)
{
    size_t sent = 0;
    while (line >= 0 && sent < waiting) {
        struct pollfd wanted = {.fd = line, .events = POLLOUT};
        if (poll(&wanted, 1, deaf ? 0 : LISTENER_MS) != 1 || !(wanted.revents & POLLOUT)) {
            deaf = 1;
            break;
        }
        deaf = 0;
        ssize_t count = write(line, outgoing + sent, waiting - sent);
        if (count <= 0) {
            break;
        }
        sent += (size_t)count;
    }
    waiting = 0;
}

/* Take what has come, waiting for something if asked to. */
static void receive(int wait)
{
    uint8_t bytes[BOARD_RING_BYTES];
    struct pollfd wanted = {.fd = line >= 0 ? line : listening, .events = POLLIN};
    if (poll(&wanted, 1, wait ? -1 : 0) != 1) {
        return;
    }
    if (line < 0) {
        int yes = 1;
        line = accept(listening, NULL, NULL);
        setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        return;
    }
    ssize_t count = read(line, bytes, sizeof bytes);
    for (ssize_t i = 0; i < count; i++) {
        ring_put(bytes[i]);
    }
    if (count <= 0 && listening >= 0) { /* the client has gone: wait for the next */
        close(line);
        line = -1;
    }
}

void board_init(void)
{
}

int board_getc(int wait)
{
    int byte = ring_take();
    if (byte < 0) {
        flush();
        receive(wait);
        byte = ring_take();
    }
    return byte;
}

void board_putc(uint8_t byte)
{
    outgoing[waiting++] = byte;
    if (waiting == sizeof outgoing || byte == 0) {
        flush();
    }
}

uint32_t board_micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}

uint32_t board_stack_used(void)
{
    return 0; /* the system grows it */
}

int main(int count, char **words)
{
    long pool_bytes = POOL_BYTES;
    int with_place = count >= 3 && strcmp(words[1], "pty") != 0, sized = with_place ? 4 : 3;
    if (count == sized) {
        pool_bytes = strtol(words[sized - 1], NULL, 10);
    }
    if (count < 2 || count > sized || pool_bytes < 4096 || pool_bytes > 0x7FFFFFF0l) {
        fprintf(stderr, "usage: firmware pty | unix PATH | tcp PORT  [POOL_BYTES]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    board_memory.pool = calloc(1, (size_t)pool_bytes);
    board_memory.pool_bytes = board_memory.pool != NULL ? (uint32_t)pool_bytes : 0;
    board_memory.stack_bytes = 0;
    if (with_place) {
        listen_at(strcmp(words[1], "unix") == 0 ? words[2] : NULL, (int)strtol(words[2], NULL, 10));
    } else {
        open_pty();
    }
    fflush(stdout);
    firmware();
}
