/*
 * gmetad_plugin.h: the interface between gmetad and a plugin in a shared object.
 *
 * A plugin is a shared object (*.so) in the folder that the directive plugins_dir names. It
 * exports one symbol, the function gmetad_get_plugin() declared at the end of this file. From
 * there on everything goes through two tables of functions: gmetad_plugin, which the plugin gives
 * to gmetad, and gmetad_api, which gmetad gives to the plugin. No library is linked against.
 *
 *
 * LIFE
 *
 *   gmetad_get_plugin   once, when gmetad starts; also once in a process of its own beforehand,
 *                       which only sees whether that goes well
 *   create              once, with the lines of the plugin's section of gmetad.conf
 *   start               once, if there is one
 *   notify              after each poll of a source, for each cluster or grid that it brought
 *   notify_root         after each time that all sources were summed up, if there is one
 *   stop                once, before gmetad ends, if there is one
 *   destroy             once, after the last call, if create went well
 *
 * A plugin that was disabled, or whose start went wrong, is not stopped but is destroyed. A plugin
 * that is still at work ten seconds after gmetad was told to end gets neither call. The object
 * itself stays loaded until the process ends.
 *
 *
 * THREADS
 *
 * All is called on the plugin thread, one call at a time, for all plugins. Polling and serving go on elsewhere, whatever a plugin does; but while
 * one plugin is at work the others wait, so work that takes more than some seconds belongs on a
 * thread of the plugin's own. On such a thread only log, the functions of the configuration and
 * those of snapshots may be called; the other functions refuse it with GMETAD_NOT_NOW.
 * The stack of the plugin thread has 8 MiB. Signals are gmetad's: install no handler, and block
 * all signals on threads that you start.
 *
 *
 * NODES
 *
 * An update is a tree of nodes, with gmetad-python's names:
 *
 *   CLUSTER                a cluster, with the hosts and metrics of its newest document
 *     HOST
 *       METRIC
 *         EXTRA_DATA       there if it has something in it
 *           EXTRA_ELEMENT
 *   GRID                   a grid below this one, or in notify_root this gmetad's own; no children
 *
 * and, for a CLUSTER or GRID, a summary: how many hosts are up and down, and one METRICS for each
 * metric that is summed up over them. gmetad-plugin(7) has the table of attributes.
 *
 * A gmetad_node names a node of the tree that is being shown, by number. It needs no release. It
 * is valid until notify or notify_root returns, whatever else is added or removed meanwhile; after
 * that, or once the node is removed, or if it was made up, every function refuses it with
 * GMETAD_NO_NODE, or returns what stands for none. What is to be kept is held as a snapshot: see
 * hold().
 *
 * What a plugin changes is the update's own copy. The plugins after it see the change, and so do
 * gmetad's own (rrd, rrdsummary, the exports), which come last: a METRIC that a plugin adds is
 * stored like any other. What gmetad serves is not changed.
 *
 *
 * TEXT
 *
 * All text is UTF-8, given as pointer and length; it is NOT terminated by a NUL. A pointer may be
 * null if the length is 0. Text that gmetad gives:
 *   - an attribute's value or name is valid until the plugin changes the tree (set, set_number,
 *     set_value, set_hosts, add, remove), and no longer than until notify returns;
 *   - text of the configuration is valid until the process ends.
 * Text that the plugin gives is copied before the function returns; that in gmetad_plugin must
 * stay where it is until the process ends. Text that is not UTF-8 is refused with
 * GMETAD_BAD_VALUE.
 *
 *
 * ERRORS
 *
 * Functions return a gmetad_status. On anything but GMETAD_OK the places for results are not
 * written to. Null for a place that is to be written to, or for the api, is the one mistake that
 * is not always caught.
 *
 * create, start, notify and notify_root return GMETAD_OK or anything else for a failure, whose
 * reason is what was given to fail() in the same call. A failure of create or start leaves the
 * plugin out. A failure of notify or notify_root is logged, the first of several in a row; ten in
 * a row disable the plugin. A C++ exception or a longjmp must not leave a plugin's function. A
 * plugin that crashes takes gmetad with it: it is the same process.
 *
 *
 * VERSIONS
 *
 * GMETAD_PLUGIN_ABI changes when a plugin that was built before no longer fits; each side refuses
 * the other's other number. Fields are added at the end of a structure without a change of
 * number: `size` says how much of it there is. What never changes, in any version, is
 * gmetad_get_plugin itself, gmetad_text, and the first two fields of both tables.
 */

