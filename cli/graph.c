/* graph.c - drawing a backbone's graph. */
#include "graph.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* "256 x 8 x 8" into shape. */
static const char *shape_of(const tw_graph_node *node, char shape[80])
{
    int n = snprintf(shape, 80, "%zu", node->dims[0]);
    for (size_t d = 1; d < node->rank && d < 3; d++)
        n += snprintf(shape + n, 80 - (size_t)n, " x %zu", node->dims[d]);
    return shape;
}

static void line(void *user, const tw_graph_node *node)
{
    char shape[80], inputs[64] = "";
    (void)user;
    for (size_t k = 0, n = 0; k < node->n_inputs && n + 24 < sizeof inputs; k++)
        n +=
            (size_t)snprintf(inputs + n, sizeof inputs - n, "%s%zu", k ? "," : "", node->inputs[k]);
    printf("%5zu  %-18s %-16s %11zu  <- %-12s ", node->index, node->op, shape_of(node, shape),
           node->parameters, *inputs ? inputs : "the picture");
    text_escaped(stdout, node->name);
    printf("%s%s\n", node->is_feature ? "  = features" : "", node->is_logits ? "  = classes" : "");
}

tw_status graph_lines(tw_ctx *ctx, const tw_backbone *backbone)
{
    printf("%5s  %-18s %-16s %11s  <- %-12s %s\n", "node", "operator", "gives", "weights", "inputs",
           "name");
    return tw_backbone_graph(ctx, backbone, line, NULL);
}

/* A label inside quotes: quotes and backslashes would end it. */
static void quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar((unsigned char)*text < 0x20 ? '?' : *text);
    }
}

static void dot_node(void *user, const tw_graph_node *node)
{
    char shape[80];
    (void)user;
    printf("  n%zu [label=\"%s\\n", node->index, node->op);
    quoted(node->name);
    printf("\\n%s\"%s];\n", shape_of(node, shape),
           node->is_feature  ? ", style=filled, fillcolor=lightgreen"
           : node->is_logits ? ", style=filled, fillcolor=lightblue"
                             : "");
    for (size_t k = 0; k < node->n_inputs; k++)
        printf("  n%zu -> n%zu;\n", node->inputs[k], node->index);
}

tw_status graph_dot(tw_ctx *ctx, const tw_backbone *backbone)
{
    printf("digraph backbone {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    const tw_status status = tw_backbone_graph(ctx, backbone, dot_node, NULL);
    printf("}\n");
    return status;
}
