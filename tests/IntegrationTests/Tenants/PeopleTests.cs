using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>Users, their roles and their keys; the tenant itself; who changed what.</summary>
internal sealed class PeopleTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync("Acme");
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task A_role_bounds_the_keys_of_its_user_also_when_it_changes_later()
    {
        var user = (await _tenant.PostAsync("/v1/users", new { name = "Dev", email = "dev@example.com", role = "admin" })).Get<string>("id");
        var tooMuch = await _tenant.PostAsync("/v1/keys", new { name = "k", scopes = new[] { "finance" }, user_id = user });
        Assert.That((tooMuch.Status, tooMuch.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "scopes")));

        var key = _tenant.WithKey((await _tenant.PostAsync("/v1/keys", new { name = "k", scopes = new[] { "admin" }, user_id = user })).Get<string>("key"));
        Assert.That((await key.GetAsync("/v1/users")).Status, Is.EqualTo(HttpStatusCode.OK));

        Assert.That((await _tenant.PatchAsync($"/v1/users/{user}", new { role = "viewer" })).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await key.GetAsync("/v1/users")).Status, Is.EqualTo(HttpStatusCode.Forbidden));

        Assert.That((await _tenant.DeleteAsync($"/v1/users/{user}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await key.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await _tenant.GetAsync($"/v1/users/{user}")).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task An_admin_gives_nobody_the_ledger_and_the_last_owner_stays()
    {
        var admin = _tenant.WithKey((await _tenant.PostAsync("/v1/keys", new { name = "admin", scopes = new[] { "admin" } })).Get<string>("key"));
        var owner = (await admin.GetAsync("/v1/users")).Body!["data"]![0]!["id"]!.GetValue<string>();

        Assert.That((await admin.PostAsync("/v1/keys", new { name = "k", scopes = new[] { "finance" } })).Fields, Is.EqualTo(["scopes"]));
        Assert.That((await admin.PostAsync("/v1/keys", new { name = "k", scopes = new[] { "read", "operate" } })).Status, Is.EqualTo(HttpStatusCode.Created));
        foreach (var role in new[] { "owner", "finance" })
        {
            var refused = await admin.PostAsync("/v1/users", new { name = "n", email = $"{role}@example.com", role });
            Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.Forbidden, "user.role_not_yours")));
        }

        var first = (await _tenant.GetAsync("/v1/keys")).Body!["data"]!.AsArray().Single(k => k!["name"]!.GetValue<string>() == "first key")!["id"]!.GetValue<string>();
        Assert.That((await admin.PostAsync($"/v1/keys/{first}/rotate")).Fields, Is.EqualTo(["scopes"]));

        Assert.That((await _tenant.DeleteAsync($"/v1/users/{owner}")).Code, Is.EqualTo("user.last_owner"));
        Assert.That((await _tenant.PatchAsync($"/v1/users/{owner}", new { role = "viewer" })).Code, Is.EqualTo("user.last_owner"));

        // Two owners who remove each other at the same moment: one stays.
        var second = (await _tenant.PostAsync("/v1/users", new { name = "Second", email = "second@example.com", role = "owner" })).Get<string>("id");
        var answers = await Task.WhenAll(_tenant.PatchAsync($"/v1/users/{owner}", new { role = "admin" }), _tenant.PatchAsync($"/v1/users/{second}", new { role = "admin" }));
        Assert.That(answers.Count(a => a.Status == HttpStatusCode.OK), Is.EqualTo(1));
    }

    [Test]
    public async Task A_rotated_key_goes_on_for_its_overlap_and_its_successor_has_the_same_rights()
    {
        var made = await _tenant.PostAsync("/v1/keys", new { name = "ci", scopes = new[] { "read" }, mode = "test" });
        var (id, old) = (made.Get<string>("id"), _tenant.WithKey(made.Get<string>("key")));

        var rotated = await _tenant.PostAsync($"/v1/keys/{id}/rotate", new { overlap_hours = 1 });
        Assert.That(rotated.Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((rotated.Get<string>("name"), rotated.Get<string>("mode"), rotated.Get<string>("replaces")), Is.EqualTo(("ci", "test", id)));
        var next = _tenant.WithKey(rotated.Get<string>("key"));
        Assert.That((await old.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await next.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await next.GetAsync("/v1/keys")).Status, Is.EqualTo(HttpStatusCode.Forbidden));
        var until = (await _tenant.GetAsync($"/v1/keys/{id}")).Get<DateTimeOffset>("expires_at");
        Assert.That(until, Is.EqualTo(TimeProvider.System.GetUtcNow().AddHours(1)).Within(TimeSpan.FromMinutes(1)));

        Assert.That((await _tenant.PostAsync($"/v1/keys/{id}/rotate")).Code, Is.EqualTo("key.not_active"));
        await _tenant.PostAsync($"/v1/keys/{rotated.Get<string>("id")}/rotate", new { overlap_hours = 0 });
        Assert.That((await next.GetAsync("/v1/assistants")).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await _tenant.PostAsync($"/v1/keys/{id}/rotate", new { overlap_hours = 1000 })).Fields, Is.EqualTo(["overlap_hours"]));
    }

    [Test]
    public async Task The_tenant_and_its_users_are_guarded_by_entity_tags()
    {
        var tenant = await _tenant.GetAsync("/v1/tenant");
        Assert.That((tenant.Get<string>("id"), tenant.Get<string>("name")), Is.EqualTo((_tenant.TenantId, "Acme")));
        var changed = await _tenant.PatchAsync("/v1/tenant", new { name = "Acme AG", contact_email = "ops@acme.example" }, ("If-Match", tenant.Headers["ETag"]));
        Assert.That((changed.Status, changed.Get<string>("contact_email")), Is.EqualTo((HttpStatusCode.OK, "ops@acme.example")));
        var late = await _tenant.PatchAsync("/v1/tenant", new { name = "Lost" }, ("If-Match", tenant.Headers["ETag"]));
        Assert.That((late.Status, late.Code), Is.EqualTo((HttpStatusCode.PreconditionFailed, "etag.changed")));

        var user = await _tenant.PostAsync("/v1/users", new { name = "U", email = "u@example.com", role = "viewer" });
        Assert.That((await _tenant.PatchAsync($"/v1/users/{user.Get<string>("id")}", new { name = "V" }, ("If-Match", user.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await _tenant.PatchAsync($"/v1/users/{user.Get<string>("id")}", new { name = "W" }, ("If-Match", user.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));
        Assert.That((await _tenant.PostAsync("/v1/users", new { name = "Again", email = "U@example.com", role = "viewer" })).Code, Is.EqualTo("user.email_taken"));
        Assert.That((await _tenant.PostAsync("/v1/users", new { name = "x", email = "nonsense", role = "viewer" })).Fields, Is.EqualTo(["email"]));
    }

    [Test]
    public async Task Changes_are_in_the_audit_log_with_who_and_from_where_and_cannot_be_altered()
    {
        var key = (await _tenant.PostAsync("/v1/keys", new { name = "ci", scopes = new[] { "read" } })).Get<string>("id");
        await _tenant.DeleteAsync($"/v1/keys/{key}");
        await _host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, new { tenant_id = _tenant.TenantId, amount = 1_000, external_reference = "r1" });
        await _tenant.PostAsync("/v1/keys", new { name = "", scopes = new[] { "read" } });   // Refused: no line.

        var log = (await _tenant.GetAsync("/v1/audit")).Body!["data"]!.AsArray();
        Assert.That(log.Select(l => l!["action"]!.GetValue<string>()), Is.EqualTo(["billing.topup", "key.revoked", "key.created", "tenant.opened"]));
        Assert.That(log.Select(l => l!["actor"]!.GetValue<string>()), Is.EqualTo(["platform", "key", "key", "system"]));
        Assert.That((log[1]!["subject_id"]!.GetValue<string>(), log[1]!["address"]!.GetValue<string>()), Is.EqualTo((key, "127.0.0.1")));
        Assert.That(log[1]!["key_id"]!.GetValue<string>(), Does.StartWith("key"));
        Assert.That((await _tenant.GetAsync($"/v1/audit?subject_id={key}&action=key.created")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));

        await using var app = Npgsql.NpgsqlDataSource.Create(_host.Database.App);
        foreach (var sql in new[] { "UPDATE platform.audit SET action = 'x'", "DELETE FROM platform.audit", "TRUNCATE platform.audit" })
        {
            await using var command = app.CreateCommand(sql);
            Assert.That(async () => await command.ExecuteNonQueryAsync(), Throws.InstanceOf<Npgsql.PostgresException>().With.Property("SqlState").EqualTo("42501"), sql);
        }
    }

    [Test]
    public async Task A_secret_is_kept_sealed_never_shown_and_its_mask_is_no_value()
    {
        var put = await _host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", _tenant.Key, new { value = "sk-first-value" });
        Assert.That((put.Status, put.Body!.ToJsonString().Contains("sk-first", StringComparison.Ordinal)), Is.EqualTo((HttpStatusCode.Created, false)));
        var again = await _host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", _tenant.Key, new { value = "sk-second-value" }, ("If-Match", put.Headers["ETag"]));
        Assert.That(again.Status, Is.EqualTo(HttpStatusCode.OK));
        var late = await _host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", _tenant.Key, new { value = "sk-third-value" }, ("If-Match", put.Headers["ETag"]));
        Assert.That(late.Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));

        var masked = await _host.SendAsync(HttpMethod.Put, "/v1/secrets/OPENAI_API_KEY", _tenant.Key, new { value = "********" });
        Assert.That((masked.Status, masked.Body!["errors"]![0]!["code"]!.GetValue<string>()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "masked")));
        var named = await _host.SendAsync(HttpMethod.Put, "/v1/secrets/lower-case", _tenant.Key, new { value = "x" });
        Assert.That(named.Fields, Is.EqualTo(["name"]));

        Assert.That((await _tenant.GetAsync("/v1/secrets")).Body!["data"]!.AsArray().Select(s => s!["name"]!.GetValue<string>()), Is.EqualTo(["OPENAI_API_KEY"]));
        Assert.That((await (await _host.SignUpAsync("Other")).GetAsync("/v1/secrets/OPENAI_API_KEY")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        await using var owner = Npgsql.NpgsqlDataSource.Create(_host.Database.Owner);
        await using var search = owner.CreateCommand("SELECT count(*) FROM tenant.secrets s WHERE encode(value, 'escape') LIKE '%sk-second%' OR s::text LIKE '%sk-second%'");
        Assert.That(await search.ExecuteScalarAsync(), Is.Zero);

        Assert.That((await _tenant.DeleteAsync("/v1/secrets/OPENAI_API_KEY")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await _tenant.GetAsync("/v1/secrets/OPENAI_API_KEY")).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task The_operator_opens_tenants_whatever_sign_up_says()
    {
        await using var closed = await TestHost.StartAsync(("KEY_CREATION", "closed"));
        var body = new { user_name = "a", org_name = "Org", user_email = "a@example.com" };
        Assert.That((await closed.SendAsync(HttpMethod.Post, "/auth/create-key", null, body)).Status, Is.EqualTo(HttpStatusCode.Forbidden));
        var opened = await closed.SendAsync(HttpMethod.Post, "/v1/tenants", TestHost.AdminKey, body);
        Assert.That(opened.Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((await closed.SendAsync(HttpMethod.Get, "/v1/tenant", opened.Get<string>("api_key"))).Get<string>("name"), Is.EqualTo("Org"));
        Assert.That((await closed.SendAsync(HttpMethod.Get, "/v1/tenants", TestHost.AdminKey)).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
        Assert.That((await closed.SendAsync(HttpMethod.Get, "/v1/tenants", opened.Get<string>("api_key"))).Status, Is.EqualTo(HttpStatusCode.Forbidden));
    }

    [Test]
    public async Task A_tenant_that_lost_its_keys_gets_one_from_the_operator()
    {
        var keys = (await _tenant.GetAsync("/v1/keys")).Body!["data"]!.AsArray().Select(k => k!["id"]!.GetValue<string>()).ToList();
        foreach (var key in keys)
        {
            Assert.That((await _tenant.DeleteAsync($"/v1/keys/{key}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        }

        Assert.That((await _tenant.GetAsync("/v1/tenant")).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        var path = $"/v1/tenants/{_tenant.TenantId}/keys";
        var body = new { name = "Again", scopes = new[] { "admin", "finance" } };
        var issued = await _host.SendAsync(HttpMethod.Post, path, TestHost.AdminKey, body);
        Assert.That(issued.Status, Is.EqualTo(HttpStatusCode.Created), issued.Body?.ToJsonString());

        var again = _tenant.WithKey(issued.Get<string>("key"));
        Assert.That((await again.GetAsync("/v1/billing/balance")).Status, Is.EqualTo(HttpStatusCode.OK));
        var line = (await again.GetAsync("/v1/audit")).Body!["data"]![0]!;
        Assert.That((line["action"]!.GetValue<string>(), line["subject_id"]!.GetValue<string>(), line["actor"]!.GetValue<string>()), Is.EqualTo(("key.created", issued.Get<string>("id"), "platform")));

        // Nobody but the operator, and only for who is there.
        Assert.That((await again.PostAsync(path, body)).Status, Is.EqualTo(HttpStatusCode.Forbidden));
        Assert.That((await _host.SendAsync(HttpMethod.Post, "/v1/tenants/ten00000000000000000000000000/keys", TestHost.AdminKey, body)).Status, Is.EqualTo(HttpStatusCode.NotFound));
        var wrong = await _host.SendAsync(HttpMethod.Post, path, TestHost.AdminKey, new { name = "", scopes = new[] { "everything" } });
        Assert.That((wrong.Status, wrong.Fields), Is.EqualTo((HttpStatusCode.UnprocessableEntity, new[] { "name", "scopes[0]" })));
    }
}
