using Npgsql;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.Billing.Answers;

internal sealed class ReadSpendableHandler(UnitOfWork unit) : IRequestHandler<ReadSpendable, Result<long>>
{
    public async Task<Result<long>> Handle(ReadSpendable request, CancellationToken cancellationToken)
    {
        await using var query = new NpgsqlCommand("SELECT greatest(available + credit_limit, 0) FROM billing.heads WHERE tenant_id = $1", await unit.OpenAsync(cancellationToken), unit.Transaction);
        query.Parameters.Add(new() { Value = request.TenantId });
        return (long?)await query.ExecuteScalarAsync(cancellationToken) ?? 0;
    }
}
