using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// The connection of one scope and, while a command runs, its transaction. All modules' contexts are built on it, so that
/// a fact, the money it moves and the event that tells of it commit together or not at all.
/// </summary>
public sealed class UnitOfWork(NpgsqlDataSource source) : IAsyncDisposable
{
    private readonly List<Action> _afterCommit = [];

    public NpgsqlConnection Connection { get; } = source.CreateConnection();

    public NpgsqlTransaction? Transaction { get; private set; }

    public bool IsActive => Transaction is not null;

    /// <summary>A joined command failed: the outermost one may not commit any more.</summary>
    internal Error? Doomed { get; set; }

    /// <summary>Runs when the transaction has committed (wake a sender, say). Must not fail; is forgotten on rollback.</summary>
    public void AfterCommit(Action action) => _afterCommit.Add(action);

    /// <summary>Opens the connection where it is closed; for statements by hand.</summary>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken ct)
    {
        if (Connection.State is System.Data.ConnectionState.Closed)
        {
            await Connection.OpenAsync(ct);
        }

        return Connection;
    }

    public async ValueTask DisposeAsync()
    {
        if (Transaction is not null)
        {
            await Transaction.DisposeAsync();
        }

        await Connection.DisposeAsync();
    }

    internal async Task BeginAsync(CancellationToken ct) => Transaction = await (await OpenAsync(ct)).BeginTransactionAsync(ct);

    internal async Task CommitAsync(CancellationToken ct)
    {
        await Transaction!.CommitAsync(ct);
        foreach (var action in _afterCommit)
        {
            action();
        }
    }
}

/// <summary>Runs work in a transaction and a scope of its own, again from the start when PostgreSQL asks for that.</summary>
public sealed class Transactions(IServiceScopeFactory scopes)
{
    private const int MaxAttempts = 5;

    /// <summary>A failed result rolls back. Serialization failures and deadlocks run the work again in a new scope, up to five times.</summary>
    public async Task<T> RunAsync<T>(Caller caller, Func<IServiceProvider, CancellationToken, Task<T>> work, CancellationToken ct)
        where T : IFailable<T>
    {
        for (var attempt = 1; ; attempt++)
        {
            await using var scope = scopes.CreateAsyncScope();
            caller.CopyTo(scope.ServiceProvider.GetRequiredService<Caller>());
            var unit = scope.ServiceProvider.GetRequiredService<UnitOfWork>();
            try
            {
                await unit.BeginAsync(ct);
                var result = await work(scope.ServiceProvider, ct);
                if (result.Error is not null)
                {
                    return result;
                }

                if (unit.Doomed is { } doomed)
                {
                    throw new InvalidOperationException($"A joined command failed ({doomed.Code}) and its caller went on.");
                }

                await unit.CommitAsync(ct);
                return result;
            }
            catch (Exception e) when (attempt < MaxAttempts && IsWorthRepeating(e))
            {
                // Rolled back when the scope goes; the next attempt starts from what is committed now.
            }
        }
    }

    private static bool IsWorthRepeating(Exception e) =>
        (e as PostgresException ?? e.InnerException as PostgresException)?.SqlState
            is PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected;
}

public static class ModuleDb
{
    /// <summary>Registers a module's context on the scope's connection, inside its transaction when there is one.</summary>
    public static IServiceCollection AddModuleDb<TDb>(this IServiceCollection services, Func<DbContextOptions<TDb>, TDb> create)
        where TDb : DbContext =>
        services.AddScoped(provider =>
        {
            var unit = provider.GetRequiredService<UnitOfWork>();
            var db = create(new DbContextOptionsBuilder<TDb>()
                .UseNpgsql(unit.Connection)
                .UseLoggerFactory(provider.GetRequiredService<Microsoft.Extensions.Logging.ILoggerFactory>())
                .Options);
            if (unit.Transaction is { } transaction)
            {
                db.Database.UseTransaction(transaction);
            }

            return db;
        });

    /// <summary>Tables and columns are snake_case in db/; this maps every property without a line for each.</summary>
    public static void UseSnakeCaseColumns(this ModelBuilder model)
    {
        foreach (var property in model.Model.GetEntityTypes().SelectMany(e => e.GetProperties()))
        {
            property.SetColumnName(System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
        }
    }
}
