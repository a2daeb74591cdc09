using Npgsql;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;

namespace VoicePlatform.Calls.Recording;

/// <summary>
/// Asks LiveKit after recordings whose end nobody told: a webhook is tried a few times and then lost, and without an end the tenant
/// would wait for the file for ever.
/// </summary>
internal sealed class RecordingSweeper(NpgsqlDataSource source, IServiceScopeFactory scopes, TimeProvider clock, ILogger<RecordingSweeper> log)
    : BackgroundLoop(Interval, clock, log)
{
    private const int Batch = 100;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>From the call's end on; until then it is the webhook's.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Then a recording that LiveKit does not know is not to be had any more.</summary>
    private static readonly TimeSpan GivenUp = TimeSpan.FromMinutes(10);

    protected override async Task WorkAsync(CancellationToken ct)
    {
        foreach (var late in await FindAsync(ct))
        {
            try
            {
                await AskAsync(late, ct);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                // One that cannot be asked after must not keep the others; it is asked after again with the next pass.
                CallLog.RecordingUnknown(Log, late.CallId, e);
            }
        }
    }

    private async Task<List<Late>> FindAsync(CancellationToken ct)
    {
        var found = new List<Late>();
        await using var query = source.CreateCommand(
            """
            SELECT id, room_name, recording_egress_id, ended_at FROM call.calls
            WHERE recording_status IN ('starting', 'active') AND ended_at < $1 ORDER BY ended_at LIMIT $2
            """);
        query.Parameters.Add(new() { Value = Clock.GetUtcNow() - Patience });
        query.Parameters.Add(new() { Value = Batch });
        await using var row = await query.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            found.Add(new(row.GetString(0), row.GetString(1), row.GetValue(2) as string, row.GetFieldValue<DateTimeOffset>(3)));
        }

        return found;
    }

    private async Task AskAsync(Late late, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        var mediator = scope.ServiceProvider.GetRequiredService<IMediator>();
        var known = await scope.ServiceProvider.GetRequiredService<LiveKitApi>().Egress.ListAsync(
            late.EgressId is { } id ? new ListEgressRequest { EgressId = id } : new ListEgressRequest { RoomName = late.RoomName }, ct);
        if (known.Count == 0 && late.EndedAt < Clock.GetUtcNow() - GivenUp)
        {
            await mediator.Send(new NoteRecordingEnded(late.CallId, "LiveKit knows nothing of this recording.", TimeSpan.Zero, 0), ct);
        }
        else if (known is [var egress, ..] && egress.Status.IsOver())
        {
            var file = egress.FileResults.FirstOrDefault();
            await mediator.Send(new NoteRecordingRuns(late.CallId, egress.EgressId), ct);
            await mediator.Send(
                new NoteRecordingEnded(late.CallId, egress.Error, TimeSpan.FromTicks((file?.Duration ?? 0) / TimeSpan.NanosecondsPerTick), file?.Size ?? 0), ct);
        }
    }

    private sealed record Late(string CallId, string RoomName, string? EgressId, DateTimeOffset EndedAt);
}
