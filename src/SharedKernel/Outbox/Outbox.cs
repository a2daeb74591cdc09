using MediatR;
using Npgsql;
using NpgsqlTypes;

namespace VoicePlatform.SharedKernel.Outbox;

/// <summary>A fact another module, or the same one after commit, may learn a moment later. Past tense, additive only, ids and values.</summary>
public interface IIntegrationEvent : INotification
{
    /// <summary>Stable wire name ("session.ended.v1"). Renaming the C# type must not change it.</summary>
    static abstract string Name { get; }
}

/// <summary>Stages facts in the running transaction: with the change, or not at all. Delivered at least once, in no order.</summary>
public sealed class OutboxWriter
{
    private readonly UnitOfWork _unit;
    private readonly WakeUp _dispatcher;
    private readonly TimeProvider _clock;

    internal OutboxWriter(UnitOfWork unit, WakeUp dispatcher, TimeProvider clock) => (_unit, _dispatcher, _clock) = (unit, dispatcher, clock);

    /// <exception cref="InvalidOperationException">There is no transaction to join.</exception>
    public async Task PublishAsync<TEvent>(TEvent fact, CancellationToken ct)
        where TEvent : IIntegrationEvent
    {
        if (!_unit.IsActive)
        {
            throw new InvalidOperationException($"{TEvent.Name} must be published inside a command.");
        }

        var now = _clock.GetUtcNow();
        await using var insert = new NpgsqlCommand(
            "INSERT INTO platform.outbox (id, name, payload, occurred_at, next_attempt_at) VALUES ($1, $2, $3, $4, $4)", _unit.Connection, _unit.Transaction);
        insert.Parameters.Add(new() { Value = Guid.CreateVersion7(now) });
        insert.Parameters.Add(new() { Value = TEvent.Name });
        insert.Parameters.Add(new() { Value = Json.Write(fact), NpgsqlDbType = NpgsqlDbType.Jsonb });
        insert.Parameters.Add(new() { Value = now });
        await insert.ExecuteNonQueryAsync(ct);
        _unit.AfterCommit(_dispatcher.Wake);
    }
}
