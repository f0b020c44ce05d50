/* The walk over the calls between workflows: do the workflows that a program starts exist, and does one of
 * them call the program's own workflow? */
#include <string.h>
#include <talloc.h>

#include "workflow/program_compile.h"

enum {
    /* Nodes are looked up in a table of this size: a power of 2, above twice the largest number of nodes,
     * which is one per edge and per step. */
    TABLE_SIZE = 32768,
};

struct call_node {
    const char *id;
    bool exists;
    /* It calls the program's own workflow, directly or indirectly. */
    bool loops;
};

struct call_edge {
    int from, to;
};

struct call_walk {
    void *scratch;
    const struct program_graph *graph;
    struct call_node *nodes;
    size_t nodes_n;
    struct call_edge *edges;
    size_t edges_n;
    bool too_many;
    /* 1 + the index of a node; 0: free. */
    int table[TABLE_SIZE];
};

static uint32_t hash_id(const char *text)
{
    uint32_t h = 2166136261U; /* FNV-1a */
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 16777619U;
    return h;
}

/* The node of the id, which is added if it is new. */
static int find_node(struct call_walk *w, const char *workflow_id)
{
    uint32_t at = hash_id(workflow_id) % TABLE_SIZE;
    for (; w->table[at]; at = (at + 1) % TABLE_SIZE) {
        if (strcmp(w->nodes[w->table[at] - 1].id, workflow_id) == 0)
            return w->table[at] - 1;
    }
    if (w->nodes_n == talloc_array_length(w->nodes))
        w->nodes = talloc_realloc(w->scratch, w->nodes, struct call_node, 2 * w->nodes_n + 64);
    w->nodes[w->nodes_n++] = (struct call_node){.id = workflow_id};
    w->table[at] = (int)w->nodes_n;
    return (int)w->nodes_n - 1;
}

static void add_call(struct call_walk *w, const struct program_call *call, bool follow)
{
    int from = find_node(w, call->caller);
    w->nodes[from].exists = true;
    if (!call->callee || !follow)
        return;
    if (w->edges_n == PROGRAM_CALLS_MAX) {
        w->too_many = true;
        return;
    }
    if (w->edges_n == talloc_array_length(w->edges))
        w->edges = talloc_realloc(w->scratch, w->edges, struct call_edge, 2 * w->edges_n + 64);
    int to = find_node(w, call->callee);
    w->edges[w->edges_n++] = (struct call_edge){from, to};
}

/* Reads the calls of the nodes from `first` on, and of what they call, each workflow once: one level of calls
 * per read. */
static enum err read_levels(struct call_walk *w, bool follow)
{
    for (size_t first = 0, end; first < w->nodes_n && !w->too_many; first = end) {
        end = w->nodes_n;
        const char **ids = talloc_array(w->scratch, const char *, end - first);
        for (size_t i = first; i < end; i++)
            ids[i - first] = w->nodes[i].id;
        struct program_call *calls;
        size_t count;
        enum err e = w->graph->calls(w->graph->arg, w->scratch, ids, end - first, &calls, &count);
        if (e != OK)
            return e;
        for (size_t i = 0; i < count && !w->too_many; i++)
            add_call(w, &calls[i], follow);
    }
    return OK;
}

/* Marks `own` and every node from which calls lead to it. The edges are sorted by the called node (counting
 * sort), so that each is looked at once. */
static void mark_loops(struct call_walk *w, const char *own_id)
{
    int own = find_node(w, own_id);
    size_t *start = talloc_zero_array(w->scratch, size_t, w->nodes_n + 2);
    int *callers = talloc_array(w->scratch, int, w->edges_n + 1);
    int *todo = talloc_array(w->scratch, int, w->nodes_n);
    for (size_t i = 0; i < w->edges_n; i++)
        start[w->edges[i].to + 2]++;
    for (size_t i = 2; i < w->nodes_n + 2; i++)
        start[i] += start[i - 1];
    for (size_t i = 0; i < w->edges_n; i++)
        callers[start[w->edges[i].to + 1]++] = w->edges[i].from;
    size_t n = 0;
    todo[n++] = own;
    w->nodes[own].loops = true;
    while (n > 0) {
        int node = todo[--n];
        for (size_t i = start[node]; i < start[node + 1]; i++) {
            struct call_node *caller = &w->nodes[callers[i]];
            if (!caller->loops)
                todo[n++] = callers[i];
            caller->loops = true;
        }
    }
}

static void report_steps(struct call_walk *w, const struct program *program, const char *own_id,
                         struct json_problems *problems)
{
    for (size_t i = 0; i < program->step_count; i++) {
        const struct program_step *step = &program->steps[i];
        if (step->type != STEP_TYPE_WORKFLOW)
            continue;
        const struct call_node *node = &w->nodes[find_node(w, step->workflow_id)];
        bool is_own = own_id && strcmp(step->workflow_id, own_id) == 0;
        char *at =
            talloc_asprintf(w->scratch, "%s/workflow_id", program_step_pointer(w->scratch, program, i));
        if (!node->exists && !is_own)
            json_problems_add(problems, at, "there is no workflow %s", step->workflow_id);
        else if (node->loops)
            json_problems_add(problems, at,
                              "workflow %s calls this workflow: workflows must not call each other in a loop",
                              step->workflow_id);
    }
}

enum err program_find_loop(void *ctx, const struct program *program, const char *own_id,
                           const struct program_graph *graph, struct json_problems *problems)
{
    struct call_walk *w = talloc_zero(ctx, struct call_walk);
    w->scratch = w;
    w->graph = graph;
    for (size_t i = 0; i < program->step_count; i++) {
        if (program->steps[i].type == STEP_TYPE_WORKFLOW)
            find_node(w, program->steps[i].workflow_id);
    }
    enum err e = read_levels(w, own_id != NULL);
    if (e == OK && w->too_many) {
        json_problems_add(
            problems, "/steps",
            "the workflows that this program starts make more than %d calls of workflows in all",
            PROGRAM_CALLS_MAX);
    } else if (e == OK) {
        if (own_id)
            mark_loops(w, own_id);
        report_steps(w, program, own_id, problems);
    }
    talloc_free(w);
    return e;
}
