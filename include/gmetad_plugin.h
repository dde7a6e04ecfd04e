/*
 * gmetad_plugin.h: the interface between gmetad and a plugin in a shared object.
 *
 * A plugin is a shared object (*.so) in the directory that the directive plugins_dir names. It
 * exports one symbol, the function gmetad_get_plugin() declared at the end of this file. All other
 * calls go through two tables of functions: gmetad_plugin, which the plugin gives to gmetad, and
 * gmetad_api, which gmetad gives to the plugin. The plugin links against no library of gmetad.
 *
 *
 * LIFE
 *
 *   gmetad_get_plugin   once when gmetad starts, and once before in a trial process, which only
 *                       checks that this and create end well
 *   create              once, with the lines of the plugin's section of gmetad.conf, and likewise
 *                       once before in the trial process, which then ends without a destroy
 *   start               once, if set
 *   notify              after each poll of a source, for each of its clusters or grids
 *   notify_root         each time all sources were summarised, if set
 *   stop                once, before gmetad ends, if set
 *   destroy             once, after the last call, if create succeeded
 *
 * A plugin that was disabled, or whose start failed, gets no stop but a destroy. A plugin that is
 * still busy ten seconds after gmetad was told to end gets neither. The object stays loaded until
 * the process ends.
 *
 *
 * THREADS
 *
 * All functions of all plugins are called on the plugin thread, one at a time. Polling and serving
 * continue meanwhile, but the other plugins wait, so work that takes more than a few seconds
 * belongs on a thread of the plugin's own. Such a thread may only call log, the functions of the
 * configuration and those of snapshots; the other functions return GMETAD_NOT_NOW.
 * The stack of the plugin thread has 8 MiB. Signals belong to gmetad: install no handlers, and
 * block all signals on threads that you start.
 *
 *
 * NODES
 *
 * An update is a tree of nodes, named as in gmetad-python:
 *
 *   CLUSTER                a cluster, with the hosts and metrics of its newest document
 *     HOST
 *       METRIC
 *         EXTRA_DATA       only if it has elements
 *           EXTRA_ELEMENT
 *   GRID                   a grid below this one, or in notify_root this gmetad's own; no children
 *
 * and, for a CLUSTER or GRID, a summary: how many hosts are up and down, and one METRICS for each
 * summarised metric. gmetad-plugin(7) lists the attributes.
 *
 * A gmetad_node is the number of a node of the current call's tree. It needs no release. It is
 * valid until notify or notify_root returns, whatever else is added or removed meanwhile. After
 * that, or once the node is removed, or for any other number, functions return GMETAD_NO_NODE or
 * 0. To keep data longer, hold a snapshot: see hold().
 *
 * A plugin changes a copy that belongs to the update. The plugins after it see the changes, and so
 * do the built-in ones (rrd, rrdsummary, the exports), which come last by default: a METRIC that a
 * plugin adds is stored like any other. What gmetad serves does not change.
 *
 *
 * TEXT
 *
 * All text is UTF-8, given as pointer and length; it is NOT terminated by a NUL. A pointer may be
 * null if the length is 0. Text that gmetad gives:
 *   - an attribute's value or name is valid until the plugin changes the tree (set, set_number,
 *     set_value, set_hosts, add, remove), and no longer than until notify returns;
 *   - text of the configuration is valid until the process ends.
 * Text that the plugin gives is copied before the function returns, but text in gmetad_plugin must
 * stay in place until the process ends. For text that is not UTF-8, functions return
 * GMETAD_BAD_VALUE.
 *
 *
 * ERRORS
 *
 * Functions return a gmetad_status. Unless it is GMETAD_OK, results are not written. A null
 * pointer for a result or for the api is the one mistake that is not always detected.
 *
 * create, start, notify and notify_root return GMETAD_OK, or anything else for a failure; its
 * reason is what was passed to fail() in the same call. After a failure of create or start the
 * plugin does not run. A failure of notify or notify_root is logged, the first of several in a row;
 * ten in a row disable the plugin. A C++ exception or a longjmp must not leave a plugin's function.
 * A plugin that crashes or calls exit() ends gmetad, since it is the same process; the log names it.
 *
 *
 * VERSIONS
 *
 * GMETAD_PLUGIN_ABI changes when older plugins no longer work; each side refuses the other if the
 * numbers differ. Fields are added at the end of a structure without a new number: `size` tells
 * which fields a structure has. gmetad_get_plugin itself, gmetad_text, and the first two fields of
 * both tables never change.
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

/* UTF-8 text, not terminated by a NUL. */
typedef struct gmetad_text {
    const char *ptr;
    size_t len;                 /* in bytes */
} gmetad_text;

