using Npgsql;
using VoicePlatform.Host;

namespace VoicePlatform.IntegrationTests.Support;

/// <summary>
/// A database of a fixture's own, copied from a template that is migrated once a run. VOICEPLATFORM_TEST_DB is a superuser's
/// connection to a cluster made by eng/postgres; ./test brings one.
/// </summary>
internal sealed class TestDatabase : IAsyncDisposable
{
    private static readonly Lazy<NpgsqlDataSource> Server = new(() => NpgsqlDataSource.Create(Admin));
    private static readonly SemaphoreSlim TemplateLock = new(1, 1);
    private static readonly string Template = $"template_{Environment.ProcessId}";
    private static bool _templateExists;
    private static int _count;

    private readonly string _name;

    private TestDatabase(string name)
    {
        _name = name;
        Owner = Connection(name, "voiceplatform_owner");
        App = Connection(name, "voiceplatform_host");
    }

    /// <summary>As migrations connect.</summary>
    public string Owner { get; }

    /// <summary>As the host connects: a role that owns nothing.</summary>
    public string App { get; }

    public static async Task<TestDatabase> CreateAsync()
    {
        await TemplateLock.WaitAsync();
        try
        {
            if (!_templateExists)
            {
                await AdminAsync($"CREATE DATABASE {Template} OWNER voiceplatform_owner");
                await using var owner = NpgsqlDataSource.Create(Connection(Template, "voiceplatform_owner"));
                await Migrations.ApplyAsync(owner, CancellationToken.None);
                _templateExists = true;
            }
        }
        finally
        {
            TemplateLock.Release();
        }

        return await CreateAsync($"TEMPLATE {Template}");
    }

    /// <summary>With nothing in it: for what migrations do.</summary>
    public static Task<TestDatabase> CreateEmptyAsync() => CreateAsync("");

    private static async Task<TestDatabase> CreateAsync(string from)
    {
        var name = $"test_{Environment.ProcessId}_{Interlocked.Increment(ref _count)}";
        await AdminAsync($"CREATE DATABASE {name} {from} OWNER voiceplatform_owner");
        return new TestDatabase(name);
    }

    /// <summary>From now on the host finds no database, until it is back.</summary>
    public async Task GoAwayAsync()
    {
        await AdminAsync($"ALTER DATABASE {_name} CONNECTION LIMIT 0");
        await AdminAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name}'");
    }

    public Task ComeBackAsync() => AdminAsync($"ALTER DATABASE {_name} CONNECTION LIMIT -1");

    public async ValueTask DisposeAsync() => await AdminAsync($"DROP DATABASE IF EXISTS {_name} WITH (FORCE)");

    private static string Admin =>
        Environment.GetEnvironmentVariable("VOICEPLATFORM_TEST_DB")
        ?? throw new InvalidOperationException(
            "VOICEPLATFORM_TEST_DB is not set: run ./test, or 'eng/postgres start DIR' and set it to what 'eng/postgres admin-url DIR' prints.");

    private static string Connection(string database, string user) =>
        new NpgsqlConnectionStringBuilder(Admin) { Database = database, Username = user }.ConnectionString;

    private static async Task AdminAsync(string sql)
    {
        await using var command = Server.Value.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
