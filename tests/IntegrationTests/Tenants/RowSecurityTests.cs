using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Host;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>Tenants are kept apart below the queries: what a query forgets, PostgreSQL does not.</summary>
internal sealed class RowSecurityTests
{
    private TestHost _host = null!;

    [SetUp]
    public async Task SetUpAsync() => _host = await TestHost.StartAsync();

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task Every_table_is_guarded_or_hangs_on_one_that_is()
    {
        // What has no tenant: reference data, the platform's own queues, and rows that are found through a guarded parent.
        string[] children =
        [
            "assistant.versions", "session.lines", "session.turns", "session.usage", "session.events", "call.queue", "call.attempts", "call.events",
            "tenant.delivery_attempts", "billing.rates",
        ];
        string[] platform = ["platform.outbox", "trunk.installation", "session.compat"];
        await using var source = NpgsqlDataSource.Create(_host.Database.Owner);
        await using var query = source.CreateCommand(
            """
            SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('tenant', 'platform', 'assistant', 'trunk', 'call', 'session', 'billing')
              AND NOT (c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
            """);
        var unguarded = new List<string>();
        await using var row = await query.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            unguarded.Add(row.GetString(0));
        }

        Assert.That(unguarded.Except([.. children, .. platform]), Is.Empty);
    }

    [Test]
    public async Task A_query_that_forgets_the_tenant_sees_its_rows_only_and_writes_none_of_another()
    {
        var (one, two) = (await _host.SignUpAsync("One"), await _host.SignUpAsync("Two"));
        var (ofOne, ofTwo) = (await one.CreateAssistantAsync(), await two.CreateAssistantAsync());

        await using var scope = _host.Services.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<Caller>().Become(one.TenantId, null, null, isTest: false);
        var connection = await scope.ServiceProvider.GetRequiredService<UnitOfWork>().OpenAsync(CancellationToken.None);

        Assert.That(await IdsAsync(connection), Is.EqualTo([ofOne]));
        await using (var change = new NpgsqlCommand("UPDATE assistant.assistants SET name = 'taken over'", connection))
        {
            Assert.That(await change.ExecuteNonQueryAsync(), Is.EqualTo(1));
        }

        await using var insert = new NpgsqlCommand(
            "INSERT INTO assistant.assistants (id, tenant_id, name, version, created_at, updated_at) VALUES ('astsmuggled', $1, 'x', 1, now(), now())", connection);
        insert.Parameters.Add(new() { Value = two.TenantId });
        Assert.That(async () => await insert.ExecuteNonQueryAsync(), Throws.InstanceOf<PostgresException>().With.Property("SqlState").EqualTo("42501"));

        // The platform's own work sees everybody; and a connection that comes back to the pool has forgotten whom it worked for.
        var all = await IdsAsync(await _host.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync());
        Assert.That(all, Is.SupersetOf(new[] { ofOne, ofTwo }));
        Assert.That((await two.GetAsync($"/v1/assistants/{ofTwo}")).Get<string>("name"), Is.EqualTo("Scripted"));
    }

    [Test]
    public async Task Requests_of_many_tenants_over_few_connections_never_mix()
    {
        var tenants = await Task.WhenAll(Enumerable.Range(0, 6).Select(async i =>
        {
            var tenant = await _host.SignUpAsync($"Tenant {i}");
            return (Tenant: tenant, Assistant: await tenant.CreateAssistantAsync());
        }));

        await Parallel.ForEachAsync(Enumerable.Range(0, 300), new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (i, _) =>
        {
            var (tenant, own) = tenants[i % tenants.Length];
            var foreign = tenants[(i + 1) % tenants.Length].Assistant;
            var list = await tenant.GetAsync("/v1/assistants");
            Assert.That(list.Body!["data"]!.AsArray().Select(a => a!["id"]!.GetValue<string>()), Is.EqualTo([own]));
            Assert.That((int)(await tenant.GetAsync($"/v1/assistants/{foreign}")).Status, Is.EqualTo(404));
            Assert.That((int)(await tenant.PatchAsync($"/v1/assistants/{foreign}", new { name = "x" })).Status, Is.EqualTo(404));
        });
    }

    [Test]
    public async Task A_key_that_is_sent_to_a_door_without_keys_changes_nothing()
    {
        await using var host = await TestHost.StartAsync(("COMPAT_TENANT", "on"));
        var tenant = await host.SignUpAsync("One");
        var again = await host.SendAsync(HttpMethod.Post, "/auth/create-key", tenant.Key, new { user_name = "b", org_name = "Two", user_email = "b@example.com" });
        Assert.That(again.Status, Is.EqualTo(System.Net.HttpStatusCode.OK), again.Body?.ToJsonString());
        Assert.That(again.Body!["data"]!["tenant_id"]!.GetValue<string>(), Is.Not.EqualTo(tenant.TenantId));

        foreach (var key in new[] { tenant.Key, "lvk_nonsense", null })
        {
            var put = await host.SendAsync(HttpMethod.Put, "/v1/livekit/starter/agent-settings/device-123", key, new { theme = "dark" });
            Assert.That((int)put.Status, Is.EqualTo(200), put.Body?.ToJsonString());
            Assert.That((await host.SendAsync(HttpMethod.Get, "/v1/livekit/starter/agent-settings/device-123", key)).Body!.ToJsonString(), Does.Contain("dark"));
        }
    }

    private static async Task<List<string>> IdsAsync(NpgsqlConnection connection)
    {
        await using var query = new NpgsqlCommand("SELECT id FROM assistant.assistants", connection);
        await using var row = await query.ExecuteReaderAsync();
        var ids = new List<string>();
        while (await row.ReadAsync())
        {
            ids.Add(row.GetString(0));
        }

        return ids;
    }

    [Test]
    public async Task A_connection_that_comes_back_keeps_what_it_prepared_and_forgets_whose_it_was()
    {
        await using var source = Settings.DataSource(_host.Database.App + ";Maximum Pool Size=1");
        for (var i = 0; i < 10; i++)
        {
            await using var connection = await source.OpenConnectionAsync();
            Assert.That(await AskAsync(connection, $"SELECT current_setting('{UnitOfWork.TenantSetting}', true)"), Is.Null.Or.EqualTo(DBNull.Value).Or.EqualTo(""), $"time {i}");
            await AskAsync(connection, $"SELECT set_config('{UnitOfWork.TenantSetting}', 'ten00000000000000000000000000', false)");
        }

        await using var last = await source.OpenConnectionAsync();
        Assert.That(await AskAsync(last, "SELECT count(*) FROM pg_prepared_statements"), Is.GreaterThanOrEqualTo(2L));

        static async Task<object?> AskAsync(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            return await command.ExecuteScalarAsync();
        }
    }
}
