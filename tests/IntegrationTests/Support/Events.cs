using System.Text.Json;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Support;

/// <summary>What modules do inside of the host, done by a test: events in transactions, scheduled jobs, and a look into the database.</summary>
internal static class Events
{
    public static async Task AnnounceAsync(this TestTenant tenant, string subject, string type = "call.completed", object? data = null, TimeSpan commitAfter = default)
    {
        var caller = new Caller();
        caller.Become(tenant.TenantId, null, null, false);
        var result = await tenant.Host.Services.GetRequiredService<Transactions>().RunAsync(
            caller,
            async (scope, ct) =>
            {
                var done = await scope.GetRequiredService<IMediator>().Send(
                    new Announce(tenant.TenantId, type, subject, JsonSerializer.Serialize(data ?? new { subject }), false), ct);
                await Task.Delay(commitAfter, TimeProvider.System, ct);
                return done;
            },
            CancellationToken.None);
        Assert.That(result.IsOk, Is.True);
    }

    public static async Task RunJobAsync(this TestHost host, string name)
    {
        await using var scope = host.Services.CreateAsyncScope();
        await scope.ServiceProvider.GetServices<IScheduledJob>().Single(j => j.Name == name).RunAsync(CancellationToken.None);
    }

    /// <summary>As the owner of the database, for what time or another host would bring about.</summary>
    public static async Task<object?> SqlAsync(this TestHost host, string sql, params object[] values)
    {
        await using var source = NpgsqlDataSource.Create(host.Database.Owner);
        await using var command = source.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return await command.ExecuteScalarAsync();
    }

    /// <summary>The webhook's deliveries, newest first, once they are as many as expected and none is on its way.</summary>
    public static async Task<IReadOnlyList<System.Text.Json.Nodes.JsonNode>> SettledAsync(this TestTenant tenant, string webhook, int count)
    {
        IReadOnlyList<System.Text.Json.Nodes.JsonNode> deliveries = [];
        Assert.That(
            async () =>
            {
                deliveries = [.. (await tenant.GetAsync($"/v1/webhooks/{webhook}/deliveries?limit=100")).Body!["data"]!.AsArray().Select(d => d!)];
                return deliveries.Count(d => d["status"]!.GetValue<string>() != "pending");
            },
            Is.EqualTo(count).After(20_000, 50));
        return deliveries;
    }
}
