/* Prints what the header says of sizes, places and numbers, for a test to compare. */

#include <gmetad_plugin.h>
#include <stdio.h>

#define TYPE(type) printf(#type " %zu\n", sizeof(type))
#define PLACE(type, field) printf(#type "." #field " %zu\n", offsetof(type, field))
#define NUMBER(name) printf(#name " %d\n", (int)name)

int main(void)
{
    NUMBER(GMETAD_PLUGIN_ABI);
    NUMBER(GMETAD_GRID);
    NUMBER(GMETAD_CLUSTER);
    NUMBER(GMETAD_HOST);
    NUMBER(GMETAD_METRIC);
    NUMBER(GMETAD_METRICS);
    NUMBER(GMETAD_EXTRA_DATA);
    NUMBER(GMETAD_EXTRA_ELEMENT);
    NUMBER(GMETAD_OK);
    NUMBER(GMETAD_ABSENT);
    NUMBER(GMETAD_FAILED);
    NUMBER(GMETAD_NO_NODE);
    NUMBER(GMETAD_NOT_POSSIBLE);
    NUMBER(GMETAD_BAD_VALUE);
    NUMBER(GMETAD_EXISTS);
    NUMBER(GMETAD_NOT_NOW);
    NUMBER(GMETAD_FULL);
    NUMBER(GMETAD_FATAL);
    NUMBER(GMETAD_CRITICAL);
    NUMBER(GMETAD_ERROR);
    NUMBER(GMETAD_WARNING);
    NUMBER(GMETAD_INFO);
    NUMBER(GMETAD_DEBUG);
    TYPE(gmetad_node);
    TYPE(gmetad_text);
    PLACE(gmetad_text, ptr);
    PLACE(gmetad_text, len);
    TYPE(gmetad_directive);
    PLACE(gmetad_directive, name);
    PLACE(gmetad_directive, value);
    PLACE(gmetad_directive, file);
    PLACE(gmetad_directive, line);
    TYPE(gmetad_attribute);
    PLACE(gmetad_attribute, name);
    PLACE(gmetad_attribute, value);
    TYPE(gmetad_update);
    PLACE(gmetad_update, size);
    PLACE(gmetad_update, up);
    PLACE(gmetad_update, source);
    PLACE(gmetad_update, interval);
    PLACE(gmetad_update, now);
    TYPE(gmetad_summary);
    PLACE(gmetad_summary, size);
    PLACE(gmetad_summary, hosts_up);
    PLACE(gmetad_summary, hosts_down);
    PLACE(gmetad_summary, metrics);
    PLACE(gmetad_summary, first);
    TYPE(gmetad_source);
    PLACE(gmetad_source, size);
    PLACE(gmetad_source, hosts);
    PLACE(gmetad_source, name);
    PLACE(gmetad_source, interval);
    TYPE(gmetad_api);
    PLACE(gmetad_api, abi);
    PLACE(gmetad_api, size);
    PLACE(gmetad_api, version);
    PLACE(gmetad_api, log);
    PLACE(gmetad_api, fail);
    PLACE(gmetad_api, setting);
    PLACE(gmetad_api, setting_at);
    PLACE(gmetad_api, source_at);
    PLACE(gmetad_api, source_host_at);
    PLACE(gmetad_api, section);
    PLACE(gmetad_api, kind);
    PLACE(gmetad_api, parent);
    PLACE(gmetad_api, first);
    PLACE(gmetad_api, next);
    PLACE(gmetad_api, find);
    PLACE(gmetad_api, children);
    PLACE(gmetad_api, summary);
    PLACE(gmetad_api, set_hosts);
    PLACE(gmetad_api, get);
    PLACE(gmetad_api, number);
    PLACE(gmetad_api, value);
    PLACE(gmetad_api, attribute_at);
    PLACE(gmetad_api, set);
    PLACE(gmetad_api, set_number);
    PLACE(gmetad_api, set_value);
    PLACE(gmetad_api, add);
    PLACE(gmetad_api, remove);
    PLACE(gmetad_api, section_at);
    PLACE(gmetad_api, revision);
    PLACE(gmetad_api, hold);
    PLACE(gmetad_api, release);
    PLACE(gmetad_api, news);
    PLACE(gmetad_api, newest);
    PLACE(gmetad_api, newest_root);
    PLACE(gmetad_api, snapshot_top);
    PLACE(gmetad_api, snapshot_kind);
    PLACE(gmetad_api, snapshot_find);
    PLACE(gmetad_api, snapshot_children);
    PLACE(gmetad_api, snapshot_sums);
    PLACE(gmetad_api, snapshot_summary);
    PLACE(gmetad_api, snapshot_attribute);
    PLACE(gmetad_api, snapshot_attributes);
    TYPE(gmetad_plugin);
    PLACE(gmetad_plugin, abi);
    PLACE(gmetad_plugin, size);
    PLACE(gmetad_plugin, id);
    PLACE(gmetad_plugin, create);
    PLACE(gmetad_plugin, start);
    PLACE(gmetad_plugin, notify);
    PLACE(gmetad_plugin, notify_root);
    PLACE(gmetad_plugin, stop);
    PLACE(gmetad_plugin, destroy);
    PLACE(gmetad_plugin, replaces);
    return 0;
}
