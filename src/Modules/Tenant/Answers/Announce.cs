using System.Text;
using Npgsql;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Answers;

/// <summary>Event and deliveries in one statement: a webhook registered now gets it, one registered a moment later does not.</summary>
internal sealed class AnnounceHandler(
    UnitOfWork unit,
    [FromKeyedServices(typeof(EventSequencer))] WakeUp sequencer,
    [FromKeyedServices(typeof(WebhookSender))] WakeUp sender,
    TimeProvider clock) : IRequestHandler<Announce, Result<Done>>
{
    public async Task<Result<Done>> Handle(Announce request, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var eventId = Ids.New(Ids.Event, now);

        // The number of the event within its subject, and who is to get it. The lock makes concurrent events of one subject wait.
        var webhooks = new List<string>();
        int sequence;
        await using (var look = new NpgsqlBatch(unit.Connection, unit.Transaction)
        {
            BatchCommands =
            {
                new("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))") { Parameters = { new() { Value = request.SubjectId } } },
                new("SELECT coalesce(max(sequence), 0) + 1 FROM tenant.events WHERE tenant_id = $1 AND subject_id = $2")
                {
                    Parameters = { new() { Value = request.TenantId }, new() { Value = request.SubjectId } },
                },
                new("SELECT id FROM tenant.webhooks WHERE tenant_id = $1 AND deleted_at IS NULL AND disabled_at IS NULL AND (event_types = '{}' OR $2 = ANY(event_types))")
                {
                    Parameters = { new() { Value = request.TenantId }, new() { Value = request.Type } },
                },
            },
        })
        {
            await using var row = await look.ExecuteReaderAsync(cancellationToken);
            await row.NextResultAsync(cancellationToken);
            await row.ReadAsync(cancellationToken);
            sequence = row.GetInt32(0);
            await row.NextResultAsync(cancellationToken);
            while (await row.ReadAsync(cancellationToken))
            {
                webhooks.Add(row.GetString(0));
            }
        }

        await using var write = new NpgsqlBatch(unit.Connection, unit.Transaction)
        {
            BatchCommands =
            {
                new("INSERT INTO tenant.events (id, tenant_id, type, subject_id, sequence, data, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
                {
                    Parameters =
                    {
                        new() { Value = eventId }, new() { Value = request.TenantId }, new() { Value = request.Type }, new() { Value = request.SubjectId },
                        new() { Value = sequence }, new() { Value = request.DataJson }, new() { Value = now },
                    },
                },
            },
        };
        if (webhooks.Count > 0)
        {
            write.BatchCommands.Add(new(
                """
                INSERT INTO tenant.deliveries (id, tenant_id, webhook_id, event_id, subject_id, sequence, body, status, next_attempt_at, created_at)
                SELECT w.delivery, $3, w.webhook, $4, $5, $6, $7, 'pending', $8, $8 FROM unnest($1::text[], $2::text[]) AS w(delivery, webhook)
                """)
            {
                Parameters =
                {
                    new() { Value = webhooks.Select(_ => Ids.New(Ids.Delivery, now)).ToArray() }, new() { Value = webhooks.ToArray() },
                    new() { Value = request.TenantId }, new() { Value = eventId }, new() { Value = request.SubjectId }, new() { Value = sequence },
                    new() { Value = Body(eventId, request, sequence, now) }, new() { Value = now },
                },
            });
        }

        foreach (var also in request.AlsoTo ?? [])
        {
            write.BatchCommands.Add(new(
                """
                INSERT INTO tenant.deliveries (id, tenant_id, url, event_id, subject_id, sequence, body, status, next_attempt_at, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $8)
                """)
            {
                Parameters =
                {
                    new() { Value = Ids.New(Ids.Delivery, now) }, new() { Value = request.TenantId }, new() { Value = also.Url }, new() { Value = eventId },
                    new() { Value = request.SubjectId }, new() { Value = sequence },
                    new() { Value = also.BodyJson is { } own ? Encoding.UTF8.GetBytes(own) : Body(eventId, request, sequence, now) }, new() { Value = now },
                },
            });
        }

        await write.ExecuteNonQueryAsync(cancellationToken);
        unit.AfterCommit(sequencer.Wake);
        unit.AfterCommit(sender.Wake);
        return default(Done);
    }

    private static byte[] Body(string eventId, Announce request, int sequence, DateTimeOffset now) => Encoding.UTF8.GetBytes(
        $$"""{"id":"{{eventId}}","type":"{{request.Type}}","created_at":{{Json.Write(now)}},"sequence":{{sequence}},"subject_id":"{{request.SubjectId}}","test":{{(request.IsTest ? "true" : "false")}},"data":{{request.DataJson}}}""");
}
