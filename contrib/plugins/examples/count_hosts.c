/* Logs how many hosts each cluster has: a minimal plugin. */

#include <gmetad_plugin.h>
#include <stdio.h>

static int create(const gmetad_plugin *plugin, const gmetad_api *api,
                  const gmetad_directive *directives, size_t count, void **instance)
{
    (void)plugin, (void)directives, (void)count;
    *instance = (void *)api;
    return GMETAD_OK;
}

static int notify(void *instance, gmetad_node top, const gmetad_update *update)
{
    const gmetad_api *api = instance;
    gmetad_summary summary = {.size = sizeof summary};
    char line[128];

    if (api->summary(api, top, &summary) != GMETAD_OK)
        return api->fail(api, GMETAD_TEXT("there is no summary"));
    snprintf(line, sizeof line, "source %.*s has %u hosts up, %u down",
             GMETAD_PRINT(update->source), summary.hosts_up, summary.hosts_down);
    return api->log(api, GMETAD_INFO, gmetad_text_of(line));
}

const gmetad_plugin *gmetad_get_plugin(const gmetad_api *api, gmetad_text file)
{
    static const gmetad_plugin plugin = {
        .abi = GMETAD_PLUGIN_ABI,
        .size = sizeof plugin,
        .id = GMETAD_TEXT_INIT("count_hosts"),
        .create = create,
        .notify = notify,
    };
    (void)api, (void)file;
    return &plugin;
}