/* A node of the current call's tree. 0: none. */
typedef uint64_t gmetad_node;
#define GMETAD_NO_SUCH_NODE ((gmetad_node)0)

/* The kind of a node. 0: no such node. */
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
    GMETAD_ABSENT = 1,          /* nothing with that name or index; not an error */
    GMETAD_FAILED = -1,         /* for a plugin's own failures */
    GMETAD_NO_NODE = -2,        /* the node was removed, is of an older update, or never existed */
    GMETAD_NOT_POSSIBLE = -3,   /* a node of this kind cannot have that */
    GMETAD_BAD_VALUE = -4,      /* not a number where one is expected, not UTF-8, a name missing */
    GMETAD_EXISTS = -5,         /* a child of that kind and name exists */
    GMETAD_NOT_NOW = -6,        /* not in a call of notify or notify_root, or another thread */
    GMETAD_FULL = -7            /* 2^31 metrics, or 65,535 EXTRA_ELEMENTs of one */
};

/* For log(); lower is worse. The directive debug_level sets what is logged. */
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
    gmetad_text file;           /* the file that it is in, for messages */
    uint64_t line;              /* counted from 1 */
} gmetad_directive;

/* An attribute of a node to be added. */
typedef struct gmetad_attribute {
    gmetad_text name;           /* in lower case */
    gmetad_text value;
} gmetad_attribute;

/* The update that notify or notify_root is called for. Valid until it returns. */
typedef struct gmetad_update {
    uint32_t size;              /* of this structure as gmetad knows it, in bytes */
    uint32_t up;                /* 1: the source answered; 0: it did not, and this is its last
                                   known state */
    gmetad_text source;         /* name of the data_source, which may have several nodes; of
                                   notify_root: empty */
    double interval;            /* average seconds between polls; of notify_root: 0 */
    int64_t now;                /* when the document ended, by this machine's clock, in seconds
                                   since the epoch */
} gmetad_update;

/* The summary of a CLUSTER or GRID. */
typedef struct gmetad_summary {
    uint32_t size;              /* set by the plugin to sizeof(gmetad_summary) */
    uint32_t hosts_up;
    uint32_t hosts_down;
    uint32_t metrics;           /* number of METRICS */
    gmetad_node first;          /* the first of them, or 0; next() returns the others */
} gmetad_summary;

/* A data_source of gmetad.conf. */
typedef struct gmetad_source {
    uint32_t size;              /* set by the plugin to sizeof(gmetad_source) */
    uint32_t hosts;             /* how many it has: see source_host_at() */
    gmetad_text name;           /* not always that of the cluster that it brings */
    double interval;            /* seconds from poll to poll on average */
} gmetad_source;

/* A cluster or grid as it was at one moment, which never changes. Any thread may use it, several at
   a time, from when it is given until it is released. It keeps the memory of its update. */
typedef struct gmetad_snapshot gmetad_snapshot;

/* Called with an attribute; returns 0 to continue. The texts are valid until it returns. */
typedef int (*gmetad_each_attribute)(void *context, gmetad_text name, gmetad_text value);

/* Called with a node of a snapshot, its gmetad_kind and its name; returns 0 to continue. The text
   is valid until the snapshot is released. */
typedef int (*gmetad_each_child)(void *context, gmetad_node node, int kind, gmetad_text name);

/*
 * What gmetad offers to a plugin. Each plugin has its own table, valid until the process ends; it
 * is the first argument of each function.
 */
typedef struct gmetad_api gmetad_api;
struct gmetad_api {
    uint32_t abi;               /* GMETAD_PLUGIN_ABI of gmetad */
    uint32_t size;              /* of this structure as gmetad knows it, in bytes */
    gmetad_text version;        /* gmetad's own, such as "0.1.0"; valid until the process ends */

    /* -- the log: from any thread, at any time -- */

    /* Logs a line at a gmetad_level, with the plugin's name in front. It needs no newline; newlines
       inside are replaced, so that it stays one line. GMETAD_BAD_VALUE: no such level. */
    int (*log)(const gmetad_api *api, int level, gmetad_text line);