#ifndef GMETAD_PLUGIN_H
#define GMETAD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the interface that this file describes. */
#define GMETAD_PLUGIN_ABI 1u

/* UTF-8 text, not terminated. */
typedef struct gmetad_text {
    const char *ptr;
    size_t len;                 /* in bytes */
} gmetad_text;

/* A node of the tree that is being shown. 0 is no node. */
typedef uint64_t gmetad_node;
#define GMETAD_NO_SUCH_NODE ((gmetad_node)0)

/* What a node is. 0 is no node. */
enum gmetad_kind {
    GMETAD_GRID = 1,
    GMETAD_CLUSTER = 2,
    GMETAD_HOST = 3,
    GMETAD_METRIC = 4,
    GMETAD_METRICS = 5,         /* one sum of a summary */
    GMETAD_EXTRA_DATA = 6,
    GMETAD_EXTRA_ELEMENT = 7
};

/* What functions return. */
enum gmetad_status {
    GMETAD_OK = 0,
    GMETAD_ABSENT = 1,          /* nothing of that name or at that place; not an error */
    GMETAD_FAILED = -1,         /* for a plugin's own failures */
    GMETAD_NO_NODE = -2,        /* the node was removed, is of an earlier update, or never was */
    GMETAD_NOT_POSSIBLE = -3,   /* a node of this kind cannot have that */
    GMETAD_BAD_VALUE = -4,      /* no number where one is expected, not UTF-8, a name missing */
    GMETAD_EXISTS = -5,         /* there is a child of that kind and name already */
    GMETAD_NOT_NOW = -6,        /* no tree is being shown, or this is another thread */
    GMETAD_FULL = -7            /* 2^31 metrics, or 65,535 EXTRA_ELEMENTs of one */
};

/* For log(); lower is worse. The directive debug_level says how much is kept. */
enum gmetad_level {
    GMETAD_FATAL = 0,
    GMETAD_CRITICAL = 1,
    GMETAD_ERROR = 2,
    GMETAD_WARNING = 3,
    GMETAD_INFO = 4,
    GMETAD_DEBUG = 5
};

/* A line of a section of gmetad.conf. */
typedef struct gmetad_directive {
    gmetad_text name;           /* as written */
    gmetad_text value;          /* the rest of the line as written, quotes included, no comment */
    gmetad_text file;           /* the file it stands in, for messages */
    uint64_t line;              /* counted from 1 */
} gmetad_directive;

/* An attribute of a node to be added. */
typedef struct gmetad_attribute {
    gmetad_text name;           /* in lower case */
    gmetad_text value;
} gmetad_attribute;

/* What a call of notify or notify_root is about. Valid until it returns. */
typedef struct gmetad_update {
    uint32_t size;              /* of this structure as gmetad knows it, in bytes */
    uint32_t up;                /* 1: the source answered; 0: it did not, and this is what it said
                                   last */
    gmetad_text source;         /* name of the data_source, which may bring several nodes; of
                                   notify_root: empty */
    double interval;            /* seconds from poll to poll on average; of notify_root: 0 */
    int64_t now;                /* when the document ended, by this machine's clock, in seconds
                                   since the epoch */
} gmetad_update;

/* Of a CLUSTER or GRID. */
typedef struct gmetad_summary {
    uint32_t size;              /* to be set by the plugin to sizeof(gmetad_summary) */
    uint32_t hosts_up;
    uint32_t hosts_down;
    uint32_t metrics;           /* how many METRICS there are */
    gmetad_node first;          /* the first of them, or 0; next() gives the others */
} gmetad_summary;

/* A data_source of gmetad.conf. */
typedef struct gmetad_source {
    uint32_t size;              /* to be set by the plugin to sizeof(gmetad_source) */
    uint32_t hosts;             /* how many it has: see source_host_at() */
    gmetad_text name;           /* not always that of the cluster that it brings */
    double interval;            /* seconds from poll to poll on average */
} gmetad_source;

/* A cluster or grid as it was at one moment, which never changes. Any thread may use it, several at
   a time, from when it is given until it is released. It keeps the memory of its update. */
typedef struct gmetad_snapshot gmetad_snapshot;

/* Is given an attribute; anything but 0 ends it. The texts are valid until it returns. */
typedef int (*gmetad_each_attribute)(void *context, gmetad_text name, gmetad_text value);

/* Is given a node of a snapshot, its gmetad_kind and its name; anything but 0 ends it. The text is
   valid until the snapshot is released. */
typedef int (*gmetad_each_child)(void *context, gmetad_node node, int kind, gmetad_text name);

