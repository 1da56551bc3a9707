/* fetch.c - downloading through libcurl; the only file that may include <curl/...>. */
#include "importer/fetch.h"
#include "importer/partial.h"

#include <curl/curl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define MAX_REDIRECTS   10
#define CONNECT_SECONDS 30
#define SLOW_BYTES      1000L               /* a second; under it a connection counts as stalled */
#define GOOD_BYTES      ((uint64_t)1 << 20) /* an attempt that brought so much was no failure */
#define MAX_WAIT        60.0
#define HOST_BYTES      256

typedef struct transfer {
    tw_ctx *ctx;
    const twi_fetch_opts *opts;
    twi_partial *partial;
    CURL *curl;
    struct curl_slist *headers;
    char *shown; /* the address without a password */
    uint64_t received;
    uint64_t received_before; /* this attempt */
    tw_status failed;         /* what a callback ended the transfer with, its sentence recorded */
    bool start_over;          /* what came does not fit to what is there */
    bool body;                /* the answer's first bytes have been looked at */
    twi_validators now;       /* of the answer being read */
    bool ranged;              /* it has a Content-Range of this: */
    uint64_t range_from, range_total;
    uint64_t length; /* Content-Length; 0: none */
    char detail[CURL_ERROR_SIZE];
} transfer;

/* ---- the answer's head --------------------------------------------------------------------- */

/* The value when line is the header called name, NULL otherwise. */
static const char *header_value(const char *line, const char *name)
{
    const size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':') return NULL;
    line += n + 1;
    while (*line == ' ' || *line == '\t') line++;
    return line;
}

static void copy_value(char *out, size_t size, const char *value)
{
    const size_t n = strcspn(value, "\r\n");
    out[0] = '\0';
    if (n >= size) return; /* too long to be sent back: as if there were none */
    memcpy(out, value, n);
    out[n] = '\0';
}

/* "bytes 100-199/200" (RFC 9110, 14.4); a total of "*" is 0. */
static bool read_range(const char *value, uint64_t *from, uint64_t *total)
{
    char *end;
    if (strncasecmp(value, "bytes ", 6) != 0) return false;
    *from = strtoull(value + 6, &end, 10);
    if (*end != '-') return false;
    strtoull(end + 1, &end, 10);
    if (*end != '/') return false;
    *total = end[1] == '*' ? 0 : strtoull(end + 1, NULL, 10);
    return true;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    char line[1024];
    const char *value;
    const size_t length = size * n, kept = length < sizeof line ? length : sizeof line - 1;
    memcpy(line, data, kept);
    line[kept] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0) { /* another answer begins: of a redirect or a proxy */
        t->now = (twi_validators){.total = 0};
        t->ranged = false;
        t->length = 0;
    } else if ((value = header_value(line, "ETag"))) {
        copy_value(t->now.etag, sizeof t->now.etag, value);
    } else if ((value = header_value(line, "Last-Modified"))) {
        copy_value(t->now.modified, sizeof t->now.modified, value);
    } else if ((value = header_value(line, "Content-Range"))) {
        t->ranged = read_range(value, &t->range_from, &t->range_total);
    } else if ((value = header_value(line, "Content-Length"))) {
        t->length = strtoull(value, NULL, 10);
    }
    return length;
}

/* ---- the answer's body --------------------------------------------------------------------- */

static tw_status check_size(transfer *t, uint64_t total)
{
    if (total <= t->opts->max_bytes) return TW_OK;
    return twi_fail(t->ctx, TW_ERR_FORMAT, "%s: the file has %llu bytes; at most %llu are taken",
                    t->shown, (unsigned long long)total, (unsigned long long)t->opts->max_bytes);
}

