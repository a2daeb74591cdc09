using System.Security.Cryptography;
using System.Text;
using Npgsql;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Writes an event and its deliveries into the running transaction: a webhook registered now gets it, one registered a moment later does not.
/// </summary>
internal sealed class EventLog(UnitOfWork unit, [FromKeyedServices(typeof(EventSequencer))] WakeUp sequencer, DueLanes due, TimeProvider clock)
{
    /// <param name="onlyTo">The one webhook that gets it, whatever events it asked for; null for all that asked for this type.</param>
    /// <returns>The event's id.</returns>
    public async Task<string> AppendAsync(Announce announce, CancellationToken ct, string? onlyTo = null)
    {
        var now = clock.GetUtcNow();
        var eventId = Ids.New(Ids.Event, now);
        var (sequence, webhooks) = await LookAsync(announce, onlyTo, ct);
        var body = Body(eventId, announce.Type, now, sequence, announce.SubjectId, announce.IsTest, announce.DataJson);

        await using var write = new NpgsqlBatch(unit.Connection, unit.Transaction);
        write.BatchCommands.Add(new("INSERT INTO tenant.events (id, tenant_id, type, subject_id, sequence, data, created_at, is_test) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        {
            Parameters =
            {
                new() { Value = eventId }, new() { Value = announce.TenantId }, new() { Value = announce.Type }, new() { Value = announce.SubjectId },
                new() { Value = sequence }, new() { Value = announce.DataJson }, new() { Value = now }, new() { Value = announce.IsTest },
            },
        });
        var lanes = new List<DueLane>();
        foreach (var webhook in webhooks)
        {
            Deliver(webhook, null, body, webhook);
        }

        foreach (var also in announce.AlsoTo ?? [])
        {
            Deliver(null, also.Url, also.BodyJson is { } own ? Encoding.UTF8.GetBytes(own) : body, LaneOf(announce.TenantId, also.Url));
        }

        await write.ExecuteNonQueryAsync(ct);
        unit.AfterCommit(sequencer.Wake);
        unit.AfterCommit(() => due.Mark(lanes));
        return eventId;

        void Deliver(string? webhook, string? url, byte[] bytes, string lane)
        {
            lanes.Add(new(lane, announce.TenantId));
            write.BatchCommands.Add(new(
                """
                WITH made AS (
                  INSERT INTO tenant.deliveries (id, tenant_id, webhook_id, url, event_id, subject_id, sequence, body, status, created_at)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9))
                INSERT INTO tenant.delivery_queue (delivery_id, tenant_id, lane, subject_id, sequence, due_at) VALUES ($1, $2, $10, $6, $7, $9)
                """)
            {
                Parameters =
                {
                    new() { Value = Ids.New(Ids.Delivery, now) }, new() { Value = announce.TenantId }, Text(webhook), Text(url), new() { Value = eventId },
                    new() { Value = announce.SubjectId }, new() { Value = sequence }, new() { Value = bytes }, new() { Value = now }, new() { Value = lane },
                },
            });
        }
    }

    /// <summary>The same as tenant.delivery_lane: one receiver is one lane.</summary>
    internal static string LaneOf(string tenantId, string url) => $"{tenantId}:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(url)))}";

    /// <summary>The number of the event within its subject, and who is to get it. The lock makes concurrent events of one subject wait.</summary>
    private async Task<(int Sequence, IReadOnlyList<string> Webhooks)> LookAsync(Announce announce, string? onlyTo, CancellationToken ct)
    {
        await using var look = new NpgsqlBatch(unit.Connection, unit.Transaction)
        {
            BatchCommands =
            {
                new("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))") { Parameters = { new() { Value = announce.SubjectId } } },
                new("SELECT coalesce(max(sequence), 0) + 1 FROM tenant.events WHERE tenant_id = $1 AND subject_id = $2")
                {
                    Parameters = { new() { Value = announce.TenantId }, new() { Value = announce.SubjectId } },
                },
                new(
                    """
                    SELECT id FROM tenant.webhooks WHERE tenant_id = $1 AND deleted_at IS NULL AND disabled_at IS NULL
                      AND CASE WHEN $3 IS NULL THEN event_types = '{}' OR event_types && ARRAY[$2, split_part($2, '.', 1) || '.*'] ELSE id = $3 END
                    ORDER BY id
                    """)
                {
                    Parameters = { new() { Value = announce.TenantId }, new() { Value = announce.Type }, Text(onlyTo) },
                },
            },
        };
        await using var row = await look.ExecuteReaderAsync(ct);
        await row.NextResultAsync(ct);
        await row.ReadAsync(ct);
        var sequence = row.GetInt32(0);
        await row.NextResultAsync(ct);
        var webhooks = new List<string>();
        while (await row.ReadAsync(ct))
        {
            webhooks.Add(row.GetString(0));
        }

        return (sequence, webhooks);
    }

    /// <summary>The bytes that every attempt sends and signs, now and in a replay.</summary>
    internal static byte[] Body(string id, string type, DateTimeOffset at, int sequence, string subjectId, bool isTest, string dataJson) => Encoding.UTF8.GetBytes(
        $$"""{"id":"{{id}}","type":"{{type}}","created_at":{{Json.Write(at)}},"sequence":{{sequence}},"subject_id":"{{subjectId}}","test":{{(isTest ? "true" : "false")}},"data":{{dataJson}}}""");

    private static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };
}