/*
 * What gmetad does for a plugin. One table for each plugin, valid until the process ends; each
 * function takes it as its first argument.
 */
typedef struct gmetad_api gmetad_api;
struct gmetad_api {
    uint32_t abi;               /* GMETAD_PLUGIN_ABI of gmetad */
    uint32_t size;              /* of this structure as gmetad knows it, in bytes */
    gmetad_text version;        /* gmetad's own, such as "0.1.0"; valid until the process ends */

    /* -- the log: from any thread, at any time -- */

    /* Writes a line at a gmetad_level, with the plugin's name in front. No newline is needed; one
       in the middle is written as it can be on one line. GMETAD_BAD_VALUE: no such level. */
    int (*log)(const gmetad_api *api, int level, gmetad_text line);

    /* Says why the call of the plugin that is being made will fail, and returns GMETAD_FAILED, so
       that `return api->fail(api, …);` does both. The last reason given counts. On the plugin
       thread, and in gmetad_get_plugin. */
    int (*fail)(const gmetad_api *api, gmetad_text reason);

    /* -- the configuration: from any thread, at any time; it never changes -- */

    /* The value of a directive outside of sections, in lower case ("gridname", "rrd_rootdir"), the
       default where the file has none; of several lines the first. on and off for switches;
       several words are put together with blanks. `conf` is the file itself, `pid_file` that of
       the command line. GMETAD_ABSENT: no such directive, or it is not
       set and has no default. data_source lines are not here: see source_at(). */
    int (*setting)(const gmetad_api *api, gmetad_text name, gmetad_text *value);

    /* The same for all directives, by place from 0. GMETAD_ABSENT: past the last. */
    int (*setting_at)(const gmetad_api *api, size_t at, gmetad_text *name, gmetad_text *value);

    /* A data_source, in the order of the file, by place from 0. GMETAD_ABSENT: past the last. */
    int (*source_at)(const gmetad_api *api, size_t at, gmetad_source *out);

    /* A host of a data_source, by place from 0, as "host:port", an IPv6 address in brackets.
       GMETAD_ABSENT: past the last. */
    int (*source_host_at)(const gmetad_api *api, size_t source, size_t at, gmetad_text *out);

    /* The lines of any section, by its id in any case, in order, repeats kept. They are valid
       until the process ends. GMETAD_ABSENT: there is no such section. */
    int (*section)(const gmetad_api *api, gmetad_text id, const gmetad_directive **out,
                   size_t *count);

    /* -- nodes: during notify and notify_root, on the thread that calls them. Each function takes
          the same time however many nodes there are, unless something else is said. -- */

    /* A gmetad_kind, or 0: no such node. */
    int (*kind)(const gmetad_api *api, gmetad_node node);

    /* The node that it is a child of; of a METRICS, the top. 0: it is the top, or no node. */
    gmetad_node (*parent)(const gmetad_api *api, gmetad_node node);

    /* Its first child. 0: it has none, or is no node. The METRICS of a summary are not among the
       children of the top: see summary(). */
    gmetad_node (*first)(const gmetad_api *api, gmetad_node node);

    /* The child of its parent that comes after it; of a METRICS, the next METRICS. 0: it was the
       last, or is no node. */
    gmetad_node (*next)(const gmetad_api *api, gmetad_node node);

    /* The child with that key, which is ID:name, such as "HOST:web1" or "METRIC:load_one"; that of
       EXTRA_DATA is its id alone. The top finds METRICS as well; METRIC and METRICS find
       EXTRA_ELEMENT too. 0: none, or no node. Metrics are looked for one after the other within
       their host, METRICS within the summary. */
    gmetad_node (*find)(const gmetad_api *api, gmetad_node node, gmetad_text key);

    /* Writes up to `room` of the children to `out`, in order, and returns how many there are. `out`
       may be null if `room` is 0. Takes as long as there are children. */
    size_t (*children)(const gmetad_api *api, gmetad_node node, gmetad_node *out, size_t room);

    /* The summary of a CLUSTER or GRID. GMETAD_NOT_POSSIBLE: it is neither. It was worked out
       before any plugin was called: what is added is not summed up. */
    int (*summary)(const gmetad_api *api, gmetad_node node, gmetad_summary *out);

    /* Sets how many hosts the summary counts. */
    int (*set_hosts)(const gmetad_api *api, gmetad_node node, uint32_t up, uint32_t down);

    /* -- attributes: as above. Names are in lower case. -- */

    /* An attribute's value as text. GMETAD_ABSENT: it has none of that name. */
    int (*get)(const gmetad_api *api, gmetad_node node, gmetad_text name, gmetad_text *value);

