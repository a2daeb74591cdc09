using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using VoicePlatform.Billing;
using VoicePlatform.Billing.Ledger;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.SharedKernel;
using VoicePlatform.Tenants;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>The billing module over a database, as other modules ask it, with the one that it tells tenants through and without a host around them.</summary>
internal sealed class BareLedger : IAsyncDisposable
{
    private readonly IHost _host;

    /// <param name="database">As the host connects.</param>
    public BareLedger(string database)
    {
        Source = NpgsqlDataSource.Create(database);
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new());
        builder.Services.AddLogging();
        builder.Services.AddSharedKernel();
        builder.Services.AddSingleton(Source);
        builder.AddTenant().AddBilling();
        _host = builder.Build();
    }

    public NpgsqlDataSource Source { get; }

    public Task<Result<T>> SendAsync<T>(IRequest<Result<T>> request) => InScopeAsync(scope => scope.GetRequiredService<IMediator>().Send(request));

    /// <summary>Several requests in one transaction.</summary>
    public Task<Result<T>> TogetherAsync<T>(Func<IServiceProvider, Task<Result<T>>> work, CancellationToken ct = default) =>
        _host.Services.GetRequiredService<Transactions>().RunAsync(new Caller(), (scope, _) => work(scope), ct);

    public async Task OpenAccountAsync(string tenantId, long credits)
    {
        var opened = await TogetherAsync(async scope =>
        {
            var unit = scope.GetRequiredService<UnitOfWork>();
            await using var tenant = new NpgsqlCommand("INSERT INTO tenant.tenants (id, name, created_at, updated_at) VALUES ($1, $1, now(), now())", unit.Connection, unit.Transaction)
            {
                Parameters = { new() { Value = tenantId } },
            };
            await tenant.ExecuteNonQueryAsync();
            await scope.GetRequiredService<LedgerPostings>().OpenAsync(tenantId, default);
            return (Result<Done>)default(Done);
        });
        Assert.That(opened.IsOk);
        if (credits > 0)
        {
            await TopUpAsync(tenantId, credits, "opening");
        }
    }

    /// <returns>The transaction.</returns>
    public async Task<string> TopUpAsync(string tenantId, long amount, string reference)
    {
        var posted = await TogetherAsync(scope => scope.GetRequiredService<LedgerPostings>().PostAsync(
            tenantId, "topup", $"topup:{reference}", null, new { external_reference = reference }, [new("available", amount), new("platform:funding", -amount)], default));
        return posted.Value!.TransactionId;
    }

    public async Task<T?> ScalarAsync<T>(string sql)
    {
        await using var query = Source.CreateCommand(sql);
        return (T?)await query.ExecuteScalarAsync();
    }

    /// <summary>So many messages: 10,000 micro-credits each by the card that comes with the platform.</summary>
    public static IReadOnlyList<Measured> Messages(long count) => [new("message", "message", count)];

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await Source.DisposeAsync();
    }

    private async Task<T> InScopeAsync<T>(Func<IServiceProvider, Task<T>> work)
    {
        await using var scope = _host.Services.CreateAsyncScope();
        return await work(scope.ServiceProvider);
    }
}
