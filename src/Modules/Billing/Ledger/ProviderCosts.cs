using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace VoicePlatform.Billing.Ledger;

/// <summary>What a provider charges the platform for what was used: amount = cost × quantity ÷ per, in micro-credits, rounded half up.</summary>
internal sealed record CostLine(string Component, long Quantity, string Unit, long Cost, long Per, string RateCard, long Amount);

/// <summary>The book of what the platform itself pays, beside the tenants' ledger. No tenant reads it.</summary>
internal sealed class ProviderCosts(UnitOfWork unit)
{
    /// <summary>In the running unit of work; again by the same booking changes nothing.</summary>
    public async Task BookAsync(string tenantId, string booking, string subjectId, IReadOnlyCollection<CostLine> lines, CancellationToken ct)
    {
        if (lines.Count == 0)
        {
            return;
        }

        await using var book = new NpgsqlCommand("SELECT billing.book_costs($1, $2, $3, $4)", unit.Connection, unit.Transaction)
        {
            Parameters =
            {
                new() { Value = tenantId }, new() { Value = booking }, new() { Value = subjectId },
                new()
                {
                    Value = JsonSerializer.Serialize(lines.Select(l => new
                    {
                        component = l.Component, quantity = l.Quantity, unit = l.Unit, cost = l.Cost, per = l.Per, rate_card = l.RateCard, amount = l.Amount,
                    })),
                    NpgsqlDbType = NpgsqlDbType.Jsonb,
                },
            },
        };
        await book.ExecuteNonQueryAsync(ct);
    }
}
