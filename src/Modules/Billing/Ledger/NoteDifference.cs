using Npgsql;
using VoicePlatform.Contracts.Tenants;

namespace VoicePlatform.Billing.Ledger;

/// <summary>Tells the tenant of a difference in its books, once.</summary>
internal sealed record NoteDifference(Difference Found) : ICommand<Done>;

internal sealed class NoteDifferenceHandler(UnitOfWork unit, IMediator mediator, TimeProvider clock) : IRequestHandler<NoteDifference, Result<Done>>
{
    public async Task<Result<Done>> Handle(NoteDifference request, CancellationToken cancellationToken)
    {
        var d = request.Found;
        await using var note = new NpgsqlCommand(
            "INSERT INTO billing.differences (what, subject_id, tenant_id, charged, cost, found_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            await unit.OpenAsync(cancellationToken), unit.Transaction);
        note.Parameters.Add(new() { Value = d.What });
        note.Parameters.Add(new() { Value = d.SubjectId });
        note.Parameters.Add(new() { Value = d.TenantId });
        note.Parameters.Add(new NpgsqlParameter<long?> { TypedValue = d.Charged });
        note.Parameters.Add(new NpgsqlParameter<long?> { TypedValue = d.Cost });
        note.Parameters.Add(new() { Value = clock.GetUtcNow() });
        return await note.ExecuteNonQueryAsync(cancellationToken) == 0
            ? default(Done)
            : await mediator.Send(
                new Announce(d.TenantId, "billing.difference", d.SubjectId, Json.Write(new { d.What, d.SubjectId, d.Charged, d.Cost, unit = Credits.Unit }), IsTest: false), cancellationToken);
    }
}