/* What an answer with a body says of itself must fit to what is on disk. */
static tw_status begin_body(transfer *t)
{
    long code = 0;
    tw_status st;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    const uint64_t at = twi_partial_bytes(t->partial);
    if (code == 206) {
        t->now.total = t->range_total;
        if (!t->ranged || t->range_from != at || !twi_partial_fits(t->partial, &t->now)) {
            t->start_over = true;
            return TW_ERR_IO; /* never told: the next attempt asks for all of it */
        }
        if ((st = check_size(t, t->range_total)) != TW_OK) return st;
        return twi_partial_room(t->ctx, t->partial, t->range_total);
    }
    if (code != 200)
        return twi_fail(t->ctx, TW_ERR_IO, "%s: the server answered %ld, which is no file",
                        t->shown, code);
    t->now.total = t->length;
    if ((st = check_size(t, t->length)) != TW_OK) return st;
    if ((st = twi_partial_restart(t->ctx, t->partial, &t->now)) != TW_OK) return st;
    return twi_partial_room(t->ctx, t->partial, t->length);
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    const size_t length = size * n;
    if (!t->body) t->failed = begin_body(t);
    t->body = true;
    if (t->failed == TW_OK) t->failed = check_size(t, twi_partial_bytes(t->partial) + length);
    if (t->failed == TW_OK) t->failed = twi_partial_add(t->ctx, t->partial, data, length);
    if (t->failed != TW_OK) return 0;
    t->received += length;
    return length;
}

static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    transfer *t = user;
    (void)down_total, (void)down, (void)up_total, (void)up;
    const tw_status st = twi_progress(t->ctx, "fetch", twi_partial_bytes(t->partial),
                                      twi_partial_total(t->partial), 0);
    if (st != TW_OK) t->failed = st;
    return st != TW_OK;
}

/* ---- what went wrong ----------------------------------------------------------------------- */

/* The part of an address, of the last one asked; "" when it cannot be told. */
static void address_part(const transfer *t, CURLUPart part, char *out, size_t size)
{
    char *address = NULL, *found = NULL;
    CURLU *parts = curl_url();
    out[0] = '\0';
    curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &address);
    if (parts && address && curl_url_set(parts, CURLUPART_URL, address, 0) == CURLUE_OK &&
        curl_url_get(parts, part, &found, 0) == CURLUE_OK && strlen(found) < size)
        memcpy(out, found, strlen(found) + 1);
    curl_free(found);
    curl_url_cleanup(parts);
}

/* The variable that names a proxy for such addresses; NULL: none does. no_proxy is curl's to read.
 */
static const char *proxy_variable(const char *scheme)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    const bool https = strcmp(scheme, "https") == 0;
    for (size_t i = 0; i < TWI_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if ((i == 0 && https) || ((i == 1 || i == 2) && !https)) continue;
        if (value && *value) return names[i];
    }
    return NULL;
}

/* HTTP's status codes that say more than a number (RFC 9110, 15.5). */
static tw_status explain_code(transfer *t, long code)
{
    static const struct {
        long code;
        const char *words;
    } rows[] = {
        {401, "the server wants a name and a password"},
        {403, "the server refuses to hand it out"},
        {404, "there is no such file on the server"},
        {407, "the proxy wants a name and a password"},
        {410, "the server has taken the file away"},
        {429, "the server says that too much was asked of it"},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++)
        if (rows[i].code == code)
            return twi_fail(t->ctx, TW_ERR_IO, "%s: %s (%ld)", t->shown, rows[i].words, code);
    return twi_fail(t->ctx, TW_ERR_IO, "%s: the server answered %ld", t->shown, code);
}

static tw_status explain_connection(transfer *t, CURLcode why)
{
    char host[HOST_BYTES], scheme[16];
    address_part(t, CURLUPART_HOST, host, sizeof host);
    address_part(t, CURLUPART_SCHEME, scheme, sizeof scheme);
    const char *proxy = proxy_variable(scheme);
    if (why == CURLE_COULDNT_RESOLVE_PROXY)
        return twi_fail(t->ctx, TW_ERR_IO, "the name of the proxy that %s gives is not known (%s)",
                        proxy ? proxy : "the environment", t->detail);
    if (why == CURLE_COULDNT_RESOLVE_HOST)
        return twi_fail(t->ctx, TW_ERR_IO,
                        "the name %s is not known here: is this machine offline? With a copy of "
                        "the file, --from FILE does without a network",
                        host);
    if (proxy)
        return twi_fail(t->ctx, TW_ERR_IO,
                        "%s cannot be reached; %s names a proxy, which may be why (%s)", host,
                        proxy, t->detail);
    return twi_fail(t->ctx, TW_ERR_IO, "%s cannot be reached (%s)", host, t->detail);
}

static tw_status explain_tls(transfer *t)
{
    char host[HOST_BYTES];
    address_part(t, CURLUPART_HOST, host, sizeof host);
    return twi_fail(t->ctx, TW_ERR_IO,
                    "%s cannot be trusted: no verified TLS connection came about (%s); "
                    "SSL_CERT_FILE may name other certificates",
                    host, t->detail[0] ? t->detail : "no reason given");
}

