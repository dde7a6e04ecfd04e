/* A plugin that ends the process where and how its section tells it to. */

#include <gmetad_plugin.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const gmetad_api *api;
static char place[16], way[16];

static int deeper(volatile char *above)
{
    /* Less than a page, so that it cannot step over the one that guards the stack. */
    volatile char here[512];
    here[0] = above[0];
    /* It is never 1, which the compiler does not know. */
    return here[0] == 1 ? 0 : deeper(here) + here[0];
}

static void end(void)
{
    volatile int *volatile nowhere = 0;
    gmetad_text how = gmetad_text_of(way);

    if (gmetad_text_is(how, "exit"))
        exit(0);
    if (gmetad_text_is(how, "_exit"))
        _exit(0);
    if (gmetad_text_is(how, "crash"))
        *nowhere = 1;
    if (gmetad_text_is(how, "abort"))
        abort();
    if (gmetad_text_is(how, "raise"))
        raise(SIGBUS);
    if (gmetad_text_is(how, "recurse"))
        deeper((volatile char *)way);
    if (gmetad_text_is(how, "fork")) {
        pid_t child = fork();
        if (child == 0)
            exit(0);
        waitpid(child, NULL, 0);
        child = fork();
        if (child == 0)
            abort();
        waitpid(child, NULL, 0);
    }
}

static void *elsewhere(void *nothing)
{
    end();
    return nothing;
}

static void end_in(const char *here)
{
    pthread_t thread;

    if (gmetad_text_is(gmetad_text_of(place), here))
        end();
    if (gmetad_text_is(gmetad_text_of(place), "thread") && here[0] == 'n' &&
        pthread_create(&thread, NULL, elsewhere, NULL) == 0)
        pthread_join(thread, NULL);
}

static void keep(char *to, gmetad_text from)
{
    size_t at;

    for (at = 0; at < from.len && at < 15; at++)
        to[at] = from.ptr[at];
}

static int create(const gmetad_plugin *plugin, const gmetad_api *given,
                  const gmetad_directive *directives, size_t count, void **instance)
{
    (void)plugin;
    api = given;
    *instance = place;
    if (count > 0) {
        keep(place, directives[0].name);
        keep(way, directives[0].value);
    }
    end_in("create");
    return GMETAD_OK;
}

static int notify(void *instance, gmetad_node top, const gmetad_update *update)
{
    (void)instance, (void)top, (void)update;
    end_in("notify");
    api->log(api, GMETAD_INFO, GMETAD_TEXT("it goes on"));
    return GMETAD_OK;
}

static void stop(void *instance)
{
    (void)instance;
    end_in("stop");
}

const gmetad_plugin *gmetad_get_plugin(const gmetad_api *given, gmetad_text file)
{
    static const gmetad_plugin plugin = {
        .abi = GMETAD_PLUGIN_ABI,
        .size = sizeof plugin,
        .id = GMETAD_TEXT_INIT("ends"),
        .create = create,
        .notify = notify,
        .stop = stop,
    };
    (void)given, (void)file;
#ifdef IN_FACTORY
    exit(0);
#endif
    return &plugin;
}
