using System.Reflection;
using System.Text.Json;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace VoicePlatform.SharedKernel.Outbox;

/// <summary>Wire name to CLR type, built once from the Contracts assembly.</summary>
public sealed class EventCatalog(Assembly contracts)
{
    private readonly Dictionary<string, Type> _types = contracts.GetExportedTypes()
        .Where(t => t is { IsAbstract: false } && t.IsAssignableTo(typeof(IIntegrationEvent)))
        .ToDictionary(t => (string)t.GetProperty(nameof(IIntegrationEvent.Name), BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!, StringComparer.Ordinal);

    public IReadOnlyDictionary<string, Type> Types => _types;
}

/// <summary>Delivers the outbox at least once. Handlers must tolerate a repeat.</summary>
internal sealed partial class OutboxDispatcher(
    NpgsqlDataSource source, IServiceScopeFactory scopes, EventCatalog catalog, [FromKeyedServices(typeof(OutboxWriter))] WakeUp wakeUp, TimeProvider clock, ILogger<OutboxDispatcher> log)
    : ClaimLoop<OutboxDispatcher.Claimed>(Concurrency, PollInterval, wakeUp, clock, log)
{
    // Waits double up to an hour: three days in all, longer than any outage that nobody notices.
    private const int MaxAttempts = 80;
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    // A handler may wait for the network; facts behind it must not wait for that. No order is promised among facts.
    private const int Concurrency = 16;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);

    protected override async Task<Claimed?> ClaimAsync(CancellationToken ct)
    {
        // The claim is a lease: a handler may talk to the network, so no transaction stays open while it runs.
        // Checkpoint: a crash after this line delivers the fact again when the lease is over.
        var now = Clock.GetUtcNow();
        await using var claim = source.CreateCommand(
            """
            UPDATE platform.outbox SET attempts = attempts + 1, next_attempt_at = $2 + $3
            WHERE id = (SELECT id FROM platform.outbox WHERE processed_at IS NULL AND attempts < $1 AND next_attempt_at <= $2
                        ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, name, payload::text, attempts
            """);
        claim.Parameters.Add(new() { Value = MaxAttempts });
        claim.Parameters.Add(new() { Value = now });
        claim.Parameters.Add(new() { Value = Lease });
        await using var row = await claim.ExecuteReaderAsync(ct);
        return await row.ReadAsync(ct) ? new(row.GetGuid(0), row.GetString(1), row.GetString(2), row.GetInt32(3), now) : null;
    }

    protected override async Task WorkAsync(Claimed claimed, CancellationToken ct)
    {
        var (id, name, payload, attempt, now) = claimed;
        string? failure = null;
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            var fact = (INotification)JsonSerializer.Deserialize(payload, catalog.Types[name], Json.Options)!;
            await scope.ServiceProvider.GetRequiredService<IMediator>().Publish(fact, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            failure = e.Message;
            if (attempt >= MaxAttempts)
            {
                GivenUp(Log, id, name, attempt, e);
            }
            else
            {
                DeliveryFailed(Log, id, name, attempt, e);
            }
        }

        await using var mark = failure is null
            ? source.CreateCommand("UPDATE platform.outbox SET processed_at = $2, last_error = NULL WHERE id = $1")
            : source.CreateCommand("UPDATE platform.outbox SET last_error = $3, next_attempt_at = $2 WHERE id = $1");
        mark.Parameters.Add(new() { Value = id });
        mark.Parameters.Add(new() { Value = failure is null ? Clock.GetUtcNow() : now + TimeSpan.FromSeconds(Math.Min(Math.Pow(2, attempt), LongestWait.TotalSeconds)) });
        if (failure is not null)
        {
            mark.Parameters.Add(new() { Value = failure });
        }

        await mark.ExecuteNonQueryAsync(ct);
    }

    [LoggerMessage(LogLevel.Warning, "Outbox message {MessageId} ({Name}) failed attempt {Attempt}")]
    private static partial void DeliveryFailed(ILogger logger, Guid messageId, string name, int attempt, Exception exception);

    [LoggerMessage(LogLevel.Error, "Outbox message {MessageId} ({Name}) is given up after {Attempt} attempts; its row stays for a month")]
    private static partial void GivenUp(ILogger logger, Guid messageId, string name, int attempt, Exception exception);

    internal sealed record Claimed(Guid Id, string Name, string Payload, int Attempt, DateTimeOffset At);
}
