/* A plugin that does to the tree, and to gmetad, what its section tells it to. */

#include <gmetad_plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const gmetad_api *api;
static gmetad_node kept;
static int calls;
static int failures;
static const char *gate;
static int touches;
static int reads;
static int checks;

#define SAY(level, ...)                                      \
    do {                                                     \
        char line[512];                                      \
        snprintf(line, sizeof line, __VA_ARGS__);            \
        api->log(api, level, gmetad_text_of(line));          \
    } while (0)

#define EXPECT(condition)                                                      \
    do {                                                                       \
        if (!(condition))                                                      \
            SAY(GMETAD_ERROR, "line %d does not hold: %s", __LINE__, #condition); \
    } while (0)

static void *elsewhere(void *top)
{
    gmetad_text text;
    EXPECT(api->kind(api, *(gmetad_node *)top) == 0);
    EXPECT(api->set(api, *(gmetad_node *)top, GMETAD_TEXT("name"), GMETAD_TEXT("x")) == GMETAD_NOT_NOW);
    EXPECT(api->fail(api, GMETAD_TEXT("not mine")) == GMETAD_NOT_NOW);
    EXPECT(api->setting(api, GMETAD_TEXT("gridname"), &text) == GMETAD_OK);
    SAY(GMETAD_INFO, "said on another thread");
    return NULL;
}

static int create(const gmetad_plugin *plugin, const gmetad_api *given,
                  const gmetad_directive *directives, size_t count, void **instance)
{
    (void)plugin;
    api = given;
    *instance = &calls;
    for (size_t at = 0; at < count; at++) {
        const gmetad_directive *it = &directives[at];
        char *value = strndup(it->value.ptr ? it->value.ptr : "", it->value.len);
        SAY(GMETAD_INFO, "line %d: %.*s = %s", (int)it->line, GMETAD_PRINT(it->name), value);
        if (gmetad_text_is(it->name, "refuse"))
            return api->fail(api, it->value);
        if (gmetad_text_is(it->name, "fail"))
            failures = atoi(value);
        if (gmetad_text_is(it->name, "hang"))
            gate = value;
        if (gmetad_text_is(it->name, "read"))
            reads = 1;
        if (gmetad_text_is(it->name, "touch"))
            touches = 1;
        if (gmetad_text_is(it->name, "check"))
            checks = 1;
    }
    return GMETAD_OK;
}

static int start(void *instance)
{
    SAY(GMETAD_INFO, "started, %s", instance == &calls ? "the same" : "another");
    return GMETAD_OK;
}

/* Every wrong call that is to be refused, and what is to be had from the configuration. */
static void check(gmetad_node top)
{
    gmetad_text text;
    gmetad_summary small = {.size = 8}, none = {.size = 0};
    gmetad_source source = {.size = sizeof source};
    gmetad_attribute nameless = {GMETAD_TEXT_INIT("val"), GMETAD_TEXT_INIT("1")};
    gmetad_attribute attributes[2] = {{GMETAD_TEXT_INIT("name"), GMETAD_TEXT_INIT("a")},
                                      {GMETAD_TEXT_INIT("val"), {NULL, 0}}};
    gmetad_text latin1 = {"\xe9", 1}, lost = {NULL, 3};
    const gmetad_directive *lines;
    gmetad_node host = api->first(api, top), node = 0, other;
    gmetad_node metric = api->first(api, host);
    gmetad_node few[2] = {0, 0};
    pthread_t thread;
    double number;
    size_t count;

    EXPECT(api->abi == GMETAD_PLUGIN_ABI && api->size >= sizeof(gmetad_api));
    EXPECT(api->version.len > 0);
    EXPECT(kept == 0 || (api->kind(api, kept) == 0 && api->next(api, kept) == 0 &&
                         api->set_value(api, kept, 1) == GMETAD_NO_NODE));
    kept = metric;
    EXPECT(api->kind(api, top) == GMETAD_CLUSTER && api->kind(api, host) == GMETAD_HOST);
    EXPECT(api->kind(api, 0) == 0 && api->kind(api, ~(gmetad_node)0) == 0);
    EXPECT(api->kind(NULL, top) == 0 && api->next(NULL, top) == 0);
    EXPECT(api->parent(api, metric) == host && api->parent(api, top) == 0);
    EXPECT(api->children(api, host, NULL, 9) > 1);
    EXPECT(api->children(api, host, few, 1) > 1 && few[0] == metric && few[1] == 0);
    EXPECT(api->children(api, 77, few, 2) == 0);
    EXPECT(api->find(api, top, latin1) == 0 && api->find(api, top, lost) == 0);
    EXPECT(api->get(api, metric, GMETAD_TEXT("nosuch"), &text) == GMETAD_ABSENT);
    EXPECT(api->get(api, metric, latin1, &text) == GMETAD_BAD_VALUE);
    EXPECT(api->number(api, metric, GMETAD_TEXT("units"), &number) == GMETAD_BAD_VALUE);
    EXPECT(api->number(api, metric, GMETAD_TEXT("tmax"), &number) == GMETAD_OK && number == 70);
    EXPECT(api->value(api, host, &number) == GMETAD_NOT_POSSIBLE);
    EXPECT(api->set(api, host, GMETAD_TEXT("tn"), GMETAD_TEXT("soon")) == GMETAD_BAD_VALUE);
    EXPECT(api->set(api, host, GMETAD_TEXT("rack"), latin1) == GMETAD_BAD_VALUE);
    EXPECT(api->set_value(api, metric, 0.0 / 0.0) == GMETAD_BAD_VALUE);
    EXPECT(api->summary(api, top, &none) == GMETAD_BAD_VALUE);
    EXPECT(api->summary(api, top, &small) == GMETAD_OK && small.hosts_up == 2 && small.metrics == 0);
    EXPECT(api->summary(api, host, &small) == GMETAD_NOT_POSSIBLE);
    EXPECT(api->add(api, host, GMETAD_METRIC, &nameless, 1, NULL) == GMETAD_BAD_VALUE);
    EXPECT(api->add(api, host, GMETAD_METRIC, NULL, 1, NULL) == GMETAD_BAD_VALUE);
    EXPECT(api->add(api, host, 99, NULL, 0, NULL) == GMETAD_NOT_POSSIBLE);
    EXPECT(api->add(api, host, GMETAD_HOST, attributes, 2, NULL) == GMETAD_NOT_POSSIBLE);
    EXPECT(api->add(api, host, GMETAD_METRIC, attributes, 2, &node) == GMETAD_OK && node != 0);
    EXPECT(api->add(api, host, GMETAD_METRIC, attributes, 2, &other) == GMETAD_EXISTS && other == node);
    EXPECT(api->get(api, node, GMETAD_TEXT("val"), &text) == GMETAD_OK && text.len == 0);
    EXPECT(api->find(api, host, GMETAD_TEXT("METRIC:a")) == node);
    EXPECT(api->remove(api, node) == GMETAD_OK && api->remove(api, node) == GMETAD_NO_NODE);
    EXPECT(api->remove(api, top) == GMETAD_NOT_POSSIBLE);
    EXPECT(api->attribute_at(api, metric, 99, &text, &text) == GMETAD_ABSENT);
    EXPECT(api->setting(api, GMETAD_TEXT("gridname"), &text) == GMETAD_OK &&
           gmetad_text_is(text, "unspecified"));
    EXPECT(api->setting(api, GMETAD_TEXT("nosuch"), &text) == GMETAD_ABSENT);
    EXPECT(api->source_at(api, 0, &source) == GMETAD_OK && gmetad_text_is(source.name, "fake") &&
           source.interval == 1 && source.hosts == 1);
    EXPECT(api->source_at(api, 1, &source) == GMETAD_ABSENT);
    EXPECT(api->source_host_at(api, 0, 0, &text) == GMETAD_OK);
    EXPECT(api->source_host_at(api, 0, 1, &text) == GMETAD_ABSENT);
    EXPECT(api->section(api, GMETAD_TEXT("PROBE"), &lines, &count) == GMETAD_OK && count == 1);
    EXPECT(api->log(api, 6, GMETAD_TEXT("no such level")) == GMETAD_BAD_VALUE);
    EXPECT(pthread_create(&thread, NULL, elsewhere, &top) == 0);
    pthread_join(thread, NULL);
    SAY(GMETAD_INFO, "all was tried");
}

static int notify(void *instance, gmetad_node top, const gmetad_update *update)
{
    gmetad_node host, metric;
    double sum = 0, value;
    struct timespec before, after;
    int count = 0;

    (void)instance;
    calls++;
    if (failures > 0) {
        failures--;
        return calls % 2 ? api->fail(api, GMETAD_TEXT("as it was told")) : 42;
    }
    if (checks)
        check(top);
    while (gate && access(gate, F_OK) != 0)
        usleep(1000);
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (host = api->first(api, top); host; host = api->next(api, host))
        for (metric = api->first(api, host); metric; metric = api->next(api, metric)) {
            count++;
            if ((reads || touches) && api->value(api, metric, &value) == GMETAD_OK) {
                sum += value;
                if (touches)
                    api->set_value(api, metric, value + 1);
            }
        }
    clock_gettime(CLOCK_MONOTONIC, &after);
    SAY(GMETAD_INFO, "call %d of %.*s: %d metrics, sum %g, up %u, every %g s, in %ld us", calls,
        GMETAD_PRINT(update->source), count, sum, update->up, update->interval,
        (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000);
    return GMETAD_OK;
}

static int notify_root(void *instance, gmetad_node top, const gmetad_update *update)
{
    gmetad_text name = {NULL, 0};
    gmetad_summary summary = {.size = sizeof summary};

    (void)instance;
    api->get(api, top, GMETAD_TEXT("name"), &name);
    api->summary(api, top, &summary);
    SAY(GMETAD_INFO, "root %.*s: kind %d, %u up, %u sums, source of %d bytes", GMETAD_PRINT(name),
        api->kind(api, top), summary.hosts_up, summary.metrics, (int)update->source.len);
    return GMETAD_OK;
}

static void stop(void *instance)
{
    (void)instance;
    SAY(GMETAD_INFO, "stopped");
}

static void destroy(void *instance)
{
    (void)instance;
    SAY(GMETAD_INFO, "destroyed");
}

const gmetad_plugin *gmetad_get_plugin(const gmetad_api *given, gmetad_text file)
{
    static const gmetad_plugin plugin = {
        .abi = GMETAD_PLUGIN_ABI,
        .size = sizeof plugin,
        .id = GMETAD_TEXT_INIT("probe"),
        .create = create,
        .start = start,
        .notify = notify,
        .notify_root = notify_root,
        .stop = stop,
        .destroy = destroy,
    };
    (void)given, (void)file;
    return &plugin;
}
