using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>A host with one tenant, its operator, and the database's superuser, who can do what nobody may.</summary>
internal sealed class Books : IAsyncDisposable
{
    private int _references;

    private Books(TestHost host, TestTenant tenant) => (Host, Tenant) = (host, tenant);

    public TestHost Host { get; }

    public TestTenant Tenant { get; }

    private static readonly (string, string) NoCredits = ("BILLING_SIGNUP_CREDITS", "0");

    /// <summary>The tenant begins with nothing.</summary>
    public static async Task<Books> OpenAsync() => OnSharedHostAttribute.IsThere ? await OpenSharedAsync() : await OnAsync(await TestHost.StartAsync(NoCredits));

    /// <summary>The same on a host that others share (<see cref="TestHost.SharedAsync"/>).</summary>
    public static async Task<Books> OpenSharedAsync() => await OnAsync(await TestHost.SharedAsync(NoCredits));

    private static async Task<Books> OnAsync(TestHost host) => new(host, await host.SignUpAsync("Acme"));

    public Task<Answer> AsOperatorAsync(HttpMethod method, string path, object? body = null) => Host.SendAsync(method, path, TestHost.AdminKey, body);

    public async Task<string> TopUpAsync(long amount)
    {
        var answer = await AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new { tenant_id = Tenant.TenantId, amount, external_reference = $"inv-{++_references}" });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("transaction_id");
    }

    /// <summary>Of 1, 2, 3… micro-credits, for the subjects ses1, ses2, ses3….</summary>
    public async Task TopUpOftenAsync(int times)
    {
        const int AtOnce = 500;     // Within one transaction the head's versions become ever more to go through.
        await using var app = NpgsqlDataSource.Create(Host.Database.App);
        await using var post = app.CreateCommand(
            """
            SELECT count(billing.post($1 || 't' || n, $1, 'topup', 'many:' || n, NULL, jsonb_build_object('subject_id', 'ses' || n), jsonb_build_array(
              jsonb_build_object('id', $1 || 'a' || n, 'account', 'available', 'amount', n), jsonb_build_object('id', $1 || 'b' || n, 'account', 'platform:funding', 'amount', -n))))
            FROM generate_series($2, $3) n
            """);
        post.Parameters.Add(new() { Value = Tenant.TenantId });
        post.Parameters.Add(new());
        post.Parameters.Add(new());
        for (var first = 1; first <= times; first += AtOnce)
        {
            (post.Parameters[1].Value, post.Parameters[2].Value) = (first, Math.Min(times, first + AtOnce - 1));
            await post.ExecuteNonQueryAsync();
        }
    }

    public Task<Answer> ReverseAsync(string transactionId, string reason = "a mistake") =>
        AsOperatorAsync(HttpMethod.Post, "/v1/billing/reversals", new { transaction_id = transactionId, reason });

    /// <summary>A text session with so many messages, ended. Answers its id.</summary>
    public async Task<string> ChatAsync(int messages = 2)
    {
        var session = await Tenant.StartTextSessionAsync(await Tenant.CreateAssistantAsync());
        await SayAsync(session, messages);
        await EndAsync(session);
        return session;
    }

    public async Task SayAsync(string sessionId, int messages)
    {
        for (var i = 0; i < messages; i++)
        {
            Assert.That((await Tenant.PostAsync($"/v1/sessions/{sessionId}/messages", new { text = "hello" })).Status, Is.EqualTo(HttpStatusCode.OK));
        }
    }

    public async Task EndAsync(string sessionId) => Assert.That((int)(await Tenant.PostAsync($"/v1/sessions/{sessionId}/end")).Status, Is.InRange(200, 204));

    public async Task<JsonNode> TransactionAsync(string kind, string? subjectId = null) =>
        (await Tenant.GetAsync($"/v1/billing/transactions?kind={kind}{(subjectId is null ? "" : $"&subject_id={subjectId}")}")).Body!["data"]![0]!;

    public async Task<string> TextAsync(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("x-api-key", Tenant.Key);
        using var response = await Host.Http.SendAsync(request);
        Assert.That(response.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        return await response.Content.ReadAsStringAsync();
    }

    public async Task AssertSoundAsync()
    {
        var verified = await Tenant.GetAsync("/v1/billing/verify");
        Assert.That(verified.Get<bool>("ok"), Is.True, verified.Body?.ToJsonString());
        var trial = await AsOperatorAsync(HttpMethod.Get, "/v1/billing/trial-balance");
        Assert.That(trial.Get<bool>("ok"), Is.True, trial.Body?.ToJsonString());
    }

    /// <summary>For a lock that this connection holds.</summary>
    public async Task UntilSomebodyWaitsAsync(NpgsqlConnection holder) => Assert.That(
        async () => await Host.SqlAsync("SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", holder.ProcessID), Is.GreaterThan(0L).After(10_000, 20));

    /// <summary>Behind everybody's back: past triggers, foreign keys and row security, which hold for all others meanwhile.</summary>
    public async Task AsSuperuserAsync(string sql)
    {
        await using var superuser = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(Host.Database.Owner) { Username = "postgres" }.ConnectionString);
        await using var command = superuser.CreateCommand($"SET session_replication_role = replica; {sql}");
        await command.ExecuteNonQueryAsync();
    }

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
