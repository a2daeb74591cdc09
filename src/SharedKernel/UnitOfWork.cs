using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// The connection of one scope and, while a command runs, its transaction. All modules' contexts are built on it, so that
/// a fact, the money it moves and the event that tells of it commit together or not at all. It is the one door to the database
/// for what is asked by a tenant, and so the one place that tells PostgreSQL whose rows may be seen (db/platform/0004_row_security.sql).
/// </summary>
public sealed class UnitOfWork(NpgsqlDataSource source, Caller caller) : IAsyncDisposable
{
    private readonly List<Action> _afterCommit = [];
    private NpgsqlConnection? _own;
    private NpgsqlConnection? _lent;
    private string? _restrictedTo;      // The tenant whose rows the open connection sees; null: all.

    public NpgsqlConnection Connection => _lent ?? (_own ??= source.CreateConnection());

    public NpgsqlTransaction? Transaction { get; private set; }

    public bool IsActive => Transaction is not null;

    /// <summary>The connection broke while the transaction ran.</summary>
    internal bool IsLost => IsActive && Connection.State is not System.Data.ConnectionState.Open;

    /// <summary>A joined command failed: the outermost one may not commit any more.</summary>
    internal Error? Doomed { get; set; }

    /// <summary>How many requests are being handled inside each other in this scope.</summary>
    internal int Depth { get; set; }

    /// <summary>Runs when the transaction has committed (wake a sender, say). Must not fail; is forgotten on rollback.</summary>
    public void AfterCommit(Action action) => _afterCommit.Add(action);

    /// <summary>Opens the connection where it is closed; for statements by hand.</summary>
    /// <exception cref="NpgsqlException">It was lost in the middle of the transaction: on a new one a statement would stand alone.</exception>
    public async ValueTask<NpgsqlConnection> OpenAsync(CancellationToken ct)
    {
        if (Connection.State is System.Data.ConnectionState.Closed)
        {
            if (IsActive)
            {
                throw new NpgsqlException("The connection was lost in the middle of a transaction.");
            }

            await Connection.OpenAsync(ct);
            _restrictedTo = null;
        }

        await AlignAsync(ct);
        return Connection;
    }

    /// <summary>Opens the connection for a statement that finds out who asks, and restricts it itself (<see cref="TenantSetting"/>, <see cref="Restricted"/>).</summary>
    public async ValueTask<NpgsqlConnection> OpenForAuthenticationAsync(CancellationToken ct)
    {
        if (Connection.State is System.Data.ConnectionState.Closed)
        {
            await Connection.OpenAsync(ct);
            _restrictedTo = null;
        }

        return Connection;
    }

    /// <summary>The statement that found out who asks has restricted the connection to this tenant.</summary>
    public void Restricted(string tenantId) => _restrictedTo = tenantId;

    /// <summary>The setting that row security goes by. Belongs to the connection; the pool clears it when the connection comes back.</summary>
    public const string TenantSetting = "app.tenant";

    /// <summary>Gives the connection back while nothing runs on it: nobody waits for the outside world with one in his hand.</summary>
    public async ValueTask ReleaseAsync()
    {
        if (!IsActive && _lent is null && _own is { State: not System.Data.ConnectionState.Closed })
        {
            await _own.CloseAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Transaction is not null)
        {
            await Transaction.DisposeAsync();
        }

        if (_own is not null)
        {
            await _own.DisposeAsync();
        }
    }

    /// <summary>Works on the open connection of the scope that asks for the work, instead of taking a second one from the pool.</summary>
    internal void Borrow(UnitOfWork other)
    {
        if (other.Connection.State is System.Data.ConnectionState.Open && !other.IsActive)
        {
            (_lent, _restrictedTo) = (other.Connection, other._restrictedTo);
        }
    }

    /// <summary>Brings an open connection to whoever asks now: a scope may become somebody else on the way (a door that needs no key, and was sent one).</summary>
    internal async ValueTask AlignAsync(CancellationToken ct)
    {
        var tenant = caller.HasTenant ? caller.TenantId : null;
        if (tenant == _restrictedTo || Connection.State is not System.Data.ConnectionState.Open)
        {
            return;
        }

        await using var restrict = new NpgsqlCommand($"SELECT set_config('{TenantSetting}', $1, false)", Connection) { Parameters = { new() { Value = tenant ?? "" } } };
        await restrict.ExecuteNonQueryAsync(ct);
        _restrictedTo = tenant;
    }

    /// <summary>Entity Framework opened the connection.</summary>
    internal ValueTask OpenedAsync(CancellationToken ct)
    {
        _restrictedTo = null;
        return AlignAsync(ct);
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

/// <summary>A connection that Entity Framework opens by itself is restricted too.</summary>
internal sealed class RestrictOnOpen(UnitOfWork unit) : DbConnectionInterceptor
{
    public override Task ConnectionOpenedAsync(System.Data.Common.DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default) =>
        unit.OpenedAsync(cancellationToken).AsTask();

    public override void ConnectionOpened(System.Data.Common.DbConnection connection, ConnectionEndEventData eventData) =>
        throw new NotSupportedException("The database is asked asynchronously.");
}

/// <summary>Runs work in a transaction and a scope of its own, again from the start when PostgreSQL asks for that.</summary>
public sealed class Transactions(IServiceScopeFactory scopes)
{
    private const int MaxAttempts = 5;

    /// <summary>
    /// A failed result rolls back. Serialization failures, deadlocks, and rows that somebody else changed meanwhile run the work again in a new scope, up to
    /// five times: it then finds what is.
    /// </summary>
    /// <param name="asking">The unit of work of the scope that asks; its open connection is used.</param>
    public async Task<T> RunAsync<T>(Caller caller, Func<IServiceProvider, CancellationToken, Task<T>> work, CancellationToken ct, UnitOfWork? asking = null)
        where T : IFailable<T>
    {
        for (var attempt = 1; ; attempt++)
        {
            await using var scope = scopes.CreateAsyncScope();
            caller.CopyTo(scope.ServiceProvider.GetRequiredService<Caller>());
            var unit = scope.ServiceProvider.GetRequiredService<UnitOfWork>();
            if (asking is not null)
            {
                unit.Borrow(asking);
            }

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
            catch (InvalidOperationException e) when (unit.IsLost)
            {
                // Npgsql says of the next statement that its transaction is completed.
                throw new NpgsqlException("The connection was lost in the middle of a transaction.", e);
            }
            catch (Exception e) when (attempt < MaxAttempts && IsWorthRepeating(e))
            {
                // Rolled back when the scope goes; the next attempt starts from what is committed now.
            }
        }
    }

    private static bool IsWorthRepeating(Exception e) =>
        (e as PostgresException ?? e.InnerException as PostgresException)?.SqlState
            is PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected || e is DbUpdateConcurrencyException;
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
                .AddInterceptors(new RestrictOnOpen(unit))
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