    /* Sets the reason of the current call's failure and returns GMETAD_FAILED, as in
       `return api->fail(api, …);`. The last reason is used. Only on the plugin thread, and in
       gmetad_get_plugin. */
    int (*fail)(const gmetad_api *api, gmetad_text reason);

    /* -- the configuration: from any thread, at any time; it never changes -- */

    /* The value in force of a directive outside of sections, by its name in lower case ("gridname",
       "rrd_rootdir"); if it has several values, the first. Booleans are "on" or "off", but
       case_sensitive_hostnames is "1" or "0"; several words are separated by spaces. `conf` is the
       configuration file, `pid_file` that of the command line. GMETAD_ABSENT: there is no such
       directive, or it is not set and has no default. For data_source see source_at(). */
    int (*setting)(const gmetad_api *api, gmetad_text name, gmetad_text *value);

    /* The same for all directives, by index from 0. GMETAD_ABSENT: past the last. */
    int (*setting_at)(const gmetad_api *api, size_t at, gmetad_text *name, gmetad_text *value);

    /* A data_source, in the order of the file, by index from 0. GMETAD_ABSENT: past the last. */
    int (*source_at)(const gmetad_api *api, size_t at, gmetad_source *out);

    /* A host of a data_source, by index from 0, as "host:port", an IPv6 address in brackets.
       GMETAD_ABSENT: past the last. */
    int (*source_host_at)(const gmetad_api *api, size_t source, size_t at, gmetad_text *out);

    /* The lines of any section, by its id in any case, in order, with repeated ones. They are valid
       until the process ends. GMETAD_ABSENT: there is no such section. */
    int (*section)(const gmetad_api *api, gmetad_text id, const gmetad_directive **out,
                   size_t *count);

    /* -- nodes: during notify and notify_root, on the thread that calls them. Unless stated
          otherwise, the time of a function does not depend on the number of nodes. -- */

    /* A gmetad_kind, or 0: no such node. */
    int (*kind)(const gmetad_api *api, gmetad_node node);

    /* The parent of a node; of a METRICS, the top. 0: it is the top, or there is no such node. */
    gmetad_node (*parent)(const gmetad_api *api, gmetad_node node);

    /* The first child of a node. 0: it has none, or there is no such node. The METRICS of a summary
       are not children of the top: see summary(). */
    gmetad_node (*first)(const gmetad_api *api, gmetad_node node);

    /* The next sibling of a node; of a METRICS, the next METRICS. 0: it is the last, or there is no
       such node. */
    gmetad_node (*next)(const gmetad_api *api, gmetad_node node);

    /* The child with that key, ID:name, as in "HOST:web1" or "METRIC:load_one"; the key of an
       EXTRA_DATA is its id alone. The top also finds METRICS; METRIC and METRICS also find
       EXTRA_ELEMENT. 0: there is none, or no such node. The time depends on the number of metrics
       of the host, or of METRICS in the summary. */
    gmetad_node (*find)(const gmetad_api *api, gmetad_node node, gmetad_text key);

    /* Writes up to `room` children to `out`, in order, and returns how many there are. `out` may be
       null if `room` is 0. The time depends on the number of children. */
    size_t (*children)(const gmetad_api *api, gmetad_node node, gmetad_node *out, size_t room);

    /* The summary of a CLUSTER or GRID. GMETAD_NOT_POSSIBLE: it is neither. It is computed before
       any plugin is called, so it does not include what plugins add. */
    int (*summary)(const gmetad_api *api, gmetad_node node, gmetad_summary *out);

    /* Sets the number of hosts up and down in the summary. */
    int (*set_hosts)(const gmetad_api *api, gmetad_node node, uint32_t up, uint32_t down);

    /* -- attributes: as above. Names are in lower case. -- */

    /* An attribute's value as text. GMETAD_ABSENT: there is no such attribute. */
    int (*get)(const gmetad_api *api, gmetad_node node, gmetad_text name, gmetad_text *value);

    /* An attribute's value as a number; always finite. GMETAD_BAD_VALUE: it is not a number. */
    int (*number)(const gmetad_api *api, gmetad_node node, gmetad_text name, double *value);

    /* The same for val of a METRIC and sum of a METRICS, faster. GMETAD_NOT_POSSIBLE: the node is
       neither. */
    int (*value)(const gmetad_api *api, gmetad_node node, double *value);