static tw_status explain_cut(transfer *t)
{
    char total[32] = "", host[HOST_BYTES];
    const uint64_t at = twi_partial_bytes(t->partial);
    const char *detail = t->detail[0] ? t->detail : "it just ended";
    address_part(t, CURLUPART_HOST, host, sizeof host);
    if (!t->body) return twi_fail(t->ctx, TW_ERR_IO, "%s does not answer (%s)", host, detail);
    if (twi_partial_total(t->partial) > 0)
        snprintf(total, sizeof total, " of %llu",
                 (unsigned long long)twi_partial_total(t->partial));
    return twi_fail(t->ctx, TW_ERR_IO,
                    "%s: the connection was lost after %llu%s bytes (%s); they are kept, and the "
                    "next try goes on from there",
                    t->shown, (unsigned long long)at, total, detail);
}

/* The sentence of a failed attempt; *passing: it may be otherwise in a moment. */
static tw_status explain(transfer *t, CURLcode why, bool *passing)
{
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    *passing = false;
    switch (why) {
    case CURLE_HTTP_RETURNED_ERROR:
        *passing =
            code == 408 || code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
        return explain_code(t, code);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        *passing = t->received > 0; /* it worked a moment ago */
        return explain_connection(t, why);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return explain_tls(t);
    case CURLE_TOO_MANY_REDIRECTS:
        return twi_fail(t->ctx, TW_ERR_IO, "%s: more than %d redirects, which lead nowhere",
                        t->shown, MAX_REDIRECTS);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return twi_fail(t->ctx, TW_ERR_IO,
                        "%s: a redirect leads where none may: from https to http, or to "
                        "something else than HTTP",
                        t->shown);
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        curl_easy_getinfo(t->curl, CURLINFO_HTTP_CONNECTCODE, &code);
        if (code == 407) return explain_code(t, code);
        *passing = true;
        return explain_cut(t);
    case CURLE_OUT_OF_MEMORY:
        return twi_fail(t->ctx, TW_ERR_NOMEM, "no memory to fetch %s", t->shown);
    default:
        return twi_fail(t->ctx, TW_ERR_IO, "%s: %s", t->shown,
                        t->detail[0] ? t->detail : curl_easy_strerror(why));
    }
}

/* ---- attempts ------------------------------------------------------------------------------ */

/* Range and If-Range for what is there (RFC 9110, 13.1.5: never a weak validator). */
static tw_status ask_for_rest(transfer *t)
{
    char range[32], line[400];
    const uint64_t at = twi_partial_bytes(t->partial);
    const char *validator = twi_partial_validator(t->partial);
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(t->curl, CURLOPT_RANGE, NULL);
    if (at == 0) return TW_OK;
    snprintf(range, sizeof range, "%llu-", (unsigned long long)at);
    if (curl_easy_setopt(t->curl, CURLOPT_RANGE, range) != CURLE_OK) goto nomem;
    if (!validator) return TW_OK;
    snprintf(line, sizeof line, "If-Range: %s", validator);
    if (!(t->headers = curl_slist_append(NULL, line))) goto nomem;
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    return TW_OK;
nomem:
    return twi_fail(t->ctx, TW_ERR_NOMEM, "no memory to fetch %s", t->shown);
}

/* One request. TW_OK: the whole file is there. *passing as explain() sets it. */
static tw_status attempt(transfer *t, bool *passing)
{
    long code = 0;
    *passing = false;
    t->failed = TW_OK;
    t->start_over = t->body = false;
    t->received_before = t->received;
    t->detail[0] = '\0';
    tw_status st = ask_for_rest(t);
    if (st != TW_OK) return st;
    const CURLcode why = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (why == CURLE_HTTP_RETURNED_ERROR && code == 416) t->start_over = true;
    if (t->start_over) {
        *passing = true;
        st = twi_partial_restart(t->ctx, t->partial, &(twi_validators){.total = 0});
        return st != TW_OK
                   ? st
                   : twi_fail(t->ctx, TW_ERR_IO, "%s: the server's ranges are of no use", t->shown);
    }
    if (t->failed != TW_OK) return t->failed;
    if (why != CURLE_OK) return explain(t, why, passing);
    if (!t->body) return twi_fail(t->ctx, TW_ERR_IO, "%s: the server sent nothing", t->shown);
    /* Of unknown length, the answer's regular end is the file's. */
    if (twi_partial_total(t->partial) == 0 || twi_partial_whole(t->partial)) return TW_OK;
    *passing = true;
    return explain_cut(t);
}

