/* serve.c - an HTTP server on loopback that misbehaves as it is told, for the tests of pull.
 *
 *     serve FILE BEHAVIOUR...
 *
 * Writes its port to ./port, then answers one request with each BEHAVIOUR in turn and ends; each
 * request's range goes to ./asked as a line. With "head:TEXT" before it, the next answer carries
 * that header line. whole        the file, or the range asked for while If-Range is "v1" newer the
 * file under the validator "v2" norange      the file, whatever was asked for cut:N        N bytes
 * of the answer, then the connection ends stall:N      N bytes, then nothing until the other side
 * has gone slow:N       the answer in pieces of N bytes, 20 a second damaged      the file with its
 * first byte changed lying        as whole, but a range begins where it was not asked to endless
 * the file without its length huge         says that 1 TiB is to come CODE         that status and
 * a page of text to:ADDRESS   a redirect there; "@" stands for this server
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct request {
    char text[8192];
    const char *range, *if_range; /* NULL: not sent */
    size_t from;
} request;

static char *file;
static size_t file_size;
static unsigned port;
static char extra[256];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static bool send_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

static const char *header(char *text, const char *name)
{
    const size_t n = strlen(name);
    for (char *line = strstr(text, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0) return line + 2 + n;
    return NULL;
}

static bool read_request(int fd, request *r)
{
    size_t n = 0;
    while (n + 1 < sizeof r->text) {
        const ssize_t got = recv(fd, r->text + n, sizeof r->text - 1 - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        r->text[n] = '\0';
        if (r->text[0] == 0x16) return true; /* TLS: answered in plain text, it is none */
        if (strstr(r->text, "\r\n\r\n")) break;
    }
    r->range = header(r->text, "Range: bytes=");
    r->if_range = header(r->text, "If-Range: ");
    r->from = r->range ? strtoull(r->range, NULL, 10) : 0;
    FILE *log = fopen("asked", "a");
    if (!log) die("asked");
    if (r->range)
        fprintf(log, "from %zu%s\n", r->from, r->if_range ? " if unchanged" : "");
    else
        fputs("all\n", log);
    fclose(log);
    return true;
}

/* The head of an answer with the file from a byte on. */
static void send_head(int fd, bool ranged, size_t from, const char *etag)
{
    char head[1024], place[128] = "";
    if (ranged)
        snprintf(place, sizeof place, "Content-Range: bytes %zu-%zu/%zu\r\n", from, file_size - 1,
                 file_size);
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%sETag: \"%s\"\r\n%sConnection: close\r\n\r\n",
             ranged ? "206 Partial Content" : "200 OK", file_size - from, place, etag, extra);
    send_all(fd, head, strlen(head));
}

static void send_text(int fd, const char *status, const char *line)
{
    char text[2048];
    snprintf(text, sizeof text,
             "HTTP/1.1 %s\r\n%s%sContent-Length: 5\r\nConnection: close\r\n\r\nwords", status, line,
             extra);
    send_all(fd, text, strlen(text));
}

static void wait_for_end(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) continue;
}

static void redirect(int fd, const char *to)
{
    char line[1024];
    if (*to == '@')
        snprintf(line, sizeof line, "Location: http://127.0.0.1:%u%s\r\n", port, to + 1);
    else
        snprintf(line, sizeof line, "Location: %s\r\n", to);
    send_text(fd, "302 Found", line);
}

static void answer_file(int fd, const request *r, const char *behaviour)
{
    const char *colon = strchr(behaviour, ':');
    const bool newer = strcmp(behaviour, "newer") == 0, lying = strcmp(behaviour, "lying") == 0;
    const bool same = !r->if_range || strncmp(r->if_range, newer ? "\"v2\"" : "\"v1\"", 4) == 0;
    const bool ranged = r->range && same && strcmp(behaviour, "norange") != 0;
    const size_t from = ranged ? r->from - (lying && r->from > 0) : 0;
    size_t n = file_size - from;
    if (from > file_size) {
        send_text(fd, "416 Range Not Satisfiable", "");
        return;
    }
    send_head(fd, ranged, from, newer ? "v2" : "v1");
    if (strncmp(behaviour, "slow:", 5) == 0) {
        const size_t piece = strtoull(colon + 1, NULL, 10);
        for (size_t at = from; at < file_size; at += piece) {
            usleep(50000);
            if (!send_all(fd, file + at, file_size - at < piece ? file_size - at : piece)) return;
        }
        return;
    }
    const size_t limit = colon ? strtoull(colon + 1, NULL, 10) : n;
    if (limit < n) n = limit;
    if (strcmp(behaviour, "damaged") == 0 && n > 0) {
        char first = (char)(file[from] ^ 1);
        send_all(fd, &first, 1);
        send_all(fd, file + from + 1, n - 1);
    } else {
        send_all(fd, file + from, n);
    }
    if (strncmp(behaviour, "stall:", 6) == 0) wait_for_end(fd);
}

static void answer(int fd, const char *behaviour)
{
    request r;
    if (!read_request(fd, &r)) return;
    if (strncmp(behaviour, "to:", 3) == 0) {
        redirect(fd, behaviour + 3);
    } else if (behaviour[0] >= '1' && behaviour[0] <= '9') {
        char status[64];
        snprintf(status, sizeof status, "%s Whatever", behaviour);
        send_text(fd, status, "");
    } else if (strcmp(behaviour, "endless") == 0) {
        const char *head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        send_all(fd, head, strlen(head));
        send_all(fd, file, file_size);
    } else if (strcmp(behaviour, "huge") == 0) {
        const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nword";
        send_all(fd, head, strlen(head));
    } else {
        answer_file(fd, &r, behaviour);
    }
}

static void load(const char *path)
{
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0) die(path);
    file_size = (size_t)ftell(in);
    rewind(in);
    file = malloc(file_size + 1);
    if (!file || fread(file, 1, file_size, in) != file_size) die(path);
    fclose(in);
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 8) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        die("loopback");
    port = ntohs(address.sin_port);
    FILE *out = fopen("port.new", "w");
    if (!out || fprintf(out, "%u\n", port) < 0 || fclose(out) != 0 ||
        rename("port.new", "port") != 0)
        die("port");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    alarm(60); /* a test that goes wrong leaves nobody waiting */
    load(argv[1]);
    const int fd = listen_on_loopback();
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "head:", 5) == 0) {
            snprintf(extra, sizeof extra, "%s\r\n", argv[i] + 5);
            continue;
        }
        const int client = accept(fd, NULL, NULL);
        if (client < 0) die("accept");
        answer(client, argv[i]);
        extra[0] = '\0';
        shutdown(client, SHUT_WR);
        if (strncmp(argv[i], "cut:", 4) != 0) wait_for_end(client); /* what was sent arrives */
        close(client);
    }
    free(file);
    return 0;
}