    /* An attribute by index from 0, in the order of a document, then those that plugins added.
       GMETAD_ABSENT: past the last. */
    int (*attribute_at)(const gmetad_api *api, gmetad_node node, size_t at, gmetad_text *name,
                        gmetad_text *value);

    /* Sets an attribute. One that nodes of this kind do not have is added, and only plugins see it.
       GMETAD_BAD_VALUE: tn, tmax, dmax and num must be integers from 0 to 4294967295; localtime,
       reported and gmond_started integers; sum a number; status up or down; type of a METRICS
       double. GMETAD_EXISTS: a host or metric would get the name of another. Setting tn, tmax or
       reported of a HOST recomputes whether it counts as up; setting type of a METRIC does not
       change its val. The first change of an update copies it. */
    int (*set)(const gmetad_api *api, gmetad_node node, gmetad_text name, gmetad_text value);

    /* Sets an attribute to a number, written with as few digits as identify it.
       GMETAD_BAD_VALUE: it is not finite, or see set(). */
    int (*set_number)(const gmetad_api *api, gmetad_node node, gmetad_text name, double value);

    /* The same for val of a METRIC and sum of a METRICS, faster; the val of a METRIC of an integer
       type is rounded. */
    int (*set_value)(const gmetad_api *api, gmetad_node node, double value);

    /* -- children: as above -- */

    /* Adds a child after the others and, unless `out` is null, writes its number there:
         a HOST or METRICS to the top (only a CLUSTER has HOSTs), a METRIC to a HOST,
         an EXTRA_ELEMENT to a METRIC, a METRICS or its EXTRA_DATA.
       An EXTRA_DATA can be added too, but is not kept while it is empty. The attributes must
       include `name`, except of EXTRA_DATA. Defaults: type float if val is a number, else string;
       slope both; source gmetad; tn, tmax, dmax, num, sum 0; reported the cluster's localtime;
       location and tags unspecified; everything else empty. GMETAD_EXISTS: there is such a child,
       and its number is written to `out`. */
    int (*add)(const gmetad_api *api, gmetad_node parent, int kind,
               const gmetad_attribute *attributes, size_t count, gmetad_node *out);

    /* Removes a node and everything below it. GMETAD_NOT_POSSIBLE: it is the top. */
    int (*remove)(const gmetad_api *api, gmetad_node node);

    /* -- the configuration: as above -- */

    /* A section, in the order of the file, by index from 0: its id, and its lines as in section().
       GMETAD_ABSENT: past the last. */
    int (*section_at)(const gmetad_api *api, size_t at, gmetad_text *id,
                      const gmetad_directive **out, size_t *count);

    /* -- snapshots. Node numbers of a snapshot are valid while it is held, and only in functions
          that take a snapshot. -- */

    /* A number that differs after each change of the tree, and for each update. During notify and
       notify_root, on the thread that calls them; elsewhere 0. */
    uint64_t (*revision)(const gmetad_api *api);

    /* A snapshot of the current tree, with the changes so far; must be released. Null: this thread
       is not in a call of notify or notify_root, or the call has added or removed nodes. */
    const gmetad_snapshot *(*hold)(const gmetad_api *api);

    /* Releases a snapshot; null does nothing. */
    void (*release)(const gmetad_api *api, const gmetad_snapshot *snapshot);

    /* A number that changes whenever newest() or newest_root() would return something new. This and
       the following functions may be called on any thread, at any time. */
    uint64_t (*news)(const gmetad_api *api);

    /* The newest snapshot of each cluster and grid, as received, in the order of the sources.
       Writes up to `room` of them to `out`, each of which must be released, and returns how many
       there are. `out` may be null if `room` is 0. A cluster or grid that its source no longer has,
       or whose source is no longer configured, is dropped at the next notify_root. */
    size_t (*newest)(const gmetad_api *api, const gmetad_snapshot **out, size_t room);

    /* The newest snapshot of this gmetad's own GRID; must be released. Null: there is none yet. */
    const gmetad_snapshot *(*newest_root)(const gmetad_api *api);

    /* The CLUSTER or GRID of a snapshot. 0: the snapshot is null. */
    gmetad_node (*snapshot_top)(const gmetad_api *api, const gmetad_snapshot *snapshot);

