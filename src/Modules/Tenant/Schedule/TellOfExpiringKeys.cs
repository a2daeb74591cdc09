using Dapper;
using Npgsql;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Schedule;

/// <summary>Announces each key once that expires within seven days. That it was announced is known by the event itself.</summary>
internal sealed class TellOfExpiringKeys(NpgsqlDataSource source, Transactions transactions, TimeProvider clock) : IScheduledJob
{
    private static readonly TimeSpan Ahead = TimeSpan.FromDays(7);

    public string Name => "tenant.tell-of-expiring-keys";

    public SharedKernel.Schedule Schedule => new SharedKernel.Schedule.Every(TimeSpan.FromHours(1));

    public async Task RunAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var connection = await source.OpenConnectionAsync(ct);
        var expiring = (await connection.QueryAsync<(string Id, string TenantId, string Name, DateTime ExpiresAt, bool IsTest)>(new(
            """
            SELECT k.id, k.tenant_id, k.name, k.expires_at, k.mode = 'test' FROM tenant.keys k
            WHERE k.revoked_at IS NULL AND k.expires_at > @Now AND k.expires_at <= @Until
              AND NOT EXISTS (SELECT FROM tenant.events e WHERE e.tenant_id = k.tenant_id AND e.subject_id = k.id AND e.type = @Type)
            ORDER BY k.expires_at LIMIT 10000
            """,
            new { Now = now, Until = now + Ahead, Type = EventTypes.KeyExpiring }, cancellationToken: ct))).ToList();
        await connection.CloseAsync();
        foreach (var (id, tenantId, name, expiresAt, isTest) in expiring)
        {
            var caller = new Caller();
            caller.Become(tenantId, null, null, false);
            var data = Json.Write(new { key_id = id, name, expires_at = new DateTimeOffset(expiresAt, TimeSpan.Zero) });
            await transactions.RunAsync(
                caller,
                async (scope, token) => await IsToldAsync(scope.GetRequiredService<UnitOfWork>(), tenantId, id, token)
                    ? default(Done)
                    : await scope.GetRequiredService<IMediator>().Send(new Announce(tenantId, EventTypes.KeyExpiring, id, data, isTest), token),
                ct);
        }
    }

    /// <summary>Asked again under a lock: another run may have told it since the keys were read.</summary>
    private static async Task<bool> IsToldAsync(UnitOfWork unit, string tenantId, string keyId, CancellationToken ct)
    {
        await unit.Connection.ExecuteAsync(new("SELECT pg_advisory_xact_lock(hashtextextended('key.expiring:' || @keyId, 0))", new { keyId }, unit.Transaction, cancellationToken: ct));
        return await unit.Connection.ExecuteScalarAsync<bool>(new(
            "SELECT EXISTS (SELECT FROM tenant.events WHERE tenant_id = @tenantId AND subject_id = @keyId AND type = @type)",
            new { tenantId, keyId, type = EventTypes.KeyExpiring }, unit.Transaction, cancellationToken: ct));
    }
}