/* Sleeps while telling that we live; the sentence recorded outlives it. */
static tw_status wait_for(transfer *t, double seconds)
{
    const double until = twi_seconds() + (seconds < MAX_WAIT ? seconds : MAX_WAIT);
    tw_status st = TW_OK;
    while (st == TW_OK && twi_seconds() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
        st = twi_progress(t->ctx, "fetch", twi_partial_bytes(t->partial),
                          twi_partial_total(t->partial), 0);
    }
    return st;
}

static tw_status fetch(transfer *t)
{
    unsigned tried = 0;
    bool restarted = false;
    for (;;) {
        bool passing;
        curl_off_t asked = 0;
        const tw_status st = attempt(t, &passing);
        if (st == TW_OK || !passing) return st;
        if (t->start_over && !restarted) { /* nothing is there now, so no range is asked for */
            restarted = true;
            continue;
        }
        if (t->received - t->received_before >= GOOD_BYTES) tried = 0;
        if (++tried >= t->opts->attempts) return st;
        curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &asked);
        const double pause = 0.25 * (double)(1u << (tried < 10 ? tried : 10));
        const tw_status waited = wait_for(t, asked > 0 ? (double)asked : pause);
        if (waited != TW_OK) return waited;
    }
}

/* ---- the handle ---------------------------------------------------------------------------- */

/* The address for messages, without the name and password it may hold. */
static tw_status check_address(transfer *t)
{
    tw_status st = TW_OK;
    char *scheme = NULL;
    CURLU *parts = curl_url();
    if (!parts) return twi_fail(t->ctx, TW_ERR_NOMEM, "no memory for an address");
    if (curl_url_set(parts, CURLUPART_URL, t->opts->address, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        st = twi_fail(t->ctx, TW_ERR_ARG,
                      "not an address to fetch from; need https://... or "
                      "http://...");
        goto done;
    }
    curl_url_set(parts, CURLUPART_USER, NULL, 0);
    curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
    if (curl_url_get(parts, CURLUPART_URL, &t->shown, 0) != CURLUE_OK)
        st = twi_fail(t->ctx, TW_ERR_NOMEM, "no memory for an address");
    const bool https = strcmp(scheme, "https") == 0;
    curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
done:
    curl_free(scheme);
    curl_url_cleanup(parts);
    return st;
}

static tw_status set_up(transfer *t)
{
    CURL *c = t->curl = curl_easy_init();
    if (!c) return twi_fail(t->ctx, TW_ERR_NOMEM, "no memory for a download");
    CURLcode bad = curl_easy_setopt(c, CURLOPT_URL, t->opts->address);
    if (!bad) bad = curl_easy_setopt(c, CURLOPT_USERAGENT, "topwork");
    if (!bad && t->opts->ca_file) bad = curl_easy_setopt(c, CURLOPT_CAINFO, t->opts->ca_file);
    /* HTTPS must be there: a libcurl without it may not fall back to anything. */
    if (!bad) bad = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!bad) bad = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    if (!bad) bad = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    if (bad)
        return twi_fail(t->ctx, TW_ERR_UNSUPPORTED, "this libcurl cannot do it: %s",
                        curl_easy_strerror(bad));
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->opts->stall_seconds);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->detail);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    return check_address(t);
}

tw_status twi_fetch(tw_ctx *ctx, const twi_fetch_opts *opts, twi_fetched *out)
{
    transfer t = {.ctx = ctx, .opts = opts};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return twi_fail(ctx, TW_ERR_NOMEM, "libcurl cannot be started");
    tw_status st = set_up(&t);
    if (st == TW_OK) st = twi_partial_open(ctx, opts->path, opts->address, &t.partial);
    if (st == TW_OK && !twi_partial_whole(t.partial)) st = fetch(&t);
    if (st == TW_OK) st = twi_partial_finish(ctx, t.partial);
    if (st == TW_OK) {
        const uint64_t bytes = twi_partial_bytes(t.partial);
        *out = (twi_fetched){bytes, t.received, twi_partial_kept(t.partial)};
    }
    twi_partial_free(t.partial);
    curl_slist_free_all(t.headers);
    curl_free(t.shown);
    curl_easy_cleanup(t.curl);
    curl_global_cleanup();
    return st;
}
