/* Reads every value of an update, and with `change` in its section sets every one anew. */

#include <gmetad_plugin.h>

static const gmetad_api *api;
static int changes;
static double sum;

static int create(const gmetad_plugin *plugin, const gmetad_api *given,
                  const gmetad_directive *directives, size_t count, void **instance)
{
    (void)plugin, (void)instance;
    api = given;
    changes = count > 0 && gmetad_text_is(directives[0].name, "change");
    return GMETAD_OK;
}

static int notify(void *instance, gmetad_node top, const gmetad_update *update)
{
    gmetad_node host, metric;
    double value;

    (void)instance, (void)update;
    for (host = api->first(api, top); host; host = api->next(api, host))
        for (metric = api->first(api, host); metric; metric = api->next(api, metric))
            if (api->value(api, metric, &value) == GMETAD_OK) {
                sum += value;
                if (changes)
                    api->set_value(api, metric, value + 1);
            }
    return sum < 0 ? GMETAD_FAILED : GMETAD_OK;
}

const gmetad_plugin *gmetad_get_plugin(const gmetad_api *given, gmetad_text file)
{
    static const gmetad_plugin plugin = {
        .abi = GMETAD_PLUGIN_ABI,
        .size = sizeof plugin,
        .id = GMETAD_TEXT_INIT("touch"),
        .create = create,
        .notify = notify,
    };
    (void)given, (void)file;
    return &plugin;
}
