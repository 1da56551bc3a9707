/* einsum.c - sums over letters, of two values: those that are products of stacks of matrices, which
 * is how attention is written with them ("bhid,bhjd->bhij"). */
#include "importer/onnx/graph.h"

#include <string.h>

#define LETTERS TWI_ONNX_DIMS

typedef struct term { /* an axis each; "..." stands for those in front */
    char letters[LETTERS + 1];
    bool ellipsis;
} term;

/* One term of an equation up to one of `ends`; *text moves behind it. */
static bool take_term(const char **text, const char *ends, term *out)
{
    size_t n = 0;
    *out = (term){.ellipsis = false};
    for (; **text && !strchr(ends, **text); (*text)++) {
        if (**text == ' ') continue;
        if (strncmp(*text, "...", 3) == 0 && n == 0 && !out->ellipsis) {
            out->ellipsis = true;
            *text += 2;
            continue;
        }
        if (n == LETTERS || strchr("-.>,", **text)) return false;
        out->letters[n++] = **text;
    }
    return true;
}

/* "a,b->out" */
static bool take_equation(const char *text, term in[2], term *out)
{
    if (!text || !take_term(&text, ",", &in[0]) || *text++ != ',') return false;
    if (!take_term(&text, "-", &in[1]) || strncmp(text, "->", 2) != 0) return false;
    text += 2;
    return take_term(&text, "", out);
}

/* a [..., m, k] with b [..., k, n], or [..., n, k]: *turn. All letters but the last two agree. */
static bool is_product(const term in[2], const term *out, bool *turn)
{
    const char *a = in[0].letters, *b = in[1].letters, *o = out->letters;
    const size_t n = strlen(a);
    if (n < 2 || strlen(b) != n || strlen(o) != n) return false;
    if (in[0].ellipsis != in[1].ellipsis || in[0].ellipsis != out->ellipsis) return false;
    if (memcmp(a, b, n - 2) != 0 || memcmp(a, o, n - 2) != 0) return false;
    const char m = a[n - 2], k = a[n - 1];
    *turn = b[n - 1] == k;
    const char other = *turn ? b[n - 2] : b[n - 1];
    return (*turn || b[n - 2] == k) && o[n - 2] == m && o[n - 1] == other && m != k && m != other &&
           other != k;
}

static tw_status lower_einsum(twi_onnx_graph *g)
{
    const char *equation = twi_onnx_text(g->at, "equation", "");
    const twi_onnx_value *a, *b;
    term in[2], out;
    bool turn;
    if (g->at->n_inputs != 2 || !take_equation(equation, in, &out) || !is_product(in, &out, &turn))
        return twi_onnx_fail(g,
                             "equation %.80s; products of stacks of matrices are read, such as "
                             "bhid,bhjd->bhij",
                             equation);
    tw_status st = twi_onnx_input(g, 0, &a);
    if (st == TW_OK) st = twi_onnx_input(g, 1, &b);
    if (st != TW_OK) return st;
    const size_t letters = strlen(in[0].letters);
    bool fits = a->rank == b->rank && (in[0].ellipsis ? a->rank >= letters : a->rank == letters);
    for (size_t d = 0; fits && d + 2 < a->rank; d++) fits = a->dims[d] == b->dims[d];
    if (!fits || a->dims[a->rank - 1] != b->dims[b->rank - (turn ? 1 : 2)])
        return twi_onnx_fail(g, "values that do not fit equation %.80s", equation);
    return twi_onnx_product(g, a, b, turn);
}

const twi_onnx_operator twi_onnx_sums[] = {{"Einsum", lower_einsum}, {NULL, NULL}};
