/* log_reserve.c - offsets that are set aside, for a batch that comes later.
 *
 * A reservation stands in the queue of log_append.c, which writes it once it is
 * filled, and leaves a hole where it was released. */
#include "log/log_private.h"

#include "base/mem.h"
#include "base/must.h"

int64_t log_reserve(struct log *log, int64_t count)
{
    struct log_reservation *reservation = MEM_NEW(struct log_reservation);
    int64_t base = log->next_offset;

    must(count > 0);
    must(log->state == LOG_OPEN);
    reservation->stand_in.base_offset = base;
    reservation->stand_in.last_offset = base + count - 1;
    reservation->count = count;
    log->next_offset += count;
    list_push(&log->queue, &reservation->stand_in.node);
    return base;
}

static struct log_reservation *log_reservation_get(struct log *log,
                                                   int64_t base)
{
    list_each(node, &log->queue)
    {
        struct log_reservation *reservation =
            log_reservation_of(log_append_of(node));

        if (reservation != NULL && reservation->stand_in.base_offset == base) {
            return reservation;
        }
    }
    unreachable();
}

void log_fill(struct log *log, int64_t base, struct log_append *append)
{
    struct log_reservation *reservation = log_reservation_get(log, base);
    struct batch_header batch;
    enum err err = batch_header_parse(append->batch, append->bytes, &batch);

    must(err == ERR_NONE && (uint32_t)batch.bytes == append->bytes);
    must(reservation->filled == NULL && !reservation->released);
    must(batch.last_offset_delta + 1 == reservation->count);
    append->duplicate = false;
    append->as_given = false;
    log_place(log, append, &batch, base);
    reservation->filled = append;
    env_soon(log->env, &log->task);
}

void log_release(struct log *log, int64_t base)
{
    struct log_reservation *reservation = log_reservation_get(log, base);

    must(reservation->filled == NULL && !reservation->released);
    reservation->released = true;
    env_soon(log->env, &log->task);
}