    /* An attribute's value as a number; always finite. GMETAD_BAD_VALUE: it is none. */
    int (*number)(const gmetad_api *api, gmetad_node node, gmetad_text name, double *value);

    /* The same for val of a METRIC and sum of a METRICS, faster. GMETAD_NOT_POSSIBLE: the node is
       neither. */
    int (*value)(const gmetad_api *api, gmetad_node node, double *value);

    /* An attribute by place from 0, in the order of a document, those that plugins made up last.
       GMETAD_ABSENT: past the last. */
    int (*attribute_at)(const gmetad_api *api, gmetad_node node, size_t at, gmetad_text *name,
                        gmetad_text *value);

    /* Sets an attribute. One that nodes of this kind do not have is made up: plugins see it, nobody
       else does. GMETAD_BAD_VALUE: tn, tmax, dmax, num are whole numbers from 0 to 4294967295,
       localtime, reported, gmond_started whole numbers, sum is a number, status is up or down, type
       of a METRICS is double. GMETAD_EXISTS: a host or metric would have the name of another.
       Setting tn, tmax or reported of a HOST decides anew whether it counts as up; setting type of
       a METRIC leaves its val. The first change of an update copies it. */
    int (*set)(const gmetad_api *api, gmetad_node node, gmetad_text name, gmetad_text value);

    /* Sets an attribute to a number: as short as it can be told from its neighbours.
       GMETAD_BAD_VALUE: not finite, or see set(). */
    int (*set_number)(const gmetad_api *api, gmetad_node node, gmetad_text name, double value);

    /* The same for val of a METRIC and sum of a METRICS, faster; the val of a METRIC whose type has
       no decimals is rounded. */
    int (*set_value)(const gmetad_api *api, gmetad_node node, double value);

    /* -- children: as above -- */

    /* Adds a child after the others and, unless `out` is null, says which node it is:
         a HOST or METRICS to the top (only a CLUSTER has HOSTs), a METRIC to a HOST,
         an EXTRA_ELEMENT to a METRIC, a METRICS or its EXTRA_DATA.
       An EXTRA_DATA, too, can be added, but is not kept unless something is in it. `name` must be
       among the attributes, except of EXTRA_DATA. Defaults: type float if val is a number, else
       string; slope both; source gmetad; tn, tmax, dmax, num, sum 0; reported the cluster's
       localtime; location and tags unspecified; all else empty. GMETAD_EXISTS: there is such a
       child, and `out` says which. */
    int (*add)(const gmetad_api *api, gmetad_node parent, int kind,
               const gmetad_attribute *attributes, size_t count, gmetad_node *out);

    /* Removes a node with all that is below it. GMETAD_NOT_POSSIBLE: it is the top. */
    int (*remove)(const gmetad_api *api, gmetad_node node);

    /* -- the configuration: as above -- */

    /* A section, in the order of the file, by place from 0: its id as written, and its lines as
       those of section(). GMETAD_ABSENT: past the last. */
    int (*section_at)(const gmetad_api *api, size_t at, gmetad_text *id,
                      const gmetad_directive **out, size_t *count);

    /* -- snapshots. Nodes of a snapshot are numbers of its own: they are valid as long as it is
          held, in the functions that take a snapshot, and in no other. -- */

    /* A number that is another after each change of what is shown, and for each update. During
       notify and notify_root, on the thread that calls them; elsewhere 0. */
    uint64_t (*revision)(const gmetad_api *api);

    /* What is shown, with what was changed so far; to be released. Null: nothing is shown on this
       thread, or nodes were added or removed in this call. */
    const gmetad_snapshot *(*hold)(const gmetad_api *api);

    /* Gives a snapshot back; null does nothing. */
    void (*release)(const gmetad_api *api, const gmetad_snapshot *snapshot);

    /* A number that is another whenever newest() or newest_root() has something else to give. This
       and what follows may be called on any thread, at any time. */
    uint64_t (*news)(const gmetad_api *api);

    /* The newest snapshot of each cluster and grid that there is, as it came, in the order of the
       sources: writes up to `room` of them to `out`, each to be released, and returns how many
       there are. `out` may be null if `room` is 0. A cluster or grid that is gone from its source,
       or whose source is gone from the configuration, is gone here with the next notify_root. */
    size_t (*newest)(const gmetad_api *api, const gmetad_snapshot **out, size_t room);

    /* The newest sum of everything: this gmetad's own GRID; to be released. Null: there is none
       yet. */
    const gmetad_snapshot *(*newest_root)(const gmetad_api *api);

