using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

internal sealed class KeyTests
{
    private TestHost _host = null!;

    [SetUp]
    public async Task SetUpAsync() => _host = await TestHost.SharedAsync();

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task A_first_key_opens_everything_of_its_tenant_and_its_text_is_kept_nowhere()
    {
        var tenant = await _host.SignUpAsync();

        Assert.That((await tenant.GetAsync("/v1/keys")).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await tenant.BalanceAsync(), Is.EqualTo((1_000_000_000L, 0L)));
        await using var source = Npgsql.NpgsqlDataSource.Create(_host.Database.Owner);
        await using var search = source.CreateCommand("SELECT count(*) FROM tenant.keys k WHERE k::text LIKE '%' || $1 || '%'");
        search.Parameters.Add(new() { Value = tenant.Key["lvk_".Length..] });
        Assert.That(await search.ExecuteScalarAsync(), Is.EqualTo(0L));
    }

    [TestCase(null, "auth.key_required")]
    [TestCase("lvk_0000000000000000000000000000000000000000000000000000000000000000", "auth.key_invalid")]
    public async Task Without_a_good_key_the_answer_is_401(string? key, string code)
    {
        var answer = await _host.SendAsync(HttpMethod.Get, "/v1/assistants", key);
        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.Unauthorized, code)));
        Assert.That(answer.Headers["Content-Type"], Does.StartWith("application/problem+json"));
        Assert.That(answer.Get<string>("request_id"), Is.EqualTo(answer.Headers["x-request-id"]));
    }

    [TestCase("read", "/v1/assistants", true)]
    [TestCase("read", "/v1/billing/balance", false)]
    [TestCase("read", "/v1/keys", false)]
    [TestCase("finance", "/v1/billing/balance", true)]
    [TestCase("finance", "/v1/assistants", false)]
    [TestCase("operate", "/v1/assistants", true)]
    [TestCase("operate", "/v1/webhooks", false)]
    [TestCase("admin", "/v1/webhooks", true)]
    [TestCase("admin", "/v1/billing/entries", false)]
    public async Task A_key_reaches_what_its_scope_allows(string scope, string path, bool allowed)
    {
        var tenant = await _host.SignUpAsync();
        var key = (await tenant.PostAsync("/v1/keys", new { name = scope, scopes = new[] { scope } })).Get<string>("key");

        var answer = await tenant.WithKey(key).GetAsync(path);
        Assert.That(answer.Status, Is.EqualTo(allowed ? HttpStatusCode.OK : HttpStatusCode.Forbidden));
    }

    [Test]
    public async Task A_revoked_key_stops_working_at_once()
    {
        var tenant = await _host.SignUpAsync();
        var made = await tenant.PostAsync("/v1/keys", new { name = "second", scopes = new[] { "read" } });
        var second = tenant.WithKey(made.Get<string>("key"));
        Assert.That((await second.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.OK));

        Assert.That((await tenant.DeleteAsync($"/v1/keys/{made.Get<string>("id")}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await second.GetAsync("/v1/assistants")).Code, Is.EqualTo("auth.key_invalid"));
    }

    [Test]
    public async Task An_expired_key_is_refused()
    {
        var tenant = await _host.SignUpAsync();
        var made = await tenant.PostAsync("/v1/keys", new { name = "short", scopes = new[] { "read" }, expires_at = TimeProvider.System.GetUtcNow().AddHours(1) });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created));
        var shortLived = tenant.WithKey(made.Get<string>("key"));
        Assert.That((await shortLived.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.OK));

        await _host.SqlAsync("UPDATE tenant.keys SET expires_at = now() WHERE id = $1", made.Get<string>("id"));
        Assert.That((await shortLived.GetAsync("/v1/assistants")).Code, Is.EqualTo("auth.key_invalid"));
    }

    [TestCase("""{"name": "", "scopes": ["read"]}""", "name")]
    [TestCase("""{"name": "x", "scopes": []}""", "scopes")]
    [TestCase("""{"name": "x", "scopes": ["root"]}""", "scopes[0]")]
    [TestCase("""{"name": "x", "scopes": ["platform"]}""", "scopes[0]")]
    [TestCase("""{"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}""", "expires_at")]
    public async Task A_bad_key_request_names_the_field(string body, string field)
    {
        var tenant = await _host.SignUpAsync();
        var answer = await tenant.PostAsync("/v1/keys", body);
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That(answer.Fields, Does.Contain(field));
    }

    [Test]
    public async Task Another_tenants_things_are_not_there()
    {
        var (one, other) = (await _host.SignUpAsync("One"), await _host.SignUpAsync("Other"));
        var assistant = await one.CreateAssistantAsync();
        var session = await one.StartTextSessionAsync(assistant);
        var webhook = (await one.PostAsync("/v1/webhooks", new { url = "http://127.0.0.1:9/hook" })).Get<string>("id");
        var key = (await one.PostAsync("/v1/keys", new { name = "k", scopes = new[] { "read" } })).Get<string>("id");

        Answer[] answers =
        [
            await other.GetAsync($"/v1/assistants/{assistant}"), await other.GetAsync($"/v1/assistants/{assistant}/versions"),
            await other.PatchAsync($"/v1/assistants/{assistant}", new { name = "mine" }), await other.DeleteAsync($"/v1/assistants/{assistant}"),
            await other.PostAsync($"/v1/assistants/{assistant}/versions/1/restore"), await other.PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true }),
            await other.GetAsync($"/v1/sessions/{session}"), await other.GetAsync($"/v1/sessions/{session}/transcript"), await other.GetAsync($"/v1/sessions/{session}/turns"),
            await other.GetAsync($"/v1/sessions/{session}/usage"), await other.GetAsync($"/v1/sessions/{session}/events"),
            await other.PostAsync($"/v1/sessions/{session}/messages", new { text = "hi" }), await other.PostAsync($"/v1/sessions/{session}/end"),
            await other.GetAsync($"/v1/webhooks/{webhook}/deliveries"), await other.DeleteAsync($"/v1/webhooks/{webhook}"), await other.DeleteAsync($"/v1/keys/{key}"),
        ];
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.NotFound));
        foreach (var list in (string[])["/v1/assistants", "/v1/sessions", "/v1/webhooks"])
        {
            Assert.That((await other.GetAsync(list)).Body!["data"]!.AsArray(), Is.Empty, list);
        }
    }

    [Test]
    public async Task Bootstrap_gives_the_first_key_only_and_closed_gives_none()
    {
        await using var bootstrap = await TestHost.StartAsync(("KEY_CREATION", "bootstrap"));
        object body = new { user_name = "a", org_name = "a", user_email = "a@example.com" };
        var both = await Task.WhenAll(bootstrap.SendAsync(HttpMethod.Post, "/auth/create-key", null, body), bootstrap.SendAsync(HttpMethod.Post, "/auth/create-key", null, body));
        Assert.That(both.Select(a => a.Status), Is.EquivalentTo(new[] { HttpStatusCode.OK, HttpStatusCode.Forbidden }));

        await using var closed = await TestHost.StartAsync(("KEY_CREATION", "closed"));
        Assert.That((await closed.SendAsync(HttpMethod.Post, "/auth/create-key", null, body)).Status, Is.EqualTo(HttpStatusCode.Forbidden));
    }

    [TestCase("""{"org_name": "a", "user_email": "a@example.com"}""")]
    [TestCase("""{"user_name": "a", "org_name": "a", "user_email": "nonsense"}""")]
    public async Task The_seeds_door_answers_400_in_its_own_envelope(string body)
    {
        var answer = await _host.SendAsync(HttpMethod.Post, "/auth/create-key", null, body);
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That(answer.Get<bool>("success"), Is.False);
        Assert.That(answer.Get<string>("message"), Is.Not.Empty);
    }
}