    /* A gmetad_kind, or 0: no such node. */
    int (*snapshot_kind)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                         gmetad_node node);

    /* As find(). */
    gmetad_node (*snapshot_find)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                                 gmetad_node node, gmetad_text key);

    /* Calls a function with each child of a node, in order. */
    int (*snapshot_children)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                             gmetad_node node, gmetad_each_child each, void *context);

    /* The same for the METRICS of the summary. */
    int (*snapshot_sums)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                         gmetad_each_child each, void *context);

    /* As summary(), of the top. */
    int (*snapshot_summary)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                            gmetad_summary *out);

    /* Calls a function with the attribute of that name. GMETAD_ABSENT: there is none. */
    int (*snapshot_attribute)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                              gmetad_node node, gmetad_text name, gmetad_each_attribute each,
                              void *context);

    /* The same for all attributes, in the order of attribute_at(). */
    int (*snapshot_attributes)(const gmetad_api *api, const gmetad_snapshot *snapshot,
                               gmetad_node node, gmetad_each_attribute each, void *context);
};

/*
 * What a plugin offers to gmetad. Valid from gmetad_get_plugin until the process ends; gmetad does
 * not change it. Functions that are null are not called; create and notify must be set.
 */
typedef struct gmetad_plugin gmetad_plugin;
struct gmetad_plugin {
    uint32_t abi;               /* GMETAD_PLUGIN_ABI */
    uint32_t size;              /* sizeof(gmetad_plugin) */

    /* The name of its section in gmetad.conf, and its name in the log and in the directive
       `plugins`. Letters, digits, `_`, `-` and `.`. Several plugins may have the same id, also that
       of a built-in one: the log then names the file too. */
    gmetad_text id;

    /* Prepares the plugin. `plugin` is this table, for an object that has several. `api` is valid
       until the process ends. `directives` are the lines of its section, in order, none if there is
       no section; valid until the process ends. What is written to `instance`, null or not, is the
       first argument of the other functions. */
    int (*create)(const gmetad_plugin *plugin, const gmetad_api *api,
                  const gmetad_directive *directives, size_t count, void **instance);

    /* Opens files, starts threads and the like. */
    int (*start)(void *instance);

    /* A source was polled. `top` is its CLUSTER or GRID. */
    int (*notify)(void *instance, gmetad_node top, const gmetad_update *update);

    /* All sources that answer were summarised. `top` is this gmetad's own GRID. */
    int (*notify_root)(void *instance, gmetad_node top, const gmetad_update *update);

    /* Ends what start began. */
    void (*stop)(void *instance);

    /* Frees `instance`. */
    void (*destroy)(void *instance);

    /* The id of a built-in plugin that this one replaces, such as `rrd`: that one does nothing
       while this one runs, so that no file is written twice. Empty, or left out: none. */
    gmetad_text replaces;
};

/*
 * The one function that a plugin exports. `file` is the path of the file in plugins_dir that is
 * being loaded. Returns the plugin, or null after a failure, whose reason is what was passed to
 * fail(). It is also called in a trial process before, as is create, so both must do nothing that is
 * expensive or changes anything; that belongs in start.
 */
const gmetad_plugin *gmetad_get_plugin(const gmetad_api *api, gmetad_text file);

/* -- conveniences -- */

/* A string literal as text. */
#ifdef __cplusplus
#define GMETAD_TEXT(literal) (gmetad_text{"" literal, sizeof(literal) - 1})
#else
#define GMETAD_TEXT(literal) ((gmetad_text){"" literal, sizeof(literal) - 1})
#endif

/* Initialiser of a static gmetad_text. */
#define GMETAD_TEXT_INIT(literal) {"" literal, sizeof(literal) - 1}

/* For printf: printf("%.*s", GMETAD_PRINT(text)). */
#define GMETAD_PRINT(text) ((int)(text).len), ((text).ptr ? (text).ptr : "")

/* A NUL-terminated string as text. */
static inline gmetad_text gmetad_text_of(const char *string)
{
    gmetad_text text;
    text.ptr = string;
    text.len = string ? strlen(string) : 0;
    return text;
}

/* Whether text equals a NUL-terminated string. */
static inline int gmetad_text_is(gmetad_text text, const char *string)
{
    size_t len = strlen(string);
    return text.len == len && (len == 0 || memcmp(text.ptr, string, len) == 0);
}

#ifdef __cplusplus
}
#endif

#endif