    /* Its CLUSTER or GRID. 0: the snapshot is null. */
    gmetad_node (*snapshot_top)(const gmetad_api *api, const gmetad_snapshot *snapshot);

    /* A gmetad_kind, or 0: no such node. */
    int (*snapshot_kind)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                         gmetad_node node);

    /* As find(). */
    gmetad_node (*snapshot_find)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                                 gmetad_node node, gmetad_text key);

    /* Gives the children of a node to a function, in order. */
    int (*snapshot_children)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                             gmetad_node node, gmetad_each_child each, void *context);

    /* The same with the METRICS of the summary. */
    int (*snapshot_sums)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                         gmetad_each_child each, void *context);

    /* As summary(), of the top. */
    int (*snapshot_summary)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                            gmetad_summary *out);

    /* Gives the attribute of that name to a function. GMETAD_ABSENT: there is none. */
    int (*snapshot_attribute)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                              gmetad_node node, gmetad_text name, gmetad_each_attribute each,
                              void *context);

    /* The same with all of them, in the order of attribute_at(). */
    int (*snapshot_attributes)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                               gmetad_node node, gmetad_each_attribute each, void *context);
};

/*
 * What a plugin does for gmetad. Valid from gmetad_get_plugin until the process ends; gmetad does
 * not change it. Functions that are null are not called; create and notify must be there.
 */
typedef struct gmetad_plugin gmetad_plugin;
struct gmetad_plugin {
    uint32_t abi;               /* GMETAD_PLUGIN_ABI */
    uint32_t size;              /* sizeof(gmetad_plugin) */

    /* The name of its section of gmetad.conf, and its own in the log and in the directive
       `plugins`. Letters, digits, `_`, `-` and `.`. Several plugins may have the same, also that of
       one that is built in: the log then names the file as well. */
    gmetad_text id;

    /* Makes the plugin ready to start. `plugin` is this table, for an object that has several.
       `api` is valid until the process ends. `directives` are the lines of its section, in order,
       none if there is no section; valid until the process ends. What is put into `instance`, null
       or not, is the first argument of the other functions. */
    int (*create)(const gmetad_plugin *plugin, const gmetad_api *api,
                  const gmetad_directive *directives, size_t count, void **instance);

    /* Opens files, starts threads and the like. */
    int (*start)(void *instance);

    /* A source was polled. `top` is its CLUSTER or GRID. */
    int (*notify)(void *instance, gmetad_node top, const gmetad_update *update);

    /* All sources that answer were summed up. `top` is this gmetad's own GRID. */
    int (*notify_root)(void *instance, gmetad_node top, const gmetad_update *update);

    /* Ends what start began. */
    void (*stop)(void *instance);

    /* Gives `instance` back. */
    void (*destroy)(void *instance);

    /* A built-in plugin whose work this one does, such as `rrd`: that one leaves it alone as long as
       this one runs, so that no file is written twice. Empty, or left out: none. */
    gmetad_text replaces;
};

/*
 * The one function that a plugin exports. `file` is the file in plugins_dir that is being loaded,
 * as a path. Returns the plugin, or null if it cannot be had: the reason is what was given to
 * fail(). It only looks around: it is also called in a process of its own, before, so what costs or changes
 * something belongs in create or start.
 */
const gmetad_plugin *gmetad_get_plugin(const gmetad_api *api, gmetad_text file);

/* -- conveniences -- */

/* A string literal as text. */
#ifdef __cplusplus
#define GMETAD_TEXT(literal) (gmetad_text{"" literal, sizeof(literal) - 1})
#else
#define GMETAD_TEXT(literal) ((gmetad_text){"" literal, sizeof(literal) - 1})
#endif

/* For initialising a static gmetad_text. */
#define GMETAD_TEXT_INIT(literal) {"" literal, sizeof(literal) - 1}

/* For printf: printf("%.*s", GMETAD_PRINT(text)). */
#define GMETAD_PRINT(text) ((int)(text).len), ((text).ptr ? (text).ptr : "")

/* A string that ends with a NUL, as text. */
static inline gmetad_text gmetad_text_of(const char *string)
{
    gmetad_text text;
    text.ptr = string;
    text.len = string ? strlen(string) : 0;
    return text;
}

/* Whether text is this string that ends with a NUL. */
static inline int gmetad_text_is(gmetad_text text, const char *string)
{
    size_t len = strlen(string);
    return text.len == len && (len == 0 || memcmp(text.ptr, string, len) == 0);
}

#ifdef __cplusplus
}
#endif

#endif
