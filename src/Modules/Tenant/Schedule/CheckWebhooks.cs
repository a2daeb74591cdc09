using Dapper;
using Npgsql;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Schedule;

/// <summary>Tells of webhooks that fail or have recovered, and disables those to which nothing has got through for days.</summary>
internal sealed class CheckWebhooks(NpgsqlDataSource source, Transactions transactions, TimeProvider clock) : IScheduledJob
{
    public string Name => "tenant.check-webhooks";

    public SharedKernel.Schedule Schedule => new SharedKernel.Schedule.Every(TimeSpan.FromMinutes(1));

    public async Task RunAsync(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var changed = (await connection.QueryAsync<(string Id, string TenantId)>(new(
            """
            SELECT id, tenant_id FROM tenant.webhooks
            WHERE deleted_at IS NULL AND disabled_at IS NULL AND (failing_since IS NOT NULL OR failing_told_at IS NOT NULL)
              AND (failing_since <= @Long OR (failing_since <= @Failing AND failing_told_at IS NULL) OR (failing_since IS NULL AND failing_told_at IS NOT NULL))
            ORDER BY id LIMIT 10000
            """,
            new { Long = clock.GetUtcNow() - WebhookHealth.DisableAfter, Failing = clock.GetUtcNow() - WebhookHealth.TellAfter },
            cancellationToken: ct))).ToList();
        await connection.CloseAsync();
        foreach (var (id, tenantId) in changed)
        {
            var caller = new Caller();
            caller.Become(tenantId, null, null, false);
            await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<WebhookHealth>().CheckAsync(id, token), ct);
        }
    }
}
