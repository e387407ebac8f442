#include "inflater.h"

#ifdef WITH_DEFLATE

#include <string.h>
#include <zlib.h>

#include "load.h"
#include "memory.h"

struct inflater {
    z_stream stream;
    bool keeps_no_context;
};

static char *result;
static size_t result_room;

bool inflater_is_here(void)
{
    return true;
}

struct inflater *inflater_open(bool keeps_no_context)
{
    struct inflater *inflater = need(sizeof *inflater);
    inflater->keeps_no_context = keeps_no_context;
    if (inflateInit2(&inflater->stream, -15) != Z_OK) {
        fprintf(stderr, "load: no memory to inflate with\n");
        exit(1);
    }
    return inflater;
}

/* Inflate a piece behind what there is; false: it is broken, or too large. */
static bool inflate_piece(z_stream *stream, const char *from, size_t length, size_t *there)
{
    stream->next_in = (Bytef *)(uintptr_t)from;
    stream->avail_in = (uInt)length;
    for (;;) {
        if (result_room - *there < 1024) {
            if (result_room >= LONGEST_FRAME)
                return false;
            result_room = result_room == 0 ? 65536 : result_room * 2;
            result = need_more(result, result_room);
        }
        stream->next_out = (Bytef *)result + *there;
        stream->avail_out = (uInt)(result_room - *there);
        int done = inflate(stream, Z_SYNC_FLUSH);
        *there = result_room - stream->avail_out;
        if (done != Z_OK && done != Z_BUF_ERROR && done != Z_STREAM_END)
            return false;
        if (stream->avail_out > 0)
            return stream->avail_in == 0 || done == Z_STREAM_END;
    }
}

const char *inflater_take(struct inflater *inflater, const char *from, size_t length, size_t *inflated)
{
    *inflated = 0;
    if (!inflate_piece(&inflater->stream, from, length, inflated)
        || !inflate_piece(&inflater->stream, "\x00\x00\xff\xff", 4, inflated))
        return NULL;
    if (inflater->keeps_no_context)
        inflateReset(&inflater->stream);
    return result;
}

void inflater_close(struct inflater *inflater)
{
    inflateEnd(&inflater->stream);
    free(inflater);
}

#else

bool inflater_is_here(void)
{
    return false;
}

struct inflater *inflater_open(bool keeps_no_context)
{
    (void)keeps_no_context;
    return NULL;
}

const char *inflater_take(struct inflater *inflater, const char *from, size_t length, size_t *inflated)
{
    (void)inflater;
    (void)from;
    (void)length;
    *inflated = 0;
    return NULL;
}

void inflater_close(struct inflater *inflater)
{
    (void)inflater;
}

#endif
