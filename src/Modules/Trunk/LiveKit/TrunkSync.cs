using Npgsql;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.Trunks.Data;

namespace VoicePlatform.Trunks.LiveKit;

/// <summary>
/// Brings the LiveKit server to what the database says: changed trunks at once, everything at the start and from time to time (an
/// embedded server begins empty; somebody may have removed something). A trunk saved while LiveKit was away follows when it is back.
/// What carries another installation's mark, or none, is never touched.
/// </summary>
internal sealed partial class TrunkSync(
    NpgsqlDataSource source,
    IServiceScopeFactory scopes,
    [FromKeyedServices(typeof(TrunkSync))] WakeUp wakeUp,
    TimeProvider clock,
    ILogger<TrunkSync> log) : BackgroundLoop(PollInterval, clock, log, wakeUp)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FullInterval = TimeSpan.FromMinutes(2);

    private string? _complaint;
    private DateTimeOffset _fullDue = DateTimeOffset.MinValue;

    protected override async Task WorkAsync(CancellationToken ct)
    {
        var full = Clock.GetUtcNow() >= _fullDue;
        try
        {
            if (await PassAsync(full, ct) && full)
            {
                _complaint = null;
                _fullDue = Clock.GetUtcNow() + FullInterval;
            }
        }
        catch (LiveKitApiException e)
        {
            await ComplainAsync(e.Message, ct);
        }
    }

    /// <summary>Said once, and kept with every trunk that waits: whoever looks at it learns why.</summary>
    private async Task ComplainAsync(string reason, CancellationToken ct)
    {
        if (_complaint != reason)
        {
            NotReached(Log, reason);
        }

        _complaint = reason;
        try
        {
            await using var note = source.CreateCommand("UPDATE trunk.trunks SET sync_error = $1 WHERE synced_revision <> revision AND sync_error IS DISTINCT FROM $1");
            note.Parameters.Add(new() { Value = reason });
            await note.ExecuteNonQueryAsync(ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            NotKept(Log, e);
        }
    }

    /// <summary>False when another host is at it.</summary>
    private async Task<bool> PassAsync(bool full, CancellationToken ct)
    {
        // One host at a time, or two would each create the same trunk. A lock of the session, not of a transaction: we talk to the network.
        await using var locked = await source.OpenConnectionAsync(ct);
        await using (var tryLock = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtext('trunk.sync'))", locked))
        {
            if (await tryLock.ExecuteScalarAsync(ct) is not true)
            {
                return false;
            }
        }

        try
        {
            await using var scope = scopes.CreateAsyncScope();
            var shapes = new LiveKitShapes(await InstallationAsync(locked, ct), scope.ServiceProvider.GetRequiredService<SecretBox>());
            var server = new TrunksOnServer(scope.ServiceProvider.GetRequiredService<LiveKitApi>(), shapes);
            if (full)
            {
                await ReconcileAsync(server, ct);
            }
            else
            {
                await SyncAsync(server, await WithNumbersAsync(t => t.SyncedRevision != t.Revision, ct), ct);
            }

            return true;
        }
        finally
        {
            await using var unlock = new NpgsqlCommand("SELECT pg_advisory_unlock(hashtext('trunk.sync'))", locked);
            await unlock.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private async Task ReconcileAsync(TrunksOnServer server, CancellationToken ct)
    {
        var there = await server.ListAsync(ct);
        var ours = await WithNumbersAsync(t => t.DeletedAt == null || t.LivekitTrunkId != null || t.SyncedRevision != t.Revision, ct);
        await server.RemoveStrayAsync(there, ours.Where(o => o.Trunk.DeletedAt is null).Select(o => o.Trunk).ToDictionary(t => t.Id), ct);
        await SyncAsync(server, ours.Where(o => o.Trunk.SyncedRevision != o.Trunk.Revision || !server.IsThere(there, o.Trunk, o.Numbers)).ToList(), ct);
    }

    private async Task SyncAsync(TrunksOnServer server, List<Desired> changed, CancellationToken ct)
    {
        foreach (var (trunk, numbers) in changed.Where(c => c.Trunk.SyncAfter <= Clock.GetUtcNow()))
        {
            try
            {
                var (trunkId, ruleId) = await server.BringAsync(trunk, numbers, ct);
                await NoteAsync(trunk, trunk.Revision, trunkId, ruleId, null, ct);
                Synced(Log, trunk.Id);
            }
            catch (LiveKitApiException e)
            {
                await NoteAsync(trunk, trunk.SyncedRevision, trunk.LivekitTrunkId, trunk.LivekitRuleId, e.Message, ct);
                Refused(Log, trunk.Id, e.Message);
            }
        }
    }

    private async Task NoteAsync(Trunk trunk, int revision, string? trunkId, string? ruleId, string? error, CancellationToken ct)
    {
        await using var note = source.CreateCommand(
            "UPDATE trunk.trunks SET synced_revision = $2, livekit_trunk_id = $3, livekit_rule_id = $4, sync_error = $5, sync_after = $6 WHERE id = $1");
        note.Parameters.Add(new() { Value = trunk.Id });
        note.Parameters.Add(new() { Value = revision });
        note.Parameters.Add(new() { Value = (object?)trunkId ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
        note.Parameters.Add(new() { Value = (object?)ruleId ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
        note.Parameters.Add(new() { Value = (object?)error ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
        note.Parameters.Add(new() { Value = error is null ? Clock.GetUtcNow() : Clock.GetUtcNow() + PollInterval });
        await note.ExecuteNonQueryAsync(ct);
    }

    private async Task<List<Desired>> WithNumbersAsync(System.Linq.Expressions.Expression<Func<Trunk, bool>> which, CancellationToken ct)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<TrunkDb>();
        var trunks = await db.Trunks.AsNoTracking().Where(which).OrderBy(t => t.Id).ToListAsync(ct);
        var ids = trunks.Select(t => t.Id).ToList();
        var routed = (await db.Numbers.AsNoTracking().Where(n => ids.Contains(n.TrunkId) && n.DeletedAt == null).Select(n => new { n.TrunkId, n.Number }).ToListAsync(ct))
            .ToLookup(n => n.TrunkId, n => n.Number);
        return trunks.ConvertAll(t => new Desired(t, t.Numbers.Concat(routed[t.Id]).Distinct().ToList()));
    }

    private static async Task<string> InstallationAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var query = new NpgsqlCommand("SELECT id FROM trunk.installation", connection);
        return (string)(await query.ExecuteScalarAsync(ct))!;
    }

    [LoggerMessage(LogLevel.Information, "LiveKit has trunk {TrunkId}")]
    private static partial void Synced(ILogger logger, string trunkId);

    [LoggerMessage(LogLevel.Warning, "LiveKit did not take trunk {TrunkId}: {Reason}")]
    private static partial void Refused(ILogger logger, string trunkId, string reason);

    [LoggerMessage(LogLevel.Warning, "The trunks could not be compared with LiveKit's: {Reason}")]
    private static partial void NotReached(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Error, "Why trunks wait could not be kept")]
    private static partial void NotKept(ILogger logger, Exception exception);

    /// <param name="Numbers">The trunk's own and those routed by it.</param>
    private sealed record Desired(Trunk Trunk, IReadOnlyList<string> Numbers);
}
