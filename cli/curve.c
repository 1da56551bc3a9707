#include "curve.h"

#include "heads.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLOT_COLUMNS = 61, PLOT_ROWS = 13, POINTS_MOST = 64 };

typedef struct points {
    tw_curve_point items[POINTS_MOST];
    size_t n;
    double low, high; /* of the plot: whole tenths around what is there */
} points;

static void points_read(const tw_curve *curve, points *p)
{
    p->low = 1;
    p->high = 0;
    for (p->n = 0; p->n < tw_curve_count(curve) && p->n < POINTS_MOST; p->n++) {
        tw_curve_point *const at = &p->items[p->n];
        tw_curve_at(curve, p->n, at);
        const bool known = at->interval[0] == at->interval[0];
        p->low = fmin(p->low, known ? at->interval[0] : at->mean);
        p->high = fmax(p->high, known ? at->interval[1] : at->mean);
    }
    p->low = floor(p->low * 10) / 10;
    p->high = ceil(p->high * 10 - 1e-9) / 10;
    if (p->high <= p->low) p->high = p->low + 0.1;
}

/* Where size stands between the first and the last, by its logarithm: 0 to 1. */
static double place(const points *p, size_t size)
{
    const double first = log((double)p->items[0].per_class);
    const double span = log((double)p->items[p->n - 1].per_class) - first;
    return span > 0 ? (log((double)size) - first) / span : 0;
}

/* ---- for people ---------------------------------------------------------------------------- */

static void table_text(const points *p)
{
    puts("  photos a class  photos in all  accuracy     95 % interval  draws");
    for (size_t i = 0; i < p->n; i++) {
        const tw_curve_point *const at = &p->items[i];
        printf("  %14zu  %13zu    %.4f  ", at->per_class, at->n_train, at->mean);
        if (at->interval[0] == at->interval[0])
            printf("%.4f to %.4f  %5zu\n", at->interval[0], at->interval[1], at->draws);
        else
            printf("%16s  %5s\n", "-", "all");
    }
}

static void put_mark(char grid[PLOT_ROWS][PLOT_COLUMNS + 1], const points *p, size_t size,
                     double value, char mark)
{
    const double height = (value - p->low) / (p->high - p->low);
    const size_t column = (size_t)(place(p, size) * (PLOT_COLUMNS - 1) + 0.5);
    const size_t row = (size_t)((1 - height) * (PLOT_ROWS - 1) + 0.5);
    if (row < PLOT_ROWS && column < PLOT_COLUMNS) grid[row][column] = mark;
}

static void plot_text(const points *p)
{
    char grid[PLOT_ROWS][PLOT_COLUMNS + 1], axis[PLOT_COLUMNS + 24];
    memset(grid, ' ', sizeof grid);
    for (size_t i = 0; i < p->n; i++) {
        const tw_curve_point *const at = &p->items[i];
        const bool known = at->interval[0] == at->interval[0];
        for (int step = 0; known && step <= 40; step++)
            put_mark(grid, p, at->per_class,
                     at->interval[0] + (at->interval[1] - at->interval[0]) * step / 40.0, '|');
    }
    for (size_t i = 0; i < p->n; i++)
        put_mark(grid, p, p->items[i].per_class, p->items[i].mean, '*');
    putchar('\n');
    for (size_t row = 0; row < PLOT_ROWS; row++) {
        grid[row][PLOT_COLUMNS] = '\0';
        size_t end = PLOT_COLUMNS;
        while (end > 0 && grid[row][end - 1] == ' ') grid[row][--end] = '\0';
        const double value = p->high - (p->high - p->low) * (double)row / (PLOT_ROWS - 1);
        if (row % 3 == 0)
            printf("  %.2f |%s\n", value, grid[row]);
        else
            printf("       |%s\n", grid[row]);
    }
    memset(axis, ' ', sizeof axis);
    size_t free_from = 0, used = 0;
    for (size_t i = 0; i < p->n; i++) {
        char label[24];
        const size_t n = (size_t)snprintf(label, sizeof label, "%zu", p->items[i].per_class);
        const size_t at = (size_t)(place(p, p->items[i].per_class) * (PLOT_COLUMNS - 1) + 0.5);
        if (at < free_from || at + n >= sizeof axis) continue;
        memcpy(axis + at, label, n);
        used = at + n;
        free_from = used + 1;
    }
    axis[used] = '\0';
    printf("       +-------------------------------------------------------------\n        %s\n"
           "        photos a class (logarithmic)\n",
           axis);
}

static void verdict_text(const tw_curve_summary *sum)
{
    printf("\nThe last doubling brought %.1f points. ", 100 * sum->gain_last);
    if (sum->more_helps)
        printf("More photos would help: twice as many may bring about %.1f points more.\n",
               100 * sum->gain_next);
    else
        puts("More photos of this kind would hardly help: what they bring is within the noise or "
             "below half a point.");
    printf("Each accuracy is of the same %zu photos held out; the intervals are over the draws.\n",
           sum->n_test);
}

/* ---- JSON and SVG -------------------------------------------------------------------------- */

static void curve_json(session *s, const points *p, const tw_curve_summary *sum)
{
    js *const j = &s->json;
    js_object(j, NULL);
    js_text(j, "head", sum->head);
    js_size(j, "n_test", sum->n_test);
    js_array(j, "points");
    for (size_t i = 0; i < p->n; i++) {
        js_object(j, NULL);
        js_size(j, "per_class", p->items[i].per_class);
        js_size(j, "n_train", p->items[i].n_train);
        js_size(j, "draws", p->items[i].draws);
        js_double(j, "mean", p->items[i].mean);
        js_array(j, "interval");
        js_double(j, NULL, p->items[i].interval[0]);
        js_double(j, NULL, p->items[i].interval[1]);
        js_array_end(j);
        js_object_end(j);
    }
    js_array_end(j);
    js_double(j, "gain_last", sum->gain_last);
    js_double(j, "gain_next", sum->gain_next);
    js_bool(j, "more_helps", sum->more_helps != 0);
    js_object_end(j);
}

enum { SVG_LEFT = 60, SVG_TOP = 40, SVG_WIDTH = 520, SVG_HEIGHT = 280 };

static double svg_x(const points *p, size_t size)
{
    return SVG_LEFT + place(p, size) * SVG_WIDTH;
}

static double svg_y(const points *p, double value)
{
    return SVG_TOP + (1 - (value - p->low) / (p->high - p->low)) * SVG_HEIGHT;
}

static void svg_axes(FILE *out, const points *p)
{
    const int steps = (int)((p->high - p->low) * 10 + 0.5);
    for (int i = 0; i <= steps; i++) {
        const double value = p->low + (p->high - p->low) * i / steps, y = svg_y(p, value);
        fprintf(out,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n",
                SVG_LEFT, y, SVG_LEFT + SVG_WIDTH, y, SVG_LEFT - 8, y + 4, value);
    }
    for (size_t i = 0; i < p->n; i++)
        if (i + 1 == p->n || i + 2 < p->n ||
            svg_x(p, p->items[p->n - 1].per_class) - svg_x(p, p->items[i].per_class) > 30)
            fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%zu</text>\n",
                    svg_x(p, p->items[i].per_class), SVG_TOP + SVG_HEIGHT + 18,
                    p->items[i].per_class);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">photos a class</text>\n"
            "<text x=\"%d\" y=\"22\" font-size=\"15\">accuracy on photos held out</text>\n",
            SVG_LEFT + SVG_WIDTH / 2, SVG_TOP + SVG_HEIGHT + 40, SVG_LEFT);
}

static void svg_write(FILE *out, const points *p)
{
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"620\" height=\"380\" "
                 "viewBox=\"0 0 620 380\" font-family=\"sans-serif\" font-size=\"12\">\n"
                 "<title>topwork learning curve</title>\n"
                 "<rect width=\"620\" height=\"380\" fill=\"white\"/>\n");
    svg_axes(out, p);
    fputs("<polyline fill=\"none\" stroke=\"#1f6fb4\" stroke-width=\"2\" points=\"", out);
    for (size_t i = 0; i < p->n; i++)
        fprintf(out, "%s%.1f,%.1f", i ? " " : "", svg_x(p, p->items[i].per_class),
                svg_y(p, p->items[i].mean));
    fputs("\"/>\n", out);
    for (size_t i = 0; i < p->n; i++) {
        const tw_curve_point *const at = &p->items[i];
        const double x = svg_x(p, at->per_class);
        if (at->interval[0] == at->interval[0])
            fprintf(out,
                    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#1f6fb4\"/>\n",
                    x, svg_y(p, at->interval[0]), x, svg_y(p, at->interval[1]));
        fprintf(out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#1f6fb4\"><title>%zu a class: "
                "%.4f</title></circle>\n",
                x, svg_y(p, at->mean), at->per_class, at->mean);
    }
    fputs("</svg>\n", out);
}

static int svg_save(session *s, const points *p)
{
    outfile *const f = outfile_open(s, s->opts.svg);
    if (!f) return EXIT_RESOURCE;
    svg_write(outfile_stream(f), p);
    int code = outfile_sync(s, f);
    if (code == 0) code = outfile_rename(s, f);
    outfile_free(f);
    return code;
}

/* ---- the whole ----------------------------------------------------------------------------- */

int curve_run(session *s, const tw_dataset *dataset, const tw_train_opts *opts)
{
    tw_curve *curve = NULL;
    tw_curve_summary sum;
    points p;
    const size_t draws = s->opts.draws ? s->opts.draws : 10;
    const tw_status status = tw_learning_curve(s->ctx, dataset, opts, draws, &curve);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    points_read(curve, &p);
    tw_curve_sum(curve, &sum);
    tw_curve_free(curve);
    int code = session_interrupted(s);
    if (code == 0 && s->opts.svg) code = svg_save(s, &p);
    if (code) return code;
    session_before_output(s);
    if (s->opts.json) {
        curve_json(s, &p, &sum);
        return 0;
    }
    printf("head: %s", heads_title(sum.head));
    if (sum.C > 0) printf(", %s = %.9g", heads_strength(sum.head), sum.C);
    puts("\n");
    table_text(&p);
    plot_text(&p);
    verdict_text(&sum);
    return 0;
}
